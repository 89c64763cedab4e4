/* The steps of the database's format. A released step is never edited: a change appends a new one
 * and raises STORE_FORMAT. The file names itself by application_id and its format by user_version,
 * both in the header of the file, so that a foreign or a newer one is refused before anything is
 * written.
 *
 * The columns of a row lie before the JSON text: a filter reads them without following overflow
 * pages. */
#include "store/migrations.h"

#include "base/attr.h"
#include "store/sqlite_int.h"
#include "store/store.h"
#include "store/tables.h"

#include <sqlite3.h>
#include <stdio.h>

/* Format 1. Rowid tables, since rows are large. Every index of jobs goes on with (completed, id):
 * the newest rows of a filter come straight off it. What people filter by besides rides along, so
 * that a search and its total read the index alone, which is a twentieth of the rows. */
static const char step_1[] =
    "CREATE TABLE defs(id TEXT NOT NULL PRIMARY KEY, kind TEXT, revision INTEGER, position INTEGER,"
    " json TEXT NOT NULL);"
    "CREATE INDEX defs_kind ON defs(kind, position, id);"

    "CREATE TABLE jobs(id TEXT NOT NULL PRIMARY KEY, event TEXT, category TEXT, plugin TEXT,"
    " server TEXT, source TEXT, code TEXT, tags TEXT, \"groups\" TEXT, workflow TEXT, started REAL,"
    " completed REAL, elapsed REAL, json TEXT NOT NULL);"
    "CREATE INDEX jobs_completed ON jobs(completed, id, code, tags, \"groups\");"
    "CREATE INDEX jobs_event ON jobs(event, completed, id, code, tags, server, source);"
    "CREATE INDEX jobs_category ON jobs(category, completed, id, code, tags, server, source,"
    " plugin, event);"
    "CREATE INDEX jobs_plugin ON jobs(plugin, completed, id, code, tags, server, source, category,"
    " event);"
    "CREATE INDEX jobs_server ON jobs(server, completed, id, code, tags, source, plugin, category,"
    " event);"
    "CREATE INDEX jobs_source ON jobs(source, completed, id, code, tags);"
    "CREATE INDEX jobs_workflow ON jobs(workflow, completed, id) WHERE workflow IS NOT NULL;"
    "CREATE INDEX jobs_code ON jobs(code, completed, id, tags);"

    "CREATE TABLE job_live(id TEXT NOT NULL PRIMARY KEY, state TEXT, event TEXT, server TEXT,"
    " json TEXT NOT NULL);"

    "CREATE TABLE servers(id TEXT NOT NULL PRIMARY KEY, hostname TEXT, ip TEXT, modified REAL,"
    " json TEXT NOT NULL);"
    "CREATE INDEX servers_hostname ON servers(hostname, id);"
    "CREATE INDEX servers_modified ON servers(modified, id);"

    "CREATE TABLE sessions(id TEXT NOT NULL PRIMARY KEY, username TEXT, expires REAL,"
    " json TEXT NOT NULL);"
    "CREATE INDEX sessions_username ON sessions(username);"
    "CREATE INDEX sessions_expires ON sessions(expires, id);"

    "CREATE TABLE revisions(id TEXT NOT NULL PRIMARY KEY, kind TEXT, object TEXT, revision INTEGER,"
    " epoch REAL, username TEXT, json TEXT NOT NULL);"
    "CREATE INDEX revisions_object ON revisions(kind, object, revision, id);"
    "CREATE INDEX revisions_epoch ON revisions(epoch, id);"

    "CREATE TABLE activity(id TEXT NOT NULL PRIMARY KEY, action TEXT, epoch REAL, username TEXT,"
    " keywords TEXT, json TEXT NOT NULL);"
    "CREATE INDEX activity_epoch ON activity(epoch, id);"
    "CREATE INDEX activity_action ON activity(action, epoch, id);"
    "CREATE INDEX activity_username ON activity(username, epoch, id);"

    "CREATE TABLE state(id TEXT NOT NULL PRIMARY KEY, json TEXT NOT NULL);"

    "CREATE TABLE blobs(id TEXT NOT NULL PRIMARY KEY, owner TEXT, size INTEGER, created INTEGER,"
    " expires INTEGER, json TEXT NOT NULL);"
    "CREATE INDEX blobs_owner ON blobs(owner);"
    "CREATE INDEX blobs_expires ON blobs(expires, id) WHERE expires IS NOT NULL;"

    /* What the query planner should think of a large archive, so that it takes the index of the
     * most selective filter and never the one of an exit code that nearly all jobs share. Fixed
     * numbers instead of ANALYZE: plans are the same on every machine and every day. */
    "ANALYZE;"
    "DELETE FROM sqlite_stat1;"
    "INSERT INTO sqlite_stat1(tbl, idx, stat) VALUES"
    " ('jobs', 'sqlite_autoindex_jobs_1', '1000000 1'),"
    " ('jobs', 'jobs_completed', '1000000 1 1 1 1 1'),"
    " ('jobs', 'jobs_event', '1000000 2000 1 1 1 1 1 1'),"
    " ('jobs', 'jobs_workflow', '100000 2000 1 1'),"
    " ('jobs', 'jobs_server', '1000000 20000 1 1 1 1 1 1 1 1'),"
    " ('jobs', 'jobs_category', '1000000 50000 1 1 1 1 1 1 1 1'),"
    " ('jobs', 'jobs_plugin', '1000000 150000 1 1 1 1 1 1 1 1'),"
    " ('jobs', 'jobs_source', '1000000 250000 1 1 1 1'),"
    " ('jobs', 'jobs_code', '1000000 300000 1 1 1'),"
    " ('activity', 'activity_epoch', '100000 1 1'),"
    " ('activity', 'activity_action', '100000 3000 1 1'),"
    " ('activity', 'activity_username', '100000 5000 1 1');";

