/* Replies. A head is built in one buffer and goes out together with a small body in one write;
 * streamed replies are chunked, or counted when the length is known.
 *
 * Whether the connection lives on is decided when the head is built, because it has to say so. */
#include "http/http_int.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#define TAKE_FROM (16u * 1024) /* bodies from this size on are handed over, not copied */

static void add_u64(struct buf *b, uint64_t v)
{
    char digits[20];
    size_t n = sizeof digits;

    do {
        digits[--n] = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    (void)buf_add(b, digits + n, sizeof digits - n);
}

static void add_status_line(struct buf *b, int status)
{
    (void)buf_add_str(b, STR("HTTP/1.1 "));
    add_u64(b, status >= 100 && status <= 999 ? (uint64_t)status : 500);
    (void)buf_add_char(b, ' ');
    (void)buf_add_z(b, http_status_text(status));
    (void)buf_add_str(b, STR("\r\n"));
}

/* A body that nobody read: small rests are read and dropped, for more it is cheaper to close. */
static bool may_keep(const struct http_request *r)
{
    if (!r->keep_alive || !r->conn || r->conn->eof || r->server->draining)
        return false;
    if (!r->has_body || r->message_done)
        return true;
    return !r->expects && r->content_length <= (int64_t)HTTP_DISCARD_MAX;
}

void reply_head(struct http_request *r, int status, const char *content_type, int64_t length,
                const char *encoding)
{
    struct buf *b = &r->out;
    const char *common;
    size_t n;

    r->status = status;
    r->reply = REPLY_STARTED;
    r->no_body = http_request_is_head(r) || status == 204 || status == 304 || status < 200;
    r->chunked = length < 0 && !r->http10;
    r->keep_alive = may_keep(r) && (length >= 0 || r->chunked || r->no_body);
    r->reply_left = length;
    buf_clear(b);
    add_status_line(b, status);
    common = server_common(r->server, &n);
    (void)buf_add(b, common, n);
    if (content_type && status != 304 && status != 204) {
        (void)buf_add_str(b, STR("Content-Type: "));
        (void)buf_add_z(b, content_type);
        (void)buf_add_str(b, STR("\r\n"));
    }
    if (encoding) {
        (void)buf_add_str(b, STR("Content-Encoding: "));
        (void)buf_add_z(b, encoding);
        (void)buf_add_str(b, STR("\r\n"));
    }
    if (status != 304 && status != 204 && status >= 200) {
        if (length >= 0) {
            (void)buf_add_str(b, STR("Content-Length: "));
            add_u64(b, (uint64_t)length);
            (void)buf_add_str(b, STR("\r\n"));
        } else if (r->chunked) {
            (void)buf_add_str(b, STR("Transfer-Encoding: chunked\r\n"));
        }
    }
    if (!r->keep_alive)
        (void)buf_add_str(b, STR("Connection: close\r\n"));
    else if (r->http10)
        (void)buf_add_str(b, STR("Connection: keep-alive\r\n"));
    (void)buf_add_str(b, buf_str(&r->extra));
    (void)buf_add_str(b, STR("\r\n"));
    if (b->failed)
        conn_cut(r->conn); /* more headers than a head may have: a mistake of the handler's */
    else
        (void)reply_raw(r, b->p, b->n);
}

Status reply_raw(struct http_request *r, const void *p, size_t n)
{
    Status st;

    if (!r->conn || r->conn->state == CONN_CLOSING)
        return STATUS_CLOSED;
    st = net_stream_write(r->conn->stream, p, n);
    if (st) {
        conn_cut(r->conn); /* half a reply cannot be mended */
        return STATUS_CLOSED;
    }
    r->bytes_out += n;
    return STATUS_OK;
}

Status reply_raw_take(struct http_request *r, void *p, size_t n)
{
    Status st;

    if (!r->conn || r->conn->state == CONN_CLOSING) {
        free(p);
        return STATUS_CLOSED;
    }
    st = net_stream_write_take(r->conn->stream, p, n);
    if (st) {
        conn_cut(r->conn);
        return STATUS_CLOSED;
    }
    r->bytes_out += n;
    return STATUS_OK;
}

void reply_continue(struct http_request *r)
{
    r->expects = false;
    if (r->conn && r->conn->in.n == r->conn->in_off) /* the body has not come on its own */
        (void)reply_raw(r, "HTTP/1.1 100 Continue\r\n\r\n", 25);
}

void reply_plain_error(struct http_conn *c, int status)
{
    char text[64];
    char head[320];
    size_t common_n;
    const char *common = server_common(c->server, &common_n);
    const int text_n = snprintf(text, sizeof text, "%d %s", status, http_status_text(status));
    const int n = snprintf(head, sizeof head,
                           "HTTP/1.1 %s\r\n%.*sContent-Type: text/plain\r\nContent-Length: %d\r\n"
                           "Connection: close\r\n\r\n%s",
                           text, (int)common_n, common, text_n, text);

    if (n > 0 && (size_t)n < sizeof head &&
        net_stream_write(c->stream, head, (size_t)n) == STATUS_OK)
        c->server->bytes_out += (uint64_t)n;
}

void reply_error(struct http_request *r, int status)
{
    char text[64];
    const int n = snprintf(text, sizeof text, "%d %s", status, http_status_text(status));

    http_reply(r, status, "text/plain", str_n(text, n > 0 ? (size_t)n : 0));
}

/* ---- headers of the handler ---- */

static bool is_token(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!isalnum((unsigned char)s.p[i]) && !memchr("!#$%&'*+-.^_`|~", s.p[i], 15))
            return false;
    return s.n > 0;
}

