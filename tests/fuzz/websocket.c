/* rooms: http net loop crypto base */
/* The WebSocket frame layer, in both roles. The first byte chooses the role and the sizes of the
 * pieces; cut into pieces or not, the same messages must come out and the same verdict. */
#include "http/ws_int.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct trace {
    uint64_t hash;
    size_t messages;
    bool closed;
};

static void add(struct trace *t, struct str s)
{
    t->hash = str_hash(s, t->hash + s.n + 1);
    t->messages++;
}

static void on_plain(void *ctx, struct str text)
{
    add(ctx, text);
}

static void on_message(void *ctx, struct str text, bool binary)
{
    if (!binary && !str_is_utf8(text))
        abort();
    add(ctx, text);
}

static void on_control(void *ctx, uint8_t opcode, struct str payload)
{
    struct trace *t = ctx;

    if (payload.n > WS_CONTROL_MAX)
        abort();
    if (opcode == WSLAY_CONNECTION_CLOSE)
        t->closed = true;
}

static bool stopped(void *ctx)
{
    return ((const struct trace *)ctx)->closed;
}

static int feed_pieces(bool server, const uint8_t *p, size_t n, size_t step, struct trace *t)
{
    static const struct ws_events events = { on_message, on_control, stopped };
    struct ws_codec c;
    int code = 0;

    codec_init(&c, server, WS_MESSAGE_MAX, NULL);
    for (size_t at = 0; at < n && !code && !t->closed; at += step) {
        size_t used;
        code = codec_feed(&c, p + at, step < n - at ? step : n - at, &events, t, &used);
    }
    codec_done(&c);
    return code;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const bool server = n && (data[0] & 1);
    const size_t step = n ? (size_t)(data[0] >> 1) % 40 + 1 : 1;
    struct trace whole = { 0 };
    struct trace pieces = { 0 };
    Status st;
    int code;

    if (n == 0)
        return 0;
    st = ws_fuzz_feed(server, data + 1, n - 1, on_plain, &whole);
    code = feed_pieces(server, data + 1, n - 1, step, &pieces);
    if ((st != STATUS_OK) != (code != 0) || whole.hash != pieces.hash ||
        whole.messages != pieces.messages)
        abort();
    return 0;
}
