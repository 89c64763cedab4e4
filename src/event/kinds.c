/* The property tables of the definitions, and the row of each kind. Defaults are what the reference
 * fills in at create; a property without a default stays absent. Server-set members are P_READONLY:
 * a caller's value is dropped without a word. */
#include "event/kinds.h"

/* clang-format off */
#define PROP_ID                                                                                    \
    {                                                                                              \
        .name = "id", .type = P_ID, .doc = "Id; made by the server when absent, never changes."    \
    }
#define PROP_TITLE                                                                                 \
    {                                                                                              \
        .name = "title", .type = P_TEXT, .flags = P_REQUIRED | P_NOTAGS, .max = DEF_TITLE_MAX,     \
        .ui = UI_LINE, .doc = "Name shown in lists."                                               \
    }
#define PROP_ICON                                                                                  \
    {                                                                                              \
        .name = "icon", .type = P_TEXT, .max = 64, .ui = UI_LINE,                                  \
        .doc = "Icon id of the Material Design set, without prefix."                               \
    }
#define PROP_NOTES                                                                                 \
    {                                                                                              \
        .name = "notes", .type = P_TEXT, .flags = P_STRIP, .max = DEF_NOTES_MAX, .ui = UI_AREA,    \
        .doc = "Free text for people."                                                             \
    }
#define PROP_KEEPING                                                                               \
    { .name = "username", .type = P_TEXT, .flags = P_READONLY, .doc = "Who made it." },            \
        { .name = "created",                                                                       \
          .type = P_INT,                                                                           \
          .flags = P_READONLY,                                                                     \
          .doc = "Unix time of its making." },                                                     \
        { .name = "modified",                                                                      \
          .type = P_INT,                                                                           \
          .flags = P_READONLY,                                                                     \
          .doc = "Unix time of the last change." },                                                \
    {                                                                                              \
        .name = "revision", .type = P_INT, .flags = P_READONLY,                                    \
        .doc = "Grows by one with each change."                                                    \
    }

const struct prop event_props[] = {
    PROP_ID,
    PROP_TITLE,
    { .name = "enabled", .type = P_BOOL, .flags = P_REQUIRED, .ui = UI_CHECK,
      .doc = "A disabled event does not run, neither by schedule nor by hand." },
    PROP_ICON,
    { .name = "type", .type = P_TEXT, .max = 16, .ui = UI_NONE,
      .doc = "\"workflow\" or absent; never changes." },
    { .name = "category", .type = P_WORD, .flags = P_REQUIRED, .of = "category", .ui = UI_PICK,
      .doc = "Category of the event." },
    { .name = "plugin", .type = P_WORD, .of = "plugin", .ui = UI_PICK,
      .doc = "Plugin that runs; `_workflow` for workflows." },
    { .name = "params", .type = P_OBJECT, .def = "{}", .ui = UI_JSON,
      .doc = "Values for the plugin's parameters and the event's fields." },
    { .name = "fields", .type = P_ARRAY, .of_type = P_JSON, .max = DEF_LIST_MAX, .def = "[]",
      .ui = UI_JSON, .doc = "Parameters that a person is asked for when running the event." },
    { .name = "tags", .type = P_ARRAY, .of_type = P_WORD, .of = "tag", .max = DEF_LIST_MAX,
      .ui = UI_PICK, .doc = "Tags given to every job." },
    { .name = "targets", .type = P_ARRAY, .of_type = P_TEXT, .max = DEF_LIST_MAX, .ui = UI_PICK,
      .doc = "Servers and groups that may run it; required unless a workflow." },
    { .name = "expression", .type = P_TEXT, .max = DEF_TEXT_MAX, .ui = UI_LINE,
      .doc = "Expression over a server that narrows the targets." },
    { .name = "algo", .type = P_TEXT, .max = 128, .ui = UI_SELECT,
      .doc = "How a server is chosen; required unless a workflow." },
    PROP_NOTES,
    { .name = "triggers", .type = P_ARRAY, .of_type = P_JSON, .max = DEF_LIST_MAX, .def = "[]",
      .ui = UI_JSON, .doc = "What starts it and when." },
    { .name = "limits", .type = P_ARRAY, .of_type = P_JSON, .max = DEF_LIST_MAX, .def = "[]",
      .ui = UI_JSON, .doc = "Bounds of its jobs." },
    { .name = "actions", .type = P_ARRAY, .of_type = P_JSON, .max = DEF_LIST_MAX, .def = "[]",
      .ui = UI_JSON, .doc = "What follows on an outcome." },
    { .name = "workflow", .type = P_OBJECT, .ui = UI_NONE,
      .doc = "Nodes and connections of a workflow." },
    PROP_KEEPING,
    { 0 },
};

