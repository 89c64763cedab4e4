/* The inside of the definitions, for the files of this room only.
 *
 * An entry is one id of one kind: the definition when there is one, the change of it that is on its
 * way to the disk, and the changes waiting behind. An entry without any of the three does not
 * exist. */
#ifndef EVENT_DEFS_INT_H
#define EVENT_DEFS_INT_H

#include "base/list.h"
#include "event/defs.h"
#include "event/kinds.h"

#define DEFS_ROW_ID_MAX (ID_MAX * 2 + 64) /* "event:ID", "event:ID:REV" */

struct entry {
    struct def def;
    bool present;
    int64_t sort_order;    /* of categories and groups; -1: none */
    struct change *active; /* being written */
    struct list waiting;   /* changes, in the order of their calls */
    size_t n_waiting;
    unsigned pins; /* callbacks below us still look at it */
};

enum change_op { CHANGE_CREATE, CHANGE_UPDATE, CHANGE_DELETE };

struct change {
    struct list link;       /* in entry->waiting, or in defs->active */
    struct change *sibling; /* next of the same transaction (install) */
    struct defs *d;
    struct entry *entry;
    enum change_op op;
    enum def_kind kind;
    bool reorder; /* no modified, revision, history, activity */
    Usec now;
    DefsFn fn;
    void *arg;

    char *waiting_text; /* while waiting: the given object and the actor, owned */
    struct str given;
    struct actor by;

    /* What the definition becomes. */
    char *json; /* owned; NULL for a delete */
    size_t json_n;
    int64_t revision, position, sort_order;
    bool enabled;
    Id category, plugin;
};

struct kind_set {
    struct map by_id; /* entry by id */
    struct vec order; /* present entries */
};

struct defs {
    struct store *store;
    struct kind_set kinds[DEF_KIND_COUNT];
    struct list active;   /* changes being written */
    struct vec listeners; /* struct listener */
    struct id_source ids;
    int64_t next_position;
};

struct entry *defs_entry(const struct defs *d, enum def_kind k, struct str id);
/* Finds or makes; NULL on no memory. */
struct entry *defs_entry_make(struct defs *d, enum def_kind k, struct str id);
/* Frees it when nothing holds it any more. */
void defs_entry_settle(struct defs *d, struct entry *e);
/* Puts the outcome of a durable change into memory and tells the listeners. */
void defs_apply(struct change *c);
/* Reads what lists and filters need out of an object. */
void defs_summary(enum def_kind k, yyjson_val *object, struct change *ret);

/* change.c: validates, fills the outcome of c and adds its rows to tx. a: for the time of the call.
 */
Status change_prepare(struct change *c, struct arena *a, yyjson_val *given, const struct actor *by,
                      struct store_tx *tx, struct err *err) MUST_USE;
/* A change of entry e with nothing in it yet; NULL on no memory. */
struct change *change_new(struct defs *d, struct entry *e, enum change_op op, Usec now);
void change_free(struct change *c);
/* Marks a prepared change as on its way to the disk. */
void change_launched(struct change *c);
/* The transaction of the change is over: memory, listeners, callback, whatever waited; frees it. */
void change_landed(struct change *c, Status st, const struct err *err);

/* record.c: history and activity rows. */
Status record_rows(const struct change *c, struct arena *a, yyjson_val *object,
                   const struct actor *by, struct store_tx *tx, struct err *err) MUST_USE;
/* The activity row of a re-ordering: names of the first item's keys. */
Status record_multi(struct defs *d, enum def_kind k, yyjson_val *items, const struct actor *by,
                    Usec now, struct store_tx *tx, struct err *err) MUST_USE;

#endif
