/* Inside of the job room: what a live job carries beyond struct job, and the calls between its
 * files. */
#ifndef JOB_ROOM_INT_H
#define JOB_ROOM_INT_H

#include "base/list.h"
#include "job/job.h"
#include "job/moves.h"

#define JOB_CODE_MAX 80u /* JSON text of a normalised code */
#define JOB_ROW_MAX  (60u * 1024 * 1024)

/* Effects wait in one queue, in the order of their causes, each for the batch that makes its cause
 * durable. */
enum effect_kind {
    EFFECT_LAUNCH,  /* send launch_job */
    EFFECT_ABORT,   /* send abort_job */
    EFFECT_CHANGED, /* tell the live views */
    EFFECT_ENDED,   /* the record is durable: tell everyone, forget the job */
    EFFECT_CALL,    /* somebody's callback (struct call) */
};

struct effect {
    struct list node; /* alone: not waiting */
    enum effect_kind kind;
    uint64_t batch;
};

struct call {
    struct effect effect;
    struct list node; /* in live.waiters until the job has ended */
    JobLaunchFn launched;
    JobResultFn result;
    void *arg;
    Id id;
};

/* The jobs of one event: how many run, which wait. */
struct line {
    Id event;
    size_t jobs;                 /* live ones of the event; the line goes with the last */
    size_t running;              /* starting + active */
    struct list priority, other; /* queued, oldest first */
    size_t n_queued;
    bool renumber;          /* positions are out of date */
    struct heap_node timer; /* the next look at the queue */
};

/* A satellite that is known: connected, or with jobs. */
struct peer {
    Id id;
    bool online;
    bool exact;
    struct list jobs;
    size_t n;
    uint64_t connection; /* +1 with each join */
};

struct live {
    struct job job;
    struct line *line;
    struct peer *peer; /* NULL before the choice */
    struct list by_peer, in_queue, dirty, touched;
    struct effect launch, abort, changed, ended;
    struct list waiters;
    bool exact; /* the server it was placed on speaks our extension */
    bool test, priority, ephemeral;
    bool sent;       /* the launch has left, or may have before a restart */
    bool by_result;  /* ended by the satellite's own result */
    bool owes_done;  /* the result was taken: the satellite may forget it with the record */
    bool given_up;   /* ended here while the satellite may still run it */
    bool dead_asked; /* an abort went out because of silence */
    bool warned;     /* that an update did not fit */
    bool log_done, log_uploaded;
    bool log_refetch; /* complete, but the disk lost log text that the satellite still has */
    bool gap_asked;   /* a seek is on its way for missing log text */
    uint32_t short_results, meta_gap;
    uint64_t sent_on; /* the peer's connection that the launch left on */
    uint64_t archive_batch;
    uint64_t owed;                   /* the batch after which somebody is answered */
    uint64_t inventory;              /* number of the last inventory that had it */
    uint64_t limit_job, limit_queue; /* 0: none */
    uint32_t position;
    size_t bytes; /* of all fields */
    size_t fields_cap, meta_cap;
    Usec patience; /* until then a missing server is no reason to end */
    char code[JOB_CODE_MAX];
    struct str output; /* inline log, owned */
    char scratch[160]; /* job_value of typed values */
};

struct batch {
    struct list node;
    uint64_t number;
    bool broken; /* a row could not be written: counts as failed */
    size_t n;
    Id ids[];
};

struct job_room {
    struct job_host host;
    struct job_config config;
    const struct defs *defs;
    struct id_source ids;
    struct map jobs;  /* id -> struct live */
    struct map lines; /* event id -> struct line */
    struct map peers; /* server id -> struct peer */
    struct heap timers, line_timers;
    struct list dirty, touched;
    size_t n_dirty;
    struct list effects, batches;
    uint64_t next_batch, durable; /* durable: the last batch that went through */
    Usec retry_at;                /* no batch before, after a failure */
    Status journal;               /* of the last batch */
    bool releasing;
    uint64_t inventories, connections;
    int64_t minute;
    uint32_t minute_launches;
    size_t states[JOB_STATE_COUNT];
    struct job_stats stats;
    char server_text[ID_MAX + 8]; /* "m:HOST" */
    struct buf text;              /* scratch for rows */
};

static inline struct live *live_of(const struct job *j)
{
    return CONTAINER_OF(j, struct live, job);
}

