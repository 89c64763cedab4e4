/* The conformance suite of a store: what every implementation has to do, written against store.h
 * alone. A test program opens its implementation through fixture_open and runs STORE_SUITE. */
#ifndef TEST_STORE_SUITE_H
#define TEST_STORE_SUITE_H

#include "fixture.h"

/* A finished job with the columns that the tests look for. */
struct job_row {
    const char *id, *event, *category, *code, *tags;
    double completed;
};

static void put_job(struct store_tx *tx, const struct job_row *j)
{
    const struct store_value columns[JOBS_COLUMNS] = {
        [JOBS_EVENT] = store_text(str_z(j->event)),
        [JOBS_CATEGORY] = store_text(str_z(j->category)),
        [JOBS_CODE] = store_text(str_z(j->code)),
        [JOBS_TAGS] = store_text(str_z(j->tags)),
        [JOBS_COMPLETED] = store_real(j->completed),
    };
    store_tx_put(tx, TABLE_JOBS, str_z(j->id), STR("{\"x\":1}"), columns, JOBS_COLUMNS);
}

static const struct job_row five_jobs[] = {
    { "j1", "backup", "general", "0", "red,green", 1000.5 },
    { "j2", "backup", "general", "1", "green", 2000 },
    { "j3", "report", "general", "0", "greenish", 3000 },
    { "j4", "backup", "night", "0", "", 4000 },
    { "j5", NULL, "night", "warning", NULL, 4000 },
};

static void put_five(struct fixture *f)
{
    struct store_tx *tx = store_tx_new(f->store);

    for (size_t i = 0; i < COUNT_OF(five_jobs); i++)
        put_job(tx, &five_jobs[i]);
    assert_int_equal(store_tx_count(tx), 5);
    assert_int_equal(commit_now(f, tx, NULL), STATUS_OK);
}

/* The ids of the answer in order, "j4 j2 j1". */
static void assert_ids(const struct answer *a, const char *expected)
{
    char got[4096] = "";
    size_t n = 0;

    assert_int_equal(a->st, STATUS_OK);
    for (size_t i = 0; i < a->n; i++)
        n += (size_t)snprintf(got + n, sizeof got - n, "%s%.*s", i ? " " : "",
                              STR_FMT(a->rows[i].id));
    assert_string_equal(got, expected);
}

static void suite_row_comes_back(void **state)
{
    struct fixture *f = *state;
    struct store_tx *tx = store_tx_new(f->store);
    const struct store_value columns[JOBS_COLUMNS] = {
        [JOBS_EVENT] = store_text(STR("")),
        [JOBS_CATEGORY] = store_text(STR("na\xc3\xafve")),
        [JOBS_COMPLETED] = store_real(1792147221.125),
        [JOBS_STARTED] = store_int(1792147220),
    };

    store_tx_put(tx, TABLE_JOBS, STR("j1"), STR("{\"a\":[1,2]}"), columns, JOBS_COLUMNS);
    assert_int_equal(commit_now(f, tx, NULL), STATUS_OK);
    const struct answer a = get_now(f, TABLE_JOBS, "j1");
    assert_int_equal(a.st, STATUS_OK);
    assert_int_equal(a.n, 1);
    assert_int_equal(a.total, -1);
    assert_str(a.rows[0].id, "j1");
    assert_str(a.rows[0].json, "{\"a\":[1,2]}");
    const struct store_value *c = a.rows[0].columns;
    assert_int_equal(c[JOBS_EVENT].type, VALUE_TEXT);
    assert_int_equal(c[JOBS_EVENT].text.n, 0);
    assert_str(c[JOBS_CATEGORY].text, "na\xc3\xafve");
    assert_int_equal(c[JOBS_PLUGIN].type, VALUE_NULL);
    assert_int_equal(c[JOBS_COMPLETED].type, VALUE_REAL);
    assert_true(c[JOBS_COMPLETED].real == 1792147221.125);
    assert_int_equal(c[JOBS_STARTED].type, VALUE_REAL);
    assert_true(c[JOBS_STARTED].real == 1792147220.0);
}

