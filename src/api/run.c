/* run_event (reference/api-operations.md 4.7): the ways to pass parameters, in their order, the
 * checks, uploaded files, the launch, and /wait.
 *
 * What a request may say of a job is a fixed list that job/ knows; here the parameters and the
 * input are put together, everything else is handed on and ignored there unless it is on the list.
 */
#include "api/api_int.h"
#include "event/kinds.h"
#include "event/params.h"

#define RUN_TEXT_MAX LIMIT(128u * 1024 * 1024, 256u * 1024)

struct run {
    struct api_call *c;
    const struct def *def; /* only before anything waits */
    Id event_id;
    yyjson_val *event;
    yyjson_val *definitions; /* of the plugin's parameters */
    yyjson_val *request;     /* the merged parameter object */
    yyjson_val *params;      /* effective */
    yyjson_val *post_data;
    bool test;
};

static const struct prop run_in[] = {
    { .name = "id", .type = P_ID, .of = "event", .doc = "Event to run; this or `title`." },
    { .name = "title",
      .type = P_TEXT,
      .flags = P_LOOSE,
      .max = DEF_TITLE_MAX,
      .doc = "Exact title of the event to run." },
    { .name = "params",
      .type = P_JSON,
      .doc = "Values over the event's parameters; `params/NAME` sets one in a query or form." },
    { .name = "input",
      .type = P_JSON,
      .doc = "Data and files for the job: {data, files}; uploaded files are added." },
    { .name = "targets", .type = P_JSON, .doc = "Servers and groups instead of the event's." },
    { .name = "algo", .type = P_TEXT, .max = 128, .doc = "How a server is chosen." },
    { .name = "tags", .type = P_JSON, .doc = "Tags instead of the event's." },
    { .name = "label",
      .type = P_TEXT,
      .flags = P_STRIP | P_LOOSE,
      .max = DEF_TEXT_MAX,
      .doc = "Text shown beside the job's id." },
    { .name = "notes",
      .type = P_TEXT,
      .flags = P_STRIP,
      .max = DEF_NOTES_MAX,
      .doc = "Notes instead of the event's." },
    { .name = "priority", .type = P_BOOL, .doc = "Goes to the front of a queue." },
    { .name = "test",
      .type = P_BOOL,
      .doc = "A test run: neither the manual trigger nor being enabled is needed." },
    { .name = "test_actions",
      .type = P_BOOL,
      .doc = "With `test`: actions of category and configuration are added." },
    { .name = "test_limits",
      .type = P_BOOL,
      .doc = "With `test`: limits of category and configuration are added." },
    { .name = "state",
      .type = P_TEXT,
      .max = 32,
      .doc = "`start_delay` to wait until `until` before the start." },
    { .name = "until", .type = P_NUMBER, .flags = P_LOOSE, .doc = "Unix time for `start_delay`." },
    { .name = "invisible", .type = P_BOOL, .doc = "Not shown while it runs." },
    { .name = "ephemeral", .type = P_BOOL, .doc = "Leaves no record when it succeeds." },
    { .name = "json",
      .type = P_TEXT,
      .max = (int64_t)RUN_TEXT_MAX,
      .doc = "All of this as one JSON text, for forms; it wins." },
    { 0 },
};

/* ---- putting the request together ---- */

/* "json": a text that is an object, over everything else. */
static Status take_json(struct api_call *c, yyjson_val **request, struct err *err)
{
    const struct str text = json_str(*request, "json");
    yyjson_val *more = NULL;

    if (!json_get(*request, "json"))
        return STATUS_OK;
    if (json_parse_in(c->arena, text, RUN_TEXT_MAX, &more, err) || !yyjson_is_obj(more)) {
        return err_set(err, STATUS_INVALID, "json", "Failed to parse JSON: %s",
                       err && err->text[0] ? err->text : "not an object");
    }
    return api_merge(c->arena, *request, more, "json", request, err);
}

