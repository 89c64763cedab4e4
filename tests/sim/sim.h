/* The deterministic simulator: the real job room against a virtual clock, network, store and fleet.
 *
 * One seed decides everything. World: a conductor (the room and a host around it), its disk
 * (journal, records, live logs), satellites of ours and plain agents, links between them, a client
 * that launches and aborts. Everything that happens is an event of one heap; faults are events too.
 * What must hold is checked where it happens (sim_check), the rest at the end, when all faults are
 * over and the world has become quiet (checks.c). */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include "base/buf.h"
#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"
#include "base/vec.h"
#include "job/job.h"

#define SIM_SATS_MAX     6
#define SIM_EPOCH        (INT64_C(1800000000) * USEC_SEC)
#define SIM_DEAD_TIMEOUT (120 * USEC_SEC)
#define SIM_INLINE_MAX   400u
#define SIM_QUIET_LIMIT                                                                            \
    (3000 * USEC_SEC)          /* after the faults everything must have ended by then              \
                                */
#define SIM_EVENTS_MAX  40000u /* waiting at once: bounded queues */
#define SIM_BATCHES_MAX 4000u

struct sim;
struct sim_event;
typedef void (*EventFn)(struct sim *s, struct sim_event *e);

struct sim_event {
    struct heap_node node;
    EventFn fn;
    void *who;
    uint64_t epoch;
    uint64_t number;
    int64_t a, b;
    Id id;
    char *text;
    size_t n;
};

/* What the world knows of a job beside the room: the truth to compare with. */
struct model {
    struct sim *sim;
    Id id;
    bool acked; /* the client was told that it is launched */
    bool abort_asked;
    Usec abort_acked; /* when an abort was confirmed; 0: not */
    bool label_acked; /* an edit was confirmed */
    bool ephemeral;
    bool killed;    /* its machine lost power or its disk: the process did not end by itself */
    bool exact;     /* ran on a satellite of ours */
    bool late;      /* its result came after the record */
    bool disk_lost; /* the conductor's disk lost log text while it was open */
    unsigned runs, runs_allowed;
    int code;
    unsigned pieces; /* of output */
    Usec length;
    struct buf printed;
    bool finished; /* the process ended by itself */
    unsigned archived;
    int sat;
};

/* Conductor's disk. */
enum op_kind { OP_PUT_ROW, OP_ARCHIVE_ROW, OP_FORGET_ROW, OP_LATE };

struct row {
    Id id;
    char *json;
    size_t n;
};

struct disk_op {
    enum op_kind kind;
    struct row row;
};

struct vlog {
    Id id;
    struct buf text;
    size_t synced;
    bool broken; /* an append failed: nothing more is taken until it is closed */
};

struct disk {
    struct map rows, records, logs, blobs;
    struct vec ops;               /* of the open batch */
    struct list commits;          /* under way */
    Usec last_write, last_commit; /* batches keep their order, and so do the answers */
    Usec full_until;
    size_t pending;
};

struct conductor {
    struct job_room *room;
    bool up;
    uint64_t epoch; /* +1 with each start and crash */
    bool online[SIM_SATS_MAX];
    Usec tick_at;
    uint64_t tick_number;
};

/* One direction of a connection keeps its order. */
struct link {
    bool up; /* as the satellite sees it */
    uint64_t epoch;
    Usec last_down, last_arrival;
    Usec not_before; /* no new connection earlier */
};

struct sat_job {
    struct list node;
    struct model *m;
    Id id;
    bool durable; /* in the spool */
    bool running, done;
    bool seeked; /* log and metas may be sent on this connection */
    bool aborted;
    bool result_sent;
    uint64_t process; /* number of the process; events of older ones are dropped */
    size_t log_n;     /* bytes of printed that the spool has */
    size_t sent;
    unsigned metas, metas_sent;
    unsigned piece;
    char code[16];
    char reason[160];
};

struct sat {
    int index;
    Id id;
    bool exact;
    bool up;        /* the agent runs */
    uint64_t epoch; /* of the agent */
    struct link link;
    struct list jobs;
    Usec lost_at; /* when it was last cut off; 0: connected */
    Usec longest_silence;
    Usec joined_at;
};

struct profile {      /* per seed: which faults, how often */
    Usec length;      /* of the time with faults */
    Usec fault_every; /* mean */
    unsigned weight[16];
    Usec delay_max; /* of the network */
    Usec commit_max;
    unsigned launches;
    unsigned slow_jobs; /* percent */
    bool plain_agents;
    bool ambiguous; /* a commit may be reported failed and be durable all the same */
};

