/* What a table says, for others: JSON Schema, Markdown, and whether the table itself is sound.
 *
 * The one idea: everything is drawn from the rows, so a new property documents itself. Rows marked
 * P_QUIET stay out. Nested tables are followed SCHEMA_DEPTH_MAX deep, which also ends a table that
 * contains itself. */
#include "schema/schema.h"

#include "base/id.h"

#include <stdio.h>

static void put_table(struct json_writer *w, const struct prop *table, enum schema_mode mode,
                      const char *key, int depth);
static void put_row_rules(struct json_writer *w, const struct prop *row, enum schema_mode mode,
                          int depth);

static void put_string_rules(struct json_writer *w, const struct prop *row)
{
    json_put_z(w, "type", "string");
    if (row->min > 0)
        json_put_i64(w, "minLength", row->min);
    json_put_i64(w, "maxLength", row->max > 0 ? row->max : (int64_t)PROP_TEXT_MAX);
}

static void put_id_rules(struct json_writer *w, const char *pattern)
{
    json_put_z(w, "type", "string");
    json_put_z(w, "pattern", pattern);
    json_put_i64(w, "maxLength", ID_MAX);
}

static void put_number_rules(struct json_writer *w, const struct prop *row)
{
    json_put_z(w, "type", row->type == P_INT ? "integer" : "number");
    if (row->min == 0 && row->max == 0)
        return;
    json_put_i64(w, "minimum", row->min);
    if (row->max >= row->min && row->max != INT64_MAX)
        json_put_i64(w, "maximum", row->max);
}

static void put_enum_rules(struct json_writer *w, const struct prop *row)
{
    struct str rest = str_z(row->choices), choice;

    json_put_z(w, "type", "string");
    json_arr(w, "enum");
    while (str_split(&rest, ' ', &choice)) {
        if (choice.n)
            json_put_str(w, NULL, choice);
    }
    json_end(w);
}

static void put_array_rules(struct json_writer *w, const struct prop *row, enum schema_mode mode,
                            int depth)
{
    const struct prop element = { .type = row->of_type, .choices = row->choices };

    json_put_z(w, "type", "array");
    if (row->min > 0)
        json_put_i64(w, "minItems", row->min);
    json_put_i64(w, "maxItems", row->max > 0 ? row->max : (int64_t)PROP_ARRAY_MAX);
    if (row->items) {
        put_table(w, row->items, mode, "items", depth + 1);
        return;
    }
    json_obj(w, "items");
    put_row_rules(w, &element, mode, depth + 1);
    json_end(w);
}

static void put_row_rules(struct json_writer *w, const struct prop *row, enum schema_mode mode,
                          int depth)
{
    switch (row->type) {
    case P_TEXT:
        put_string_rules(w, row);
        return;
    case P_ID:
        put_id_rules(w, "^[a-z0-9_]+$");
        return;
    case P_WORD:
        put_id_rules(w, "^\\w+$");
        return;
    case P_INT:
    case P_NUMBER:
        put_number_rules(w, row);
        return;
    case P_BOOL:
        json_put_z(w, "type", "boolean");
        return;
    case P_ENUM:
        put_enum_rules(w, row);
        return;
    case P_ARRAY:
        put_array_rules(w, row, mode, depth);
        return;
    case P_OBJECT:
        if (!row->items || depth >= SCHEMA_DEPTH_MAX)
            json_put_z(w, "type", "object");
        return;
    case P_JSON:
        return; /* anything */
    }
}

/* The members "type", "properties" and "required" of a table. */
static void put_table_rules(struct json_writer *w, const struct prop *table, enum schema_mode mode,
                            int depth);

