/* Values: what JavaScript makes of them as text, number and truth (reference/expressions.md 1.6,
 * 2.1, 2.2), reading members, JSON text. Nothing here fails but for memory and bounds. */
#include "expr/expr_int.h"

#include "json/writer.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

struct expr_value expr_text(struct str s)
{
    return (struct expr_value){ .kind = EXPR_TEXT, .s = s.p ? s : STR("") };
}

struct expr_value expr_number(double n)
{
    return (struct expr_value){ .kind = EXPR_NUMBER, .n = n };
}

struct expr_value expr_bool(bool b)
{
    return (struct expr_value){ .kind = EXPR_BOOL, .b = b };
}

struct expr_value expr_of_json(yyjson_val *v)
{
    double n = 0;

    if (!v)
        return (struct expr_value){ .kind = EXPR_MISSING };
    if (yyjson_is_null(v))
        return (struct expr_value){ .kind = EXPR_NULL };
    if (yyjson_is_bool(v))
        return expr_bool(yyjson_get_bool(v));
    if (yyjson_is_str(v))
        return expr_text(json_val_str(v));
    if (yyjson_is_raw(v)) /* too large for the JSON reader */
        return expr_number(strtod(yyjson_get_raw(v), NULL));
    if (json_val_double(v, &n))
        return expr_number(n);
    return (struct expr_value){ .kind = EXPR_JSON, .j = v };
}

bool expr_is_list(const struct expr_value *v)
{
    return v->kind == EXPR_LIST || (v->kind == EXPR_JSON && yyjson_is_arr(v->j));
}

bool expr_is_object(const struct expr_value *v)
{
    return v->kind == EXPR_OBJECT || v->kind == EXPR_SCOPE ||
           (v->kind == EXPR_JSON && yyjson_is_obj(v->j));
}

size_t expr_list_count(const struct expr_value *v)
{
    if (v->kind == EXPR_LIST)
        return v->list->n;
    return v->kind == EXPR_JSON ? yyjson_arr_size(v->j) : 0;
}

struct expr_value expr_list_at(const struct expr_value *v, size_t i)
{
    if (v->kind == EXPR_LIST)
        return i < v->list->n ? v->list->v[i] : expr_of_json(NULL);
    return expr_of_json(v->kind == EXPR_JSON ? yyjson_arr_get(v->j, i) : NULL);
}

bool expr_truthy(const struct expr_value *v)
{
    switch (v->kind) {
    case EXPR_MISSING:
    case EXPR_NULL:
        return false;
    case EXPR_BOOL:
        return v->b;
    case EXPR_NUMBER:
        return v->n != 0 && !isnan(v->n);
    case EXPR_TEXT:
        return v->s.n > 0;
    case EXPR_JSON:
    case EXPR_LIST:
    case EXPR_OBJECT:
    case EXPR_SCOPE:
        return true;
    }
    return false;
}

/* ---- numbers as text ---- */

int expr_digits(double v, char digits[20], int *ret_n)
{
    char text[40];
    int count = 0;

    for (int p = 0; p <= 16; p++) {
        (void)snprintf(text, sizeof text, "%.*e", p, v);
        if (strtod(text, NULL) == v)
            break;
    }
    for (const char *c = text; *c && *c != 'e'; c++) {
        if (*c >= '0' && *c <= '9' && count < 18)
            digits[count++] = *c;
    }
    while (count > 1 && digits[count - 1] == '0')
        count--;
    digits[count] = '\0';
    *ret_n = (int)strtol(strchr(text, 'e') + 1, NULL, 10) + 1;
    return count;
}

void expr_number_text(double v, char out[EXPR_NUMBER_TEXT])
{
    char digits[20];
    const char *sign = v < 0 ? "-" : "";
    int n, k;

    if (isnan(v)) {
        (void)snprintf(out, EXPR_NUMBER_TEXT, "NaN");
        return;
    }
    if (isinf(v)) {
        (void)snprintf(out, EXPR_NUMBER_TEXT, "%sInfinity", sign);
        return;
    }
    if (fabs(v) < 9007199254740992.0 && v == floor(v)) {
        (void)snprintf(out, EXPR_NUMBER_TEXT, "%lld", (long long)v);
        return;
    }
    k = expr_digits(fabs(v), digits, &n);
    if (k <= n && n <= 21)
        (void)snprintf(out, EXPR_NUMBER_TEXT, "%s%s%.*s", sign, digits, n - k,
                       "000000000000000000000");
    else if (0 < n && n <= 21)
        (void)snprintf(out, EXPR_NUMBER_TEXT, "%s%.*s.%s", sign, n, digits, digits + n);
    else if (-6 < n && n <= 0)
        (void)snprintf(out, EXPR_NUMBER_TEXT, "%s0.%.*s%s", sign, -n, "000000", digits);
    else
        (void)snprintf(out, EXPR_NUMBER_TEXT, "%s%c%s%se%+d", sign, digits[0], k > 1 ? "." : "",
                       digits + 1, n - 1);
}

