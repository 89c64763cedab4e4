/* A store in a temporary folder on a loop of its own, and synchronous helpers: each runs the loop
 * until the callback has come, for at most a minute. */
#ifndef TEST_STORE_FIXTURE_H
#define TEST_STORE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <uv.h>

#include "base/clock.h"
#include "base/file.h"
#include "loop/loop.h"
#include "store/blob.h"
#include "store/store.h"

#define FIXTURE_DEADLINE (60 * USEC_SEC)

struct fixture {
    char dir[64];
    struct loop *loop;
    struct loop_timer *tick; /* so that a loop with nothing to do still looks at the clock */
    struct store *store;
    struct arena *arena;
};

struct outcome {
    bool done;
    Status st;
    struct err err;
    int order; /* of the callbacks, from 1 */
};

UNUSED static void fixture_tick(void *arg)
{
    (void)arg;
}

/* Runs the loop until *done. */
UNUSED static void fixture_wait(struct fixture *f, const bool *done)
{
    const Usec deadline = clock_mono() + FIXTURE_DEADLINE;

    while (!*done) {
        assert_true(clock_mono() < deadline);
        (void)uv_run(loop_uv(f->loop), UV_RUN_ONCE);
    }
}

UNUSED static void fixture_init(struct fixture *f)
{
    memset(f, 0, sizeof *f);
    (void)str_copy_z(STR("/tmp/orrery-store-XXXXXX"), f->dir, sizeof f->dir);
    assert_non_null(mkdtemp(f->dir));
    f->loop = loop_new();
    assert_non_null(f->loop);
    f->tick = loop_timer_new(f->loop, "test.tick", fixture_tick, NULL);
    assert_non_null(f->tick);
    loop_timer_start(f->tick, USEC_SEC / 4, USEC_SEC / 4);
    f->arena = arena_new(512u * 1024 * 1024);
    assert_non_null(f->arena);
}

UNUSED static Status fixture_try_open(struct fixture *f, struct err *err)
{
    const struct store_config config = { .loop = f->loop, .dir = f->dir };
    return store_open(&config, &f->store, err);
}

UNUSED static void fixture_open(struct fixture *f)
{
    struct err err = { .code = STATUS_OK };
    const Status st = fixture_try_open(f, &err);

    if (st)
        print_error("store_open: %s\n", err.text);
    assert_int_equal(st, STATUS_OK);
}

UNUSED static void fixture_close(struct fixture *f)
{
    store_close(f->store);
    f->store = NULL;
}

UNUSED static void fixture_done(struct fixture *f)
{
    fixture_close(f);
    arena_free(f->arena);
    loop_timer_free(f->tick);
    loop_free(f->loop);
    assert_int_equal(file_remove_tree(f->dir, NULL), STATUS_OK);
}

UNUSED static int fixture_setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    fixture_init(f);
    fixture_open(f);
    *state = f;
    return 0;
}

UNUSED static int fixture_teardown(void **state)
{
    fixture_done(*state);
    free(*state);
    return 0;
}

UNUSED static int fixture_counter(void)
{
    static int counter;
    return ++counter;
}

UNUSED static void outcome_note(void *arg, Status st, const struct err *err)
{
    struct outcome *o = arg;

    assert_false(o->done);
    o->done = true;
    o->st = st;
    o->order = fixture_counter();
    if (err)
        o->err = *err;
}

UNUSED static Status commit_now(struct fixture *f, struct store_tx *tx, struct err *err)
{
    struct outcome o = { .done = false };
    Status st = store_commit(f->store, tx, outcome_note, &o, err);

    if (st)
        return st;
    fixture_wait(f, &o.done);
    if (err)
        *err = o.err;
    return o.st;
}

UNUSED static void put_state(struct fixture *f, const char *id, const char *json)
{
    struct store_tx *tx = store_tx_new(f->store);

    store_tx_put(tx, TABLE_STATE, str_z(id), str_z(json), NULL, 0);
    assert_int_equal(commit_now(f, tx, NULL), STATUS_OK);
}

struct answer {
    bool done;
    Status st;
    struct err err;
    const struct store_found *rows;
    size_t n;
    int64_t total;
};

UNUSED static void answer_note(void *arg, const struct store_result *res)
{
    struct answer *a = arg;

    assert_false(a->done);
    *a = (struct answer){ .done = true,
                          .st = res->status,
                          .err = res->err,
                          .rows = res->rows,
                          .n = res->n,
                          .total = res->total };
}

UNUSED static struct answer get_now(struct fixture *f, enum store_table t, const char *id)
{
    struct answer a = { .done = false };

    assert_int_equal(store_get(f->store, t, str_z(id), f->arena, answer_note, &a, NULL), STATUS_OK);
    fixture_wait(f, &a.done);
    return a;
}

UNUSED static struct answer select_now(struct fixture *f, const struct store_query *q)
{
    struct answer a = { .done = false };
    struct err err = { .code = STATUS_OK };
    const Status st = store_select(f->store, q, f->arena, answer_note, &a, &err);

    if (st)
        return (struct answer){ .done = true, .st = st, .err = err };
    fixture_wait(f, &a.done);
    return a;
}

#define assert_str(s, z)                                                                           \
    do {                                                                                           \
        const struct str assert_str_ = (s);                                                        \
        assert_int_equal(assert_str_.n, strlen(z));                                                \
        assert_memory_equal(assert_str_.p, (z), strlen(z));                                        \
    } while (0)

#endif
