/* A child on the loop. Three pipes and a pidfd, each a libuv handle; the child is finished when the
 * process is reaped and both outputs are at their end (or silent for a while after the exit, held
 * open by something the child left behind). Then all handles close, and after the last one on_exit
 * runs and the memory goes: nothing refers to the child any more. One timer serves the timeout,
 * another the silence. */
#include "proc/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <uv.h>

#define CHILD_READ (16u * 1024)

enum child_stage { CHILD_RUNS, CHILD_TERMINATED, CHILD_KILLED };

struct proc_child {
    struct loop *loop;
    struct proc_child_ops ops;
    void *ctx;
    pid_t pid;
    int pidfd;
    uv_pipe_t in;
    uv_pipe_t out[2];
    uv_poll_t end;
    uv_write_t write;
    char *input;
    unsigned open; /* handles that are not closed yet */
    bool reading[2];
    bool exited;
    bool silent; /* no callbacks */
    bool timed_out;
    bool finishing;
    enum child_stage stage;
    int wait_status;
    struct loop_timer *deadline;
    struct loop_timer *linger;
    char chunk[CHILD_READ];
};

static void child_free(struct proc_child *c)
{
    loop_timer_free(c->deadline);
    loop_timer_free(c->linger);
    if (c->pidfd >= 0)
        close(c->pidfd);
    free(c->input);
    free(c);
}

static void on_closed(uv_handle_t *handle)
{
    struct proc_child *c = handle->data;
    const int status = c->wait_status;

    c->open--;
    if (c->open || !c->finishing)
        return;
    if (!c->silent)
        c->ops.on_exit(c->ctx, WIFEXITED(status) ? WEXITSTATUS(status) : 0,
                       WIFSIGNALED(status) ? WTERMSIG(status) : 0, c->timed_out);
    child_free(c);
}

static void handle_close(uv_handle_t *handle)
{
    if (handle->data && !uv_is_closing(handle))
        uv_close(handle, on_closed);
}

static void child_finish(struct proc_child *c)
{
    c->finishing = true;
    loop_timer_stop(c->deadline);
    loop_timer_stop(c->linger);
    handle_close((uv_handle_t *)&c->in);
    handle_close((uv_handle_t *)&c->out[0]);
    handle_close((uv_handle_t *)&c->out[1]);
    handle_close((uv_handle_t *)&c->end);
    if (c->open == 0)
        child_free(c); /* nothing was opened: only on a failed start */
}

static void child_check(struct proc_child *c)
{
    if (!c->exited || c->finishing)
        return;
    if (!c->reading[0] && !c->reading[1])
        child_finish(c);
    else
        loop_timer_start(c->linger, PROC_CHILD_LINGER, 0);
}

static void on_linger(void *arg)
{
    child_finish(arg);
}

static void on_deadline(void *arg)
{
    struct proc_child *c = arg;

    switch (c->stage) {
    case CHILD_RUNS:
        c->timed_out = true;
        c->stage = CHILD_TERMINATED;
        proc_child_kill(c, SIGTERM);
        loop_timer_start(c->deadline, PROC_CHILD_GRACE, 0);
        break;
    case CHILD_TERMINATED:
        c->stage = CHILD_KILLED;
        proc_child_kill(c, SIGKILL);
        loop_timer_start(c->deadline, PROC_CHILD_GRACE, 0);
        break;
    case CHILD_KILLED: /* whoever still holds the pipes has had its time */
        if (c->exited)
            child_finish(c);
        break;
    }
}

