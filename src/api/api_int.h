/* The inside of the room: what the frame, the families and the pages share. */
#ifndef API_API_INT_H
#define API_API_INT_H

#include "api/api.h"
#include "auth/activity.h"
#include "base/list.h"
#include "base/map.h"

#define API_LATENCY_BUCKETS 16u

struct api_counter {
    uint64_t calls;
    uint64_t errors;
    uint64_t usec;
    uint64_t buckets[API_LATENCY_BUCKETS + 1]; /* the last: more */
};

struct api {
    struct api_world world;
    yyjson_doc *nothing;          /* {} */
    struct api_counter *counters; /* one a row, in the order of api_rows; then pages, then files */
    size_t n_rows;
    uint64_t refused; /* requests that never became a call */
    struct map waits; /* struct wait_queue by job id */
    size_t n_waiters;
    struct map doomed; /* Id of servers to be forgotten once offline */
};

/* ---- params.c: pure ---- */

/* A query string as an object: digits become numbers, but for "id"; the last of equal keys counts;
 * "cachebust" is gone. INVALID with more than API_PARAMS_MAX keys. */
Status api_query_object(struct arena *a, struct str query, yyjson_val **ret,
                        struct err *err) MUST_USE;
/* A form body: texts only. */
Status api_form_object(struct arena *a, struct str body, yyjson_val **ret,
                       struct err *err) MUST_USE;
/* One object of two, `top` wins; credentials and `skip` (may be NULL) are left out. Either as it is
 * when that is the same. */
Status api_merge(struct arena *a, yyjson_val *base, yyjson_val *top, const char *skip,
                 yyjson_val **ret, struct err *err) MUST_USE;
/* Text written by a function, as a value of the arena. */
Status api_parse_buf(struct arena *a, struct buf *text, yyjson_val **ret, struct err *err) MUST_USE;
/* "/api/SPACE/NAME[/vN][/...]". False when malformed. */
struct api_path {
    struct str space;
    struct str name;
    struct str rest;
    bool versioned;
    bool wait;
};
bool api_path_parse(struct str path, struct api_path *ret);
/* The HTTP status of an error code under /vN. */
int api_http_status(const char *code);
/* A parameter as text: that of a string, or of a number that a query made of it. */
struct str api_param_text(const struct api_call *c, const char *key);
/* JavaScript's == of two values (NULL: absent), or of a parameter and a member's raw JSON. */
bool api_loose_equal_val(yyjson_val *a, yyjson_val *b);
bool api_loose_equal(yyjson_val *want, struct str have);
/* An array of texts or a comma list, as strs of the arena. False: neither, or too many. */
bool api_word_list(struct arena *a, yyjson_val *v, size_t max, const struct str **ret,
                   size_t *ret_n);

/* ---- reply.c ---- */

void api_reply_text(struct api_call *c, int status, const char *text);
void api_reply_router_error(struct api_call *c, const char *what, struct str name);
void api_security_headers(struct http_request *r);
/* For callbacks of writes: {"code":0} or the family's error. */
void api_reply_status(struct api_call *c, const char *family_code, Status st,
                      const struct err *err);

/* A function named need answers whether to go on; when not, it has replied and the call is gone:
 * take what is wanted of it before. */

/* ---- access.c: restrictions of limited users (1.3) ---- */

bool api_is_limited(const struct api_call *c);
/* Replies "access" and returns false when not allowed. */
bool api_need_category(struct api_call *c, struct str category);
bool api_need_group(struct api_call *c, struct str group);
bool api_need_targets(struct api_call *c, yyjson_val *targets);
/* Category and targets, or the nodes of a workflow. */
bool api_need_event(struct api_call *c, yyjson_val *event);
bool api_event_visible(const struct api_call *c, yyjson_val *event);
bool api_job_visible(struct api_call *c, const struct job *j);
bool api_record_visible(const struct api_call *c, yyjson_val *record);
bool api_server_visible(const struct api_call *c, const struct fleet_server *s);

/* ---- others ---- */

/* wait.c */
void api_waits_free(struct api *a);
bool api_wait_room(const struct api *a);
void api_wait_for(struct api_call *c, const Id *job); /* replies when it has ended */

/* activity.c: adds a row about this call. */
void api_put_activity(const struct api_call *c, struct store_tx *tx, const char *action,
                      struct str description, struct str object, const struct auth_extra *extra,
                      size_t n_extra);
/* The same in a transaction of its own. */
void api_log_activity(const struct api_call *c, const char *action, struct str description,
                      struct str object, const struct auth_extra *extra, size_t n_extra);

