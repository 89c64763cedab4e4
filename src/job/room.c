/* The room itself: the live jobs and the indexes over them (by id, by event, by server, by due
 * time), changes of state, and the turn.
 *
 * Every index is updated where a job changes, so that nothing ever walks all jobs: a tick touches
 * what is due, a turn's end what is dirty, a lost server its own jobs. */
#include "job/room_int.h"

#include "base/log.h"

#include <assert.h>
#include <stdlib.h>

Status job_room_new(const struct job_host *host, const struct job_config *config,
                    const struct defs *defs, uint64_t seed, struct job_room **ret, struct err *err)
{
    struct job_room *r = calloc(1, sizeof(*r));

    if (!r)
        return err_set(err, STATUS_NOMEM, NULL, "Out of memory.");
    r->host = *host;
    r->config = *config;
    if (r->config.dead_timeout <= 0)
        r->config.dead_timeout = JOB_DEAD_TIMEOUT;
    r->defs = defs;
    id_source_init(&r->ids, seed);
    map_init(&r->jobs, seed);
    map_init(&r->lines, seed);
    map_init(&r->peers, seed);
    list_init(&r->dirty);
    list_init(&r->touched);
    list_init(&r->effects);
    list_init(&r->batches);
    r->next_batch = 1;
    buf_init(&r->text, JOB_ROW_MAX);
    (void)snprintf(r->server_text, sizeof(r->server_text), "m:%.60s",
                   config->host_id ? config->host_id : "");
    *ret = r;
    return STATUS_OK;
}

void job_room_free(struct job_room *r)
{
    size_t cursor = 0;
    void *value;

    if (!r)
        return;
    LIST_EACH_SAFE (it, &r->effects) {
        struct effect *e = CONTAINER_OF(it, struct effect, node);

        list_remove(it);
        if (e->kind == EFFECT_CALL)
            free(CONTAINER_OF(e, struct call, effect));
    }
    while (map_next(&r->jobs, &cursor, NULL, &value))
        live_free(r, value);
    cursor = 0;
    while (map_next(&r->peers, &cursor, NULL, &value))
        free(value);
    batches_free(r);
    map_done(&r->jobs);
    map_done(&r->lines);
    map_done(&r->peers);
    heap_done(&r->timers);
    heap_done(&r->line_timers);
    buf_done(&r->text);
    free(r);
}

/* Lines and peers: made when first needed, gone with their last user. */

static struct line *line_get(struct job_room *r, const Id *event)
{
    struct line *n = map_get(&r->lines, id_str(event));

    if (n)
        return n;
    n = calloc(1, sizeof(*n));
    if (!n)
        return NULL;
    n->event = *event;
    list_init(&n->priority);
    list_init(&n->other);
    /* in the heap from birth, so that a later change of the due time needs no memory */
    if (heap_put(&r->line_timers, &n->timer, USEC_NEVER) != STATUS_OK) {
        free(n);
        return NULL;
    }
    if (map_put(&r->lines, id_str(&n->event), n, NULL) != STATUS_OK) {
        heap_remove(&r->line_timers, &n->timer);
        free(n);
        return NULL;
    }
    return n;
}

static void line_drop_if_idle(struct job_room *r, struct line *n)
{
    if (n->jobs)
        return;
    (void)map_del(&r->lines, id_str(&n->event));
    heap_remove(&r->line_timers, &n->timer);
    free(n);
}

struct peer *peer_find(const struct job_room *r, const Id *id)
{
    return map_get(&r->peers, id_str(id));
}

struct peer *peer_get(struct job_room *r, const Id *id)
{
    struct peer *p = peer_find(r, id);

    if (p)
        return p;
    p = calloc(1, sizeof(*p));
    if (!p)
        return NULL;
    p->id = *id;
    list_init(&p->jobs);
    if (map_put(&r->peers, id_str(&p->id), p, NULL) != STATUS_OK) {
        free(p);
        return NULL;
    }
    return p;
}

void peer_drop_if_idle(struct job_room *r, struct peer *p)
{
    if (p->online || p->n)
        return;
    (void)map_del(&r->peers, id_str(&p->id));
    free(p);
}

