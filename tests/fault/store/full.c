/* No more space. The limit of a file's size stands in for a full disk (and for a quota): every
 * commit fails whole and with a clear word, nothing is half done, and the store works again as soon
 * as there is space. */
#include "../../unit/store/fixture.h"

#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>

static void limit_files(rlim_t bytes)
{
    struct rlimit limit;

    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static Status try_state(struct fixture *f, const char *id, size_t n, struct err *err)
{
    char *json = malloc(n);
    struct store_tx *tx = store_tx_new(f->store);

    assert_non_null(json);
    memset(json, '1', n);
    store_tx_put(tx, TABLE_STATE, str_z(id), str_n(json, n), NULL, 0);
    store_tx_put(tx, TABLE_STATE, STR("beside"), str_z(id), NULL, 0);
    const Status st = commit_now(f, tx, err);
    free(json);
    return st;
}

static void test_store_heals_after_full(void **state)
{
    struct fixture *f = *state;
    struct store_health h;
    struct err err = { .code = STATUS_OK };
    char id[32];
    int failed = 0;
    int kept = 0;

    limit_files(300 * 1024);
    for (int i = 0; i < 40; i++) {
        (void)snprintf(id, sizeof id, "f%02d", i);
        const Status st = try_state(f, id, 20 * 1024, &err);
        if (!st) {
            kept++;
            continue;
        }
        failed++;
        if (st != STATUS_NOSPACE)
            print_error("%s\n", err.text);
        assert_int_equal(st, STATUS_NOSPACE);
        assert_non_null(strstr(err.text, "no space"));
        assert_int_equal(get_now(f, TABLE_STATE, id).n, 0);
        store_health(f->store, &h);
        assert_false(h.writable);
        assert_non_null(strstr(h.problem, "no space"));
    }
    assert_true(kept > 0);
    assert_true(failed > 0);
    store_health(f->store, &h);
    assert_int_equal(h.failures, failed);

    limit_files(RLIM_INFINITY);
    for (int i = 0; i < 40; i++) {
        (void)snprintf(id, sizeof id, "f%02d", i);
        assert_int_equal(try_state(f, id, 20 * 1024, &err), STATUS_OK);
    }
    store_health(f->store, &h);
    assert_true(h.writable);
    fixture_close(f);
    fixture_open(f);
    for (int i = 0; i < 40; i++) {
        (void)snprintf(id, sizeof id, "f%02d", i);
        assert_int_equal(get_now(f, TABLE_STATE, id).n, 1);
    }
}

/* What was answered while the disk was full, good or bad, is what a new start finds. */
static void test_store_is_true_after_full(void **state)
{
    struct fixture *f = *state;
    bool good[40];
    char id[32];

    limit_files(200 * 1024);
    for (int i = 0; i < 40; i++) {
        (void)snprintf(id, sizeof id, "f%02d", i);
        good[i] = try_state(f, id, (size_t)(1 + i % 7) * 6000, NULL) == STATUS_OK;
    }
    fixture_close(f);
    limit_files(RLIM_INFINITY);
    fixture_open(f);
    for (int i = 0; i < 40; i++) {
        (void)snprintf(id, sizeof id, "f%02d", i);
        assert_int_equal(get_now(f, TABLE_STATE, id).n, good[i] ? 1 : 0);
    }
}

/* A huge commit does not take the small ones of its group with it. */
static void test_store_huge_commit_fails_alone(void **state)
{
    struct fixture *f = *state;
    struct outcome o[7] = { 0 };
    char json[30 * 1024];
    char wal[128];
    struct stat info;

    memset(json, '1', sizeof json);
    put_state(f, "first", "1");
    (void)snprintf(wal, sizeof wal, "%s/orrery.db-wal", f->dir);
    assert_int_equal(stat(wal, &info), 0);
    limit_files((rlim_t)info.st_size + 120 * 1024);
    for (int i = 0; i < 7; i++) {
        struct store_tx *tx = store_tx_new(f->store);
        for (int k = 0; k < (i == 3 ? 10 : 1); k++) {
            char id[32];
            (void)snprintf(id, sizeof id, "h%d.%d", i, k);
            store_tx_put(tx, TABLE_STATE, str_z(id), str_n(json, i == 3 ? sizeof json : 10), NULL,
                         0);
        }
        assert_int_equal(store_commit(f->store, tx, outcome_note, &o[i], NULL), STATUS_OK);
    }
    for (int i = 0; i < 7; i++) {
        fixture_wait(f, &o[i].done);
        assert_int_equal(o[i].st, i == 3 ? STATUS_NOSPACE : STATUS_OK);
    }
    limit_files(RLIM_INFINITY);
    assert_int_equal(get_now(f, TABLE_STATE, "h3.0").n, 0);
    assert_int_equal(get_now(f, TABLE_STATE, "h4.0").n, 1);
}

/* Reading goes on while nothing can be written. */
static void test_store_reads_while_full(void **state)
{
    struct fixture *f = *state;

    put_state(f, "old", "42");
    limit_files(1);
    assert_int_equal(try_state(f, "new", 100, NULL), STATUS_NOSPACE);
    const struct answer a = get_now(f, TABLE_STATE, "old");
    assert_int_equal(a.n, 1);
    assert_str(a.rows[0].json, "42");
    limit_files(RLIM_INFINITY);
    assert_int_equal(try_state(f, "new", 100, NULL), STATUS_OK);
}

static void test_store_cannot_start_without_space(void **state)
{
    struct fixture *f = *state;
    struct err err = { .code = STATUS_OK };
    char file[128];

    fixture_close(f);
    (void)snprintf(file, sizeof file, "%s/orrery.db", f->dir);
    assert_int_equal(unlink(file), 0);
    limit_files(2000);
    assert_int_equal(fixture_try_open(f, &err), STATUS_NOSPACE);
    assert_true(strlen(err.text) > 0);
    limit_files(RLIM_INFINITY);
    fixture_open(f);
    put_state(f, "a", "1");
}

static void gzip_note(void *arg, Status st, uint64_t size, const struct err *err)
{
    struct outcome *o = arg;

    (void)size;
    o->done = true;
    o->st = st;
    if (err)
        o->err = *err;
}

/* The source stays when its compressed form does not fit. */
static void test_blob_gzip_without_space(void **state)
{
    struct fixture *f = *state;
    struct outcome o = { .done = false };
    char src[256];
    char noise[200 * 1024];
    struct str text;
    uint32_t x = 1;

    for (size_t i = 0; i < sizeof noise; i++) {
        x = x * 1664525u + 1013904223u;
        noise[i] = (char)(x >> 24);
    }
    text = str_n(noise, sizeof noise);
    (void)snprintf(src, sizeof src, "%s/src", blob_temp_dir(f->store));
    assert_int_equal(file_replace(src, text, 0600, NULL), STATUS_OK);
    limit_files(70 * 1024);
    assert_int_equal(blob_gzip(f->store, src, STR("logs/a.gz"), true, gzip_note, &o, NULL),
                     STATUS_OK);
    fixture_wait(f, &o.done);
    limit_files(RLIM_INFINITY);
    assert_int_not_equal(o.st, STATUS_OK);
    assert_true(strlen(o.err.text) > 0);
    assert_int_equal(access(src, F_OK), 0);
    o.done = false;
    assert_int_equal(blob_gzip(f->store, src, STR("logs/a.gz"), true, gzip_note, &o, NULL),
                     STATUS_OK);
    fixture_wait(f, &o.done);
    assert_int_equal(o.st, STATUS_OK);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_store_heals_after_full),           TEST(test_store_is_true_after_full),
        TEST(test_store_huge_commit_fails_alone),    TEST(test_store_reads_while_full),
        TEST(test_store_cannot_start_without_space), TEST(test_blob_gzip_without_space),
    };

    (void)signal(SIGXFSZ, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