const struct prop category_props[] = {
    PROP_ID,
    PROP_TITLE,
    { .name = "enabled", .type = P_BOOL, .ui = UI_CHECK,
      .doc = "Events of a disabled category do not run." },
    { .name = "color", .type = P_TEXT, .max = 32, .ui = UI_SELECT, .doc = "Name of its colour." },
    PROP_ICON,
    PROP_NOTES,
    { .name = "limits", .type = P_ARRAY, .of_type = P_JSON, .max = DEF_LIST_MAX, .def = "[]",
      .ui = UI_JSON, .doc = "Limits added to every job of the category." },
    { .name = "actions", .type = P_ARRAY, .of_type = P_JSON, .max = DEF_LIST_MAX, .def = "[]",
      .ui = UI_JSON, .doc = "Actions added to every job of the category." },
    { .name = "sort_order", .type = P_INT, .max = INT32_MAX, .ui = UI_NONE,
      .doc = "Place in lists; set by the server at create." },
    PROP_KEEPING,
    { 0 },
};

const struct prop plugin_props[] = {
    PROP_ID,
    PROP_TITLE,
    { .name = "enabled", .type = P_BOOL, .def = "true", .ui = UI_CHECK,
      .doc = "Jobs of a disabled plugin do not start." },
    { .name = "type", .type = P_ENUM, .flags = P_REQUIRED,
      .choices = "event monitor action scheduler", .ui = UI_SELECT, .doc = "What it is for." },
    { .name = "command", .type = P_TEXT, .flags = P_REQUIRED, .max = DEF_TEXT_MAX, .ui = UI_LINE,
      .doc = "Command line, or the name of a built-in one in brackets." },
    { .name = "script", .type = P_TEXT, .max = DEF_SCRIPT_MAX, .ui = UI_CODE,
      .doc = "Script passed to the command." },
    { .name = "params", .type = P_ARRAY, .of_type = P_JSON, .max = DEF_LIST_MAX, .ui = UI_JSON,
      .doc = "Definitions of its parameters." },
    { .name = "uid", .type = P_JSON, .max = 128, .ui = UI_LINE, .doc = "User that it runs as." },
    { .name = "gid", .type = P_JSON, .max = 128, .ui = UI_LINE, .doc = "Group that it runs as." },
    { .name = "cwd", .type = P_TEXT, .max = DEF_TEXT_MAX, .ui = UI_LINE,
      .doc = "Folder that it starts in." },
    { .name = "kill", .type = P_TEXT, .max = 16, .ui = UI_SELECT,
      .doc = "What an abort kills: `none`, `parent` or `all`." },
    { .name = "runner", .type = P_BOOL, .ui = UI_CHECK,
      .doc = "The job's work happens elsewhere: in a container or on another host." },
    { .name = "groups", .type = P_ARRAY, .of_type = P_WORD, .of = "group", .max = DEF_LIST_MAX,
      .ui = UI_PICK, .doc = "Groups whose servers run a monitor plugin." },
    { .name = "format", .type = P_TEXT, .max = 16, .ui = UI_SELECT,
      .doc = "How the output of a monitor plugin is read: `text`, `json` or `xml`." },
    { .name = "quick", .type = P_BOOL, .ui = UI_CHECK, .doc = "Runs every second." },
    { .name = "timeout", .type = P_NUMBER, .max = 86400, .ui = UI_NUMBER,
      .doc = "Seconds that it may take." },
    { .name = "marketplace", .type = P_JSON, .max = 65536, .ui = UI_NONE,
      .doc = "Where it was taken from; such a plugin has no user or group of its own." },
    PROP_ICON,
    PROP_NOTES,
    PROP_KEEPING,
    { 0 },
};

const struct prop group_props[] = {
    PROP_ID,
    PROP_TITLE,
    { .name = "hostname_match", .type = P_TEXT, .flags = P_REQUIRED, .max = DEF_TEXT_MAX,
      .ui = UI_LINE, .doc = "Regular expression of the host names that belong to it." },
    { .name = "alert_actions", .type = P_ARRAY, .of_type = P_JSON, .max = DEF_LIST_MAX,
      .def = "[]", .ui = UI_JSON, .doc = "Actions added to alerts of its servers." },
    { .name = "max_jobs_per_server", .type = P_INT, .max = 1000000, .ui = UI_NUMBER,
      .doc = "Jobs at the same time on one server; 0 is no limit." },
    { .name = "sort_order", .type = P_INT, .max = INT32_MAX, .ui = UI_NONE,
      .doc = "Place in lists; set by the server at create." },
    PROP_ICON,
    PROP_NOTES,
    PROP_KEEPING,
    { 0 },
};

