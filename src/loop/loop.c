/* The loop over libuv: turns, deferred calls, time, timers, signals.
 *
 * The one idea: libuv calls prepare handles right before it polls, after timers and all callbacks
 * of the last poll; that is the end of a turn, where deferred calls and then the hooks run. The
 * prepare handle is unreferenced and does nothing by itself, so an idle loop sleeps in the kernel.
 * An idle handle runs only while deferred calls wait, to keep the poll from blocking. */
#include "loop/loop.h"

#include <signal.h>
#include <stdlib.h>

#include <uv.h>

#include "base/log.h"

#define LOOP_DEFER_ROUNDS 8 /* of deferred calls that defer again, per turn */

struct call {
    void (*fn)(void *arg);
    void *arg;
};

struct calls {
    struct call *at;
    size_t n;
    size_t cap;
};

/* The turn's time; on its own so that asking works on a const loop. */
struct turn_time {
    bool known;
    Usec wall;
    Usec mono;
};

struct signal_watch {
    uv_signal_t handle;
    struct signal_watch *next;
    void (*fn)(int signum, void *arg);
    void *arg;
};

struct loop {
    uv_loop_t uv;
    uv_prepare_t prepare;
    uv_idle_t idle; /* active while calls are deferred */
    struct calls hooks;
    struct calls deferred;
    struct signal_watch *signals;
    struct turn_time *now;
    uint64_t slow;
    bool stopping;
};

struct loop_timer {
    uv_timer_t handle;
    struct loop *loop;
    const char *what;
    LoopTimerFn fn;
    void *arg;
};

static Status calls_add(struct calls *c, void (*fn)(void *arg), void *arg)
{
    if (c->n == c->cap) {
        const size_t cap = c->cap ? 2 * c->cap : 8;
        struct call *at = realloc(c->at, cap * sizeof *at);

        if (!at)
            return STATUS_NOMEM;
        c->at = at;
        c->cap = cap;
    }
    c->at[c->n++] = (struct call){ .fn = fn, .arg = arg };
    return STATUS_OK;
}

static void on_idle(uv_idle_t *handle)
{
    (void)handle; /* its being there is enough */
}

static void run_deferred(struct loop *l)
{
    for (int round = 0; round < LOOP_DEFER_ROUNDS && l->deferred.n; round++) {
        struct calls batch = l->deferred;

        l->deferred = (struct calls){ 0 };
        for (size_t i = 0; i < batch.n; i++) {
            struct loop_span span = loop_span_begin(l, "loop.defer");

            batch.at[i].fn(batch.at[i].arg);
            loop_span_end(&span);
        }
        if (l->deferred.at) {
            free(batch.at);
        } else {
            batch.n = 0;
            l->deferred = batch; /* keep the memory */
        }
    }
    if (l->deferred.n == 0)
        (void)uv_idle_stop(&l->idle);
}

static void turn_end(struct loop *l)
{
    run_deferred(l);
    for (size_t i = 0; i < l->hooks.n; i++) {
        struct loop_span span = loop_span_begin(l, "loop.turn_end");

        l->hooks.at[i].fn(l->hooks.at[i].arg);
        loop_span_end(&span);
    }
    l->now->known = false;
}

static void on_prepare(uv_prepare_t *handle)
{
    turn_end(handle->data);
}

struct loop *loop_new(void)
{
    struct loop *l = calloc(1, sizeof *l);

