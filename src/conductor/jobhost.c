/* The job room's host: its writes become one store transaction a turn, its effects become frames to
 * satellites and calls into the API. */
#include "conductor/world.h"

#include "base/log.h"

#include <stdlib.h>

struct pending_commit {
    struct world *world;
    uint64_t batch;
    Status st;
};

static struct store_tx *batch(struct world *w)
{
    if (!w->batch)
        w->batch = store_tx_new(w->store);
    return w->batch;
}

static void host_put(void *ctx, const struct job *j, struct str json)
{
    struct world *w = ctx;
    struct store_value columns[JOB_LIVE_COLUMNS];

    columns[JOB_LIVE_STATE] = store_text(str_z(job_state_name(j->state)));
    columns[JOB_LIVE_EVENT] = store_text(id_str(&j->event));
    columns[JOB_LIVE_SERVER] = store_text(id_str(&j->server));
    store_tx_put(batch(w), TABLE_JOB_LIVE, id_str(&j->id), json, columns, JOB_LIVE_COLUMNS);
}

/* "a,b" of an array of texts. */
static struct str words(struct arena *a, yyjson_val *list)
{
    struct str out = STR("");
    size_t i, max;
    yyjson_val *item;

    yyjson_arr_foreach (list, i, max, item) {
        struct str word = json_val_str(item);

        if (word.n)
            out = arena_printf(a, "%.*s%s%.*s", STR_FMT(out), out.n ? "," : "", STR_FMT(word));
    }
    return out;
}

static struct str code_text(struct arena *a, yyjson_val *code)
{
    if (yyjson_is_str(code))
        return json_val_str(code);
    if (yyjson_is_num(code) && json_is_int(code))
        return arena_printf(a, "%lld", (long long)yyjson_get_num(code));
    return yyjson_is_num(code) ? arena_printf(a, "%.17g", yyjson_get_num(code)) : STR("0");
}

void world_put_record(struct store_tx *tx, struct str id, struct str record)
{
    AUTO(arena_free) struct arena *a = arena_new((size_t)512 * 1024 * 1024);
    struct store_value c[JOBS_COLUMNS];
    yyjson_val *job = NULL;

    if (!a || json_parse_in(a, record, STORE_ROW_MAX, &job, NULL) != STATUS_OK)
        job = NULL;
    c[JOBS_EVENT] = store_text(json_str(job, "event"));
    c[JOBS_CATEGORY] = store_text(json_str(job, "category"));
    c[JOBS_PLUGIN] = store_text(json_str(job, "plugin"));
    c[JOBS_SERVER] = store_text(json_str(job, "server"));
    c[JOBS_SOURCE] = store_text(json_str(job, "source"));
    c[JOBS_CODE] = store_text(a ? code_text(a, json_get(job, "code")) : STR("0"));
    c[JOBS_TAGS] = store_text(a ? words(a, json_get(job, "tags")) : STR(""));
    c[JOBS_GROUPS] = store_text(a ? words(a, json_get(job, "groups")) : STR(""));
    c[JOBS_WORKFLOW] = store_text(json_str(json_get(job, "workflow"), "event"));
    c[JOBS_STARTED] = store_real(json_double(job, "started", 0));
    c[JOBS_COMPLETED] = store_real(json_double(job, "completed", 0));
    c[JOBS_ELAPSED] = store_real(json_double(job, "elapsed", 0));
    store_tx_put(tx, TABLE_JOBS, id, record, c, JOBS_COLUMNS);
}

static void host_archive(void *ctx, const struct job *j, struct str record)
{
    struct world *w = ctx;

    world_put_record(batch(w), id_str(&j->id), record);
    store_tx_delete(batch(w), TABLE_JOB_LIVE, id_str(&j->id));
}

static void host_forget(void *ctx, struct str id)
{
    store_tx_delete(batch(ctx), TABLE_JOB_LIVE, id);
}

static void batch_done(void *arg, Status st, const struct err *err)
{
    struct pending_commit *p = arg;
    struct world *w = p->world;

    if (st != STATUS_OK)
        log_event(LOG_ERROR, "job.journal_failed", "reason=%s",
                  LOG_QUOTED(str_z(err ? err->text : "")));
    job_committed(w->jobs, p->batch, st, loop_now_wall(w->loop));
    free(p);
}

static void batch_refused(void *arg)
{
    struct pending_commit *p = arg;

    batch_done(p, p->st, NULL);
}

static void host_commit(void *ctx, uint64_t id)
{
    struct world *w = ctx;
    struct store_tx *tx = batch(w);
    struct pending_commit *p = malloc(sizeof(*p));

    w->batch = NULL;
    if (!p)
        abort(); /* a commit that is never answered would stop every job: better to start again from
                    the journal */
    *p = (struct pending_commit){ .world = w, .batch = id };
    p->st = store_commit(w->store, tx, batch_done, p, NULL);
    if (p->st != STATUS_OK && loop_defer(w->loop, batch_refused, p) != STATUS_OK)
        abort();
}

