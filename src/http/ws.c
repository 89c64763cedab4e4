/* A WebSocket once its stream is its own: messages, control frames, closing, pausing.
 *
 * Closing: our close frame, the peer's answer, then TCP ends; whoever does not answer in time is
 * cut. The object lives until the stream's on_close (and a deferred call, if one is under way). */
#include "http/ws_int.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define CLOSE_TIMEOUT (5 * USEC_SEC)
#define LINGER        (2 * USEC_SEC)

struct ws *ws_new(struct loop *l, bool server, const struct ws_config *config,
                  const struct ws_ops *ops, void *ctx)
{
    struct ws *w = calloc(1, sizeof *w);

    if (!w)
        return NULL;
    w->loop = l;
    w->ops = ops;
    w->ctx = ctx;
    w->code = 1006;
    w->queue_max = config && config->queue_max ? config->queue_max : WS_QUEUE_MAX;
    w->close_timeout = config && config->close_timeout ? config->close_timeout : CLOSE_TIMEOUT;
    codec_init(&w->codec, server,
               config && config->message_max ? config->message_max : WS_MESSAGE_MAX, NULL);
    return w;
}

void ws_free(struct ws *w)
{
    loop_timer_free(w->timer);
    handshake_free(w->handshake);
    codec_done(&w->codec);
    free(w->stash);
    free(w->err);
    free(w);
}

void ws_attach(struct ws *w, struct net_stream *s)
{
    w->stream = s;
    w->codec.out = s;
}

static void note(struct ws *w, int code, Status st, const char *text)
{
    w->code = code;
    if (w->err)
        return;
    w->err = calloc(1, sizeof *w->err);
    if (w->err)
        (void)err_set(w->err, st, NULL, "%s", text);
}

static void on_close_timeout(void *arg)
{
    struct ws *w = arg;

    if (!w->close_got)
        note(w, 1006, STATUS_TIMEOUT, "no close frame from the peer in time");
    net_stream_close(w->stream);
}

static void start_timer(struct ws *w)
{
    loop_timer_free(w->timer);
    w->timer = loop_timer_new(w->loop, "ws.close", on_close_timeout, w);
    if (w->timer)
        loop_timer_start(w->timer, w->close_timeout, 0);
    else
        net_stream_close(w->stream);
}

static void send_close(struct ws *w, int code, struct str reason)
{
    char payload[WS_CONTROL_MAX];
    size_t n = 0;

    if (w->close_sent || !w->open)
        return;
    w->close_sent = true;
    if (code) {
        payload[0] = (char)(code >> 8);
        payload[1] = (char)code;
        n = reason.n < sizeof payload - 2 ? reason.n : sizeof payload - 2;
        memcpy(payload + 2, reason.p ? reason.p : "", n);
        /* A reason cut within a character would not be UTF-8 any more. */
        while (n && !str_is_utf8(str_n(payload + 2, n)))
            n--;
        n += 2;
    }
    (void)codec_send(&w->codec, WSLAY_CONNECTION_CLOSE, str_n(payload, n));
}

void ws_fail(struct ws *w, int code, Status st, const char *fmt, ...)
{
    char text[256];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    note(w, code, st, text);
    send_close(w, code, str_z(text));
    w->close_got = true; /* whatever comes now is not heard */
    if (w->open)
        net_stream_close_after_write(w->stream, LINGER);
    else
        net_stream_close(w->stream);
}

/* ---- what comes in ---- */

static bool is_close_code(int code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
           (code >= 3000 && code <= 4999);
}

static void on_close_frame(struct ws *w, struct str payload)
{
    int code = 1005;

    if (payload.n >= 2)
        code = (uint8_t)payload.p[0] << 8 | (uint8_t)payload.p[1];
    if (payload.n == 1 || (payload.n >= 2 && !is_close_code(code)) ||
        (payload.n > 2 && !str_is_utf8(str_slice(payload, 2, payload.n)))) {
        ws_fail(w, 1002, STATUS_INVALID, "bad close frame");
        return;
    }
    w->close_got = true;
    w->code = code;
    if (payload.n > 2 && !w->err) {
        char text[WS_CONTROL_MAX];
        (void)str_copy_z(str_slice(payload, 2, payload.n), text, sizeof text);
        note(w, code, STATUS_CLOSED, text);
    }
    send_close(w, payload.n >= 2 ? code : 0, STR_NONE);
    net_stream_close_after_write(w->stream, LINGER);
}

static void on_control(void *ctx, uint8_t opcode, struct str payload)
{
    struct ws *w = ctx;

    if (opcode == WSLAY_PING) {
        /* A flood of pings to a peer that reads nothing must not pile up pongs. */
        if (!w->close_sent && !net_stream_congested(w->stream))
            (void)codec_send(&w->codec, WSLAY_PONG, payload);
    } else if (opcode == WSLAY_CONNECTION_CLOSE) {
        on_close_frame(w, payload);
    }
}

static void on_text(void *ctx, struct str text, bool binary)
{
    struct ws *w = ctx;

    if (!w->close_sent)
        w->ops->on_message(w->ctx, w, text, binary);
}

static bool stopped(void *ctx)
{
    const struct ws *w = ctx;

    return w->close_got || w->dead || (w->paused && !w->close_sent);
}

static const struct ws_events events = {
    .on_message = on_text,
    .on_control = on_control,
    .stopped = stopped,
};

