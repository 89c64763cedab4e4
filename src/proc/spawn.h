/* Starting a process. The child gets a session and process group of its own (pgid = pid), default
 * signal handlers, an empty signal mask, umask 022, no descriptor beyond 0-2, and the user, groups,
 * folder, environment and limits of the spec. An exec failure comes back as an error here, not as
 * exit 127. */
#ifndef PROC_SPAWN_H
#define PROC_SPAWN_H

#include "base/attr.h"
#include "base/status.h"
#include "base/str.h"

#include <sys/types.h>

#define PROC_ARGS_MAX    LIMIT(4096u, 16u)
#define PROC_ENV_MAX     LIMIT(8192u, 64u)
#define PROC_COMMAND_MAX LIMIT(1024u * 1024, 256u) /* bytes of one word after expansion */

struct proc_limit {
    int resource; /* RLIMIT_* */
    unsigned long long soft, hard;
};

struct proc_spec {
    const char *const *argv; /* argv[0] is searched in the PATH of `env` unless it has a '/' */
    const char *const *env;  /* "K=V", NULL-ended; nothing is inherited */
    const char *cwd;         /* NULL: stays */
    bool set_user;           /* change to uid/gid (and initgroups of user_name, or none) */
    uid_t uid;
    gid_t gid;
    const char *user_name; /* may be NULL */
    int fd[3];             /* stdin, stdout, stderr of the child; -1: /dev/null */
    const struct proc_limit *limits;
    size_t n_limits;
};

/* OK with *ret_pid, or IO/MISSING/DENIED/INVALID with a sentence ("Child process failed to spawn
 * ..."). */
Status proc_spawn(const struct proc_spec *spec, pid_t *ret_pid, struct err *err) MUST_USE;

/* A user by name or number; MISSING "User does not exist: X". A number without an entry is accepted
 * when it is our own (name, home and shell are empty then). Asks the system user database: may
 * block. */
struct proc_user {
    uid_t uid;
    gid_t gid;
    char name[64];
    char home[256];
    char shell[256];
};
Status proc_user_find(const char *name_or_uid, struct proc_user *out, struct err *err) MUST_USE;
Status proc_group_find(const char *name_or_gid, gid_t *ret, struct err *err) MUST_USE;

/* Splits a command line as a shell would: quotes, escapes, $VAR and ${VAR} from env (unset: empty),
 * no globs; an operator (| & ; < > ( ) and back-quotes) or a wildcard (* ?) outside quotes is
 * INVALID with a sentence (satellite.md 18.7); # at the start of a word begins a comment. Words go
 * into the arena, NULL-ended. */
struct arena;
Status proc_split_command(struct str command, const char *const *env, struct arena *a,
                          const char ***ret_argv, struct err *err) MUST_USE;

#endif