/* Format 2: what people define and keep besides events and jobs. */
static const char step_2[] =
    "CREATE TABLE alerts(id TEXT NOT NULL PRIMARY KEY, alert TEXT, server TEXT, \"groups\" TEXT, "
    "active TEXT, started REAL, modified REAL, jobs TEXT, tickets TEXT, json TEXT NOT NULL);"
    "CREATE INDEX alerts_started ON alerts(started, id);"
    "CREATE INDEX alerts_alert ON alerts(alert, started, id);"
    "CREATE INDEX alerts_server ON alerts(server, started, id);"
    "CREATE INDEX alerts_active ON alerts(active, id);"

    "CREATE TABLE snapshots(id TEXT NOT NULL PRIMARY KEY, type TEXT, source TEXT, server TEXT, "
    "\"groups\" TEXT, date REAL, alerts TEXT, jobs TEXT, json TEXT NOT NULL);"
    "CREATE INDEX snapshots_date ON snapshots(date, id);"
    "CREATE INDEX snapshots_server ON snapshots(server, date, id);"

    "CREATE TABLE tickets(id TEXT NOT NULL PRIMARY KEY, num INTEGER, type TEXT, status TEXT, "
    "category TEXT, username TEXT, assignees TEXT, cc TEXT, tags TEXT, jobs TEXT, server TEXT, "
    "created REAL, modified REAL, due REAL, json TEXT NOT NULL);"
    "CREATE UNIQUE INDEX tickets_num ON tickets(num);"
    "CREATE INDEX tickets_modified ON tickets(modified, id);"
    "CREATE INDEX tickets_status ON tickets(status, modified, id);"

    "CREATE TABLE documents(id TEXT NOT NULL PRIMARY KEY, kind TEXT, owner TEXT, json TEXT NOT "
    "NULL);"
    "CREATE INDEX documents_owner ON documents(kind, owner);"

    "CREATE TABLE mail(id TEXT NOT NULL PRIMARY KEY, state TEXT, due INTEGER, created INTEGER, "
    "json TEXT NOT NULL);"
    "CREATE INDEX mail_due ON mail(state, due, id);";

