/* The API frame. One row a call; from it: dispatch, authentication, privilege, parameter check,
 * counters, docs/api, openapi.json, CLI. Handlers are thin: they call a room and reply.
 *
 * Order of checks (ours; the reference validates before it authenticates, see
 * docs/compatibility.md): URL -> name -> body read and parsed -> credentials taken out ->
 * authentication -> privilege -> generic rules (reserved words, id, title, icon) -> property table
 * of the row -> handler.
 *
 * Envelope and HTTP status: reference/api-operations.md 1.4. */
#ifndef API_API_H
#define API_API_H

#include "auth/auth.h"
#include "base/buf.h"
#include "fleet/fleet.h"
#include "http/multipart.h"
#include "http/server.h"
#include "job/job.h"
#include "live/live.h"
#include "mail/mail.h"
#include "store/blob.h"

#define API_BODY_MAX                                                                               \
    LIMIT(64u * 1024 * 1024, 64u * 1024)  /* JSON or form bodies; files: http_limits */
#define API_PARAMS_MAX  LIMIT(1000u, 32u) /* keys of a query or form */
#define API_REPLY_MAX   LIMIT(512u * 1024 * 1024, 4u * 1024 * 1024) /* bytes of one JSON reply */
#define API_WAITERS_MAX LIMIT(200u, 2u)   /* run_event/wait at the same time */
#define API_IDS_MAX     LIMIT(10000u, 8u) /* of get_jobs */
#define API_TAIL_MAX    1048576           /* bytes of tail_live_job_log */

struct api;
struct api_call;

enum api_flag {
    API_BODY_ONLY = 1 << 0, /* the query string is not merged */
    API_QUERY_ONLY = 1 << 1,
    API_BODY_WINS = 1 << 2, /* run_event: the body wins over the query */
    API_FILES = 1 << 3,     /* multipart files are taken (stored in the temp folder, handed over) */
    API_STREAMS = 1 << 4,   /* answers with something else than the JSON envelope */
    API_USER_SPACE = 1 << 5, /* /api/user/NAME: sessions only, errors with HTTP 200 */
    API_NO_CHECK = 1 << 6,  /* handler authenticates by itself (tokens of satellites, log tokens) */
    API_BIG_FILES = 1 << 7, /* with API_FILES: multipart up to upload_max, else API_BODY_MAX */
};

/* What a caller who is limited to some categories or groups may do with a row
 * (reference/api-operations.md 1.3, api-objects.md 1.8). The handler sees to it; the row tells,
 * and tests/api/rights.test.ts holds every row to it. */
enum api_limit {
    API_LIMIT_NONE,      /* nothing in it that limits speak of */
    API_LIMIT_FILTERED,  /* a list: shows what the caller may see */
    API_LIMIT_CATEGORY,  /* the category named */
    API_LIMIT_GROUP,     /* the group named */
    API_LIMIT_EVENT,     /* category and targets of the event named */
    API_LIMIT_JOB,       /* category and groups of the job named */
    API_LIMIT_SERVER,    /* groups of the server named */
    API_LIMIT_TICKET,    /* category of the ticket named */
    API_LIMIT_ALERT,     /* groups of the alert invocation named */
    API_LIMIT_UNLIMITED, /* callers with a limit of its kind are refused */
};

/* The head of a row. Who may call it, and within which limits, are arguments: a row without a rule
 * does not compile. */
#define API_ROW(name_, family_, priv_, limit_)                                                     \
    .name = (name_), .family = (family_), .priv = PRIV_##priv_, .limit = API_LIMIT_##limit_

struct api_row {
    const char *name;   /* "get_event" */
    const char *family; /* "events": one page of docs/api */
    enum privilege priv;
    enum api_limit limit;
    unsigned flags;
    const struct prop *in; /* NULL: no parameters */
    const char *out;       /* keys of a good reply besides code: "event, jobs, queued" */
    const char *errors;    /* "api notfound access" */
    const char *example;   /* JSON body that a test sends, or NULL */
    const char *doc;       /* a sentence with a full stop */
    void (*fn)(struct api_call *c);
};

