/* Inside of the supervisors: the launcher, the supervisor's own run, the stream it writes and the
 * file it reads. Everything here but the start runs in processes forked from the satellite, single
 * threaded. */
#ifndef SAT_SUPER_INT_H
#define SAT_SUPER_INT_H

#include "sat/super.h"

/* Kept free at the end of the stream for notes and the last frame. */
#define SUPER_STREAM_RESERVE 4096u

/* Jobs waiting in the launcher; as many again wait in its socket before super_launch answers BUSY.
 */
#define SUPER_QUEUE_MAX LIMIT(1024u, 2u)

struct super_limits {
    uint64_t stream_max;
    Usec linger;
};

/* super_start with other limits than the real ones. */
Status super_start_limited(const char *spool_dir, const struct super_limits *limits,
                           struct super **ret, struct err *err) MUST_USE;

/* Descriptors of the launcher: these and /dev/null on 0-2, nothing else. */
enum { SUPER_FD_SOCKET = 3, SUPER_FD_SPOOL = 4 };
/* The same places in a supervisor. */
enum { SUPER_FD_STREAM = 3, SUPER_FD_JOB = 4 };

/* The launcher: forks a supervisor for each datagram (job id, with the locked stream attached). */
NORETURN void super_launcher(int socket, int spool_dir, const struct super_limits *limits);

/* Where the process title may be written: the memory of the arguments and the environment. */
struct super_title {
    char *p;
    size_t n;
};
void super_title_set(const struct super_title *title, const char *what, const char *name);

/* One job from start to end. Takes the descriptors. */
void super_run(int job_dir, int stream, const struct super_limits *limits);

/* The stream's writer. Never blocks for long and never fails: what cannot be written now is
 * counted, and a note tells later how much was lost. */
struct super_stream {
    int fd;
    uint64_t size; /* whole frames written */
    uint64_t max;
    uint64_t lost; /* bytes of output since the last note */
    int lost_error;
    Usec retry_at; /* monotonic; while lost > 0 */
    bool torn;     /* part of a frame lies behind `size` */
    bool capped;   /* max was met */
    uint64_t capped_bytes;
    enum super_frame_type pending_type;
    char pending[192]; /* a text that could not be written yet; comes before anything else */
};

void super_stream_init(struct super_stream *s, int fd, uint64_t max);
void super_stream_output(struct super_stream *s, enum super_frame_type type, const void *p,
                         size_t n);
void super_stream_text(struct super_stream *s, enum super_frame_type type, const char *text);
/* Tries until it is written, or until the file was removed. */
void super_stream_last(struct super_stream *s, enum super_frame_type type, const char *text);

/* The file `exec` as a spec. Everything the spec points to lies in `text` (changed in place) and
 * `words`. */
struct super_exec {
    struct proc_spec spec;
    char *text;
    size_t n;
    const char **words;
    struct proc_limit *limits;
};

/* Takes text (heap), also on failure. */
Status super_exec_parse(struct super_exec *x, char *text, size_t n, struct err *err) MUST_USE;
void super_exec_done(struct super_exec *x); /* wipes: the environment holds secrets */

#endif
