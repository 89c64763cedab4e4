/* Logs of jobs (reference/api-operations.md 5.6). A live log is a file that grows; a finished one
 * is the record's `output`, or a gzip file when it is long. A token in the URL opens a log for
 * browsers and scripts; it is derived from the secret key, so nothing is stored. */
#include "api/api_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define TAIL_DEFAULT 32768
#define TEXT_TYPE    "text/plain; charset=utf-8"

void api_log_token(const struct api_world *w, struct str job, char out[23])
{
    const struct str parts[] = { STR("download"), job, secret_str(w->secret_key) };
    uint8_t digest[32];
    struct buf text;

    crypto_sha256(parts, COUNT_OF(parts), digest);
    buf_init(&text, 64);
    if (crypto_base64(str_n(digest, 16), true, &text) || !str_copy_z(buf_str(&text), out, 23))
        out[0] = '\0';
    buf_done(&text);
}

static bool live_path(const struct api_call *c, char *out, size_t size)
{
    const int n = snprintf(out, size, "%s/jobs/%.*s.log", c->world->log_dir,
                           STR_FMT(json_str(c->params, "id")));

    return n > 0 && (size_t)n < size;
}

/* ---- what there is of a finished job ---- */

enum log_kind { JOBLOG_NOTHING, JOBLOG_INLINE, JOBLOG_STORED };

static enum log_kind kind_of(yyjson_val *record)
{
    if (json_str(record, "output").n)
        return JOBLOG_INLINE;
    return json_truthy(json_get(record, "log_uploaded")) ? JOBLOG_STORED : JOBLOG_NOTHING;
}

static void reply_stored(struct api_call *c, const char *download_name)
{
    char blob[ID_MAX + 32];
    char path[4096];
    const struct http_file f = {
        .path = path,
        .content_type = TEXT_TYPE,
        .content_encoding = "gzip",
        .download_name = download_name,
        .length = -1,
    };

    (void)snprintf(blob, sizeof blob, "logs/jobs/%.*s/log.txt.gz",
                   STR_FMT(str_slice(json_str(c->params, "id"), 0, ID_MAX)));
    if (blob_file(c->world->store, str_z(blob), path, sizeof path))
        api_reply_text(c, 404, "404 Not Found");
    else
        http_reply_file(c->req, &f);
}

static void log_found(void *arg, const struct store_result *res)
{
    struct api_call *c = arg;
    yyjson_val *record = api_found_record(c, res, "notfound", "Failed to load job details");

    if (!record)
        return;
    switch (kind_of(record)) {
    case JOBLOG_NOTHING:
        http_reply(c->req, 204, NULL, STR(""));
        break;
    case JOBLOG_INLINE:
        http_reply(c->req, 200, TEXT_TYPE, json_str(record, "output"));
        break;
    case JOBLOG_STORED:
        reply_stored(c, NULL);
        break;
    }
}

static void get_job_log(struct api_call *c)
{
    api_read_record(c, "notfound", log_found);
}

/* ---- by token ---- */

static bool is_download(const struct api_call *c)
{
    return str_starts(str_z(c->row->name), STR("download"));
}

static void token_found(void *arg, const struct store_result *res)
{
    struct api_call *c = arg;
    yyjson_val *record = NULL;
    struct str name =
        arena_printf(c->arena, "orrery-job-log-%.*s.txt", STR_FMT(json_str(c->params, "id")));
    const bool download = is_download(c);

    if (res->status || res->n == 0 || !name.p ||
        json_parse_in(c->arena, res->rows[0].json, STORE_ROW_MAX, &record, NULL)) {
        api_reply_text(c, 404, "404 Not Found");
        return;
    }
    switch (kind_of(record)) {
    case JOBLOG_NOTHING:
        api_reply_text(c, 404, "404 Not Found");
        break;
    case JOBLOG_INLINE:
        if (download)
            (void)http_reply_header(c->req, "Content-Disposition",
                                    arena_printf(c->arena, "attachment; filename=\"%s\"", name.p));
        http_reply(c->req, 200, TEXT_TYPE, json_str(record, "output"));
        break;
    case JOBLOG_STORED:
        reply_stored(c, download ? name.p : NULL);
        break;
    }
}

static void reply_live(struct api_call *c)
{
    struct str name = arena_printf(c->arena, "orrery-partial-job-log-%.*s.txt",
                                   STR_FMT(json_str(c->params, "id")));
    char path[4096];
    const struct http_file f = {
        .path = path,
        .content_type = TEXT_TYPE,
        .cache_control = "no-store",
        .download_name = is_download(c) ? name.p : NULL,
        .length = -1,
    };

    if (!live_path(c, path, sizeof path))
        api_reply_text(c, 404, "404 Not Found");
    else
        http_reply_file(c->req, &f);
}

static void view_log(struct api_call *c)
{
    const struct str id = json_str(c->params, "id");
    char token[23];

    api_log_token(c->world, id, token);
    (void)http_reply_header(c->req, "X-Content-Type-Options", STR("nosniff"));
    if (!crypto_equal(api_param_text(c, "t"), str_z(token)))
        api_reply_text(c, 403, "403 Forbidden");
    else if (job_find(c->world->jobs, id))
        reply_live(c);
    else
        api_read_record(c, "notfound", token_found);
}

