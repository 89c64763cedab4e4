/* Property tables. A table is an array of rows ended by one without a name. Checks run in the order
 * of the rows, each first for presence, then type, then value; the first failure is reported with
 * the property's path. Texts follow reference/api-operations.md 1.5 ("Missing parameter: K",
 * "Malformed parameter: K (must be ...)"), code INVALID, so that api/ answers code "api".
 *
 * A null counts as not given. So does an empty text for an optional P_ID, P_WORD or P_ENUM: that is
 * how forms leave a choice open. Read-only rows are not checked. What lies deeper than
 * SCHEMA_DEPTH_MAX tables is not looked at (a table may contain itself). */
#ifndef SCHEMA_SCHEMA_H
#define SCHEMA_SCHEMA_H

#include "base/buf.h"
#include "base/status.h"
#include "json/json.h"
#include "json/writer.h"

#include <stdbool.h>
#include <stdint.h>

enum prop_type {
    P_TEXT,   /* string, min..max characters of UTF-8 (max 0: PROP_TEXT_MAX); no NUL */
    P_ID,     /* string ^[a-z0-9_]+$, at most ID_MAX; `of` names the kind it refers to */
    P_WORD,   /* string ^\w+$ */
    P_INT,    /* number without a fraction, min..max (both 0: any; max < min: no upper end); in an
               * UPDATE also a text "+N" or "-N" (api-objects.md 1.5): check the merged one too */
    P_NUMBER, /* number, likewise */
    P_BOOL,   /* true, false, or a number; in a CALL also the texts "true" "false" and digits */
    P_ENUM,   /* string among `choices` (space separated) */
    P_ARRAY,  /* at most max elements (0: PROP_ARRAY_MAX); `items` checks object elements, else each
               * is of_type (P_TEXT when not said, P_JSON: anything) under the row's choices and
               * chars */
    P_OBJECT, /* `items` checks its members when given */
    P_JSON,   /* any value whose text is at most max bytes (0: PROP_JSON_MAX) */
};

#define PROP_TEXT_MAX    LIMIT(1024u * 1024, 64u)
#define PROP_ARRAY_MAX   LIMIT(10000u, 4u)
#define PROP_JSON_MAX    LIMIT(8u * 1024 * 1024, 256u)
#define SCHEMA_DEPTH_MAX LIMIT(8, 4)

enum prop_flag {
    P_REQUIRED = 1 << 0, /* missing, or a blank text: "Missing parameter: K" */
    P_READONLY = 1 << 1, /* set by the server; a caller's value is dropped silently */
    P_SECRET = 1 << 2,   /* never in replies or logs */
    P_LOOSE = 1 << 3,    /* a number or bool is taken as its text, a text as its number */
    P_STRIP = 1 << 4,    /* HTML tags are removed, not refused (notes, label, message) */
    P_NOTAGS = 1 << 5,   /* "<" or ">" is refused (title) */
    P_QUIET = 1 << 6,    /* not in docs */
};

enum prop_ui {
    UI_NONE,
    UI_LINE,
    UI_AREA,
    UI_CODE,
    UI_NUMBER,
    UI_CHECK,
    UI_SELECT,
    UI_PICK,
    UI_JSON
};

struct prop {
    const char *name;
    enum prop_type type;
    unsigned flags;
    int64_t min, max;
    const char *def;     /* JSON text of the default, NULL for none */
    const char *of;      /* kind an id refers to: "event", "category", ... */
    const char *choices; /* P_ENUM */
    const char *chars; /* P_TEXT: allowed characters as classes: "\\w", or any of "a-z0-9_-.:/+ " */
    enum prop_type of_type;   /* P_ARRAY of scalars */
    const struct prop *items; /* P_ARRAY of objects, P_OBJECT */
    enum prop_ui ui;
    const char *doc; /* a sentence with a full stop */
};

enum schema_mode {
    SCHEMA_CREATE, /* required ones must be there; defaults are filled in */
    SCHEMA_UPDATE, /* only what is given is checked; no defaults; a required `id` stays required */
    SCHEMA_CALL,   /* parameters of a call: as CREATE, unknown ones are ignored */
};

/* Checks obj (NULL or not an object counts as {}). */
Status schema_check(const struct prop *table, yyjson_val *obj, enum schema_mode mode,
                    struct err *err) MUST_USE;

/* The generic rules of reference/api-operations.md 1.5 on any parameter object: `id` is a string
 * (make one of a number from a query before), reserved words as id or key, title without <>, icon
 * characters. */
Status schema_check_generic(yyjson_val *obj, struct err *err) MUST_USE;
bool schema_is_reserved(struct str word);

/* Writes the members of obj into w's open object: read-only and `skip` keys dropped, stripped texts
 * stripped, loose values turned into their type, unknown keys kept (the reference keeps them), then
 * with CREATE and CALL the missing defaults (not of read-only rows: their writer is the server). */
void schema_put(const struct prop *table, yyjson_val *obj, enum schema_mode mode,
                const char *const *skip, struct json_writer *w);

const struct prop *schema_find(const struct prop *table, struct str name);

/* JSON Schema (2020-12) of the table as an object value under `key`. */
void schema_put_json_schema(const struct prop *table, enum schema_mode mode, struct json_writer *w,
                            const char *key);
/* Markdown table of the properties. */
Status schema_markdown(const struct prop *table, struct buf *out);

/* The self-test of a table (tests/unit/tables): names unique, docs end in a full stop, defaults
 * pass their own rule. INVALID with the row's name. */
Status schema_selftest(const struct prop *table, struct err *err) MUST_USE;

/* s without HTML tags ("a <b>c</b>" gives "a c"), also those that appear by taking out others. A
 * "<" that opens no tag stays ("a < b"). Appends to out. */
Status schema_strip_tags(struct str s, struct buf *out);

#endif