    if (!l)
        return NULL;
    l->now = calloc(1, sizeof *l->now);
    if (!l->now || uv_loop_init(&l->uv) != 0) {
        free(l->now);
        free(l);
        return NULL;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    l->uv.data = l;
    l->prepare.data = l;
    /* these four cannot fail on a live loop */
    (void)uv_prepare_init(&l->uv, &l->prepare);
    (void)uv_prepare_start(&l->prepare, on_prepare);
    (void)uv_idle_init(&l->uv, &l->idle);
    uv_unref((uv_handle_t *)&l->prepare);
    return l;
}

static void count_open(uv_handle_t *handle, void *arg)
{
    size_t *n = arg;

    *n += !uv_is_closing(handle);
}

static void close_open(uv_handle_t *handle, void *arg)
{
    (void)arg;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

static void on_signal_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void loop_free(struct loop *l)
{
    size_t left = 0;

    if (!l)
        return;
    run_deferred(l);
    uv_close((uv_handle_t *)&l->prepare, NULL);
    uv_close((uv_handle_t *)&l->idle, NULL);
    while (l->signals) {
        struct signal_watch *watch = l->signals;

        l->signals = watch->next;
        uv_close((uv_handle_t *)&watch->handle, on_signal_closed);
    }
    (void)uv_run(&l->uv, UV_RUN_NOWAIT);
    uv_walk(&l->uv, count_open, &left);
    if (left) {
        /* our mistake; their memory is somebody else's, so it is left alone */
        log_event(LOG_ERROR, "loop.leak", "handles=%zu", left);
        uv_walk(&l->uv, close_open, NULL);
    }
    while (uv_loop_close(&l->uv) == UV_EBUSY)
        (void)uv_run(&l->uv, UV_RUN_ONCE);
    free(l->hooks.at);
    free(l->deferred.at);
    free(l->now);
    free(l);
}

void loop_run(struct loop *l)
{
    l->now->known = false;
    while (!l->stopping) {
        (void)uv_run(&l->uv, UV_RUN_DEFAULT);
        /* the last callbacks ran without a prepare after them */
        turn_end(l);
        if (!uv_loop_alive(&l->uv))
            break;
    }
    l->stopping = false;
}

void loop_stop(struct loop *l)
{
    l->stopping = true;
    uv_stop(&l->uv);
}

struct uv_loop_s *loop_uv(struct loop *l)
{
    return &l->uv;
}

static const struct turn_time *turn_now(const struct loop *l)
{
    if (!l->now->known)
        *l->now = (struct turn_time){ .known = true, .wall = clock_wall(), .mono = clock_mono() };
    return l->now;
}

Usec loop_now_wall(const struct loop *l)
{
    return turn_now(l)->wall;
}

Usec loop_now_mono(const struct loop *l)
{
    return turn_now(l)->mono;
}

Status loop_on_turn_end(struct loop *l, void (*fn)(void *arg), void *arg)
{
    return calls_add(&l->hooks, fn, arg);
}

Status loop_defer(struct loop *l, void (*fn)(void *arg), void *arg)
{
    Status st;

    if (uv_is_closing((uv_handle_t *)&l->idle))
        return STATUS_CLOSED;
    if (l->deferred.n >= LOOP_DEFER_MAX)
        return STATUS_FULL;
    st = calls_add(&l->deferred, fn, arg);
    if (st)
        return st;
    (void)uv_idle_start(&l->idle, on_idle);
    return STATUS_OK;
}

uint64_t loop_slow_count(const struct loop *l)
{
    return l->slow;
}

struct loop_span loop_span_begin(struct loop *l, const char *what)
{
    return (struct loop_span){ .loop = l, .what = what, .begin = clock_mono() };
}

void loop_span_end(struct loop_span *s)
{
    const Usec took = clock_mono() - s->begin;

    if (took <= LOOP_SLOW_USEC)
        return;
    s->loop->slow++;
    log_event(LOG_WARN, "loop.slow", "what=%s ms=%lld", s->what, (long long)(took / USEC_MSEC));
}

static void on_timer(uv_timer_t *handle)
{
    struct loop_timer *t = handle->data;
    struct loop_span span = loop_span_begin(t->loop, t->what);

    t->fn(t->arg); /* may free t */
    loop_span_end(&span);
}

struct loop_timer *loop_timer_new(struct loop *l, const char *what, LoopTimerFn fn, void *arg)
{
    struct loop_timer *t = calloc(1, sizeof *t);

    if (!t)
        return NULL;
    *t = (struct loop_timer){ .loop = l, .what = what, .fn = fn, .arg = arg };
    (void)uv_timer_init(&l->uv, &t->handle);
    t->handle.data = t;
    return t;
}

void loop_timer_start(struct loop_timer *t, Usec after, Usec repeat)
{
    const uint64_t again = repeat > 0 ? (uint64_t)((repeat - 1) / USEC_MSEC) + 1 : 0;
    uint64_t first = 0;

    uv_update_time(&t->loop->uv); /* a long callback must not shorten the wait */
    if (after > 0) {
        /* libuv's time is whole milliseconds of a clock that may lag: count from it to the
         * millisecond in which the wait is over, or the timer would be early by the lag */
        const uint64_t due = (uint64_t)((clock_mono() + after - 1) / USEC_MSEC) + 1;

        first = due - uv_now(&t->loop->uv);
    }
    (void)uv_timer_start(&t->handle, on_timer, first, again);
}

void loop_timer_stop(struct loop_timer *t)
{
    (void)uv_timer_stop(&t->handle);
}

bool loop_timer_active(const struct loop_timer *t)
{
    return uv_is_active((const uv_handle_t *)&t->handle);
}

static void on_timer_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void loop_timer_free(struct loop_timer *t)
{
    if (!t)
        return;
    uv_close((uv_handle_t *)&t->handle, on_timer_closed);
}

static void on_signal(uv_signal_t *handle, int signum)
{
    const struct signal_watch *watch = handle->data;
    struct loop_span span = loop_span_begin(handle->loop->data, "loop.signal");

    watch->fn(signum, watch->arg);
    loop_span_end(&span);
}

Status loop_on_signal(struct loop *l, int signum, void (*fn)(int signum, void *arg), void *arg,
                      struct err *err)
{
    struct signal_watch *watch = calloc(1, sizeof *watch);
    int r;

    if (!watch)
        return err_set(err, STATUS_NOMEM, NULL, "out of memory");
    watch->fn = fn;
    watch->arg = arg;
    watch->handle.data = watch;
    r = uv_signal_init(&l->uv, &watch->handle);
    if (r) {
        free(watch);
        return err_errno(err, -r, "cannot watch signal %d", signum);
    }
    r = uv_signal_start(&watch->handle, on_signal, signum);
    if (r) {
        uv_close((uv_handle_t *)&watch->handle, on_signal_closed);
        return err_errno(err, -r, "cannot watch signal %d", signum);
    }
    uv_unref((uv_handle_t *)&watch->handle);
    watch->next = l->signals;
    l->signals = watch;
    return STATUS_OK;
}
