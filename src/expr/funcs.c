/* The functions (reference/expressions.md 3): a table, sorted by name. Missing arguments are
 * missing values, further ones are ignored. */
#include "expr/expr_int.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define GROUPED_MAX 400 /* a number with separators: 309 digits, 103 commas */

static struct expr_value arg(const struct expr_value *args, size_t n, size_t i)
{
    return i < n ? args[i] : (struct expr_value){ .kind = EXPR_MISSING };
}

static Status give_text(struct evaluation *ev, struct str s, struct expr_value *ret)
{
    *ret = expr_text(s.n ? arena_dup(ev->arena, s) : STR(""));
    return ret->s.n == s.n ? STATUS_OK : expr_full(ev, "A text");
}

/* ---- leading numbers ---- */

static struct str skip_spaces(struct str s)
{
    size_t n;

    while ((n = expr_space_at(s, 0)) > 0)
        s = str_slice(s, n, s.n);
    return s;
}

static size_t digits_at(struct str s, size_t i)
{
    size_t n = 0;

    while (i + n < s.n && s.p[i + n] >= '0' && s.p[i + n] <= '9')
        n++;
    return n;
}

static double lead_int_text(struct str s)
{
    double sign = 1, v = 0;
    size_t i = 0, n;

    s = skip_spaces(s);
    if (s.n && (s.p[0] == '+' || s.p[0] == '-')) {
        sign = s.p[0] == '-' ? -1 : 1;
        i = 1;
    }
    if (i + 1 < s.n && s.p[i] == '0' && (s.p[i + 1] == 'x' || s.p[i + 1] == 'X')) {
        i += 2;
        if (i >= s.n || str_hex_digit(s.p[i]) < 0)
            return NAN;
        for (; i < s.n && str_hex_digit(s.p[i]) >= 0; i++)
            v = v * 16 + str_hex_digit(s.p[i]);
        return sign * v;
    }
    n = digits_at(s, i);
    return n ? sign * expr_text_number(str_slice(s, i, i + n)) : NAN;
}

static double lead_float_text(struct str s)
{
    double sign = 1;
    size_t i = 0, from, whole, part = 0;

    s = skip_spaces(s);
    if (s.n && (s.p[0] == '+' || s.p[0] == '-')) {
        sign = s.p[0] == '-' ? -1 : 1;
        i = 1;
    }
    from = i;
    if (str_starts(str_slice(s, i, s.n), STR("Infinity")))
        return sign * INFINITY;
    whole = digits_at(s, i);
    i += whole;
    if (i < s.n && s.p[i] == '.') {
        part = digits_at(s, i + 1);
        if (whole || part)
            i += 1 + part;
    }
    if (whole + part == 0)
        return NAN;
    if (i < s.n && (s.p[i] == 'e' || s.p[i] == 'E')) {
        const size_t e = i + 1 + (i + 1 < s.n && (s.p[i + 1] == '+' || s.p[i + 1] == '-'));
        const size_t n = digits_at(s, e);
        if (n)
            i = e + n;
    }
    return sign * expr_text_number(str_slice(s, from, i));
}

static Status lead_int(struct evaluation *ev, struct expr_value v, double *ret)
{
    struct str text;
    Status st = expr_text_of(ev, v, &text);

    if (!st)
        *ret = lead_int_text(text);
    return st;
}

/* Cut down to two decimals; falsy reads as 0. */
static Status cut(struct evaluation *ev, struct expr_value v, double *ret)
{
    struct str text;
    Status st;

    if (!expr_truthy(&v))
        v = expr_number(0);
    st = expr_text_of(ev, v, &text);
    if (!st)
        *ret = floor(lead_float_text(text) * 100) / 100;
    return st;
}

/* ---- numbers ---- */

static Status extreme(struct evaluation *ev, const struct expr_value *args, size_t n, int sign,
                      struct expr_value *ret)
{
    double best = sign > 0 ? -INFINITY : INFINITY;
    bool nan = false;

    for (size_t i = 0; i < n; i++) {
        double v;
        Status st = expr_number_of(ev, args[i], &v);

        if (st)
            return st;
        nan = nan || isnan(v);
        if (sign * v > sign * best || (v == best && (signbit(v) != 0) == (sign < 0)))
            best = v;
    }
    *ret = expr_number(nan ? NAN : best);
    return STATUS_OK;
}

static Status fn_min(struct evaluation *ev, const struct expr_value *args, size_t n,
                     struct expr_value *ret)
{
    return extreme(ev, args, n, -1, ret);
}

static Status fn_max(struct evaluation *ev, const struct expr_value *args, size_t n,
                     struct expr_value *ret)
{
    return extreme(ev, args, n, 1, ret);
}

