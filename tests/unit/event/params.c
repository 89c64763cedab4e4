/* Parameter definitions and values, rule by rule. */
#include "defs_fixture.h"
#include "event/params.h"

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    f->arena = arena_new(16u * 1024 * 1024);
    assert_non_null(f->arena);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    arena_free(f->arena);
    free(f);
    return 0;
}

struct definition_case {
    const char *json;
    const char *at; /* NULL: fine */
};

static void test_params_of_plugins(void **state)
{
    static const struct definition_case cases[] = {
        { "[]", NULL },
        { "{}", "params" },
        { "'x'", "params" },
        { "[1]", "params[0].id" },
        { "[{'id':'a','type':'text','title':'A'}]", NULL },
        { "[{'id':'_a-b.c9','type':'text','title':'A'}]", NULL },
        { "[{'type':'text','title':'A'}]", "params[0].id" },
        { "[{'id':7,'type':'text','title':'A'}]", "params[0].id" },
        { "[{'id':'','type':'text','title':'A'}]", "params[0].id" },
        { "[{'id':'9a','type':'text','title':'A'}]", "params[0].id" },
        { "[{'id':'-a','type':'text','title':'A'}]", "params[0].id" },
        { "[{'id':'.a','type':'text','title':'A'}]", "params[0].id" },
        { "[{'id':'a b','type':'text','title':'A'}]", "params[0].id" },
        { "[{'id':'toString','type':'text','title':'A'}]", "params[0].id" },
        { "[{'id':'__proto__','type':'text','title':'A'}]", "params[0].id" },
        { "[{'id':'_xy_override_valueOf','type':'text','title':'A'}]", "params[0].id" },
        { "[{'id':'_xy_override_plugin','type':'text','title':'A'}]", "params[0].id" },
        { "[{'id':'_xy_override_runner','type':'text','title':'A'}]", "params[0].id" },
        { "[{'id':'_xy_override_algo','type':'text','title':'A'}]", NULL },
        { "[{'id':'plugin','type':'text','title':'A'}]", NULL },
        { "[{'id':'a','type':'text','title':'A'},{'id':'b','type':'code','title':'B'}]", NULL },
        { "[{'id':'a','type':'text','title':'A'},{'id':'a','type':'code','title':'B'}]",
          "params[1].id" },
        { "[{'id':'a','title':'A'}]", "params[0].type" },
        { "[{'id':'a','type':'number','title':'A'}]", "params[0].type" },
        { "[{'id':'a','type':1,'title':'A'}]", "params[0].type" },
        { "[{'id':'a','type':'textarea','title':'A'},{'id':'b','type':'code','title':'A'},"
          "{'id':'c','type':'json','title':'A'},{'id':'d','type':'checkbox','title':'A'},"
          "{'id':'e','type':'select','title':'A'},{'id':'f','type':'bucket','title':'A'},"
          "{'id':'g','type':'system','title':'A'},{'id':'h','type':'hidden','title':'A'},"
          "{'id':'i','type':'toolset','title':'A'},{'id':'j','type':'group','title':'A'}]",
          NULL },
        { "[{'id':'a','type':'text'}]", "params[0].title" },
        { "[{'id':'a','type':'text','title':''}]", "params[0].title" },
        { "[{'id':'a','type':'text','title':3}]", "params[0].title" },
        { "[{'id':'a','type':'text','title':'a<b'}]", "params[0].title" },
        { "[{'id':'a','type':'text','title':'a>b'}]", "params[0].title" },
        { "[{'id':'a','type':'text','title':'A','caption':'see *this*'}]", NULL },
        { "[{'id':'a','type':'text','title':'A','caption':'see <b>this</b>'}]",
          "params[0].caption" },
        { "[{'id':'a','type':'text','title':'A','variant':'datetime-local'}]", NULL },
        { "[{'id':'a','type':'text','title':'A','variant':'week'}]", "params[0].variant" },
        { "[{'id':'a','type':'code','title':'A','variant':'week'}]", NULL },
        { "[{'id':'a','type':'text','title':'A','regex':'^(?:a|b)+\\\\d{2,}$'}]", NULL },
        { "[{'id':'a','type':'text','title':'A','regex':''}]", NULL },
        { "[{'id':'a','type':'text','title':'A','regex':'(a'}]", "params[0].regex" },
        { "[{'id':'a','type':'text','title':'A','regex':5}]", "params[0].regex" },
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct err err = { .code = STATUS_OK };
        const Status st = params_check_plugin(json_of(*state, cases[i].json), &err);
        if (st != (cases[i].at ? STATUS_INVALID : STATUS_OK) ||
            (cases[i].at && strcmp(err.at, cases[i].at) != 0))
            print_error("%s: %s at %s\n", cases[i].json, err.text, err.at);
        assert_int_equal(st, cases[i].at ? STATUS_INVALID : STATUS_OK);
        assert_string_equal(err.at, cases[i].at ? cases[i].at : "");
    }
}

