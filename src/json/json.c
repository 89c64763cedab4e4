/* Parsing with bounds, and getters.
 *
 * The one idea: size and depth are settled on the bytes before yyjson sees them; after that every
 * walk may recurse. A number that fits neither 64 bits nor a double is kept as raw text by yyjson;
 * the getters here treat it as the number it is, as near as a double comes. */
#include "json/json.h"

#include "json/keys.h"

#include <math.h>

static Status check_depth(struct str text, struct err *err)
{
    size_t depth = 0;
    bool in_string = false;

    for (size_t i = 0; i < text.n; i++) {
        const char c = text.p[i];

        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (++depth > JSON_DEPTH_MAX)
                return err_set(err, STATUS_INVALID, NULL,
                               "bad JSON at byte %zu: nested deeper than %d levels", i,
                               JSON_DEPTH_MAX);
        } else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
        }
    }
    return STATUS_OK;
}

static Status parse(struct str text, size_t max_size, const yyjson_alc *alc, yyjson_doc **ret_doc,
                    struct err *err)
{
    yyjson_read_err why = { 0 };
    yyjson_doc *doc;
    Status st;

    if (text.n > max_size)
        return err_set(err, STATUS_TOO_BIG, NULL, "JSON text of %zu bytes is over the limit of %zu",
                       text.n, max_size);
    st = check_depth(text, err);
    if (st)
        return st;
    /* without INSITU the text is copied, never written to */
    doc = yyjson_read_opts((char *)(uintptr_t)(text.n ? text.p : ""), text.n,
                           YYJSON_READ_BIGNUM_AS_RAW, alc, &why);
    if (doc) {
        *ret_doc = doc;
        return STATUS_OK;
    }
    if (why.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION)
        return alc ? err_set(err, STATUS_TOO_BIG, NULL, "JSON text needs more memory than it may")
                   : err_set(err, STATUS_NOMEM, NULL, "out of memory");
    return err_set(err, STATUS_INVALID, NULL, "bad JSON at byte %zu: %s", why.pos,
                   why.msg ? why.msg : "unreadable");
}

Status json_parse(struct str text, size_t max_size, yyjson_doc **ret_doc, struct err *err)
{
    return parse(text, max_size, NULL, ret_doc, err);
}

static void *arena_malloc(void *ctx, size_t n)
{
    return arena_alloc(ctx, n);
}

static void *arena_realloc(void *ctx, void *p, size_t old_n, size_t n)
{
    void *fresh;

    if (n <= old_n)
        return p;
    fresh = arena_alloc(ctx, n);
    if (fresh)
        memcpy(fresh, p, old_n);
    return fresh;
}

static void arena_keep(void *ctx, void *p)
{
    (void)ctx;
    (void)p; /* goes with the arena */
}

Status json_parse_in(struct arena *a, struct str text, size_t max_size, yyjson_val **ret_root,
                     struct err *err)
{
    const yyjson_alc alc = {
        .malloc = arena_malloc, .realloc = arena_realloc, .free = arena_keep, .ctx = a
    };
    yyjson_doc *doc;
    const Status st = parse(text, max_size, &alc, &doc, err);

    if (!st)
        *ret_root = yyjson_doc_get_root(doc);
    return st;
}

yyjson_val *json_get(yyjson_val *obj, const char *key)
{
    return yyjson_obj_get(obj, key);
}

yyjson_val *json_get_str(yyjson_val *obj, struct str key)
{
    return key.p ? yyjson_obj_getn(obj, key.p, key.n) : yyjson_obj_getn(obj, "", 0);
}

yyjson_val *json_at(yyjson_val *root, const char *path)
{
    struct str rest = str_z(path), part;
    uint64_t i;

    while (root && str_split(&rest, '.', &part)) {
        if (yyjson_is_arr(root))
            root = str_to_u64(part, &i) ? yyjson_arr_get(root, i) : NULL;
        else
            root = json_get_str(root, part);
    }
    return root;
}