static void suite_int_column(void **state)
{
    struct fixture *f = *state;
    struct store_tx *tx = store_tx_new(f->store);
    const struct store_value columns[DEFS_COLUMNS] = {
        [DEFS_KIND] = store_text(STR("event")),
        [DEFS_REVISION] = store_int(INT64_MAX),
        [DEFS_POSITION] = store_int(INT64_MIN),
    };

    store_tx_put(tx, TABLE_DEFS, STR("event:e1"), STR("{}"), columns, DEFS_COLUMNS);
    assert_int_equal(commit_now(f, tx, NULL), STATUS_OK);
    const struct answer a = get_now(f, TABLE_DEFS, "event:e1");
    assert_int_equal(a.rows[0].columns[DEFS_REVISION].type, VALUE_INT);
    assert_true(a.rows[0].columns[DEFS_REVISION].i == INT64_MAX);
    assert_true(a.rows[0].columns[DEFS_POSITION].i == INT64_MIN);
}

static void suite_absent_row_is_no_error(void **state)
{
    struct fixture *f = *state;
    const struct answer a = get_now(f, TABLE_JOBS, "nobody");

    assert_int_equal(a.st, STATUS_OK);
    assert_int_equal(a.n, 0);
}

static void suite_put_replaces(void **state)
{
    struct fixture *f = *state;
    const struct job_row again = { "j1", "report", "night", "2", "blue", 7000 };
    struct store_tx *tx = store_tx_new(f->store);

    put_five(f);
    put_job(tx, &again);
    assert_int_equal(commit_now(f, tx, NULL), STATUS_OK);
    const struct answer a = get_now(f, TABLE_JOBS, "j1");
    assert_int_equal(a.n, 1);
    assert_str(a.rows[0].columns[JOBS_EVENT].text, "report");
    assert_str(a.rows[0].columns[JOBS_TAGS].text, "blue");
    assert_true(a.rows[0].columns[JOBS_COMPLETED].real == 7000);
}

static void suite_insert_refuses_a_taken_id(void **state)
{
    struct fixture *f = *state;
    struct err err = { .code = STATUS_OK };
    struct store_tx *tx = store_tx_new(f->store);

    put_state(f, "taken", "1");
    store_tx_put(tx, TABLE_STATE, STR("before"), STR("2"), NULL, 0);
    store_tx_insert(tx, TABLE_STATE, STR("taken"), STR("3"), NULL, 0);
    store_tx_put(tx, TABLE_STATE, STR("after"), STR("4"), NULL, 0);
    assert_int_equal(commit_now(f, tx, &err), STATUS_EXISTS);
    assert_true(strlen(err.text) > 0);
    assert_str(get_now(f, TABLE_STATE, "taken").rows[0].json, "1");
    assert_int_equal(get_now(f, TABLE_STATE, "before").n, 0);
    assert_int_equal(get_now(f, TABLE_STATE, "after").n, 0);
}

/* Commits of one turn share a transaction, yet each stands for itself. */
static void suite_commits_fail_alone(void **state)
{
    struct fixture *f = *state;
    struct outcome o[9] = { 0 };
    char id[32];

    put_state(f, "taken", "1");
    for (int i = 0; i < 9; i++) {
        struct store_tx *tx = store_tx_new(f->store);
        (void)snprintf(id, sizeof id, "s%d", i);
        store_tx_put(tx, TABLE_STATE, str_z(id), STR("5"), NULL, 0);
        if (i % 3 == 1) /* fails after its first change */
            store_tx_insert(tx, TABLE_STATE, STR("taken"), STR("6"), NULL, 0);
        assert_int_equal(store_commit(f->store, tx, outcome_note, &o[i], NULL), STATUS_OK);
    }
    for (int i = 0; i < 9; i++) {
        fixture_wait(f, &o[i].done);
        assert_int_equal(o[i].st, i % 3 == 1 ? STATUS_EXISTS : STATUS_OK);
        (void)snprintf(id, sizeof id, "s%d", i);
        assert_int_equal(get_now(f, TABLE_STATE, id).n, i % 3 == 1 ? 0 : 1);
    }
}

