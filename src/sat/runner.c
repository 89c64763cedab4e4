/* The table of jobs: messages of the conductor that concern jobs, start-up from the spool, and the
 * works on lanes. What happens to one job is in the files that runner_int.h lists. */
#include "sat/runner_int.h"

#include <inttypes.h>

#include "base/file.h"
#include "base/log.h"
#include "crypto/crypto.h"
#include "sat/prepare.h"

/* Works on lanes */

Status job_post(struct sat_job *j, struct job_work *w, LaneWorkFn work, LaneWorkFn done)
{
    Status st;

    w->work = (struct lane_work){ .work = work, .done = done };
    w->job = j;
    st = lane_post(j->runner->sat->disk, &w->work);
    if (!st)
        j->busy++;
    return st;
}

static void job_free(struct sat_job *j);

bool job_back(struct job_work *w)
{
    struct sat_job *j = w->job;

    j->busy--;
    if (!j->gone)
        return true;
    if (j->busy == 0)
        job_free(j);
    return false;
}

/* Jobs */

static void inputs_free(struct sat_job *j)
{
    for (size_t i = 0; i < j->n_inputs; i++) {
        free(j->inputs[i].name);
        free(j->inputs[i].path);
    }
    free(j->inputs);
    j->inputs = NULL;
    j->n_inputs = 0;
}

static void job_free(struct sat_job *j)
{
    inputs_free(j);
    for (size_t i = 0; i < j->n_rows; i++)
        free(j->rows[i].text);
    free(j->rows);
    stdio_free(j->parser);
    free(j->program);
    free(j->pass);
    free(j->base_url);
    free(j->abort_reason);
    free(j->setup_error);
    report_done(j);
    free(j->end_code);
    free(j->end_text);
    json_doc_free(j->files);
    free(j->final);
    free(j);
}

struct sat_job *job_new(struct runner *r, struct str id)
{
    struct sat_job *j = calloc(1, sizeof(*j));

    if (!j)
        return NULL;
    j->runner = r;
    j->wd = -1;
    j->meta_next = 1;
    list_init(&j->ready);
    list_init(&j->queued);
    list_init(&j->waiting);
    if (!id_from_str(id, &j->id) || map_put(&r->jobs, id_str(&j->id), j, NULL) != STATUS_OK) {
        free(j);
        return NULL;
    }
    return j;
}

struct sat_job *job_get(const struct runner *r, struct str id)
{
    return map_get(&r->jobs, id);
}

void job_remove(struct sat_job *j)
{
    struct runner *r = j->runner;

    (void)map_del(&r->jobs, id_str(&j->id));
    if (j->wd >= 0) {
        (void)map_del(&r->by_wd, str_n(&j->wd, sizeof(j->wd)));
        watch_remove(r->watch, j->wd);
    }
    list_remove(&j->ready);
    list_remove(&j->queued);
    list_remove(&j->waiting);
    j->gone = true;
    if (j->exchange)
        http_exchange_cancel(j->exchange);
    else if (j->busy == 0)
        job_free(j);
}

const char *job_spool(const struct sat_job *j)
{
    return j->runner->sat->spool;
}

Status job_cwd(const struct sat_job *j, char out[SPOOL_PATH_MAX])
{
    const int n = snprintf(out, SPOOL_PATH_MAX, "%s/jobs/%s", j->runner->sat->temp, j->id.z);

    return n > 0 && n < (int)SPOOL_PATH_MAX ? STATUS_OK : STATUS_TOO_BIG;
}

void job_log_file(const struct sat_job *j, char out[SPOOL_PATH_MAX])
{
    (void)snprintf(out, SPOOL_PATH_MAX, "%s/logs/jobs/job-%s.log", j->runner->sat->home, j->id.z);
}

/* Facts of the launch */

static char *dup_str(struct str s)
{
    return strndup(s.p ? s.p : "", s.n);
}

static bool take_inputs(struct sat_job *j, yyjson_val *files)
{
    const size_t n = yyjson_arr_size(files);
    size_t i, max;
    yyjson_val *v;

    inputs_free(j);
    if (n == 0 || j->runner_job)
        return true;
    j->inputs = calloc(n, sizeof(*j->inputs));
    if (!j->inputs)
        return false;
    yyjson_arr_foreach (files, i, max, v) {
        struct input_file *f = &j->inputs[j->n_inputs];

        if (!json_str(v, "path").n)
            continue;
        f->name = dup_str(json_str(v, "filename"));
        f->path = dup_str(json_str(v, "path"));
        f->size = json_i64(v, "size", 0);
        j->n_inputs++;
        if (!f->name || !f->path)
            return false;
    }
    return true;
}

