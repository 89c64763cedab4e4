/* JSON text straight into a buf.
 *
 * The one idea: `depth`, `kind` and `any` are all the state there is: where we are and whether a
 * comma is due. Errors stick in the buf, so nothing here returns one. Text is made valid on the way
 * out: bad UTF-8 becomes U+FFFD, numbers that JSON does not know become null. Raw text is trusted.
 */
#include "json/writer.h"

#include "json/keys.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define JSON_WRITER_DEPTH_MAX (JSON_DEPTH_MAX + 8)

struct json_writer json_writer_init(struct buf *out)
{
    return (struct json_writer){ .out = out };
}

/* How many bytes from i on need no escape. */
static size_t plain_run(struct str s, size_t i)
{
    const size_t from = i;

    while (i < s.n) {
        const unsigned char c = (unsigned char)s.p[i];

        if (c < 0x20 || c == '"' || c == '\\')
            break;
        if (c < 0x80) {
            i++;
            continue;
        }
        const size_t step = str_utf8_at(s, i);
        if (step == 0)
            break;
        i += step;
    }
    return i - from;
}

static void put_escape(struct buf *out, char c)
{
    static const char from[] = "\"\\\b\f\n\r\t";
    static const char to[] = "\"\\bfnrt";
    const char *hit = c ? strchr(from, c) : NULL;

    if (hit) {
        (void)buf_add_char(out, '\\');
        (void)buf_add_char(out, to[hit - from]);
    } else if ((unsigned char)c < 0x20) {
        (void)buf_printf(out, "\\u%04x", (unsigned)(unsigned char)c);
    } else {
        (void)buf_add_z(out, "\xEF\xBF\xBD");
    }
}

static void put_text(struct buf *out, struct str s)
{
    (void)buf_add_char(out, '"');
    for (size_t i = 0; i < s.n && !out->failed;) {
        const size_t run = plain_run(s, i);

        (void)buf_add(out, s.p + i, run);
        i += run;
        if (i < s.n)
            put_escape(out, s.p[i++]);
    }
    (void)buf_add_char(out, '"');
}

/* What comes before a value: comma, key. */
static void lead(struct json_writer *w, struct str key)
{
    if (w->depth) {
        if (w->any[w->depth - 1])
            (void)buf_add_char(w->out, ',');
        w->any[w->depth - 1] = 1;
    }
    if (key.p) {
        put_text(w->out, key);
        (void)buf_add_char(w->out, ':');
    }
}

static void open_level(struct json_writer *w, struct str key, char kind)
{
    lead(w, key);
    (void)buf_add_char(w->out, kind);
    if (w->depth >= JSON_WRITER_DEPTH_MAX) {
        w->out->failed = true;
        return;
    }
    w->kind[w->depth] = (uint8_t)kind;
    w->any[w->depth] = 0;
    w->depth++;
}

void json_obj(struct json_writer *w, const char *key)
{
    open_level(w, str_z(key), '{');
}

void json_obj_k(struct json_writer *w, struct str key)
{
    open_level(w, key, '{');
}

void json_arr(struct json_writer *w, const char *key)
{
    open_level(w, str_z(key), '[');
}

void json_end(struct json_writer *w)
{
    assert(w->depth > 0 || w->out->failed);
    if (w->depth == 0)
        return;
    w->depth--;
    (void)buf_add_char(w->out, w->kind[w->depth] == '{' ? '}' : ']');
}

void json_put_str(struct json_writer *w, const char *key, struct str s)
{
    json_put_str_k(w, str_z(key), s);
}

void json_put_str_k(struct json_writer *w, struct str key, struct str s)
{
    lead(w, key);
    put_text(w->out, s);
}

void json_put_z(struct json_writer *w, const char *key, const char *z)
{
    if (z)
        json_put_str(w, key, str_z(z));
    else
        json_put_null(w, key);
}

static void put_i64(struct buf *out, int64_t v)
{
    (void)buf_printf(out, "%" PRId64, v);
}

void json_put_i64(struct json_writer *w, const char *key, int64_t v)
{
    lead(w, str_z(key));
    put_i64(w->out, v);
}

void json_put_u64(struct json_writer *w, const char *key, uint64_t v)
{
    lead(w, str_z(key));
    (void)buf_printf(w->out, "%" PRIu64, v);
}

/* v with the fewest decimals (at most six) that read back as v; false when that is not enough. Most
 * measured values end here, long before printf would have tried its ways. */