static void test_params_text_names_the_parameter(void **state)
{
    struct err err = { .code = STATUS_OK };

    assert_int_equal(
        params_check_plugin(json_of(*state, "[{'id':'size','type':'no','title':'A'}]"), &err),
        STATUS_INVALID);
    assert_string_equal(err.text, "Malformed plugin parameter: size: unknown type");
}

static void test_params_of_events_are_looser(void **state)
{
    static const struct definition_case cases[] = {
        { "[]", NULL },
        { "[{'id':'9 lives','type':'text'}]", NULL },
        { "[{'id':'a','type':'text','caption':'<b>'}]", NULL },
        { "[{'id':'a','type':'text','title':''}]", NULL },
        { "[{'id':'','type':'text'}]", "fields[0].id" },
        { "[{'id':'a','type':'text','title':'<'}]", "fields[0].title" },
        { "[{'id':'a','type':'text','title':4}]", "fields[0].title" },
        { "[{'id':'valueOf','type':'text'}]", "fields[0].id" },
        { "[{'id':'_xy_override_uid','type':'text'}]", "fields[0].id" },
        { "[{'id':'open','type':'text'}]", NULL },
        { "[{'id':'shut','type':'text'}]", "fields[0].id" },
        { "[{'id':'a','type':'what'}]", "fields[0].type" },
        { "[{'id':'a','type':'text','variant':'x'}]", "fields[0].variant" },
        { "[{'id':'a','type':'text','regex':'['}]", "fields[0].regex" },
    };
    yyjson_val *taken = json_of(*state, "[{'id':'open'},{'id':'shut','locked':true}]");

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct err err = { .code = STATUS_OK };
        const Status st = params_check_fields(json_of(*state, cases[i].json), taken, &err);
        if (st != (cases[i].at ? STATUS_INVALID : STATUS_OK))
            print_error("%s: %s at %s\n", cases[i].json, err.text, err.at);
        assert_int_equal(st, cases[i].at ? STATUS_INVALID : STATUS_OK);
        assert_string_equal(err.at, cases[i].at ? cases[i].at : "");
    }
    assert_int_equal(params_check_fields(NULL, NULL, NULL), STATUS_OK);
}

struct value_case {
    const char *definition;
    const char *values;
    bool fine;
};

static void test_params_values(void **state)
{
    static const struct value_case cases[] = {
        { "'required':true", "{'v':'x'}", true },
        { "'required':true", "{'v':''}", false },
        { "'required':true", "{}", false },
        { "'required':true", "{'v':null}", false },
        { "'required':true", "{'v':[]}", false },
        { "'required':true", "{'v':['a']}", true },
        { "'required':true", "{'v':false}", true }, /* its text is "false" */
        { "'required':true", "{'v':0}", true },
        { "'required':false", "{}", true },
        { "'regex':'^a+$'", "{'v':'aaa'}", true },
        { "'regex':'^a+$'", "{'v':'aab'}", false },
        { "'regex':'^a+$'", "{'v':'a\\n'}", false },
        { "'regex':'^a+$'", "{'v':''}", true },
        { "'regex':'^a+$'", "{}", true },
        { "'regex':'^12$'", "{'v':12}", true },
        { "'regex':'^1\\\\.5$'", "{'v':1.5}", true },
        { "'range':'1 - 10 / 1'", "{'v':1}", true },
        { "'range':'1 - 10 / 1'", "{'v':10}", true },
        { "'range':'1 - 10 / 1'", "{'v':'10'}", true },
        { "'range':'1 - 10 / 1'", "{'v':11}", false },
        { "'range':'1 - 10 / 1'", "{'v':0}", false },
        { "'range':'1 - 10 / 1'", "{'v':1.5}", false },
        { "'range':'1 - 10 / 1'", "{'v':''}", true },
        { "'range':'1 - 10 / 1'", "{'v':'x'}", false },
        { "'range':'1 - 10 / any'", "{'v':'x'}", false },
        { "'range':'1 - 10 / any'", "{'v':1.2345}", true },
        { "'range':'nonsense'", "{'v':1}", false },
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct fixture *f = *state;
        struct err err = { .code = STATUS_OK };
        const struct str text = arena_printf(f->arena, "[{'id':'v','type':'text','title':'V',%s}]",
                                             cases[i].definition);
        const Status st = params_check_values(json_of(f, text.p), json_of(f, cases[i].values),
                                              "Event Plugin", &err);
        if (st != (cases[i].fine ? STATUS_OK : STATUS_INVALID))
            print_error("%s with %s\n", cases[i].definition, cases[i].values);
        assert_int_equal(st, cases[i].fine ? STATUS_OK : STATUS_INVALID);
        if (!cases[i].fine) {
            assert_string_equal(err.at, "params.v");
            assert_true(str_starts(str_z(err.text), STR("Event Plugin: ")));
        }
    }
    struct err err = { .code = STATUS_OK };
    assert_int_equal(
        params_check_values(json_of(*state, "[{'id':'a','type':'text','required':true}]"), NULL,
                            "X", &err),
        STATUS_INVALID);
    assert_string_equal(err.text, "X: Missing required parameter: a");
    assert_int_equal(params_check_values(NULL, NULL, "X", &err), STATUS_OK);
    assert_int_equal(
        params_check_values(json_of(*state, "[{'id':'a','type':'group','required':true}]"), NULL,
                            "X", &err),
        STATUS_OK);
}