/* ---- the end of a live log ---- */

struct tail_work {
    struct lane_work lane;
    struct api_call *call;
    char path[4096];
    size_t wanted;
    char *text;
    size_t n;
    Status st;
};

static void tail_read(struct lane_work *lw)
{
    struct tail_work *t = CONTAINER_OF(lw, struct tail_work, lane);
    const int fd = open(t->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    struct stat info;
    off_t from;
    ssize_t n;

    if (fd < 0) {
        t->st = errno == ENOENT ? STATUS_OK : status_from_errno(errno);
        return;
    }
    t->text = malloc(t->wanted);
    if (!t->text || fstat(fd, &info) != 0) {
        t->st = t->text ? status_from_errno(errno) : STATUS_NOMEM;
    } else {
        from = (uint64_t)info.st_size > t->wanted ? info.st_size - (off_t)t->wanted : 0;
        n = pread(fd, t->text, t->wanted, from);
        if (n < 0)
            t->st = status_from_errno(errno);
        else
            t->n = (size_t)n;
    }
    (void)close(fd);
}

static void reply_tail(struct api_call *c, struct str text)
{
    struct buf out;
    struct json_writer w = api_reply_begin(c, &out);

    json_put_str(&w, "text", text);
    api_reply_end(c, &w, &out);
}

static void tail_done(struct lane_work *lw)
{
    struct tail_work *t = CONTAINER_OF(lw, struct tail_work, lane);
    struct str text = str_n(t->text, t->n);

    if (t->n == t->wanted) /* a whole chunk: its first line is only a part of one */
        text = str_slice(text, str_find_char(text, '\n') + 1, text.n);
    if (t->st)
        api_fail(t->call, "job", t->st, NULL);
    else
        reply_tail(t->call, text);
    free(t->text);
    free(t);
}

static void tail_live_job_log(struct api_call *c)
{
    const struct job *j = job_find(c->world->jobs, json_str(c->params, "id"));
    const struct str bytes = api_param_text(c, "bytes");
    int64_t wanted = TAIL_DEFAULT;
    struct tail_work *t;

    if (bytes.p && (!str_to_i64(bytes, &wanted) || wanted < 1 || wanted > API_TAIL_MAX)) {
        api_error(c, "api", "Malformed parameter: bytes (must be from 1 to %d)", API_TAIL_MAX);
        return;
    }
    if (!j) {
        reply_tail(c, STR(""));
        return;
    }
    if (!api_need_job(c, j))
        return;
    t = calloc(1, sizeof *t);
    if (!t || !live_path(c, t->path, sizeof t->path)) {
        free(t);
        api_fail(c, "job", STATUS_NOMEM, NULL);
        return;
    }
    t->call = c;
    t->wanted = (size_t)wanted;
    t->lane.work = tail_read;
    t->lane.done = tail_done;
    if (lane_post(store_disk_lane(c->world->store), &t->lane)) {
        free(t);
        api_fail(c, "job", STATUS_BUSY, NULL);
    }
}

/* ---- rows ---- */

static const struct prop view_in[] = {
    { .name = "id", .type = P_ID, .of = "job", .flags = P_REQUIRED, .doc = "Id of the job." },
    { .name = "t",
      .type = P_TEXT,
      .flags = P_REQUIRED | P_LOOSE,
      .max = 64,
      .chars = "\\w-",
      .doc = "The `token` that get_job shows." },
    { 0 },
};

static const struct prop tail_in[] = {
    { .name = "id", .type = P_ID, .of = "job", .flags = P_REQUIRED, .doc = "Id of the job." },
    { .name = "bytes",
      .type = P_TEXT,
      .flags = P_LOOSE,
      .max = 16,
      .def = "\"32768\"",
      .doc = "How much of the end, 1 to 1048576 bytes." },
    { 0 },
};

const struct api_row api_joblog_rows[] = {
    { API_ROW("download_job_log", "jobs", NONE, NONE), .flags = API_STREAMS | API_NO_CHECK,
      .in = view_in, .errors = "api",
      .example = "{\"id\":\"jmx1\",\"t\":\"WdxLecXr8hLZISBc0Q-CKw\"}",
      .doc = "Sends the log of a job as a download; opened by its token.", .fn = view_log },
    { API_ROW("get_job_log", "jobs", NONE, JOB), .flags = API_STREAMS, .in = api_in_id,
      .errors = "api notfound access", .example = "{\"id\":\"jmx1\"}",
      .doc = "Sends the log of a finished job as text; long ones are gzipped, an empty one is "
             "status 204.",
      .fn = get_job_log },
    { API_ROW("tail_live_job_log", "jobs", NONE, JOB), .in = tail_in, .out = "text",
      .errors = "api access job", .example = "{\"id\":\"jmx1\",\"bytes\":4096}",
      .doc = "Shows the end of the log of a live job.", .fn = tail_live_job_log },
    { API_ROW("view_job_log", "jobs", NONE, NONE), .flags = API_STREAMS | API_NO_CHECK,
      .in = view_in, .errors = "api",
      .example = "{\"id\":\"jmx1\",\"t\":\"WdxLecXr8hLZISBc0Q-CKw\"}",
      .doc = "Sends the log of a job, live or finished, as text; opened by its token.",
      .fn = view_log },
    { 0 },
};