static bool put_short_decimal(struct buf *out, double v)
{
    int64_t scale = 10;

    if (fabs(v) >= 1e9)
        return false;
    for (int decimals = 1; decimals <= 6; decimals++, scale *= 10) {
        const int64_t scaled = (int64_t)(v * (double)scale + (v < 0 ? -0.5 : 0.5));
        const int64_t size = scaled < 0 ? -scaled : scaled;

        /* both are exact, so the division is the nearest double to the decimal, as a reader's is */
        if ((double)scaled / (double)scale != v)
            continue;
        (void)buf_printf(out, "%s%" PRId64 ".%0*" PRId64, scaled < 0 ? "-" : "", size / scale,
                         decimals, size % scale);
        return true;
    }
    return false;
}

static void put_double(struct buf *out, double v)
{
    char text[40];

    if (!isfinite(v)) {
        (void)buf_add_z(out, "null");
        return;
    }
    if (fabs(v) <= 0x1p53 && (double)(int64_t)v == v) {
        put_i64(out, (int64_t)v);
        return;
    }
    if (put_short_decimal(out, v))
        return;
    for (int digits = 15; digits <= 17; digits++) {
        (void)snprintf(text, sizeof text, "%.*g", digits, v);
        if (strtod(text, NULL) == v)
            break;
    }
    (void)buf_add_z(out, text);
}

void json_put_double(struct json_writer *w, const char *key, double v)
{
    lead(w, str_z(key));
    put_double(w->out, v);
}

void json_put_bool(struct json_writer *w, const char *key, bool v)
{
    lead(w, str_z(key));
    (void)buf_add_z(w->out, v ? "true" : "false");
}

void json_put_null(struct json_writer *w, const char *key)
{
    lead(w, str_z(key));
    (void)buf_add_z(w->out, "null");
}

void json_put_raw(struct json_writer *w, const char *key, struct str text)
{
    lead(w, str_z(key));
    if (text.n)
        (void)buf_add_str(w->out, text);
    else
        (void)buf_add_z(w->out, "null");
}

/* Everything but arrays and objects. */
static void put_scalar(struct buf *out, yyjson_val *v)
{
    if (yyjson_is_str(v))
        put_text(out, json_val_str(v));
    else if (yyjson_is_raw(v))
        (void)buf_add(out, yyjson_get_raw(v), yyjson_get_len(v));
    else if (yyjson_is_sint(v))
        put_i64(out, yyjson_get_sint(v));
    else if (yyjson_is_uint(v))
        (void)buf_printf(out, "%" PRIu64, yyjson_get_uint(v));
    else if (yyjson_is_real(v))
        put_double(out, yyjson_get_real(v));
    else if (yyjson_is_bool(v))
        (void)buf_add_z(out, yyjson_get_bool(v) ? "true" : "false");
    else
        (void)buf_add_z(out, "null");
}

static bool in_names(const char *const *names, struct str s)
{
    for (; names && *names; names++) {
        if (str_eq_z(s, *names))
            return true;
    }
    return false;
}

/* Key table of obj; on no memory the buf fails, as for any other append. */
static bool keys_init(struct json_writer *w, struct json_keys *k, yyjson_val *obj)
{
    if (json_keys_init(k, obj))
        return true;
    w->out->failed = true;
    return false;
}

void json_put_members(struct json_writer *w, yyjson_val *obj, const char *const *skip)
{
    yyjson_obj_iter it = yyjson_obj_iter_with(obj);
    struct json_keys keys;
    yyjson_val *key;

    if (!keys_init(w, &keys, obj))
        return;
    while ((key = yyjson_obj_iter_next(&it)) != NULL && !w->out->failed) {
        const struct str name = json_val_str(key);

        if (json_keys_find(&keys, name) == key && !in_names(skip, name))
            json_put_val_k(w, name, yyjson_obj_iter_get_val(key));
    }
    json_keys_done(&keys);
}

void json_put_val(struct json_writer *w, const char *key, yyjson_val *v)
{
    json_put_val_k(w, str_z(key), v);
}

void json_put_val_k(struct json_writer *w, struct str key, yyjson_val *v)
{
    if (yyjson_is_obj(v)) {
        open_level(w, key, '{');
        json_put_members(w, v, NULL);
        json_end(w);
    } else if (yyjson_is_arr(v)) {
        yyjson_arr_iter it = yyjson_arr_iter_with(v);
        yyjson_val *each;

        open_level(w, key, '[');
        while ((each = yyjson_arr_iter_next(&it)) != NULL && !w->out->failed)
            json_put_val_k(w, STR_NONE, each);
        json_end(w);
    } else {
        lead(w, key);
        put_scalar(w->out, v);
    }
}

