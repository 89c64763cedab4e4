/* Every bound of an expression at its maximum and one further, what a template does once, and what
 * an evaluation costs at most. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "expr/expr.h"

#include <stdlib.h>

struct tools {
    struct arena *a;
    yyjson_val *context;
    struct buf text;
    struct err err;
};

static int set_up(void **state)
{
    struct tools *t = calloc(1, sizeof *t);

    t->a = arena_new(64u << 20);
    buf_init(&t->text, 8u << 20);
    assert_int_equal(json_parse_in(t->a,
                                   STR("{\"a\":\"{{b}}\",\"b\":\"x\",\"n\":1,\"list\":[1,2,3],"
                                       "\"aaaa\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!\"}"),
                                   4096, &t->context, NULL),
                     STATUS_OK);
    *state = t;
    return 0;
}

static int tear_down(void **state)
{
    struct tools *t = *state;

    buf_done(&t->text);
    arena_free(t->a);
    free(t);
    return 0;
}

static Status compile(struct tools *t)
{
    AUTO(expr_free) struct expr *e = NULL;

    return expr_compile(buf_str(&t->text), &e, &t->err);
}

static Status eval(struct tools *t, struct str source, struct expr_value *ret)
{
    AUTO(expr_free) struct expr *e = NULL;
    const struct expr_scope scope = { .context = t->context, .self = "input", .arena = t->a };

    assert_int_equal(expr_compile(source, &e, &t->err), STATUS_OK);
    return expr_eval(e, &scope, ret, &t->err);
}

static void repeat(struct tools *t, const char *open, size_t n, const char *middle,
                   const char *close)
{
    buf_clear(&t->text);
    for (size_t i = 0; i < n; i++)
        (void)buf_add_z(&t->text, open);
    (void)buf_add_z(&t->text, middle);
    for (size_t i = 0; i < n; i++)
        (void)buf_add_z(&t->text, close);
    assert_false(t->text.failed);
}

static void test_expr_depth(void **state)
{
    struct tools *t = *state;
    static const struct {
        const char *open, *close;
    } kinds[] = { { "(", ")" }, { "[", "]" }, { "max(", ")" }, { "!", "" }, { "{k:", "}" } };

    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        repeat(t, kinds[i].open, EXPR_DEPTH_MAX - 1, "1", kinds[i].close);
        assert_int_equal(compile(t), STATUS_OK);
        repeat(t, kinds[i].open, EXPR_DEPTH_MAX, "1", kinds[i].close);
        assert_int_equal(compile(t), STATUS_TOO_BIG);
        assert_non_null(strstr(t->err.text, "levels"));
    }
}

static void test_expr_terms(void **state)
{
    struct tools *t = *state;
    struct expr_value v = { .kind = EXPR_MISSING };

    repeat(t, "1+", EXPR_TERMS_MAX, "1", "");
    assert_int_equal(compile(t), STATUS_OK);
    assert_int_equal(eval(t, buf_str(&t->text), &v), STATUS_OK);
    assert_true(v.n == EXPR_TERMS_MAX + 1);
    repeat(t, "1+", EXPR_TERMS_MAX + 1, "1", "");
    assert_int_equal(compile(t), STATUS_TOO_BIG);
    repeat(t, "", EXPR_TERMS_MAX, "a", ".b");
    assert_int_equal(eval(t, buf_str(&t->text), &v), STATUS_OK);
    assert_int_equal(v.kind, EXPR_MISSING);
}

static void test_expr_source(void **state)
{
    struct tools *t = *state;

    repeat(t, " ", EXPR_SOURCE_MAX - 1, "1", "");
    assert_int_equal(compile(t), STATUS_OK);
    repeat(t, " ", EXPR_SOURCE_MAX, "1", "");
    assert_int_equal(compile(t), STATUS_TOO_BIG);
    buf_clear(&t->text);
    (void)buf_add(&t->text, "a\xff", 2);
    assert_int_equal(compile(t), STATUS_INVALID);
    buf_clear(&t->text);
    (void)buf_add(&t->text, "a\0b", 3);
    assert_int_equal(compile(t), STATUS_INVALID);
}

static void test_expr_steps(void **state)
{
    struct tools *t = *state;
    struct expr_value v = { .kind = EXPR_MISSING };

    /* each filter visits its three elements: 3^n */
    buf_clear(&t->text);
    for (int i = 0; i < 14; i++)
        (void)buf_add_z(&t->text, "list[.x==1||count(");
    (void)buf_add_z(&t->text, "n");
    for (int i = 0; i < 14; i++)
        (void)buf_add_z(&t->text, ")]");
    assert_int_equal(eval(t, buf_str(&t->text), &v), STATUS_TOO_BIG);
    assert_non_null(strstr(t->err.text, "steps"));
}

