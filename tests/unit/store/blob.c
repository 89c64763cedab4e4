/* Blobs: paths, adopting, compressing, rows with files, the broom. */
#include "fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <zlib.h>

struct blob_outcome {
    bool done;
    Status st;
    uint64_t size;
    struct err err;
};

static void blob_note(void *arg, Status st, uint64_t size, const struct err *err)
{
    struct blob_outcome *o = arg;

    assert_false(o->done);
    *o = (struct blob_outcome){ .done = true, .st = st, .size = size };
    if (err)
        o->err = *err;
}

static void temp_file(struct fixture *f, const char *name, const void *p, size_t n, char out[256])
{
    (void)snprintf(out, 256, "%s/%s", blob_temp_dir(f->store), name);
    const int fd = open(out, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(file_write_all(fd, p, n), 0);
    (void)close(fd);
}

static bool blob_exists(struct fixture *f, const char *path)
{
    char file[512];

    assert_int_equal(blob_file(f->store, str_z(path), file, sizeof file), STATUS_OK);
    return access(file, F_OK) == 0;
}

static void adopt(struct fixture *f, const char *path, const char *text)
{
    struct blob_outcome o = { .done = false };
    char temp[256];

    temp_file(f, "upload", text, strlen(text), temp);
    assert_int_equal(blob_adopt(f->store, temp, str_z(path), blob_note, &o, NULL), STATUS_OK);
    fixture_wait(f, &o.done);
    assert_int_equal(o.st, STATUS_OK);
    assert_int_equal(o.size, strlen(text));
    assert_int_equal(access(temp, F_OK), -1);
}

static void put_row(struct fixture *f, const char *path, const char *owner, Usec expires)
{
    struct store_tx *tx = store_tx_new(f->store);

    blob_tx_put(tx, str_z(path), str_z(owner), 3, 1000, expires);
    assert_int_equal(commit_now(f, tx, NULL), STATUS_OK);
}

static void test_blob_paths(void **state)
{
    static const char *const good[] = {
        "a", "files/jobs/j1/RND-_x/name.txt", "logs/jobs/j1.log.gz", "a..b", "A9", "a/b"
    };
    static const char *const bad[] = { "",     "/",    "/a",     "a/",       "a//b",    ".",
                                       "..",   "a/.",  "a/../b", "../a",     ".hidden", "a b",
                                       "a\\b", "a\nb", "a:b",    "\xc3\xa9", "a/.b",    "a%2e" };
    char path[BLOB_PATH_MAX + 2];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(good); i++)
        assert_true(blob_path_ok(str_z(good[i])));
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_false(blob_path_ok(str_z(bad[i])));
    assert_false(blob_path_ok(str_n("a\0b", 3)));
    memset(path, 'a', sizeof path);
    path[250] = '/';
    path[500] = '/';
    assert_true(blob_path_ok(str_n(path, BLOB_PATH_MAX)));
    assert_false(blob_path_ok(str_n(path, BLOB_PATH_MAX + 1)));
    path[250] = 'a'; /* a part of 256 bytes is more than a file system takes */
    path[255] = 'a';
    path[256] = '/';
    assert_false(blob_path_ok(str_n(path, 400)));
}

static void test_blob_file_names(void **state)
{
    struct fixture *f = *state;
    char file[512];
    char expected[512];

    assert_int_equal(blob_file(f->store, STR("logs/x.gz"), file, sizeof file), STATUS_OK);
    (void)snprintf(expected, sizeof expected, "%s/blobs/logs/x.gz", f->dir);
    assert_string_equal(file, expected);
    assert_int_equal(blob_file(f->store, STR("../x"), file, sizeof file), STATUS_INVALID);
    assert_int_equal(blob_file(f->store, STR("logs/x.gz"), file, 8), STATUS_INVALID);
}

static void test_blob_adopt_and_delete(void **state)
{
    struct fixture *f = *state;
    char folder[256];

    adopt(f, "files/jobs/j1/aaa/out.txt", "hello");
    assert_true(blob_exists(f, "files/jobs/j1/aaa/out.txt"));
    put_row(f, "files/jobs/j1/aaa/out.txt", "job:j1", 0);
    const struct answer a = get_now(f, TABLE_BLOBS, "files/jobs/j1/aaa/out.txt");
    assert_int_equal(a.n, 1);
    assert_str(a.rows[0].columns[BLOBS_OWNER].text, "job:j1");
    assert_int_equal(a.rows[0].columns[BLOBS_SIZE].i, 3);
    assert_int_equal(a.rows[0].columns[BLOBS_CREATED].i, 1000);
    assert_int_equal(a.rows[0].columns[BLOBS_EXPIRES].type, VALUE_NULL);

    struct store_tx *tx = store_tx_new(f->store);
    blob_tx_delete(tx, STR("files/jobs/j1/aaa/out.txt"));
    assert_int_equal(commit_now(f, tx, NULL), STATUS_OK);
    assert_false(blob_exists(f, "files/jobs/j1/aaa/out.txt"));
    assert_int_equal(get_now(f, TABLE_BLOBS, "files/jobs/j1/aaa/out.txt").n, 0);
    (void)snprintf(folder, sizeof folder, "%s/blobs/files", f->dir);
    assert_int_equal(access(folder, F_OK), -1); /* empty folders go too */
    (void)snprintf(folder, sizeof folder, "%s/blobs", f->dir);
    assert_int_equal(access(folder, F_OK), 0);
}

