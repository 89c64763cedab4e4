/* From a request to parameters: queries, forms, merging, paths, codes, loose equality, lists. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "api/api_int.h"

static int setup(void **state)
{
    *state = arena_new(64u * 1024 * 1024);
    return *state ? 0 : -1;
}

static int teardown(void **state)
{
    arena_free(*state);
    return 0;
}

static const char *text_of(struct arena *a, yyjson_val *v)
{
    AUTO_BUF struct buf out = { .max = 1u << 20 };

    assert_int_equal(json_text(v, false, &out), STATUS_OK);
    return arena_dup_z(a, buf_str(&out));
}

static const char *query(struct arena *a, const char *text)
{
    yyjson_val *v = NULL;

    assert_int_equal(api_query_object(a, str_z(text), &v, NULL), STATUS_OK);
    return text_of(a, v);
}

static const char *form(struct arena *a, const char *text)
{
    yyjson_val *v = NULL;

    assert_int_equal(api_form_object(a, str_z(text), &v, NULL), STATUS_OK);
    return text_of(a, v);
}

static yyjson_val *json(struct arena *a, const char *text)
{
    yyjson_val *v = NULL;

    assert_int_equal(json_parse_in(a, str_z(text), 1u << 20, &v, NULL), STATUS_OK);
    return v;
}

static void test_query_numbers(void **state)
{
    struct arena *a = *state;

    assert_string_equal(query(a, ""), "{}");
    assert_string_equal(query(a, "a=12&b=-3&c=1.5&d=-0.25&e=007"),
                        "{\"a\":12,\"b\":-3,\"c\":1.5,\"d\":-0.25,\"e\":7}");
    assert_string_equal(query(a, "a=1x&b=.5&c=5.&d=1.2.3&e=+1&f=1e3&g=-&h="),
                        "{\"a\":\"1x\",\"b\":\".5\",\"c\":\"5.\",\"d\":\"1.2.3\",\"e\":\" 1\","
                        "\"f\":\"1e3\",\"g\":\"-\",\"h\":\"\"}");
    assert_string_equal(query(a, "big=9223372036854775807"), "{\"big\":9223372036854775807}");
    assert_string_equal(query(a, "big=92233720368547758070"), "{\"big\":9.223372036854776e+19}");
}

static void test_query_id_stays_text(void **state)
{
    struct arena *a = *state;

    assert_string_equal(query(a, "id=12345"), "{\"id\":\"12345\"}");
    assert_string_equal(query(a, "id=007&ids=1"), "{\"id\":\"007\",\"ids\":1}");
}

static void test_query_keys(void **state)
{
    struct arena *a = *state;

    assert_string_equal(query(a, "a=1&cachebust=0.123&b=2"), "{\"a\":1,\"b\":2}");
    assert_string_equal(query(a, "a=1&b=x&a=2&a=last"), "{\"a\":\"last\",\"b\":\"x\"}");
    assert_string_equal(query(a, "params/foo=bar&%61%20b=c%26d&x=%zz"),
                        "{\"params/foo\":\"bar\",\"a b\":\"c&d\",\"x\":\"%zz\"}");
    assert_string_equal(query(a, "novalue&&=empty"), "{\"novalue\":\"\",\"\":\"empty\"}");
    assert_string_equal(query(a, "bad=%ff"), "{\"bad\":\"\xEF\xBF\xBD\"}");
    /* more than the few that fit on the stack, the first one again at the end */
    assert_string_equal(query(a, "a=1&b=2&c=3&d=4&e=5&f=6&g=7&h=8&i=9&j=10&a=11"),
                        "{\"a\":11,\"b\":2,\"c\":3,\"d\":4,\"e\":5,\"f\":6,\"g\":7,\"h\":8,\"i\":9,"
                        "\"j\":10}");
}

static void test_query_limit(void **state)
{
    struct arena *a = *state;
    AUTO_BUF struct buf text = { .max = 1u << 20 };
    yyjson_val *v = NULL;
    struct err err = { .code = STATUS_OK };

    for (unsigned i = 0; i < API_PARAMS_MAX; i++)
        (void)buf_printf(&text, "k%u=1&", i);
    assert_int_equal(api_query_object(a, buf_str(&text), &v, &err), STATUS_OK);
    assert_int_equal(yyjson_obj_size(v), API_PARAMS_MAX);
    (void)buf_add_z(&text, "one_more=1");
    assert_int_equal(api_query_object(a, buf_str(&text), &v, &err), STATUS_INVALID);
}