static void on_end(uv_poll_t *handle, int status, int events)
{
    struct proc_child *c = handle->data;
    pid_t got;

    (void)status;
    (void)events;
    do
        got = waitpid(c->pid, &c->wait_status, WNOHANG);
    while (got < 0 && errno == EINTR);
    if (got == 0)
        return;
    if (got < 0)
        c->wait_status = 0; /* reaped by somebody else: how it ended is not known */
    c->exited = true;
    handle_close((uv_handle_t *)&c->end);
    child_check(c);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
{
    struct proc_child *c = handle->data;

    (void)suggested;
    *ret = uv_buf_init(c->chunk, CHILD_READ);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct proc_child *c = stream->data;
    const int which = stream == (uv_stream_t *)&c->out[0] ? 0 : 1;

    if (n == 0)
        return;
    if (n > 0) {
        if (!c->silent)
            c->ops.on_output(c->ctx, which + 1, buf->base, (size_t)n);
    } else {
        c->reading[which] = false;
        handle_close((uv_handle_t *)stream);
    }
    child_check(c);
}

static void on_written(uv_write_t *write, int status)
{
    struct proc_child *c = write->handle->data;

    (void)status; /* a child that does not read its input is no error */
    handle_close((uv_handle_t *)&c->in);
}

/* Makes the handle ours: from here on it must be closed. */
static void handle_own(struct proc_child *c, uv_handle_t *handle)
{
    handle->data = c;
    c->open++;
}

/* Takes *fd in any case. */
static int pipe_open(struct proc_child *c, uv_pipe_t *pipe, int *fd)
{
    int error = uv_pipe_init(loop_uv(c->loop), pipe, 0);

    if (error == 0) {
        handle_own(c, (uv_handle_t *)pipe);
        error = uv_pipe_open(pipe, *fd);
    }
    if (error != 0)
        close(*fd);
    *fd = -1;
    return error;
}

static int child_watch(struct proc_child *c)
{
    int error;

    c->pidfd = (int)syscall(SYS_pidfd_open, c->pid, 0u);
    if (c->pidfd < 0)
        return uv_translate_sys_error(errno);
    error = uv_poll_init(loop_uv(c->loop), &c->end, c->pidfd);
    if (error != 0)
        return error;
    handle_own(c, (uv_handle_t *)&c->end);
    return uv_poll_start(&c->end, UV_READABLE, on_end);
}

/* fd: our ends of the three pipes; each becomes a handle's. */
static int child_attach(struct proc_child *c, int fd[3], size_t input_n)
{
    int error = child_watch(c);

    for (int i = 0; i < 2 && error == 0; i++) {
        error = pipe_open(c, &c->out[i], &fd[i + 1]);
        if (error == 0)
            error = uv_read_start((uv_stream_t *)&c->out[i], on_alloc, on_read);
        c->reading[i] = error == 0;
    }
    if (error == 0 && fd[0] >= 0) {
        const uv_buf_t text = uv_buf_init(c->input, (unsigned)input_n);

        error = pipe_open(c, &c->in, &fd[0]);
        if (error == 0)
            error = uv_write(&c->write, (uv_stream_t *)&c->in, &text, 1, on_written);
    }
    return error;
}

static void close_all(int fd[3])
{
    for (int i = 0; i < 3; i++) {
        if (fd[i] >= 0)
            close(fd[i]);
        fd[i] = -1;
    }
}

/* Pipes to the child; without input its stdin is /dev/null. */
static Status child_pipes(int ours[3], int theirs[3], bool with_input, struct err *err)
{
    for (int i = with_input ? 0 : 1; i < 3; i++) {
        int fd[2];

        if (pipe2(fd, O_CLOEXEC) != 0)
            return err_errno(err, errno, "Cannot make a pipe");
        ours[i] = fd[i == 0 ? 1 : 0];
        theirs[i] = fd[i == 0 ? 0 : 1];
    }
    return STATUS_OK;
}

static Status child_spawn(struct proc_child *c, const struct proc_spec *spec, size_t input_n,
                          struct err *err)
{
    int ours[3] = { -1, -1, -1 };
    int theirs[3] = { -1, -1, -1 };
    struct proc_spec own = *spec;
    Status st = child_pipes(ours, theirs, input_n > 0, err);
    int error = 0;

    if (!st) {
        memcpy(own.fd, theirs, sizeof(theirs));
        st = proc_spawn(&own, &c->pid, err);
    }
    close_all(theirs);
    if (!st)
        error = child_attach(c, ours, input_n);
    close_all(ours);
    if (error != 0) {
        proc_child_kill(c, SIGKILL);
        while (waitpid(c->pid, &c->wait_status, 0) < 0 && errno == EINTR)
            ;
        st = err_set(err, STATUS_IO, NULL, "Cannot watch a process: %s", uv_strerror(error));
    }
    return st;
}

Status proc_child_start(struct loop *l, const struct proc_spec *spec, struct str stdin_text,
                        Usec timeout, const struct proc_child_ops *ops, void *ctx,
                        struct proc_child **ret, struct err *err)
{
    struct proc_child *c;
    Status st;

    if (stdin_text.n > PROC_CHILD_STDIN_MAX)
        return err_set(err, STATUS_TOO_BIG, NULL, "The input is too big");
    c = calloc(1, sizeof(*c));
    if (!c)
        return err_set(err, STATUS_NOMEM, NULL, "out of memory");
    *c = (struct proc_child){ .loop = l, .ops = *ops, .ctx = ctx, .pidfd = -1 };
    c->deadline = loop_timer_new(l, "proc.child.deadline", on_deadline, c);
    c->linger = loop_timer_new(l, "proc.child.linger", on_linger, c);
    c->input = malloc(stdin_text.n + 1);
    if (!c->deadline || !c->linger || !c->input) {
        child_free(c);
        return err_set(err, STATUS_NOMEM, NULL, "out of memory");
    }
    if (stdin_text.n)
        memcpy(c->input, stdin_text.p, stdin_text.n);
    st = child_spawn(c, spec, stdin_text.n, err);
    if (st) {
        c->silent = true;
        child_finish(c);
        return st;
    }
    if (timeout > 0)
        loop_timer_start(c->deadline, timeout, 0);
    *ret = c;
    return STATUS_OK;
}

pid_t proc_child_pid(const struct proc_child *c)
{
    return c->pid;
}

void proc_child_kill(struct proc_child *c, int signal)
{
    if (c->pid > 1)
        (void)kill(-c->pid, signal);
}

void proc_child_close(struct proc_child *c)
{
    if (!c)
        return;
    c->silent = true;
    proc_child_kill(c, SIGKILL);
    if (c->finishing)
        return;
    for (int i = 0; i < 2; i++) {
        c->reading[i] = false;
        handle_close((uv_handle_t *)&c->out[i]);
    }
    loop_timer_stop(c->linger);
    child_check(c);
}