const struct prop role_props[] = {
    PROP_ID,
    PROP_TITLE,
    { .name = "enabled", .type = P_BOOL, .def = "true", .ui = UI_CHECK,
      .doc = "A disabled role gives nothing." },
    { .name = "privileges", .type = P_OBJECT, .def = "{}", .ui = UI_JSON,
      .doc = "Privileges by name, each true." },
    { .name = "categories", .type = P_ARRAY, .of_type = P_WORD, .of = "category",
      .max = DEF_LIST_MAX, .def = "[]", .ui = UI_PICK,
      .doc = "Categories that its members may see." },
    { .name = "groups", .type = P_ARRAY, .of_type = P_WORD, .of = "group", .max = DEF_LIST_MAX,
      .def = "[]", .ui = UI_PICK, .doc = "Server groups that its members may see." },
    PROP_ICON,
    PROP_NOTES,
    PROP_KEEPING,
    { 0 },
};

const struct prop api_key_props[] = {
    { .name = "id", .type = P_ID, .doc = "Id; always made by the server." },
    { .name = "key", .type = P_TEXT, .flags = P_REQUIRED | P_SECRET, .min = 64, .max = 64,
      .chars = "0-9a-f", .doc = "SHA-256 of the plain key and the id; never changes." },
    { .name = "mask", .type = P_TEXT, .max = 32, .doc = "What may be shown of the plain key." },
    PROP_TITLE,
    { .name = "description", .type = P_TEXT, .max = DEF_NOTES_MAX, .def = "\"\"", .ui = UI_AREA,
      .doc = "Free text for people." },
    { .name = "active", .type = P_BOOL, .def = "1", .ui = UI_CHECK,
      .doc = "Requests with an inactive key fail." },
    { .name = "expires", .type = P_NUMBER, .max = INT64_C(1) << 48, .ui = UI_NUMBER,
      .doc = "Unix time from which on it is refused; 0 is never." },
    { .name = "max_per_sec", .type = P_INT, .max = 1000000, .ui = UI_NUMBER,
      .doc = "Requests a second; 0 is no limit." },
    { .name = "privileges", .type = P_OBJECT, .def = "{}", .ui = UI_JSON,
      .doc = "Privileges by name, each true." },
    { .name = "roles", .type = P_ARRAY, .of_type = P_WORD, .of = "role", .max = DEF_LIST_MAX,
      .ui = UI_PICK, .doc = "Roles whose privileges it has." },
    { .name = "categories", .type = P_ARRAY, .of_type = P_WORD, .of = "category",
      .max = DEF_LIST_MAX, .ui = UI_PICK, .doc = "Categories that it may see; none is all." },
    { .name = "groups", .type = P_ARRAY, .of_type = P_WORD, .of = "group", .max = DEF_LIST_MAX,
      .ui = UI_PICK, .doc = "Server groups that it may see; none is all." },
    PROP_KEEPING,
    { 0 },
};

