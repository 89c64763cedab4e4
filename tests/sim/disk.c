/* The conductor's disk: batches become durable after a while and in order, or fail, or are gone
 * with the power; live logs may lose their end. It also is the watchman of the journal: what a row
 * may follow is checked here. */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>

struct commit {
    struct list node; /* in disk.commits */
    uint64_t number;
    struct vec ops;
    Status st;
};

void disk_init(struct disk *d)
{
    map_init(&d->rows, 1);
    map_init(&d->records, 2);
    map_init(&d->logs, 3);
    map_init(&d->blobs, 4);
    list_init(&d->commits);
}

static void row_free(struct row *r)
{
    free(r->json);
    free(r);
}

static void op_free(struct disk_op *op)
{
    free(op->row.json);
    free(op);
}

static void ops_free(struct vec *ops)
{
    for (size_t i = 0; i < ops->n; i++)
        op_free(ops->at[i]);
    vec_done(ops);
    *ops = (struct vec){ 0 };
}

static void rows_done(struct map *m)
{
    size_t cursor = 0;
    void *value;

    while (map_next(m, &cursor, NULL, &value))
        row_free(value);
    map_done(m);
}

static void commit_free(struct commit *c)
{
    list_remove(&c->node);
    ops_free(&c->ops);
    free(c);
}

void disk_done(struct disk *d)
{
    size_t cursor = 0;
    void *value;

    rows_done(&d->rows);
    rows_done(&d->records);
    rows_done(&d->blobs);
    while (map_next(&d->logs, &cursor, NULL, &value)) {
        struct vlog *log = value;

        buf_done(&log->text);
        free(log);
    }
    map_done(&d->logs);
    ops_free(&d->ops);
    LIST_EACH_SAFE (it, &d->commits) {
        commit_free(CONTAINER_OF(it, struct commit, node));
    }
}

struct row *disk_row(const struct map *m, struct str id)
{
    return map_get(m, id);
}

static void row_set(struct map *m, const struct row *from)
{
    struct row *r = calloc(1, sizeof(*r));
    void *old = NULL;

    if (!r)
        abort();
    r->id = from->id;
    r->json = malloc(from->n + 1);
    if (!r->json)
        abort();
    memcpy(r->json, from->json, from->n);
    r->json[from->n] = '\0';
    r->n = from->n;
    old = map_del(m, id_str(&r->id));
    if (old)
        row_free(old);
    if (map_put(m, id_str(&r->id), r, NULL) != STATUS_OK)
        abort();
}

static void row_del(struct map *m, struct str id)
{
    struct row *r = map_del(m, id);

    if (r)
        row_free(r);
}

void disk_add(struct sim *s, enum op_kind kind, struct str id, struct str json)
{
    struct disk_op *op = calloc(1, sizeof(*op));

    if (!op || !id_from_str(id, &op->row.id) || vec_push(&s->disk.ops, op) != STATUS_OK)
        abort();
    op->kind = kind;
    sim_trace(s, "journal: + %s %s", op->row.id.z,
              (const char *const[]){ "row", "record", "forget", "late" }[kind]);
    op->row.json = malloc(json.n + 1);
    if (!op->row.json)
        abort();
    if (json.n)
        memcpy(op->row.json, json.p, json.n);
    op->row.n = json.n;
}

static void apply(struct sim *s, struct disk_op *op)
{
    struct disk *d = &s->disk;
    const struct str id = id_str(&op->row.id);
    struct model *m = sim_model(s, id);

    switch (op->kind) {
    case OP_PUT_ROW:
        sim_check(s, !disk_row(&d->records, id), "%s is journalled as live, but has a record",
                  id.p);
        row_set(&d->rows, &op->row);
        break;
    case OP_ARCHIVE_ROW:
        sim_check(s, !disk_row(&d->records, id) || s->profile.ambiguous, "%s is archived twice",
                  id.p);
        row_del(&d->rows, id);
        row_set(&d->records, &op->row);
        m->archived++;
        break;
    case OP_FORGET_ROW:
        row_del(&d->rows, id);
        m->archived++;
        break;
    case OP_LATE:
        m->late = true;
        break;
    }
}

