/* proc_spawn: streams, folder, environment, session, limits, user, and what a failure looks like.
 */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/buf.h"
#include "base/file.h"
#include "proc/spawn.h"

static const char *const env[] = { "PATH=/usr/bin:/bin", "GREETING=hello", NULL };

struct result {
    char out[4096];
    int status;
};

/* Runs to the end with stdout and stderr in one pipe. The output must be small. */
static void run(struct proc_spec *spec, const char *input, struct result *r)
{
    int in[2];
    int out[2];
    struct err err = { 0 };
    pid_t pid = 0;
    size_t n = 0;
    ssize_t got;

    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    spec->fd[0] = in[0];
    spec->fd[1] = out[1];
    spec->fd[2] = out[1];
    if (proc_spawn(spec, &pid, &err) != STATUS_OK)
        fail_msg("%s", err.text);
    close(in[0]);
    close(out[1]);
    assert_int_equal(file_write_all(in[1], input, strlen(input)), 0);
    close(in[1]);
    while ((got = read(out[0], r->out + n, sizeof(r->out) - 1 - n)) > 0)
        n += (size_t)got;
    r->out[n] = 0;
    close(out[0]);
    assert_int_equal(waitpid(pid, &r->status, 0), pid);
}

static void run_shell(const char *script, const char *expected)
{
    const char *const argv[] = { "sh", "-c", script, NULL };
    struct proc_spec spec = { .argv = argv, .env = env };
    struct result r;

    run(&spec, "", &r);
    assert_string_equal(r.out, expected);
}

static void test_spawn_streams(void **state)
{
    const char *const argv[] = { "cat", NULL };
    struct proc_spec spec = { .argv = argv, .env = env };
    struct result r;

    (void)state;
    run(&spec, "one\ntwo\n", &r);
    assert_string_equal(r.out, "one\ntwo\n");
    assert_true(WIFEXITED(r.status) && WEXITSTATUS(r.status) == 0);
    run_shell("echo $GREETING; echo err >&2; echo ${HOME-none}", "hello\nerr\nnone\n");
}

static void test_spawn_null_streams(void **state)
{
    const char *const argv[] = { "sh", "-c", "read x; test -z \"$x\" && echo lost && exit 7",
                                 NULL };
    const struct proc_spec spec = { .argv = argv, .env = env, .fd = { -1, -1, -1 } };
    pid_t pid;
    int status;

    (void)state;
    assert_int_equal(proc_spawn(&spec, &pid, NULL), STATUS_OK);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WEXITSTATUS(status), 7);
}

/* Our 1 becomes its 0 and our 0 its 1: they cross. */
static void test_spawn_crossed_streams(void **state)
{
    const char *const argv[] = { "cat", NULL };
    const struct proc_spec spec = { .argv = argv, .env = env, .fd = { 1, 0, 2 } };
    int in[2];
    int out[2];
    int keep[2];
    pid_t pid;
    Status st;
    char text[16] = { 0 };

    (void)state;
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    keep[0] = fcntl(0, F_DUPFD_CLOEXEC, 20);
    keep[1] = fcntl(1, F_DUPFD_CLOEXEC, 20);
    (void)dup2(in[0], 1);
    (void)dup2(out[1], 0);
    st = proc_spawn(&spec, &pid, NULL);
    (void)dup2(keep[0], 0);
    (void)dup2(keep[1], 1);
    assert_int_equal(st, STATUS_OK);
    close(out[1]);
    close(in[0]);
    assert_int_equal(file_write_all(in[1], "cross", 5), 0);
    close(in[1]);
    assert_int_equal(read(out[0], text, sizeof(text)), 5);
    assert_string_equal(text, "cross");
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    close(out[0]);
    close(keep[0]);
    close(keep[1]);
}

static void test_spawn_closes_the_rest(void **state)
{
    const int leaked = open("/dev/null", O_RDONLY); /* without close-on-exec, on purpose */

    (void)state;
    assert_true(leaked > 2);
    run_shell("ls /proc/$$/fd | tr '\\n' ' '", "0 1 2 ");
    close(leaked);
}

