/* The inside of the SQLite store, for the files of this room only.
 *
 * struct db is one connection with its prepared statements; it is used by one thread at a time. The
 * writer belongs to the store lane, the readers are handed out to the threads of the read lane. */
#ifndef STORE_SQLITE_INT_H
#define STORE_SQLITE_INT_H

#include "base/arena.h"
#include "base/str.h"
#include "loop/lane.h"
#include "store/blob.h"
#include "store/store.h"

#include <sqlite3.h>
#include <stdatomic.h>

#define DB_CACHE_MAX         32u          /* prepared queries a connection */
#define DB_SQL_MAX           (16u * 1024) /* text of one query */
#define DB_WRITER_CACHE_KB   2000
#define DB_READER_CACHE_KB   1000
#define STORE_ID_BYTES_MAX   640u /* of a row: a blob path, "KIND:ID:REV" */
#define STORE_TX_MAX         LIMIT(256u * 1024 * 1024, 512u * 1024)  /* bytes of one commit */
#define STORE_QUEUE_BYTES    LIMIT(256u * 1024 * 1024, 1024u * 1024) /* of all waiting commits */
#define STORE_GROUP_MAX      2000u /* commits in one transaction */
#define STORE_GROUP_BYTES    (16u * 1024 * 1024)
#define STORE_READ_QUEUE_MAX LIMIT(20000u, 64u) /* queries waiting; more answer BUSY */
#define STORE_CONDITIONS_MAX 32u                /* of one query */
#define STORE_RETRY_FAIL_MAX 8u                 /* of a failed group, tried one by one */
#define WAL_CHECKPOINT_PAGES 2048               /* 8 MB: a checkpoint is due */
#define WAL_TRUNCATE_PAGES   64                 /* worth truncating once idle */
#define WAL_IDLE             (3 * USEC_SEC)
#define DB_BUSY_MS           2000 /* wait for a lock of a foreign tool */

struct db_cached {
    struct str sql; /* owned */
    sqlite3_stmt *stmt;
    uint64_t used;
};

struct db {
    sqlite3 *h;
    struct db_cached cache[DB_CACHE_MAX];
    uint64_t tick;
};

enum db_mode { DB_WRITE, DB_READ };

Status db_open(struct db *db, const char *file, enum db_mode mode, struct err *err) MUST_USE;
void db_close(struct db *db);
/* A prepared statement from the cache, reset and without bindings; the cache keeps it. */
Status db_prepare(struct db *db, struct str sql, sqlite3_stmt **ret, struct err *err) MUST_USE;
Status db_exec(sqlite3 *h, const char *sql, struct err *err);
/* What SQLite's result means for us, with a sentence. */
Status db_error(sqlite3 *h, int rc, const char *what, struct err *err);
int db_bind(sqlite3_stmt *stmt, int at, const struct store_value *v);
/* Copies the row under stmt (id, columns ..., json) into the arena, or borrows when a is NULL
 * (columns then has room for them). */
Status db_row(sqlite3_stmt *stmt, const struct store_table_row *row, bool has_json, struct arena *a,
              struct store_value *columns, struct store_found *ret) MUST_USE;

enum tx_op_kind {
    STORE_PUT,
    STORE_INSERT,
    STORE_DELETE,
    STORE_DELETE_WHERE,
    STORE_DELETE_OWNER, /* rows of TABLE_BLOBS and their files */
    STORE_DELETE_BLOB,
    STORE_OP_COUNT
};

struct tx_op {
    struct tx_op *next;
    enum tx_op_kind kind;
    enum store_table table;
    size_t column;
    struct str id;
    struct str json;
    size_t n_values;
    struct store_value values[];
};

/* Files to remove once the transaction is on disk. */
struct tx_unlink {
    struct tx_unlink *next;
    struct str path;
};

struct store_tx {
    struct store *store;
    struct store_tx *next;
    struct arena *arena;
    struct tx_op *first, *last;
    size_t n;
    size_t bytes;
    Status st; /* sticky while collected, the outcome afterwards */
    struct err err;
    StoreCommitFn fn;
    void *arg;
    struct tx_unlink *unlinks;
};

struct store_tx_queue {
    struct store_tx *first, *last;
    size_t n;
    size_t bytes;
};

/* The one group of commits at work; the loop does not touch it meanwhile. */
struct store_group {
    struct lane_work work;
    struct store *store;
    struct store_tx_queue txs;
    Usec begin;
    int64_t wal_pages; /* after the commit */
    int64_t file_bytes;
    uint64_t transactions;
};

struct store_checkpoint {
    struct lane_work work;
    struct store *store;
    bool truncate;
    int64_t wal_pages; /* in the log afterwards */
};

struct store_kick {
    struct store *store; /* NULL when the store closed meanwhile */
};

struct store {
    struct loop *loop;
    char *dir;  /* as given */
    char *file; /* DIR/orrery.db */
    char *temp; /* DIR/temp */
    int lock_fd;
    bool fast_unsafe;
    bool closing;

    struct db writer;
    sqlite3_stmt *ops[TABLE_COUNT][STORE_OP_COUNT]; /* of the writer, prepared on first use */
    struct lane *write_lane;
    struct store_tx_queue pending;
    struct store_group group;
    struct store_checkpoint checkpoint;
    bool group_busy, checkpoint_busy;
    struct store_kick *kick; /* scheduled start of the next group */
    struct loop_timer *idle;
    int64_t wal_pages;         /* of the store lane */
    int64_t wal_seen, wal_due; /* of the loop: its last size, that of a checkpoint */

    struct db readers[STORE_READERS];
    atomic_flag reader_busy[STORE_READERS];
    struct lane *read_lane;
    struct lane *disk_lane;
    struct lane *zip_lane;
    atomic_bool stop; /* long reads give up */
    bool sweeping;

    struct store_health health;
};

/* write.c */
void store_write_start(struct store *s); /* starts the next group when there is one */
void store_write_drain(struct store *s); /* without the lane: start-up and end */
Status store_checkpoint_now(struct store *s, bool truncate, struct err *err);
int store_wal_hook(void *arg, sqlite3 *h, const char *name, int pages);
void store_idle(void *arg);
/* Appends an op; NULL when the transaction has failed. */
struct tx_op *store_tx_op(struct store_tx *tx, enum tx_op_kind kind, enum store_table t,
                          struct str id, struct str json, const struct store_value *columns,
                          size_t n);

/* read.c */
Status store_check_start(struct store *s, struct err *err) MUST_USE;
struct db *store_reader_take(struct store *s); /* read lane only: there is always one */
void store_reader_give(struct store *s, struct db *db);

/* blob.c */
Status blob_init(struct store *s, struct err *err) MUST_USE;
void blob_unlink(struct store *s, struct str path); /* any thread */
int blob_fsync_dir(const char *path);

#endif