struct str json_val_str(yyjson_val *v)
{
    return yyjson_is_str(v) ? str_n(yyjson_get_str(v), yyjson_get_len(v)) : STR_NONE;
}

struct str json_str(yyjson_val *obj, const char *key)
{
    return json_val_str(json_get(obj, key));
}

static struct str raw_str(yyjson_val *v)
{
    return str_n(yyjson_get_raw(v), yyjson_get_len(v));
}

bool json_val_double(yyjson_val *v, double *ret)
{
    if (yyjson_is_raw(v))
        return str_to_double(raw_str(v), ret);
    if (!yyjson_is_num(v))
        return false;
    *ret = yyjson_get_num(v);
    return true;
}

/* Without libm; from 2^53 on there are no fractions. */
static double floor_of(double d)
{
    const double cut = fabs(d) < 0x1p53 ? (double)(int64_t)d : d;

    return cut > d ? cut - 1 : cut;
}

bool json_val_i64(yyjson_val *v, int64_t *ret)
{
    double d;

    if (yyjson_is_sint(v)) {
        *ret = yyjson_get_sint(v);
        return true;
    }
    if (yyjson_is_uint(v)) {
        const uint64_t u = yyjson_get_uint(v);

        *ret = u > INT64_MAX ? INT64_MAX : (int64_t)u;
        return true;
    }
    if (yyjson_is_raw(v) && !json_val_double(v, &d)) { /* 1e999: beyond either end */
        *ret = raw_str(v).p[0] == '-' ? INT64_MIN : INT64_MAX;
        return true;
    }
    if (!json_val_double(v, &d))
        return false;
    d = floor_of(d);
    *ret = d >= 0x1p63 ? INT64_MAX : d < -0x1p63 ? INT64_MIN : (int64_t)d;
    return true;
}

int64_t json_i64(yyjson_val *obj, const char *key, int64_t def)
{
    int64_t v;

    return json_val_i64(json_get(obj, key), &v) ? v : def;
}

double json_double(yyjson_val *obj, const char *key, double def)
{
    double v;

    return json_val_double(json_get(obj, key), &v) ? v : def;
}

bool json_bool(yyjson_val *obj, const char *key, bool def)
{
    yyjson_val *v = json_get(obj, key);

    return yyjson_is_bool(v) ? yyjson_get_bool(v) : def;
}

bool json_truthy(yyjson_val *v)
{
    double d;

    if (!v || yyjson_is_null(v) || yyjson_is_false(v))
        return false;
    if (yyjson_is_str(v))
        return yyjson_get_len(v) > 0;
    return !json_val_double(v, &d) || d != 0;
}

bool json_is_int(yyjson_val *v)
{
    double d;

    if (yyjson_is_int(v))
        return true;
    if (json_val_double(v, &d))
        return d == floor_of(d);
    /* a raw number no double holds: an integer if it is written as one, or has a huge exponent */
    return yyjson_is_raw(v);
}

Status json_need_str(yyjson_val *obj, const char *key, struct str *ret, struct err *err)
{
    yyjson_val *v = json_get(obj, key);

    if (!yyjson_is_str(v))
        return err_set(err, STATUS_INVALID, key, "%s must be a string, not %s", key,
                       v ? json_type_name(v) : "missing");
    *ret = json_val_str(v);
    return STATUS_OK;
}

Status json_need_i64(yyjson_val *obj, const char *key, int64_t *ret, struct err *err)
{
    yyjson_val *v = json_get(obj, key);
    double d;

    if (!json_is_int(v))
        return err_set(err, STATUS_INVALID, key, "%s must be a whole number, not %s", key,
                       !v                 ? "missing"
                       : yyjson_is_num(v) ? "a fraction"
                                          : json_type_name(v));
    if (!json_val_double(v, &d) || d >= 0x1p63 || d < -0x1p63)
        return err_set(err, STATUS_INVALID, key, "%s is out of range", key);
    (void)json_val_i64(v, ret);
    return STATUS_OK;
}

