/* Every privilege, one row each (reference/api-operations.md 11.12, operations.md 11). */
#ifndef AUTH_PRIVILEGES_H
#define AUTH_PRIVILEGES_H

#include "base/str.h"

/* constant, key in `privileges` objects, title */
#define PRIVILEGES(X)                                                                              \
    X(ADMIN, "admin", "Administrator")                                                             \
    X(CREATE_ALERTS, "create_alerts", "Create Alerts")                                             \
    X(EDIT_ALERTS, "edit_alerts", "Edit Alerts")                                                   \
    X(DELETE_ALERTS, "delete_alerts", "Delete Alerts")                                             \
    X(CREATE_BUCKETS, "create_buckets", "Create Buckets")                                          \
    X(EDIT_BUCKETS, "edit_buckets", "Edit Buckets")                                                \
    X(DELETE_BUCKETS, "delete_buckets", "Delete Buckets")                                          \
    X(CREATE_CATEGORIES, "create_categories", "Create Categories")                                 \
    X(EDIT_CATEGORIES, "edit_categories", "Edit Categories")                                       \
    X(DELETE_CATEGORIES, "delete_categories", "Delete Categories")                                 \
    X(CREATE_CHANNELS, "create_channels", "Create Channels")                                       \
    X(EDIT_CHANNELS, "edit_channels", "Edit Channels")                                             \
    X(DELETE_CHANNELS, "delete_channels", "Delete Channels")                                       \
    X(CREATE_EVENTS, "create_events", "Create Events")                                             \
    X(EDIT_EVENTS, "edit_events", "Edit Events")                                                   \
    X(DELETE_EVENTS, "delete_events", "Delete Events")                                             \
    X(CREATE_GROUPS, "create_groups", "Create Groups")                                             \
    X(EDIT_GROUPS, "edit_groups", "Edit Groups")                                                   \
    X(DELETE_GROUPS, "delete_groups", "Delete Groups")                                             \
    X(RUN_JOBS, "run_jobs", "Run Jobs")                                                            \
    X(ABORT_JOBS, "abort_jobs", "Abort Jobs")                                                      \
    X(DELETE_JOBS, "delete_jobs", "Delete Jobs")                                                   \
    X(TAG_JOBS, "tag_jobs", "Tag Jobs")                                                            \
    X(CREATE_MONITORS, "create_monitors", "Create Monitors")                                       \
    X(EDIT_MONITORS, "edit_monitors", "Edit Monitors")                                             \
    X(DELETE_MONITORS, "delete_monitors", "Delete Monitors")                                       \
    X(CREATE_PLUGINS, "create_plugins", "Create Plugins")                                          \
    X(EDIT_PLUGINS, "edit_plugins", "Edit Plugins")                                                \
    X(DELETE_PLUGINS, "delete_plugins", "Delete Plugins")                                          \
    X(CREATE_ROLES, "create_roles", "Create Roles")                                                \
    X(EDIT_ROLES, "edit_roles", "Edit Roles")                                                      \
    X(DELETE_ROLES, "delete_roles", "Delete Roles")                                                \
    X(ADD_SERVERS, "add_servers", "Add Servers")                                                   \
    X(UPDATE_SERVERS, "update_servers", "Update Servers")                                          \
    X(CREATE_SNAPSHOTS, "create_snapshots", "Create Snapshots")                                    \
    X(DELETE_SNAPSHOTS, "delete_snapshots", "Delete Snapshots")                                    \
    X(CREATE_TAGS, "create_tags", "Create Tags")                                                   \
    X(EDIT_TAGS, "edit_tags", "Edit Tags")                                                         \
    X(DELETE_TAGS, "delete_tags", "Delete Tags")                                                   \
    X(CREATE_TICKETS, "create_tickets", "Create Tickets")                                          \
    X(EDIT_TICKETS, "edit_tickets", "Edit Tickets")                                                \
    X(DELETE_TICKETS, "delete_tickets", "Delete Tickets")                                          \
    X(CREATE_WEB_HOOKS, "create_web_hooks", "Create Web Hooks")                                    \
    X(EDIT_WEB_HOOKS, "edit_web_hooks", "Edit Web Hooks")                                          \
    X(DELETE_WEB_HOOKS, "delete_web_hooks", "Delete Web Hooks")                                    \
    X(SEND_EMAILS, "send_emails", "Send Emails")                                                   \
    X(BULK_EXPORT, "bulk_export", "Bulk Export")

enum privilege {
    PRIV_NONE,   /* rows that any valid user or key may call */
    PRIV_PUBLIC, /* rows that need no credential at all */
#define X(name, key, title) PRIV_##name,
    PRIVILEGES(X)
#undef X
        PRIV_COUNT
};

const char *privilege_key(enum privilege p); /* "" for NONE and PUBLIC */
const char *privilege_title(enum privilege p);
bool privilege_find(struct str key, enum privilege *ret);

#endif
