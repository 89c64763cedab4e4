/* run_event/wait: calls that are answered when their job has ended. One list of calls a job; a
 * client that goes away takes its call out of it. The answer is the record, read back from the
 * store once it is durable; a job that leaves none (ephemeral) is shown as it was at its end. */
#include "api/api_int.h"

#include <stdlib.h>

struct wait_queue {
    Id job;
    struct list calls; /* struct waiter */
};

struct waiter {
    struct list node;
    struct api_call *call;
    struct wait_queue *queue;
};

static void queue_free(struct api *a, struct wait_queue *q)
{
    (void)map_del(&a->waits, id_str(&q->job));
    free(q);
}

void api_waits_free(struct api *a)
{
    size_t cursor = 0;
    struct str key;
    void *value = NULL;

    while (map_next(&a->waits, &cursor, &key, &value))
        queue_free(a, value);
    map_done(&a->waits);
}

bool api_wait_room(const struct api *a)
{
    return a->n_waiters < API_WAITERS_MAX;
}

static void waiter_gone(void *arg)
{
    struct waiter *w = arg;
    struct api_call *c = w->call;
    struct api *a = c->api;

    list_remove(&w->node);
    a->n_waiters--;
    if (list_empty(&w->queue->calls))
        queue_free(a, w->queue);
    api_reply_text(c, 499, "");
}

static struct wait_queue *queue_get(struct api *a, const Id *job)
{
    struct wait_queue *q = map_get(&a->waits, id_str(job));

    if (q)
        return q;
    q = malloc(sizeof *q);
    if (!q)
        return NULL;
    q->job = *job;
    list_init(&q->calls);
    if (map_put(&a->waits, id_str(&q->job), q, NULL)) {
        free(q);
        return NULL;
    }
    return q;
}

void api_wait_for(struct api_call *c, const Id *job)
{
    struct waiter *w = arena_zalloc(c->arena, sizeof *w);

    if (http_request_aborted(c->req)) {
        api_reply_text(c, 499, "");
        return;
    }
    if (w)
        w->queue = queue_get(c->api, job);
    if (!w || !w->queue) {
        api_fail(c, "event", STATUS_NOMEM, NULL);
        return;
    }
    w->call = c;
    list_init(&w->node);
    list_push(&w->queue->calls, &w->node);
    c->api->n_waiters++;
    http_request_on_abort(c->req, waiter_gone, w);
}

static void reply_job(struct api_call *c, struct str json)
{
    struct buf out;
    struct json_writer w = api_reply_begin(c, &out);

    json_put_raw(&w, "job", json);
    api_reply_end(c, &w, &out);
}

static void found(void *arg, const struct store_result *res)
{
    struct api_call *c = arg;

    if (res->status)
        api_fail(c, "event", res->status, &res->err);
    else if (res->n == 0)
        api_error(c, "event", "The job has ended, but left no record.");
    else
        reply_job(c, res->rows[0].json);
}

static void read_record(struct api_call *c, struct str id)
{
    struct err err = { .code = STATUS_OK };
    Status st = store_get(c->world->store, TABLE_JOBS, id, c->arena, found, c, &err);

    if (st)
        api_fail(c, "event", st, &err);
}

/* What there is of a job that leaves no record; false: it has one. */
static bool snapshot(const struct job *j, struct buf *out)
{
    struct json_writer w = json_writer_init(out);

    if (!j || !str_eq_z(job_value(j, "ephemeral"), "true"))
        return false;
    job_put_json(j, true, &w, NULL);
    return !out->failed;
}

void api_job_ended(struct api *a, struct str id)
{
    struct wait_queue *q = map_get(&a->waits, id);
    AUTO_BUF struct buf text = { 0 };
    bool whole;

    if (!q)
        return;
    buf_init(&text, API_REPLY_MAX);
    whole = snapshot(job_find(a->world.jobs, id), &text);
    while (!list_empty(&q->calls)) {
        struct waiter *w = CONTAINER_OF(q->calls.next, struct waiter, node);
        struct api_call *c = w->call;

        list_remove(&w->node);
        a->n_waiters--;
        http_request_on_abort(c->req, NULL, NULL);
        if (whole)
            reply_job(c, buf_str(&text));
        else
            read_record(c, id);
    }
    queue_free(a, q);
}
