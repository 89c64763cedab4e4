/* Wiring: opens the rooms bottom up, runs the loop, closes them top down. */
#include "conductor/world.h"

#include "base/log.h"
#include "conductor/admin.h"
#include "crypto/password.h"
#include "net/stream.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#define DRAIN_DEADLINE (10 * USEC_SEC)
#define DISK_LANE_MAX  10000u

static void joblog_drained(void *arg)
{
    struct world *w = arg;

    fleet_resume_all(w->fleet);
}

static void joblog_finished(void *arg, struct str id, Status st, struct str output, uint64_t size,
                            bool uploaded)
{
    struct world *w = arg;

    job_log_finished(w->jobs, id, st, output, size, uploaded, loop_now_wall(w->loop));
}

/* End of a turn: what is due runs, then the turn's writes leave as one batch. */
static void turn_end(void *arg)
{
    struct world *w = arg;
    Usec now = loop_now_wall(w->loop);
    Usec next = job_tick(w->jobs, now);

    job_turn_end(w->jobs, now);
    if (next == w->due_at)
        return;
    w->due_at = next;
    if (next == USEC_NEVER)
        loop_timer_stop(w->due);
    else
        loop_timer_start(w->due, next > now ? next - now : USEC_MSEC, 0);
}

static void on_due(void *arg)
{
    struct world *w = arg;

    w->due_at = USEC_NEVER; /* the turn's end does the work and arms the timer again */
}

static void on_second(void *arg)
{
    struct world *w = arg;

    fleet_tick(w->fleet, loop_now_mono(w->loop));
}

static void on_def_change(void *arg, enum def_kind k, struct str id, const struct def *def)
{
    (void)id;
    (void)def;
    if (k == DEF_PLUGIN)
        world_plugins_changed(arg);
}

struct install {
    bool done;
    Status st;
    struct err err;
    struct loop *loop;
};

static void installed(void *arg, Status st, const struct err *err)
{
    struct install *i = arg;

    i->done = true;
    i->st = st;
    if (err)
        i->err = *err;
    loop_stop(i->loop);
}

static Status wait_installed(struct world *w, struct install *i, Status st, struct err *err)
{
    if (st != STATUS_OK)
        return st;
    while (!i->done)
        loop_run(w->loop);
    if (i->st != STATUS_OK && err)
        *err = i->err;
    return i->st;
}

/* First start: default objects and the admin account. The password is printed once. */
static Status install(struct world *w, struct err *err)
{
    struct install i = { .loop = w->loop };
    Usec now = clock_wall();
    const char *given = getenv("ORRERY_ADMIN_PASSWORD");
    char fresh[44] = "";
    char hash[PASSWORD_HASH_MAX];
    Status st;

    if (defs_count(w->defs, DEF_USER) > 0)
        return STATUS_OK;
    st = wait_installed(w, &i, defs_install(w->defs, now, installed, &i, err), err);
    if (st != STATUS_OK)
        return st;
    if (!given || !*given) {
        crypto_random_base64url(fresh);
        fresh[20] = '\0';
        given = fresh;
    }
    st = password_hash(str_z(given), hash, err);
    if (st != STATUS_OK)
        return st;
    i = (struct install){ .loop = w->loop };
    st = auth_put_admin(w->store, w->defs, STR("admin"), str_z(hash), now, installed, &i, err);
    st = wait_installed(w, &i, st, err);
    if (st == STATUS_OK && fresh[0])
        (void)fprintf(
            stderr, "First start. User: admin  Password: %s  (shown once; stored hashed)\n", fresh);
    crypto_wipe(fresh, sizeof(fresh));
    return st;
}

static bool is_ready(void *ctx, struct buf *reasons)
{
    struct world *w = ctx;
    struct store_health health;
    struct job_stats jobs;

    store_health(w->store, &health);
    job_room_stats(w->jobs, &jobs);
    if (!health.writable)
        (void)buf_printf(reasons, "store: %s\n", health.problem);
    if (health.checked && !health.sound)
        (void)buf_printf(reasons, "store is damaged: %s\n", health.problem);
    if (jobs.paused)
        (void)buf_add_z(reasons, "scheduling is paused: the journal cannot be written\n");
    if (w->stopping)
        (void)buf_add_z(reasons, "shutting down\n");
    return reasons->n == 0;
}

static void late_result(void *ctx, const Id *server, bool exact, struct str id, yyjson_val *update)
{
    world_late_result(ctx, server, exact, id, update);
}

