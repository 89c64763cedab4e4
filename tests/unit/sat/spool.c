/* The spool and the intents on a real file system. */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <endian.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/file.h"
#include "sat/intent.h"
#include "sat/spool.h"

struct place {
    char path[64];
};

static struct place place_new(void)
{
    struct place p = { "/tmp/orrery-spool-XXXXXX" };

    assert_non_null(mkdtemp(p.path));
    return p;
}

static void place_free(const struct place *p)
{
    assert_int_equal(file_remove_tree(p->path, NULL), STATUS_OK);
}

static void put(const struct place *p, const char *name, struct str text)
{
    char path[128];

    (void)snprintf(path, sizeof(path), "%s/%s", p->path, name);
    assert_int_equal(file_replace(path, text, 0600, NULL), STATUS_OK);
}

static void folder(const struct place *p, const char *name)
{
    char path[128];

    (void)snprintf(path, sizeof(path), "%s/%s", p->path, name);
    assert_int_equal(mkdir(path, 0700), 0);
}

static bool there(const struct place *p, const char *name)
{
    char path[128];

    (void)snprintf(path, sizeof(path), "%s/%s", p->path, name);
    return access(path, F_OK) == 0;
}

static void test_store_and_forget(void **state)
{
    const struct place p = place_new();
    AUTO_BUF struct buf text = { 0 };

    (void)state;
    buf_init(&text, 1000);
    assert_int_equal(spool_store(p.path, STR("j1"), STR("{}"), NULL), STATUS_OK);
    assert_int_equal(spool_store(p.path, STR("j1"), STR("{1}"), NULL), STATUS_EXISTS);
    assert_int_equal(spool_get(p.path, STR("j1"), "launch.json", &text, NULL), STATUS_OK);
    assert_true(str_eq_z(buf_str(&text), "{}")); /* the first one stays */
    assert_int_equal(spool_store(p.path, STR("../x"), STR("{}"), NULL), STATUS_INVALID);
    assert_int_equal(spool_store(p.path, STR(""), STR("{}"), NULL), STATUS_INVALID);
    assert_int_equal(spool_put(p.path, STR("j1"), "abort.json", STR("1"), true, NULL), STATUS_OK);
    assert_int_equal(spool_put(p.path, STR("j1"), "abort.json", STR("2"), false, NULL), STATUS_OK);
    buf_clear(&text);
    assert_int_equal(spool_get(p.path, STR("j1"), "abort.json", &text, NULL), STATUS_OK);
    assert_true(str_eq_z(buf_str(&text), "2"));
    spool_forget(p.path, STR("j1"));
    assert_false(there(&p, "j1"));
    assert_false(there(&p, "trash.j1"));
    spool_forget(p.path, STR("j1")); /* nothing to do */
    place_free(&p);
}

static void seen(void *ctx, struct str id)
{
    struct buf *b = ctx;

    (void)buf_add_str(b, id);
    (void)buf_add_char(b, ' ');
}

static void test_scan(void **state)
{
    const struct place p = place_new();
    AUTO_BUF struct buf ids = { 0 };

    (void)state;
    buf_init(&ids, 1000);
    assert_int_equal(spool_store(p.path, STR("j1"), STR("{}"), NULL), STATUS_OK);
    folder(&p, "j2"); /* its launch never got there */
    folder(&p, "trash.j3");
    folder(&p, "lost+found");
    put(&p, "intents.log", STR("+j1\n"));
    assert_int_equal(spool_scan(p.path, seen, &ids, NULL), STATUS_OK);
    assert_true(str_eq_z(buf_str(&ids), "j1 "));
    assert_false(there(&p, "j2"));
    assert_false(there(&p, "trash.j3"));
    assert_true(there(&p, "lost+found"));
    assert_true(there(&p, "intents.log"));
    place_free(&p);
}

