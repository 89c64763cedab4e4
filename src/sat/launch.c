/* From launch_job to a running supervisor: the launch is stored (durable), "accepted" is said,
 * input files come down, the supervisor's files are written, the launcher gets the job. Stored and
 * prepared in one go when there is nothing to fetch. After a restart every job without a stream
 * goes through this again from the fetching. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/log.h"
#include "crypto/crypto.h"
#include "sat/prepare.h"
#include "sat/runner_int.h"

#define MODE_CWD 0755

extern char **environ;

struct launch_work {
    struct job_work base;
    struct buf text; /* launch.json, when it is to be stored */
    struct buf config;
    char *runner_token;
    bool store;
    bool prepare;
    bool stored;
};

static void work_free(struct launch_work *w)
{
    buf_done(&w->text);
    buf_done(&w->config);
    free(w->runner_token);
    free(w);
}

/* On the lane */

/* What a user's job must be able to change: its folder, its input files, its script. */
static Status give_away(const struct prepared *p, const char *cwd, const char *script,
                        struct err *err)
{
    DIR *dir = opendir(cwd);
    struct dirent *e;
    int error = dir ? 0 : errno;

    while (!error && (e = readdir(dir)) != NULL) {
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
            fchownat(dirfd(dir), e->d_name, p->uid, p->gid, AT_SYMLINK_NOFOLLOW) != 0)
            error = errno;
    }
    if (dir)
        closedir(dir);
    if (!error &&
        (lchown(cwd, p->uid, p->gid) != 0 || (script && lchown(script, p->uid, p->gid) != 0)))
        error = errno;
    return error ? err_errno(err, error, "Setup Error: Cannot give the job's files to its user")
                 : STATUS_OK;
}

static Status write_exec(const struct sat_job *j, const struct prepared *p, const char *cwd,
                         struct err *err)
{
    const struct proc_spec spec = { .argv = p->argv,
                                    .env = p->env,
                                    .cwd = cwd,
                                    .set_user = p->set_user,
                                    .uid = p->uid,
                                    .gid = p->gid,
                                    .user_name = p->user_name,
                                    .fd = { -1, -1, -1 } };
    AUTO_BUF struct buf text = { 0 };

    buf_init(&text, SUPER_EXEC_MAX);
    if (super_write_exec(&spec, &text) != STATUS_OK)
        return err_set(err, STATUS_TOO_BIG, NULL,
                       "Setup Error: The command and its environment are too large");
    return spool_make(job_spool(j), id_str(&j->id), "exec", buf_str(&text), 0600, err);
}

static Status write_files(const struct sat_job *j, const struct prepared *p, const char *cwd,
                          struct err *err)
{
    char script[SPOOL_PATH_MAX];
    const bool has_script = p->script.n > 0;
    Status st = STATUS_OK;

    if (!spool_path(job_spool(j), id_str(&j->id), "script", script))
        return err_set(err, STATUS_INVALID, NULL, "Setup Error: The path of the spool is too long");
    if (has_script) {
        st = spool_make(job_spool(j), id_str(&j->id), "script", buf_str(&p->script), 0700, err);
    }
    if (!st)
        st = spool_make(job_spool(j), id_str(&j->id), "stdin", buf_str(&p->stdin_line), 0600, err);
    if (!st)
        st = write_exec(j, p, cwd, err);
    if (!st && p->set_user)
        st = give_away(p, cwd, has_script ? script : NULL, err);
    return st;
}

static Status read_launch(const struct launch_work *w, struct arena *a, yyjson_val **ret,
                          struct err *err)
{
    const struct sat_job *j = w->base.job;
    AUTO_BUF struct buf text = { 0 };
    Status st = STATUS_OK;

    buf_init(&text, SPOOL_FILE_MAX);
    if (!w->store)
        st = spool_get(job_spool(j), id_str(&j->id), "launch.json", &text, err);
    if (!st)
        st = json_parse_in(a, w->store ? buf_str(&w->text) : buf_str(&text), SPOOL_FILE_MAX, ret,
                           err);
    if (!st)
        *ret = json_get(*ret, "launch");
    return st;
}