enum break_kind {
    BREAK_NONE,
    BREAK_EARLY,     /* the journal confirms before it has written */
    BREAK_POSITIONS, /* log positions are not passed on */
    BREAK_SPOOL, /* a satellite runs what it was sent, known or not, and hides it in the inventory
                  */
    BREAK_DONE,  /* results are confirmed when they arrive */
    BREAK_LOSE,  /* a confirmed batch is lost now and then */
    BREAK_SEEK,  /* seeks are not sent */
    BREAK_ABORT, /* aborts are not sent */
    BREAK_COUNT
};

struct sim {
    uint64_t seed;
    struct rng rng;
    Usec now, quiet_from;
    bool healing; /* no more faults */
    bool trace;
    enum break_kind broken;
    const struct defs *defs;
    struct heap events;
    uint64_t steps, numbers, faults;
    struct profile profile;
    struct disk disk;
    struct conductor c;
    struct sat sats[SIM_SATS_MAX];
    int n_sats;
    struct map models;
    struct vec live_ids; /* models whose launch returned, for aborts */
    struct list answers; /* finish calls of plain agents under way */
    bool failed;
    char failure[512];
};

/* world.c */
struct sim_event *sim_after(struct sim *s, Usec delay, EventFn fn, void *who);
void sim_event_free(struct sim_event *e);
void sim_text(struct sim_event *e, struct str text);
Usec sim_pick(struct sim *s, Usec max); /* 1..max */
bool sim_chance(struct sim *s, unsigned percent);
void sim_trace(struct sim *s, const char *fmt, ...) PRINTF_LIKE(2, 3);
void sim_check(struct sim *s, bool holds, const char *fmt, ...) PRINTF_LIKE(3, 4);
struct model *sim_model(struct sim *s, struct str id); /* found or made */
bool sim_run(struct sim *s);                           /* false: s->failure */
void sim_done(struct sim *s);

/* disk.c */
struct row *disk_row(const struct map *m, struct str id);
void disk_init(struct disk *d);
void disk_done(struct disk *d);
void disk_power_loss(struct sim *s);
struct job_host conductor_host(struct sim *s);
void disk_add(struct sim *s, enum op_kind kind, struct str id, struct str json);
void disk_commit(struct sim *s, uint64_t number);
struct vlog *disk_log(struct sim *s, struct str id); /* found or made */
void disk_log_drop(struct sim *s, struct str id);
/* The log of a finished job wherever it lies. */
struct str disk_blob(const struct sim *s, struct str id);

/* conductor.c */
void conductor_start(struct sim *s);
void conductor_done(struct sim *s);
void conductor_crash(struct sim *s, bool power);
void conductor_turn(struct sim *s); /* after every input */
void conductor_joined(struct sim *s, struct sat *sat);
void conductor_left(struct sim *s, struct sat *sat);
void conductor_message(struct sim *s, struct sat *sat, const struct sim_event *e);
void conductor_seen_gone(struct sim *s, struct sim_event *e);
void late_durable(struct sim *s, struct str id);

/* satellite.c: ours; agent.c: plain ones */
enum down_kind { DOWN_JOINED, DOWN_LAUNCH, DOWN_ABORT, DOWN_SEEK, DOWN_DONE, DOWN_ANSWER };
enum up_kind { UP_JOIN, UP_INVENTORY, UP_ACCEPTED, UP_LOG, UP_META, UP_JOBS };
void link_down(struct sim *s, struct sat *sat, enum down_kind kind, struct str id, int64_t a,
               int64_t b, struct str text);
void link_up(struct sim *s, struct sat *sat, enum up_kind kind, struct str id, int64_t a,
             struct str text);
void link_cut(struct sim *s, struct sat *sat);
void sat_connect_later(struct sim *s, struct sat *sat);
void sat_message(struct sim *s, struct sat *sat, const struct sim_event *e);
void sat_crash(struct sim *s, struct sat *sat); /* the agent; its jobs go on */
void sat_power_loss(struct sim *s, struct sat *sat, bool wipe);
void sat_start(struct sim *s, struct sat *sat);
void agent_message(struct sim *s, struct sat *sat, const struct sim_event *e);
void agent_crash(struct sim *s, struct sat *sat);
struct sat_job *sat_job_find(struct sat *sat, struct str id);
void sat_job_free(struct sat_job *j);
struct sat_job *sat_job_new(struct sim *s, struct sat *sat, struct str id);
/* Text number `piece` of a job's output. */
void job_print(struct sim *s, struct model *m, unsigned piece);

/* checks.c */
void checks_at_end(struct sim *s);
bool sim_is_quiet(struct sim *s);

#endif
