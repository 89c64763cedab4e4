/* WebSockets: our client against our server, and raw frames against the server. */
#include "http_test.h"

#include "crypto/crypto.h"

struct peer {
    struct env *env;
    struct ws *w;
    struct buf in;
    int messages;
    int opens;
    int drains;
    int closes;
    int code;
    Status why;
    bool binary;
    bool echo;
    char reason[128];
};

static void on_open(void *ctx, struct ws *w)
{
    struct peer *p = ctx;

    (void)w;
    p->opens++;
}

static void on_message(void *ctx, struct ws *w, struct str text, bool binary)
{
    struct peer *p = ctx;

    p->messages++;
    p->binary = binary;
    buf_clear(&p->in);
    assert_int_equal(buf_add_str(&p->in, text), STATUS_OK);
    if (p->echo)
        (void)ws_send(w, text);
}

static void on_drain(void *ctx, struct ws *w)
{
    (void)w;
    ((struct peer *)ctx)->drains++;
}

static void on_close(void *ctx, struct ws *w, int code, const struct err *err)
{
    struct peer *p = ctx;

    (void)w;
    p->closes++;
    p->code = code;
    p->why = err->code;
    (void)str_copy_z(str_z(err->text), p->reason, sizeof p->reason);
    p->w = NULL;
}

static const struct ws_ops peer_ops = {
    .on_open = on_open,
    .on_message = on_message,
    .on_drain = on_drain,
    .on_close = on_close,
};

static struct peer server_side;
static struct ws_config server_config;
static Status accept_status;

static void accept_handler(struct env *e, struct http_request *r)
{
    struct err err = { 0 };

    server_side.env = e;
    if (!http_request_is_upgrade(r) && str_eq_z(http_request_path(r), "/plain"))
        http_reply(r, 200, "text/plain", STR("plain"));
    else if (str_eq_z(http_request_path(r), "/later"))
        e->held = r;
    else
        accept_status = ws_accept(r, &server_config, &peer_ops, &server_side, &server_side.w, &err);
}

static void start(struct env *e)
{
    env_start(e, NULL, NULL);
    e->on_request = accept_handler;
    buf_done(&server_side.in);
    server_side = (struct peer){ .echo = true };
    server_config = (struct ws_config){ 0 };
    accept_status = STATUS_OK;
    buf_init(&server_side.in, 200u * 1024 * 1024);
}

static void stop(struct env *e)
{
    if (server_side.w)
        ws_terminate(server_side.w);
    UNTIL(e, server_side.w == NULL);
    env_stop(e);
    buf_done(&server_side.in);
}

static void client_open(struct env *e, struct peer *p, const char *path)
{
    char url[128];

    *p = (struct peer){ .env = e };
    buf_init(&p->in, 200u * 1024 * 1024);
    (void)snprintf(url, sizeof url, "ws://127.0.0.1:%u%s", e->port, path);
    assert_int_equal(
        ws_connect(e->loop, url, NULL, "tester", 30 * USEC_SEC, NULL, &peer_ops, p, &p->w, NULL),
        STATUS_OK);
}

static void client_done(struct env *e, struct peer *p)
{
    if (p->w)
        ws_terminate(p->w);
    UNTIL(e, p->closes == 1);
    buf_done(&p->in);
}

static void test_echo(void **state)
{
    struct env e;
    struct peer c;
    static const size_t sizes[] = { 0, 1, 125, 126, 127, 4096, 65535, 65536, 1000000 };

    (void)state;
    start(&e);
    client_open(&e, &c, "/any/path?x=1");
    UNTIL(&e, c.opens == 1);
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        char *text = malloc(sizes[i] + 1);
        memset(text, 'a' + (int)i, sizes[i]);
        assert_int_equal(ws_send(c.w, str_n(text, sizes[i])), STATUS_OK);
        UNTIL(&e, c.messages == (int)i + 1);
        assert_int_equal(c.in.n, sizes[i]);
        assert_memory_equal(c.in.n ? c.in.p : "", text, sizes[i]);
        assert_false(c.binary);
        free(text);
    }
    assert_string_equal(ws_peer(server_side.w), "127.0.0.1");
    assert_false(ws_is_tls(server_side.w));
    assert_int_equal(http_server_stats(e.server).connections, 0);
    assert_int_equal(e.last_status, 101);
    ws_close(c.w, 1001, "bye");
    UNTIL(&e, c.closes == 1 && server_side.closes == 1);
    assert_int_equal(c.code, 1001);
    assert_int_equal(server_side.code, 1001);
    assert_string_equal(server_side.reason, "bye");
    client_done(&e, &c);
    stop(&e);
}

