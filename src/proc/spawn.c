/* proc_spawn, the parent's side: everything that may allocate or ask the user database is worked
 * out first (struct proc_plan), then vfork; the child reports a failure through a close-on-exec
 * pipe, whose end of file means that the exec succeeded. All signals are blocked across the vfork,
 * because the child shares our memory and must not run our handlers. */
#include "proc/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/wait.h>

#include "proc/proc_int.h"

#define SPAWN_PATH_DEFAULT "/bin:/usr/bin" /* what execvp takes when there is no PATH */
#define SPAWN_GROUPS_MAX   65536

static size_t words_count(const char *const *words)
{
    size_t n = 0;

    while (words && words[n])
        n++;
    return n;
}

static const char *env_get(const char *const *env, const char *name)
{
    const size_t n = strlen(name);

    for (size_t i = 0; env && env[i]; i++) {
        if (strncmp(env[i], name, n) == 0 && env[i][n] == '=')
            return env[i] + n + 1;
    }
    return NULL;
}

/* "DIR/NAME" for each entry of PATH; an empty entry is the child's folder. One allocation. */
static Status plan_paths(struct proc_plan *plan, const char *path, struct err *err)
{
    const char *name = plan->spec->argv[0];
    const struct str all = str_z(strchr(name, '/') ? "" : path);
    struct str rest = all;
    struct str dir;
    size_t n = 1;
    size_t at = 0;
    char *text;

    for (size_t i = 0; i < all.n; i++)
        n += all.p[i] == ':';
    plan->paths = malloc((n + 1) * sizeof(char *) + all.n + n * (strlen(name) + 2));
    if (!plan->paths)
        return err_set(err, STATUS_NOMEM, NULL, "out of memory");
    text = (char *)(plan->paths + n + 1);
    if (all.n == 0) {
        plan->paths[at++] = memcpy(text, name, strlen(name) + 1);
        rest = STR_NONE;
    }
    while (at < n && str_split(&rest, ':', &dir)) {
        plan->paths[at++] = text;
        memcpy(text, dir.p, dir.n);
        text += dir.n;
        if (dir.n)
            *text++ = '/';
        memcpy(text, name, strlen(name) + 1);
        text += strlen(name) + 1;
    }
    plan->paths[at] = NULL;
    return STATUS_OK;
}

static Status plan_shell(struct proc_plan *plan, size_t n_args, struct err *err)
{
    plan->sh_argv = calloc(n_args + 2, sizeof(char *));
    if (!plan->sh_argv)
        return err_set(err, STATUS_NOMEM, NULL, "out of memory");
    plan->sh_argv[0] = "/bin/sh";
    for (size_t i = 1; i < n_args; i++)
        plan->sh_argv[i + 1] = plan->spec->argv[i];
    return STATUS_OK;
}

/* The groups of the user, from the user database. An unprivileged process that stays itself changes
 * nothing (it could not set groups anyway). */
static Status plan_user(struct proc_plan *plan, struct err *err)
{
    const struct proc_spec *spec = plan->spec;
    int n = 64;

    if (!spec->set_user)
        return STATUS_OK;
    if (geteuid() != 0 && spec->uid == geteuid() && spec->gid == getegid())
        return STATUS_OK;
    plan->change_user = true;
    if (!spec->user_name || !*spec->user_name)
        return STATUS_OK;
    for (;;) {
        const int room = n;

        free(plan->groups);
        plan->groups = calloc((size_t)room, sizeof(gid_t));
        if (!plan->groups)
            return err_set(err, STATUS_NOMEM, NULL, "out of memory");
        if (getgrouplist(spec->user_name, spec->gid, plan->groups, &n) >= 0)
            break;
        if (n <= room || n > SPAWN_GROUPS_MAX)
            return err_set(err, STATUS_IO, NULL, "Cannot read the groups of user %s",
                           spec->user_name);
    }
    plan->n_groups = (size_t)n;
    return STATUS_OK;
}

