/* Abort (reference/satellite.md 26). That a job is to end is on disk before the first signal, so it
 * ends even if the satellite does not live to see it: SIGTERM, and SIGKILL once child_kill_timeout
 * has passed. Who is meant is looked up on the lane at that moment, by process identity, never from
 * memory. */
#include <errno.h>
#include <signal.h>

#include "base/log.h"
#include "proc/tree.h"
#include "sat/runner_int.h"

#define KILL_LISTED 20u /* process ids in a row */

struct kill_work {
    struct job_work base;
    int signal;
    bool all;
    bool found;
    pid_t pids[KILL_LISTED];
    size_t n;
};

static void list_all(struct kill_work *w, pid_t supervisor)
{
    struct proc_info *all = NULL;
    size_t *members;
    size_t n = 0;
    size_t found;

    if (proc_scan(&all, &n, NULL) != STATUS_OK)
        return;
    members = calloc(n ? n : 1, sizeof(*members));
    found = members ? proc_tree(all, n, supervisor, supervisor, members) : 0;
    for (size_t i = 0; i < found && w->n < KILL_LISTED; i++) {
        const pid_t pid = all[members[i]].pid;

        if (pid != supervisor && all[members[i]].state != 'Z')
            w->pids[w->n++] = pid;
    }
    free(members);
    free(all);
}

static void kill_do(struct lane_work *work)
{
    struct kill_work *w = CONTAINER_OF(work, struct kill_work, base.work);
    const struct sat_job *j = w->base.job;
    struct spool_process p;
    char folder[SPOOL_PATH_MAX];

    if (!spool_process(job_spool(j), id_str(&j->id), &p) ||
        !spool_path(job_spool(j), id_str(&j->id), NULL, folder))
        return;
    w->found = true;
    if (w->all && super_alive(folder)) {
        list_all(w, p.supervisor);
        (void)proc_kill_below(p.supervisor, w->signal);
        return;
    }
    if (!proc_is_alive(p.pid, p.start_ticks))
        return;
    w->pids[w->n++] = p.pid;
    if (w->all)
        (void)proc_kill_tree(p.pid, w->signal);
    else
        (void)kill(p.pid, w->signal);
}

static void store_do(struct lane_work *work);
static void store_back(struct lane_work *work);

struct abort_work {
    struct job_work base;
    struct buf text;
    bool act; /* what is stored is the abort itself: go on when it is */
};

static void abort_store(struct sat_job *j, bool act)
{
    struct abort_work *w = calloc(1, sizeof(*w));
    struct json_writer out;

    if (!w)
        return;
    w->act = act;
    buf_init(&w->text, SPOOL_FILE_MAX);
    out = json_writer_init(&w->text);
    json_obj(&out, NULL);
    json_put_z(&out, "reason", j->abort_reason);
    json_put_i64(&out, "at", j->abort_at);
    json_put_u64(&out, "offset", j->offset_high);
    json_put_u64(&out, "metas", j->meta_high);
    follow_put_rows(j, &out);
    json_end(&out);
    if (job_post(j, &w->base, store_do, store_back) != STATUS_OK) {
        buf_done(&w->text);
        free(w);
    }
}

static void store_do(struct lane_work *work)
{
    struct abort_work *w = CONTAINER_OF(work, struct abort_work, base.work);
    const struct sat_job *j = w->base.job;

    w->base.status = spool_put(job_spool(j), id_str(&j->id), "abort.json", buf_str(&w->text),
                               w->act, &w->base.err);
}

static void kill_back(struct lane_work *work);

static void kill_post(struct sat_job *j, int sig)
{
    struct kill_work *w = j->killing ? NULL : calloc(1, sizeof(*w));

    if (!w)
        return;
    w->signal = sig;
    w->all = j->kill == KILL_ALL && !j->runner_job;
    if (job_post(j, &w->base, kill_do, kill_back) == STATUS_OK)
        j->killing = true;
    else
        free(w);
}