static void test_many_small_messages(void **state)
{
    struct env e;
    struct peer c;

    (void)state;
    start(&e);
    client_open(&e, &c, "/");
    UNTIL(&e, c.opens == 1);
    for (int i = 0; i < 10000; i++)
        assert_int_equal(ws_send(c.w, STR("{\"n\":1}")), STATUS_OK);
    UNTIL(&e, c.messages == 10000);
    client_done(&e, &c);
    UNTIL(&e, server_side.closes == 1);
    assert_int_equal(server_side.code, 1006);
    stop(&e);
}

static void test_pause(void **state)
{
    struct env e;
    struct peer c;

    (void)state;
    start(&e);
    server_side.echo = false;
    client_open(&e, &c, "/");
    UNTIL(&e, c.opens == 1);
    ws_pause(server_side.w);
    for (int i = 0; i < 100; i++)
        assert_int_equal(ws_send(c.w, STR("x")), STATUS_OK);
    for (int i = 0; i < 100; i++)
        (void)uv_run(loop_uv(e.loop), UV_RUN_NOWAIT);
    assert_int_equal(server_side.messages, 0);
    ws_resume(server_side.w);
    assert_int_equal(server_side.messages, 0); /* never from inside */
    UNTIL(&e, server_side.messages == 100);
    client_done(&e, &c);
    stop(&e);
}

static void pausing_message(void *ctx, struct ws *w, struct str text, bool binary)
{
    on_message(ctx, w, text, binary);
    ws_pause(w);
}

static const struct ws_ops pausing_ops = { .on_message = pausing_message, .on_close = on_close };

static void pausing_handler(struct env *e, struct http_request *r)
{
    (void)e;
    assert_int_equal(ws_accept(r, &server_config, &pausing_ops, &server_side, &server_side.w, NULL),
                     STATUS_OK);
}

/* Pausing in the middle of one read: exactly one message each time. */
static void test_pause_between_messages(void **state)
{
    struct env e;
    struct peer c;

    (void)state;
    start(&e);
    server_side.echo = false;
    e.on_request = pausing_handler;
    client_open(&e, &c, "/");
    UNTIL(&e, c.opens == 1);
    for (int i = 0; i < 50; i++)
        assert_int_equal(ws_send(c.w, STR("x")), STATUS_OK);
    for (int i = 1; i <= 50; i++) {
        UNTIL(&e, server_side.messages == i);
        for (int k = 0; k < 3; k++)
            (void)uv_run(loop_uv(e.loop), UV_RUN_NOWAIT);
        assert_int_equal(server_side.messages, i);
        ws_resume(server_side.w);
    }
    client_done(&e, &c);
    stop(&e);
}

/* ---- raw frames ---- */

#define HANDSHAKE                                                                                  \
    "GET /raw HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"    \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"

/* One masked frame; the key is 1 2 3 4. */
static void frame(struct raw *r, unsigned first, bool masked, const void *payload, size_t n)
{
    static const uint8_t key[4] = { 1, 2, 3, 4 };
    struct buf b;

    buf_init(&b, n + 16);
    (void)buf_add_char(&b, (char)first);
    if (n < 126) {
        (void)buf_add_char(&b, (char)((masked ? 0x80 : 0) | n));
    } else {
        (void)buf_add_char(&b, (char)((masked ? 0x80 : 0) | 126));
        (void)buf_add_char(&b, (char)(n >> 8));
        (void)buf_add_char(&b, (char)n);
    }
    if (masked)
        (void)buf_add(&b, key, 4);
    for (size_t i = 0; i < n; i++)
        (void)buf_add_char(&b, (char)(((const uint8_t *)payload)[i] ^ (masked ? key[i % 4] : 0)));
    raw_send(r, buf_str(&b));
    buf_done(&b);
}

