/* Tests of json/json.h: what is refused, what the getters give. */
#include "json/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>
static yyjson_doc *parsed(const char *text)
{
    yyjson_doc *doc = NULL;
    struct err err = { 0 };

    if (json_parse(str_z(text), JSON_SIZE_MAX, &doc, &err))
        fail_msg("%s: %s", text, err.text);
    return doc;
}

static void test_json_refuses_what_is_not_json(void **state)
{
    const struct str bad[] = {
        STR(""),
        STR(" "),
        STR("{"),
        STR("[1,]"),
        STR("{\"a\":1,}"),
        STR("{a:1}"),
        STR("'a'"),
        STR("[1] x"),
        STR("// c\n1"),
        STR("NaN"),
        STR("Infinity"),
        STR("01"),
        STR("+1"),
        STR(".5"),
        STR("1."),
        STR("\"\n\""),
        STR("\"\\x\""),
        STR("\"\\ud800\""),
        STR("\"\xff\""),
        STR("\xEF\xBB\xBF{}"),
        STR("\"\xC0\x80\""),
        STR("{\"a\"}"),
        STR("tru"),
        STR("1\0"),
    };
    yyjson_doc *doc = NULL;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct err err = { 0 };

        if (json_parse(bad[i], JSON_SIZE_MAX, &doc, &err) != STATUS_INVALID)
            fail_msg("accepted: %s", bad[i].p);
        assert_int_equal(err.code, STATUS_INVALID);
        assert_memory_equal(err.text, "bad JSON at byte ", 17);
        assert_null(doc);
    }
    assert_int_equal(json_parse(STR_NONE, JSON_SIZE_MAX, &doc, NULL), STATUS_INVALID);
}

static void test_json_says_where(void **state)
{
    yyjson_doc *doc = NULL;
    struct err err = { 0 };

    (void)state;
    assert_int_equal(json_parse(STR("{\"a\": x}"), JSON_SIZE_MAX, &doc, &err), STATUS_INVALID);
    assert_memory_equal(err.text, "bad JSON at byte 6: ", 20);
}

static void test_json_size(void **state)
{
    yyjson_doc *doc = NULL;
    struct err err = { 0 };

    (void)state;
    assert_int_equal(json_parse(STR("[1,2]"), 4, &doc, &err), STATUS_TOO_BIG);
    assert_string_equal(err.text, "JSON text of 5 bytes is over the limit of 4");
    assert_int_equal(json_parse(STR("[1,2]"), 5, &doc, &err), STATUS_OK);
    json_doc_free(doc);
}

static void nested(char *out, int levels)
{
    memset(out, '[', (size_t)levels);
    memset(out + levels, ']', (size_t)levels);
    out[2 * levels] = '\0';
}

static void test_json_depth(void **state)
{
    char text[2 * JSON_DEPTH_MAX + 3];
    yyjson_doc *doc = NULL;
    struct err err = { 0 };

    (void)state;
    nested(text, JSON_DEPTH_MAX);
    assert_int_equal(json_parse(str_z(text), JSON_SIZE_MAX, &doc, &err), STATUS_OK);
    json_doc_free(doc);
    nested(text, JSON_DEPTH_MAX + 1);
    assert_int_equal(json_parse(str_z(text), JSON_SIZE_MAX, &doc, &err), STATUS_INVALID);
    assert_non_null(strstr(err.text, "nested deeper"));
    /* brackets in texts do not count, also behind escaped quotes */
    json_doc_free(
        parsed("[\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\","
               "\"\\\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\\\"]"));
}

static void test_json_parse_in_arena(void **state)
{
    struct arena *a = arena_new(1 << 16);
    yyjson_val *root = NULL;
    struct err err = { 0 };
    char *big;

    (void)state;
    assert_int_equal(json_parse_in(a, STR("{\"a\":[1,2,\"x\"]}"), 100, &root, &err), STATUS_OK);
    assert_true(str_eq_z(json_val_str(json_at(root, "a.2")), "x"));
    assert_int_equal(json_parse_in(a, STR("[1,"), 100, &root, &err), STATUS_INVALID);
    assert_int_equal(json_parse_in(a, STR("[1,2]"), 2, &root, &err), STATUS_TOO_BIG);
    big = malloc(100001);
    memset(big, '[', 1);
    for (size_t i = 1; i < 100000; i += 2)
        memcpy(big + i, "1,", 2);
    memcpy(big + 99999, "1]", 2);
    assert_int_equal(json_parse_in(a, str_n(big, 100001), 1 << 20, &root, &err), STATUS_TOO_BIG);
    free(big);
    arena_free(a);
}

