/* The end of a job (reference/satellite.md 24, 25): its output files go up one after the other, the
 * result is written to final.json and delivered until the conductor has it. With our conductor
 * delivery is a message on the link after all of the log, answered by job_done; with a plain one it
 * is the POST of finish_job.
 *
 * What was uploaded is on disk (files.json, durable) before the next file starts, so a restart goes
 * on where it was. final.json is only written for a result that the stream alone does not give
 * (end_given). */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/log.h"
#include "crypto/crypto.h"
#include "sat/prepare.h"
#include "sat/runner_int.h"

static char *dup_text(struct str s)
{
    return strndup(s.p ? s.p : "", s.n);
}

static char *quote_text(const char *z)
{
    AUTO_BUF struct buf text = { 0 };
    struct json_writer w;

    buf_init(&text, 65536);
    w = json_writer_init(&text);
    json_put_z(&w, NULL, z);
    return buf_take(&text, NULL);
}

/* The result */

void put_usage(struct json_writer *w, const char *key, const struct usage *u)
{
    if (u->count == 0)
        return;
    json_obj(w, key);
    json_put_double(w, "min", u->min);
    json_put_double(w, "max", u->max);
    json_put_double(w, "total", u->total);
    json_put_u64(w, "count", u->count);
    json_put_double(w, "current", u->current);
    json_end(w);
}

static void put_result(const struct sat_job *j, struct json_writer *w, const char *key)
{
    const struct stdio_state *s = j->parser ? stdio_state(j->parser) : NULL;
    yyjson_val *done = json_get(yyjson_doc_get_root(j->files), "done");

    json_obj(w, key);
    json_put_str(w, "id", id_str(&j->id));
    json_put_z(w, "state", "complete");
    json_put_bool(w, "complete", true);
    json_put_i64(w, "progress", 1);
    json_put_i64(w, "pid", s && s->started ? s->pid : 0);
    json_put_raw(w, "code", str_z(j->end_code));
    json_put_raw(w, "description", str_z(j->end_text));
    if (j->parser)
        stdio_put_fields(j->parser, w);
    put_usage(w, "cpu", &j->cpu);
    put_usage(w, "mem", &j->mem);
    if (!j->runner_job) {
        if (done)
            json_put_val(w, "files", done);
        else
            json_put_raw(w, "files", STR("[]"));
    }
    json_put_u64(w, "log_size", j->final_log);
    json_end(w);
}

struct final_work {
    struct job_work base;
    struct buf text;
};

static void final_do(struct lane_work *work)
{
    struct final_work *w = CONTAINER_OF(work, struct final_work, base.work);
    const struct sat_job *j = w->base.job;

    w->base.status = spool_put(job_spool(j), id_str(&j->id), "final.json", buf_str(&w->text), false,
                               &w->base.err);
}

static void entered_ended(struct sat_job *j)
{
    j->stage = STAGE_ENDED;
    json_doc_free(j->files);
    j->files = NULL;
    log_event(LOG_INFO, "job.ended", "job=%s code=%s log=%llu", j->id.z,
              j->end_code ? j->end_code : "-", (unsigned long long)j->final_log);
    follow_ended(j);
}

static void final_back(struct lane_work *work)
{
    struct final_work *w = CONTAINER_OF(work, struct final_work, base.work);
    struct sat_job *j = w->base.job;

    if (job_back(&w->base)) {
        if (w->base.status) /* it is in memory, and can be made again */
            log_event(LOG_ERROR, "job.final_not_stored", "job=%s reason=%s", j->id.z,
                      LOG_QUOTED(str_z(w->base.err.text)));
        entered_ended(j);
    }
    buf_done(&w->text);
    free(w);
}

/* Everything is known: the record goes into j->final and to the disk. */
static void final_start(struct sat_job *j)
{
    struct final_work *f = calloc(1, sizeof(*f));
    AUTO_BUF struct buf result = { 0 };
    struct json_writer w;

    if (!f)
        return;
    j->stream_end = j->offset;
    j->final_log = j->log_pos;
    j->final_metas = follow_last_row(j);
    j->final_pushes = j->parser ? stdio_pushes(j->parser) : 0;
    buf_init(&result, SPOOL_FILE_MAX);
    w = json_writer_init(&result);
    put_result(j, &w, NULL);
    free(j->final);
    j->final = buf_take(&result, NULL);
    if (j->final && !j->end_given) { /* the stream says it all, and will say it again */
        free(f);
        entered_ended(j);
        return;
    }
    buf_init(&f->text, SPOOL_FILE_MAX);
    w = json_writer_init(&f->text);
    json_obj(&w, NULL);
    json_put_u64(&w, "stream_end", j->stream_end);
    json_put_u64(&w, "log_size", j->final_log);
    json_put_u64(&w, "metas", j->final_metas);
    json_put_u64(&w, "pushes", j->final_pushes);
    follow_put_rows(j, &w);
    json_put_raw(&w, "job", str_z(j->final ? j->final : "null"));
    json_end(&w);
    if (!j->final || job_post(j, &f->base, final_do, final_back) != STATUS_OK) {
        buf_done(&f->text);
        free(f);
    }
}

