/* A supervisor: one job from spawn to exit. It reads the job's two pipes into the stream, reaps the
 * job and whatever of its orphans come to it, and writes the exit last. It waits in one poll and
 * holds no memory to speak of. A job that writes many small pieces gets short pauses, so that they
 * become few frames; its end is seen at once even so. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/file.h"
#include "proc/tree.h"
#include "sat/super_int.h"

#define RUN_CHUNK     (256u * 1024)   /* bytes in one frame at most; also the size of a busy pipe */
#define RUN_PIPE      (64u * 1024)    /* what a pipe holds before it is enlarged */
#define RUN_SMALL     4096u           /* pieces below this, ... */
#define RUN_SOON      (5 * USEC_MSEC) /* ... sooner than this after the last one, are collected */
#define RUN_PAUSE_MS  2
#define RUN_OOM_SCORE "-500"

struct run {
    struct super_stream stream;
    int pipe[2]; /* read ends of stdout, stderr; -1 at their end */
    bool enlarged[2];
    int signals;
    pid_t child;
    bool ended;
    int wait_status;
    Usec linger;
    Usec last_output; /* or the child's end; monotonic */
    bool pause;
    char *chunk;
};

/* Reaps everything; orphans of the job are our children, too. */
static void run_reap(struct run *r)
{
    struct signalfd_siginfo info[8];
    int status;

    while (read(r->signals, info, sizeof(info)) > 0)
        ;
    for (;;) {
        const pid_t pid = waitpid(-1, &status, WNOHANG);

        if (pid <= 0)
            return;
        if (pid == r->child && (WIFEXITED(status) || WIFSIGNALED(status))) {
            r->ended = true;
            r->wait_status = status;
            r->last_output = clock_mono();
        }
    }
}

static void run_close(struct run *r, int i)
{
    close(r->pipe[i]);
    r->pipe[i] = -1;
}

/* One read of a pipe into one frame. */
static void run_take(struct run *r, int i)
{
    char small[RUN_SMALL];
    char *to = small; /* when there is no memory */
    size_t room = sizeof(small);
    ssize_t n;
    Usec now;

    if (!r->chunk)
        r->chunk = malloc(RUN_CHUNK);
    if (r->chunk) {
        to = r->chunk;
        room = RUN_CHUNK;
    }
    n = read(r->pipe[i], to, room);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        run_close(r, i);
        return;
    }
    if ((size_t)n >= RUN_PIPE && !r->enlarged[i]) {
        (void)fcntl(r->pipe[i], F_SETPIPE_SZ, (int)RUN_CHUNK);
        r->enlarged[i] = true;
    }
    super_stream_output(&r->stream, i == 0 ? SUPER_STDOUT : SUPER_STDERR, to, (size_t)n);
    now = clock_mono();
    if ((size_t)n < RUN_SMALL && now - r->last_output < RUN_SOON)
        r->pause = true;
    r->last_output = now;
}

static bool run_finished(const struct run *r)
{
    if (!r->ended)
        return false;
    if (r->pipe[0] < 0 && r->pipe[1] < 0)
        return true;
    return clock_mono() - r->last_output >= r->linger;
}

static int run_timeout_ms(const struct run *r)
{
    Usec left;

    if (!r->ended)
        return -1;
    left = r->last_output + r->linger - clock_mono();
    return left <= 0 ? 0 : (int)(left / USEC_MSEC) + 1;
}

static void run_wait(struct run *r)
{
    struct pollfd fds[3] = {
        { .fd = r->signals, .events = POLLIN },
        { .fd = r->pipe[0], .events = POLLIN },
        { .fd = r->pipe[1], .events = POLLIN },
    };
    int n;

    if (r->pause && !r->ended)
        n = poll(fds, 1, RUN_PAUSE_MS);
    else
        n = poll(fds, 3, run_timeout_ms(r));
    r->pause = false;
    if (n <= 0)
        return;
    for (int i = 0; i < 2; i++) {
        if (fds[i + 1].revents)
            run_take(r, i);
    }
    if (fds[0].revents)
        run_reap(r);
}