static void test_form_is_text(void **state)
{
    assert_string_equal(form(*state, "id=5&n=12&t=a+b&cachebust=1"),
                        "{\"id\":\"5\",\"n\":\"12\",\"t\":\"a b\",\"cachebust\":\"1\"}");
}

static const char *merged(struct arena *a, const char *base, const char *top, const char *skip)
{
    yyjson_val *v = NULL;

    assert_int_equal(api_merge(a, json(a, base), json(a, top), skip, &v, NULL), STATUS_OK);
    return text_of(a, v);
}

static void test_merge(void **state)
{
    struct arena *a = *state;

    assert_string_equal(merged(a, "{}", "{}", NULL), "{}");
    assert_string_equal(merged(a, "{\"a\":1,\"b\":[2]}", "{}", NULL), "{\"a\":1,\"b\":[2]}");
    assert_string_equal(merged(a, "{}", "{\"a\":null}", NULL), "{\"a\":null}");
    assert_string_equal(merged(a, "{\"a\":1,\"b\":2}", "{\"b\":{\"x\":1},\"c\":3}", NULL),
                        "{\"a\":1,\"b\":{\"x\":1},\"c\":3}");
    /* credentials never get through, whichever side they are on */
    assert_string_equal(merged(a, "{\"api_key\":\"k\",\"a\":1}", "{}", NULL), "{\"a\":1}");
    assert_string_equal(merged(a, "{}", "{\"session_id\":\"s\",\"csrf_token\":\"c\"}", NULL), "{}");
    assert_string_equal(
        merged(a, "{\"csrf_token\":1,\"a\":1}", "{\"api_key\":\"k\",\"a\":2}", NULL), "{\"a\":2}");
    assert_string_equal(merged(a, "{\"pretty\":1,\"a\":1}", "{}", "pretty"), "{\"a\":1}");
    assert_string_equal(merged(a, "{\"pretty\":1}", "{}", NULL), "{\"pretty\":1}");
}

static void test_merge_takes_what_is_the_same(void **state)
{
    struct arena *a = *state;
    yyjson_val *body = json(a, "{\"a\":1}");
    yyjson_val *v = NULL;

    assert_int_equal(api_merge(a, body, json(a, "{}"), NULL, &v, NULL), STATUS_OK);
    assert_ptr_equal(v, body);
    assert_int_equal(api_merge(a, json(a, "{}"), body, NULL, &v, NULL), STATUS_OK);
    assert_ptr_equal(v, body);
}

static void check_path(const char *path, const char *space, const char *name, const char *rest,
                       bool versioned, bool wait)
{
    struct api_path p = { .wait = false };

    if (!api_path_parse(str_z(path), &p))
        fail_msg("%s is refused", path);
    assert_true(str_eq_z(p.space, space));
    assert_true(str_eq_z(p.name, name));
    assert_true(str_eq_z(p.rest, rest));
    assert_int_equal(p.versioned, versioned);
    assert_int_equal(p.wait, wait);
}

static void test_paths(void **state)
{
    static const char *const bad[] = { "/api",
                                       "/api/",
                                       "/api/app",
                                       "/api/app/",
                                       "/api//ping/v1",
                                       "/api/app//v1",
                                       "/api/app/a-b",
                                       "/api/a.b/c",
                                       "/API/app/ping",
                                       "api/app/ping",
                                       "" };
    struct api_path p;

    (void)state;
    check_path("/api/app/ping", "app", "ping", "", false, false);
    check_path("/api/app/ping/v1", "app", "ping", "v1", true, false);
    check_path("/api/app/ping/v12/", "app", "ping", "v12/", true, false);
    check_path("/api/app/ping/v", "app", "ping", "v", false, false);
    check_path("/api/app/ping/v1x", "app", "ping", "v1x", false, false);
    check_path("/api/user/login", "user", "login", "", false, false);
    check_path("/api/app/run_event/v1/wait", "app", "run_event", "v1/wait", true, true);
    check_path("/api/app/run_event/wait", "app", "run_event", "wait", false, true);
    check_path("/api/app/run_event/wait/v1", "app", "run_event", "wait/v1", true, true);
    check_path("/api/app/run_event/v1/waiting", "app", "run_event", "v1/waiting", true, false);
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_false(api_path_parse(str_z(bad[i]), &p));
}

