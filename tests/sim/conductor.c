/* The conductor around the room: starts, turns, what arrives from satellites, crashes. It does what
 * the real host does, late results included. */
#include "sim.h"

#include <stdlib.h>

static void on_tick(struct sim *s, struct sim_event *e)
{
    if (e->epoch != s->c.epoch || e->number != s->c.tick_number)
        return;
    s->c.tick_at = USEC_NEVER;
    conductor_turn(s);
}

void conductor_turn(struct sim *s)
{
    Usec next;

    if (!s->c.up)
        return;
    next = job_tick(s->c.room, s->now);
    job_turn_end(s->c.room, s->now);
    if (next == s->c.tick_at || next == USEC_NEVER)
        return;
    struct sim_event *e = sim_after(s, next > s->now ? next - s->now : 1, on_tick, NULL);
    e->epoch = s->c.epoch;
    s->c.tick_number = e->number;
    s->c.tick_at = next;
}

static void restore(struct sim *s)
{
    size_t cursor = 0;
    void *value;
    struct err err = { .text = "" };

    while (map_next(&s->disk.rows, &cursor, NULL, &value)) {
        const struct row *r = value;
        struct vlog *log = map_get(&s->disk.logs, id_str(&r->id));

        sim_check(s,
                  job_room_restore(s->c.room, str_n(r->json, r->n), log ? log->text.n : 0, s->now,
                                   &err) == STATUS_OK,
                  "restore of %s: %s", r->id.z, err.text);
    }
    cursor = 0;
    while (map_next(&s->disk.logs, &cursor, NULL, &value)) {
        struct vlog *log = value;

        log->broken = false;
        if (!job_is_live(s->c.room, id_str(&log->id)))
            disk_log_drop(s, id_str(&log->id));
    }
}

void conductor_start(struct sim *s)
{
    const struct job_host host = conductor_host(s);
    const struct job_config config = { .dead_timeout = SIM_DEAD_TIMEOUT, .host_id = "sim" };

    if (job_room_new(&host, &config, s->defs, rng_next(&s->rng), &s->c.room, NULL) != STATUS_OK)
        abort();
    s->c.up = true;
    s->c.epoch++;
    s->c.tick_at = USEC_NEVER;
    restore(s);
    sim_trace(s, "conductor: up, %zu jobs", job_count(s->c.room));
    conductor_turn(s);
}

static void on_start(struct sim *s, struct sim_event *e)
{
    (void)e;
    conductor_start(s);
}

void conductor_crash(struct sim *s, bool power)
{
    if (!s->c.up)
        return;
    sim_trace(s, "conductor: %s", power ? "power lost" : "killed");
    s->c.up = false;
    s->c.epoch++;
    job_room_free(s->c.room);
    s->c.room = NULL;
    for (int i = 0; i < s->n_sats; i++) {
        s->c.online[i] = false;
        link_cut(s, &s->sats[i]);
    }
    if (power)
        disk_power_loss(s);
    (void)sim_after(s, sim_pick(s, sim_chance(s, 20) ? 200 * USEC_SEC : 5 * USEC_SEC), on_start,
                    NULL);
}

void conductor_left(struct sim *s, struct sat *sat)
{
    if (!s->c.up || !s->c.online[sat->index])
        return;
    s->c.online[sat->index] = false;
    job_server_left(s->c.room, &sat->id, STR("host (127.0.0.1)"), s->now);
}

void conductor_joined(struct sim *s, struct sat *sat)
{
    conductor_left(s, sat);
    s->c.online[sat->index] = true;
    job_server_joined(s->c.room, &sat->id, sat->exact, s->now);
    link_down(s, sat, DOWN_JOINED, STR(""), 0, 0, STR(""));
}

/* The end of a connection is noticed a while after it happened. */
void conductor_seen_gone(struct sim *s, struct sim_event *e)
{
    struct sat *sat = e->who;

    if (sat->link.up || sat->link.epoch != e->epoch)
        return; /* it is back already */
    conductor_left(s, sat);
    conductor_turn(s);
}

void late_durable(struct sim *s, struct str id)
{
    struct model *m = sim_model(s, id);

    if (m->sat >= 0)
        link_down(s, &s->sats[m->sat], m->exact ? DOWN_DONE : DOWN_ANSWER, id, 0, 0, STR(""));
}