static void run_loop(struct run *r)
{
    char text[48];

    while (!run_finished(r))
        run_wait(r);
    if (r->pipe[0] >= 0 || r->pipe[1] >= 0)
        super_stream_text(&r->stream, SUPER_NOTE,
                          "The job's process has ended, but another process holds its output open; "
                          "what that writes from now on is not seen");
    if (WIFSIGNALED(r->wait_status))
        (void)snprintf(text, sizeof(text), "signal %d", WTERMSIG(r->wait_status));
    else
        (void)snprintf(text, sizeof(text), "code %d", WEXITSTATUS(r->wait_status));
    super_stream_last(&r->stream, SUPER_EXIT, text);
}

static Status exec_read(int job_dir, struct super_exec *x, struct err *err)
{
    const int fd = openat(job_dir, "exec", O_RDONLY | O_CLOEXEC);
    struct stat st;
    char *text;
    ssize_t n;

    if (fd < 0)
        return err_errno(err, errno, "Cannot open the job's exec file");
    if (fstat(fd, &st) != 0 || st.st_size <= 0 || (uint64_t)st.st_size > SUPER_EXEC_MAX) {
        close(fd);
        return err_set(err, STATUS_CORRUPT, NULL, "The job's exec file has no usable size");
    }
    text = malloc((size_t)st.st_size);
    n = text ? read(fd, text, (size_t)st.st_size) : -1;
    close(fd);
    if (n != st.st_size) {
        free(text);
        return err_set(err, STATUS_IO, NULL, "Cannot read the job's exec file");
    }
    return super_exec_parse(x, text, (size_t)n, err);
}

static Status run_pipes(struct run *r, struct proc_spec *spec, struct err *err)
{
    for (int i = 0; i < 2; i++) {
        int fd[2];

        if (pipe2(fd, O_CLOEXEC) != 0)
            return err_errno(err, errno, "Cannot make a pipe");
        r->pipe[i] = fd[0];
        spec->fd[i + 1] = fd[1];
        (void)fcntl(fd[0], F_SETFL, O_NONBLOCK);
    }
    return STATUS_OK;
}

static Status run_signals(struct run *r, struct err *err)
{
    struct sigaction act = { .sa_handler = SIG_DFL };
    sigset_t child;

    (void)sigaction(SIGCHLD, &act, NULL); /* the launcher's setting would reap the job unseen */
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    (void)sigprocmask(SIG_SETMASK, &child, NULL);
    r->signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
    if (r->signals < 0)
        return err_errno(err, errno, "Cannot watch the job");
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    return STATUS_OK;
}

static Status run_start(struct run *r, int job_dir, struct err *err)
{
    struct super_exec x = { 0 };
    Status st = exec_read(job_dir, &x, err);

    if (!st)
        st = run_pipes(r, &x.spec, err);
    if (!st)
        st = run_signals(r, err);
    if (!st) {
        x.spec.fd[0] = openat(job_dir, "stdin", O_RDONLY | O_CLOEXEC); /* absent: /dev/null */
        st = proc_spawn(&x.spec, &r->child, err);
    }
    for (int i = 0; i < 3; i++) {
        if (x.spec.fd[i] > 2)
            close(x.spec.fd[i]);
    }
    super_exec_done(&x);
    return st;
}

/* After the spawn, so that the job keeps the score the satellite was started with. */
static void run_protect(void)
{
    const int fd = geteuid() == 0 ? open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC) : -1;

    if (fd < 0)
        return;
    (void)file_write_all(fd, RUN_OOM_SCORE, strlen(RUN_OOM_SCORE));
    close(fd);
}

void super_run(int job_dir, int stream, const struct super_limits *limits)
{
    struct run r = { .pipe = { -1, -1 }, .signals = -1, .linger = limits->linger };
    struct err err = { 0 };
    uint64_t ticks = 0;
    char text[96];

    super_stream_init(&r.stream, stream, limits->stream_max);
    if (job_dir < 0) {
        super_stream_last(&r.stream, SUPER_FAILED, "The job's folder is gone");
        return;
    }
    if (run_start(&r, job_dir, &err) != STATUS_OK) {
        super_stream_last(&r.stream, SUPER_FAILED, err.text);
        return;
    }
    close(job_dir);
    if (proc_start_ticks(r.child, &ticks) != STATUS_OK)
        ticks = 0; /* it waits to be reaped by us, so this does not happen */
    (void)snprintf(text, sizeof(text), "%d %llu %d", (int)r.child, (unsigned long long)ticks,
                   (int)getpid());
    super_stream_text(&r.stream, SUPER_STARTED, text);
    run_protect();
    r.last_output = clock_mono();
    run_loop(&r);
}