/* A later commit of the same group sees what the earlier ones did. */
static void suite_commits_in_order(void **state)
{
    struct fixture *f = *state;
    struct outcome o[3] = { 0 };
    struct store_tx *tx[3];

    for (int i = 0; i < 3; i++)
        tx[i] = store_tx_new(f->store);
    store_tx_insert(tx[0], TABLE_STATE, STR("x"), STR("1"), NULL, 0);
    store_tx_delete(tx[1], TABLE_STATE, STR("x"));
    store_tx_insert(tx[2], TABLE_STATE, STR("x"), STR("3"), NULL, 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(store_commit(f->store, tx[i], outcome_note, &o[i], NULL), STATUS_OK);
    for (int i = 0; i < 3; i++) {
        fixture_wait(f, &o[i].done);
        assert_int_equal(o[i].st, STATUS_OK);
    }
    assert_true(o[0].order < o[1].order && o[1].order < o[2].order);
    assert_str(get_now(f, TABLE_STATE, "x").rows[0].json, "3");
}

static void suite_deletes(void **state)
{
    struct fixture *f = *state;
    const struct store_query all = { .table = TABLE_JOBS, .order_by = STORE_COLUMN_ID };
    struct store_tx *tx = store_tx_new(f->store);

    put_five(f);
    store_tx_delete(tx, TABLE_JOBS, STR("j3"));
    store_tx_delete(tx, TABLE_JOBS, STR("never there"));
    store_tx_delete_where(tx, TABLE_JOBS, JOBS_CODE, store_text(STR("1")));
    assert_int_equal(commit_now(f, tx, NULL), STATUS_OK);
    struct answer a = select_now(f, &all);
    assert_ids(&a, "j1 j4 j5");
    tx = store_tx_new(f->store);
    store_tx_delete_where(tx, TABLE_JOBS, JOBS_EVENT, store_text(STR_NONE));
    assert_int_equal(commit_now(f, tx, NULL), STATUS_OK);
    a = select_now(f, &all);
    assert_ids(&a, "j1 j4");
}

struct condition_case {
    int column;
    enum store_op op;
    struct store_value value;
    const char *ids;
};

static void suite_conditions(void **state)
{
    struct fixture *f = *state;
    const struct condition_case cases[] = {
        { JOBS_EVENT, OP_EQ, store_text(STR("backup")), "j1 j2 j4" },
        { JOBS_EVENT, OP_NE, store_text(STR("backup")),
          "j3 j5" }, /* an absent one is another one */
        { JOBS_EVENT, OP_EQ, store_text(STR_NONE), "j5" },
        { JOBS_EVENT, OP_NE, store_text(STR_NONE), "j1 j2 j3 j4" },
        { JOBS_COMPLETED, OP_LT, store_int(2000), "j1" },
        { JOBS_COMPLETED, OP_LE, store_real(2000), "j1 j2" },
        { JOBS_COMPLETED, OP_GT, store_real(3000), "j4 j5" },
        { JOBS_COMPLETED, OP_GE, store_int(3000), "j3 j4 j5" },
        { JOBS_COMPLETED, OP_EQ, store_real(1000.5), "j1" },
        { JOBS_TAGS, OP_HAS_WORD, store_text(STR("green")), "j1 j2" },
        { JOBS_TAGS, OP_HAS_WORD, store_text(STR("red")), "j1" },
        { JOBS_TAGS, OP_HAS_WORD, store_text(STR("gree")), "" },
        { JOBS_TAGS, OP_HAS_WORD, store_text(STR("%")), "" },
        { JOBS_TAGS, OP_PREFIX, store_text(STR("green")), "j2 j3" },
        { JOBS_TAGS, OP_PREFIX, store_text(STR("")), "j1 j2 j3 j4" },
        { JOBS_CODE, OP_EQ, store_text(STR("' OR 1=1 --")), "" },
        { STORE_COLUMN_ID, OP_EQ, store_text(STR("j2")), "j2" },
        { STORE_COLUMN_ID, OP_GT, store_text(STR("j3")), "j4 j5" },
        { STORE_COLUMN_ID, OP_PREFIX, store_text(STR("j")), "j1 j2 j3 j4 j5" },
    };

    put_five(f);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const struct store_condition where = { cases[i].column, cases[i].op, cases[i].value };
        const struct store_query q = {
            .table = TABLE_JOBS, .where = &where, .n_where = 1, .order_by = STORE_COLUMN_ID
        };
        const struct answer a = select_now(f, &q);
        assert_ids(&a, cases[i].ids);
    }
}

