/* What the server is and how it does (reference/satellite.md 30-32): hello.info, a sample a second
 * and one a minute. The meter reads on the probe lane, one sample at a time; a sample nobody can
 * take is dropped. */
#include "base/log.h"
#include "crypto/crypto.h"
#include "meter/meter.h"
#include "sat/sat.h"

#define SAMPLE_MAX      (16u * 1024 * 1024)
#define SPREAD_SECONDS  29 /* a fleet's minute samples are spread over so many seconds */
#define SPREAD_FIRST_MS 1000

enum sample_kind { SAMPLE_HELLO, SAMPLE_QUICK, SAMPLE_MINUTE };

struct sampler {
    struct sat *sat;
    struct meter *quick; /* used on the lane only, which has one thread */
    struct meter *minute;
    struct loop_timer *minute_timer;
    struct loop_timer *quick_timer;
    bool busy[3];
    void (*hello_fn)(void *arg, struct str info);
    void *hello_arg;
    int64_t last_minute;
    uint32_t spread; /* of our host name */
    uint32_t joins;
};

struct sample_work {
    struct lane_work work;
    struct sampler *sampler;
    enum sample_kind kind;
    struct buf text;
    bool monitoring;
    bool quickmon;
    size_t jobs;
    Usec now;
    char hostname[256];
    char server_id[80];
};

static void make_hello(struct sample_work *s)
{
    struct json_writer w = json_writer_init(&s->text);

    json_obj(&w, NULL);
    json_put_z(&w, "satellite", ORRERY_VERSION);
    json_put_z(&w, "node", "Orrery " ORRERY_VERSION);
    json_put_bool(&w, "quickmon", s->monitoring && s->quickmon);
    json_obj(&w, "features");
    json_put_bool(&w, "testMonitorPlugin", false);
    json_put_bool(&w, "dockerStats", false);
    json_put_i64(&w, "orrery", WIRE_VERSION);
    json_end(&w);
    meter_put_info(s->sampler->minute, &w, s->now);
    json_end(&w);
}

static void make_quick(struct sample_work *s)
{
    struct json_writer w = wire_begin(&s->text, WIRE_QUICKMON);

    meter_put_quick(s->sampler->quick, &w);
    wire_end(&w);
}

/* Monitoring is off: enough to be a server (31.2). */
static void put_dummy(struct json_writer *w)
{
    static const char *const empty[] = { "os",       "memory",     "cpu",
                                         "mounts",   "interfaces", "processes",
                                         "commands", "graphics",   "docker" };

    json_put_bool(w, "dummy", true);
    for (size_t i = 0; i < COUNT_OF(empty); i++) {
        json_obj(w, empty[i]);
        json_end(w);
    }
    json_obj(w, "stats");
    json_obj(w, "network");
    json_end(w);
    json_end(w);
}

static void make_minute(struct sample_work *s)
{
    struct json_writer w = wire_begin(&s->text, WIRE_MONITOR);
    const Usec from = clock_mono();

    json_put_z(&w, "version", "1.0");
    json_put_double(&w, "date", usec_to_epoch(s->now));
    json_put_z(&w, "server", s->server_id);
    json_put_z(&w, "hostname", s->hostname);
    json_obj(&w, "data");
    json_put_u64(&w, "jobs", s->jobs);
    if (s->monitoring)
        meter_put_sample(s->sampler->minute, &w, NULL, s->now, from);
    else
        put_dummy(&w);
    json_obj(&w, "metrics");
    json_put_i64(&w, "scale", 1000);
    json_obj(&w, "perf");
    json_put_double(&w, "total", (double)(clock_mono() - from) / 1000);
    json_end(&w);
    json_obj(&w, "counters");
    json_end(&w);
    json_end(&w);
    json_end(&w);
    wire_end(&w);
}

static void sample_do(struct lane_work *work)
{
    struct sample_work *s = CONTAINER_OF(work, struct sample_work, work);

    switch (s->kind) {
    case SAMPLE_HELLO:
        make_hello(s);
        break;
    case SAMPLE_QUICK:
        make_quick(s);
        break;
    case SAMPLE_MINUTE:
        make_minute(s);
        break;
    }
}

static void sample_back(struct lane_work *work)
{
    struct sample_work *s = CONTAINER_OF(work, struct sample_work, work);
    struct sampler *m = s->sampler;

    m->busy[s->kind] = false;
    if (s->kind == SAMPLE_HELLO) {
        void (*fn)(void *arg, struct str info) = m->hello_fn;

        m->hello_fn = NULL;
        if (fn)
            fn(m->hello_arg, s->text.failed ? STR("{}") : buf_str(&s->text));
    } else if (link_ready(m->sat->link) && !link_congested(m->sat->link)) {
        (void)link_send(m->sat->link, &s->text);
    }
    buf_done(&s->text);
    free(s);
}