/* ---- to text ---- */

static void list_text(const struct expr_value *v, struct buf *out);

static void element_text(const struct expr_value *v, struct buf *out)
{
    char number[EXPR_NUMBER_TEXT];

    switch (v->kind) {
    case EXPR_MISSING:
    case EXPR_NULL:
        return;
    case EXPR_BOOL:
        (void)buf_add_z(out, v->b ? "true" : "false");
        return;
    case EXPR_NUMBER:
        expr_number_text(v->n, number);
        (void)buf_add_z(out, number);
        return;
    case EXPR_TEXT:
        (void)buf_add_str(out, v->s);
        return;
    case EXPR_JSON:
    case EXPR_LIST:
    case EXPR_OBJECT:
    case EXPR_SCOPE:
        if (expr_is_list(v))
            list_text(v, out);
        else
            (void)buf_add_z(out, "[object Object]");
        return;
    }
}

/* Recursion as deep as the value: JSON_DEPTH_MAX and the depth of the expression. */
static void list_text(const struct expr_value *v, struct buf *out)
{
    if (v->kind == EXPR_JSON) {
        yyjson_arr_iter it = yyjson_arr_iter_with(v->j);
        yyjson_val *item;
        bool first = true;

        while ((item = yyjson_arr_iter_next(&it)) != NULL) {
            const struct expr_value e = expr_of_json(item);
            if (!first)
                (void)buf_add_char(out, ',');
            first = false;
            element_text(&e, out);
        }
        return;
    }
    for (size_t i = 0; i < v->list->n; i++) {
        if (i)
            (void)buf_add_char(out, ',');
        element_text(&v->list->v[i], out);
    }
}

Status expr_to_text(const struct expr_value *v, struct arena *a, struct str *ret)
{
    AUTO_BUF struct buf out = { 0 };

    *ret = STR("");
    if (v->kind == EXPR_TEXT) {
        *ret = v->s;
        return STATUS_OK;
    }
    if (v->kind == EXPR_MISSING) {
        *ret = STR("undefined");
        return STATUS_OK;
    }
    if (v->kind == EXPR_NULL) {
        *ret = STR("null");
        return STATUS_OK;
    }
    buf_init(&out, EXPR_TEXT_MAX);
    element_text(v, &out);
    if (out.failed)
        return STATUS_TOO_BIG;
    if (out.n)
        *ret = arena_dup(a, buf_str(&out));
    return ret->p ? STATUS_OK : STATUS_NOMEM;
}

/* ---- to number ---- */

static bool digits_of(struct str s, int base, double *ret)
{
    double sum = 0;

    if (s.n == 0)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        const int d = str_hex_digit(s.p[i]);

        if (d < 0 || d >= base)
            return false;
        sum = sum * base + d;
    }
    *ret = sum;
    return true;
}

static struct str trim_spaces(struct str s)
{
    size_t n, end = 0;

    while ((n = expr_space_at(s, 0)) > 0)
        s = str_slice(s, n, s.n);
    for (size_t i = 0; i < s.n;) {
        n = expr_space_at(s, i);
        if (n == 0) {
            n = str_utf8_at(s, i);
            end = i + (n ? n : 1);
        }
        i += n ? n : 1;
    }
    return str_slice(s, 0, end);
}

static bool decimal_shape(struct str s)
{
    size_t i = 0, digits = 0;

    if (i < s.n && (s.p[i] == '+' || s.p[i] == '-'))
        i++;
    for (; i < s.n && s.p[i] >= '0' && s.p[i] <= '9'; i++)
        digits++;
    if (i < s.n && s.p[i] == '.') {
        for (i++; i < s.n && s.p[i] >= '0' && s.p[i] <= '9'; i++)
            digits++;
    }
    if (digits == 0)
        return false;
    if (i < s.n && (s.p[i] == 'e' || s.p[i] == 'E')) {
        i++;
        if (i < s.n && (s.p[i] == '+' || s.p[i] == '-'))
            i++;
        if (i >= s.n)
            return false;
        while (i < s.n && s.p[i] >= '0' && s.p[i] <= '9')
            i++;
    }
    return i == s.n;
}

