/* The fleet's host: what satellites say about jobs goes to the job room, what they need at joining
 * comes from the definitions. */
#include "conductor/world.h"

#include "base/log.h"

#include <stdlib.h>

#define LATE_RETRY (1 * USEC_SEC)

static void host_joined(void *ctx, const struct fleet_server *s)
{
    struct world *w = ctx;

    job_server_joined(w->jobs, &s->id, s->exact, loop_now_wall(w->loop));
}

static void host_left(void *ctx, const struct fleet_server *s)
{
    struct world *w = ctx;
    char name[512];

    (void)snprintf(name, sizeof(name), "%s (%s)", s->hostname, s->ip);
    job_server_left(w->jobs, &s->id, str_z(name), loop_now_wall(w->loop));
    if (w->api)
        api_server_left(w->api, id_str(&s->id));
}

/* A final result of a job that is not live: its record may be one that we had given up
 * (satellite.md 28). */
struct late {
    struct world *world;
    struct arena *arena;
    Id server;
    Id id;
    bool exact;
    struct str update;
    struct str record; /* what is to be stored */
    struct loop_timer *retry;
};

static void late_finish(struct late *l)
{
    if (l->exact)
        world_job_host(l->world).send_done(l->world, &l->server, id_str(&l->id));
    loop_timer_free(l->retry);
    arena_free(l->arena);
}

static void late_store(void *arg);

/* The disk is full or slow: the satellite keeps the result, and so do we. */
static void late_again(struct late *l)
{
    if (!l->retry)
        l->retry = loop_timer_new(l->world->loop, "conductor.late", late_store, l);
    if (l->retry)
        loop_timer_start(l->retry, LATE_RETRY, 0);
    else
        arena_free(l->arena); /* the satellite sends it again when it joins */
}

static void late_stored(void *arg, Status st, const struct err *err)
{
    struct late *l = arg;

    (void)err;
    if (st == STATUS_OK)
        late_finish(l);
    else
        late_again(l);
}

static void late_store(void *arg)
{
    struct late *l = arg;
    struct store_tx *tx = store_tx_new(l->world->store);

    world_put_record(tx, id_str(&l->id), l->record);
    if (store_commit(l->world->store, tx, late_stored, l, NULL) != STATUS_OK)
        late_again(l);
}

static bool given_up(yyjson_val *record)
{
    return str_eq_z(json_str(record, "code"), "abort") && json_bool(record, "given_up", false);
}

static void late_found(void *arg, const struct store_result *res)
{
    static const char *const keep[] = { "id",     "event", "category", "code",   "description",
                                        "state",  "final", "given_up", "output", "actions",
                                        "limits", "tags",  "server",   NULL };
    struct late *l = arg;
    yyjson_val *record = NULL;
    yyjson_val *update = NULL;
    AUTO_BUF struct buf text = { 0 };
    struct json_writer w;

    if (res->status != STATUS_OK || res->n == 0 ||
        json_parse_in(l->arena, res->rows[0].json, STORE_ROW_MAX, &record, NULL) != STATUS_OK ||
        json_parse_in(l->arena, l->update, STORE_ROW_MAX, &update, NULL) != STATUS_OK ||
        !given_up(record)) {
        late_finish(l);
        return;
    }
    log_event(LOG_WARN, "job.late_result", "job=%s server=%s", l->id.z, l->server.z);
    buf_init(&text, STORE_ROW_MAX);
    w = json_writer_init(&text);
    json_obj(&w, NULL);
    json_put_members(&w, record, (const char *const[]){ "code", "description", "given_up", NULL });
    json_put_z(&w, "code", "warning");
    json_put_z(&w, "description", "Job was aborted, but received late update after completion.");
    json_obj(&w, "late");
    json_put_members(&w, update, keep);
    json_put_val(&w, "code", json_get(update, "code"));
    json_put_val(&w, "description", json_get(update, "description"));
    json_end(&w);
    json_end(&w);
    l->record = arena_dup(l->arena, buf_str(&text));
    if (l->record.p && !text.failed)
        late_store(l);
    else
        arena_free(l->arena);
}

void world_late_result(struct world *w, const Id *server, bool exact, struct str id,
                       yyjson_val *update)
{
    struct arena *a = arena_new((size_t)256 * 1024 * 1024);
    struct late *l = a ? arena_zalloc(a, sizeof(*l)) : NULL;
    AUTO_BUF struct buf text = { 0 };

    buf_init(&text, STORE_ROW_MAX);
    if (!l || !id_from_str(id, &l->id) || json_text(update, false, &text) != STATUS_OK) {
        arena_free(a);
        return;
    }
    l->world = w;
    l->arena = a;
    l->server = *server;
    l->exact = exact;
    l->update = arena_dup(a, buf_str(&text));
    if (!l->update.p || store_get(w->store, TABLE_JOBS, id, a, late_found, l, NULL) != STATUS_OK)
        arena_free(a);
}

