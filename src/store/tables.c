/* The tables of the store as rows: SQL names, columns and their types in the order of the enums in
 * tables.h. Times of records are epoch seconds (REAL), as on the wire; times of blobs are Usec
 * (INT). A comma list (tags, groups, keywords) is searched with OP_HAS_WORD. */
#include "store/tables.h"

#include "base/attr.h"

static const struct store_column defs_columns[DEFS_COLUMNS] = {
    [DEFS_KIND] = { "kind", COLUMN_TEXT },
    [DEFS_REVISION] = { "revision", COLUMN_INT },
    [DEFS_POSITION] = { "position", COLUMN_INT },
};

static const struct store_column jobs_columns[JOBS_COLUMNS] = {
    [JOBS_EVENT] = { "event", COLUMN_TEXT },         [JOBS_CATEGORY] = { "category", COLUMN_TEXT },
    [JOBS_PLUGIN] = { "plugin", COLUMN_TEXT },       [JOBS_SERVER] = { "server", COLUMN_TEXT },
    [JOBS_SOURCE] = { "source", COLUMN_TEXT },       [JOBS_CODE] = { "code", COLUMN_TEXT },
    [JOBS_TAGS] = { "tags", COLUMN_TEXT },           [JOBS_GROUPS] = { "groups", COLUMN_TEXT },
    [JOBS_WORKFLOW] = { "workflow", COLUMN_TEXT },   [JOBS_STARTED] = { "started", COLUMN_REAL },
    [JOBS_COMPLETED] = { "completed", COLUMN_REAL }, [JOBS_ELAPSED] = { "elapsed", COLUMN_REAL },
};

static const struct store_column job_live_columns[JOB_LIVE_COLUMNS] = {
    [JOB_LIVE_STATE] = { "state", COLUMN_TEXT },
    [JOB_LIVE_EVENT] = { "event", COLUMN_TEXT },
    [JOB_LIVE_SERVER] = { "server", COLUMN_TEXT },
};

static const struct store_column servers_columns[SERVERS_COLUMNS] = {
    [SERVERS_HOSTNAME] = { "hostname", COLUMN_TEXT },
    [SERVERS_IP] = { "ip", COLUMN_TEXT },
    [SERVERS_MODIFIED] = { "modified", COLUMN_REAL },
};

static const struct store_column sessions_columns[SESSIONS_COLUMNS] = {
    [SESSIONS_USERNAME] = { "username", COLUMN_TEXT },
    [SESSIONS_EXPIRES] = { "expires", COLUMN_REAL },
};

static const struct store_column revisions_columns[REVISIONS_COLUMNS] = {
    [REVISIONS_KIND] = { "kind", COLUMN_TEXT },
    [REVISIONS_OBJECT] = { "object", COLUMN_TEXT },
    [REVISIONS_REVISION] = { "revision", COLUMN_INT },
    [REVISIONS_EPOCH] = { "epoch", COLUMN_REAL },
    [REVISIONS_USERNAME] = { "username", COLUMN_TEXT },
};

static const struct store_column activity_columns[ACTIVITY_COLUMNS] = {
    [ACTIVITY_ACTION] = { "action", COLUMN_TEXT },
    [ACTIVITY_EPOCH] = { "epoch", COLUMN_REAL },
    [ACTIVITY_USERNAME] = { "username", COLUMN_TEXT },
    [ACTIVITY_KEYWORDS] = { "keywords", COLUMN_TEXT },
};

static const struct store_column blobs_columns[BLOBS_COLUMNS] = {
    [BLOBS_OWNER] = { "owner", COLUMN_TEXT },
    [BLOBS_SIZE] = { "size", COLUMN_INT },
    [BLOBS_CREATED] = { "created", COLUMN_INT },
    [BLOBS_EXPIRES] = { "expires", COLUMN_INT },
};

static const struct store_column alerts_columns[ALERTS_COLUMNS] = {
    [ALERTS_ALERT] = { "alert", COLUMN_TEXT },     [ALERTS_SERVER] = { "server", COLUMN_TEXT },
    [ALERTS_GROUPS] = { "groups", COLUMN_TEXT },   [ALERTS_ACTIVE] = { "active", COLUMN_TEXT },
    [ALERTS_STARTED] = { "started", COLUMN_REAL }, [ALERTS_MODIFIED] = { "modified", COLUMN_REAL },
    [ALERTS_JOBS] = { "jobs", COLUMN_TEXT },       [ALERTS_TICKETS] = { "tickets", COLUMN_TEXT },
};

