/* Checking values against property tables.
 *
 * The one idea: one recursive walk that carries the path of the value at hand ("limits[2].amount")
 * and stops at the first failure. Arrays of scalars are checked by a row made up for their
 * elements, so there is one rule a type. Nothing is changed here; put.c writes what passed. */
#include "schema/schema.h"

#include "base/id.h"

#include <inttypes.h>
#include <stdio.h>

#define PATH_SIZE sizeof(((struct err *)NULL)->at)

struct check {
    enum schema_mode mode;
    int depth;
    struct err *err;
};

static Status check_table(struct check *c, const struct prop *table, yyjson_val *obj,
                          const char *path);
static Status check_value(struct check *c, const struct prop *row, yyjson_val *v, const char *path);

PRINTF_LIKE(3, 4)
static Status malformed(struct check *c, const char *path, const char *fmt, ...)
{
    char reason[256];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(reason, sizeof reason, fmt, ap);
    va_end(ap);
    return err_set(c->err, STATUS_INVALID, path, "Malformed parameter: %s (%s)", path, reason);
}

/* The text of v as the row takes it: its own, or with P_LOOSE that of a number or bool. */
static bool text_of(const struct prop *row, yyjson_val *v, struct buf *loose, struct str *ret)
{
    if (yyjson_is_str(v)) {
        *ret = json_val_str(v);
        return true;
    }
    if (!(row->flags & P_LOOSE) || yyjson_is_ctn(v) || yyjson_is_null(v))
        return false;
    if (json_text(v, false, loose))
        return false;
    *ret = buf_str(loose);
    return true;
}

static bool is_word_char(char c)
{
    return str_is_word(str_n(&c, 1));
}

/* c is among the classes: "\w", "\d", "\s", ranges of letters or digits, single characters. */
static bool in_classes(const char *classes, char c)
{
    for (const char *p = classes; *p; p++) {
        if (*p == '\\' && p[1]) {
            p++;
            if ((*p == 'w' && is_word_char(c)) || (*p == 'd' && c >= '0' && c <= '9') ||
                (*p == 's' && strchr(" \t\n\r\f\v", c)))
                return true;
            if (*p != 'w' && *p != 'd' && *p != 's' && *p == c)
                return true;
            continue;
        }
        /* a minus makes a range only between two letters or digits: "_-." means three characters */
        if (p[1] == '-' && p[2] && is_word_char(*p) && is_word_char(p[2]) && *p < p[2]) {
            if (c >= *p && c <= p[2])
                return true;
            p += 2;
            continue;
        }
        if (*p == c)
            return true;
    }
    return false;
}

static size_t count_characters(struct str s)
{
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++)
        n += ((unsigned char)s.p[i] & 0xC0) != 0x80;
    return n;
}

static Status check_text(struct check *c, const struct prop *row, struct str s, const char *path)
{
    const int64_t max = row->max > 0 ? row->max : (int64_t)PROP_TEXT_MAX;
    const size_t n = count_characters(s);

    if (n > (size_t)max)
        return malformed(c, path, "must have at most %" PRId64 " characters", max);
    if (row->min > 0 && n < (size_t)row->min)
        return malformed(c, path, "must have at least %" PRId64 " characters", row->min);
    if (str_find_char(s, '\0') != s.n)
        return malformed(c, path, "must not contain a zero character");
    if ((row->flags & P_NOTAGS) && (str_find_char(s, '<') != s.n || str_find_char(s, '>') != s.n))
        return malformed(c, path, "must not contain < or >");
    for (size_t i = 0; row->chars && i < s.n; i++) {
        if (!in_classes(row->chars, s.p[i]))
            return malformed(c, path, "only the characters %s are allowed", row->chars);
    }
    return STATUS_OK;
}

static Status check_choice(struct check *c, const struct prop *row, struct str s, const char *path)
{
    struct str rest = str_z(row->choices), choice;

    while (str_split(&rest, ' ', &choice)) {
        if (choice.n && str_eq(choice, s))
            return STATUS_OK;
    }
    return malformed(c, path, "must be one of: %s", row->choices ? row->choices : "");
}

static Status check_texty(struct check *c, const struct prop *row, yyjson_val *v, const char *path)
{
    AUTO_BUF struct buf loose = { .max = 64 };
    struct str s;

    if (!text_of(row, v, &loose, &s))
        return malformed(c, path, "must be a string");
    if (str_trim(s).n == 0 && (row->flags & P_REQUIRED))
        return err_set(c->err, STATUS_INVALID, path, "Missing parameter: %s", path);
    if (s.n == 0 && row->type != P_TEXT)
        return STATUS_OK;
    if (row->type == P_TEXT)
        return check_text(c, row, s, path);
    if (row->type == P_ENUM)
        return check_choice(c, row, s, path);
    if (s.n > ID_MAX)
        return malformed(c, path, "must have at most %d characters", ID_MAX);
    if (row->type == P_WORD)
        return str_is_word(s) ? STATUS_OK
                              : malformed(c, path, "only letters, digits and _ are allowed");
    return str_is_id(s) ? STATUS_OK
                        : malformed(c, path, "only lower-case letters, digits and _ are allowed");
}

