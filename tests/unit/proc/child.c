/* A child on the loop: input, output, exit, timeout, kill, and pipes that stay open. */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <signal.h>

#include "base/buf.h"
#include "proc/child.h"
#include "proc/tree.h"

static const char *const env[] = { "PATH=/usr/bin:/bin", NULL };

struct seen {
    struct loop *loop;
    struct proc_child *child;
    struct buf out;
    struct buf err;
    int exits;
    int code;
    int signal;
    bool timed_out;
    bool kill_on_output;
    bool close_on_output;
};

static void on_output(void *ctx, int fd, const char *p, size_t n)
{
    struct seen *s = ctx;

    assert_int_equal(s->exits, 0);
    assert_true(fd == 1 || fd == 2);
    assert_int_equal(buf_add(fd == 1 ? &s->out : &s->err, p, n), STATUS_OK);
    if (s->kill_on_output)
        proc_child_kill(s->child, SIGKILL);
    if (s->close_on_output)
        proc_child_close(s->child);
}

static void on_exit_seen(void *ctx, int exit_code, int signal, bool timed_out)
{
    struct seen *s = ctx;

    s->exits++;
    s->code = exit_code;
    s->signal = signal;
    s->timed_out = timed_out;
}

static const struct proc_child_ops ops = { .on_output = on_output, .on_exit = on_exit_seen };

static void seen_init(struct seen *s)
{
    *s = (struct seen){ .loop = loop_new() };
    assert_non_null(s->loop);
    buf_init(&s->out, 64u << 20);
    buf_init(&s->err, 64u << 20);
}

static void seen_done(struct seen *s)
{
    loop_free(s->loop);
    buf_done(&s->out);
    buf_done(&s->err);
}

static void start(struct seen *s, const char *script, struct str input, Usec timeout)
{
    const char *const argv[] = { "sh", "-c", script, NULL };
    const struct proc_spec spec = { .argv = argv, .env = env };
    struct err err = { 0 };

    if (proc_child_start(s->loop, &spec, input, timeout, &ops, s, &s->child, &err) != STATUS_OK)
        fail_msg("%s", err.text);
    assert_true(proc_child_pid(s->child) > 1);
}

static void test_child_runs(void **state)
{
    struct seen s;

    (void)state;
    seen_init(&s);
    start(&s, "read x; echo \"[$x]\"; echo oops >&2; exit 4", STR("hi\n"), 60 * USEC_SEC);
    loop_run(s.loop); /* ends when nothing is left */
    assert_int_equal(s.exits, 1);
    assert_int_equal(s.code, 4);
    assert_int_equal(s.signal, 0);
    assert_false(s.timed_out);
    assert_true(str_eq_z(buf_str(&s.out), "[hi]\n"));
    assert_true(str_eq_z(buf_str(&s.err), "oops\n"));
    seen_done(&s);
}

/* More than any pipe holds, both ways at once. */
static void test_child_big_streams(void **state)
{
    const size_t n = LIMIT(3u << 20, 60000u);
    char *text = malloc(n);
    struct seen s;

    (void)state;
    assert_non_null(text);
    for (size_t i = 0; i < n; i++)
        text[i] = (char)('a' + i % 23);
    seen_init(&s);
    start(&s, "exec cat", str_n(text, n), 0);
    memset(text + 1, 0, 1); /* it was copied */
    loop_run(s.loop);
    text[1] = 'b';
    assert_int_equal(s.exits, 1);
    assert_int_equal(s.out.n, n);
    assert_memory_equal(s.out.p, text, n);
    seen_done(&s);
    free(text);
}

static void test_child_ignores_its_input(void **state)
{
    char *text = calloc(1, 60000);
    struct seen s;

    (void)state;
    assert_non_null(text);
    seen_init(&s);
    start(&s, "exit 0", str_n(text, 60000), 0);
    loop_run(s.loop);
    assert_int_equal(s.exits, 1);
    assert_int_equal(s.code, 0);
    seen_done(&s);
    seen_init(&s);
    start(&s, "read x || echo none", STR_NONE, 0);
    loop_run(s.loop);
    assert_true(str_eq_z(buf_str(&s.out), "none\n"));
    seen_done(&s);
    free(text);
}

static void test_child_times_out(void **state)
{
    struct seen s;

    (void)state;
    seen_init(&s);
    start(&s, "exec sleep 1000", STR_NONE, 50 * USEC_MSEC);
    loop_run(s.loop);
    assert_int_equal(s.exits, 1);
    assert_int_equal(s.signal, SIGTERM);
    assert_true(s.timed_out);
    seen_done(&s);
}

