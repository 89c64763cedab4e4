/* The heap of events, randomness, the client, the faults, and the run itself. */
#include "sim.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum fault {
    FAULT_CUT,
    FAULT_SAT_CRASH,
    FAULT_SAT_POWER,
    FAULT_SAT_WIPE,
    FAULT_CONDUCTOR_CRASH,
    FAULT_CONDUCTOR_POWER,
    FAULT_DISK_FULL,
    FAULT_LONG_CUT,
    FAULT_COUNT
};

struct sim_event *sim_after(struct sim *s, Usec delay, EventFn fn, void *who)
{
    struct sim_event *e = calloc(1, sizeof(*e));

    if (!e)
        abort();
    e->fn = fn;
    e->who = who;
    e->number = ++s->numbers;
    if (heap_put(&s->events, &e->node, s->now + (delay > 0 ? delay : 0)) != STATUS_OK)
        abort();
    sim_check(s, s->events.n < SIM_EVENTS_MAX, "too many events wait: a queue without bound");
    return e;
}

void sim_event_free(struct sim_event *e)
{
    free(e->text);
    free(e);
}

void sim_text(struct sim_event *e, struct str text)
{
    e->text = malloc(text.n + 1);
    if (!e->text)
        abort();
    if (text.n)
        memcpy(e->text, text.p, text.n);
    e->text[text.n] = '\0';
    e->n = text.n;
}

Usec sim_pick(struct sim *s, Usec max)
{
    return 1 + (Usec)rng_below(&s->rng, (uint64_t)max);
}

bool sim_chance(struct sim *s, unsigned percent)
{
    return rng_below(&s->rng, 100) < percent;
}

void sim_trace(struct sim *s, const char *fmt, ...)
{
    va_list ap;

    if (!s->trace)
        return;
    (void)printf("%10.4f ", (double)(s->now - SIM_EPOCH) / 1e6);
    va_start(ap, fmt);
    (void)vprintf(fmt, ap);
    va_end(ap);
    (void)printf("\n");
}

void sim_check(struct sim *s, bool holds, const char *fmt, ...)
{
    va_list ap;

    if (holds || s->failed)
        return;
    s->failed = true;
    va_start(ap, fmt);
    (void)vsnprintf(s->failure, sizeof(s->failure), fmt, ap);
    va_end(ap);
    sim_trace(s, "VIOLATION %s", s->failure);
}

struct model *sim_model(struct sim *s, struct str id)
{
    struct model *m = map_get(&s->models, id);
    static const int codes[] = { 0, 0, 0, 0, 0, 3, 1 };

    if (m)
        return m;
    m = calloc(1, sizeof(*m));
    if (!m || !id_from_str(id, &m->id) || map_put(&s->models, id_str(&m->id), m, NULL) != STATUS_OK)
        abort();
    m->sim = s;
    buf_init(&m->printed, 1u << 20);
    m->sat = -1;
    m->runs_allowed = 1;
    m->code = codes[rng_below(&s->rng, COUNT_OF(codes))];
    m->pieces = (unsigned)rng_below(&s->rng, 7);
    m->length = sim_chance(s, s->profile.slow_jobs) ? sim_pick(s, 300 * USEC_SEC)
                                                    : sim_pick(s, 4 * USEC_SEC);
    return m;
}

/* The client. */

static void on_launched(void *arg, Status st, const Id *id, const struct err *err)
{
    struct sim *s = arg;
    struct model *m = sim_model(s, id_str(id));

    (void)err;
    sim_check(s, st == STATUS_OK, "launch answered %s", status_name(st));
    sim_check(s, disk_row(&s->disk.rows, id_str(id)) || disk_row(&s->disk.records, id_str(id)),
              "launch of %s confirmed before it is durable", id->z);
    sim_check(s, !m->acked, "launch of %s confirmed twice", id->z);
    m->acked = true;
    sim_trace(s, "client: %s is launched", id->z);
}