static Status prepare(struct launch_work *w, struct arena *a, const char *cwd, struct err *err)
{
    const struct sat_job *j = w->base.job;
    const struct sat *s = j->runner->sat;
    char log_file[SPOOL_PATH_MAX];
    char folder[SPOOL_PATH_MAX];
    struct prepare_facts facts = { .home = s->home,
                                   .temp = s->temp,
                                   .exe = s->exe,
                                   .job_dir = folder,
                                   .cwd = cwd,
                                   .log_file = log_file,
                                   .base_url = str_z(j->base_url),
                                   .runner_token = str_z(w->runner_token ? w->runner_token : ""),
                                   .environment = (const char *const *)environ };
    yyjson_val *launch = NULL;
    struct prepared p;
    Status st;

    job_log_file(j, log_file);
    if (!spool_path(job_spool(j), id_str(&j->id), NULL, folder))
        return err_set(err, STATUS_INVALID, NULL, "Setup Error: The path of the spool is too long");
    st = read_launch(w, a, &launch, err);
    if (!st)
        st = json_parse_in(a, buf_str(&w->config), CONFIG_SIZE_MAX, &facts.config, err);
    if (st) {
        (void)!err_wrap(err, "Setup Error");
        return st;
    }
    st = prepare_job(launch, &facts, a, &p, err);
    if (!st) {
        st = write_files(j, &p, cwd, err);
        if (p.env_skipped)
            log_event(LOG_WARN, "job.environment_cut", "job=%s variables=%zu", j->id.z,
                      p.env_skipped);
    }
    prepared_done(&p);
    return st;
}

static void launch_do(struct lane_work *work)
{
    struct launch_work *w = CONTAINER_OF(work, struct launch_work, base.work);
    const struct sat_job *j = w->base.job;
    AUTO(arena_free) struct arena *a = NULL;
    struct err *err = &w->base.err;
    char cwd[SPOOL_PATH_MAX];
    Status st = job_cwd(j, cwd);

    if (!st && w->store)
        st = spool_store(job_spool(j), id_str(&j->id), buf_str(&w->text), err);
    w->stored = st == STATUS_OK;
    if (!st && mkdir(cwd, MODE_CWD) != 0 && errno != EEXIST)
        st = err_errno(err, errno, "Setup Error: Cannot make the job's folder");
    if (!st && w->prepare) {
        a = arena_new(PREPARE_ARENA_MAX);
        st = a ? prepare(w, a, cwd, err)
               : err_set(err, STATUS_NOMEM, NULL, "Setup Error: out of memory");
    }
    w->base.status = st;
}

/* On the loop */

static void launch_now(struct sat_job *j)
{
    struct runner *r = j->runner;
    struct err err = { 0 };
    Status st;

    if (j->abort_reason) {
        finish_begin(j, NULL, NULL);
        return;
    }
    st = super_launch(r->sat->super, id_str(&j->id), &err);
    if (st == STATUS_OK || st == STATUS_EXISTS) {
        follow_start(j, true);
    } else if (st == STATUS_IO) {
        log_event(LOG_ERROR, "sat.launcher_gone", "reason=%s", LOG_QUOTED(str_z(err.text)));
        sat_exit(r->sat, 1); /* the job is stored: it is launched after the restart */
    } else if (st != STATUS_BUSY) {
        finish_begin(j, "1", err.text);
    } /* BUSY: the tick tries again */
}

/* Stored, intended, prepared: on with it. */
static void launch_go(struct sat_job *j)
{
    if (j->abort_reason)
        finish_begin(j, NULL, NULL);
    else if (j->setup_error)
        finish_begin(j, "1", j->setup_error);
    else
        job_step(j);
}

static void refuse_stored(struct sat_job *j, const char *why)
{
    runner_refuse(j->runner, id_str(&j->id), why);
    finish_discard(j);
}

static void intended(void *ctx, struct str id, Status st, const struct err *err)
{
    struct runner *r = ctx;
    struct sat_job *j = job_get(r, id);

    if (!j)
        return;
    if (st) {
        char text[512];

        (void)snprintf(text, sizeof(text), "Setup Error: Cannot store the job: %s", err->text);
        refuse_stored(j, text);
        return;
    }
    j->stage = j->prepared ? STAGE_READY : STAGE_FETCHING;
    j->seeked = link_ready(r->sat->link);
    launch_accepted(j);
    log_event(LOG_INFO, "job.accepted", "job=%s", j->id.z);
    launch_go(j);
}