static void on_answer(struct sim *s, struct sim_event *e)
{
    struct commit *c = e->who;

    s->disk.pending--;
    if (e->epoch == s->c.epoch) {
        for (size_t i = 0; i < c->ops.n; i++) {
            struct disk_op *op = c->ops.at[i];

            if (op->kind != OP_LATE)
                continue;
            if (c->st == STATUS_OK) {
                late_durable(s, id_str(&op->row.id));
            } else { /* the host tries again */
                disk_add(s, OP_LATE, id_str(&op->row.id), STR(""));
                disk_commit(s, 0);
            }
        }
        if (c->number) {
            sim_trace(s, "journal: batch %llu %s", (unsigned long long)c->number,
                      status_name(c->st));
            job_committed(s->c.room, c->number, c->st, s->now);
        }
        conductor_turn(s);
    }
    commit_free(c);
}

static void on_write(struct sim *s, struct sim_event *e)
{
    struct commit *c = e->who;
    struct sim_event *answer;
    bool lost = false;

    if (e->epoch != s->c.epoch) { /* the process that wanted it is gone */
        s->disk.pending--;
        commit_free(c);
        return;
    }
    c->st = s->now < s->disk.full_until ? STATUS_NOSPACE : STATUS_OK;
    if (s->broken == BREAK_LOSE && c->number % 7 == 0)
        lost = true;
    for (size_t i = 0; c->st == STATUS_OK && !lost && i < c->ops.n; i++)
        apply(s, c->ops.at[i]);
    if (c->st == STATUS_OK && s->profile.ambiguous && !s->healing && sim_chance(s, 3))
        c->st = STATUS_IO;
    answer = sim_after(s, sim_pick(s, s->profile.commit_max), on_answer, c);
    answer->epoch = e->epoch;
    /* answers keep the order of the commits */
    if (answer->node.due <= s->disk.last_commit &&
        heap_put(&s->events, &answer->node, s->disk.last_commit + 1))
        abort();
    s->disk.last_commit = answer->node.due;
}

static void on_early(struct sim *s, struct sim_event *e)
{
    if (e->epoch == s->c.epoch) {
        job_committed(s->c.room, e->number, STATUS_OK, s->now);
        conductor_turn(s);
    }
}

static void on_write_late(struct sim *s, struct sim_event *e)
{
    struct commit *c = e->who;

    if (e->epoch == s->c.epoch) {
        for (size_t i = 0; i < c->ops.n; i++)
            apply(s, c->ops.at[i]);
    }
    s->disk.pending--;
    commit_free(c);
}

void disk_commit(struct sim *s, uint64_t number)
{
    struct commit *c = calloc(1, sizeof(*c));
    struct sim_event *e;

    if (!c)
        abort();
    c->number = number;
    list_push(&s->disk.commits, &c->node);
    c->ops = s->disk.ops;
    s->disk.ops = (struct vec){ 0 };
    s->disk.pending++;
    sim_trace(s, "journal: batch %llu handed over", (unsigned long long)number);
    sim_check(s, s->disk.pending < SIM_BATCHES_MAX, "too many batches wait for the disk");
    if (s->broken == BREAK_EARLY && number) {
        e = sim_after(s, 1, on_early, NULL);
        e->epoch = s->c.epoch;
        e->number = number;
        e = sim_after(s, 2 + sim_pick(s, s->profile.commit_max), on_write_late, c);
        e->epoch = s->c.epoch;
        return;
    }
    e = sim_after(s, sim_pick(s, s->profile.commit_max), on_write, c);
    e->epoch = s->c.epoch;
    if (e->node.due <= s->disk.last_write && heap_put(&s->events, &e->node, s->disk.last_write + 1))
        abort();
    s->disk.last_write = e->node.due;
}

/* Logs. */

