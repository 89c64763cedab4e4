/* Checks of whole definitions that a property table cannot say: references between objects, lists
 * of typed entries, what a workflow needs and a plain event needs. All on the merged object, so
 * that an update cannot leave a state that a create would refuse. */
#include "event/kinds.h"
#include "event/params.h"

#include <stdio.h>

const char *const limit_types[] = { "time",  "job",  "log", "mem", "cpu", "retry",
                                    "queue", "file", "day", "tag", NULL };
const char *const action_types[] = { "email",   "web_hook", "run_event", "channel", "store",
                                     "fetch",   "ticket",   "tag",       "label",   "snapshot",
                                     "suspend", "disable",  "delete",    "plugin",  NULL };
const char *const trigger_types[] = { "manual",    "schedule", "interval", "single",
                                      "magic",     "keyboard", "startup",  "catchup",
                                      "nth",       "range",    "blackout", "delay",
                                      "precision", "quiet",    "plugin",   NULL };

static Status entry_check(yyjson_val *entry, size_t i, const char *what, const char *path,
                          const char *const *types, struct err *err)
{
    char at[sizeof err->at];

    (void)snprintf(at, sizeof at, "%s[%zu]", path, i);
    if (!yyjson_is_obj(entry))
        return err_set(err, STATUS_INVALID, at, "Malformed %s entry #%zu (not an object)", what,
                       i + 1);
    yyjson_val *type = json_get(entry, "type");
    (void)snprintf(at, sizeof at, "%s[%zu].type", path, i);
    if (!yyjson_is_str(type) || !def_word_among(json_val_str(type), types))
        return err_set(err, STATUS_INVALID, at, "Malformed %s entry #%zu: Unknown type: %.*s", what,
                       i + 1, STR_FMT(str_slice(json_val_str(type), 0, 64)));
    (void)snprintf(at, sizeof at, "%s[%zu].enabled", path, i);
    if (!json_get(entry, "enabled"))
        return err_set(err, STATUS_INVALID, at,
                       "Malformed %s entry #%zu: Missing property: enabled", what, i + 1);
    return STATUS_OK;
}

Status entries_check(yyjson_val *list, const char *what, const char *at, const char *const *types,
                     struct err *err)
{
    yyjson_val *entry;
    yyjson_arr_iter it;
    size_t i = 0;

    if (!list)
        return STATUS_OK;
    if (!yyjson_is_arr(list))
        return err_set(err, STATUS_INVALID, at, "Malformed parameter: %s (must be an array)", at);
    yyjson_arr_iter_init(list, &it);
    for (entry = yyjson_arr_iter_next(&it); entry; entry = yyjson_arr_iter_next(&it)) {
        Status st = entry_check(entry, i++, what, at, types, err);
        if (st)
            return st;
    }
    return STATUS_OK;
}

static Status limits_and_actions(yyjson_val *merged, struct err *err)
{
    Status st = entries_check(json_get(merged, "limits"), "limit", "limits", limit_types, err);
    return st ? st
              : entries_check(json_get(merged, "actions"), "action", "actions", action_types, err);
}

Status category_check(struct arena *a, const struct defs *d, yyjson_val *merged, yyjson_val *given,
                      enum schema_mode mode, struct err *err)
{
    (void)a;
    (void)d;
    (void)given;
    (void)mode;
    return limits_and_actions(merged, err);
}

Status group_check(struct arena *a, const struct defs *d, yyjson_val *merged, yyjson_val *given,
                   enum schema_mode mode, struct err *err)
{
    const struct str pattern = json_str(merged, "hostname_match");

    (void)a;
    (void)d;
    (void)given;
    (void)mode;
    if (!params_regex_ok(pattern))
        return err_set(err, STATUS_INVALID, "hostname_match",
                       "Malformed parameter: hostname_match (not a regular expression)");
    return entries_check(json_get(merged, "alert_actions"), "action", "alert_actions", action_types,
                         err);
}

Status plugin_check(struct arena *a, const struct defs *d, yyjson_val *merged, yyjson_val *given,
                    enum schema_mode mode, struct err *err)
{
    yyjson_val *params = json_get(merged, "params");

    (void)a;
    (void)d;
    (void)given;
    (void)mode;
    return json_truthy(params) ? params_check_plugin(params, err) : STATUS_OK;
}

/* ---- events ---- */

