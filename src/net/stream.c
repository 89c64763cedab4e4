/* Streams: reading, writing, closing.
 *
 * One idea: whatever the owner writes lands in a queue and leaves at the end of the turn by one
 * uv_try_write; only what the kernel does not take becomes a uv_write, one at a time. Closing is
 * final at once for the owner (nothing more is sent or delivered) and reported on a later turn.
 * Connecting is in connect.c, TLS in tls.c. */
#include "net/net_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#define FLUSH_EARLY (64u * 1024) /* do not let a turn pile up more than this before sending */

struct net_stream *stream_new(struct net_hub *h)
{
    struct net_stream *s = calloc(1, sizeof *s);

    if (!s)
        return NULL;
    if (uv_tcp_init(loop_uv(h->loop), &s->tcp) != 0) {
        free(s);
        return NULL;
    }
    s->tcp.data = s;
    s->hub = hub_ref(h);
    list_init(&s->dirty);
    return s;
}

void stream_set_peer(struct net_stream *s, const struct sockaddr *a)
{
    if (a->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)a;
        (void)uv_ip4_name(in, s->peer, sizeof s->peer);
        s->peer_port = ntohs(in->sin_port);
    } else if (a->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)(const void *)a;
        const uint8_t *b = in->sin6_addr.s6_addr;
        if (IN6_IS_ADDR_V4MAPPED(&in->sin6_addr))
            (void)snprintf(s->peer, sizeof s->peer, "%u.%u.%u.%u", b[12], b[13], b[14], b[15]);
        else
            (void)uv_ip6_name(in, s->peer, sizeof s->peer);
        s->peer_port = ntohs(in->sin6_port);
    }
}

/* ---- reading ---- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct net_stream *s = handle->data;

    (void)suggested;
    *buf = uv_buf_init((char *)s->hub->in, sizeof s->hub->in);
}

void stream_deliver(struct net_stream *s, const uint8_t *p, size_t n)
{
    if (!s->linger && !s->closing && s->ops)
        s->ops->on_data(s->ctx, p, n);
}

void stream_end(struct net_stream *s)
{
    if (s->eof || s->closing)
        return;
    s->eof = true;
    stream_read_update(s);
    if (s->linger || !s->ops || !s->ops->on_end)
        net_stream_close(s);
    else
        s->ops->on_end(s->ctx);
}

static void on_read(uv_stream_t *tcp, ssize_t nread, const uv_buf_t *buf)
{
    struct net_stream *s = tcp->data;

    if (nread == 0 || s->closing)
        return;
    if (nread == UV_EOF) {
        if (s->tls && !s->open)
            stream_fail(s, STATUS_CLOSED, "the peer closed during the TLS handshake");
        else
            stream_end(s);
        return;
    }
    if (nread < 0) {
        stream_fail_uv(s, "read", (int)nread);
        return;
    }
    s->bytes_in += (uint64_t)nread;
    if (s->tls)
        tls_feed(s, (const uint8_t *)buf->base, (size_t)nread);
    else
        stream_deliver(s, (const uint8_t *)buf->base, (size_t)nread);
}

/* Makes libuv read, or not, as the flags want it. */
void stream_read_update(struct net_stream *s)
{
    const bool ready = s->open || (s->tls && !s->connect);
    const bool want =
        ready && !s->closing && !s->eof && (s->linger || !s->paused) && !(s->tls && s->tls->stash);
    int e;

    if (want == s->reading)
        return;
    s->reading = want;
    if (!want) {
        (void)uv_read_stop((uv_stream_t *)&s->tcp);
        return;
    }
    e = uv_read_start((uv_stream_t *)&s->tcp, on_alloc, on_read);
    if (e != 0)
        stream_fail_uv(s, "read", e);
}

void net_stream_pause(struct net_stream *s)
{
    s->paused = true;
    if (!s->closing)
        stream_read_update(s);
}

void net_stream_resume(struct net_stream *s)
{
    s->paused = false;
    if (s->closing)
        return;
    if (s->tls && s->tls->stash)
        hub_touch(s->hub, s); /* never delivers from inside resume */
    else
        stream_read_update(s);
}

bool net_stream_paused(const struct net_stream *s)
{
    return s->paused;
}

/* The socket is usable: start reading and sending what was written before. */
void stream_opened(struct net_stream *s)
{
    s->open = true;
    loop_timer_free(s->timer);
    s->timer = NULL;
    stream_read_update(s);
    if (s->out.n || s->shut)
        hub_touch(s->hub, s);
    if (s->listener)
        listener_stream_open(s->listener, s);
    else if (s->ops && s->ops->on_open && !s->closing)
        s->ops->on_open(s->ctx);
}

/* ---- writing ---- */

static struct out_queue *sending(struct net_stream *s)
{
    return s->tls ? &s->tls->wire : &s->out;
}