/* defs.c: what the families of definitions have in common. */
void api_defs_list(struct api_call *c, enum def_kind k);
void api_defs_get(struct api_call *c, enum def_kind k);
void api_defs_create(struct api_call *c, enum def_kind k, yyjson_val *given);
void api_defs_update(struct api_call *c, enum def_kind k, yyjson_val *given);
void api_defs_delete(struct api_call *c, enum def_kind k);
void api_defs_multi_update(struct api_call *c, enum def_kind k);
/* The object of the id parameter, or NULL with the error replied ("notfound", or family_code). */
const struct def *api_need_def(struct api_call *c, enum def_kind k, const char *code);
/* A definition without its secrets, into the open object. */
void api_put_def(struct api_call *c, struct json_writer *w, const char *key, const struct def *def);
/* Answers of a change: with the object under its key, or bare. */
void api_def_changed(void *arg, Status st, const struct def *def, const struct err *err);

/* locked.c: reference 4.14. Writes an object of `given` with the plugin's locked parameters forced
 * to `original` (or their defaults where it has none). */
void api_put_locked(struct json_writer *w, const char *key, yyjson_val *definitions,
                    yyjson_val *given, yyjson_val *original);
bool api_has_locked(yyjson_val *definitions);

/* purge.c: deletes the jobs of an event in the background, in small steps. */
void api_purge_jobs(struct api *a, struct str event);
/* Adds the deletion of a finished job with its log and files. record may be NULL. */
void api_delete_record(struct store_tx *tx, struct str id, yyjson_val *record);

/* store_files.c */
enum api_place { API_PLACE_USER, API_PLACE_USER_RANDOM, API_PLACE_JOB };
struct api_stored {
    Id id;
    struct str filename; /* for people */
    struct str path;     /* of the blob */
    uint64_t size;
};
typedef void (*ApiStoredFn)(struct api_call *c, void *arg, const struct api_stored *files,
                            size_t n);
/* Moves the call's files into the store, rows and all; then fn. Replies an error by itself. */
void api_store_files(struct api_call *c, enum api_place place, struct str job, ApiStoredFn fn,
                     void *arg);
size_t api_file_count(const struct api_call *c);
void api_put_file(const struct api_call *c, struct json_writer *w, const struct api_stored *f);
/* pure: the last part of a path from a file name */
struct str api_file_name(struct arena *a, struct str filename, bool lower);

/* files.c: GET /files/... */
void api_serve_file(struct api_call *c, struct str path);

/* jobs.c */
extern const char *const api_job_big_keys[];
/* Category and targets of a job. False: replied. */
bool api_need_job(struct api_call *c, const struct job *j);
bool api_need_record(struct api_call *c, yyjson_val *record);
/* Reads the finished job of the id parameter; fn then asks api_found_record for it. */
void api_read_record(struct api_call *c, const char *code, StoreQueryFn fn);
/* The record that the caller may see, or NULL with the error replied. */
yyjson_val *api_found_record(struct api_call *c, const struct store_result *res, const char *code,
                             const char *text);

/* joblog.c */
void api_log_token(const struct api_world *w, struct str job, char out[23]);

/* metrics.c */
void api_count(struct api *a, size_t row, bool failed, Usec elapsed);
void api_health(struct api_call *c);
void api_metrics(struct api_call *c);
enum { API_COUNT_PAGES, API_COUNT_FILES, API_COUNT_EXTRA };

/* page.c: everything that is no call. */
void api_page(struct api_call *c, struct str path);

/* docs.c */
struct api_family {
    const char *name;
    const char *title;
    const char *doc;
    int kind; /* of the object whose properties belong to the page; -1: none */
};
extern const struct api_family api_families[];
const struct api_family *api_family_find(struct str name);
/* Has it any row? */
bool api_family_used(const struct api_family *f);
bool api_row_reads(const struct api_row *row);

/* rows.c */
size_t api_row_index(const struct api_row *row);
extern const struct api_row api_agent_rows[];
extern const struct api_row api_category_rows[];
extern const struct api_row api_event_rows[];
extern const struct api_row api_file_rows[];
extern const struct api_row api_group_rows[];
extern const struct api_row api_job_rows[];
extern const struct api_row api_job_change_rows[];
extern const struct api_row api_joblog_rows[];
extern const struct api_row api_key_rows[];
extern const struct api_row api_misc_rows[];
extern const struct api_row api_plugin_rows[];
extern const struct api_row api_run_rows[];
extern const struct api_row api_search_rows[];
extern const struct api_row api_server_rows[];
extern const struct api_row api_user_rows[];
extern const struct api_row api_tag_rows[];
extern const struct api_row api_channel_rows[];
extern const struct api_row api_web_hook_rows[];
extern const struct api_row api_monitor_rows[];
extern const struct api_row api_alert_rows[];
extern const struct api_row api_role_rows[];
extern const struct api_row api_admin_user_rows[];
extern const struct api_row api_bucket_rows[];
extern const struct api_row api_secret_rows[];
extern const struct api_row api_ticket_rows[];
extern const struct api_row api_admin_rows[];
extern const struct api_row api_avatar_rows[];

/* Parameter tables that several rows share. */
extern const struct prop api_in_id[];

#endif
