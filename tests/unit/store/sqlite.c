/* What only the SQLite store has: its file, its lock, its format, its log and its indexes. */
#include "fixture.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/stat.h>

static void path_in(const struct fixture *f, const char *name, char out[256])
{
    (void)snprintf(out, 256, "%s/%s", f->dir, name);
}

static void sql(const struct fixture *f, const char *text)
{
    char file[256];
    sqlite3 *h = NULL;

    path_in(f, "orrery.db", file);
    assert_int_equal(sqlite3_open(file, &h), SQLITE_OK);
    assert_int_equal(sqlite3_exec(h, text, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(h), SQLITE_OK);
}

static void write_file(const struct fixture *f, const char *name, const void *p, size_t n)
{
    char file[256];

    path_in(f, name, file);
    const int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(file_write_all(fd, p, n), 0);
    (void)close(fd);
}

static int64_t file_size(const struct fixture *f, const char *name)
{
    char file[256];
    struct stat info;

    path_in(f, name, file);
    return stat(file, &info) ? -1 : (int64_t)info.st_size;
}

static void assert_refused(struct fixture *f, Status st, const char *word)
{
    struct err err = { .code = STATUS_OK };

    assert_int_equal(fixture_try_open(f, &err), st);
    assert_null(f->store);
    if (!strstr(err.text, word))
        print_error("text: %s\n", err.text);
    assert_non_null(strstr(err.text, word));
}

static void test_store_second_process_is_refused(void **state)
{
    struct fixture *f = *state;
    struct fixture other = *f;

    other.store = NULL;
    assert_refused(&other, STATUS_BUSY, "in use by another");
    fixture_close(f);
    fixture_open(f); /* the lock went with the store */
}

static void test_store_files_are_private(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = { "orrery.db", "orrery.db-wal", "orrery.db-shm",
                                         "orrery.lock" };

    put_state(f, "a", "1");
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        char file[256];
        struct stat info;
        path_in(f, names[i], file);
        assert_int_equal(stat(file, &info), 0);
        assert_int_equal(info.st_mode & 077, 0);
    }
}

static void test_store_newer_format_is_refused(void **state)
{
    struct fixture *f = *state;
    char text[64];

    put_state(f, "a", "1");
    fixture_close(f);
    (void)snprintf(text, sizeof text, "PRAGMA user_version=%d", STORE_FORMAT + 1);
    sql(f, text);
    assert_refused(f, STATUS_UNSUPPORTED, "newer Orrery");
    (void)snprintf(text, sizeof text, "PRAGMA user_version=%d", STORE_FORMAT);
    sql(f, text);
    fixture_open(f);
    assert_int_equal(get_now(f, TABLE_STATE, "a").n, 1);
}

static void test_store_impossible_format_is_refused(void **state)
{
    struct fixture *f = *state;

    fixture_close(f);
    sql(f, "PRAGMA user_version=-4");
    assert_refused(f, STATUS_CORRUPT, "impossible format");
}

static void test_store_foreign_database_is_refused_and_left_alone(void **state)
{
    struct fixture *f = *state;
    char file[256];

    fixture_close(f);
    path_in(f, "orrery.db", file);
    assert_int_equal(unlink(file), 0);
    sql(f, "CREATE TABLE songs(name TEXT); INSERT INTO songs VALUES('x')");
    const int64_t size = file_size(f, "orrery.db");
    assert_refused(f, STATUS_CORRUPT, "not a database of Orrery");
    assert_int_equal(file_size(f, "orrery.db"), size);
    sql(f, "INSERT INTO songs VALUES('y')");
}

static void test_store_file_that_is_no_database_is_refused(void **state)
{
    struct fixture *f = *state;
    char garbage[8192];

    fixture_close(f);
    memset(garbage, 'x', sizeof garbage);
    write_file(f, "orrery.db", garbage, sizeof garbage);
    assert_refused(f, STATUS_CORRUPT, "not a database");
}

