/* Tests of schema_check and schema_check_generic: the texts and paths of every refusal. */
#include "schema/schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>
static const struct prop limit_props[] = {
    { .name = "type", .type = P_ENUM, .choices = "time mem log", .flags = P_REQUIRED, .doc = "K." },
    { .name = "amount", .type = P_INT, .min = 1, .max = 100, .flags = P_REQUIRED, .doc = "N." },
    { 0 },
};

static const struct prop event_props[] = {
    { .name = "id", .type = P_ID, .flags = P_REQUIRED, .doc = "Id." },
    { .name = "title", .type = P_TEXT, .min = 2, .max = 5, .flags = P_REQUIRED | P_NOTAGS },
    { .name = "parent", .type = P_WORD },
    { .name = "plugin", .type = P_ID },
    { .name = "limit", .type = P_INT, .min = 0, .max = 100 },
    { .name = "ratio", .type = P_NUMBER, .min = 1, .max = 0 },
    { .name = "any_int", .type = P_INT },
    { .name = "enabled", .type = P_BOOL },
    { .name = "mode", .type = P_ENUM, .choices = "slow fast" },
    { .name = "tags", .type = P_ARRAY, .of_type = P_ID, .min = 1, .max = 3 },
    { .name = "limits", .type = P_ARRAY, .items = limit_props },
    { .name = "one", .type = P_OBJECT, .items = limit_props },
    { .name = "free", .type = P_OBJECT },
    { .name = "data", .type = P_JSON, .max = 10 },
    { .name = "path", .type = P_TEXT, .chars = "a-z0-9_-.:/+ " },
    { .name = "name", .type = P_TEXT, .chars = "\\w\\-" },
    { .name = "made", .type = P_INT, .flags = P_READONLY | P_REQUIRED },
    { .name = "loose", .type = P_TEXT, .flags = P_LOOSE, .max = 4 },
    { .name = "offset", .type = P_INT, .flags = P_LOOSE, .min = 0, .max = 9 },
    { 0 },
};

/* The error text of a check, "" when it passes; at gets the path. */
static const char *checked(const char *json, enum schema_mode mode, char at[128])
{
    static struct err err;
    yyjson_doc *doc = NULL;
    Status st;

    err = (struct err){ 0 };
    if (json_parse(str_z(json), JSON_SIZE_MAX, &doc, &err))
        fail_msg("%s: %s", json, err.text);
    st = schema_check(event_props, yyjson_doc_get_root(doc), mode, &err);
    json_doc_free(doc);
    if (st)
        assert_int_equal(st, STATUS_INVALID);
    if (at)
        (void)snprintf(at, 128, "%s", err.at);
    return st ? err.text : "";
}

/* One more member beside those that must be there. */
static const char *with(const char *member, enum schema_mode mode, char at[128])
{
    char json[4096];

    (void)snprintf(json, sizeof json, "{\"id\":\"e1\",\"title\":\"Good\",%s}", member);
    return checked(json, mode, at);
}

static void test_schema_required(void **state)
{
    char at[128];

    (void)state;
    assert_string_equal(checked("{}", SCHEMA_CREATE, at), "Missing parameter: id");
    assert_string_equal(at, "id");
    assert_string_equal(checked("{\"id\":null}", SCHEMA_CREATE, at), "Missing parameter: id");
    assert_string_equal(checked("[]", SCHEMA_CALL, at), "Missing parameter: id");
    assert_string_equal(checked("{\"id\":\"e1\"}", SCHEMA_CREATE, at), "Missing parameter: title");
    assert_string_equal(at, "title");
    assert_string_equal(checked("{\"id\":\"e1\",\"title\":\" \\t\"}", SCHEMA_CREATE, NULL),
                        "Missing parameter: title");
    assert_string_equal(checked("{\"id\":\"\",\"title\":\"Good\"}", SCHEMA_CREATE, NULL),
                        "Missing parameter: id");
    assert_string_equal(checked("{\"id\":\"e1\",\"title\":\"Good\"}", SCHEMA_CREATE, NULL), "");
    assert_int_equal(schema_check(event_props, NULL, SCHEMA_CREATE, NULL), STATUS_INVALID);
}

