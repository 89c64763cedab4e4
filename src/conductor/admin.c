/* One row a command. A command collects its work in a struct admin_call that lives until
 * admin_reply; offline the call runs on a loop of its own over the opened store, online on the
 * conductor's. */
#include "conductor/admin.h"

#include "base/log.h"
#include "conductor/world.h"
#include "crypto/password.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

struct admin_call {
    struct world *world;
    struct arena *arena;
    const struct str *args;
    size_t n_args;
    struct buf out; /* what the person reads */
    int exit_code;
    char plain[44]; /* a fresh key or password, wiped after the reply */
    void (*reply)(struct admin_call *c);
    void *user;
};

struct admin_row {
    const char *name;
    const char *usage;
    const char *doc;
    Status (*fn)(struct admin_call *c,
                 struct err *err); /* OK: it will reply; else the text is the reply */
};

/* The value behind --name, .p NULL when absent. */
static struct str option(const struct admin_call *c, const char *name)
{
    for (size_t i = 0; i + 1 < c->n_args; i++) {
        if (str_eq_z(c->args[i], name))
            return c->args[i + 1];
    }
    return STR_NONE;
}

/* The n-th argument that is no option (and no option's value). */
static struct str positional(const struct admin_call *c, size_t n)
{
    for (size_t i = 0; i < c->n_args; i++) {
        if (str_starts(c->args[i], STR("--"))) {
            i++;
            continue;
        }
        if (n-- == 0)
            return c->args[i];
    }
    return STR_NONE;
}

static void fail(struct admin_call *c, const struct err *err)
{
    buf_clear(&c->out);
    (void)buf_printf(&c->out, "%s\n", err && err->text[0] ? err->text : "It failed.");
    c->exit_code = 1;
    c->reply(c);
}

static void defs_changed(void *arg, Status st, const struct def *def, const struct err *err)
{
    struct admin_call *c = arg;

    (void)def;
    if (st != STATUS_OK)
        fail(c, err);
    else
        c->reply(c);
}

static void store_changed(void *arg, Status st, const struct err *err)
{
    struct admin_call *c = arg;

    if (st != STATUS_OK)
        fail(c, err);
    else
        c->reply(c);
}

static const struct actor shell_actor = {
    .username = { .p = "admin", .n = 5 },
    .creator = { .p = "admin", .n = 5 },
    .ip = { .p = "local", .n = 5 },
    .user_agent = { .p = "orreryd admin", .n = 13 },
};

static Status create_api_key(struct admin_call *c, struct err *err)
{
    struct world *w = c->world;
    struct str title = option(c, "--title");
    struct str rest = option(c, "--privileges");
    Usec now = loop_now_wall(w->loop);
    Id id = id_new(&w->ids, "k", now);
    char digest[65];
    char mask[17];
    struct str part;
    AUTO_BUF struct buf text = { 0 };
    struct json_writer j;
    yyjson_val *given = NULL;
    Status st;

    if (!title.n)
        return err_set(err, STATUS_INVALID, "title", "--title is missing.");
    auth_make_key(id_str(&id), c->plain, digest, mask);
    buf_init(&text, ADMIN_REQUEST_MAX);
    j = json_writer_init(&text);
    json_obj(&j, NULL);
    json_put_str(&j, "id", id_str(&id));
    json_put_z(&j, "key", digest);
    json_put_z(&j, "mask", mask);
    json_put_str(&j, "title", title);
    json_put_bool(&j, "active", true);
    json_obj(&j, "privileges");
    while (str_split(&rest, ',', &part)) {
        enum privilege p;

        part = str_trim(part);
        if (!part.n)
            continue;
        if (!privilege_find(part, &p))
            return err_set(err, STATUS_INVALID, "privileges", "Unknown privilege: %.*s",
                           STR_FMT(part));
        json_put_bool(&j, privilege_key(p), true);
    }
    json_end(&j);
    json_end(&j);
    st = json_parse_in(c->arena, arena_dup(c->arena, buf_str(&text)), ADMIN_REQUEST_MAX, &given,
                       err);
    if (st == STATUS_OK)
        st = buf_printf(&c->out, "%s\n", c->plain);
    if (st == STATUS_OK)
        st = defs_create(w->defs, DEF_API_KEY, given, &shell_actor, now, defs_changed, c, err);
    return st;
}

