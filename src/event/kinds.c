/* The row of each kind, and what a caller cannot set. The property tables: kinds_run.c,
 * kinds_who.c, kinds_watch.c, kinds_notify.c, kinds_vault.c. */
#include "event/kinds.h"

static const struct def_kind_row kind_rows[DEF_KIND_COUNT] = {
    [DEF_EVENT] = { "event", "events", "e", "event", event_props, event_check },
    [DEF_CATEGORY] = { "category", "categories", "ca", "category", category_props, category_check },
    [DEF_PLUGIN] = { "plugin", "plugins", "p", "plugin", plugin_props, plugin_check },
    [DEF_GROUP] = { "group", "groups", "g", "group", group_props, group_check },
    [DEF_USER] = { "user", "users", "u", "user", user_props, NULL },
    [DEF_ROLE] = { "role", "roles", "r", "role", role_props, NULL },
    [DEF_API_KEY] = { "api_key", "api_keys", "k", "apikey", api_key_props, NULL },
    [DEF_TAG] = { "tag", "tags", "t", "tag", tag_props, NULL },
    [DEF_CHANNEL] = { "channel", "channels", "ch", "channel", channel_props, NULL },
    [DEF_WEB_HOOK] = { "web_hook", "web_hooks", "w", "web_hook", web_hook_props, NULL },
    [DEF_MONITOR] = { "monitor", "monitors", "m", "monitor", monitor_props, NULL },
    [DEF_ALERT] = { "alert", "alerts", "a", "alert", alert_props, NULL },
    [DEF_BUCKET] = { "bucket", "buckets", "b", "bucket", bucket_props, NULL },
    [DEF_SECRET] = { "secret", "secrets", "z", "secret", secret_props, NULL },
};

const struct def_kind_row *def_kind_row(enum def_kind k)
{
    return (unsigned)k < DEF_KIND_COUNT ? &kind_rows[k] : NULL;
}

bool def_kind_find(struct str name, enum def_kind *ret)
{
    for (unsigned k = 0; k < DEF_KIND_COUNT; k++) {
        if (str_eq_z(name, kind_rows[k].name)) {
            *ret = (enum def_kind)k;
            return true;
        }
    }
    return false;
}

bool def_word_among(struct str word, const char *const *words)
{
    for (; *words; words++)
        if (str_eq_z(word, *words))
            return true;
    return false;
}

bool def_is_sorted(enum def_kind k)
{
    return schema_find(def_kind_row(k)->props, STR("sort_order")) != NULL;
}

/* ---- what a caller cannot set ---- */

bool def_is_workflow(yyjson_val *event)
{
    return str_eq_z(json_str(event, "type"), "workflow");
}

/* Credentials that came in the body, and what the server writes. */
static const char *const skip_all[] = { "id",      "created",    "modified",   "revision",
                                        "api_key", "session_id", "csrf_token", NULL };
/* A launch takes these from the plugin alone (api-operations.md 1.5); update_state is the
 * scheduler's. */
static const char *const skip_event[] = { "command", "script", "uid",    "gid",          "cwd",
                                          "env",     "kill",   "runner", "update_state", NULL };
static const char *const skip_workflow[] = { "plugin", "targets", NULL };
static const char *const skip_marketplace[] = { "uid", "gid", NULL };
static const char *const skip_key_update[] = { "key", "mask", NULL };

struct skip_list {
    const char **keys;
    size_t n;
};

static void skip_add(struct skip_list *l, const char *key)
{
    if (l->n < DEF_SKIP_MAX)
        l->keys[l->n++] = key;
    l->keys[l->n] = NULL;
}

static void skip_add_all(struct skip_list *l, const char *const *keys)
{
    for (; *keys; keys++)
        skip_add(l, *keys);
}

void def_skip_keys(enum def_kind k, yyjson_val *stored, yyjson_val *given,
                   const char *ret_keys[DEF_SKIP_MAX + 1])
{
    struct skip_list l = { .keys = ret_keys };
    yyjson_val *fixed =
        stored ? stored : given; /* what decides: the stored object once there is one */

    skip_add_all(&l, skip_all);
    if (k != DEF_USER || stored)
        skip_add(&l, "username");
    if (!stored && def_is_sorted(k))
        skip_add(&l, "sort_order");
    switch (k) {
    case DEF_EVENT:
        skip_add_all(&l, skip_event);
        if (stored)
            skip_add(&l, "type");
        if (def_is_workflow(fixed))
            skip_add_all(&l, skip_workflow);
        break;
    case DEF_PLUGIN:
        if (json_truthy(json_get(fixed, "marketplace")))
            skip_add_all(&l, skip_marketplace);
        break;
    case DEF_API_KEY:
        if (stored)
            skip_add_all(&l, skip_key_update);
        break;
    case DEF_CATEGORY:
    case DEF_GROUP:
    case DEF_MONITOR:
    case DEF_USER:
    case DEF_ROLE:
    case DEF_TAG:
    case DEF_CHANNEL:
    case DEF_WEB_HOOK:
    case DEF_ALERT:
    case DEF_BUCKET:
    case DEF_SECRET:
    case DEF_KIND_COUNT:
        break;
    }
}

void def_put_forced(enum def_kind k, yyjson_val *stored, yyjson_val *given, struct json_writer *w)
{
    if (k != DEF_EVENT || !def_is_workflow(stored ? stored : given))
        return;
    json_put_z(w, "plugin", "_workflow");
    json_arr(w, "targets");
    json_end(w);
}