static void client_launch(struct sim *s, struct sim_event *e)
{
    static const char *const events[] = { "plain", "plain", "plain", "single", "queued", "queued" };
    char overrides[128] = "{}";
    yyjson_doc *doc = NULL;
    struct job_launch l = { .event_id = str_z(events[rng_below(&s->rng, COUNT_OF(events))]),
                            .source = JOB_SOURCE_USER,
                            .username = STR("admin") };
    const unsigned kind = (unsigned)rng_below(&s->rng, 20);
    Id id;
    struct err err = { .text = "" };
    Status st;

    (void)e;
    if (!s->c.up)
        return;
    if (kind == 0)
        (void)snprintf(overrides, sizeof(overrides), "{\"state\":\"start_delay\",\"until\":%.3f}",
                       usec_to_epoch(s->now + sim_pick(s, 60 * USEC_SEC)));
    else if (kind == 1)
        (void)snprintf(overrides, sizeof(overrides), "{\"ephemeral\":true}");
    else if (kind < 5)
        (void)snprintf(overrides, sizeof(overrides), "{\"priority\":true,\"tags\":[\"t1\"]}");
    if (json_parse(str_z(overrides), sizeof(overrides), &doc, NULL) != STATUS_OK)
        abort();
    l.overrides = yyjson_doc_get_root(doc);
    st = job_launch(s->c.room, &l, s->now, on_launched, s, &id, &err);
    json_doc_free(doc);
    if (st == STATUS_OK) {
        struct model *m = sim_model(s, id_str(&id));

        m->ephemeral = kind == 1;
        if (vec_push(&s->live_ids, m) != STATUS_OK)
            abort();
        sim_trace(s, "client: launch %s -> %s", l.event_id.p, id.z);
    } else {
        sim_check(s, st == STATUS_NOSPACE || st == STATUS_BUSY || st == STATUS_FULL,
                  "launch refused: %s", err.text);
    }
    conductor_turn(s);
}

static void on_aborted(void *arg, Status st)
{
    struct model *m = arg;

    if (st == STATUS_OK)
        m->abort_acked = m->sim->now;
}

static void on_edited(void *arg, Status st)
{
    struct model *m = arg;

    m->label_acked = st == STATUS_OK;
}

static void client_meddle(struct sim *s, struct sim_event *e)
{
    struct model *m;
    yyjson_doc *doc = NULL;
    const unsigned what = (unsigned)rng_below(&s->rng, 4);

    (void)e;
    if (!s->c.up || !s->live_ids.n)
        return;
    m = s->live_ids.at[rng_below(&s->rng, s->live_ids.n)];
    if (what == 0) {
        if (job_skip_delay(s->c.room, id_str(&m->id), s->now, NULL) == STATUS_OK)
            sim_trace(s, "client: skip the delay of %s", m->id.z);
    } else if (what == 1) {
        if (json_parse(STR("{\"label\":\"edited\"}"), 100, &doc, NULL) != STATUS_OK)
            abort();
        if (job_edit(s->c.room, id_str(&m->id), yyjson_doc_get_root(doc), s->now, on_edited, m,
                     NULL) == STATUS_OK)
            sim_trace(s, "client: edit %s", m->id.z);
        json_doc_free(doc);
    } else if (job_abort(s->c.room, id_str(&m->id), STR("Aborted by admin"), s->now, on_aborted, m,
                         NULL) == STATUS_OK) {
        sim_trace(s, "client: abort %s", m->id.z);
        m->abort_asked = true;
    }
    conductor_turn(s);
}

/* Faults. */

static void disk_full_over(struct sim *s, struct sim_event *e)
{
    (void)e;
    sim_trace(s, "disk: space again");
}

static void run_fault(struct sim *s, enum fault f)
{
    struct sat *sat = &s->sats[rng_below(&s->rng, (uint64_t)s->n_sats)];

    s->faults++;
    switch (f) {
    case FAULT_CUT:
        link_cut(s, sat);
        break;
    case FAULT_LONG_CUT:
        link_cut(s, sat);
        if (sat->lost_at && sat->up)
            sat->link.not_before = s->now + sim_pick(s, 400 * USEC_SEC); /* no connection before */
        break;
    case FAULT_SAT_CRASH:
        if (sat->exact)
            sat_crash(s, sat);
        else
            agent_crash(s, sat);
        break;
    case FAULT_SAT_POWER:
    case FAULT_SAT_WIPE:
        if (sat->exact)
            sat_power_loss(s, sat, f == FAULT_SAT_WIPE);
        else
            agent_crash(s, sat);
        break;
    case FAULT_CONDUCTOR_CRASH:
    case FAULT_CONDUCTOR_POWER:
        conductor_crash(s, f == FAULT_CONDUCTOR_POWER);
        break;
    case FAULT_DISK_FULL: {
        const Usec length = sim_pick(s, 20 * USEC_SEC);

        sim_trace(s, "disk: full");
        s->disk.full_until = s->now + length;
        (void)sim_after(s, length, disk_full_over, NULL);
        break;
    }
    case FAULT_COUNT:
        break;
    }
}

static void on_fault(struct sim *s, struct sim_event *e)
{
    unsigned sum = 0;
    uint64_t at;

    (void)e;
    if (s->healing)
        return;
    for (int i = 0; i < FAULT_COUNT; i++)
        sum += s->profile.weight[i];
    if (sum) {
        at = rng_below(&s->rng, sum);
        for (int i = 0; i < FAULT_COUNT; i++) {
            if (at < s->profile.weight[i]) {
                run_fault(s, (enum fault)i);
                break;
            }
            at -= s->profile.weight[i];
        }
    }
    (void)sim_after(s, sim_pick(s, 2 * s->profile.fault_every), on_fault, NULL);
}