static const struct store_column snapshots_columns[SNAPSHOTS_COLUMNS] = {
    [SNAPSHOTS_TYPE] = { "type", COLUMN_TEXT },     [SNAPSHOTS_SOURCE] = { "source", COLUMN_TEXT },
    [SNAPSHOTS_SERVER] = { "server", COLUMN_TEXT }, [SNAPSHOTS_GROUPS] = { "groups", COLUMN_TEXT },
    [SNAPSHOTS_DATE] = { "date", COLUMN_REAL },     [SNAPSHOTS_ALERTS] = { "alerts", COLUMN_TEXT },
    [SNAPSHOTS_JOBS] = { "jobs", COLUMN_TEXT },
};

static const struct store_column tickets_columns[TICKETS_COLUMNS] = {
    [TICKETS_NUM] = { "num", COLUMN_INT },
    [TICKETS_TYPE] = { "type", COLUMN_TEXT },
    [TICKETS_STATUS] = { "status", COLUMN_TEXT },
    [TICKETS_CATEGORY] = { "category", COLUMN_TEXT },
    [TICKETS_USERNAME] = { "username", COLUMN_TEXT },
    [TICKETS_ASSIGNEES] = { "assignees", COLUMN_TEXT },
    [TICKETS_CC] = { "cc", COLUMN_TEXT },
    [TICKETS_TAGS] = { "tags", COLUMN_TEXT },
    [TICKETS_JOBS] = { "jobs", COLUMN_TEXT },
    [TICKETS_SERVER] = { "server", COLUMN_TEXT },
    [TICKETS_CREATED] = { "created", COLUMN_REAL },
    [TICKETS_MODIFIED] = { "modified", COLUMN_REAL },
    [TICKETS_DUE] = { "due", COLUMN_REAL },
};

static const struct store_column documents_columns[DOCUMENTS_COLUMNS] = {
    [DOCUMENTS_KIND] = { "kind", COLUMN_TEXT },
    [DOCUMENTS_OWNER] = { "owner", COLUMN_TEXT },
};

static const struct store_column mail_columns[MAIL_COLUMNS] = {
    [MAIL_STATE] = { "state", COLUMN_TEXT },
    [MAIL_DUE] = { "due", COLUMN_INT },
    [MAIL_CREATED] = { "created", COLUMN_INT },
};

static const struct store_table_row table_rows[TABLE_COUNT] = {
    [TABLE_DEFS] = { "defs", "Definitions: events, categories, plugins, users and their like.",
                     defs_columns, DEFS_COLUMNS },
    [TABLE_JOBS] = { "jobs", "Finished jobs.", jobs_columns, JOBS_COLUMNS },
    [TABLE_JOB_LIVE] = { "job_live", "Journal of live jobs, a row each.", job_live_columns,
                         JOB_LIVE_COLUMNS },
    [TABLE_SERVERS] = { "servers", "Every server ever seen.", servers_columns, SERVERS_COLUMNS },
    [TABLE_SESSIONS] = { "sessions", "Login sessions.", sessions_columns, SESSIONS_COLUMNS },
    [TABLE_REVISIONS] = { "revisions", "History of definitions.", revisions_columns,
                          REVISIONS_COLUMNS },
    [TABLE_ACTIVITY] = { "activity", "What happened, by whom.", activity_columns,
                         ACTIVITY_COLUMNS },
    [TABLE_STATE] = { "state", "Named values.", NULL, STATE_COLUMNS },
    [TABLE_BLOBS] = { "blobs", "Metadata of stored files.", blobs_columns, BLOBS_COLUMNS },
    [TABLE_ALERTS] = { "alerts", "Alert invocations.", alerts_columns, ALERTS_COLUMNS },
    [TABLE_SNAPSHOTS] = { "snapshots", "Snapshots of servers and groups.", snapshots_columns,
                          SNAPSHOTS_COLUMNS },
    [TABLE_TICKETS] = { "tickets", "Tickets.", tickets_columns, TICKETS_COLUMNS },
    [TABLE_DOCUMENTS] = { "documents", "What belongs to a definition but is not in it.",
                          documents_columns, DOCUMENTS_COLUMNS },
    [TABLE_MAIL] = { "mail", "Mails waiting to be sent.", mail_columns, MAIL_COLUMNS },
};

const struct store_table_row *store_table_row(enum store_table t)
{
    return (unsigned)t < TABLE_COUNT ? &table_rows[t] : NULL;
}