/* The last thing before the conductor may count on us. */
static void launch_intend(struct sat_job *j)
{
    const Status st = intents_add(j->runner->intents, id_str(&j->id), intended, j->runner);

    if (st)
        refuse_stored(j, "Setup Error: The satellite is out of memory or too busy.");
}

static void launch_back(struct lane_work *work)
{
    struct launch_work *w = CONTAINER_OF(work, struct launch_work, base.work);
    struct sat_job *j = w->base.job;
    struct runner *r = j->runner;

    if (!job_back(&w->base)) {
        work_free(w);
        return;
    }
    if (w->store && !w->stored) {
        (void)!err_wrap(&w->base.err, "Setup Error: Cannot store the job");
        runner_refuse(r, id_str(&j->id), w->base.err.text);
        job_remove(j);
        work_free(w);
        return;
    }
    if (w->base.status)
        j->setup_error = strdup(w->base.err.text);
    j->prepared = w->prepare;
    if (w->store) {
        launch_intend(j);
    } else {
        j->stage = j->prepared ? STAGE_READY : STAGE_FETCHING;
        launch_go(j);
    }
    work_free(w);
}

static void put_config(const struct sat_config *c, struct buf *out)
{
    static const char *const keys[] = { "job_env", "socket_opts", "airgap" };
    struct json_writer w = json_writer_init(out);

    json_obj(&w, NULL);
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        if (json_get(c->root, keys[i]))
            json_put_val(&w, keys[i], json_get(c->root, keys[i]));
    }
    json_end(&w);
}

static char *runner_token(const struct sat_job *j)
{
    const struct sat_config *c = &j->runner->sat->config;
    char digest[CRYPTO_SHA256_HEX + 1];

    if (!j->runner_job)
        return NULL;
    CRYPTO_SHA256_HEX_OF(digest, id_str(&j->id), c->auth_token.p ? c->auth_token : c->secret_key);
    return strdup(digest);
}

static struct launch_work *work_new(const struct sat_job *j)
{
    struct launch_work *w = calloc(1, sizeof(*w));

    if (!w)
        return NULL;
    buf_init(&w->text, SPOOL_FILE_MAX);
    buf_init(&w->config, CONFIG_SIZE_MAX);
    put_config(&j->runner->sat->config, &w->config);
    w->runner_token = runner_token(j);
    return w;
}

void launch_store(struct sat_job *j, yyjson_val *data)
{
    struct runner *r = j->runner;
    struct launch_work *w;
    struct json_writer out;

    j->stage = STAGE_STORING;
    j->base_url = strdup(link_base_url(r->sat->link));
    w = j->base_url && job_take_launch(j, data) ? work_new(j) : NULL;
    if (w) {
        out = json_writer_init(&w->text);
        json_obj(&out, NULL);
        json_put_z(&out, "boot", r->boot);
        json_put_z(&out, "base_url", j->base_url);
        json_put_val(&out, "launch", data);
        json_end(&out);
        w->store = true;
        w->prepare = j->n_inputs == 0 && !plugins_busy(r->sat);
        if (!w->text.failed && job_post(j, &w->base, launch_do, launch_back) == STATUS_OK)
            return;
        work_free(w);
    }
    runner_refuse(r, id_str(&j->id), "Setup Error: The satellite is out of memory or too busy.");
    job_remove(j);
}

static void prepare_start(struct sat_job *j)
{
    struct launch_work *w;

    if (plugins_busy(j->runner->sat)) {
        if (list_empty(&j->waiting))
            list_push(&j->runner->waiting, &j->waiting);
        return;
    }
    w = work_new(j);
    if (!w)
        return; /* the tick tries again */
    w->prepare = true;
    if (job_post(j, &w->base, launch_do, launch_back) == STATUS_OK)
        j->stage = STAGE_PREPARING;
    else
        work_free(w);
}

/* Input files */

