/* One SQLite connection: how it is opened, what its errors mean, its cache of prepared statements,
 * values in and out. Nothing here knows of lanes or transactions.
 *
 * Readers open the file read-only, never checkpoint and may not write by any SQL. */
#include "store/sqlite_int.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>

static bool is_no_space(int error)
{
    return error == ENOSPC || error == EDQUOT || error == EFBIG;
}

/* SQLite itself says FULL for ENOSPC only. For a quota and a size limit the errno that the file
 * remembers tells; the connection's own may be overwritten by the rollback. */
static bool out_of_space(sqlite3 *h, int rc)
{
    sqlite3_file *log = NULL;
    int error = 0;

    if (rc == SQLITE_IOERR_SHMSIZE) /* the shared index of the log could not grow */
        return true;
    if (!h || rc != SQLITE_IOERR_WRITE)
        return false;
    if (is_no_space(sqlite3_system_errno(h)))
        return true;
    if (sqlite3_file_control(h, "main", SQLITE_FCNTL_LAST_ERRNO, &error) == SQLITE_OK &&
        is_no_space(error))
        return true;
    return sqlite3_file_control(h, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log) == SQLITE_OK &&
           log && log->pMethods &&
           log->pMethods->xFileControl(log, SQLITE_FCNTL_LAST_ERRNO, &error) == SQLITE_OK &&
           is_no_space(error);
}

Status db_error(sqlite3 *h, int rc, const char *what, struct err *err)
{
    const char *text = h ? sqlite3_errmsg(h) : sqlite3_errstr(rc);

    switch (rc & 0xff) {
    case SQLITE_FULL:
        return err_set(err, STATUS_NOSPACE, NULL, "%s: no space left for the database", what);
    case SQLITE_IOERR:
        if (out_of_space(h, rc))
            return err_set(err, STATUS_NOSPACE, NULL, "%s: no space left for the database", what);
        return err_set(err, STATUS_IO, NULL, "%s: %s", what, text);
    case SQLITE_READONLY:
        return err_set(err, STATUS_IO, NULL, "%s: the database cannot be written (%s)", what, text);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return err_set(err, STATUS_BUSY, NULL, "%s: the database is in use by another program",
                       what);
    case SQLITE_NOMEM:
        return err_set(err, STATUS_NOMEM, NULL, "%s: out of memory", what);
    case SQLITE_CORRUPT:
        return err_set(err, STATUS_CORRUPT, NULL, "%s: the database is damaged (%s)", what, text);
    case SQLITE_NOTADB:
        return err_set(err, STATUS_CORRUPT, NULL, "%s: the file is not a database", what);
    case SQLITE_TOOBIG:
        return err_set(err, STATUS_TOO_BIG, NULL, "%s: the row is too big", what);
    case SQLITE_CONSTRAINT:
        if (sqlite3_extended_errcode(h) == SQLITE_CONSTRAINT_PRIMARYKEY ||
            sqlite3_extended_errcode(h) == SQLITE_CONSTRAINT_UNIQUE)
            return err_set(err, STATUS_EXISTS, NULL, "%s: the id exists already", what);
        return err_set(err, STATUS_INVALID, NULL, "%s: %s", what, text);
    case SQLITE_INTERRUPT:
        return err_set(err, STATUS_TIMEOUT, NULL, "%s: interrupted", what);
    case SQLITE_CANTOPEN:
        return err_set(err, STATUS_IO, NULL, "%s: cannot open the file (%s)", what, text);
    }
    return err_set(err, STATUS_IO, NULL, "%s: %s", what, text);
}

