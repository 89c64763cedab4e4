/* /health and /metrics: what a load balancer and Prometheus ask. Counters are kept a row of the
 * API; everything else is asked of the rooms at the moment of the question. */
#include "api/api_int.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Upper bounds in microseconds. */
static const Usec bounds[API_LATENCY_BUCKETS] = { 50,     100,     250,     500,     1000,   2500,
                                                  5000,   10000,   25000,   50000,   100000, 250000,
                                                  500000, 1000000, 2500000, 10000000 };

void api_count(struct api *a, size_t row, bool failed, Usec elapsed)
{
    struct api_counter *k = &a->counters[row];
    size_t i = 0;

    while (i < API_LATENCY_BUCKETS && elapsed > bounds[i])
        i++;
    k->calls++;
    k->errors += failed;
    k->usec += elapsed > 0 ? (uint64_t)elapsed : 0;
    k->buckets[i]++;
}

/* ---- health ---- */

void api_health(struct api_call *c)
{
    AUTO_BUF struct buf reasons = { 0 };
    struct buf out;
    struct json_writer w;
    struct str rest;
    struct str line;
    bool ready;

    buf_init(&reasons, 64u * 1024);
    ready = !c->world->ready || c->world->ready(c->world->ctx, &reasons);
    w = api_reply_begin(c, &out);
    json_put_bool(&w, "master", true);
    json_put_bool(&w, "ready", ready);
    json_arr(&w, "reasons");
    rest = buf_str(&reasons);
    while (str_split(&rest, '\n', &line)) {
        if (line.n)
            json_put_str(&w, NULL, line);
    }
    json_end(&w);
    json_end(&w);
    (void)http_reply_header(c->req, "Cache-Control", STR("no-store"));
    http_reply_buf(c->req, ready ? 200 : 503, "application/json", &out);
    buf_done(&out);
}

/* ---- metrics ---- */

static void metric(struct buf *out, const char *name, const char *type, const char *help, double v)
{
    (void)buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s %.17g\n", name, help, name, type, name,
                     v);
}