/* "+2" or "-0.5" given for a stored number: the number that comes out. */
static bool is_increment(yyjson_val *old, yyjson_val *change, double *ret_sum)
{
    const struct str s = json_val_str(change);
    double base, step;

    if (s.n < 2 || (s.p[0] != '+' && s.p[0] != '-'))
        return false;
    for (size_t i = 1; i < s.n; i++) {
        if ((s.p[i] < '0' || s.p[i] > '9') && s.p[i] != '.')
            return false;
    }
    if (!json_val_double(old, &base) || !str_to_double(str_slice(s, 1, s.n), &step))
        return false;
    *ret_sum = s.p[0] == '+' ? base + step : base - step;
    return true;
}

static void put_merged_member(struct json_writer *w, yyjson_val *key, yyjson_val *change)
{
    yyjson_val *old = yyjson_obj_iter_get_val(key);
    double sum;

    if (change && is_increment(old, change, &sum)) {
        lead(w, json_val_str(key));
        put_double(w->out, sum);
    } else {
        json_put_val_k(w, json_val_str(key), change ? change : old);
    }
}

static void put_merge(struct json_writer *w, const struct json_keys *old,
                      const struct json_keys *changes, const char *const *skip)
{
    yyjson_obj_iter it = yyjson_obj_iter_with(old->obj);
    yyjson_val *key;

    while ((key = yyjson_obj_iter_next(&it)) != NULL && !w->out->failed) {
        const struct str name = json_val_str(key);
        yyjson_val *hit;

        if (json_keys_find(old, name) != key)
            continue;
        hit = in_names(skip, name) ? NULL : json_keys_find(changes, name);
        put_merged_member(w, key, hit ? yyjson_obj_iter_get_val(hit) : NULL);
    }
    it = yyjson_obj_iter_with(changes->obj);
    while ((key = yyjson_obj_iter_next(&it)) != NULL && !w->out->failed) {
        const struct str name = json_val_str(key);

        if (json_keys_find(changes, name) == key && !json_keys_find(old, name) &&
            !in_names(skip, name))
            json_put_val_k(w, name, yyjson_obj_iter_get_val(key));
    }
}

void json_put_merged(struct json_writer *w, const char *key, yyjson_val *old, yyjson_val *changes,
                     const char *const *skip)
{
    struct json_keys ko = { 0 }, kc = { 0 };

    json_obj(w, key);
    if (keys_init(w, &ko, old) && keys_init(w, &kc, changes))
        put_merge(w, &ko, &kc, skip);
    json_keys_done(&ko);
    json_keys_done(&kc);
    json_end(w);
}

static void put_line(struct buf *out, size_t depth)
{
    (void)buf_add_char(out, '\n');
    while (depth--)
        (void)buf_add_char(out, '\t');
}

static void put_pretty(struct buf *out, yyjson_val *v, size_t depth);

static void put_pretty_members(struct buf *out, yyjson_val *v, size_t depth)
{
    yyjson_obj_iter it = yyjson_obj_iter_with(v);
    struct json_keys keys;
    yyjson_val *key;
    bool any = false;

    if (!json_keys_init(&keys, v)) {
        out->failed = true;
        return;
    }
    while ((key = yyjson_obj_iter_next(&it)) != NULL && !out->failed) {
        if (json_keys_find(&keys, json_val_str(key)) != key)
            continue;
        if (any)
            (void)buf_add_char(out, ',');
        any = true;
        put_line(out, depth);
        put_text(out, json_val_str(key));
        (void)buf_add_z(out, ": ");
        put_pretty(out, yyjson_obj_iter_get_val(key), depth);
    }
    json_keys_done(&keys);
}

static void put_pretty_elements(struct buf *out, yyjson_val *v, size_t depth)
{
    yyjson_arr_iter it = yyjson_arr_iter_with(v);
    yyjson_val *each;
    bool any = false;

    while ((each = yyjson_arr_iter_next(&it)) != NULL && !out->failed) {
        if (any)
            (void)buf_add_char(out, ',');
        any = true;
        put_line(out, depth);
        put_pretty(out, each, depth);
    }
}

/* Tabs, as JSON.stringify(v, null, "\t") has them. */
static void put_pretty(struct buf *out, yyjson_val *v, size_t depth)
{
    const bool object = yyjson_is_obj(v);

    if (!yyjson_is_ctn(v)) {
        put_scalar(out, v);
        return;
    }
    (void)buf_add_char(out, object ? '{' : '[');
    if (object)
        put_pretty_members(out, v, depth + 1);
    else
        put_pretty_elements(out, v, depth + 1);
    if (yyjson_get_len(v))
        put_line(out, depth);
    (void)buf_add_char(out, object ? '}' : ']');
}

Status json_text(yyjson_val *v, bool pretty, struct buf *out)
{
    if (pretty) {
        put_pretty(out, v, 0);
    } else {
        struct json_writer w = json_writer_init(out);

        json_put_val(&w, NULL, v);
    }
    return out->failed ? STATUS_FULL : STATUS_OK;
}