static Status reset_password(struct admin_call *c, struct err *err)
{
    struct world *w = c->world;
    struct str user = positional(c, 0);
    const struct def *def = defs_find(w->defs, DEF_USER, user);
    char hash[PASSWORD_HASH_MAX];
    yyjson_val *given = NULL;
    struct str text;
    Status st;

    if (!user.n)
        return err_set(err, STATUS_INVALID, NULL, "Which user?");
    if (!def)
        return err_set(err, STATUS_MISSING, NULL, "There is no user %.*s.", STR_FMT(user));
    crypto_random_base64url(c->plain);
    c->plain[20] = '\0';
    st = password_hash(str_z(c->plain), hash, err);
    if (st != STATUS_OK)
        return st;
    text = arena_printf(
        c->arena,
        "{\"id\":\"%s\",\"password\":\"%s\",\"active\":true,\"force_password_reset\":0,"
        "\"fl_count\":0,\"fl_date_code\":0}",
        def->id.z, hash);
    st = json_parse_in(c->arena, text, ADMIN_REQUEST_MAX, &given, err);
    if (st == STATUS_OK)
        st = buf_printf(&c->out, "%s\n", c->plain);
    if (st == STATUS_OK)
        st = defs_update(w->defs, DEF_USER, given, &shell_actor, loop_now_wall(w->loop),
                         defs_changed, c, err);
    return st;
}

static Status satellite_token(struct admin_call *c, struct err *err)
{
    struct world *w = c->world;
    char token[65];
    Status st = fleet_make_token(w->fleet, loop_now_wall(w->loop) + USEC_DAY, STR_NONE, token,
                                 store_changed, c, err);

    (void)buf_printf(&c->out, "%s\n", token);
    return st;
}

static Status check(struct admin_call *c, struct err *err)
{
    struct store_health h;

    (void)err;
    store_health(c->world->store, &h);
    (void)buf_printf(&c->out, "store: %s, %s, %lld bytes\n",
                     h.writable ? "writable" : "NOT WRITABLE",
                     !h.checked ? "still being checked"
                     : h.sound  ? "sound"
                                : "DAMAGED",
                     (long long)h.bytes);
    if (h.problem[0])
        (void)buf_printf(&c->out, "problem: %s\n", h.problem);
    (void)buf_printf(&c->out, "events %zu, plugins %zu, users %zu, servers %zu, live jobs %zu\n",
                     defs_count(c->world->defs, DEF_EVENT), defs_count(c->world->defs, DEF_PLUGIN),
                     defs_count(c->world->defs, DEF_USER), fleet_count(c->world->fleet, false),
                     c->world->jobs ? job_count(c->world->jobs) : 0);
    c->exit_code = h.writable && (!h.checked || h.sound) ? 0 : 1;
    c->reply(c);
    return STATUS_OK;
}

struct backup_work {
    struct lane_work lane;
    struct admin_call *call;
    char dir[4096];
    char path[4096];
    Status st;
    struct err err;
};

static void backup_run(struct lane_work *lw)
{
    struct backup_work *b = CONTAINER_OF(lw, struct backup_work, lane);

    b->st = store_backup(b->dir, b->path, &b->err);
}

static void backup_done(struct lane_work *lw)
{
    struct backup_work *b = CONTAINER_OF(lw, struct backup_work, lane);
    struct admin_call *c = b->call;

    (void)buf_printf(&c->out, "Backup written to %s\n", b->path);
    if (b->st != STATUS_OK)
        fail(c, &b->err);
    else
        c->reply(c);
    free(b);
}

static Status backup(struct admin_call *c, struct err *err)
{
    struct str file = positional(c, 0);
    struct backup_work *b;
    Status st;

    if (!file.n || file.p[0] != '/')
        return err_set(err, STATUS_INVALID, NULL, "The backup file must be an absolute path.");
    b = calloc(1, sizeof(*b));
    if (!b)
        return err_set(err, STATUS_NOMEM, NULL, "Out of memory.");
    b->call = c;
    b->lane.work = backup_run;
    b->lane.done = backup_done;
    (void)snprintf(b->dir, sizeof(b->dir), "%s/data", c->world->config->home);
    (void)snprintf(b->path, sizeof(b->path), "%.*s", STR_FMT(file));
    st = lane_post(store_disk_lane(c->world->store), &b->lane);
    if (st != STATUS_OK)
        free(b);
    return st;
}