static void stash(struct ws *w, const uint8_t *p, size_t n)
{
    uint8_t *more;

    if (n == 0 || w->close_got)
        return;
    more = realloc(w->stash, w->stash_n + n);
    if (!more) {
        ws_fail(w, 1011, STATUS_NOMEM, "out of memory");
        return;
    }
    memcpy(more + w->stash_n, p, n);
    w->stash = more;
    w->stash_n += n;
}

void ws_receive(struct ws *w, const uint8_t *p, size_t n)
{
    size_t used = 0;
    int code;

    if (w->stash) {
        stash(w, p, n);
        return;
    }
    code = codec_feed(&w->codec, p, n, &events, w, &used);
    if (code && !w->close_got)
        ws_fail(w, code, code == 1009 ? STATUS_TOO_BIG : STATUS_INVALID, "%s",
                code == 1009   ? "message too big"
                : code == 1007 ? "text is not UTF-8"
                : code == 1011 ? "out of memory"
                               : "protocol error");
    else if (used < n)
        stash(w, p + used, n - used);
}

static void on_stream_open(void *ctx)
{
    handshake_send(ctx);
}

static void on_data(void *ctx, const uint8_t *p, size_t n)
{
    struct ws *w = ctx;
    size_t used = 0;

    if (w->close_got)
        return;
    if (w->handshake) {
        if (!handshake_feed(w, p, n, &used))
            return;
        handshake_free(w->handshake);
        w->handshake = NULL;
        loop_timer_free(w->timer);
        w->timer = NULL;
        w->open = true;
        if (w->ops->on_open)
            w->ops->on_open(w->ctx, w);
        if (used == n)
            return;
    }
    ws_receive(w, p + used, n - used);
}

static void on_drain(void *ctx)
{
    struct ws *w = ctx;

    if (w->open && w->ops->on_drain)
        w->ops->on_drain(w->ctx, w);
}

static void on_end(void *ctx)
{
    struct ws *w = ctx;

    if (w->handshake)
        note(w, 1006, STATUS_CLOSED, "the server closed during the handshake");
    net_stream_close(w->stream);
}

static void on_stream_close(void *ctx, Status why, const struct err *err)
{
    struct ws *w = ctx;
    const struct err plain = { .code = why };

    w->dead = true;
    w->stream = NULL;
    w->codec.out = NULL;
    if (!w->err && why && err)
        note(w, w->code, why, err->text);
    w->ops->on_close(w->ctx, w, w->code, w->err ? w->err : &plain);
    if (!w->deferred)
        ws_free(w);
}

const struct net_stream_ops ws_stream_ops = {
    .on_open = on_stream_open,
    .on_data = on_data,
    .on_drain = on_drain,
    .on_end = on_end,
    .on_close = on_stream_close,
};

/* ---- what the owner calls ---- */

Status ws_send(struct ws *w, struct str text)
{
    Status st;

    if (!w->open || w->close_sent || w->dead)
        return STATUS_CLOSED;
    st = text.n + 16 > w->queue_max || net_stream_pending(w->stream) > w->queue_max - text.n - 16
             ? STATUS_FULL
             : codec_send(&w->codec, WSLAY_TEXT_FRAME, text);
    if (st) {
        /* It does not read, so a close frame would not be read either. */
        note(w, 1013, STATUS_FULL, "the peer does not read");
        w->close_sent = true;
        w->close_got = true;
        net_stream_close(w->stream);
    }
    return st;
}

size_t ws_pending(const struct ws *w)
{
    return w->stream ? net_stream_pending(w->stream) : 0;
}

bool ws_congested(const struct ws *w)
{
    return w->stream && net_stream_congested(w->stream);
}

void ws_pause(struct ws *w)
{
    w->paused = true;
    if (w->stream)
        net_stream_pause(w->stream);
}

static void on_deferred(void *arg)
{
    struct ws *w = arg;
    uint8_t *p = w->stash;
    const size_t n = w->stash_n;

    w->deferred = false;
    if (w->dead) {
        ws_free(w);
        return;
    }
    if (w->paused)
        return;
    w->stash = NULL;
    w->stash_n = 0;
    ws_receive(w, p, n); /* with n = 0 too: wslay may hold more frames */
    free(p);
    if (!w->paused && !w->dead)
        net_stream_resume(w->stream);
}

void ws_resume(struct ws *w)
{
    if (!w->paused || w->dead)
        return;
    w->paused = false;
    if (w->deferred)
        return;
    w->deferred = true;
    if (loop_defer(w->loop, on_deferred, w)) {
        w->deferred = false;
        ws_terminate(w);
    }
}

void ws_close(struct ws *w, int code, const char *reason)
{
    if (w->dead || w->close_sent || w->close_got)
        return;
    if (!w->open) {
        net_stream_close(w->stream);
        return;
    }
    send_close(w, code ? code : 1000, str_z(reason));
    start_timer(w);
    ws_resume(w); /* or the answer would never be seen */
}

void ws_terminate(struct ws *w)
{
    if (!w->dead)
        net_stream_close(w->stream);
}

const char *ws_peer(const struct ws *w)
{
    return w->stream ? net_stream_peer(w->stream) : "";
}

bool ws_is_tls(const struct ws *w)
{
    return w->stream && net_stream_is_tls(w->stream);
}
