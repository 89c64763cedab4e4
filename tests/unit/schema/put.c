/* Tests of schema_put and schema_strip_tags. */
#include "schema/schema.h"

#include <string.h>

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>
static const struct prop props[] = {
    { .name = "id", .type = P_ID },
    { .name = "made", .type = P_INT, .flags = P_READONLY, .def = "1" },
    { .name = "notes", .type = P_TEXT, .flags = P_STRIP, .def = "\"\"" },
    { .name = "max", .type = P_INT, .flags = P_LOOSE, .def = "3" },
    { .name = "rate", .type = P_NUMBER, .flags = P_LOOSE },
    { .name = "code", .type = P_TEXT, .flags = P_LOOSE },
    { .name = "on", .type = P_BOOL, .def = "true" },
    { .name = "list", .type = P_ARRAY, .def = "[]" },
    { 0 },
};

static void put(const char *json, enum schema_mode mode, const char *const *skip,
                const char *expected)
{
    AUTO_BUF struct buf b = { .max = 10000 };
    struct json_writer w = json_writer_init(&b);
    yyjson_doc *doc = NULL;

    assert_int_equal(json_parse(str_z(json), JSON_SIZE_MAX, &doc, NULL), STATUS_OK);
    json_obj(&w, NULL);
    schema_put(props, yyjson_doc_get_root(doc), mode, skip, &w);
    json_end(&w);
    json_doc_free(doc);
    assert_int_equal(buf_add_char(&b, '\0'), STATUS_OK);
    assert_string_equal(b.p, expected);
}

static void test_schema_put_create(void **state)
{
    static const char *const skip[] = { "on", "extra", NULL };

    (void)state;
    put("{}", SCHEMA_CREATE, NULL, "{\"notes\":\"\",\"max\":3,\"on\":true,\"list\":[]}");
    put("{\"z\":{\"x\":1},\"list\":[1],\"made\":9,\"id\":\"e1\",\"max\":null,\"notes\":\"a "
        "<b>c</b>\"}",
        SCHEMA_CREATE, NULL,
        "{\"z\":{\"x\":1},\"list\":[1],\"id\":\"e1\",\"max\":null,\"notes\":\"a c\",\"on\":true}");
    put("{\"extra\":1,\"id\":\"e1\"}", SCHEMA_CREATE, skip,
        "{\"id\":\"e1\",\"notes\":\"\",\"max\":3,\"list\":[]}");
    put("[]", SCHEMA_CREATE, skip, "{\"notes\":\"\",\"max\":3,\"list\":[]}");
}

static void test_schema_put_update(void **state)
{
    (void)state;
    put("{\"id\":\"e1\",\"made\":5,\"extra\":1,\"id\":\"e2\"}", SCHEMA_UPDATE, NULL,
        "{\"id\":\"e1\",\"extra\":1}");
    put("{\"max\":\"-1\",\"rate\":\"+2\"}", SCHEMA_UPDATE, NULL,
        "{\"max\":\"-1\",\"rate\":\"+2\"}");
}

static void test_schema_put_makes_types(void **state)
{
    (void)state;
    put("{\"max\":\"5\",\"rate\":\"0.50\",\"code\":12,\"on\":\"false\",\"list\":[],\"notes\":7}",
        SCHEMA_CALL, NULL,
        "{\"max\":5,\"rate\":0.5,\"code\":\"12\",\"on\":false,\"list\":[],\"notes\":7}");
    put("{\"max\":-5,\"rate\":\"x\",\"code\":true,\"on\":\"1\",\"list\":[],\"notes\":\"\"}",
        SCHEMA_CALL, NULL,
        "{\"max\":-5,\"rate\":\"x\",\"code\":\"true\",\"on\":true,\"list\":[],\"notes\":\"\"}");
    put("{\"max\":\"-5\",\"code\":null,\"on\":\"0\",\"list\":[],\"notes\":\"\"}", SCHEMA_CALL, NULL,
        "{\"max\":-5,\"code\":null,\"on\":false,\"list\":[],\"notes\":\"\"}");
}

static void test_schema_strip_tags(void **state)
{
    static const char *const rows[][2] = {
        { "", "" },
        { "plain", "plain" },
        { "a <b>c</b>", "a c" },
        { "<script src='x'>alert(1)</script>!", "alert(1)!" },
        { "a < b > c", "a < b > c" },
        { "1 <2 and 3> 2", "1 <2 and 3> 2" },
        { "<<b>script>x", "x" }, /* one that appears by taking out another */
        { "<scr<b></b>ipt>x", "x" },
        { "open <img src=x", "open <img src=x" },
        { "<!-- c --><?php ?>x", "x" },
        { ">>><<<", ">>><<<" },
        { "<>x", "<>x" },
        { "x <br/>\ny", "x \ny" },
        { "< <b> <", "<  <" },
        { "\xC3\xA9<i>\xC3\xA9</i>", "\xC3\xA9\xC3\xA9" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        AUTO_BUF struct buf b = { .max = 1000 };

        assert_int_equal(buf_add_z(&b, "<i "),
                         STATUS_OK); /* what was there before is not touched */
        assert_int_equal(schema_strip_tags(str_z(rows[i][0]), &b), STATUS_OK);
        assert_int_equal(buf_add_char(&b, '\0'), STATUS_OK);
        assert_string_equal(b.p + 3, rows[i][1]);
    }
}

static void test_schema_strip_tags_of_hostile_text(void **state)
{
    AUTO_BUF struct buf b = { .max = 1 << 21 }, text = { .max = 1 << 21 };

    (void)state;
    for (int i = 0; i < 300000; i++)
        assert_int_equal(buf_add_z(&text, i < 150000 ? "< <a" : ">"), STATUS_OK);
    assert_int_equal(schema_strip_tags(buf_str(&text), &b), STATUS_OK);
    assert_true(str_eq_z(buf_str(&b), "< ")); /* "<a< >" is one tag, up to the first "< " */
    buf_clear(&b);
    buf_clear(&text);
    for (int i = 0; i < 300000; i++)
        assert_int_equal(buf_add_z(&text, i < 150000 ? "< " : ">"), STATUS_OK);
    assert_int_equal(schema_strip_tags(buf_str(&text), &b), STATUS_OK);
    assert_int_equal(b.n, 450000); /* none opens a tag: all stays, and it is not slow */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_schema_put_create),
        cmocka_unit_test(test_schema_put_update),
        cmocka_unit_test(test_schema_put_makes_types),
        cmocka_unit_test(test_schema_strip_tags),
        cmocka_unit_test(test_schema_strip_tags_of_hostile_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
