/* Tests of what a table says about itself: JSON Schema, Markdown, self-test. */
#include "schema/schema.h"

#include <string.h>

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>
static const struct prop inner[] = {
    { .name = "type", .type = P_ENUM, .choices = "time mem", .flags = P_REQUIRED, .doc = "Kind." },
    { 0 },
};

static const struct prop props[] = {
    { .name = "id", .type = P_ID, .flags = P_REQUIRED, .doc = "Id." },
    { .name = "title", .type = P_TEXT, .flags = P_REQUIRED, .min = 1, .max = 9, .doc = "A|B." },
    { .name = "max", .type = P_INT, .def = "1", .min = 0, .max = 100, .doc = "Most." },
    { .name = "made", .type = P_NUMBER, .flags = P_READONLY | P_REQUIRED, .doc = "When." },
    { .name = "key", .type = P_WORD, .flags = P_SECRET, .doc = "Key." },
    { .name = "tags", .type = P_ARRAY, .of_type = P_ID, .max = 5, .of = "tag", .doc = "Tags." },
    { .name = "limits", .type = P_ARRAY, .items = inner, .max = 7, .doc = "Limits." },
    { .name = "one", .type = P_OBJECT, .items = inner, .doc = "One." },
    { .name = "any", .type = P_JSON, .doc = "Any." },
    { .name = "on", .type = P_BOOL, .doc = "On." },
    { .name = "hidden", .type = P_TEXT, .flags = P_QUIET, .doc = "Hidden." },
    { 0 },
};

static void test_schema_json_schema(void **state)
{
    AUTO_BUF struct buf b = { .max = 10000 };
    struct json_writer w = json_writer_init(&b);

    (void)state;
    schema_put_json_schema(props, SCHEMA_CREATE, &w, NULL);
    assert_int_equal(buf_add_char(&b, '\0'), STATUS_OK);
    assert_string_equal(
        b.p,
        "{\"type\":\"object\",\"properties\":{"
        "\"id\":{\"type\":\"string\",\"pattern\":\"^[a-z0-9_]+$\",\"maxLength\":64,"
        "\"description\":\"Id.\"},"
        "\"title\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":9,\"description\":\"A|B.\"},"
        "\"max\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":100,\"description\":\"Most.\","
        "\"default\":1},"
        "\"made\":{\"type\":\"number\",\"description\":\"When.\",\"readOnly\":true},"
        "\"key\":{\"type\":\"string\",\"pattern\":\"^\\\\w+$\",\"maxLength\":64,"
        "\"description\":\"Key.\",\"writeOnly\":true},"
        "\"tags\":{\"type\":\"array\",\"maxItems\":5,\"items\":{\"type\":\"string\","
        "\"pattern\":\"^[a-z0-9_]+$\",\"maxLength\":64},\"description\":\"Tags.\"},"
        "\"limits\":{\"type\":\"array\",\"maxItems\":7,\"items\":{\"type\":\"object\","
        "\"properties\":{"
        "\"type\":{\"type\":\"string\",\"enum\":[\"time\",\"mem\"],\"description\":\"Kind.\"}},"
        "\"required\":[\"type\"]},\"description\":\"Limits.\"},"
        "\"one\":{\"type\":\"object\",\"properties\":{"
        "\"type\":{\"type\":\"string\",\"enum\":[\"time\",\"mem\"],\"description\":\"Kind.\"}},"
        "\"required\":[\"type\"],\"description\":\"One.\"},"
        "\"any\":{\"description\":\"Any.\"},"
        "\"on\":{\"type\":\"boolean\",\"description\":\"On.\"}},"
        "\"required\":[\"id\",\"title\"]}");
}

static void test_schema_json_schema_of_an_update(void **state)
{
    AUTO_BUF struct buf b = { .max = 10000 };
    struct json_writer w = json_writer_init(&b);

    (void)state;
    json_obj(&w, NULL);
    schema_put_json_schema(props, SCHEMA_UPDATE, &w, "in");
    json_end(&w);
    assert_true(str_starts(buf_str(&b), STR("{\"in\":{\"type\":\"object\",")));
    assert_true(str_ends(buf_str(&b), STR("},\"required\":[\"id\"]}}")));
    /* inside, an update needs everything */
    assert_true(str_find(buf_str(&b), STR("\"required\":[\"type\"]")) < b.n);
}