/* "+2", "-0.5": adds to the stored number. */
static bool is_increment(struct str s)
{
    double step;

    return s.n > 1 && (s.p[0] == '+' || s.p[0] == '-') && s.p[1] != '-' &&
           str_find_char(s, 'e') == s.n && str_find_char(s, 'E') == s.n &&
           str_to_double(str_slice(s, 1, s.n), &step);
}

static Status bad_number(struct check *c, const struct prop *row, const char *path)
{
    const char *what = row->type == P_INT ? "a whole number" : "a number";

    if (row->min == 0 && row->max == 0)
        return malformed(c, path, "must be %s", what);
    if (row->max < row->min || row->max == INT64_MAX)
        return malformed(c, path, "must be %s, at least %" PRId64, what, row->min);
    return malformed(c, path, "must be %s from %" PRId64 " to %" PRId64, what, row->min, row->max);
}

static Status check_number(struct check *c, const struct prop *row, yyjson_val *v, const char *path)
{
    const struct str s = json_val_str(v);
    double d;

    if (yyjson_is_str(v)) {
        if (c->mode == SCHEMA_UPDATE && is_increment(s))
            return STATUS_OK;
        if (!(row->flags & P_LOOSE) || !str_to_double(s, &d))
            return bad_number(c, row, path);
    } else if (!json_val_double(v, &d)) {
        return bad_number(c, row, path);
    }
    if (row->type == P_INT && (d >= 0x1p63 || d < -0x1p63 || (double)(int64_t)d != d))
        return bad_number(c, row, path);
    if (row->min == 0 && row->max == 0)
        return STATUS_OK;
    if (d < (double)row->min || (row->max >= row->min && d > (double)row->max))
        return bad_number(c, row, path);
    return STATUS_OK;
}

static Status check_bool(struct check *c, yyjson_val *v, const char *path)
{
    const struct str s = json_val_str(v);
    uint64_t n;
    double d;

    if (yyjson_is_bool(v) || json_val_double(v, &d))
        return STATUS_OK;
    if (c->mode == SCHEMA_CALL && yyjson_is_str(v) &&
        (str_eq_z(s, "true") || str_eq_z(s, "false") || str_to_u64(s, &n)))
        return STATUS_OK;
    return malformed(c, path, "must be true or false");
}

static Status check_array(struct check *c, const struct prop *row, yyjson_val *v, const char *path)
{
    const uint64_t max = row->max > 0 ? (uint64_t)row->max : PROP_ARRAY_MAX;
    const struct prop element = {
        .name = row->name,
        .type = row->items ? P_OBJECT : row->of_type,
        .flags = row->flags & (P_LOOSE | P_NOTAGS),
        .choices = row->choices,
        .chars = row->chars,
        .items = row->items,
    };
    yyjson_arr_iter it = yyjson_arr_iter_with(v);
    yyjson_val *each;
    Status st = STATUS_OK;

    if (!yyjson_is_arr(v))
        return malformed(c, path, "must be an array");
    if (yyjson_arr_size(v) > max)
        return malformed(c, path, "must have at most %" PRIu64 " elements", max);
    if (row->min > 0 && yyjson_arr_size(v) < (uint64_t)row->min)
        return malformed(c, path, "must have at least %" PRId64 " elements", row->min);
    for (size_t i = 0; !st && (each = yyjson_arr_iter_next(&it)) != NULL; i++) {
        char inner[PATH_SIZE];

        (void)snprintf(inner, sizeof inner, "%s[%zu]", path, i);
        st = check_value(c, &element, each, inner);
    }
    return st;
}

static Status check_object(struct check *c, const struct prop *row, yyjson_val *v, const char *path)
{
    const enum schema_mode mode = c->mode;
    Status st = STATUS_OK;

    if (!yyjson_is_obj(v))
        return malformed(c, path, "must be an object");
    if (!row->items || c->depth >= SCHEMA_DEPTH_MAX)
        return STATUS_OK;
    /* what lies inside is replaced whole (api-objects.md 1.5), so it must be complete */
    if (mode == SCHEMA_UPDATE)
        c->mode = SCHEMA_CREATE;
    c->depth++;
    st = check_table(c, row->items, v, path);
    c->depth--;
    c->mode = mode;
    return st;
}

