/* The server's half of the opening handshake (RFC 6455 4.2): checks the request, answers 101 and
 * takes the connection out of the HTTP server. */
#include "http/http_int.h"
#include "http/ws_int.h"

#include "crypto/crypto.h"

#include <assert.h>
#include <stdlib.h>

void ws_accept_key(struct str key, char out[WS_ACCEPT_SIZE])
{
    AUTO_BUF struct buf joined = { 0 };
    AUTO_BUF struct buf encoded = { 0 };
    uint8_t digest[20];

    buf_init(&joined, 256);
    buf_init(&encoded, 64);
    (void)buf_add_str(&joined, key);
    (void)buf_add_str(&joined, STR("258EAFA5-E914-47DA-95CA-C5AB0DC85B11"));
    crypto_sha1(buf_str(&joined), digest);
    (void)crypto_base64(str_n(digest, sizeof digest), false, &encoded);
    (void)str_copy_z(buf_str(&encoded), out, WS_ACCEPT_SIZE);
}

bool http_request_is_upgrade(const struct http_request *r)
{
    return r->upgrade;
}

static bool is_key(struct str key)
{
    AUTO_BUF struct buf raw = { 0 };

    buf_init(&raw, 64);
    return key.n == 24 && crypto_unbase64(key, false, &raw) == STATUS_OK && raw.n == 16;
}

static Status refuse(struct http_request *r, int status, const char *text, struct err *err)
{
    if (status == 426) {
        (void)http_reply_header(r, "Sec-WebSocket-Version", STR("13"));
        (void)http_reply_header(r, "Upgrade", STR("websocket"));
    }
    reply_error(r, status);
    return err_set(err, STATUS_INVALID, NULL, "%s", text);
}

static void send_switch(struct http_request *r, struct str key)
{
    char accept[WS_ACCEPT_SIZE];
    struct buf *b = &r->out;
    const char *common;
    size_t n;

    ws_accept_key(key, accept);
    common = server_common(r->server, &n);
    buf_clear(b);
    (void)buf_add_str(b, STR("HTTP/1.1 101 Switching Protocols\r\n"));
    (void)buf_add(b, common, n);
    (void)buf_add_str(b,
                      STR("Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "));
    (void)buf_add_z(b, accept);
    (void)buf_add_str(b, STR("\r\n"));
    (void)buf_add_str(b, buf_str(&r->extra));
    (void)buf_add_str(b, STR("\r\n"));
    r->status = 101;
    (void)reply_raw(r, b->p, b->n);
}

/* What came behind the head: delivered on a later turn, so that the caller has its pointer first.
 */
static void hand_over(struct ws *w, struct buf *left)
{
    char *p;
    size_t n = 0;

    if (left->n == 0)
        return;
    p = buf_take(left, &n);
    if (!p) {
        net_stream_close(w->stream);
        return;
    }
    w->stash = (uint8_t *)p;
    w->stash_n = n;
    w->paused = true;
    net_stream_pause(w->stream);
    ws_resume(w);
}

Status ws_accept(struct http_request *r, const struct ws_config *config, const struct ws_ops *ops,
                 void *ctx, struct ws **ret, struct err *err)
{
    const struct str key = http_request_header(r, "Sec-WebSocket-Key");
    AUTO_BUF struct buf left = { 0 };
    struct ws *w;

    buf_init(&left, SIZE_MAX / 2);
    assert(r->reply == REPLY_NONE);
    if (!r->upgrade || r->http10 || r->has_body)
        return refuse(r, 400, "not a WebSocket request", err);
    if (!str_eq(http_request_header(r, "Sec-WebSocket-Version"), STR("13")))
        return refuse(r, 426, "WebSocket version is not 13", err);
    if (!is_key(key))
        return refuse(r, 400, "bad Sec-WebSocket-Key", err);
    if (!r->conn || r->conn->state == CONN_CLOSING) {
        r->status = 499;
        request_finish(r);
        return err_set(err, STATUS_CLOSED, NULL, "the client is gone");
    }
    w = ws_new(r->server->config.loop, true, config, ops, ctx);
    if (!w) {
        reply_error(r, 503);
        return err_set(err, STATUS_NOMEM, NULL, "out of memory");
    }
    send_switch(r, key);
    w->open = true;
    ws_attach(w, conn_take_stream(r, &left));
    net_stream_set(w->stream, &ws_stream_ops, w);
    request_finish(r);
    hand_over(w, &left);
    *ret = w;
    return STATUS_OK;
}