bool live_place(struct job_room *r, struct live *l, const Id *server)
{
    struct peer *p = peer_get(r, server);

    l->job.server = *server;
    if (!p)
        return false;
    l->peer = p;
    p->n++;
    list_push(&p->jobs, &l->by_peer);
    return true;
}

/* A node that is in the heap from birth only changes its place: that needs no memory. */
static void heap_move(struct heap *h, struct heap_node *node, Usec due)
{
    const Status st = heap_put(h, node, due);

    assert(st == STATUS_OK);
    (void)st;
}

void line_timer(struct job_room *r, struct line *n, Usec due)
{
    heap_move(&r->line_timers, &n->timer, due);
}

/* Jobs. */

struct live *live_find(const struct job_room *r, struct str id)
{
    return map_get(&r->jobs, id);
}

struct live *live_new(struct job_room *r, const Id *id, const Id *event)
{
    struct live *l = calloc(1, sizeof(*l));

    if (!l)
        return NULL;
    l->job.id = *id;
    l->job.event = *event;
    l->job.state = JOB_READY;
    l->job.log_expected = UINT64_MAX;
    list_init(&l->by_peer);
    list_init(&l->in_queue);
    list_init(&l->dirty);
    list_init(&l->touched);
    list_init(&l->waiters);
    list_init(&l->launch.node);
    list_init(&l->abort.node);
    list_init(&l->changed.node);
    list_init(&l->ended.node);
    l->line = line_get(r, event);
    if (!l->line) {
        free(l);
        return NULL;
    }
    if (heap_put(&r->timers, &l->job.timer, USEC_NEVER) != STATUS_OK ||
        map_put(&r->jobs, id_str(&l->job.id), l, NULL) != STATUS_OK) {
        heap_remove(&r->timers, &l->job.timer);
        line_drop_if_idle(r, l->line);
        free(l);
        return NULL;
    }
    l->line->jobs++;
    r->states[JOB_READY]++;
    return l;
}

void live_free(struct job_room *r, struct live *l)
{
    (void)map_del(&r->jobs, id_str(&l->job.id));
    heap_remove(&r->timers, &l->job.timer);
    line_leave(l->line, l);
    if (l->job.state == JOB_STARTING || l->job.state == JOB_ACTIVE)
        l->line->running--;
    l->line->jobs--;
    line_drop_if_idle(r, l->line);
    if (l->peer) {
        list_remove(&l->by_peer);
        l->peer->n--;
        peer_drop_if_idle(r, l->peer);
    }
    if (l->job.dirty)
        r->n_dirty--;
    list_remove(&l->dirty);
    list_remove(&l->touched);
    list_remove(&l->launch.node);
    list_remove(&l->abort.node);
    list_remove(&l->changed.node);
    list_remove(&l->ended.node);
    LIST_EACH_SAFE (it, &l->waiters) {
        list_remove(it);
        free(CONTAINER_OF(it, struct call, node));
    }
    r->states[l->job.state]--;
    fields_free(l);
    free((void *)l->job.base.p);
    free((void *)l->output.p);
    free(l->job.abort_reason);
    free(l);
}

void live_set_state(struct job_room *r, struct live *l, enum job_state to, Usec now)
{
    const enum job_state from = l->job.state;
    const bool ran = from == JOB_STARTING || from == JOB_ACTIVE;
    const bool runs = to == JOB_STARTING || to == JOB_ACTIVE;

    if (from == to)
        return;
    r->states[from]--;
    r->states[to]++;
    l->job.state = to;
    if (from == JOB_QUEUED)
        line_leave(l->line, l);
    if (to == JOB_QUEUED)
        line_join(l->line, l);
    if (runs && !ran)
        l->line->running++;
    if (ran && !runs) {
        l->line->running--;
        if (l->line->n_queued) /* a slot: the queue is looked at in this turn */
            line_timer(r, l->line, now);
    }
    live_dirty(r, l);
    live_touch(r, l);
}

bool live_move(struct job_room *r, struct live *l, enum job_input on, Usec now)
{
    const struct job_move *m = job_move_find(l->job.state, on);

    if (!m) {
        r->stats.refused_moves++;
        log_event(LOG_WARN, "job.refused", "job=%s state=%s on=%s", l->job.id.z,
                  job_state_name(l->job.state), job_input_name(on));
        return false;
    }
    live_set_state(r, l, m->to, now);
    return true;
}