static void raw_upgrade(struct env *e, struct raw *r)
{
    start(e);
    raw_connect(e, r);
    RAW_SEND(r, HANDSHAKE);
    RAW_EXPECT(r, "\r\n\r\n");
    /* The example of RFC 6455 1.3. */
    assert_true(raw_has(r, "HTTP/1.1 101 Switching Protocols\r\n"));
    assert_true(raw_has(r, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
    buf_clear(&r->in);
}

/* Waits for a close frame with this code and the end of the connection. */
static void expect_close(struct env *e, struct raw *r, int code)
{
    UNTIL(e, r->closed);
    assert_true(r->in.n >= 4);
    {
        /* The last frame: find it from the front. */
        size_t at = 0;
        bool seen = false;
        while (at + 2 <= r->in.n) {
            const uint8_t *p = (const uint8_t *)r->in.p + at;
            const size_t n = p[1];
            assert_true(n < 126);
            if (p[0] == 0x88) {
                assert_true(n >= 2);
                assert_int_equal(p[2] << 8 | p[3], code);
                seen = true;
            }
            at += 2 + n;
        }
        assert_true(seen);
    }
    UNTIL(e, server_side.closes == 1);
    assert_int_equal(server_side.code, code);
}

static void test_fragments(void **state)
{
    struct env e;
    struct raw r;

    (void)state;
    raw_upgrade(&e, &r);
    frame(&r, 0x01, true, "Hel", 3);
    frame(&r, 0x89, true, "ping", 4); /* in between */
    RAW_EXPECT(&r, "\x8a\x04ping");
    frame(&r, 0x00, true, "", 0);
    frame(&r, 0x80, true, "lo", 2);
    RAW_EXPECT(&r, "\x81\x05Hello");
    /* Byte by byte, a character of two bytes across the pieces. */
    buf_clear(&r.in);
    {
        static const uint8_t bytes[] = {
            0x01, 0x81, 0, 0, 0, 0, 0xc3, 0x80, 0x81, 0, 0, 0, 0, 0xa9
        };
        for (size_t i = 0; i < sizeof bytes; i++) {
            raw_send(&r, str_n(bytes + i, 1));
            for (int k = 0; k < 4; k++)
                (void)uv_run(loop_uv(e.loop), UV_RUN_NOWAIT);
        }
    }
    RAW_EXPECT(&r, "\x81\x02\xc3\xa9");
    frame(&r, 0x82, true, "\x00\xff", 2);
    UNTIL(&e, server_side.binary);
    assert_int_equal(server_side.in.n, 2);
    raw_done(&r);
    stop(&e);
}

struct violation {
    unsigned first;
    bool masked;
    const char *payload;
    size_t n;
    int code;
};

static void test_violations(void **state)
{
    static const struct violation rows[] = {
        { 0x81, false, "x", 1, 1002 }, /* not masked */
        { 0xc1, true, "x", 1, 1002 },  /* reserved bit */
        { 0x83, true, "x", 1, 1002 },  /* unknown opcode */
        { 0x80, true, "x", 1, 1002 },  /* continues nothing */
        { 0x8b, true, "x", 1, 1002 },
        { 0x09, true, "x", 1, 1002 },            /* fragmented ping */
        { 0x81, true, "\xff\xfe", 2, 1007 },     /* not UTF-8 */
        { 0x88, true, "\x01", 1, 1002 },         /* half a close code */
        { 0x88, true, "\x03\xed", 2, 1002 },     /* 1005 must not be sent */
        { 0x88, true, "\x03\xe8\xff", 3, 1002 }, /* reason not UTF-8 */
        { 0x88, true, "\x03\xe8", 2, 1000 },     /* fine */
        { 0x88, true, "\x0f\xa0ok", 4, 4000 },   /* fine */
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct env e;
        struct raw r;
        raw_upgrade(&e, &r);
        frame(&r, rows[i].first, rows[i].masked, rows[i].payload, rows[i].n);
        expect_close(&e, &r, rows[i].code);
        assert_int_equal(server_side.messages, 0);
        raw_done(&r);
        stop(&e);
    }
}

static void test_too_big(void **state)
{
    struct env e;
    struct raw r;
    static char text[2000];

    (void)state;
    memset(text, 't', sizeof text);
    for (int way = 0; way < 3; way++) {
        start(&e);
        server_config.message_max = 1000;
        server_side.echo = false;
        raw_connect(&e, &r);
        RAW_SEND(&r, HANDSHAKE);
        RAW_EXPECT(&r, "\r\n\r\n");
        buf_clear(&r.in);
        frame(&r, 0x81, true, text, 1000);
        UNTIL(&e, server_side.messages == 1);
        if (way == 0) {
            frame(&r, 0x81, true, text, 1001);
        } else if (way == 1) { /* in fragments */
            frame(&r, 0x01, true, text, 600);
            frame(&r, 0x80, true, text, 401);
        } else { /* announced only */
            RAW_SEND(&r, "\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x01\x02\x03\x04x");
        }
        expect_close(&e, &r, 1009);
        assert_int_equal(server_side.messages, 1);
        raw_done(&r);
        stop(&e);
    }
}

/* Frames in the same packet as the handshake, also when the handler accepts later. */
static void test_bytes_behind_the_handshake(void **state)
{
    struct env e;
    struct raw r;

    (void)state;
    start(&e);
    raw_connect(&e, &r);
    RAW_SEND(&r, HANDSHAKE "\x81\x81\x00\x00\x00\x00z");
    RAW_EXPECT(&r, "\x81\x01z");
    raw_done(&r);
    stop(&e);

    start(&e);
    raw_connect(&e, &r);
    RAW_SEND(&r, "GET /later HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
                 "\x81\x81\x00\x00\x00\x00y");
    UNTIL(&e, e.held);
    for (int i = 0; i < 5; i++)
        (void)uv_run(loop_uv(e.loop), UV_RUN_NOWAIT);
    assert_int_equal(ws_accept(e.held, NULL, &peer_ops, &server_side, &server_side.w, NULL),
                     STATUS_OK);
    RAW_EXPECT(&r, "\x81\x01y");
    raw_done(&r);
    stop(&e);
}

static void test_bad_handshakes(void **state)
{
    static const struct {
        const char *request;
        const char *answer;
    } rows[] = {
        { "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HTTP/1.1 400 " },
        { "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: close, Upgrade\r\n"
          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 8\r\n\r\n",
          "HTTP/1.1 426 " },
        { "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: close, Upgrade\r\n"
          "Sec-WebSocket-Key: short\r\nSec-WebSocket-Version: 13\r\n\r\n",
          "HTTP/1.1 400 " },
        { "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: close, Upgrade\r\n"
          "Sec-WebSocket-Version: 13\r\n\r\n",
          "HTTP/1.1 400 " },
        { "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: close, Upgrade\r\n"
          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
          "HTTP/1.1 400 " },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct env e;
        struct raw r;
        start(&e);
        raw_ask(&e, &r, str_z(rows[i].request));
        if (!str_starts(buf_str(&r.in), str_z(rows[i].answer)))
            fail_msg("row %zu: %.*s", i, STR_FMT(buf_str(&r.in)));
        assert_int_equal(accept_status, STATUS_INVALID);
        raw_done(&r);
        stop(&e);
    }
}

/* An upgrade the handler does not care for is a plain request, and the connection lives on. */
static void test_upgrade_ignored(void **state)
{
    struct env e;
    struct raw r;

    (void)state;
    start(&e);
    raw_connect(&e, &r);
    RAW_SEND(&r, "GET /plain HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"
                 "GET /plain HTTP/1.1\r\nHost: x\r\n\r\n");
    UNTIL(&e, raw_count(&r, "\r\n\r\nplain") == 2);
    raw_done(&r);
    stop(&e);
}

static void test_queue_max(void **state)
{
    struct env e;
    struct raw r;
    static char text[64 * 1024];
    Status st = STATUS_OK;

    (void)state;
    memset(text, 'q', sizeof text);
    start(&e);
    server_config.queue_max = 4u * 1024 * 1024;
    raw_connect(&e, &r);
    RAW_SEND(&r, HANDSHAKE);
    RAW_EXPECT(&r, "\r\n\r\n");
    net_stream_pause(r.s);
    for (int i = 0; i < 10000 && !st; i++) {
        st = ws_send(server_side.w, str_n(text, sizeof text));
        if (!st) {
            assert_true(ws_pending(server_side.w) <= 4u * 1024 * 1024);
            (void)uv_run(loop_uv(e.loop), UV_RUN_NOWAIT);
        }
    }
    assert_int_equal(st, STATUS_FULL);
    UNTIL(&e, server_side.closes == 1);
    assert_int_equal(server_side.code, 1013);
    assert_int_equal(server_side.why, STATUS_FULL);
    raw_done(&r);
    stop(&e);
}

static void test_drain(void **state)
{
    struct env e;
    struct peer c;
    static char text[64 * 1024];

    (void)state;
    memset(text, 'd', sizeof text);
    start(&e);
    server_side.echo = false;
    client_open(&e, &c, "/");
    UNTIL(&e, c.opens == 1);
    ws_pause(server_side.w);
    while (!ws_congested(c.w)) {
        assert_int_equal(ws_send(c.w, str_n(text, sizeof text)), STATUS_OK);
        (void)uv_run(loop_uv(e.loop), UV_RUN_NOWAIT);
    }
    assert_int_equal(c.drains, 0);
    ws_resume(server_side.w);
    UNTIL(&e, c.drains == 1 && !ws_congested(c.w));
    client_done(&e, &c);
    stop(&e);
}

static void test_close_timeout(void **state)
{
    struct env e;
    struct raw r;

    (void)state;
    start(&e);
    server_config.close_timeout = 50 * USEC_MSEC;
    raw_connect(&e, &r);
    RAW_SEND(&r, HANDSHAKE);
    RAW_EXPECT(&r, "\r\n\r\n");
    ws_close(server_side.w, 1000, "done");
    assert_int_equal(ws_send(server_side.w, STR("x")), STATUS_CLOSED);
    RAW_EXPECT(&r, "\x88\x06\x03\xe8"
                   "done");
    UNTIL(&e, server_side.closes == 1); /* nobody answers */
    assert_int_equal(server_side.code, 1006);
    assert_int_equal(server_side.why, STATUS_TIMEOUT);
    raw_done(&r);
    stop(&e);
}

/* ---- the client against servers that do not play along ---- */

static void fake_handler(struct env *e, struct http_request *r)
{
    (void)e;
    if (str_eq_z(http_request_path(r), "/denied"))
        http_reply(r, 403, "text/plain", STR("no"));
    else if (str_eq_z(http_request_path(r), "/hang"))
        e->held = r;
    else
        http_reply(r, 200, "text/plain", STR("a page"));
}

static void test_client_failures(void **state)
{
    struct env e;
    struct peer c;
    struct ws *w = NULL;
    struct err err = { 0 };
    char url[64];

    (void)state;
    start(&e);
    e.on_request = fake_handler;
    client_open(&e, &c, "/page");
    UNTIL(&e, c.closes == 1);
    assert_int_equal(c.opens, 0);
    assert_int_equal(c.code, 1006);
    assert_string_equal(c.reason, "the server answered 200 OK");
    client_done(&e, &c);
    client_open(&e, &c, "/denied");
    UNTIL(&e, c.closes == 1);
    assert_int_equal(c.why, STATUS_DENIED);
    client_done(&e, &c);

    c = (struct peer){ 0 };
    (void)snprintf(url, sizeof url, "ws://localhost:%u/hang", e.port);
    assert_int_equal(
        ws_connect(e.loop, url, NULL, NULL, 200 * USEC_MSEC, NULL, &peer_ops, &c, &c.w, NULL),
        STATUS_OK);
    UNTIL(&e, c.closes == 1);
    assert_int_equal(c.why, STATUS_TIMEOUT);
    UNTIL(&e, e.held);
    http_reply(e.held, 200, NULL, STR_NONE);

    /* Nobody listens. */
    c = (struct peer){ 0 };
    assert_int_equal(ws_connect(e.loop, "ws://127.0.0.1:1/", NULL, NULL, 30 * USEC_SEC, NULL,
                                &peer_ops, &c, &c.w, NULL),
                     STATUS_OK);
    UNTIL(&e, c.closes == 1);
    assert_int_equal(c.why, STATUS_CLOSED);

    assert_int_equal(
        ws_connect(e.loop, "http://127.0.0.1/", NULL, NULL, 0, NULL, &peer_ops, &c, &w, &err),
        STATUS_INVALID);
    assert_int_equal(
        ws_connect(e.loop, "wss://127.0.0.1/", NULL, NULL, 0, NULL, &peer_ops, &c, &w, &err),
        STATUS_UNSUPPORTED);
    assert_int_equal(
        ws_connect(e.loop, "ws://bad host/", NULL, NULL, 0, NULL, &peer_ops, &c, &w, &err),
        STATUS_INVALID);
    stop(&e);
}

static void count_message(void *ctx, struct str text)
{
    (void)text;
    (*(int *)ctx)++;
}

static void test_codec_feed(void **state)
{
    int n = 0;

    (void)state;
    assert_int_equal(
        ws_fuzz_feed(true, (const uint8_t *)"\x81\x80\x01\x02\x03\x04\x81\x80\x01\x02\x03\x04", 12,
                     count_message, &n),
        STATUS_OK);
    assert_int_equal(n, 2);
    assert_int_equal(ws_fuzz_feed(false, (const uint8_t *)"\x81\x01x", 3, count_message, &n),
                     STATUS_OK);
    assert_int_equal(n, 3);
    assert_int_equal(ws_fuzz_feed(false, (const uint8_t *)"\x81\x81zzzzx", 7, count_message, &n),
                     STATUS_INVALID);
    assert_int_equal(n, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_echo),           cmocka_unit_test(test_many_small_messages),
        cmocka_unit_test(test_pause),          cmocka_unit_test(test_pause_between_messages),
        cmocka_unit_test(test_fragments),      cmocka_unit_test(test_violations),
        cmocka_unit_test(test_too_big),        cmocka_unit_test(test_bytes_behind_the_handshake),
        cmocka_unit_test(test_bad_handshakes), cmocka_unit_test(test_upgrade_ignored),
        cmocka_unit_test(test_queue_max),      cmocka_unit_test(test_drain),
        cmocka_unit_test(test_close_timeout),  cmocka_unit_test(test_client_failures),
        cmocka_unit_test(test_codec_feed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
