/* A conductor for tests: a real HTTP and WebSocket server in this process that speaks the link as
 * wire.h says and checks what it hears. The satellite runs as a process of its own (this very
 * program with --sat), so it can be killed at any moment. */
#ifndef TESTS_SAT_CONDUCTOR_H
#define TESTS_SAT_CONDUCTOR_H

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/file.h"
#include "base/log.h"
#include "crypto/crypto.h"
#include "http/multipart.h"
#include "http/websocket.h"
#include "sat/sat.h"

#define WAIT      (90 * USEC_SEC)
#define TOKEN     "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define SERVER_ID "stestserver1"
#define KEY       "test"
#define JOBS_MAX  32

struct seen_job {
    char id[80];
    struct buf log;
    struct buf metas;   /* one a line */
    struct buf final;   /* JSON of the final record */
    struct buf updates; /* every jobs record, one a line */
    uint32_t meta;
    unsigned accepted;
    unsigned finals;
    unsigned seeks;
    bool running; /* in the last inventory */
};

struct world {
    struct loop *loop;
    struct lane *disk;
    struct http_server *server;
    uint16_t port;
    char home[64];
    char uploads[80];
    pid_t satellite;
    struct ws *ws;
    bool joined;
    unsigned joins;
    unsigned refused;
    struct seen_job jobs[JOBS_MAX];
    size_t n_jobs;
    struct buf hello; /* data of the last hello */
    struct buf last_quick;
    struct buf last_monitor;
    unsigned quicks;
    unsigned uploaded;
    unsigned finish_posts;
    struct buf finish; /* body of the last finish_job */

    /* how it behaves */
    bool plain;               /* without our extension */
    bool keep;                /* no job_done by itself */
    bool refuse;              /* auth_failure */
    unsigned finish_refusals; /* finish_job answers with a code first */
    unsigned file_failures;   /* answers 500 to so many file requests */
    const char *config;       /* JSON of joined.config, or NULL */
    const char *plugins;      /* JSON of joined.plugins, or NULL */
    const char *option;       /* one more option of the satellite, or NULL */
};

/* For main: true when this process is to be a satellite; *code is its exit code. */
static inline bool conductor_is_satellite(int argc, char **argv, int *code)
{
    if (argc > 1 && strcmp(argv[1], "--sat") == 0) {
        *code = sat_main(argc - 1, argv + 1);
        return true;
    }
    if (argc > 1 && strcmp(argv[1], "plugin") == 0) {
        *code = sat_main(argc, argv);
        return true;
    }
    return false;
}

/* What was heard */

UNUSED static struct seen_job *job_of(struct world *w, struct str id)
{
    struct seen_job *j;

    for (size_t i = 0; i < w->n_jobs; i++) {
        if (str_eq_z(id, w->jobs[i].id))
            return &w->jobs[i];
    }
    assert_true(w->n_jobs < JOBS_MAX);
    j = &w->jobs[w->n_jobs++];
    assert_true(str_copy_z(id, j->id, sizeof(j->id)));
    buf_init(&j->log, 64u * 1024 * 1024);
    buf_init(&j->metas, 1024 * 1024);
    buf_init(&j->final, 16u * 1024 * 1024);
    buf_init(&j->updates, 64u * 1024 * 1024);
    return j;
}

static void say_buf(struct world *w, struct buf *frame)
{
    assert_false(frame->failed);
    if (w->ws)
        (void)ws_send(w->ws, buf_str(frame));
}

UNUSED static void say(struct world *w, const char *text)
{
    if (w->ws)
        (void)ws_send(w->ws, str_z(text));
}

UNUSED static void say_done(struct world *w, const char *id)
{
    char text[256];

    (void)snprintf(text, sizeof(text), "{\"cmd\":\"job_done\",\"data\":{\"ids\":[\"%s\"]}}", id);
    say(w, text);
}

static void say_seek(struct world *w, struct seen_job *j)
{
    char text[256];

    j->seeks++;
    (void)snprintf(text, sizeof(text),
                   "{\"cmd\":\"job_log_seek\",\"data\":{\"id\":\"%s\",\"pos\":%zu,\"meta\":%u}}",
                   j->id, j->log.n, j->meta);
    say(w, text);
}

