/* Writing JSON straight into a buf, no tree between. Commas are its business. Stored JSON text is
 * spliced raw. Errors stick in the buf (`failed`); depth is bounded by JSON_DEPTH_MAX + 8.
 *
 *     struct json_writer w = json_writer_init(&buf);
 *     json_obj(&w, NULL);
 *     json_put_str(&w, "id", id_str(&job->id));
 *     json_put_raw(&w, "event", stored_text);
 *     json_end(&w);
 */
#ifndef JSON_WRITER_H
#define JSON_WRITER_H

#include "base/buf.h"
#include "json/json.h"

struct json_writer {
    struct buf *out;
    uint8_t depth;
    uint8_t kind[JSON_DEPTH_MAX + 8]; /* '{' or '[' */
    uint8_t any[JSON_DEPTH_MAX + 8];  /* an element was written */
};

struct json_writer json_writer_init(struct buf *out);

/* key NULL: an array element or the root. */
void json_obj(struct json_writer *w, const char *key);
void json_arr(struct json_writer *w, const char *key);
void json_end(struct json_writer *w); /* closes whichever is open */

void json_put_str(struct json_writer *w, const char *key,
                  struct str s); /* bad UTF-8 becomes U+FFFD */
void json_put_z(struct json_writer *w, const char *key, const char *z); /* NULL: null */
void json_put_i64(struct json_writer *w, const char *key, int64_t v);
void json_put_u64(struct json_writer *w, const char *key, uint64_t v);
void json_put_double(struct json_writer *w, const char *key, double v); /* NaN, Inf: null; 5.0: 5 */
void json_put_bool(struct json_writer *w, const char *key, bool v);
void json_put_null(struct json_writer *w, const char *key);
void json_put_raw(struct json_writer *w, const char *key, struct str text); /* trusted JSON text */
void json_put_val(struct json_writer *w, const char *key, yyjson_val *v);   /* deep copy */
/* The same with a key that is not zero terminated. */
void json_put_val_k(struct json_writer *w, struct str key, yyjson_val *v);
void json_put_str_k(struct json_writer *w, struct str key, struct str s);
void json_obj_k(struct json_writer *w, struct str key);

/* Writes the members of obj into the open object, without the keys of `skip` (NULL-ended, may be
 * NULL). */
void json_put_members(struct json_writer *w, yyjson_val *obj, const char *const *skip);

/* Shallow merge as the reference does (api-objects.md 1.5): one whole object = old with the keys of
 * `changes` replaced or appended, keys of `skip` left as they are in old (not taken from changes).
 * A text "+N" or "-N" given for a stored number is added to it. Key order: old's, then new ones. */
void json_put_merged(struct json_writer *w, const char *key, yyjson_val *old, yyjson_val *changes,
                     const char *const *skip);

/* v as JSON text: compact, or tab-indented. Appends to out. */
Status json_text(yyjson_val *v, bool pretty, struct buf *out) MUST_USE;

#endif
