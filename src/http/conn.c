/* One connection of the server: bytes in, requests out, in order.
 *
 * conn_pump is the only place that runs the parser. It goes on while the state lets it: a head is
 * read only when the request before it is answered, a body only when somebody takes it. What cannot
 * be parsed yet waits in c->in, bounded; then the peer is made to wait. Handlers run inside the
 * pump and may answer, close or upgrade: the loop looks at the state again after each step. */
#include "http/http_int.h"

#include "loop/loop.h"

#include <stdlib.h>

enum step { STEP_NONE, STEP_HEAD, STEP_MESSAGE, STEP_BAD };

/* Room for what one more read may bring (a TLS record is 16 KB) once the pause has been decided. */
#define IN_MAX (HTTP_PIPELINE_MAX + NET_READ_SIZE + 32u * 1024)

static bool body_wanted(const struct http_request *r)
{
    return r->body_mode == BODY_COLLECT || r->body_mode == BODY_STREAM;
}

static bool can_parse(const struct http_conn *c)
{
    const struct http_request *r = c->req;

    switch (c->state) {
    case CONN_IDLE:
    case CONN_HEAD:
        return !net_stream_congested(c->stream);
    case CONN_BODY:
        return !r->paused && body_wanted(r);
    case CONN_DISCARD:
        return true;
    case CONN_BUSY:
    case CONN_CLOSING:
    case CONN_GONE:
        return false;
    }
    return false;
}

static void conn_free(struct http_conn *c)
{
    struct http_server *s = c->server;

    list_remove(&c->link);
    buf_done(&c->in);
    free(c);
    s->n_conns--;
    server_conn_gone(s);
}

static void retire(struct http_conn *c)
{
    struct http_request *r = c->retired;

    c->retired = NULL;
    if (r) {
        r->conn = NULL;
        r->finished = true;
        request_settle(r);
    }
}

/* The connection lets go of its request; while the parser is at work on it, only after that. */
static void drop_request(struct http_conn *c)
{
    if (!c->req)
        return;
    c->retired = c->req;
    c->req = NULL;
    if (!c->pumping)
        retire(c);
}

/* Sends what is queued, then ends. The request, if any, has been taken care of. */
void conn_close_gently(struct http_conn *c)
{
    if (c->state == CONN_GONE || c->state == CONN_CLOSING)
        return;
    c->state = CONN_CLOSING;
    net_stream_close_after_write(c->stream, HTTP_LINGER);
}

void conn_cut(struct http_conn *c)
{
    if (c->state == CONN_GONE)
        return;
    c->state = CONN_CLOSING;
    net_stream_close(c->stream);
}

/* Refuses what the peer sent before a handler was called. */
static void conn_refuse(struct http_conn *c, int status)
{
    drop_request(c);
    reply_plain_error(c, status);
    conn_close_gently(c);
}

/* ---- parsing ---- */

static enum step step_head(struct http_conn *c, const char *p, size_t n, size_t *used)
{
    struct http_request *r = c->req;
    const llhttp_errno_t e = llhttp_execute(&r->parser, p, n);

    *used = n;
    if (e == HPE_PAUSED) {
        *used = (size_t)(llhttp_get_error_pos(&r->parser) - p);
        llhttp_resume(&r->parser);
    }
    r->head_raw += *used;
    if (e != HPE_OK && e != HPE_PAUSED)
        return STEP_BAD;
    if (r->head_raw > HTTP_HEAD_MAX) {
        r->fail = 431;
        return STEP_BAD;
    }
    return e == HPE_PAUSED ? STEP_HEAD : STEP_NONE;
}

static enum step step_body(struct http_conn *c, const char *p, size_t n, size_t *used)
{
    struct http_request *r = c->req;
    const llhttp_errno_t e = llhttp_execute(&r->parser, p, n);

    *used = n;
    if (e == HPE_OK)
        return STEP_NONE;
    if (e != HPE_PAUSED)
        return STEP_BAD;
    *used = (size_t)(llhttp_get_error_pos(&r->parser) - p);
    llhttp_resume(&r->parser);
    return r->message_done ? STEP_MESSAGE : STEP_NONE;
}

static enum step conn_step(struct http_conn *c, const char *p, size_t n, size_t *used)
{
    *used = 0;
    if (c->state == CONN_IDLE) {
        c->req = request_take(c->server, c);
        if (!c->req)
            return STEP_BAD;
        c->state = CONN_HEAD;
        c->since = loop_now_mono(c->server->config.loop);
    }
    if (c->state == CONN_HEAD)
        return step_head(c, p, n, used);
    return step_body(c, p, n, used);
}

