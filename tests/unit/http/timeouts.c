/* Slow and silent peers are cut in each phase; busy handlers are not. Draining. */
#include "http_test.h"

static struct http_limits quick(void)
{
    struct http_limits l = http_limits_default();

    l.head_timeout = 150 * USEC_MSEC;
    l.body_timeout = 150 * USEC_MSEC;
    l.write_timeout = 150 * USEC_MSEC;
    l.idle_timeout = 150 * USEC_MSEC;
    return l;
}

static void test_silent(void **state)
{
    const struct http_limits limits = quick();
    struct env e;
    struct raw r;

    (void)state;
    env_start(&e, &limits, NULL);
    raw_connect(&e, &r);
    RAW_CLOSED(&r);
    assert_int_equal(r.in.n, 0);
    raw_done(&r);
    /* Between requests. */
    raw_connect(&e, &r);
    RAW_SEND(&r, "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
    RAW_EXPECT(&r, "hello");
    RAW_CLOSED(&r);
    assert_int_equal(raw_count(&r, "HTTP/1.1"), 1);
    raw_done(&r);
    env_stop(&e);
}

/* One byte now and then does not help: the head has one deadline. */
static void test_slow_head(void **state)
{
    const struct http_limits limits = quick();
    struct env e;
    struct raw r;
    Usec last = 0;

    (void)state;
    env_start(&e, &limits, NULL);
    raw_connect(&e, &r);
    RAW_SEND(&r, "GET /hello HTTP/1.1\r\nHost: x\r\nA: ");
    while (!r.closed) {
        if (clock_mono() - last > 20 * USEC_MSEC) {
            RAW_SEND(&r, "a");
            last = clock_mono();
        }
        (void)uv_run(loop_uv(e.loop), UV_RUN_NOWAIT);
    }
    assert_true(raw_has(&r, "HTTP/1.1 408 Request Timeout\r\n"));
    raw_done(&r);
    env_stop(&e);
}

static void test_slow_body(void **state)
{
    const struct http_limits limits = quick();
    struct env e;
    struct raw r;

    (void)state;
    env_start(&e, &limits, NULL);
    raw_connect(&e, &r);
    RAW_SEND(&r, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc");
    RAW_CLOSED(&r);
    assert_int_equal(e.body_status, STATUS_TIMEOUT);
    assert_true(raw_has(&r, "HTTP/1.1 504 ")); /* as the test's handler answers it */
    raw_done(&r);
    /* Rests that are only dropped. */
    raw_connect(&e, &r);
    RAW_SEND(&r, "POST /hello HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc");
    RAW_EXPECT(&r, "hello");
    RAW_CLOSED(&r);
    raw_done(&r);
    env_stop(&e);
}

static void big_reply(struct env *e, struct http_request *r)
{
    static char big[20 * 1024 * 1024];

    (void)e;
    http_reply(r, 200, "application/octet-stream", str_n(big, sizeof big));
}

static void test_slow_reader(void **state)
{
    const struct http_limits limits = quick();
    struct env e;
    struct raw r;

    (void)state;
    env_start(&e, &limits, NULL);
    e.on_request = big_reply;
    raw_connect(&e, &r);
    net_stream_pause(r.s);
    RAW_SEND(&r, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    UNTIL(&e, e.dones == 1 && http_server_stats(e.server).connections == 0);
    raw_done(&r);
    env_stop(&e);
}

static void test_slow_handler_is_fine(void **state)
{
    const struct http_limits limits = quick();
    struct env e;
    struct raw r;
    const Usec begin = clock_mono();

    (void)state;
    env_start(&e, &limits, NULL);
    raw_connect(&e, &r);
    RAW_SEND(&r, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
    UNTIL(&e, e.held);
    UNTIL(&e, clock_mono() - begin > 700 * USEC_MSEC);
    assert_false(r.closed);
    http_reply(e.held, 200, "text/plain", STR("at last"));
    RAW_EXPECT(&r, "at last");
    raw_done(&r);
    env_stop(&e);
}

static void test_drain(void **state)
{
    struct env e;
    struct raw idle;
    struct raw busy;
    struct raw late;

    (void)state;
    env_start(&e, NULL, NULL);
    raw_connect(&e, &idle);
    RAW_SEND(&idle, "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
    RAW_EXPECT(&idle, "hello");
    raw_connect(&e, &busy);
    RAW_SEND(&busy, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
    UNTIL(&e, e.held);
    http_server_drain(e.server, 30 * USEC_SEC, env_drained, &e);
    RAW_CLOSED(&idle);
    assert_false(busy.closed);
    assert_false(e.drained);
    late = (struct raw){ .env = &e };
    assert_int_equal(
        net_connect(e.loop, "127.0.0.1", e.port, NULL, 0, &raw_ops, &late, &late.s, NULL),
        STATUS_OK);
    RAW_CLOSED(&late);
    assert_false(late.open);
    http_reply(e.held, 200, "text/plain", STR("last"));
    RAW_CLOSED(&busy);
    assert_true(raw_has(&busy, "Connection: close\r\n"));
    assert_true(raw_has(&busy, "last"));
    UNTIL(&e, e.drained);
    raw_done(&idle);
    raw_done(&busy);
    http_server_free(e.server);
    lane_free(e.disk);
    lane_free(e.zip);
    loop_free(e.loop);
    assert_int_equal(file_remove_tree(e.folder, NULL), STATUS_OK);
}

static void test_drain_deadline(void **state)
{
    struct env e;
    struct raw busy;

    (void)state;
    env_start(&e, NULL, NULL);
    raw_connect(&e, &busy);
    RAW_SEND(&busy, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
    UNTIL(&e, e.held);
    http_server_drain(e.server, 50 * USEC_MSEC, env_drained, &e);
    UNTIL(&e, e.drained);
    assert_int_equal(e.aborts, 1);
    http_reply(e.held, 200, NULL, STR_NONE); /* harmless */
    raw_done(&busy);
    http_server_free(e.server);
    lane_free(e.disk);
    lane_free(e.zip);
    loop_free(e.loop);
    assert_int_equal(file_remove_tree(e.folder, NULL), STATUS_OK);
}

/* Freed without draining, with a request under way: everything ends on its own. */
static void test_free_at_once(void **state)
{
    struct env e;
    struct raw busy;

    (void)state;
    env_start(&e, NULL, NULL);
    raw_connect(&e, &busy);
    RAW_SEND(&busy, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
    UNTIL(&e, e.held);
    http_server_free(e.server);
    raw_done(&busy);
    UNTIL(&e, e.aborts == 1);
    http_reply(e.held, 200, NULL, STR_NONE);
    lane_free(e.disk);
    lane_free(e.zip);
    loop_free(e.loop);
    assert_int_equal(file_remove_tree(e.folder, NULL), STATUS_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_silent),
        cmocka_unit_test(test_slow_head),
        cmocka_unit_test(test_slow_body),
        cmocka_unit_test(test_slow_reader),
        cmocka_unit_test(test_slow_handler_is_fine),
        cmocka_unit_test(test_drain),
        cmocka_unit_test(test_drain_deadline),
        cmocka_unit_test(test_free_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
