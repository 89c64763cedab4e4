/* From a request to one object of parameters (reference/api-operations.md 1.1, 1.2). Pure
 * functions: they see texts and values, never a request.
 *
 * The one idea: objects are made by writing JSON text and parsing it again, and only when they must
 * differ from what came; the usual call (a query alone, a body alone) is taken as it is. */
#include "api/api_int.h"

#include "json/keys.h"

#include <math.h>
#include <stdlib.h>

struct pair {
    struct str key;
    struct str value;
    bool dead; /* a later one of the same key counts */
};

static Status too_many(struct err *err)
{
    return err_set(err, STATUS_INVALID, NULL, "Too many parameters (at most %u).",
                   (unsigned)API_PARAMS_MAX);
}

Status api_parse_buf(struct arena *a, struct buf *text, yyjson_val **ret, struct err *err)
{
    if (text->failed)
        return err_set(err, STATUS_TOO_BIG, NULL, "The parameters are too big.");
    return json_parse_in(a, buf_str(text), text->max, ret, err);
}

/* ---- numbers of a query ---- */

static size_t skip_digits(struct str s, size_t i)
{
    while (i < s.n && s.p[i] >= '0' && s.p[i] <= '9')
        i++;
    return i;
}

/* -?digits or -?digits.digits, nothing else. */
static bool is_number(struct str s, bool *ret_fraction)
{
    const size_t from = s.n && s.p[0] == '-' ? 1 : 0;
    const size_t dot = skip_digits(s, from);

    if (dot == from)
        return false;
    *ret_fraction = dot < s.n;
    if (dot == s.n)
        return true;
    return s.p[dot] == '.' && dot + 1 < s.n && skip_digits(s, dot + 1) == s.n;
}

static void put_number(struct json_writer *w, struct str key, struct str text, struct arena *a)
{
    const char *name = arena_dup_z(a, key);
    int64_t whole;
    double d;

    if (!name)
        w->out->failed = true;
    else if (str_to_i64(text, &whole))
        json_put_i64(w, name, whole);
    else if (str_to_double(text, &d) && isfinite(d))
        json_put_double(w, name, d);
    else
        json_put_str(w, name, text);
}

static void put_query_value(struct json_writer *w, const struct pair *p, struct arena *a)
{
    bool fraction = false;

    /* an id stays what it is: a query has no types, and "007" is not 7 there */
    if (!str_eq_z(p->key, "id") && is_number(p->value, &fraction))
        put_number(w, p->key, p->value, a);
    else
        json_put_str_k(w, p->key, p->value);
}

/* ---- queries and forms ---- */

static void bury(struct pair *pairs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!pairs[i].dead && str_eq(pairs[i].key, pairs[n].key)) {
            /* the place of the first, the value of the last */
            pairs[i].value = pairs[n].value;
            pairs[n].dead = true;
        }
    }
}

static Status pairs_object(struct arena *a, struct str text, bool query, yyjson_val **ret,
                           struct err *err)
{
    struct pair few[8];
    struct pair *pairs = few;
    size_t n = 0;
    AUTO_BUF struct buf out = { 0 };
    struct json_writer w;
    struct pair p = { .dead = false };

    while (http_form_next(&text, a, &p.key, &p.value)) {
        if (query && str_eq_z(p.key, "cachebust"))
            continue;
        if (n == API_PARAMS_MAX)
            return too_many(err);
        if (n == COUNT_OF(few)) {
            pairs = arena_alloc(a, API_PARAMS_MAX * sizeof *pairs);
            if (!pairs)
                return err_set(err, STATUS_NOMEM, NULL, "Out of memory.");
            memcpy(pairs, few, sizeof few);
        }
        pairs[n] = p;
        bury(pairs, n);
        n += !pairs[n].dead;
    }
    buf_init(&out, JSON_SIZE_MAX);
    w = json_writer_init(&out);
    json_obj(&w, NULL);
    for (size_t i = 0; i < n; i++) {
        if (query)
            put_query_value(&w, &pairs[i], a);
        else
            json_put_str_k(&w, pairs[i].key, pairs[i].value);
    }
    json_end(&w);
    return api_parse_buf(a, &out, ret, err);
}