static void take_hello(struct world *w, yyjson_val *data)
{
    buf_clear(&w->hello);
    assert_int_equal(json_text(data, false, &w->hello), STATUS_OK);
    if (w->refuse) {
        w->refused++;
        say(w, "{\"cmd\":\"auth_failure\",\"data\":{\"description\":\"Not today.\"}}");
        return;
    }
    say(w, "{\"cmd\":\"hello\",\"data\":{\"nonce\":\"abc\",\"id\":\"" SERVER_ID "\"}}");
}

static void take_join(struct world *w, yyjson_val *data)
{
    char by_id[65];
    char by_nonce[65];
    char text[4096];
    const struct str token = json_str(data, "token");

    CRYPTO_SHA256_HEX_OF(by_id, STR(SERVER_ID), STR(KEY));
    CRYPTO_SHA256_HEX_OF(by_nonce, STR("abc"), STR(KEY));
    assert_true(str_eq_z(token, by_id) || str_eq_z(token, by_nonce));
    (void)snprintf(
        text, sizeof(text),
        "{\"cmd\":\"joined\",\"data\":{\"config\":%s,\"masterData\":{\"masters\":[\"127.0.0.1\"]},"
        "\"groups\":[\"main\"],\"plugins\":%s,\"commands\":[],\"numServers\":1,"
        "\"features\":{\"api_finish_job\":true%s}}}",
        w->config ? w->config : "{}", w->plugins ? w->plugins : "[]",
        w->plain ? "" : ",\"orrery\":1");
    w->joined = true;
    w->joins++;
    say(w, text);
}

static void take_inventory(struct world *w, yyjson_val *data)
{
    size_t i, max;
    yyjson_val *v;

    for (size_t k = 0; k < w->n_jobs; k++)
        w->jobs[k].running = false;
    yyjson_arr_foreach (json_get(data, "jobs"), i, max, v) {
        struct seen_job *j = job_of(w, json_str(v, "id"));

        j->running = true;
        say_seek(w, j);
    }
}

static void take_log(struct world *w, yyjson_val *data)
{
    struct seen_job *j = job_of(w, json_str(data, "id"));
    struct str text = json_str(data, "text");
    const int64_t pos = json_i64(data, "pos", -1);

    if (w->plain) {
        assert_int_equal(pos, -1);
    } else {
        assert_true(pos >= 0);
        assert_true(text.n <= WIRE_LOG_TEXT_MAX);
        assert_true((size_t)pos <= j->log.n); /* never a gap: we ask for nothing that we have */
        if ((size_t)pos + text.n <= j->log.n)
            return;
        text = str_slice(text, j->log.n - (size_t)pos, text.n);
    }
    assert_int_equal(buf_add_str(&j->log, text), STATUS_OK);
}

static void take_meta(struct world *w, yyjson_val *data)
{
    struct seen_job *j = job_of(w, json_str(data, "id"));
    const int64_t n = json_i64(data, "n", 0);

    if (w->plain) {
        assert_int_equal(n, 0);
    } else {
        if (n <= (int64_t)j->meta)
            return;
        assert_int_equal(n, j->meta + 1);
        j->meta = (uint32_t)n;
    }
    (void)buf_add_str(&j->metas, json_str(data, "text"));
    (void)buf_add_char(&j->metas, '\n');
}

static void take_jobs(struct world *w, yyjson_val *data)
{
    size_t i, max;
    yyjson_val *k, *v;

    yyjson_obj_foreach (data, i, max, k, v) {
        struct seen_job *j = job_of(w, json_val_str(k));

        assert_true(str_eq_z(json_str(v, "id"), j->id));
        assert_int_equal(json_text(v, false, &j->updates), STATUS_OK);
        (void)buf_add_char(&j->updates, '\n');
        if (!str_eq_z(json_str(v, "state"), "complete"))
            continue;
        assert_int_equal(json_i64(v, "log_size", -1), (int64_t)j->log.n); /* after all of the log */
        j->finals++;
        buf_clear(&j->final);
        assert_int_equal(json_text(v, false, &j->final), STATUS_OK);
        if (!w->keep)
            say_done(w, j->id);
    }
}

static void take_accepted(struct world *w, yyjson_val *data)
{
    size_t i, max;
    yyjson_val *v;

    yyjson_arr_foreach (json_get(data, "ids"), i, max, v)
        job_of(w, json_val_str(v))->accepted++;
}

