/* Activity rows: who did what, when, from where (reference/api-operations.md 16.15). Rows of
 * definitions are written by event/ with the definition; these are for everything else. The row
 * goes into the transaction of what it tells of, where there is one. */
#ifndef AUTH_ACTIVITY_H
#define AUTH_ACTIVITY_H

#include "event/defs.h"

#define AUTH_ACTIVITY_MAX LIMIT(4u * 1024 * 1024, 16u * 1024) /* bytes of one row */

struct auth_extra {
    const char *key;
    struct str json; /* raw text of the value */
};

struct auth_activity {
    const char *action;     /* "job_abort" */
    struct str description; /* title or id of the object */
    struct str object;      /* id, a keyword of the row; .p NULL: none */
    const struct auth_extra *extra;
    size_t n_extra;
};

/* Adds the row. One that is too big is cut down to what every row has. */
void auth_put_activity(struct store_tx *tx, struct id_source *ids, const struct auth_activity *v,
                       const struct actor *by, Usec now);

#endif
