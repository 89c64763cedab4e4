/* The loop: one thread that owns the world. A turn is: read, handle, timers, then the end-of-turn
 * hooks (hand the turn's writes to the store as one batch), then poll again.
 *
 * Owner: main. Everything here is called on the loop thread. loop_new also ignores SIGPIPE for the
 * whole process. Hooks and signals do not keep the loop running; timers that run, deferred calls
 * and pending lane work do. */
#ifndef LOOP_LOOP_H
#define LOOP_LOOP_H

#include "base/attr.h"
#include "base/clock.h"
#include "base/status.h"

#include <stdbool.h>

struct loop;
struct loop_timer;
struct uv_loop_s;

struct loop *loop_new(void);
void loop_free(struct loop *l); /* runs close callbacks; all handles must be closed or closing */

void loop_run(struct loop *l); /* until loop_stop, or until nothing is left to wait for */
void loop_stop(struct loop *l);

struct uv_loop_s *loop_uv(struct loop *l);
Usec loop_now_wall(const struct loop *l); /* taken once a turn, at the first question */
Usec loop_now_mono(const struct loop *l);

/* Runs fn(arg) at the end of every turn in which something happened, in order of registration. */
Status loop_on_turn_end(struct loop *l, void (*fn)(void *arg), void *arg) MUST_USE;

/* A callback slower than this is logged by name as loop.slow (warn); counted in loop_slow_count. */
#define LOOP_SLOW_USEC (20 * USEC_MSEC)
uint64_t loop_slow_count(const struct loop *l);

/* Times a callback:
 *     struct loop_span s = loop_span_begin(l, "http.request"); ... loop_span_end(&s); */
struct loop_span {
    struct loop *loop;
    const char *what;
    Usec begin;
};
struct loop_span loop_span_begin(struct loop *l, const char *what);
void loop_span_end(struct loop_span *s);

/* Timers. Heap objects; free closes (safe inside its own callback; NULL is fine). A stopped timer
 * may be started again. Without repeat: one shot. `what` is a literal, used by the slow log. */
typedef void (*LoopTimerFn)(void *arg);
struct loop_timer *loop_timer_new(struct loop *l, const char *what, LoopTimerFn fn, void *arg);
/* Never early, up to 2 ms late; negative counts as 0. Starting again replaces the earlier start.
 * `after` of at most 100 years: callers bound what a user gave. */
void loop_timer_start(struct loop_timer *t, Usec after, Usec repeat);
void loop_timer_stop(struct loop_timer *t);
bool loop_timer_active(const struct loop_timer *t);
void loop_timer_free(struct loop_timer *t);

/* Calls fn(arg) soon: after the callbacks of this turn, before its end-of-turn hooks. FULL when
 * more than LOOP_DEFER_MAX wait. */
#define LOOP_DEFER_MAX LIMIT(1000000u, 64u)
Status loop_defer(struct loop *l, void (*fn)(void *arg), void *arg) MUST_USE;

/* Calls fn(signum, arg) on the loop thread for SIGINT, SIGTERM, SIGHUP, SIGCHLD, ... until
 * loop_free. */
Status loop_on_signal(struct loop *l, int signum, void (*fn)(int signum, void *arg), void *arg,
                      struct err *err) MUST_USE;

#endif