/* The file of a deletion that failed stays. */
static void test_blob_failed_delete_keeps_the_file(void **state)
{
    struct fixture *f = *state;

    put_state(f, "taken", "1");
    adopt(f, "logs/j1.log", "hello");
    put_row(f, "logs/j1.log", "job:j1", 0);
    struct store_tx *tx = store_tx_new(f->store);
    blob_tx_delete(tx, STR("logs/j1.log"));
    blob_tx_delete_owner(tx, STR("job:j1"));
    store_tx_insert(tx, TABLE_STATE, STR("taken"), STR("2"), NULL, 0);
    assert_int_equal(commit_now(f, tx, NULL), STATUS_EXISTS);
    assert_true(blob_exists(f, "logs/j1.log"));
    assert_int_equal(get_now(f, TABLE_BLOBS, "logs/j1.log").n, 1);
}

static void test_blob_delete_owner(void **state)
{
    struct fixture *f = *state;

    adopt(f, "files/j1/a", "1");
    adopt(f, "files/j1/b", "2");
    adopt(f, "files/j2/a", "3");
    put_row(f, "files/j1/a", "job:j1", 0);
    put_row(f, "files/j1/b", "job:j1", 0);
    put_row(f, "files/j2/a", "job:j2", 0);
    struct store_tx *tx = store_tx_new(f->store);
    blob_tx_delete_owner(tx, STR("job:j1"));
    assert_int_equal(commit_now(f, tx, NULL), STATUS_OK);
    assert_false(blob_exists(f, "files/j1/a"));
    assert_false(blob_exists(f, "files/j1/b"));
    assert_true(blob_exists(f, "files/j2/a"));
    assert_int_equal(get_now(f, TABLE_BLOBS, "files/j1/b").n, 0);
    assert_int_equal(get_now(f, TABLE_BLOBS, "files/j2/a").n, 1);
}

static void test_blob_bad_requests(void **state)
{
    struct fixture *f = *state;
    struct blob_outcome o = { .done = false };
    char temp[256];

    temp_file(f, "upload", "x", 1, temp);
    assert_int_equal(blob_adopt(f->store, temp, STR("../x"), blob_note, &o, NULL), STATUS_INVALID);
    assert_int_equal(blob_gzip(f->store, temp, STR("a//b"), true, blob_note, &o, NULL),
                     STATUS_INVALID);
    assert_false(o.done);
    assert_int_equal(access(temp, F_OK), 0);
    assert_int_equal(blob_adopt(f->store, "/tmp/orrery-not-there", STR("x"), blob_note, &o, NULL),
                     STATUS_OK);
    fixture_wait(f, &o.done);
    assert_int_equal(o.st, STATUS_MISSING);
    assert_true(strlen(o.err.text) > 0);
    o.done = false;
    assert_int_equal(blob_adopt(f->store, f->dir, STR("x"), blob_note, &o, NULL), STATUS_OK);
    fixture_wait(f, &o.done);
    assert_int_not_equal(o.st, STATUS_OK);
    o.done = false;
    assert_int_equal(
        blob_gzip(f->store, "/tmp/orrery-not-there", STR("x"), true, blob_note, &o, NULL),
        STATUS_OK);
    fixture_wait(f, &o.done);
    assert_int_equal(o.st, STATUS_MISSING);
    struct store_tx *tx = store_tx_new(f->store);
    blob_tx_put(tx, STR("../x"), STR("o"), 1, 1, 0);
    assert_int_equal(commit_now(f, tx, NULL), STATUS_INVALID);
}

static void assert_unzips(struct fixture *f, const char *path, const char *text, size_t n)
{
    char file[512];
    char *back = calloc(1, n + 1);

    assert_non_null(back);
    assert_int_equal(blob_file(f->store, str_z(path), file, sizeof file), STATUS_OK);
    gzFile gz = gzopen(file, "rb");
    assert_non_null(gz);
    assert_int_equal(gzdirect(gz), 0);
    assert_int_equal(gzread(gz, back, (unsigned)n + 1), n);
    assert_int_equal(gzclose(gz), Z_OK);
    assert_memory_equal(back, text, n);
    free(back);
}