/* "parent/child": where the slash is, or 0. */
static size_t slash_in(struct str key)
{
    const size_t at = str_find_char(key, '/');

    if (at == 0 || at >= key.n || !str_is_word(str_slice(key, 0, at)) ||
        !str_is_word(str_slice(key, at + 1, key.n)))
        return 0;
    return at;
}

static bool is_child_of(struct str key, struct str parent)
{
    const size_t at = slash_in(key);

    return at && str_eq(str_slice(key, 0, at), parent);
}

/* One parent with the children that keys of the request give it. */
static void put_parent(struct json_writer *w, yyjson_val *request, struct str parent)
{
    yyjson_obj_iter it = yyjson_obj_iter_with(request);
    yyjson_obj_iter old = yyjson_obj_iter_with(json_get_str(request, parent));
    yyjson_val *key;

    json_obj_k(w, parent);
    while ((key = yyjson_obj_iter_next(&it)) != NULL) {
        const struct str name = json_val_str(key);

        if (is_child_of(name, parent))
            json_put_val_k(w, str_slice(name, parent.n + 1, name.n), yyjson_obj_iter_get_val(key));
    }
    while ((key = yyjson_obj_iter_next(&old)) != NULL) /* of equal keys the first counts */
        json_put_val_k(w, json_val_str(key), yyjson_obj_iter_get_val(key));
    json_end(w);
}

static bool has_slashes(yyjson_val *request)
{
    yyjson_obj_iter it = yyjson_obj_iter_with(request);
    yyjson_val *key;

    while ((key = yyjson_obj_iter_next(&it)) != NULL) {
        if (slash_in(json_val_str(key)))
            return true;
    }
    return false;
}

/* Is this the first key of the request that speaks of the parent? */
static bool is_first(yyjson_val *request, yyjson_val *at, struct str parent)
{
    yyjson_obj_iter it = yyjson_obj_iter_with(request);
    yyjson_val *key;

    while ((key = yyjson_obj_iter_next(&it)) != NULL && key != at) {
        if (is_child_of(json_val_str(key), parent) || str_eq(json_val_str(key), parent))
            return false;
    }
    return true;
}

static bool has_children(yyjson_val *request, struct str parent)
{
    yyjson_obj_iter it = yyjson_obj_iter_with(request);
    yyjson_val *key;

    while ((key = yyjson_obj_iter_next(&it)) != NULL) {
        if (is_child_of(json_val_str(key), parent))
            return true;
    }
    return false;
}

/* "params/foo=bar" and the like become members of their parent. */
static Status take_slashes(struct api_call *c, yyjson_val **request, struct err *err)
{
    yyjson_obj_iter it = yyjson_obj_iter_with(*request);
    AUTO_BUF struct buf text = { 0 };
    struct json_writer w;
    yyjson_val *key;

    if (!has_slashes(*request))
        return STATUS_OK;
    if (yyjson_obj_size(*request) > API_PARAMS_MAX)
        return err_set(err, STATUS_INVALID, NULL, "Too many parameters.");
    buf_init(&text, RUN_TEXT_MAX);
    w = json_writer_init(&text);
    json_obj(&w, NULL);
    while ((key = yyjson_obj_iter_next(&it)) != NULL) {
        const struct str name = json_val_str(key);
        const size_t at = slash_in(name);
        const struct str parent = at ? str_slice(name, 0, at) : name;

        if (at || has_children(*request, parent)) {
            if (is_first(*request, key, parent))
                put_parent(&w, *request, parent);
        } else {
            json_put_val_k(&w, name, yyjson_obj_iter_get_val(key));
        }
    }
    json_end(&w);
    return api_parse_buf(c->arena, &text, request, err);
}

/* Texts of a form become what they mean, texts for people lose their tags. */
static Status take_types(struct api_call *c, yyjson_val **request, struct err *err)
{
    AUTO_BUF struct buf text = { 0 };
    struct json_writer w;
    Status st = schema_check_generic(*request, err);

    if (!st)
        st = schema_check(run_in, *request, SCHEMA_CALL, err);
    if (st)
        return st;
    buf_init(&text, RUN_TEXT_MAX);
    w = json_writer_init(&text);
    json_obj(&w, NULL);
    schema_put(run_in, *request, SCHEMA_CALL, NULL, &w);
    json_end(&w);
    return api_parse_buf(c->arena, &text, request, err);
}