static Status check_json(struct check *c, const struct prop *row, yyjson_val *v, const char *path)
{
    const size_t max = row->max > 0 ? (size_t)row->max : PROP_JSON_MAX;
    AUTO_BUF struct buf text = { .max = max };

    if (json_text(v, false, &text))
        return malformed(c, path, "must have at most %zu bytes", max);
    return STATUS_OK;
}

static Status check_value(struct check *c, const struct prop *row, yyjson_val *v, const char *path)
{
    switch (row->type) {
    case P_TEXT:
    case P_ID:
    case P_WORD:
    case P_ENUM:
        return check_texty(c, row, v, path);
    case P_INT:
    case P_NUMBER:
        return check_number(c, row, v, path);
    case P_BOOL:
        return check_bool(c, v, path);
    case P_ARRAY:
        return check_array(c, row, v, path);
    case P_OBJECT:
        return check_object(c, row, v, path);
    case P_JSON:
        return check_json(c, row, v, path);
    }
    return malformed(c, path, "unknown type");
}

/* A required row that is not given: fatal, but for an update, which needs only its id. */
static bool is_missing(const struct check *c, const struct prop *row, const yyjson_val *v)
{
    if (!(row->flags & P_REQUIRED))
        return false;
    return v || c->mode != SCHEMA_UPDATE || strcmp(row->name, "id") == 0;
}

static Status check_table(struct check *c, const struct prop *table, yyjson_val *obj,
                          const char *path)
{
    for (const struct prop *row = table; row->name; row++) {
        yyjson_val *v = json_get(obj, row->name);
        char inner[PATH_SIZE];
        Status st = STATUS_OK;

        if (row->flags & P_READONLY)
            continue;
        (void)snprintf(inner, sizeof inner, "%s%s%s", path, *path ? "." : "", row->name);
        if (v && !yyjson_is_null(v))
            st = check_value(c, row, v, inner);
        else if (is_missing(c, row, v))
            st = err_set(c->err, STATUS_INVALID, inner, "Missing parameter: %s", inner);
        if (st)
            return st;
    }
    return STATUS_OK;
}

Status schema_check(const struct prop *table, yyjson_val *obj, enum schema_mode mode,
                    struct err *err)
{
    struct check c = { .mode = mode, .err = err };

    return check_table(&c, table, obj, "");
}

bool schema_is_reserved(struct str word)
{
    static const char *const words[] = {
        "constructor",
        "__defineGetter__",
        "__defineSetter__",
        "hasOwnProperty",
        "__lookupGetter__",
        "__lookupSetter__",
        "isPrototypeOf",
        "propertyIsEnumerable",
        "toString",
        "valueOf",
        "__proto__",
        "toLocaleString",
        "0",
    };

    for (size_t i = 0; i < COUNT_OF(words); i++) {
        if (str_eq_z(word, words[i]))
            return true;
    }
    return false;
}

static bool is_icon(yyjson_val *v)
{
    const struct str s = json_val_str(v);

    for (size_t i = 0; i < s.n; i++) {
        if (!is_word_char(s.p[i]) && s.p[i] != '-')
            return false;
    }
    return !yyjson_is_ctn(v);
}

Status schema_check_generic(yyjson_val *obj, struct err *err)
{
    yyjson_val *id = json_get(obj, "id"), *key;
    const struct str title = json_str(obj, "title");
    yyjson_obj_iter it = yyjson_obj_iter_with(obj);

    if (id && !yyjson_is_str(id))
        return err_set(err, STATUS_INVALID, "id", "Malformed parameter: id (must be a string)");
    if (schema_is_reserved(json_val_str(id)))
        return err_set(err, STATUS_INVALID, "id", "Malformed parameter: id (reserved word)");
    while ((key = yyjson_obj_iter_next(&it)) != NULL) {
        const struct str name = json_val_str(key);

        if (schema_is_reserved(name))
            return err_set(err, STATUS_INVALID, NULL, "Malformed parameter: %.*s (illegal key)",
                           STR_FMT(name));
    }
    if (str_find_char(title, '<') != title.n || str_find_char(title, '>') != title.n)
        return err_set(err, STATUS_INVALID, "title",
                       "Malformed title parameter (must not contain < or >)");
    if (!is_icon(json_get(obj, "icon")))
        return err_set(err, STATUS_INVALID, "icon",
                       "Malformed icon parameter (only letters, digits, _ and - are allowed)");
    return STATUS_OK;
}

const struct prop *schema_find(const struct prop *table, struct str name)
{
    for (const struct prop *row = table; row->name; row++) {
        if (str_eq_z(name, row->name))
            return row;
    }
    return NULL;
}