void live_timer(struct job_room *r, struct live *l, Usec due)
{
    heap_move(&r->timers, &l->job.timer, due);
}

void live_dirty(struct job_room *r, struct live *l)
{
    if (l->job.dirty || l->job.archived)
        return; /* what is being archived does not change any more */
    l->job.dirty = true;
    list_push(&r->dirty, &l->dirty);
    r->n_dirty++;
}

void live_touch(struct job_room *r, struct live *l)
{
    if (list_empty(&l->touched))
        list_push(&r->touched, &l->touched);
}

void live_settle(struct job_room *r, struct live *l)
{
    if (l->job.dirty)
        r->n_dirty--;
    l->job.dirty = false;
    list_remove(&l->dirty);
    list_remove(&l->touched);
}

/* The turn. */

static void timer_due(struct job_room *r, struct live *l, Usec now)
{
    switch (l->job.state) {
    case JOB_START_DELAY:
    case JOB_RETRY_DELAY:
        meta_printf(r, l, now, "The delay is over, moving job state from {%s} to {ready}",
                    job_state_name(l->job.state));
        l->job.until = 0;
        if (live_move(r, l, JOB_ON_DUE, now))
            live_ready(r, l, now);
        break;
    case JOB_READY:
        live_ready(r, l, now);
        break;
    case JOB_ACTIVE:
    case JOB_FINISHING:
        live_dead_check(r, l, now);
        break;
    case JOB_COMPLETE:
        live_log_overdue(r, l, now);
        break;
    case JOB_QUEUED:
    case JOB_STARTING:
    case JOB_STATE_COUNT:
        break;
    }
}

Usec job_tick(struct job_room *r, Usec now)
{
    struct heap_node *node;
    Usec next = USEC_NEVER;

    while ((node = heap_peek(&r->timers)) != NULL && node->due <= now) {
        struct live *l = CONTAINER_OF(node, struct live, job.timer);

        live_timer(r, l, USEC_NEVER);
        timer_due(r, l, now);
    }
    while ((node = heap_peek(&r->line_timers)) != NULL && node->due <= now) {
        struct line *n = CONTAINER_OF(node, struct line, timer);

        line_timer(r, n, USEC_NEVER);
        line_pass(r, n, now);
    }
    node = heap_peek(&r->timers);
    if (node)
        next = node->due;
    node = heap_peek(&r->line_timers);
    if (node && node->due < next)
        next = node->due;
    if (r->n_dirty && r->retry_at > now && r->retry_at < next)
        next = r->retry_at;
    return next;
}

static void flush_touched(struct job_room *r)
{
    LIST_EACH_SAFE (it, &r->touched) {
        struct live *l = CONTAINER_OF(it, struct live, touched);

        list_remove(it);
        if (l->job.state == JOB_COMPLETE)
            continue; /* told when the record is durable */
        if (!l->job.dirty)
            r->host.changed(r->host.ctx, &l->job);
        else if (list_empty(&l->changed.node))
            effect_push(r, &l->changed, EFFECT_CHANGED);
    }
}

void job_turn_end(struct job_room *r, Usec now)
{
    flush_touched(r);
    if (!r->n_dirty)
        effects_settle(r);
    else if (now >= r->retry_at)
        batch_hand_over(r, now);
    effects_release(r, now);
}

/* Reading. */

bool job_is_live(const struct job_room *r, struct str id)
{
    return live_find(r, id) != NULL;
}

const struct job *job_find(const struct job_room *r, struct str id)
{
    const struct live *l = live_find(r, id);

    return l ? &l->job : NULL;
}

size_t job_count(const struct job_room *r)
{
    return r->jobs.n;
}

size_t job_count_state(const struct job_room *r, enum job_state s)
{
    return (size_t)s < JOB_STATE_COUNT ? r->states[s] : 0;
}

bool job_next(const struct job_room *r, size_t *cursor, const struct job **ret)
{
    void *value;

    if (!map_next(&r->jobs, cursor, NULL, &value))
        return false;
    *ret = &((const struct live *)value)->job;
    return true;
}

void job_room_stats(const struct job_room *r, struct job_stats *ret)
{
    *ret = r->stats;
    ret->paused = r->journal != STATUS_OK;
}
