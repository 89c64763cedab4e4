/* Listening sockets, accepted by hand instead of by uv_listen: only so can accepting pause when
 * there are enough connections or no descriptors left, with the kernel's backlog as the queue.
 * TCP_NODELAY and keep-alive are set on the listening socket; accepted ones inherit them. */
#include "net/net_int.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>

#define ACCEPTS_PER_TURN 64
#define BACKLOG          4096
#define RETRY_AFTER      USEC_SEC

struct net_listener {
    uv_poll_t poll;
    struct net_hub *hub;
    struct loop_timer *retry; /* out of descriptors */
    struct net_tls *tls;
    NetAcceptFn fn;
    void *ctx;
    size_t open;
    size_t connections_max;
    int fd;
    uint16_t port;
    bool stopped;
    bool poll_closed;
    bool freed;
};

static void listener_poll(struct net_listener *n);

static void listener_release(struct net_listener *n)
{
    if (!n->freed || n->open || !n->poll_closed)
        return;
    net_tls_unref(n->tls);
    hub_unref(n->hub);
    free(n);
}

static void on_poll_closed(uv_handle_t *handle)
{
    struct net_listener *n = handle->data;

    n->poll_closed = true;
    listener_release(n);
}

static void on_handshake_deadline(void *arg)
{
    stream_fail(arg, STATUS_TIMEOUT, "TLS handshake took too long");
}

static void accepted(struct net_listener *n, int fd, const struct sockaddr *peer)
{
    struct net_stream *s = stream_new(n->hub);

    if (!s || uv_tcp_open(&s->tcp, fd) != 0) {
        (void)close(fd);
        if (s)
            net_stream_close(s);
        return;
    }
    s->listener = n;
    n->open++;
    stream_set_peer(s, peer);
    if (!n->tls) {
        stream_opened(s);
        return;
    }
    if (tls_attach(s, n->tls, NULL) != STATUS_OK) {
        net_stream_close(s);
        return;
    }
    stream_set_deadline(s, NET_HANDSHAKE_MAX, on_handshake_deadline);
    stream_read_update(s);
}

static void on_retry(void *arg)
{
    listener_poll(arg);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct net_listener *n = poll->data;

    (void)events;
    (void)status;
    for (int i = 0; i < ACCEPTS_PER_TURN && !n->stopped; i++) {
        struct sockaddr_storage peer = { 0 };
        socklen_t len = sizeof peer;
        int fd;

        if (n->open >= n->connections_max) {
            (void)uv_poll_stop(&n->poll);
            return;
        }
        fd = accept4(n->fd, (struct sockaddr *)&peer, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
            accepted(n, fd, (const struct sockaddr *)&peer);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            (void)uv_poll_stop(&n->poll);
            loop_timer_start(n->retry, RETRY_AFTER, 0);
            return;
        }
        if (errno != EINTR && errno != ECONNABORTED)
            return;
    }
}

static void listener_poll(struct net_listener *n)
{
    if (!n->stopped && n->open < n->connections_max && !loop_timer_active(n->retry))
        (void)uv_poll_start(&n->poll, UV_READABLE, on_readable);
}

void listener_stream_open(struct net_listener *n, struct net_stream *s)
{
    if (n->freed)
        net_stream_close(s);
    else
        n->fn(n->ctx, s);
}

void listener_stream_gone(struct net_listener *n)
{
    n->open--;
    if (n->freed)
        listener_release(n);
    else if (n->open + 1 == n->connections_max)
        listener_poll(n);
}

static bool parse_bind(const char *bind, uint16_t port, struct sockaddr_storage *a, socklen_t *len)
{
    if (uv_ip4_addr(bind, port, (struct sockaddr_in *)a) == 0) {
        *len = sizeof(struct sockaddr_in);
        return true;
    }
    if (uv_ip6_addr(bind, port, (struct sockaddr_in6 *)a) == 0) {
        *len = sizeof(struct sockaddr_in6);
        return true;
    }
    return false;
}

static Status open_socket(const struct net_listen_config *config, int *ret_fd, uint16_t *ret_port,
                          struct err *err)
{
    const char *bind_to = strcmp(config->bind, "localhost") == 0 ? "127.0.0.1" : config->bind;
    struct sockaddr_storage a = { 0 };
    socklen_t len = 0;
    const int on = 1;
    const int off = 0;
    const int idle = 60;
    int fd;

    if (!parse_bind(bind_to, config->port, &a, &len))
        return err_set(err, STATUS_INVALID, "bind", "'%.64s' is not an address", config->bind);
    fd = socket(a.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_errno(err, errno, "socket");
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
    if (a.ss_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    if (bind(fd, (const struct sockaddr *)&a, len) != 0 || listen(fd, BACKLOG) != 0 ||
        getsockname(fd, (struct sockaddr *)&a, &len) != 0) {
        const int error = errno;
        (void)close(fd);
        return err_errno(err, error, "listen on %.64s port %u", config->bind, config->port);
    }
    *ret_fd = fd;
    *ret_port = ntohs(a.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&a)->sin6_port
                                              : ((struct sockaddr_in *)&a)->sin_port);
    return STATUS_OK;
}

Status net_listen(struct loop *l, const struct net_listen_config *config, NetAcceptFn fn, void *ctx,
                  struct net_listener **ret, struct err *err)
{
    struct net_listener *n;
    struct net_hub *h;
    uint16_t port = 0;
    int fd = -1;
    Status st;

    st = open_socket(config, &fd, &port, err);
    if (st)
        return st;
    n = calloc(1, sizeof *n);
    h = hub_get(l);
    if (n)
        n->retry = loop_timer_new(l, "net.accept_retry", on_retry, n);
    if (!n || !h || !n->retry || uv_poll_init(loop_uv(l), &n->poll, fd) != 0) {
        if (n)
            loop_timer_free(n->retry);
        if (h)
            hub_unref(h);
        free(n);
        (void)close(fd);
        return err_set(err, STATUS_NOMEM, NULL, "out of memory");
    }
    n->poll.data = n;
    n->hub = h;
    n->tls = config->tls ? net_tls_ref(config->tls) : NULL;
    n->fn = fn;
    n->ctx = ctx;
    n->connections_max = config->connections_max ? config->connections_max : SIZE_MAX;
    n->fd = fd;
    n->port = port;
    listener_poll(n);
    *ret = n;
    return STATUS_OK;
}

uint16_t net_listener_port(const struct net_listener *n)
{
    return n->port;
}

size_t net_listener_open(const struct net_listener *n)
{
    return n->open;
}

void net_listener_stop(struct net_listener *n)
{
    if (n->stopped)
        return;
    n->stopped = true;
    loop_timer_free(n->retry);
    n->retry = NULL;
    uv_close((uv_handle_t *)&n->poll, on_poll_closed);
    (void)close(n->fd);
}

void net_listener_free(struct net_listener *n)
{
    if (!n)
        return;
    net_listener_stop(n);
    n->freed = true;
    listener_release(n);
}
