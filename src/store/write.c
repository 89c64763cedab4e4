/* Group commit. Commits wait in a list on the loop; a turn's commits start one group on the store
 * lane, what arrives meanwhile is the next group, so the disk is never idle and nobody waits for a
 * timer.
 *
 * In a group each commit is a savepoint: it fails alone when the fault is its own (EXISTS). A fault
 * of the disk rolls the whole group back; when space ran out, its commits are tried once more one
 * by one, so that a huge one does not take small ones with it. The only writing connection is here,
 * and so are the checkpoints. */
#include "store/sqlite_int.h"

#include <stdio.h>
#include <sys/stat.h>

static void queue_push(struct store_tx_queue *q, struct store_tx *tx)
{
    tx->next = NULL;
    if (q->last)
        q->last->next = tx;
    else
        q->first = tx;
    q->last = tx;
    q->n++;
    q->bytes += tx->bytes;
}

static struct store_tx *queue_pop(struct store_tx_queue *q)
{
    struct store_tx *tx = q->first;

    if (!tx)
        return NULL;
    q->first = tx->next;
    if (!q->first)
        q->last = NULL;
    q->n--;
    q->bytes -= tx->bytes;
    tx->next = NULL;
    return tx;
}

/* ---- statements of the writer ---- */

static void sql_upsert(const struct store_table_row *row, bool replace, struct buf *sql)
{
    (void)buf_printf(sql, "INSERT INTO \"%s\"(id", row->name);
    for (size_t i = 0; i < row->n_columns; i++)
        (void)buf_printf(sql, ",\"%s\"", row->columns[i].name);
    (void)buf_add_z(sql, ",json) VALUES(?");
    for (size_t i = 0; i < row->n_columns + 1; i++)
        (void)buf_add_z(sql, ",?");
    (void)buf_add_z(sql, ")");
    if (!replace)
        return;
    (void)buf_add_z(sql, " ON CONFLICT(id) DO UPDATE SET json=excluded.json");
    for (size_t i = 0; i < row->n_columns; i++)
        (void)buf_printf(sql, ",\"%s\"=excluded.\"%s\"", row->columns[i].name,
                         row->columns[i].name);
}

static void sql_of_op(enum tx_op_kind kind, enum store_table t, size_t column, struct buf *sql)
{
    const struct store_table_row *row = store_table_row(t);

    switch (kind) {
    case STORE_PUT:
        sql_upsert(row, true, sql);
        break;
    case STORE_INSERT:
        sql_upsert(row, false, sql);
        break;
    case STORE_DELETE:
    case STORE_DELETE_BLOB:
        (void)buf_printf(sql, "DELETE FROM \"%s\" WHERE id=?", row->name);
        break;
    case STORE_DELETE_WHERE:
        (void)buf_printf(sql, "DELETE FROM \"%s\" WHERE \"%s\" IS ?", row->name,
                         row->columns[column].name);
        break;
    case STORE_DELETE_OWNER:
        (void)buf_add_z(sql, "DELETE FROM blobs WHERE owner=? RETURNING id");
        break;
    case STORE_OP_COUNT:
        break;
    }
}

static Status op_statement(struct store *s, const struct tx_op *op, sqlite3_stmt **ret,
                           struct err *err)
{
    const bool kept = op->kind != STORE_DELETE_WHERE;
    sqlite3_stmt **slot = &s->ops[op->table][op->kind];
    AUTO_BUF struct buf sql = { 0 };

    buf_init(&sql, DB_SQL_MAX);
    if (kept && *slot) {
        (void)sqlite3_reset(*slot);
        *ret = *slot;
        return STATUS_OK;
    }
    sql_of_op(op->kind, op->table, op->column, &sql);
    if (sql.failed)
        return err_set(err, STATUS_NOMEM, NULL, "out of memory");
    if (!kept)
        return db_prepare(&s->writer, buf_str(&sql), ret, err);
    const int rc =
        sqlite3_prepare_v3(s->writer.h, sql.p, (int)sql.n, SQLITE_PREPARE_PERSISTENT, slot, NULL);
    if (rc != SQLITE_OK)
        return db_error(s->writer.h, rc, "preparing a change", err);
    *ret = *slot;
    return STATUS_OK;
}

