/* Opening and closing: the folder, its lock, the connections, the lanes, the first check; health;
 * backup.
 *
 * Order at the start: lock the folder, look at the file without changing it, only then switch it to
 * WAL and migrate. A second conductor, a foreign or a newer file is refused with a sentence. */
#include "store/store.h"

#include "base/file.h"
#include "store/blob.h"
#include "store/migrations.h"
#include "store/sqlite_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>

static char *path_join(const char *dir, const char *name)
{
    const size_t n = strlen(dir) + strlen(name) + 2;
    char *path = malloc(n);

    if (path)
        (void)snprintf(path, n, "%s/%s", dir, name);
    return path;
}

/* One process a folder. The lock goes with the descriptor, so a crash leaves none behind. */
static Status lock_take(const char *dir, int *ret_fd, struct err *err)
{
    char *path = path_join(dir, "orrery.lock");
    Status st = STATUS_OK;

    if (!path)
        return err_set(err, STATUS_NOMEM, NULL, "out of memory");
    const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        st = err_errno(err, errno, "cannot open %s", path);
    else if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        *ret_fd = fd;
    else if (errno == EWOULDBLOCK)
        st = err_set(err, STATUS_BUSY, NULL, "%s is in use by another process of Orrery", dir);
    else
        st = err_errno(err, errno, "cannot lock %s", path);
    if (st && fd >= 0)
        (void)close(fd);
    free(path);
    return st;
}

/* The file is born unreadable for others; SQLite gives its mode to the log files beside it. */
static Status file_born(const char *file, struct err *err)
{
    const int fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0)
        return err_errno(err, errno, "cannot open %s", file);
    (void)close(fd);
    return STATUS_OK;
}

static Status journal_mode_set(struct store *s, struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    Status st = STATUS_OK;
    int rc = sqlite3_prepare_v2(s->writer.h, "PRAGMA journal_mode=WAL", -1, &stmt, NULL);

    if (rc == SQLITE_OK)
        rc = sqlite3_step(stmt);
    const void *mode = rc == SQLITE_ROW ? sqlite3_column_text(stmt, 0) : NULL;
    if (rc != SQLITE_ROW)
        st = db_error(s->writer.h, rc, "opening the database", err);
    else if (!str_eq_z(str_z(mode), "wal"))
        st = err_set(err, STATUS_IO, NULL, "%s: the file system cannot hold a database in WAL mode",
                     s->file);
    sqlite3_finalize(stmt);
    if (!st)
        st = db_exec(s->writer.h,
                     s->fast_unsafe ? "PRAGMA synchronous=OFF" : "PRAGMA synchronous=FULL", err);
    return st;
}