static void on_message(void *ctx, struct ws *ws, struct str text, bool binary)
{
    struct world *w = ctx;
    AUTO(arena_free) struct arena *a = arena_new(256u * 1024 * 1024);
    enum wire_kind kind;
    yyjson_val *data = NULL;

    assert_false(binary);
    if (ws != w->ws)
        return;
    assert_int_equal(wire_parse(a, text, WIRE_TO_CONDUCTOR, &kind, &data, NULL), STATUS_OK);
    if (kind == WIRE_HELLO)
        take_hello(w, data);
    else if (kind == WIRE_JOIN)
        take_join(w, data);
    else if (kind == WIRE_JOB_INVENTORY)
        take_inventory(w, data);
    else if (kind == WIRE_JOB_ACCEPTED)
        take_accepted(w, data);
    else if (kind == WIRE_JOB_LOG)
        take_log(w, data);
    else if (kind == WIRE_JOB_META)
        take_meta(w, data);
    else if (kind == WIRE_JOBS)
        take_jobs(w, data);
    else if (kind == WIRE_QUICKMON || kind == WIRE_MONITOR) {
        struct buf *b = kind == WIRE_QUICKMON ? &w->last_quick : &w->last_monitor;

        w->quicks += kind == WIRE_QUICKMON;
        buf_clear(b);
        assert_int_equal(json_text(data, false, b), STATUS_OK);
    }
}

static void on_close(void *ctx, struct ws *ws, int code, const struct err *err)
{
    struct world *w = ctx;

    (void)code;
    (void)err;
    if (ws != w->ws)
        return;
    w->ws = NULL;
    w->joined = false;
}

/* HTTP */

static void reply_json(struct http_request *r, int status, const char *text)
{
    http_reply(r, status, "application/json", str_z(text));
}

static void on_form(void *arg, struct http_request *r, Status st, const struct multipart_form *form,
                    const struct err *err)
{
    struct world *w = arg;
    char text[512];
    struct str job = STR_NONE;
    bool auth = false;

    (void)err;
    if (st) {
        reply_json(r, 400, "{}");
        return;
    }
    for (size_t i = 0; i < form->n; i++) {
        const struct multipart_part *p = &form->parts[i];

        if (str_eq_z(p->name, "id"))
            job = p->value;
        if (str_eq_z(p->name, "auth"))
            auth = p->value.n == 64;
        if (!str_eq_z(p->name, "file1"))
            continue;
        w->uploaded++;
        (void)snprintf(text, sizeof(text),
                       "{\"code\":0,\"key\":\"files/jobs/%.*s/%.*s\",\"size\":%llu}", STR_FMT(job),
                       STR_FMT(p->filename), (unsigned long long)p->size);
    }
    assert_true(auth);
    reply_json(r, 200, text);
}

static void on_finish(void *arg, struct http_request *r, Status st, struct str body)
{
    struct world *w = arg;

    assert_int_equal(st, STATUS_OK);
    w->finish_posts++;
    buf_clear(&w->finish);
    (void)buf_add_str(&w->finish, body);
    if (w->finish_refusals) {
        w->finish_refusals--;
        reply_json(r, 200, "{\"code\":\"auth\",\"description\":\"Not authenticated.\"}");
        return;
    }
    reply_json(r, 200, "{\"code\":0}");
}