static void suite_conditions_all_hold(void **state)
{
    struct fixture *f = *state;
    const struct store_condition where[] = {
        { JOBS_EVENT, OP_EQ, store_text(STR("backup")) },
        { JOBS_CATEGORY, OP_EQ, store_text(STR("general")) },
        { JOBS_CODE, OP_NE, store_text(STR("0")) },
    };
    const struct store_query q = { .table = TABLE_JOBS,
                                   .where = where,
                                   .n_where = 3,
                                   .order_by = JOBS_COMPLETED,
                                   .want_total = true };

    put_five(f);
    const struct answer a = select_now(f, &q);
    assert_ids(&a, "j2");
    assert_int_equal(a.total, 1);
}

static void suite_order_and_pages(void **state)
{
    struct fixture *f = *state;
    struct store_query q = { .table = TABLE_JOBS, .order_by = JOBS_COMPLETED, .descending = true };

    put_five(f);
    struct answer a = select_now(f, &q);
    assert_ids(&a, "j5 j4 j3 j2 j1");
    q.descending = false;
    a = select_now(f, &q);
    assert_ids(&a, "j1 j2 j3 j4 j5");
    q.descending = true;
    q.limit = 2;
    q.want_total = true;
    a = select_now(f, &q);
    assert_ids(&a, "j5 j4");
    assert_int_equal(a.total, 5);
    q.offset = 2;
    a = select_now(f, &q);
    assert_ids(&a, "j3 j2");
    assert_int_equal(a.total, 5);
    q.offset = 4;
    a = select_now(f, &q);
    assert_ids(&a, "j1");
    assert_int_equal(a.total, 5);
    q.offset = 5;
    a = select_now(f, &q);
    assert_ids(&a, "");
    assert_int_equal(a.total, 5);
    q.offset = -3;
    a = select_now(f, &q);
    assert_ids(&a, "j5 j4");
}

static void suite_ids_only(void **state)
{
    struct fixture *f = *state;
    const struct store_query q = {
        .table = TABLE_JOBS, .order_by = STORE_COLUMN_ID, .limit = 1, .ids_only = true
    };

    put_five(f);
    const struct answer a = select_now(f, &q);
    assert_ids(&a, "j1");
    assert_int_equal(a.rows[0].json.n, 0);
    assert_str(a.rows[0].columns[JOBS_EVENT].text, "backup");
}

static void suite_bad_queries(void **state)
{
    struct fixture *f = *state;
    const struct store_condition far = { JOBS_COLUMNS, OP_EQ, store_int(1) };
    const struct store_condition number = { JOBS_TAGS, OP_HAS_WORD, store_int(1) };
    struct store_query q = { .table = TABLE_JOBS, .where = &far, .n_where = 1, .order_by = -1 };

    assert_int_equal(select_now(f, &q).st, STATUS_INVALID);
    q.where = &number;
    assert_int_equal(select_now(f, &q).st, STATUS_INVALID);
    q.n_where = 0;
    q.order_by = JOBS_COLUMNS;
    assert_int_equal(select_now(f, &q).st, STATUS_INVALID);
    q.order_by = -2;
    assert_int_equal(select_now(f, &q).st, STATUS_INVALID);
    q.order_by = STORE_COLUMN_ID;
    q.table = TABLE_COUNT;
    assert_int_equal(select_now(f, &q).st, STATUS_INVALID);
}