static void test_schema_update_checks_what_is_given(void **state)
{
    (void)state;
    assert_string_equal(checked("{\"id\":\"e1\"}", SCHEMA_UPDATE, NULL), "");
    assert_string_equal(checked("{\"title\":\"Good\"}", SCHEMA_UPDATE, NULL),
                        "Missing parameter: id");
    assert_string_equal(checked("{\"id\":\"e1\",\"title\":\"\"}", SCHEMA_UPDATE, NULL),
                        "Missing parameter: title");
    assert_string_equal(checked("{\"id\":\"e1\",\"title\":null}", SCHEMA_UPDATE, NULL),
                        "Missing parameter: title");
    assert_string_equal(checked("{\"id\":\"e1\",\"limit\":101}", SCHEMA_UPDATE, NULL),
                        "Malformed parameter: limit (must be a whole number from 0 to 100)");
    /* inside, everything must be there: it is replaced whole */
    assert_string_equal(checked("{\"id\":\"e1\",\"one\":{\"type\":\"mem\"}}", SCHEMA_UPDATE, NULL),
                        "Missing parameter: one.amount");
}

struct row {
    const char *member;
    const char *text; /* "" passes */
};

static void check_rows(const struct row *rows, size_t n, enum schema_mode mode)
{
    for (size_t i = 0; i < n; i++) {
        const char *text = with(rows[i].member, mode, NULL);

        if (strcmp(text, rows[i].text) != 0)
            fail_msg("%s gives \"%s\", not \"%s\"", rows[i].member, text, rows[i].text);
    }
}

static void test_schema_texts(void **state)
{
    static const struct row rows[] = {
        { "\"id\":\"e1\"", "" },
        { "\"parent\":\"Ab_1\"", "" },
        { "\"parent\":\"\"", "" },
        { "\"parent\":\"a-b\"",
          "Malformed parameter: parent (only letters, digits and _ are allowed)" },
        { "\"plugin\":\"Ab\"",
          "Malformed parameter: plugin (only lower-case letters, digits and _ are allowed)" },
        { "\"plugin\":7", "Malformed parameter: plugin (must be a string)" },
        { "\"plugin\":[]", "Malformed parameter: plugin (must be a string)" },
        { "\"plugin\":null", "" },
        { "\"plugin\":\"0123456789012345678901234567890123456789012345678901234567890123\"", "" },
        { "\"plugin\":\"01234567890123456789012345678901234567890123456789012345678901234\"",
          "Malformed parameter: plugin (must have at most 64 characters)" },
        { "\"mode\":\"fast\"", "" },
        { "\"mode\":\"\"", "" },
        { "\"mode\":\"fas\"", "Malformed parameter: mode (must be one of: slow fast)" },
        { "\"mode\":\"slow fast\"", "Malformed parameter: mode (must be one of: slow fast)" },
        { "\"path\":\"/a_b-c.d:e+f g9\"", "" },
        { "\"path\":\"A\"",
          "Malformed parameter: path (only the characters a-z0-9_-.:/+  are allowed)" },
        { "\"path\":\"a[b\"",
          "Malformed parameter: path (only the characters a-z0-9_-.:/+  are allowed)" },
        { "\"name\":\"Ab_-9\"", "" },
        { "\"name\":\"a.b\"",
          "Malformed parameter: name (only the characters \\w\\- are allowed)" },
        { "\"name\":\"\\u00e9\"",
          "Malformed parameter: name (only the characters \\w\\- are allowed)" },
        { "\"loose\":1234", "" },
        { "\"loose\":true", "" },
        { "\"loose\":12345", "Malformed parameter: loose (must have at most 4 characters)" },
        { "\"loose\":{}", "Malformed parameter: loose (must be a string)" },
        { "\"unknown\":{\"x\":[]}", "" },
    };

    (void)state;
    check_rows(rows, COUNT_OF(rows), SCHEMA_CREATE);
}