static void late_result(struct sim *s, struct str id)
{
    const struct row *r = disk_row(&s->disk.records, id);
    const struct str text = r ? str_n(r->json, r->n) : STR("");

    sim_check(s, r || sim_model(s, id)->ephemeral,
              "a result of %.*s, which is neither live nor recorded", STR_FMT(id));
    if (str_find(text, STR("\"given_up\":true")) == text.n) {
        late_durable(s, id);
        return;
    }
    sim_trace(s, "conductor: late result of %.*s", STR_FMT(id));
    disk_add(s, OP_LATE, id, STR(""));
    disk_commit(s, 0);
}

struct pending_answer {
    struct list node; /* in sim.answers: a crash of the conductor leaves it unanswered */
    struct sim *s;
    Id id;
    uint64_t epoch;
};

static void on_finished(void *arg, Status st)
{
    struct pending_answer *p = arg;
    struct sim *s = p->s;

    if (st == STATUS_OK && p->epoch == s->c.epoch) {
        sim_check(s, sim_model(s, id_str(&p->id))->archived > 0,
                  "finish of %s answered before it is durable", p->id.z);
        late_durable(s, id_str(&p->id));
    }
    list_remove(&p->node);
    free(p);
}

void conductor_done(struct sim *s)
{
    job_room_free(s->c.room);
    LIST_EACH_SAFE (it, &s->answers) {
        list_remove(it);
        free(CONTAINER_OF(it, struct pending_answer, node));
    }
}

static void take_jobs(struct sim *s, struct sat *sat, const struct sim_event *e)
{
    const struct str id = id_str(&e->id);
    yyjson_doc *doc = NULL;
    struct pending_answer *p;
    bool final;

    if (json_parse(str_n(e->text, e->n), 1u << 20, &doc, NULL) != STATUS_OK)
        abort();
    final = str_eq_z(json_str(yyjson_doc_get_root(doc), "state"), "complete");
    if (final && s->broken == BREAK_DONE)
        conductor_host(s).send_done(s, &sat->id, id);
    if (!job_is_live(s->c.room, id)) {
        if (final)
            late_result(s, id);
    } else if (final && !sat->exact) {
        p = calloc(1, sizeof(*p));
        if (!p)
            abort();
        *p = (struct pending_answer){ .s = s, .id = e->id, .epoch = s->c.epoch };
        list_push(&s->answers, &p->node);
        job_update(s->c.room, &sat->id, false, id, yyjson_doc_get_root(doc), s->now, on_finished,
                   p);
    } else {
        job_update(s->c.room, &sat->id, sat->exact, id, yyjson_doc_get_root(doc), s->now, NULL,
                   NULL);
    }
    json_doc_free(doc);
}

static void take_inventory(struct sim *s, struct sat *sat, const struct sim_event *e)
{
    yyjson_doc *doc = NULL;

    if (json_parse(str_n(e->text, e->n), 1u << 20, &doc, NULL) != STATUS_OK)
        abort();
    job_server_inventory(s->c.room, &sat->id, yyjson_doc_get_root(doc), s->now);
    json_doc_free(doc);
}

void conductor_message(struct sim *s, struct sat *sat, const struct sim_event *e)
{
    const struct str text = str_n(e->text, e->n);
    const struct str id = id_str(&e->id);

    if (!s->c.up)
        return;
    switch ((enum up_kind)e->b) {
    case UP_JOIN:
        conductor_joined(s, sat);
        break;
    case UP_INVENTORY:
        take_inventory(s, sat, e);
        break;
    case UP_ACCEPTED:
        job_accepted(s->c.room, &sat->id, id, s->now);
        break;
    case UP_LOG:
        job_log(s->c.room, &sat->id, id, s->broken == BREAK_POSITIONS ? -1 : e->a, text, s->now);
        break;
    case UP_META:
        job_meta(s->c.room, &sat->id, id, (uint32_t)e->a, text, s->now);
        break;
    case UP_JOBS:
        take_jobs(s, sat, e);
        break;
    }
    conductor_turn(s);
}
