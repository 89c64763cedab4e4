/* All cases of tests/data/expression-cases.json: expressions, templates, [path] texts. Their
 * encoding: {"$":"NaN"} and its like stand for what JSON cannot say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "expr/expr.h"
#include "json/writer.h"

#include <stdio.h>

static yyjson_val *fixtures;

static bool server_title(void *ctx, struct str id, struct str *ret)
{
    static const char *const places[] = { "servers", "server_cache" };

    (void)ctx;
    for (size_t i = 0; i < COUNT_OF(places); i++) {
        yyjson_val *s = json_get_str(json_get(fixtures, places[i]), id);

        if (s) {
            *ret = json_str(s, "title").n ? json_str(s, "title") : json_str(s, "hostname");
            return true;
        }
    }
    return false;
}

static bool title_of_event(struct str id, struct str *ret)
{
    yyjson_arr_iter it = yyjson_arr_iter_with(json_get(fixtures, "events"));
    yyjson_val *e;

    while ((e = yyjson_arr_iter_next(&it)) != NULL) {
        if (str_eq(json_str(e, "id"), id)) {
            *ret = json_str(e, "title");
            return true;
        }
    }
    return false;
}

static bool event_title(void *ctx, struct str id, struct str *ret)
{
    (void)ctx;
    return title_of_event(id, ret) ||
           title_of_event(json_str(json_get_str(json_get(fixtures, "active_jobs"), id), "event"),
                          ret);
}

static const struct expr_host host = { .server_title = server_title, .event_title = event_title };

static bool same_json(struct str text, yyjson_val *want)
{
    AUTO(json_doc_free) yyjson_doc *doc = NULL;

    if (json_parse(text, 1 << 22, &doc, NULL))
        return false;
    return json_equal(yyjson_doc_get_root(doc), want);
}

static bool expr_case(yyjson_val *c, struct arena *a, struct buf *got)
{
    AUTO(expr_free) struct expr *e = NULL;
    const struct expr_scope scope = { .context = json_get(c, "context"),
                                      .host = &host,
                                      .arena = a };
    struct expr_value v = { .kind = EXPR_MISSING };
    struct err err = { .code = STATUS_OK };
    const bool bad = json_bool(c, "error", false);
    Status st = expr_compile(json_str(c, "expr"), &e, &err);

    if (bad && st)
        return true; /* at the latest when evaluated */
    if (!st && bad && str_eq_z(json_str(c, "phase"), "compile")) {
        (void)buf_add_z(got, "it compiles");
        return false;
    }
    if (!st)
        st = expr_eval(e, &scope, &v, &err);
    if (st) {
        (void)buf_add_z(got, err.text);
        return bad;
    }
    assert_int_equal(expr_put_exact(&v, &scope, got, &err), STATUS_OK);
    return !bad && same_json(buf_str(got), json_get(c, "expect"));
}

/* "(ERROR: *)" stands for any error text. */
static bool matches(struct str got, struct str want)
{
    const struct str star = STR("(ERROR: *)");

    for (;;) {
        const size_t at = str_find(want, star);

        if (at >= want.n)
            return str_eq(got, want);
        if (!str_starts(got, str_slice(want, 0, at + 8)))
            return false;
        got = str_slice(got, at + 8, got.n);
        want = str_slice(want, at + star.n, want.n);
        if (want.n == 0)
            return str_ends(got, STR(")"));
        const struct str next = str_slice(want, 0, str_find(want, star));
        size_t end = str_find(got, STR(")"));
        while (end < got.n && !str_starts(str_slice(got, end + 1, got.n), next))
            end += 1 + str_find(str_slice(got, end + 1, got.n), STR(")"));
        if (end >= got.n)
            return false;
        got = str_slice(got, end + 1, got.n);
    }
}

static bool template_case(yyjson_val *c, struct arena *a, struct buf *got)
{
    const struct expr_scope scope = { .context = json_get(c, "context"),
                                      .host = &host,
                                      .arena = a };
    const struct str filter = json_str(c, "filter");
    struct template_form form = { .missing = json_str(c, "missing"), .again = true };
    Status st;

    if (str_eq_z(filter, "empty_na"))
        form.filter = TEMPLATE_EMPTY_NA;
    else if (str_eq_z(filter, "url"))
        form.filter = TEMPLATE_URL;
    if (str_eq_z(json_str(c, "form"), "bracket"))
        st = template_fill(json_str(c, "template"), json_get(c, "context"), json_str(c, "missing"),
                           got);
    else
        st = template_expand(json_str(c, "template"), &form, &scope, got, NULL);
    return !st && matches(buf_str(got), json_str(c, "expect"));
}

static void test_expr_cases(void **state)
{
    AUTO(json_doc_free) yyjson_doc *doc = NULL;
    AUTO_BUF struct buf file = { 0 };
    size_t n = 0, failed = 0;

    (void)state;
    buf_init(&file, 1 << 22);
    assert_int_equal(file_read(TEST_DATA "/expression-cases.json", &file, NULL), STATUS_OK);
    assert_int_equal(json_parse(buf_str(&file), 1 << 22, &doc, NULL), STATUS_OK);
    fixtures = json_get(yyjson_doc_get_root(doc), "fixtures");
    yyjson_arr_iter it = yyjson_arr_iter_with(json_get(yyjson_doc_get_root(doc), "cases"));
    yyjson_val *c;
    while ((c = yyjson_arr_iter_next(&it)) != NULL) {
        AUTO(arena_free) struct arena *a = arena_new(1 << 24);
        AUTO_BUF struct buf got = { 0 };
        const bool expr = str_eq_z(json_str(c, "area"), "expr");

        buf_init(&got, 1 << 22);
        n++;
        if (expr ? expr_case(c, a, &got) : template_case(c, a, &got))
            continue;
        failed++;
        AUTO_BUF struct buf want = { 0 };
        buf_init(&want, 1 << 22);
        (void)!json_text(json_get(c, "expect"), false, &want);
        print_message("%.*s: %.*s\n    got  %.*s\n    want %.*s\n", STR_FMT(json_str(c, "id")),
                      STR_FMT(json_str(c, expr ? "expr" : "template")), STR_FMT(buf_str(&got)),
                      STR_FMT(buf_str(&want)));
    }
    assert_int_equal(failed, 0);
    assert_int_equal(n, 1021);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_expr_cases) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
