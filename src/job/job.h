/* Jobs. The room owns every live job in memory and decides what happens to it. It touches nothing
 * outside: time is handed in, and everything that must reach the disk, a satellite or a client goes
 * through struct job_host.
 *
 * Durability. Inputs (a launch, a satellite's message, a tick) change jobs in memory and leave
 * behind *writes* (dirty jobs) and *effects* (messages, replies). job_turn_end, called once a turn,
 * hands the writes to host->commit as one batch; the effects of the turn are released only by
 * job_committed(OK). So no effect leaves before its cause is on disk. After a failed commit the
 * jobs are dirty again, their effects wait and all is tried again with the next turn (at the latest
 * after JOB_COMMIT_RETRY): nothing is lost, nothing leaves twice. While the last commit failed
 * job_launch answers NOSPACE/BUSY: scheduling pauses.
 *
 * Exactly once. A job is journalled with its server before the launch message leaves. The satellite
 * stores the launch before it starts it (wire.h), so a job of its server that is
 *
 * - not accepted and not in the inventory: never arrived; it is sent again;
 * - accepted and not in the inventory: was lost there; it ends with code 1 and that reason;
 * - in the inventory: goes on with a seek, then its log and result;
 * - sent on the connection of this inventory: its absence there says nothing;
 * - in the inventory but not live here: its result is asked for all the same (stray).
 *
 * A result
 * is taken once: job_done goes out when the record is durable; a second result of the same id only
 * gets another job_done. Reference agents have no inventory: their jobs live by `updated` alone.
 *
 * Reference: job-engine.md 2.3, 3, 4, 7, 8.1; satellite.md 17, 22-24, 26, 28. */
#ifndef JOB_JOB_H
#define JOB_JOB_H

#include "base/heap.h"
#include "base/id.h"
#include "base/map.h"
#include "base/rng.h"
#include "event/defs.h"
#include "json/json.h"
#include "json/writer.h"

#define JOB_META_MAX       LIMIT(1000u, 4u)   /* rows of the activity log; oldest dropped */
#define JOB_LIVE_MAX       LIMIT(100000u, 8u) /* jobs in memory; launch answers FULL */
#define JOB_FIELD_MAX      LIMIT(4u * 1024 * 1024, 4096u) /* JSON text of one updated field */
#define JOB_FIELDS_MAX     LIMIT(256u, 48u)               /* updated fields of one job */
#define JOB_DEAD_TIMEOUT   (120 * USEC_SEC)               /* dead_job_timeout */
#define JOB_COMMIT_RETRY   USEC_SEC
#define JOB_LOG_INLINE_MAX LIMIT(1024u * 1024, 64u) /* max_inline_job_log_size */
#define JOB_BYTES_MAX                                                                              \
    LIMIT(24u * 1024 * 1024, 20u * 1024) /* all updated fields of one job together */
#define JOB_BASE_MAX          LIMIT(8u * 1024 * 1024, 16u * 1024) /* what a launch fixes */
#define JOB_META_TEXT_MAX     LIMIT(2048u, 256u) /* bytes of one row; the rest is cut */
#define JOB_QUEUE_SCAN_MAX    16u                /* queued jobs of an event tried in one pass */
#define JOB_QUEUE_RETRY       USEC_SEC           /* a queue that waits for a server looks again */
#define JOB_SHORT_RESULTS_MAX 5u /* results without the whole log, before one is taken */
#define JOB_REFETCH_WAIT                                                                           \
    (10 * USEC_MINUTE)                /* for log text that our disk lost, from the satellite */
#define JOB_RESTORE_GRACE USEC_MINUTE /* restored jobs wait for servers to come back */
#define JOB_SEEK_END                                                                               \
    INT64_C(9007199254740991) /* send_seek for a job that is not live: no log wanted,              \
                                 just the result (it fits a JSON number) */

/* The states of the reference (job-engine.md 4.1) in the order of a life. */
#define JOB_STATES(X)                                                                              \
    X(START_DELAY, "start_delay")                                                                  \
    X(RETRY_DELAY, "retry_delay")                                                                  \
    X(READY, "ready")                                                                              \
    X(QUEUED, "queued")                                                                            \
    X(STARTING, "starting")                                                                        \
    X(ACTIVE, "active")                                                                            \
    X(FINISHING, "finishing")                                                                      \
    X(COMPLETE, "complete")

enum job_state {
#define X(name, text) JOB_##name,
    JOB_STATES(X)
#undef X
        JOB_STATE_COUNT
};
const char *job_state_name(enum job_state s);

struct job_field {
    char *key;
    char *json; /* heap; text of the value */
    size_t n;
};

