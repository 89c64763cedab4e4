/* From a launch message to what a supervisor needs: program and arguments, environment, user, the
 * line for standard input, the script of the shell plugin. Reads the launch and facts, asks the
 * user database and whether a plugin's script exists; starts nothing. Blocking: on a lane.
 *
 * Facts: reference/satellite.md 18, 19, 37.2, 38.1, 38.4. */
#ifndef SAT_PREPARE_H
#define SAT_PREPARE_H

#include "base/arena.h"
#include "base/buf.h"
#include "json/json.h"
#include "proc/spawn.h"

#define PREPARE_STDIN_MAX  LIMIT(64u * 1024 * 1024, 65536u)
#define PREPARE_SCRIPT_MAX LIMIT(16u * 1024 * 1024, 4096u)
#define PREPARE_ARENA_MAX  (256u * 1024 * 1024)
#define PREPARE_NAME_MAX   LIMIT(200u, 24u) /* bytes of a file name */

enum command_kind {
    COMMAND_PROGRAM, /* the plugin's own command line */
    COMMAND_SHELL,   /* [shell-plugin] */
    COMMAND_TEST,    /* [test-plugin] */
    COMMAND_UNKNOWN, /* [other]: not supported */
};
enum command_kind prepare_kind(yyjson_val *job);

/* Paths are absolute; nothing is owned. */
struct prepare_facts {
    const char *home; /* of the satellite */
    const char *temp;
    const char *exe;      /* the satellite's own program */
    const char *job_dir;  /* in the spool */
    const char *cwd;      /* of the job */
    const char *log_file; /* legacy log of the job */
    struct str base_url;  /* of the conductor, "" when unknown */
    struct str runner_token;
    yyjson_val *config; /* root of the configuration */
    const char *const *environment;
};

struct prepared {
    const char *const *argv;
    const char *const *env;
    bool set_user;
    uid_t uid;
    gid_t gid;
    const char *user_name;
    struct buf stdin_line; /* prepared_done */
    struct buf script; /* of the shell plugin: to be written to JOB_DIR/script, 0700, the user's */
    size_t env_skipped;
};

/* launch: {job, details, sec}. Pointers in `out` lie in the arena. On failure err->text is the
 * sentence for the job's description ("Plugin Error: User does not exist: x"); prepared_done is
 * needed either way. */
Status prepare_job(yyjson_val *launch, const struct prepare_facts *facts, struct arena *a,
                   struct prepared *out, struct err *err) MUST_USE;
void prepared_done(struct prepared *p);

/* A name of a file that stays in its folder: '/' and control characters become _, "." and ".." too;
 * cut at PREPARE_NAME_MAX on a character. */
struct str prepare_file_name(struct arena *a, struct str name);
/* The name of an upload (satellite.md 25). */
struct str prepare_upload_name(struct arena *a, struct str name);

#endif
