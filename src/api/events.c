/* Events (reference/api-operations.md 4.1-4.6). Running one is run.c. */
#include "api/api_int.h"
#include "event/kinds.h"

/* ---- lists ---- */

/* What get_events compares: every parameter is an equality filter. */
static bool matches(yyjson_val *event, yyjson_val *filter)
{
    yyjson_obj_iter it = yyjson_obj_iter_with(filter);
    yyjson_val *key;

    while ((key = yyjson_obj_iter_next(&it)) != NULL) {
        if (!api_loose_equal_val(yyjson_obj_iter_get_val(key),
                                 json_get_str(event, json_val_str(key))))
            return false;
    }
    return true;
}

/* One that is looked into; most callers see all and need no parsing. */
static bool is_wanted(const struct api_call *c, const struct def *def, bool look)
{
    AUTO(json_doc_free) yyjson_doc *doc = NULL;
    yyjson_val *event;

    if (!look)
        return true;
    if (json_parse(def->json, DEFS_OBJECT_MAX, &doc, NULL))
        return false;
    event = yyjson_doc_get_root(doc);
    return matches(event, c->params) && api_event_visible(c, event);
}

static void get_events(struct api_call *c)
{
    const bool look = yyjson_obj_size(c->params) > 0 || api_is_limited(c);
    const size_t n = defs_count(c->world->defs, DEF_EVENT);
    struct buf out;
    struct json_writer w = api_reply_begin(c, &out);
    int64_t shown = 0;

    json_arr(&w, "rows");
    for (size_t i = 0; i < n && !out.failed; i++) {
        const struct def *def = defs_at(c->world->defs, DEF_EVENT, i);

        if (!is_wanted(c, def, look))
            continue;
        json_put_raw(&w, NULL, def->json);
        shown++;
    }
    json_end(&w);
    json_obj(&w, "list");
    json_put_i64(&w, "length", shown);
    json_end(&w);
    api_reply_end(c, &w, &out);
}

/* ---- one ---- */

/* Category and targets; a workflow has none of its own. False: replied. */
static bool need_readable(struct api_call *c, const struct def *def)
{
    yyjson_val *event;

    if (!api_is_limited(c))
        return true;
    event = def_parse(def, c->arena);
    if (!event) {
        api_fail(c, "event", STATUS_NOMEM, NULL);
        return false;
    }
    return api_need_category(c, id_str(&def->category)) &&
           api_need_targets(c, json_get(event, "targets"));
}

static void get_event(struct api_call *c)
{
    const struct def *def = api_need_def(c, DEF_EVENT, "notfound");
    const struct job *j = NULL;
    struct buf out;
    struct json_writer w;
    size_t cursor = 0;
    int64_t queued = 0;

    if (!def || !need_readable(c, def))
        return;
    w = api_reply_begin(c, &out);
    json_put_raw(&w, "event", def->json);
    json_arr(&w, "jobs");
    while (job_next(c->world->jobs, &cursor, &j)) {
        if (!id_eq(&j->event, &def->id))
            continue;
        queued += j->state == JOB_QUEUED;
        if (j->state == JOB_ACTIVE && api_job_visible(c, j))
            job_put_json(j, false, &w, NULL);
    }
    json_end(&w);
    json_put_i64(&w, "queued", queued);
    api_reply_end(c, &w, &out);
}

/* ---- history ---- */

static void history_found(void *arg, const struct store_result *res)
{
    static const char *const hidden[] = { "ip", "ips", "headers", NULL };
    struct api_call *c = arg;
    struct buf out;
    struct json_writer w;

    if (res->status) {
        api_error(c, "db", "Failed DB search: %s", res->err.text);
        return;
    }
    w = api_reply_begin(c, &out);
    json_arr(&w, "rows");
    for (size_t i = 0; i < res->n; i++) {
        AUTO(json_doc_free) yyjson_doc *doc = NULL;

        if (json_parse(res->rows[i].json, STORE_ROW_MAX, &doc, NULL))
            continue;
        json_obj(&w, NULL);
        json_put_members(&w, yyjson_doc_get_root(doc), hidden);
        json_end(&w);
    }
    json_end(&w);
    json_obj(&w, "list");
    json_put_i64(&w, "length", res->total);
    json_end(&w);
    api_reply_end(c, &w, &out);
}

