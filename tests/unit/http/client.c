/* The HTTP client against our server, and against raw sockets that misbehave. */
#include "http_test.h"

#include "http/client.h"

struct outcome {
    int calls;
    Status status;
    int code;
    struct buf body;
    uint64_t saved;
    char text[128];
};

static void on_done(void *arg, const struct http_result *res)
{
    struct outcome *o = arg;

    o->calls++;
    o->status = res->status;
    o->code = res->code;
    o->saved = res->saved_bytes;
    buf_clear(&o->body);
    assert_int_equal(buf_add_str(&o->body, res->body), STATUS_OK);
    (void)str_copy_z(str_z(res->err.text), o->text, sizeof o->text);
}

static struct http_client *client_new(struct env *e)
{
    const struct http_client_config config = {
        .loop = e->loop,
        .disk = e->disk,
        .user_agent = "tester",
        .connect_timeout = 30 * USEC_SEC,
        .first_byte_timeout = 30 * USEC_SEC,
        .idle_timeout = 30 * USEC_SEC,
        .redirects_max = 5,
    };
    struct http_client *c = http_client_new(&config, NULL);

    assert_non_null(c);
    return c;
}

static char the_url[256];

static const char *url(const struct env *e, const char *path)
{
    (void)snprintf(the_url, sizeof the_url, "http://127.0.0.1:%u%s", e->port, path);
    return the_url;
}

static void run(struct env *e, struct http_client *c, const struct http_call *call,
                struct outcome *o)
{
    struct http_exchange *x = NULL;
    struct err err = { 0 };

    buf_done(&o->body);
    *o = (struct outcome){ 0 };
    buf_init(&o->body, 64u * 1024 * 1024);
    if (http_client_start(c, call, on_done, o, &x, &err))
        fail_msg("start: %s", err.text);
    assert_int_equal(o->calls, 0);
    UNTIL(e, o->calls == 1);
}

static char seen[512];
static uint64_t upload_size;
static char upload_text[64];
static size_t upload_parts;

static void form_done(void *arg, struct http_request *r, Status st,
                      const struct multipart_form *form, const struct err *err)
{
    (void)arg;
    if (st) {
        http_reply(r, status_http(st), "text/plain", str_z(err->text));
        return;
    }
    upload_parts = form->n;
    for (size_t i = 0; i < form->n; i++) {
        if (form->parts[i].value.p) {
            (void)str_copy_z(form->parts[i].value, upload_text, sizeof upload_text);
        } else {
            upload_size = form->parts[i].size;
            (void)str_copy_z(form->parts[i].filename, seen, sizeof seen);
        }
    }
    http_reply(r, 200, "application/json", STR("{\"code\":0}"));
}

static void redirect(struct http_request *r, int status, const char *to)
{
    assert_int_equal(http_reply_header(r, "Location", str_z(to)), STATUS_OK);
    http_reply(r, status, "text/plain", STR("go there"));
}

static void handler(struct env *e, struct http_request *r)
{
    const struct str path = http_request_path(r);
    static char big[3 * 1024 * 1024];

    if (str_eq_z(path, "/seen")) {
        (void)snprintf(seen, sizeof seen, "%.*s|%.*s|%.*s|%.*s", STR_FMT(http_request_method(r)),
                       STR_FMT(http_request_header(r, "User-Agent")),
                       STR_FMT(http_request_header(r, "X-Mine")),
                       STR_FMT(http_request_header(r, "Content-Type")));
        http_request_read_body(r, 1024 * 1024, echo_body, e);
    } else if (str_eq_z(path, "/upload")) {
        http_request_read_multipart(r, e->folder, 1u << 30, form_done, e);
    } else if (str_eq_z(path, "/refuse")) {
        http_reply(r, 413, "text/plain", STR("too much"));
    } else if (str_eq_z(path, "/big")) {
        memset(big, 'b', sizeof big);
        http_reply(r, 200, "application/octet-stream", str_n(big, sizeof big));
    } else if (str_eq_z(path, "/dir/relative")) {
        redirect(r, 302, "../dir/b?x=1");
    } else if (str_eq_z(path, "/dir/../dir/b")) {
        redirect(r, 301, "/seen");
    } else if (str_eq_z(path, "/307")) {
        redirect(r, 307, "/seen");
    } else if (str_eq_z(path, "/303")) {
        redirect(r, 303, "/seen");
    } else if (str_eq_z(path, "/loop")) {
        redirect(r, 302, "/loop");
    } else if (str_eq_z(path, "/evil")) {
        redirect(r, 302, "file:///etc/passwd");
    } else if (str_eq_z(path, "/hold")) {
        e->held = r;
    } else if (str_eq_z(path, "/chunked")) {
        http_reply_start(r, 200, "text/plain", -1);
        (void)http_reply_write(r, "one,", 4);
        (void)http_reply_write(r, "two", 3);
        http_reply_end(r);
    } else {
        http_reply(r, 404, "text/plain", STR("404 Not Found"));
    }
}