static Status open_api(struct world *w, struct err *err)
{
    const struct config *c = w->config;
    struct api_world aw = {
        .loop = w->loop,
        .store = w->store,
        .defs = w->defs,
        .auth = w->auth,
        .fleet = w->fleet,
        .jobs = w->jobs,
        .ids = &w->ids,
        .secret_key = &c->secret_key,
        .host_id = c->hostname,
        .base_url = c->base_app_url ? c->base_app_url : "",
        .log_dir = arena_printf(c->arena, "%s/logs", c->home).p,
        .upload_max = (uint64_t)c->max_upload_size,
        .started = loop_now_wall(w->loop),
        .ready = is_ready,
        .put_record = world_put_record,
        .late_result = late_result,
        .ctx = w,
    };

    return api_new(&aw, &w->api, err);
}

static Status open_fleet(struct world *w, struct err *err)
{
    const struct config *c = w->config;
    const struct fleet_config fc = {
        .loop = w->loop,
        .store = w->store,
        .defs = w->defs,
        .secret_key = &c->secret_key,
        .host_id = c->hostname,
        .seed = crypto_random_u64(),
        .host = world_fleet_host(w),
    };

    return fleet_new(&fc, &w->fleet, err);
}

static Status open_jobs(struct world *w, struct err *err)
{
    const struct config *c = w->config;
    const struct job_host host = world_job_host(w);
    const struct job_config jc = {
        .dead_timeout = c->dead_job_timeout_sec * USEC_SEC,
        .launches_per_min = (uint32_t)c->max_jobs_per_min,
        .host_id = c->hostname,
        .job_env = str_z(c->job_env),
    };
    const char *dir = arena_printf(c->arena, "%s/logs/jobs", c->home).p;
    Status st = joblog_new(w->loop, w->store, dir, JOB_LOG_INLINE_MAX, joblog_drained,
                           joblog_finished, w, &w->joblog, err);

    if (st == STATUS_OK)
        st = job_room_new(&host, &jc, w->defs, crypto_random_u64(), &w->jobs, err);
    if (st == STATUS_OK)
        st = world_restore_jobs(w, err);
    return st;
}

static Status open_auth(struct world *w, struct err *err)
{
    const struct config *c = w->config;
    struct auth_config ac = {
        .loop = w->loop,
        .store = w->store,
        .defs = w->defs,
        .session_expire_days = c->session_expire_days,
        .max_failed_per_hour = c->max_failed_logins_per_hour,
        .seed = crypto_random_u64(),
    };

    w->hash = lane_new(w->loop, "hash", 1, AUTH_LOGINS_QUEUED);
    if (!w->hash)
        return err_set(err, STATUS_NOMEM, NULL, "Cannot start the hash lane.");
    ac.hash = w->hash;
    return auth_new(&ac, &w->auth, err);
}

Status world_open(const struct config *config, struct loop *loop, struct world *w, struct err *err)
{
    const struct store_config sc = {
        .loop = loop,
        .dir = arena_printf(config->arena, "%s/data", config->home).p,
    };
    Status st;

    *w = (struct world){ .config = config, .loop = loop, .due_at = USEC_NEVER };
    id_source_init(&w->ids, crypto_random_u64());
    st = store_open(&sc, &w->store, err);
    if (st == STATUS_OK)
        st = defs_load(w->store, &w->defs, err);
    if (st == STATUS_OK)
        st = open_auth(w, err);
    if (st == STATUS_OK)
        st = install(w, err);
    if (st == STATUS_OK)
        st = open_fleet(w, err);
    if (st == STATUS_OK)
        st = open_jobs(w, err);
    if (st == STATUS_OK)
        st = open_api(w, err);
    if (st == STATUS_OK)
        st = defs_on_change(w->defs, on_def_change, w);
    return st;
}

static void on_request(void *ctx, struct http_request *r)
{
    struct world *w = ctx;

    if (http_request_is_upgrade(r))
        fleet_accept(w->fleet, r);
    else
        api_handle(w->api, r);
}

static void on_done(void *ctx, const struct http_request *r, int status, uint64_t bytes_out,
                    Usec elapsed)
{
    struct world *w = ctx;

    api_done(w->api, r, status, bytes_out, elapsed);
}