/* 32 conditions are taken, 33 are not. */
static void suite_conditions_limit(void **state)
{
    struct fixture *f = *state;
    struct store_condition where[33];
    struct store_query q = { .table = TABLE_JOBS, .where = where, .n_where = 32, .order_by = -1 };

    put_five(f);
    for (size_t i = 0; i < 33; i++)
        where[i] = (struct store_condition){ STORE_COLUMN_ID, OP_PREFIX, store_text(STR("j1")) };
    const struct answer a = select_now(f, &q);
    assert_ids(&a, "j1");
    q.n_where = 33;
    assert_int_equal(select_now(f, &q).st, STATUS_INVALID);
}

/* limit <= 0 and anything above STORE_LIMIT_MAX mean STORE_LIMIT_MAX. */
static void suite_limit_of_rows(void **state)
{
    struct fixture *f = *state;
    const int64_t max = STORE_LIMIT_MAX;
    struct store_query q = { .table = TABLE_STATE, .order_by = STORE_COLUMN_ID, .ids_only = true };

    for (int64_t i = 0; i <= max;) {
        struct store_tx *tx = store_tx_new(f->store);
        for (int k = 0; k < 5000 && i <= max; k++, i++) {
            char id[24];
            (void)snprintf(id, sizeof id, "s%08lld", (long long)i);
            store_tx_put(tx, TABLE_STATE, str_z(id), STR("1"), NULL, 0);
        }
        assert_int_equal(commit_now(f, tx, NULL), STATUS_OK);
    }
    assert_int_equal(select_now(f, &q).n, max);
    q.limit = max + 1;
    assert_int_equal(select_now(f, &q).n, max);
    q.limit = max;
    q.offset = 1;
    q.want_total = true;
    const struct answer a = select_now(f, &q);
    assert_int_equal(a.n, max);
    assert_int_equal(a.total, max + 1);
}

static void suite_row_size_limit(void **state)
{
    struct fixture *f = *state;
    char *big = malloc(STORE_ROW_MAX + 1);
    struct err err = { .code = STATUS_OK };
    struct store_tx *tx = store_tx_new(f->store);

    assert_non_null(big);
    memset(big, ' ', STORE_ROW_MAX + 1);
    store_tx_put(tx, TABLE_STATE, STR("b"), str_n(big, STORE_ROW_MAX - 1), NULL, 0);
    assert_int_equal(commit_now(f, tx, NULL), STATUS_OK);
    tx = store_tx_new(f->store);
    store_tx_put(tx, TABLE_STATE, STR("c"), str_n(big, STORE_ROW_MAX), NULL, 0);
    store_tx_put(tx, TABLE_STATE, STR("d"), STR("1"), NULL, 0);
    assert_int_equal(commit_now(f, tx, &err), STATUS_TOO_BIG);
    assert_true(strlen(err.text) > 0);
    assert_int_equal(get_now(f, TABLE_STATE, "d").n, 0);
    free(big);
}

static void suite_id_size_limit(void **state)
{
    struct fixture *f = *state;
    char id[642];
    struct store_tx *tx = store_tx_new(f->store);

    memset(id, 'i', sizeof id);
    store_tx_put(tx, TABLE_STATE, str_n(id, 640), STR("1"), NULL, 0);
    assert_int_equal(commit_now(f, tx, NULL), STATUS_OK);
    tx = store_tx_new(f->store);
    store_tx_put(tx, TABLE_STATE, str_n(id, 641), STR("1"), NULL, 0);
    assert_int_equal(commit_now(f, tx, NULL), STATUS_INVALID);
}