static void on_request(void *ctx, struct http_request *r)
{
    static const struct ws_ops ops = { .on_message = on_message, .on_close = on_close };
    const struct ws_config config = { 0 };
    struct world *w = ctx;
    const struct str path = http_request_path(r);
    char text[512];
    char token[65];

    if (http_request_is_upgrade(r)) {
        struct ws *fresh = NULL;

        assert_int_equal(ws_accept(r, &config, &ops, w, &fresh, NULL), STATUS_OK);
        if (w->ws)
            ws_terminate(w->ws);
        w->ws = fresh;
        w->joined = false;
        return;
    }
    if (str_eq_z(path, "/health")) {
        reply_json(r, 200, "{\"code\":0,\"master\":true}");
    } else if (str_eq_z(path, "/api/app/satellite/config")) {
        CRYPTO_SHA256_HEX_OF(token, STR(SERVER_ID), STR(KEY));
        (void)snprintf(text, sizeof(text),
                       "{\"server_id\":\"" SERVER_ID
                       "\",\"auth_token\":\"%s\",\"hosts\":[\"other\"],"
                       "\"port\":1,\"initial\":{\"title\":\"Web 1\"},\"child_kill_timeout\":1}",
                       token);
        reply_json(r, 200,
                   str_eq_z(http_request_query(r), "t=" TOKEN)
                       ? text
                       : "{\"code\":\"satellite\",\"description\":\"Access denied.\"}");
    } else if (str_starts(path, STR("/files/"))) {
        if (w->file_failures) {
            w->file_failures--;
            reply_json(r, 500, "{}");
        } else if (str_ends(path, STR("missing"))) {
            reply_json(r, 404, "{}");
        } else {
            http_reply(r, 200, "text/plain", STR("content of the file\n"));
        }
    } else if (str_eq_z(path, "/api/app/upload_job_file")) {
        http_request_read_multipart(r, w->uploads, 1u << 30, on_form, w);
    } else if (str_eq_z(path, "/api/app/finish_job")) {
        http_request_read_body(r, 1u << 24, on_finish, w);
    } else {
        reply_json(r, 404, "{}");
    }
}

/* Time */

struct waiting {
    struct world *w;
    bool (*holds)(struct world *w, const void *arg);
    const void *arg;
    Usec until;
    bool held;
};

static void look(void *arg)
{
    struct waiting *v = arg;

    v->held = v->holds && v->holds(v->w, v->arg);
    if (v->held || clock_mono() > v->until)
        loop_stop(v->w->loop);
}

UNUSED static bool wait_quietly(struct world *w, bool (*holds)(struct world *w, const void *arg),
                                const void *arg, Usec time)
{
    struct waiting v = { .w = w, .holds = holds, .arg = arg, .until = clock_mono() + time };
    struct loop_timer *t = loop_timer_new(w->loop, "test.wait", look, &v);

    loop_timer_start(t, 0, 5 * USEC_MSEC);
    loop_run(w->loop);
    loop_timer_free(t);
    return v.held;
}

UNUSED static void wait_for(struct world *w, bool (*holds)(struct world *w, const void *arg),
                            const void *arg, const char *what)
{
    if (!wait_quietly(w, holds, arg, WAIT))
        fail_msg("this never came: %s %s", what, arg ? (const char *)arg : "");
}

static bool is_joined(struct world *w, const void *arg)
{
    (void)arg;
    return w->joined;
}

UNUSED static void wait_joined(struct world *w)
{
    wait_for(w, is_joined, NULL, "joined");
}

static bool has_final(struct world *w, const void *id)
{
    return job_of(w, str_z(id))->finals > 0;
}

UNUSED static void wait_final(struct world *w, const char *id)
{
    wait_for(w, has_final, id, "final");
}

struct wanted {
    const char *id;
    const char *text;
};

static bool has_log(struct world *w, const void *arg)
{
    const struct wanted *t = arg;
    const struct str log = buf_str(&job_of(w, str_z(t->id))->log);

    return str_find(log, str_z(t->text)) < log.n;
}

static bool has_meta(struct world *w, const void *arg)
{
    const struct wanted *t = arg;
    const struct str metas = buf_str(&job_of(w, str_z(t->id))->metas);

    return str_find(metas, str_z(t->text)) < metas.n;
}

static bool has_update(struct world *w, const void *arg)
{
    const struct wanted *t = arg;
    const struct str all = buf_str(&job_of(w, str_z(t->id))->updates);

    return str_find(all, str_z(t->text)) < all.n;
}

UNUSED static void wait_log(struct world *w, const char *id, const char *text)
{
    const struct wanted t = { id, text };

    if (!wait_quietly(w, has_log, &t, WAIT))
        fail_msg("log of %s never had: %s", id, text);
}

UNUSED static void wait_meta(struct world *w, const char *id, const char *text)
{
    const struct wanted t = { id, text };

    if (!wait_quietly(w, has_meta, &t, WAIT))
        fail_msg("rows of %s never had: %s", id, text);
}

UNUSED static void wait_update(struct world *w, const char *id, const char *text)
{
    const struct wanted t = { id, text };

    if (!wait_quietly(w, has_update, &t, WAIT))
        fail_msg("updates of %s never had: %s", id, text);
}

