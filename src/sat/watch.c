/* inotify on the streams of running jobs: one descriptor on the loop. It only saves waiting;
 * whoever uses it looks by itself from time to time, so lost events and missing watches are
 * harmless. */
#include <errno.h>
#include <sys/inotify.h>

#include <uv.h>

#include "base/log.h"
#include "sat/runner_int.h"

#define WATCH_BUFFER 16384

struct watch {
    uv_poll_t poll;
    int fd;
    void (*fn)(void *ctx, int wd, bool closed);
    void *ctx;
};

static void on_events(uv_poll_t *poll, int status, int events)
{
    struct watch *w = CONTAINER_OF(poll, struct watch, poll);
    union {
        struct inotify_event align;
        char bytes[WATCH_BUFFER];
    } in;
    ssize_t n;

    (void)status;
    (void)events;
    n = read(w->fd, in.bytes, sizeof(in.bytes));
    for (ssize_t at = 0; n > 0 && at < n;) {
        struct inotify_event e;

        memcpy(&e, in.bytes + at, sizeof(e));
        at += (ssize_t)sizeof(e) + (ssize_t)e.len;
        if (e.mask & (IN_MODIFY | IN_CLOSE_WRITE))
            w->fn(w->ctx, e.wd, (e.mask & IN_CLOSE_WRITE) != 0);
    }
}

struct watch *watch_new(struct loop *l, void (*fn)(void *ctx, int wd, bool closed), void *ctx,
                        struct err *err)
{
    struct watch *w = calloc(1, sizeof(*w));

    if (!w)
        return NULL;
    w->fn = fn;
    w->ctx = ctx;
    w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (w->fd < 0) {
        (void)!err_errno(err, errno, "Cannot watch files");
        free(w);
        return NULL;
    }
    if (uv_poll_init(loop_uv(l), &w->poll, w->fd) != 0 ||
        uv_poll_start(&w->poll, UV_READABLE, on_events) != 0) {
        close(w->fd);
        free(w);
        return NULL;
    }
    uv_unref((uv_handle_t *)&w->poll);
    return w;
}

static void on_closed(uv_handle_t *handle)
{
    struct watch *w = CONTAINER_OF(handle, struct watch, poll);

    close(w->fd);
    free(w);
}

void watch_free(struct watch *w)
{
    if (w)
        uv_close((uv_handle_t *)&w->poll, on_closed);
}

int watch_add(struct watch *w, const char *path)
{
    return inotify_add_watch(w->fd, path, IN_MODIFY | IN_CLOSE_WRITE);
}

void watch_remove(struct watch *w, int wd)
{
    if (wd >= 0)
        (void)inotify_rm_watch(w->fd, wd);
}
