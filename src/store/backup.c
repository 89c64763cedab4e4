/* Backup and restore of the database file. A backup is a consistent copy of one moment, taken by a
 * read-only connection while the conductor may run; a restore needs the folder for itself. */
#include "base/file.h"
#include "store/migrations.h"
#include "store/sqlite_int.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <sys/file.h>

/* Copies everything of `from` to the new file `to`, in one read transaction. */
static Status copy_pages(sqlite3 *from, const char *to, struct err *err)
{
    sqlite3 *target = NULL;
    Status st = STATUS_OK;
    int rc = sqlite3_open_v2(
        to, &target, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_EXRESCODE, NULL);

    if (rc != SQLITE_OK) {
        st = db_error(target, rc, to, err);
        (void)sqlite3_close(target);
        return st;
    }
    sqlite3_backup *b = sqlite3_backup_init(target, "main", from, "main");
    if (b)
        (void)sqlite3_backup_step(b, -1);
    rc = b ? sqlite3_backup_finish(b) : sqlite3_errcode(target);
    if (rc != SQLITE_OK)
        st = db_error(target, rc, "copying the database", err);
    (void)sqlite3_close(target);
    return st;
}

static Status sync_file(const char *path, struct err *err)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    Status st = STATUS_OK;

    if (fd < 0)
        return err_errno(err, errno, "cannot open %s", path);
    if (fsync(fd))
        st = err_errno(err, errno, "cannot sync %s", path);
    (void)close(fd);
    return st;
}

static Status sync_folder_of(const char *path, struct err *err)
{
    char copy[4096];

    if (!str_copy_z(str_z(path), copy, sizeof copy))
        return err_set(err, STATUS_INVALID, NULL, "the path is too long");
    if (blob_fsync_dir(dirname(copy)))
        return err_errno(err, errno, "cannot sync the folder of %s", path);
    return STATUS_OK;
}

/* Copies beside `path`, then renames: a half-written copy never bears the name. */
static Status copy_replace(const char *from, const char *path, struct err *err)
{
    char part[4096];
    struct db db;
    int format = 0;

    const int n = snprintf(part, sizeof part, "%s.part", path);
    if (n < 0 || (size_t)n >= sizeof part)
        return err_set(err, STATUS_INVALID, NULL, "the path of the copy is too long");
    if (access(from, R_OK))
        return err_errno(err, errno, "cannot read %s", from);
    Status st = db_open(&db, from, DB_READ, err);
    if (st)
        return st;
    (void)unlink(part);
    st = store_format_read(db.h, from, &format, err);
    if (!st && format == 0)
        st = err_set(err, STATUS_CORRUPT, NULL, "%s is empty", from);
    if (!st)
        st = copy_pages(db.h, part, err);
    db_close(&db);
    if (!st)
        st = sync_file(part, err);
    if (!st && rename(part, path))
        st = err_errno(err, errno, "cannot rename %s", part);
    if (st)
        (void)unlink(part);
    return st ? st : sync_folder_of(path, err);
}

Status store_backup(const char *dir, const char *path, struct err *err)
{
    char file[4096];
    const int n = snprintf(file, sizeof file, "%s/orrery.db", dir);

    if (n < 0 || (size_t)n >= sizeof file)
        return err_set(err, STATUS_INVALID, NULL, "the path of the store is too long");
    return copy_replace(file, path, err);
}

/* Is it a sound database of ours? */
static Status check_sound(const char *path, struct err *err)
{
    struct db db;
    sqlite3_stmt *stmt = NULL;
    int format = 0;
    Status st = db_open(&db, path, DB_READ, err);

    if (st)
        return st;
    st = store_format_read(db.h, path, &format, err);
    if (!st && format == 0)
        st = err_set(err, STATUS_CORRUPT, NULL, "%s is empty", path);
    if (!st && (sqlite3_prepare_v2(db.h, "PRAGMA quick_check(1)", -1, &stmt, NULL) != SQLITE_OK ||
                sqlite3_step(stmt) != SQLITE_ROW ||
                !str_eq_z(STR("ok"), (const char *)sqlite3_column_text(stmt, 0))))
        st = err_set(err, STATUS_CORRUPT, NULL, "%s is damaged", path);
    (void)sqlite3_finalize(stmt);
    db_close(&db);
    return st;
}

/* What can no longer be read is kept as it lies there, with its log: a second name for each. */
static Status keep_as_is(const char *file, const char *kept, struct err *err)
{
    static const char *const parts[] = { "", "-wal" };

    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        char from[4200];
        char to[4300];
        (void)snprintf(from, sizeof from, "%s%s", file, parts[i]);
        (void)snprintf(to, sizeof to, "%s%s", kept, parts[i]);
        (void)unlink(to);
        if (link(from, to) && errno != ENOENT)
            return err_errno(err, errno, "cannot keep %s", from);
    }
    return STATUS_OK;
}

/* The old database is kept whole first; its log then must not meet the new file. */
static Status put_in_place(const char *path, const char *file, struct err *err)
{
    static const char *const logs[] = { "-wal", "-shm" };
    char other[4200];
    Status st = STATUS_OK;

    if (access(file, F_OK) == 0) {
        (void)snprintf(other, sizeof other, "%s.before-restore", file);
        st = copy_replace(file, other, NULL);
        if (st) /* damaged, perhaps: the very reason to restore */
            st = keep_as_is(file, other, err);
    }
    for (size_t i = 0; !st && i < COUNT_OF(logs); i++) {
        (void)snprintf(other, sizeof other, "%s%s", file, logs[i]);
        if (unlink(other) && errno != ENOENT)
            st = err_errno(err, errno, "cannot remove %s", other);
    }
    return st ? st : copy_replace(path, file, err);
}

Status store_restore(const char *dir, const char *path, struct err *err)
{
    char file[4096];
    char lock[4096];
    int fd;
    Status st;

    if (snprintf(file, sizeof file, "%s/orrery.db", dir) >= (int)sizeof file ||
        snprintf(lock, sizeof lock, "%s/orrery.lock", dir) >= (int)sizeof lock)
        return err_set(err, STATUS_INVALID, NULL, "the path of the store is too long");
    st = file_mkdirs(dir, 0700, err);
    if (st)
        return st;
    fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_errno(err, errno, "cannot open %s", lock);
    if (flock(fd, LOCK_EX | LOCK_NB))
        st = err_set(err, STATUS_BUSY, NULL, "a conductor is running on %s: stop it first", dir);
    if (!st)
        st = check_sound(path, err);
    if (!st)
        st = put_in_place(path, file, err);
    (void)close(fd);
    return st;
}