static void test_expr_regex_is_bounded(void **state)
{
    struct tools *t = *state;
    struct expr_value v = { .kind = EXPR_MISSING };

    assert_int_equal(eval(t, STR("match(aaaa, \"^(a+)+$\")"), &v), STATUS_TOO_BIG);
    assert_int_equal(eval(t, STR("match(aaaa, \"(\")"), &v), STATUS_INVALID);
    assert_int_equal(eval(t, STR("match(aaaa, \"(?i)A\")"), &v), STATUS_INVALID);
    repeat(t, "x", EXPR_REGEX_MAX + 1, "", "");
    bool yes = true;
    assert_int_equal(expr_regex(buf_str(&t->text), STR("x"), &yes, &t->err), STATUS_TOO_BIG);
}

static void test_expr_columns_are_named(void **state)
{
    struct tools *t = *state;

    buf_clear(&t->text);
    (void)buf_add_z(&t->text, "\xc3\xa4 + #");
    assert_int_equal(compile(t), STATUS_INVALID);
    assert_non_null(strstr(t->err.text, "(column 5)"));
}

static void test_expr_context_contains_itself(void **state)
{
    struct tools *t = *state;
    struct expr_value v = { .kind = EXPR_MISSING };

    assert_int_equal(eval(t, STR("input.input.b"), &v), STATUS_OK);
    assert_true(str_eq_z(v.s, "x"));
    assert_int_equal(eval(t, STR("stringify(input)"), &v), STATUS_INVALID);
}

static void expand(struct tools *t, struct str text, bool again)
{
    const struct expr_scope scope = { .context = t->context, .arena = t->a };
    const struct template_form form = { .missing = STR("n/a"), .again = again };

    buf_clear(&t->text);
    assert_int_equal(template_expand(text, &form, &scope, &t->text, &t->err), STATUS_OK);
}

static void test_template_results_are_text(void **state)
{
    struct tools *t = *state;

    expand(t, STR("<{{a}}> {{nope}}"), false);
    assert_true(str_eq_z(buf_str(&t->text), "<{{b}}> n/a"));
    expand(t, STR("<{{a}}>"), true);
    assert_true(str_eq_z(buf_str(&t->text), "<x>"));
    assert_int_equal(template_check(STR("a {{b}} {{c +}}"), &t->err), STATUS_INVALID);
    assert_non_null(strstr(t->err.text, "c +"));
    assert_int_equal(template_check(STR("a {{b}} {{nofunc(c)}} {{}}"), &t->err), STATUS_OK);
}

static void test_template_hostile_texts_cost_little(void **state)
{
    struct tools *t = *state;
    AUTO_BUF struct buf text = { 0 };

    buf_init(&text, 4u << 20);
    for (size_t i = 0; i < TEMPLATE_TEXT_MAX; i++)
        (void)buf_add_char(&text, '{');
    expand(t, buf_str(&text), true);
    assert_int_equal(t->text.n, TEMPLATE_TEXT_MAX);
    buf_clear(&text);
    for (size_t i = 0; i < TEMPLATE_TEXT_MAX; i++)
        (void)buf_add_char(&text, '[');
    buf_clear(&t->text);
    assert_int_equal(template_fill(buf_str(&text), t->context, STR_NONE, &t->text), STATUS_OK);
    assert_int_equal(t->text.n, TEMPLATE_TEXT_MAX);
    (void)buf_add_char(&text, '[');
    const struct expr_scope scope = { .context = t->context, .arena = t->a };
    const struct template_form form = { 0 };
    assert_int_equal(template_expand(buf_str(&text), &form, &scope, &t->text, &t->err),
                     STATUS_TOO_BIG);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_expr_depth),
        TEST(test_expr_terms),
        TEST(test_expr_source),
        TEST(test_expr_steps),
        TEST(test_expr_regex_is_bounded),
        TEST(test_expr_columns_are_named),
        TEST(test_expr_context_contains_itself),
        TEST(test_template_results_are_text),
        TEST(test_template_hostile_texts_cost_little),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
