/* Intents: which jobs this satellite has taken on. A job's id is durable here before the conductor
 * hears "accepted" and before anything of the job runs; many ids share one sync. Nothing else of a
 * launch needs one: after a power failure no job runs any more, and all that must be known then is
 * that it may have run.
 *
 * The file SPOOL/intents.log is lines "+ID" and "-ID". Owner: the runner. Loop thread; the file is
 * written on the disk lane, one batch at a time. */
#ifndef SAT_INTENT_H
#define SAT_INTENT_H

#include "base/id.h"
#include "base/map.h"
#include "sat/sat.h"

#define INTENT_FILE     "intents.log"
#define INTENT_FILE_MAX LIMIT(1024u * 1024, 512u) /* then it is written anew, with what is open */
#define INTENT_READ_MAX (64u * 1024 * 1024)

struct intents;

/* Reads what is open and starts with a fresh file. Blocking: at start-up. */
struct intents *intents_open(struct sat *s, struct err *err);
bool intents_has(const struct intents *in, struct str id);
/* Calls fn for each that is open; fn may not change them. */
void intents_each(const struct intents *in, void (*fn)(void *ctx, struct str id), void *ctx);
void intents_close(struct intents *in); /* what is not written stays unwritten */

/* fn(ctx, id, status) once the id is durable, or could not be made so. FULL, NOMEM: fn does not
 * come. */
typedef void (*IntentFn)(void *ctx, struct str id, Status st, const struct err *err);
Status intents_add(struct intents *in, struct str id, IntentFn fn, void *ctx) MUST_USE;
/* The job is over and about to be forgotten. Written soon, not synced. */
void intents_remove(struct intents *in, struct str id);

#endif