static void suite_bad_rows(void **state)
{
    struct fixture *f = *state;
    const struct store_value one = store_int(1);
    struct store_tx *tx = store_tx_new(f->store);

    store_tx_put(tx, TABLE_STATE, STR(""), STR("1"), NULL, 0);
    assert_int_equal(commit_now(f, tx, NULL), STATUS_INVALID);
    tx = store_tx_new(f->store);
    store_tx_put(tx, TABLE_STATE, STR("a"), STR_NONE, NULL, 0);
    assert_int_equal(commit_now(f, tx, NULL), STATUS_INVALID);
    tx = store_tx_new(f->store);
    store_tx_put(tx, TABLE_STATE, STR("a"), STR("1"), &one, 1);
    assert_int_equal(commit_now(f, tx, NULL), STATUS_INVALID);
    tx = store_tx_new(f->store);
    store_tx_put(tx, TABLE_COUNT, STR("a"), STR("1"), NULL, 0);
    assert_int_equal(commit_now(f, tx, NULL), STATUS_INVALID);
    tx = store_tx_new(f->store);
    store_tx_delete_where(tx, TABLE_STATE, 0, one);
    assert_int_equal(commit_now(f, tx, NULL), STATUS_INVALID);
    assert_int_equal(commit_now(f, NULL, NULL), STATUS_NOMEM);
    store_tx_free(NULL);
    store_tx_free(store_tx_new(f->store));
}

static void suite_empty_commit(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(commit_now(f, store_tx_new(f->store), NULL), STATUS_OK);
}

/* Callbacks come in the order of the commits; commits that meet share transactions. */
static void suite_group_commit(void **state)
{
    struct fixture *f = *state;
    const int n = STORE_QUEUE_MAX < 500 ? (int)STORE_QUEUE_MAX : 500;
    struct outcome *o = calloc((size_t)n, sizeof *o);
    struct store_health before;
    struct store_health after;

    assert_non_null(o);
    store_health(f->store, &before);
    for (int i = 0; i < n; i++) {
        char id[32];
        struct store_tx *tx = store_tx_new(f->store);
        (void)snprintf(id, sizeof id, "g%04d", i);
        store_tx_put(tx, TABLE_STATE, str_z(id), STR("1"), NULL, 0);
        assert_int_equal(store_commit(f->store, tx, outcome_note, &o[i], NULL), STATUS_OK);
    }
    store_health(f->store, &after);
    assert_int_equal(after.pending, n);
    for (int i = 0; i < n; i++) {
        fixture_wait(f, &o[i].done);
        assert_int_equal(o[i].st, STATUS_OK);
        assert_true(i == 0 || o[i].order == o[i - 1].order + 1);
    }
    store_health(f->store, &after);
    assert_int_equal(after.pending, 0);
    assert_int_equal(after.commits - before.commits, n);
    assert_true(after.transactions - before.transactions <= 2);
    assert_true(after.writable);
    free(o);
}

static void suite_queue_limit(void **state)
{
    struct fixture *f = *state;
    const size_t max = STORE_QUEUE_MAX;
    struct outcome *o = calloc(max, sizeof *o);
    struct err err = { .code = STATUS_OK };

    assert_non_null(o);
    for (size_t i = 0; i < max; i++) {
        struct store_tx *tx = store_tx_new(f->store);
        store_tx_put(tx, TABLE_STATE, STR("q"), STR("1"), NULL, 0);
        assert_int_equal(store_commit(f->store, tx, outcome_note, &o[i], NULL), STATUS_OK);
    }
    struct store_tx *tx = store_tx_new(f->store);
    store_tx_put(tx, TABLE_STATE, STR("q"), STR("2"), NULL, 0);
    assert_int_equal(store_commit(f->store, tx, NULL, NULL, &err), STATUS_BUSY);
    assert_true(strlen(err.text) > 0);
    for (size_t i = 0; i < max; i++) {
        fixture_wait(f, &o[i].done);
        assert_int_equal(o[i].st, STATUS_OK);
    }
    put_state(f, "q", "3");
    assert_str(get_now(f, TABLE_STATE, "q").rows[0].json, "3");
    free(o);
}

