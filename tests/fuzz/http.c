/* rooms: http net loop base */
/* The server's connection: any bytes, in pieces of any size, through the real server on one end of
 * a socket pair, with handlers that read, stream, pause, leave bodies alone, answer late and
 * upgrade. The first byte chooses the sizes of the pieces. What a handler is given must be clean.
 */
#include "http/http_int.h"
#include "net/net_int.h"

#include "http/websocket.h"

#include <stdlib.h>
#include <sys/socket.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct world {
    struct loop *loop;
    struct http_server *server;
    struct http_request *paused;
    struct http_request *late;
    struct net_hub *hub;
};

static void require(bool ok)
{
    if (!ok)
        abort();
}

static void on_body(void *arg, struct http_request *r, Status st, struct str body)
{
    (void)arg;
    require(body.n <= 4096);
    http_reply(r, st ? status_http(st) : 200, "text/plain", body);
}

static void on_data(void *arg, struct http_request *r, const uint8_t *p, size_t n)
{
    struct world *w = arg;

    (void)p;
    require(n > 0);
    http_request_pause(r);
    w->paused = r;
}

static void on_end(void *arg, struct http_request *r, Status st)
{
    struct world *w = arg;

    w->paused = NULL;
    http_reply_start(r, st ? status_http(st) : 200, "text/plain", -1);
    (void)http_reply_write(r, "streamed", 8);
    http_reply_end(r);
}

static const struct http_body_ops body_ops = { .on_data = on_data, .on_end = on_end };

static void on_message(void *ctx, struct ws *w, struct str text, bool binary)
{
    (void)ctx;
    require(binary || str_is_utf8(text));
    (void)ws_send(w, text);
}

static void on_ws_close(void *ctx, struct ws *w, int code, const struct err *err)
{
    (void)ctx;
    (void)w;
    require(code >= 1000 && err != NULL);
}

static const struct ws_ops ws_ops = { .on_message = on_message, .on_close = on_ws_close };

static void check_clean(const struct http_request *r)
{
    size_t cursor = 0;
    struct str name;
    struct str value;

    require(http_request_path(r).n > 0 && http_request_path(r).n <= HTTP_URL_MAX);
    while (http_request_next_header(r, &cursor, &name, &value)) {
        require(name.n > 0);
        for (size_t i = 0; i < value.n; i++)
            require(value.p[i] != '\r' && value.p[i] != '\n' && value.p[i] != '\0');
    }
    require(cursor <= HTTP_HEADERS_MAX);
}

static void on_request(void *ctx, struct http_request *r)
{
    struct world *w = ctx;
    const struct ws_config config = { .message_max = 65536 };
    struct ws *ws = NULL;

    check_clean(r);
    if (http_request_is_upgrade(r)) {
        (void)ws_accept(r, &config, &ws_ops, NULL, &ws, NULL);
        return;
    }
    switch (http_request_path(r).n % 4) {
    case 0:
        http_request_read_body(r, 4096, on_body, w);
        break;
    case 1:
        http_reply(r, 200, "text/plain", http_request_path(r));
        break;
    case 2:
        http_request_stream_body(r, &body_ops, w);
        break;
    default:
        if (w->late)
            http_reply(r, 204, NULL, STR_NONE);
        else
            w->late = r;
    }
}

static void turn(struct world *w, int fd)
{
    char drop[4096];

    (void)uv_run(loop_uv(w->loop), UV_RUN_NOWAIT);
    while (recv(fd, drop, sizeof drop, MSG_DONTWAIT) > 0) {
    }
}

static void answer_late(struct world *w)
{
    struct http_request *r = w->late;

    w->late = NULL;
    if (r)
        http_reply(r, 200, "text/html", STR("late"));
}

static void go_on(struct world *w)
{
    struct http_request *r = w->paused;

    if (r)
        http_request_resume(r);
    answer_late(w);
}

static struct world *world_new(void)
{
    struct world *w = calloc(1, sizeof *w);
    struct http_server_config config = { .limits = http_limits_default(),
                                         .on_request = on_request };

    w->loop = loop_new();
    w->hub = hub_get(w->loop);
    config.loop = w->loop;
    config.ctx = w;
    config.limits.body_max = 1u << 20;
    require(http_server_new(&config, &w->server, NULL) == STATUS_OK);
    return w;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct world *w;
    struct net_stream *s;
    size_t step = n ? data[0] % 64 + 1u : 1;
    int fds[2];

    if (!w)
        w = world_new();
    require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0);
    s = stream_new(w->hub);
    require(uv_tcp_open(&s->tcp, fds[0]) == 0);
    conn_accept(w->server, s);
    stream_opened(s);
    if (step > 60)
        step = n;
    for (size_t at = 1; at < n; at += step) {
        const size_t piece = step < n - at ? step : n - at;
        if (send(fds[1], data + at, piece, MSG_NOSIGNAL) != (ssize_t)piece)
            break;
        turn(w, fds[1]);
        go_on(w);
    }
    (void)shutdown(fds[1], SHUT_WR);
    for (int i = 0; i < 4; i++) {
        turn(w, fds[1]);
        go_on(w);
    }
    (void)close(fds[1]);
    /* Whatever is left notices that the peer is gone, or is cut; WebSockets are closed by the end.
     */
    for (int i = 0; i < 200 && (http_server_stats(w->server).connections || w->hub->refs > 1);
         i++) {
        go_on(w);
        (void)uv_run(loop_uv(w->loop), UV_RUN_NOWAIT);
    }
    require(http_server_stats(w->server).connections == 0);
    require(http_server_stats(w->server).active == 0);
    require(w->hub->refs == 1);
    return 0;
}
