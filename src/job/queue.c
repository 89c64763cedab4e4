/* From ready to active: the slot, the server, the queue.
 *
 * Jobs of one event share a line (struct line): its count of running jobs is what a `job` limit
 * looks at, its two lists are the queue, priority first. A line is looked at when one of its jobs
 * frees a slot, and each second while its head waits for a server. */
#include "job/room_int.h"

#define ABORT_CODE "\"abort\""

void line_join(struct line *n, struct live *l)
{
    struct list *head = l->priority ? &n->priority : &n->other;
    struct list *at = head;

    /* oldest first; only restored jobs come out of order */
    while (at->prev != head &&
           CONTAINER_OF(at->prev, struct live, in_queue)->job.created > l->job.created)
        at = at->prev;
    list_insert_before(at, &l->in_queue);
    n->n_queued++;
    l->position = l->priority ? 0 : (uint32_t)n->n_queued;
}

void line_leave(struct line *n, struct live *l)
{
    if (list_empty(&l->in_queue))
        return;
    list_remove(&l->in_queue);
    n->n_queued--;
    n->renumber = true;
}

void line_renumber(struct line *n)
{
    uint32_t position = 0;

    LIST_EACH (it, &n->priority)
        CONTAINER_OF(it, struct live, in_queue)->position = ++position;
    LIST_EACH (it, &n->other)
        CONTAINER_OF(it, struct live, in_queue)->position = ++position;
    n->renumber = false;
}

static Id choose(struct job_room *r, struct live *l)
{
    const struct str targets = job_value(&l->job, "targets");
    const struct str algo_text = job_value(&l->job, "algo");
    const struct str algo = algo_text.n >= 2 && algo_text.p[0] == '"'
                                ? str_slice(algo_text, 1, algo_text.n - 1)
                                : STR("random");
    yyjson_doc *doc = NULL;
    Id server = { .z = "" };

    if (targets.p && json_parse(targets, JSON_SIZE_MAX, &doc, NULL) == STATUS_OK)
        server = r->host.choose_server(r->host.ctx, &l->job, yyjson_doc_get_root(doc), algo);
    json_doc_free(doc);
    return server;
}

static void put_groups(struct job_room *r, struct live *l)
{
    AUTO_BUF struct buf groups = { 0 };

    if (!r->host.server_groups)
        return;
    buf_init(&groups, JOB_FIELD_MAX);
    r->host.server_groups(r->host.ctx, &l->job.server, &groups);
    if (groups.n && !groups.failed)
        (void)field_set(l, STR("groups"), buf_str(&groups));
}

/* The server is chosen: start actions have their place here, then the launch. */
static void start(struct job_room *r, struct live *l, const Id *server, Usec now)
{
    const struct str algo = job_value(&l->job, "algo");
    char name[256] = "";

    if (!live_place(r, l, server)) {
        live_end(r, l, JOB_ON_ABORT, ABORT_CODE, STR("Out of memory."), now);
        return;
    }
    l->exact = l->peer->exact;
    put_groups(r, l);
    if (r->host.server_name)
        r->host.server_name(r->host.ctx, server, name, sizeof(name));
    meta_printf(r, l, now, "Chosen server: %s (%.*s)", name[0] ? name : server->z,
                STR_FMT(algo.n >= 2 ? str_slice(algo, 1, algo.n - 1) : algo));
    if (!live_move(r, l, JOB_ON_CHOSEN, now) || !live_move(r, l, JOB_ON_STARTED, now))
        return;
    l->job.started = l->job.updated = now;
    l->job.progress = 0;
    meta_printf(r, l, now, "Moving job state from {starting} to {active}");
    meta_printf(r, l, now, "Sending launch command to remote server");
    live_timer(r, l, now + r->config.dead_timeout);
    if (list_empty(&l->launch.node))
        effect_push(r, &l->launch, EFFECT_LAUNCH);
}

