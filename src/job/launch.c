/* Launch: from an event, what the request may replace, and what only the conductor says, to a live
 * job.
 *
 * The order is that of job-engine.md 2.3; precedence that of 2.2: event < request < plugin and
 * configuration. A request may replace a fixed list of keys, everything else of it is ignored. */
#include "job/room_int.h"

#include <stdlib.h>

#define EVENT_TEXT_MAX ((size_t)64 * 1024 * 1024)

enum value_type { TYPE_TEXT, TYPE_TEXTS, TYPE_BOOL, TYPE_NUMBER, TYPE_LIST };

/* What a request may replace (parameters and input come separately). */
static const struct {
    const char *key;
    enum value_type type;
} replaceable[] = {
    { "targets", TYPE_TEXTS },
    { "algo", TYPE_TEXT },
    { "tags", TYPE_TEXTS },
    { "label", TYPE_TEXT },
    { "icon", TYPE_TEXT },
    { "notes", TYPE_TEXT },
    { "priority", TYPE_BOOL },
    { "test", TYPE_BOOL },
    { "test_actions", TYPE_BOOL },
    { "test_limits", TYPE_BOOL },
    { "test_conditions", TYPE_LIST },
    { "expression", TYPE_TEXT },
    { "invisible", TYPE_BOOL },
    { "ephemeral", TYPE_BOOL },
};

/* Keys of an event that no job has, or that are written apart. */
static const char *const not_copied[] = {
    "id",          "title",
    "enabled",     "triggers",
    "session_id",  "modified",
    "created",     "revision",
    "command",     "script",
    "uid",         "gid",
    "cwd",         "env",
    "kill",        "runner",
    "category",    "plugin",
    "params",      "limits",
    "actions",     "username",
    "source",      "now",
    "state",       "until",
    "input",       "targets",
    "algo",        "tags",
    "label",       "icon",
    "notes",       "priority",
    "test",        "test_actions",
    "test_limits", "test_conditions",
    "expression",  "invisible",
    "ephemeral",   NULL,
};

struct merge {
    struct job_room *r;
    const struct job_launch *l;
    struct arena *arena;
    yyjson_val *event, *category, *plugin;
    bool test;
    Usec now, until;
    bool delayed;
};

static yyjson_val *pick(const struct merge *m, const char *key)
{
    yyjson_val *v = json_get(m->l->overrides, key);

    return v ? v : json_get(m->event, key);
}

static bool type_ok(yyjson_val *v, enum value_type type, bool targets)
{
    size_t i, max;
    yyjson_val *item;

    switch (type) {
    case TYPE_TEXT:
        return yyjson_is_str(v);
    case TYPE_BOOL:
        return yyjson_is_bool(v) || yyjson_is_num(v);
    case TYPE_NUMBER:
        return yyjson_is_num(v);
    case TYPE_LIST:
        return yyjson_is_arr(v);
    case TYPE_TEXTS:
        if (targets && yyjson_is_str(v))
            return true;
        if (!yyjson_is_arr(v))
            return false;
        yyjson_arr_foreach (v, i, max, item) {
            if (!yyjson_is_str(item))
                return false;
        }
        return true;
    }
    return false;
}

static Status malformed(struct err *err, const char *key)
{
    return err_set(err, STATUS_INVALID, key, "Malformed parameter: %s", key);
}

static Status check_overrides(struct merge *m, struct err *err)
{
    yyjson_val *o = m->l->overrides;
    yyjson_val *now = json_get(o, "now");
    const struct str state = json_str(o, "state");

    for (size_t i = 0; i < COUNT_OF(replaceable); i++) {
        yyjson_val *v = json_get(o, replaceable[i].key);

        if (v && !type_ok(v, replaceable[i].type, strcmp(replaceable[i].key, "targets") == 0))
            return malformed(err, replaceable[i].key);
    }
    if (m->l->params && !yyjson_is_obj(m->l->params))
        return malformed(err, "params");
    if (m->l->input && !yyjson_is_obj(m->l->input))
        return malformed(err, "input");
    if (now && !yyjson_is_num(now))
        return malformed(err, "now");
    if (state.p && str_eq_z(state, "start_delay")) {
        if (!yyjson_is_num(json_get(o, "until")))
            return malformed(err, "until");
        m->until = usec_from_epoch(json_double(o, "until", 0));
        m->delayed = true;
    }
    m->test = m->l->test || json_truthy(json_get(o, "test"));
    return STATUS_OK;
}