static const struct admin_row admin_rows[] = {
    { "backup", "FILE", "Copy the database to FILE, consistently, while running.", backup },
    { "check", "", "Tell the state of the store.", check },
    { "create-api-key", "--title T [--privileges a,b]", "Make an API key and print it once.",
      create_api_key },
    { "reset-password", "USER", "Give USER a new random password and print it once.",
      reset_password },
    { "satellite-token", "", "Make a token for enrolling satellites, good for a day.",
      satellite_token },
};

void admin_usage(void)
{
    for (size_t i = 0; i < COUNT_OF(admin_rows); i++)
        printf("  %-16s %-30s %s\n", admin_rows[i].name, admin_rows[i].usage, admin_rows[i].doc);
    printf("  %-16s %-30s %s\n", "restore", "FILE",
           "Put a backup in place of the database (stopped only).");
}

static void admin_run(struct admin_call *c)
{
    struct err err = { 0 };

    for (size_t i = 0; i < COUNT_OF(admin_rows); i++) {
        if (c->n_args && str_eq_z(c->args[0], admin_rows[i].name)) {
            c->args++;
            c->n_args--;
            if (admin_rows[i].fn(c, &err) != STATUS_OK)
                fail(c, &err);
            return;
        }
    }
    (void)err_set(&err, STATUS_INVALID, NULL, "Unknown command; see orreryd admin --help.");
    fail(c, &err);
}

static struct admin_call *call_new(struct world *w, void (*reply)(struct admin_call *), void *user)
{
    struct arena *a = arena_new(16u * 1024 * 1024);
    struct admin_call *c = a ? arena_zalloc(a, sizeof(*c)) : NULL;

    if (!c) {
        arena_free(a);
        return NULL;
    }
    c->world = w;
    c->arena = a;
    c->reply = reply;
    c->user = user;
    buf_init(&c->out, ADMIN_REQUEST_MAX);
    return c;
}

static void call_free(struct admin_call *c)
{
    crypto_wipe(c->plain, sizeof(c->plain));
    if (c->out.p)
        crypto_wipe(c->out.p, c->out.n);
    buf_done(&c->out);
    arena_free(c->arena);
}

static Status parse_args(struct admin_call *c, struct str json, struct err *err)
{
    yyjson_val *list = NULL;
    struct str *args = arena_zalloc(c->arena, ADMIN_ARGS_MAX * sizeof(*args));
    size_t i, max;
    yyjson_val *item;
    Status st = json_parse_in(c->arena, arena_dup(c->arena, json), ADMIN_REQUEST_MAX, &list, err);

    if (st != STATUS_OK)
        return st;
    if (!args || !yyjson_is_arr(list) || yyjson_arr_size(list) > ADMIN_ARGS_MAX)
        return err_set(err, STATUS_INVALID, NULL, "Too many arguments.");
    yyjson_arr_foreach (list, i, max, item)
        args[i] = json_val_str(item);
    c->args = args;
    c->n_args = yyjson_arr_size(list);
    return STATUS_OK;
}

/* ---- the running conductor: one request a connection: a JSON array, a newline; the reply is the
 * exit code, a newline and the text, then the end. ---- */

struct control {
    uv_pipe_t pipe;
    struct world *world;
    char path[200];
};

struct control_client {
    uv_pipe_t pipe;
    uv_write_t write;
    struct world *world;
    struct buf in;
    struct buf out;
    bool asked;
};

static void client_closed(uv_handle_t *h)
{
    struct control_client *cl = h->data;

    buf_done(&cl->in);
    if (cl->out.p)
        crypto_wipe(cl->out.p, cl->out.n);
    buf_done(&cl->out);
    free(cl);
}