static void sample_start(struct sampler *m, enum sample_kind kind)
{
    const struct sat *sat = m->sat;
    struct sample_work *s = m->busy[kind] ? NULL : calloc(1, sizeof(*s));

    if (!s)
        return;
    s->work = (struct lane_work){ .work = sample_do, .done = sample_back };
    s->sampler = m;
    s->kind = kind;
    s->monitoring = sat->config.monitoring;
    s->quickmon = sat->config.quickmon;
    s->jobs = sat->runner ? runner_active(sat->runner) : 0;
    s->now = loop_now_wall(sat->loop);
    (void)str_copy_z(str_z(link_hostname(sat->link)), s->hostname, sizeof(s->hostname));
    (void)str_copy_z(sat->config.server_id, s->server_id, sizeof(s->server_id));
    buf_init(&s->text, SAMPLE_MAX);
    if (lane_post(sat->probe, &s->work) == STATUS_OK)
        m->busy[kind] = true;
    else
        free(s);
}

static void minute_due(void *arg)
{
    struct sampler *m = arg;

    if (link_ready(m->sat->link))
        sample_start(m, SAMPLE_MINUTE);
}

static void quick_due(void *arg)
{
    struct sampler *m = arg;

    if (link_ready(m->sat->link))
        sample_start(m, SAMPLE_QUICK);
}

/* First 8 hex digits of the MD5 of the host name (31.1). */
static uint32_t spread_of(const char *hostname)
{
    uint8_t d[16];

    crypto_md5(str_z(hostname), d);
    return (uint32_t)d[0] << 24 | (uint32_t)d[1] << 16 | (uint32_t)d[2] << 8 | d[3];
}

struct sampler *sampler_new(struct sat *s)
{
    struct sampler *m = calloc(1, sizeof(*m));

    if (!m)
        return NULL;
    m->sat = s;
    m->quick = meter_new();
    m->minute = meter_new();
    m->minute_timer = loop_timer_new(s->loop, "sampler.minute", minute_due, m);
    m->quick_timer = loop_timer_new(s->loop, "sampler.quick", quick_due, m);
    m->spread = spread_of(link_hostname(s->link));
    if (!m->quick || !m->minute || !m->minute_timer || !m->quick_timer) {
        sampler_free(m);
        return NULL;
    }
    return m;
}

void sampler_free(struct sampler *m)
{
    if (!m)
        return;
    if (m->hello_fn)
        m->hello_fn(m->hello_arg, STR("{}"));
    meter_free(m->quick);
    meter_free(m->minute);
    loop_timer_free(m->minute_timer);
    loop_timer_free(m->quick_timer);
    free(m);
}

void sampler_hello(struct sampler *m, void (*fn)(void *arg, struct str info), void *arg)
{
    if (m->hello_fn) /* of a socket that is gone */
        m->hello_fn(m->hello_arg, STR("{}"));
    m->hello_fn = fn;
    m->hello_arg = arg;
    sample_start(m, SAMPLE_HELLO);
    if (!m->busy[SAMPLE_HELLO]) {
        m->hello_fn = NULL;
        fn(arg, STR("{}"));
    }
}

void sampler_joined(struct sampler *m)
{
    m->last_minute = loop_now_wall(m->sat->loop) / USEC_MINUTE;
    if (runner_active(m->sat->runner) == 0)
        loop_timer_start(m->minute_timer, SPREAD_FIRST_MS * USEC_MSEC, 0);
}

void sampler_left(struct sampler *m)
{
    loop_timer_stop(m->minute_timer);
    loop_timer_stop(m->quick_timer);
}

void sampler_tick(struct sampler *m, Usec now)
{
    const struct sat_config *c = &m->sat->config;
    const unsigned servers = link_servers(m->sat->link);
    const int64_t minute = now / USEC_MINUTE;

    if (!link_ready(m->sat->link))
        return;
    if (minute != m->last_minute) {
        m->last_minute = minute;
        loop_timer_start(
            m->minute_timer,
            (SPREAD_FIRST_MS + (Usec)(m->spread % (servers * SPREAD_SECONDS))) * USEC_MSEC, 0);
    }
    if (c->monitoring && c->quickmon)
        loop_timer_start(m->quick_timer, (Usec)(m->spread % servers) * USEC_MSEC, 0);
}