static void test_spawn_session_mask_umask(void **state)
{
    sigset_t blocked;
    sigset_t before;
    struct sigaction ignore = { .sa_handler = SIG_IGN };
    struct sigaction old;

    (void)state;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    (void)sigprocmask(SIG_BLOCK, &blocked, &before);
    (void)sigaction(SIGTERM, &ignore, &old);
    run_shell("awk '/^Sig(Blk|Ign)/ {print $1 $2}' /proc/self/status",
              "SigBlk:0000000000000000\nSigIgn:0000000000000000\n");
    run_shell("umask; set -- $(cat /proc/$$/stat); test $5 = $$ && test $6 = $$ && echo leader",
              "0022\nleader\n");
    (void)sigaction(SIGTERM, &old, NULL);
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
}

static void test_spawn_folder_and_limits(void **state)
{
    const char *const argv[] = { "sh", "-c", "pwd; ulimit -n; ulimit -Hn", NULL };
    const struct proc_limit limits[] = { { .resource = RLIMIT_NOFILE, .soft = 50, .hard = 60 } };
    struct proc_spec spec = {
        .argv = argv, .env = env, .cwd = "/usr", .limits = limits, .n_limits = 1
    };
    struct result r;

    (void)state;
    run(&spec, "", &r);
    assert_string_equal(r.out, "/usr\n50\n60\n");
}

static void test_spawn_user(void **state)
{
    const char *const argv[] = { "sh", "-c", "id -u; id -g; id -G", NULL };
    struct proc_user user;
    struct proc_spec spec = { .argv = argv, .env = env, .set_user = true };
    struct result r;

    (void)state;
    if (geteuid() != 0) {
        const struct proc_spec refused = {
            .argv = argv, .env = env, .set_user = true, .uid = 0, .fd = { -1, -1, -1 }
        };
        pid_t pid;
        struct err err;

        assert_int_equal(proc_spawn(&refused, &pid, &err), STATUS_DENIED);
        return;
    }
    assert_int_equal(proc_user_find("nobody", &user, NULL), STATUS_OK);
    assert_int_equal(user.uid, 65534);
    spec.uid = 65534;
    spec.gid = 65534;
    run(&spec, "", &r);
    assert_string_equal(r.out, "65534\n65534\n65534\n");
    /* "daemon" (1) is only in its own group 1; the wanted primary group comes first */
    spec.uid = 1;
    spec.gid = 2;
    spec.user_name = "daemon";
    run(&spec, "", &r);
    assert_string_equal(r.out, "1\n2\n2\n");
}

static void expect_failure(const char *program, const char *cwd, Status expected, const char *text)
{
    const char *const argv[] = { program, NULL };
    const struct proc_spec spec = { .argv = argv, .env = env, .cwd = cwd, .fd = { -1, -1, -1 } };
    pid_t pid = 77;
    struct err err = { 0 };

    assert_int_equal(proc_spawn(&spec, &pid, &err), expected);
    assert_string_equal(err.text, text);
    assert_int_equal(pid, 77);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* nothing is left to reap */
    assert_int_equal(errno, ECHILD);
}

static void test_spawn_failures(void **state)
{
    static const char none[] =
        "Child process failed to spawn (Check executable location and permissions?)";

    (void)state;
    expect_failure("/does/not/exist", NULL, STATUS_MISSING, none);
    expect_failure("no-such-program", NULL, STATUS_MISSING, none);
    expect_failure("/etc/passwd", NULL, STATUS_DENIED, "Permission denied");
    expect_failure("/usr", NULL, STATUS_DENIED, "Permission denied");
    expect_failure("ls", "/no/folder", STATUS_MISSING,
                   "Cannot enter the folder /no/folder: No such file or directory");
    expect_failure("", NULL, STATUS_INVALID, "There is no program to run");
}