static void test_store_missing_table_is_refused(void **state)
{
    struct fixture *f = *state;

    fixture_close(f);
    sql(f, "DROP TABLE activity");
    assert_refused(f, STATUS_CORRUPT, "activity");
}

static void test_store_missing_column_is_refused(void **state)
{
    struct fixture *f = *state;

    fixture_close(f);
    sql(f, "ALTER TABLE sessions DROP COLUMN json");
    assert_refused(f, STATUS_CORRUPT, "sessions");
}

static void wait_checked(struct fixture *f, struct store_health *h)
{
    const Usec deadline = clock_mono() + FIXTURE_DEADLINE;

    for (store_health(f->store, h); !h->checked; store_health(f->store, h)) {
        assert_true(clock_mono() < deadline);
        (void)uv_run(loop_uv(f->loop), UV_RUN_ONCE);
    }
}

static void test_store_check_finds_it_sound(void **state)
{
    struct fixture *f = *state;
    struct store_health h;

    wait_checked(f, &h);
    assert_true(h.sound);
    assert_true(h.writable);
    assert_true(h.bytes > 0);
    assert_string_equal(h.problem, "");
}

static void test_store_check_finds_damage(void **state)
{
    struct fixture *f = *state;
    struct store_health h;
    char file[256];
    char noise[4096];

    for (int i = 0; i < 40; i++) {
        char id[32];
        char json[3000];
        (void)snprintf(id, sizeof id, "row%03d", i);
        memset(json, '7', sizeof json);
        json[sizeof json - 1] = '\0';
        put_state(f, id, json);
    }
    fixture_close(f);
    const int64_t size = file_size(f, "orrery.db");
    assert_true(size > 100 * 1024);
    path_in(f, "orrery.db", file);
    const int fd = open(file, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    memset(noise, 0xa5, sizeof noise);
    assert_int_equal(pwrite(fd, noise, sizeof noise, size / 4096 / 2 * 4096), sizeof noise);
    (void)close(fd);
    fixture_open(f);
    wait_checked(f, &h);
    assert_false(h.sound);
    assert_true(strlen(h.problem) > 0);
}

static void test_store_log_is_kept_short(void **state)
{
    struct fixture *f = *state;
    char *json = calloc(1, 256 * 1024);
    const Usec deadline = clock_mono() + FIXTURE_DEADLINE;

    assert_non_null(json);
    memset(json, '1', 60 * 1024);
    for (int i = 0; i < 600; i++) /* 36 MB */
        put_state(f, i % 2 ? "big" : "bigger", json);
    assert_true(file_size(f, "orrery.db-wal") < 20 * 1024 * 1024);
    while (file_size(f, "orrery.db-wal") > 0) { /* idle: cut to nothing */
        assert_true(clock_mono() < deadline);
        (void)uv_run(loop_uv(f->loop), UV_RUN_ONCE);
    }
    assert_int_equal(get_now(f, TABLE_STATE, "big").n, 1);
    free(json);
}

static void test_store_backup_while_running(void **state)
{
    struct fixture *f = *state;
    struct fixture copy;
    char to[256];
    char file[256];
    struct err err = { .code = STATUS_OK };

    put_state(f, "a", "1");
    fixture_init(&copy);
    (void)snprintf(to, sizeof to, "%s/orrery.db", copy.dir);
    assert_int_equal(store_backup(f->dir, to, &err), STATUS_OK);
    put_state(f, "b", "2");
    fixture_open(&copy);
    assert_int_equal(get_now(&copy, TABLE_STATE, "a").n, 1);
    assert_int_equal(get_now(&copy, TABLE_STATE, "b").n, 0);
    fixture_done(&copy);

    path_in(f, "no/such/folder/x.db", file);
    assert_int_not_equal(store_backup(f->dir, file, &err), STATUS_OK);
    assert_true(strlen(err.text) > 0);
    assert_int_not_equal(store_backup("/tmp/orrery-no-such-store", to, &err), STATUS_OK);
}

static void test_store_backup_of_a_stopped_store(void **state)
{
    struct fixture *f = *state;
    char to[256];

    put_state(f, "a", "1");
    fixture_close(f);
    path_in(f, "copy.db", to);
    assert_int_equal(store_backup(f->dir, to, NULL), STATUS_OK);
    assert_true(file_size(f, "copy.db") > 4096);
    fixture_open(f);
}

static void test_store_restore(void **state)
{
    struct fixture *f = *state;
    char copy[256];
    char file[256];
    char garbage[8192];
    struct err err = { .code = STATUS_OK };

    path_in(f, "copy.db", copy);
    path_in(f, "orrery.db", file);
    put_state(f, "a", "1");
    assert_int_equal(store_backup(f->dir, copy, NULL), STATUS_OK);
    put_state(f, "b", "2");
    assert_int_equal(store_restore(f->dir, copy, &err), STATUS_BUSY);
    assert_int_equal(get_now(f, TABLE_STATE, "b").n, 1);
    fixture_close(f);
    assert_int_equal(store_restore(f->dir, copy, &err), STATUS_OK);
    fixture_open(f);
    assert_int_equal(get_now(f, TABLE_STATE, "a").n, 1);
    assert_int_equal(get_now(f, TABLE_STATE, "b").n, 0);
    fixture_close(f);
    assert_true(file_size(f, "orrery.db.before-restore") > 4096);

    /* A damaged copy is refused, and what is there stays. */
    memset(garbage, 'x', sizeof garbage);
    write_file(f, "bad.db", garbage, sizeof garbage);
    path_in(f, "bad.db", file);
    assert_int_equal(store_restore(f->dir, file, &err), STATUS_CORRUPT);
    fixture_open(f);
    assert_int_equal(get_now(f, TABLE_STATE, "a").n, 1);
    fixture_close(f);

    /* A damaged database does not stand in the way, and is kept. */
    write_file(f, "orrery.db", garbage, sizeof garbage);
    assert_refused(f, STATUS_CORRUPT, "not a database");
    assert_int_equal(store_restore(f->dir, copy, &err), STATUS_OK);
    assert_int_equal(file_size(f, "orrery.db.before-restore"), sizeof garbage);
    fixture_open(f);
    assert_int_equal(get_now(f, TABLE_STATE, "a").n, 1);
}

/* The plan of a query in one line; no index, or a sort of all rows, would show here. */
static void assert_plan(const struct fixture *f, const char *query, const char *index)
{
    char file[256];
    char plan[1024] = "";
    char text[2048];
    sqlite3 *h = NULL;
    sqlite3_stmt *stmt = NULL;

    path_in(f, "orrery.db", file);
    assert_int_equal(sqlite3_open(file, &h), SQLITE_OK);
    (void)snprintf(text, sizeof text, "EXPLAIN QUERY PLAN %s", query);
    assert_int_equal(sqlite3_prepare_v2(h, text, -1, &stmt, NULL), SQLITE_OK);
    while (sqlite3_step(stmt) == SQLITE_ROW) {
        const size_t n = strlen(plan);
        (void)snprintf(plan + n, sizeof plan - n, "%s; ",
                       (const char *)sqlite3_column_text(stmt, 3));
    }
    sqlite3_finalize(stmt);
    assert_int_equal(sqlite3_close(h), SQLITE_OK);
    if (!strstr(plan, index) || strstr(plan, "TEMP B-TREE"))
        print_error("%s\n-> %s\n", query, plan);
    assert_non_null(strstr(plan, index));
    assert_null(strstr(plan, "TEMP B-TREE"));
}

#define JOBS   "SELECT id,json FROM jobs WHERE "
#define NEWEST " ORDER BY \"completed\" DESC,id DESC LIMIT ? OFFSET ?"

static void test_store_queries_use_indexes(void **state)
{
    struct fixture *f = *state;

    assert_plan(f, "SELECT id,json FROM jobs" NEWEST, "jobs_completed");
    assert_plan(f, JOBS "\"event\" = ?" NEWEST, "jobs_event (event=?)");
    assert_plan(f, JOBS "\"category\" = ? AND \"code\" = ? AND \"event\" = ?" NEWEST,
                "jobs_event (event=?)");
    assert_plan(f, JOBS "\"category\" = ? AND \"plugin\" = ? AND \"server\" = ?" NEWEST,
                "jobs_server (server=?)");
    assert_plan(f, JOBS "\"category\" = ? AND \"code\" = ?" NEWEST, "jobs_category (category=?)");
    assert_plan(f, JOBS "\"plugin\" = ? AND \"completed\" >= ?" NEWEST,
                "jobs_plugin (plugin=? AND completed>?)");
    assert_plan(f, JOBS "\"source\" = ?" NEWEST, "jobs_source (source=?)");
    assert_plan(f, JOBS "\"code\" = ?" NEWEST, "jobs_code (code=?)");
    assert_plan(f, JOBS "\"workflow\" = ?" NEWEST, "jobs_workflow (workflow=?)");
    assert_plan(f, JOBS "instr(','||\"tags\"||',',?)>0" NEWEST, "jobs_completed");
    assert_plan(f, JOBS "\"completed\" >= ? AND \"completed\" < ?" NEWEST,
                "jobs_completed (completed>? AND completed<?)");
    assert_plan(f, "SELECT count(*) FROM jobs WHERE \"event\" = ?", "COVERING INDEX jobs_event");
    assert_plan(f,
                "SELECT id,json FROM activity WHERE \"action\" = ? ORDER BY \"epoch\" DESC,id "
                "DESC LIMIT ?",
                "activity_action (action=?)");
    assert_plan(f,
                "SELECT id FROM revisions WHERE \"kind\" = ? AND \"object\" = ? ORDER BY "
                "\"revision\" DESC,id DESC",
                "revisions_object (kind=? AND object=?)");
    assert_plan(f, "SELECT id FROM blobs WHERE \"expires\" <= ? ORDER BY \"expires\",id LIMIT ?",
                "blobs_expires (expires<?)");
    assert_plan(f, "DELETE FROM blobs WHERE owner=?", "blobs_owner (owner=?)");
    assert_plan(f, "DELETE FROM sessions WHERE \"username\" IS ?",
                "sessions_username (username=?)");
}

static void test_store_folder_that_is_a_file(void **state)
{
    struct fixture *f = *state;
    char file[256];
    struct store *s = NULL;
    struct err err = { .code = STATUS_OK };

    write_file(f, "plain", "x", 1);
    path_in(f, "plain/deeper", file);
    const struct store_config config = { .loop = f->loop, .dir = file };
    assert_int_not_equal(store_open(&config, &s, &err), STATUS_OK);
    assert_true(strlen(err.text) > 0);
}

/* A path with characters that mean something in a URI. */
static void test_store_odd_folder_name(void **state)
{
    struct fixture *f = *state;
    char dir[256];
    struct store *s = NULL;

    path_in(f, "a b?mode=memory&x=%41#c'\xc3\xa9", dir);
    const struct store_config config = { .loop = f->loop, .dir = dir };
    assert_int_equal(store_open(&config, &s, NULL), STATUS_OK);
    store_close(s);
    (void)strncat(dir, "/orrery.db", sizeof dir - strlen(dir) - 1);
    assert_int_equal(access(dir, R_OK), 0);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_store_second_process_is_refused),
        TEST(test_store_files_are_private),
        TEST(test_store_newer_format_is_refused),
        TEST(test_store_impossible_format_is_refused),
        TEST(test_store_foreign_database_is_refused_and_left_alone),
        TEST(test_store_file_that_is_no_database_is_refused),
        TEST(test_store_missing_table_is_refused),
        TEST(test_store_missing_column_is_refused),
        TEST(test_store_check_finds_it_sound),
        TEST(test_store_check_finds_damage),
        TEST(test_store_log_is_kept_short),
        TEST(test_store_backup_while_running),
        TEST(test_store_backup_of_a_stopped_store),
        TEST(test_store_restore),
        TEST(test_store_queries_use_indexes),
        TEST(test_store_folder_that_is_a_file),
        TEST(test_store_odd_folder_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