static void get_event_history(struct api_call *c)
{
    const struct def *def = defs_find(c->world->defs, DEF_EVENT, json_str(c->params, "id"));
    const int64_t limit = json_i64(c->params, "limit", 1);
    struct store_condition where[2];
    struct store_query q = {
        .table = TABLE_ACTIVITY,
        .where = where,
        .n_where = COUNT_OF(where),
        .order_by = STORE_COLUMN_ID,
        .descending = json_i64(c->params, "sort_dir", -1) < 0,
        .offset = json_i64(c->params, "offset", 0),
        .limit = limit > 0 ? limit : 1,
        .want_total = true,
    };
    struct err err = { .code = STATUS_OK };
    Status st;

    if (!def) {
        api_error(c, "event", "Event not found: %.*s", STR_FMT(json_str(c->params, "id")));
        return;
    }
    if (!need_readable(c, def))
        return;
    where[0] = (struct store_condition){ ACTIVITY_ACTION, OP_PREFIX, store_text(STR("event_")) };
    where[1] =
        (struct store_condition){ ACTIVITY_KEYWORDS, OP_HAS_WORD, store_text(id_str(&def->id)) };
    st = store_select(c->world->store, &q, c->arena, history_found, c, &err);
    if (st)
        api_fail(c, "db", st, &err);
}

/* ---- changes ---- */

/* The parameter definitions of a plugin, or NULL. */
static yyjson_val *plugin_params(const struct api_call *c, struct str id)
{
    const struct def *plugin = defs_find(c->world->defs, DEF_PLUGIN, id);

    return plugin ? json_get(def_parse(plugin, c->arena), "params") : NULL;
}

/* `given` with the locked parameters forced; itself when there are none. */
static Status force_locked(struct api_call *c, yyjson_val *definitions, yyjson_val *params,
                           yyjson_val *original, yyjson_val **ret_given, struct err *err)
{
    static const char *const rewritten[] = { "params", NULL };
    AUTO_BUF struct buf text = { 0 };
    struct json_writer w;

    if (!api_has_locked(definitions))
        return STATUS_OK;
    buf_init(&text, DEFS_OBJECT_MAX * 2);
    w = json_writer_init(&text);
    json_obj(&w, NULL);
    json_put_members(&w, *ret_given, rewritten);
    api_put_locked(&w, "params", definitions, params, original);
    json_end(&w);
    return api_parse_buf(c->arena, &text, ret_given, err);
}

static void create_event(struct api_call *c)
{
    yyjson_val *given = c->params;
    struct err err = { .code = STATUS_OK };
    Status st = STATUS_OK;

    if (!api_need_event(c, given))
        return;
    if (!c->user.admin && !def_is_workflow(given))
        st = force_locked(c, plugin_params(c, json_str(given, "plugin")), json_get(given, "params"),
                          NULL, &given, &err);
    if (st)
        api_fail(c, "event", st, &err);
    else
        api_defs_create(c, DEF_EVENT, given);
}

/* A limited caller must be allowed the event as it is and as it would be. False: replied. */
static bool need_both(struct api_call *c, yyjson_val *stored)
{
    AUTO_BUF struct buf text = { 0 };
    struct json_writer w;
    struct err err = { .code = STATUS_OK };
    yyjson_val *merged = NULL;
    Status st;

    if (!api_need_event(c, stored))
        return false;
    if (!api_is_limited(c))
        return true;
    buf_init(&text, DEFS_OBJECT_MAX * 2);
    w = json_writer_init(&text);
    json_put_merged(&w, NULL, stored, c->params, NULL);
    st = api_parse_buf(c->arena, &text, &merged, &err);
    if (st) {
        api_fail(c, "event", st, &err);
        return false;
    }
    return api_need_event(c, merged);
}

static Status update_locked(struct api_call *c, yyjson_val *stored, yyjson_val **given,
                            struct err *err)
{
    const struct str was = json_str(stored, "plugin");
    const struct str now = json_get(*given, "plugin") ? json_str(*given, "plugin") : was;
    const bool changed = !str_eq(was, now);
    yyjson_val *params = json_get(*given, "params");

    if (!params && !changed)
        return STATUS_OK;
    if (!params)
        params = json_get(stored, "params");
    return force_locked(c, plugin_params(c, now), params,
                        changed ? NULL : json_get(stored, "params"), given, err);
}

static void update_event(struct api_call *c)
{
    yyjson_val *given = c->params;
    const struct def *def = api_need_def(c, DEF_EVENT, "event");
    struct err err = { .code = STATUS_OK };
    yyjson_val *stored;
    Status st = STATUS_OK;

    if (!def)
        return;
    if (!c->user.admin) {
        stored = def_parse(def, c->arena);
        if (!stored) {
            api_fail(c, "event", STATUS_NOMEM, NULL);
            return;
        }
        if (!need_both(c, stored))
            return;
        if (!def_is_workflow(stored))
            st = update_locked(c, stored, &given, &err);
    }
    if (st)
        api_fail(c, "event", st, &err);
    else
        api_defs_update(c, DEF_EVENT, given);
}

