/* Tests of loop/lane.h: order, bounds, hand-over, closing. Also meant for the thread sanitizer. */
#include "loop/lane.h"

#include "base/attr.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>
#define DEADLINE (60 * USEC_SEC)

struct world {
    struct loop *loop;
    struct loop_timer *deadline;
    struct lane *lane;
    size_t done;
    size_t want;
    size_t last;
    pthread_t loop_thread;
    bool late;
};

struct item {
    struct lane_work w; /* first */
    struct world *world;
    size_t number;
    size_t result;
    atomic_bool *gate; /* work waits until it opens */
};

static void on_deadline(void *arg)
{
    struct world *w = arg;

    w->late = true;
    loop_stop(w->loop);
}

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);

    w->loop = loop_new();
    w->loop_thread = pthread_self();
    w->deadline = loop_timer_new(w->loop, "test.deadline", on_deadline, w);
    loop_timer_start(w->deadline, DEADLINE, 0);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    loop_timer_free(w->deadline);
    lane_free(w->lane);
    loop_free(w->loop);
    free(w);
    return 0;
}

static void work_square(struct lane_work *work)
{
    struct item *item = (struct item *)work;

    assert_false(pthread_equal(pthread_self(), item->world->loop_thread));
    while (item->gate && !atomic_load(item->gate))
        (void)sched_yield();
    item->result = item->number * item->number;
}

static void done_square(struct lane_work *work)
{
    struct item *item = (struct item *)work;
    struct world *w = item->world;

    assert_true(pthread_equal(pthread_self(), w->loop_thread));
    assert_int_equal(item->result, item->number * item->number);
    w->last = item->number;
    if (++w->done == w->want)
        loop_stop(w->loop);
    free(item);
}

static struct item *item_new(struct world *w, size_t number)
{
    struct item *item = calloc(1, sizeof *item);

    item->w.work = work_square;
    item->w.done = done_square;
    item->world = w;
    item->number = number;
    return item;
}

static void post(struct world *w, size_t number)
{
    assert_int_equal(lane_post(w->lane, &item_new(w, number)->w), STATUS_OK);
}

static void test_lane_does_all_work(void **state)
{
    struct world *w = *state;

    w->lane = lane_new(w->loop, "test", 4, 1000);
    w->want = 1000;
    assert_string_equal(lane_name(w->lane), "test");
    for (size_t i = 1; i <= 1000; i++)
        post(w, i);
    assert_int_equal(lane_pending(w->lane), 1000);
    loop_run(w->loop);
    assert_false(w->late);
    assert_int_equal(w->done, 1000);
    assert_int_equal(lane_pending(w->lane), 0);
    assert_true(lane_done_count(w->lane) == 1000);
}

static void done_in_order(struct lane_work *work)
{
    struct item *item = (struct item *)work;

    assert_int_equal(item->number, item->world->last + 1);
    done_square(work);
}

static void test_lane_of_one_thread_keeps_the_order(void **state)
{
    struct world *w = *state;

    w->lane = lane_new(w->loop, "test", 1, 1000);
    w->want = 500;
    for (size_t i = 1; i <= 500; i++) {
        struct item *item = item_new(w, i);

        item->w.done = done_in_order;
        assert_int_equal(lane_post(w->lane, &item->w), STATUS_OK);
    }
    loop_run(w->loop);
    assert_int_equal(w->last, 500);
}

static void test_lane_full_is_busy(void **state)
{
    struct world *w = *state;
    struct item *refused = item_new(w, 9);
    struct item *first = item_new(w, 1);
    atomic_bool gate = false;
    size_t taken = 0;

    w->lane = lane_new(w->loop, "test", 1, 3);
    first->gate = &gate;
    assert_int_equal(lane_post(w->lane, &first->w), STATUS_OK);
    /* three wait, one may be at work already */
    while (taken < 100) {
        struct item *item = item_new(w, 2);

        if (lane_post(w->lane, &item->w) == STATUS_BUSY) {
            free(item);
            break;
        }
        taken++;
    }
    assert_in_range(taken, 2, 3);
    atomic_store(&gate, true);
    w->want = taken + 1;
    loop_run(w->loop);
    assert_false(w->late);
    assert_int_equal(lane_post(w->lane, &refused->w), STATUS_OK); /* room again */
}

static void test_lane_pending_keeps_the_loop_running(void **state)
{
    struct world *w = *state;

    loop_timer_stop(w->deadline);
    w->lane = lane_new(w->loop, "test", 2, 10);
    loop_run(w->loop); /* an idle lane does not */
    post(w, 1);
    post(w, 2);
    loop_run(w->loop); /* ends when both came back */
    assert_int_equal(w->done, 2);
}

static void test_lane_free_drains(void **state)
{
    struct world *w = *state;

    w->lane = lane_new(w->loop, "test", 2, 1000);
    for (size_t i = 0; i < 300; i++)
        post(w, i);
    lane_free(w->lane);
    w->lane = NULL;
    assert_int_equal(w->done, 300); /* without the loop having run */
    lane_free(NULL);
}

static void done_posting(struct lane_work *work)
{
    struct world *w = ((struct item *)work)->world;
    struct item *more = item_new(w, 5);

    w->last = (size_t)-lane_post(w->lane, &more->w);
    free(more);
    free(work);
}