static void test_schema_title(void **state)
{
    (void)state;
    assert_string_equal(checked("{\"id\":\"a\",\"title\":\"x\"}", SCHEMA_CREATE, NULL),
                        "Malformed parameter: title (must have at least 2 characters)");
    assert_string_equal(checked("{\"id\":\"a\",\"title\":\"123456\"}", SCHEMA_CREATE, NULL),
                        "Malformed parameter: title (must have at most 5 characters)");
    /* characters, not bytes */
    assert_string_equal(
        checked("{\"id\":\"a\",\"title\":\"\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\"}",
                SCHEMA_CREATE, NULL),
        "");
    assert_string_equal(checked("{\"id\":\"a\",\"title\":\"a>b\"}", SCHEMA_CREATE, NULL),
                        "Malformed parameter: title (must not contain < or >)");
    assert_string_equal(checked("{\"id\":\"a\",\"title\":\"a\\u0000b\"}", SCHEMA_CREATE, NULL),
                        "Malformed parameter: title (must not contain a zero character)");
}

static void test_schema_numbers(void **state)
{
    static const char limit[] = "Malformed parameter: limit (must be a whole number from 0 to 100)";
    static const struct row rows[] = {
        { "\"limit\":0", "" },
        { "\"limit\":100", "" },
        { "\"limit\":100.0", "" },
        { "\"limit\":101", limit },
        { "\"limit\":-1", limit },
        { "\"limit\":0.5", limit },
        { "\"limit\":\"5\"", limit },
        { "\"limit\":true", limit },
        { "\"limit\":1e999", limit },
        { "\"limit\":123456789012345678901234567890", limit },
        { "\"ratio\":1", "" },
        { "\"ratio\":1e9", "" },
        { "\"ratio\":0.5", "Malformed parameter: ratio (must be a number, at least 1)" },
        { "\"any_int\":-9223372036854775808", "" },
        { "\"any_int\":1e300", "Malformed parameter: any_int (must be a whole number)" },
        { "\"any_int\":[]", "Malformed parameter: any_int (must be a whole number)" },
        { "\"offset\":\"7\"", "" },
        { "\"offset\":7", "" },
        { "\"offset\":\"10\"", "Malformed parameter: offset (must be a whole number from 0 to 9)" },
        { "\"offset\":\"x\"", "Malformed parameter: offset (must be a whole number from 0 to 9)" },
        { "\"offset\":\"\"", "Malformed parameter: offset (must be a whole number from 0 to 9)" },
        { "\"made\":\"read-only: not looked at\"", "" },
    };
    static const struct row updates[] = {
        { "\"limit\":\"+1\"", "" },     { "\"limit\":\"-5\"", "" },
        { "\"limit\":\"5\"", limit },   { "\"limit\":\"+x\"", limit },
        { "\"limit\":\"--5\"", limit }, { "\"limit\":\"+1e5\"", limit },
    };

    (void)state;
    check_rows(rows, COUNT_OF(rows), SCHEMA_CREATE);
    check_rows(updates, COUNT_OF(updates), SCHEMA_UPDATE);
}

static void test_schema_bools(void **state)
{
    static const char text[] = "Malformed parameter: enabled (must be true or false)";
    static const struct row create[] = {
        { "\"enabled\":true", "" },       { "\"enabled\":0", "" },       { "\"enabled\":1.5", "" },
        { "\"enabled\":\"true\"", text }, { "\"enabled\":\"1\"", text }, { "\"enabled\":[]", text },
    };
    static const struct row call[] = {
        { "\"enabled\":\"true\"", "" }, { "\"enabled\":\"false\"", "" },
        { "\"enabled\":\"12\"", "" },   { "\"enabled\":\"yes\"", text },
        { "\"enabled\":\"\"", text },   { "\"enabled\":\"-1\"", text },
    };

    (void)state;
    check_rows(create, COUNT_OF(create), SCHEMA_CREATE);
    check_rows(call, COUNT_OF(call), SCHEMA_CALL);
}

