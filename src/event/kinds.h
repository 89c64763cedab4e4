/* The kinds of definitions: their property tables and what is checked beyond the tables. A row of a
 * table is everything there is to know about a property (schema/schema.h). */
#ifndef EVENT_KINDS_H
#define EVENT_KINDS_H

#include "event/defs.h"

#define DEF_TITLE_MAX  LIMIT(256, 64)
#define DEF_NOTES_MAX  LIMIT(65536, 1024)
#define DEF_TEXT_MAX   LIMIT(1024, 128) /* one line: expression, host pattern, path */
#define DEF_SCRIPT_MAX LIMIT(1024 * 1024, 2048)
#define DEF_LIST_MAX   LIMIT(1000, 16)  /* targets, limits, actions, triggers, fields ... */
#define DEF_REGEX_MAX  LIMIT(4096, 256) /* of a parameter definition */

extern const struct prop event_props[];
extern const struct prop category_props[];
extern const struct prop plugin_props[];
extern const struct prop group_props[];
extern const struct prop role_props[];
extern const struct prop api_key_props[];
extern const struct prop user_props[];
extern const struct prop tag_props[];
extern const struct prop channel_props[];
extern const struct prop web_hook_props[];
extern const struct prop monitor_props[];
extern const struct prop alert_props[];
extern const struct prop bucket_props[];
extern const struct prop secret_props[];

/* The kind whose name it is; false when there is none. */
bool def_kind_find(struct str name, enum def_kind *ret);

/* Keys of a caller's object that are never taken (NULL-ended): those the server sets, the fixed
 * ones, and what the kind forbids. stored: the object before an update, NULL at create. */
#define DEF_SKIP_MAX 24
void def_skip_keys(enum def_kind k, yyjson_val *stored, yyjson_val *given,
                   const char *ret_keys[DEF_SKIP_MAX + 1]);
/* Members that a kind forces (a workflow's plugin and targets), written into the open object. */
void def_put_forced(enum def_kind k, yyjson_val *stored, yyjson_val *given, struct json_writer *w);

/* Have objects of the kind a place in their list (sort_order)? */
bool def_is_sorted(enum def_kind k);
/* Is it an event of type "workflow"? */
bool def_is_workflow(yyjson_val *event);

/* Checks beyond the tables (def_kind_row.check). */
Status event_check(struct arena *a, const struct defs *d, yyjson_val *merged, yyjson_val *given,
                   enum schema_mode mode, struct err *err) MUST_USE;
Status category_check(struct arena *a, const struct defs *d, yyjson_val *merged, yyjson_val *given,
                      enum schema_mode mode, struct err *err) MUST_USE;
Status plugin_check(struct arena *a, const struct defs *d, yyjson_val *merged, yyjson_val *given,
                    enum schema_mode mode, struct err *err) MUST_USE;
Status group_check(struct arena *a, const struct defs *d, yyjson_val *merged, yyjson_val *given,
                   enum schema_mode mode, struct err *err) MUST_USE;

/* Arrays of objects with `enabled` and a known `type` (reference/api-operations.md 4.10, 4.11).
 * `what` is the word of the message: "limit", "action", "trigger"; at: the path. */
Status entries_check(yyjson_val *list, const char *what, const char *at, const char *const *types,
                     struct err *err) MUST_USE;
/* Is the word in the NULL-ended list? */
bool def_word_among(struct str word, const char *const *words);
extern const char *const limit_types[];
extern const char *const action_types[];
extern const char *const trigger_types[];

#endif