static double resident_bytes(void)
{
    const int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    char text[128];
    ssize_t n;
    struct str rest;
    struct str field = STR_NONE;
    uint64_t pages = 0;

    if (fd < 0)
        return 0;
    n = read(fd, text, sizeof text);
    (void)close(fd);
    rest = str_n(text, n > 0 ? (size_t)n : 0);
    if (!str_split(&rest, ' ', &field) || !str_split(&rest, ' ', &field) ||
        !str_to_u64(field, &pages))
        return 0;
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static void put_process(const struct api_call *c, struct buf *out)
{
    const struct api_world *w = c->world;

    (void)buf_printf(out,
                     "# HELP orrery_build_info What runs.\n# TYPE orrery_build_info gauge\n"
                     "orrery_build_info{version=\"%s\"} 1\n",
                     ORRERY_VERSION);
    metric(out, "orrery_resident_bytes", "gauge", "Resident memory.", resident_bytes());
    metric(out, "orrery_uptime_seconds", "gauge", "Since the start.",
           usec_to_epoch(c->now - w->started));
    metric(out, "orrery_loop_slow_total", "counter", "Callbacks that took longer than 20 ms.",
           (double)loop_slow_count(w->loop));
}

static void put_store(const struct api_call *c, struct buf *out)
{
    struct store_health h;

    store_health(c->world->store, &h);
    metric(out, "orrery_store_writable", "gauge", "1 when the last commit went through.",
           h.writable);
    metric(out, "orrery_store_sound", "gauge", "1 unless the check of the database found damage.",
           !h.checked || h.sound);
    metric(out, "orrery_store_commits_total", "counter", "Commits.", (double)h.commits);
    metric(out, "orrery_store_transactions_total", "counter", "Transactions on disk.",
           (double)h.transactions);
    metric(out, "orrery_store_failures_total", "counter", "Commits that failed.",
           (double)h.failures);
    metric(out, "orrery_store_queries_total", "counter", "Queries.", (double)h.queries);
    metric(out, "orrery_store_pending", "gauge", "Commits that wait.", (double)h.pending);
    metric(out, "orrery_store_bytes", "gauge", "Size of the database file.", (double)h.bytes);
    metric(out, "orrery_store_last_commit_seconds", "gauge", "How long the last group took.",
           (double)h.last_commit_usec / 1e6);
}

static void put_jobs(const struct api_call *c, struct buf *out)
{
    struct job_stats s;

    job_room_stats(c->world->jobs, &s);
    (void)buf_add_z(out, "# HELP orrery_jobs Live jobs.\n# TYPE orrery_jobs gauge\n");
    for (unsigned i = 0; i < JOB_STATE_COUNT; i++)
        (void)buf_printf(out, "orrery_jobs{state=\"%s\"} %zu\n", job_state_name((enum job_state)i),
                         job_count_state(c->world->jobs, (enum job_state)i));
    metric(out, "orrery_jobs_launched_total", "counter", "Jobs launched.", (double)s.launched);
    metric(out, "orrery_jobs_completed_total", "counter", "Jobs ended.", (double)s.completed);
    metric(out, "orrery_jobs_succeeded_total", "counter", "Jobs ended well.", (double)s.succeeded);
    metric(out, "orrery_jobs_failed_total", "counter", "Jobs ended badly.", (double)s.failed);
    metric(out, "orrery_jobs_aborted_total", "counter", "Jobs aborted.", (double)s.aborted);
    metric(out, "orrery_jobs_resent_total", "counter", "Launches sent again.", (double)s.resent);
    metric(out, "orrery_jobs_late_total", "counter", "Results after the end.", (double)s.late);
    metric(out, "orrery_jobs_refused_moves_total", "counter", "State changes that are not allowed.",
           (double)s.refused_moves);
    metric(out, "orrery_jobs_paused", "gauge", "1 while the journal cannot be written.", s.paused);
    metric(out, "orrery_servers_online", "gauge", "Satellites connected.",
           (double)fleet_count(c->world->fleet, true));
    metric(out, "orrery_servers", "gauge", "Servers known.",
           (double)fleet_count(c->world->fleet, false));
}

static void put_lane(struct buf *out, const struct lane *lane)
{
    if (!lane)
        return;
    (void)buf_printf(out, "orrery_lane_pending{lane=\"%s\"} %zu\n", lane_name(lane),
                     lane_pending(lane));
}

static void put_definitions(const struct api_call *c, struct buf *out)
{
    (void)buf_add_z(out, "# HELP orrery_lane_pending Work that waits or is being done.\n"
                         "# TYPE orrery_lane_pending gauge\n");
    put_lane(out, store_disk_lane(c->world->store));
    put_lane(out, store_zip_lane(c->world->store));
    (void)buf_add_z(out, "# HELP orrery_definitions Definitions in memory.\n"
                         "# TYPE orrery_definitions gauge\n");
    for (unsigned k = 0; k < DEF_KIND_COUNT; k++)
        (void)buf_printf(out, "orrery_definitions{kind=\"%s\"} %zu\n",
                         def_kind_row((enum def_kind)k)->name,
                         defs_count(c->world->defs, (enum def_kind)k));
}

static const char *counter_name(const struct api *a, size_t i)
{
    size_t n;
    const struct api_row *const *rows = api_rows(&n);

    if (i < a->n_rows)
        return rows[i]->name;
    return i - a->n_rows == API_COUNT_FILES ? "(files)" : "(pages)";
}

static void put_histogram(struct buf *out, const char *name, const struct api_counter *k)
{
    uint64_t sum = 0;

    for (size_t b = 0; b < API_LATENCY_BUCKETS; b++) {
        sum += k->buckets[b];
        (void)buf_printf(out, "orrery_api_seconds_bucket{call=\"%s\",le=\"%g\"} %" PRIu64 "\n",
                         name, (double)bounds[b] / 1e6, sum);
    }
    (void)buf_printf(out,
                     "orrery_api_seconds_bucket{call=\"%s\",le=\"+Inf\"} %" PRIu64 "\n"
                     "orrery_api_seconds_sum{call=\"%s\"} %.6f\n"
                     "orrery_api_seconds_count{call=\"%s\"} %" PRIu64 "\n",
                     name, k->calls, name, (double)k->usec / 1e6, name, k->calls);
}

static void put_calls(const struct api *a, struct buf *out)
{
    const size_t n = a->n_rows + API_COUNT_EXTRA;

    metric(out, "orrery_http_refused_total", "counter", "Requests that never became a call.",
           (double)a->refused);
    metric(out, "orrery_api_waiting", "gauge", "Calls that wait for the end of a job.",
           (double)a->n_waiters);
    (void)buf_add_z(out, "# HELP orrery_api_calls_total Calls.\n"
                         "# TYPE orrery_api_calls_total counter\n");
    for (size_t i = 0; i < n; i++) {
        if (a->counters[i].calls)
            (void)buf_printf(out, "orrery_api_calls_total{call=\"%s\"} %" PRIu64 "\n",
                             counter_name(a, i), a->counters[i].calls);
    }
    (void)buf_add_z(out, "# HELP orrery_api_errors_total Calls that failed.\n"
                         "# TYPE orrery_api_errors_total counter\n");
    for (size_t i = 0; i < n; i++) {
        if (a->counters[i].calls)
            (void)buf_printf(out, "orrery_api_errors_total{call=\"%s\"} %" PRIu64 "\n",
                             counter_name(a, i), a->counters[i].errors);
    }
    (void)buf_add_z(out, "# HELP orrery_api_seconds How long calls took.\n"
                         "# TYPE orrery_api_seconds histogram\n");
    for (size_t i = 0; i < n; i++) {
        if (a->counters[i].calls)
            put_histogram(out, counter_name(a, i), &a->counters[i]);
    }
}

static bool is_local(const struct http_request *r)
{
    const struct str peer = str_z(http_request_peer(r));

    if (http_request_header(r, "X-Forwarded-For").p) /* a proxy here, the client elsewhere */
        return false;
    return str_starts(peer, STR("127.")) || str_eq_z(peer, "::1") ||
           str_starts(peer, STR("::ffff:127."));
}

/* From this machine without credentials; from elsewhere with any valid ones. */
static bool may_see(struct api_call *c)
{
    struct auth_credentials creds = {
        .session_id = http_request_cookie(c->req, "session_id"),
        .api_key = http_request_header(c->req, "X-API-Key"),
        .safe_method = true,
    };
    const char *code = "";

    return is_local(c->req) ||
           !auth_check(c->world->auth, &creds, c->now, c->arena, &c->user, &code, NULL);
}

void api_metrics(struct api_call *c)
{
    struct buf out;

    if (!may_see(c)) {
        api_reply_text(c, 403, "403 Forbidden");
        return;
    }
    buf_init(&out, API_REPLY_MAX);
    put_process(c, &out);
    put_store(c, &out);
    put_jobs(c, &out);
    put_definitions(c, &out);
    put_calls(c->api, &out);
    if (c->world->put_metrics)
        c->world->put_metrics(c->world->ctx, &out);
    http_reply_buf(c->req, 200, "text/plain; version=0.0.4; charset=utf-8", &out);
    buf_done(&out);
}
