/* The tables of the store: one row a table, one row a column. SQLite and PostgreSQL schemas, the
 * binding of values and what a query may name all come from here. Every table has `id` (primary
 * key) and `json` (the whole object as text); columns are typed copies for searching.
 *
 * Changing this list is a migration: append to store/migrations.c, never edit an old one. */
#ifndef STORE_TABLES_H
#define STORE_TABLES_H

#include <stddef.h>

enum store_column_type { COLUMN_TEXT, COLUMN_INT, COLUMN_REAL };

struct store_column {
    const char *name;
    enum store_column_type type;
};

/* T(enum name, sql name, what) then its columns C(name, type). */
enum store_table {
    TABLE_DEFS,      /* definitions: events, categories, plugins, users, roles, api keys, servers'
                        settings ... */
    TABLE_JOBS,      /* finished jobs */
    TABLE_JOB_LIVE,  /* journal of live jobs: one row each, rewritten at every state change */
    TABLE_SERVERS,   /* every server ever seen */
    TABLE_SESSIONS,  /* login sessions */
    TABLE_REVISIONS, /* history of definitions */
    TABLE_ACTIVITY,  /* what happened */
    TABLE_STATE,     /* named values: id = name */
    TABLE_BLOBS,     /* metadata of stored files: id = path */
    TABLE_ALERTS,    /* alert invocations */
    TABLE_SNAPSHOTS, /* snapshots of servers and groups */
    TABLE_TICKETS,   /* tickets */
    TABLE_DOCUMENTS, /* what belongs to a definition but is not in it: data and file list of a
                        bucket, sealed fields of a secret; id = "bucket:ID:data" ... */
    TABLE_MAIL,      /* mails waiting to be sent */
    TABLE_COUNT
};

struct store_table_row {
    const char *name;
    const char *doc;
    const struct store_column *columns;
    size_t n_columns;
};
const struct store_table_row *store_table_row(enum store_table t);

/* Column positions, in the order of the table. */
enum { DEFS_KIND, DEFS_REVISION, DEFS_POSITION, DEFS_COLUMNS };
enum {
    JOBS_EVENT,
    JOBS_CATEGORY,
    JOBS_PLUGIN,
    JOBS_SERVER,
    JOBS_SOURCE,
    JOBS_CODE,
    JOBS_TAGS,
    JOBS_GROUPS,
    JOBS_WORKFLOW,
    JOBS_STARTED,
    JOBS_COMPLETED,
    JOBS_ELAPSED,
    JOBS_COLUMNS
};
enum { JOB_LIVE_STATE, JOB_LIVE_EVENT, JOB_LIVE_SERVER, JOB_LIVE_COLUMNS };
enum { SERVERS_HOSTNAME, SERVERS_IP, SERVERS_MODIFIED, SERVERS_COLUMNS };
enum { SESSIONS_USERNAME, SESSIONS_EXPIRES, SESSIONS_COLUMNS };
enum {
    REVISIONS_KIND,
    REVISIONS_OBJECT,
    REVISIONS_REVISION,
    REVISIONS_EPOCH,
    REVISIONS_USERNAME,
    REVISIONS_COLUMNS
};
enum { ACTIVITY_ACTION, ACTIVITY_EPOCH, ACTIVITY_USERNAME, ACTIVITY_KEYWORDS, ACTIVITY_COLUMNS };
enum { STATE_COLUMNS };
enum { BLOBS_OWNER, BLOBS_SIZE, BLOBS_CREATED, BLOBS_EXPIRES, BLOBS_COLUMNS };
enum {
    ALERTS_ALERT,
    ALERTS_SERVER,
    ALERTS_GROUPS,
    ALERTS_ACTIVE,
    ALERTS_STARTED,
    ALERTS_MODIFIED,
    ALERTS_JOBS,
    ALERTS_TICKETS,
    ALERTS_COLUMNS
};
enum {
    SNAPSHOTS_TYPE,
    SNAPSHOTS_SOURCE,
    SNAPSHOTS_SERVER,
    SNAPSHOTS_GROUPS,
    SNAPSHOTS_DATE,
    SNAPSHOTS_ALERTS,
    SNAPSHOTS_JOBS,
    SNAPSHOTS_COLUMNS
};
enum {
    TICKETS_NUM,
    TICKETS_TYPE,
    TICKETS_STATUS,
    TICKETS_CATEGORY,
    TICKETS_USERNAME,
    TICKETS_ASSIGNEES,
    TICKETS_CC,
    TICKETS_TAGS,
    TICKETS_JOBS,
    TICKETS_SERVER,
    TICKETS_CREATED,
    TICKETS_MODIFIED,
    TICKETS_DUE,
    TICKETS_COLUMNS
};
enum { DOCUMENTS_KIND, DOCUMENTS_OWNER, DOCUMENTS_COLUMNS };
enum { MAIL_STATE, MAIL_DUE, MAIL_CREATED, MAIL_COLUMNS };

#endif