static void take_jobs(struct world *w, const struct fleet_server *s, yyjson_val *data, Usec now)
{
    size_t i, max;
    yyjson_val *key, *update;

    if (!yyjson_is_obj(data))
        return;
    yyjson_obj_foreach (data, i, max, key, update) {
        struct str id = json_val_str(key);

        if (!yyjson_is_obj(update) || !str_is_word(id))
            continue;
        if (job_is_live(w->jobs, id))
            job_update(w->jobs, &s->id, s->exact, id, update, now, NULL, NULL);
        else if (str_eq_z(json_str(update, "state"), "complete"))
            world_late_result(w, &s->id, s->exact, id, update);
    }
}

static void take_accepted(struct world *w, const struct fleet_server *s, yyjson_val *data, Usec now)
{
    size_t i, max;
    yyjson_val *id;

    yyjson_arr_foreach (json_get(data, "ids"), i, max, id)
        job_accepted(w->jobs, &s->id, json_val_str(id), now);
}

static void take_notice(const struct fleet_server *s, enum wire_kind kind, yyjson_val *data)
{
    log_event(kind == WIRE_NOTICE ? LOG_INFO : LOG_WARN, "fleet.notice",
              "server=%s kind=%s text=%s", s->id.z, wire_row(kind)->name,
              LOG_QUOTED(json_str(data, "description")));
}

static void host_message(void *ctx, const struct fleet_server *s, enum wire_kind kind,
                         yyjson_val *data)
{
    struct world *w = ctx;
    Usec now = loop_now_wall(w->loop);
    struct str id = json_str(data, "id");

    if (kind == WIRE_JOBS) {
        take_jobs(w, s, data, now);
    } else if (kind == WIRE_JOB_LOG) {
        job_log(w->jobs, &s->id, id, json_i64(data, "pos", -1), json_str(data, "text"), now);
        if (joblog_full(w->joblog))
            fleet_pause(w->fleet, &s->id);
    } else if (kind == WIRE_JOB_META) {
        job_meta(w->jobs, &s->id, id, (uint32_t)json_i64(data, "n", 0), json_str(data, "text"),
                 now);
    } else if (kind == WIRE_JOB_INVENTORY) {
        job_server_inventory(w->jobs, &s->id, json_get(data, "jobs"), now);
    } else if (kind == WIRE_JOB_ACCEPTED) {
        take_accepted(w, s, data, now);
    } else if (kind == WIRE_NOTICE || kind == WIRE_WARNING || kind == WIRE_ERROR ||
               kind == WIRE_CRITICAL) {
        take_notice(s, kind, data);
    }
}

/* "plugins": event plugins, "commands": monitor plugins (satellite.md 7). */
static void put_plugins(struct world *w, struct json_writer *out)
{
    AUTO(arena_free) struct arena *a = arena_new((size_t)256 * 1024 * 1024);
    static const char *const lists[][2] = { { "plugins", "event" }, { "commands", "monitor" } };

    for (size_t k = 0; k < COUNT_OF(lists); k++) {
        json_arr(out, lists[k][0]);
        for (size_t i = 0; a && i < defs_count(w->defs, DEF_PLUGIN); i++) {
            const struct def *plugin = defs_at(w->defs, DEF_PLUGIN, i);

            if (str_eq_z(json_str(def_parse(plugin, a), "type"), lists[k][1]))
                json_put_raw(out, NULL, plugin->json);
        }
        json_end(out);
    }
}

static void host_put_joined(void *ctx, const struct fleet_server *s, struct json_writer *out)
{
    struct world *w = ctx;
    yyjson_doc *doc = NULL;

    (void)s;
    json_obj(out, "config");
    json_put_raw(out, "airgap", STR("{\"enabled\":false,\"whitelist\":[],\"blacklist\":[]}"));
    if (json_parse(str_z(w->config->satellite_config), CONFIG_FILE_MAX, &doc, NULL) == STATUS_OK)
        json_put_members(out, yyjson_doc_get_root(doc), (const char *const[]){ "airgap", NULL });
    json_doc_free(doc);
    json_end(out);
    put_plugins(w, out);
}

void world_plugins_changed(struct world *w)
{
    AUTO_BUF struct buf frame = { 0 };
    struct json_writer out;

    buf_init(&frame, FLEET_MESSAGE_MAX);
    out = wire_begin(&frame, WIRE_UPDATE);
    put_plugins(w, &out);
    wire_end(&out);
    if (!frame.failed)
        fleet_broadcast(w->fleet, buf_str(&frame));
}

struct fleet_host world_fleet_host(struct world *w)
{
    return (struct fleet_host){
        .ctx = w,
        .joined = host_joined,
        .left = host_left,
        .message = host_message,
        .put_joined = host_put_joined,
    };
}
