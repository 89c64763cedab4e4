/* Changes that meet: of one object they wait in line, of different objects they go together. */
#include "defs_fixture.h"

static void start(struct world *w, enum change_kind op, enum def_kind k, const char *json,
                  struct change_outcome *o)
{
    const Status st = change_start_now(w, op, k, json_of(&w->f, json), o);

    if (st)
        print_error("%s\n", o->err.text);
    assert_int_equal(st, STATUS_OK);
    assert_false(o->done);
}

static void test_defs_parallel_updates_all_succeed(void **state)
{
    struct world *w = *state;
    enum { N = DEFS_WAITING_MAX < 64 ? DEFS_WAITING_MAX : 64 };
    struct change_outcome o[N];

    good(w, CREATE, DEF_GROUP, "{'id':'g','title':'G','hostname_match':'.','own':0}");
    for (int i = 0; i < N; i++)
        start(w, UPDATE, DEF_GROUP, "{'id':'g','own':'+1'}", &o[i]);
    for (int i = 0; i < N; i++) {
        fixture_wait(&w->f, &o[i].done);
        assert_int_equal(o[i].st, STATUS_OK);
        assert_int_equal(o[i].revision, i + 2);
        assert_true(i == 0 || o[i].order > o[i - 1].order);
    }
    assert_int_equal(json_i64(object(w, DEF_GROUP, "g"), "own", -1), N);
    assert_int_equal(defs_find(w->d, DEF_GROUP, STR("g"))->revision, N + 1);
}

static void test_defs_waiting_limit(void **state)
{
    struct world *w = *state;
    struct change_outcome *o = calloc(DEFS_WAITING_MAX + 2, sizeof *o);

    assert_non_null(o);
    good(w, CREATE, DEF_ROLE, "{'id':'r','title':'R'}");
    for (size_t i = 0; i < DEFS_WAITING_MAX + 1; i++) /* one at work, the others wait */
        start(w, UPDATE, DEF_ROLE, "{'id':'r','title':'S'}", &o[i]);
    assert_int_equal(change_start_now(w, UPDATE, DEF_ROLE, json_of(&w->f, "{'id':'r','title':'T'}"),
                                      &o[DEFS_WAITING_MAX + 1]),
                     STATUS_BUSY);
    for (size_t i = 0; i < DEFS_WAITING_MAX + 1; i++) {
        fixture_wait(&w->f, &o[i].done);
        assert_int_equal(o[i].st, STATUS_OK);
    }
    good(w, UPDATE, DEF_ROLE, "{'id':'r','title':'U'}");
    free(o);
}

/* A change is not seen before it is durable. */
static void test_defs_seen_when_durable(void **state)
{
    struct world *w = *state;
    struct change_outcome o;

    start(w, CREATE, DEF_ROLE, "{'id':'r','title':'One'}", &o);
    assert_null(defs_find(w->d, DEF_ROLE, STR("r")));
    assert_int_equal(defs_count(w->d, DEF_ROLE), 0);
    fixture_wait(&w->f, &o.done);
    assert_non_null(defs_find(w->d, DEF_ROLE, STR("r")));
    start(w, UPDATE, DEF_ROLE, "{'id':'r','title':'Two'}", &o);
    assert_str(json_str(object(w, DEF_ROLE, "r"), "title"), "One");
    fixture_wait(&w->f, &o.done);
    assert_str(json_str(object(w, DEF_ROLE, "r"), "title"), "Two");
}

