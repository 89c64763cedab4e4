/* Tests of json/writer.h: the text, byte for byte. */
#include "json/writer.h"

#include "base/rng.h"

#include <math.h>
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

#define ASSERT_TEXT(buf, expected)                                                                 \
    do {                                                                                           \
        assert_false((buf).failed);                                                                \
        assert_int_equal(buf_add_char(&(buf), '\0'), STATUS_OK);                                   \
        assert_string_equal((buf).p, expected);                                                    \
        buf_clear(&(buf));                                                                         \
    } while (0)

static void test_writer_builds_an_object(void **state)
{
    AUTO_BUF struct buf b = { .max = 10000 };
    struct json_writer w = json_writer_init(&b);

    (void)state;
    json_obj(&w, NULL);
    json_put_str(&w, "s", STR("x"));
    json_put_z(&w, "z", NULL);
    json_put_i64(&w, "i", INT64_MIN);
    json_put_u64(&w, "u", UINT64_MAX);
    json_put_bool(&w, "t", true);
    json_put_null(&w, "n");
    json_arr(&w, "a");
    json_put_i64(&w, NULL, 1);
    json_obj(&w, NULL);
    json_end(&w);
    json_arr(&w, NULL);
    json_end(&w);
    json_put_z(&w, NULL, "two");
    json_end(&w);
    json_obj_k(&w, STR("k\"ey"));
    json_put_str_k(&w, STR(""), STR_NONE);
    json_end(&w);
    json_put_raw(&w, "raw", STR("{\"stored\":[1]}"));
    json_put_raw(&w, "none", STR_NONE);
    json_end(&w);
    assert_int_equal(w.depth, 0);
    ASSERT_TEXT(b, "{\"s\":\"x\",\"z\":null,\"i\":-9223372036854775808,\"u\":18446744073709551615,"
                   "\"t\":true,\"n\":null,\"a\":[1,{},[],\"two\"],\"k\\\"ey\":{\"\":\"\"},"
                   "\"raw\":{\"stored\":[1]},\"none\":null}");
}

static void test_writer_escapes_text(void **state)
{
    AUTO_BUF struct buf b = { .max = 10000 };
    struct json_writer w = json_writer_init(&b);

    (void)state;
    json_put_str(&w, NULL, STR("\"\\/\b\f\n\r\t\x01\x1f\x7f\0z"));
    ASSERT_TEXT(b, "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\\u0000z\"");
    json_put_str(&w, NULL, STR("\xC3\xA9 \xF0\x9F\x98\x80"));
    ASSERT_TEXT(b, "\"\xC3\xA9 \xF0\x9F\x98\x80\"");
    json_put_str(&w, NULL, STR("a\xff\xE2\x82z"));
    ASSERT_TEXT(b, "\"a\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBDz\"");
}

static void test_writer_doubles(void **state)
{
    static const struct {
        double v;
        const char *text;
    } rows[] = {
        { 5.0, "5" },
        { -0.0, "0" },
        { -3.0, "-3" },
        { 0.1, "0.1" },
        { -12.34, "-12.34" },
        { -0.5, "-0.5" },
        { 0.000001, "0.000001" },
        { 99.999999, "99.999999" },
        { 1700000000.123, "1700000000.123" },
        { 0.1 + 0.2, "0.30000000000000004" },
        { 1.0 / 3, "0.3333333333333333" },
        { 9007199254740992.0, "9007199254740992" },
        { 1e21, "1e+21" },
        { 1.7976931348623157e308, "1.7976931348623157e+308" },
        { 5e-324, "4.94065645841247e-324" },
        { NAN, "null" },
        { -INFINITY, "null" },
    };
    AUTO_BUF struct buf b = { .max = 10000 };
    struct json_writer w = json_writer_init(&b);

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        json_put_double(&w, NULL, rows[i].v);
        ASSERT_TEXT(b, rows[i].text);
    }
}

