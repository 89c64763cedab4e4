/* /proc: reading one process, scanning all, finding a tree, killing it. */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "proc/spawn.h"
#include "proc/tree.h"

#define DEADLINE (60 * USEC_SEC)

static const char *const env[] = { "PATH=/usr/bin:/bin", NULL };

/* Starts a shell; reads one line of what it says into line. */
static pid_t start(const char *script, char *line, size_t size)
{
    const char *const argv[] = { "sh", "-c", script, NULL };
    int out[2];
    pid_t pid = 0;
    size_t n = 0;

    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    assert_int_equal(
        proc_spawn(&(struct proc_spec){ .argv = argv, .env = env, .fd = { -1, out[1], -1 } }, &pid,
                   NULL),
        STATUS_OK);
    close(out[1]);
    while (n + 1 < size && read(out[0], line + n, 1) == 1 && line[n] != '\n')
        n++;
    line[n] = 0;
    close(out[0]);
    return pid;
}

static pid_t number(const char *text)
{
    int64_t v = 0;

    assert_true(str_to_i64(str_z(text), &v));
    return (pid_t)v;
}

static uint64_t ticks_of(pid_t pid)
{
    uint64_t ticks = 0;

    assert_int_equal(proc_start_ticks(pid, &ticks), STATUS_OK);
    return ticks;
}

static void wait_dead(pid_t pid, uint64_t ticks)
{
    const Usec until = clock_mono() + DEADLINE;

    while (proc_is_alive(pid, ticks)) {
        assert_true(clock_mono() < until);
        (void)poll(NULL, 0, 5);
    }
}

static void test_tree_reads_itself(void **state)
{
    struct proc_info p = { 0 };
    char text[256];

    (void)state;
    assert_int_equal(proc_read(getpid(), &p), STATUS_OK);
    assert_int_equal(p.pid, getpid());
    assert_int_equal(p.ppid, getppid());
    assert_int_equal(p.pgid, getpgrp());
    assert_int_equal(p.sid, getsid(0));
    assert_int_equal(p.state, 'R');
    assert_true(p.threads >= 1);
    assert_true(p.rss_bytes > 100000);
    assert_true(p.io_bytes > 0);
    assert_true(p.start_ticks > 0);
    assert_true(proc_is_alive(getpid(), p.start_ticks));
    assert_false(proc_is_alive(getpid(), p.start_ticks + 1));
    assert_int_equal(proc_read(0x3fffffff, &p), STATUS_MISSING);
    assert_int_equal(p.pid, getpid());
    assert_true(proc_cmdline(getpid(), text, sizeof(text)));
    assert_non_null(strstr(text, "tree"));
    assert_false(proc_cmdline(0x3fffffff, text, sizeof(text)));
    assert_true(proc_ticks_per_sec() > 0);
}

static void test_tree_odd_names(void **state)
{
    struct proc_info p = { 0 };

    (void)state;
    assert_int_equal(prctl(PR_SET_NAME, ") R (1 2 "), 0);
    assert_int_equal(proc_read(getpid(), &p), STATUS_OK);
    assert_string_equal(p.comm, ") R (1 2 ");
    assert_int_equal(p.ppid, getppid());
    assert_int_equal(prctl(PR_SET_NAME, "unit"), 0);
}

static void test_tree_scan_finds_us(void **state)
{
    struct proc_info *all = NULL;
    size_t n = 0;
    size_t hits = 0;

    (void)state;
    assert_int_equal(proc_scan(&all, &n, NULL), STATUS_OK);
    assert_true(n > 1);
    for (size_t i = 0; i < n; i++) {
        assert_true(i == 0 || all[i - 1].pid < all[i].pid);
        hits += all[i].pid == getpid();
    }
    assert_int_equal(hits, 1);
    free(all);
}

/* pid, ppid, sid; a child may have a smaller pid than its parent after a wrap */
static const struct proc_info forest[] = {
    { .pid = 1, .ppid = 0, .sid = 1 },    { .pid = 5, .ppid = 90, .sid = 77 },
    { .pid = 7, .ppid = 5, .sid = 77 },   { .pid = 50, .ppid = 1, .sid = 50 },
    { .pid = 60, .ppid = 50, .sid = 50 }, { .pid = 70, .ppid = 1, .sid = 50 },
    { .pid = 80, .ppid = 1, .sid = 80 },  { .pid = 90, .ppid = 60, .sid = 50 },
};