/* strtod needs a NUL; a number that matters fits the buffer, a longer one is made of digits. */
static double decimal_value(struct str s)
{
    char small[128];
    char *big;
    double v;

    if (str_copy_z(s, small, sizeof small))
        return strtod(small, NULL);
    big = malloc(s.n + 1);
    if (!big)
        return NAN;
    memcpy(big, s.p, s.n);
    big[s.n] = '\0';
    v = strtod(big, NULL);
    free(big);
    return v;
}

double expr_text_number(struct str s)
{
    double v = NAN;

    s = trim_spaces(s);
    if (s.n == 0)
        return 0;
    if (s.n > 2 && s.p[0] == '0' && strchr("xXbBoO", s.p[1])) {
        const int base = s.p[1] == 'x' || s.p[1] == 'X'   ? 16
                         : s.p[1] == 'o' || s.p[1] == 'O' ? 8
                                                          : 2;
        return digits_of(str_slice(s, 2, s.n), base, &v) ? v : NAN;
    }
    if (str_eq_z(s, "Infinity") || str_eq_z(s, "+Infinity"))
        return INFINITY;
    if (str_eq_z(s, "-Infinity"))
        return -INFINITY;
    return decimal_shape(s) ? decimal_value(s) : NAN;
}

Status expr_to_number(const struct expr_value *v, struct arena *a, double *ret)
{
    struct str text;

    *ret = NAN;
    switch (v->kind) {
    case EXPR_MISSING:
        return STATUS_OK;
    case EXPR_NULL:
        *ret = 0;
        return STATUS_OK;
    case EXPR_BOOL:
        *ret = v->b ? 1 : 0;
        return STATUS_OK;
    case EXPR_NUMBER:
        *ret = v->n;
        return STATUS_OK;
    case EXPR_TEXT:
        *ret = expr_text_number(v->s);
        return STATUS_OK;
    case EXPR_JSON:
    case EXPR_LIST:
    case EXPR_OBJECT:
    case EXPR_SCOPE:
        if (!expr_is_list(v))
            return STATUS_OK;
        break;
    }
    Status st = expr_to_text(v, a, &text);
    if (!st)
        *ret = expr_text_number(text);
    return st;
}

/* ---- UTF-16 ---- */

size_t expr_units(struct str s)
{
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++) {
        const unsigned char c = (unsigned char)s.p[i];
        n += (c & 0xc0) != 0x80;
        n += c >= 0xf0;
    }
    return n;
}

/* One UTF-16 unit as text; half of a pair is U+FFFD. */
static struct expr_value unit_at(struct str s, size_t want)
{
    size_t unit = 0;

    for (size_t i = 0; i < s.n;) {
        const size_t n = str_utf8_at(s, i);
        const size_t units = n == 4 ? 2 : 1;

        if (want < unit + units)
            return units == 2 ? expr_text(STR("\xef\xbf\xbd")) : expr_text(str_slice(s, i, i + n));
        unit += units;
        i += n ? n : 1;
    }
    return expr_of_json(NULL);
}

static unsigned unit_key(struct str s, size_t i)
{
    const unsigned char c = (unsigned char)s.p[i];

    /* lead bytes order as code points do, but pairs (D800-DFFF) come before E000-FFFF */
    if (c >= 0xf0)
        return 0xed80u + (c - 0xf0u);
    return (unsigned)c << 8 | (c >= 0xee ? 0xffu : 0u);
}

int expr_text_cmp(struct str a, struct str b)
{
    size_t i = 0;

    while (i < a.n && i < b.n && a.p[i] == b.p[i])
        i++;
    if (i >= a.n || i >= b.n)
        return a.n == b.n ? 0 : (a.n < b.n ? -1 : 1);
    const unsigned char x = (unsigned char)a.p[i], y = (unsigned char)b.p[i];
    if (x < 0xc0 || y < 0xc0) /* ASCII, or inside characters with one lead byte */
        return x < y ? -1 : 1;
    const unsigned p = unit_key(a, i), q = unit_key(b, i);
    if (p != q)
        return p < q ? -1 : 1;
    return x < y ? -1 : 1;
}

/* ---- members ---- */

/* "0", "12": the index it names, else SIZE_MAX. */
static size_t index_of(struct str key)
{
    uint64_t i;

    if (key.n == 0 || key.n > 15 || key.p[0] < '0' || key.p[0] > '9' ||
        (key.n > 1 && key.p[0] == '0') || !str_to_u64(key, &i))
        return SIZE_MAX;
    return (size_t)i;
}

