/* Satellites come and go; what each has is compared with what it should have (job.h, "Exactly
 * once"). */
#include "job/room_int.h"

void job_server_joined(struct job_room *r, const Id *server, bool exact, Usec now)
{
    struct peer *p = peer_get(r, server);

    (void)now;
    if (!p)
        return; /* made again with its first job */
    p->online = true;
    p->exact = exact;
    p->connection = ++r->connections;
}

void job_server_left(struct job_room *r, const Id *server, struct str name, Usec now)
{
    struct peer *p = peer_find(r, server);

    if (!p)
        return;
    p->online = false;
    LIST_EACH (it, &p->jobs) {
        struct live *l = CONTAINER_OF(it, struct live, by_peer);

        l->gap_asked = false;
        if (!l->job.remote || l->job.state == JOB_COMPLETE)
            continue;
        l->job.remote = false;
        meta_printf(r, l, now, "Lost connection to remote server: %.*s",
                    STR_FMT(str_slice(name, 0, 600)));
        live_touch(r, l);
    }
    peer_drop_if_idle(r, p);
}

void live_stray(struct job_room *r, const Id *server, struct str id)
{
    const struct live *l = live_find(r, id);

    if (!id.n || id.n > ID_MAX)
        return;
    if (l && l->owes_done && id_eq(server, &l->job.server))
        return; /* its result is here: job_done follows when the record is durable */
    if (l && l->job.aborting)
        r->host.send_abort(r->host.ctx, &l->job, str_z(l->job.abort_reason));
    else if (!l && r->host.stray)
        r->host.stray(r->host.ctx, server, id);
    r->host.send_seek(r->host.ctx, server, id, (uint64_t)JOB_SEEK_END, UINT32_MAX);
}

/* One job that the satellite says it has. */
static void has(struct job_room *r, const Id *server, struct str id, Usec now)
{
    struct live *l = live_find(r, id);

    if (!l || !id_eq(&l->job.server, server)) {
        /* not ours any more: its result is wanted all the same (late), its log is not */
        live_stray(r, server, id);
        return;
    }
    l->inventory = r->inventories;
    l->gap_asked = false;
    if (l->job.state == JOB_COMPLETE) {
        if (l->log_refetch)
            live_seek(r, l);
        else
            live_stray(r, server, id);
        return;
    }
    if (l->job.state != JOB_ACTIVE && l->job.state != JOB_FINISHING)
        return;
    if (!l->job.accepted) {
        l->job.accepted = true;
        live_dirty(r, l);
    }
    l->exact = true;
    l->sent = true;
    l->dead_asked = false;
    l->job.remote = true;
    l->job.updated = now;
    live_touch(r, l);
    live_seek(r, l);
    if (l->job.aborting)
        r->host.send_abort(r->host.ctx, &l->job, str_z(l->job.abort_reason));
}

/* One job that it should have and does not. */
static void has_not(struct job_room *r, struct live *l, Usec now)
{
    if (!l->exact || !list_empty(&l->launch.node) ||
        (l->job.state != JOB_ACTIVE && l->job.state != JOB_FINISHING))
        return; /* nothing was sent yet, or nothing is expected */
    if (l->sent_on == l->peer->connection)
        return; /* sent after the list was asked for: that it is not in it says nothing */
    if (l->job.accepted) {
        live_end(r, l, JOB_ON_LOST, "1",
                 STR("The satellite has lost the job: it had accepted it, and no longer "
                     "knows it."),
                 now);
        return;
    }
    if (l->job.aborting) {
        live_end(r, l, JOB_ON_ABORT, "\"abort\"", str_z(l->job.abort_reason), now);
        return;
    }
    r->stats.resent++;
    l->sent_on = l->peer->connection;
    l->sent = true;
    l->job.sends++;
    l->job.remote = true;
    l->job.updated = now;
    meta_printf(r, l, now, "Sending launch command to remote server again: it did not arrive");
    live_touch(r, l);
    r->host.send_launch(r->host.ctx, &l->job);
    live_seek(
        r,
        l); /* for one that had it in hand and was not through with it when it listed its spool */
}

void job_server_inventory(struct job_room *r, const Id *server, yyjson_val *jobs, Usec now)
{
    struct peer *p = peer_find(r, server);
    size_t i, max;
    yyjson_val *item;

    r->inventories++;
    yyjson_arr_foreach (jobs, i, max, item)
        has(r, server, json_str(item, "id"), now);
    if (!p)
        return;
    LIST_EACH_SAFE (it, &p->jobs) {
        struct live *l = CONTAINER_OF(it, struct live, by_peer);

        if (l->inventory != r->inventories)
            has_not(r, l, now);
    }
}
