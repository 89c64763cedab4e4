/* Outgoing connections: a name becomes addresses, each is tried in turn until one answers or the
 * deadline is over. A failed attempt closes its handle; the next one starts in the same memory when
 * the close callback has come (stream.c asks connect_next). */
#include "net/net_int.h"

#include <stdio.h>
#include <stdlib.h>

static void attempt(struct net_stream *s);

static void on_deadline(void *arg)
{
    struct net_stream *s = arg;

    stream_fail(s, STATUS_TIMEOUT, "%s: no connection in time",
                s->connect ? s->connect->host : s->peer);
}

static void connected(struct net_stream *s)
{
    struct connect_state *c = s->connect;
    struct sockaddr_storage a;
    int n = sizeof a;

    if (uv_tcp_getpeername(&s->tcp, (struct sockaddr *)&a, &n) == 0)
        stream_set_peer(s, (const struct sockaddr *)&a);
    (void)uv_tcp_nodelay(&s->tcp, 1);
    (void)uv_tcp_keepalive(&s->tcp, 1, 60);
    if (c->found)
        uv_freeaddrinfo(c->found);
    free(c);
    s->connect = NULL;
    if (!s->tls) {
        stream_opened(s);
        return;
    }
    stream_read_update(s);
    tls_feed(s, NULL, 0);
}

static bool connect_next(struct net_stream *s)
{
    if (!s->connect || !s->connect->recycling)
        return false;
    s->connect->recycling = false;
    if (uv_tcp_init(loop_uv(s->hub->loop), &s->tcp) != 0) {
        s->closing = true;
        s->why = STATUS_NOMEM;
        loop_timer_free(s->timer);
        s->timer = NULL;
        return false;
    }
    s->tcp.data = s;
    attempt(s);
    return true;
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct net_stream *s = handle->data;

    if (!s->closing && connect_next(s))
        return;
    s->closed = true;
    stream_finish(s);
}

static void on_connect(uv_connect_t *req, int status)
{
    struct net_stream *s = req->data;

    if (s->closing || s->connect->recycling)
        return;
    if (status == 0) {
        connected(s);
        return;
    }
    if (s->connect->next) {
        s->connect->recycling = true;
        uv_close((uv_handle_t *)&s->tcp, on_handle_closed);
        return;
    }
    stream_fail_uv(s, s->connect->host, status);
}

static void attempt(struct net_stream *s)
{
    struct connect_state *c = s->connect;
    const struct addrinfo *a = c->next;
    int e;

    c->next = a->ai_next;
    c->req.data = s;
    e = uv_tcp_connect(&c->req, &s->tcp, a->ai_addr, on_connect);
    if (e == 0)
        return;
    if (c->next) {
        c->recycling = true;
        uv_close((uv_handle_t *)&s->tcp, on_handle_closed);
        return;
    }
    stream_fail_uv(s, c->host, e);
}

static void on_resolved(uv_getaddrinfo_t *req, int status, struct addrinfo *found)
{
    struct net_stream *s = req->data;

    s->connect->resolving = false;
    s->connect->found = found;
    if (s->closing) {
        stream_finish(s);
        return;
    }
    if (status != 0 || !found) {
        stream_fail_uv(s, s->connect->host, status ? status : UV_EAI_NODATA);
        return;
    }
    s->connect->next = found;
    attempt(s);
}

void connect_cancel(struct net_stream *s)
{
    if (s->connect && s->connect->resolving)
        (void)uv_cancel((uv_req_t *)&s->connect->dns);
}

/* True when host is an address; then the first attempt is under way or has failed by on_close. */
static bool start_numeric(struct net_stream *s, uint16_t port)
{
    struct connect_state *c = s->connect;
    struct sockaddr *a = (struct sockaddr *)&c->numeric;
    const struct addrinfo only = { .ai_addr = a };

    if (uv_ip4_addr(c->host, port, (struct sockaddr_in *)(void *)a) != 0 &&
        uv_ip6_addr(c->host, port, (struct sockaddr_in6 *)(void *)a) != 0)
        return false;
    c->next = &only;
    attempt(s);
    return true;
}

static int start_names(struct net_stream *s, uint16_t port)
{
    struct connect_state *c = s->connect;
    const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG };
    char service[8];
    int e;

    (void)snprintf(service, sizeof service, "%u", port);
    c->dns.data = s;
    e = uv_getaddrinfo(loop_uv(s->hub->loop), &c->dns, on_resolved, c->host, service, &hints);
    c->resolving = e == 0;
    return e;
}

/* An address in brackets, as in URLs, is taken without them. */
static bool copy_host(const char *host, struct connect_state *c)
{
    struct str h = str_z(host);

    if (h.n > 2 && h.p[0] == '[' && h.p[h.n - 1] == ']')
        h = str_slice(h, 1, h.n - 1);
    return h.n > 0 && str_copy_z(h, c->host, sizeof c->host);
}

Status net_connect(struct loop *l, const char *host, uint16_t port, struct net_tls *tls,
                   Usec deadline, const struct net_stream_ops *ops, void *ctx,
                   struct net_stream **ret, struct err *err)
{
    struct connect_state *c = calloc(1, sizeof *c);
    struct net_hub *h = hub_get(l);
    struct net_stream *s = h && c ? stream_new(h) : NULL;
    Status st;
    int e;

    if (h)
        hub_unref(h);
    if (!s) {
        free(c);
        return err_set(err, STATUS_NOMEM, NULL, "out of memory");
    }
    s->connect = c;
    c->s = s;
    st = copy_host(host, c) ? STATUS_OK : err_set(err, STATUS_INVALID, "host", "bad host name");
    if (!st && tls) {
        st = tls_attach(s, tls, c->host);
        if (st)
            (void)err_set(err, st, NULL, "TLS could not be started");
    }
    if (st) {
        net_stream_close(s); /* ops are not set: ends silently */
        return st;
    }
    if (!start_numeric(s, port)) {
        e = start_names(s, port);
        if (e != 0) {
            net_stream_close(s);
            return err_set(err, STATUS_IO, "host", "%s: %s", c->host, uv_strerror(e));
        }
    }
    s->ops = ops;
    s->ctx = ctx;
    if (!s->closing)
        stream_set_deadline(s, deadline > 0 ? deadline : NET_HANDSHAKE_MAX, on_deadline);
    *ret = s;
    return STATUS_OK;
}