/* Steps 4 and 5. */
static Status find_one(struct merge *m, enum def_kind kind, const char *what, struct str id,
                       yyjson_val **ret, const struct def **ret_def, struct err *err)
{
    const struct def *def = defs_find(m->r->defs, kind, id);

    if (!def)
        return err_set(err, STATUS_MISSING, NULL, "%s not found: %.*s", what,
                       STR_FMT(str_slice(id, 0, ID_MAX)));
    *ret = def_parse(def, m->arena);
    *ret_def = def;
    return *ret ? STATUS_OK : err_set(err, STATUS_NOMEM, NULL, "Out of memory.");
}

static Status check_enabled(const struct merge *m, const struct def *def, const char *what,
                            yyjson_val *value, struct err *err)
{
    if (m->test || def->enabled)
        return STATUS_OK;
    return err_set(err, STATUS_DENIED, NULL, "%s is disabled: %.*s", what,
                   STR_FMT(str_slice(json_str(value, "title"), 0, 256)));
}

static Status find_all(struct merge *m, struct err *err)
{
    const struct def *event = NULL, *category = NULL, *plugin = NULL;
    Status st = find_one(m, DEF_EVENT, "Event", m->l->event_id, &m->event, &event, err);

    if (st != STATUS_OK)
        return st;
    st = find_one(m, DEF_CATEGORY, "Category", id_str(&event->category), &m->category, &category,
                  err);
    if (st != STATUS_OK)
        return st;
    if (str_eq_z(json_str(m->event, "type"), "workflow"))
        return err_set(err, STATUS_UNSUPPORTED, NULL, "Workflows cannot be run by this version.");
    st = find_one(m, DEF_PLUGIN, "Plugin", id_str(&event->plugin), &m->plugin, &plugin, err);
    if (st == STATUS_OK)
        st = check_enabled(m, event, "Event", m->event, err);
    if (st == STATUS_OK)
        st = check_enabled(m, category, "Category", m->category, err);
    if (st == STATUS_OK)
        st = check_enabled(m, plugin, "Plugin", m->plugin, err);
    return st;
}

/* Lists: the event's own, then the category's and the universal ones with their source. */

static void put_inherited(struct json_writer *w, yyjson_val *list, const char *need,
                          const char *source)
{
    size_t i, max;
    yyjson_val *item;

    yyjson_arr_foreach (list, i, max, item) {
        if (!json_bool(item, "enabled", false) || !json_str(item, need).n)
            continue;
        json_obj(w, NULL);
        json_put_members(w, item, (const char *const[]){ "source", NULL });
        json_put_z(w, "source", source);
        json_end(w);
    }
}

static void put_list(const struct merge *m, struct json_writer *w, const char *key,
                     const char *need, struct str universal, const char *test_key)
{
    yyjson_val *all = NULL;
    size_t i, max;
    yyjson_val *item;

    json_arr(w, key);
    yyjson_arr_foreach (json_get(m->event, key), i, max, item) {
        if (yyjson_is_obj(item))
            json_put_val(w, NULL, item);
    }
    if (!m->test || json_truthy(json_get(m->l->overrides, test_key))) {
        put_inherited(w, json_get(m->category, key), need, "category");
        if (universal.n &&
            json_parse_in(m->arena, universal, JOB_BASE_MAX, &all, NULL) == STATUS_OK)
            put_inherited(w, json_get(all, "default"), need, "universal");
    }
    json_end(w);
}

/* uid and gid: the plugin's, else the configured ones, unless the plugin has a locked parameter of
 * that name. */
static void put_user(const struct merge *m, struct json_writer *w, const char *key,
                     const char *fallback)
{
    struct str value = json_str(m->plugin, key);
    size_t i, max;
    yyjson_val *param;

    if (!value.n && yyjson_is_num(json_get(m->plugin, key))) {
        json_put_val(w, key, json_get(m->plugin, key));
        return;
    }
    yyjson_arr_foreach (json_get(m->plugin, "params"), i, max, param) {
        const struct str given =
            json_str(m->l->params ? m->l->params : json_get(m->event, "params"), key);

        if (str_eq_z(json_str(param, "id"), key) && json_truthy(json_get(param, "locked")) &&
            given.n)
            value = given;
    }
    json_put_str(w, key, value.n ? value : fallback ? str_z(fallback) : STR(""));
}

