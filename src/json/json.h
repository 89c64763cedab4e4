/* Reading JSON. Values are yyjson's own; this adds the bounds and safe getters.
 *
 * Numbers keep their fidelity: integers outside int64/uint64 and doubles that would overflow stay
 * raw text (yyjson raw values) and are written back as they came. Invalid UTF-8, lone surrogates,
 * trailing text, comments, NaN are refused. Depth is counted before anything walks the tree. Of
 * equal keys in one object the first counts, for the getters here and for everything writer.h
 * copies, so that what was checked is what is stored.
 *
 * Owner: the doc belongs to the caller (json_doc_free); values are borrowed from it. */
#ifndef JSON_JSON_H
#define JSON_JSON_H

#include "base/arena.h"
#include "base/attr.h"
#include "base/status.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>
#include <yyjson.h>

#define JSON_DEPTH_MAX LIMIT(64, 6)        /* levels of [ and { */
#define JSON_SIZE_MAX  (64u * 1024 * 1024) /* default when the caller has no smaller bound */

/* Parses text (at most max_size bytes; TOO_BIG). INVALID with the position in it on bad JSON. */
Status json_parse(struct str text, size_t max_size, yyjson_doc **ret_doc, struct err *err) MUST_USE;
static inline void json_doc_free(yyjson_doc *doc)
{
    yyjson_doc_free(doc);
}
DEFINE_AUTO(yyjson_doc, json_doc_free);

/* Parses into the arena: nothing to free, goes with it. TOO_BIG also when the arena is full. */
Status json_parse_in(struct arena *a, struct str text, size_t max_size, yyjson_val **ret_root,
                     struct err *err) MUST_USE;

/* Getters. The value (or NULL) of a key; NULL when obj is no object. */
yyjson_val *json_get(yyjson_val *obj, const char *key);
yyjson_val *json_get_str(yyjson_val *obj, struct str key);
/* Dotted path: "a.b.0.c" (digits index arrays). */
yyjson_val *json_at(yyjson_val *root, const char *path);

/* Lenient readers: the default when absent or of another type. */
struct str json_str(yyjson_val *obj, const char *key);           /* STR_NONE */
int64_t json_i64(yyjson_val *obj, const char *key, int64_t def); /* doubles are floored, clamped */
bool json_val_double(yyjson_val *v, double *ret);                /* any number that fits a double */
bool json_val_i64(yyjson_val *v, int64_t *ret);                  /* any number, floored, clamped */
double json_double(yyjson_val *obj, const char *key, double def);
bool json_bool(yyjson_val *obj, const char *key, bool def);
bool json_truthy(yyjson_val *v); /* as JavaScript: not null false 0 NaN "" and present */

struct str json_val_str(yyjson_val *v); /* STR_NONE unless a string */
bool json_is_int(yyjson_val *v);        /* a number without a fraction, 5.0 included */

/* Strict readers: INVALID naming the path. */
Status json_need_str(yyjson_val *obj, const char *key, struct str *ret, struct err *err) MUST_USE;
Status json_need_i64(yyjson_val *obj, const char *key, int64_t *ret, struct err *err) MUST_USE;

/* Deep equality; object keys in any order; 1 equals 1.0. */
bool json_equal(yyjson_val *a, yyjson_val *b);

/* "string", "number", "boolean", "array", "object", "null" for messages. */
const char *json_type_name(yyjson_val *v);

#endif