static Status fn_floor(struct evaluation *ev, const struct expr_value *args, size_t n,
                       struct expr_value *ret)
{
    double v;
    Status st = expr_number_of(ev, arg(args, n, 0), &v);

    *ret = expr_number(st ? 0 : floor(v));
    return st;
}

static Status fn_ceil(struct evaluation *ev, const struct expr_value *args, size_t n,
                      struct expr_value *ret)
{
    double v;
    Status st = expr_number_of(ev, arg(args, n, 0), &v);

    *ret = expr_number(st ? 0 : ceil(v));
    return st;
}

static Status fn_round(struct evaluation *ev, const struct expr_value *args, size_t n,
                       struct expr_value *ret)
{
    double v, low;
    Status st = expr_number_of(ev, arg(args, n, 0), &v);

    if (st)
        return st;
    low = floor(v);
    if (isfinite(v) && v != low)
        v = copysign(v - low >= 0.5 ? low + 1 : low, v);
    *ret = expr_number(v);
    return STATUS_OK;
}

static Status fn_clamp(struct evaluation *ev, const struct expr_value *args, size_t n,
                       struct expr_value *ret)
{
    double v, lo, hi;
    Status st = expr_number_of(ev, arg(args, n, 0), &v);

    if (!st)
        st = expr_number_of(ev, arg(args, n, 1), &lo);
    if (!st)
        st = expr_number_of(ev, arg(args, n, 2), &hi);
    if (st)
        return st;
    if (isnan(v) || isnan(lo) || isnan(hi)) {
        *ret = expr_number(NAN);
        return STATUS_OK;
    }
    v = hi < v ? hi : v;
    *ret = expr_number(lo > v ? lo : v);
    return STATUS_OK;
}

static Status fn_bytes(struct evaluation *ev, const struct expr_value *args, size_t n,
                       struct expr_value *ret)
{
    static const char *const units[] = { " K", " MB", " GB", " TB" };
    char number[EXPR_NUMBER_TEXT], text[EXPR_NUMBER_TEXT + 8];
    size_t unit = 0;
    double b;
    Status st = lead_int(ev, arg(args, n, 0), &b);

    if (st)
        return st;
    if (!(b >= 1024)) {
        expr_number_text(b, number);
        (void)snprintf(text, sizeof text, "%s byte%s", number, b == 1 ? "" : "s");
        return give_text(ev, str_z(text), ret);
    }
    for (; unit < COUNT_OF(units) && b >= 1024; unit++)
        b = floor(b / 1024 * 10) / 10;
    expr_number_text(b, number);
    (void)snprintf(text, sizeof text, "%s%s", number, units[unit - 1]);
    return give_text(ev, str_z(text), ret);
}

/* Digits d1d2.. with the point after n of them, rounded to three decimals, half away from zero. */
static void round_decimals(char digits[24], int *k, int *n)
{
    const int keep = *n + 3;
    bool up;

    if (*k <= keep)
        return;
    up = keep >= 0 && digits[keep] >= '5';
    *k = keep > 0 ? keep : 0;
    if (!up)
        return;
    for (int i = *k - 1; i >= 0; i--) {
        if (digits[i] != '9') {
            digits[i]++;
            return;
        }
        digits[i] = '0';
    }
    memmove(digits + 1, digits, (size_t)*k);
    digits[0] = '1';
    (*k)++;
    (*n)++;
}

static void put_grouped(double v, struct buf *out)
{
    char digits[24];
    int n, k = expr_digits(v, digits, &n);
    int last;

    round_decimals(digits, &k, &n);
    if (n <= 0)
        (void)buf_add_char(out, '0');
    for (int i = 0; i < n; i++) {
        if (i && (n - i) % 3 == 0)
            (void)buf_add_char(out, ',');
        (void)buf_add_char(out, i < k ? digits[i] : '0');
    }
    for (last = k; last > 0 && last > n && digits[last - 1] == '0'; last--)
        ;
    if (last == 0 || last <= n)
        return;
    (void)buf_add_char(out, '.');
    for (int i = n; i < last; i++)
        (void)buf_add_char(out, i < 0 ? '0' : digits[i]);
}

static Status fn_number(struct evaluation *ev, const struct expr_value *args, size_t n,
                        struct expr_value *ret)
{
    const struct expr_value a = arg(args, n, 0);
    AUTO_BUF struct buf out = { 0 };
    double v;
    Status st = expr_number_of(ev, a, &v);