static void test_params_ranges(void **state)
{
    static const struct {
        const char *range;
        double v;
        bool in;
    } cases[] = {
        { "0-1/0.1", 0.3, true },
        { "0-1/0.1", 0.35, false },
        { " -10 - -5 / 1 ", -7, true },
        { "-10--5/1", -10, true },
        { "-10--5/1", -4, false },
        { "0.5 - 1.5 / 0.25", 0.75, true },
        { "1 - 10", 5, false },
        { "1 / 1", 1, false },
        { "a - b / 1", 1, false },
        { "1 - 10 / 0", 1, false },
        { "1 - 10 / -1", 1, false },
        { "5 - 1 / 1", 3, false },
        { "", 0, false },
        { "1-10/1/1", 2, false },
        { "0 - 100000 / 7", 99995, true },
        { "1e1 - 2e1 / 1", 15, true },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const bool in = params_in_range(str_z(cases[i].range), cases[i].v);
        if (in != cases[i].in)
            print_error("%s: %f\n", cases[i].range, cases[i].v);
        assert_int_equal(in, cases[i].in);
    }
}

static void test_params_overrides(void **state)
{
    static const char *const refused[] = { "plugin",   "params",  "id",      "event",  "enabled",
                                           "category", "fields",  "actions", "limits", "triggers",
                                           "workflow", "command", "script",  "uid",    "gid",
                                           "cwd",      "env",     "kill",    "runner" };
    struct fixture *f = *state;

    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        const struct str text = arena_printf(f->arena, "{'a':1,'_xy_override_%s':'x'}", refused[i]);
        struct err err = { .code = STATUS_OK };
        assert_int_equal(params_check_overrides(json_of(f, text.p), &err), STATUS_INVALID);
        assert_string_equal(err.at, "params");
    }
    assert_int_equal(
        params_check_overrides(json_of(f, "{'_xy_override_targets':'x','plugin':'y'}"), NULL),
        STATUS_OK);
    assert_int_equal(params_check_overrides(NULL, NULL), STATUS_OK);
}

/* A pattern at the limit of length, one above it, and one that would run for ever. */
static void test_params_regex_limits(void **state)
{
    char *pattern = calloc(1, DEF_REGEX_MAX + 2);
    char text[64];

    (void)state;
    assert_non_null(pattern);
    memset(pattern, 'a', DEF_REGEX_MAX + 1);
    assert_true(params_regex_ok(str_n(pattern, DEF_REGEX_MAX)));
    assert_false(params_regex_ok(str_n(pattern, DEF_REGEX_MAX + 1)));
    free(pattern);
    memset(text, 'a', sizeof text);
    text[sizeof text - 1] = 'b';
    assert_false(params_regex_match(STR("^(a+)+$"), str_n(text, sizeof text)));
    assert_true(params_regex_match(STR("^(a+)+b$"), str_n(text, sizeof text)));
    assert_false(params_regex_match(STR("("), STR("(")));
    assert_true(params_regex_match(STR("^\xc3\xa9$"), STR("\xc3\xa9")));
    assert_true(params_regex_match(STR("^.$"), STR("\xc3\xa9")));
    assert_true(params_regex_match(STR("^\\u0061$"), STR("a")));
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_params_of_plugins),
        TEST(test_params_text_names_the_parameter),
        TEST(test_params_of_events_are_looser),
        TEST(test_params_values),
        TEST(test_params_ranges),
        TEST(test_params_overrides),
        TEST(test_params_regex_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