static Status workflow_check(yyjson_val *merged, struct err *err)
{
    yyjson_val *workflow = json_get(merged, "workflow");

    if (!workflow)
        return err_set(err, STATUS_INVALID, "workflow", "Missing parameter: workflow");
    if (!yyjson_is_obj(workflow))
        return err_set(err, STATUS_INVALID, "workflow", "Malformed parameter: workflow");
    if (!yyjson_is_arr(json_get(workflow, "nodes")))
        return err_set(err, STATUS_INVALID, "workflow.nodes",
                       "Malformed workflow: nodes must be an array");
    if (!yyjson_is_arr(json_get(workflow, "connections")))
        return err_set(err, STATUS_INVALID, "workflow.connections",
                       "Malformed workflow: connections must be an array");
    return STATUS_OK;
}

static bool algo_ok(struct str algo)
{
    if (algo.n == 0)
        return false;
    for (size_t i = 0; i < algo.n; i++)
        if (algo.p[i] != ':' && !str_is_word(str_slice(algo, i, i + 1)))
            return false;
    return true;
}

/* A plain event needs a plugin, a place to run and a way to choose it. */
static Status plain_check(yyjson_val *merged, struct err *err)
{
    yyjson_val *targets = json_get(merged, "targets");
    yyjson_val *algo = json_get(merged, "algo");

    if (!json_get(merged, "plugin"))
        return err_set(err, STATUS_INVALID, "plugin", "Missing parameter: plugin");
    if (!targets)
        return err_set(err, STATUS_INVALID, "targets", "Missing parameter: targets");
    if (!yyjson_is_arr(targets) || yyjson_arr_size(targets) == 0)
        return err_set(err, STATUS_INVALID, "targets",
                       "Malformed parameter: targets (must be a non-empty array)");
    if (!algo)
        return err_set(err, STATUS_INVALID, "algo", "Missing parameter: algo");
    if (!algo_ok(json_val_str(algo)))
        return err_set(err, STATUS_INVALID, "algo", "Malformed parameter: algo");
    return STATUS_OK;
}

static Status type_check(yyjson_val *merged, struct err *err)
{
    yyjson_val *type = json_get(merged, "type");

    if (!json_truthy(type) || def_is_workflow(merged))
        return STATUS_OK;
    return err_set(err, STATUS_INVALID, "type", "Malformed parameter: type");
}

/* The plugin's parameter definitions in *ret, NULL for built-in plugins ("_workflow"). */
static Status plugin_find(struct arena *a, const struct defs *d, struct str id, yyjson_val **ret,
                          struct err *err)
{
    *ret = NULL;
    if (id.n > 0 && id.p[0] == '_')
        return STATUS_OK;
    const struct def *plugin = defs_find(d, DEF_PLUGIN, id);
    if (!plugin)
        return err_set(err, STATUS_INVALID, "plugin", "Plugin not found: %.*s",
                       STR_FMT(str_slice(id, 0, ID_MAX)));
    yyjson_val *object = def_parse(plugin, a);
    if (!object)
        return err_set(err, STATUS_NOMEM, NULL, "out of memory");
    *ret = json_get(object, "params");
    return STATUS_OK;
}

static Status params_check(yyjson_val *merged, yyjson_val *definitions, struct err *err)
{
    yyjson_val *params = json_get(merged, "params");

    if (params && !yyjson_is_obj(params))
        return err_set(err, STATUS_INVALID, "params", "Malformed parameter: params");
    Status st = params_check_overrides(params, err);
    if (!st && !def_is_workflow(merged))
        st = params_check_values(definitions, params, "Event Plugin", err);
    return st;
}

Status event_check(struct arena *a, const struct defs *d, yyjson_val *merged, yyjson_val *given,
                   enum schema_mode mode, struct err *err)
{
    const struct str category = json_str(merged, "category");
    yyjson_val *definitions = NULL;

    (void)given;
    (void)mode;
    Status st = type_check(merged, err);
    if (!st)
        st = def_is_workflow(merged) ? workflow_check(merged, err) : plain_check(merged, err);
    if (!st && !defs_find(d, DEF_CATEGORY, category))
        st = err_set(err, STATUS_INVALID, "category", "Category not found: %.*s",
                     STR_FMT(str_slice(category, 0, ID_MAX)));
    if (!st)
        st = plugin_find(a, d, json_str(merged, "plugin"), &definitions, err);
    if (!st)
        st = params_check(merged, definitions, err);
    if (!st)
        st = params_check_fields(json_get(merged, "fields"), definitions, err);
    if (!st)
        st = entries_check(json_get(merged, "triggers"), "trigger", "triggers", trigger_types, err);
    return st ? st : limits_and_actions(merged, err);
}
