/* Output files of a job (reference/satellite.md 25): what the job named becomes a list of files
 * (globs expanded), then one after the other goes up. The list and the records of what was taken
 * are in files.json, durable before the next file starts, so a restart goes on where it was. */
#include <errno.h>
#include <glob.h>
#include <sys/stat.h>

#include "base/log.h"
#include "crypto/crypto.h"
#include "sat/prepare.h"
#include "sat/runner_int.h"

static char *dup_text(struct str s)
{
    return strndup(s.p ? s.p : "", s.n);
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

void upload_collect(struct sat_job *j)
{
    struct collect_work *c = calloc(1, sizeof(*c));

    if (!c)
        return;
    c->wanted = dup_text(j->parser ? stdio_files(j->parser) : STR("[]"));
    if (!c->wanted || job_post(j, &c->base, collect_do, collect_back) != STATUS_OK)
        collect_free(c); /* the tick tries again */
}

/* Uploading */

static void upload_failed(struct sat_job *j, const char *name, const char *reason)
{
    char text[512];

    (void)snprintf(text, sizeof(text), "Failed to upload job file: %.100s: %.300s", name, reason);
    log_event(LOG_WARN, "job.upload_failed", "job=%s reason=%s", j->id.z, LOG_QUOTED(str_z(text)));
    finish_change(j, "\"upload\"", text);
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
int transfer_judge(const struct http_result *res, yyjson_val *reply, char *reason, size_t size)
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
    verdict = transfer_judge(res, yyjson_doc_get_root(doc), reason, sizeof(reason));
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
struct str job_auth(const struct sat_job *j, char digest[CRYPTO_SHA256_HEX + 1])
{
    const struct sat_config *c = &j->runner->sat->config;

    if (c->auth_token.p)
        return c->auth_token;
    CRYPTO_SHA256_HEX_OF(digest, id_str(&j->id), c->secret_key);
    return str_z(digest);
}

bool upload_pending(const struct sat_job *j)
{
    return upload_entry(j) != NULL;
}

void upload_next(struct sat_job *j)
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
