/* Calls of satellites and of any xyOps-compatible agent (reference/satellite.md 24, 25): the result
 * of a job and its files. They show a digest made of the job or server id and the secret key
 * instead of a session; an API key will do when it may run jobs. */
#include "api/api_int.h"

/* Digest or key of the parameters. False: replied. */
static bool need_agent(struct api_call *c)
{
    const struct str auth = api_param_text(c, "auth");
    const struct auth_credentials key = { .api_key = auth, .safe_method = true };
    const char *code = "";

    if (fleet_job_auth_ok(c->world->fleet, json_str(c->params, "id"), api_param_text(c, "server"),
                          auth))
        return true;
    if (!auth_check(c->world->auth, &key, c->now, c->arena, &c->user, &code, NULL) &&
        auth_has(&c->user, PRIV_RUN_JOBS))
        return true;
    api_error(c, "auth", "Authentication failure.");
    return false;
}

/* ---- results ---- */

static void finished(void *arg, Status st)
{
    struct api_call *c = arg;

    /* DENIED: the job runs on another server; INVALID: it does not run at all. Neither gets better
     * by sending it again, and the reference answers both alike. */
    if (st == STATUS_DENIED || st == STATUS_INVALID)
        st = STATUS_OK;
    api_reply_status(c, "job", st, NULL);
}

static void finish_job(struct api_call *c)
{
    const struct str id = json_str(c->params, "id");
    yyjson_val *update = json_get(c->params, "job");
    Id server = { .z = "" };

    if (!need_agent(c))
        return;
    (void)id_from_str(api_param_text(c, "server"), &server);
    if (job_is_live(c->world->jobs, id)) {
        job_update(c->world->jobs, server.z[0] ? &server : NULL, false, id, update, c->now,
                   finished, c);
        return;
    }
    if (c->world->late_result && str_eq_z(json_str(update, "state"), "complete"))
        c->world->late_result(c->world->ctx, &server, false, id, update);
    api_reply_ok(c);
}

/* ---- files ---- */

static void file_stored(struct api_call *c, void *arg, const struct api_stored *files, size_t n)
{
    struct buf out;
    struct json_writer w;

    (void)arg;
    if (n == 0) {
        api_error(c, "job", "No file data was uploaded.");
        return;
    }
    w = api_reply_begin(c, &out);
    json_put_str(&w, "key", files[0].path);
    json_put_u64(&w, "size", files[0].size);
    api_reply_end(c, &w, &out);
}

static void upload_job_file(struct api_call *c)
{
    if (need_agent(c))
        api_store_files(c, API_PLACE_JOB, json_str(c->params, "id"), file_stored, NULL);
}

static const struct prop finish_in[] = {
    { .name = "id", .type = P_ID, .of = "job", .flags = P_REQUIRED, .doc = "Id of the job." },
    { .name = "auth",
      .type = P_TEXT,
      .flags = P_REQUIRED | P_LOOSE,
      .max = 256,
      .chars = "\\w-",
      .doc = "Digest of the server or the job, or an API key that may run jobs." },
    { .name = "server", .type = P_ID, .of = "server", .doc = "The server that `auth` is of." },
    { .name = "job",
      .type = P_OBJECT,
      .flags = P_REQUIRED,
      .doc = "The last update, with state `complete`." },
    { 0 },
};

static const struct prop upload_in[] = {
    { .name = "id", .type = P_ID, .of = "job", .flags = P_REQUIRED, .doc = "Id of the job." },
    { .name = "auth",
      .type = P_TEXT,
      .flags = P_REQUIRED | P_LOOSE,
      .max = 256,
      .chars = "\\w-",
      .doc = "Digest of the server or the job, or an API key that may run jobs." },
    { .name = "server", .type = P_ID, .of = "server", .doc = "The server that `auth` is of." },
    { 0 },
};

const struct api_row api_agent_rows[] = {
    { API_ROW("finish_job", "agents", NONE, NONE), .flags = API_BODY_ONLY | API_NO_CHECK,
      .in = finish_in, .errors = "api auth job",
      .example = "{\"id\":\"jmx1\",\"server\":\"smx1\",\"auth\":\"0a1b\","
                 "\"job\":{\"state\":\"complete\",\"code\":0}}",
      .doc = "Delivers the result of a job; answered once it is durable.", .fn = finish_job },
    { API_ROW("upload_job_file", "agents", NONE, NONE),
      .flags = API_BODY_ONLY | API_NO_CHECK | API_FILES | API_BIG_FILES, .in = upload_in,
      .out = "key, size", .errors = "api auth job file",
      .example = "{\"id\":\"jmx1\",\"server\":\"smx1\",\"auth\":\"0a1b\"}",
      .doc = "Stores one output file of a job, sent as multipart field `file1`.",
      .fn = upload_job_file },
    { 0 },
};
