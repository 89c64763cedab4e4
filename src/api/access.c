/* Restrictions of users and keys that are limited to categories or groups
 * (reference/api-operations.md 1.3). Most callers are not limited, and cost one comparison. */
#include "api/api_int.h"
#include "event/kinds.h"

#define WORKFLOW_EVENTS_MAX 1000u /* sub-workflows looked at by one check */

bool api_is_limited(const struct api_call *c)
{
    return !c->user.admin && (c->user.n_categories > 0 || c->user.n_groups > 0);
}

bool api_need_category(struct api_call *c, struct str category)
{
    if (auth_category_ok(&c->user, category))
        return true;
    api_error(c, "access", "You do not have access to the category: %.*s.",
              STR_FMT(str_slice(category, 0, ID_MAX)));
    return false;
}

bool api_need_group(struct api_call *c, struct str group)
{
    if (auth_group_ok(&c->user, group))
        return true;
    api_error(c, "access", "You do not have access to the server group: %.*s.",
              STR_FMT(str_slice(group, 0, ID_MAX)));
    return false;
}

/* A request may name one target as a text. */
static bool targets_ok(const struct api_call *c, yyjson_val *targets)
{
    if (yyjson_is_str(targets))
        return auth_group_ok(&c->user, json_val_str(targets));
    return auth_targets_ok(&c->user, targets);
}

bool api_need_targets(struct api_call *c, yyjson_val *targets)
{
    if (targets_ok(c, targets))
        return true;
    api_error(c, "access", "You do not have access to any of the targets.");
    return false;
}

/* ---- workflows ---- */

struct visit {
    struct api_call *c;
    struct str *seen;
    size_t n;
};

static bool check_workflow(struct visit *v, yyjson_val *workflow);

static bool first_visit(struct visit *v, struct str id)
{
    for (size_t i = 0; i < v->n; i++) {
        if (str_eq(v->seen[i], id))
            return false;
    }
    if (v->n == WORKFLOW_EVENTS_MAX)
        return false;
    v->seen[v->n++] = id;
    return true;
}

static bool check_event_node(struct visit *v, yyjson_val *data)
{
    struct api_call *c = v->c;
    const struct str id = json_str(data, "event");
    const struct def *def = defs_find(c->world->defs, DEF_EVENT, id);
    yyjson_val *event = def ? def_parse(def, c->arena) : NULL;

    if (!event) {
        api_error(c, "api", "The workflow names an event that is not there: %.*s",
                  STR_FMT(str_slice(id, 0, ID_MAX)));
        return false;
    }
    if (!api_need_category(c, json_str(event, "category")) ||
        !api_need_targets(c, json_get(event, "targets")) ||
        !api_need_targets(c, json_get(data, "targets")))
        return false;
    return !def_is_workflow(event) || !first_visit(v, id) ||
           check_workflow(v, json_get(event, "workflow"));
}

static bool check_workflow(struct visit *v, yyjson_val *workflow)
{
    yyjson_arr_iter it = yyjson_arr_iter_with(json_get(workflow, "nodes"));
    yyjson_val *node;
    bool ok = true;

    while (ok && (node = yyjson_arr_iter_next(&it)) != NULL) {
        yyjson_val *data = json_get(node, "data");

        if (str_eq_z(json_str(node, "type"), "event"))
            ok = check_event_node(v, data);
        else if (str_eq_z(json_str(node, "type"), "job"))
            ok = api_need_category(v->c, json_str(data, "category")) &&
                 api_need_targets(v->c, json_get(data, "targets"));
    }
    return ok;
}

bool api_need_event(struct api_call *c, yyjson_val *event)
{
    struct visit v = { .c = c };

    if (!api_is_limited(c))
        return true;
    if (!api_need_category(c, json_str(event, "category")))
        return false;
    if (!def_is_workflow(event))
        return api_need_targets(c, json_get(event, "targets"));
    v.seen = arena_alloc(c->arena, WORKFLOW_EVENTS_MAX * sizeof *v.seen);
    if (!v.seen) {
        api_fail(c, "event", STATUS_NOMEM, NULL);
        return false;
    }
    return check_workflow(&v, json_get(event, "workflow"));
}

/* ---- what lists show ---- */

static bool is_visible(const struct api_call *c, struct str category, bool workflow,
                       yyjson_val *targets)
{
    if (!auth_category_ok(&c->user, category))
        return false;
    if (workflow || c->user.admin || c->user.n_groups == 0)
        return true;
    return (yyjson_is_str(targets) || yyjson_arr_size(targets) > 0) && targets_ok(c, targets);
}

bool api_event_visible(const struct api_call *c, yyjson_val *event)
{
    return is_visible(c, json_str(event, "category"), def_is_workflow(event),
                      json_get(event, "targets"));
}

bool api_record_visible(const struct api_call *c, yyjson_val *record)
{
    return is_visible(c, json_str(record, "category"),
                      str_eq_z(json_str(record, "type"), "workflow"), json_get(record, "targets"));
}

bool api_job_visible(struct api_call *c, const struct job *j)
{
    AUTO(json_doc_free) yyjson_doc *doc = NULL;
    struct str text;

    if (!api_is_limited(c))
        return true;
    text = job_value(j, "type");
    if (str_eq_z(text, "\"workflow\""))
        return auth_category_ok(&c->user, id_str(&j->category));
    text = job_value(j, "targets");
    if (!text.p || json_parse(text, JSON_SIZE_MAX, &doc, NULL))
        return false;
    return is_visible(c, id_str(&j->category), false, yyjson_doc_get_root(doc));
}

bool api_server_visible(const struct api_call *c, const struct fleet_server *s)
{
    if (c->user.admin || c->user.n_groups == 0)
        return true;
    for (size_t i = 0; i < s->n_groups; i++) {
        if (auth_group_ok(&c->user, id_str(&s->groups[i])))
            return true;
    }
    return false;
}