    if (st)
        return st;
    if (!expr_truthy(&a))
        return give_text(ev, STR("0"), ret);
    if (isnan(v))
        return give_text(ev, STR("NaN"), ret);
    buf_init(&out, GROUPED_MAX);
    if (signbit(v))
        (void)buf_add_char(&out, '-');
    if (isinf(v))
        (void)buf_add_z(&out, "\xe2\x88\x9e");
    else if (v == 0)
        (void)buf_add_char(&out, '0');
    else
        put_grouped(fabs(v), &out);
    return give_text(ev, buf_str(&out), ret);
}

static bool plain_decimal(struct str s)
{
    const size_t whole = digits_at(s, 0);

    if (whole == 0 || whole == s.n)
        return whole > 0;
    return s.p[whole] == '.' && whole + 1 < s.n && digits_at(s, whole + 1) == s.n - whole - 1;
}

static Status fn_pct(struct evaluation *ev, const struct expr_value *args, size_t n,
                     struct expr_value *ret)
{
    const struct expr_value of = arg(args, n, 1), whole = arg(args, n, 2);
    char number[EXPR_NUMBER_TEXT], text[EXPR_NUMBER_TEXT + 2];
    double v, max = 100;
    Status st = expr_number_of(ev, arg(args, n, 0), &v);

    if (!st && expr_truthy(&of))
        st = expr_number_of(ev, of, &max);
    if (st)
        return st;
    v = v * 100 / max;
    expr_number_text(v, number);
    if (!plain_decimal(str_z(number)))
        v = 0;
    if (expr_truthy(&whole))
        v = floor(v);
    else
        st = cut(ev, expr_number(v), &v);
    expr_number_text(v, number);
    (void)snprintf(text, sizeof text, "%s%%", number);
    return st ? st : give_text(ev, str_z(text), ret);
}

static Status fn_integer(struct evaluation *ev, const struct expr_value *args, size_t n,
                         struct expr_value *ret)
{
    double v = 0;
    Status st = lead_int(ev, arg(args, n, 0), &v);

    *ret = expr_number(isnan(v) || v == 0 ? 0 : v);
    return st;
}

static Status fn_float(struct evaluation *ev, const struct expr_value *args, size_t n,
                       struct expr_value *ret)
{
    double v = 0;
    Status st = cut(ev, arg(args, n, 0), &v);

    *ret = expr_number(isnan(v) ? 0 : v);
    return st;
}

/* ---- texts ---- */

static Status fn_stringify(struct evaluation *ev, const struct expr_value *args, size_t n,
                           struct expr_value *ret)
{
    const struct expr_value v = arg(args, n, 0);
    AUTO_BUF struct buf out = { 0 };

    if (v.kind == EXPR_MISSING)
        return STATUS_OK;
    buf_init(&out, EXPR_TEXT_MAX);
    Status st = expr_put_json(&v, ev->scope, &out, ev->err);
    return st ? st : give_text(ev, buf_str(&out), ret);
}

static Status fn_encode(struct evaluation *ev, const struct expr_value *args, size_t n,
                        struct expr_value *ret)
{
    static const char plain[] = "-_.!~*'()";
    AUTO_BUF struct buf out = { 0 };
    struct str s;
    Status st = expr_text_of(ev, arg(args, n, 0), &s);

    if (st)
        return st;
    buf_init(&out, EXPR_TEXT_MAX);
    for (size_t i = 0; i < s.n; i++) {
        const unsigned char c = (unsigned char)s.p[i];
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
            (c && strchr(plain, c)))
            (void)buf_add_char(&out, (char)c);
        else
            (void)buf_printf(&out, "%%%02X", c);
    }
    return out.failed ? expr_full(ev, "A text") : give_text(ev, buf_str(&out), ret);
}

static Status fn_count(struct evaluation *ev, const struct expr_value *args, size_t n,
                       struct expr_value *ret)
{
    const struct expr_value v = arg(args, n, 0);

    if (!expr_truthy(&v))
        *ret = expr_number(0);
    else if (v.kind == EXPR_TEXT || expr_is_list(&v) || expr_is_object(&v))
        *ret = expr_own(&v, ev->scope, STR("length"));
    return STATUS_OK;
}

static Status fn_find(struct evaluation *ev, const struct expr_value *args, size_t n,
                      struct expr_value *ret)
{
    const struct expr_value list = arg(args, n, 0);
    const size_t count = expr_list_count(&list);
    struct expr_list *out = arena_zalloc(ev->arena, sizeof *out);
    struct expr_value *kept = arena_alloc(ev->arena, (count + 1) * sizeof *kept);
    struct str key, needle;
    Status st;

