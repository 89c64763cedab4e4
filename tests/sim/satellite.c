/* A satellite of ours, by the extension of wire.h: a durable spool, an inventory after each join,
 * logs by position, results until they are confirmed. Its jobs run beside it (supervisors): they
 * outlive the agent, not the machine. */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>

#define CHUNK 100u /* bytes of one job_log */
#define ABORT_TIME                                                                                 \
    (40 * USEC_SEC) /* from a confirmed abort to the end of the process, while connected */

struct sat_job *sat_job_find(struct sat *sat, struct str id)
{
    LIST_EACH (it, &sat->jobs) {
        struct sat_job *j = CONTAINER_OF(it, struct sat_job, node);

        if (str_eq(id_str(&j->id), id))
            return j;
    }
    return NULL;
}

struct sat_job *sat_job_new(struct sim *s, struct sat *sat, struct str id)
{
    struct sat_job *j = calloc(1, sizeof(*j));

    if (!j || !id_from_str(id, &j->id))
        abort();
    j->m = sim_model(s, id);
    j->m->sat = sat->index;
    j->m->exact = sat->exact;
    list_push(&sat->jobs, &j->node);
    return j;
}

void sat_job_free(struct sat_job *j)
{
    list_remove(&j->node);
    free(j);
}

void job_print(struct sim *s, struct model *m, unsigned piece)
{
    (void)s;
    (void)buf_printf(&m->printed, "%s line %u ", m->id.z, piece);
    for (size_t i = 0; i < (size_t)(m->id.z[m->id.z[0] ? 12 : 0] % 7) * piece * 10; i++)
        (void)buf_add_char(&m->printed, (char)('a' + (i + piece) % 26));
    (void)buf_add_char(&m->printed, '\n');
}

static void send_result(struct sim *s, struct sat *sat, struct sat_job *j)
{
    char text[512];

    (void)snprintf(text, sizeof(text),
                   "{\"id\":\"%s\",\"state\":\"complete\",\"complete\":true,\"code\":%s,"
                   "\"description\":\"%s\","
                   "\"data\":{\"n\":1},\"log_size\":%zu}",
                   j->id.z, j->code, j->reason, j->log_n);
    j->result_sent = true;
    link_up(s, sat, UP_JOBS, id_str(&j->id), 0, str_z(text));
}

/* Sends what this connection has not had yet. */
static void pump(struct sim *s, struct sat *sat, struct sat_job *j)
{
    static const char *const metas[] = { "Spawned child process", "Child exited" };

    if (!sat->up || !sat->link.up || !j->seeked || !j->durable)
        return;
    while (j->metas_sent < j->metas) {
        link_up(s, sat, UP_META, id_str(&j->id), (int64_t)j->metas_sent + 1,
                str_z(metas[j->metas_sent]));
        j->metas_sent++;
    }
    while (j->sent < j->log_n) {
        const size_t n = j->log_n - j->sent < CHUNK ? j->log_n - j->sent : CHUNK;

        /* A piece may be missing: the conductor asks for it when it sees the next one or the
         * result. */
        if (s->healing || !sim_chance(s, 2))
            link_up(s, sat, UP_LOG, id_str(&j->id), (int64_t)j->sent,
                    str_n(j->m->printed.p + j->sent, n));
        j->sent += n;
    }
    if (j->done && !j->result_sent)
        send_result(s, sat, j);
}

static void process_end(struct sim *s, struct sat *sat, struct sat_job *j, const char *code,
                        const char *reason)
{
    j->running = false;
    j->done = true;
    j->process = ++s->numbers; /* events of the process are void */
    j->metas = 2;
    (void)str_copy_z(str_z(code), j->code, sizeof(j->code));
    if (reason != j->reason)
        (void)str_copy_z(str_z(reason), j->reason, sizeof(j->reason));
    pump(s, sat, j);
}