static Status plan_make(struct proc_plan *plan, struct err *err)
{
    const struct proc_spec *spec = plan->spec;
    const size_t n_args = words_count(spec->argv);
    const char *path = env_get(spec->env, "PATH");
    Status st;

    if (n_args == 0 || !*spec->argv[0])
        return err_set(err, STATUS_INVALID, "argv", "There is no program to run");
    if (n_args > PROC_ARGS_MAX)
        return err_set(err, STATUS_TOO_BIG, "argv", "More than %u arguments", PROC_ARGS_MAX);
    if (words_count(spec->env) > PROC_ENV_MAX)
        return err_set(err, STATUS_TOO_BIG, "env", "More than %u variables", PROC_ENV_MAX);
    st = plan_paths(plan, path ? path : SPAWN_PATH_DEFAULT, err);
    if (!st)
        st = plan_shell(plan, n_args, err);
    if (!st)
        st = plan_user(plan, err);
    return st;
}

static void plan_done(struct proc_plan *plan)
{
    free(plan->paths);
    free(plan->sh_argv);
    free(plan->groups);
}

/* A pipe whose writing end is above 2, so that the child's streams never meet it. */
static int report_pipe(int fd[2])
{
    if (pipe2(fd, O_CLOEXEC) != 0)
        return errno;
    if (fd[1] < 3) {
        const int moved = fcntl(fd[1], F_DUPFD_CLOEXEC, 3);
        const int error = errno;

        close(fd[1]);
        fd[1] = moved;
        if (moved < 0) {
            close(fd[0]);
            return error;
        }
    }
    return 0;
}

/* Alone in this function: nothing else may live in the frame that vfork returns to twice. */
static pid_t plan_fork(const struct proc_plan *plan)
{
    const pid_t pid = vfork();

    if (pid == 0)
        proc_child_exec(plan);
    return pid;
}

static Status report_error(const struct proc_spec *spec, const struct proc_report *report,
                           struct err *err)
{
    const int error = report->error;

    switch ((enum proc_step)report->step) {
    case PROC_STEP_STREAMS:
        return err_errno(err, error, "Cannot set up the standard streams");
    case PROC_STEP_SESSION:
        return err_errno(err, error, "Cannot start a session");
    case PROC_STEP_LIMITS:
        return err_errno(err, error, "Cannot set the resource limits");
    case PROC_STEP_FOLDER:
        return err_errno(err, error, "Cannot enter the folder %s", spec->cwd);
    case PROC_STEP_USER:
        return err_errno(err, error, "Cannot become user %u", (unsigned)spec->uid);
    case PROC_STEP_EXEC:
        break;
    }
    if (error == ENOENT)
        return err_set(
            err, STATUS_MISSING, NULL,
            "Child process failed to spawn (Check executable location and permissions?)");
    return err_set(err, status_from_errno(error), NULL, "%s", strerror(error));
}

/* OK when the child went on to its program; otherwise the child is reaped and the reason in err. */
static Status report_read(const struct proc_spec *spec, int fd, pid_t pid, struct err *err)
{
    struct proc_report report = { 0 };
    ssize_t n;

    do
        n = read(fd, &report, sizeof(report));
    while (n < 0 && errno == EINTR);
    if (n == 0)
        return STATUS_OK;
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    if (n != (ssize_t)sizeof(report))
        return err_set(err, STATUS_IO, NULL, "Child process failed to spawn");
    return report_error(spec, &report, err);
}

Status proc_spawn(const struct proc_spec *spec, pid_t *ret_pid, struct err *err)
{
    struct proc_plan plan = { .spec = spec, .report_fd = -1 };
    int report[2] = { -1, -1 };
    sigset_t all;
    sigset_t before;
    pid_t pid;
    int error;
    Status st = plan_make(&plan, err);

    if (st)
        goto out;
    error = report_pipe(report);
    if (error) {
        st = err_errno(err, error, "Cannot make a pipe");
        goto out;
    }
    plan.report_fd = report[1];
    sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    pid = plan_fork(&plan);
    error = errno;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    close(report[1]);
    if (pid < 0)
        st = err_errno(err, error, "Cannot start a process");
    else
        st = report_read(spec, report[0], pid, err);
    close(report[0]);
    if (!st)
        *ret_pid = pid;
out:
    plan_done(&plan);
    return st;
}