Status api_query_object(struct arena *a, struct str query, yyjson_val **ret, struct err *err)
{
    return pairs_object(a, query, true, ret, err);
}

Status api_form_object(struct arena *a, struct str body, yyjson_val **ret, struct err *err)
{
    return pairs_object(a, body, false, ret, err);
}

/* ---- merging ---- */

static const char *const credential_keys[] = { "api_key", "session_id", "csrf_token" };

static bool is_left_out(struct str key, const char *skip)
{
    for (size_t i = 0; i < COUNT_OF(credential_keys); i++) {
        if (str_eq_z(key, credential_keys[i]))
            return true;
    }
    return skip && str_eq_z(key, skip);
}

static bool has_left_out(yyjson_val *obj, const char *skip)
{
    for (size_t i = 0; i < COUNT_OF(credential_keys); i++) {
        if (json_get(obj, credential_keys[i]))
            return true;
    }
    return skip && json_get(obj, skip);
}

/* The members of obj that `over` does not have. */
static void put_all_but(struct json_writer *w, yyjson_val *obj, const struct json_keys *over,
                        const char *skip)
{
    yyjson_obj_iter it = yyjson_obj_iter_with(obj);
    yyjson_val *key;

    while ((key = yyjson_obj_iter_next(&it)) != NULL) {
        const struct str name = json_val_str(key);

        if (!is_left_out(name, skip) && !(over && json_keys_find(over, name)))
            json_put_val_k(w, name, yyjson_obj_iter_get_val(key));
    }
}

Status api_merge(struct arena *a, yyjson_val *base, yyjson_val *top, const char *skip,
                 yyjson_val **ret, struct err *err)
{
    AUTO_BUF struct buf out = { 0 };
    struct json_writer w;
    struct json_keys over;

    if (yyjson_obj_size(base) == 0 && !has_left_out(top, skip)) {
        *ret = top;
        return STATUS_OK;
    }
    if (yyjson_obj_size(top) == 0 && !has_left_out(base, skip)) {
        *ret = base;
        return STATUS_OK;
    }
    if (!json_keys_init(&over, top))
        return err_set(err, STATUS_NOMEM, NULL, "Out of memory.");
    buf_init(&out, (size_t)2 * JSON_SIZE_MAX);
    w = json_writer_init(&out);
    json_obj(&w, NULL);
    put_all_but(&w, base, &over, skip);
    put_all_but(&w, top, NULL, skip);
    json_end(&w);
    json_keys_done(&over);
    return api_parse_buf(a, &out, ret, err);
}

/* ---- paths and codes ---- */

static bool is_version(struct str part)
{
    return part.n > 1 && part.p[0] == 'v' && skip_digits(part, 1) == part.n;
}

bool api_path_parse(struct str path, struct api_path *ret)
{
    struct api_path out = { .versioned = false };
    struct str rest = path;
    struct str part;

    if (!str_starts(path, STR("/api/")))
        return false;
    rest = str_slice(path, 5, path.n);
    if (!str_split(&rest, '/', &out.space) || !str_split(&rest, '/', &out.name) ||
        !str_is_word(out.space) || !str_is_word(out.name))
        return false;
    out.rest = rest;
    while (str_split(&rest, '/', &part)) {
        out.versioned = out.versioned || is_version(part);
        out.wait = out.wait || str_eq_z(part, "wait");
    }
    *ret = out;
    return true;
}

int api_http_status(const char *code)
{
    static const struct {
        const char *code;
        int status;
    } rows[] = {
        { "api", 400 }, { "access", 403 }, { "session", 403 }, { "rate", 429 }, { "notfound", 404 },
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if (strcmp(code, rows[i].code) == 0)
            return rows[i].status;
    }
    return 500;
}

/* ---- values ---- */

struct str api_param_text(const struct api_call *c, const char *key)
{
    yyjson_val *v = json_get(c->params, key);
    int64_t whole;