static bool take_pass(struct sat_job *j, yyjson_val *params, yyjson_val *input)
{
    yyjson_val *data = json_get(input, "data");
    AUTO_BUF struct buf text = { 0 };

    if (!j->shell || !json_truthy(json_get(params, "pass")) || yyjson_obj_size(data) == 0)
        return true;
    buf_init(&text, STDIO_FIELD_MAX);
    if (json_text(data, false, &text) != STATUS_OK)
        return true; /* too large to be passed on */
    j->pass = buf_take(&text, NULL);
    return j->pass != NULL;
}

bool job_take_launch(struct sat_job *j, yyjson_val *launch)
{
    yyjson_val *job = json_get(launch, "job");
    yyjson_val *input = json_at(launch, "details.input");
    yyjson_val *params = json_get(job, "params");
    struct str command = str_trim(json_str(job, "command"));
    const struct str kill = json_str(job, "kill");
    size_t end = 0;

    if (!yyjson_is_obj(input))
        input = json_get(job, "input");
    j->kill = str_eq_z(kill, "all") ? KILL_ALL : str_eq_z(kill, "none") ? KILL_NONE : KILL_PARENT;
    j->runner_job = json_truthy(json_get(job, "runner"));
    j->shell = prepare_kind(job) == COMMAND_SHELL;
    j->annotate = j->shell && json_truthy(json_get(params, "annotate"));
    while (end < command.n && command.p[end] != ' ' && command.p[end] != '\t')
        end++;
    j->program = dup_str(str_slice(command, 0, end));
    return j->program && take_pass(j, params, input) && take_inputs(j, json_get(input, "files"));
}

/* Frames */

struct json_writer job_frame_begin(const struct sat_job *j, struct buf *frame, const char *state)
{
    struct json_writer w;
    const struct stdio_state *s = j->parser ? stdio_state(j->parser) : NULL;

    buf_init(frame, SAT_MESSAGE_MAX);
    w = wire_begin(frame, WIRE_JOBS);
    json_obj_k(&w, id_str(&j->id));
    json_put_str(&w, "id", id_str(&j->id));
    json_put_z(&w, "state", state);
    if (s && s->started)
        json_put_i64(&w, "pid", s->pid);
    return w;
}

bool job_frame_send(struct sat_job *j, struct json_writer *w, struct buf *frame)
{
    json_end(w);
    wire_end(w);
    return link_send(j->runner->sat->link, frame);
}

/* Transfers */

bool transfer_begin(struct sat_job *j)
{
    struct runner *r = j->runner;

    if (r->transfers < RUNNER_TRANSFERS_MAX) {
        r->transfers++;
        return true;
    }
    if (list_empty(&j->queued))
        list_push(&r->transfer_queue, &j->queued);
    return false;
}

void transfer_end(struct sat_job *j)
{
    struct runner *r = j->runner;
    struct list *next = r->transfer_queue.next;

    r->transfers--;
    if (next == &r->transfer_queue)
        return;
    list_remove(next);
    job_step(CONTAINER_OF(next, struct sat_job, queued));
}

void job_step(struct sat_job *j)
{
    switch (j->stage) {
    case STAGE_STORING:
        break;
    case STAGE_FETCHING:
    case STAGE_PREPARING:
    case STAGE_READY:
        launch_step(j);
        break;
    case STAGE_RUNNING:
        break;
    case STAGE_FINISHING:
    case STAGE_ENDED:
        finish_step(j);
        break;
    }
}

/* Messages */

static void send_ids(struct runner *r, enum wire_kind kind, const struct sat_job *only)
{
    AUTO_BUF struct buf frame = { 0 };
    struct json_writer w;
    size_t cursor = 0;
    void *item;

    buf_init(&frame, SAT_MESSAGE_MAX);
    w = wire_begin(&frame, kind);
    json_arr(&w, kind == WIRE_JOB_ACCEPTED ? "ids" : "jobs");
    if (only)
        json_put_str(&w, NULL, id_str(&only->id));
    while (!only && map_next(&r->jobs, &cursor, NULL, &item)) {
        const struct sat_job *j = item;

        if (j->stage == STAGE_STORING || j->forgetting)
            continue;
        json_obj(&w, NULL);
        json_put_str(&w, "id", id_str(&j->id));
        json_put_z(&w, "state", j->stage == STAGE_ENDED ? "done" : "running");
        json_end(&w);
    }
    json_end(&w);
    wire_end(&w);
    (void)link_send(r->sat->link, &frame);
}