static void put_row(struct json_writer *w, const struct prop *row, enum schema_mode mode, int depth)
{
    json_obj(w, row->name);
    put_row_rules(w, row, mode, depth);
    if (row->type == P_OBJECT && row->items && depth < SCHEMA_DEPTH_MAX)
        put_table_rules(w, row->items, mode, depth + 1);
    if (row->doc)
        json_put_z(w, "description", row->doc);
    if (row->def)
        json_put_raw(w, "default", str_z(row->def));
    if (row->flags & P_READONLY)
        json_put_bool(w, "readOnly", true);
    if (row->flags & P_SECRET)
        json_put_bool(w, "writeOnly", true);
    json_end(w);
}

static bool is_needed(const struct prop *row, enum schema_mode mode)
{
    return (row->flags & P_REQUIRED) && !(row->flags & (P_READONLY | P_QUIET)) &&
           (mode != SCHEMA_UPDATE || strcmp(row->name, "id") == 0);
}

static void put_table_rules(struct json_writer *w, const struct prop *table, enum schema_mode mode,
                            int depth)
{
    /* inside, an update needs everything: parts are replaced whole */
    const enum schema_mode inner = mode == SCHEMA_UPDATE ? SCHEMA_CREATE : mode;
    bool any = false;

    json_put_z(w, "type", "object");
    json_obj(w, "properties");
    for (const struct prop *row = table; row->name; row++) {
        if (!(row->flags & P_QUIET))
            put_row(w, row, inner, depth);
        any = any || is_needed(row, mode);
    }
    json_end(w);
    if (!any)
        return;
    json_arr(w, "required");
    for (const struct prop *row = table; row->name; row++) {
        if (is_needed(row, mode))
            json_put_z(w, NULL, row->name);
    }
    json_end(w);
}

static void put_table(struct json_writer *w, const struct prop *table, enum schema_mode mode,
                      const char *key, int depth)
{
    json_obj(w, key);
    if (depth >= SCHEMA_DEPTH_MAX)
        json_put_z(w, "type", "object");
    else
        put_table_rules(w, table, mode, depth);
    json_end(w);
}

void schema_put_json_schema(const struct prop *table, enum schema_mode mode, struct json_writer *w,
                            const char *key)
{
    put_table(w, table, mode, key, 0);
}

static const char *type_word(enum prop_type type)
{
    switch (type) {
    case P_TEXT:
        return "text";
    case P_ID:
        return "id";
    case P_WORD:
        return "word";
    case P_INT:
        return "whole number";
    case P_NUMBER:
        return "number";
    case P_BOOL:
        return "boolean";
    case P_ENUM:
        return "choice";
    case P_ARRAY:
        return "array";
    case P_OBJECT:
        return "object";
    case P_JSON:
        return "any";
    }
    return "any";
}

/* Cell text: a bar would end the cell, a line break the table. */
static void put_cell(struct buf *out, const char *text)
{
    for (; text && *text; text++) {
        if (*text == '|')
            (void)buf_add_char(out, '\\');
        (void)buf_add_char(out, *text == '\n' ? ' ' : *text);
    }
}

static void put_type_cell(struct buf *out, const struct prop *row)
{
    struct str rest = str_z(row->choices), choice;
    const char *between = ": ";

    (void)buf_add_z(out, type_word(row->type));
    if (row->type == P_ARRAY)
        (void)buf_printf(out, " of %s", row->items ? "objects" : type_word(row->of_type));
    if (row->of)
        (void)buf_printf(out, " (%s)", row->of);
    while (str_split(&rest, ' ', &choice)) {
        if (choice.n)
            (void)buf_printf(out, "%s`%.*s`", between, STR_FMT(choice));
        between = ", ";
    }
    if ((row->type != P_INT && row->type != P_NUMBER) || (row->min == 0 && row->max == 0))
        return;
    if (row->max < row->min || row->max == INT64_MAX)
        (void)buf_printf(out, ", at least %lld", (long long)row->min);
    else
        (void)buf_printf(out, ", %lld to %lld", (long long)row->min, (long long)row->max);
}

