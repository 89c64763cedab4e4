/* A real server on an ephemeral port and raw clients beside it on the same loop. The raw client
 * sends what the test says, byte for byte, and keeps what comes back; waiting always has a
 * deadline. */
#ifndef HTTP_TEST_H
#define HTTP_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <uv.h>

#include "base/buf.h"
#include "base/file.h"
#include "http/multipart.h"
#include "http/server.h"
#include "http/websocket.h"
#include "loop/lane.h"

#define WAIT_MAX (60 * USEC_SEC)

struct env {
    struct loop *loop;
    struct lane *disk;
    struct lane *zip;
    struct http_server *server;
    uint16_t port;
    char folder[64];
    struct http_request *held; /* by /hold */
    int aborts;
    int dones;
    int last_status;
    Status body_status; /* of the last body read */
    uint64_t streamed;
    bool drained;
    void (*on_request)(struct env *e, struct http_request *r);
};

struct raw {
    struct env *env;
    struct net_stream *s;
    struct buf in;
    uint64_t received;
    bool keep; /* bytes in `in` */
    bool open;
    bool ended;
    bool closed;
};

/* ---- waiting ---- */

UNUSED static void loop_once(struct loop *l)
{
    (void)uv_run(loop_uv(l), UV_RUN_ONCE);
}

UNUSED static void tick(void *arg)
{
    (void)arg;
}