void launch_accepted(struct sat_job *j)
{
    if (link_ready(j->runner->sat->link) && link_exact(j->runner->sat->link))
        send_ids(j->runner, WIRE_JOB_ACCEPTED, j);
}

/* A launch that cannot even be stored: it ends at once. */
void runner_refuse(struct runner *r, struct str id, const char *why)
{
    AUTO_BUF struct buf frame = { 0 };
    struct json_writer w;

    log_event(LOG_WARN, "job.refused", "job=%.*s reason=%s", STR_FMT(id), LOG_QUOTED(str_z(why)));
    buf_init(&frame, 8192);
    w = wire_begin(&frame, WIRE_JOBS);
    json_obj_k(&w, id);
    json_put_str(&w, "id", id);
    json_put_z(&w, "state", "complete");
    json_put_bool(&w, "complete", true);
    json_put_i64(&w, "progress", 1);
    json_put_i64(&w, "pid", 0);
    json_put_i64(&w, "code", 1);
    json_put_z(&w, "description", why);
    if (link_exact(r->sat->link))
        json_put_i64(&w, "log_size", 0);
    json_end(&w);
    wire_end(&w);
    (void)link_send(r->sat->link, &frame);
}

void runner_launch(struct runner *r, yyjson_val *data)
{
    const struct str id = json_str(json_get(data, "job"), "id");
    struct sat_job *j;

    if (!str_is_word(id) || id.n > ID_MAX) {
        log_event(LOG_WARN, "job.bad_launch", "id=%s", LOG_QUOTED(id));
        return;
    }
    j = job_get(r, id);
    if (j) {
        if (j->stage != STAGE_STORING)
            launch_accepted(j);
        return;
    }
    if (sat_refuses(r->sat)) {
        runner_refuse(r, id, "Setup Error: Server is shutting down. Job cannot launch.");
        return;
    }
    j = r->jobs.n < SPOOL_JOBS_MAX ? job_new(r, id) : NULL;
    if (!j) {
        runner_refuse(r, id, "Setup Error: The satellite has too many jobs.");
        return;
    }
    launch_store(j, data);
}

void runner_abort(struct runner *r, yyjson_val *data)
{
    struct sat_job *j = job_get(r, json_str(data, "id"));

    if (!j)
        log_event(LOG_INFO, "job.abort_unknown", "job=%s", LOG_QUOTED(json_str(data, "id")));
    else
        kill_abort(j, json_str(data, "reason"));
}

void runner_abort_all(struct runner *r, const char *reason)
{
    size_t cursor = 0;
    void *item;

    while (map_next(&r->jobs, &cursor, NULL, &item))
        kill_abort(item, str_z(reason));
}

static uint64_t position(yyjson_val *data, const char *key)
{
    const int64_t v = json_i64(data, key, 0);

    return v > 0 ? (uint64_t)v : 0;
}

void runner_seek(struct runner *r, yyjson_val *data)
{
    struct sat_job *j = job_get(r, json_str(data, "id"));
    const uint64_t meta = position(data, "meta");
    uint64_t push;

    if (!j || j->stage == STAGE_STORING)
        return;
    push = json_get(data, "push") ? position(data, "push") : j->push_sent;
    if (!follow_seek(j, position(data, "pos"), meta > UINT32_MAX ? UINT32_MAX : (uint32_t)meta,
                     push > UINT32_MAX ? UINT32_MAX : (uint32_t)push))
        log_event(LOG_ERROR, "job.no_memory", "job=%s", j->id.z);
}

void runner_done(struct runner *r, yyjson_val *data)
{
    size_t i, max;
    yyjson_val *v;

    yyjson_arr_foreach (json_get(data, "ids"), i, max, v) {
        struct sat_job *j = job_get(r, json_val_str(v));

        if (j && j->stage == STAGE_ENDED)
            finish_forget(j);
        else if (j &&
                 j->stage != STAGE_STORING) /* given up; its end is wanted, what it says is not */
            (void)follow_seek(j, UINT64_MAX / 2, UINT32_MAX, UINT32_MAX);
    }
}

void runner_joined(struct runner *r)
{
    const bool exact = link_exact(r->sat->link);
    size_t cursor = 0;
    void *item;

    while (map_next(&r->jobs, &cursor, NULL, &item)) {
        struct sat_job *j = item;

        j->seeked = !exact;
        j->final_sent = false;
        j->retry_at = 0;
    }
    if (exact)
        send_ids(r, WIRE_JOB_INVENTORY, NULL);
    cursor = 0;
    while (map_next(&r->jobs, &cursor, NULL, &item)) {
        struct sat_job *j = item;

        if (j->stage == STAGE_RUNNING &&
            !exact) /* rows of ours must come again after a restart; this one cannot */
            follow_row(j, "Reconnected to conductor server: %s", link_base_url(r->sat->link));
        if (j->parser)
            stdio_redeliver(j->parser);
        if (!exact) {
            follow_rows_number(j);
            follow_read(j);
        }
        job_step(j);
    }
}