struct read_back {
    struct fixture *f;
    struct answer a;
    bool posted;
};

static void read_in_callback(void *arg, Status st, const struct err *err)
{
    struct read_back *r = arg;

    (void)err;
    assert_int_equal(st, STATUS_OK);
    r->posted = true;
    assert_int_equal(
        store_get(r->f->store, TABLE_STATE, STR("fresh"), r->f->arena, answer_note, &r->a, NULL),
        STATUS_OK);
}

static void suite_read_sees_what_was_answered(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 20; i++) {
        struct read_back r = { .f = f };
        struct store_tx *tx = store_tx_new(f->store);
        char json[32];
        (void)snprintf(json, sizeof json, "%d", i);
        store_tx_put(tx, TABLE_STATE, STR("fresh"), str_z(json), NULL, 0);
        assert_int_equal(store_commit(f->store, tx, read_in_callback, &r, NULL), STATUS_OK);
        fixture_wait(f, &r.a.done);
        assert_int_equal(r.a.n, 1);
        assert_str(r.a.rows[0].json, json);
    }
}

static void suite_answer_larger_than_the_arena(void **state)
{
    struct fixture *f = *state;
    struct arena *small = arena_new(8 * 1024);
    const struct store_query q = { .table = TABLE_STATE, .order_by = STORE_COLUMN_ID };
    struct answer a = { .done = false };
    char *big = calloc(1, 16 * 1024);
    struct store_tx *tx = store_tx_new(f->store);

    assert_non_null(small);
    assert_non_null(big);
    memset(big, ' ', 16 * 1024);
    store_tx_put(tx, TABLE_STATE, STR("big"), str_n(big, 16 * 1024), NULL, 0);
    assert_int_equal(commit_now(f, tx, NULL), STATUS_OK);
    assert_int_equal(store_select(f->store, &q, small, answer_note, &a, NULL), STATUS_OK);
    fixture_wait(f, &a.done);
    assert_int_equal(a.st, STATUS_TOO_BIG);
    assert_int_equal(a.n, 0);
    assert_true(strlen(a.err.text) > 0);
    arena_free(small);
    free(big);
}

struct walk {
    char ids[64];
    size_t n;
    size_t stop;
};

static bool walk_note(void *arg, const struct store_found *row)
{
    struct walk *w = arg;
    const size_t used = strlen(w->ids);

    (void)snprintf(w->ids + used, sizeof w->ids - used, "%.*s ", STR_FMT(row->id));
    assert_str(row->json, "{\"x\":1}");
    return ++w->n != w->stop;
}

static void suite_walk(void **state)
{
    struct fixture *f = *state;
    struct walk all = { .stop = 0 };
    struct walk two = { .stop = 2 };

    put_five(f);
    assert_int_equal(store_walk(f->store, TABLE_JOBS, walk_note, &all, NULL), STATUS_OK);
    assert_string_equal(all.ids, "j1 j2 j3 j4 j5 ");
    assert_int_equal(store_walk(f->store, TABLE_JOBS, walk_note, &two, NULL), STATUS_OK);
    assert_string_equal(two.ids, "j1 j2 ");
}

static void suite_all_tables(void **state)
{
    struct fixture *f = *state;
    const struct store_value none[32] = { 0 };

    for (unsigned t = 0; t < TABLE_COUNT; t++) {
        const struct store_table_row *row = store_table_row((enum store_table)t);
        struct store_tx *tx = store_tx_new(f->store);
        store_tx_put(tx, (enum store_table)t, STR("same"), str_z(row->name[0] ? "{}" : ""), none,
                     row->n_columns);
        assert_int_equal(commit_now(f, tx, NULL), STATUS_OK);
        const struct answer a = get_now(f, (enum store_table)t, "same");
        assert_int_equal(a.n, 1);
    }
}

