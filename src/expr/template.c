/* Templates (reference/expressions.md 6): {{ }} with one expression each, and [path] of fixed
 * texts. What a macro printed is text, and not expanded again, unless the caller says so. */
#include "expr/expr_int.h"

struct macro {
    size_t from, to; /* of the whole, braces included */
    struct str source;
};

static size_t line_end_at(struct str s, size_t i)
{
    if (s.p[i] == '\n' || s.p[i] == '\r')
        return 1;
    return str_starts(str_slice(s, i, s.n), STR("\xe2\x80\xa8")) ||
                   str_starts(str_slice(s, i, s.n), STR("\xe2\x80\xa9"))
               ? 3
               : 0;
}

/* The first macro at or after `from`. */
static bool next_macro(struct str s, size_t from, struct macro *ret)
{
    for (size_t i = from; i + 4 < s.n; i++) {
        if (s.p[i] != '{' || s.p[i + 1] != '{')
            continue;
        for (size_t k = i + 2; k < s.n && !line_end_at(s, k); k++) {
            if (k > i + 2 && k + 1 < s.n && s.p[k] == '}' && s.p[k + 1] == '}') {
                *ret = (struct macro){ i, k + 2, str_slice(s, i + 2, k) };
                return true;
            }
        }
        /* unclosed before the line's end: no later brace of the line can be closed either */
        while (i + 1 < s.n && !line_end_at(s, i + 1))
            i++;
    }
    return false;
}

static void put_error(struct buf *out, const struct err *err)
{
    (void)buf_printf(out, "(ERROR: %s)", err->text);
}

/* JSON of a value whose texts hold macros: the braces of those go. */
static Status put_container(const struct expr_value *v, const struct expr_scope *scope,
                            struct buf *out, struct err *err)
{
    AUTO_BUF struct buf json = { 0 };
    struct macro m;
    struct str rest;

    buf_init(&json, EXPR_TEXT_MAX);
    Status st = expr_put_json(v, scope, &json, err);
    if (st)
        return st;
    rest = buf_str(&json);
    while (next_macro(rest, 0, &m)) {
        (void)buf_add_str(out, str_slice(rest, 0, m.from));
        (void)buf_add_str(out, m.source);
        rest = str_slice(rest, m.to, rest.n);
    }
    (void)buf_add_str(out, rest);
    return STATUS_OK;
}

static Status put_encoded(struct evaluation *ev, struct expr_value v, struct buf *out)
{
    const struct expr_function *encode = expr_function_find(STR("encode"));
    struct expr_value text = { .kind = EXPR_MISSING };
    Status st = encode->fn(ev, &v, 1, &text);

    if (!st)
        (void)buf_add_str(out, text.s);
    return st;
}

static Status put_value(const struct template_form *form, const struct expr_scope *scope,
                        struct expr_value v, struct buf *out, struct err *err)
{
    struct str text;

    if (v.kind == EXPR_MISSING)
        v = expr_text(form->missing);
    if (form->filter == TEMPLATE_URL) {
        struct evaluation ev = { .scope = scope, .arena = scope->arena, .err = err };
        return put_encoded(&ev, v, out);
    }
    if (form->filter == TEMPLATE_EMPTY_NA && v.kind == EXPR_TEXT && v.s.n == 0)
        v = expr_text(STR("n/a"));
    if (expr_is_list(&v) || expr_is_object(&v))
        return put_container(&v, scope, out, err);
    Status st = expr_to_text(&v, scope->arena, &text);
    if (st)
        return err_set(err, st, NULL, "The value is too large");
    (void)buf_add_str(out, text);
    return STATUS_OK;
}

static void put_macro(const struct template_form *form, const struct expr_scope *scope,
                      struct str source, struct buf *out)
{
    AUTO(expr_free) struct expr *e = NULL;
    struct expr_value v = { .kind = EXPR_MISSING };
    struct err err = { .code = STATUS_OK };
    const size_t before = out->n;
    Status st = expr_compile(source, &e, &err);

    if (!st)
        st = expr_eval(e, scope, &v, &err);
    if (!st)
        st = put_value(form, scope, v, out, &err);
    if (st) {
        out->n = before; /* what it began to print */
        put_error(out, &err);
    }
}

/* One pass. */
static void expand(struct str text, const struct template_form *form,
                   const struct expr_scope *scope, struct buf *out)
{
    struct macro m;
    size_t i = 0;

    while (next_macro(text, i, &m) && !out->failed) {
        (void)buf_add_str(out, str_slice(text, i, m.from));
        put_macro(form, scope, m.source, out);
        i = m.to;
    }
    (void)buf_add_str(out, str_slice(text, i, text.n));
}

