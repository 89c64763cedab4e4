/* Tests of loop/loop.h on the real clock; every wait is for an event, with a deadline. */
#include "loop/loop.h"

#include "base/attr.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <uv.h>

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>
#define DEADLINE (60 * USEC_SEC)

struct world {
    struct loop *loop;
    struct loop_timer *deadline;
    struct loop_timer *timer;
    char trace[64];
    size_t n;
    int left;
    Usec at;
};

static void note(struct world *w, char c)
{
    if (w->n + 1 < sizeof w->trace)
        w->trace[w->n++] = c;
}

static void on_deadline(void *arg)
{
    struct world *w = arg;

    note(w, '!');
    loop_stop(w->loop);
}

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);

    w->loop = loop_new();
    w->deadline = loop_timer_new(w->loop, "test.deadline", on_deadline, w);
    loop_timer_start(w->deadline, DEADLINE, 0);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    loop_timer_free(w->timer);
    loop_timer_free(w->deadline);
    loop_free(w->loop);
    free(w);
    return 0;
}

static void on_turn_end(void *arg)
{
    note(arg, 'e');
}

static void on_turn_end_too(void *arg)
{
    note(arg, 'E');
}

static void on_defer_stop(void *arg)
{
    struct world *w = arg;

    note(w, 'd');
    loop_stop(w->loop);
}

static void on_timer_defer(void *arg)
{
    struct world *w = arg;

    note(w, 't');
    assert_int_equal(loop_defer(w->loop, on_defer_stop, w), STATUS_OK);
    note(w, 'u');
}

static void test_loop_order_of_a_turn(void **state)
{
    struct world *w = *state;

    assert_int_equal(loop_on_turn_end(w->loop, on_turn_end, w), STATUS_OK);
    assert_int_equal(loop_on_turn_end(w->loop, on_turn_end_too, w), STATUS_OK);
    w->timer = loop_timer_new(w->loop, "test.timer", on_timer_defer, w);
    loop_timer_start(w->timer, 0, 0);
    loop_run(w->loop);
    /* timer, then what it deferred, then the hooks in order; once more when the loop is left */
    assert_string_equal(w->trace, "tudeEeE");
}

static void on_timer_stop(void *arg)
{
    struct world *w = arg;

    w->at = clock_mono();
    note(w, 't');
    loop_stop(w->loop);
}

static void test_loop_timer_is_never_early(void **state)
{
    struct world *w = *state;

    w->timer = loop_timer_new(w->loop, "test.timer", on_timer_stop, w);
    for (Usec after = 0; after < 5000; after += 700) {
        const Usec begin = clock_mono();

        loop_timer_start(w->timer, after, 0);
        assert_true(loop_timer_active(w->timer));
        loop_run(w->loop);
        assert_true(w->at - begin >= after);
        assert_false(loop_timer_active(w->timer));
    }
    assert_string_equal(w->trace, "tttttttt");
}

static void on_timer_count(void *arg)
{
    struct world *w = arg;

    note(w, 't');
    if (--w->left == 0) {
        loop_timer_free(w->timer); /* in its own callback */
        w->timer = NULL;
        loop_timer_free(w->deadline);
        w->deadline = NULL;
    }
}

static void test_loop_timer_repeats_until_freed(void **state)
{
    struct world *w = *state;

    w->left = 3;
    w->timer = loop_timer_new(w->loop, "test.timer", on_timer_count, w);
    loop_timer_start(w->timer, 500, 500);
    loop_run(w->loop); /* ends by itself: nothing is left to wait for */
    assert_string_equal(w->trace, "ttt");
}

static void test_loop_stopped_timer_does_not_fire(void **state)
{
    struct world *w = *state;
    struct loop_timer *never = loop_timer_new(w->loop, "test.never", on_deadline, w);

    w->timer = loop_timer_new(w->loop, "test.timer", on_timer_stop, w);
    loop_timer_start(never, 0, 0);
    loop_timer_stop(never);
    loop_timer_start(w->timer, 2000, 0);
    loop_run(w->loop);
    assert_string_equal(w->trace, "t");
    loop_timer_free(never);
    loop_timer_free(NULL);
}

static void on_defer_again(void *arg)
{
    struct world *w = arg;

    if (--w->left == 0)
        loop_stop(w->loop);
    else
        assert_int_equal(loop_defer(w->loop, on_defer_again, w), STATUS_OK);
}

static void test_loop_deferred_calls_may_defer(void **state)
{
    struct world *w = *state;

    w->left = 1000;
    assert_int_equal(loop_defer(w->loop, on_defer_again, w), STATUS_OK);
    loop_run(w->loop);
    assert_int_equal(w->left, 0);
    assert_string_equal(w->trace, ""); /* the deadline did not fire */
}

static void defer_once(void *arg)
{
    struct world *w = arg;

    note(w, 'e');
    if (w->left-- > 0)
        assert_int_equal(loop_defer(w->loop, on_defer_stop, w), STATUS_OK);
}

static void test_loop_hook_may_defer(void **state)
{
    struct world *w = *state;

    w->left = 1;
    assert_int_equal(loop_on_turn_end(w->loop, defer_once, w), STATUS_OK);
    loop_run(w->loop);
    /* no poll may block between the hook and the call it deferred: the deadline is a minute away */
    assert_memory_equal(w->trace, "ed", 2);
}

