/* Files as replies: ranges, conditions, sizes, and memory that stays flat; gzip of other replies.
 */
#include "http_test.h"

#include <zlib.h>

static struct http_file file;
static char file_path[128];
static struct str text_reply;

static void handler(struct env *e, struct http_request *r)
{
    (void)e;
    if (str_eq_z(http_request_path(r), "/text"))
        http_reply(r, 200, "application/json; charset=utf-8", text_reply);
    else if (str_eq_z(http_request_path(r), "/binary"))
        http_reply(r, 200, "image/png", text_reply);
    else
        http_reply_file(r, &file);
}

static void begin(struct env *e, const char *name, const void *data, size_t n)
{
    env_start(e, NULL, NULL);
    e->on_request = handler;
    (void)snprintf(file_path, sizeof file_path, "%s/%s", e->folder, name);
    if (data)
        write_file(file_path, data, n);
    file = (struct http_file){ .path = file_path, .length = -1 };
}

static void ask(struct env *e, struct raw *r, const char *headers)
{
    char request[1024];
    const int n = snprintf(request, sizeof request,
                           "GET /f HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s\r\n", headers);

    raw_ask(e, r, str_n(request, (size_t)n));
}

static void test_ranges(void **state)
{
    static const struct {
        const char *range;
        int status;
        const char *content_range;
        const char *body;
    } rows[] = {
        { "bytes=0-3", 206, "bytes 0-3/10", "0123" },
        { "bytes=4-", 206, "bytes 4-9/10", "456789" },
        { "bytes=-3", 206, "bytes 7-9/10", "789" },
        { "bytes=-100", 206, "bytes 0-9/10", "0123456789" },
        { "bytes=9-9", 206, "bytes 9-9/10", "9" },
        { "bytes=5-100", 206, "bytes 5-9/10", "56789" },
        { "bytes=10-", 416, "bytes */10", "416 Range Not Satisfiable" },
        { "bytes=-0", 416, "bytes */10", "416 Range Not Satisfiable" },
        { "bytes=5-4", 416, "bytes */10", "416 Range Not Satisfiable" },
        { "bytes=a-b", 416, "bytes */10", "416 Range Not Satisfiable" },
        { "bytes=", 416, "bytes */10", "416 Range Not Satisfiable" },
        { "bytes=99999999999999999999999-", 416, "bytes */10", "416 Range Not Satisfiable" },
        { "bytes=0-1,3-4", 200, NULL, "0123456789" },
        { "lines=0-1", 200, NULL, "0123456789" },
    };
    struct env e;

    (void)state;
    begin(&e, "ten.txt", "0123456789", 10);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct raw r;
        char header[128];
        char status[32];
        (void)snprintf(header, sizeof header, "Range: %s\r\n", rows[i].range);
        (void)snprintf(status, sizeof status, "HTTP/1.1 %d ", rows[i].status);
        ask(&e, &r, header);
        if (!raw_has(&r, status) || !str_eq_z(raw_body(&r), rows[i].body) ||
            (rows[i].content_range && !raw_has(&r, rows[i].content_range)) ||
            raw_has(&r, "Content-Range") != (rows[i].content_range != NULL))
            fail_msg("row %zu: %.*s", i, STR_FMT(buf_str(&r.in)));
        raw_done(&r);
    }
    env_stop(&e);
}

static struct str header_value(const struct raw *r, const char *name)
{
    const struct str all = buf_str(&r->in);
    const size_t at = str_find(all, str_z(name));
    const struct str rest = str_slice(all, at + strlen(name) + 2, all.n);

    assert_true(at < all.n);
    return str_slice(rest, 0, str_find_char(rest, '\r'));
}