static Status make_request(struct run *r, struct err *err)
{
    struct api_call *c = r->c;
    yyjson_val *nothing = yyjson_doc_get_root(c->api->nothing);
    Status st = STATUS_OK;

    r->request = c->params;
    if (json_truthy(json_get(c->query, "post_data"))) /* without credentials */
        st = api_merge(c->arena, nothing, c->body, NULL, &r->post_data, err);
    if (!st)
        st = take_json(c, &r->request, err);
    if (!st)
        st = take_slashes(c, &r->request, err);
    return st ? st : take_types(c, &r->request, err);
}

/* ---- the event ---- */

/* The member as the writer puts it, to look for before parsing. */
static bool title_needle(struct str title, struct buf *out)
{
    struct json_writer w = json_writer_init(out);

    json_obj(&w, NULL);
    json_put_str(&w, "title", title);
    buf_consume(out, 1);
    return !out->failed;
}

static const struct def *find_by_title(const struct api_call *c, struct str title)
{
    const size_t n = defs_count(c->world->defs, DEF_EVENT);
    AUTO_BUF struct buf needle = { 0 };

    buf_init(&needle, RUN_TEXT_MAX);
    if (!title_needle(title, &needle))
        return NULL;
    for (size_t i = 0; i < n; i++) {
        const struct def *def = defs_at(c->world->defs, DEF_EVENT, i);
        AUTO(json_doc_free) yyjson_doc *doc = NULL;

        if (!memmem(def->json.p, def->json.n, needle.p, needle.n))
            continue;
        if (!json_parse(def->json, DEFS_OBJECT_MAX, &doc, NULL) &&
            str_eq(json_str(yyjson_doc_get_root(doc), "title"), title))
            return def;
    }
    return NULL;
}

/* False: replied. */
static bool find_event(struct run *r)
{
    struct api_call *c = r->c;
    const struct str id = json_str(r->request, "id");
    const struct str title = json_str(r->request, "title");
    const struct def *plugin;

    if (!id.n && !title.n) {
        api_error(c, "event", "No event criteria specified (id or title).");
        return false;
    }
    r->def = id.n ? defs_find(c->world->defs, DEF_EVENT, id) : find_by_title(c, title);
    if (!r->def) {
        api_error(c, "event", "Event not found: %.*s",
                  STR_FMT(str_slice(id.n ? id : title, 0, DEF_TITLE_MAX)));
        return false;
    }
    r->event_id = r->def->id;
    r->event = def_parse(r->def, c->arena);
    if (!r->event) {
        api_fail(c, "event", STATUS_NOMEM, NULL);
        return false;
    }
    plugin = defs_find(c->world->defs, DEF_PLUGIN, id_str(&r->def->plugin));
    r->definitions = plugin ? json_get(def_parse(plugin, c->arena), "params") : NULL;
    return true;
}

static bool has_manual_trigger(yyjson_val *event)
{
    yyjson_arr_iter it = yyjson_arr_iter_with(json_get(event, "triggers"));
    yyjson_val *trigger;

    while ((trigger = yyjson_arr_iter_next(&it)) != NULL) {
        if (str_eq_z(json_str(trigger, "type"), "manual") &&
            json_truthy(json_get(trigger, "enabled")))
            return true;
    }
    return false;
}

/* False: replied. */
static bool may_run(struct run *r)
{
    struct api_call *c = r->c;
    yyjson_val *targets = json_get(r->request, "targets");

    if (!api_need_event(c, r->event))
        return false;
    if (targets && !def_is_workflow(r->event) && !api_need_targets(c, targets))
        return false;
    if (!r->test && !has_manual_trigger(r->event)) {
        api_error(c, "event", "Event does not allow manual runs: %s", r->event_id.z);
        return false;
    }
    if (!r->test && !r->def->enabled) {
        api_error(c, "event", "Event is disabled: %s", r->event_id.z);
        return false;
    }
    if (c->wait && !api_wait_room(c->api)) {
        api_error(c, "event", "Too many requests wait for jobs already.");
        return false;
    }
    return true;
}