/* What handlers may use; filled in by conductor/. */
struct api_world {
    struct loop *loop;
    struct store *store;
    struct defs *defs;
    struct auth *auth;
    struct fleet *fleet;
    struct job_room *jobs;
    struct live *live;
    struct mail *mail;
    struct id_source *ids;
    const struct secret *secret_key;
    const char *host_id;  /* the conductor's name */
    const char *base_url; /* base_app_url */
    const char *log_dir;  /* live job logs: LOG_DIR/jobs/ID.log */
    uint64_t upload_max;
    Usec started;
    bool (*ready)(void *ctx, struct buf *ret_reasons); /* for /health: one reason a line */
    /* A finished job's row with its columns. */
    void (*put_record)(struct store_tx *tx, struct str id, struct str record);
    /* A final result of a job that is not live; an empty server: the peer did not say which it is.
     */
    void (*late_result)(void *ctx, const Id *server, bool exact, struct str id, yyjson_val *update);
    void (*put_metrics)(void *ctx, struct buf *out); /* more lines for /metrics; may be NULL */
    void *ctx;
};

struct api_call {
    struct api *api;
    const struct api_world *world;
    struct http_request *req;
    const struct api_row *row;
    struct arena *arena;   /* the request's */
    yyjson_val *params;    /* merged object, credentials removed; never NULL */
    yyjson_val *query;     /* the query string alone */
    yyjson_val *body;      /* the body alone, credentials and all */
    struct auth_user user; /* empty for PUBLIC rows */
    const struct multipart_form
        *files;                    /* API_FILES; NULL: none. What is left there goes at the end */
    bool *adopted;                 /* one a part of files: it was moved into the store */
    struct auth_credentials creds; /* as shown; for the account calls */
    bool versioned;                /* URL has /vN: errors carry their HTTP status */
    bool wait;                     /* URL has the path word "wait" */
    bool pretty;                   /* query pretty=1 */
    bool checked;                  /* user is filled in */
    bool failed;                   /* an error was replied */
    struct str rest;               /* of the path, after NAME: "v1/wait" */
    Usec now;
    Usec begin; /* monotonic, for the counters */
};

Status api_new(const struct api_world *world, struct api **ret, struct err *err) MUST_USE;
void api_free(struct api *a);
/* The HTTP server's on_request: everything but WebSocket upgrades (conductor/ takes those first).
 */
void api_handle(struct api *a, struct http_request *r);
void api_done(struct api *a, const struct http_request *r, int status, uint64_t bytes_out,
              Usec elapsed);

/* A job ended and its record is durable: answers who waits for it. Call before the room forgets it.
 */
void api_job_ended(struct api *a, struct str id);
/* A server went offline: what delete_server has put off until then. */
void api_server_left(struct api *a, struct str id);

/* Replies. Exactly one per call; the call is gone afterwards. */
struct json_writer api_reply_begin(struct api_call *c, struct buf *out); /* {"code":0, ... */
void api_reply_end(struct api_call *c, struct json_writer *w, struct buf *out);
void api_reply_ok(struct api_call *c); /* {"code":0} */
/* code: "api", "access", "event", ... fmt: a sentence; tags are stripped. */
void api_error(struct api_call *c, const char *code, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* From a Status: INVALID -> "api", DENIED -> "access", BUSY/NOSPACE/... -> family code with the
 * text. */
void api_fail(struct api_call *c, const char *family_code, Status st, const struct err *err);

struct actor api_actor(const struct api_call *c);

/* All rows, sorted by name; and those of /api/user. */
const struct api_row *const *api_rows(size_t *ret_n);
const struct api_row *api_row_find(struct str name, bool user_space);

/* Generated documents (script/gen and the live routes). */
Status api_openapi(struct buf *out);
Status api_markdown(const char *family, struct buf *out);
/* Writes DIR/FAMILY.md, DIR/README.md and DIR/openapi.json. Blocking: tools. */
Status api_write_docs(const char *dir, struct err *err) MUST_USE;

#endif
