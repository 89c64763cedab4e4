/* A lane: a bounded queue and a fixed number of threads for blocking work of one kind (store, disk,
 * hash, zip). FIFO; with one thread also in strict order.
 *
 * A work item is a heap struct whose first member is struct lane_work; it carries values, never
 * pointers into the world. `work` runs on a lane thread, then `done` on the loop thread; `done`
 * frees the item. A full lane answers BUSY and the item stays the caller's. */
#ifndef LOOP_LANE_H
#define LOOP_LANE_H

#include "base/list.h"
#include "base/status.h"
#include "loop/loop.h"

struct lane;
struct lane_work;

typedef void (*LaneWorkFn)(struct lane_work *w);

struct lane_work {
    struct list link; /* the lane's */
    LaneWorkFn work;  /* lane thread */
    LaneWorkFn done;  /* loop thread; may be NULL only if work frees the item */
};

#define LANE_THREADS_MAX 16

/* name: literal, shown in /metrics and thread names. queue_max: items waiting, not counting those
 * at work. Stacks are small (256 KB), all signals are blocked in the threads. NULL when memory or
 * threads are short. */
struct lane *lane_new(struct loop *l, const char *name, unsigned threads, size_t queue_max);
/* Finishes what is queued (work and done), joins the threads, frees; what is posted meanwhile is
 * refused with CLOSED. Waits for the work at hand. NULL is fine. */
void lane_free(struct lane *lane);

Status lane_post(struct lane *lane, struct lane_work *w) MUST_USE;

size_t lane_pending(const struct lane *lane); /* queued, at work, or about to be handed back */
uint64_t lane_done_count(const struct lane *lane);
const char *lane_name(const struct lane *lane);

#endif