static void on_process(struct sim *s, struct sim_event *e)
{
    struct sat *sat = e->who;
    struct sat_job *j = sat_job_find(sat, id_str(&e->id));
    char code[16];
    struct sim_event *next;

    if (!j || j->process != e->epoch || !j->running)
        return;
    sim_check(s,
              !j->m->abort_acked || !sat->link.up || s->now - j->m->abort_acked < ABORT_TIME ||
                  s->now - sat->joined_at < ABORT_TIME,
              "%s: a confirmed abort was forgotten, it still runs", j->id.z);
    if (j->piece < j->m->pieces) {
        job_print(s, j->m, j->piece++);
        j->log_n = j->m->printed.n;
        pump(s, sat, j);
    } else {
        (void)snprintf(code, sizeof(code), "%d", j->m->code);
        j->m->finished = true;
        process_end(s, sat, j, code, j->m->code ? "It failed" : "");
        return;
    }
    next = sim_after(s, j->m->length / (j->m->pieces + 1), on_process, sat);
    next->epoch = j->process;
    next->id = j->id;
}

static void process_start(struct sim *s, struct sat *sat, struct sat_job *j)
{
    struct sim_event *e;

    j->m->runs++;
    sim_trace(s, "%s: %s starts", sat->id.z, j->id.z);
    sim_check(s, j->m->runs <= j->m->runs_allowed, "%s runs %u times", j->id.z, j->m->runs);
    j->running = true;
    j->process = ++s->numbers;
    j->metas = 1;
    j->log_n = j->m->printed.n;
    e = sim_after(s, j->m->length / (j->m->pieces + 1), on_process, sat);
    e->epoch = j->process;
    e->id = j->id;
    pump(s, sat, j);
}

static void on_spawn(struct sim *s, struct sim_event *e)
{
    struct sat *sat = e->who;
    struct sat_job *j = e->epoch == sat->epoch ? sat_job_find(sat, id_str(&e->id)) : NULL;

    if (j && !j->process && !j->done)
        process_start(s, sat, j);
}

/* The launch is in the spool. */
static void on_spooled(struct sim *s, struct sim_event *e)
{
    struct sat *sat = e->who;
    struct sat_job *j = e->epoch == sat->epoch ? sat_job_find(sat, id_str(&e->id)) : NULL;
    struct sim_event *next;

    if (!j || j->durable)
        return;
    j->durable = true;
    link_up(s, sat, UP_ACCEPTED, id_str(&j->id), 0, STR(""));
    if (j->aborted) {
        process_end(s, sat, j, "\"abort\"", j->reason);
        return;
    }
    next = sim_after(s, sim_pick(s, 5 * USEC_MSEC), on_spawn, sat);
    next->epoch = sat->epoch;
    next->id = j->id;
}

static void take_launch(struct sim *s, struct sat *sat, struct str id)
{
    struct sat_job *j = sat_job_find(sat, id);
    struct sim_event *e;

    if (j && s->broken != BREAK_SPOOL)
        return; /* never twice */
    if (j)
        sat_job_free(j);
    j = sat_job_new(s, sat, id);
    j->seeked = true;
    e = sim_after(s, sim_pick(s, sim_chance(s, 10) ? 3 * USEC_SEC : 10 * USEC_MSEC), on_spooled,
                  sat);
    e->epoch = sat->epoch;
    e->id = j->id;
}

static void on_killed(struct sim *s, struct sim_event *e)
{
    struct sat *sat = e->who;
    struct sat_job *j = sat_job_find(sat, id_str(&e->id));

    if (j && j->durable && !j->done && sat->up)
        process_end(s, sat, j, "\"abort\"", j->reason);
}

static void take_abort(struct sim *s, struct sat *sat, const struct sim_event *m)
{
    struct sat_job *j = sat_job_find(sat, id_str(&m->id));

    if (!j || j->done)
        return;
    (void)snprintf(j->reason, sizeof(j->reason), "%.*s",
                   STR_FMT(str_slice(str_n(m->text, m->n), 0, 150)));
    j->aborted = true;
    sim_after(s, sim_pick(s, 10 * USEC_SEC), on_killed, sat)->id = j->id;
}

static void take_joined(struct sim *s, struct sat *sat)
{
    AUTO_BUF struct buf text = { 0 };

    buf_init(&text, 1u << 20);
    (void)buf_add_char(&text, '[');
    LIST_EACH (it, &sat->jobs) {
        struct sat_job *j = CONTAINER_OF(it, struct sat_job, node);

        j->seeked = false;
        j->result_sent = false;
        if (j->durable && s->broken != BREAK_SPOOL)
            (void)buf_printf(&text, "%s{\"id\":\"%s\",\"state\":\"%s\"}", text.n > 1 ? "," : "",
                             j->id.z, j->done ? "done" : "running");
    }
    (void)buf_add_char(&text, ']');
    link_up(s, sat, UP_INVENTORY, STR(""), 0, buf_str(&text));
}