static void test_http_status_of_codes(void **state)
{
    (void)state;
    assert_int_equal(api_http_status("api"), 400);
    assert_int_equal(api_http_status("access"), 403);
    assert_int_equal(api_http_status("session"), 403);
    assert_int_equal(api_http_status("rate"), 429);
    assert_int_equal(api_http_status("notfound"), 404);
    assert_int_equal(api_http_status("event"), 500);
    assert_int_equal(api_http_status("job"), 500);
    assert_int_equal(api_http_status("db"), 500);
    assert_int_equal(api_http_status("test"), 500);
    assert_int_equal(api_http_status("auth"), 500);
}

static void test_loose_equality(void **state)
{
    static const struct {
        const char *want;
        const char *have; /* NULL: absent */
        bool equal;
    } rows[] = {
        { "1", "true", true },         { "1", "1", true },
        { "1", "1.0", true },          { "0", "false", true },
        { "1", "false", false },       { "\"1\"", "1", true },
        { "1", "\"1\"", true },        { "\"\"", "0", true },
        { "\"x\"", "0", false },       { "\"a\"", "\"a\"", true },
        { "\"a\"", "\"A\"", false },   { "\"a\\nb\"", "\"a\\nb\"", true },
        { "true", "\"true\"", false }, { "null", NULL, true },
        { "null", "null", true },      { "0", NULL, false },
        { "0", "null", false },        { "\"\"", NULL, false },
        { "[1]", "[1]", false },       { "{}", "{}", false },
        { "5", "\"5x\"", false },
    };
    struct arena *a = *state;

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if (api_loose_equal(json(a, rows[i].want), str_z(rows[i].have)) != rows[i].equal)
            fail_msg("%s == %s", rows[i].want, rows[i].have ? rows[i].have : "(absent)");
    }
}

static const char *list(struct arena *a, const char *text, size_t max)
{
    const struct str *words = NULL;
    AUTO_BUF struct buf out = { .max = 4096 };
    size_t n = 0;

    if (!api_word_list(a, json(a, text), max, &words, &n))
        return "no";
    for (size_t i = 0; i < n; i++)
        (void)buf_printf(&out, "[%.*s]", STR_FMT(words[i]));
    return arena_dup_z(a, buf_str(&out));
}

static void test_word_lists(void **state)
{
    struct arena *a = *state;

    assert_string_equal(list(a, "[\"a\",\"b\"]", 2), "[a][b]");
    assert_string_equal(list(a, "[\"a\",5,null]", 9), "[a][][]");
    assert_string_equal(list(a, "\"a, b,,c\"", 9), "[a][b][c]");
    assert_string_equal(list(a, "\"\"", 9), "");
    assert_string_equal(list(a, "12345", 9), "[12345]");
    assert_string_equal(list(a, "[\"a\",\"b\",\"c\"]", 2), "no");
    assert_string_equal(list(a, "\"a,b,c\"", 2), "no");
    assert_string_equal(list(a, "{}", 9), "no");
    assert_string_equal(list(a, "true", 9), "no");
    assert_string_equal(list(a, "1.5", 9), "no");
    assert_false(api_word_list(a, NULL, 9, NULL, NULL));
}

static void test_param_text(void **state)
{
    struct arena *a = *state;
    const struct api_call c = {
        .arena = a, .params = json(a, "{\"t\":\"x\",\"n\":5,\"f\":1.5,\"b\":true,\"o\":{}}")
    };

    assert_true(str_eq_z(api_param_text(&c, "t"), "x"));
    assert_true(str_eq_z(api_param_text(&c, "n"), "5"));
    assert_true(str_eq_z(api_param_text(&c, "f"), "1.5"));
    assert_null(api_param_text(&c, "b").p);
    assert_null(api_param_text(&c, "o").p);
    assert_null(api_param_text(&c, "none").p);
}

#define PARAM_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PARAM_TEST(test_query_numbers),
        PARAM_TEST(test_query_id_stays_text),
        PARAM_TEST(test_query_keys),
        PARAM_TEST(test_query_limit),
        PARAM_TEST(test_form_is_text),
        PARAM_TEST(test_merge),
        PARAM_TEST(test_merge_takes_what_is_the_same),
        PARAM_TEST(test_paths),
        PARAM_TEST(test_http_status_of_codes),
        PARAM_TEST(test_loose_equality),
        PARAM_TEST(test_word_lists),
        PARAM_TEST(test_param_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