#define UNTIL(env_, condition)                                                                     \
    do {                                                                                           \
        const Usec until_deadline = clock_mono() + WAIT_MAX;                                       \
        struct loop_timer *until_timer = loop_timer_new((env_)->loop, "test", tick, NULL);         \
        loop_timer_start(until_timer, 50 * USEC_MSEC, 50 * USEC_MSEC);                             \
        while (!(condition)) {                                                                     \
            if (clock_mono() > until_deadline)                                                     \
                fail_msg("line %d: waited in vain for " #condition, __LINE__);                     \
            loop_once((env_)->loop);                                                               \
        }                                                                                          \
        loop_timer_free(until_timer);                                                              \
    } while (0)

/* ---- the raw client ---- */

UNUSED static void raw_on_open(void *ctx)
{
    ((struct raw *)ctx)->open = true;
}

UNUSED static void raw_on_data(void *ctx, const uint8_t *p, size_t n)
{
    struct raw *r = ctx;

    r->received += n;
    if (r->keep)
        assert_int_equal(buf_add(&r->in, p, n), STATUS_OK);
}

UNUSED static void raw_on_end(void *ctx)
{
    struct raw *r = ctx;

    r->ended = true;
    net_stream_close(r->s);
}

UNUSED static void raw_on_close(void *ctx, Status why, const struct err *err)
{
    struct raw *r = ctx;

    (void)why;
    (void)err;
    r->closed = true;
    r->s = NULL;
}

static const struct net_stream_ops raw_ops = {
    .on_open = raw_on_open,
    .on_data = raw_on_data,
    .on_end = raw_on_end,
    .on_close = raw_on_close,
};

UNUSED static void raw_connect_tls(struct env *e, struct raw *r, struct net_tls *tls)
{
    *r = (struct raw){ .env = e, .keep = true };
    buf_init(&r->in, 256u * 1024 * 1024);
    assert_int_equal(net_connect(e->loop, "127.0.0.1", e->port, tls, 0, &raw_ops, r, &r->s, NULL),
                     STATUS_OK);
    UNTIL(e, r->open || r->closed);
    assert_true(r->open);
}

UNUSED static void raw_connect(struct env *e, struct raw *r)
{
    raw_connect_tls(e, r, NULL);
}

UNUSED static void raw_send(struct raw *r, struct str s)
{
    if (r->s)
        (void)net_stream_write(r->s, s.p, s.n);
}

#define RAW_SEND(r, text) raw_send((r), STR(text))

UNUSED static bool raw_has(const struct raw *r, const char *text)
{
    return str_find(buf_str(&r->in), str_z(text)) < r->in.n;
}

UNUSED static size_t raw_count(const struct raw *r, const char *text)
{
    struct str rest = buf_str(&r->in);
    size_t n = 0;

    for (size_t at = str_find(rest, str_z(text)); at < rest.n; at = str_find(rest, str_z(text))) {
        n++;
        rest = str_slice(rest, at + 1, rest.n);
    }
    return n;
}

#define RAW_EXPECT(r, text)                                                                        \
    do {                                                                                           \
        UNTIL((r)->env, raw_has((r), (text)) || (r)->closed);                                      \
        if (!raw_has((r), (text)))                                                                 \
            fail_msg("expected \"%s\", got \"%.*s\"", (text), STR_FMT(buf_str(&(r)->in)));         \
    } while (0)

#define RAW_CLOSED(r) UNTIL((r)->env, (r)->closed)

UNUSED static void raw_done(struct raw *r)
{
    if (r->s)
        net_stream_close(r->s);
    UNTIL(r->env, r->closed);
    buf_done(&r->in);
}

/* Connects, sends, waits for the end of the connection; what came is in r->in. */
UNUSED static void raw_ask(struct env *e, struct raw *r, struct str request)
{
    raw_connect(e, r);
    raw_send(r, request);
    RAW_CLOSED(r);
}

/* The body of the (only) reply. */
UNUSED static struct str raw_body(const struct raw *r)
{
    const struct str all = buf_str(&r->in);

    return str_slice(all, str_find(all, STR("\r\n\r\n")) + 4, all.n);
}

/* ---- the server ---- */

UNUSED static void echo_body(void *arg, struct http_request *r, Status st, struct str body)
{
    struct env *e = arg;

    e->body_status = st;
    if (st)
        http_reply(r, status_http(st), "text/plain", str_z(status_name(st)));
    else
        http_reply(r, 200, "application/octet-stream", body);
}

UNUSED static void count_data(void *arg, struct http_request *r, const uint8_t *p, size_t n)
{
    (void)r;
    (void)p;
    ((struct env *)arg)->streamed += n;
}

UNUSED static void count_end(void *arg, struct http_request *r, Status st)
{
    struct env *e = arg;
    char text[32];
    const int n = snprintf(text, sizeof text, "%llu", (unsigned long long)e->streamed);

    e->body_status = st;
    http_reply(r, st ? status_http(st) : 200, "text/plain", str_n(text, (size_t)n));
}

static const struct http_body_ops count_ops = { .on_data = count_data, .on_end = count_end };

UNUSED static void held_lost(void *arg)
{
    ((struct env *)arg)->aborts++;
}

UNUSED static void env_request(void *ctx, struct http_request *r)
{
    struct env *e = ctx;
    const struct str path = http_request_path(r);

    if (e->on_request) {
        e->on_request(e, r);
    } else if (str_eq_z(path, "/hello")) {
        http_reply(r, 200, "text/plain", STR("hello"));
    } else if (str_eq_z(path, "/echo")) {
        http_request_read_body(r, 1024u * 1024, echo_body, e);
    } else if (str_eq_z(path, "/count")) {
        e->streamed = 0;
        http_request_stream_body(r, &count_ops, e);
    } else if (str_eq_z(path, "/hold")) {
        e->held = r;
        http_request_on_abort(r, held_lost, e);
    } else if (str_eq_z(path, "/path")) {
        const struct str q = http_request_query(r);
        http_reply(r, 200, "text/plain", q);
    } else {
        http_reply(r, 404, "text/plain", STR("404 Not Found"));
    }
}

UNUSED static void env_done(void *ctx, const struct http_request *r, int status, uint64_t bytes_out,
                            Usec elapsed)
{
    struct env *e = ctx;

    (void)r;
    (void)bytes_out;
    assert_true(elapsed >= 0);
    e->dones++;
    e->last_status = status;
}

UNUSED static void env_start(struct env *e, const struct http_limits *limits, struct net_tls *tls)
{
    struct http_server_config config = {
        .limits = limits ? *limits : http_limits_default(),
        .on_request = env_request,
        .on_done = env_done,
        .ctx = e,
    };
    struct err err = { 0 };

    *e = (struct env){ 0 };
    (void)snprintf(e->folder, sizeof e->folder, "/tmp/orrery-http-XXXXXX");
    assert_non_null(mkdtemp(e->folder));
    e->loop = loop_new();
    assert_non_null(e->loop);
    e->disk = lane_new(e->loop, "disk", 2, 1000);
    e->zip = lane_new(e->loop, "zip", 1, 100);
    config.loop = e->loop;
    config.disk = e->disk;
    config.zip = e->zip;
    assert_int_equal(http_server_new(&config, &e->server, &err), STATUS_OK);
    if (http_server_listen(e->server, "127.0.0.1", 0, tls, &e->port, &err))
        fail_msg("listen: %s", err.text);
}

UNUSED static void env_drained(void *arg)
{
    ((struct env *)arg)->drained = true;
}

UNUSED static void env_stop(struct env *e)
{
    http_server_drain(e->server, 5 * USEC_SEC, env_drained, e);
    UNTIL(e, e->drained);
    http_server_free(e->server);
    lane_free(e->disk);
    lane_free(e->zip);
    loop_free(e->loop);
    assert_int_equal(file_remove_tree(e->folder, NULL), STATUS_OK);
}

UNUSED static size_t folder_count(const char *path)
{
    DIR *d = opendir(path);
    size_t n = 0;

    assert_non_null(d);
    for (const struct dirent *it = readdir(d); it; it = readdir(d))
        if (it->d_name[0] != '.')
            n++;
    (void)closedir(d);
    return n;
}

UNUSED static void write_file(const char *path, const void *p, size_t n)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(file_write_all(fd, p, n), 0);
    assert_int_equal(close(fd), 0);
}

#endif