static void markdown_rows(const struct prop *table, struct str path, struct buf *out, int depth)
{
    for (const struct prop *row = table; row->name; row++) {
        char inner[256];

        if (row->flags & P_QUIET)
            continue;
        (void)buf_printf(out, "| `%.*s%s` | ", STR_FMT(path), row->name);
        put_type_cell(out, row);
        (void)buf_printf(out, " | %s | ",
                         row->flags & P_READONLY   ? "read-only"
                         : row->flags & P_REQUIRED ? "required"
                                                   : "");
        if (row->def) {
            (void)buf_add_char(out, '`');
            put_cell(out, row->def);
            (void)buf_add_char(out, '`');
        }
        (void)buf_add_z(out, " | ");
        put_cell(out, row->doc);
        (void)buf_add_z(out, " |\n");
        if (!row->items || depth >= SCHEMA_DEPTH_MAX)
            continue;
        (void)snprintf(inner, sizeof inner, "%.*s%s%s", STR_FMT(path), row->name,
                       row->type == P_ARRAY ? "[]." : ".");
        markdown_rows(row->items, str_z(inner), out, depth + 1);
    }
}

Status schema_markdown(const struct prop *table, struct buf *out)
{
    (void)buf_add_z(out, "| Name | Type | | Default | Meaning |\n|---|---|---|---|---|\n");
    markdown_rows(table, STR_NONE, out, 0);
    return out->failed ? STATUS_FULL : STATUS_OK;
}

/* The default of a row under the row's own rule. */
static Status check_default(const struct prop *row, struct err *err)
{
    AUTO(json_doc_free) yyjson_doc *doc = NULL;
    AUTO_BUF struct buf text = { .max = PROP_JSON_MAX };
    struct prop alone[2] = { *row, { 0 } };
    Status st;

    alone[0].flags &= ~(unsigned)(P_READONLY | P_REQUIRED);
    if (buf_printf(&text, "{\"%s\":%s}", row->name, row->def))
        return err_set(err, STATUS_INVALID, row->name, "%s: default is too long", row->name);
    st = json_parse(buf_str(&text), JSON_SIZE_MAX, &doc, err);
    if (!st)
        st = schema_check(alone, yyjson_doc_get_root(doc), SCHEMA_CREATE, err);
    if (st && err)
        (void)err_wrap(err, "%s: bad default", row->name);
    return st;
}

static Status check_row(const struct prop *table, const struct prop *row, struct err *err)
{
    const size_t n = row->doc ? strlen(row->doc) : 0;

    if (!str_is_word(str_z(row->name)))
        return err_set(err, STATUS_INVALID, row->name, "%s: not a name", row->name);
    if (schema_find(table, str_z(row->name)) != row)
        return err_set(err, STATUS_INVALID, row->name, "%s: twice in the table", row->name);
    if (n < 2 || row->doc[n - 1] != '.')
        return err_set(err, STATUS_INVALID, row->name, "%s: doc does not end in a full stop",
                       row->name);
    if (row->type == P_ENUM && str_trim(str_z(row->choices)).n == 0)
        return err_set(err, STATUS_INVALID, row->name, "%s: no choices", row->name);
    if (row->items && row->type != P_ARRAY && row->type != P_OBJECT)
        return err_set(err, STATUS_INVALID, row->name, "%s: items of a scalar", row->name);
    return row->def ? check_default(row, err) : STATUS_OK;
}

static Status selftest(const struct prop *table, int depth, struct err *err)
{
    Status st = STATUS_OK;

    for (const struct prop *row = table; row->name && !st; row++) {
        st = check_row(table, row, err);
        if (!st && row->items && depth < SCHEMA_DEPTH_MAX) {
            st = selftest(row->items, depth + 1, err);
            if (st)
                (void)err_wrap(err, "%s", row->name);
        }
    }
    return st;
}

Status schema_selftest(const struct prop *table, struct err *err)
{
    return selftest(table, 0, err);
}