static size_t live_jobs(const struct api_call *c, const Id *event)
{
    const struct job *j = NULL;
    size_t cursor = 0;
    size_t n = 0;

    while (job_next(c->world->jobs, &cursor, &j))
        n += id_eq(&j->event, event);
    return n;
}

static void event_deleted(void *arg, Status st, const struct def *def, const struct err *err)
{
    struct api_call *c = arg;

    if (!st && json_truthy(json_get(c->params, "delete_jobs")))
        api_purge_jobs(c->api, json_str(c->params, "id"));
    api_def_changed(c, st, def, err);
}

static void delete_event(struct api_call *c)
{
    const struct actor by = api_actor(c);
    const struct def *def = api_need_def(c, DEF_EVENT, "event");
    struct err err = { .code = STATUS_OK };
    size_t n;
    Status st;

    if (!def || !need_readable(c, def))
        return;
    n = live_jobs(c, &def->id);
    if (n > 0) {
        api_error(c, "event", "The event cannot be deleted: it has %zu active job%s.", n,
                  n == 1 ? "" : "s");
        return;
    }
    st = defs_delete(c->world->defs, DEF_EVENT, id_str(&def->id), &by, c->now, event_deleted, c,
                     &err);
    if (st)
        api_fail(c, "event", st, &err);
}

/* ---- rows ---- */

static const struct prop history_in[] = {
    { .name = "id", .type = P_ID, .of = "event", .flags = P_REQUIRED, .doc = "Id of the event." },
    { .name = "offset",
      .type = P_INT,
      .flags = P_LOOSE,
      .max = INT32_MAX,
      .def = "0",
      .doc = "Rows to skip." },
    { .name = "limit",
      .type = P_INT,
      .flags = P_LOOSE,
      .max = 10000,
      .def = "1",
      .doc = "Rows to show." },
    { .name = "sort_dir",
      .type = P_INT,
      .flags = P_LOOSE,
      .min = -1,
      .max = 1,
      .def = "-1",
      .doc = "-1 for the newest first." },
    { 0 },
};

static const struct prop delete_in[] = {
    { .name = "id", .type = P_ID, .of = "event", .flags = P_REQUIRED, .doc = "Id of the event." },
    { .name = "delete_jobs", .type = P_BOOL, .doc = "Deletes its finished jobs as well." },
    { 0 },
};

const struct api_row api_event_rows[] = {
    { API_ROW("create_event", "events", CREATE_EVENTS, EVENT), .flags = API_BODY_ONLY,
      .out = "event", .errors = "api access event",
      .example = "{\"title\":\"Nightly dump\",\"enabled\":true,\"category\":\"general\","
                 "\"plugin\":\"shellplug\",\"targets\":[\"main\"],\"algo\":\"random\","
                 "\"params\":{\"script\":\"#!/bin/sh\\necho hi\\n\"},"
                 "\"triggers\":[{\"type\":\"manual\",\"enabled\":true}]}",
      .doc = "Makes an event from the properties of an Event object.", .fn = create_event },
    { API_ROW("delete_event", "events", DELETE_EVENTS, EVENT), .flags = API_BODY_ONLY,
      .in = delete_in, .errors = "api access event", .example = "{\"id\":\"nightly\"}",
      .doc = "Deletes an event; refused while it has active jobs.", .fn = delete_event },
    { API_ROW("get_event", "events", NONE, EVENT), .in = api_in_id, .out = "event, jobs, queued",
      .errors = "api notfound access", .example = "{\"id\":\"nightly\"}",
      .doc = "Shows one event, its running jobs and how many are queued.", .fn = get_event },
    { API_ROW("get_event_history", "events", NONE, EVENT), .in = history_in, .out = "rows, list",
      .errors = "api event access db", .example = "{\"id\":\"nightly\",\"limit\":10}",
      .doc = "Lists the changes of an event, the newest first, each with the event as it was then.",
      .fn = get_event_history },
    { API_ROW("get_events", "events", NONE, FILTERED), .out = "rows, list",
      .example = "{\"category\":\"general\"}",
      .doc = "Lists the events that the caller may see; any parameter is an equality filter.",
      .fn = get_events },
    { API_ROW("update_event", "events", EDIT_EVENTS, EVENT), .flags = API_BODY_ONLY,
      .in = api_in_id, .out = "event", .errors = "api access event",
      .example = "{\"id\":\"nightly\",\"enabled\":false}",
      .doc = "Merges the given properties into an event; a `revision` sent along must be the "
             "stored one.",
      .fn = update_event },
    { 0 },
};