static void client_close(struct control_client *cl)
{
    if (!uv_is_closing((uv_handle_t *)&cl->pipe))
        uv_close((uv_handle_t *)&cl->pipe, client_closed);
}

static void client_wrote(uv_write_t *req, int status)
{
    (void)status;
    client_close(req->data);
}

static void client_reply(struct admin_call *c)
{
    struct control_client *cl = c->user;
    uv_buf_t piece;

    (void)buf_printf(&cl->out, "%d\n", c->exit_code);
    (void)buf_add_str(&cl->out, buf_str(&c->out));
    piece = uv_buf_init(cl->out.p, (unsigned)cl->out.n);
    cl->write.data = cl;
    call_free(c);
    if (uv_write(&cl->write, (uv_stream_t *)&cl->pipe, &piece, 1, client_wrote) != 0)
        client_close(cl);
}

static void client_run(struct control_client *cl)
{
    struct admin_call *c = call_new(cl->world, client_reply, cl);
    struct err err = { 0 };

    cl->asked = true;
    if (!c) {
        client_close(cl);
        return;
    }
    if (parse_args(c, buf_str(&cl->in), &err) != STATUS_OK)
        fail(c, &err);
    else
        admin_run(c);
}

static void client_alloc(uv_handle_t *h, size_t hint, uv_buf_t *out)
{
    struct control_client *cl = h->data;

    (void)hint;
    if (buf_reserve(&cl->in, 4096) == STATUS_OK)
        *out = uv_buf_init(cl->in.p + cl->in.n, 4096);
    else
        *out = uv_buf_init(NULL, 0);
}

static void client_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
    struct control_client *cl = s->data;

    (void)b;
    if (n < 0) {
        if (!cl->asked)
            client_close(cl);
        else
            (void)uv_read_stop(s);
        return;
    }
    cl->in.n += (size_t)n;
    if (!cl->asked && cl->in.n && cl->in.p[cl->in.n - 1] == '\n')
        client_run(cl);
}

static void control_accept(uv_stream_t *s, int status)
{
    struct control *ctl = s->data;
    struct control_client *cl;

    if (status < 0)
        return;
    cl = calloc(1, sizeof(*cl));
    if (!cl)
        return;
    cl->world = ctl->world;
    cl->pipe.data = cl;
    buf_init(&cl->in, ADMIN_REQUEST_MAX);
    buf_init(&cl->out, ADMIN_REQUEST_MAX * 2);
    (void)uv_pipe_init(loop_uv(ctl->world->loop), &cl->pipe, 0);
    if (uv_accept(s, (uv_stream_t *)&cl->pipe) != 0 ||
        uv_read_start((uv_stream_t *)&cl->pipe, client_alloc, client_read) != 0)
        client_close(cl);
}

static void control_closed(uv_handle_t *h)
{
    free(h->data);
}

Status admin_listen(struct world *w, struct err *err)
{
    struct control *ctl = calloc(1, sizeof(*ctl));
    int rc;

    if (!ctl)
        return err_set(err, STATUS_NOMEM, NULL, "Out of memory.");
    ctl->world = w;
    ctl->pipe.data = ctl;
    w->control = ctl;
    (void)snprintf(ctl->path, sizeof(ctl->path), "%.180s/control.sock", w->config->home);
    (void)unlink(ctl->path);
    (void)uv_pipe_init(loop_uv(w->loop), &ctl->pipe, 0);
    mode_t old = umask(0177);
    rc = uv_pipe_bind(&ctl->pipe, ctl->path);
    (void)umask(old);
    if (rc == 0)
        rc = uv_listen((uv_stream_t *)&ctl->pipe, 16, control_accept);
    if (rc != 0) /* a very long home, or a file system without sockets: the shell then works offline
                    only */
        log_event(LOG_WARN, "admin.no_socket", "path=%s reason=%s", ctl->path, uv_strerror(rc));
    return STATUS_OK;
}

void admin_close(struct control *c)
{
    if (!c)
        return;
    (void)unlink(c->path);
    uv_close((uv_handle_t *)&c->pipe, control_closed);
}

/* ---- the shell ---- */