/* ---- parameters and input ---- */

static void put_missing(struct json_writer *w, yyjson_val *from, yyjson_val *given)
{
    yyjson_obj_iter it = yyjson_obj_iter_with(from);
    yyjson_val *key;

    while ((key = yyjson_obj_iter_next(&it)) != NULL) {
        if (!json_get_str(given, json_val_str(key)))
            json_put_val_k(w, json_val_str(key), yyjson_obj_iter_get_val(key));
    }
}

static void put_field_defaults(struct json_writer *w, yyjson_val *event, yyjson_val *given)
{
    yyjson_arr_iter it = yyjson_arr_iter_with(json_get(event, "fields"));
    yyjson_val *saved = json_get(event, "params");
    yyjson_val *field;

    while ((field = yyjson_arr_iter_next(&it)) != NULL) {
        const struct str id = json_str(field, "id");
        yyjson_val *value = json_get(field, "value");

        if (id.n && value && !json_get_str(given, id) && !json_get_str(saved, id))
            json_put_val_k(w, id, value);
    }
}

/* Given ones, then the event's, then the defaults of its fields; locked ones as they are stored. */
static Status make_params(struct run *r, struct err *err)
{
    struct api_call *c = r->c;
    yyjson_val *given = json_get(r->request, "params");
    yyjson_val *saved = json_get(r->event, "params");
    AUTO_BUF struct buf text = { 0 };
    AUTO_BUF struct buf forced = { 0 };
    struct json_writer w;
    Status st;

    if (!yyjson_is_obj(given))
        given = yyjson_doc_get_root(c->api->nothing);
    buf_init(&text, RUN_TEXT_MAX);
    buf_init(&forced, RUN_TEXT_MAX);
    w = json_writer_init(&text);
    json_obj(&w, NULL);
    json_put_members(&w, given, NULL);
    put_missing(&w, saved, given);
    put_field_defaults(&w, r->event, given);
    json_end(&w);
    st = api_parse_buf(c->arena, &text, &r->params, err);
    if (st || c->user.admin || def_is_workflow(r->event) || !api_has_locked(r->definitions))
        return st;
    w = json_writer_init(&forced);
    api_put_locked(&w, NULL, r->definitions, r->params, saved);
    return api_parse_buf(c->arena, &forced, &r->params, err);
}

static Status check_params(const struct run *r, struct err *err)
{
    yyjson_val *input = json_get(r->request, "input");
    Status st;

    if (input && !yyjson_is_obj(input))
        return err_set(err, STATUS_INVALID, "input",
                       "Malformed parameter: input (must be an object)");
    if (json_get(input, "files") && !yyjson_is_arr(json_get(input, "files")))
        return err_set(err, STATUS_INVALID, "input.files",
                       "Malformed parameter: input.files (must be an array)");
    if (json_get(input, "data") && !yyjson_is_obj(json_get(input, "data")))
        return err_set(err, STATUS_INVALID, "input.data",
                       "Malformed parameter: input.data (must be an object)");
    st = params_check_overrides(r->params, err);
    if (!st && !def_is_workflow(r->event))
        st = params_check_values(r->definitions, r->params, "Event Plugin", err);
    return st ? st : params_check_values(json_get(r->event, "fields"), r->params, "Event", err);
}

/* {data, files}: the request's, with the uploaded files behind its own. */
static Status make_input(struct run *r, const struct api_stored *files, size_t n, yyjson_val **ret,
                         struct err *err)
{
    static const char *const made[] = { "data", "files", NULL };
    struct api_call *c = r->c;
    yyjson_val *input = json_get(r->request, "input");
    yyjson_val *data = json_get(input, "data");
    yyjson_arr_iter it = yyjson_arr_iter_with(json_get(input, "files"));
    AUTO_BUF struct buf text = { 0 };
    struct json_writer w;
    yyjson_val *file;