/* room.c */
struct live *live_find(const struct job_room *r, struct str id);
struct live *live_new(struct job_room *r, const Id *id,
                      const Id *event); /* in the maps; state READY, NULL: no memory */
void live_free(struct job_room *r, struct live *l);
struct peer *peer_get(struct job_room *r, const Id *id); /* found or made; NULL: no memory */
struct peer *peer_find(const struct job_room *r, const Id *id);
void peer_drop_if_idle(struct job_room *r, struct peer *p);
bool live_place(struct job_room *r, struct live *l, const Id *server);
bool live_move(struct job_room *r, struct live *l, enum job_input on,
               Usec now); /* false: refused and logged */
void live_set_state(struct job_room *r, struct live *l, enum job_state to, Usec now);
void line_timer(struct job_room *r, struct line *n, Usec due);
void live_timer(struct job_room *r, struct live *l, Usec due);
void live_dirty(struct job_room *r, struct live *l);
void live_touch(struct job_room *r, struct live *l);
void live_settle(struct job_room *r,
                 struct live *l); /* as the journal has it: nothing to write or tell */

/* commit.c */
void effect_push(struct job_room *r, struct effect *e, enum effect_kind kind);
void effect_push_call(struct job_room *r, struct live *l,
                      struct call *c); /* once the job is durable as it is */
void effects_settle(
    struct job_room *r); /* the turn wrote nothing: its effects wait for the batches before only */
void effects_release(struct job_room *r, Usec now);
struct call *call_new(JobLaunchFn launched, JobResultFn result, void *arg, const Id *id);
void batch_hand_over(struct job_room *r, Usec now);
void batches_free(struct job_room *r);

/* fields.c */
enum key_flag {
    KEY_TYPED = 1 << 0,  /* lives in struct job */
    KEY_OWNED = 1 << 1,  /* the conductor's: no agent may set it */
    KEY_DETAIL = 1 << 2, /* not in the short view */
    KEY_LIVE = 1 << 3,   /* neither in the record nor in the journal */
    KEY_END = 1 << 4,    /* dropped at the end */
    KEY_EDIT = 1 << 5,   /* owned, but people may change it */
};
char *str_dup_z(struct str s); /* heap; NULL: no memory */
unsigned key_flags(struct str key);
const struct job_field *field_find(const struct job *j, struct str key);
Status field_set(struct live *l, struct str key, struct str json);
void field_drop(struct live *l, struct str key);
void fields_free(struct live *l);
bool meta_add_row(struct live *l, struct str row); /* false: no memory */
void meta_add(struct job_room *r, struct live *l, struct str server, struct str text, Usec now);
void meta_printf(struct job_room *r, struct live *l, Usec now, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
struct str raw_member(struct str object,
                      struct str key); /* of compact JSON of ours; .p NULL: none */
/* First enabled limit of a type: its amount, 0 when none. */
uint64_t limit_amount(yyjson_val *limits, const char *type);
void live_read_limits(struct live *l);

/* put.c */
void live_put_row(const struct live *l, struct json_writer *w);
void live_put_record(const struct live *l, struct json_writer *w);

/* queue.c */
void live_ready(struct job_room *r, struct live *l, Usec now);
void line_join(struct line *n, struct live *l);
void line_leave(struct line *n, struct live *l);
void line_renumber(struct line *n);
void line_pass(struct job_room *r, struct line *n, Usec now);

/* finish.c */
/* code: JSON text or NULL for what the agent's fields say. */
void live_end(struct job_room *r, struct live *l, enum job_input on, const char *code,
              struct str description, Usec now);
/* Asks the satellite to abort, once that is journalled. */
void live_ask_abort(struct job_room *r, struct live *l, struct str reason);
void live_log_overdue(struct job_room *r, struct live *l, Usec now);
void live_dead_check(struct job_room *r, struct live *l, Usec now);

/* The satellite's result came again: closes a log that had to be fetched again. */
void live_result_again(struct job_room *r, struct live *l, Usec now);

/* peers.c */
/* The satellite has a job that is over here: its result is wanted all the same (a late one), its
 * log is not. */
void live_stray(struct job_room *r, const Id *server, struct str id);

/* update.c */
void live_seek(struct job_room *r, struct live *l);

/* text.c: {title, content, caption} of plain text as safe HTML. False: no memory or too big. */
bool text_to_html(yyjson_val *text, struct buf *out);

#endif
