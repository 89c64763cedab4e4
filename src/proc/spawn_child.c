/* The child's side of proc_spawn, between vfork and exec. It shares memory with the parent (whose
 * thread is suspended), so it makes system calls and nothing else. The user change goes through raw
 * system calls: the library's wrappers would try to change every thread of the parent.
 * It stands in a file of its own so that it is never inlined into the function that calls vfork. */
#include "proc/proc_int.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#ifdef SYS_setgroups32
#define CALL_SETGROUPS SYS_setgroups32
#define CALL_SETRESGID SYS_setresgid32
#define CALL_SETRESUID SYS_setresuid32
#else
#define CALL_SETGROUPS SYS_setgroups
#define CALL_SETRESGID SYS_setresgid
#define CALL_SETRESUID SYS_setresuid
#endif

NORETURN static void child_fail(const struct proc_plan *plan, enum proc_step step, int error)
{
    struct proc_report report = { .step = (int)step, .error = error };
    ssize_t n;

    do
        n = write(plan->report_fd, &report, sizeof(report));
    while (n < 0 && errno == EINTR);
    _exit(127);
}

/* Every handler back to its default: ignored signals would stay ignored after the exec, and a
 * handler of the parent must not run here. */
static void child_signals(void)
{
    struct sigaction act = { .sa_handler = SIG_DFL };

    for (int sig = 1; sig < NSIG; sig++)
        (void)sigaction(sig, &act, NULL);
}

/* Puts the wanted descriptors on 0-2. Those among 0-2 that belong elsewhere first move out of the
 * way. */
static int child_streams(const struct proc_spec *spec)
{
    int fd[3];

    for (int i = 0; i < 3; i++) {
        fd[i] = spec->fd[i];
        if (fd[i] < 0)
            fd[i] = open("/dev/null", i == 0 ? O_RDONLY : O_WRONLY);
        if (fd[i] < 0)
            return errno;
        if (fd[i] < 3 && fd[i] != i)
            fd[i] = fcntl(fd[i], F_DUPFD, 3);
        if (fd[i] < 0)
            return errno;
    }
    for (int i = 0; i < 3; i++) {
        if (fd[i] == i && fcntl(i, F_SETFD, 0) != 0)
            return errno;
        if (fd[i] != i && dup2(fd[i], i) < 0)
            return errno;
    }
    return 0;
}

static void child_close_rest(int keep)
{
    if (keep > 3)
        (void)syscall(SYS_close_range, 3u, (unsigned)keep - 1, 0u);
    (void)syscall(SYS_close_range, (unsigned)keep + 1, ~0u, 0u);
}

static int child_limits(const struct proc_spec *spec)
{
    for (size_t i = 0; i < spec->n_limits; i++) {
        const struct rlimit want = { .rlim_cur = (rlim_t)spec->limits[i].soft,
                                     .rlim_max = (rlim_t)spec->limits[i].hard };

        if (setrlimit((__rlimit_resource_t)spec->limits[i].resource, &want) != 0)
            return errno;
    }
    return 0;
}

static int child_user(const struct proc_plan *plan)
{
    const struct proc_spec *spec = plan->spec;

    if (syscall(CALL_SETGROUPS, plan->n_groups, plan->groups) != 0)
        return errno;
    if (syscall(CALL_SETRESGID, spec->gid, spec->gid, spec->gid) != 0)
        return errno;
    if (syscall(CALL_SETRESUID, spec->uid, spec->uid, spec->uid) != 0)
        return errno;
    return 0;
}

/* Returns why nothing could be executed. A file without a known format goes to the shell, as execvp
 * does. */
static int child_exec(const struct proc_plan *plan)
{
    char *const *argv = (char *const *)plan->spec->argv;
    char *const *env = (char *const *)plan->spec->env;
    bool denied = false;

    for (size_t i = 0; plan->paths[i]; i++) {
        (void)execve(plan->paths[i], argv, env);
        if (errno == ENOEXEC) {
            plan->sh_argv[1] = plan->paths[i];
            (void)execve(plan->sh_argv[0], (char *const *)plan->sh_argv, env);
            return ENOEXEC;
        }
        if (errno == EACCES)
            denied = true;
        else if (errno != ENOENT && errno != ENOTDIR)
            return errno;
    }
    return denied ? EACCES : ENOENT;
}

NORETURN void proc_child_exec(const struct proc_plan *plan)
{
    sigset_t none;
    int error;

    child_signals();
    error = child_streams(plan->spec);
    if (error)
        child_fail(plan, PROC_STEP_STREAMS, error);
    child_close_rest(plan->report_fd);
    if (setsid() < 0)
        child_fail(plan, PROC_STEP_SESSION, errno);
    error = child_limits(plan->spec);
    if (error)
        child_fail(plan, PROC_STEP_LIMITS, error);
    if (plan->spec->cwd && chdir(plan->spec->cwd) != 0)
        child_fail(plan, PROC_STEP_FOLDER, errno);
    error = plan->change_user ? child_user(plan) : 0;
    if (error)
        child_fail(plan, PROC_STEP_USER, error);
    (void)umask(022);
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    child_fail(plan, PROC_STEP_EXEC, child_exec(plan));
}