struct job {
    Id id, event, category, plugin, server;
    enum job_state state;
    bool dirty;         /* must be journalled */
    bool accepted;      /* the satellite has it in its spool */
    bool remote;        /* the satellite reports it */
    bool complete;      /* the end is decided (agent or abort) */
    bool aborting;      /* abort_job was or must be sent */
    bool finishing_log; /* host->finish_log under way */
    bool archived;      /* the record is written or being written */
    Usec now, created, started, updated, completed, until; /* wall; 0: not yet */
    uint64_t log_size;                                     /* bytes of log the conductor has */
    uint64_t log_expected; /* of a final result; UINT64_MAX: unknown (reference agent) */
    uint32_t meta_seen;    /* last number of the satellite's metas */
    uint32_t push_seen;    /* and of its pushes */
    uint32_t sends;        /* launch messages sent */
    double progress;
    struct str
        base; /* owned JSON object: what launch fixed (params, targets, limits, env, command ...) */
    struct job_field
        *fields; /* shallow merged updates, and details: data, files, input, table, html ... */
    size_t n_fields;
    struct str *meta; /* owned JSON rows */
    size_t n_meta;
    struct heap_node timer; /* until, or the dead-job check */
    char *abort_reason;     /* while aborting */
};

enum job_source {
    JOB_SOURCE_SCHEDULER,
    JOB_SOURCE_PLUGIN,
    JOB_SOURCE_KEY,
    JOB_SOURCE_USER,
    JOB_SOURCE_ACTION,
    JOB_SOURCE_ALERT,
    JOB_SOURCE_WORKFLOW,
    JOB_SOURCE_MAGIC,
    JOB_SOURCE_STARTUP,
    JOB_SOURCE_COUNT
};
const char *job_source_name(enum job_source s);

struct job_room;

/* Everything the room needs from outside. All calls are made on the loop thread; none may call back
 * into the room synchronously, except where said. */
struct job_host {
    void *ctx;

    /* Begins a batch; the room then calls put/archive/forget for each write and commit at the end.
     * The host answers by job_committed(room, batch, st), later or from a later turn, in order. */
    void (*put)(void *ctx, const struct job *j, struct str json); /* journal row */
    void (*archive)(void *ctx, const struct job *j,
                    struct str record);       /* record + journal row gone */
    void (*forget)(void *ctx, struct str id); /* journal row gone */
    void (*commit)(void *ctx, uint64_t batch);

    /* Server choice: among `targets` (array of server and group ids) by `algo`. Empty id: none
     * available. */
    Id (*choose_server)(void *ctx, const struct job *j, yyjson_val *targets, struct str algo);
    bool (*server_online)(void *ctx, const Id *server);
    /* For the record; may be NULL. name: into out; groups: a JSON array appended to out. */
    void (*server_name)(void *ctx, const Id *server, char *out, size_t size);
    void (*server_groups)(void *ctx, const Id *server, struct buf *out);

    /* Effects; the socket may be gone: then nothing happens, reconnecting brings it up again. */
    void (*send_launch)(void *ctx, const struct job *j);
    void (*send_abort)(void *ctx, const struct job *j, struct str reason);
    void (*send_seek)(void *ctx, const Id *server, struct str id, uint64_t pos, uint32_t meta);
    void (*send_done)(void *ctx, const Id *server, struct str id);
    void (*changed)(void *ctx, const struct job *j); /* for live views; j->state COMPLETE: ended */

    /* A satellite still has a job that is not live. May be NULL. When its record has
     * `abort_pending` the person who aborted it meant this process too: send abort_job. (Its result
     * is asked for by the room, as a late one.) */
    void (*stray)(void *ctx, const Id *server, struct str id);

    /* Log bytes, in order; the host appends them to the live log. */
    void (*log_append)(void *ctx, const struct job *j, struct str text);
    /* Closes the log after everything appended so far; answered by job_log_finished. */
    void (*finish_log)(void *ctx, const struct job *j);
    void (*log_remove)(void *ctx, const struct job *j); /* the live log of an archived job */

    /* Secrets and environment for the launch message are the host's business in send_launch. */
};

struct job_config {
    Usec dead_timeout;         /* 0: JOB_DEAD_TIMEOUT */
    uint32_t launches_per_min; /* max_jobs_per_min; 0: no limit */
    const char *host_id;       /* conductor's name in meta rows "m:HOST" */
    struct str job_env;        /* JSON object, borrowed */
    struct str universal_limits,
        universal_actions;                 /* JSON {default:[], workflow:[]} or none; borrowed */
    const char *default_uid, *default_gid; /* default_plugin_credentials.event; may be NULL */
};