static void take_seek(struct sim *s, struct sat *sat, const struct sim_event *m)
{
    struct sat_job *j = sat_job_find(sat, id_str(&m->id));

    if (!j)
        return;
    j->seeked = true;
    j->result_sent = false;
    j->sent = (uint64_t)m->a < j->log_n ? (size_t)m->a : j->log_n;
    if (m->a < JOB_SEEK_END && sim_chance(s, 30)) /* too much is never wrong */
        j->sent = (size_t)rng_below(&s->rng, j->sent + 1);
    j->metas_sent = (uint64_t)m->b < j->metas ? (unsigned)m->b : j->metas;
    pump(s, sat, j);
}

void sat_message(struct sim *s, struct sat *sat, const struct sim_event *e)
{
    struct sat_job *j;

    switch ((enum down_kind)e->number) {
    case DOWN_JOINED:
        take_joined(s, sat);
        break;
    case DOWN_LAUNCH:
        take_launch(s, sat, id_str(&e->id));
        break;
    case DOWN_ABORT:
        take_abort(s, sat, e);
        break;
    case DOWN_SEEK:
        take_seek(s, sat, e);
        break;
    case DOWN_DONE:
        j = sat_job_find(sat, id_str(&e->id));
        sim_check(s, !j || j->done, "%s is to be forgotten while it runs", e->id.z);
        if (j)
            sat_job_free(j);
        break;
    case DOWN_ANSWER:
        break;
    }
}

static void on_beat(struct sim *s, struct sim_event *e)
{
    struct sat *sat = e->who;

    if (e->epoch != sat->epoch || !sat->up)
        return;
    LIST_EACH (it, &sat->jobs) {
        struct sat_job *j = CONTAINER_OF(it, struct sat_job, node);

        if (j->running && (j->durable || !sat->exact))
            link_up(s, sat, UP_JOBS, id_str(&j->id), 0,
                    STR("{\"state\":\"active\",\"progress\":0.5,\"pid\":7,\"server\":\"evil\"}"));
    }
    sim_after(s, 10 * USEC_SEC, on_beat, sat)->epoch = sat->epoch;
}

void sat_start(struct sim *s, struct sat *sat)
{
    sat->up = true;
    sat->epoch++;
    LIST_EACH (it, &sat->jobs) {
        struct sat_job *j = CONTAINER_OF(it, struct sat_job, node);

        j->seeked = false;
        if (!j->process && !j->done)
            process_start(s, sat, j);
        else if (j->aborted && !j->done) /* the abort lies in the spool too */
            sim_after(s, sim_pick(s, 10 * USEC_SEC), on_killed, sat)->id = j->id;
    }
    sat_connect_later(s, sat);
    sim_after(s, sim_pick(s, 10 * USEC_SEC), on_beat, sat)->epoch = sat->epoch;
}

static void on_start(struct sim *s, struct sim_event *e)
{
    sim_trace(s, "%s: up again", ((struct sat *)e->who)->id.z);
    sat_start(s, e->who);
}

static void go_down(struct sim *s, struct sat *sat)
{
    sat->up = false;
    sat->epoch++;
    if (!sat->lost_at)
        sat->lost_at = s->now;
    link_cut(s, sat);
    (void)sim_after(s, sim_pick(s, sim_chance(s, 20) ? 300 * USEC_SEC : 5 * USEC_SEC), on_start,
                    sat);
    LIST_EACH_SAFE (it, &sat->jobs) {
        struct sat_job *j = CONTAINER_OF(it, struct sat_job, node);

        if (!j->durable)
            sat_job_free(j);
    }
}

void sat_crash(struct sim *s, struct sat *sat)
{
    if (!sat->up)
        return;
    sim_trace(s, "%s: killed", sat->id.z);
    go_down(s, sat);
}

