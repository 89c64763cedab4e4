/* The server's core with raw bytes: keep-alive, pipelining, bodies both ways, what is refused. */
#include "http_test.h"

#define GET(path) "GET " path " HTTP/1.1\r\nHost: x\r\n\r\n"
#define CLOSE     "Connection: close\r\n"

static void test_hello(void **state)
{
    struct env e;
    struct raw r;

    (void)state;
    env_start(&e, NULL, NULL);
    raw_connect(&e, &r);
    RAW_SEND(&r, GET("/hello"));
    RAW_EXPECT(&r, "\r\n\r\nhello");
    assert_true(raw_has(&r, "HTTP/1.1 200 OK\r\nServer: Orrery\r\nDate: "));
    assert_true(raw_has(&r, "\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n"));
    assert_false(raw_has(&r, "Connection"));
    buf_clear(&r.in);
    RAW_SEND(&r, "HEAD /hello HTTP/1.1\r\nHost: x\r\n\r\n" GET("/none"));
    RAW_EXPECT(&r, "404 Not Found\r\n");
    RAW_EXPECT(&r, "\r\n\r\n404 Not Found");
    assert_true(raw_has(&r, "Content-Length: 5\r\n"));
    assert_false(raw_has(&r, "hello"));
    assert_int_equal(http_server_stats(e.server).requests, 3);
    assert_int_equal(http_server_stats(e.server).connections, 1);
    assert_int_equal(e.dones, 3);
    raw_done(&r);
    env_stop(&e);
}