struct vlog *disk_log(struct sim *s, struct str id)
{
    struct vlog *log = map_get(&s->disk.logs, id);

    if (log)
        return log;
    log = calloc(1, sizeof(*log));
    if (!log || !id_from_str(id, &log->id) ||
        map_put(&s->disk.logs, id_str(&log->id), log, NULL) != STATUS_OK)
        abort();
    buf_init(&log->text, 8u << 20);
    return log;
}

void disk_log_drop(struct sim *s, struct str id)
{
    struct vlog *log = map_del(&s->disk.logs, id);

    if (!log)
        return;
    buf_done(&log->text);
    free(log);
}

struct str disk_blob(const struct sim *s, struct str id)
{
    const struct row *r = disk_row(&s->disk.blobs, id);

    return r ? str_n(r->json, r->n) : STR_NONE;
}

/* Without power what was not synced may be gone, from some byte on. */
void disk_power_loss(struct sim *s)
{
    size_t cursor = 0;
    void *value;

    while (map_next(&s->disk.logs, &cursor, NULL, &value)) {
        struct vlog *log = value;

        if (log->text.n > log->synced)
            log->text.n = log->synced + (size_t)rng_below(&s->rng, log->text.n - log->synced + 1);
    }
}

/* Closing a log reads it whole; a long one becomes a blob. */
static void on_finished(struct sim *s, struct sim_event *e)
{
    struct vlog *log;
    struct row blob;
    bool uploaded;

    if (e->epoch != s->c.epoch)
        return;
    log = disk_log(s, id_str(&e->id));
    if (!s->healing && sim_chance(s, 3)) {
        job_log_finished(s->c.room, id_str(&e->id), STATUS_IO, STR_NONE, 0, false, s->now);
        conductor_turn(s);
        return;
    }
    log->broken = false;
    log->synced = log->text.n;
    uploaded = log->text.n > SIM_INLINE_MAX;
    if (uploaded) {
        blob = (struct row){ .id = e->id, .json = log->text.p, .n = log->text.n };
        row_set(&s->disk.blobs, &blob);
    }
    job_log_finished(s->c.room, id_str(&e->id), STATUS_OK,
                     uploaded || !log->text.n ? STR_NONE : buf_str(&log->text), log->text.n,
                     uploaded, s->now);
    conductor_turn(s);
}

static void host_finish_log(void *ctx, const struct job *j)
{
    struct sim *s = ctx;
    struct sim_event *e = sim_after(s, sim_pick(s, 50 * USEC_MSEC), on_finished, NULL);

    e->epoch = s->c.epoch;
    e->id = j->id;
}

static void host_log_append(void *ctx, const struct job *j, struct str text)
{
    struct sim *s = ctx;
    struct vlog *log = disk_log(s, id_str(&j->id));

    if (!s->healing && s->profile.ambiguous && sim_chance(s, 2)) {
        log->broken = true;
        sim_model(s, id_str(&j->id))->disk_lost = true;
        sim_trace(s, "disk: log of %s fails at %zu", j->id.z, log->text.n);
    }
    if (!log->broken && buf_add_str(&log->text, text) != STATUS_OK)
        abort();
    if (sim_chance(s, 10))
        log->synced = log->text.n;
}

static void host_put(void *ctx, const struct job *j, struct str json)
{
    disk_add(ctx, OP_PUT_ROW, id_str(&j->id), json);
}

static void host_archive(void *ctx, const struct job *j, struct str record)
{
    disk_add(ctx, OP_ARCHIVE_ROW, id_str(&j->id), record);
}

static void host_forget(void *ctx, struct str id)
{
    disk_add(ctx, OP_FORGET_ROW, id, STR(""));
}

static void host_commit(void *ctx, uint64_t batch)
{
    disk_commit(ctx, batch);
}

static Id host_choose(void *ctx, const struct job *j, yyjson_val *targets, struct str algo)
{
    struct sim *s = ctx;
    int online[SIM_SATS_MAX];
    int n = 0;

    (void)j;
    (void)targets;
    (void)algo;
    for (int i = 0; i < s->n_sats; i++) {
        if (s->c.online[i])
            online[n++] = i;
    }
    return n ? s->sats[online[rng_below(&s->rng, (uint64_t)n)]].id : (Id){ .z = "" };
}