UNUSED static bool spool_has_file(struct world *w, const char *id, const char *name)
{
    char path[256];

    (void)snprintf(path, sizeof(path), "%s/spool/%s%s%s", w->home, id, *name ? "/" : "", name);
    return access(path, F_OK) == 0;
}

static bool is_gone(struct world *w, const void *id)
{
    char path[256];

    (void)snprintf(path, sizeof(path), "%s/temp/jobs/%s", w->home, (const char *)id);
    return !spool_has_file(w, id, "") && access(path, F_OK) != 0;
}

UNUSED static void wait_gone(struct world *w, const char *id)
{
    wait_for(w, is_gone, id, "gone");
}

/* The satellite */

UNUSED static void satellite_start(struct world *w, bool with_token)
{
    char url[64];
    const char *argv[12] = { "test", "--sat", "--home", w->home, "--log-level", "warn" };
    size_t n = 6;

    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u", w->port);
    if (with_token) {
        argv[n++] = "--conductor";
        argv[n++] = url;
        argv[n++] = "--token";
        argv[n++] = TOKEN;
    }
    if (w->option)
        argv[n++] = w->option;
    assert_int_equal(w->satellite, 0);
    w->satellite = fork();
    if (w->satellite == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* nothing of a failed test stays behind */
        (void)execv("/proc/self/exe", (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    assert_true(w->satellite > 0);
}

struct ending {
    int status;
    bool over;
};

static bool has_ended(struct world *w, const void *arg)
{
    struct ending *e = (struct ending *)(uintptr_t)arg;

    e->over = e->over || waitpid(w->satellite, &e->status, WNOHANG) == w->satellite;
    return e->over;
}

/* Waits for its end; the exit code, or -signal. */
UNUSED static int satellite_wait(struct world *w)
{
    struct ending e = { 0 };

    if (!wait_quietly(w, has_ended, &e, WAIT))
        fail_msg("the satellite does not end");
    w->satellite = 0;
    return WIFEXITED(e.status) ? WEXITSTATUS(e.status) : -WTERMSIG(e.status);
}

UNUSED static int satellite_end(struct world *w, int signum)
{
    assert_int_equal(kill(w->satellite, signum), 0);
    return satellite_wait(w);
}

/* Sets keys in the satellite's config.json. */
UNUSED static void set_config(struct world *w, const char *json)
{
    char path[128];
    AUTO_BUF struct buf text;

    buf_init(&text, CONFIG_SIZE_MAX);
    (void)snprintf(path, sizeof(path), "%s/config.json", w->home);
    assert_int_equal(config_update_file(path, str_z(json), false, &text, NULL), STATUS_OK);
}

/* launch_job with more members of the job ("\"command\":\"...\"") and the details object. */
UNUSED static void launch(struct world *w, const char *id, const char *members, const char *details)
{
    AUTO_BUF struct buf frame;

    buf_init(&frame, 16u * 1024 * 1024);
    (void)buf_printf(&frame,
                     "{\"cmd\":\"launch_job\",\"data\":{\"job\":{\"id\":\"%s\",\"event\":\"e1\","
                     "\"type\":\"adhoc\","
                     "\"now\":1770000060,\"state\":\"active\",\"activity\":[1],%s},\"details\":%s,"
                     "\"sec\":{\"PASSWORD\":\"geheim\"}}}",
                     id, members, details ? details : "{\"input\":{\"data\":{},\"files\":[]}}");
    (void)job_of(w, str_z(id));
    say_buf(w, &frame);
}

UNUSED static void launch_shell_with(struct world *w, const char *id, const char *script,
                                     const char *members)
{
    AUTO_BUF struct buf text;
    struct json_writer out;

    buf_init(&text, 16u * 1024 * 1024);
    (void)buf_printf(
        &text, "\"plugin\":\"shellplug\",\"command\":\"[shell-plugin]\",%s\"params\":", members);
    out = json_writer_init(&text);
    json_obj(&out, NULL);
    json_put_z(&out, "script", script);
    json_end(&out);
    (void)buf_add_char(&text, 0);
    launch(w, id, text.p, NULL);
}

UNUSED static void launch_shell(struct world *w, const char *id, const char *script)
{
    launch_shell_with(w, id, script, "\"kill\":\"all\",");
}

UNUSED static void cut(struct world *w)
{
    if (w->ws)
        ws_terminate(w->ws);
    w->ws = NULL;
    w->joined = false;
}

/* What is at `path` in the final record, as JSON text. */
UNUSED static void assert_final(struct world *w, const char *id, const char *path, const char *want)
{
    AUTO(json_doc_free) yyjson_doc *doc = NULL;
    AUTO_BUF struct buf text;

    buf_init(&text, 16u * 1024 * 1024);
    assert_int_equal(json_parse(buf_str(&job_of(w, str_z(id))->final), JSON_SIZE_MAX, &doc, NULL),
                     STATUS_OK);
    if (json_at(yyjson_doc_get_root(doc), path))
        assert_int_equal(json_text(json_at(yyjson_doc_get_root(doc), path), false, &text),
                         STATUS_OK);
    if (!str_eq_z(buf_str(&text), want))
        fail_msg("%s of %s is %.*s, not %s", path, id, STR_FMT(buf_str(&text)), want);
}

UNUSED static void assert_text(const struct buf *b, const char *want)
{
    if (!str_eq_z(buf_str(b), want))
        fail_msg("'%.*s' is not '%s'", STR_FMT(buf_str(b)), want);
}

/* Rows that race with the result: one of the two is there. */
UNUSED static void assert_contains_either(const struct buf *b, const char *text, const char *other)
{
    if (str_find(buf_str(b), str_z(text)) >= b->n && str_find(buf_str(b), str_z(other)) >= b->n)
        fail_msg("neither '%s' nor '%s' in '%.*s'", text, other, STR_FMT(buf_str(b)));
}

UNUSED static void assert_contains(const struct buf *b, const char *text)
{
    if (str_find(buf_str(b), str_z(text)) >= b->n)
        fail_msg("no '%s' in '%.*s'", text, STR_FMT(buf_str(b)));
}

/* World */

UNUSED static struct world *world_new(void)
{
    struct world *w = calloc(1, sizeof(*w));
    struct http_server_config config = { .limits = http_limits_default(),
                                         .on_request = on_request };

    assert_non_null(w);
    (void)str_copy_z(STR("/tmp/orrery-sat-XXXXXX"), w->home, sizeof(w->home));
    assert_non_null(mkdtemp(w->home));
    (void)snprintf(w->uploads, sizeof(w->uploads), "%s/uploads", w->home);
    assert_int_equal(mkdir(w->uploads, 0700), 0);
    w->loop = loop_new();
    assert_non_null(w->loop);
    w->disk = lane_new(w->loop, "disk", 2, 1000);
    buf_init(&w->hello, 16u * 1024 * 1024);
    buf_init(&w->last_quick, 16u * 1024 * 1024);
    buf_init(&w->last_monitor, 16u * 1024 * 1024);
    buf_init(&w->finish, 16u * 1024 * 1024);
    config.loop = w->loop;
    config.disk = w->disk;
    config.ctx = w;
    assert_int_equal(http_server_new(&config, &w->server, NULL), STATUS_OK);
    assert_int_equal(http_server_listen(w->server, "127.0.0.1", 0, NULL, &w->port, NULL),
                     STATUS_OK);
    return w;
}

static void stop_loop(void *arg)
{
    loop_stop(((struct world *)arg)->loop);
}

static void *world_ended(struct world *w)
{
    for (size_t i = 0; i < w->n_jobs; i++) {
        buf_done(&w->jobs[i].log);
        buf_done(&w->jobs[i].metas);
        buf_done(&w->jobs[i].final);
        buf_done(&w->jobs[i].updates);
    }
    buf_done(&w->hello);
    buf_done(&w->last_quick);
    buf_done(&w->last_monitor);
    buf_done(&w->finish);
    free(w);
    return NULL;
}

/* Ends the satellite, which must leave cleanly. */
UNUSED static void world_free(struct world *w)
{
    if (w->satellite)
        assert_int_equal(satellite_end(w, SIGTERM), 0);
    cut(w);
    http_server_drain(w->server, USEC_SEC, stop_loop, w);
    loop_run(w->loop);
    http_server_free(w->server);
    lane_free(w->disk);
    loop_free(w->loop);
    assert_int_equal(file_remove_tree(w->home, NULL), STATUS_OK);
    world_ended(w);
}

#endif