static void put_plugin(const struct merge *m, struct json_writer *w)
{
    const struct job_config *c = &m->r->config;

    json_put_str(w, "command",
                 json_str(m->plugin, "command").p ? json_str(m->plugin, "command") : STR(""));
    json_put_str(w, "script", json_str(m->plugin, "script").n ? STR("(File)") : STR(""));
    put_user(m, w, "uid", c->default_uid);
    put_user(m, w, "gid", c->default_gid);
    if (json_get(m->plugin, "kill"))
        json_put_val(w, "kill", json_get(m->plugin, "kill"));
    if (json_truthy(json_get(m->plugin, "runner")))
        json_put_bool(w, "runner", true);
}

static void put_replaceable(const struct merge *m, struct json_writer *w)
{
    for (size_t i = 0; i < COUNT_OF(replaceable); i++) {
        const char *key = replaceable[i].key;
        yyjson_val *v = pick(m, key);

        if (replaceable[i].type == TYPE_BOOL) {
            /* only a request can ask for these; false is the same as absent */
            if (json_truthy(json_get(m->l->overrides, key)) ||
                (strcmp(key, "test") == 0 && m->test))
                json_put_bool(w, key, true);
        } else if (v) {
            json_put_val(w, key, v);
        } else if (strcmp(key, "tags") == 0) {
            json_arr(w, key);
            json_end(w);
        }
    }
}

static void put_base(const struct merge *m, struct json_writer *w)
{
    const struct job_config *c = &m->r->config;
    yyjson_val *params = m->l->params ? m->l->params : json_get(m->event, "params");

    json_obj(w, NULL);
    json_put_members(w, m->event, not_copied);
    put_replaceable(m, w);
    if (yyjson_is_obj(params))
        json_put_val(w, "params", params);
    else
        json_put_raw(w, "params", STR("{}"));
    put_list(m, w, "limits", "type", c->universal_limits, "test_limits");
    put_list(m, w, "actions", "condition", c->universal_actions, "test_actions");
    json_put_z(w, "source", job_source_name(m->l->source));
    json_put_str(w, "username", m->l->username.n ? m->l->username : json_str(m->event, "username"));
    json_put_raw(w, "env", c->job_env.n ? c->job_env : STR("{}"));
    put_plugin(m, w);
    json_put_str(w, "event_title", json_str(m->event, "title"));
    json_put_i64(w, "event_revision", json_i64(m->event, "revision", 1));
    json_end(w);
}

/* Step 7: a queue without a limit of jobs would never be used. */
static Status check_limits(const struct merge *m, struct str base, struct err *err)
{
    yyjson_val *root = NULL;
    yyjson_val *limits;
    Status st = json_parse_in(m->arena, base, JOB_BASE_MAX, &root, err);

    if (st != STATUS_OK)
        return st;
    limits = json_get(root, "limits");
    if (limit_amount(limits, "queue") && !limit_amount(limits, "job"))
        return err_set(err, STATUS_INVALID, "limits",
                       "A Max Queue Limit needs a Max Concurrent Jobs limit beside it.");
    return STATUS_OK;
}

static Status check_room(struct job_room *r, Usec now, struct err *err)
{
    const int64_t minute = now / USEC_MINUTE;

    if (r->journal != STATUS_OK)
        return err_set(err, r->journal == STATUS_NOSPACE ? STATUS_NOSPACE : STATUS_BUSY, NULL,
                       "Jobs cannot be started: the journal cannot be written (%s).",
                       status_text(r->journal));
    if (r->jobs.n >= JOB_LIVE_MAX)
        return err_set(err, STATUS_FULL, NULL, "Too many jobs are active.");
    if (r->minute != minute) {
        r->minute = minute;
        r->minute_launches = 0;
    }
    if (r->config.launches_per_min && r->minute_launches >= r->config.launches_per_min)
        return err_set(err, STATUS_FULL, NULL,
                       "Global jobs per minute limit has been reached (%u/min)",
                       r->config.launches_per_min);
    return STATUS_OK;
}

static const char *source_title(enum job_source s)
{
    static const char *const titles[JOB_SOURCE_COUNT] = {
        [JOB_SOURCE_SCHEDULER] = "Scheduler", [JOB_SOURCE_PLUGIN] = "Plugin",
        [JOB_SOURCE_KEY] = "API Key",         [JOB_SOURCE_USER] = "User",
        [JOB_SOURCE_ACTION] = "Action",       [JOB_SOURCE_ALERT] = "Alert",
        [JOB_SOURCE_WORKFLOW] = "Workflow",   [JOB_SOURCE_MAGIC] = "Magic Link",
        [JOB_SOURCE_STARTUP] = "Startup",
    };

    return (size_t)s < COUNT_OF(titles) ? titles[s] : "?";
}