void runner_left(struct runner *r)
{
    size_t cursor = 0;
    void *item;

    while (map_next(&r->jobs, &cursor, NULL, &item))
        ((struct sat_job *)item)->seeked = false;
}

void runner_drained(struct runner *r)
{
    follow_pump(r);
}

void runner_scripts_ready(struct runner *r)
{
    while (!list_empty(&r->waiting)) {
        struct sat_job *j = CONTAINER_OF(r->waiting.next, struct sat_job, waiting);

        list_remove(&j->waiting);
        job_step(j);
    }
}

size_t runner_count(const struct runner *r)
{
    return r->jobs.n;
}

size_t runner_active(const struct runner *r)
{
    size_t cursor = 0;
    size_t n = 0;
    void *item;

    while (map_next(&r->jobs, &cursor, NULL, &item))
        n += ((struct sat_job *)item)->stage != STAGE_ENDED;
    return n;
}

/* Time */

static void pulse(void *arg)
{
    struct runner *r = arg;
    const Usec now = loop_now_mono(r->sat->loop);
    size_t cursor = 0;
    void *item;

    while (map_next(&r->jobs, &cursor, NULL, &item))
        follow_pulse(item, now);
    follow_pump(r);
}

void runner_pulse(struct runner *r)
{
    if (!loop_timer_active(r->pulse))
        loop_timer_start(r->pulse, RUNNER_PULSE, 0);
}

void runner_tick(struct runner *r, Usec now)
{
    size_t cursor = 0;
    void *item;

    while (map_next(&r->jobs, &cursor, NULL, &item)) {
        struct sat_job *j = item;

        kill_tick(j, now);
        if (j->retry_at <= now)
            job_step(j);
        if (j->stage == STAGE_RUNNING && (j->wd < 0 || now - j->last_read >= RUNNER_IDLE_LOOK))
            follow_read(j);
    }
    report_tick(r, now);
    follow_pump(r);
}

static void on_watch(void *ctx, int wd, bool closed)
{
    struct runner *r = ctx;
    struct sat_job *j = map_get(&r->by_wd, str_n(&wd, sizeof(wd)));

    if (!j)
        return;
    if (closed || loop_now_mono(r->sat->loop) - j->last_read >= RUNNER_BATCH) {
        follow_read(j);
    } else if (!j->read_later) {
        j->read_later = true;
        runner_pulse(r);
    }
}

/* Start */

/* {boot, base_url, launch} read back. False: it is of no use. */
static bool recover_launch(struct sat_job *j, char boot[SPOOL_BOOT_MAX])
{
    AUTO(json_doc_free) yyjson_doc *doc = NULL;
    AUTO_BUF struct buf text = { 0 };
    yyjson_val *root;

    buf_init(&text, SPOOL_FILE_MAX);
    if (spool_get(job_spool(j), id_str(&j->id), "launch.json", &text, NULL) != STATUS_OK ||
        json_parse(buf_str(&text), SPOOL_FILE_MAX, &doc, NULL) != STATUS_OK)
        return false;
    root = yyjson_doc_get_root(doc);
    (void)str_copy_z(json_str(root, "boot"), boot, SPOOL_BOOT_MAX);
    j->base_url = dup_str(json_str(root, "base_url"));
    return j->base_url && job_take_launch(j, json_get(root, "launch"));
}

static yyjson_doc *recover_doc(const struct sat_job *j, const char *name)
{
    AUTO_BUF struct buf text = { 0 };
    yyjson_doc *doc = NULL;

    buf_init(&text, SPOOL_FILE_MAX);
    if (spool_get(job_spool(j), id_str(&j->id), name, &text, NULL) != STATUS_OK ||
        json_parse(buf_str(&text), SPOOL_FILE_MAX, &doc, NULL) != STATUS_OK)
        return NULL;
    return doc;
}

static uint32_t recover_pushes(const struct sat_job *j)
{
    AUTO_BUF struct buf text = { 0 };
    uint64_t n = 0;

    buf_init(&text, 64);
    if (spool_get(job_spool(j), id_str(&j->id), "pushes", &text, NULL) == STATUS_OK &&
        str_to_u64(str_trim(buf_str(&text)), &n) && n <= UINT32_MAX)
        return (uint32_t)n;
    return 0;
}

