/* The launcher: a small process that waits for datagrams and forks a supervisor for each. It is
 * forked from the satellite before that has threads or connections, so its forks are cheap and
 * carry nothing. It lets the kernel reap the supervisors, and ends when the satellite's end of the
 * socket is closed and everything sent before is started. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "base/file.h"
#include "base/id.h"
#include "sat/super_int.h"

/* Fields of /proc/self/stat, counted from 1 (proc(5)). */
#define STAT_ARG_START 48
#define STAT_ENV_END   51

#define QUEUE_FILES_OWN 32u /* descriptors kept free for a supervisor's own */

struct launch {
    char id[ID_MAX + 1];
    int stream;
};

/* Jobs received and not yet started: a ring. */
struct queue {
    struct launch at[SUPER_QUEUE_MAX];
    size_t first;
    size_t n;
    size_t max;
    bool open;
};

/* Where the kernel takes our command line from: arguments and environment lie in one piece. */
static struct super_title title_find(void)
{
    AUTO_BUF struct buf text = { 0 };
    struct super_title title = { 0 };
    struct str rest;
    struct str field;
    uint64_t v[STAT_ENV_END + 1] = { 0 };
    size_t i = 1;

    buf_init(&text, 8192);
    if (file_read("/proc/self/stat", &text, NULL) != STATUS_OK)
        return title;
    rest = str_trim(buf_str(&text));
    while (i <= STAT_ENV_END && str_split(&rest, ' ', &field)) {
        (void)str_to_u64(field, &v[i]);
        /* the name in parentheses may hold blanks: it ends with the last field that ends in ')' */
        i += i == 2 && !str_ends(field, STR(")")) ? 0 : 1;
    }
    if (i > STAT_ENV_END && v[STAT_ARG_START] && v[STAT_ENV_END] > v[STAT_ARG_START]) {
        title.p = (char *)(uintptr_t)v[STAT_ARG_START];
        title.n = (size_t)(v[STAT_ENV_END] - v[STAT_ARG_START]);
    }
    return title;
}

void super_title_set(const struct super_title *title, const char *what, const char *name)
{
    char text[ID_MAX + 32];

    (void)snprintf(text, sizeof(text), "orrery-sat: %s%s%s", what, *name ? " " : "", name);
    (void)prctl(PR_SET_NAME, text);
    if (!title->p)
        return;
    memset(title->p, 0, title->n);
    (void)str_copy_z(str_z(text), title->p, title->n);
}

/* The supervisors inherit this: they end with their job and with nothing else. */
static void signals_ignore(void)
{
    static const int ignored[] = { SIGHUP,  SIGINT,  SIGQUIT, SIGTERM, SIGPIPE, SIGALRM,
                                   SIGUSR1, SIGUSR2, SIGTSTP, SIGTTIN, SIGTTOU, SIGXFSZ };
    struct sigaction act = { .sa_handler = SIG_IGN };
    sigset_t none;

    for (size_t i = 0; i < COUNT_OF(ignored); i++)
        (void)sigaction(ignored[i], &act, NULL);
    act = (struct sigaction){ .sa_handler = SIG_DFL, .sa_flags = SA_NOCLDWAIT };
    (void)sigaction(SIGCHLD, &act, NULL);
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static bool descriptors_arrange(int socket, int spool_dir)
{
    const int s = fcntl(socket, F_DUPFD_CLOEXEC, 10);
    const int d = fcntl(spool_dir, F_DUPFD_CLOEXEC, 10);
    const int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (s < 0 || d < 0 || null < 0)
        return false;
    for (int fd = 0; fd < 3; fd++) {
        if (dup2(null, fd) < 0)
            return false;
    }
    if (dup3(s, SUPER_FD_SOCKET, O_CLOEXEC) < 0 || dup3(d, SUPER_FD_SPOOL, O_CLOEXEC) < 0)
        return false;
    return syscall(SYS_close_range, (unsigned)SUPER_FD_SPOOL + 1, ~0u, 0u) == 0;
}

enum received { RECEIVED_JOB, RECEIVED_NOTHING, RECEIVED_JUNK, RECEIVED_END };

/* One datagram: the job's id and its stream. */
static enum received receive(struct launch *launch, int flags)
{
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec v = { .iov_base = launch->id, .iov_len = ID_MAX };
    struct msghdr msg = { .msg_iov = &v,
                          .msg_iovlen = 1,
                          .msg_control = control.space,
                          .msg_controllen = sizeof(control.space) };
    ssize_t n;
    struct cmsghdr *c;

    do
        n = recvmsg(SUPER_FD_SOCKET, &msg, MSG_CMSG_CLOEXEC | flags);
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN)
        return RECEIVED_NOTHING;
    if (n <= 0)
        return RECEIVED_END;
    c = CMSG_FIRSTHDR(&msg);
    if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
        return RECEIVED_JUNK;
    memcpy(&launch->stream, CMSG_DATA(c), sizeof(int));
    launch->id[n] = 0;
    return RECEIVED_JOB;
}