static struct sat *sat_of(struct sim *s, const Id *server)
{
    for (int i = 0; i < s->n_sats; i++) {
        if (id_eq(&s->sats[i].id, server))
            return &s->sats[i];
    }
    sim_check(s, false, "unknown server %s", server->z);
    return &s->sats[0];
}

static bool host_online(void *ctx, const Id *server)
{
    struct sim *s = ctx;

    return s->c.online[sat_of(s, server)->index];
}

static void host_launch(void *ctx, const struct job *j)
{
    struct sim *s = ctx;
    const struct row *row = disk_row(&s->disk.rows, id_str(&j->id));
    char server[ID_MAX + 16];

    (void)snprintf(server, sizeof(server), "\"server\":\"%s\"", j->server.z);
    sim_check(s,
              row && str_find(str_n(row->json, row->n), STR("\"state\":\"active\"")) < row->n &&
                  str_find(str_n(row->json, row->n), str_z(server)) < row->n,
              "launch of %s left before its row was durable", j->id.z);
    link_down(s, sat_of(s, &j->server), DOWN_LAUNCH, id_str(&j->id), 0, 0, STR(""));
}

static void host_abort(void *ctx, const struct job *j, struct str reason)
{
    struct sim *s = ctx;

    if (s->broken != BREAK_ABORT)
        link_down(s, sat_of(s, &j->server), DOWN_ABORT, id_str(&j->id), 0, 0, reason);
}

static void host_seek(void *ctx, const Id *server, struct str id, uint64_t pos, uint32_t meta)
{
    struct sim *s = ctx;

    if (s->broken != BREAK_SEEK)
        link_down(s, sat_of(s, server), DOWN_SEEK, id, (int64_t)pos, (int64_t)meta, STR(""));
}

static void host_stray(void *ctx, const Id *server, struct str id)
{
    struct sim *s = ctx;
    const struct row *r = disk_row(&s->disk.records, id);

    if (r && s->broken != BREAK_ABORT &&
        str_find(str_n(r->json, r->n), STR("\"abort_pending\":true")) < r->n)
        link_down(s, sat_of(s, server), DOWN_ABORT, id, 0, 0, STR("Aborted by admin"));
}

static void host_done(void *ctx, const Id *server, struct str id)
{
    struct sim *s = ctx;

    sim_check(s, disk_row(&s->disk.records, id) || sim_model(s, id)->archived,
              "result of %.*s confirmed before its record is durable", STR_FMT(id));
    link_down(s, sat_of(s, server), DOWN_DONE, id, 0, 0, STR(""));
}

static void host_changed(void *ctx, const struct job *j)
{
    struct sim *s = ctx;
    const struct model *m = sim_model(s, id_str(&j->id));

    if (j->state == JOB_COMPLETE)
        sim_check(s, m->archived > 0, "%s is told to be over before it is durable", m->id.z);
}

static void host_log_remove(void *ctx, const struct job *j)
{
    struct sim *s = ctx;
    const struct model *m = sim_model(s, id_str(&j->id));

    sim_check(s, m->archived > 0, "log of %s removed before its record is durable", m->id.z);
    disk_log_drop(s, id_str(&j->id));
}

struct job_host conductor_host(struct sim *s)
{
    return (struct job_host){
        .ctx = s,
        .put = host_put,
        .archive = host_archive,
        .forget = host_forget,
        .commit = host_commit,
        .choose_server = host_choose,
        .server_online = host_online,
        .send_launch = host_launch,
        .send_abort = host_abort,
        .send_seek = host_seek,
        .send_done = host_done,
        .stray = host_stray,
        .changed = host_changed,
        .log_append = host_log_append,
        .finish_log = host_finish_log,
        .log_remove = host_log_remove,
    };
}