static Id host_choose(void *ctx, const struct job *j, yyjson_val *targets, struct str algo)
{
    struct world *w = ctx;
    Id server = fleet_choose(w->fleet, targets, algo, id_str(&j->event));

    if (server.z[0])
        fleet_count_job(w->fleet, &server, 1);
    return server;
}

static bool host_online(void *ctx, const Id *server)
{
    struct world *w = ctx;
    const struct fleet_server *s = fleet_find(w->fleet, id_str(server));

    return s && s->online;
}

/* {data, files}, both there even when the launch gave neither (satellite.md 17). */
static void put_input(struct str input, struct json_writer *w)
{
    yyjson_doc *doc = NULL;
    yyjson_val *root = NULL;

    if (input.p && json_parse(input, JSON_SIZE_MAX, &doc, NULL) == STATUS_OK)
        root = yyjson_doc_get_root(doc);
    json_obj(w, "input");
    json_put_members(w, root, (const char *const[]){ "data", "files", NULL });
    if (yyjson_is_obj(json_get(root, "data")))
        json_put_val(w, "data", json_get(root, "data"));
    else
        json_put_raw(w, "data", STR("{}"));
    if (yyjson_is_arr(json_get(root, "files")))
        json_put_val(w, "files", json_get(root, "files"));
    else
        json_put_raw(w, "files", STR("[]"));
    json_end(w);
    json_doc_free(doc);
}

static void put_details(const struct job *j, struct json_writer *w)
{
    static const char *const keys[] = { "workflowData", "serverData" };

    json_obj(w, "details");
    put_input(job_value(j, "input"), w);
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        struct str v = job_value(j, keys[i]);

        json_put_raw(w, keys[i], v.p ? v : STR("{}"));
    }
    json_obj(w, "versions");
    json_put_z(w, "xyops", ORRERY_VERSION);
    json_put_z(w, "orrery", ORRERY_VERSION);
    json_end(w);
    json_end(w);
}

static void host_send_launch(void *ctx, const struct job *j)
{
    struct world *w = ctx;
    AUTO_BUF struct buf frame = { 0 };
    struct json_writer out;

    buf_init(&frame, FLEET_MESSAGE_MAX);
    out = wire_begin(&frame, WIRE_LAUNCH_JOB);
    job_put_json(j, false, &out, "job");
    put_details(j, &out);
    json_obj(&out, "sec");
    json_end(&out);
    wire_end(&out);
    if (frame.failed)
        log_event(LOG_ERROR, "job.launch_too_big", "job=%s", j->id.z);
    else
        (void)fleet_send(w->fleet, &j->server, buf_str(&frame));
}

static void host_send_abort(void *ctx, const struct job *j, struct str reason)
{
    struct world *w = ctx;
    AUTO_BUF struct buf frame = { 0 };
    struct json_writer out;

    buf_init(&frame, 64u * 1024);
    out = wire_begin(&frame, WIRE_ABORT_JOB);
    json_put_str(&out, "id", id_str(&j->id));
    json_put_str(&out, "reason", reason);
    wire_end(&out);
    (void)fleet_send(w->fleet, &j->server, buf_str(&frame));
}

static void host_send_seek(void *ctx, const Id *server, struct str id, uint64_t pos, uint32_t meta)
{
    struct world *w = ctx;
    const struct job *j = job_find(w->jobs, id);
    AUTO_BUF struct buf frame = { 0 };
    struct json_writer out;

    buf_init(&frame, 4096);
    out = wire_begin(&frame, WIRE_JOB_LOG_SEEK);
    json_put_str(&out, "id", id);
    json_put_u64(&out, "pos", pos);
    json_put_u64(&out, "meta", meta);
    if (j)
        json_put_u64(&out, "push", j->push_seen);
    wire_end(&out);
    (void)fleet_send(w->fleet, server, buf_str(&frame));
}

static void host_send_done(void *ctx, const Id *server, struct str id)
{
    struct world *w = ctx;
    AUTO_BUF struct buf frame = { 0 };
    struct json_writer out;
    const struct fleet_server *s = fleet_find(w->fleet, id_str(server));

    if (!s || !s->exact)
        return;
    buf_init(&frame, 4096);
    out = wire_begin(&frame, WIRE_JOB_DONE);
    json_arr(&out, "ids");
    json_put_str(&out, NULL, id);
    json_end(&out);
    wire_end(&out);
    (void)fleet_send(w->fleet, server, buf_str(&frame));
}