/* Takes base over; NULL: no memory (base is freed). */
static struct live *make(struct merge *m, struct buf *base, Id *ret_id)
{
    struct job_room *r = m->r;
    const Id id = id_new(&r->ids, "j", m->now);
    Id event;
    struct live *l;

    if (!id_from_str(json_str(m->event, "id"), &event))
        return NULL;
    l = live_new(r, &id, &event);
    if (!l)
        return NULL;
    l->job.base.p = buf_take(base, &l->job.base.n);
    (void)id_from_str(json_str(m->event, "category"), &l->job.category);
    (void)id_from_str(json_str(m->event, "plugin"), &l->job.plugin);
    l->test = m->test;
    l->priority = json_truthy(json_get(m->l->overrides, "priority"));
    l->ephemeral = json_truthy(json_get(m->l->overrides, "ephemeral"));
    l->job.created = l->job.started = m->now;
    l->job.now = m->now;
    if (json_get(m->l->overrides, "now"))
        l->job.now = usec_from_epoch(json_double(m->l->overrides, "now", 0));
    *ret_id = id;
    if (!l->job.base.p) {
        live_free(r, l);
        return NULL;
    }
    live_read_limits(l);
    return l;
}

static Status take_input(struct merge *m, struct live *l, struct err *err)
{
    AUTO_BUF struct buf text = { 0 };
    Status st;

    if (!m->l->input)
        return STATUS_OK;
    buf_init(&text, JOB_FIELD_MAX);
    st = json_text(m->l->input, false, &text);
    if (st == STATUS_OK)
        st = field_set(l, STR("input"), buf_str(&text));
    if (st == STATUS_OK)
        return STATUS_OK;
    return err_set(err, st == STATUS_FULL ? STATUS_TOO_BIG : st, "input",
                   "The input data is too big.");
}

/* Steps 15 to 18. */
static void begin(struct merge *m, struct live *l)
{
    struct job_room *r = m->r;

    meta_printf(r, l, m->now, "Orrery job starting: #%s", l->job.id.z);
    meta_printf(r, l, m->now, "Source: %s", source_title(m->l->source));
    meta_printf(r, l, m->now, "Event ID: #%s", l->job.event.z);
    if (json_truthy(json_get(m->l->overrides, "invisible")))
        meta_printf(r, l, m->now, "The job is invisible while it runs");
    if (l->ephemeral)
        meta_printf(r, l, m->now, "The job is ephemeral: no record is kept if it succeeds");
    live_dirty(r, l);
    live_touch(r, l);
    r->stats.launched++;
    r->minute_launches++;
    if (!m->delayed) {
        live_ready(r, l, m->now);
        return;
    }
    l->job.until = m->until;
    live_set_state(r, l, JOB_START_DELAY, m->now);
    live_timer(r, l, m->until);
    meta_printf(r, l, m->now, "The start is delayed");
}

static Status launch(struct merge *m, JobLaunchFn fn, void *arg, Id *ret_id, struct err *err)
{
    AUTO_BUF struct buf base = { 0 };
    struct json_writer w;
    struct live *l;
    struct call *call;
    Id id;
    Status st;

    st = check_overrides(m, err);
    if (st == STATUS_OK)
        st = find_all(m, err);
    if (st != STATUS_OK)
        return st;
    buf_init(&base, JOB_BASE_MAX);
    w = json_writer_init(&base);
    put_base(m, &w);
    if (base.failed)
        return err_set(err, STATUS_TOO_BIG, NULL, "The job is too big.");
    st = check_limits(m, buf_str(&base), err);
    if (st == STATUS_OK)
        st = check_room(m->r, m->now, err);
    if (st != STATUS_OK)
        return st;
    call = call_new(fn, NULL, arg, NULL);
    l = call ? make(m, &base, &id) : NULL;
    st = l ? take_input(m, l, err) : err_set(err, STATUS_NOMEM, NULL, "Out of memory.");
    if (st != STATUS_OK) {
        if (l)
            live_free(m->r, l);
        free(call);
        return st;
    }
    call->id = id;
    effect_push_call(m->r, l, call);
    begin(m, l);
    *ret_id = id;
    return STATUS_OK;
}

Status job_launch(struct job_room *r, const struct job_launch *l, Usec now, JobLaunchFn fn,
                  void *arg, Id *ret_id, struct err *err)
{
    AUTO(arena_free) struct arena *a = arena_new(EVENT_TEXT_MAX * 2);
    struct merge m = { .r = r, .l = l, .arena = a, .now = now };

    if (!a)
        return err_set(err, STATUS_NOMEM, NULL, "Out of memory.");
    return launch(&m, fn, arg, ret_id, err);
}