static void on_heal(struct sim *s, struct sim_event *e)
{
    (void)e;
    sim_trace(s, "world: no more faults");
    s->healing = true;
    s->quiet_from = s->now;
    s->disk.full_until = 0;
    for (int i = 0; i < s->n_sats; i++) {
        struct link *l = &s->sats[i].link;

        if (l->not_before > s->now + 5 * USEC_SEC)
            l->not_before = s->now; /* the long cut is over */
    }
}

/* The run. */

static void choose_profile(struct sim *s)
{
    struct profile *p = &s->profile;
    static const Usec delays[] = { 2 * USEC_MSEC, 50 * USEC_MSEC, 3 * USEC_SEC };
    static const Usec commits[] = { USEC_MSEC, 20 * USEC_MSEC, 2 * USEC_SEC };

    p->length = sim_pick(s, 200 * USEC_SEC);
    p->fault_every = sim_pick(s, 20 * USEC_SEC);
    for (int i = 0; i < FAULT_COUNT; i++)
        p->weight[i] = sim_chance(s, 50) ? (unsigned)rng_below(&s->rng, 10) : 0;
    if (!sim_chance(s, 20))
        p->weight[FAULT_SAT_WIPE] = 0;
    p->delay_max = delays[rng_below(&s->rng, 3)];
    p->commit_max = commits[rng_below(&s->rng, 3)];
    p->launches = 2 + (unsigned)rng_below(&s->rng, 40);
    p->slow_jobs = sim_chance(s, 50) ? 10 : 60;
    p->plain_agents = sim_chance(s, 30);
    p->ambiguous = sim_chance(s, 30);
}

static void populate(struct sim *s)
{
    s->n_sats = 1 + (int)rng_below(&s->rng, SIM_SATS_MAX);
    for (int i = 0; i < s->n_sats; i++) {
        struct sat *sat = &s->sats[i];

        sat->index = i;
        (void)snprintf(sat->id.z, sizeof(sat->id.z), "s%d", i);
        sat->exact = !(s->profile.plain_agents && sim_chance(s, 40));
        list_init(&sat->jobs);
        sat->lost_at = s->now;
        sat_start(s, sat);
    }
    for (unsigned i = 0; i < s->profile.launches; i++) {
        (void)sim_after(s, sim_pick(s, s->profile.length), client_launch, NULL);
        if (sim_chance(s, 25))
            (void)sim_after(s, sim_pick(s, s->profile.length), client_meddle, NULL);
    }
    (void)sim_after(s, sim_pick(s, 2 * s->profile.fault_every), on_fault, NULL);
    (void)sim_after(s, s->profile.length, on_heal, NULL);
}

static bool step(struct sim *s)
{
    struct heap_node *node = heap_peek(&s->events);
    struct sim_event *e;

    if (!node)
        return false;
    heap_remove(&s->events, node);
    e = CONTAINER_OF(node, struct sim_event, node);
    s->now = node->due;
    s->steps++;
    e->fn(s, e);
    sim_event_free(e);
    return true;
}

bool sim_run(struct sim *s)
{
    s->now = SIM_EPOCH;
    rng_init(&s->rng, s->seed);
    map_init(&s->models, s->seed);
    disk_init(&s->disk);
    list_init(&s->answers);
    choose_profile(s);
    conductor_start(s);
    populate(s);
    while (!s->failed && step(s)) {
        if (!s->healing)
            continue;
        if (s->now - s->quiet_from > USEC_SEC && sim_is_quiet(s))
            break;
        sim_check(s, s->now - s->quiet_from < SIM_QUIET_LIMIT,
                  "the world does not come to rest: %zu jobs", s->c.up ? job_count(s->c.room) : 0);
    }
    sim_check(s, s->failed || sim_is_quiet(s), "no events left and not quiet");
    if (!s->failed)
        checks_at_end(s);
    return !s->failed;
}

void sim_done(struct sim *s)
{
    size_t cursor = 0;
    void *value;
    struct heap_node *node;

    while ((node = heap_peek(&s->events)) != NULL) {
        heap_remove(&s->events, node);
        sim_event_free(CONTAINER_OF(node, struct sim_event, node));
    }
    conductor_done(s);
    for (int i = 0; i < s->n_sats; i++) {
        LIST_EACH_SAFE (it, &s->sats[i].jobs)
            sat_job_free(CONTAINER_OF(it, struct sat_job, node));
    }
    disk_done(&s->disk);
    while (map_next(&s->models, &cursor, NULL, &value)) {
        struct model *m = value;

        buf_done(&m->printed);
        free(m);
    }
    map_done(&s->models);
    vec_done(&s->live_ids);
    heap_done(&s->events);
}
