/* Looking at processes through /proc: trees, identity, usage. Linux. Blocking only on /proc. */
#ifndef PROC_TREE_H
#define PROC_TREE_H

#include "base/clock.h"
#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define PROC_TABLE_MAX LIMIT(65536u, 4096u) /* a machine at rest has hundreds */

struct proc_info {
    pid_t pid, ppid, pgid, sid;
    char state;
    char comm[64];
    uint64_t start_ticks; /* since boot: with pid an identity */
    uint64_t cpu_ticks;   /* user + system */
    uint64_t rss_bytes;
    uint64_t io_bytes; /* rchar + wchar; 0 when not readable, and for kernel threads */
    uint32_t threads;
};

/* All processes, sorted by pid; free() the array. */
Status proc_scan(struct proc_info **ret, size_t *ret_n, struct err *err) MUST_USE;
Status proc_read(pid_t pid, struct proc_info *ret) MUST_USE; /* MISSING */
/* Start time of a process, zombies included; with pid an identity. Cheap: one file. */
Status proc_start_ticks(pid_t pid, uint64_t *ret) MUST_USE; /* MISSING */
bool proc_is_alive(pid_t pid, uint64_t start_ticks);        /* same process, not a zombie */

/* Members of the tree below root (root first), or of its session, out of a scan: marks them by
 * moving their indexes into out (room for n). Returns how many. */
size_t proc_tree(const struct proc_info *all, size_t n, pid_t root, pid_t session, size_t *out);

/* Signals every member of that tree, of root's session and of root's group (root may be gone; its
 * session and group are known by its pid). With SIGKILL it looks again until no new member shows
 * up. Returns how many were signalled. */
size_t proc_kill_tree(pid_t root, int signal);

/* The same for everything below `ancestor`, but never that itself. For a supervisor: all that its
 * job started and that still runs, daemons included. */
size_t proc_kill_below(pid_t ancestor, int signal);

long proc_ticks_per_sec(void);
/* Command line, NULs as blanks, cut; false when gone. */
bool proc_cmdline(pid_t pid, char *out, size_t size);

#endif