/* Bytes of the uv_write in flight that the kernel has taken already. */
static size_t op_sent(const struct net_stream *s)
{
    const size_t left = s->op ? uv_stream_get_write_queue_size((const uv_stream_t *)&s->tcp) : 0;

    return s->op && s->op->n > left ? s->op->n - left : 0;
}

size_t net_stream_pending(const struct net_stream *s)
{
    return s->out.n + (s->tls ? s->tls->wire.n : 0) - op_sent(s);
}

bool net_stream_congested(const struct net_stream *s)
{
    return net_stream_pending(s) > NET_HIGH_WATER;
}

static unsigned gather(const struct out_queue *q, uv_buf_t iov[NET_IOV_MAX], size_t *ret_n)
{
    unsigned count = 0;
    size_t total = 0;

    for (const struct out_chunk *c = q->head; c && count < NET_IOV_MAX && total < NET_HIGH_WATER;
         c = c->next) {
        size_t n = c->n - c->off;
        if (n > NET_HIGH_WATER - total)
            n = NET_HIGH_WATER - total;
        iov[count++] = uv_buf_init((char *)c->p + c->off, (unsigned)n);
        total += n;
    }
    *ret_n = total;
    return count;
}

static void on_written(uv_write_t *req, int status)
{
    struct write_op *op = req->data;
    struct net_stream *s = op->s;

    s->op = NULL;
    if (status == 0) {
        s->bytes_out += op->n;
        queue_drop(sending(s), op->n);
    }
    free(op);
    if (s->closing)
        return;
    if (status != 0)
        stream_fail_uv(s, "write", status);
    else
        stream_turn(s);
}

static void write_blocked(struct net_stream *s, const uv_buf_t *iov, unsigned count, size_t n)
{
    struct write_op *op = malloc(sizeof *op);
    int e;

    if (!op) {
        stream_fail(s, STATUS_NOMEM, "out of memory");
        return;
    }
    op->s = s;
    op->n = n;
    op->req.data = op;
    e = uv_write(&op->req, (uv_stream_t *)&s->tcp, iov, count, on_written);
    if (e != 0) {
        free(op);
        stream_fail_uv(s, "write", e);
        return;
    }
    s->op = op;
}

static void flush(struct net_stream *s)
{
    struct out_queue *q = sending(s);

    while (!s->closing && !s->op) {
        uv_buf_t iov[NET_IOV_MAX];
        size_t total = 0;
        unsigned count;
        int r;

        if (s->tls && s->open && s->out.n && !tls_encrypt(s))
            return;
        if (q->n == 0)
            return;
        count = gather(q, iov, &total);
        r = uv_try_write((uv_stream_t *)&s->tcp, iov, count);
        if (r > 0) {
            s->bytes_out += (uint64_t)r;
            queue_drop(q, (size_t)r);
            if ((size_t)r == total)
                continue;
            count = gather(q, iov, &total);
        } else if (r < 0 && r != UV_EAGAIN) {
            stream_fail_uv(s, "write", r);
            return;
        }
        write_blocked(s, iov, count, total);
    }
}

static void shut_socket(struct net_stream *s)
{
    uv_os_fd_t fd;

    s->shut_done = true;
    if (uv_fileno((const uv_handle_t *)&s->tcp, &fd) == 0)
        (void)shutdown(fd, SHUT_WR);
    if (s->linger && s->eof)
        net_stream_close(s);
}

/* End of a turn, or the kernel has taken what was in flight. */
void stream_turn(struct net_stream *s)
{
    if (s->closing || (!s->open && !s->tls))
        return;
    if (s->tls && s->tls->stash && !s->paused)
        tls_unstash(s);
    flush(s);
    if (s->closing)
        return;
    if (s->shut && s->open && !s->shut_done && s->out.n == 0) {
        if (s->tls) {
            tls_notify(s);
            flush(s);
        }
        if (!s->closing && sending(s)->n == 0)
            shut_socket(s);
    }
    if (!s->closing && s->want_drain && net_stream_pending(s) < NET_HIGH_WATER / 2) {
        s->want_drain = false;
        if (s->ops && s->ops->on_drain && !s->linger)
            s->ops->on_drain(s->ctx);
    }
}

static void wrote(struct net_stream *s)
{
    if (s->out.n >= FLUSH_EARLY && s->open && !s->op)
        flush(s);
    if (net_stream_congested(s))
        s->want_drain = true;
    hub_touch(s->hub, s);
}

static Status write_check(const struct net_stream *s, size_t n)
{
    if (s->closing || s->shut)
        return STATUS_CLOSED;
    if (n > NET_PENDING_MAX || net_stream_pending(s) > NET_PENDING_MAX - n)
        return STATUS_FULL;
    return STATUS_OK;
}

Status net_stream_write(struct net_stream *s, const void *p, size_t n)
{
    const Status st = write_check(s, n);

    if (st || n == 0)
        return st;
    if (!queue_add(&s->out, p, n))
        return STATUS_NOMEM;
    wrote(s);
    return STATUS_OK;
}