struct expr_value expr_scope_get(const struct expr_scope *scope, struct str name)
{
    for (size_t i = 0; i < scope->n_names; i++) {
        if (str_eq(scope->names[i].key, name))
            return scope->names[i].v;
    }
    yyjson_val *v = scope->context ? json_get_str(scope->context, name) : NULL;
    if (!v && scope->self && str_eq_z(name, scope->self))
        return (struct expr_value){ .kind = EXPR_SCOPE };
    return expr_of_json(v);
}

struct expr_value expr_own(const struct expr_value *v, const struct expr_scope *scope,
                           struct str key)
{
    const size_t i = index_of(key);

    if (v->kind == EXPR_SCOPE)
        return expr_scope_get(scope, key);
    if (v->kind == EXPR_JSON && yyjson_is_obj(v->j))
        return expr_of_json(json_get_str(v->j, key));
    if (v->kind == EXPR_OBJECT) {
        for (size_t m = 0; m < v->object->n; m++) {
            if (str_eq(v->object->m[m].key, key))
                return v->object->m[m].v;
        }
        return expr_of_json(NULL);
    }
    if (expr_is_list(v)) {
        if (str_eq_z(key, "length"))
            return expr_number((double)expr_list_count(v));
        return expr_list_at(v, i);
    }
    if (v->kind == EXPR_TEXT) {
        if (str_eq_z(key, "length"))
            return expr_number((double)expr_units(v->s));
        return i == SIZE_MAX ? expr_of_json(NULL) : unit_at(v->s, i);
    }
    return expr_of_json(NULL);
}

bool expr_same(const struct expr_value *a, const struct expr_value *b)
{
    if (a->kind != b->kind)
        return false;
    switch (a->kind) {
    case EXPR_MISSING:
    case EXPR_NULL:
    case EXPR_SCOPE:
        return true;
    case EXPR_BOOL:
        return a->b == b->b;
    case EXPR_NUMBER:
        return a->n == b->n;
    case EXPR_TEXT:
        return str_eq(a->s, b->s);
    case EXPR_JSON:
        return a->j == b->j;
    case EXPR_LIST:
        return a->list == b->list;
    case EXPR_OBJECT:
        return a->object == b->object;
    }
    return false;
}

/* ---- JSON text ---- */

struct printer {
    const struct expr_scope *scope;
    struct buf *out;
    bool exact; /* what JSON cannot say is {"$": ...} */
    bool circular;
};

static void put(struct printer *p, const struct expr_value *v);

static void put_text(struct buf *out, struct str s)
{
    (void)buf_add_char(out, '"');
    for (size_t i = 0; i < s.n; i++) {
        const unsigned char c = (unsigned char)s.p[i];
        static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
        const char *hit = c ? strchr(from, c) : NULL;

        if (hit) {
            (void)buf_add_char(out, '\\');
            (void)buf_add_char(out, to[hit - from]);
        } else if (c < 0x20) {
            (void)buf_printf(out, "\\u%04x", c);
        } else {
            (void)buf_add_char(out, (char)c);
        }
    }
    (void)buf_add_char(out, '"');
}

static void put_member(struct printer *p, bool *first, struct str key, const struct expr_value *v)
{
    if (v->kind == EXPR_MISSING && !p->exact)
        return;
    if (!*first)
        (void)buf_add_char(p->out, ',');
    *first = false;
    put_text(p->out, key);
    (void)buf_add_char(p->out, ':');
    put(p, v);
}

/* Whole-number keys come first, rising; then the others in their order. least: SIZE_MAX ends. */
static size_t next_index_json(yyjson_val *obj, size_t least, yyjson_val **ret)
{
    size_t best = SIZE_MAX;
    yyjson_obj_iter it = yyjson_obj_iter_with(obj);
    yyjson_val *key;

    while ((key = yyjson_obj_iter_next(&it)) != NULL) {
        const size_t i = index_of(json_val_str(key));
        if (i != SIZE_MAX && i < 4294967295u && i >= least && i < best) {
            best = i;
            *ret = key;
        }
    }
    return best;
}

