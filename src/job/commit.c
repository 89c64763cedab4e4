/* Writes and effects: what the room hands to the journal, and what may leave once that is durable.
 *
 * The one idea: effects stand in one queue in the order of their causes and carry the number of the
 * batch that makes their cause durable. The head leaves when that batch is through. A failed batch
 * makes its jobs dirty again and its effects wait for the next number; what stands behind them
 * waits too, so order survives failure. */
#include "job/room_int.h"

#include "base/log.h"

#include <stdlib.h>

void effect_push(struct job_room *r, struct effect *e, enum effect_kind kind)
{
    e->kind = kind;
    e->batch = r->next_batch;
    list_push(&r->effects, &e->node);
}

void effect_push_call(struct job_room *r, struct live *l, struct call *c)
{
    l->owed = r->next_batch;
    effect_push(r, &c->effect, EFFECT_CALL);
}

struct call *call_new(JobLaunchFn launched, JobResultFn result, void *arg, const Id *id)
{
    struct call *c = calloc(1, sizeof(*c));

    if (!c)
        return NULL;
    list_init(&c->effect.node);
    list_init(&c->node);
    c->launched = launched;
    c->result = result;
    c->arg = arg;
    if (id)
        c->id = *id;
    return c;
}

static void call_run(struct call *c)
{
    if (c->launched)
        c->launched(c->arg, STATUS_OK, &c->id, NULL);
    if (c->result)
        c->result(c->arg, STATUS_OK);
    free(c);
}

static void run_launch(struct job_room *r, struct live *l, Usec now)
{
    if (l->job.state != JOB_ACTIVE || l->job.accepted)
        return;
    if (!r->host.server_online(r->host.ctx, &l->job.server)) {
        /* one that speaks our extension says at its return that it does not have it, and gets it
         * then */
        if (!l->exact)
            live_end(r, l, JOB_ON_ABORT, "\"abort\"", STR("Chosen server is no longer connected."),
                     now);
        return;
    }
    l->sent = true;
    l->sent_on = l->peer->connection;
    l->job.sends++;
    l->job.remote = true;
    r->host.send_launch(r->host.ctx, &l->job);
}

static void run_abort(struct job_room *r, struct live *l)
{
    if (l->job.aborting && l->sent && (l->job.state == JOB_ACTIVE || l->job.state == JOB_FINISHING))
        r->host.send_abort(r->host.ctx, &l->job, str_z(l->job.abort_reason));
}

static void run_ended(struct job_room *r, struct live *l, Usec now)
{
    struct list waiters;

    (void)live_move(r, l, JOB_ON_ARCHIVED, now);
    r->host.changed(r->host.ctx, &l->job);
    if (l->sent)
        r->host.log_remove(r->host.ctx, &l->job);
    if (l->owes_done && l->exact)
        r->host.send_done(r->host.ctx, &l->job.server, id_str(&l->job.id));
    list_init(&waiters);
    LIST_EACH_SAFE (it, &l->waiters) {
        list_remove(it);
        list_push(&waiters, it);
    }
    live_free(r, l);
    LIST_EACH_SAFE (it, &waiters) {
        list_remove(it);
        call_run(CONTAINER_OF(it, struct call, node));
    }
}

static void effect_run(struct job_room *r, struct effect *e, Usec now)
{
    switch (e->kind) {
    case EFFECT_LAUNCH:
        run_launch(r, CONTAINER_OF(e, struct live, launch), now);
        break;
    case EFFECT_ABORT:
        run_abort(r, CONTAINER_OF(e, struct live, abort));
        break;
    case EFFECT_CHANGED:
        if (CONTAINER_OF(e, struct live, changed)->job.state != JOB_COMPLETE)
            r->host.changed(r->host.ctx, &CONTAINER_OF(e, struct live, changed)->job);
        break;
    case EFFECT_ENDED:
        run_ended(r, CONTAINER_OF(e, struct live, ended), now);
        break;
    case EFFECT_CALL:
        call_run(CONTAINER_OF(e, struct call, effect));
        break;
    }
}

void effects_settle(struct job_room *r)
{
    for (struct list *it = r->effects.prev; it != &r->effects; it = it->prev) {
        struct effect *e = CONTAINER_OF(it, struct effect, node);

        if (e->batch != r->next_batch)
            break;
        e->batch = r->next_batch - 1;
    }
}

