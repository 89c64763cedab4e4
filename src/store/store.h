/* The store: one interface (SQLite + files here; PostgreSQL later passes the same tests).
 *
 * Writing: collect changes in a store_tx (values only), hand it over with store_commit; the
 * callback comes on the loop thread when the change is on disk (synchronous=FULL), in the order of
 * the commits. Commits that meet in the store lane share one transaction (group commit), yet each
 * succeeds or fails alone (savepoints). One connection does every write and every checkpoint.
 *
 * Reading: queries run on read-only connections of the read lane and see every commit whose
 * callback has run. Disk full, read-only or broken disk: commits fail with NOSPACE / IO and a clear
 * text, nothing half-done; store_health tells; commits are tried again as they come, so the store
 * heals by itself.
 *
 * Owner: conductor. Everything on the loop thread unless said otherwise. */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/arena.h"
#include "base/buf.h"
#include "json/json.h"
#include "loop/loop.h"
#include "store/tables.h"

struct store;
struct store_tx;

#define STORE_FORMAT    2                  /* of the database; migrations bring older ones up */
#define STORE_QUEUE_MAX LIMIT(20000u, 64u) /* commits waiting; more answer BUSY */
#define STORE_ROW_MAX   LIMIT(64u * 1024 * 1024, 64u * 1024)
#define STORE_READERS   2u

struct store_config {
    struct loop *loop;
    const char *dir;  /* DIR/data: orrery.db, blobs/ */
    bool fast_unsafe; /* tests only: synchronous=OFF */
};

/* Opens or creates, migrates, checks the format and that the schema is whole (quick_check runs on
 * the read lane afterwards; see store_health). Blocking: start-up. */
Status store_open(const struct store_config *config, struct store **ret, struct err *err) MUST_USE;
/* Finishes queued commits (their callbacks run), checkpoints, closes. Call with the loop still
 * alive. */
void store_close(struct store *s);

/* Values of columns, bound by position (enum X_COLUMNS order). */
struct store_value {
    enum { VALUE_NULL, VALUE_TEXT, VALUE_INT, VALUE_REAL } type;
    struct str text;
    int64_t i;
    double real;
};
static inline struct store_value store_text(struct str s)
{
    return (struct store_value){ .type = s.p ? VALUE_TEXT : VALUE_NULL, .text = s };
}
static inline struct store_value store_int(int64_t i)
{
    return (struct store_value){ .type = VALUE_INT, .i = i };
}
static inline struct store_value store_real(double d)
{
    return (struct store_value){ .type = VALUE_REAL, .real = d };
}

/* A transaction being collected. Strings are copied. Errors (memory, STORE_ROW_MAX) stick and are
 * answered by store_commit. */
struct store_tx *store_tx_new(struct store *s);
void store_tx_free(struct store_tx *tx); /* only if never committed; NULL is fine */
/* Inserts or replaces the row. columns: X_COLUMNS values in order. */
void store_tx_put(struct store_tx *tx, enum store_table t, struct str id, struct str json,
                  const struct store_value *columns, size_t n);
/* As put, but the commit fails with EXISTS when the id is there. */
void store_tx_insert(struct store_tx *tx, enum store_table t, struct str id, struct str json,
                     const struct store_value *columns, size_t n);
void store_tx_delete(struct store_tx *tx, enum store_table t, struct str id);
/* Deletes every row whose column equals the value. */
void store_tx_delete_where(struct store_tx *tx, enum store_table t, size_t column,
                           struct store_value v);
size_t store_tx_count(const struct store_tx *tx);

/* Called once, on the loop thread, in commit order; OK only after fsync. */
typedef void (*StoreCommitFn)(void *arg, Status st, const struct err *err);
/* Takes tx in every case. On BUSY or a sticky error fn is not called and that status returned. fn
 * may be NULL. */
Status store_commit(struct store *s, struct store_tx *tx, StoreCommitFn fn, void *arg,
                    struct err *err) MUST_USE;

/* Reading one row by id, and many rows by a query; rows are copied into the arena `a`, which the
 * caller keeps alive until fn has run (its use by another thread in between is the store's
 * business: do not touch it). */
struct store_found {
    struct str id;
    struct str json;
    const struct store_value *columns; /* in table order */
};
struct store_result {
    Status status;
    struct err err;
    const struct store_found *rows;
    size_t n;
    int64_t total; /* -1 unless asked for */
};
typedef void (*StoreQueryFn)(void *arg, const struct store_result *res);

Status store_get(struct store *s, enum store_table t, struct str id, struct arena *a,
                 StoreQueryFn fn, void *arg, struct err *err) MUST_USE;

enum store_op {
    OP_EQ,
    OP_NE,
    OP_LT,
    OP_LE,
    OP_GT,
    OP_GE,
    OP_HAS_WORD /* of a comma list */,
    OP_PREFIX
};
#define STORE_COLUMN_ID (-1)
struct store_condition {
    int column; /* or STORE_COLUMN_ID */
    enum store_op op;
    struct store_value value;
};
struct store_query {
    enum store_table table;
    const struct store_condition *where; /* all must hold */
    size_t n_where;
    int order_by; /* column or STORE_COLUMN_ID */
    bool descending;
    int64_t offset, limit; /* limit <= 0: STORE_LIMIT_MAX */
    bool want_total;
    bool ids_only; /* json is empty */
};
#define STORE_LIMIT_MAX LIMIT(100000, 8)
Status store_select(struct store *s, const struct store_query *q, struct arena *a, StoreQueryFn fn,
                    void *arg, struct err *err) MUST_USE;

/* Start-up only: walks a table synchronously on the calling thread, by id. fn returns false to
 * stop. */
typedef bool (*StoreWalkFn)(void *arg, const struct store_found *row);
Status store_walk(struct store *s, enum store_table t, StoreWalkFn fn, void *arg,
                  struct err *err) MUST_USE;

struct store_health {
    bool writable; /* the last commit went through */
    bool checked;  /* quick_check has finished */
    bool sound;    /* and found nothing */
    char problem[256];
    uint64_t commits, transactions, failures, queries;
    size_t pending;
    int64_t bytes;         /* of the database file */
    Usec last_commit_usec; /* how long the last group took */
};
void store_health(const struct store *s, struct store_health *ret);

/* Copies the whole database consistently to path while running (blocking: lane or offline). */
Status store_backup(const char *dir, const char *path, struct err *err) MUST_USE;
/* Puts a backup in place: checks that it is a sound database of ours, keeps the old one as
 * orrery.db.before-restore. BUSY while a conductor has the folder open. Blocking. */
Status store_restore(const char *dir, const char *path, struct err *err) MUST_USE;

#endif