static Status too_big(struct err *err)
{
    return err_set(err, STATUS_TOO_BIG, NULL, "A template and its result have at most %u bytes",
                   (unsigned)TEMPLATE_TEXT_MAX);
}

Status template_expand(struct str text, const struct template_form *form,
                       const struct expr_scope *scope, struct buf *out, struct err *err)
{
    AUTO_BUF struct buf now = { 0 };
    struct macro m;

    if (text.n > TEMPLATE_TEXT_MAX)
        return too_big(err);
    buf_init(&now, TEMPLATE_TEXT_MAX);
    expand(text, form, scope, &now);
    for (unsigned round = 1; form->again && round < TEMPLATE_ROUNDS; round++) {
        AUTO_BUF struct buf next = { 0 };

        if (now.failed || !next_macro(buf_str(&now), 0, &m))
            break;
        buf_init(&next, TEMPLATE_TEXT_MAX);
        expand(buf_str(&now), form, scope, &next);
        const struct buf old = now;
        now = next;
        next = old; /* freed here */
    }
    if (now.failed)
        return too_big(err);
    Status st = buf_add_str(out, buf_str(&now));
    return st ? err_set(err, st, NULL, "The result of a template does not fit") : STATUS_OK;
}

Status template_check(struct str text, struct err *err)
{
    struct macro m;

    if (text.n > TEMPLATE_TEXT_MAX)
        return too_big(err);
    for (size_t i = 0; next_macro(text, i, &m); i = m.to) {
        AUTO(expr_free) struct expr *e = NULL;
        Status st = expr_compile(m.source, &e, err);

        if (st)
            return err_wrap(err, "{{%.*s}}", STR_FMT(str_slice(m.source, 0, 80)));
    }
    return STATUS_OK;
}

/* ---- [path] ---- */

#define PATH_STEP_MAX 256u

/* Takes a step off the path; "\." and "\/" are plain. False: none is left, or it is too long. */
static bool take_step(struct str *rest, char step[PATH_STEP_MAX], size_t *ret_n)
{
    size_t n = 0, i = 0;

    while (i < rest->n && (rest->p[i] == '.' || rest->p[i] == '/'))
        i++;
    for (; i < rest->n && rest->p[i] != '.' && rest->p[i] != '/'; i++) {
        if (rest->p[i] == '\\' && i + 1 < rest->n &&
            (rest->p[i + 1] == '.' || rest->p[i + 1] == '/'))
            i++;
        if (n == PATH_STEP_MAX)
            return false;
        step[n++] = rest->p[i];
    }
    *rest = str_slice(*rest, i, rest->n);
    *ret_n = n;
    return n > 0;
}

static yyjson_val *walk(yyjson_val *v, struct str path)
{
    char step[PATH_STEP_MAX];
    size_t n;
    bool any = false;

    while (v && take_step(&path, step, &n)) {
        const struct expr_value here = expr_of_json(v);

        any = true;
        if (here.kind != EXPR_JSON)
            return NULL;
        if (yyjson_is_obj(v)) {
            v = json_get_str(v, str_n(step, n));
        } else {
            uint64_t i;
            v = str_to_u64(str_n(step, n), &i) ? yyjson_arr_get(v, (size_t)i) : NULL;
        }
    }
    return any && path.n == 0 ? v : NULL;
}

Status template_fill(struct str text, yyjson_val *context, struct str fallback, struct buf *out)
{
    AUTO(arena_free) struct arena *a = arena_new(EXPR_TEXT_MAX * 2u);

    if (!a)
        return STATUS_NOMEM;
    for (size_t i = 0; i < text.n;) {
        const size_t close = text.p[i] == '[' ? str_find_char(str_slice(text, i, text.n), ']') : 0;
        struct str value;

        if (i + close >= text.n) { /* nothing closes any more */
            (void)buf_add_str(out, str_slice(text, i, text.n));
            break;
        }
        if (close < 2) {
            (void)buf_add_char(out, text.p[i++]);
            continue;
        }
        yyjson_val *v = walk(context, str_slice(text, i + 1, i + close));
        const struct expr_value have = expr_of_json(v);
        if (v && expr_to_text(&have, a, &value))
            return STATUS_TOO_BIG;
        if (v)
            (void)buf_add_str(out, value);
        else if (fallback.p)
            (void)buf_add_str(out, fallback);
        else
            (void)buf_add_str(out, str_slice(text, i, i + close + 1));
        i += close + 1;
    }
    return out->failed ? STATUS_FULL : STATUS_OK;
}