static void test_conditions(void **state)
{
    struct env e;
    struct raw r;
    char etag[128];
    char modified[64];
    char header[256];

    (void)state;
    begin(&e, "page.html", "<p>", 3);
    ask(&e, &r, "");
    assert_true(raw_has(&r, "HTTP/1.1 200 OK\r\n"));
    assert_true(raw_has(&r, "Content-Type: text/html; charset=utf-8\r\n"));
    assert_true(raw_has(&r, "Cache-Control: public, max-age=0\r\n"));
    assert_true(raw_has(&r, "Accept-Ranges: bytes\r\n"));
    assert_true(str_copy_z(header_value(&r, "ETag"), etag, sizeof etag));
    assert_true(str_copy_z(header_value(&r, "Last-Modified"), modified, sizeof modified));
    assert_true(str_starts(str_z(etag), STR("\"3-")));
    raw_done(&r);

    (void)snprintf(header, sizeof header, "If-None-Match: \"x\", W/%s\r\n", etag);
    ask(&e, &r, header);
    assert_true(raw_has(&r, "HTTP/1.1 304 Not Modified\r\n"));
    assert_true(raw_has(&r, "ETag: "));
    assert_false(raw_has(&r, "Content-Length"));
    assert_int_equal(raw_body(&r).n, 0);
    raw_done(&r);
    ask(&e, &r, "If-None-Match: \"x\"\r\nIf-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT\r\n");
    assert_true(raw_has(&r, "HTTP/1.1 200 OK\r\n")); /* the tag decides */
    raw_done(&r);
    (void)snprintf(header, sizeof header, "If-Modified-Since: %s\r\n", modified);
    ask(&e, &r, header);
    assert_true(raw_has(&r, "HTTP/1.1 304 "));
    raw_done(&r);
    ask(&e, &r, "If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT\r\n");
    assert_true(raw_has(&r, "HTTP/1.1 200 "));
    raw_done(&r);
    ask(&e, &r, "If-Modified-Since: yesterday\r\n");
    assert_true(raw_has(&r, "HTTP/1.1 200 "));
    raw_done(&r);
    (void)snprintf(header, sizeof header, "Range: bytes=1-1\r\nIf-Range: %s\r\n", etag);
    ask(&e, &r, header);
    assert_true(raw_has(&r, "HTTP/1.1 206 "));
    raw_done(&r);
    ask(&e, &r, "Range: bytes=1-1\r\nIf-Range: \"other\"\r\n");
    assert_true(raw_has(&r, "HTTP/1.1 200 "));
    raw_done(&r);
    env_stop(&e);
}