const struct prop user_props[] = {
    { .name = "username", .type = P_TEXT, .flags = P_REQUIRED, .min = 1, .max = ID_MAX,
      .chars = "A-Za-z0-9_.-", .doc = "Name to log in with; never changes." },
    { .name = "password", .type = P_TEXT, .flags = P_SECRET, .max = 512, .doc = "Password hash." },
    { .name = "salt", .type = P_TEXT, .flags = P_SECRET, .max = 512,
      .doc = "Salt of an imported hash." },
    { .name = "full_name", .type = P_TEXT, .flags = P_STRIP, .max = DEF_TITLE_MAX, .ui = UI_LINE,
      .doc = "Name shown to people." },
    { .name = "email", .type = P_TEXT, .flags = P_STRIP, .max = 512, .ui = UI_LINE,
      .doc = "Mail address." },
    PROP_ICON,
    { .name = "active", .type = P_BOOL, .def = "1", .ui = UI_CHECK,
      .doc = "An inactive user cannot log in." },
    { .name = "privileges", .type = P_OBJECT, .def = "{}", .ui = UI_JSON,
      .doc = "Privileges by name, each true." },
    { .name = "roles", .type = P_ARRAY, .of_type = P_WORD, .of = "role", .max = DEF_LIST_MAX,
      .def = "[]", .ui = UI_PICK, .doc = "Roles of the user." },
    { .name = "categories", .type = P_ARRAY, .of_type = P_WORD, .of = "category",
      .max = DEF_LIST_MAX, .ui = UI_PICK, .doc = "Categories that the user may see; none is all." },
    { .name = "groups", .type = P_ARRAY, .of_type = P_WORD, .of = "group", .max = DEF_LIST_MAX,
      .ui = UI_PICK, .doc = "Server groups that the user may see; none is all." },
    { .name = "language", .type = P_TEXT, .max = 32, .def = "\"\"", .ui = UI_SELECT,
      .doc = "Language; empty is the browser's." },
    { .name = "region", .type = P_TEXT, .max = 32, .def = "\"\"", .ui = UI_SELECT,
      .doc = "Region for dates and numbers; empty is the browser's." },
    { .name = "num_format", .type = P_TEXT, .max = 32, .def = "\"\"", .ui = UI_SELECT,
      .doc = "Form of numbers; empty is the browser's." },
    { .name = "hour_cycle", .type = P_TEXT, .max = 8, .def = "\"h12\"", .ui = UI_SELECT,
      .doc = "`h12` or `h24`; empty is the browser's." },
    { .name = "timezone", .type = P_TEXT, .max = 64, .def = "\"\"", .ui = UI_SELECT,
      .doc = "Time zone; empty is the browser's." },
    { .name = "color_acc", .type = P_BOOL, .def = "false", .ui = UI_CHECK,
      .doc = "Colours that survive colour blindness." },
    { .name = "privacy_mode", .type = P_BOOL, .def = "false", .ui = UI_CHECK,
      .doc = "Names and addresses are blurred." },
    { .name = "notifications", .type = P_BOOL, .def = "false", .ui = UI_CHECK,
      .doc = "Notifications of the browser." },
    { .name = "effects", .type = P_BOOL, .def = "true", .ui = UI_CHECK, .doc = "Visual effects." },
    { .name = "page_info", .type = P_BOOL, .def = "true", .ui = UI_CHECK,
      .doc = "Help texts on pages." },
    { .name = "contrast", .type = P_ENUM, .choices = "auto high normal low", .def = "\"auto\"",
      .ui = UI_SELECT, .doc = "Contrast of the pages." },
    { .name = "motion", .type = P_ENUM, .choices = "auto full reduced", .def = "\"auto\"",
      .ui = UI_SELECT, .doc = "Movement on the pages." },
    { .name = "volume", .type = P_NUMBER, .max = 10, .def = "7", .ui = UI_NUMBER,
      .doc = "Loudness of sounds." },
    { .name = "filters", .type = P_OBJECT,
      .def = "{\"brightness\":100,\"contrast\":100,\"hue\":0,\"saturation\":100,\"sepia\":0,"
             "\"grayscale\":0}",
      .ui = UI_JSON, .doc = "Colour filters of the pages." },
    { .name = "searches", .type = P_ARRAY, .of_type = P_JSON, .max = DEF_LIST_MAX, .def = "[]",
      .ui = UI_JSON, .doc = "Saved searches: name, uri, icon." },
    { .name = "force_password_change", .type = P_BOOL, .ui = UI_CHECK,
      .doc = "The password has to be changed at the next log-in." },
    { .name = "created", .type = P_INT, .flags = P_READONLY, .doc = "Unix time of its making." },
    { .name = "modified", .type = P_INT, .flags = P_READONLY,
      .doc = "Unix time of the last change." },
    { .name = "revision", .type = P_INT, .flags = P_READONLY,
      .doc = "Grows by one with each change." },
    { 0 },
};
/* clang-format on */

static const struct def_kind_row kind_rows[DEF_KIND_COUNT] = {
    [DEF_EVENT] = { "event", "events", "e", "event", event_props, event_check },
    [DEF_CATEGORY] = { "category", "categories", "ca", "category", category_props, category_check },
    [DEF_PLUGIN] = { "plugin", "plugins", "p", "plugin", plugin_props, plugin_check },
    [DEF_GROUP] = { "group", "groups", "g", "group", group_props, group_check },
    [DEF_USER] = { "user", "users", "u", "user", user_props, NULL },
    [DEF_ROLE] = { "role", "roles", "r", "role", role_props, NULL },
    [DEF_API_KEY] = { "api_key", "api_keys", "k", "apikey", api_key_props, NULL },
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
        if (!stored)
            skip_add(&l, "sort_order");
        break;
    case DEF_USER:
    case DEF_ROLE:
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