/* Takes what has come into the queue, waiting only when that is empty: between two forks the socket
 * is emptied, so the satellite never waits for more than one of them. */
static bool queue_fill(struct queue *q)
{
    while (q->open && q->n < q->max) {
        struct launch *to = &q->at[(q->first + q->n) % SUPER_QUEUE_MAX];

        switch (receive(to, q->n ? MSG_DONTWAIT : 0)) {
        case RECEIVED_JOB:
            q->n++;
            break;
        case RECEIVED_NOTHING:
            return true;
        case RECEIVED_JUNK:
            break;
        case RECEIVED_END:
            q->open = false;
            break;
        }
    }
    return q->n > 0;
}

/* Each waiting job is a descriptor here. */
static size_t queue_max(void)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) != 0 ||
        files.rlim_cur >= SUPER_QUEUE_MAX + QUEUE_FILES_OWN)
        return SUPER_QUEUE_MAX;
    return files.rlim_cur > QUEUE_FILES_OWN ? (size_t)files.rlim_cur - QUEUE_FILES_OWN : 1;
}

NORETURN static void supervisor(const struct launch *launch, const struct super_title *title,
                                const struct super_limits *limits)
{
    const int job_dir = openat(SUPER_FD_SPOOL, launch->id, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    /* Everything else goes, the streams of other jobs above all: holding them would keep their
     * locks. */
    (void)dup3(launch->stream, SUPER_FD_STREAM, O_CLOEXEC);
    if (job_dir < 0)
        close(SUPER_FD_JOB);
    else
        (void)dup3(job_dir, SUPER_FD_JOB, O_CLOEXEC);
    (void)syscall(SYS_close_range, (unsigned)SUPER_FD_JOB + 1, ~0u, 0u);
    (void)setsid();
    super_title_set(title, "job", launch->id);
    super_run(job_dir < 0 ? -1 : SUPER_FD_JOB, SUPER_FD_STREAM, limits);
    _exit(0);
}

static void supervisor_fork(const struct launch *launch, const struct super_title *title,
                            const struct super_limits *limits)
{
    struct super_stream s;
    char text[256];
    const pid_t pid = fork();

    if (pid == 0)
        supervisor(launch, title, limits);
    if (pid < 0) {
        (void)snprintf(text, sizeof(text), "Cannot start a supervisor: %s", strerror(errno));
        super_stream_init(&s, launch->stream, limits->stream_max);
        super_stream_text(&s, SUPER_FAILED, text);
    }
}

NORETURN void super_launcher(int socket, int spool_dir, const struct super_limits *limits)
{
    const struct super_title title = title_find();
    struct queue *q = calloc(1, sizeof(*q));

    signals_ignore();
    (void)setsid();
    (void)clearenv(); /* its memory becomes the title */
    super_title_set(&title, "launcher", "");
    if (!q || !descriptors_arrange(socket, spool_dir))
        _exit(1);
    q->open = true;
    q->max = queue_max();
    while (queue_fill(q)) {
        const struct launch *next = &q->at[q->first];

        supervisor_fork(next, &title, limits);
        close(next->stream);
        q->first = (q->first + 1) % SUPER_QUEUE_MAX;
        q->n--;
    }
    _exit(0);
}
