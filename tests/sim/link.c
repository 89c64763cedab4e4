/* Links: one connection at a time per satellite. Each direction keeps its order; what is under way
 * when the connection breaks is lost; the ends notice at different times. */
#include "sim.h"

#include <stdlib.h>

static void on_down(struct sim *s, struct sim_event *e)
{
    struct sat *sat = e->who;

    if (!sat->link.up || sat->link.epoch != e->epoch || !sat->up)
        return;
    if (sat->exact)
        sat_message(s, sat, e);
    else
        agent_message(s, sat, e);
}

static void on_up(struct sim *s, struct sim_event *e)
{
    struct sat *sat = e->who;

    if (sat->link.up && sat->link.epoch == e->epoch)
        conductor_message(s, sat, e);
}

static struct sim_event *post(struct sim *s, struct sat *sat, EventFn fn, Usec *last)
{
    struct sim_event *e = sim_after(s, sim_pick(s, s->profile.delay_max), fn, sat);

    if (e->node.due <= *last && heap_put(&s->events, &e->node, *last + 1) != STATUS_OK)
        abort();
    *last = e->node.due;
    e->epoch = sat->link.epoch;
    return e;
}

void link_down(struct sim *s, struct sat *sat, enum down_kind kind, struct str id, int64_t a,
               int64_t b, struct str text)
{
    static const char *const names[] = { "joined", "launch", "abort", "seek", "done", "answer" };
    struct sim_event *e;

    sim_trace(s, "%s <- %s %.*s %lld %lld%s", sat->id.z, names[kind], STR_FMT(id), (long long)a,
              (long long)b, sat->link.up ? "" : " (lost)");
    if (!sat->link.up)
        return;
    e = post(s, sat, on_down, &sat->link.last_down);
    e->number = (uint64_t)kind;
    e->a = a;
    e->b = b;
    (void)id_from_str(id, &e->id);
    sim_text(e, text);
}

void link_up(struct sim *s, struct sat *sat, enum up_kind kind, struct str id, int64_t a,
             struct str text)
{
    static const char *const names[] = { "join", "inventory", "accepted", "log", "meta", "jobs" };
    struct sim_event *e;

    if (!sat->link.up)
        return;
    sim_trace(s, "%s -> %s %.*s %lld %.*s", sat->id.z, names[kind], STR_FMT(id), (long long)a,
              STR_FMT(str_slice(text, 0, kind == UP_LOG ? 0 : 80)));
    e = post(s, sat, on_up, &sat->link.last_arrival);
    e->a = a;
    e->b = kind;
    (void)id_from_str(id, &e->id);
    sim_text(e, text);
}

static void on_connect(struct sim *s, struct sim_event *e)
{
    struct sat *sat = e->who;

    if (e->epoch != sat->epoch || sat->link.up || !sat->up)
        return;
    if (!s->c.up || s->now < sat->link.not_before) {
        sat_connect_later(s, sat);
        return;
    }
    sat->link.up = true;
    sat->link.epoch++;
    LIST_EACH (it, &sat->jobs)
        CONTAINER_OF(it, struct sat_job, node)->seeked =
            false; /* nothing of a job before it is asked for */
    if (sat->lost_at && s->now - sat->lost_at > sat->longest_silence)
        sat->longest_silence = s->now - sat->lost_at;
    sat->lost_at = 0;
    sat->joined_at = s->now;
    link_up(s, sat, UP_JOIN, STR(""), 0, STR(""));
}

void sat_connect_later(struct sim *s, struct sat *sat)
{
    struct sim_event *e = sim_after(s, sim_pick(s, 2 * USEC_SEC), on_connect, sat);

    e->epoch = sat->epoch;
}

void link_cut(struct sim *s, struct sat *sat)
{
    struct sim_event *e;

    if (!sat->link.up)
        return;
    sim_trace(s, "link: %s cut", sat->id.z);
    sat->link.up = false;
    sat->link.epoch++;
    sat->lost_at = s->now;
    e = sim_after(s, sim_pick(s, 5 * USEC_SEC), conductor_seen_gone, sat);
    e->epoch = sat->link.epoch;
    if (sat->up)
        sat_connect_later(s, sat);
}
