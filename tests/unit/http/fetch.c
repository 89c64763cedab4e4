/* Web hooks by libcurl against our own server. */
#include "http_test.h"

#include "http/fetch.h"

struct outcome {
    int calls;
    Status status;
    int code;
    double total;
    struct buf body;
    struct buf headers;
};

static void on_done(void *arg, const struct fetch_result *res)
{
    struct outcome *o = arg;

    o->calls++;
    o->status = res->status;
    o->code = res->code;
    o->total = res->total_sec;
    assert_int_equal(buf_add_str(&o->body, res->body), STATUS_OK);
    assert_int_equal(buf_add_str(&o->headers, res->headers), STATUS_OK);
    assert_true(res->status == STATUS_OK || res->err.text[0]);
}

static void handler(struct env *e, struct http_request *r)
{
    const struct str path = http_request_path(r);
    static char big[100000];

    if (str_eq_z(path, "/echo")) {
        (void)http_reply_header(r, "X-Method", http_request_method(r));
        (void)http_reply_header(r, "X-Agent", http_request_header(r, "User-Agent"));
        (void)http_reply_header(r, "X-Mine", http_request_header(r, "X-Mine"));
        http_request_read_body(r, 1u << 20, echo_body, e);
    } else if (str_eq_z(path, "/go")) {
        (void)http_reply_header(r, "Location", STR("/echo"));
        http_reply(r, 302, NULL, STR_NONE);
    } else if (str_eq_z(path, "/file")) {
        (void)http_reply_header(r, "Location", STR("file:///etc/passwd"));
        http_reply(r, 302, NULL, STR_NONE);
    } else if (str_eq_z(path, "/big")) {
        http_reply(r, 200, "image/png", str_n(big, sizeof big));
    } else if (str_eq_z(path, "/text")) {
        memset(big, 't', sizeof big);
        http_reply(r, 200, "text/plain", str_n(big, 50000));
    } else {
        e->held = r;
        http_request_on_abort(r, held_lost, e);
    }
}

static char the_url[128];

static const char *url(const struct env *e, const char *path)
{
    (void)snprintf(the_url, sizeof the_url, "http://127.0.0.1:%u%s", e->port, path);
    return the_url;
}

static void run(struct env *e, struct fetcher *f, const struct fetch_call *call, struct outcome *o)
{
    buf_done(&o->body);
    buf_done(&o->headers);
    *o = (struct outcome){ 0 };
    buf_init(&o->body, 1u << 20);
    buf_init(&o->headers, 1u << 20);
    assert_int_equal(fetch_start(f, call, on_done, o, NULL), STATUS_OK);
    assert_int_equal(o->calls, 0);
    UNTIL(e, o->calls == 1);
}

static bool has(const struct buf *b, const char *text)
{
    return str_find(buf_str(b), str_z(text)) < b->n;
}

