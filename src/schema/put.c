/* Writing what passed the check: read-only values dropped, tags stripped, loose values turned into
 * their type, defaults filled in.
 *
 * The one idea: unknown keys pass through, in the order they came; a table says what we know about
 * an object, not all there is in it. Works on the top level only: what lies inside is kept as it
 * came. */
#include "schema/schema.h"

#include "json/keys.h"

static bool is_named(const char *const *names, struct str s)
{
    for (; names && *names; names++) {
        if (str_eq_z(s, *names))
            return true;
    }
    return false;
}

static bool is_tag_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '/' || c == '!' || c == '?';
}

/* Takes the innermost open tag out of the text that ends here. `opens` holds the places of "<" that
 * may still open one. A place that opens none now never will: what follows it stays. */
static bool close_tag(struct buf *out, struct buf *opens)
{
    while (opens->n) {
        size_t at;

        opens->n -= sizeof at;
        memcpy(&at, opens->p + opens->n, sizeof at);
        if (at + 1 < out->n && is_tag_start(out->p[at + 1])) {
            out->n = at;
            return true;
        }
    }
    return false;
}

Status schema_strip_tags(struct str s, struct buf *out)
{
    AUTO_BUF struct buf opens = { .max = (s.n + 1) * sizeof(size_t) };
    Status st = buf_reserve(out, s.n);

    for (size_t i = 0; i < s.n && !st; i++) {
        if (s.p[i] == '<')
            st = buf_add(&opens, &out->n, sizeof out->n);
        if (s.p[i] == '>' && close_tag(out, &opens))
            continue;
        if (!st)
            st = buf_add_char(out, s.p[i]);
    }
    return st;
}

static void put_stripped(struct json_writer *w, struct str key, struct str s)
{
    AUTO_BUF struct buf text = { .max = s.n };

    if (schema_strip_tags(s, &text))
        w->out->failed = true;
    else
        json_put_str_k(w, key, buf_str(&text));
}

/* A number or bool where a text is meant. */
static void put_as_text(struct json_writer *w, struct str key, yyjson_val *v)
{
    AUTO_BUF struct buf text = { .max = PROP_TEXT_MAX };

    if (json_text(v, false, &text))
        w->out->failed = true;
    else
        json_put_str_k(w, key, buf_str(&text));
}

static void put_number_text(struct json_writer *w, const struct prop *row, yyjson_val *v)
{
    const struct str s = json_val_str(v);
    int64_t whole;
    double d;

    if (str_to_i64(s, &whole))
        json_put_i64(w, row->name, whole);
    else if (str_to_double(s, &d))
        json_put_double(w, row->name, d);
    else
        json_put_val(w, row->name, v);
}

static void put_number(struct json_writer *w, const struct prop *row, yyjson_val *v)
{
    if (yyjson_is_str(v) && (row->flags & P_LOOSE) && json_val_str(v).p[0] != '+')
        put_number_text(w, row, v);
    else
        json_put_val(w, row->name, v);
}

static void put_bool(struct json_writer *w, const struct prop *row, yyjson_val *v,
                     enum schema_mode mode)
{
    const struct str s = json_val_str(v);
    uint64_t n;

    if (mode == SCHEMA_CALL && (str_eq_z(s, "true") || str_eq_z(s, "false")))
        json_put_bool(w, row->name, s.n == 4);
    else if (mode == SCHEMA_CALL && str_to_u64(s, &n))
        json_put_bool(w, row->name, n != 0);
    else
        json_put_val(w, row->name, v);
}

static void put_known(struct json_writer *w, const struct prop *row, yyjson_val *v,
                      enum schema_mode mode)
{
    const struct str key = str_z(row->name);

    switch (row->type) {
    case P_TEXT:
    case P_ID:
    case P_WORD:
    case P_ENUM:
        if ((row->flags & P_STRIP) && yyjson_is_str(v))
            put_stripped(w, key, json_val_str(v));
        else if ((row->flags & P_LOOSE) && !yyjson_is_str(v) && !yyjson_is_null(v) &&
                 !yyjson_is_ctn(v))
            put_as_text(w, key, v);
        else
            json_put_val_k(w, key, v);
        return;
    case P_INT:
    case P_NUMBER:
        put_number(w, row, v);
        return;
    case P_BOOL:
        put_bool(w, row, v, mode);
        return;
    case P_ARRAY:
    case P_OBJECT:
    case P_JSON:
        json_put_val_k(w, key, v);
        return;
    }
}

/* With P_LOOSE a text may stand for a number; in an update "-1" is an increment and stays text. */
static void put_member(const struct prop *table, struct str name, yyjson_val *v,
                       enum schema_mode mode, struct json_writer *w)
{
    const struct prop *row = schema_find(table, name);
    const bool increment =
        mode == SCHEMA_UPDATE && yyjson_is_str(v) && str_starts(json_val_str(v), STR("-"));

    if (!row || (increment && (row->type == P_INT || row->type == P_NUMBER)))
        json_put_val_k(w, name, v);
    else if (!(row->flags & P_READONLY))
        put_known(w, row, v, mode);
}

static void put_defaults(const struct prop *table, yyjson_val *obj, const char *const *skip,
                         struct json_writer *w)
{
    for (const struct prop *row = table; row->name; row++) {
        if (row->def && !(row->flags & P_READONLY) && !is_named(skip, str_z(row->name)) &&
            !json_get(obj, row->name))
            json_put_raw(w, row->name, str_z(row->def));
    }
}

void schema_put(const struct prop *table, yyjson_val *obj, enum schema_mode mode,
                const char *const *skip, struct json_writer *w)
{
    yyjson_obj_iter it = yyjson_obj_iter_with(obj);
    struct json_keys keys;
    yyjson_val *key;

    if (!json_keys_init(&keys, obj)) {
        w->out->failed = true;
        return;
    }
    while ((key = yyjson_obj_iter_next(&it)) != NULL && !w->out->failed) {
        const struct str name = json_val_str(key);

        if (json_keys_find(&keys, name) == key && !is_named(skip, name))
            put_member(table, name, yyjson_obj_iter_get_val(key), mode, w);
    }
    json_keys_done(&keys);
    if (mode != SCHEMA_UPDATE)
        put_defaults(table, obj, skip, w);
}