static Status listen_tls(struct world *w, struct err *err)
{
    const struct config *c = w->config;
    const char *cert = c->cert_file[0] == '/'
                           ? c->cert_file
                           : arena_printf(c->arena, "%s/%s", c->home, c->cert_file).p;
    const char *key = c->key_file[0] == '/'
                          ? c->key_file
                          : arena_printf(c->arena, "%s/%s", c->home, c->key_file).p;
    struct net_tls *tls;
    Status st;

    if (access(cert, R_OK) != 0 || access(key, R_OK) != 0)
        return STATUS_OK;
    tls = net_tls_server(cert, key, err);
    if (!tls)
        return STATUS_INVALID;
    st = http_server_listen(w->http, c->bind, (uint16_t)c->https_port, tls, &w->https_port, err);
    net_tls_unref(tls);
    return st;
}

static Status listen_all(struct world *w, struct err *err)
{
    const struct config *c = w->config;
    struct http_server_config hc = {
        .loop = w->loop,
        .disk = store_disk_lane(w->store),
        .zip = store_zip_lane(w->store),
        .limits = http_limits_default(),
        .server_name = "Orrery",
        .on_request = on_request,
        .on_done = on_done,
        .ctx = w,
    };
    Status st;

    hc.limits.connections_max = (size_t)c->max_connections;
    hc.limits.requests_max = (size_t)c->max_concurrent_requests;
    hc.limits.body_max = (uint64_t)c->max_upload_size;
    hc.limits.head_timeout = c->timeout_sec * USEC_SEC;
    hc.limits.body_timeout = c->timeout_sec * USEC_SEC;
    hc.limits.write_timeout = c->timeout_sec * USEC_SEC;
    hc.limits.idle_timeout = c->keep_alive_sec * USEC_SEC;
    st = http_server_new(&hc, &w->http, err);
    if (st == STATUS_OK)
        st = http_server_listen(w->http, c->bind, (uint16_t)c->port, NULL, &w->port, err);
    /* "localhost" may mean ::1 to a client; that address is a courtesy, not a condition. */
    if (st == STATUS_OK && strcmp(c->bind, "127.0.0.1") == 0)
        (void)!http_server_listen(w->http, "::1", w->port, NULL, NULL, NULL);
    if (st == STATUS_OK)
        st = listen_tls(w, err);
    return st;
}

static void drained(void *arg)
{
    struct world *w = arg;

    loop_stop(w->loop);
}

static void on_stop(int signum, void *arg)
{
    struct world *w = arg;

    if (w->stopping) {
        loop_stop(w->loop);
        return;
    }
    log_event(LOG_INFO, "conductor.stopping", "signal=%d", signum);
    w->stopping = true;
    fleet_close_links(w->fleet);
    http_server_drain(w->http, DRAIN_DEADLINE, drained, w);
}

Status world_run(struct world *w, struct err *err)
{
    Status st = listen_all(w, err);

    if (st == STATUS_OK)
        st = admin_listen(w, err);
    if (st == STATUS_OK)
        st = loop_on_signal(w->loop, SIGTERM, on_stop, w, err);
    if (st == STATUS_OK)
        st = loop_on_signal(w->loop, SIGINT, on_stop, w, err);
    if (st == STATUS_OK)
        st = loop_on_turn_end(w->loop, turn_end, w);
    w->second = loop_timer_new(w->loop, "conductor.second", on_second, w);
    w->due = loop_timer_new(w->loop, "conductor.due", on_due, w);
    if (st != STATUS_OK || !w->second || !w->due)
        return st != STATUS_OK ? st : err_set(err, STATUS_NOMEM, NULL, "Out of memory.");
    loop_timer_start(w->second, USEC_SEC, USEC_SEC);
    log_event(LOG_INFO, "conductor.ready", "version=%s host=%s bind=%s port=%u https=%u",
              ORRERY_VERSION, w->config->hostname, w->config->bind, w->port, w->https_port);
    loop_run(w->loop);
    log_event(LOG_INFO, "conductor.stopped", "jobs=%zu", job_count(w->jobs));
    return STATUS_OK;
}

void world_close(struct world *w)
{
    admin_close(w->control);
    loop_timer_free(w->second);
    loop_timer_free(w->due);
    http_server_free(w->http);
    joblog_free(w->joblog);
    store_close(w->store); /* answers what is on its way: the rooms must still be there */
    api_free(w->api);
    job_room_free(w->jobs);
    fleet_free(w->fleet);
    auth_free(w->auth);
    lane_free(w->hash);
    defs_free(w->defs);
}
