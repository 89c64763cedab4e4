/* Inside of the runner: a job, and which file does what with it.
 *
 *   runner.c   the table of jobs, messages of the conductor, start-up from the spool
 *   launch.c   storing, fetching input files, preparing, handing to the supervisor
 *   follow.c   reading streams: log text, rows, changes; seek
 *   kill.c     abort
 *   finish.c   the final result and its delivery
 *   upload.c   output files
 *   report.c   the second's record of running jobs: processes, CPU, memory
 *   watch.c    inotify on the streams
 *
 * Work on lanes carries the job's id; when it comes back the job may be gone. A job never vanishes
 * while `busy` work of it is on a lane. */
#ifndef SAT_RUNNER_INT_H
#define SAT_RUNNER_INT_H

#include "base/list.h"
#include "base/map.h"
#include "base/vec.h"
#include "crypto/crypto.h"
#include "sat/intent.h"
#include "sat/sat.h"
#include "sat/spool.h"
#include "sat/stdio.h"

#define RUNNER_READS_MAX     LIMIT(4u, 1u) /* streams being read at once */
#define RUNNER_READ_SIZE     LIMIT(128u * 1024, 128u)
#define RUNNER_TRANSFERS_MAX LIMIT(8u, 1u) /* files going up or down at once */
#define RUNNER_ROWS_MAX      LIMIT(2000u, 16u)
#define RUNNER_FILES_MAX     LIMIT(1000u, 4u)  /* output files of one job */
#define RUNNER_BATCH         (40 * USEC_MSEC)  /* log text is collected for so long */
#define RUNNER_PULSE         (20 * USEC_MSEC)  /* what waits is looked at */
#define RUNNER_CHANGES       (100 * USEC_MSEC) /* between two messages of changes of one job */
#define RUNNER_PROCS_MAX     LIMIT(100u, 4u)   /* entries of a job's `procs` */
#define RUNNER_IDLE_LOOK     (10 * USEC_SEC)   /* a stream without a sign is looked at again */
#define RUNNER_RETRY_MAX     (8 * USEC_SEC)

enum stage {
    STAGE_STORING,   /* the launch and the intent are on their way to the disk */
    STAGE_FETCHING,  /* input files */
    STAGE_PREPARING, /* exec, stdin, script are being written */
    STAGE_READY,     /* waits for the launcher */
    STAGE_RUNNING,   /* there is a stream */
    STAGE_FINISHING, /* output files, final.json */
    STAGE_ENDED,     /* the result is in final.json and waits for job_done */
};

enum kill_mode { KILL_PARENT, KILL_ALL, KILL_NONE };

/* A row of the activity log that is not the stream's. Its number is fixed once it is given. */
struct job_row {
    uint32_t n; /* 0: not numbered yet */
    char *text;
};

struct usage {
    double min, max, total, current;
    uint64_t count;
};

struct input_file {
    char *name;
    char *path;
    int64_t size;
};

struct sat_job {
    Id id;
    struct runner *runner;
    enum stage stage;
    struct list ready;   /* in runner->ready: its stream may be read */
    struct list queued;  /* in runner->transfer_queue */
    struct list waiting; /* in runner->waiting: for the scripts of plugins */
    unsigned busy;       /* works on lanes and exchanges */
    bool gone;           /* to be freed when nothing is busy */

    /* from the launch */
    enum kill_mode kill;
    bool runner_job;
    bool shell;
    bool annotate;
    char *program;
    char *pass;
    char *base_url;
    struct input_file *inputs;
    size_t n_inputs;
    size_t next_input;
    bool prepared;
    char *setup_error; /* why it cannot start */

    /* the stream */
    struct stdio_parser *parser;
    uint64_t offset;      /* bytes of it that were parsed */
    uint64_t offset_high; /* most that was parsed by this process */
    uint64_t stream_end;  /* STAGE_ENDED: no further than here */
    uint64_t stream_size;
    size_t read_size; /* for a frame larger than RUNNER_READ_SIZE; 0 */
    uint32_t generation;
    bool reading;
    bool seeked; /* the conductor said (or we know) where to go on */
    bool read_later;
    bool read_again;
    bool behind; /* the conductor wants to hear again what the parser has given already */
    Usec last_read;
    int wd;

    /* what was delivered */
    uint64_t log_pos;   /* bytes of log the parser has given so far */
    uint64_t log_sent;  /* bytes the conductor has */
    uint32_t meta_next; /* next number for a row of the stream */
    uint32_t meta_high; /* highest number ever given to one by this process */
    uint32_t meta_sent; /* number of the last row the conductor has */
    uint32_t push_sent; /* number of the last push the conductor has */
    struct job_row *rows;
    size_t n_rows;
    size_t row_next; /* rows before it are delivered */
    Usec changes_sent;

    /* abort */
    char *abort_reason;
    Usec abort_at;
    Usec kill_due;   /* mono: SIGKILL; 0: none */
    bool kill_armed; /* the signal has reached somebody */
    bool killing;    /* a kill is on the lane */

    /* usage */
    struct usage cpu, mem;
    char *procs; /* JSON of the last look */
    struct proc_mark *marks;
    size_t n_marks;

    /* the end */
    bool end_given;    /* not by the stream: abort, failure, ... */
    char *end_code;    /* JSON; NULL: the parser's */
    char *end_text;    /* JSON */
    yyjson_doc *files; /* {list, done} */
    size_t next_file;
    struct http_exchange *exchange;
    unsigned tries;
    Usec retry_at; /* mono; 0: now */
    char *final;   /* JSON of the job's final record */
    uint64_t final_log;
    uint32_t final_metas;
    uint32_t final_pushes;
    bool final_sent;
    bool forgetting;
};