    if (!expr_is_list(&list))
        return expr_fails(ev, ev->node, "find() needs a list");
    if (count > EXPR_LIST_MAX || !out || !kept)
        return expr_full(ev, "A list");
    st = expr_text_of(ev, arg(args, n, 1), &key);
    if (!st)
        st = expr_text_of(ev, arg(args, n, 2), &needle);
    for (size_t i = 0; i < count && !st; i++) {
        const struct expr_value e = expr_list_at(&list, i);
        struct str text;

        if (++ev->steps > EXPR_STEPS_MAX)
            return expr_full(ev, "The evaluation");
        if (e.kind == EXPR_MISSING || e.kind == EXPR_NULL)
            return expr_fails(ev, ev->node, "find() met an element that is null");
        st = expr_text_of(ev, expr_own(&e, ev->scope, key), &text);
        if (!st && (needle.n == 0 || str_find(text, needle) < text.n))
            kept[out->n++] = e;
    }
    out->v = kept;
    *ret = (struct expr_value){ .kind = EXPR_LIST, .list = out };
    return st;
}

static Status fn_includes(struct evaluation *ev, const struct expr_value *args, size_t n,
                          struct expr_value *ret)
{
    const struct expr_value hay = arg(args, n, 0), needle = arg(args, n, 1);
    const size_t count = expr_list_count(&hay);

    *ret = expr_bool(false);
    if (!expr_truthy(&hay))
        return STATUS_OK;
    if (hay.kind == EXPR_TEXT) {
        struct str text;
        Status st = expr_text_of(ev, needle, &text);

        *ret = expr_bool(!st && (text.n == 0 || str_find(hay.s, text) < hay.s.n));
        return st;
    }
    for (size_t i = 0; i < count; i++) {
        const struct expr_value e = expr_list_at(&hay, i);
        const bool both_nan =
            e.kind == EXPR_NUMBER && needle.kind == EXPR_NUMBER && isnan(e.n) && isnan(needle.n);
        if (both_nan || expr_same(&e, &needle)) {
            *ret = expr_bool(true);
            break;
        }
    }
    return STATUS_OK;
}

static Status fn_match(struct evaluation *ev, const struct expr_value *args, size_t n,
                       struct expr_value *ret)
{
    const struct expr_value subject = arg(args, n, 0), pattern = arg(args, n, 1);
    struct str text, regex;
    bool yes = false;
    Status st;

    *ret = expr_bool(false);
    if (subject.kind == EXPR_MISSING || subject.kind == EXPR_NULL)
        return STATUS_OK;
    st = expr_text_of(ev, subject, &text);
    if (!st && ev->node->regex) {
        st = expr_regex_run(ev->node->regex, text, &yes, ev->err);
    } else if (!st && pattern.kind == EXPR_MISSING) {
        yes = true;
    } else if (!st) {
        st = expr_text_of(ev, pattern, &regex);
        if (!st)
            st = expr_regex(regex, text, &yes, ev->err);
    }
    *ret = expr_bool(yes);
    return st;
}

/* ---- what the conductor knows ---- */

static Status fn_server(struct evaluation *ev, const struct expr_value *args, size_t n,
                        struct expr_value *ret)
{
    const struct expr_host *host = ev->scope->host;
    struct str id, title;

    *ret = arg(args, n, 0);
    Status st = expr_text_of(ev, *ret, &id);
    if (!st && host && host->server_title && host->server_title(host->ctx, id, &title))
        *ret = expr_text(title);
    return st;
}

static Status fn_event(struct evaluation *ev, const struct expr_value *args, size_t n,
                       struct expr_value *ret)
{
    const struct expr_host *host = ev->scope->host;
    struct str id, title;
    Status st = expr_text_of(ev, arg(args, n, 0), &id);

    if (!st && host && host->event_title && host->event_title(host->ctx, id, &title))
        *ret = expr_text(title);
    return st;
}

static const struct expr_function functions[] = {
    { "bytes", fn_bytes },
    { "ceil", fn_ceil },
    { "clamp", fn_clamp },
    { "count", fn_count },
    { "encode", fn_encode },
    { "event", fn_event },
    { "find", fn_find },
    { "float", fn_float },
    { "floor", fn_floor },
    { "includes", fn_includes },
    { "integer", fn_integer },
    { "match", fn_match },
    { "max", fn_max },
    { "min", fn_min },
    { "number", fn_number },
    { "pct", fn_pct },
    { "round", fn_round },
    { "server", fn_server },
    { "stringify", fn_stringify },
};

const struct expr_function *expr_function_find(struct str name)
{
    for (size_t i = 0; i < COUNT_OF(functions); i++) {
        if (str_eq_z(name, functions[i].name))
            return &functions[i];
    }
    return NULL;
}