Status net_stream_write_take(struct net_stream *s, void *p, size_t n)
{
    const Status st = write_check(s, n);

    if (st) {
        free(p);
        return st;
    }
    if (!queue_take(&s->out, p, n))
        return STATUS_NOMEM;
    wrote(s);
    return STATUS_OK;
}

/* ---- ending ---- */

void stream_set_deadline(struct net_stream *s, Usec after, LoopTimerFn fn)
{
    loop_timer_free(s->timer);
    s->timer = loop_timer_new(s->hub->loop, "net.deadline", fn, s);
    if (s->timer)
        loop_timer_start(s->timer, after, 0);
}

void net_stream_shutdown(struct net_stream *s)
{
    if (s->closing || s->shut)
        return;
    s->shut = true;
    hub_touch(s->hub, s);
}

static void on_linger_over(void *arg)
{
    net_stream_close(arg);
}

void net_stream_close_after_write(struct net_stream *s, Usec deadline)
{
    if (s->closing || s->linger)
        return;
    s->linger = true;
    s->shut = true;
    if (s->tls) {
        free(s->tls->stash);
        s->tls->stash = NULL;
        s->tls->stash_n = 0;
    }
    stream_set_deadline(s, deadline, on_linger_over);
    if (!s->timer) {
        net_stream_close(s);
        return;
    }
    stream_read_update(s);
    hub_touch(s->hub, s);
}

void stream_free(struct net_stream *s)
{
    hub_unref(s->hub);
    free(s->err);
    free(s);
}

/* The handle is closed and DNS is back: the last callback, then the memory goes. */
void stream_finish(struct net_stream *s)
{
    struct net_listener *listener = s->listener;
    const struct err plain = { .code = s->why };

    if (!s->closed || (s->connect && s->connect->resolving))
        return;
    if (s->connect) {
        if (s->connect->found)
            uv_freeaddrinfo(s->connect->found);
        free(s->connect);
        s->connect = NULL;
    }
    tls_detach(s);
    if (s->ops)
        s->ops->on_close(s->ctx, s->why, s->err ? s->err : &plain);
    queue_done(&s->out);
    stream_free(s);
    if (listener)
        listener_stream_gone(listener);
}

static void on_closed(uv_handle_t *handle)
{
    struct net_stream *s = handle->data;

    s->closed = true;
    stream_finish(s);
}

void net_stream_close(struct net_stream *s)
{
    if (s->closing)
        return;
    s->closing = true;
    list_remove(&s->dirty);
    loop_timer_free(s->timer);
    s->timer = NULL;
    connect_cancel(s);
    /* While the next address is being tried the handle is closing already. */
    if (!uv_is_closing((uv_handle_t *)&s->tcp))
        uv_close((uv_handle_t *)&s->tcp, on_closed);
}

void stream_fail(struct net_stream *s, Status why, const char *fmt, ...)
{
    va_list ap;

    if (s->closing)
        return;
    s->why = why;
    s->err = calloc(1, sizeof *s->err);
    if (s->err) {
        s->err->code = why;
        va_start(ap, fmt);
        (void)vsnprintf(s->err->text, sizeof s->err->text, fmt, ap);
        va_end(ap);
    }
    net_stream_close(s);
}

static Status status_from_uv(int uv_error)
{
    switch (uv_error) {
    case UV_ECONNRESET:
    case UV_EPIPE:
    case UV_ECONNABORTED:
    case UV_ECONNREFUSED:
    case UV_ECANCELED:
        return STATUS_CLOSED;
    case UV_ETIMEDOUT:
        return STATUS_TIMEOUT;
    case UV_ENOMEM:
        return STATUS_NOMEM;
    case UV_EAI_NONAME:
    case UV_EAI_NODATA:
        return STATUS_MISSING;
    default:
        return STATUS_IO;
    }
}

void stream_fail_uv(struct net_stream *s, const char *what, int uv_error)
{
    char text[128];

    stream_fail(s, status_from_uv(uv_error), "%s: %s", what,
                uv_strerror_r(uv_error, text, sizeof text));
}

/* ---- asking ---- */

void net_stream_set(struct net_stream *s, const struct net_stream_ops *ops, void *ctx)
{
    s->ops = ops;
    s->ctx = ctx;
}

const char *net_stream_peer(const struct net_stream *s)
{
    return s->peer;
}

uint16_t net_stream_peer_port(const struct net_stream *s)
{
    return s->peer_port;
}

bool net_stream_is_tls(const struct net_stream *s)
{
    return s->tls != NULL;
}

uint64_t net_stream_bytes_in(const struct net_stream *s)
{
    return s->bytes_in;
}

uint64_t net_stream_bytes_out(const struct net_stream *s)
{
    return s->bytes_out + op_sent(s);
}