void finish_resume(struct sat_job *j, yyjson_val *final)
{
    AUTO_BUF struct buf text = { 0 };

    buf_init(&text, SPOOL_FILE_MAX);
    if (json_text(json_get(final, "job"), false, &text) == STATUS_OK)
        j->final = buf_take(&text, NULL);
    j->stream_end = (uint64_t)json_i64(final, "stream_end", 0);
    j->final_log = (uint64_t)json_i64(final, "log_size", 0);
    j->final_metas = (uint32_t)json_i64(final, "metas", 0);
    j->final_pushes = (uint32_t)json_i64(final, "pushes", 0);
    follow_take_rows(j, json_get(final, "rows"));
    j->stage = STAGE_ENDED;
    j->offset_high = j->stream_end; /* rows wait until everything before them was read again */
    j->meta_high = j->final_metas;
    j->behind = true;
}

/* Delivery to a plain conductor */

static void posted(void *arg, const struct http_result *res)
{
    struct sat_job *j = arg;
    struct job_work fake = { .job = j };
    AUTO(json_doc_free) yyjson_doc *doc = NULL;
    char reason[256];

    j->exchange = NULL;
    transfer_end(j);
    if (!job_back(&fake))
        return;
    if (res->status == STATUS_OK && json_parse(res->body, JSON_SIZE_MAX, &doc, NULL) != STATUS_OK)
        doc = NULL;
    if (transfer_judge(res, yyjson_doc_get_root(doc), reason, sizeof(reason)) == 0) {
        finish_forget(j);
        return;
    }
    j->tries++;
    log_event(LOG_WARN, "job.not_delivered", "job=%s tries=%u reason=%s", j->id.z, j->tries,
              LOG_QUOTED(str_z(reason)));
    j->retry_at = loop_now_mono(j->runner->sat->loop) + USEC_SEC;
}

static bool post(struct sat_job *j, const char *method, const char *path, struct buf *body,
                 HttpDoneFn fn)
{
    struct sat *s = j->runner->sat;
    struct err err = { 0 };
    struct http_client *http = sat_http(s, link_is_secure(s->link), &err);
    char url[512];
    struct http_call call = { .method = method, .url = url };

    if (!http || !transfer_begin(j))
        return false;
    (void)snprintf(url, sizeof(url), "%s%s", link_base_url(s->link), path);
    if (body) {
        call.body = buf_str(body);
        call.content_type = "application/json";
    }
    if (http_client_start(http, &call, fn, j, &j->exchange, &err) != STATUS_OK) {
        transfer_end(j);
        j->retry_at = loop_now_mono(s->loop) + USEC_SEC;
        return false;
    }
    j->busy++;
    return true;
}

static void post_result(struct sat_job *j)
{
    struct sat *s = j->runner->sat;
    char digest[CRYPTO_SHA256_HEX + 1];
    AUTO_BUF struct buf body = { 0 };
    struct json_writer w;

    buf_init(&body, SPOOL_FILE_MAX);
    w = json_writer_init(&body);
    json_obj(&w, NULL);
    json_put_str(&w, "id", id_str(&j->id));
    if (s->config.auth_token.p)
        json_put_str(&w, "server", s->config.server_id);
    json_put_str(&w, "auth", job_auth(j, digest));
    json_put_raw(&w, "job", str_z(j->final));
    json_end(&w);
    (void)post(j, "POST", "/api/app/finish_job", &body, posted);
}

static void healthy(void *arg, const struct http_result *res)
{
    struct sat_job *j = arg;
    struct job_work fake = { .job = j };
    AUTO(json_doc_free) yyjson_doc *doc = NULL;

    j->exchange = NULL;
    transfer_end(j);
    if (!job_back(&fake))
        return;
    if (res->status == STATUS_OK && res->code == 200 &&
        json_parse(res->body, JSON_SIZE_MAX, &doc, NULL) == STATUS_OK &&
        json_truthy(json_get(yyjson_doc_get_root(doc), "master")) &&
        link_ready(j->runner->sat->link))
        post_result(j);
    else
        j->retry_at = loop_now_mono(j->runner->sat->loop) + USEC_SEC;
}

/* Delivery */

