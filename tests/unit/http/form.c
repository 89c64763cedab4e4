/* Query strings, percent coding, URLs. Pure. */
#include "http_test.h"

#include "http/url.h"

static void test_pairs(void **state)
{
    static const struct {
        const char *text;
        const char *pairs;
    } rows[] = {
        { "", "" },
        { "a=1&b=2", "a:1;b:2;" },
        { "a", "a:;" },
        { "=x", ":x;" },
        { "&&a=1&&", "a:1;" },
        { "a=b=c", "a:b=c;" },
        { "a+b=c%20d%2B", "a b:c d+;" },
        { "x=%41%zz%4", "x:A%zz%4;" },
        { "%", "%:;" },
        { "a=%00b", "a:?b;" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        AUTO(arena_free) struct arena *a = arena_new(1u << 20);
        AUTO_BUF struct buf out = { 0 };
        struct str rest = str_z(rows[i].text);
        struct str key;
        struct str value;
        buf_init(&out, 1000);
        while (http_form_next(&rest, a, &key, &value))
            (void)buf_printf(&out, "%.*s:%.*s;", STR_FMT(key),
                             STR_FMT(value.n && value.p[0] == '\0' ? STR("?b") : value));
        if (!str_eq_z(buf_str(&out), rows[i].pairs))
            fail_msg("row %zu: %.*s", i, STR_FMT(buf_str(&out)));
    }
}

static void test_arena_full(void **state)
{
    AUTO(arena_free) struct arena *a = arena_new(4096);
    AUTO_BUF struct buf big = { 0 };
    struct str rest;
    struct str key;
    struct str value;

    (void)state;
    buf_init(&big, 100000);
    while (big.n < 50000)
        (void)buf_add_char(&big, 'x');
    rest = buf_str(&big);
    assert_false(http_form_next(&rest, a, &key, &value));
    assert_null(http_url_decode(a, buf_str(&big), true).p);
}

static void test_coding(void **state)
{
    AUTO(arena_free) struct arena *a = arena_new(1u << 20);
    AUTO_BUF struct buf out = { 0 };
    char all[256];

    (void)state;
    buf_init(&out, 10000);
    assert_int_equal(http_url_encode(STR("a b/\xc3\xa9~-._A9"), &out), STATUS_OK);
    assert_true(str_eq_z(buf_str(&out), "a%20b%2F%C3%A9~-._A9"));
    buf_clear(&out);
    for (int i = 0; i < 256; i++)
        all[i] = (char)i;
    assert_int_equal(http_url_encode(str_n(all, 256), &out), STATUS_OK);
    assert_true(str_eq(http_url_decode(a, buf_str(&out), true), str_n(all, 256)));
    assert_true(str_eq_z(http_url_decode(a, STR("a+b"), false), "a+b"));
    buf_done(&out);
    buf_init(&out, 2);
    assert_int_equal(http_url_encode(STR("%"), &out), STATUS_FULL);
}

static void test_urls(void **state)
{
    static const struct {
        const char *text;
        const char *host;
        const char *target;
        unsigned port;
        bool tls;
        bool websocket;
    } good[] = {
        { "http://h", "h", "", 80, false, false },
        { "HTTPS://Host.example:8443/a/b?c#d", "Host.example", "/a/b?c", 8443, true, false },
        { "ws://[::1]:5522/x", "::1", "/x", 5522, false, true },
        { "wss://u:p@h/", "h", "/", 443, true, true },
        { "http://h?q", "h", "?q", 80, false, false },
        { "http://h:/x", "h", "/x", 80, false, false },
    };
    static const char *const bad[] = { "",
                                       "h",
                                       "http:/h",
                                       "http://",
                                       "http:///x",
                                       "ftp://h",
                                       "http://h:x",
                                       "http://h:0",
                                       "http://[::1",
                                       "http://[]",
                                       "http://h:65536",
                                       "http://a b",
                                       "http://h\\x",
                                       "http://h/\x7f" };
    struct url u;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        assert_int_equal(url_parse(str_z(good[i].text), &u, NULL), STATUS_OK);
        if (!str_eq_z(u.host, good[i].host) || !str_eq_z(u.target, good[i].target) ||
            u.port != good[i].port || u.tls != good[i].tls || u.websocket != good[i].websocket)
            fail_msg("%s", good[i].text);
    }
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        if (url_parse(str_z(bad[i]), &u, NULL) == STATUS_OK)
            fail_msg("%s", bad[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_arena_full),
        cmocka_unit_test(test_coding),
        cmocka_unit_test(test_urls),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