static void test_get_and_post(void **state)
{
    static const char *const headers[] = { "X-Mine: yes", NULL };
    struct outcome o = { 0 };
    struct http_client *c;
    struct env e;

    (void)state;
    env_start(&e, NULL, NULL);
    e.on_request = handler;
    c = client_new(&e);
    run(&e, c, &(struct http_call){ .method = "GET", .url = url(&e, "/seen"), .headers = headers },
        &o);
    assert_int_equal(o.status, STATUS_OK);
    assert_int_equal(o.code, 200);
    assert_string_equal(seen, "GET|tester|yes|");
    run(&e, c,
        &(struct http_call){ .method = "POST",
                             .url = url(&e, "/seen"),
                             .body = STR("{\"a\":1}"),
                             .content_type = "application/json" },
        &o);
    assert_true(str_eq_z(buf_str(&o.body), "{\"a\":1}"));
    assert_string_equal(seen, "POST|tester||application/json");
    run(&e, c, &(struct http_call){ .method = "GET", .url = url(&e, "/chunked") }, &o);
    assert_true(str_eq_z(buf_str(&o.body), "one,two"));
    run(&e, c, &(struct http_call){ .method = "HEAD", .url = url(&e, "/big") }, &o);
    assert_int_equal(o.code, 200);
    assert_int_equal(o.body.n, 0);
    run(&e, c, &(struct http_call){ .method = "GET", .url = url(&e, "/none") }, &o);
    assert_int_equal(o.code, 404);
    assert_int_equal(o.status, STATUS_OK);
    /* All GETs went over one connection, the POST over its own. */
    assert_true(http_server_stats(e.server).connections <= 2);
    run(&e, c, &(struct http_call){ .method = "GET", .url = url(&e, "/big") }, &o);
    assert_int_equal(o.status, STATUS_TOO_BIG);
    run(&e, c,
        &(struct http_call){
            .method = "GET", .url = url(&e, "/big"), .reply_max = 4u * 1024 * 1024 },
        &o);
    assert_int_equal(o.body.n, 3 * 1024 * 1024);
    http_client_free(c);
    buf_done(&o.body);
    env_stop(&e);
}

static void test_redirects(void **state)
{
    static const char *const headers[] = { "X-Mine: yes", NULL };
    struct outcome o = { 0 };
    struct http_client *c;
    struct env e;
    const struct http_call post = { .method = "POST", .body = STR("data"), .content_type = "a/b" };
    struct http_call call;

    (void)state;
    env_start(&e, NULL, NULL);
    e.on_request = handler;
    c = client_new(&e);
    run(&e, c,
        &(struct http_call){ .method = "GET", .url = url(&e, "/dir/relative"), .headers = headers },
        &o);
    assert_int_equal(o.code, 200);
    assert_string_equal(seen, "GET|tester|yes|");
    call = post;
    call.url = url(&e, "/307");
    run(&e, c, &call, &o);
    assert_string_equal(seen, "POST|tester||a/b");
    assert_true(str_eq_z(buf_str(&o.body), "data"));
    call.url = url(&e, "/303");
    run(&e, c, &call, &o);
    assert_string_equal(seen, "GET|tester||");
    assert_int_equal(o.body.n, 0);
    run(&e, c, &(struct http_call){ .method = "GET", .url = url(&e, "/loop") }, &o);
    assert_int_equal(o.code, 302); /* after five of them it is the answer */
    assert_true(str_eq_z(buf_str(&o.body), "go there"));
    run(&e, c, &(struct http_call){ .method = "GET", .url = url(&e, "/evil") }, &o);
    assert_int_equal(o.status, STATUS_INVALID);
    http_client_free(c);
    buf_done(&o.body);
    env_stop(&e);
}