static void test_spawn_path_and_scripts(void **state)
{
    char folder[] = "/tmp/orrery-spawn-XXXXXX";
    char path[128];
    char path_var[256];
    const char *const argv[] = { "thing", "a b", NULL };
    const char *const with_path[] = { path_var, NULL };
    struct proc_spec spec = { .argv = argv, .env = with_path };
    struct result r;

    (void)state;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof(path), "%s/thing", folder);
    (void)snprintf(path_var, sizeof(path_var), "PATH=/no/where::/etc/passwd:%s:/bin", folder);
    /* no #! line: goes to the shell, as execvp does */
    assert_int_equal(file_replace(path, STR("echo \"[$1]\"\n"), 0700, NULL), STATUS_OK);
    run(&spec, "", &r);
    assert_string_equal(r.out, "[a b]\n");
    assert_int_equal(file_remove_tree(folder, NULL), STATUS_OK);
}

static void test_spawn_too_many(void **state)
{
    const char **many = calloc(PROC_ENV_MAX + PROC_ARGS_MAX + 2, sizeof(*many));
    const char *const argv[] = { "true", NULL };
    struct proc_spec spec = { .argv = argv, .env = many, .fd = { -1, -1, -1 } };
    pid_t pid;

    (void)state;
    assert_non_null(many);
    for (unsigned i = 0; i < PROC_ENV_MAX; i++)
        many[i] = "A=1";
    assert_int_equal(proc_spawn(&spec, &pid, NULL), STATUS_OK);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    many[PROC_ENV_MAX] = "A=1";
    assert_int_equal(proc_spawn(&spec, &pid, NULL), STATUS_TOO_BIG);
    for (unsigned i = 0; i < PROC_ARGS_MAX + 1; i++)
        many[i] = "true";
    many[PROC_ARGS_MAX + 1] = NULL;
    spec.argv = many;
    spec.env = env;
    assert_int_equal(proc_spawn(&spec, &pid, NULL), STATUS_TOO_BIG);
    many[PROC_ARGS_MAX] = NULL;
    assert_int_equal(proc_spawn(&spec, &pid, NULL), STATUS_OK);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    free(many);
}

static void test_user_find(void **state)
{
    struct proc_user user;
    struct err err = { 0 };
    gid_t gid = 99;

    (void)state;
    assert_int_equal(proc_user_find("root", &user, &err), STATUS_OK);
    assert_int_equal(user.uid, 0);
    assert_int_equal(user.gid, 0);
    assert_string_equal(user.name, "root");
    assert_string_equal(user.home, "/root");
    assert_int_equal(proc_user_find("0", &user, &err), STATUS_OK);
    assert_string_equal(user.name, "root");
    assert_int_equal(proc_user_find("no-such-user", &user, &err), STATUS_MISSING);
    assert_string_equal(err.text, "User does not exist: no-such-user");
    assert_int_equal(proc_user_find("3999999999", &user, &err), STATUS_MISSING);
    assert_int_equal(proc_user_find("-1", &user, &err), STATUS_MISSING);
    assert_int_equal(proc_user_find("", &user, &err), STATUS_MISSING);

    assert_int_equal(proc_group_find("root", &gid, &err), STATUS_OK);
    assert_int_equal(gid, 0);
    assert_int_equal(proc_group_find("1", &gid, &err), STATUS_OK);
    assert_int_equal(gid, 1);
    assert_int_equal(proc_group_find("no-such-group", &gid, &err), STATUS_MISSING);
    assert_string_equal(err.text, "Group does not exist: no-such-group");
    assert_int_equal(gid, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spawn_streams),
        cmocka_unit_test(test_spawn_null_streams),
        cmocka_unit_test(test_spawn_crossed_streams),
        cmocka_unit_test(test_spawn_closes_the_rest),
        cmocka_unit_test(test_spawn_session_mask_umask),
        cmocka_unit_test(test_spawn_folder_and_limits),
        cmocka_unit_test(test_spawn_user),
        cmocka_unit_test(test_spawn_failures),
        cmocka_unit_test(test_spawn_path_and_scripts),
        cmocka_unit_test(test_spawn_too_many),
        cmocka_unit_test(test_user_find),
    };

    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