/* It ignores SIGTERM: SIGKILL comes after the grace. */
static void test_child_is_killed_in_the_end(void **state)
{
    struct seen s;

    (void)state;
    seen_init(&s);
    start(&s, "trap '' TERM; while :; do sleep 1; done", STR_NONE, 50 * USEC_MSEC);
    loop_run(s.loop);
    assert_int_equal(s.exits, 1);
    assert_int_equal(s.signal, SIGKILL);
    assert_true(s.timed_out);
    seen_done(&s);
}

static void test_child_kill(void **state)
{
    struct seen s;

    (void)state;
    seen_init(&s);
    s.kill_on_output = true;
    start(&s, "sleep 1000 & echo up; wait", STR_NONE, 0);
    loop_run(s.loop);
    assert_int_equal(s.exits, 1);
    assert_int_equal(s.signal, SIGKILL);
    assert_false(s.timed_out);
    seen_done(&s);
}

static void test_child_close_is_silent(void **state)
{
    struct seen s;

    (void)state;
    seen_init(&s);
    s.close_on_output = true;
    start(&s, "echo up; exec sleep 1000", STR_NONE, 0);
    loop_run(s.loop);
    assert_int_equal(s.exits, 0);
    assert_true(str_eq_z(buf_str(&s.out), "up\n"));
    seen_done(&s);
    seen_init(&s);
    start(&s, "exec sleep 1000", STR_NONE, 0);
    proc_child_close(s.child);
    loop_run(s.loop);
    assert_int_equal(s.exits, 0);
    seen_done(&s);
    proc_child_close(NULL);
}

/* A daemon holds the pipes: the exit is reported after a silence. */
static void test_child_does_not_wait_for_daemons(void **state)
{
    struct seen s;
    int64_t pid = 0;

    (void)state;
    seen_init(&s);
    start(&s, "setsid sleep 1000 & echo $!; exit 2", STR_NONE, 0);
    loop_run(s.loop);
    assert_int_equal(s.exits, 1);
    assert_int_equal(s.code, 2);
    assert_true(str_to_i64(str_trim(buf_str(&s.out)), &pid));
    assert_int_equal(kill((pid_t)pid, SIGKILL), 0);
    seen_done(&s);
}

static void test_child_start_fails(void **state)
{
    const char *const argv[] = { "/no/such/program", NULL };
    struct seen s;
    struct err err = { 0 };

    (void)state;
    seen_init(&s);
    assert_int_equal(proc_child_start(s.loop, &(struct proc_spec){ .argv = argv, .env = env },
                                      STR("x"), USEC_SEC, &ops, &s, &s.child, &err),
                     STATUS_MISSING);
    assert_int_equal(proc_child_start(s.loop, &(struct proc_spec){ .argv = argv, .env = env },
                                      str_n("x", (size_t)PROC_CHILD_STDIN_MAX + 1), 0, &ops, &s,
                                      &s.child, &err),
                     STATUS_TOO_BIG);
    assert_null(s.child);
    loop_run(s.loop);
    assert_int_equal(s.exits, 0);
    seen_done(&s);
}

static void test_child_many_at_once(void **state)
{
    struct seen all[20];
    struct loop *loop = loop_new();

    (void)state;
    for (size_t i = 0; i < COUNT_OF(all); i++) {
        all[i] = (struct seen){ .loop = loop };
        buf_init(&all[i].out, 4096);
        buf_init(&all[i].err, 4096);
        start(&all[i], "cat; exit 9", STR("many"), 60 * USEC_SEC);
    }
    loop_run(loop);
    for (size_t i = 0; i < COUNT_OF(all); i++) {
        assert_int_equal(all[i].exits, 1);
        assert_int_equal(all[i].code, 9);
        assert_true(str_eq_z(buf_str(&all[i].out), "many"));
        buf_done(&all[i].out);
        buf_done(&all[i].err);
    }
    loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_child_runs),
        cmocka_unit_test(test_child_big_streams),
        cmocka_unit_test(test_child_ignores_its_input),
        cmocka_unit_test(test_child_times_out),
        cmocka_unit_test(test_child_is_killed_in_the_end),
        cmocka_unit_test(test_child_kill),
        cmocka_unit_test(test_child_close_is_silent),
        cmocka_unit_test(test_child_does_not_wait_for_daemons),
        cmocka_unit_test(test_child_start_fails),
        cmocka_unit_test(test_child_many_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