static void test_upload_and_save(void **state)
{
    struct outcome o = { 0 };
    struct http_client *c;
    struct env e;
    char path[128];
    char target[128];
    struct stat st;
    const size_t size = 10 * 1024 * 1024 + 17;
    char *data = malloc(size);

    (void)state;
    env_start(&e, NULL, NULL);
    e.on_request = handler;
    c = client_new(&e);
    memset(data, 'u', size);
    (void)snprintf(path, sizeof path, "%s/upload \"1\".bin", e.folder);
    write_file(path, data, size);
    {
        const struct http_part parts[] = {
            { .name = "json", .value = STR("{\"id\":\"j1\"}") },
            { .name = "file1", .file_path = path },
        };
        run(&e, c,
            &(struct http_call){
                .method = "POST", .url = url(&e, "/upload"), .parts = parts, .n_parts = 2 },
            &o);
        assert_int_equal(o.status, STATUS_OK);
        assert_int_equal(o.code, 200);
        assert_int_equal(upload_parts, 2);
        assert_int_equal(upload_size, size);
        assert_string_equal(upload_text, "{\"id\":\"j1\"}");
        assert_string_equal(seen, "upload %221%22.bin");
        /* Refused before it was all sent. */
        run(&e, c,
            &(struct http_call){
                .method = "POST", .url = url(&e, "/refuse"), .parts = parts, .n_parts = 2 },
            &o);
        assert_int_equal(o.code, 413);
        assert_true(str_eq_z(buf_str(&o.body), "too much"));
    }
    {
        const struct http_part missing = { .name = "file1", .file_path = "/nonexistent/file" };
        run(&e, c,
            &(struct http_call){
                .method = "POST", .url = url(&e, "/upload"), .parts = &missing, .n_parts = 1 },
            &o);
        assert_int_equal(o.status, STATUS_MISSING);
    }
    (void)snprintf(target, sizeof target, "%s/saved", e.folder);
    write_file(target, "old", 3);
    run(&e, c, &(struct http_call){ .method = "GET", .url = url(&e, "/big"), .save_to = target },
        &o);
    assert_int_equal(o.status, STATUS_OK);
    assert_int_equal(o.saved, 3 * 1024 * 1024);
    assert_int_equal(o.body.n, 0);
    assert_int_equal(stat(target, &st), 0);
    assert_int_equal(st.st_size, 3 * 1024 * 1024);
    assert_int_equal(st.st_mode & 0777, 0600);
    /* An error page does not replace the file. */
    run(&e, c, &(struct http_call){ .method = "GET", .url = url(&e, "/none"), .save_to = target },
        &o);
    assert_int_equal(o.code, 404);
    assert_true(str_eq_z(buf_str(&o.body), "404 Not Found"));
    assert_int_equal(stat(target, &st), 0);
    assert_int_equal(st.st_size, 3 * 1024 * 1024);
    assert_int_equal(folder_count(e.folder), 3); /* upload, its copy on the server, saved */
    http_client_free(c);
    buf_done(&o.body);
    free(data);
    env_stop(&e);
}

static size_t rss_bytes(void)
{
    FILE *f = fopen("/proc/self/statm", "re");
    unsigned long pages = 0;
    unsigned long resident = 0;

    assert_non_null(f);
    assert_int_equal(fscanf(f, "%lu %lu", &pages, &resident), 2);
    (void)fclose(f);
    return resident * (size_t)sysconf(_SC_PAGESIZE);
}

/* 200 MB from disk to disk over the wire: memory stays flat at both ends. */
static void test_big_upload(void **state)
{
    struct outcome o = { 0 };
    struct http_client *c;
    struct env e;
    char path[128];
    size_t before;
    const off_t size = 200 * 1024 * 1024;

    (void)state;
    env_start(&e, NULL, NULL);
    e.on_request = handler;
    c = client_new(&e);
    (void)snprintf(path, sizeof path, "%s/big", e.folder);
    write_file(path, "", 0);
    assert_int_equal(truncate(path, size), 0);
    before = rss_bytes();
    {
        const struct http_part part = { .name = "file1", .file_path = path };
        run(&e, c,
            &(struct http_call){
                .method = "POST", .url = url(&e, "/upload"), .parts = &part, .n_parts = 1 },
            &o);
    }
    assert_int_equal(o.code, 200);
    assert_int_equal(upload_size, size);
#ifndef __SANITIZE_ADDRESS__ /* its quarantine keeps freed blocks */
    assert_true(rss_bytes() < before + 8u * 1024 * 1024);
#else
    assert_true(before > 0);
#endif
    http_client_free(c);
    buf_done(&o.body);
    env_stop(&e);
}

static void test_cancel_and_free(void **state)
{
    struct outcome a = { 0 };
    struct outcome b = { 0 };
    struct http_exchange *x = NULL;
    struct http_client *c;
    struct env e;
    struct http_call call = { .method = "GET" };

    (void)state;
    env_start(&e, NULL, NULL);
    e.on_request = handler;
    c = client_new(&e);
    call.url = url(&e, "/hold");
    buf_init(&a.body, 100);
    buf_init(&b.body, 100);
    assert_int_equal(http_client_start(c, &call, on_done, &a, &x, NULL), STATUS_OK);
    UNTIL(&e, e.held);
    http_exchange_cancel(x);
    assert_int_equal(a.calls, 1);
    assert_int_equal(a.status, STATUS_CLOSED);
    http_reply(e.held, 200, NULL, STR_NONE);
    e.held = NULL;
    assert_int_equal(http_client_start(c, &call, on_done, &b, &x, NULL), STATUS_OK);
    UNTIL(&e, e.held);
    http_client_free(c);
    assert_int_equal(b.calls, 1);
    assert_int_equal(b.status, STATUS_CLOSED);
    http_reply(e.held, 200, NULL, STR_NONE);
    env_stop(&e);
}