static void test_json_getters(void **state)
{
    yyjson_doc *doc =
        parsed("{\"s\":\"text\",\"i\":-5,\"d\":2.75,\"n\":-2.25,\"t\":true,\"z\":null,"
               "\"u\":18446744073709551615,\"a\":[10,{\"b\":\"in\"}],\"\":\"empty\","
               "\"s\":\"second\"}");
    yyjson_val *root = yyjson_doc_get_root(doc);

    (void)state;
    assert_true(str_eq_z(json_str(root, "s"), "text")); /* of equal keys the first */
    assert_null(json_str(root, "i").p);
    assert_null(json_str(NULL, "i").p);
    assert_true(json_i64(root, "i", 7) == -5);
    assert_true(json_i64(root, "d", 7) == 2);
    assert_true(json_i64(root, "n", 7) == -3); /* floored */
    assert_true(json_i64(root, "u", 7) == INT64_MAX);
    assert_true(json_i64(root, "s", 7) == 7);
    assert_true(json_i64(root, "absent", 7) == 7);
    assert_true(json_double(root, "d", 0) == 2.75);
    assert_true(json_double(root, "t", 0.5) == 0.5);
    assert_true(json_bool(root, "t", false));
    assert_true(json_bool(root, "i", true));
    assert_true(yyjson_is_null(json_get(root, "z")));
    assert_true(str_eq_z(json_val_str(json_at(root, "a.1.b")), "in"));
    assert_null(json_at(root, "a.2"));
    assert_null(json_at(root, "a.x"));
    assert_null(json_at(root, "s.x"));
    assert_null(json_at(NULL, "s"));
    assert_true(str_eq_z(json_val_str(json_get_str(root, STR_NONE)), "empty"));
    assert_null(json_get(json_get(root, "a"), "b"));
    json_doc_free(doc);
}

static void test_json_numbers_out_of_range(void **state)
{
    yyjson_doc *doc = parsed("{\"big\":123456789012345678901234567890,\"huge\":1e999,"
                             "\"low\":-1e999,\"e\":1e300}");
    yyjson_val *root = yyjson_doc_get_root(doc);

    (void)state;
    assert_string_equal(json_type_name(json_get(root, "big")), "number");
    assert_true(json_double(root, "big", 0) == 123456789012345678901234567890.0);
    assert_true(json_double(root, "huge", 5) == 5); /* no double */
    assert_true(json_i64(root, "big", 0) == INT64_MAX);
    assert_true(json_i64(root, "huge", 0) == INT64_MAX);
    assert_true(json_i64(root, "low", 0) == INT64_MIN);
    assert_true(json_i64(root, "e", 0) == INT64_MAX);
    assert_true(json_truthy(json_get(root, "big")));
    assert_true(json_is_int(json_get(root, "big")));
    json_doc_free(doc);
}

static void test_json_truthy(void **state)
{
    yyjson_doc *doc = parsed("[null,false,0,0.0,-0,\"\",true,1,-0.5,\"0\",[],{}]");
    yyjson_val *root = yyjson_doc_get_root(doc);

    (void)state;
    assert_false(json_truthy(NULL));
    for (size_t i = 0; i < 12; i++) {
        if (json_truthy(yyjson_arr_get(root, i)) != (i >= 6))
            fail_msg("element %zu", i);
    }
    json_doc_free(doc);
}

static void test_json_is_int(void **state)
{
    yyjson_doc *doc = parsed("[1,-1,5.0,1e3,1.5,\"1\",true,null]");
    yyjson_val *root = yyjson_doc_get_root(doc);

    (void)state;
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(json_is_int(yyjson_arr_get(root, i)), i < 4);
    assert_false(json_is_int(NULL));
    json_doc_free(doc);
}