static void expect_tree(pid_t root, pid_t session, const pid_t *pids, size_t n_pids)
{
    size_t out[COUNT_OF(forest)];
    const size_t n = proc_tree(forest, COUNT_OF(forest), root, session, out);

    assert_int_equal(n, n_pids);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(forest[out[i]].pid, pids[i]);
}

static void test_tree_members(void **state)
{
    (void)state;
    expect_tree(50, 0, (const pid_t[]){ 50, 5, 7, 60, 90 }, 5);
    expect_tree(50, 50, (const pid_t[]){ 50, 5, 7, 60, 70, 90 }, 6);
    expect_tree(999, 50, (const pid_t[]){ 5, 7, 50, 60, 70, 90 }, 6);
    expect_tree(80, 0, (const pid_t[]){ 80 }, 1);
    expect_tree(999, 0, NULL, 0);
    assert_int_equal(proc_tree(NULL, 0, 1, 1, NULL), 0);
}

/* A shell with a child in its own session, and a grandchild. All end. */
static void test_tree_kill(void **state)
{
    char line[64];
    struct str rest;
    struct str part;
    pid_t pid[3];
    uint64_t ticks[3];

    (void)state;
    pid[0] = start("setsid sh -c 'sleep 1000 & echo $$ $!; wait' & wait", line, sizeof(line));
    rest = str_z(line);
    for (int i = 1; i < 3; i++) {
        char text[32];

        assert_true(str_split(&rest, ' ', &part));
        assert_true(str_copy_z(part, text, sizeof(text)));
        pid[i] = number(text);
    }
    for (int i = 0; i < 3; i++)
        ticks[i] = ticks_of(pid[i]);
    assert_int_equal(proc_kill_tree(pid[0], SIGKILL), 3);
    assert_int_equal(waitpid(pid[0], NULL, 0), pid[0]);
    for (int i = 0; i < 3; i++)
        wait_dead(pid[i], ticks[i]);
    assert_int_equal(proc_kill_tree(pid[0], SIGKILL), 0);
    assert_int_equal(proc_kill_tree(0, SIGKILL), 0);
    assert_int_equal(proc_kill_tree(1, SIGKILL), 0);
}

/* The leader is gone, its child in the same group is not. */
static void test_tree_kill_without_root(void **state)
{
    char line[64];
    const pid_t root = start("sleep 1000 & echo $!", line, sizeof(line));
    const pid_t child = number(line);
    const uint64_t ticks = ticks_of(child);

    (void)state;
    assert_int_equal(waitpid(root, NULL, 0), root);
    assert_true(proc_is_alive(child, ticks));
    assert_int_equal(proc_kill_tree(root, SIGTERM), 1);
    wait_dead(child, ticks);
}

static void test_tree_kill_below_spares_the_ancestor(void **state)
{
    char line[64];
    const pid_t root =
        start("trap 'exit 3' TERM; setsid sh -c 'echo $$; exec sleep 1000' & wait $!; exit 5", line,
              sizeof(line));
    const pid_t child = number(line);
    const uint64_t ticks = ticks_of(child);
    int status;

    (void)state;
    assert_int_equal(proc_kill_below(root, SIGTERM), 1);
    wait_dead(child, ticks);
    assert_int_equal(waitpid(root, &status, 0), root);
    assert_int_equal(WEXITSTATUS(status), 5);
}

/* Each member gets a signal once: the shell counts. */
static void test_tree_signals_once(void **state)
{
    char line[64];
    const pid_t root =
        start("n=0; trap 'n=$((n+1)); kill -KILL $!' TERM; setsid sleep 1000 & echo $!; "
              "wait; wait; exit $n",
              line, sizeof(line));
    int status;

    (void)state;
    assert_int_equal(proc_kill_tree(root, SIGTERM), 2);
    assert_int_equal(waitpid(root, &status, 0), root);
    assert_int_equal(WEXITSTATUS(status), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tree_reads_itself),
        cmocka_unit_test(test_tree_odd_names),
        cmocka_unit_test(test_tree_scan_finds_us),
        cmocka_unit_test(test_tree_members),
        cmocka_unit_test(test_tree_kill),
        cmocka_unit_test(test_tree_kill_without_root),
        cmocka_unit_test(test_tree_kill_below_spares_the_ancestor),
        cmocka_unit_test(test_tree_signals_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
