/* The satellite's side of the supervisors: starting the launcher, sending it jobs, asking whether a
 * supervisor lives. The stream is made and locked here and its descriptor is handed over, so there
 * is no moment in which a launched job has no stream or looks dead. */
#include "sat/super.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/id.h"
#include "sat/super_int.h"

#define SUPER_SEND_WAIT_MS 20 /* the launcher empties its socket after each fork */

struct super {
    int socket;
    int spool;
    pid_t launcher;
};

Status super_start(const char *spool_dir, struct super **ret, struct err *err)
{
    static const struct super_limits limits = { .stream_max = SUPER_STREAM_MAX,
                                                .linger = SUPER_LINGER };

    return super_start_limited(spool_dir, &limits, ret, err);
}

Status super_start_limited(const char *spool_dir, const struct super_limits *limits,
                           struct super **ret, struct err *err)
{
    struct super *s = malloc(sizeof(*s));
    int pair[2];

    if (!s)
        return err_set(err, STATUS_NOMEM, NULL, "out of memory");
    s->spool = open(spool_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->spool < 0) {
        const int error = errno;

        free(s);
        return err_errno(err, error, "Cannot open the spool %s", spool_dir);
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
        const int error = errno;

        close(s->spool);
        free(s);
        return err_errno(err, error, "Cannot make a socket pair");
    }
    s->socket = pair[0];
    s->launcher = fork();
    if (s->launcher == 0)
        super_launcher(pair[1], s->spool, limits);
    close(pair[1]);
    if (s->launcher < 0) {
        const int error = errno;

        super_free(s);
        return err_errno(err, error, "Cannot fork the launcher");
    }
    *ret = s;
    return STATUS_OK;
}

void super_free(struct super *s)
{
    if (!s)
        return;
    close(s->socket);
    close(s->spool);
    if (s->launcher > 0) {
        while (waitpid(s->launcher, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    free(s);
}

/* 0 or errno; EAGAIN when the launcher's queue stayed full. */
static int launch_send(const struct super *s, struct str id, int stream)
{
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(int))];
    } control = { 0 };
    struct iovec v = { .iov_base = (void *)(uintptr_t)id.p, .iov_len = id.n };
    struct msghdr msg = { .msg_iov = &v,
                          .msg_iovlen = 1,
                          .msg_control = control.space,
                          .msg_controllen = sizeof(control.space) };
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    struct pollfd wait = { .fd = s->socket, .events = POLLOUT };

    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &stream, sizeof(int));
    for (;;) {
        if (sendmsg(s->socket, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
            return 0;
        if (errno == EINTR)
            continue;
        if (errno != EAGAIN && errno != ETOOMANYREFS)
            return errno;
        if (poll(&wait, 1, SUPER_SEND_WAIT_MS) == 0)
            return EAGAIN;
    }
}

Status super_launch(struct super *s, struct str job_id, struct err *err)
{
    char path[ID_MAX + 16];
    int stream;
    int error;

    if (job_id.n > ID_MAX || !str_is_word(job_id))
        return err_set(err, STATUS_INVALID, NULL, "Bad job id");
    (void)snprintf(path, sizeof(path), "%.*s/stream", STR_FMT(job_id));
    stream = openat(s->spool, path, O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                    0600);
    if (stream < 0 && errno == EEXIST)
        return err_set(err, STATUS_EXISTS, NULL, "The job was launched before");
    if (stream < 0)
        return err_errno(err, errno, "Cannot make the job's stream");
    do
        error = flock(stream, LOCK_EX) == 0 ? 0 : errno;
    while (error == EINTR);
    if (!error)
        error = launch_send(s, job_id, stream);
    if (error)
        (void)unlinkat(s->spool, path, 0);
    close(stream);
    if (error == EAGAIN || error == ETOOMANYREFS)
        return err_set(err, STATUS_BUSY, NULL, "The launcher does not keep up");
    if (error == EPIPE || error == ECONNRESET)
        return err_set(err, STATUS_IO, NULL, "The launcher is gone");
    return error ? err_errno(err, error, "Cannot reach the launcher") : STATUS_OK;
}

bool super_alive(const char *job_dir)
{
    char path[4096];
    int fd;
    bool held;

    if (snprintf(path, sizeof(path), "%s/stream", job_dir) >= (int)sizeof(path))
        return false;
    fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return false;
    held = flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    close(fd);
    return held;
}