static void test_lane_closing_refuses(void **state)
{
    struct world *w = *state;
    struct item *item = item_new(w, 1);

    w->lane = lane_new(w->loop, "test", 1, 10);
    item->w.done = done_posting;
    assert_int_equal(lane_post(w->lane, &item->w), STATUS_OK);
    lane_free(w->lane);
    w->lane = NULL;
    assert_int_equal(w->last, -STATUS_CLOSED);
}

static void done_freeing_the_lane(struct lane_work *work)
{
    struct world *w = ((struct item *)work)->world;

    lane_free(w->lane);
    w->lane = NULL;
    free(work);
    loop_stop(w->loop);
}

static void test_lane_freed_by_a_done(void **state)
{
    struct world *w = *state;
    struct item *item = item_new(w, 1);

    w->lane = lane_new(w->loop, "test", 2, 10);
    item->w.done = done_freeing_the_lane;
    assert_int_equal(lane_post(w->lane, &item->w), STATUS_OK);
    for (size_t i = 2; i < 8; i++)
        post(w, i);
    loop_run(w->loop);
    assert_null(w->lane);
    assert_false(w->late);
}

static void done_reposting(struct lane_work *work)
{
    struct item *item = (struct item *)work;
    struct world *w = item->world;

    if (++w->done == w->want) {
        free(item);
        loop_stop(w->loop);
        return;
    }
    assert_int_equal(lane_post(w->lane, work), STATUS_OK); /* the same item again */
}

static void test_lane_item_may_go_again(void **state)
{
    struct world *w = *state;
    struct item *item = item_new(w, 3);

    w->lane = lane_new(w->loop, "test", 3, 10);
    w->want = 2000;
    item->w.done = done_reposting;
    assert_int_equal(lane_post(w->lane, &item->w), STATUS_OK);
    loop_run(w->loop);
    assert_int_equal(w->done, 2000);
}

static atomic_int vanished;

static void work_vanish(struct lane_work *work)
{
    free(work);
    (void)atomic_fetch_add(&vanished, 1);
}

static void test_lane_work_may_free_its_item(void **state)
{
    struct world *w = *state;

    w->lane = lane_new(w->loop, "test", 2, 100);
    for (int i = 0; i < 50; i++) {
        struct item *item = item_new(w, 1);

        item->w.work = work_vanish;
        item->w.done = NULL;
        assert_int_equal(lane_post(w->lane, &item->w), STATUS_OK);
    }
    loop_timer_stop(w->deadline);
    loop_run(w->loop); /* ends once all are counted */
    assert_int_equal(atomic_load(&vanished), 50);
    assert_int_equal(lane_pending(w->lane), 0);
    assert_true(lane_done_count(w->lane) == 50);
}

static void work_look(struct lane_work *work)
{
    struct item *item = (struct item *)work;
    sigset_t blocked;
    char name[16];

    assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &blocked), 0);
    item->result = sigismember(&blocked, SIGTERM) == 1 && sigismember(&blocked, SIGCHLD) == 1;
    assert_int_equal(pthread_getname_np(pthread_self(), name, sizeof name), 0);
    item->result += strcmp(name, "a-very-long-nam") == 0;
}

static void done_look(struct lane_work *work)
{
    struct item *item = (struct item *)work;

    item->world->last = item->result;
    loop_stop(item->world->loop);
    free(item);
}

static void test_lane_threads_have_names_and_no_signals(void **state)
{
    struct world *w = *state;
    struct item *item = item_new(w, 1);
    sigset_t blocked;

    w->lane = lane_new(w->loop, "a-very-long-name-for-a-lane", 1, 10);
    item->w.work = work_look;
    item->w.done = done_look;
    assert_int_equal(lane_post(w->lane, &item->w), STATUS_OK);
    loop_run(w->loop);
    assert_int_equal(w->last, 2);
    assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &blocked), 0);
    assert_int_equal(sigismember(&blocked, SIGTERM), 0); /* only there */
}

static void hook_posting(void *arg)
{
    struct world *w = arg;

    if (w->last == 0) {
        w->last = 1;
        post(w, 1);
    }
}

static void test_lane_posted_by_a_hook(void **state)
{
    struct world *w = *state;

    w->lane = lane_new(w->loop, "test", 1, 10);
    w->want = 1;
    assert_int_equal(loop_on_turn_end(w->loop, hook_posting, w), STATUS_OK);
    loop_run(w->loop);
    assert_false(w->late);
    assert_int_equal(w->done, 1);
}

#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(test_lane_does_all_work),
        IN_WORLD(test_lane_of_one_thread_keeps_the_order),
        IN_WORLD(test_lane_full_is_busy),
        IN_WORLD(test_lane_pending_keeps_the_loop_running),
        IN_WORLD(test_lane_free_drains),
        IN_WORLD(test_lane_closing_refuses),
        IN_WORLD(test_lane_freed_by_a_done),
        IN_WORLD(test_lane_item_may_go_again),
        IN_WORLD(test_lane_work_may_free_its_item),
        IN_WORLD(test_lane_threads_have_names_and_no_signals),
        IN_WORLD(test_lane_posted_by_a_hook),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