struct chain {
    struct fixture *f;
    int left;
    int done;
};

static void chain_next(void *arg, Status st, const struct err *err)
{
    struct chain *c = arg;

    (void)err;
    assert_int_equal(st, STATUS_OK);
    c->done++;
    if (c->left-- == 0)
        return;
    struct store_tx *tx = store_tx_new(c->f->store);
    char id[32];
    (void)snprintf(id, sizeof id, "chain%d", c->left);
    store_tx_put(tx, TABLE_STATE, str_z(id), STR("1"), NULL, 0);
    assert_int_equal(store_commit(c->f->store, tx, chain_next, c, NULL), STATUS_OK);
}

/* Closing finishes what waits, and what the callbacks still commit; all of it is there afterwards.
 */
static void suite_close_finishes(void **state)
{
    struct fixture *f = *state;
    struct outcome o[50] = { 0 };
    struct chain chain = { .f = f, .left = 5 };

    for (int i = 0; i < 50; i++) {
        char id[32];
        struct store_tx *tx = store_tx_new(f->store);
        (void)snprintf(id, sizeof id, "c%02d", i);
        store_tx_put(tx, TABLE_STATE, str_z(id), STR("1"), NULL, 0);
        assert_int_equal(store_commit(f->store, tx, outcome_note, &o[i], NULL), STATUS_OK);
    }
    struct store_tx *tx = store_tx_new(f->store);
    store_tx_put(tx, TABLE_STATE, STR("chain"), STR("1"), NULL, 0);
    assert_int_equal(store_commit(f->store, tx, chain_next, &chain, NULL), STATUS_OK);
    fixture_close(f);
    for (int i = 0; i < 50; i++) {
        assert_true(o[i].done);
        assert_int_equal(o[i].st, STATUS_OK);
    }
    assert_int_equal(chain.done, 6);
    fixture_open(f);
    assert_int_equal(get_now(f, TABLE_STATE, "c00").n, 1);
    assert_int_equal(get_now(f, TABLE_STATE, "c49").n, 1);
    assert_int_equal(get_now(f, TABLE_STATE, "chain0").n, 1);
}

#define SUITE_TEST(fn) cmocka_unit_test_setup_teardown(fn, fixture_setup, fixture_teardown)
#define STORE_SUITE                                                                                \
    SUITE_TEST(suite_row_comes_back), SUITE_TEST(suite_int_column),                                \
        SUITE_TEST(suite_absent_row_is_no_error), SUITE_TEST(suite_put_replaces),                  \
        SUITE_TEST(suite_insert_refuses_a_taken_id), SUITE_TEST(suite_commits_fail_alone),         \
        SUITE_TEST(suite_commits_in_order), SUITE_TEST(suite_deletes),                             \
        SUITE_TEST(suite_conditions), SUITE_TEST(suite_conditions_all_hold),                       \
        SUITE_TEST(suite_order_and_pages), SUITE_TEST(suite_ids_only),                             \
        SUITE_TEST(suite_bad_queries), SUITE_TEST(suite_conditions_limit),                         \
        SUITE_TEST(suite_limit_of_rows), SUITE_TEST(suite_row_size_limit),                         \
        SUITE_TEST(suite_id_size_limit), SUITE_TEST(suite_bad_rows),                               \
        SUITE_TEST(suite_empty_commit), SUITE_TEST(suite_group_commit),                            \
        SUITE_TEST(suite_queue_limit), SUITE_TEST(suite_read_sees_what_was_answered),              \
        SUITE_TEST(suite_answer_larger_than_the_arena), SUITE_TEST(suite_walk),                    \
        SUITE_TEST(suite_all_tables), SUITE_TEST(suite_close_finishes)

#endif
