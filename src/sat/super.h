/* Supervisors. Each job runs under a small process of its own that owns the job's pipes, appends
 * what comes out of them to the file `stream` in the job's spool folder and finally its exit
 * status. The satellite only reads that file, so it may be killed and started again at any moment
 * and nothing of a job is lost.
 *
 * super_start forks a launcher before any thread exists; launching is one datagram to it and one
 * fork there (no exec of ours), so it costs little more than running the job itself. The launcher
 * ends when the satellite does (after what was sent to it is started); supervisors go on. They
 * adopt what the job leaves behind while they live, so the job's processes are all those below the
 * supervisor.
 *
 * Files of a job in SPOOL/JOBID/ that matter here:
 *   exec     what to run (super_write_exec); read by the supervisor
 *   stdin    the line the job reads; opened as its standard input
 *   stream   frames, written by the supervisor, which holds an exclusive flock on it while it lives
 *
 * Only whole frames of the stream count: an incomplete one at the end may be cut off and written
 * anew (disk full), so read frames from their first byte. No lock and no EXIT or FAILED at the end:
 * the supervisor died (or the machine did), and how the job ended is not known. */
#ifndef SAT_SUPER_H
#define SAT_SUPER_H

#include "base/buf.h"
#include "base/clock.h"
#include "proc/spawn.h"

#define SUPER_STREAM_MAX LIMIT(UINT64_C(16) << 30, 65536u) /* bytes; then dropped, with a note */
#define SUPER_EXEC_MAX   LIMIT(16u * 1024 * 1024, 65536u)  /* bytes of the file `exec` */
#define SUPER_LINGER     (10 * USEC_SEC) /* silence on pipes held open after the job's exit */

enum super_frame_type {
    SUPER_STDOUT = 1,
    SUPER_STDERR = 2,
    SUPER_STARTED = 3, /* text: "PID START_TICKS SUPERVISOR_PID" */
    SUPER_EXIT = 4,    /* text: "code N" or "signal N"; the last frame, after all output */
    SUPER_FAILED = 5,  /* text: why it could not start; the last frame */
    SUPER_NOTE = 6,    /* text for the activity log (output cut, pipes held open) */
};

/* On disk: little endian, 16 bytes, then `n` bytes. */
struct super_frame {
    uint32_t n;
    uint8_t type;
    uint8_t zero[3];
    uint64_t at; /* wall clock, Usec */
};

struct super;

/* Forks the launcher. Call first thing in main, before loop or lanes exist; spool_dir must exist.
 */
Status super_start(const char *spool_dir, struct super **ret, struct err *err) MUST_USE;
void super_free(struct super *s);

/* Serialises spec (argv, env, cwd, user, limits; fds are the supervisor's own) as the file `exec`.
 */
Status super_write_exec(const struct proc_spec *spec, struct buf *out) MUST_USE;

/* Starts the supervisor of a job whose folder is ready. Asynchronous: success or failure appears as
 * a frame in `stream`, which exists and is locked (super_alive) from the return on. EXISTS when it
 * existed before: a job is never started twice. BUSY when the launcher does not keep up, IO when it
 * is gone (the satellite then exits and is started again by its service manager); `stream` does not
 * exist then. */
Status super_launch(struct super *s, struct str job_id, struct err *err) MUST_USE;

/* True while the supervisor of that folder lives (its flock is held). */
bool super_alive(const char *job_dir);

#endif