static void conn_dispatch(struct http_conn *c)
{
    struct http_server *s = c->server;
    struct http_request *r = c->req;
    const int refused = head_check(r);
    struct loop_span span;

    if (refused) {
        conn_refuse(c, refused);
        return;
    }
    c->served = true;
    c->state = r->has_body ? CONN_BODY : CONN_BUSY;
    c->since = loop_now_mono(s->config.loop);
    r->started = c->since;
    s->requests++;
    if (!r->upgrade && s->active >= s->config.limits.requests_max) {
        (void)http_reply_header(r, "Retry-After", STR("1"));
        reply_error(r, 503);
        return;
    }
    s->active++;
    r->counted = true;
    if (r->content_length > 0 && (uint64_t)r->content_length > s->config.limits.body_max) {
        reply_error(r, 413);
        return;
    }
    span = loop_span_begin(s->config.loop, "http.request");
    s->config.on_request(s->config.ctx, r);
    loop_span_end(&span);
}

static void conn_bad(struct http_conn *c)
{
    struct http_request *r = c->req;

    if (c->state == CONN_IDLE) {
        conn_cut(c); /* no memory for a request */
    } else if (c->state == CONN_HEAD) {
        conn_refuse(c, r->fail ? r->fail : 400);
    } else if (c->state == CONN_DISCARD) {
        drop_request(c);
        conn_close_gently(c);
    } else if (c->state == CONN_BODY) {
        request_body_end(r, STATUS_INVALID); /* the handler answers, then it is over */
    }
}

static void conn_message_over(struct http_conn *c)
{
    if (c->state == CONN_DISCARD) {
        drop_request(c);
        c->state = CONN_IDLE;
        c->since = loop_now_mono(c->server->config.loop);
    } else if (c->state == CONN_BODY) {
        c->state = CONN_BUSY;
        request_body_end(c->req, STATUS_OK);
    }
}

static bool keep_rest(struct http_conn *c, const uint8_t *p, size_t n)
{
    if (n && buf_add(&c->in, p, n)) {
        conn_cut(c);
        return false;
    }
    return true;
}

static void in_used(struct http_conn *c, size_t n)
{
    c->in_off += n;
    if (c->in_off >= c->in.n) {
        buf_clear(&c->in);
        c->in_off = 0;
    }
}

static void in_free(struct http_conn *c)
{
    buf_done(&c->in);
    buf_init(&c->in, IN_MAX);
    c->in_off = 0;
}

static size_t in_pending(const struct http_conn *c)
{
    return c->in.n - c->in_off;
}

/* After the pump: reads on, or not, and notices a peer that has ended. */
static void conn_settle(struct http_conn *c)
{
    if (c->state == CONN_CLOSING)
        return;
    if (c->state == CONN_IDLE && c->in.cap && in_pending(c) == 0)
        in_free(c);
    if (c->eof && in_pending(c) == 0 && c->state != CONN_BUSY) {
        /* Nothing can come any more; a request cut short is lost. */
        if (c->state == CONN_BODY && body_wanted(c->req))
            request_body_end(c->req, STATUS_CLOSED);
        if (c->state == CONN_IDLE || c->state == CONN_HEAD || c->state == CONN_DISCARD) {
            drop_request(c);
            conn_close_gently(c);
        }
        return;
    }
    if (in_pending(c) >= HTTP_PIPELINE_MAX)
        net_stream_pause(c->stream);
    else if (net_stream_paused(c->stream))
        net_stream_resume(c->stream);
}

static void pump_loop(struct http_conn *c, const uint8_t *p, size_t n)
{
    while (can_parse(c)) {
        const bool stored = in_pending(c) > 0;
        const char *src = stored ? c->in.p + c->in_off : n ? (const char *)p : "";
        const size_t len = stored ? in_pending(c) : n;
        enum step what;
        size_t used = 0;

        if (len == 0 && !(c->kick && (c->state == CONN_BODY || c->state == CONN_DISCARD)))
            break;
        c->kick = false;
        what = conn_step(c, src, len, &used);
        if (stored) {
            in_used(c, used);
        } else if (used) {
            p += used;
            n -= used;
        }
        if (what != STEP_NONE) {
            /* From here on handlers run, and they may look for the rest (ws_accept). */
            if (!keep_rest(c, p, n))
                break;
            n = 0;
        }
        if (what == STEP_HEAD)
            conn_dispatch(c);
        else if (what == STEP_MESSAGE)
            conn_message_over(c);
        else if (what == STEP_BAD)
            conn_bad(c);
        retire(c);
    }
    if (c->state != CONN_GONE && c->state != CONN_CLOSING)
        (void)keep_rest(c, p, n);
}

void conn_pump(struct http_conn *c, const uint8_t *p, size_t n)
{
    if (c->pumping)
        return;
    c->pumping = true;
    if (in_pending(c) > 0 && n > 0) {
        if (c->in_off > c->in.n / 2) {
            buf_consume(&c->in, c->in_off);
            c->in_off = 0;
        }
        (void)keep_rest(c, p, n);
        n = 0;
    }
    pump_loop(c, p, n);
    if (c->state != CONN_GONE)
        conn_settle(c);
    retire(c);
    c->pumping = false;
    if (c->state == CONN_GONE)
        conn_free(c);
}