static void kill_row(struct sat_job *j, const struct kill_work *w)
{
    char list[KILL_LISTED * 12] = "";
    size_t n = 0;

    for (size_t i = 0; i < w->n; i++)
        n += (size_t)snprintf(list + n, sizeof(list) - n, "%s%d", i ? ", " : "", (int)w->pids[i]);
    if (w->signal == SIGKILL)
        follow_row(j, "%s did not exit, killing harder: %s", w->all ? "Children" : "Child", list);
    else if (w->all)
        follow_row(j, "Killing all job processes: %s", list);
    else
        follow_row(j, "Killing job process: %s", list);
    abort_store(j, false);
}

static void kill_back(struct lane_work *work)
{
    struct kill_work *w = CONTAINER_OF(work, struct kill_work, base.work);
    struct sat_job *j = w->base.job;

    if (job_back(&w->base)) {
        const Usec timeout = j->runner->sat->config.kill_timeout;
        const Usec since = loop_now_wall(j->runner->sat->loop) - j->abort_at;
        const Usec left = since < 0 ? timeout : since > timeout ? 0 : timeout - since;

        j->killing = false;
        if (w->found && j->stage == STAGE_RUNNING) {
            j->kill_due =
                loop_now_mono(j->runner->sat->loop) + (w->signal == SIGKILL ? timeout : left);
            j->kill_armed = true;
            if (w->n)
                kill_row(j, w);
        }
    }
    free(w);
}

/* The abort is on disk (or need not be). */
static void act(struct sat_job *j)
{
    switch (j->stage) {
    case STAGE_STORING:
    case STAGE_PREPARING:
        break; /* seen when the lane is back */
    case STAGE_FETCHING:
    case STAGE_READY:
        if (j->exchange)
            http_exchange_cancel(j->exchange);
        else if (j->busy == 0)
            finish_begin(j, NULL, NULL);
        break;
    case STAGE_RUNNING:
        if (j->kill == KILL_NONE)
            finish_begin(j, NULL, NULL);
        else
            kill_post(j, SIGTERM);
        break;
    case STAGE_FINISHING:
    case STAGE_ENDED:
        break;
    }
}

static void store_back(struct lane_work *work)
{
    struct abort_work *w = CONTAINER_OF(work, struct abort_work, base.work);
    struct sat_job *j = w->base.job;

    if (job_back(&w->base)) {
        if (w->base.status)
            log_event(LOG_ERROR, "job.abort_not_stored", "job=%s reason=%s", j->id.z,
                      LOG_QUOTED(str_z(w->base.err.text)));
        if (w->act)
            act(j);
    }
    buf_done(&w->text);
    free(w);
}

void kill_abort(struct sat_job *j, struct str reason)
{
    if (j->abort_reason || j->stage == STAGE_FINISHING || j->stage == STAGE_ENDED)
        return;
    j->abort_reason = strndup(reason.p ? reason.p : "", reason.n);
    if (!j->abort_reason)
        return;
    j->abort_at = loop_now_wall(j->runner->sat->loop);
    log_event(LOG_INFO, "job.abort", "job=%s reason=%s", j->id.z, LOG_QUOTED(reason));
    if (j->parser)
        stdio_set_abort(j->parser, j->abort_at);
    follow_row(j, "Aborting job on server");
    if (j->stage == STAGE_RUNNING)
        abort_store(j, true);
    else
        act(j);
}

void kill_resume(struct sat_job *j, yyjson_val *abort)
{
    const struct str reason = json_str(abort, "reason");

    j->abort_reason = strndup(reason.p ? reason.p : "", reason.n);
    j->abort_at = (Usec)json_i64(abort, "at", 0);
    if (j->parser)
        stdio_set_abort(j->parser, j->abort_at);
    j->offset_high = (uint64_t)json_i64(abort, "offset", 0);
    j->meta_high = (uint32_t)json_i64(abort, "metas", 0);
    follow_take_rows(j, json_get(abort, "rows"));
    if (j->stage != STAGE_RUNNING || j->kill == KILL_NONE)
        finish_begin(j, NULL, NULL);
}

void kill_tick(struct sat_job *j, Usec now)
{
    if (!j->abort_reason || j->stage != STAGE_RUNNING || j->killing || j->kill == KILL_NONE)
        return;
    if (!j->kill_armed)
        kill_post(j, SIGTERM);
    else if (now >= j->kill_due)
        kill_post(j, SIGKILL);
}