static void test_json_need(void **state)
{
    yyjson_doc *doc = parsed("{\"s\":\"x\",\"i\":5.0,\"f\":5.5,\"u\":18446744073709551615}");
    yyjson_val *root = yyjson_doc_get_root(doc);
    struct err err = { 0 };
    struct str s = STR("kept");
    int64_t i = 77;

    (void)state;
    assert_int_equal(json_need_str(root, "s", &s, &err), STATUS_OK);
    assert_true(str_eq_z(s, "x"));
    assert_int_equal(json_need_str(root, "i", &s, &err), STATUS_INVALID);
    assert_string_equal(err.text, "i must be a string, not number");
    assert_string_equal(err.at, "i");
    assert_int_equal(json_need_str(NULL, "q", &s, &err), STATUS_INVALID);
    assert_string_equal(err.text, "q must be a string, not missing");
    assert_int_equal(json_need_i64(root, "i", &i, &err), STATUS_OK);
    assert_true(i == 5);
    assert_int_equal(json_need_i64(root, "f", &i, &err), STATUS_INVALID);
    assert_string_equal(err.text, "f must be a whole number, not a fraction");
    assert_int_equal(json_need_i64(root, "s", &i, &err), STATUS_INVALID);
    assert_string_equal(err.text, "s must be a whole number, not string");
    assert_int_equal(json_need_i64(root, "u", &i, &err), STATUS_INVALID);
    assert_string_equal(err.text, "u is out of range");
    assert_true(i == 5);
    json_doc_free(doc);
}

static bool equal(const char *a, const char *b)
{
    yyjson_doc *da = parsed(a), *db = parsed(b);
    const bool forth = json_equal(yyjson_doc_get_root(da), yyjson_doc_get_root(db));
    const bool back = json_equal(yyjson_doc_get_root(db), yyjson_doc_get_root(da));

    assert_int_equal(forth, back);
    json_doc_free(da);
    json_doc_free(db);
    return forth;
}

static void test_json_equal(void **state)
{
    (void)state;
    assert_true(equal("{\"a\":1,\"b\":[1,2]}", "{\"b\":[1,2.0],\"a\":1.0}"));
    assert_false(equal("{\"a\":1}", "{\"a\":1,\"b\":2}"));
    assert_false(equal("{\"a\":1}", "{\"b\":1}"));
    assert_false(equal("[1,2]", "[2,1]"));
    assert_false(equal("[1]", "[1,1]"));
    assert_false(equal("1", "\"1\""));
    assert_false(equal("0", "false"));
    assert_false(equal("null", "false"));
    assert_false(equal("true", "false"));
    assert_true(equal("null", "null"));
    assert_true(equal("\"\\u0041\"", "\"A\""));
    assert_false(equal("-1", "18446744073709551615"));
    assert_true(equal("1e999", "1e999"));
    assert_false(equal("1e999", "1e998"));
    assert_true(equal("{\"a\":1,\"a\":2}", "{\"a\":1}")); /* the first counts */
    assert_true(json_equal(NULL, NULL));
}

static void test_json_equal_of_many_keys(void **state)
{
    /* more keys than are searched one by one, in opposite orders */
    (void)state;
    assert_true(
        equal("{\"a\":1,\"b\":2,\"c\":3,\"d\":4,\"e\":5,\"f\":6,\"g\":7,\"h\":8,\"i\":9,\"a\":0}",
              "{\"i\":9,\"h\":8,\"g\":7,\"f\":6,\"e\":5,\"d\":4,\"c\":3,\"b\":2,\"a\":1}"));
    assert_false(
        equal("{\"a\":1,\"b\":2,\"c\":3,\"d\":4,\"e\":5,\"f\":6,\"g\":7,\"h\":8,\"i\":9}",
              "{\"i\":9,\"h\":8,\"g\":7,\"f\":6,\"e\":5,\"d\":4,\"c\":3,\"b\":2,\"A\":1}"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_refuses_what_is_not_json),
        cmocka_unit_test(test_json_says_where),
        cmocka_unit_test(test_json_size),
        cmocka_unit_test(test_json_depth),
        cmocka_unit_test(test_json_parse_in_arena),
        cmocka_unit_test(test_json_getters),
        cmocka_unit_test(test_json_numbers_out_of_range),
        cmocka_unit_test(test_json_truthy),
        cmocka_unit_test(test_json_is_int),
        cmocka_unit_test(test_json_need),
        cmocka_unit_test(test_json_equal),
        cmocka_unit_test(test_json_equal_of_many_keys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