static void test_defs_waiting_changes_see_the_earlier_ones(void **state)
{
    struct world *w = *state;
    struct change_outcome o[7];

    start(w, CREATE, DEF_ROLE, "{'id':'r','title':'One'}", &o[0]);
    start(w, CREATE, DEF_ROLE, "{'id':'r','title':'Again'}", &o[1]); /* by then it exists */
    start(w, UPDATE, DEF_ROLE, "{'id':'r','title':'<'}", &o[2]); /* validated when its turn comes */
    start(w, UPDATE, DEF_ROLE, "{'id':'r','title':'Two'}", &o[3]);
    start(w, DELETE, DEF_ROLE, "{'id':'r'}", &o[4]);
    start(w, UPDATE, DEF_ROLE, "{'id':'r','title':'Three'}", &o[5]); /* by then it is gone */
    start(w, CREATE, DEF_ROLE, "{'id':'r','title':'Four'}", &o[6]);
    static const Status expected[] = { STATUS_OK, STATUS_EXISTS,  STATUS_INVALID, STATUS_OK,
                                       STATUS_OK, STATUS_MISSING, STATUS_OK };
    for (size_t i = 0; i < COUNT_OF(o); i++) {
        fixture_wait(&w->f, &o[i].done);
        assert_int_equal(o[i].st, expected[i]);
        assert_true(i == 0 || o[i].order > o[i - 1].order);
    }
    assert_str(json_str(object(w, DEF_ROLE, "r"), "title"), "Four");
    assert_int_equal(defs_find(w->d, DEF_ROLE, STR("r"))->revision, 1);
    assert_int_equal(defs_count(w->d, DEF_ROLE), 1);
}

static void test_defs_many_objects_share_transactions(void **state)
{
    struct world *w = *state;
    enum { N = DEFS_COUNT_MAX < 200 ? DEFS_COUNT_MAX : 200 };
    struct change_outcome *o = calloc(N, sizeof *o);
    struct store_health before;
    struct store_health after;

    assert_non_null(o);
    store_health(w->f.store, &before);
    for (int i = 0; i < N; i++)
        start(w, CREATE, DEF_ROLE, "{'title':'R'}", &o[i]);
    for (int i = 0; i < N; i++) {
        fixture_wait(&w->f, &o[i].done);
        assert_int_equal(o[i].st, STATUS_OK);
        assert_string_equal(defs_at(w->d, DEF_ROLE, (size_t)i)->id.z,
                            o[i].id.z); /* order of creation */
    }
    store_health(w->f.store, &after);
    assert_int_equal(after.commits - before.commits, N);
    assert_true(after.transactions - before.transactions < N / 4);
    free(o);
}

static void test_defs_count_limit(void **state)
{
    struct world *w = *state;

    if (DEFS_COUNT_MAX > 1000)
        return; /* reachable in the tiny build only */
    for (size_t i = 0; i < DEFS_COUNT_MAX; i++)
        good(w, CREATE, DEF_ROLE, "{'title':'R'}");
    bad(w, CREATE, DEF_ROLE, "{'title':'R'}", STATUS_FULL, "");
}

/* A category is not deleted under an event that is just being made, and the other way round. */
static void test_defs_category_and_event_meet(void **state)
{
    struct world *w = *state;
    struct change_outcome e;
    struct change_outcome c;

    some_parents(w);
    start(w, CREATE, DEF_EVENT, EVENT("e1"), &e);
    assert_int_equal(
        change_start_now(w, DELETE, DEF_CATEGORY, json_of(&w->f, "{'id':'general'}"), &c),
        STATUS_CONFLICT);
    fixture_wait(&w->f, &e.done);
    assert_int_equal(e.st, STATUS_OK);
    good(w, DELETE, DEF_EVENT, "{'id':'e1'}");
    start(w, DELETE, DEF_CATEGORY, "{'id':'general'}", &c);
    assert_int_equal(change_start_now(w, CREATE, DEF_EVENT, json_of(&w->f, EVENT("e2")), &e),
                     STATUS_INVALID);
    assert_string_equal(e.err.at, "category");
    fixture_wait(&w->f, &c.done);
    assert_int_equal(c.st, STATUS_OK);
}

struct listener {
    char log[512];
    struct defs *d;
};