static void test_schema_arrays_and_objects(void **state)
{
    static const struct row rows[] = {
        { "\"tags\":[\"a\",\"b\",\"c\"]", "" },
        { "\"tags\":[]", "Malformed parameter: tags (must have at least 1 elements)" },
        { "\"tags\":[\"a\",\"b\",\"c\",\"d\"]",
          "Malformed parameter: tags (must have at most 3 elements)" },
        { "\"tags\":[\"a\",1]", "Malformed parameter: tags[1] (must be a string)" },
        { "\"tags\":[\"A\"]",
          "Malformed parameter: tags[0] (only lower-case letters, digits and _ are allowed)" },
        { "\"tags\":\"a\"", "Malformed parameter: tags (must be an array)" },
        { "\"tags\":{}", "Malformed parameter: tags (must be an array)" },
        { "\"limits\":[]", "" },
        { "\"limits\":[{\"type\":\"mem\",\"amount\":5,\"more\":1}]", "" },
        { "\"limits\":[7]", "Malformed parameter: limits[0] (must be an object)" },
        { "\"limits\":[{\"type\":\"mem\",\"amount\":5},{\"amount\":5}]",
          "Missing parameter: limits[1].type" },
        { "\"limits\":[{\"type\":\"mem\",\"amount\":0}]",
          "Malformed parameter: limits[0].amount (must be a whole number from 1 to 100)" },
        { "\"one\":{\"type\":\"log\",\"amount\":1}", "" },
        { "\"one\":{\"type\":\"logs\",\"amount\":1}",
          "Malformed parameter: one.type (must be one of: time mem log)" },
        { "\"one\":[]", "Malformed parameter: one (must be an object)" },
        { "\"free\":{\"x\":1}", "" },
        { "\"free\":\"x\"", "Malformed parameter: free (must be an object)" },
        { "\"data\":[1,2,3456]", "" },
        { "\"data\":[1,2,34567]", "Malformed parameter: data (must have at most 10 bytes)" },
    };
    char at[128];

    (void)state;
    check_rows(rows, COUNT_OF(rows), SCHEMA_CREATE);
    (void)with("\"limits\":[{\"type\":\"mem\",\"amount\":5},{\"type\":\"x\"}]", SCHEMA_CREATE, at);
    assert_string_equal(at, "limits[1].type");
}

static void test_schema_default_bounds(void **state)
{
    static const struct prop rows[] = { { .name = "t", .type = P_TEXT },
                                        { .name = "a", .type = P_ARRAY, .of_type = P_JSON },
                                        { 0 } };
    AUTO_BUF struct buf b = { .max = 1 << 23 };
    yyjson_doc *doc = NULL;
    struct err err = { 0 };

    (void)state;
    for (unsigned over = 0; over < 2; over++) {
        struct json_writer w = json_writer_init(&b);

        buf_clear(&b);
        json_obj(&w, NULL);
        json_arr(&w, "a");
        for (unsigned i = 0; i < PROP_ARRAY_MAX + over; i++)
            json_put_null(&w, NULL);
        json_end(&w);
        json_end(&w);
        assert_int_equal(json_parse(buf_str(&b), JSON_SIZE_MAX, &doc, &err), STATUS_OK);
        assert_int_equal(schema_check(rows, yyjson_doc_get_root(doc), SCHEMA_CREATE, &err),
                         over ? STATUS_INVALID : STATUS_OK);
        json_doc_free(doc);

        buf_clear(&b);
        assert_int_equal(buf_add_z(&b, "{\"t\":\""), STATUS_OK);
        for (unsigned i = 0; i < PROP_TEXT_MAX + over; i++)
            assert_int_equal(buf_add_char(&b, 'x'), STATUS_OK);
        assert_int_equal(buf_add_z(&b, "\"}"), STATUS_OK);
        assert_int_equal(json_parse(buf_str(&b), JSON_SIZE_MAX, &doc, &err), STATUS_OK);
        assert_int_equal(schema_check(rows, yyjson_doc_get_root(doc), SCHEMA_CREATE, &err),
                         over ? STATUS_INVALID : STATUS_OK);
        json_doc_free(doc);
    }
}

