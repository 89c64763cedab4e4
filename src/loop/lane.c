/* Lanes: own threads for blocking work, results handed back on the loop thread.
 *
 * The one idea: two lists under one mutex. The loop puts items at the end of `queue`, the threads
 * take them from its front and put them on `finished`, and a uv_async tells the loop to fetch
 * those. What only the loop thread counts (pending, done) needs no lock. The async handle keeps the
 * loop running exactly while something is pending. */
#include "loop/lane.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include <uv.h>

#include "base/str.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define LANE_SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define LANE_SANITIZED 1
#endif
#ifdef LANE_SANITIZED
#define LANE_STACK_BYTES (2u * 1024 * 1024) /* their frames are several times as big */
#else
#define LANE_STACK_BYTES (256u * 1024)
#endif

struct lane {
    struct loop *loop;
    const char *name;
    uv_async_t async;

    /* loop thread only */
    size_t pending;
    uint64_t done;
    unsigned threads;
    pthread_t thread[LANE_THREADS_MAX];

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t wake;
    struct list queue;
    struct list finished;
    size_t queued;
    size_t queue_max;
    size_t vanished; /* items whose work freed them, not yet counted by the loop */
    bool closing;
};

static struct lane_work *work_of(struct list *link)
{
    return CONTAINER_OF(link, struct lane_work, link);
}

/* The next item, taken off the queue; NULL when the lane closes and nothing is left. Locked. */
static struct lane_work *next_item(struct lane *lane)
{
    struct lane_work *w;

    while (list_empty(&lane->queue)) {
        if (lane->closing)
            return NULL;
        (void)pthread_cond_wait(&lane->wake, &lane->lock);
    }
    w = work_of(lane->queue.next);
    list_remove(&w->link);
    lane->queued--;
    return w;
}

static void *lane_main(void *arg)
{
    struct lane *lane = arg;
    char name[16];
    struct lane_work *w;

    (void)str_copy_z(str_z(lane->name), name, sizeof name);
    (void)pthread_setname_np(pthread_self(), name);
    (void)pthread_mutex_lock(&lane->lock);
    for (w = next_item(lane); w; w = next_item(lane)) {
        const bool vanishes = !w->done;

        (void)pthread_mutex_unlock(&lane->lock);
        w->work(w);
        (void)pthread_mutex_lock(&lane->lock);
        if (vanishes)
            lane->vanished++;
        else
            list_push(&lane->finished, &w->link);
        (void)uv_async_send(&lane->async);
    }
    (void)pthread_mutex_unlock(&lane->lock);
    return NULL;
}

static void count_done(struct lane *lane, size_t n)
{
    lane->pending -= n;
    lane->done += n;
    if (lane->pending == 0 && !uv_is_closing((uv_handle_t *)&lane->async))
        uv_unref((uv_handle_t *)&lane->async);
}

/* Hands back what is finished now. The lane outlives this even when a done calls lane_free: the
 * memory goes with the async handle's close callback, in a later turn. */
static void deliver(struct lane *lane)
{
    struct list batch;
    size_t vanished;

    list_init(&batch);
    (void)pthread_mutex_lock(&lane->lock);
    if (!list_empty(&lane->finished)) {
        list_insert_before(&lane->finished, &batch);
        list_remove(&lane->finished); /* batch is the head of the ring now */
    }
    vanished = lane->vanished;
    lane->vanished = 0;
    (void)pthread_mutex_unlock(&lane->lock);

    count_done(lane, vanished);
    while (!list_empty(&batch)) {
        struct lane_work *w = work_of(batch.next);
        struct loop_span span = loop_span_begin(lane->loop, lane->name);

        list_remove(&w->link);
        count_done(lane, 1);
        w->done(w); /* frees w */
        loop_span_end(&span);
    }
}

static void on_async(uv_async_t *handle)
{
    deliver(handle->data);
}

static void free_memory(struct lane *lane)
{
    (void)pthread_cond_destroy(&lane->wake);
    (void)pthread_mutex_destroy(&lane->lock);
    free(lane);
}

static void on_async_closed(uv_handle_t *handle)
{
    free_memory(handle->data);
}

static void start_threads(struct lane *lane, unsigned threads)
{
    pthread_attr_t attr;
    sigset_t all, before;

    if (pthread_attr_init(&attr))
        return;
    (void)pthread_attr_setstacksize(&attr, LANE_STACK_BYTES);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before); /* inherited: signals are the loop's */
    while (lane->threads < threads) {
        if (pthread_create(&lane->thread[lane->threads], &attr, lane_main, lane))
            break;
        lane->threads++;
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attr);
}

struct lane *lane_new(struct loop *l, const char *name, unsigned threads, size_t queue_max)
{
    struct lane *lane = calloc(1, sizeof *lane);

    if (!lane)
        return NULL;
    if (threads == 0)
        threads = 1;
    if (threads > LANE_THREADS_MAX)
        threads = LANE_THREADS_MAX;
    lane->loop = l;
    lane->name = name;
    lane->queue_max = queue_max ? queue_max : 1;
    list_init(&lane->queue);
    list_init(&lane->finished);
    (void)pthread_mutex_init(&lane->lock, NULL);
    (void)pthread_cond_init(&lane->wake, NULL);
    lane->async.data = lane;
    if (uv_async_init(loop_uv(l), &lane->async, on_async)) {
        free_memory(lane);
        return NULL;
    }
    uv_unref((uv_handle_t *)&lane->async);
    start_threads(lane, threads);
    if (lane->threads < threads) {
        lane_free(lane);
        return NULL;
    }
    return lane;
}

void lane_free(struct lane *lane)
{
    if (!lane)
        return;
    (void)pthread_mutex_lock(&lane->lock);
    lane->closing = true;
    (void)pthread_cond_broadcast(&lane->wake);
    (void)pthread_mutex_unlock(&lane->lock);
    for (unsigned i = 0; i < lane->threads; i++)
        (void)pthread_join(lane->thread[i], NULL);
    deliver(lane);
    uv_close((uv_handle_t *)&lane->async, on_async_closed);
}

Status lane_post(struct lane *lane, struct lane_work *w)
{
    Status st = STATUS_OK;

    (void)pthread_mutex_lock(&lane->lock);
    if (lane->closing) {
        st = STATUS_CLOSED;
    } else if (lane->queued >= lane->queue_max) {
        st = STATUS_BUSY;
    } else {
        list_push(&lane->queue, &w->link);
        lane->queued++;
        (void)pthread_cond_signal(&lane->wake);
    }
    (void)pthread_mutex_unlock(&lane->lock);
    if (st)
        return st;
    if (lane->pending++ == 0)
        uv_ref((uv_handle_t *)&lane->async);
    return STATUS_OK;
}

size_t lane_pending(const struct lane *lane)
{
    return lane->pending;
}

uint64_t lane_done_count(const struct lane *lane)
{
    return lane->done;
}

const char *lane_name(const struct lane *lane)
{
    return lane->name;
}