static void test_loop_deferred_before_the_run(void **state)
{
    struct world *w = *state;

    loop_timer_stop(w->deadline); /* nothing else keeps it running */
    w->left = 3;
    assert_int_equal(loop_defer(w->loop, on_defer_again, w), STATUS_OK);
    loop_run(w->loop);
    assert_int_equal(w->left, 0);
}

static void test_loop_stop_before_run(void **state)
{
    struct world *w = *state;

    loop_stop(w->loop);
    loop_run(w->loop);
    assert_string_equal(w->trace, "");
    w->timer = loop_timer_new(w->loop, "test.timer", on_timer_stop, w);
    loop_timer_start(w->timer, 0, 0);
    loop_run(w->loop); /* and it runs again */
    assert_string_equal(w->trace, "t");
}

static void on_signal(int signum, void *arg)
{
    struct world *w = arg;

    note(w, signum == SIGUSR1 ? '1' : '2');
    if (w->n == 2)
        loop_stop(w->loop);
    else
        assert_int_equal(kill(getpid(), SIGUSR2), 0);
}

static void test_loop_signals(void **state)
{
    struct world *w = *state;
    struct err err = { 0 };

    assert_int_equal(loop_on_signal(w->loop, SIGUSR1, on_signal, w, &err), STATUS_OK);
    assert_int_equal(loop_on_signal(w->loop, SIGUSR2, on_signal, w, &err), STATUS_OK);
    assert_int_equal(loop_on_signal(w->loop, SIGKILL, on_signal, w, &err), STATUS_INVALID);
    assert_string_equal(err.text, "cannot watch signal 9: Invalid argument");
    assert_int_equal(kill(getpid(), SIGUSR1), 0);
    assert_int_equal(kill(getpid(), SIGPIPE), 0); /* ignored */
    loop_run(w->loop);
    assert_string_equal(w->trace, "12");
}

static void on_timer_slow(void *arg)
{
    struct world *w = arg;
    const Usec begin = clock_mono();
    const struct timespec ms = { .tv_nsec = 1000000 };

    while (clock_mono() - begin <= LOOP_SLOW_USEC)
        (void)nanosleep(&ms, NULL);
    loop_stop(w->loop);
}

static void test_loop_counts_slow_callbacks(void **state)
{
    struct world *w = *state;

    assert_true(loop_slow_count(w->loop) == 0);
    w->timer = loop_timer_new(w->loop, "test.slow", on_timer_slow, w);
    loop_timer_start(w->timer, 0, 0);
    loop_run(w->loop);
    assert_true(loop_slow_count(w->loop) >= 1);
}

static void on_timer_time(void *arg)
{
    struct world *w = arg;
    const Usec mono = loop_now_mono(w->loop), wall = loop_now_wall(w->loop);
    const Usec begin = clock_mono();

    while (clock_mono() == begin)
        continue;
    assert_true(loop_now_mono(w->loop) == mono); /* the same all turn long */
    assert_true(loop_now_wall(w->loop) == wall);
    assert_true(mono > w->at);
    w->at = mono;
    if (--w->left == 0)
        loop_stop(w->loop);
}

static void test_loop_time_is_taken_once_a_turn(void **state)
{
    struct world *w = *state;

    w->left = 3;
    w->timer = loop_timer_new(w->loop, "test.time", on_timer_time, w);
    loop_timer_start(w->timer, 1000, 1000);
    loop_run(w->loop);
    assert_int_equal(w->left, 0);
}

static Usec cpu_time(void)
{
    struct rusage u;

    assert_int_equal(getrusage(RUSAGE_SELF, &u), 0);
    return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * USEC_SEC + u.ru_utime.tv_usec +
           u.ru_stime.tv_usec;
}

static void test_loop_idle_costs_nothing(void **state)
{
    struct world *w = *state;
    Usec before;

    assert_int_equal(loop_on_turn_end(w->loop, on_turn_end, w), STATUS_OK);
    w->timer = loop_timer_new(w->loop, "test.timer", on_timer_stop, w);
    loop_timer_start(w->timer, 300 * USEC_MSEC, 0);
    before = cpu_time();
    loop_run(w->loop);
    assert_true(cpu_time() - before < 100 * USEC_MSEC);
    assert_string_equal(w->trace, "etee"); /* no turn in which nothing happened */
}

static void on_closed(uv_handle_t *handle)
{
    *(bool *)handle->data = true;
}

static void test_loop_free_runs_close_callbacks(void **state)
{
    struct loop *l = loop_new();
    bool closed = false;
    uv_timer_t t = { .data = &closed };

    (void)state;
    assert_int_equal(uv_timer_init(loop_uv(l), &t), 0);
    uv_close((uv_handle_t *)&t, on_closed);
    loop_free(l);
    assert_true(closed);
    loop_free(NULL);
}

#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(test_loop_order_of_a_turn),
        IN_WORLD(test_loop_timer_is_never_early),
        IN_WORLD(test_loop_timer_repeats_until_freed),
        IN_WORLD(test_loop_stopped_timer_does_not_fire),
        IN_WORLD(test_loop_deferred_calls_may_defer),
        IN_WORLD(test_loop_hook_may_defer),
        IN_WORLD(test_loop_deferred_before_the_run),
        IN_WORLD(test_loop_stop_before_run),
        IN_WORLD(test_loop_signals),
        IN_WORLD(test_loop_counts_slow_callbacks),
        IN_WORLD(test_loop_time_is_taken_once_a_turn),
        IN_WORLD(test_loop_idle_costs_nothing),
        cmocka_unit_test(test_loop_free_runs_close_callbacks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