static void put_json_object(struct printer *p, yyjson_val *obj)
{
    yyjson_obj_iter it = yyjson_obj_iter_with(obj);
    yyjson_val *key = NULL;
    bool first = true;
    size_t i = 0;

    while ((i = next_index_json(obj, i, &key)) != SIZE_MAX) {
        const struct expr_value v = expr_of_json(yyjson_obj_iter_get_val(key));
        put_member(p, &first, json_val_str(key), &v);
        i++;
    }
    while ((key = yyjson_obj_iter_next(&it)) != NULL) {
        const struct expr_value v = expr_of_json(yyjson_obj_iter_get_val(key));
        const size_t index = index_of(json_val_str(key));
        if (index == SIZE_MAX || index >= 4294967295u)
            put_member(p, &first, json_val_str(key), &v);
    }
}

static void put_scope(struct printer *p)
{
    bool first = true;
    yyjson_obj_iter it = yyjson_obj_iter_with(p->scope->context);
    yyjson_val *key;

    if (p->scope->self) { /* it contains itself */
        p->circular = true;
        return;
    }
    for (size_t i = 0; i < p->scope->n_names; i++)
        put_member(p, &first, p->scope->names[i].key, &p->scope->names[i].v);
    while (p->scope->context && (key = yyjson_obj_iter_next(&it)) != NULL) {
        const struct expr_value v = expr_of_json(yyjson_obj_iter_get_val(key));
        put_member(p, &first, json_val_str(key), &v);
    }
}

static void put_container(struct printer *p, const struct expr_value *v)
{
    const bool list = expr_is_list(v);
    bool first = true;

    (void)buf_add_char(p->out, list ? '[' : '{');
    if (v->kind == EXPR_JSON && list) {
        yyjson_arr_iter it = yyjson_arr_iter_with(v->j);
        yyjson_val *item;

        while ((item = yyjson_arr_iter_next(&it)) != NULL) {
            const struct expr_value e = expr_of_json(item);
            if (!first)
                (void)buf_add_char(p->out, ',');
            first = false;
            put(p, &e);
        }
    } else if (v->kind == EXPR_LIST) {
        for (size_t i = 0; i < v->list->n && !p->out->failed; i++) {
            if (i)
                (void)buf_add_char(p->out, ',');
            put(p, &v->list->v[i]);
        }
    } else if (v->kind == EXPR_JSON) {
        put_json_object(p, v->j);
    } else if (v->kind == EXPR_OBJECT) {
        for (size_t i = 0; i < v->object->n; i++) /* names of expressions are never numbers */
            put_member(p, &first, v->object->m[i].key, &v->object->m[i].v);
    } else {
        put_scope(p);
    }
    (void)buf_add_char(p->out, list ? ']' : '}');
}

static void put(struct printer *p, const struct expr_value *v)
{
    char number[EXPR_NUMBER_TEXT];

    switch (v->kind) {
    case EXPR_MISSING:
        (void)buf_add_z(p->out, p->exact ? "{\"$\":\"undefined\"}" : "null");
        return;
    case EXPR_NULL:
        (void)buf_add_z(p->out, "null");
        return;
    case EXPR_BOOL:
        (void)buf_add_z(p->out, v->b ? "true" : "false");
        return;
    case EXPR_NUMBER:
        expr_number_text(v->n, number);
        if (p->exact && (!isfinite(v->n) || (v->n == 0 && signbit(v->n))))
            (void)buf_printf(p->out, "{\"$\":\"%s%s\"}", v->n == 0 ? "-" : "", number);
        else
            (void)buf_add_z(p->out, isfinite(v->n) ? number : "null");
        return;
    case EXPR_TEXT:
        put_text(p->out, v->s);
        return;
    case EXPR_JSON:
    case EXPR_LIST:
    case EXPR_OBJECT:
    case EXPR_SCOPE:
        put_container(p, v);
        return;
    }
}

static Status print(struct printer *p, const struct expr_value *v, struct err *err)
{
    put(p, v);
    if (p->circular)
        return err_set(err, STATUS_INVALID, NULL, "The value contains itself");
    if (p->out->failed)
        return err_set(err, STATUS_TOO_BIG, NULL, "The text would be longer than %u bytes",
                       (unsigned)EXPR_TEXT_MAX);
    return STATUS_OK;
}

Status expr_put_json(const struct expr_value *v, const struct expr_scope *scope, struct buf *out,
                     struct err *err)
{
    struct printer p = { .scope = scope, .out = out };

    return print(&p, v, err);
}

Status expr_put_exact(const struct expr_value *v, const struct expr_scope *scope, struct buf *out,
                      struct err *err)
{
    struct printer p = { .scope = scope, .out = out, .exact = true };

    return print(&p, v, err);
}