static void test_bad_calls(void **state)
{
    static const char *const injected[] = { "X: a\r\nY: b", NULL };
    const struct http_call rows[] = {
        { .method = "GET", .url = "ftp://127.0.0.1/" },
        { .method = "GET", .url = "https://127.0.0.1/" },
        { .method = "GET", .url = "http:///path" },
        { .method = "GET", .url = "http://127.0.0.1:99999/" },
        { .method = "GET", .url = "http://127.0.0.1/a b" },
        { .method = "GE T", .url = "http://127.0.0.1/" },
        { .method = "GET", .url = "http://127.0.0.1/", .headers = injected },
    };
    struct http_client *c;
    struct env e;

    (void)state;
    env_start(&e, NULL, NULL);
    c = client_new(&e);
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (http_client_start(c, &rows[i], on_done, NULL, NULL, NULL) == STATUS_OK)
            fail_msg("row %zu was accepted", i);
    http_client_free(c);
    env_stop(&e);
}

/* ---- servers that misbehave ---- */

struct rude {
    struct net_listener *listener;
    const char *answer;
    bool close;
};

struct rude_conn {
    struct rude *rude;
    struct net_stream *s;
    bool answered;
};

static void rude_data(void *ctx, const uint8_t *p, size_t n)
{
    struct rude_conn *c = ctx;

    (void)p;
    (void)n;
    if (c->answered)
        return;
    c->answered = true;
    (void)net_stream_write(c->s, c->rude->answer, strlen(c->rude->answer));
    if (c->rude->close)
        net_stream_shutdown(c->s);
}

static void rude_close(void *ctx, Status why, const struct err *err)
{
    (void)why;
    (void)err;
    free(ctx);
}

static const struct net_stream_ops rude_ops = { .on_data = rude_data, .on_close = rude_close };

static void rude_accept(void *ctx, struct net_stream *s)
{
    struct rude_conn *c = calloc(1, sizeof *c);

    c->rude = ctx;
    c->s = s;
    net_stream_set(s, &rude_ops, c);
}

static void test_rude_servers(void **state)
{
    static const struct {
        const char *answer;
        bool close;
        Status status;
        int code;
        const char *body;
    } rows[] = {
        { "", true, STATUS_CLOSED, 0, "" },
        { "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n123", true, STATUS_CLOSED, 200, "123" },
        { "HTTP/1.1 200 OK\r\n\r\nto the end", true, STATUS_OK, 200, "to the end" },
        { "HTTP/1.0 200 OK\r\n\r\n", true, STATUS_OK, 200, "" },
        { "garbage", true, STATUS_INVALID, 0, "" },
        { "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", false,
          STATUS_OK, 200, "ok" },
        { "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n\r\n", false, STATUS_OK,
          200, "ok" },
        { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", true,
          STATUS_CLOSED, 200, "hello" },
        { "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", false, STATUS_TIMEOUT, 200, "" },
        { "HTTP/1.1 200 OK\r\nContent-Len", false, STATUS_TIMEOUT, 0, "" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct outcome o = { 0 };
        struct http_client *c;
        struct env e;
        struct rude rude = { .answer = rows[i].answer, .close = rows[i].close };
        const struct net_listen_config config = { .bind = "127.0.0.1" };
        struct http_client_config cc = { .first_byte_timeout = 300 * USEC_MSEC,
                                         .idle_timeout = 300 * USEC_MSEC };
        env_start(&e, NULL, NULL);
        assert_int_equal(net_listen(e.loop, &config, rude_accept, &rude, &rude.listener, NULL),
                         STATUS_OK);
        e.port = net_listener_port(rude.listener);
        cc.loop = e.loop;
        cc.disk = e.disk;
        if (rows[i].status != STATUS_TIMEOUT)
            cc.first_byte_timeout = cc.idle_timeout = 30 * USEC_SEC;
        c = http_client_new(&cc, NULL);
        run(&e, c, &(struct http_call){ .method = "GET", .url = url(&e, "/x") }, &o);
        if (o.status != rows[i].status || o.code != rows[i].code ||
            !str_eq_z(buf_str(&o.body), rows[i].body))
            fail_msg("row %zu: %s code %d body %.*s", i, status_name(o.status), o.code,
                     STR_FMT(buf_str(&o.body)));
        http_client_free(c);
        net_listener_free(rude.listener);
        buf_done(&o.body);
        env_stop(&e);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_get_and_post),    cmocka_unit_test(test_redirects),
        cmocka_unit_test(test_upload_and_save), cmocka_unit_test(test_big_upload),
        cmocka_unit_test(test_cancel_and_free), cmocka_unit_test(test_bad_calls),
        cmocka_unit_test(test_rude_servers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