static void host_changed(void *ctx, const struct job *j)
{
    struct world *w = ctx;

    if (j->state != JOB_COMPLETE)
        return;
    if (j->server.z[0])
        fleet_count_job(w->fleet, &j->server, -1);
    if (w->api)
        api_job_ended(w->api, id_str(&j->id));
}

static void host_log_append(void *ctx, const struct job *j, struct str text)
{
    struct world *w = ctx;

    joblog_append(w->joblog, id_str(&j->id), text);
}

static void host_finish_log(void *ctx, const struct job *j)
{
    struct world *w = ctx;

    joblog_finish(w->joblog, id_str(&j->id));
}

static void host_log_remove(void *ctx, const struct job *j)
{
    struct world *w = ctx;

    joblog_remove(w->joblog, id_str(&j->id));
}

static void host_server_name(void *ctx, const Id *server, char *out, size_t size)
{
    struct world *w = ctx;
    const struct fleet_server *s = fleet_find(w->fleet, id_str(server));

    (void)str_copy_z(!s ? STR("") : s->title.n ? s->title : str_z(s->hostname), out, size);
}

static void host_server_groups(void *ctx, const Id *server, struct buf *out)
{
    struct world *w = ctx;
    const struct fleet_server *s = fleet_find(w->fleet, id_str(server));
    struct json_writer j = json_writer_init(out);

    json_arr(&j, NULL);
    for (size_t i = 0; s && i < s->n_groups; i++)
        json_put_str(&j, NULL, id_str(&s->groups[i]));
    json_end(&j);
}

/* A satellite reports a job whose record is written: was it to be aborted while it was away? */
struct stray {
    struct world *world;
    struct arena *arena;
    Id server, id;
};

static void stray_found(void *arg, const struct store_result *res)
{
    struct stray *s = arg;
    yyjson_val *record = NULL;
    struct job job = { .id = s->id, .server = s->server };

    if (res->status == STATUS_OK && res->n &&
        json_parse_in(s->arena, res->rows[0].json, STORE_ROW_MAX, &record, NULL) == STATUS_OK &&
        json_bool(record, "abort_pending", false))
        host_send_abort(s->world, &job, json_str(record, "description"));
    arena_free(s->arena);
}

static void host_stray(void *ctx, const Id *server, struct str id)
{
    struct world *w = ctx;
    struct arena *a = arena_new((size_t)256 * 1024 * 1024);
    struct stray *s = a ? arena_zalloc(a, sizeof(*s)) : NULL;

    if (!s || !id_from_str(id, &s->id)) {
        arena_free(a);
        return;
    }
    s->world = w;
    s->arena = a;
    s->server = *server;
    if (store_get(w->store, TABLE_JOBS, id, a, stray_found, s, NULL) != STATUS_OK)
        arena_free(a);
}

struct job_host world_job_host(struct world *w)
{
    return (struct job_host){
        .ctx = w,
        .put = host_put,
        .archive = host_archive,
        .forget = host_forget,
        .commit = host_commit,
        .choose_server = host_choose,
        .server_online = host_online,
        .send_launch = host_send_launch,
        .send_abort = host_send_abort,
        .send_seek = host_send_seek,
        .send_done = host_send_done,
        .changed = host_changed,
        .log_append = host_log_append,
        .finish_log = host_finish_log,
        .log_remove = host_log_remove,
        .server_name = host_server_name,
        .server_groups = host_server_groups,
        .stray = host_stray,
    };
}

struct restore {
    struct world *world;
    struct err *err;
    Status st;
    size_t n;
};

static bool restore_row(void *arg, const struct store_found *row)
{
    struct restore *r = arg;
    struct world *w = r->world;
    const struct job *j;

    r->st = job_room_restore(w->jobs, row->json, joblog_size(w->joblog, row->id),
                             loop_now_wall(w->loop), r->err);
    if (r->st != STATUS_OK)
        return false;
    r->n++;
    j = job_find(w->jobs, row->id);
    if (j && j->server.z[0])
        fleet_count_job(w->fleet, &j->server, 1);
    return true;
}

static bool log_wanted(void *arg, struct str id)
{
    struct world *w = arg;

    return job_is_live(w->jobs, id);
}

Status world_restore_jobs(struct world *w, struct err *err)
{
    struct restore r = { .world = w, .err = err };
    Status st = store_walk(w->store, TABLE_JOB_LIVE, restore_row, &r, err);

    if (st == STATUS_OK)
        st = r.st;
    if (st == STATUS_OK && r.n)
        log_event(LOG_INFO, "job.restored", "jobs=%zu", r.n);
    if (st == STATUS_OK)
        joblog_sweep(w->joblog, log_wanted, w);
    return st;
}