void sat_power_loss(struct sim *s, struct sat *sat, bool wipe)
{
    if (!sat->up)
        return;
    sim_trace(s, "%s: power lost%s", sat->id.z, wipe ? ", disk lost" : "");
    go_down(s, sat);
    LIST_EACH_SAFE (it, &sat->jobs) {
        struct sat_job *j = CONTAINER_OF(it, struct sat_job, node);

        if (wipe) {
            j->m->killed = true;
            j->m->runs_allowed++;
            sat_job_free(j);
        } else if (j->running) {
            j->m->killed = true;
            j->log_n = (size_t)rng_below(&s->rng, j->log_n + 1);
            process_end(s, sat, j, "1", "The machine went down");
        }
    }
}

/* Plain agents. */

static void agent_send(struct sim *s, struct sat *sat, struct sat_job *j)
{
    send_result(s, sat, j);
}

static void on_retry(struct sim *s, struct sim_event *e)
{
    struct sat *sat = e->who;
    struct sat_job *j = e->epoch == sat->epoch ? sat_job_find(sat, id_str(&e->id)) : NULL;
    struct sim_event *next;

    if (!j)
        return;
    agent_send(s, sat, j);
    next = sim_after(s, USEC_SEC, on_retry, sat);
    next->epoch = sat->epoch;
    next->id = j->id;
}

static void agent_end(struct sim *s, struct sat *sat, struct sat_job *j, const char *code,
                      const char *reason)
{
    struct sim_event *e;

    j->running = false;
    j->done = true;
    (void)str_copy_z(str_z(code), j->code, sizeof(j->code));
    (void)str_copy_z(str_z(reason), j->reason, sizeof(j->reason));
    e = sim_after(s, 0, on_retry, sat);
    e->epoch = sat->epoch;
    e->id = j->id;
}

static void on_agent_process(struct sim *s, struct sim_event *e)
{
    struct sat *sat = e->who;
    struct sat_job *j = e->epoch == sat->epoch ? sat_job_find(sat, id_str(&e->id)) : NULL;
    struct sim_event *next;
    char code[16];
    size_t from;

    if (!j || !j->running)
        return;
    if (j->piece == j->m->pieces) {
        (void)snprintf(code, sizeof(code), "%d", j->m->code);
        j->m->finished = true;
        agent_end(s, sat, j, code, j->m->code ? "It failed" : "");
        return;
    }
    from = j->m->printed.n;
    job_print(s, j->m, j->piece++);
    link_up(s, sat, UP_LOG, id_str(&j->id), -1,
            str_n(j->m->printed.p + from, j->m->printed.n - from));
    next = sim_after(s, j->m->length / (j->m->pieces + 1), on_agent_process, sat);
    next->epoch = sat->epoch;
    next->id = j->id;
}

static void agent_launch(struct sim *s, struct sat *sat, struct str id)
{
    struct sat_job *j = sat_job_new(s, sat, id);
    struct sim_event *e;

    j->m->runs++;
    sim_trace(s, "%s: %s starts", sat->id.z, j->id.z);
    sim_check(s, j->m->runs <= j->m->runs_allowed, "%s runs %u times", j->id.z, j->m->runs);
    j->running = true;
    j->durable = true;
    link_up(s, sat, UP_META, id, 0, STR("Spawned child process"));
    e = sim_after(s, j->m->length / (j->m->pieces + 1), on_agent_process, sat);
    e->epoch = sat->epoch;
    e->id = j->id;
}

void agent_message(struct sim *s, struct sat *sat, const struct sim_event *e)
{
    struct sat_job *j = sat_job_find(sat, id_str(&e->id));

    switch ((enum down_kind)e->number) {
    case DOWN_LAUNCH:
        agent_launch(s, sat, id_str(&e->id));
        break;
    case DOWN_ABORT:
        if (j && j->running)
            agent_end(s, sat, j, "\"abort\"", "Aborted by admin");
        break;
    case DOWN_ANSWER:
        if (j)
            sat_job_free(j);
        break;
    case DOWN_JOINED:
    case DOWN_SEEK:
    case DOWN_DONE:
        break;
    }
}

void agent_crash(struct sim *s, struct sat *sat)
{
    if (!sat->up)
        return;
    sim_trace(s, "%s: killed with its jobs", sat->id.z);
    go_down(s, sat);
    LIST_EACH_SAFE (it, &sat->jobs) {
        struct sat_job *j = CONTAINER_OF(it, struct sat_job, node);

        j->m->killed = true;
        sat_job_free(j);
    }
}
