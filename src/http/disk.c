/* The reader and the writer of disk.h. Each is its own lane item, posted again and again; between
 * post and done the lane thread owns the fields it works on, and the loop only touches the flags.
 */
#include "http/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/file.h"

#define RETRY_AFTER (20 * USEC_MSEC)

/* Posts now, or soon when the lane is full. */
struct post {
    struct lane_work work; /* first: the item itself */
    struct loop *loop;
    struct lane *lane;
    struct loop_timer *retry;
    bool busy; /* on the lane or waiting to get there */
};

static void post_try(void *arg)
{
    struct post *p = arg;

    if (lane_post(p->lane, &p->work) == STATUS_OK)
        return;
    if (!p->retry)
        p->retry = loop_timer_new(p->loop, "http.disk_retry", post_try, p);
    if (p->retry) {
        loop_timer_start(p->retry, RETRY_AFTER, 0);
        return;
    }
    p->work.work(&p->work); /* no memory for a timer: rather slow than never */
    p->work.done(&p->work);
}

static void post(struct post *p)
{
    p->busy = true;
    post_try(p);
}

/* ---- reading ---- */

struct reader {
    struct post post;
    const struct reader_ops *ops;
    void *arg;
    int fd;
    bool opened;
    bool closed;
    char *path;
    struct file_facts facts;
    uint64_t offset;
    size_t want;
    uint8_t *block;
    size_t n;
    Status st;
    struct err err;
};

static void reader_free(struct reader *r)
{
    if (r->fd >= 0)
        (void)close(r->fd);
    loop_timer_free(r->post.retry);
    free(r->block);
    free(r->path);
    free(r);
}

static void do_open(struct reader *r)
{
    struct stat st;

    r->fd = open(r->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (r->fd < 0 || fstat(r->fd, &st) != 0) {
        r->st = err_errno(&r->err, errno, "open %s", r->path);
        return;
    }
    if (!S_ISREG(st.st_mode)) {
        r->st = err_set(&r->err, STATUS_MISSING, NULL, "%s is not a file", r->path);
        return;
    }
    r->facts.size = (uint64_t)st.st_size;
    r->facts.mtime = (Usec)st.st_mtim.tv_sec * USEC_SEC + st.st_mtim.tv_nsec / 1000;
}

static void do_read(struct reader *r)
{
    ssize_t got;

    r->block = malloc(r->want);
    if (!r->block) {
        r->st = err_set(&r->err, STATUS_NOMEM, NULL, "out of memory");
        return;
    }
    r->n = 0;
    while (r->n < r->want) {
        got = pread(r->fd, r->block + r->n, r->want - r->n, (off_t)(r->offset + r->n));
        if (got == 0)
            break;
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            r->st = err_errno(&r->err, errno, "read %s", r->path);
            return;
        }
        r->n += (size_t)got;
    }
}

static void reader_work(struct lane_work *w)
{
    struct reader *r = (struct reader *)w;

    if (!r->opened)
        do_open(r);
    else
        do_read(r);
}

static void reader_done(struct lane_work *w)
{
    struct reader *r = (struct reader *)w;
    uint8_t *block = r->block;

    r->post.busy = false;
    if (r->closed) {
        reader_free(r);
        return;
    }
    if (!r->opened) {
        r->opened = true;
        r->ops->on_open(r->arg, r->st, &r->facts, &r->err);
        return;
    }
    r->block = NULL;
    if (r->st || r->n == 0) {
        free(block);
        block = NULL;
    }
    r->ops->on_block(r->arg, r->st, block, block ? r->n : 0, &r->err);
}

Status reader_open(struct loop *l, struct lane *disk, const char *path,
                   const struct reader_ops *ops, void *arg, struct reader **ret)
{
    struct reader *r = calloc(1, sizeof *r);

    if (!r)
        return STATUS_NOMEM;
    r->fd = -1;
    r->ops = ops;
    r->arg = arg;
    r->path = strdup(path);
    r->post = (struct post){ .work = { .work = reader_work, .done = reader_done },
                             .loop = l,
                             .lane = disk };
    if (!r->path) {
        reader_free(r);
        return STATUS_NOMEM;
    }
    if (lane_post(disk, &r->post.work)) {
        reader_free(r);
        return STATUS_BUSY;
    }
    r->post.busy = true;
    *ret = r;
    return STATUS_OK;
}

void reader_next(struct reader *r, uint64_t offset, size_t n)
{
    r->offset = offset;
    r->want = n < DISK_BLOCK ? n : DISK_BLOCK;
    post(&r->post);
}

void reader_close(struct reader *r)
{
    if (!r)
        return;
    if (r->post.busy && !(r->post.retry && loop_timer_active(r->post.retry))) {
        r->closed = true;
        return;
    }
    reader_free(r);
}

/* ---- writing ---- */