static const char *const steps[STORE_FORMAT] = { step_1, step_2 };

static Status pragma_int(sqlite3 *h, const char *sql, int *ret, struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    Status st = STATUS_OK;
    int rc = sqlite3_prepare_v2(h, sql, -1, &stmt, NULL);

    if (rc == SQLITE_OK)
        rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW)
        *ret = sqlite3_column_int(stmt, 0);
    else
        st = db_error(h, rc, "reading the database", err);
    sqlite3_finalize(stmt);
    return st;
}

Status store_format_read(sqlite3 *h, const char *file, int *ret_format, struct err *err)
{
    int application = 0;
    int format = 0;
    int objects = 0;

    Status st = pragma_int(h, "SELECT count(*) FROM sqlite_master", &objects, err);
    if (st)
        return err_wrap(err, "%s", file);
    st = pragma_int(h, "PRAGMA application_id", &application, err);
    if (!st)
        st = pragma_int(h, "PRAGMA user_version", &format, err);
    if (st)
        return err_wrap(err, "%s", file);
    if (objects == 0 && application == 0 && format == 0) {
        *ret_format = 0;
        return STATUS_OK;
    }
    if (application != STORE_APPLICATION_ID)
        return err_set(err, STATUS_CORRUPT, NULL, "%s is not a database of Orrery", file);
    if (format > STORE_FORMAT)
        return err_set(err, STATUS_UNSUPPORTED, NULL,
                       "%s was written by a newer Orrery (format %d, this one knows up to %d)",
                       file, format, STORE_FORMAT);
    if (format < 1)
        return err_set(err, STATUS_CORRUPT, NULL, "%s has the impossible format %d", file, format);
    *ret_format = format;
    return STATUS_OK;
}

static Status step_run(sqlite3 *h, int format, struct err *err)
{
    char mark[96];
    (void)snprintf(mark, sizeof mark, "PRAGMA application_id=%d; PRAGMA user_version=%d;",
                   STORE_APPLICATION_ID, format);

    Status st = db_exec(h, "BEGIN IMMEDIATE", err);
    if (st)
        return st;
    st = db_exec(h, steps[format - 1], err);
    if (!st)
        st = db_exec(h, mark, err);
    if (!st)
        st = db_exec(h, "COMMIT", err);
    if (st)
        (void)db_exec(h, "ROLLBACK", NULL);
    return st;
}

Status store_migrate(sqlite3 *h, int format, struct err *err)
{
    for (int next = format + 1; next <= STORE_FORMAT; next++) {
        Status st = step_run(h, next, err);
        if (st)
            return err_wrap(err, "migration to format %d", next);
    }
    return STATUS_OK;
}

Status store_schema_check(sqlite3 *h, struct err *err)
{
    for (unsigned t = 0; t < TABLE_COUNT; t++) {
        const struct store_table_row *row = store_table_row((enum store_table)t);
        struct buf sql;
        sqlite3_stmt *stmt = NULL;

        buf_init(&sql, DB_SQL_MAX);
        (void)buf_printf(&sql, "SELECT id");
        for (size_t i = 0; i < row->n_columns; i++)
            (void)buf_printf(&sql, ",\"%s\"", row->columns[i].name);
        (void)buf_printf(&sql, ",json FROM \"%s\" LIMIT 0", row->name);
        if (sql.failed) {
            buf_done(&sql);
            return err_set(err, STATUS_NOMEM, NULL, "out of memory");
        }
        int rc = sqlite3_prepare_v2(h, sql.p, (int)sql.n, &stmt, NULL);
        sqlite3_finalize(stmt);
        buf_done(&sql);
        if (rc != SQLITE_OK) {
            Status st = db_error(h, rc, "checking the tables", err);
            if (rc == SQLITE_ERROR)
                return err_set(err, STATUS_CORRUPT, NULL,
                               "table \"%s\" of the database is damaged: %s", row->name,
                               sqlite3_errmsg(h));
            return st;
        }
    }
    return STATUS_OK;
}