static const char *generic(const char *json)
{
    static struct err err;
    yyjson_doc *doc = NULL;
    Status st;

    err = (struct err){ 0 };
    assert_int_equal(json_parse(str_z(json), JSON_SIZE_MAX, &doc, &err), STATUS_OK);
    st = schema_check_generic(yyjson_doc_get_root(doc), &err);
    json_doc_free(doc);
    return st ? err.text : "";
}

static void test_schema_generic_rules(void **state)
{
    static const char icon[] =
        "Malformed icon parameter (only letters, digits, _ and - are allowed)";

    (void)state;
    assert_string_equal(generic("{}"), "");
    assert_string_equal(generic("[]"), "");
    assert_int_equal(schema_check_generic(NULL, NULL), STATUS_OK);
    assert_string_equal(generic("{\"id\":\"e1\",\"title\":\"A & B\",\"icon\":\"cog-2_x\"}"), "");
    assert_string_equal(generic("{\"id\":5}"), "Malformed parameter: id (must be a string)");
    assert_string_equal(generic("{\"id\":null}"), "Malformed parameter: id (must be a string)");
    assert_string_equal(generic("{\"id\":\"constructor\"}"),
                        "Malformed parameter: id (reserved word)");
    assert_string_equal(generic("{\"id\":\"0\"}"), "Malformed parameter: id (reserved word)");
    assert_string_equal(generic("{\"a\":1,\"__proto__\":1}"),
                        "Malformed parameter: __proto__ (illegal key)");
    assert_string_equal(generic("{\"a\":{\"__proto__\":1}}"), ""); /* top level only */
    assert_string_equal(generic("{\"title\":\"a<b\"}"),
                        "Malformed title parameter (must not contain < or >)");
    assert_string_equal(generic("{\"icon\":\"\"}"), "");
    assert_string_equal(generic("{\"icon\":\"a b\"}"), icon);
    assert_string_equal(generic("{\"icon\":\"a\\n\"}"), icon);
    assert_string_equal(generic("{\"icon\":{}}"), icon);
    assert_true(schema_is_reserved(STR("toString")));
    assert_false(schema_is_reserved(STR("tostring")));
    assert_false(schema_is_reserved(STR("")));
}

static const struct prop loop_props[] = {
    { .name = "n", .type = P_INT },
    { .name = "in", .type = P_OBJECT, .items = loop_props },
    { 0 },
};

static void test_schema_table_in_itself(void **state)
{
    yyjson_doc *doc = NULL;
    struct err err = { 0 };

    (void)state;
    assert_int_equal(json_parse(STR("{\"in\":{\"in\":{\"n\":\"x\"}}}"), 100, &doc, &err),
                     STATUS_OK);
    assert_int_equal(schema_check(loop_props, yyjson_doc_get_root(doc), SCHEMA_CREATE, &err),
                     STATUS_INVALID);
    assert_string_equal(err.at, "in.in.n");
    json_doc_free(doc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_schema_required),
        cmocka_unit_test(test_schema_update_checks_what_is_given),
        cmocka_unit_test(test_schema_texts),
        cmocka_unit_test(test_schema_title),
        cmocka_unit_test(test_schema_numbers),
        cmocka_unit_test(test_schema_bools),
        cmocka_unit_test(test_schema_arrays_and_objects),
        cmocka_unit_test(test_schema_default_bounds),
        cmocka_unit_test(test_schema_generic_rules),
        cmocka_unit_test(test_schema_table_in_itself),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