static void send_result(struct sat_job *j)
{
    AUTO_BUF struct buf frame = { 0 };
    struct json_writer w;

    buf_init(&frame, SAT_MESSAGE_MAX);
    w = wire_begin(&frame, WIRE_JOBS);
    json_put_raw(&w, j->id.z, str_z(j->final));
    wire_end(&w);
    j->final_sent = link_send(j->runner->sat->link, &frame);
}

void finish_seeked(struct sat_job *j)
{
    follow_rows_send(j);
    finish_step(j);
}

static void deliver(struct sat_job *j)
{
    struct link *link = j->runner->sat->link;

    if (!link_ready(link) || !j->seeked || j->final_sent || !j->final ||
        j->offset < j->stream_end || j->exchange || j->forgetting)
        return;
    if (link_exact(link)) {
        send_result(j);
    } else if (link_finish_by_http(link)) {
        if (j->retry_at <= loop_now_mono(j->runner->sat->loop))
            (void)post(j, "GET", "/health", NULL, healthy);
    } else {
        send_result(j);
        finish_forget(j); /* the old way: there is no answer */
    }
}

void finish_step(struct sat_job *j)
{
    if (j->stage == STAGE_ENDED) {
        deliver(j);
        return;
    }
    if (j->stage != STAGE_FINISHING || j->busy > 0)
        return;
    if (!j->files)
        upload_collect(j);
    else if (!upload_pending(j))
        final_start(j);
    else if (link_ready(j->runner->sat->link) && j->retry_at <= loop_now_mono(j->runner->sat->loop))
        upload_next(j);
}

/* Beginning of the end */

static void send_finishing(struct sat_job *j)
{
    struct buf frame;
    struct json_writer w;

    if (!link_ready(j->runner->sat->link) || !j->seeked)
        return;
    follow_changes(j, true);
    w = job_frame_begin(j, &frame, "finishing");
    json_put_bool(&w, "complete", true);
    json_put_i64(&w, "progress", 1);
    json_put_raw(&w, "code", str_z(j->end_code));
    json_put_raw(&w, "description", str_z(j->end_text));
    (void)job_frame_send(j, &w, &frame);
    buf_done(&frame);
}

void finish_change(struct sat_job *j, const char *code, const char *description)
{
    j->end_given = true;
    free(j->end_code);
    free(j->end_text);
    j->end_code = strdup(code);
    j->end_text = quote_text(description);
}

void finish_begin(struct sat_job *j, const char *code, const char *description)
{
    if (j->stage == STAGE_FINISHING || j->stage == STAGE_ENDED)
        return;
    j->end_given = j->abort_reason || code || !j->parser;
    if (j->abort_reason) {
        j->end_code = strdup("\"abort\"");
        j->end_text = quote_text(j->abort_reason);
    } else if (code || !j->parser) {
        j->end_code = strdup(code ? code : "1");
        j->end_text = quote_text(description ? description : "");
    } else {
        j->end_code = dup_text(stdio_code(j->parser));
        j->end_text = dup_text(stdio_description(j->parser));
    }
    if (!j->end_code || !j->end_text) {
        log_event(LOG_ERROR, "job.no_memory", "job=%s", j->id.z);
        sat_exit(j->runner->sat, 1); /* everything is in the spool */
        return;
    }
    list_remove(&j->waiting);
    list_remove(&j->queued);
    j->tries = 0;
    j->retry_at = 0;
    j->stage = STAGE_FINISHING;
    follow_row(j, "Job is finishing");
    send_finishing(j);
    finish_step(j);
}

/* job_done */

static void forget_do(struct lane_work *work)
{
    struct job_work *w = CONTAINER_OF(work, struct job_work, work);
    const struct sat_job *j = w->job;
    char path[SPOOL_PATH_MAX];

    spool_forget(job_spool(j), id_str(&j->id));
    if (job_cwd(j, path) == STATUS_OK)
        (void)!file_remove_tree(path, NULL);
    job_log_file(j, path);
    (void)unlink(path);
}

static void forget_back(struct lane_work *work)
{
    struct job_work *w = CONTAINER_OF(work, struct job_work, work);
    struct sat_job *j = w->job;

    if (job_back(w))
        job_remove(j);
    free(w);
}

void finish_discard(struct sat_job *j)
{
    struct job_work *w = j->forgetting ? NULL : calloc(1, sizeof(*w));

    if (!w)
        return;
    intents_remove(j->runner->intents, id_str(&j->id));
    if (job_post(j, w, forget_do, forget_back) == STATUS_OK)
        j->forgetting = true;
    else
        free(w);
}

void finish_forget(struct sat_job *j)
{
    if (j->stage == STAGE_ENDED)
        finish_discard(j);
}