static int op_bind(sqlite3_stmt *stmt, const struct tx_op *op)
{
    int at = 1;
    int rc = SQLITE_OK;

    if (op->id.p)
        rc = sqlite3_bind_text64(stmt, at++, op->id.p, op->id.n, SQLITE_STATIC, SQLITE_UTF8);
    for (size_t i = 0; rc == SQLITE_OK && i < op->n_values; i++)
        rc = db_bind(stmt, at++, &op->values[i]);
    if (rc == SQLITE_OK && op->json.p)
        rc = sqlite3_bind_text64(stmt, at++, op->json.p, op->json.n, SQLITE_STATIC, SQLITE_UTF8);
    return rc;
}

static bool unlink_later(struct store_tx *tx, struct str path)
{
    struct tx_unlink *u = arena_alloc(tx->arena, sizeof *u);

    if (!u)
        return false;
    *u = (struct tx_unlink){ .next = tx->unlinks, .path = arena_dup(tx->arena, path) };
    if (!u->path.p)
        return false;
    tx->unlinks = u;
    return true;
}

static Status op_run(struct store *s, struct store_tx *tx, const struct tx_op *op)
{
    sqlite3_stmt *stmt = NULL;
    bool room = true;

    Status st = op_statement(s, op, &stmt, &tx->err);
    if (st)
        return st;
    int rc = op_bind(stmt, op);
    while (rc == SQLITE_OK || rc == SQLITE_ROW) {
        rc = sqlite3_step(stmt);
        if (rc == SQLITE_ROW && op->kind == STORE_DELETE_OWNER) {
            const void *p = sqlite3_column_text(stmt, 0);
            room = room && unlink_later(tx, str_n(p, (size_t)sqlite3_column_bytes(stmt, 0)));
        }
    }
    if (rc != SQLITE_DONE)
        st = db_error(s->writer.h, rc, "writing", &tx->err);
    (void)sqlite3_reset(stmt);
    if (!st && op->kind == STORE_DELETE_BLOB)
        room = unlink_later(tx, op->id);
    if (!st && !room)
        st = err_set(&tx->err, STATUS_TOO_BIG, NULL, "the transaction touches too many files");
    return st;
}

static Status tx_run(struct store *s, struct store_tx *tx)
{
    tx->unlinks = NULL;
    for (const struct tx_op *op = tx->first; op; op = op->next) {
        Status st = op_run(s, tx, op);
        if (st)
            return st;
    }
    return STATUS_OK;
}

/* A fault of this commit alone; anything else is a fault of the disk, memory or the file. */
static bool is_own_fault(Status st)
{
    return st == STATUS_EXISTS || st == STATUS_INVALID || st == STATUS_TOO_BIG;
}

/* Runs the commits of the list in one transaction. OK when it is on disk: each commit then has its
 * own status. Otherwise nothing of it is in the store and err says why. */
static Status transaction_run(struct store *s, struct store_tx *first, bool alone, struct err *err)
{
    sqlite3 *h = s->writer.h;
    Status st = db_exec(h, "BEGIN IMMEDIATE", err);

    for (struct store_tx *tx = first; !st && tx; tx = alone ? NULL : tx->next) {
        /* A single statement is atomic by itself. */
        const bool savepoint = !alone && tx->n > 1;

        if (savepoint)
            st = db_exec(h, "SAVEPOINT one", err);
        if (st)
            break;
        tx->st = tx_run(s, tx);
        if (tx->st && (alone || !is_own_fault(tx->st) || sqlite3_get_autocommit(h))) {
            st = tx->st;
            if (err)
                *err = tx->err;
        }
        if (!st && savepoint)
            st = db_exec(h, tx->st ? "ROLLBACK TO one; RELEASE one" : "RELEASE one", err);
    }
    if (!st)
        st = db_exec(h, "COMMIT", err);
    if (st && !sqlite3_get_autocommit(h))
        (void)db_exec(h, "ROLLBACK", NULL);
    return st;
}

static void tx_outcome(struct store_tx *tx, Status st, const struct err *err)
{
    tx->st = st;
    if (st)
        tx->err = *err;
}

/* One by one, after their common transaction failed for want of space. */
static void retry_alone(struct store *s, struct store_tx *first)
{
    unsigned failed = 0;
    struct err err = { .code = STATUS_OK };
    Status st = STATUS_OK;

    for (struct store_tx *tx = first; tx; tx = tx->next) {
        if (failed < STORE_RETRY_FAIL_MAX) {
            st = transaction_run(s, tx, true, &err);
            s->group.transactions++;
            failed = st && !is_own_fault(st) ? failed + 1 : 0;
        }
        tx_outcome(tx, st, &err);
    }
}