static void test_head_and_names(void **state)
{
    struct env e;
    struct raw r;

    (void)state;
    begin(&e, "data.bin", "0123456789", 10);
    file.download_name = "r\xc3\xa9sum\xc3\xa9 \"1\".pdf";
    file.cache_control = "private, max-age=60";
    raw_ask(&e, &r, STR("HEAD /f HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
    assert_true(raw_has(&r, "Content-Length: 10\r\n"));
    assert_true(raw_has(&r, "Content-Type: application/pdf\r\n"));
    assert_true(raw_has(&r, "Cache-Control: private, max-age=60\r\n"));
    assert_true(raw_has(&r, "Content-Disposition: attachment; filename=\"r__sum__ _1_.pdf\"; "
                            "filename*=UTF-8''r%C3%A9sum%C3%A9%20%221%22.pdf\r\n"));
    assert_int_equal(raw_body(&r).n, 0);
    raw_done(&r);
    /* A part of the file as if it were all, already compressed. */
    file = (struct http_file){ .path = file_path,
                               .content_type = "text/plain",
                               .content_encoding = "gzip",
                               .offset = 2,
                               .length = 5 };
    ask(&e, &r, "Range: bytes=-2\r\n");
    assert_true(raw_has(&r, "Content-Range: bytes 3-4/5\r\n"));
    assert_true(raw_has(&r, "Content-Encoding: gzip\r\n"));
    assert_true(str_eq_z(raw_body(&r), "56"));
    raw_done(&r);
    env_stop(&e);
}

static void test_missing(void **state)
{
    struct env e;
    struct raw r;

    (void)state;
    begin(&e, "nothing", NULL, 0);
    ask(&e, &r, "");
    assert_true(raw_has(&r, "HTTP/1.1 404 Not Found\r\n"));
    assert_true(str_eq_z(raw_body(&r), "404 Not Found"));
    raw_done(&r);
    file.path = e.folder; /* a folder is no file */
    ask(&e, &r, "");
    assert_true(raw_has(&r, "HTTP/1.1 404 "));
    raw_done(&r);
    begin(&e, "empty", "", 0);
    ask(&e, &r, "");
    assert_true(raw_has(&r, "Content-Length: 0\r\n"));
    raw_done(&r);
    ask(&e, &r, "Range: bytes=0-\r\n");
    assert_true(raw_has(&r, "HTTP/1.1 416 "));
    raw_done(&r);
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

/* No work on the disk lane for so long? Asked again and again. */
static bool quiet_for(const struct env *e, Usec time)
{
    static uint64_t done;
    static Usec since;

    if (lane_pending(e->disk) || lane_done_count(e->disk) != done || since == 0) {
        done = lane_done_count(e->disk);
        since = clock_mono();
    }
    return clock_mono() - since > time;
}

/* 300 MB (sparse): every byte arrives, memory does not grow with it. */
static void test_big(void **state)
{
    const off_t size = 300 * 1024 * 1024;
    struct env e;
    struct raw r;
    size_t before;

    (void)state;
    begin(&e, "big", "", 0);
    assert_int_equal(truncate(file_path, size), 0);
    raw_connect(&e, &r);
    r.keep = false;
    before = rss_bytes();
    RAW_SEND(&r, "GET /f HTTP/1.1\r\nHost: x\r\n\r\n");
    UNTIL(&e, r.received > (uint64_t)size / 2);
    /* The peer stops: so does the reading. */
    net_stream_pause(r.s);
    UNTIL(&e, quiet_for(&e, 200 * USEC_MSEC));
    assert_true(r.received < (uint64_t)size * 9 / 10);
    net_stream_resume(r.s);
    UNTIL(&e, r.received > (uint64_t)size);
#ifndef __SANITIZE_ADDRESS__ /* its quarantine keeps freed blocks */
    assert_true(rss_bytes() < before + 8u * 1024 * 1024);
#else
    assert_true(before > 0);
#endif
    raw_done(&r);
    env_stop(&e);
}

static void test_peer_leaves(void **state)
{
    struct env e;
    struct raw r;

    (void)state;
    begin(&e, "big", "", 0);
    assert_int_equal(truncate(file_path, 100 * 1024 * 1024), 0);
    raw_connect(&e, &r);
    r.keep = false;
    RAW_SEND(&r, "GET /f HTTP/1.1\r\nHost: x\r\n\r\n");
    UNTIL(&e, r.received > 1000000);
    raw_done(&r);
    UNTIL(&e, e.dones == 1);
    assert_int_equal(http_server_stats(e.server).active, 0);
    env_stop(&e);
}

/* The same while the reply waits for a peer that reads nothing and then resets. */
static void test_peer_stalls_and_leaves(void **state)
{
    const struct linger hard = { .l_onoff = 1, .l_linger = 0 };
    uv_os_fd_t fd;
    struct env e;
    struct raw r;

    (void)state;
    begin(&e, "big", "", 0);
    assert_int_equal(truncate(file_path, 100 * 1024 * 1024), 0);
    raw_connect(&e, &r);
    net_stream_pause(r.s);
    RAW_SEND(&r, "GET /f HTTP/1.1\r\nHost: x\r\n\r\n");
    UNTIL(&e, lane_done_count(e.disk) > 2);
    UNTIL(&e, quiet_for(&e, 200 * USEC_MSEC));
    assert_int_equal(http_server_stats(e.server).active, 1);
    assert_int_equal(uv_fileno((const uv_handle_t *)(const void *)r.s, &fd), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard), 0);
    raw_done(&r);
    UNTIL(&e, e.dones == 1 && http_server_stats(e.server).active == 0);
    env_stop(&e);
}

/* The file gets shorter while it is sent: the reply must not look complete. */
static void test_file_shrinks(void **state)
{
    struct env e;
    struct raw r;

    (void)state;
    begin(&e, "big", "", 0);
    assert_int_equal(truncate(file_path, 100 * 1024 * 1024), 0);
    raw_connect(&e, &r);
    r.keep = false;
    RAW_SEND(&r, "GET /f HTTP/1.1\r\nHost: x\r\n\r\n");
    UNTIL(&e, r.received > 1000000);
    assert_int_equal(truncate(file_path, 10), 0);
    RAW_CLOSED(&r);
    assert_true(r.received < 100u * 1024 * 1024);
    raw_done(&r);
    env_stop(&e);
}

/* ---- gzip ---- */

static void gunzip(struct str packed, struct buf *out)
{
    z_stream z = { 0 };
    static char block[1024 * 1024];
    int st = Z_OK;

    assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
    z.next_in = (z_const Bytef *)packed.p;
    z.avail_in = (uInt)packed.n;
    while (st == Z_OK) {
        z.next_out = (Bytef *)block;
        z.avail_out = sizeof block;
        st = inflate(&z, Z_NO_FLUSH);
        assert_int_equal(buf_add(out, block, sizeof block - z.avail_out), STATUS_OK);
    }
    assert_int_equal(st, Z_STREAM_END);
    assert_int_equal(inflateEnd(&z), Z_OK);
}

static void gzip_case(struct env *e, const char *path, const char *accept, size_t n, bool zipped)
{
    char *text = malloc(n + 1);
    char request[256];
    AUTO_BUF struct buf plain = { 0 };
    struct raw r;
    int len;

    buf_init(&plain, n + 1);
    for (size_t i = 0; i < n; i++)
        text[i] = "abcdefgh"[i % 7];
    text_reply = str_n(text, n);
    len = snprintf(request, sizeof request,
                   "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAccept-Encoding: %s\r\n\r\n",
                   path, accept);
    raw_ask(e, &r, str_n(request, (size_t)len));
    assert_true(raw_has(&r, "HTTP/1.1 200 "));
    if (raw_has(&r, "Content-Encoding: gzip\r\n") != zipped)
        fail_msg("%s %s %zu", path, accept, n);
    if (zipped) {
        assert_true(raw_has(&r, "Vary: Accept-Encoding\r\n"));
        assert_true(r.in.n < n / 2 + 400);
        gunzip(raw_body(&r), &plain);
        assert_true(str_eq(buf_str(&plain), text_reply));
    } else {
        assert_true(str_eq(raw_body(&r), text_reply));
    }
    raw_done(&r);
    free(text);
}

static void test_gzip(void **state)
{
    struct env e;

    (void)state;
    begin(&e, "unused", NULL, 0);
    gzip_case(&e, "/text", "gzip", 1024, false);
    gzip_case(&e, "/text", "gzip", 1025, true);
    gzip_case(&e, "/text", "deflate, gzip;q=0.5, br", 5000, true);
    gzip_case(&e, "/text", "gzip;q=0", 5000, false);
    gzip_case(&e, "/text", "br", 5000, false);
    gzip_case(&e, "/text", "*", 5000, false);
    gzip_case(&e, "/binary", "gzip", 5000, false);
    gzip_case(&e, "/text", "gzip", 64u * 1024, true);
    gzip_case(&e, "/text", "gzip", 5u * 1024 * 1024, true); /* by the lane */
    assert_int_equal(lane_done_count(e.zip), 1);
    env_stop(&e);
}

/* The client goes while the lane compresses. */
static void test_gzip_abort(void **state)
{
    struct env e;
    struct raw r;
    const size_t n = 30u * 1024 * 1024;
    char *text = calloc(1, n);

    (void)state;
    begin(&e, "unused", NULL, 0);
    text_reply = str_n(text, n);
    raw_connect(&e, &r);
    RAW_SEND(&r, "GET /text HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n");
    UNTIL(&e, lane_pending(e.zip) == 1 || e.dones == 1);
    raw_done(&r);
    UNTIL(&e, e.dones == 1);
    free(text);
    env_stop(&e);
}

static void test_content_types(void **state)
{
    (void)state;
    assert_string_equal(http_content_type(STR("a/b.c/x.PNG")), "image/png");
    assert_string_equal(http_content_type(STR("x.tar.gz")), "application/gzip");
    assert_string_equal(http_content_type(STR("index.html")), "text/html; charset=utf-8");
    assert_string_equal(http_content_type(STR("noext")), "application/octet-stream");
    assert_string_equal(http_content_type(STR("dir.html/noext")), "application/octet-stream");
    assert_string_equal(http_content_type(STR("")), "application/octet-stream");
    assert_string_equal(http_status_text(404), "Not Found");
    assert_string_equal(http_status_text(799), "Server Error");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_conditions),
        cmocka_unit_test(test_head_and_names),
        cmocka_unit_test(test_missing),
        cmocka_unit_test(test_big),
        cmocka_unit_test(test_peer_leaves),
        cmocka_unit_test(test_peer_stalls_and_leaves),
        cmocka_unit_test(test_file_shrinks),
        cmocka_unit_test(test_gzip),
        cmocka_unit_test(test_gzip_abort),
        cmocka_unit_test(test_content_types),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
