/* The environment of a job (reference/satellite.md 19): names and values, later ones win, in the
 * order of first appearance. Lives in an arena.
 *
 * Names come from users: what cannot be a name is skipped; a value too long for the kernel is
 * skipped and counted. */
#ifndef SAT_ENV_H
#define SAT_ENV_H

#include "base/map.h"
#include "json/json.h"
#include "proc/spawn.h"

#define ENV_ENTRY_MAX                                                                              \
    LIMIT(128u * 1024 - 1, 512u) /* "NAME=VALUE" with its NUL; Linux allows 128 KB */
#define ENV_BYTES_MAX LIMIT(1024u * 1024, 16384u) /* together; room for the arguments is left */

struct env {
    struct arena *a;
    struct map index; /* name -> place + 1 */
    const char **at;  /* "NAME=VALUE" */
    size_t n, cap;
    size_t bytes;
    size_t skipped;
};

void env_init(struct env *e, struct arena *a);
void env_done(struct env *e);

void env_set(struct env *e, struct str name, struct str value);
/* Objects and arrays as JSON, others as text. */
void env_set_val(struct env *e, struct str name, yyjson_val *v);
/* Each member as it is named. */
void env_set_members(struct env *e, yyjson_val *obj);
/* Each member with `prefix` and its name cleaned: runs of other characters than [A-Za-z0-9_] become
 * _. */
void env_set_cleaned(struct env *e, const char *prefix, yyjson_val *obj);
const char *env_get(const struct env *e, const char *name); /* NULL when absent */

/* The agent's own environment without what is the agent's business (XYOPS_ XYSAT_ SATELLITE_
 * ORRERY_), with PATH made complete: home/bin, $HOME/.local/bin, the old one, the usual folders. */
void env_inherit(struct env *e, const char *const *environment, const char *home);

/* NULL-ended; valid until the next env_set. NULL when out of memory. */
const char *const *env_list(struct env *e);

#endif