/* The files of deleted rows, right after the commit: when the callback runs they are gone. */
static void unlink_files(struct store *s, const struct store_tx *tx)
{
    if (tx->st)
        return;
    for (const struct tx_unlink *u = tx->unlinks; u; u = u->next)
        blob_unlink(s, u->path);
}

static void group_run(struct store *s)
{
    struct store_group *g = &s->group;
    struct err err = { .code = STATUS_OK };
    struct stat info;

    Status st = transaction_run(s, g->txs.first, g->txs.n == 1, &err);
    g->transactions++;
    if (st == STATUS_NOSPACE && g->txs.n > 1)
        retry_alone(s, g->txs.first);
    else if (st)
        for (struct store_tx *tx = g->txs.first; tx; tx = tx->next)
            tx_outcome(tx, st, &err);
    for (struct store_tx *tx = g->txs.first; tx; tx = tx->next)
        unlink_files(s, tx);
    g->wal_pages = s->wal_pages;
    g->file_bytes = stat(s->file, &info) == 0 ? (int64_t)info.st_size : -1;
}

static void group_work(struct lane_work *w)
{
    group_run(CONTAINER_OF(w, struct store_group, work)->store);
}

int store_wal_hook(void *arg, sqlite3 *h, const char *name, int pages)
{
    struct store *s = arg;

    (void)h;
    (void)name;
    s->wal_pages = pages;
    return SQLITE_OK;
}

/* ---- on the loop ---- */

static void health_group(struct store *s, const struct store_tx *tx)
{
    struct store_health *h = &s->health;

    if (tx->st == STATUS_OK) {
        h->commits++;
        h->writable = true;
        return;
    }
    if (is_own_fault(tx->st))
        return;
    h->failures++;
    h->writable = false;
    (void)str_copy_z(str_z(tx->err.text), h->problem, sizeof h->problem);
}

/* Takes the group's commits out and answers them; the group may be at work again meanwhile. */
static void group_answer(struct store *s, struct store_tx_queue txs)
{
    struct store_tx *tx;

    for (tx = queue_pop(&txs); tx; tx = queue_pop(&txs)) {
        health_group(s, tx);
        if (tx->fn)
            tx->fn(tx->arg, tx->st, tx->st ? &tx->err : NULL);
        store_tx_free(tx);
    }
}

static struct store_tx_queue group_finish(struct store *s)
{
    const struct store_tx_queue txs = s->group.txs;

    s->group.txs = (struct store_tx_queue){ 0 };
    s->group_busy = false;
    s->health.transactions += s->group.transactions;
    s->group.transactions = 0;
    s->health.bytes = s->group.file_bytes;
    if (s->group.wal_pages < s->wal_seen) /* the log began anew */
        s->wal_due = WAL_CHECKPOINT_PAGES;
    s->wal_seen = s->group.wal_pages;
    s->health.last_commit_usec = loop_now_mono(s->loop) - s->group.begin;
    return txs;
}

static void group_done(struct lane_work *w)
{
    struct store *s = CONTAINER_OF(w, struct store_group, work)->store;
    struct store_tx_queue txs = group_finish(s);

    store_write_start(s); /* the disk works while we answer */
    group_answer(s, txs);
}

static void group_fill(struct store *s)
{
    struct store_group *g = &s->group;

    while (s->pending.first && g->txs.n < STORE_GROUP_MAX &&
           (g->txs.n == 0 || g->txs.bytes + s->pending.first->bytes <= STORE_GROUP_BYTES))
        queue_push(&g->txs, queue_pop(&s->pending));
    g->begin = loop_now_mono(s->loop);
}

static void checkpoint_post(struct store *s, bool truncate);

