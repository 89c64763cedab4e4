/* The end of a job (reference/satellite.md 24, 25): its output files go up one after the other, the
 * result is written to final.json and delivered until the conductor has it. With our conductor
 * delivery is a message on the link after all of the log, answered by job_done; with a plain one it
 * is the POST of finish_job.
 *
 * What was uploaded is on disk (files.json, durable) before the next file starts, so a restart goes
 * on where it was. final.json itself is not synced: it can be made again from the stream. */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
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

/* Collecting: which files */

struct collect_work {
    struct job_work base;
    char *wanted;     /* JSON array: what the job named */
    struct buf files; /* JSON: {list, done} */
};

static void put_entry(struct json_writer *w, const char *path, struct str name, bool remove)
{
    json_obj(w, NULL);
    json_put_z(w, "path", path);
    json_put_str(w, "filename", name);
    json_put_bool(w, "delete", remove);
    json_end(w);
}

static bool is_file(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* One entry of job.files: a path or glob, [path, filename, delete] or {path, filename, delete}. */
static void collect_entry(struct json_writer *w, const char *cwd, yyjson_val *v, size_t *n)
{
    const bool array = yyjson_is_arr(v);
    const struct str path = yyjson_is_str(v) ? json_val_str(v)
                            : array          ? json_val_str(yyjson_arr_get(v, 0))
                                             : json_str(v, "path");
    const struct str name = array ? json_val_str(yyjson_arr_get(v, 1)) : json_str(v, "filename");
    const bool remove = json_truthy(array ? yyjson_arr_get(v, 2) : json_get(v, "delete"));
    char pattern[SPOOL_PATH_MAX];
    glob_t found;
    const bool rooted = path.n && path.p[0] == '/';

    if (path.n == 0 || *n >= RUNNER_FILES_MAX ||
        snprintf(pattern, sizeof(pattern), "%s%s%.*s", rooted ? "" : cwd, rooted ? "" : "/",
                 STR_FMT(path)) >= (int)sizeof(pattern))
        return;
    if (name.n) {
        (*n)++;
        put_entry(w, pattern, name, remove);
        return;
    }
    if (glob(pattern, 0, NULL, &found) != 0)
        return;
    for (size_t i = 0; i < found.gl_pathc && *n < RUNNER_FILES_MAX; i++) {
        if (!is_file(found.gl_pathv[i]))
            continue;
        (*n)++;
        put_entry(w, found.gl_pathv[i], STR_NONE, remove);
    }
    globfree(&found);
}

static size_t collect_list(const struct sat_job *j, yyjson_val *wanted, struct json_writer *w)
{
    char cwd[SPOOL_PATH_MAX];
    char log_file[SPOOL_PATH_MAX];
    struct stat st;
    size_t n = 0;
    size_t i, max;
    yyjson_val *v;

    job_log_file(j, log_file);
    json_arr(w, "list");
    if (job_cwd(j, cwd) == STATUS_OK) {
        yyjson_arr_foreach (wanted, i, max, v)
            collect_entry(w, cwd, v, &n);
    }
    if (!j->runner_job && stat(log_file, &st) == 0 && st.st_size > 0) {
        n++;
        put_entry(w, log_file, STR_NONE, true);
    }
    json_end(w);
    return n;
}

static void collect_do(struct lane_work *work)
{
    struct collect_work *c = CONTAINER_OF(work, struct collect_work, base.work);
    const struct sat_job *j = c->base.job;
    AUTO(json_doc_free) yyjson_doc *doc = NULL;
    struct json_writer w;
    size_t n;

    buf_init(&c->files, SPOOL_FILE_MAX);
    if (spool_get(job_spool(j), id_str(&j->id), "files.json", &c->files, NULL) == STATUS_OK)
        return;
    buf_clear(&c->files);
    if (json_parse(str_z(c->wanted), STDIO_FIELD_MAX + 1, &doc, NULL) != STATUS_OK)
        doc = NULL;
    w = json_writer_init(&c->files);
    json_obj(&w, NULL);
    n = collect_list(j, yyjson_doc_get_root(doc), &w);
    json_arr(&w, "done");
    json_end(&w);
    json_end(&w);
    if (n)
        c->base.status = spool_put(job_spool(j), id_str(&j->id), "files.json", buf_str(&c->files),
                                   true, &c->base.err);
}

static void collect_free(struct collect_work *c)
{
    free(c->wanted);
    buf_done(&c->files);
    free(c);
}

static bool files_take(struct sat_job *j, struct str text)
{
    yyjson_doc *doc = NULL;

    if (json_parse(text, SPOOL_FILE_MAX, &doc, NULL) != STATUS_OK)
        return false;
    json_doc_free(j->files);
    j->files = doc;
    j->next_file = yyjson_arr_size(json_get(yyjson_doc_get_root(doc), "done"));
    return true;
}

static void collect_back(struct lane_work *work)
{
    struct collect_work *c = CONTAINER_OF(work, struct collect_work, base.work);
    struct sat_job *j = c->base.job;

    if (job_back(&c->base)) {
        if (c->base.status)
            log_event(LOG_ERROR, "job.files_not_stored", "job=%s reason=%s", j->id.z,
                      LOG_QUOTED(str_z(c->base.err.text)));
        if (!files_take(j, buf_str(&c->files)))
            (void)!files_take(j, STR("{\"list\":[],\"done\":[]}"));
        job_step(j);
    }
    collect_free(c);
}

static void collect_start(struct sat_job *j)
{
    struct collect_work *c = calloc(1, sizeof(*c));

    if (!c)
        return;
    c->wanted = dup_text(j->parser ? stdio_files(j->parser) : STR("[]"));
    if (!c->wanted || job_post(j, &c->base, collect_do, collect_back) != STATUS_OK)
        collect_free(c); /* the tick tries again */
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

/* Uploading */

static void upload_failed(struct sat_job *j, const char *name, const char *reason)
{
    char text[512];

    (void)snprintf(text, sizeof(text), "Failed to upload job file: %.100s: %.300s", name, reason);
    log_event(LOG_WARN, "job.upload_failed", "job=%s reason=%s", j->id.z, LOG_QUOTED(str_z(text)));
    free(j->end_code);
    free(j->end_text);
    j->end_code = strdup("\"upload\"");
    j->end_text = quote_text(text);
    (void)!files_take(j, STR("{\"list\":[],\"done\":[]}"));
    job_step(j);
}

static yyjson_val *upload_entry(const struct sat_job *j)
{
    return yyjson_arr_get(json_get(yyjson_doc_get_root(j->files), "list"), j->next_file);
}

static struct str upload_name(struct arena *a, yyjson_val *entry)
{
    const struct str name = json_str(entry, "filename");

    return prepare_upload_name(a, name.n ? name : json_str(entry, "path"));
}

struct record_work {
    struct job_work base;
    struct buf files;
    char *remove; /* local file, or NULL */
};

static void record_do(struct lane_work *work)
{
    struct record_work *w = CONTAINER_OF(work, struct record_work, base.work);
    const struct sat_job *j = w->base.job;

    w->base.status = spool_put(job_spool(j), id_str(&j->id), "files.json", buf_str(&w->files), true,
                               &w->base.err);
    if (!w->base.status && w->remove)
        (void)unlink(w->remove);
}

static void record_free(struct record_work *w)
{
    buf_done(&w->files);
    free(w->remove);
    free(w);
}

static void record_back(struct lane_work *work)
{
    struct record_work *w = CONTAINER_OF(work, struct record_work, base.work);
    struct sat_job *j = w->base.job;

    if (job_back(&w->base))
        job_step(j);
    record_free(w);
}

/* {id, date, filename, path, size, server, job} behind those that are there. */
static void record_put(const struct sat_job *j, struct buf *out, struct str name, yyjson_val *reply)
{
    struct runner *r = j->runner;
    yyjson_val *root = yyjson_doc_get_root(j->files);
    const Usec now = loop_now_wall(r->sat->loop);
    const Id id = id_new(&r->ids, "f", now);
    struct json_writer w = json_writer_init(out);
    size_t i, max;
    yyjson_val *v;

    json_obj(&w, NULL);
    json_put_val(&w, "list", json_get(root, "list"));
    json_arr(&w, "done");
    yyjson_arr_foreach (json_get(root, "done"), i, max, v)
        json_put_val(&w, NULL, v);
    json_obj(&w, NULL);
    json_put_str(&w, "id", id_str(&id));
    json_put_double(&w, "date", usec_to_epoch(now));
    json_put_str(&w, "filename", name);
    json_put_str(&w, "path", json_str(reply, "key"));
    json_put_i64(&w, "size", json_i64(reply, "size", 0));
    json_put_str(&w, "server", r->sat->config.server_id.p ? r->sat->config.server_id : STR(""));
    json_put_str(&w, "job", id_str(&j->id));
    json_end(&w);
    json_end(&w);
    json_end(&w);
}

static void upload_taken(struct sat_job *j, struct str name, yyjson_val *reply)
{
    struct record_work *w = calloc(1, sizeof(*w));
    yyjson_val *entry = upload_entry(j);

    j->tries = 0;
    if (!w)
        return; /* goes up once more */
    buf_init(&w->files, SPOOL_FILE_MAX);
    record_put(j, &w->files, name, reply);
    if (json_truthy(json_get(entry, "delete")))
        w->remove = dup_text(json_str(entry, "path"));
    if (!files_take(j, buf_str(&w->files)) ||
        job_post(j, &w->base, record_do, record_back) != STATUS_OK)
        record_free(w);
}

/* After `tries` failures; joining the conductor again does not count as one. */
static Usec backoff(const struct sat_job *j)
{
    const struct sat_config *c = &j->runner->sat->config;
    Usec delay = c->http.retry_delay;

    for (unsigned i = 1; i < j->tries && delay < c->http.retry_max; i++)
        delay *= 2;
    return delay > RUNNER_RETRY_MAX ? RUNNER_RETRY_MAX : delay;
}

static void upload_again(struct sat_job *j, const char *name, const char *reason)
{
    const struct sat *s = j->runner->sat;

    if (!link_ready(s->link))
        return;
    if (++j->tries > s->config.http.retries)
        upload_failed(j, name, reason);
    else
        j->retry_at = loop_now_mono(s->loop) + backoff(j);
}

/* What a reply says: 0 taken, 1 try again, -1 refused (reason says why). */
static int judge(const struct http_result *res, yyjson_val *reply, char *reason, size_t size)
{
    yyjson_val *code = json_get(reply, "code");
    const struct str text = json_str(reply, "description");

    if (res->status) {
        (void)str_copy_z(str_z(res->err.text[0] ? res->err.text : status_text(res->status)), reason,
                         size);
        return 1;
    }
    if (text.n)
        (void)str_copy_z(text, reason, size);
    else
        (void)snprintf(reason, size, "HTTP %d", res->code);
    if (str_eq_z(json_val_str(code), "master") || res->code >= 500 || res->code == 429 ||
        (!code && res->code >= 200 && res->code < 300))
        return 1;
    return code && !json_truthy(code) && res->code < 300 ? 0 : -1;
}

static void upload_done(void *arg, const struct http_result *res)
{
    struct sat_job *j = arg;
    struct job_work fake = { .job = j };
    AUTO(json_doc_free) yyjson_doc *doc = NULL;
    AUTO(arena_free) struct arena *a = NULL;
    char reason[256];
    char name[512];
    int verdict;

    j->exchange = NULL;
    transfer_end(j);
    if (!job_back(&fake))
        return;
    a = arena_new(65536);
    if (!a || !upload_entry(j))
        return;
    (void)str_copy_z(upload_name(a, upload_entry(j)), name, sizeof(name));
    if (res->status == STATUS_OK && json_parse(res->body, JSON_SIZE_MAX, &doc, NULL) != STATUS_OK)
        doc = NULL;
    verdict = judge(res, yyjson_doc_get_root(doc), reason, sizeof(reason));
    if (res->status && access(json_str(upload_entry(j), "path").p, R_OK) != 0)
        verdict = -1; /* it is our file that cannot be had */
    if (verdict == 0)
        upload_taken(j, str_z(name), yyjson_doc_get_root(doc));
    else if (verdict > 0)
        upload_again(j, name, reason);
    else
        upload_failed(j, name, reason);
}

/* Proof that the job is ours (satellite.md 4). */
static struct str job_auth(const struct sat_job *j, char digest[CRYPTO_SHA256_HEX + 1])
{
    const struct sat_config *c = &j->runner->sat->config;

    if (c->auth_token.p)
        return c->auth_token;
    CRYPTO_SHA256_HEX_OF(digest, id_str(&j->id), c->secret_key);
    return str_z(digest);
}

static void upload_next(struct sat_job *j)
{
    struct sat *s = j->runner->sat;
    yyjson_val *entry = upload_entry(j);
    AUTO(arena_free) struct arena *a = arena_new(65536);
    struct err err = { 0 };
    struct http_client *http = sat_http(s, link_is_secure(s->link), &err);
    char digest[CRYPTO_SHA256_HEX + 1];
    char url[512];
    struct str name;
    Status st;

    if (!a || !transfer_begin(j))
        return;
    name = upload_name(a, entry);
    if (j->tries == 0)
        follow_row(j, "Uploading file: %.*s", STR_FMT(name));
    (void)snprintf(url, sizeof(url), "%s/api/app/upload_job_file", link_base_url(s->link));
    const struct http_part parts[] = {
        { .name = "id", .value = id_str(&j->id) },
        { .name = "auth", .value = job_auth(j, digest) },
        { .name = "file1",
          .file_path = arena_dup_z(a, json_str(entry, "path")),
          .filename = arena_dup_z(a, name) },
        { .name = "server", .value = s->config.auth_token.p ? s->config.server_id : STR("") },
    };
    /* the server's fields come before the file, so that it can refuse early */
    const struct http_part ordered[] = { parts[0], parts[1], parts[3], parts[2] };
    const struct http_part plain[] = { parts[0], parts[1], parts[2] };
    const struct http_call call = { .method = "POST",
                                    .url = url,
                                    .parts = s->config.auth_token.p ? ordered : plain,
                                    .n_parts = s->config.auth_token.p ? COUNT_OF(ordered)
                                                                      : COUNT_OF(plain) };
    st = http ? http_client_start(http, &call, upload_done, j, &j->exchange, &err)
              : STATUS_UNSUPPORTED;
    if (st == STATUS_OK) {
        j->busy++;
        return;
    }
    transfer_end(j);
    upload_again(j, json_str(entry, "path").p, err.text);
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
    if (judge(res, yyjson_doc_get_root(doc), reason, sizeof(reason)) == 0) {
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
        collect_start(j);
    else if (!upload_entry(j))
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

void finish_begin(struct sat_job *j, const char *code, const char *description)
{
    if (j->stage == STAGE_FINISHING || j->stage == STAGE_ENDED)
        return;
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

void finish_forget(struct sat_job *j)
{
    struct job_work *w = j->stage == STAGE_ENDED && !j->forgetting ? calloc(1, sizeof(*w)) : NULL;

    if (!w)
        return; /* one that runs is never forgotten */
    if (job_post(j, w, forget_do, forget_back) == STATUS_OK)
        j->forgetting = true;
    else
        free(w);
}