void effects_release(struct job_room *r, Usec now)
{
    if (r->releasing)
        return; /* a callback came back into the room */
    r->releasing = true;
    while (!list_empty(&r->effects)) {
        struct effect *e = CONTAINER_OF(r->effects.next, struct effect, node);

        if (e->batch > r->durable)
            break;
        list_remove(&e->node);
        effect_run(r, e, now);
    }
    r->releasing = false;
}

/* Writes one job; false when its text could not be made. */
static bool write_job(struct job_room *r, struct live *l)
{
    struct json_writer w;

    buf_clear(&r->text);
    r->text.failed = false;
    w = json_writer_init(&r->text);
    if (l->job.state != JOB_COMPLETE || !l->log_done) {
        live_put_row(l, &w);
        if (!r->text.failed)
            r->host.put(r->host.ctx, &l->job, buf_str(&r->text));
        return !r->text.failed;
    }
    if (!l->ephemeral)
        live_put_record(l, &w);
    if (r->text.failed)
        return false;
    l->job.archived = true;
    l->archive_batch = r->next_batch;
    if (l->ephemeral)
        r->host.forget(r->host.ctx, id_str(&l->job.id));
    else
        r->host.archive(r->host.ctx, &l->job, buf_str(&r->text));
    if (list_empty(&l->ended.node))
        effect_push(r, &l->ended, EFFECT_ENDED);
    return true;
}

void batch_hand_over(struct job_room *r, Usec now)
{
    struct batch *b = calloc(1, sizeof(*b) + r->n_dirty * sizeof(b->ids[0]));

    if (!b) {
        r->retry_at = now + JOB_COMMIT_RETRY;
        r->journal = STATUS_NOMEM;
        return;
    }
    LIST_EACH_SAFE (it, &r->dirty) {
        struct live *l = CONTAINER_OF(it, struct live, dirty);

        list_remove(it);
        l->job.dirty = false;
        if (l->job.state == JOB_COMPLETE && !l->log_done && l->owed <= r->durable)
            continue; /* its row may go on saying that it runs: then it is simply ended again */
        b->ids[b->n++] = l->job.id;
        if (!write_job(r, l))
            b->broken = true;
    }
    r->n_dirty = 0;
    if (r->text.cap > 1024u * 1024) {
        buf_done(&r->text);
        buf_init(&r->text, JOB_ROW_MAX);
    }
    if (!b->n) {
        free(b);
        effects_settle(r);
        return;
    }
    b->number = r->next_batch++;
    list_push(&r->batches, &b->node);
    r->host.commit(r->host.ctx, b->number);
}

static void batch_failed(struct job_room *r, const struct batch *b, Usec now)
{
    for (size_t i = 0; i < b->n; i++) {
        struct live *l = live_find(r, id_str(&b->ids[i]));

        if (!l)
            continue;
        if (l->archive_batch == b->number)
            l->job.archived = false;
        if (l->owed == b->number)
            l->owed = r->next_batch;
        live_dirty(r, l);
    }
    /* All of them: one behind may wait for a write that was in this batch for the second time. */
    LIST_EACH (it, &r->effects) {
        CONTAINER_OF(it, struct effect, node)->batch = r->next_batch;
    }
    r->retry_at = now + JOB_COMMIT_RETRY;
}

void job_committed(struct job_room *r, uint64_t number, Status st, Usec now)
{
    struct batch *b =
        list_empty(&r->batches) ? NULL : CONTAINER_OF(r->batches.next, struct batch, node);

    if (!b || b->number != number) {
        log_event(LOG_ERROR, "job.commit_order", "batch=%llu", (unsigned long long)number);
        return;
    }
    list_remove(&b->node);
    if (st == STATUS_OK && b->broken)
        st = STATUS_NOMEM;
    r->journal = st;
    if (st == STATUS_OK)
        r->durable = number;
    else
        batch_failed(r, b, now);
    free(b);
    effects_release(r, now);
}

void batches_free(struct job_room *r)
{
    LIST_EACH_SAFE (it, &r->batches)
        free(CONTAINER_OF(it, struct batch, node));
}