void store_write_start(struct store *s)
{
    if (s->group_busy || s->checkpoint_busy || s->closing)
        return;
    if (s->wal_seen >= s->wal_due) {
        checkpoint_post(s, false);
        return;
    }
    if (!s->pending.first) {
        if (s->wal_seen >= WAL_TRUNCATE_PAGES)
            loop_timer_start(s->idle, WAL_IDLE, 0);
        return;
    }
    loop_timer_stop(s->idle);
    group_fill(s);
    s->group.work = (struct lane_work){ .work = group_work, .done = group_done };
    s->group_busy = true;
    if (lane_post(s->write_lane, &s->group.work)) {
        /* cannot be: at most two items are ever posted. Answered rather than lost. */
        struct store_tx_queue txs = group_finish(s);
        const struct err err = { .code = STATUS_BUSY, .text = "the store lane is full" };
        for (struct store_tx *tx = txs.first; tx; tx = tx->next)
            tx_outcome(tx, STATUS_BUSY, &err);
        group_answer(s, txs);
    }
}

void store_write_drain(struct store *s)
{
    while (s->pending.first) {
        group_fill(s);
        group_run(s);
        group_answer(s, group_finish(s));
    }
}

static void kick_run(void *arg)
{
    struct store_kick *kick = arg;
    struct store *s = kick->store;

    free(kick);
    if (!s)
        return;
    s->kick = NULL;
    store_write_start(s);
}

/* Starts a group after the current callback, so that commits of one turn go together. */
static void kick(struct store *s)
{
    if (s->kick || s->group_busy || s->checkpoint_busy || s->closing)
        return;
    struct store_kick *k = malloc(sizeof *k);
    if (k)
        k->store = s;
    if (!k || loop_defer(s->loop, kick_run, k)) {
        free(k);
        store_write_start(s);
        return;
    }
    s->kick = k;
}

Status store_commit(struct store *s, struct store_tx *tx, StoreCommitFn fn, void *arg,
                    struct err *err)
{
    if (!tx)
        return err_set(err, STATUS_NOMEM, NULL, "out of memory");
    Status st = tx->st;
    if (st && err)
        *err = tx->err;
    if (!st && (s->pending.n >= STORE_QUEUE_MAX ||
                (s->pending.n && s->pending.bytes + tx->bytes > STORE_QUEUE_BYTES)))
        st = err_set(err, STATUS_BUSY, NULL, "too many changes wait for the disk");
    if (st) {
        store_tx_free(tx);
        return st;
    }
    tx->fn = fn;
    tx->arg = arg;
    queue_push(&s->pending, tx);
    kick(s);
    return STATUS_OK;
}

/* ---- checkpoints ---- */

Status store_checkpoint_now(struct store *s, bool truncate, struct err *err)
{
    int in_wal = 0;
    int moved = 0;
    const int rc = sqlite3_wal_checkpoint_v2(
        s->writer.h, NULL, truncate ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE,
        &in_wal, &moved);

    s->checkpoint.wal_pages = in_wal > 0 ? in_wal : 0;
    if (rc == SQLITE_OK || rc == SQLITE_BUSY)
        return STATUS_OK; /* a reader is in the way: next time */
    return db_error(s->writer.h, rc, "checkpoint", err);
}

static void checkpoint_work(struct lane_work *w)
{
    struct store_checkpoint *c = CONTAINER_OF(w, struct store_checkpoint, work);
    struct store *s = c->store;

    if (c->truncate)
        (void)sqlite3_busy_timeout(s->writer.h, 0); /* never keep a commit waiting for a reader */
    (void)store_checkpoint_now(s, c->truncate, NULL);
    if (c->truncate)
        (void)sqlite3_busy_timeout(s->writer.h, DB_BUSY_MS);
}

static void checkpoint_done(struct lane_work *w)
{
    struct store_checkpoint *c = CONTAINER_OF(w, struct store_checkpoint, work);
    struct store *s = c->store;

    /* A reader may hold the log back: then the next try is due when it has grown again. */
    s->wal_due = c->wal_pages + WAL_CHECKPOINT_PAGES;
    if (c->truncate)
        s->wal_seen = c->wal_pages;
    s->checkpoint_busy = false;
    store_write_start(s);
}

static void checkpoint_post(struct store *s, bool truncate)
{
    s->checkpoint.work = (struct lane_work){ .work = checkpoint_work, .done = checkpoint_done };
    s->checkpoint.truncate = truncate;
    s->checkpoint_busy = true;
    if (lane_post(s->write_lane, &s->checkpoint.work))
        s->checkpoint_busy = false; /* tried again after the next group */
}

void store_idle(void *arg)
{
    struct store *s = arg;

    if (s->group_busy || s->checkpoint_busy || s->pending.first || s->closing)
        return;
    checkpoint_post(s, true);
}
