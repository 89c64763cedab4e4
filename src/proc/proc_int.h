/* What proc_spawn has worked out before the fork, and the one function that runs in the child. */
#ifndef PROC_PROC_INT_H
#define PROC_PROC_INT_H

#include "proc/spawn.h"

enum proc_step {
    PROC_STEP_STREAMS = 1,
    PROC_STEP_SESSION,
    PROC_STEP_LIMITS,
    PROC_STEP_FOLDER,
    PROC_STEP_USER,
    PROC_STEP_EXEC,
};

/* Sent through the report pipe when a step fails; nothing is sent when the exec succeeds. */
struct proc_report {
    int step; /* enum proc_step */
    int error;
};

struct proc_plan {
    const struct proc_spec *spec;
    char **paths;         /* what to try to execute, in order, NULL-ended */
    const char **sh_argv; /* "/bin/sh", a free place for the script's path, argv[1...], NULL */
    gid_t *groups;
    size_t n_groups;
    bool change_user;
    int report_fd; /* 3 or above, close-on-exec */
};

/* In the child, which shares the parent's memory until it execs: only system calls, no allocation,
 * no writes but to its own stack and the free place in sh_argv. */
NORETURN void proc_child_exec(const struct proc_plan *plan);

#endif