static void test_writer_doubles_read_back(void **state)
{
    AUTO_BUF struct buf b = { .max = 100 };
    struct rng rng;

    (void)state;
    rng_init(&rng, 31);
    for (int i = 0; i < 20000; i++) {
        const uint64_t bits = rng_next(&rng);
        struct json_writer w = json_writer_init(&b);
        double v = (double)(int64_t)rng_below(&rng, 1000000000) / 1e4, back;

        if (i % 2)
            memcpy(&v, &bits, sizeof v);
        if (!isfinite(v))
            continue;
        buf_clear(&b);
        json_put_double(&w, NULL, v);
        assert_true(str_to_double(buf_str(&b), &back));
        assert_true(back == v);
    }
}

static void test_writer_copies_values(void **state)
{
    static const char text[] = "{\"a\":[1,-2,2.5,true,false,null,\"x\\ny\"],"
                               "\"big\":123456789012345678901234567890,\"huge\":-1.50E+999,"
                               "\"o\":{\"e\":{},\"f\":[]}}";
    AUTO_BUF struct buf b = { .max = 10000 };
    struct json_writer w = json_writer_init(&b);
    yyjson_doc *doc = parsed(text);

    (void)state;
    json_put_val(&w, NULL, yyjson_doc_get_root(doc));
    ASSERT_TEXT(b, text); /* numbers no double holds: as they came */
    w = json_writer_init(&b);
    json_obj(&w, NULL);
    json_put_val(&w, "v", json_at(yyjson_doc_get_root(doc), "a.6"));
    json_put_val_k(&w, STR("none"), NULL);
    json_end(&w);
    ASSERT_TEXT(b, "{\"v\":\"x\\ny\",\"none\":null}");
    json_doc_free(doc);
}

static void test_writer_drops_repeated_keys(void **state)
{
    AUTO_BUF struct buf b = { .max = 10000 };
    struct json_writer w = json_writer_init(&b);
    yyjson_doc *doc = parsed("{\"t\":{\"x\":1,\"x\":2},\"t\":\"<script>\",\"a\":1,\"b\":2,\"c\":3,"
                             "\"d\":4,\"e\":5,\"f\":6,\"g\":7,\"a\":8}");

    (void)state;
    json_put_val(&w, NULL, yyjson_doc_get_root(doc));
    ASSERT_TEXT(b, "{\"t\":{\"x\":1},\"a\":1,\"b\":2,\"c\":3,\"d\":4,\"e\":5,\"f\":6,\"g\":7}");
    json_doc_free(doc);
}

static void test_writer_members(void **state)
{
    static const char *const skip[] = { "b", "zz", NULL };
    AUTO_BUF struct buf b = { .max = 10000 };
    struct json_writer w = json_writer_init(&b);
    yyjson_doc *doc = parsed("{\"a\":1,\"b\":2,\"c\":[3]}");

    (void)state;
    json_obj(&w, NULL);
    json_put_i64(&w, "first", 0);
    json_put_members(&w, yyjson_doc_get_root(doc), skip);
    json_put_members(&w, NULL, skip);
    json_put_members(&w, json_get(yyjson_doc_get_root(doc), "c"), NULL); /* no object */
    json_end(&w);
    ASSERT_TEXT(b, "{\"first\":0,\"a\":1,\"c\":[3]}");
    json_doc_free(doc);
}

static void merged(struct buf *b, const char *old, const char *changes, const char *const *skip)
{
    struct json_writer w = json_writer_init(b);
    yyjson_doc *od = parsed(old), *cd = parsed(changes);

    json_put_merged(&w, NULL, yyjson_doc_get_root(od), yyjson_doc_get_root(cd), skip);
    json_doc_free(od);
    json_doc_free(cd);
}