static void test_reading_the_stream(void **state)
{
    const struct place p = place_new();
    const struct super_frame head = { .n = htole32(11), .type = SUPER_STARTED };
    struct spool_process proc = { 0 };
    AUTO_BUF struct buf out = { 0 };
    char path[128];
    bool alive = true;
    uint64_t size = 0;
    int fd;

    (void)state;
    buf_init(&out, 1000);
    folder(&p, "j1");
    assert_int_equal(spool_read_stream(p.path, STR("j1"), 0, 100, &out, &alive, &size, NULL),
                     STATUS_MISSING);
    assert_false(spool_process(p.path, STR("j1"), &proc));
    (void)snprintf(path, sizeof(path), "%s/j1/stream", p.path);
    fd = open(path, O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_false(spool_process(p.path, STR("j1"), &proc)); /* not yet */
    assert_int_equal(file_write_all(fd, &head, sizeof(head)), 0);
    assert_false(spool_process(p.path, STR("j1"), &proc)); /* half a frame */
    assert_int_equal(file_write_all(fd, "123 456 789", 11), 0);
    assert_true(spool_process(p.path, STR("j1"), &proc));
    assert_int_equal(proc.pid, 123);
    assert_int_equal(proc.start_ticks, 456);
    assert_int_equal(proc.supervisor, 789);
    assert_int_equal(spool_read_stream(p.path, STR("j1"), 16, 3, &out, &alive, &size, NULL),
                     STATUS_OK);
    assert_true(alive);
    assert_int_equal(size, 27);
    assert_true(str_eq_z(buf_str(&out), "123"));
    close(fd);
    buf_clear(&out);
    assert_int_equal(spool_read_stream(p.path, STR("j1"), 27, 3, &out, &alive, &size, NULL),
                     STATUS_OK);
    assert_false(alive);
    assert_int_equal(out.n, 0);
    place_free(&p);
}

/* Intents */

struct bench {
    struct place place;
    struct sat sat;
    unsigned durable;
    unsigned failed;
};

static void bench_open(struct bench *b)
{
    b->sat.loop = loop_new();
    b->sat.disk = lane_new(b->sat.loop, "disk", 2, 1000);
    b->sat.spool = b->place.path;
}

static void bench_close(struct bench *b)
{
    lane_free(b->sat.disk);
    loop_free(b->sat.loop);
}

static void durable(void *ctx, struct str id, Status st, const struct err *err)
{
    struct bench *b = ctx;

    (void)err;
    assert_true(id.n > 0);
    b->durable += st == STATUS_OK;
    b->failed += st != STATUS_OK;
}

static void test_intents_are_found_again(void **state)
{
    struct bench b = { .place = place_new() };
    struct intents *in;
    char id[16];

    (void)state;
    bench_open(&b);
    in = intents_open(&b.sat, NULL);
    assert_non_null(in);
    for (unsigned i = 0; i < 50; i++) {
        (void)snprintf(id, sizeof(id), "j%u", i);
        assert_int_equal(intents_add(in, str_z(id), durable, &b), STATUS_OK);
    }
    assert_int_equal(intents_add(in, STR("j7"), durable, &b), STATUS_EXISTS);
    loop_run(b.sat.loop); /* until nothing is under way */
    assert_int_equal(b.durable, 50);
    for (unsigned i = 0; i < 48; i++) {
        (void)snprintf(id, sizeof(id), "j%u", i);
        intents_remove(in, str_z(id));
    }
    loop_run(b.sat.loop);
    intents_close(in);
    bench_close(&b);

    bench_open(&b);
    in = intents_open(&b.sat, NULL);
    assert_non_null(in);
    {
        AUTO_BUF struct buf ids = { 0 };

        buf_init(&ids, 1000);
        intents_each(in, seen, &ids);
        assert_true(str_eq_z(buf_str(&ids), "j48 j49 ") || str_eq_z(buf_str(&ids), "j49 j48 "));
    }
    assert_true(intents_has(in, STR("j48")));
    assert_false(intents_has(in, STR("j7")));
    intents_close(in);
    bench_close(&b);
    place_free(&b.place);
}

static void test_torn_intents(void **state)
{
    struct bench b = { .place = place_new() };
    struct intents *in;

    (void)state;
    put(&b.place, "intents.log", STR("+j1\n+j2\n-j1\ngarbage\n+\n+../x\n+j3"));
    bench_open(&b);
    in = intents_open(&b.sat, NULL);
    assert_non_null(in);
    assert_false(intents_has(in, STR("j1")));
    assert_true(intents_has(in, STR("j2")));
    assert_true(intents_has(in, STR("j3"))); /* whole but for its line end */
    assert_false(intents_has(in, STR("arbage")));
    intents_close(in);
    bench_close(&b);
    place_free(&b.place);
}

static void test_the_file_of_intents_stays_small(void **state)
{
    struct bench b = { .place = place_new() };
    struct intents *in;
    struct stat st;
    char path[128];
    char id[64];
    uint64_t written = 0;
    unsigned n = 0;

    (void)state;
    bench_open(&b);
    in = intents_open(&b.sat, NULL);
    assert_non_null(in);
    while (written < 2u * INTENT_FILE_MAX) {
        for (unsigned i = 0; i < 2000 && written < 2u * INTENT_FILE_MAX; i++) {
            (void)snprintf(id, sizeof(id), "jjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjj%u",
                           n++);
            assert_int_equal(intents_add(in, str_z(id), durable, &b), STATUS_OK);
            intents_remove(in, str_z(id));
            written += 2 * (strlen(id) + 2);
        }
        loop_run(b.sat.loop);
    }
    assert_int_equal(intents_add(in, STR("last"), durable, &b), STATUS_OK);
    loop_run(b.sat.loop);
    (void)snprintf(path, sizeof(path), "%s/intents.log", b.place.path);
    assert_int_equal(stat(path, &st), 0);
    assert_true((uint64_t)st.st_size < written);
    intents_close(in);
    bench_close(&b);
    place_free(&b.place);
}

static void test_intents_that_cannot_be_written(void **state)
{
    struct bench b = { .place = place_new() };
    struct intents *in;

    (void)state;
    bench_open(&b);
    in = intents_open(&b.sat, NULL);
    assert_non_null(in);
    place_free(&b.place); /* the folder is gone */
    assert_int_equal(intents_add(in, STR("j1"), durable, &b), STATUS_OK);
    loop_run(b.sat.loop);
    assert_int_equal(b.failed, 1);
    assert_false(intents_has(in, STR("j1")));
    intents_close(in);
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_store_and_forget),
        cmocka_unit_test(test_scan),
        cmocka_unit_test(test_reading_the_stream),
        cmocka_unit_test(test_intents_are_found_again),
        cmocka_unit_test(test_torn_intents),
        cmocka_unit_test(test_the_file_of_intents_stays_small),
        cmocka_unit_test(test_intents_that_cannot_be_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
