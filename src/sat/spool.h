/* The spool: one folder a job, SPOOL/JOBID/, in which everything lies that must outlive the
 * satellite.
 *
 * - launch.json: the launch as it came, with the boot id.
 * - exec, stdin, script: what the supervisor needs; made again from launch.json while there is no
 *   stream.
 * - stream: written by the supervisor (super.h); log, rows and result are a function of it.
 * - abort.json: {reason, at, offset, metas, rows}; the job was told to end.
 * - pushes: number of the last push message that was sent.
 * - files.json: {list, done}; what is to be uploaded and the records of what was.
 * - final.json: {stream_end, log_size, metas, pushes, rows, job}; a result that the stream does not
 *   give (abort, failure).
 *
 * Only the ids of accepted jobs are synced to the disk (intent.h): a power failure ends every job,
 * and what is to be known then is that the job may have run. So an accepted job whose folder is not
 * whole counts as lost, and so does one without a stream when the boot id is another one. No stream
 * and the boot id of now: the job has not started. A folder that was not accepted goes.
 *
 * Thread: any; blocking (start-up and lanes). */
#ifndef SAT_SPOOL_H
#define SAT_SPOOL_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/id.h"
#include "base/status.h"

#include <sys/types.h>

#define SPOOL_FILE_MAX LIMIT(100u * 1024 * 1024, 1024u * 1024)
#define SPOOL_PATH_MAX 4096u
#define SPOOL_BOOT_MAX 64u
#define SPOOL_JOBS_MAX LIMIT(100000u, 64u)

/* SPOOL/ID/name (name NULL: the folder); false when too long. */
bool spool_path(const char *spool, struct str id, const char *name, char out[SPOOL_PATH_MAX]);

void spool_boot_id(char out[SPOOL_BOOT_MAX]);

/* The folder and launch.json. EXISTS when there is one already. */
Status spool_store(const char *spool, struct str id, struct str launch, struct err *err) MUST_USE;
/* A file that nobody reads yet: written in place. */
Status spool_make(const char *spool, struct str id, const char *name, struct str text, mode_t mode,
                  struct err *err) MUST_USE;
/* A file of the job, replaced whole; durable: survives power loss. */
Status spool_put(const char *spool, struct str id, const char *name, struct str text, bool durable,
                 struct err *err) MUST_USE;
Status spool_get(const char *spool, struct str id, const char *name, struct buf *out,
                 struct err *err) MUST_USE;
bool spool_has(const char *spool, struct str id, const char *name);
/* Moves the folder away in one step, then removes it. */
void spool_forget(const char *spool, struct str id);

/* Removes what forgetting left behind, and folders that never were accepted; calls fn for each job.
 */
Status spool_scan(const char *spool, void (*fn)(void *ctx, struct str id), void *ctx,
                  struct err *err) MUST_USE;

/* Bytes of the stream from offset on, appended to out (at most `max`). *ret_alive: the supervisor
 * lived before the bytes were read. *ret_size: of the file. MISSING when there is no stream. */
Status spool_read_stream(const char *spool, struct str id, uint64_t offset, size_t max,
                         struct buf *out, bool *ret_alive, uint64_t *ret_size,
                         struct err *err) MUST_USE;

/* The processes of a job, from the first frame of its stream; false when it has not started (or
 * will not). */
struct spool_process {
    pid_t pid, supervisor;
    uint64_t start_ticks;
};
bool spool_process(const char *spool, struct str id, struct spool_process *ret);

#endif