    *ret = NULL;
    if (!input && n == 0)
        return STATUS_OK;
    buf_init(&text, RUN_TEXT_MAX);
    w = json_writer_init(&text);
    json_obj(&w, NULL);
    if (data)
        json_put_val(&w, "data", data);
    else
        json_put_raw(&w, "data", STR("{}"));
    json_arr(&w, "files");
    while ((file = yyjson_arr_iter_next(&it)) != NULL) {
        if (yyjson_is_obj(file))
            json_put_val(&w, NULL, file);
    }
    for (size_t i = 0; i < n; i++)
        api_put_file(c, &w, &files[i]);
    json_end(&w);
    json_put_members(&w, input, made);
    json_end(&w);
    return api_parse_buf(c->arena, &text, ret, err);
}

/* ---- the launch ---- */

static void launched(void *arg, Status st, const Id *id, const struct err *err)
{
    struct run *r = arg;
    struct api_call *c = r->c;
    struct buf out;
    struct json_writer w;

    if (st) {
        api_fail(c, "event", st, err);
        return;
    }
    if (c->wait) {
        api_wait_for(c, id);
        return;
    }
    w = api_reply_begin(c, &out);
    json_put_str(&w, "id", id_str(id));
    api_reply_end(c, &w, &out);
}

/* The job has it before its launch message leaves: nothing leaves before the turn's journal is
 * durable. */
static void put_post_data(const struct run *r, const Id *job)
{
    AUTO_BUF struct buf text = { 0 };
    struct json_writer w;
    yyjson_val *changes = NULL;

    buf_init(&text, JOB_FIELD_MAX);
    w = json_writer_init(&text);
    json_obj(&w, NULL);
    json_put_val(&w, "post_data", r->post_data);
    json_end(&w);
    if (!api_parse_buf(r->c->arena, &text, &changes, NULL))
        (void)!job_edit(r->c->world->jobs, id_str(job), changes, r->c->now, NULL, NULL, NULL);
}

static void stored(struct api_call *c, void *arg, const struct api_stored *files, size_t n)
{
    struct run *r = arg;
    struct err err = { .code = STATUS_OK };
    struct job_launch l = {
        .event_id = id_str(&r->event_id),
        .overrides = r->request,
        .params = r->params,
        .source = c->user.is_key ? JOB_SOURCE_KEY : JOB_SOURCE_USER,
        .username = c->user.username,
        .test = r->test,
    };
    Id id;
    Status st = make_input(r, files, n, &l.input, &err);

    if (!st)
        st = job_launch(c->world->jobs, &l, loop_now_wall(c->world->loop), launched, r, &id, &err);
    if (!st && r->post_data)
        put_post_data(r, &id);
    if (st == STATUS_DENIED) /* disabled: the reference's code for it */
        api_error(c, "event", "%s", err.text);
    else if (st)
        api_fail(c, "event", st, &err);
}

static void run_event(struct api_call *c)
{
    struct run *r = arena_zalloc(c->arena, sizeof *r);
    struct err err = { .code = STATUS_OK };
    Status st;

    if (!r) {
        api_fail(c, "event", STATUS_NOMEM, NULL);
        return;
    }
    r->c = c;
    st = make_request(r, &err);
    if (st) {
        api_fail(c, "event", st, &err);
        return;
    }
    r->test = json_truthy(json_get(r->request, "test"));
    if (!find_event(r) || !may_run(r))
        return;
    st = make_params(r, &err);
    if (!st)
        st = check_params(r, &err);
    if (st)
        api_fail(c, "event", st, &err);
    else
        api_store_files(c, API_PLACE_USER_RANDOM, STR_NONE, stored, r);
}

const struct api_row api_run_rows[] = {
    { API_ROW("run_event", "events", RUN_JOBS, EVENT),
      .flags = API_BODY_WINS | API_FILES | API_BIG_FILES, .in = run_in, .out = "id",
      .errors = "api access event file", .example = "{\"id\":\"nightly\",\"params\":{\"depth\":2}}",
      .doc =
          "Starts one job now; with /wait at the end of the path the answer is the finished job.",
      .fn = run_event },
    { 0 },
};
