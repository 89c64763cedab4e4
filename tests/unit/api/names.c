/* Names and digests that the outside sees: paths of files, log tokens; locked parameters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "api/api_int.h"

static int setup(void **state)
{
    *state = arena_new(1u << 20);
    return *state ? 0 : -1;
}

static int teardown(void **state)
{
    arena_free(*state);
    return 0;
}

static const char *named(struct arena *a, const char *name, bool lower)
{
    return arena_dup_z(a, api_file_name(a, str_z(name), lower));
}

static void test_file_names(void **state)
{
    struct arena *a = *state;
    char longest[400];

    assert_string_equal(named(a, "Re Port.TXT", true), "re_port.txt");
    assert_string_equal(named(a, "Re Port.TXT", false), "Re_Port.TXT");
    assert_string_equal(named(a, "a  (1) [x].csv", true), "a_1_x_.csv");
    assert_string_equal(named(a, "plain-name_1.tar.gz", true), "plain-name_1.tar.gz");
    assert_string_equal(named(a, ".bashrc", true), "_bashrc");
    assert_string_equal(named(a, "..", true), "_.");
    assert_string_equal(named(a, "r\xc3\xa9sum\xc3\xa9.pdf", true), "r_sum_.pdf");
    assert_string_equal(named(a, "a/../b", true), "a_.._b");
    memset(longest, 'x', sizeof longest);
    memcpy(longest + sizeof longest - 5, ".end", 5);
    const struct str cut = api_file_name(a, str_z(longest), true);
    assert_int_equal(cut.n, 200);
    assert_true(str_ends(cut, STR(".end")));
}

static void test_names_are_good_blob_paths(void **state)
{
    static const char *const names[] = { "a b", ".x", "..", "\x01\x02", "x\\y", "-", "_", "%00" };
    struct arena *a = *state;

    for (size_t i = 0; i < COUNT_OF(names); i++) {
        const struct str path = arena_printf(a, "files/u/%s", named(a, names[i], true));
        if (!blob_path_ok(path))
            fail_msg("%s", path.p);
    }
}

/* reference/satellite.md 48.4 */
static void test_log_token(void **state)
{
    struct secret key = { .p = NULL };
    const struct api_world w = { .secret_key = &key };
    char token[23];

    (void)state;
    assert_int_equal(secret_set(&key, STR("test")), STATUS_OK);
    api_log_token(&w, STR("j1"), token);
    assert_string_equal(token, "WdxLecXr8hLZISBc0Q-CKw");
    secret_done(&key);
}

static yyjson_val *json(struct arena *a, const char *text)
{
    yyjson_val *v = NULL;
    char *copy = arena_dup_z(a, str_z(text));

    for (char *c = copy; *c; c++)
        if (*c == '\'')
            *c = '"';
    assert_int_equal(json_parse_in(a, str_z(copy), 1u << 20, &v, NULL), STATUS_OK);
    return v;
}

static const char *locked(struct arena *a, const char *definitions, const char *given,
                          const char *original)
{
    AUTO_BUF struct buf out = { .max = 65536 };
    struct json_writer w = json_writer_init(&out);

    api_put_locked(&w, NULL, json(a, definitions), given ? json(a, given) : NULL,
                   original ? json(a, original) : NULL);
    return arena_dup_z(a, buf_str(&out));
}

static void test_locked_parameters(void **state)
{
    static const char defs[] = "[{'id':'free','value':1},{'id':'fixed','locked':true,'value':'d'},"
                               "{'id':'bare','locked':1}]";
    struct arena *a = *state;

    assert_true(api_has_locked(json(a, defs)));
    assert_false(api_has_locked(json(a, "[{'id':'a','locked':false},{'locked':true},5]")));
    assert_false(api_has_locked(NULL));
    assert_string_equal(locked(a, defs, "{'free':2,'fixed':'mine','bare':'mine','other':3}", NULL),
                        "{\"free\":2,\"other\":3,\"fixed\":\"d\"}");
    assert_string_equal(locked(a, defs, "{'free':2,'fixed':'mine'}", "{'fixed':'was','free':9}"),
                        "{\"free\":2,\"fixed\":\"was\"}");
    assert_string_equal(locked(a, defs, NULL, "{'bare':0}"), "{\"fixed\":\"d\",\"bare\":0}");
}

#define NAME_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        NAME_TEST(test_file_names),
        NAME_TEST(test_names_are_good_blob_paths),
        NAME_TEST(test_log_token),
        NAME_TEST(test_locked_parameters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