struct runner {
    struct sat *sat;
    struct map jobs; /* id -> struct sat_job */
    struct map by_wd;
    struct list ready;
    struct list transfer_queue;
    struct list waiting;
    size_t reads;
    size_t transfers;
    struct loop_timer *pulse;
    struct watch *watch;
    struct intents *intents;
    char boot[SPOOL_BOOT_MAX];
    struct id_source ids;
    struct buf text; /* log text of the job being fed */
    uint64_t text_pos;
    bool pumping;
    bool scanning;   /* /proc is being read */
    Usec scan_after; /* mono */
    Usec scan_last;
};

/* A work on a lane for a job. `job` is only valid as long as the job is not freed, which `busy`
 * guarantees. */
struct job_work {
    struct lane_work work;
    struct sat_job *job;
    Status status;
    struct err err;
};
Status job_post(struct sat_job *j, struct job_work *w, LaneWorkFn work, LaneWorkFn done) MUST_USE;
/* First thing in `done`; false when the job is gone (and may just have been freed): only free the
 * work. */
bool job_back(struct job_work *w);

/* runner.c */
struct sat_job *job_new(struct runner *r, struct str id);
struct sat_job *job_get(const struct runner *r, struct str id);
void job_remove(struct sat_job *j); /* from the table; freed when idle */
const char *job_spool(const struct sat_job *j);
bool job_take_launch(struct sat_job *j, yyjson_val *launch); /* facts of {job, details, sec} */
Status job_cwd(const struct sat_job *j, char out[SPOOL_PATH_MAX]) MUST_USE;
void job_log_file(const struct sat_job *j, char out[SPOOL_PATH_MAX]);
void runner_pulse(struct runner *r);
/* Ends a job that is not in the spool. */
void runner_refuse(struct runner *r, struct str id, const char *why);
/* A frame {"cmd":"jobs","data":{ID:{ is begun: the caller writes members and calls job_frame_send.
 */
struct json_writer job_frame_begin(const struct sat_job *j, struct buf *frame, const char *state);
bool job_frame_send(struct sat_job *j, struct json_writer *w, struct buf *frame);

/* Transfers: at most RUNNER_TRANSFERS_MAX at once. False: it is queued and job_step will be called.
 */
bool transfer_begin(struct sat_job *j);
void transfer_end(struct sat_job *j);
/* Goes on with whatever the job waits for. */
void job_step(struct sat_job *j);

/* launch.c */
void launch_store(struct sat_job *j, yyjson_val *data);
void launch_step(struct sat_job *j);
void launch_accepted(struct sat_job *j);

/* follow.c */
void follow_start(struct sat_job *j, bool fresh);
void follow_read(struct sat_job *j); /* its stream may have grown */
void follow_pump(struct runner *r);
bool follow_seek(struct sat_job *j, uint64_t pos, uint32_t meta, uint32_t push);
void follow_ended(struct sat_job *j); /* STAGE_ENDED: reads again what is missing, or delivers */
void follow_row(struct sat_job *j, const char *fmt, ...) PRINTF_LIKE(2, 3);
void follow_rows_number(struct sat_job *j); /* once seeked */
void follow_rows_send(struct sat_job *j);
void follow_changes(struct sat_job *j, bool force);
uint32_t follow_last_row(const struct sat_job *j);
void follow_put_rows(const struct sat_job *j, struct json_writer *w);
void follow_take_rows(struct sat_job *j, yyjson_val *rows);
void follow_add_row(struct sat_job *j, uint32_t n, struct str text);
void follow_pulse(struct sat_job *j, Usec now);

/* kill.c */
void kill_abort(struct sat_job *j, struct str reason);
void kill_resume(struct sat_job *j, yyjson_val *abort);
void kill_tick(struct sat_job *j, Usec now_mono);

/* finish.c */
/* The end of the job is known. code NULL: what the parser says; else JSON text of the code. */
void finish_begin(struct sat_job *j, const char *code, const char *description);
void finish_step(struct sat_job *j);
/* Another end than was thought: code as JSON text. */
void finish_change(struct sat_job *j, const char *code, const char *description);
void finish_resume(struct sat_job *j, yyjson_val *final);
void finish_seeked(
    struct sat_job *j); /* STAGE_ENDED and everything before the result is delivered */
void finish_discard(struct sat_job *j); /* it was never accepted: away with it */
void finish_forget(struct sat_job *j);  /* job_done */
void put_usage(struct json_writer *w, const char *key, const struct usage *u);

/* upload.c */
void upload_collect(struct sat_job *j); /* makes j->files; job_step follows */
bool upload_pending(const struct sat_job *j);
void upload_next(struct sat_job *j);
/* What a reply says: 0 taken, 1 try again, -1 refused (reason says why). */
int transfer_judge(const struct http_result *res, yyjson_val *reply, char *reason, size_t size);
/* Proof that the job is ours (satellite.md 4). */
struct str job_auth(const struct sat_job *j, char digest[CRYPTO_SHA256_HEX + 1]);

/* report.c */
void report_tick(struct runner *r, Usec now_mono);
void report_done(struct sat_job *j); /* frees what it keeps of a job */

/* watch.c */
struct watch;
struct watch *watch_new(struct loop *l, void (*fn)(void *ctx, int wd, bool closed), void *ctx,
                        struct err *err);
void watch_free(struct watch *w);
int watch_add(struct watch *w, const char *path); /* -1: not watched, the tick will look */
void watch_remove(struct watch *w, int wd);

#endif
