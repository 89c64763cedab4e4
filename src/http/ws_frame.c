/* The frame layer: wslay's frame API below, whole messages above.
 *
 * wslay checks lengths and unmasks; here are the rules it leaves to its caller (masking by role,
 * reserved bits, opcodes and their order, sizes, UTF-8), putting messages together, and the dance
 * that lets its context go whenever it holds nothing. No sockets but for codec->out. */
#include "http/ws_int.h"

#include "crypto/crypto.h"

#include <stdlib.h>

enum { CLOSE_PROTOCOL = 1002, CLOSE_DATA = 1007, CLOSE_TOO_BIG = 1009, CLOSE_INTERNAL = 1011 };

static ssize_t on_recv(uint8_t *buf, size_t len, int flags, void *arg)
{
    struct ws_codec *c = arg;
    const size_t n = len < c->in_n ? len : c->in_n;

    (void)flags;
    if (n == 0)
        return -1;
    memcpy(buf, c->in, n);
    c->in += n;
    c->in_n -= n;
    c->fed += n;
    return (ssize_t)n;
}

static ssize_t on_send(const uint8_t *data, size_t len, int flags, void *arg)
{
    const struct ws_codec *c = arg;

    (void)flags;
    if (c->out && net_stream_write(c->out, data, len))
        return -1;
    return (ssize_t)len;
}

static int on_mask(uint8_t *buf, size_t len, void *arg)
{
    (void)arg;
    crypto_random(buf, len);
    return 0;
}

void codec_init(struct ws_codec *c, bool server, size_t message_max, struct net_stream *out)
{
    *c = (struct ws_codec){ .server = server, .message_max = message_max, .out = out };
    buf_init(&c->message, message_max);
}

void codec_done(struct ws_codec *c)
{
    if (c->frame)
        wslay_frame_context_free(c->frame);
    c->frame = NULL;
    free(c->control);
    c->control = NULL;
    buf_done(&c->message);
}

static bool context_get(struct ws_codec *c)
{
    static const struct wslay_frame_callbacks callbacks = {
        .send_callback = on_send,
        .recv_callback = on_recv,
        .genmask_callback = on_mask,
    };

    if (c->frame)
        return true;
    c->fed = 0;
    c->seen = 0;
    return wslay_frame_context_init(&c->frame, &callbacks, c) == 0;
}

/* Between frames, also within a fragmented message: wslay remembers only its opcode order, which
 * the fields here know as well, so the context may go unless a message is open. */
static void context_release(struct ws_codec *c)
{
    if (c->frame && !c->in_frame && !c->in_message && c->fed == c->seen) {
        wslay_frame_context_free(c->frame);
        c->frame = NULL;
    }
}

static uint64_t header_size(const struct wslay_frame_iocb *f)
{
    const uint64_t length = f->payload_length > 65535 ? 8 : f->payload_length > 125 ? 2 : 0;

    return 2 + length + (f->mask ? 4u : 0u);
}

static int control_begin(struct ws_codec *c, const struct wslay_frame_iocb *f)
{
    if (f->opcode > WSLAY_PONG || !f->fin || f->payload_length > WS_CONTROL_MAX)
        return CLOSE_PROTOCOL;
    c->control_n = 0;
    c->control = malloc(WS_CONTROL_MAX);
    return c->control ? 0 : CLOSE_INTERNAL;
}

static void control_end(struct ws_codec *c, uint8_t opcode, const struct ws_events *events,
                        void *ctx)
{
    uint8_t *payload = c->control;

    c->control = NULL;
    events->on_control(ctx, opcode, str_n(payload, c->control_n));
    free(payload);
}

static int frame_begin(struct ws_codec *c, const struct wslay_frame_iocb *f)
{
    c->in_frame = true;
    c->got = 0;
    c->seen += header_size(f);
    if (f->rsv != WSLAY_RSV_NONE || (f->mask != 0) != c->server)
        return CLOSE_PROTOCOL;
    if (wslay_is_ctrl_frame(f->opcode))
        return control_begin(c, f);
    if (f->opcode > WSLAY_BINARY_FRAME || (f->opcode == WSLAY_CONTINUATION_FRAME) != c->in_message)
        return CLOSE_PROTOCOL;
    if (f->payload_length > c->message_max - c->message.n)
        return CLOSE_TOO_BIG;
    if (f->opcode != WSLAY_CONTINUATION_FRAME)
        c->binary = f->opcode == WSLAY_BINARY_FRAME;
    c->in_message = true;
    return 0;
}