Status job_room_new(const struct job_host *host, const struct job_config *config,
                    const struct defs *defs, uint64_t seed, struct job_room **ret,
                    struct err *err) MUST_USE;
void job_room_free(struct job_room *r);

/* Start-up: one journal row as written by put. log_size: what the live log holds. */
Status job_room_restore(struct job_room *r, struct str json, uint64_t log_size, Usec now,
                        struct err *err) MUST_USE;

/* Launch (job-engine.md 2.3). */
struct job_launch {
    struct str event_id;
    yyjson_val
        *overrides;     /* object or NULL: request keys that may replace the event's (a fixed list:
                           params targets algo tags label icon notes priority test test_* expression
                           now state+until input invisible ephemeral); launch fields never */
    yyjson_val *params; /* effective parameters, merged by the caller with the event's */
    yyjson_val *input;  /* {data, files} or NULL */
    enum job_source source;
    struct str username; /* user or key id */
    bool test;
};
/* Called once the launch is durable (or the journal failed): effects are released in the same
 * order. */
typedef void (*JobLaunchFn)(void *arg, Status st, const Id *id, const struct err *err);
/* INVALID/MISSING/DENIED/FULL/BUSY with the reference's reason come at once, without the callback.
 */
Status job_launch(struct job_room *r, const struct job_launch *l, Usec now, JobLaunchFn fn,
                  void *arg, Id *ret_id, struct err *err) MUST_USE;

/* From satellites. `exact`: the peer speaks our extension. */
void job_server_joined(struct job_room *r, const Id *server, bool exact, Usec now);
void job_server_inventory(struct job_room *r, const Id *server, yyjson_val *jobs, Usec now);
void job_server_left(struct job_room *r, const Id *server, struct str name, Usec now);
void job_accepted(struct job_room *r, const Id *server, struct str id, Usec now);
void job_log(struct job_room *r, const Id *server, struct str id, int64_t pos /* -1: none */,
             struct str text, Usec now);
void job_meta(struct job_room *r, const Id *server, struct str id, uint32_t n /* 0: none */,
              struct str text, Usec now);
/* One job's update (satellite.md 22.2). fn (may be NULL) is called when a final one is durable or
 * was not needed: the finish_job call answers then. */
typedef void (*JobResultFn)(void *arg, Status st);
void job_update(struct job_room *r, const Id *server, bool exact, struct str id, yyjson_val *update,
                Usec now, JobResultFn fn, void *arg);
/* A final update of an id that is not live: the caller looks it up in the records (late update). */
bool job_is_live(const struct job_room *r, struct str id);

/* From people. update: merges keys as update_job does (admin). */
Status job_abort(struct job_room *r, struct str id, struct str reason, Usec now, JobResultFn fn,
                 void *arg, struct err *err) MUST_USE;
Status job_edit(struct job_room *r, struct str id, yyjson_val *changes, Usec now, JobResultFn fn,
                void *arg, struct err *err) MUST_USE;
Status job_skip_delay(struct job_room *r, struct str id, Usec now, struct err *err) MUST_USE;

/* Answers of the host. output: the inline log (valid UTF-8), or .p NULL when uploaded is set or
 * empty. */
void job_log_finished(struct job_room *r, struct str id, Status st, struct str output,
                      uint64_t size, bool uploaded, Usec now);
void job_committed(struct job_room *r, uint64_t batch, Status st, Usec now);

/* Timers: runs what is due; the earliest next due time or USEC_NEVER. */
Usec job_tick(struct job_room *r, Usec now);
/* Ends the turn: hands the writes over. Cheap when there are none. */
void job_turn_end(struct job_room *r, Usec now);

/* Reading. */
const struct job *job_find(const struct job_room *r, struct str id);
size_t job_count(const struct job_room *r);
size_t job_count_state(const struct job_room *r, enum job_state s);
bool job_next(const struct job_room *r, size_t *cursor, const struct job **ret);
/* The job as get_active_jobs shows it (without activity, input, data, files, timelines), or whole.
 * What a journal row is: whole, plus what only the room needs, below "_live". */
void job_put_json(const struct job *j, bool whole, struct json_writer *w, const char *key);
/* A value of a job whether typed, field or base; .p NULL: none. Raw JSON text, borrowed until the
 * next call for this job or its next change. */
struct str job_value(const struct job *j, const char *key);

struct job_stats {
    uint64_t launched, completed, succeeded, failed, aborted, resent, late, refused_moves;
    bool paused; /* the journal is failing */
};
void job_room_stats(const struct job_room *r, struct job_stats *ret);

#endif
