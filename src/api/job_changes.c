/* Changes of jobs by people (reference/api-operations.md 5.8, 5.9, 5.14, 5.15). A live job belongs
 * to job/, which answers when the change is durable; a finished one is a row that is rewritten
 * together with its activity row. */
#include "api/api_int.h"

static const struct job *need_live(struct api_call *c)
{
    const struct str id = json_str(c->params, "id");
    const struct job *j = job_find(c->world->jobs, id);

    if (!j) {
        api_error(c, "job", "Job is not active: %.*s", STR_FMT(str_slice(id, 0, ID_MAX)));
        return NULL;
    }
    return api_need_job(c, j) ? j : NULL;
}

static void changed(void *arg, Status st)
{
    struct api_call *c = arg;

    api_reply_status(c, "job", st, NULL);
}

static void committed(void *arg, Status st, const struct err *err)
{
    struct api_call *c = arg;

    api_reply_status(c, "job", st, err);
}

/* ---- abort ---- */

static void abort_job(struct api_call *c)
{
    const struct job *j = need_live(c);
    struct err err = { .code = STATUS_OK };
    struct str reason;
    Status st;

    if (!j)
        return;
    if (c->user.is_key)
        reason =
            arena_printf(c->arena, "Manually aborted by API Key: %.*s", STR_FMT(c->user.title));
    else
        reason =
            arena_printf(c->arena, "Manually aborted by user: %.*s", STR_FMT(c->user.username));
    st = reason.p ? job_abort(c->world->jobs, id_str(&j->id), reason, c->now, changed, c, &err)
                  : STATUS_NOMEM;
    if (st) {
        api_fail(c, "job", st, &err);
        return;
    }
    /* the reply needs the journal, so the call is still there */
    api_log_activity(c, "job_abort", json_str(c->params, "id"), json_str(c->params, "id"), NULL, 0);
}

static void job_skip(struct api_call *c)
{
    const struct job *j = need_live(c);
    struct err err = { .code = STATUS_OK };

    if (j)
        api_reply_status(c, "job", job_skip_delay(c->world->jobs, id_str(&j->id), c->now, &err),
                         &err);
}

/* ---- update ---- */

static void record_for_update(void *arg, const struct store_result *res)
{
    static const char *const fixed[] = { "id", NULL };
    struct api_call *c = arg;
    yyjson_val *record = api_found_record(c, res, "job", "Failed to locate job");
    AUTO_BUF struct buf text = { 0 };
    AUTO_BUF struct buf updates = { 0 };
    struct json_writer w;
    struct store_tx *tx;
    struct auth_extra extra;
    struct err err = { .code = STATUS_OK };
    Status st;

    if (!record)
        return;
    buf_init(&text, STORE_ROW_MAX);
    buf_init(&updates, STORE_ROW_MAX);
    w = json_writer_init(&text);
    json_put_merged(&w, NULL, record, c->params, fixed);
    if (text.failed || json_text(c->params, false, &updates)) {
        api_fail(c, "job", STATUS_TOO_BIG, NULL);
        return;
    }
    extra = (struct auth_extra){ "updates", buf_str(&updates) };
    tx = store_tx_new(c->world->store);
    c->world->put_record(tx, json_str(c->params, "id"), buf_str(&text));
    api_put_activity(c, tx, "job_update", json_str(c->params, "id"), json_str(c->params, "id"),
                     &extra, 1);
    st = store_commit(c->world->store, tx, committed, c, &err);
    if (st)
        api_fail(c, "job", st, &err);
}

static void update_job(struct api_call *c)
{
    const struct job *j = job_find(c->world->jobs, json_str(c->params, "id"));
    struct err err = { .code = STATUS_OK };
    Status st;

    if (!j) {
        api_read_record(c, "job", record_for_update);
        return;
    }
    st = job_edit(c->world->jobs, id_str(&j->id), c->params, c->now, changed, c, &err);
    if (st)
        api_fail(c, "job", st, &err);
}

/* ---- delete ---- */

static void record_for_delete(void *arg, const struct store_result *res)
{
    struct api_call *c = arg;
    const struct str id = json_str(c->params, "id");
    yyjson_val *record = api_found_record(c, res, "job", "Failed to locate job");
    struct store_tx *tx;
    struct err err = { .code = STATUS_OK };
    Status st;

    if (!record)
        return;
    tx = store_tx_new(c->world->store);
    api_delete_record(tx, id, record);
    api_put_activity(c, tx, "job_delete", id, id, NULL, 0);
    st = store_commit(c->world->store, tx, committed, c, &err);
    if (st)
        api_fail(c, "job", st, &err);
}

static void delete_job(struct api_call *c)
{
    const struct job *j = job_find(c->world->jobs, json_str(c->params, "id"));

    if (!j)
        api_read_record(c, "job", record_for_delete);
    else if (api_need_job(c, j))
        api_error(c, "job", "Job is still active: %s", j->id.z);
}

/* ---- one file of a job ---- */

/* What the record becomes without the file. */
struct file_search {
    struct str path;
    yyjson_val *file; /* the entry, NULL: not there */
    bool in_input;
};

static yyjson_val *find_file(yyjson_val *files, struct str path)
{
    yyjson_arr_iter it = yyjson_arr_iter_with(files);
    yyjson_val *file;

    while ((file = yyjson_arr_iter_next(&it)) != NULL) {
        if (str_eq(json_str(file, "path"), path))
            return file;
    }
    return NULL;
}