static int message_end(struct ws_codec *c, const struct ws_events *events, void *ctx)
{
    const struct str text = c->message.n ? buf_str(&c->message) : STR("");

    c->in_message = false;
    if (!c->binary && !str_is_utf8(text))
        return CLOSE_DATA;
    events->on_message(ctx, text, c->binary);
    buf_done(&c->message);
    buf_init(&c->message, c->message_max);
    return 0;
}

static int frame_data(struct ws_codec *c, const struct wslay_frame_iocb *f,
                      const struct ws_events *events, void *ctx)
{
    const bool control = wslay_is_ctrl_frame(f->opcode);

    if (control) {
        if (f->data_length)
            memcpy(c->control + c->control_n, f->data, f->data_length);
        c->control_n = (uint8_t)(c->control_n + f->data_length);
    } else if (f->data_length && buf_add(&c->message, f->data, f->data_length)) {
        return CLOSE_INTERNAL;
    }
    c->got += f->data_length;
    c->seen += f->data_length;
    if (c->got < f->payload_length)
        return 0;
    c->in_frame = false;
    if (control) {
        control_end(c, f->opcode, events, ctx);
        return 0;
    }
    return f->fin ? message_end(c, events, ctx) : 0;
}

int codec_feed(struct ws_codec *c, const uint8_t *p, size_t n, const struct ws_events *events,
               void *ctx, size_t *used)
{
    int code = 0;

    c->in = p;
    c->in_n = n;
    while (!code && !events->stopped(ctx)) {
        struct wslay_frame_iocb f = { 0 };
        ssize_t r;
        if (!context_get(c)) {
            code = CLOSE_INTERNAL;
            break;
        }
        r = wslay_frame_recv(c->frame, &f);
        if (r == WSLAY_ERR_WANT_READ)
            break;
        if (r < 0) {
            code = CLOSE_PROTOCOL;
            break;
        }
        if (!c->in_frame)
            code = frame_begin(c, &f);
        if (!code)
            code = frame_data(c, &f, events, ctx);
    }
    *used = n - c->in_n;
    c->in = NULL;
    c->in_n = 0;
    context_release(c);
    return code;
}

Status codec_send(struct ws_codec *c, uint8_t opcode, struct str payload)
{
    struct wslay_frame_iocb f = {
        .fin = 1,
        .opcode = opcode,
        .payload_length = payload.n,
        .mask = c->server ? 0 : 1,
        .data = (const uint8_t *)payload.p,
        .data_length = payload.n,
    };
    ssize_t r;

    if (!context_get(c))
        return STATUS_NOMEM;
    r = wslay_frame_send(c->frame, &f);
    context_release(c);
    return r == (ssize_t)payload.n ? STATUS_OK : STATUS_FULL;
}

/* ---- for the fuzzer ---- */

struct fuzz {
    void (*on_message)(void *ctx, struct str text);
    void *ctx;
    bool closed;
};

static void fuzz_message(void *ctx, struct str text, bool binary)
{
    const struct fuzz *f = ctx;

    (void)binary;
    f->on_message(f->ctx, text);
}

static void fuzz_control(void *ctx, uint8_t opcode, struct str payload)
{
    struct fuzz *f = ctx;

    (void)payload;
    if (opcode == WSLAY_CONNECTION_CLOSE)
        f->closed = true;
}

static bool fuzz_stopped(void *ctx)
{
    return ((const struct fuzz *)ctx)->closed;
}

Status ws_fuzz_feed(bool server, const uint8_t *p, size_t n,
                    void (*on_message)(void *ctx, struct str text), void *ctx)
{
    static const struct ws_events events = {
        .on_message = fuzz_message,
        .on_control = fuzz_control,
        .stopped = fuzz_stopped,
    };
    struct fuzz f = { .on_message = on_message, .ctx = ctx };
    struct ws_codec c;
    size_t used;
    int code;

    codec_init(&c, server, WS_MESSAGE_MAX, NULL);
    code = codec_feed(&c, p, n, &events, &f, &used);
    codec_done(&c);
    return code == CLOSE_TOO_BIG ? STATUS_TOO_BIG : code ? STATUS_INVALID : STATUS_OK;
}
