/* Writing the stream of a job. Invariant: the file is `size` bytes of whole frames, or has a torn
 * frame behind them that is cut off before anything else is written. A full disk never blocks the
 * job: output is counted instead of written, tried again once a second, and a note says how much is
 * missing. */
#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "sat/super_int.h"

#define STREAM_RETRY USEC_SEC

_Static_assert(sizeof(struct super_frame) == 16, "the frame head is 16 bytes on disk");

void super_stream_init(struct super_stream *s, int fd, uint64_t max)
{
    *s = (struct super_stream){ .fd = fd, .max = max };
}

/* Writes head and body; 0 or errno. */
static int write_both(int fd, struct iovec v[2])
{
    size_t at = 0;

    while (at < 2) {
        ssize_t n = writev(fd, v + at, (int)(2 - at));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno;
        while (at < 2 && (size_t)n >= v[at].iov_len) {
            n -= (ssize_t)v[at].iov_len;
            at++;
        }
        if (at < 2) {
            v[at].iov_base = (char *)v[at].iov_base + n;
            v[at].iov_len -= (size_t)n;
        }
    }
    return 0;
}

static int stream_mend(struct super_stream *s)
{
    if (s->torn && ftruncate(s->fd, (off_t)s->size) != 0)
        return errno;
    s->torn = false;
    return 0;
}

static int stream_write(struct super_stream *s, enum super_frame_type type, const void *p, size_t n)
{
    struct super_frame head = { .n = htole32((uint32_t)n), .type = (uint8_t)type };
    struct iovec v[2] = { { .iov_base = &head, .iov_len = sizeof(head) },
                          { .iov_base = (void *)(uintptr_t)p, .iov_len = n } };
    int error = stream_mend(s);

    if (error)
        return error;
    head.at = htole64((uint64_t)clock_wall());
    error = write_both(s->fd, v);
    if (!error) {
        s->size += sizeof(head) + n;
        return 0;
    }
    s->torn = true;
    (void)stream_mend(s);
    return error;
}

static int stream_note_lost(struct super_stream *s)
{
    char text[160];
    int error;

    (void)snprintf(text, sizeof(text), "%llu bytes of the job's output were lost: %s",
                   (unsigned long long)s->lost, strerror(s->lost_error));
    error = stream_write(s, SUPER_NOTE, text, strlen(text));
    if (!error)
        s->lost = 0;
    return error;
}

/* What must come before anything else: a text that did not fit, then the account of lost output. */
static int stream_settle(struct super_stream *s)
{
    int error = 0;

    if (s->pending[0])
        error = stream_write(s, s->pending_type, s->pending, strlen(s->pending));
    if (!error)
        s->pending[0] = 0;
    if (!error && s->lost)
        error = stream_note_lost(s);
    return error;
}

static bool stream_is_behind(const struct super_stream *s)
{
    return s->pending[0] || s->lost;
}

static void stream_lose(struct super_stream *s, size_t n, int error)
{
    s->lost += n;
    s->lost_error = error;
    s->retry_at = clock_mono() + STREAM_RETRY;
}

/* True when the output may not be written any more. */
static bool stream_cap(struct super_stream *s, size_t n)
{
    char text[160];

    if (!s->capped) {
        if (s->size + sizeof(struct super_frame) + n + SUPER_STREAM_RESERVE <= s->max)
            return false;
        s->capped = true;
        (void)snprintf(text, sizeof(text),
                       "The job's output has reached %llu bytes; the rest is dropped",
                       (unsigned long long)s->size);
        super_stream_text(s, SUPER_NOTE, text);
    }
    s->capped_bytes += n;
    return true;
}

void super_stream_output(struct super_stream *s, enum super_frame_type type, const void *p,
                         size_t n)
{
    int error = 0;

    if (stream_cap(s, n))
        return;
    if (stream_is_behind(s) && clock_mono() < s->retry_at) {
        s->lost += n;
        return;
    }
    if (stream_is_behind(s))
        error = stream_settle(s);
    if (!error)
        error = stream_write(s, type, p, n);
    if (error)
        stream_lose(s, n, error);
}

void super_stream_text(struct super_stream *s, enum super_frame_type type, const char *text)
{
    int error = stream_is_behind(s) ? stream_settle(s) : 0;

    if (!error)
        error = stream_write(s, type, text, strlen(text));
    if (!error)
        return;
    s->lost_error = error;
    s->retry_at = clock_mono() + STREAM_RETRY;
    if (!s->pending[0]) {
        s->pending_type = type;
        (void)str_copy_z(str_z(text), s->pending, sizeof(s->pending));
    }
}

static bool stream_is_gone(const struct super_stream *s)
{
    struct stat st;

    return fstat(s->fd, &st) != 0 || st.st_nlink == 0;
}

void super_stream_last(struct super_stream *s, enum super_frame_type type, const char *text)
{
    char note[96];

    if (s->capped) {
        (void)snprintf(note, sizeof(note), "%llu bytes of the job's output were dropped",
                       (unsigned long long)s->capped_bytes);
        super_stream_text(s, SUPER_NOTE, note);
    }
    for (;;) {
        int error = stream_settle(s);

        if (!error)
            error = stream_write(s, type, text, strlen(text));
        if (!error || stream_is_gone(s))
            return;
        (void)poll(NULL, 0, (int)(STREAM_RETRY / USEC_MSEC));
    }
}