static void test_writer_merge(void **state)
{
    static const char *const skip[] = { "id", "made", NULL };
    AUTO_BUF struct buf b = { .max = 10000 };

    (void)state;
    merged(&b, "{\"id\":\"e1\",\"t\":\"old\",\"o\":{\"x\":1},\"keep\":1}",
           "{\"new\":true,\"t\":\"new\",\"id\":\"e2\",\"o\":{\"y\":2},\"made\":5,\"keep\":null}",
           skip);
    ASSERT_TEXT(b, "{\"id\":\"e1\",\"t\":\"new\",\"o\":{\"y\":2},\"keep\":null,\"new\":true}");
    merged(&b, "{}", "{\"a\":1,\"a\":2}", NULL);
    ASSERT_TEXT(b, "{\"a\":1}");
    merged(&b, "{\"a\":1}", "[]", NULL);
    ASSERT_TEXT(b, "{\"a\":1}");
}

static void test_writer_merge_adds_increments(void **state)
{
    AUTO_BUF struct buf b = { .max = 10000 };

    (void)state;
    merged(&b, "{\"n\":5,\"m\":5,\"d\":1.5,\"s\":\"5\",\"p\":1,\"q\":1}",
           "{\"n\":\"+1\",\"m\":\"-7\",\"d\":\"+0.25\",\"s\":\"+1\",\"p\":\"+x\",\"q\":\"+\",\"z\":"
           "\"+1\"}",
           NULL);
    ASSERT_TEXT(b,
                "{\"n\":6,\"m\":-2,\"d\":1.75,\"s\":\"+1\",\"p\":\"+x\",\"q\":\"+\",\"z\":\"+1\"}");
}

static void test_writer_depth_is_bounded(void **state)
{
    AUTO_BUF struct buf b = { .max = 10000 };
    struct json_writer w = json_writer_init(&b);

    (void)state;
    for (int i = 0; i < JSON_DEPTH_MAX + 8; i++)
        json_arr(&w, NULL);
    assert_false(b.failed);
    json_arr(&w, NULL);
    assert_true(b.failed);
    for (int i = 0; i < JSON_DEPTH_MAX + 20; i++)
        json_end(&w); /* more than were opened: no harm once failed */
}

static void test_writer_full_buf(void **state)
{
    AUTO_BUF struct buf b = { .max = 10 };
    yyjson_doc *doc = parsed("[1,2,3,4,5,6,7,8,9]");

    (void)state;
    assert_int_equal(json_text(yyjson_doc_get_root(doc), false, &b), STATUS_FULL);
    assert_true(b.failed);
    json_doc_free(doc);
}

static void test_writer_text(void **state)
{
    AUTO_BUF struct buf b = { .max = 10000 };
    yyjson_doc *doc = parsed("{\"a\":[1,{\"b\":[]}],\"e\":{},\"a\":2}");

    (void)state;
    assert_int_equal(json_text(yyjson_doc_get_root(doc), false, &b), STATUS_OK);
    ASSERT_TEXT(b, "{\"a\":[1,{\"b\":[]}],\"e\":{}}");
    assert_int_equal(json_text(yyjson_doc_get_root(doc), true, &b), STATUS_OK);
    ASSERT_TEXT(b, "{\n\t\"a\": [\n\t\t1,\n\t\t{\n\t\t\t\"b\": []\n\t\t}\n\t],\n\t\"e\": {}\n}");
    assert_int_equal(json_text(NULL, true, &b), STATUS_OK);
    ASSERT_TEXT(b, "null");
    json_doc_free(doc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_writer_builds_an_object),
        cmocka_unit_test(test_writer_escapes_text),
        cmocka_unit_test(test_writer_doubles),
        cmocka_unit_test(test_writer_doubles_read_back),
        cmocka_unit_test(test_writer_copies_values),
        cmocka_unit_test(test_writer_drops_repeated_keys),
        cmocka_unit_test(test_writer_members),
        cmocka_unit_test(test_writer_merge),
        cmocka_unit_test(test_writer_merge_adds_increments),
        cmocka_unit_test(test_writer_depth_is_bounded),
        cmocka_unit_test(test_writer_full_buf),
        cmocka_unit_test(test_writer_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