struct writer {
    struct post post;
    const struct writer_ops *ops;
    void *arg;
    int fd;
    char *path;
    char *final;
    struct buf filling; /* the loop's */
    struct buf writing; /* the lane's while busy */
    EVP_MD_CTX *sha;
    uint8_t digest[32];
    uint64_t size;
    Status st;
    struct err err;
    bool created;
    bool last;      /* what is being written is the end */
    bool finishing; /* the end is wanted */
    bool aborted;
    bool removing; /* the lane's next step */
    bool want_drain;
};

static void writer_free(struct writer *w)
{
    if (w->fd >= 0)
        (void)close(w->fd);
    EVP_MD_CTX_free(w->sha);
    loop_timer_free(w->post.retry);
    buf_done(&w->filling);
    buf_done(&w->writing);
    free(w->path);
    free(w->final);
    free(w);
}

static void do_remove(struct writer *w)
{
    if (w->created)
        (void)unlink(w->path);
    w->created = false;
}

static void do_write(struct writer *w)
{
    int e;

    if (w->fd < 0) {
        w->fd = open(w->path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (w->fd < 0) {
            w->st = err_errno(&w->err, errno, "create %s", w->path);
            return;
        }
        w->created = true;
    }
    e = file_write_all(w->fd, w->writing.p, w->writing.n);
    if (e != 0) {
        w->st = err_errno(&w->err, -e, "write %s", w->path);
        return;
    }
    (void)EVP_DigestUpdate(w->sha, w->writing.p, w->writing.n);
    w->size += w->writing.n;
}

static void do_end(struct writer *w)
{
    const int fd = w->fd;

    (void)EVP_DigestFinal_ex(w->sha, w->digest, NULL);
    w->fd = -1;
    if (close(fd) != 0)
        w->st = err_errno(&w->err, errno, "close %s", w->path);
    else if (w->final && rename(w->path, w->final) != 0)
        w->st = err_errno(&w->err, errno, "rename to %s", w->final);
}

static void writer_work(struct lane_work *work)
{
    struct writer *w = (struct writer *)work;

    if (!w->removing && !w->st) {
        do_write(w);
        if (!w->st && w->last)
            do_end(w);
    }
    if (w->removing || w->st)
        do_remove(w);
}

static void writer_post(struct writer *w)
{
    const struct buf swap = w->writing;

    w->writing = w->filling;
    w->filling = swap;
    buf_clear(&w->filling);
    w->last = w->finishing;
    post(&w->post);
}

/* Aborted and not at work: frees it, by way of the lane when there is a file to remove. */
static void writer_remove(struct writer *w)
{
    if (w->created && !w->removing) {
        w->removing = true;
        post(&w->post);
    } else {
        writer_free(w);
    }
}

static void writer_done(struct lane_work *work)
{
    struct writer *w = (struct writer *)work;

    w->post.busy = false;
    if (w->aborted) {
        writer_remove(w);
        return;
    }
    if (w->st || w->last) {
        w->ops->on_done(w->arg, w->st, w->size, w->digest, &w->err);
        writer_free(w);
        return;
    }
    if (w->finishing || w->filling.n >= DISK_BLOCK)
        writer_post(w);
    if (w->want_drain && !writer_congested(w)) {
        w->want_drain = false;
        if (w->ops->on_drain)
            w->ops->on_drain(w->arg);
    }
}

struct writer *writer_open(struct loop *l, struct lane *disk, const char *path, const char *final,
                           const struct writer_ops *ops, void *arg)
{
    struct writer *w = calloc(1, sizeof *w);

    if (!w)
        return NULL;
    w->fd = -1;
    w->ops = ops;
    w->arg = arg;
    w->path = strdup(path);
    w->final = final ? strdup(final) : NULL;
    w->sha = EVP_MD_CTX_new();
    buf_init(&w->filling, SIZE_MAX / 2);
    buf_init(&w->writing, SIZE_MAX / 2);
    w->post = (struct post){ .work = { .work = writer_work, .done = writer_done },
                             .loop = l,
                             .lane = disk };
    if (!w->path || (final && !w->final) || !w->sha ||
        EVP_DigestInit_ex(w->sha, EVP_sha256(), NULL) != 1) {
        writer_free(w);
        return NULL;
    }
    return w;
}

Status writer_write(struct writer *w, const void *p, size_t n)
{
    if (buf_add(&w->filling, p, n))
        return STATUS_NOMEM;
    if (!w->post.busy && w->filling.n >= DISK_BLOCK)
        writer_post(w);
    if (writer_congested(w))
        w->want_drain = true;
    return STATUS_OK;
}

bool writer_congested(const struct writer *w)
{
    return w->post.busy && w->filling.n >= DISK_BLOCK;
}

void writer_finish(struct writer *w)
{
    w->finishing = true;
    if (!w->post.busy)
        writer_post(w);
}

void writer_abort(struct writer *w)
{
    if (!w)
        return;
    w->aborted = true;
    if (!w->post.busy)
        writer_remove(w);
}
