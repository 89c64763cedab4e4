/* The daily broom: first blobs whose time is over, row by row in small commits; then files that no
 * row names and that are older than a day (left by a crash between file and row). Each step is one
 * item of a lane, so other work gets its turn in between.
 *
 * The age of a file is that of its last rename or write: an upload that took a week is young when
 * it has just been put in its place. */
#include "store/blob_int.h"
#include "store/sqlite_int.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#define SWEEP_DEPTH_MAX 16 /* folders inside folders; deeper ones are left alone */

struct sweep {
    struct lane_work work;
    struct store *store;
    Usec now;
    struct arena *arena;            /* of the query for expired rows */
    DIR *stack[SWEEP_DEPTH_MAX];    /* the open folders, from DIR/blobs down */
    size_t length[SWEEP_DEPTH_MAX]; /* of `path` at each of them */
    size_t depth;
    size_t root; /* length of "DIR/blobs/" */
    char path[BLOB_FILE_MAX];
    bool finished;
};

static void sweep_free(struct sweep *w)
{
    while (w->depth > 0)
        (void)closedir(w->stack[--w->depth]);
    arena_free(w->arena);
    w->store->sweeping = false;
    free(w);
}

/* ---- files without a row ---- */

static bool has_row(struct db *db, struct str path, bool *ret_known)
{
    sqlite3_stmt *stmt = NULL;
    int rc = SQLITE_ERROR;

    if (db_prepare(db, STR("SELECT 1 FROM blobs WHERE id=?"), &stmt, NULL) == STATUS_OK &&
        sqlite3_bind_text64(stmt, 1, path.p, path.n, SQLITE_STATIC, SQLITE_UTF8) == SQLITE_OK)
        rc = sqlite3_step(stmt);
    (void)sqlite3_reset(stmt);
    *ret_known = rc == SQLITE_ROW || rc == SQLITE_DONE;
    return rc == SQLITE_ROW;
}

static void folder_enter(struct sweep *w)
{
    DIR *dir = w->depth < SWEEP_DEPTH_MAX ? opendir(w->path) : NULL;

    if (!dir)
        return;
    w->length[w->depth] = strlen(w->path);
    w->stack[w->depth++] = dir;
}

/* w->path names something below the deepest open folder. */
static void entry_look(struct sweep *w, struct db *db)
{
    struct stat info;
    bool known = false;

    if (lstat(w->path, &info))
        return;
    if (S_ISDIR(info.st_mode)) {
        folder_enter(w);
        return;
    }
    const time_t last = info.st_mtime > info.st_ctime ? info.st_mtime : info.st_ctime;
    if (!S_ISREG(info.st_mode) || w->now - (Usec)last * USEC_SEC < BLOB_GRACE)
        return;
    const struct str path = str_z(w->path + w->root);
    if (!has_row(db, path, &known) && known)
        blob_unlink(w->store, path);
}

static void files_step(struct sweep *w, struct db *db)
{
    for (int i = 0; w->depth > 0 && i < BLOB_SWEEP_STEP; i++) {
        const size_t n = w->length[w->depth - 1];
        const struct dirent *e = readdir(w->stack[w->depth - 1]);

        if (!e) {
            (void)closedir(w->stack[--w->depth]);
            continue;
        }
        if (e->d_name[0] == '.')
            continue; /* no blob has such a name */
        const int more = snprintf(w->path + n, sizeof w->path - n, "/%s", e->d_name);
        if (more > 0 && (size_t)more < sizeof w->path - n)
            entry_look(w, db);
    }
    w->finished = w->depth == 0 || atomic_load(&w->store->stop);
}

static void files_run(struct lane_work *work)
{
    struct sweep *w = CONTAINER_OF(work, struct sweep, work);
    struct db db;

    if (db_open(&db, w->store->file, DB_READ, NULL)) {
        w->finished = true;
        return;
    }
    if (w->depth == 0)
        folder_enter(w);
    files_step(w, &db);
    db_close(&db);
}

static void files_done(struct lane_work *work)
{
    struct sweep *w = CONTAINER_OF(work, struct sweep, work);

    if (w->finished || w->store->closing || lane_post(w->store->disk_lane, &w->work))
        sweep_free(w);
}

static void files_start(struct sweep *w)
{
    w->work = (struct lane_work){ .work = files_run, .done = files_done };
    if (w->store->closing || lane_post(w->store->disk_lane, &w->work))
        sweep_free(w);
}

/* ---- expired rows ---- */

static void expired_next(struct sweep *w);

static void expired_gone(void *arg, Status st, const struct err *err)
{
    struct sweep *w = arg;

    (void)err;
    if (st)
        sweep_free(w); /* the disk is in trouble: tomorrow again */
    else
        expired_next(w);
}

static void expired_found(void *arg, const struct store_result *res)
{
    struct sweep *w = arg;

    if (res->status || res->n == 0) {
        files_start(w);
        return;
    }
    struct store_tx *tx = store_tx_new(w->store);
    for (size_t i = 0; tx && i < res->n; i++)
        blob_tx_delete(tx, res->rows[i].id);
    if (store_commit(w->store, tx, expired_gone, w, NULL))
        sweep_free(w);
}

static void expired_next(struct sweep *w)
{
    const struct store_condition due = { .column = BLOBS_EXPIRES,
                                         .op = OP_LE,
                                         .value = store_int(w->now) };
    const struct store_query q = { .table = TABLE_BLOBS,
                                   .where = &due,
                                   .n_where = 1,
                                   .order_by = BLOBS_EXPIRES,
                                   .limit = BLOB_SWEEP_STEP,
                                   .ids_only = true };

    arena_reset(w->arena);
    if (store_select(w->store, &q, w->arena, expired_found, w, NULL))
        sweep_free(w);
}

void blob_sweep(struct store *s, Usec now)
{
    if (s->sweeping || s->closing)
        return;
    struct sweep *w = calloc(1, sizeof *w);
    if (!w)
        return;
    w->store = s;
    w->now = now;
    s->sweeping = true;
    w->arena = arena_new(4u * 1024 * 1024);
    const int n = snprintf(w->path, sizeof w->path, "%s/blobs", s->dir);
    if (!w->arena || n < 0 || (size_t)n >= sizeof w->path) {
        sweep_free(w);
        return;
    }
    w->root = (size_t)n + 1;
    expired_next(w);
}