void conn_kick(struct http_conn *c)
{
    c->kick = true;
    conn_pump(c, NULL, 0);
}

/* ---- the reply of r is complete ---- */

void conn_reply_over(struct http_conn *c, struct http_request *r)
{
    if (c->state == CONN_CLOSING || c->state == CONN_GONE) {
        drop_request(c);
    } else if (!r->keep_alive) {
        drop_request(c);
        conn_close_gently(c);
    } else if (c->state == CONN_BODY) {
        c->state = CONN_DISCARD;
        r->paused = false;
        r->body_seen = 0;
        r->body_mode = BODY_OVER;
        c->since = loop_now_mono(c->server->config.loop);
    } else {
        drop_request(c);
        c->state = CONN_IDLE;
        c->since = loop_now_mono(c->server->config.loop);
    }
    if (c->pumping)
        return;
    if (c->server->draining && c->state == CONN_IDLE)
        conn_close_gently(c);
    conn_kick(c);
}

struct net_stream *conn_take_stream(struct http_request *r, struct buf *left)
{
    struct http_conn *c = r->conn;
    struct net_stream *stream = c->stream;

    if (in_pending(c) > 0)
        (void)buf_add(left, c->in.p + c->in_off, in_pending(c));
    if (net_stream_paused(stream))
        net_stream_resume(stream);
    c->state = CONN_GONE;
    c->stream = NULL;
    return stream;
}

/* ---- the stream's callbacks ---- */

static void on_data(void *ctx, const uint8_t *p, size_t n)
{
    struct http_conn *c = ctx;

    c->server->bytes_in += n;
    if (c->state == CONN_CLOSING)
        return;
    conn_pump(c, p, n);
}

static void on_drain(void *ctx)
{
    struct http_conn *c = ctx;
    struct http_request *r = c->req;

    if (r && !r->finished && r->drain_fn) {
        r->drain_fn(r->drain_arg);
        return; /* the end of the reply pumps */
    }
    conn_pump(c, NULL, 0);
}

static void on_end(void *ctx)
{
    struct http_conn *c = ctx;

    c->eof = true;
    if (c->state == CONN_BODY)
        c->kick = true;
    conn_pump(c, NULL, 0);
}

static void on_close(void *ctx, Status why, const struct err *err)
{
    struct http_conn *c = ctx;
    struct http_request *r = c->req;

    (void)why;
    (void)err;
    c->state = CONN_CLOSING;
    c->req = NULL;
    if (r) {
        if (r->counted || r->head_done)
            request_lost(r);
        else
            request_recycle(r);
    }
    conn_free(c);
}

static const struct net_stream_ops conn_ops = {
    .on_data = on_data,
    .on_drain = on_drain,
    .on_end = on_end,
    .on_close = on_close,
};

void conn_accept(struct http_server *s, struct net_stream *stream)
{
    struct http_conn *c = s->draining || s->freed ? NULL : calloc(1, sizeof *c);

    if (!c) {
        net_stream_close(stream);
        return;
    }
    c->server = s;
    c->stream = stream;
    c->since = loop_now_mono(s->config.loop);
    c->out_since = c->since;
    buf_init(&c->in, IN_MAX);
    list_push(&s->conns, &c->link);
    s->n_conns++;
    if (!loop_timer_active(s->sweep))
        loop_timer_start(s->sweep, s->sweep_every, s->sweep_every);
    net_stream_set(stream, &conn_ops, c);
}

/* ---- time ---- */

/* False when the reply has not moved for too long and the connection was cut. */
static bool sweep_output(struct http_conn *c, Usec now)
{
    const uint64_t out = net_stream_bytes_out(c->stream);

    if (net_stream_pending(c->stream) == 0 || out != c->out_mark) {
        c->out_mark = out;
        c->out_since = now;
        return true;
    }
    if (now - c->out_since <= c->server->config.limits.write_timeout)
        return true;
    conn_cut(c);
    return false;
}

void conn_sweep(struct http_conn *c, Usec now)
{
    const struct http_limits *l = &c->server->config.limits;
    const Usec quiet = now - c->since;
    struct http_request *r = c->req;

    if (c->state == CONN_CLOSING || c->state == CONN_GONE || !sweep_output(c, now))
        return;
    switch (c->state) {
    case CONN_IDLE:
        if (net_stream_pending(c->stream) == 0 &&
            quiet > (c->served ? l->idle_timeout : l->head_timeout))
            conn_cut(c);
        break;
    case CONN_HEAD:
        if (quiet > l->head_timeout)
            conn_refuse(c, 408);
        break;
    case CONN_BODY:
        if (r->paused || !body_wanted(r))
            c->since = now; /* it is the handler that takes its time */
        else if (quiet > l->body_timeout)
            request_body_end(r, STATUS_TIMEOUT);
        break;
    case CONN_DISCARD:
        if (quiet > l->body_timeout)
            conn_cut(c);
        break;
    case CONN_BUSY:
    case CONN_CLOSING:
    case CONN_GONE:
        break;
    }
}