Status db_exec(sqlite3 *h, const char *sql, struct err *err)
{
    const int rc = sqlite3_exec(h, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? STATUS_OK : db_error(h, rc, "database", err);
}

/* "file:PATH?mode=..." with everything but plain characters escaped. */
static Status uri_make(const char *file, enum db_mode mode, struct buf *out)
{
    (void)buf_add_z(out, "file:");
    for (const char *c = file; *c; c++) {
        const bool plain = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
                           (*c >= '0' && *c <= '9') || strchr("/._-", *c);
        if (plain)
            (void)buf_add_char(out, *c);
        else
            (void)buf_printf(out, "%%%02X", (unsigned)(unsigned char)*c);
    }
    (void)buf_add_z(out, mode == DB_READ ? "?mode=ro" : "?mode=rwc");
    return buf_add_char(out, '\0');
}

static Status db_settings(struct db *db, enum db_mode mode, struct err *err)
{
    char sql[512];

    /* Pages and temporary tables in small heap caches: no mapping that a truncated file could
     * fault. */
    (void)snprintf(
        sql, sizeof sql,
        "PRAGMA cache_size=-%d; PRAGMA mmap_size=0; PRAGMA temp_store=MEMORY;"
        "PRAGMA wal_autocheckpoint=0; PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON;"
        "%s",
        mode == DB_READ ? DB_READER_CACHE_KB : DB_WRITER_CACHE_KB,
        mode == DB_READ ? "PRAGMA query_only=ON;" : "PRAGMA page_size=4096;");
    Status st = db_exec(db->h, sql, err);
    if (st)
        return st;
    (void)sqlite3_db_config(db->h, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, mode == DB_READ ? 1 : 0, NULL);
    (void)sqlite3_limit(db->h, SQLITE_LIMIT_ATTACHED, 0);
    return STATUS_OK;
}

Status db_open(struct db *db, const char *file, enum db_mode mode, struct err *err)
{
    AUTO_BUF struct buf uri = { 0 };
    const int flags =
        SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE |
        (mode == DB_READ ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);

    memset(db, 0, sizeof *db);
    buf_init(&uri, DB_SQL_MAX);
    if (uri_make(file, mode, &uri))
        return err_set(err, STATUS_NOMEM, NULL, "the path of the database is too long");
    const int rc = sqlite3_open_v2(uri.p, &db->h, flags, NULL);
    Status st = rc == SQLITE_OK ? STATUS_OK : db_error(db->h, rc, file, err);
    if (!st) {
        (void)sqlite3_busy_timeout(db->h, DB_BUSY_MS);
        st = db_settings(db, mode, err);
    }
    if (st)
        db_close(db);
    return st;
}

void db_close(struct db *db)
{
    for (size_t i = 0; i < DB_CACHE_MAX; i++) {
        sqlite3_finalize(db->cache[i].stmt);
        free((void *)(uintptr_t)db->cache[i].sql.p);
    }
    if (db->h)
        (void)sqlite3_close(db->h);
    memset(db, 0, sizeof *db);
}

/* The entry of sql, or the one to give up for it: a free one, else the least recently used. */
static struct db_cached *cache_slot(struct db *db, struct str sql)
{
    struct db_cached *oldest = &db->cache[0];

    for (size_t i = 0; i < DB_CACHE_MAX; i++) {
        struct db_cached *c = &db->cache[i];
        if (c->stmt && str_eq(c->sql, sql))
            return c;
        if (c->used < oldest->used)
            oldest = c;
    }
    return oldest;
}

Status db_prepare(struct db *db, struct str sql, sqlite3_stmt **ret, struct err *err)
{
    struct db_cached *c = cache_slot(db, sql);

    if (!c->stmt || !str_eq(c->sql, sql)) {
        sqlite3_stmt *stmt = NULL;
        char *copy = malloc(sql.n + 1);

        if (!copy)
            return err_set(err, STATUS_NOMEM, NULL, "out of memory");
        memcpy(copy, sql.p, sql.n);
        copy[sql.n] = '\0';
        const int rc =
            sqlite3_prepare_v3(db->h, copy, (int)sql.n, SQLITE_PREPARE_PERSISTENT, &stmt, NULL);
        if (rc != SQLITE_OK) {
            free(copy);
            return db_error(db->h, rc, "preparing a query", err);
        }
        sqlite3_finalize(c->stmt);
        free((void *)(uintptr_t)c->sql.p);
        *c = (struct db_cached){ .sql = str_n(copy, sql.n), .stmt = stmt };
    }
    c->used = ++db->tick;
    (void)sqlite3_reset(c->stmt);
    (void)sqlite3_clear_bindings(c->stmt);
    *ret = c->stmt;
    return STATUS_OK;
}

int db_bind(sqlite3_stmt *stmt, int at, const struct store_value *v)
{
    switch (v->type) {
    case VALUE_NULL:
        return sqlite3_bind_null(stmt, at);
    case VALUE_TEXT:
        return sqlite3_bind_text64(stmt, at, v->text.p ? v->text.p : "", v->text.n, SQLITE_STATIC,
                                   SQLITE_UTF8);
    case VALUE_INT:
        return sqlite3_bind_int64(stmt, at, v->i);
    case VALUE_REAL:
        return sqlite3_bind_double(stmt, at, v->real);
    }
    return SQLITE_MISUSE;
}

/* Text of a column: borrowed from stmt, or copied when a is given; .p NULL when there is no room.
 */
static struct str column_text(sqlite3_stmt *stmt, int at, struct arena *a)
{
    const void *p = sqlite3_column_text(stmt, at);
    const struct str text = str_n(p ? p : "", p ? (size_t)sqlite3_column_bytes(stmt, at) : 0);
    return a ? arena_dup(a, text) : text;
}

static Status column_value(sqlite3_stmt *stmt, int at, struct arena *a, struct store_value *ret)
{
    switch (sqlite3_column_type(stmt, at)) {
    case SQLITE_INTEGER:
        *ret = store_int(sqlite3_column_int64(stmt, at));
        return STATUS_OK;
    case SQLITE_FLOAT:
        *ret = store_real(sqlite3_column_double(stmt, at));
        return STATUS_OK;
    case SQLITE_NULL:
        *ret = (struct store_value){ .type = VALUE_NULL };
        return STATUS_OK;
    }
    *ret = store_text(column_text(stmt, at, a));
    return ret->text.p ? STATUS_OK : STATUS_TOO_BIG;
}

Status db_row(sqlite3_stmt *stmt, const struct store_table_row *row, bool has_json, struct arena *a,
              struct store_value *columns, struct store_found *ret)
{
    struct store_found found = { .json = STR("") };

    if (a)
        columns = arena_alloc(a, (row->n_columns + 1) * sizeof *columns);
    if (!columns)
        return STATUS_TOO_BIG;
    found.id = column_text(stmt, 0, a);
    for (size_t i = 0; i < row->n_columns; i++) {
        if (column_value(stmt, (int)i + 1, a, &columns[i]))
            return STATUS_TOO_BIG;
    }
    if (has_json)
        found.json = column_text(stmt, (int)row->n_columns + 1, a);
    if (!found.id.p || !found.json.p)
        return STATUS_TOO_BIG;
    found.columns = columns;
    *ret = found;
    return STATUS_OK;
}
