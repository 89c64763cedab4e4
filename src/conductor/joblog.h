/* Live job logs: LOG_DIR/jobs/ID.log, appended in order on a lane of their own while the job runs,
 * taken into the record or compressed into a blob at its end. Memory is bounded: when too much
 * waits for the disk, full() is true and the caller stops reading from satellites until on_drain.
 */
#ifndef CONDUCTOR_JOBLOG_H
#define CONDUCTOR_JOBLOG_H

#include "loop/lane.h"
#include "store/blob.h"

#define JOBLOG_WAITING_MAX                                                                         \
    LIMIT(16u * 1024 * 1024, 4096u) /* bytes in memory before back-pressure */
#define JOBLOG_LANE_MAX 200000u     /* work items: at most one append a job, and ends */

struct joblog;

/* What an ended log became. output: inline text (borrowed), or .p NULL. */
typedef void (*JoblogFinishFn)(void *arg, struct str id, Status st, struct str output,
                               uint64_t size, bool uploaded);

Status joblog_new(struct loop *l, struct store *s, const char *dir, uint64_t inline_max,
                  void (*on_drain)(void *arg), JoblogFinishFn on_finish, void *arg,
                  struct joblog **ret, struct err *err) MUST_USE;
void joblog_free(struct joblog *j);

void joblog_append(struct joblog *j, struct str id, struct str text);
/* After everything appended so far: on_finish. */
void joblog_finish(struct joblog *j, struct str id);
void joblog_remove(struct joblog *j, struct str id);
bool joblog_full(const struct joblog *j);
size_t joblog_waiting(const struct joblog *j);

/* Start-up: the size of a live log, 0 when there is none. */
uint64_t joblog_size(const struct joblog *j, struct str id);
/* Start-up: removes every live log that keep() does not want. */
void joblog_sweep(struct joblog *j, bool (*keep)(void *arg, struct str id), void *arg);

#endif