    if (yyjson_is_str(v))
        return json_val_str(v);
    if (!yyjson_is_num(v))
        return STR_NONE;
    if (json_is_int(v) && json_val_i64(v, &whole))
        return arena_printf(c->arena, "%lld", (long long)whole);
    return arena_printf(c->arena, "%.17g", yyjson_get_num(v));
}

static bool number_of(yyjson_val *v, double *ret)
{
    const struct str s = str_trim(json_val_str(v));

    if (yyjson_is_bool(v))
        *ret = yyjson_is_true(v) ? 1 : 0;
    else if (yyjson_is_str(v) && s.n == 0)
        *ret = 0;
    else if (yyjson_is_str(v))
        return str_to_double(s, ret);
    else
        return json_val_double(v, ret);
    return true;
}

bool api_loose_equal_val(yyjson_val *a, yyjson_val *b)
{
    double x;
    double y;

    if (!a || !b || yyjson_is_null(a) || yyjson_is_null(b))
        return (!a || yyjson_is_null(a)) && (!b || yyjson_is_null(b));
    if (yyjson_is_str(a) && yyjson_is_str(b))
        return str_eq(json_val_str(a), json_val_str(b));
    if (yyjson_is_ctn(a) || yyjson_is_ctn(b))
        return false;
    return number_of(a, &x) && number_of(b, &y) && x == y;
}

bool api_loose_equal(yyjson_val *want, struct str have)
{
    AUTO(json_doc_free) yyjson_doc *doc = NULL;

    if (!have.p)
        return api_loose_equal_val(want, NULL);
    if (have.n >= 2 && have.p[0] == '"' && yyjson_is_str(want) &&
        str_find_char(have, '\\') == have.n)
        return str_eq(json_val_str(want), str_slice(have, 1, have.n - 1));
    if (json_parse(have, JSON_SIZE_MAX, &doc, NULL))
        return false;
    return api_loose_equal_val(want, yyjson_doc_get_root(doc));
}

static size_t count_words(struct str list)
{
    size_t n = 1;

    for (size_t i = 0; i < list.n; i++)
        n += list.p[i] == ',';
    return n;
}

static bool split_list(struct arena *a, struct str text, size_t max, const struct str **ret,
                       size_t *ret_n)
{
    const size_t cap = count_words(text);
    struct str *words = cap <= max ? arena_alloc(a, cap * sizeof *words) : NULL;
    struct str part;
    size_t n = 0;

    if (!words)
        return false;
    while (str_split(&text, ',', &part)) {
        part = str_trim(part);
        if (part.n)
            words[n++] = part;
    }
    *ret = words;
    *ret_n = n;
    return true;
}

static bool number_word(struct arena *a, yyjson_val *v, struct str *ret)
{
    int64_t whole;

    if (!json_is_int(v) || !json_val_i64(v, &whole))
        return false;
    *ret = arena_printf(a, "%lld", (long long)whole);
    return ret->p != NULL;
}

bool api_word_list(struct arena *a, yyjson_val *v, size_t max, const struct str **ret,
                   size_t *ret_n)
{
    const size_t size = yyjson_arr_size(v);
    yyjson_arr_iter it = yyjson_arr_iter_with(v);
    yyjson_val *item;
    struct str *words;
    struct str one;
    size_t n = 0;

    if (yyjson_is_str(v))
        return split_list(a, json_val_str(v), max, ret, ret_n);
    if (yyjson_is_num(v)) /* a query of digits */
        return number_word(a, v, &one) && split_list(a, one, max, ret, ret_n);
    if (!yyjson_is_arr(v) || size > max)
        return false;
    words = arena_alloc(a, (size + 1) * sizeof *words);
    if (!words)
        return false;
    while ((item = yyjson_arr_iter_next(&it)) != NULL) {
        if (yyjson_is_str(item))
            words[n++] = json_val_str(item);
        else
            words[n++] = STR("");
    }
    *ret = words;
    *ret_n = n;
    return true;
}