static void gzip_case(struct fixture *f, size_t n, bool remove_src)
{
    struct blob_outcome o = { .done = false };
    char *text = malloc(n + 1);
    char temp[256];
    char file[512];
    struct stat info;
    uint32_t x = 7;

    assert_non_null(text);
    for (size_t i = 0; i < n; i++) { /* half noise, half not */
        x = x * 1664525u + 1013904223u;
        text[i] = (char)(i % 2 ? 'a' : (int)(x >> 24));
    }
    temp_file(f, "log", text, n, temp);
    assert_int_equal(
        blob_gzip(f->store, temp, STR("logs/jobs/j1.log.gz"), remove_src, blob_note, &o, NULL),
        STATUS_OK);
    fixture_wait(f, &o.done);
    assert_int_equal(o.st, STATUS_OK);
    assert_int_equal(blob_file(f->store, STR("logs/jobs/j1.log.gz"), file, sizeof file), STATUS_OK);
    assert_int_equal(stat(file, &info), 0);
    assert_int_equal(o.size, info.st_size);
    assert_int_equal(access(temp, F_OK), remove_src ? -1 : 0);
    assert_unzips(f, "logs/jobs/j1.log.gz", text, n);
    free(text);
}

static void test_blob_gzip(void **state)
{
    struct fixture *f = *state;

    gzip_case(f, 0, true);
    gzip_case(f, 1, false);
    gzip_case(f, 64 * 1024, true);
    gzip_case(f, 64 * 1024 + 1, true);
    gzip_case(f, 3 * 1024 * 1024 + 17, true);
}

static void test_blob_temp_is_emptied_at_start(void **state)
{
    struct fixture *f = *state;
    char temp[256];

    temp_file(f, "left", "x", 1, temp);
    fixture_close(f);
    assert_int_equal(access(temp, F_OK), 0);
    fixture_open(f);
    assert_int_equal(access(temp, F_OK), -1);
    assert_int_equal(access(blob_temp_dir(f->store), W_OK), 0);
}

static void run_until_gone(struct fixture *f, const char *path)
{
    const Usec deadline = clock_mono() + FIXTURE_DEADLINE;

    while (blob_exists(f, path)) {
        assert_true(clock_mono() < deadline);
        (void)uv_run(loop_uv(f->loop), UV_RUN_ONCE);
    }
}

static void test_blob_sweep(void **state)
{
    struct fixture *f = *state;
    const Usec now = clock_wall();

    for (int i = 0; i < 5; i++) { /* more than a step of the tiny build */
        char path[32];
        (void)snprintf(path, sizeof path, "old/%d", i);
        adopt(f, path, "x");
        put_row(f, path, "o", now - i);
    }
    adopt(f, "kept/later", "x");
    put_row(f, "kept/later", "o", now + 10 * USEC_DAY);
    adopt(f, "kept/forever", "x");
    put_row(f, "kept/forever", "o", 0);
    adopt(f, "stray/young", "x");

    /* Files without a row stay for a day; the last of the expired is the last that this sweep
     * removes. */
    blob_sweep(f->store, now);
    blob_sweep(f->store, now); /* at work already: nothing happens */
    for (int i = 0; i < 5; i++) {
        char path[32];
        (void)snprintf(path, sizeof path, "old/%d", i);
        run_until_gone(f, path);
        assert_int_equal(get_now(f, TABLE_BLOBS, path).n, 0);
    }
    assert_true(blob_exists(f, "stray/young"));
    assert_true(blob_exists(f, "kept/later"));

    /* Until the sweep before is over, this one does nothing; then the stray file is old. */
    const Usec deadline = clock_mono() + FIXTURE_DEADLINE;
    while (blob_exists(f, "stray/young")) {
        assert_true(clock_mono() < deadline);
        blob_sweep(f->store, now + 2 * USEC_DAY);
        (void)uv_run(loop_uv(f->loop), UV_RUN_ONCE);
    }
    assert_true(blob_exists(f, "kept/later"));
    assert_true(blob_exists(f, "kept/forever"));
    assert_int_equal(get_now(f, TABLE_BLOBS, "kept/later").n, 1);
}

/* Closing in the middle of all kinds of work. */
static void test_blob_close_at_work(void **state)
{
    struct fixture *f = *state;
    struct blob_outcome o[20] = { 0 };
    char temp[256];

    for (int i = 0; i < 20; i++) {
        char name[32];
        char path[32];
        (void)snprintf(name, sizeof name, "u%d", i);
        (void)snprintf(path, sizeof path, "w/%d", i);
        temp_file(f, name, "data", 4, temp);
        if (i % 2)
            assert_int_equal(blob_gzip(f->store, temp, str_z(path), true, blob_note, &o[i], NULL),
                             STATUS_OK);
        else
            assert_int_equal(blob_adopt(f->store, temp, str_z(path), blob_note, &o[i], NULL),
                             STATUS_OK);
    }
    blob_sweep(f->store, clock_wall());
    fixture_close(f);
    for (int i = 0; i < 20; i++) {
        assert_true(o[i].done);
        assert_int_equal(o[i].st, STATUS_OK);
    }
    fixture_open(f);
    assert_true(blob_exists(f, "w/0"));
    assert_true(blob_exists(f, "w/19"));
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blob_paths),
        TEST(test_blob_file_names),
        TEST(test_blob_adopt_and_delete),
        TEST(test_blob_failed_delete_keeps_the_file),
        TEST(test_blob_delete_owner),
        TEST(test_blob_bad_requests),
        TEST(test_blob_gzip),
        TEST(test_blob_temp_is_emptied_at_start),
        TEST(test_blob_sweep),
        TEST(test_blob_close_at_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