static bool is_ours(struct str name)
{
    static const char *const names[] = { "Content-Length", "Transfer-Encoding", "Connection",
                                         "Date", "Server" };

    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (str_eq_nocase(name, str_z(names[i])))
            return true;
    return false;
}

Status http_reply_header(struct http_request *r, const char *name, struct str value)
{
    const struct str key = str_z(name);
    const size_t before = r->extra.n;

    if (!is_token(key) || is_ours(key))
        return STATUS_INVALID;
    for (size_t i = 0; i < value.n; i++)
        if (value.p[i] == '\r' || value.p[i] == '\n' || value.p[i] == '\0')
            return STATUS_INVALID;
    (void)buf_add_str(&r->extra, key);
    (void)buf_add_str(&r->extra, STR(": "));
    (void)buf_add_str(&r->extra, value);
    if (buf_add_str(&r->extra, STR("\r\n"))) {
        r->extra.n = before;
        r->extra.failed = false;
        return STATUS_FULL;
    }
    if (str_eq_nocase(key, STR("Content-Encoding")))
        r->encoded = true;
    return STATUS_OK;
}

/* ---- whole replies ---- */

static void reply_whole(struct http_request *r, int status, const char *content_type,
                        struct str body, const char *encoding)
{
    reply_head(r, status, content_type, (int64_t)body.n, encoding);
    if (!r->no_body && body.n)
        (void)reply_raw(r, body.p, body.n);
    request_finish(r);
}

/* True when the reply has been sent, or will be by the lane. */
static bool reply_zipped(struct http_request *r, int status, const char *content_type,
                         struct str body)
{
    struct buf zipped;
    char *p;
    size_t n;

    if (!zip_wanted(r, status, content_type, body.n))
        return false;
    if (body.n > HTTP_ZIP_INLINE)
        return zip_on_lane(r, status, content_type, body);
    buf_init(&zipped, body.n);
    if (!zip_inline(r->server, body, &zipped)) {
        buf_done(&zipped);
        return false;
    }
    p = buf_take(&zipped, &n);
    if (!p)
        return false;
    reply_head(r, status, content_type, (int64_t)n, "gzip");
    (void)reply_raw_take(r, p, n);
    request_finish(r);
    return true;
}

void http_reply(struct http_request *r, int status, const char *content_type, struct str body)
{
    assert(r->reply == REPLY_NONE);
    if (!r->conn) {
        r->status = status;
        request_finish(r);
        return;
    }
    if (zip_type(content_type) && body.n > HTTP_ZIP_MIN && !r->encoded)
        (void)http_reply_header(r, "Vary", STR("Accept-Encoding"));
    if (!reply_zipped(r, status, content_type, body))
        reply_whole(r, status, content_type, body, NULL);
}

void http_reply_buf(struct http_request *r, int status, const char *content_type, struct buf *body)
{
    size_t n = 0;
    char *p;

    if (!r->conn || body->n < TAKE_FROM || http_request_is_head(r) ||
        zip_wanted(r, status, content_type, body->n)) {
        http_reply(r, status, content_type, buf_str(body));
        buf_done(body);
        return;
    }
    assert(r->reply == REPLY_NONE);
    p = buf_take(body, &n);
    if (!p) {
        reply_error(r, 503);
        return;
    }
    if (zip_type(content_type) && !r->encoded)
        (void)http_reply_header(r, "Vary", STR("Accept-Encoding"));
    reply_head(r, status, content_type, (int64_t)n, NULL);
    if (r->no_body)
        free(p);
    else
        (void)reply_raw_take(r, p, n);
    request_finish(r);
}

/* ---- streamed replies ---- */

void http_reply_start(struct http_request *r, int status, const char *content_type, int64_t length)
{
    assert(r->reply == REPLY_NONE);
    if (!r->conn) {
        r->reply = REPLY_STARTED;
        r->status = status;
        return;
    }
    reply_head(r, status, content_type, length, NULL);
}

Status http_reply_write(struct http_request *r, const void *p, size_t n)
{
    Status st;
    char size[20];
    int size_n;

    assert(r->reply == REPLY_STARTED);
    if (!r->conn || r->conn->state == CONN_CLOSING)
        return STATUS_CLOSED;
    if (n == 0 || r->no_body)
        return STATUS_OK;
    if (net_stream_pending(r->conn->stream) + n + sizeof size > NET_PENDING_MAX)
        return STATUS_FULL;
    if (r->reply_left >= 0) {
        if (n > (uint64_t)r->reply_left)
            return STATUS_INVALID;
        r->reply_left -= (int64_t)n;
        return reply_raw(r, p, n);
    }
    if (!r->chunked)
        return reply_raw(r, p, n);
    size_n = snprintf(size, sizeof size, "%zx\r\n", n);
    st = reply_raw(r, size, (size_t)size_n);
    if (!st)
        st = reply_raw(r, p, n);
    return st ? st : reply_raw(r, "\r\n", 2);
}

bool http_reply_congested(const struct http_request *r)
{
    return r->conn && r->conn->state != CONN_CLOSING && net_stream_congested(r->conn->stream);
}

void http_reply_on_drain(struct http_request *r, void (*fn)(void *arg), void *arg)
{
    r->drain_fn = fn;
    r->drain_arg = arg;
}

void http_reply_end(struct http_request *r)
{
    assert(r->reply == REPLY_STARTED);
    if (r->conn && !r->no_body) {
        if (r->chunked)
            (void)reply_raw(r, "0\r\n\r\n", 5);
        else if (r->reply_left > 0)
            conn_cut(r->conn); /* shorter than promised: the client must see that */
    }
    request_finish(r);
}