static void test_calls(void **state)
{
    static const char *const headers[] = { "X-Mine: 1", "Content-Type: application/json", NULL };
    struct outcome o = { 0 };
    struct fetcher *f;
    struct env e;

    (void)state;
    env_start(&e, NULL, NULL);
    e.on_request = handler;
    f = fetcher_new(e.loop, "Orrery/0.1", NULL);
    assert_non_null(f);
    run(&e, f, &(struct fetch_call){ .method = "GET", .url = url(&e, "/echo"), .headers = headers },
        &o);
    assert_int_equal(o.status, STATUS_OK);
    assert_int_equal(o.code, 200);
    assert_true(o.total > 0);
    assert_true(has(&o.headers, "X-Method: GET\r\n"));
    assert_true(has(&o.headers, "X-Agent: Orrery/0.1\r\n"));
    assert_true(has(&o.headers, "X-Mine: 1\r\n"));
    run(&e, f,
        &(struct fetch_call){ .method = "POST", .url = url(&e, "/echo"), .body = STR("{\"a\":1}") },
        &o);
    assert_true(str_eq_z(buf_str(&o.body), "{\"a\":1}"));
    assert_true(has(&o.headers, "X-Method: POST\r\n"));
    run(&e, f, &(struct fetch_call){ .method = "PUT", .url = url(&e, "/echo"), .body = STR("p") },
        &o);
    assert_true(has(&o.headers, "X-Method: PUT\r\n"));
    assert_true(str_eq_z(buf_str(&o.body), "p"));
    run(&e, f, &(struct fetch_call){ .method = "DELETE", .url = url(&e, "/echo") }, &o);
    assert_true(has(&o.headers, "X-Method: DELETE\r\n"));
    run(&e, f, &(struct fetch_call){ .method = "HEAD", .url = url(&e, "/echo") }, &o);
    assert_true(has(&o.headers, "X-Method: HEAD\r\n"));
    run(&e, f, &(struct fetch_call){ .method = "GET", .url = url(&e, "/text") }, &o);
    assert_int_equal(o.body.n, 50000);
    assert_true(has(&o.headers, "Content-Encoding: gzip\r\n"));
    /* Redirects only when wanted, and never off the web. */
    run(&e, f, &(struct fetch_call){ .method = "GET", .url = url(&e, "/go") }, &o);
    assert_int_equal(o.code, 302);
    run(&e, f, &(struct fetch_call){ .method = "GET", .url = url(&e, "/go"), .follow = true }, &o);
    assert_int_equal(o.code, 200);
    assert_false(has(&o.headers, "Location"));
    run(&e, f, &(struct fetch_call){ .method = "GET", .url = url(&e, "/file"), .follow = true },
        &o);
    assert_int_equal(o.status, STATUS_INVALID);
    assert_int_equal(o.body.n, 0);
    run(&e, f, &(struct fetch_call){ .method = "GET", .url = url(&e, "/big"), .reply_max = 100000 },
        &o);
    assert_int_equal(o.status, STATUS_OK);
    run(&e, f, &(struct fetch_call){ .method = "GET", .url = url(&e, "/big"), .reply_max = 99999 },
        &o);
    assert_int_equal(o.status, STATUS_TOO_BIG);
    run(&e, f,
        &(struct fetch_call){
            .method = "GET", .url = url(&e, "/never"), .timeout = 100 * USEC_MSEC },
        &o);
    assert_int_equal(o.status, STATUS_TIMEOUT);
    UNTIL(&e, e.held);
    http_reply(e.held, 200, NULL, STR_NONE);
    run(&e, f, &(struct fetch_call){ .method = "GET", .url = "http://127.0.0.1:1/" }, &o);
    assert_int_equal(o.status, STATUS_CLOSED);
    buf_done(&o.body);
    buf_done(&o.headers);
    fetcher_free(f);
    env_stop(&e);
}

static void test_refused_calls(void **state)
{
    static const char *const bad_header[] = { "X: 1\r\nY: 2", NULL };
    const struct fetch_call rows[] = {
        { .method = "GET", .url = "file:///etc/passwd" },
        { .method = "GET", .url = "ftp://h/" },
        { .method = "GET X", .url = "http://h/" },
        { .method = "GET", .url = "http://h/", .headers = bad_header },
    };
    struct fetcher *f;
    struct env e;

    (void)state;
    env_start(&e, NULL, NULL);
    f = fetcher_new(e.loop, NULL, NULL);
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (fetch_start(f, &rows[i], on_done, NULL, NULL) != STATUS_INVALID)
            fail_msg("row %zu", i);
    fetcher_free(f);
    env_stop(&e);
}

/* Many at once: all come back; freeing ends the rest with CLOSED. */
static void test_many_and_free(void **state)
{
    struct outcome o = { 0 };
    struct outcome left = { 0 };
    struct fetcher *f;
    struct env e;

    (void)state;
    env_start(&e, NULL, NULL);
    e.on_request = handler;
    f = fetcher_new(e.loop, NULL, NULL);
    buf_init(&o.body, 1u << 20);
    buf_init(&o.headers, 1u << 20);
    buf_init(&left.body, 100);
    buf_init(&left.headers, 100);
    for (int i = 0; i < 200; i++)
        assert_int_equal(
            fetch_start(f, &(struct fetch_call){ .method = "GET", .url = url(&e, "/echo") },
                        on_done, &o, NULL),
            STATUS_OK);
    UNTIL(&e, o.calls == 200);
    assert_int_equal(o.status, STATUS_OK);
    assert_int_equal(fetch_start(f,
                                 &(struct fetch_call){ .method = "GET", .url = url(&e, "/never") },
                                 on_done, &left, NULL),
                     STATUS_OK);
    UNTIL(&e, e.held);
    fetcher_free(f);
    assert_int_equal(left.calls, 1);
    assert_int_equal(left.status, STATUS_CLOSED);
    http_reply(e.held, 200, NULL, STR_NONE);
    buf_done(&o.body);
    buf_done(&o.headers);
    env_stop(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls),
        cmocka_unit_test(test_refused_calls),
        cmocka_unit_test(test_many_and_free),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