static void test_schema_markdown(void **state)
{
    AUTO_BUF struct buf b = { .max = 10000 };

    (void)state;
    assert_int_equal(schema_markdown(props, &b), STATUS_OK);
    assert_int_equal(buf_add_char(&b, '\0'), STATUS_OK);
    assert_string_equal(b.p, "| Name | Type | | Default | Meaning |\n"
                             "|---|---|---|---|---|\n"
                             "| `id` | id | required |  | Id. |\n"
                             "| `title` | text | required |  | A\\|B. |\n"
                             "| `max` | whole number, 0 to 100 |  | `1` | Most. |\n"
                             "| `made` | number | read-only |  | When. |\n"
                             "| `key` | word |  |  | Key. |\n"
                             "| `tags` | array of id (tag) |  |  | Tags. |\n"
                             "| `limits` | array of objects |  |  | Limits. |\n"
                             "| `limits[].type` | choice: `time`, `mem` | required |  | Kind. |\n"
                             "| `one` | object |  |  | One. |\n"
                             "| `one.type` | choice: `time`, `mem` | required |  | Kind. |\n"
                             "| `any` | any |  |  | Any. |\n"
                             "| `on` | boolean |  |  | On. |\n");
}

static void selftest_says(const struct prop row, const char *text)
{
    const struct prop table[] = { row, { 0 } };
    struct err err = { 0 };

    assert_int_equal(schema_selftest(table, &err), STATUS_INVALID);
    if (!strstr(err.text, text))
        fail_msg("\"%s\" does not speak of \"%s\"", err.text, text);
}

static const struct prop self_props[] = {
    { .name = "in", .type = P_OBJECT, .items = self_props, .doc = "Itself." },
    { 0 },
};

static void test_schema_selftest(void **state)
{
    static const struct prop twice[] = {
        { .name = "a", .type = P_INT, .doc = "One." },
        { .name = "a", .type = P_INT, .doc = "Two." },
        { 0 },
    };
    static const struct prop bad_inner[] = { { .name = "x", .type = P_INT }, { 0 } };
    struct err err = { 0 };

    (void)state;
    assert_int_equal(schema_selftest(props, &err), STATUS_OK);
    assert_int_equal(schema_selftest(self_props, &err), STATUS_OK);
    assert_int_equal(schema_selftest(twice, &err), STATUS_INVALID);
    assert_string_equal(err.text, "a: twice in the table");
    selftest_says((struct prop){ .name = "a", .type = P_INT }, "a: doc does not end");
    selftest_says((struct prop){ .name = "a", .type = P_INT, .doc = "No stop" }, "full stop");
    selftest_says((struct prop){ .name = "a b", .type = P_INT, .doc = "X." }, "not a name");
    selftest_says((struct prop){ .name = "a", .type = P_ENUM, .doc = "X." }, "no choices");
    selftest_says((struct prop){ .name = "a", .type = P_INT, .def = "5", .max = 4, .doc = "X." },
                  "a: bad default: Malformed parameter: a");
    selftest_says((struct prop){ .name = "a", .type = P_INT, .def = "{", .doc = "X." }, "bad JSON");
    selftest_says((struct prop){ .name = "a", .type = P_INT, .items = inner, .doc = "X." },
                  "items of a scalar");
    selftest_says((struct prop){ .name = "a", .type = P_OBJECT, .items = bad_inner, .doc = "X." },
                  "a: x: doc does not end");
    assert_int_equal(schema_selftest(twice, NULL), STATUS_INVALID);
}

static void test_schema_docs_of_a_table_in_itself(void **state)
{
    AUTO_BUF struct buf b = { .max = 100000 };
    struct json_writer w = json_writer_init(&b);

    (void)state;
    schema_put_json_schema(self_props, SCHEMA_CREATE, &w, NULL);
    assert_false(b.failed);
    assert_int_equal(w.depth, 0);
    buf_clear(&b);
    assert_int_equal(schema_markdown(self_props, &b), STATUS_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_schema_json_schema),
        cmocka_unit_test(test_schema_json_schema_of_an_update),
        cmocka_unit_test(test_schema_markdown),
        cmocka_unit_test(test_schema_selftest),
        cmocka_unit_test(test_schema_docs_of_a_table_in_itself),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