static void put_files_but(struct json_writer *w, yyjson_val *files, yyjson_val *but)
{
    yyjson_arr_iter it = yyjson_arr_iter_with(files);
    yyjson_val *file;

    json_arr(w, "files");
    while ((file = yyjson_arr_iter_next(&it)) != NULL) {
        if (file != but)
            json_put_val(w, NULL, file);
    }
    json_end(w);
}

static void put_without(struct json_writer *w, yyjson_val *record, const struct file_search *s)
{
    static const char *const files[] = { "files", NULL };
    static const char *const input[] = { "input", NULL };
    yyjson_val *in = json_get(record, "input");

    json_obj(w, NULL);
    json_put_members(w, record, s->in_input ? input : files);
    if (s->in_input) {
        json_obj(w, "input");
        json_put_members(w, in, files);
        put_files_but(w, json_get(in, "files"), s->file);
        json_end(w);
    } else {
        put_files_but(w, json_get(record, "files"), s->file);
    }
    json_end(w);
}

/* Output of this job, or an upload for a run (files/USER/RANDOM/NAME). `input.files` came from the
 * caller of run_event and may name files of others: of a bucket, a ticket, another job. */
static bool is_own_file(struct str path, struct str job)
{
    struct str parts[5];
    struct str rest = path;
    size_t n = 0;

    while (n < COUNT_OF(parts) && str_split(&rest, '/', &parts[n]))
        n++;
    if (n == COUNT_OF(parts))
        return !rest.p && str_eq_z(parts[0], "files") && str_eq_z(parts[1], "jobs") &&
               str_eq(parts[2], job);
    return n == 4 && str_eq_z(parts[0], "files") && !str_eq_z(parts[1], "jobs") && parts[2].n == 43;
}

static void record_for_file(void *arg, const struct store_result *res)
{
    struct api_call *c = arg;
    const struct str id = json_str(c->params, "id");
    struct file_search s = { .path = api_param_text(c, "path") };
    yyjson_val *record = api_found_record(c, res, "job", "Failed to locate job");
    AUTO_BUF struct buf text = { 0 };
    struct json_writer w;
    struct store_tx *tx;
    struct err err = { .code = STATUS_OK };
    Status st;

    if (!record)
        return;
    s.file = find_file(json_get(record, "files"), s.path);
    if (!s.file) {
        s.file = find_file(json_get(json_get(record, "input"), "files"), s.path);
        s.in_input = true;
    }
    if (!s.file || !str_starts(s.path, STR("files/"))) {
        api_error(c, "job", "The job has no such file.");
        return;
    }
    if (json_get(s.file, "bucket") || json_get(s.file, "ticket") || !is_own_file(s.path, id)) {
        api_error(c, "job", "The file is not the job's own.");
        return;
    }
    buf_init(&text, STORE_ROW_MAX);
    w = json_writer_init(&text);
    put_without(&w, record, &s);
    tx = store_tx_new(c->world->store);
    c->world->put_record(tx, id, buf_str(&text));
    blob_tx_delete(tx, s.path);
    api_put_activity(c, tx, "job_delete_file", id, id, NULL, 0);
    st = store_commit(c->world->store, tx, committed, c, &err);
    if (st)
        api_fail(c, "job", st, &err);
}

static void delete_job_file(struct api_call *c)
{
    api_read_record(c, "job", record_for_file);
}

/* ---- rows ---- */

static const struct prop file_in[] = {
    { .name = "id", .type = P_ID, .of = "job", .flags = P_REQUIRED, .doc = "Id of the job." },
    { .name = "path",
      .type = P_TEXT,
      .flags = P_REQUIRED | P_LOOSE,
      .max = BLOB_PATH_MAX,
      .doc = "Path of the file as the job lists it." },
    { 0 },
};

const struct api_row api_job_change_rows[] = {
    { API_ROW("abort_job", "jobs", ABORT_JOBS, JOB), .in = api_in_id, .errors = "api access job",
      .example = "{\"id\":\"jmx1\"}",
      .doc = "Ends a live job; one that runs on a server ends when the server says so.",
      .fn = abort_job },
    { API_ROW("delete_job", "jobs", DELETE_JOBS, JOB), .in = api_in_id, .errors = "api access job",
      .example = "{\"id\":\"jmx1\"}", .doc = "Deletes a finished job with its log and files.",
      .fn = delete_job },
    { API_ROW("delete_job_file", "files", DELETE_JOBS, JOB), .in = file_in,
      .errors = "api access job",
      .example = "{\"id\":\"jmx1\",\"path\":\"files/jobs/jmx1/RANDOM/report.csv\"}",
      .doc = "Deletes one file of a finished job.", .fn = delete_job_file },
    { API_ROW("job_skip_delay", "jobs", RUN_JOBS, JOB), .flags = API_BODY_ONLY, .in = api_in_id,
      .errors = "api access job", .example = "{\"id\":\"jmx1\"}",
      .doc = "Ends the start or retry delay of a job.", .fn = job_skip },
    { API_ROW("update_job", "jobs", ADMIN, JOB), .flags = API_BODY_ONLY, .in = api_in_id,
      .errors = "api access job", .example = "{\"id\":\"jmx1\",\"label\":\"checked\"}",
      .doc = "Merges the given properties into a live or finished job.", .fn = update_job },
    { 0 },
};