/* The rows that were written while the input files came. */
static void recover_input_rows(struct sat_job *j)
{
    for (size_t i = 0; i < j->n_inputs; i++) {
        AUTO_BUF struct buf text = { 0 };

        buf_init(&text, 1024);
        (void)buf_printf(&text, "Downloading file: %s (%" PRId64 " bytes)", j->inputs[i].name,
                         j->inputs[i].size);
        follow_add_row(j, (uint32_t)i + 1, buf_str(&text));
    }
}

static void recover_job(void *ctx, struct str id)
{
    struct runner *r = ctx;
    struct sat_job *j = id.n <= ID_MAX ? job_new(r, id) : NULL;
    AUTO(json_doc_free) yyjson_doc *final = NULL;
    AUTO(json_doc_free) yyjson_doc *abort = NULL;
    char boot[SPOOL_BOOT_MAX] = "";
    char cwd[SPOOL_PATH_MAX];

    if (!j)
        return;
    if (!intents_has(r->intents, id)) {
        spool_forget(r->sat->spool, id); /* never accepted, or over */
        if (job_cwd(j, cwd) == STATUS_OK)
            (void)!file_remove_tree(cwd, NULL);
        job_remove(j);
        return;
    }
    if (!recover_launch(j, boot)) {
        log_event(LOG_ERROR, "job.unreadable", "job=%s", j->id.z);
        finish_begin(j, "1", "Supervisor of the job was lost.");
        return;
    }
    j->push_sent = recover_pushes(j);
    final = recover_doc(j, "final.json");
    abort = recover_doc(j, "abort.json");
    log_event(LOG_INFO, "job.recovered", "job=%s final=%d abort=%d", j->id.z, final != NULL,
              abort != NULL);
    if (final) {
        finish_resume(j, yyjson_doc_get_root(final));
        return;
    }
    j->stage = STAGE_FETCHING;
    if (spool_has(job_spool(j), id, "stream")) {
        recover_input_rows(j);
        follow_start(j, false);
    }
    if (j->stage == STAGE_FETCHING && job_cwd(j, cwd) == STATUS_OK)
        (void)!file_mkdirs(cwd, 0755, NULL);
    if (abort)
        kill_resume(j, yyjson_doc_get_root(abort));
    if (j->stage == STAGE_FETCHING && !abort && strcmp(boot, r->boot) != 0)
        finish_begin(j, "1", "Supervisor of the job was lost.");
    else if (j->stage == STAGE_FETCHING && !abort)
        job_step(j);
}

/* Accepted, and the folder did not survive: a power failure. */
static void recover_lost(void *ctx, struct str id)
{
    struct runner *r = ctx;
    struct sat_job *j = job_get(r, id) ? NULL : job_new(r, id);
    char folder[SPOOL_PATH_MAX];

    if (!j)
        return;
    log_event(LOG_ERROR, "job.lost", "job=%s", j->id.z);
    if (spool_path(r->sat->spool, id, NULL, folder))
        (void)!file_mkdirs(folder, 0711, NULL);
    finish_begin(j, "1", "Supervisor of the job was lost.");
}

struct runner *runner_new(struct sat *s, struct err *err)
{
    struct runner *r = calloc(1, sizeof(*r));

    if (!r) {
        (void)!err_set(err, STATUS_NOMEM, NULL, "out of memory");
        return NULL;
    }
    r->sat = s;
    s->runner = r;
    map_init(&r->jobs, crypto_random_u64());
    map_init(&r->by_wd, crypto_random_u64());
    list_init(&r->ready);
    list_init(&r->transfer_queue);
    list_init(&r->waiting);
    id_source_init(&r->ids, crypto_random_u64());
    buf_init(&r->text, WIRE_LOG_TEXT_MAX);
    spool_boot_id(r->boot);
    r->pulse = loop_timer_new(s->loop, "runner.pulse", pulse, r);
    r->watch = watch_new(s->loop, on_watch, r, err);
    r->intents = r->pulse && r->watch ? intents_open(s, err) : NULL;
    if (!r->intents || spool_scan(s->spool, recover_job, r, err) != STATUS_OK) {
        runner_free(r);
        s->runner = NULL;
        return NULL;
    }
    intents_each(r->intents, recover_lost, r);
    return r;
}

void runner_free(struct runner *r)
{
    size_t cursor = 0;
    void *item;

    if (!r)
        return;
    while (map_next(&r->jobs, &cursor, NULL, &item))
        job_remove(item);
    map_done(&r->jobs);
    map_done(&r->by_wd);
    intents_close(r->intents);
    buf_done(&r->text);
    loop_timer_free(r->pulse);
    watch_free(r->watch);
    free(r);
}