static bool number_equal(yyjson_val *a, yyjson_val *b)
{
    double x, y;

    if (yyjson_is_int(a) && yyjson_is_int(b)) {
        const bool a_negative = yyjson_is_sint(a) && yyjson_get_sint(a) < 0;
        const bool b_negative = yyjson_is_sint(b) && yyjson_get_sint(b) < 0;

        return a_negative == b_negative && yyjson_get_uint(a) == yyjson_get_uint(b);
    }
    if (yyjson_is_raw(a) && yyjson_is_raw(b))
        return str_eq(raw_str(a), raw_str(b));
    return json_val_double(a, &x) && json_val_double(b, &y) && x == y;
}

static bool array_equal(yyjson_val *a, yyjson_val *b)
{
    yyjson_arr_iter ia = yyjson_arr_iter_with(a), ib = yyjson_arr_iter_with(b);
    yyjson_val *v;

    if (yyjson_arr_size(a) != yyjson_arr_size(b))
        return false;
    while ((v = yyjson_arr_iter_next(&ia)) != NULL) {
        if (!json_equal(v, yyjson_arr_iter_next(&ib)))
            return false;
    }
    return true;
}

/* Every member of a that counts is in b with an equal value. */
static bool members_in(const struct json_keys *a, const struct json_keys *b)
{
    yyjson_obj_iter it = yyjson_obj_iter_with(a->obj);
    yyjson_val *key, *other;

    while ((key = yyjson_obj_iter_next(&it)) != NULL) {
        const struct str name = json_val_str(key);

        if (json_keys_find(a, name) != key)
            continue; /* a repeated one */
        other = json_keys_find(b, name);
        if (!other || !json_equal(yyjson_obj_iter_get_val(key), yyjson_obj_iter_get_val(other)))
            return false;
    }
    return true;
}

static bool keys_in(const struct json_keys *a, const struct json_keys *b)
{
    yyjson_obj_iter it = yyjson_obj_iter_with(a->obj);
    yyjson_val *key;

    while ((key = yyjson_obj_iter_next(&it)) != NULL) {
        if (!json_keys_find(b, json_val_str(key)))
            return false;
    }
    return true;
}

static bool object_equal(yyjson_val *a, yyjson_val *b)
{
    struct json_keys ka, kb;
    bool equal = json_keys_init(&ka, a);

    equal = json_keys_init(&kb, b) && equal; /* out of memory: not known to be equal */
    equal = equal && members_in(&ka, &kb) && keys_in(&kb, &ka);
    json_keys_done(&ka);
    json_keys_done(&kb);
    return equal;
}

static bool is_number(yyjson_val *v)
{
    return yyjson_is_num(v) || yyjson_is_raw(v);
}

bool json_equal(yyjson_val *a, yyjson_val *b)
{
    if (a == b)
        return true;
    if (!a || !b)
        return false;
    if (is_number(a) && is_number(b))
        return number_equal(a, b);
    if (yyjson_get_type(a) != yyjson_get_type(b))
        return false;
    if (yyjson_is_obj(a))
        return object_equal(a, b);
    if (yyjson_is_arr(a))
        return array_equal(a, b);
    if (yyjson_is_str(a))
        return str_eq(json_val_str(a), json_val_str(b));
    return !yyjson_is_bool(a) || yyjson_get_bool(a) == yyjson_get_bool(b);
}

const char *json_type_name(yyjson_val *v)
{
    if (yyjson_is_str(v))
        return "string";
    if (is_number(v))
        return "number";
    if (yyjson_is_bool(v))
        return "boolean";
    if (yyjson_is_arr(v))
        return "array";
    return yyjson_is_obj(v) ? "object" : "null";
}