static void fetch_failed(struct sat_job *j, const char *reason)
{
    char text[512];

    (void)snprintf(text, sizeof(text),
                   "Setup Error: Error: Failed to download job file: %.100s: %.300s",
                   j->inputs[j->next_input].name, reason);
    finish_begin(j, "1", text);
}

static void fetch_again(struct sat_job *j, const char *reason)
{
    const struct sat *s = j->runner->sat;
    Usec delay = s->config.http.retry_delay;

    if (!link_ready(s->link))
        return; /* joining brings us here again, and does not count */
    if (++j->tries > s->config.http.retries) {
        fetch_failed(j, reason);
        return;
    }
    for (unsigned i = 1; i < j->tries && delay < s->config.http.retry_max; i++)
        delay *= 2;
    j->retry_at = loop_now_mono(s->loop) + (delay > RUNNER_RETRY_MAX ? RUNNER_RETRY_MAX : delay);
}

static void fetch_done(void *arg, const struct http_result *res)
{
    struct sat_job *j = arg;
    struct job_work fake = { .job = j };
    char reason[256];

    j->exchange = NULL;
    transfer_end(j);
    if (!job_back(&fake))
        return;
    if (j->abort_reason) {
        finish_begin(j, NULL, NULL);
        return;
    }
    if (res->status == STATUS_OK && res->code >= 200 && res->code < 300) {
        j->next_input++;
        j->tries = 0;
        job_step(j);
        return;
    }
    if (res->status == STATUS_OK)
        (void)snprintf(reason, sizeof(reason), "HTTP %d", res->code);
    else
        (void)str_copy_z(str_z(res->err.text), reason, sizeof(reason));
    if (res->status == STATUS_OK && res->code < 500 && res->code != 429)
        fetch_failed(j, reason);
    else
        fetch_again(j, reason);
}

static void fetch_url(const struct sat_job *j, const char *path, struct buf *out)
{
    static const char plain[] = "-_.~/";

    (void)buf_printf(out, "%s/", link_base_url(j->runner->sat->link));
    for (const char *p = *path == '/' ? path + 1 : path; *p; p++) {
        const unsigned char c = (unsigned char)*p;

        if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
            strchr(plain, c))
            (void)buf_add_char(out, *p);
        else
            (void)buf_printf(out, "%%%02X", c);
    }
    (void)buf_add_char(out, 0);
}

static void fetch_next(struct sat_job *j)
{
    struct sat *s = j->runner->sat;
    const struct input_file *f = &j->inputs[j->next_input];
    AUTO(arena_free) struct arena *a = arena_new(65536);
    AUTO_BUF struct buf url = { 0 };
    char cwd[SPOOL_PATH_MAX];
    char path[SPOOL_PATH_MAX + 256];
    struct err err = { 0 };
    struct http_client *http = sat_http(s, link_is_secure(s->link), &err);

    if (!a || job_cwd(j, cwd) != STATUS_OK)
        return;
    if (!transfer_begin(j))
        return;
    (void)snprintf(path, sizeof(path), "%s/%.*s", cwd,
                   STR_FMT(prepare_file_name(a, str_z(f->name))));
    buf_init(&url, 16384);
    fetch_url(j, f->path, &url);
    if (j->tries == 0)
        follow_row(j, "Downloading file: %s (%" PRId64 " bytes)", f->name, f->size);
    const struct http_call call = { .method = "GET",
                                    .url = url.failed ? "" : url.p,
                                    .save_to = path };
    if (!http || http_client_start(http, &call, fetch_done, j, &j->exchange, &err) != STATUS_OK) {
        transfer_end(j);
        fetch_again(j, err.text);
        return;
    }
    j->busy++;
}

void launch_step(struct sat_job *j)
{
    if (j->busy > 0 || j->exchange)
        return;
    if (j->abort_reason) {
        finish_begin(j, NULL, NULL);
    } else if (j->stage == STAGE_READY) {
        launch_now(j);
    } else if (j->stage == STAGE_FETCHING) {
        if (j->next_input == j->n_inputs)
            prepare_start(j);
        else if (link_ready(j->runner->sat->link) &&
                 j->retry_at <= loop_now_mono(j->runner->sat->loop))
            fetch_next(j);
    }
}