static Status args_text(int argc, char **argv, struct buf *out)
{
    struct json_writer w = json_writer_init(out);

    json_arr(&w, NULL);
    for (int i = 0; i < argc; i++)
        json_put_z(&w, NULL, argv[i]);
    json_end(&w);
    return buf_add_char(out, '\n');
}

/* 0 with *ret_exit set: answered by the running conductor; -1: none runs. */
static int ask_running(const char *home, struct str request, int *ret_exit)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    AUTO_BUF struct buf reply = { 0 };
    ssize_t n;

    (void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%.90s/control.sock", home);
    if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) != 0) {
        if (fd >= 0)
            (void)close(fd);
        return -1;
    }
    buf_init(&reply, ADMIN_REQUEST_MAX * 2);
    *ret_exit = 1;
    if (write(fd, request.p, request.n) == (ssize_t)request.n) {
        while (buf_reserve(&reply, 4096) == STATUS_OK &&
               (n = read(fd, reply.p + reply.n, 4096)) > 0)
            reply.n += (size_t)n;
    }
    (void)close(fd);
    struct str text = buf_str(&reply);
    struct str code;
    int64_t exit_code = 1;

    if (!str_split(&text, '\n', &code) || !str_to_i64(code, &exit_code)) {
        (void)fputs("orreryd: the running conductor did not answer.\n", stderr);
        return 0;
    }
    *ret_exit = (int)exit_code;
    (void)fwrite(text.p ? text.p : "", 1, text.n, exit_code ? stderr : stdout);
    return 0;
}

struct offline {
    struct loop *loop;
    int exit_code;
    bool done;
};

static void offline_reply(struct admin_call *c)
{
    struct offline *o = c->user;

    (void)fwrite(c->out.p ? c->out.p : "", 1, c->out.n, c->exit_code ? stderr : stdout);
    o->exit_code = c->exit_code;
    o->done = true;
    call_free(c);
    loop_stop(o->loop);
}

static int run_offline(const char *home, struct str request)
{
    struct config config;
    struct world w = { 0 };
    struct err err = { 0 };
    struct offline o = { .exit_code = 1, .loop = loop_new() };
    struct admin_call *c;
    Status st = o.loop ? config_load(home, &config, &err) : STATUS_NOMEM;

    if (st != STATUS_OK) {
        (void)fprintf(stderr, "orreryd: %s\n", err.text);
        loop_free(o.loop);
        return 1;
    }
    st = world_open(&config, o.loop, &w, &err);
    c = st == STATUS_OK ? call_new(&w, offline_reply, &o) : NULL;
    if (c && parse_args(c, request, &err) == STATUS_OK) {
        admin_run(c);
        while (!o.done)
            loop_run(o.loop);
    } else {
        (void)fprintf(stderr, "orreryd: %s\n", err.text);
    }
    world_close(&w);
    loop_free(o.loop);
    config_done(&config);
    return o.exit_code;
}

/* restore FILE: only while nothing runs; the old database is kept beside as
 * orrery.db.before-restore. */
static int restore(const char *home, const char *file)
{
    char dir[4096];
    struct err err = { 0 };

    (void)snprintf(dir, sizeof(dir), "%s/data", home);
    if (store_restore(dir, file, &err) != STATUS_OK) {
        (void)fprintf(stderr, "orreryd: %s\n", err.text);
        return 1;
    }
    printf("Restored %s; the earlier database is %s/orrery.db.before-restore\n", file, dir);
    return 0;
}

int admin_main(const char *home, int argc, char **argv)
{
    AUTO_BUF struct buf request = { 0 };
    int exit_code = 1;

    if (argc < 1 || strcmp(argv[0], "--help") == 0) {
        admin_usage();
        return argc < 1 ? 2 : 0;
    }
    if (strcmp(argv[0], "restore") == 0)
        return argc == 2 ? restore(home, argv[1]) : 2;
    buf_init(&request, ADMIN_REQUEST_MAX);
    if (args_text(argc, argv, &request) != STATUS_OK) {
        (void)fputs("orreryd: too many arguments.\n", stderr);
        return 2;
    }
    if (ask_running(home, buf_str(&request), &exit_code) == 0)
        return exit_code;
    return run_offline(home, buf_str(&request));
}
