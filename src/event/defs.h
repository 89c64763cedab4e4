/* Definitions: small sets of objects kept whole in memory and written through to the store. Each
 * change writes the object, its revision row and its activity row in one transaction, and becomes
 * visible to readers only when that transaction is durable; changes of one object are serialised.
 *
 * A definition in memory is its JSON text (parsed on demand, into the caller's arena) plus the few
 * fields that lists and filters need. 100,000 events stay under 400 MB. */
#ifndef EVENT_DEFS_H
#define EVENT_DEFS_H

#include "base/id.h"
#include "base/map.h"
#include "base/vec.h"
#include "schema/schema.h"
#include "store/store.h"

struct defs;

#define DEFS_OBJECT_MAX  LIMIT(2u * 1024 * 1024, 8u * 1024) /* JSON text of one definition */
#define DEFS_COUNT_MAX   LIMIT(1000000u, 32u)               /* of one kind; more answer FULL */
#define DEFS_WAITING_MAX LIMIT(1000u, 8u) /* changes waiting for one object; more: BUSY */

enum def_kind {
    DEF_EVENT,
    DEF_CATEGORY,
    DEF_PLUGIN,
    DEF_GROUP,
    DEF_USER,
    DEF_ROLE,
    DEF_API_KEY,
    DEF_TAG,
    DEF_CHANNEL,
    DEF_WEB_HOOK,
    DEF_MONITOR,
    DEF_ALERT,
    DEF_BUCKET,
    DEF_SECRET,
    DEF_KIND_COUNT
};

struct def {
    Id id;
    enum def_kind kind;
    int64_t revision;
    int64_t position; /* order in lists: rising by creation */
    struct str json;  /* owned; the whole object */
    bool enabled;     /* `enabled`, or `active` of keys and users */
    Id category;      /* of an event, else empty */
    Id plugin;
};

struct def_kind_row {
    const char *name;      /* "event": key of the object in replies, activity "event_create" */
    const char *plural;    /* "events" */
    const char *id_prefix; /* of generated ids */
    const char
        *activity; /* prefix of its activity actions: "event", "category", "plugin", "apikey" */
    const struct prop *props;
    /* Checks beyond the table, on the merged object. May be NULL. */
    Status (*check)(struct arena *a, const struct defs *d, yyjson_val *merged, yyjson_val *given,
                    enum schema_mode mode, struct err *err);
};

const struct def_kind_row *def_kind_row(enum def_kind k);

/* Loads everything from the store; blocking, start-up. */
Status defs_load(struct store *s, struct defs **ret, struct err *err) MUST_USE;
void defs_free(struct defs *d);

const struct def *defs_find(const struct defs *d, enum def_kind k, struct str id); /* NULL */
size_t defs_count(const struct defs *d, enum def_kind k);
/* i-th in list order, 0 <= i < count. */
const struct def *defs_at(const struct defs *d, enum def_kind k, size_t i);
/* Parses into the arena. */
yyjson_val *def_parse(const struct def *def, struct arena *a);

/* Who changes, for the activity row. */
struct actor {
    struct str username; /* user, or the key's id */
    struct str creator;  /* what objects carry: the user, or the key's creator */
    struct str ip;
    struct str user_agent;
};

/* Called once when durable; def is borrowed (NULL after a delete or on failure). */
typedef void (*DefsFn)(void *arg, Status st, const struct def *def, const struct err *err);

/* given: the caller's object (need not outlive the call). Validates (generic rules, property table,
 * check), fills defaults and bookkeeping, and commits. INVALID / EXISTS / MISSING / CONFLICT / FULL
 * / BUSY come at once, without the callback; but while an earlier change of the same object is on
 * its way, the change waits for it, OK is returned, and whatever its validation then says comes by
 * the callback.
 *
 * Users: the id is the name in lower case without non-word characters; update and delete take
 * either. API keys: `id`, `key` (digest) and `mask` are the caller's business at create
 * (auth_make_key). Events: a `revision` given to an update is an optimistic lock (CONFLICT). */
Status defs_create(struct defs *d, enum def_kind k, yyjson_val *given, const struct actor *by,
                   Usec now, DefsFn fn, void *arg, struct err *err) MUST_USE;
Status defs_update(struct defs *d, enum def_kind k, yyjson_val *given, const struct actor *by,
                   Usec now, DefsFn fn, void *arg, struct err *err) MUST_USE;
Status defs_delete(struct defs *d, enum def_kind k, struct str id, const struct actor *by, Usec now,
                   DefsFn fn, void *arg, struct err *err) MUST_USE;

/* Re-ordering: merges each item {id, ...} into its object without touching `modified` and
 * `revision` (reference/api-objects.md 1.6); unknown ids are ignored. One activity row. fn with def
 * NULL when all are durable, or with the first failure. */
Status defs_multi_update(struct defs *d, enum def_kind k, yyjson_val *items, const struct actor *by,
                         Usec now, DefsFn fn, void *arg, struct err *err) MUST_USE;

/* The id of a user by name; false when nothing is left of it or it is too long. */
bool defs_user_id(struct str username, Id *ret);
/* A fresh id for the kind (what create uses when none is given). */
Id defs_new_id(struct defs *d, enum def_kind k, Usec now);

/* Called after each durable change (def NULL: deleted). Several may listen. */
typedef void (*DefsChangeFn)(void *arg, enum def_kind k, struct str id, const struct def *def);
Status defs_on_change(struct defs *d, DefsChangeFn fn, void *arg) MUST_USE;

/* Default install: categories, plugins, group, role (reference/api-objects.md 16), only when there
 * is none of them. Queued in one transaction; fn when durable (also when there was nothing to do).
 */
Status defs_install(struct defs *d, Usec now, StoreCommitFn fn, void *arg,
                    struct err *err) MUST_USE;

#endif
