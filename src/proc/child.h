/* A child on the loop, for short helper programs (plugins of the conductor, tools): stdin from a
 * bounded text, stdout and stderr streamed, exit reported once both are closed, whole time bounded.
 */
#ifndef PROC_CHILD_H
#define PROC_CHILD_H

#include "loop/loop.h"
#include "proc/spawn.h"

struct proc_child;

struct proc_child_ops {
    void (*on_output)(void *ctx, int fd, const char *p, size_t n); /* fd 1 or 2 */
    void (*on_exit)(void *ctx, int exit_code, int signal,
                    bool timed_out); /* last; the child is gone after */
};

#define PROC_CHILD_STDIN_MAX LIMIT(64u * 1024 * 1024, 65536u) /* bytes of stdin_text */
#define PROC_CHILD_GRACE     (5 * USEC_SEC)                   /* from SIGTERM to SIGKILL */
#define PROC_CHILD_LINGER                                                                          \
    (5 * USEC_SEC) /* silence on pipes that somebody still holds after the exit */

/* spec's fds are set here. stdin_text is copied. timeout 0: none; after it SIGTERM, 5 s later
 * SIGKILL to the group. Nothing is called back before this returns. */
Status proc_child_start(struct loop *l, const struct proc_spec *spec, struct str stdin_text,
                        Usec timeout, const struct proc_child_ops *ops, void *ctx,
                        struct proc_child **ret, struct err *err) MUST_USE;
pid_t proc_child_pid(const struct proc_child *c);
void proc_child_kill(struct proc_child *c, int signal); /* the whole group */

/* The owner goes away: SIGKILL to the group, no more callbacks. The loop still has to turn until
 * the process is reaped. NULL is fine; never after on_exit. */
void proc_child_close(struct proc_child *c);
DEFINE_AUTO(struct proc_child, proc_child_close);

#endif
