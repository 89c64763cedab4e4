/* What a job says. The stream of a job (super.h) goes in frame by frame; out come log text, rows
 * for the activity log, fields of the job's record, and how it ended. The result is a function of
 * the frames and of struct stdio_config alone: after a restart the stream is read again from its
 * start and gives the same bytes, rows and numbers. No clock, no disk, no socket.
 *
 * Rules: reference/satellite.md 20, 21, 38.1. Where the reference loses data (a last line without a
 * newline, a line of JSON that does not parse) it is logged here.
 *
 * Owner: stdio_new/stdio_free. Strings handed to the callbacks are borrowed during the call. */
#ifndef SAT_STDIO_H
#define SAT_STDIO_H

#include "json/writer.h"
#include "sat/super.h"

#define STDIO_JSON_LINE_MAX LIMIT(8u * 1024 * 1024, 1024u) /* a longer line is text */
#define STDIO_TEXT_LINE_MAX LIMIT(64u * 1024, 64u)         /* of an unfinished line held back */
#define STDIO_FRAME_MAX     (1024u * 1024) /* a longer frame means a damaged stream */
#define STDIO_FIELD_MAX     LIMIT(4u * 1024 * 1024, 2048u) /* JSON text of one field */
#define STDIO_FIELDS_MAX    LIMIT(200u, 40u)
#define STDIO_BYTES_MAX     LIMIT(16u * 1024 * 1024, 8192u) /* all fields of a job together */
#define STDIO_KEY_MAX       128u
#define STDIO_WARNINGS_MAX  LIMIT(200u, 4u)           /* rows that warn; more are counted only */
#define STDIO_PUSH_MAX      LIMIT(1024u * 1024, 512u) /* pending pushes; then stdio_is_urgent */
#define STDIO_STDERR_KEEP   LIMIT(32u * 1024, 64u)    /* of stderr for the shell's error report */
#define STDIO_DESC_LINE_MAX 256u /* first stderr line that joins a description */

struct stdio_config {
    bool shell;          /* rules of 38.1: percent lines, annotate, stderr report */
    bool annotate;       /* shell: each line of text gets the local time in front */
    bool runner;         /* the job measures itself and uploads its own files */
    const char *program; /* for "Child spawn error: PROGRAM: ..." */
    struct str pass;     /* shell: JSON object that counts as the first {data}; or .p NULL */
    Usec abort_at;       /* updates of frames after it are ignored; 0: never */
    uint32_t push_from;  /* pushes up to this number were delivered before */
};

struct stdio_ops {
    void (*log)(void *ctx, struct str text);  /* valid UTF-8, in the order of the log */
    void (*meta)(void *ctx, struct str text); /* a row of the activity log */
};

/* How the process stands. */
struct stdio_state {
    bool started, ended; /* ended: an EXIT or FAILED frame has come, nothing follows */
    bool failed;         /* it never ran */
    bool complete;       /* the job has reported its end (or ended) */
    pid_t pid, supervisor;
    uint64_t start_ticks;
};

struct stdio_parser;

/* Strings of config are copied. NULL when out of memory. */
struct stdio_parser *stdio_new(const struct stdio_config *config, const struct stdio_ops *ops,
                               void *ctx);
void stdio_free(struct stdio_parser *p);

/* A whole frame. What comes after the last frame is ignored. */
void stdio_frame(struct stdio_parser *p, enum super_frame_type type, Usec at, struct str bytes);
/* Takes the whole frames at the front of `bytes`; returns how many bytes they were. *ret_need (may
 * be NULL): bytes the next, incomplete frame has, head included; 0 when its head is incomplete.
 * CORRUPT sticks: the stream cannot be read any further. */
size_t stdio_bytes(struct stdio_parser *p, struct str bytes, size_t *ret_need, Status *ret_status);

const struct stdio_state *stdio_state(const struct stdio_parser *p);
/* The job was told to end at that time: config.abort_at. */
void stdio_set_abort(struct stdio_parser *p, Usec at);
/* No end will come (the supervisor was lost): what is held back is logged. */
void stdio_cut(struct stdio_parser *p);

/* The record. Changes: members written since the last call, pushes included, are put into the open
 * object and count as delivered; false when there is none. */
bool stdio_has_changes(const struct stdio_parser *p);
bool stdio_is_urgent(const struct stdio_parser *p);
void stdio_put_changes(struct stdio_parser *p, struct json_writer *w);
/* All members count as not delivered again (pushes do not come back). */
void stdio_redeliver(struct stdio_parser *p);
/* All fields but code, description, complete, progress, status and (unless runner) files. */
void stdio_put_fields(const struct stdio_parser *p, struct json_writer *w);
/* JSON text of a field; .p NULL when it was never set. */
struct str stdio_field(const struct stdio_parser *p, const char *key);
/* The list of output files as the job gave it: JSON text of an array, "[]" when there is none. */
struct str stdio_files(const struct stdio_parser *p);
uint32_t stdio_pushes(const struct stdio_parser *p); /* number of the last push message */

/* The result, once ended: JSON text of the code (0, 3, "warning" ...) and the description. */
struct str stdio_code(const struct stdio_parser *p);
struct str stdio_description(const struct stdio_parser *p);

#endif