static void test_keep_alive_by_version(void **state)
{
    struct env e;
    struct raw r;

    (void)state;
    env_start(&e, NULL, NULL);
    raw_ask(&e, &r, STR("GET /hello HTTP/1.0\r\n\r\n"));
    assert_true(raw_has(&r, "Connection: close\r\n"));
    assert_true(str_eq_z(raw_body(&r), "hello"));
    raw_done(&r);

    raw_connect(&e, &r);
    RAW_SEND(&r, "GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    RAW_EXPECT(&r, "hello");
    assert_true(raw_has(&r, "Connection: keep-alive\r\n"));
    buf_clear(&r.in);
    RAW_SEND(&r, "GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    RAW_EXPECT(&r, "hello");
    raw_done(&r);

    raw_ask(&e, &r, STR("GET /hello HTTP/1.1\r\nHost: x\r\n" CLOSE "\r\n"));
    assert_true(raw_has(&r, "Connection: close\r\n"));
    assert_true(r.ended);
    raw_done(&r);
    env_stop(&e);
}

static void test_pipelining(void **state)
{
    struct env e;
    struct raw r;

    (void)state;
    env_start(&e, NULL, NULL);
    raw_connect(&e, &r);
    for (int i = 0; i < 200; i++) {
        char text[160];
        const int n = snprintf(text, sizeof text,
                               "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n<%03d>"
                               "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n",
                               i);
        raw_send(&r, str_n(text, (size_t)n));
    }
    RAW_EXPECT(&r, "<199>");
    UNTIL(&e, raw_count(&r, "hello") == 200);
    for (int i = 1; i < 200; i++) {
        char a[16];
        char b[16];
        (void)snprintf(a, sizeof a, "<%03d>", i - 1);
        (void)snprintf(b, sizeof b, "<%03d>", i);
        assert_true(str_find(buf_str(&r.in), str_z(a)) < str_find(buf_str(&r.in), str_z(b)));
    }
    raw_done(&r);
    env_stop(&e);
}

static void test_pipelining_waits_for_slow_reply(void **state)
{
    struct env e;
    struct raw r;

    (void)state;
    env_start(&e, NULL, NULL);
    raw_connect(&e, &r);
    RAW_SEND(&r, GET("/hold") GET("/hello"));
    UNTIL(&e, e.held);
    for (int i = 0; i < 20; i++)
        (void)uv_run(loop_uv(e.loop), UV_RUN_NOWAIT);
    assert_int_equal(r.in.n, 0);
    assert_int_equal(http_server_stats(e.server).active, 1);
    http_reply(e.held, 200, "text/plain", STR("slow"));
    RAW_EXPECT(&r, "hello");
    assert_true(str_find(buf_str(&r.in), STR("slow")) < str_find(buf_str(&r.in), STR("hello")));
    raw_done(&r);
    env_stop(&e);
}

/* While a request is handled the peer may send only a bounded amount more. */
static void test_pipelining_is_bounded(void **state)
{
    struct env e;
    struct raw r;
    static char junk[1024 * 1024];

    (void)state;
    memset(junk, 'x', sizeof junk);
    env_start(&e, NULL, NULL);
    raw_connect(&e, &r);
    RAW_SEND(&r, GET("/hold"));
    UNTIL(&e, e.held);
    for (int i = 0; i < 32; i++)
        raw_send(&r, str_n(junk, sizeof junk));
    for (int i = 0; i < 2000; i++)
        (void)uv_run(loop_uv(e.loop), UV_RUN_NOWAIT);
    assert_true(http_server_stats(e.server).bytes_in < 1024 * 1024);
    http_reply(e.held, 200, "text/plain", STR("done"));
    RAW_EXPECT(&r, "HTTP/1.1 400 Bad Request");
    raw_done(&r);
    env_stop(&e);
}

static void test_body_in_pieces(void **state)
{
    struct env e;
    struct raw r;
    static const char request[] =
        "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\nhello world";

    (void)state;
    env_start(&e, NULL, NULL);
    raw_connect(&e, &r);
    for (size_t i = 0; i + 1 < sizeof request; i++) {
        raw_send(&r, str_n(request + i, 1));
        (void)uv_run(loop_uv(e.loop), UV_RUN_NOWAIT);
    }
    RAW_EXPECT(&r, "\r\n\r\nhello world");
    buf_clear(&r.in);
    RAW_SEND(
        &r,
        "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        "4;ext=1\r\nWiki\r\n6\r\npedia \r\nE\r\nin \r\n\r\nchunks.\r\n0\r\nX-Trailer: 1\r\n\r\n");
    RAW_EXPECT(&r, "\r\n\r\nWikipedia in \r\n\r\nchunks.");
    buf_clear(&r.in);
    RAW_SEND(&r, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n" GET("/hello"));
    RAW_EXPECT(&r, "hello");
    assert_true(raw_has(&r, "Content-Length: 0\r\n"));
    raw_done(&r);
    env_stop(&e);
}

static void test_expect_continue(void **state)
{
    struct env e;
    struct raw r;

    (void)state;
    env_start(&e, NULL, NULL);
    raw_connect(&e, &r);
    RAW_SEND(&r,
             "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    RAW_EXPECT(&r, "HTTP/1.1 100 Continue\r\n\r\n");
    RAW_SEND(&r, "abc");
    RAW_EXPECT(&r, "\r\n\r\nabc");
    raw_done(&r);
    /* Not asked to go on: the answer ends the connection. */
    raw_ask(&e, &r,
            STR("POST /hello HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: "
                "100-continue\r\n\r\n"));
    assert_false(raw_has(&r, "100 Continue"));
    assert_true(raw_has(&r, "Connection: close\r\n"));
    raw_done(&r);
    raw_ask(&e, &r,
            STR("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: magic\r\n\r\n"));
    assert_true(raw_has(&r, "HTTP/1.1 417 "));
    raw_done(&r);
    env_stop(&e);
}

static void test_unread_body(void **state)
{
    struct env e;
    struct raw r;

    (void)state;
    env_start(&e, NULL, NULL);
    raw_connect(&e, &r);
    RAW_SEND(&r, "POST /hello HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n01234");
    RAW_EXPECT(&r, "hello");
    buf_clear(&r.in);
    RAW_SEND(&r, "56789" GET("/path?a=1"));
    RAW_EXPECT(&r, "\r\n\r\na=1");
    raw_done(&r);
    /* Too much to read and drop. */
    raw_connect(&e, &r);
    RAW_SEND(&r, "POST /hello HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n01234");
    RAW_EXPECT(&r, "hello");
    assert_true(raw_has(&r, "Connection: close\r\n"));
    RAW_CLOSED(&r);
    raw_done(&r);
    env_stop(&e);
}

static void test_body_too_big(void **state)
{
    struct http_limits limits = http_limits_default();
    struct env e;
    struct raw r;

    (void)state;
    limits.body_max = 2u * 1024 * 1024;
    env_start(&e, &limits, NULL);
    /* The server's own bound, by length. */
    raw_ask(&e, &r, STR("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2097153\r\n\r\n"));
    assert_true(raw_has(&r, "HTTP/1.1 413 Payload Too Large\r\n"));
    assert_true(str_eq_z(raw_body(&r), "413 Payload Too Large"));
    raw_done(&r);
    /* The handler's bound, by length and by counting. */
    raw_ask(&e, &r, STR("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1048577\r\n\r\n"));
    assert_true(raw_has(&r, "HTTP/1.1 413 "));
    assert_int_equal(e.body_status, STATUS_TOO_BIG);
    raw_done(&r);
    e.body_status = STATUS_OK;
    raw_connect(&e, &r);
    RAW_SEND(&r, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 1100; i++) {
        static char piece[1024 + 7];
        memset(piece, 'p', sizeof piece);
        memcpy(piece, "400\r\n", 5);
        memcpy(piece + 5 + 1024, "\r\n", 2);
        raw_send(&r, str_n(piece, sizeof piece));
    }
    RAW_CLOSED(&r);
    assert_true(raw_has(&r, "HTTP/1.1 413 "));
    assert_int_equal(e.body_status, STATUS_TOO_BIG);
    raw_done(&r);
    /* Exactly at the bound is fine. */
    raw_connect(&e, &r);
    r.keep = false;
    RAW_SEND(&r, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1048576\r\n\r\n");
    for (int i = 0; i < 1024; i++) {
        static char piece[1024];
        raw_send(&r, str_n(piece, sizeof piece));
    }
    UNTIL(&e, r.received > 1048576);
    assert_int_equal(e.body_status, STATUS_OK);
    raw_done(&r);
    env_stop(&e);
}

static void test_stream_body(void **state)
{
    struct env e;
    struct raw r;
    static char piece[64 * 1024];

    (void)state;
    env_start(&e, NULL, NULL);
    raw_connect(&e, &r);
    RAW_SEND(&r, "PUT /count HTTP/1.1\r\nHost: x\r\nContent-Length: 26214400\r\n\r\n");
    for (int i = 0; i < 400; i++)
        raw_send(&r, str_n(piece, sizeof piece));
    RAW_EXPECT(&r, "\r\n\r\n26214400");
    raw_done(&r);
    env_stop(&e);
}

static struct http_request *paused_request;

static void pausing_data(void *arg, struct http_request *r, const uint8_t *p, size_t n)
{
    struct env *e = arg;

    (void)p;
    e->streamed += n;
    http_request_pause(r);
    paused_request = r;
}

static const struct http_body_ops pausing_ops = { .on_data = pausing_data, .on_end = count_end };

static void pausing_handler(struct env *e, struct http_request *r)
{
    http_request_stream_body(r, &pausing_ops, e);
}

static void test_body_back_pressure(void **state)
{
    struct env e;
    struct raw r;
    static char piece[1024 * 1024];
    const uint64_t total = 32u * 1024 * 1024;

    (void)state;
    env_start(&e, NULL, NULL);
    e.on_request = pausing_handler;
    raw_connect(&e, &r);
    RAW_SEND(&r, "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 33554432\r\n\r\n");
    for (int i = 0; i < 32; i++)
        raw_send(&r, str_n(piece, sizeof piece));
    UNTIL(&e, e.streamed > 0);
    for (int i = 0; i < 2000; i++)
        (void)uv_run(loop_uv(e.loop), UV_RUN_NOWAIT);
    assert_true(http_server_stats(e.server).bytes_in < 1024 * 1024);
    while (e.streamed < total) {
        const uint64_t before = e.streamed;
        http_request_resume(paused_request);
        UNTIL(&e, e.streamed > before);
    }
    http_request_resume(paused_request);
    RAW_EXPECT(&r, "\r\n\r\n33554432");
    assert_int_equal(e.body_status, STATUS_OK);
    raw_done(&r);
    env_stop(&e);
}

/* Chunked body, pausing after every piece: the end must be seen though no byte follows. */
static void test_pause_at_the_last_piece(void **state)
{
    struct env e;
    struct raw r;

    (void)state;
    env_start(&e, NULL, NULL);
    e.on_request = pausing_handler;
    raw_connect(&e, &r);
    RAW_SEND(&r, "PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
                 "chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
    UNTIL(&e, e.streamed == 3);
    http_request_resume(paused_request);
    UNTIL(&e, e.streamed == 5);
    http_request_resume(paused_request);
    RAW_EXPECT(&r, "\r\n\r\n5");
    raw_done(&r);
    env_stop(&e);
}

static struct http_request *streaming;

static void streaming_handler(struct env *e, struct http_request *r)
{
    (void)e;
    assert_int_equal(http_reply_header(r, "X-One", STR("1")), STATUS_OK);
    assert_int_equal(http_reply_header(r, "X-Two", STR("a\r\nInjected: 1")), STATUS_INVALID);
    assert_int_equal(http_reply_header(r, "X:Two", STR("a")), STATUS_INVALID);
    assert_int_equal(http_reply_header(r, "Content-Length", STR("9")), STATUS_INVALID);
    http_reply_start(r, 200, "text/plain", str_eq_z(http_request_path(r), "/known") ? 10 : -1);
    streaming = r;
}

static void test_streamed_reply(void **state)
{
    struct env e;
    struct raw r;

    (void)state;
    env_start(&e, NULL, NULL);
    e.on_request = streaming_handler;
    raw_connect(&e, &r);
    RAW_SEND(&r, GET("/"));
    RAW_EXPECT(&r, "Transfer-Encoding: chunked\r\nX-One: 1\r\n\r\n");
    assert_false(raw_has(&r, "Injected"));
    buf_clear(&r.in);
    assert_int_equal(http_reply_write(streaming, "hello ", 6), STATUS_OK);
    RAW_EXPECT(&r, "6\r\nhello \r\n");
    assert_int_equal(http_reply_write(streaming, "world, this is it", 17), STATUS_OK);
    http_reply_end(streaming);
    RAW_EXPECT(&r, "6\r\nhello \r\n11\r\nworld, this is it\r\n0\r\n\r\n");
    buf_clear(&r.in);

    RAW_SEND(&r, GET("/known"));
    RAW_EXPECT(&r, "Content-Length: 10\r\nX-One: 1\r\n\r\n");
    assert_int_equal(http_reply_write(streaming, "01234567890", 11), STATUS_INVALID);
    assert_int_equal(http_reply_write(streaming, "0123456789", 10), STATUS_OK);
    http_reply_end(streaming);
    RAW_EXPECT(&r, "\r\n\r\n0123456789");
    buf_clear(&r.in);

    /* Less than promised: cut, so that the client can tell. */
    RAW_SEND(&r, GET("/known"));
    RAW_EXPECT(&r, "\r\n\r\n");
    http_reply_end(streaming);
    RAW_CLOSED(&r);
    raw_done(&r);

    /* HTTP/1.0 knows no chunks: the end of the connection is the end. */
    raw_connect(&e, &r);
    RAW_SEND(&r, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    RAW_EXPECT(&r, "\r\n\r\n");
    assert_int_equal(http_reply_write(streaming, "plain", 5), STATUS_OK);
    http_reply_end(streaming);
    RAW_CLOSED(&r);
    assert_true(str_eq_z(raw_body(&r), "plain"));
    assert_true(raw_has(&r, "Connection: close\r\n"));
    raw_done(&r);
    env_stop(&e);
}

static void more_stream(void *arg)
{
    struct env *e = arg;
    static char piece[32 * 1024];

    while (!http_reply_congested(streaming) && e->streamed < 50u * 1024 * 1024) {
        if (http_reply_write(streaming, piece, sizeof piece))
            break;
        e->streamed += sizeof piece;
    }
    if (e->streamed >= 50u * 1024 * 1024 || http_request_aborted(streaming))
        http_reply_end(streaming);
}

static void drain_handler(struct env *e, struct http_request *r)
{
    streaming = r;
    e->streamed = 0;
    http_reply_start(r, 200, "application/octet-stream", 50 * 1024 * 1024);
    http_reply_on_drain(r, more_stream, e);
    more_stream(e);
}

static void test_reply_back_pressure(void **state)
{
    struct env e;
    struct raw r;

    (void)state;
    env_start(&e, NULL, NULL);
    e.on_request = drain_handler;
    raw_connect(&e, &r);
    r.keep = false;
    net_stream_pause(r.s);
    RAW_SEND(&r, GET("/"));
    UNTIL(&e, e.streamed > 0);
    for (int i = 0; i < 2000; i++)
        (void)uv_run(loop_uv(e.loop), UV_RUN_NOWAIT);
    assert_true(e.streamed < 20u * 1024 * 1024); /* what the kernel's buffers take */
    net_stream_resume(r.s);
    UNTIL(&e, r.received > 50u * 1024 * 1024);
    assert_int_equal(e.dones, 1);
    raw_done(&r);
    env_stop(&e);
}

struct refusal {
    const char *request;
    const char *answer;
};

static void test_refusals(void **state)
{
    static const struct refusal rows[] = {
        { "garbage\r\n\r\n", "HTTP/1.1 400 Bad Request" },
        { "GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400 " },
        { "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "HTTP/1.1 400 " },
        { "GET / HTTP/2.0\r\nHost: a\r\n\r\n", "HTTP/1.1 505 " },
        { "GET / HTTP/0.9\r\nHost: a\r\n\r\n", "HTTP/1.1 505 " },
        { "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/1.1 400 " },
        { "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 501 " },
        { "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: "
          "chunked\r\n\r\n0\r\n\r\n",
          "HTTP/1.1 400 " },
        { "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: "
          "3\r\n\r\n0\r\n\r\n",
          "HTTP/1.1 400 " },
        { "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
          "HTTP/1.1 400 " },
        { "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc", "HTTP/1.1 400 " },
        { "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3 4\r\n\r\nabc", "HTTP/1.1 400 " },
        { "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999\r\n\r\n",
          "HTTP/1.1 400 " },
        { "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\nabc", "HTTP/1.1 400 " },
        { "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\nabc",
          "HTTP/1.1 400 " },
        { "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
          "HTTP/1.1 400 " },
        { "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
          "HTTP/1.1 400 " },
        { "POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "HTTP/1.1 400 " },
        { "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
          "HTTP/1.1 400 " },
        { "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
          "chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",
          "HTTP/1.1 400 " },
        { "GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n c: d\r\n\r\n", "HTTP/1.1 400 " },
        { "GET / HTTP/1.1\nHost: a\n\n", "HTTP/1.1 400 " },
        { "GET / HTTP/1.1\r\nHost: a\r\nBad Name: 1\r\n\r\n", "HTTP/1.1 400 " },
        { "GET / HTTP/1.1\r\nHost: a\r\nA: b\rc\r\n\r\n", "HTTP/1.1 400 " },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct env e;
        struct raw r;
        env_start(&e, NULL, NULL);
        raw_ask(&e, &r, str_z(rows[i].request));
        if (!str_starts(buf_str(&r.in), str_z(rows[i].answer)))
            fail_msg("row %zu: %.*s", i, STR_FMT(buf_str(&r.in)));
        assert_true(raw_has(&r, "Connection: close\r\n"));
        assert_int_equal(raw_count(&r, "HTTP/1.1 "), 1);
        raw_done(&r);
        env_stop(&e);
    }
}

static void test_nul_is_refused(void **state)
{
    struct env e;
    struct raw r;

    (void)state;
    env_start(&e, NULL, NULL);
    raw_ask(&e, &r, STR("GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n"));
    assert_true(raw_has(&r, "HTTP/1.1 400 "));
    raw_done(&r);
    env_stop(&e);
}

/* A head of exactly n bytes, the rest of it in one header. */
static void make_head(struct buf *b, size_t n)
{
    buf_clear(b);
    (void)buf_add_str(b, STR("GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\nA: "));
    while (b->n < n - 4)
        (void)buf_add_char(b, 'a');
    (void)buf_add_str(b, STR("\r\n\r\n"));
}

static void test_head_limits(void **state)
{
    AUTO_BUF struct buf b = { 0 };
    struct env e;
    struct raw r;

    (void)state;
    buf_init(&b, 1024 * 1024);
    env_start(&e, NULL, NULL);
    make_head(&b, HTTP_HEAD_MAX);
    raw_ask(&e, &r, buf_str(&b));
    assert_true(raw_has(&r, "HTTP/1.1 200 "));
    raw_done(&r);
    make_head(&b, HTTP_HEAD_MAX + 1);
    raw_ask(&e, &r, buf_str(&b));
    assert_true(raw_has(&r, "HTTP/1.1 431 "));
    raw_done(&r);

    for (size_t extra = 0; extra < 2; extra++) {
        buf_clear(&b);
        (void)buf_add_str(&b, STR("GET /path?"));
        while (b.n < 4 + HTTP_URL_MAX + extra)
            (void)buf_add_char(&b, 'q');
        (void)buf_add_str(&b, STR(" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
        raw_ask(&e, &r, buf_str(&b));
        assert_true(raw_has(&r, extra ? "HTTP/1.1 414 " : "HTTP/1.1 200 "));
        raw_done(&r);

        buf_clear(&b);
        (void)buf_add_str(&b, STR("GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"));
        for (size_t i = 2; i < HTTP_HEADERS_MAX + extra; i++)
            (void)buf_add_str(&b, STR("A: b\r\n"));
        (void)buf_add_str(&b, STR("\r\n"));
        raw_ask(&e, &r, buf_str(&b));
        assert_true(raw_has(&r, extra ? "HTTP/1.1 431 " : "HTTP/1.1 200 "));
        raw_done(&r);
    }
    env_stop(&e);
}

/* 100 MB of header: refused after the limit, not taken in. */
static void test_endless_head(void **state)
{
    struct env e;
    struct raw r;
    static char junk[1024 * 1024];

    (void)state;
    memset(junk, 'h', sizeof junk);
    env_start(&e, NULL, NULL);
    raw_connect(&e, &r);
    RAW_SEND(&r, "GET / HTTP/1.1\r\nHost: x\r\nA: ");
    for (int i = 0; i < 60; i++)
        raw_send(&r, str_n(junk, sizeof junk));
    RAW_EXPECT(&r, "HTTP/1.1 431 Request Header Fields Too Large\r\n");
    assert_true(http_server_stats(e.server).bytes_in <= HTTP_HEAD_MAX + NET_READ_SIZE + 1024);
    raw_done(&r);
    env_stop(&e);
}

static void headers_handler(struct env *e, struct http_request *r)
{
    size_t cursor = 0;
    struct str name;
    struct str value;
    size_t n = 0;

    (void)e;
    while (http_request_next_header(r, &cursor, &name, &value))
        n++;
    assert_int_equal(n, 6);
    assert_true(str_eq_z(http_request_method(r), "DELETE"));
    assert_true(str_eq_z(http_request_path(r), "/a%20b"));
    assert_true(str_eq_z(http_request_query(r), "x=1?2"));
    assert_true(str_eq_z(http_request_header(r, "x-empty"), ""));
    assert_non_null(http_request_header(r, "x-empty").p);
    assert_null(http_request_header(r, "x-none").p);
    assert_true(str_eq_z(http_request_header(r, "X-SPACED"), "a b"));
    assert_true(str_eq_z(http_request_cookie(r, "session_id"), "abc"));
    assert_true(str_eq_z(http_request_cookie(r, "b"), "quoted"));
    assert_true(str_eq_z(http_request_cookie(r, "second"), "2"));
    assert_null(http_request_cookie(r, "sess").p);
    assert_string_equal(http_request_peer(r), "127.0.0.1");
    assert_false(http_request_is_tls(r));
    assert_false(http_request_has_body(r));
    assert_int_equal(http_request_content_length(r), -1);
    http_request_set_user(r, &cursor);
    assert_ptr_equal(http_request_user(r), &cursor);
    assert_non_null(arena_alloc(http_request_arena(r), 1000));
    http_reply(r, 204, NULL, STR_NONE);
}

static void test_request_accessors(void **state)
{
    struct env e;
    struct raw r;

    (void)state;
    env_start(&e, NULL, NULL);
    e.on_request = headers_handler;
    raw_ask(&e, &r,
            STR("DELETE /a%20b?x=1?2 HTTP/1.1\r\nHost: x\r\nX-Empty:\r\nX-Spaced:  a b \t\r\n"
                "Cookie: a=1; session_id=abc; b=\"quoted\"\r\nCookie: b=no; second=2\r\n"
                "Connection: close\r\n\r\n"));
    (void)r;
    raw_done(&r);
    env_stop(&e);
}

static void test_abort(void **state)
{
    struct env e;
    struct raw r;

    (void)state;
    env_start(&e, NULL, NULL);
    raw_connect(&e, &r);
    RAW_SEND(&r, GET("/hold"));
    UNTIL(&e, e.held);
    {
        /* A reset, not an end. */
        const struct linger hard = { .l_onoff = 1, .l_linger = 0 };
        uv_os_fd_t fd;
        assert_int_equal(uv_fileno((const uv_handle_t *)(void *)r.s, &fd), 0);
        assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard), 0);
    }
    raw_done(&r);
    UNTIL(&e, e.aborts == 1);
    assert_true(http_request_aborted(e.held));
    assert_int_equal(http_server_stats(e.server).active, 1);
    http_reply_start(e.held, 200, "text/plain", -1);
    assert_int_equal(http_reply_write(e.held, "x", 1), STATUS_CLOSED);
    http_reply_end(e.held);
    assert_int_equal(http_server_stats(e.server).active, 0);
    assert_int_equal(e.aborts, 1);
    env_stop(&e);
}

/* The client has said all and ends its side: it still gets the answer. */
static void test_half_close(void **state)
{
    struct env e;
    struct raw r;

    (void)state;
    env_start(&e, NULL, NULL);
    raw_connect(&e, &r);
    RAW_SEND(&r, GET("/hold"));
    net_stream_shutdown(r.s);
    UNTIL(&e, e.held);
    for (int i = 0; i < 10; i++)
        (void)uv_run(loop_uv(e.loop), UV_RUN_NOWAIT);
    http_reply(e.held, 200, "text/plain", STR("late"));
    RAW_CLOSED(&r);
    assert_true(str_eq_z(raw_body(&r), "late"));
    raw_done(&r);
    /* In the middle of a body. */
    raw_connect(&e, &r);
    RAW_SEND(&r, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc");
    net_stream_shutdown(r.s);
    RAW_CLOSED(&r);
    assert_int_equal(e.body_status, STATUS_CLOSED);
    raw_done(&r);
    /* In the middle of a head, and before anything. */
    raw_connect(&e, &r);
    RAW_SEND(&r, "GET / HT");
    net_stream_shutdown(r.s);
    RAW_CLOSED(&r);
    assert_int_equal(r.in.n, 0);
    raw_done(&r);
    raw_connect(&e, &r);
    net_stream_shutdown(r.s);
    RAW_CLOSED(&r);
    raw_done(&r);
    env_stop(&e);
}

static void test_requests_max(void **state)
{
    struct http_limits limits = http_limits_default();
    struct env e;
    struct raw a;
    struct raw b;

    (void)state;
    limits.requests_max = 1;
    env_start(&e, &limits, NULL);
    raw_connect(&e, &a);
    raw_connect(&e, &b);
    RAW_SEND(&a, GET("/hold"));
    UNTIL(&e, e.held);
    RAW_SEND(&b, GET("/hello"));
    RAW_EXPECT(&b, "HTTP/1.1 503 Service Unavailable\r\n");
    RAW_EXPECT(&b, "Retry-After: 1\r\n");
    http_reply(e.held, 200, NULL, STR_NONE);
    RAW_EXPECT(&a, "200 OK");
    buf_clear(&b.in);
    RAW_SEND(&b, GET("/hello"));
    RAW_EXPECT(&b, "hello");
    raw_done(&a);
    raw_done(&b);
    env_stop(&e);
}

static void test_connections_max(void **state)
{
    struct http_limits limits = http_limits_default();
    struct env e;
    struct raw a;
    struct raw b;

    (void)state;
    limits.connections_max = 1;
    env_start(&e, &limits, NULL);
    raw_connect(&e, &a);
    RAW_SEND(&a, GET("/hello"));
    RAW_EXPECT(&a, "hello");
    raw_connect(&e, &b); /* by the kernel */
    RAW_SEND(&b, GET("/hello"));
    for (int i = 0; i < 50; i++)
        (void)uv_run(loop_uv(e.loop), UV_RUN_NOWAIT);
    assert_int_equal(http_server_stats(e.server).connections, 1);
    assert_int_equal(b.in.n, 0);
    raw_done(&a);
    RAW_EXPECT(&b, "hello");
    raw_done(&b);
    env_stop(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hello),
        cmocka_unit_test(test_keep_alive_by_version),
        cmocka_unit_test(test_pipelining),
        cmocka_unit_test(test_pipelining_waits_for_slow_reply),
        cmocka_unit_test(test_pipelining_is_bounded),
        cmocka_unit_test(test_body_in_pieces),
        cmocka_unit_test(test_expect_continue),
        cmocka_unit_test(test_unread_body),
        cmocka_unit_test(test_body_too_big),
        cmocka_unit_test(test_stream_body),
        cmocka_unit_test(test_body_back_pressure),
        cmocka_unit_test(test_pause_at_the_last_piece),
        cmocka_unit_test(test_streamed_reply),
        cmocka_unit_test(test_reply_back_pressure),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_nul_is_refused),
        cmocka_unit_test(test_head_limits),
        cmocka_unit_test(test_endless_head),
        cmocka_unit_test(test_request_accessors),
        cmocka_unit_test(test_abort),
        cmocka_unit_test(test_half_close),
        cmocka_unit_test(test_requests_max),
        cmocka_unit_test(test_connections_max),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
