/* The file `exec`: what is written is what is read; anything cut or strange is refused. */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <sys/resource.h>

#include "sat/super_int.h"

static const char *const argv[] = { "/bin/x", "", "two words", "\xc3\xa9\n", NULL };
static const char *const env[] = { "A=1", "EMPTY=", "B=x=y", NULL };
static const struct proc_limit limits[] = {
    { .resource = RLIMIT_NOFILE, .soft = 10, .hard = 20 },
    { .resource = RLIMIT_CORE, .soft = 0, .hard = RLIM_INFINITY },
};

static void write_sample(struct buf *out)
{
    const struct proc_spec spec = { .argv = argv,
                                    .env = env,
                                    .cwd = "/tmp/a b",
                                    .set_user = true,
                                    .uid = 12,
                                    .gid = 34,
                                    .user_name = "ada",
                                    .limits = limits,
                                    .n_limits = 2 };

    buf_init(out, SUPER_EXEC_MAX);
    assert_int_equal(super_write_exec(&spec, out), STATUS_OK);
}

static Status parse(const void *p, size_t n, struct super_exec *x)
{
    char *text = malloc(n ? n : 1);

    assert_non_null(text);
    memcpy(text, p, n);
    return super_exec_parse(x, text, n, NULL);
}

static void test_exec_round_trip(void **state)
{
    AUTO_BUF struct buf b = { 0 };
    struct super_exec x;

    (void)state;
    write_sample(&b);
    assert_int_equal(parse(b.p, b.n, &x), STATUS_OK);
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(x.spec.argv[i], argv[i]);
    assert_null(x.spec.argv[4]);
    for (size_t i = 0; i < 3; i++)
        assert_string_equal(x.spec.env[i], env[i]);
    assert_null(x.spec.env[3]);
    assert_string_equal(x.spec.cwd, "/tmp/a b");
    assert_true(x.spec.set_user);
    assert_int_equal(x.spec.uid, 12);
    assert_int_equal(x.spec.gid, 34);
    assert_string_equal(x.spec.user_name, "ada");
    assert_int_equal(x.spec.n_limits, 2);
    assert_int_equal(x.spec.limits[0].resource, RLIMIT_NOFILE);
    assert_true(x.spec.limits[0].soft == 10 && x.spec.limits[0].hard == 20);
    assert_int_equal(x.spec.limits[1].resource, RLIMIT_CORE);
    assert_true(x.spec.limits[1].soft == 0 && x.spec.limits[1].hard == RLIM_INFINITY);
    super_exec_done(&x);
}

static void test_exec_small(void **state)
{
    const char *const one[] = { "ls", NULL };
    AUTO_BUF struct buf b = { 0 };
    AUTO_BUF struct buf small = { 0 };
    struct super_exec x;

    (void)state;
    buf_init(&b, SUPER_EXEC_MAX);
    assert_int_equal(super_write_exec(&(struct proc_spec){ .argv = one }, &b), STATUS_OK);
    assert_int_equal(b.n, 3 + 4 + 2);
    assert_memory_equal(b.p, "x1\0als\0z\0", 9);
    assert_int_equal(parse(b.p, b.n, &x), STATUS_OK);
    assert_false(x.spec.set_user);
    assert_null(x.spec.cwd);
    assert_null(x.spec.env[0]);
    assert_int_equal(x.spec.n_limits, 0);
    super_exec_done(&x);
    buf_init(&small, 8);
    assert_int_equal(super_write_exec(&(struct proc_spec){ .argv = one }, &small), STATUS_FULL);
}

static void test_exec_cut_anywhere(void **state)
{
    AUTO_BUF struct buf b = { 0 };
    struct super_exec x;

    (void)state;
    write_sample(&b);
    for (size_t n = 0; n < b.n; n++) {
        assert_int_equal(parse(b.p, n, &x), STATUS_CORRUPT);
        super_exec_done(&x);
    }
}

static void test_exec_refuses(void **state)
{
#define BAD(lit)                                                                                   \
    {                                                                                              \
        (lit), sizeof(lit) - 1                                                                     \
    }
    static const struct str bad[] = {
        BAD("x2\0als\0z\0"),    BAD("als\0x1\0z\0"),
        BAD("x1\0als\0z\0e\0"), BAD("x1\0\0z\0"),
        BAD("x1\0q\0z\0"),      BAD("x1\0u1\0z\0"),
        BAD("x1\0u1 -1\0z\0"),  BAD("x1\0u1 99999999999\0z\0"),
        BAD("x1\0l1 2\0z\0"),   BAD("x1\0l1 2 x\0z\0"),
        BAD("x1\0l\0z\0"),
    };
    AUTO_BUF struct buf many = { 0 };
    struct super_exec x;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        assert_int_equal(parse(bad[i].p, bad[i].n, &x), STATUS_CORRUPT);
        super_exec_done(&x);
    }
    buf_init(&many, 65536);
    (void)buf_add(&many, "x1", 3);
    for (int i = 0; i < 65; i++)
        (void)buf_add(&many, "l1 2 3", 7);
    (void)buf_add(&many, "z", 2);
    assert_int_equal(parse(many.p, many.n, &x), STATUS_CORRUPT);
    super_exec_done(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exec_round_trip),
        cmocka_unit_test(test_exec_small),
        cmocka_unit_test(test_exec_cut_anywhere),
        cmocka_unit_test(test_exec_refuses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