static Status writer_open(struct store *s, struct err *err)
{
    int format = 0;

    Status st = file_born(s->file, err);
    if (!st)
        st = db_open(&s->writer, s->file, DB_WRITE, err);
    if (!st)
        st = store_format_read(s->writer.h, s->file, &format, err);
    if (!st)
        st = journal_mode_set(s, err);
    if (!st)
        st = store_migrate(s->writer.h, format, err);
    if (!st)
        st = store_schema_check(s->writer.h, err);
    if (st)
        return st;
    (void)sqlite3_db_config(s->writer.h, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    (void)sqlite3_wal_hook(s->writer.h, store_wal_hook, s);
    if (blob_fsync_dir(s->dir))
        return err_errno(err, errno, "cannot sync %s", s->dir);
    return STATUS_OK;
}

static Status readers_open(struct store *s, struct err *err)
{
    for (unsigned i = 0; i < STORE_READERS; i++) {
        Status st = db_open(&s->readers[i], s->file, DB_READ, err);
        if (st)
            return st;
        atomic_flag_clear(&s->reader_busy[i]);
    }
    return STATUS_OK;
}

static Status lanes_open(struct store *s, struct err *err)
{
    s->write_lane = lane_new(s->loop, "store", 1, 4);
    s->read_lane = lane_new(s->loop, "store-read", STORE_READERS, STORE_READ_QUEUE_MAX);
    s->disk_lane = lane_new(s->loop, "disk", 2, STORE_READ_QUEUE_MAX);
    s->zip_lane = lane_new(s->loop, "zip", 1, STORE_READ_QUEUE_MAX);
    s->idle = loop_timer_new(s->loop, "store.idle", store_idle, s);
    if (!s->write_lane || !s->read_lane || !s->disk_lane || !s->zip_lane || !s->idle)
        return err_set(err, STATUS_NOMEM, NULL, "cannot start the lanes of the store");
    return STATUS_OK;
}

static Status store_build(struct store *s, struct err *err)
{
    struct stat info;

    s->file = path_join(s->dir, "orrery.db");
    s->temp = path_join(s->dir, "temp");
    if (!s->file || !s->temp)
        return err_set(err, STATUS_NOMEM, NULL, "out of memory");
    Status st = file_mkdirs(s->dir, 0700, err);
    if (!st)
        st = lock_take(s->dir, &s->lock_fd, err);
    if (!st)
        st = writer_open(s, err);
    if (!st)
        st = readers_open(s, err);
    if (!st)
        st = blob_init(s, err);
    if (!st)
        st = lanes_open(s, err);
    if (!st)
        st = store_check_start(s, err);
    if (!st && stat(s->file, &info) == 0)
        s->health.bytes = (int64_t)info.st_size;
    return st;
}

/* Before SQLite starts: no global counters (they cost a lock), small page chunks. Refused and
 * harmless when it has started already. */
static void sqlite_configure(void)
{
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    (void)sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 256, 64);
}

Status store_open(const struct store_config *config, struct store **ret, struct err *err)
{
    struct store *s = calloc(1, sizeof *s);

    if (!s)
        return err_set(err, STATUS_NOMEM, NULL, "out of memory");
    sqlite_configure();
    s->loop = config->loop;
    s->lock_fd = -1;
    s->fast_unsafe = config->fast_unsafe;
    s->wal_due = WAL_CHECKPOINT_PAGES;
    s->group.store = s;
    s->checkpoint.store = s;
    s->health.writable = true;
    s->dir = strdup(config->dir);
    Status st = s->dir ? store_build(s, err) : err_set(err, STATUS_NOMEM, NULL, "out of memory");
    if (st) {
        store_close(s);
        return st;
    }
    *ret = s;
    return STATUS_OK;
}

static void writer_close(struct store *s)
{
    for (unsigned t = 0; t < TABLE_COUNT; t++)
        for (unsigned k = 0; k < STORE_OP_COUNT; k++)
            sqlite3_finalize(s->ops[t][k]);
    if (s->writer.h && s->write_lane)
        (void)store_checkpoint_now(s, true, NULL);
    db_close(&s->writer);
}

void store_close(struct store *s)
{
    if (!s)
        return;
    /* Lanes first: their last results come in, their callbacks may commit again; what then still
     * waits is written right here, as nobody else holds the connection any more. */
    s->closing = true;
    atomic_store(&s->stop, true);
    if (s->kick)
        s->kick->store = NULL;
    lane_free(s->zip_lane);
    lane_free(s->disk_lane);
    lane_free(s->read_lane);
    lane_free(s->write_lane);
    store_write_drain(s);
    loop_timer_free(s->idle);
    for (unsigned i = 0; i < STORE_READERS; i++)
        db_close(&s->readers[i]);
    writer_close(s);
    if (s->lock_fd >= 0)
        (void)close(s->lock_fd);
    free(s->temp);
    free(s->file);
    free(s->dir);
    free(s);
}

void store_health(const struct store *s, struct store_health *ret)
{
    *ret = s->health;
    ret->pending = s->pending.n + (s->group_busy ? s->group.txs.n : 0);
}