static void on_change(void *arg, enum def_kind k, struct str id, const struct def *def)
{
    struct listener *l = arg;
    const size_t n = strlen(l->log);

    assert_ptr_equal(def, defs_find(l->d, k, id));
    (void)snprintf(l->log + n, sizeof l->log - n, "%s %.*s %lld;", def_kind_row(k)->name,
                   STR_FMT(id), (long long)(def ? def->revision : -1));
}

static void test_defs_listeners(void **state)
{
    struct world *w = *state;
    struct listener one = { .d = w->d };
    struct listener two = { .d = w->d };

    assert_int_equal(defs_on_change(w->d, on_change, &one), STATUS_OK);
    assert_int_equal(defs_on_change(w->d, on_change, &two), STATUS_OK);
    good(w, CREATE, DEF_ROLE, "{'id':'r','title':'R'}");
    bad(w, UPDATE, DEF_ROLE, "{'id':'r','title':'<'}", STATUS_INVALID, "title");
    good(w, UPDATE, DEF_ROLE, "{'id':'r','title':'S'}");
    good(w, DELETE, DEF_ROLE, "{'id':'r'}");
    assert_string_equal(one.log, "role r 1;role r 2;role r -1;");
    assert_string_equal(two.log, one.log);
}

struct again {
    struct world *w;
    struct change_outcome o;
    int left;
};

static void change_again(void *arg, Status st, const struct def *def, const struct err *err)
{
    struct again *a = arg;

    (void)err;
    assert_int_equal(st, STATUS_OK);
    assert_non_null(def);
    if (a->left-- == 0) {
        a->o.done = true;
        return;
    }
    assert_int_equal(defs_update(a->w->d, DEF_ROLE, json_of(&a->w->f, "{'id':'r','own':'+1'}"),
                                 &joe, NOW, change_again, a, NULL),
                     STATUS_OK);
}

static void test_defs_change_from_a_callback(void **state)
{
    struct world *w = *state;
    struct again a = { .w = w, .left = 10 };

    good(w, CREATE, DEF_ROLE, "{'id':'r','title':'R','own':0}");
    assert_int_equal(defs_update(w->d, DEF_ROLE, json_of(&w->f, "{'id':'r','own':'+1'}"), &joe, NOW,
                                 change_again, &a, NULL),
                     STATUS_OK);
    fixture_wait(&w->f, &a.o.done);
    assert_int_equal(json_i64(object(w, DEF_ROLE, "r"), "own", -1), 11);
}

/* Everything that was accepted is answered when the store closes, waiting ones too. */
static void test_defs_close_with_changes_waiting(void **state)
{
    struct world *w = *state;
    struct change_outcome o[6];

    good(w, CREATE, DEF_ROLE, "{'id':'r','title':'R','own':0}");
    for (int i = 0; i < 6; i++)
        start(w, UPDATE, DEF_ROLE, "{'id':'r','own':'+1'}", &o[i]);
    fixture_close(&w->f);
    for (int i = 0; i < 6; i++) {
        assert_true(o[i].done);
        assert_int_equal(o[i].st, STATUS_OK);
    }
    defs_free(w->d);
    fixture_open(&w->f);
    defs_open(w);
    assert_int_equal(json_i64(object(w, DEF_ROLE, "r"), "own", -1), 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DEFS_TEST(test_defs_parallel_updates_all_succeed),
        DEFS_TEST(test_defs_waiting_limit),
        DEFS_TEST(test_defs_seen_when_durable),
        DEFS_TEST(test_defs_waiting_changes_see_the_earlier_ones),
        DEFS_TEST(test_defs_many_objects_share_transactions),
        DEFS_TEST(test_defs_count_limit),
        DEFS_TEST(test_defs_category_and_event_meet),
        DEFS_TEST(test_defs_listeners),
        DEFS_TEST(test_defs_change_from_a_callback),
        DEFS_TEST(test_defs_close_with_changes_waiting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