/* Is the event still there and on? Ends the job otherwise. */
static bool event_ok(struct job_room *r, struct live *l, Usec now)
{
    const struct def *event = defs_find(r->defs, DEF_EVENT, id_str(&l->job.event));
    char text[512];

    if (event && (event->enabled || l->test))
        return true;
    if (!event) {
        (void)snprintf(text, sizeof(text), "Event was deleted: %s", l->job.event.z);
    } else {
        AUTO(arena_free) struct arena *a = arena_new((size_t)64 * 1024 * 1024);
        const struct str title = a ? json_str(def_parse(event, a), "title") : STR_NONE;

        (void)snprintf(text, sizeof(text), "Event was disabled: %.*s",
                       STR_FMT(str_slice(title, 0, 400)));
    }
    live_end(r, l, JOB_ON_ABORT, ABORT_CODE, str_z(text), now);
    return false;
}

static void wait_or_refuse(struct job_room *r, struct live *l, bool no_server, Usec now)
{
    const char *text;

    if (l->line->n_queued < l->limit_queue) {
        meta_printf(r, l, now, "Moving job state from {ready} to {queued}");
        if (live_move(r, l, JOB_ON_NO_SLOT, now) && no_server &&
            l->line->timer.due > now + JOB_QUEUE_RETRY)
            line_timer(r, l->line, now + JOB_QUEUE_RETRY);
        return;
    }
    if (no_server)
        text = l->limit_queue ? "No available servers matching targets, and the queue is full."
                              : "No available servers matching targets.";
    else
        text =
            l->limit_queue
                ? "Maximum number of concurrent jobs for event has been reached, and the queue is "
                  "maxed out."
                : "Maximum number of concurrent jobs for event has been reached.";
    live_end(r, l, JOB_ON_REFUSED, ABORT_CODE, str_z(text), now);
}

void live_ready(struct job_room *r, struct live *l, Usec now)
{
    Id server;

    if (l->limit_job && l->line->running >= l->limit_job) {
        wait_or_refuse(r, l, false, now);
        return;
    }
    if (!event_ok(r, l, now))
        return;
    server = choose(r, l);
    if (server.z[0]) {
        start(r, l, &server, now);
        return;
    }
    if (l->patience > now && !l->limit_queue) {
        live_timer(r, l, now + JOB_QUEUE_RETRY);
        return;
    }
    meta_printf(r, l, now, "No servers match the targets at this time");
    wait_or_refuse(r, l, true, now);
}

/* Tries one queued job. False: no slot, the rest of the line has none either. */
static bool try_queued(struct job_room *r, struct live *l, bool *ret_blocked, Usec now)
{
    Id server;

    if (l->limit_job && l->line->running >= l->limit_job)
        return false;
    if (!event_ok(r, l, now))
        return true;
    server = choose(r, l);
    if (!server.z[0]) {
        *ret_blocked = true;
        return true;
    }
    meta_printf(r, l, now, "Moving job state from {queued} to {ready}");
    if (live_move(r, l, JOB_ON_SLOT, now))
        start(r, l, &server, now);
    return true;
}

void line_pass(struct job_room *r, struct line *n, Usec now)
{
    struct list *const heads[] = { &n->priority, &n->other };
    bool blocked = false;
    size_t tried = 0;

    for (size_t i = 0; i < COUNT_OF(heads); i++) {
        LIST_EACH_SAFE (it, heads[i]) {
            bool wait = false;

            if (tried == JOB_QUEUE_SCAN_MAX) {
                line_timer(r, n, now + JOB_QUEUE_RETRY);
                return;
            }
            if (!try_queued(r, CONTAINER_OF(it, struct live, in_queue), &wait, now))
                goto out;
            blocked = blocked || wait;
            tried += wait;
        }
    }
out:
    if (blocked && n->n_queued)
        line_timer(r, n, now + JOB_QUEUE_RETRY);
}
