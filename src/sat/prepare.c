/* Building a job's command, environment and standard input; see prepare.h. */
#include "sat/prepare.h"

#include <ctype.h>

#include "json/writer.h"
#include "sat/env.h"

#define DETAILS_MAX 64u /* keys of `details` */

enum command_kind prepare_kind(yyjson_val *job)
{
    struct str command = str_trim(json_str(job, "command"));

    if (command.n < 3 || command.p[0] != '[' || command.p[command.n - 1] != ']')
        return COMMAND_PROGRAM;
    for (size_t i = 1; i + 1 < command.n; i++) {
        const char c = command.p[i];

        if (c != '-' && c != '_' && !isalnum((unsigned char)c))
            return COMMAND_PROGRAM;
    }
    if (str_eq_z(command, "[shell-plugin]"))
        return COMMAND_SHELL;
    if (str_eq_z(command, "[test-plugin]"))
        return COMMAND_TEST;
    return COMMAND_UNKNOWN;
}

void prepared_done(struct prepared *p)
{
    buf_done(&p->stdin_line);
    buf_done(&p->script);
}

/* File names */

struct str prepare_file_name(struct arena *a, struct str name)
{
    char *p = arena_dup_z(a, name);
    size_t n = name.n;

    if (!p)
        return STR("_");
    while (n > PREPARE_NAME_MAX || (n && n < name.n && !str_is_utf8(str_n(p, n))))
        n--;
    for (size_t i = 0; i < n; i++) {
        if (p[i] == '/' || (unsigned char)p[i] < 0x20 || p[i] == 0x7f)
            p[i] = '_';
    }
    p[n] = 0;
    if (n == 0 || str_eq_z(str_n(p, n), ".") || str_eq_z(str_n(p, n), ".."))
        return STR("_");
    return str_n(p, n);
}

static bool upload_char(char c)
{
    static const char others[] = "_-+.,()[]{}'\"!&^%$#@*?~";

    return c && (isalnum((unsigned char)c) || isspace((unsigned char)c) || strchr(others, c)) &&
           (unsigned char)c < 0x80;
}

struct str prepare_upload_name(struct arena *a, struct str name)
{
    char *p;
    size_t n = 0;
    bool run = false;

    for (size_t i = name.n; i > 0; i--) { /* the base name */
        if (name.p[i - 1] == '/') {
            name = str_slice(name, i, name.n);
            break;
        }
    }
    p = arena_alloc(a, name.n + 1);
    if (!p)
        return STR("_");
    for (size_t i = 0; i < name.n; i++) {
        const bool fine = upload_char(name.p[i]) && !iscntrl((unsigned char)name.p[i]);

        if (fine)
            p[n++] = name.p[i];
        else if (!run)
            p[n++] = '_';
        run = !fine;
    }
    return prepare_file_name(a, str_n(p, n));
}

/* Environment */

struct build {
    yyjson_val *job;
    yyjson_val *details;
    yyjson_val *sec;
    const struct prepare_facts *facts;
    struct arena *a;
    struct env env;
    struct proc_user user;
    gid_t gid;
    bool set_user;
};

static void env_fixed(struct build *b)
{
    const struct prepare_facts *f = b->facts;

    env_set(&b->env, STR("XYOPS"), STR(ORRERY_VERSION));
    env_set_val(&b->env, STR("JOB_ID"), json_get(b->job, "id"));
    if (json_get(b->job, "now"))
        env_set_val(&b->env, STR("JOB_NOW"), json_get(b->job, "now"));
    env_set(&b->env, STR("JOB_BASE_URL"), f->base_url);
    env_set(&b->env, STR("JOB_LOG"), str_z(f->log_file));
    env_set(&b->env, STR("PWD"), str_z(f->cwd));
}

static void env_user(struct build *b)
{
    if (!b->user.name[0])
        return;
    env_set(&b->env, STR("USER"), str_z(b->user.name));
    env_set(&b->env, STR("USERNAME"), str_z(b->user.name));
    env_set(&b->env, STR("HOME"), str_z(b->user.home));
    env_set(&b->env, STR("SHELL"), str_z(b->user.shell));
}

static void env_build(struct build *b)
{
    yyjson_val *workflow = json_get(b->job, "workflow");

    env_inherit(&b->env, b->facts->environment, b->facts->home);
    env_set_members(&b->env, json_get(b->facts->config, "job_env"));
    env_set_members(&b->env, json_get(b->job, "env"));
    env_set_members(&b->env, b->sec);
    env_fixed(b);
    env_user(b);
    env_set_cleaned(&b->env, "", json_get(b->job, "params"));
    env_set_cleaned(&b->env, "workflow_", json_get(workflow, "params"));
    env_set_cleaned(&b->env, "workflow_data_", json_get(b->details, "workflowData"));
    env_set_cleaned(&b->env, "server_data_", json_get(b->details, "serverData"));
    env_set_cleaned(&b->env, "data_", json_get(json_get(b->details, "input"), "data"));
}

/* User and group */

/* A name or a number, as text; "" when it is not given. */
static const char *name_of(struct build *b, const char *key)
{
    yyjson_val *v = json_get(b->job, key);

    if (yyjson_is_str(v))
        return arena_dup_z(b->a, str_trim(json_val_str(v)));
    if (json_is_int(v))
        return arena_printf(b->a, "%lld", (long long)json_i64(b->job, key, 0)).p;
    return "";
}

static Status find_user(struct build *b, struct err *err)
{
    const char *uid = name_of(b, "uid");
    const char *gid = name_of(b, "gid");
    Status st;

    if (!uid || !gid)
        return err_set(err, STATUS_NOMEM, NULL, "Setup Error: out of memory");
    if (!*uid)
        uid = arena_printf(b->a, "%u", (unsigned)geteuid()).p;
    st = uid ? proc_user_find(uid, &b->user, err) : STATUS_NOMEM;
    b->gid = b->user.gid;
    if (!st && *gid)
        st = proc_group_find(gid, &b->gid, err);
    if (st) {
        (void)!err_wrap(err, "Plugin Error");
        return st;
    }
    b->set_user = b->user.uid != geteuid() || (*gid && b->gid != getegid());
    if (!b->set_user)
        b->gid = getegid();
    return STATUS_OK;
}

/* Command */

static Status refuse_builtin(struct build *b, struct err *err)
{
    struct str name = str_trim(json_str(b->job, "command"));

    name = str_slice(name, 1, name.n - 1);
    return err_set(err, STATUS_UNSUPPORTED, NULL,
                   "Setup Error: built-in plugin not supported: %.*s", STR_FMT(name));
}

static bool has_blank(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (isspace((unsigned char)s.p[i]))
            return true;
    }
    return false;
}

static const char **argv_new(struct arena *a, size_t n)
{
    return arena_zalloc(a, (n + 1) * sizeof(char *));
}

/* The plugin's script as one more argument. */
static Status argv_add_script(struct build *b, const char ***argv, struct err *err)
{
    const struct str plugin = json_str(b->job, "plugin");
    const char **old = *argv;
    const char **fresh;
    size_t n = 0;
    struct str path;

    if (!json_truthy(json_get(b->job, "script")))
        return STATUS_OK;
    path = arena_printf(b->a, "%s/plugins/%.*s", b->facts->temp, STR_FMT(plugin));
    if (!str_is_word(plugin) || !path.p || access(path.p, R_OK) != 0)
        return err_set(err, STATUS_MISSING, NULL, "Plugin not found: %.*s", STR_FMT(plugin));
    while (old[n])
        n++;
    fresh = argv_new(b->a, n + 1);
    if (!fresh)
        return err_set(err, STATUS_NOMEM, NULL, "Setup Error: out of memory");
    memcpy(fresh, old, n * sizeof(*fresh));
    fresh[n] = path.p;
    *argv = fresh;
    return STATUS_OK;
}

static Status argv_program(struct build *b, const char *const *env, const char ***ret,
                           struct err *err)
{
    const struct str command = str_trim(json_str(b->job, "command"));
    Status st = STATUS_OK;

    if (command.n == 0)
        return err_set(err, STATUS_INVALID, NULL, "Setup Error: The plugin has no command");
    if (has_blank(command)) {
        st = proc_split_command(command, env, b->a, ret, err);
        if (st)
            (void)!err_wrap(err, "Setup Error");
        if (!st && (!*ret || !**ret))
            st = err_set(err, STATUS_INVALID, NULL, "Setup Error: The plugin has no command");
    } else {
        *ret = argv_new(b->a, 1);
        if (*ret)
            (*ret)[0] = arena_dup_z(b->a, command);
        if (!*ret || !(*ret)[0])
            st = err_set(err, STATUS_NOMEM, NULL, "Setup Error: out of memory");
    }
    return st ? st : argv_add_script(b, ret, err);
}

/* CRLF becomes LF (38.1). */
static Status shell_script(struct build *b, struct buf *script, struct err *err)
{
    yyjson_val *v = json_get(json_get(b->job, "params"), "script");
    const struct str s = json_val_str(v);

    if (!yyjson_is_str(v) || str_trim(s).n == 0)
        return err_set(err, STATUS_INVALID, NULL, "Script failed: there is no script to run");
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\r' && i + 1 < s.n && s.p[i + 1] == '\n')
            continue;
        (void)buf_add_char(script, s.p[i]);
    }
    if (script->failed)
        return err_set(err, STATUS_TOO_BIG, NULL, "Script failed: the script is too large");
    return STATUS_OK;
}

static Status argv_build(struct build *b, const char *const *env, struct prepared *out,
                         struct err *err)
{
    const char **argv = NULL;
    Status st = STATUS_OK;

    switch (prepare_kind(b->job)) {
    case COMMAND_PROGRAM:
        st = argv_program(b, env, &argv, err);
        break;
    case COMMAND_SHELL:
        st = shell_script(b, &out->script, err);
        argv = argv_new(b->a, 1);
        if (argv)
            argv[0] = arena_printf(b->a, "%s/script", b->facts->job_dir).p;
        break;
    case COMMAND_TEST:
        argv = argv_new(b->a, 3);
        if (argv) {
            argv[0] = b->facts->exe;
            argv[1] = "plugin";
            argv[2] = "test-plugin";
        }
        break;
    case COMMAND_UNKNOWN:
        return refuse_builtin(b, err);
    }
    if (!st && (!argv || !argv[0]))
        st = err_set(err, STATUS_NOMEM, NULL, "Setup Error: out of memory");
    out->argv = argv;
    return st;
}

/* Standard input (37.2) */

static void put_files(struct json_writer *w, yyjson_val *files, bool runner)
{
    static const char *const hidden[] = { "path", NULL };
    size_t i, max;
    yyjson_val *v;

    json_arr(w, "files");
    yyjson_arr_foreach (files, i, max, v) {
        if (!yyjson_is_obj(v)) {
            json_put_val(w, NULL, v);
            continue;
        }
        json_obj(w, NULL);
        json_put_members(w, v, runner ? NULL : hidden);
        json_end(w);
    }
    json_end(w);
}

static void put_input(struct json_writer *w, yyjson_val *input, bool runner)
{
    static const char *const own[] = { "files", NULL };

    if (!yyjson_is_obj(input)) {
        json_put_val(w, "input", input);
        return;
    }
    json_obj(w, "input");
    json_put_members(w, input, own);
    put_files(w, json_get(input, "files"), runner);
    json_end(w);
}

static void put_meta(struct json_writer *w, const struct build *b)
{
    const struct prepare_facts *f = b->facts;
    yyjson_val *config = f->config;

    json_put_z(w, "cwd", f->cwd);
    json_put_z(w, "log_file", f->log_file);
    if (yyjson_is_obj(b->sec))
        json_put_val(w, "secrets", b->sec);
    else
        json_put_raw(w, "secrets", STR("{}"));
    json_put_str(w, "base_url", f->base_url);
    if (json_get(config, "socket_opts"))
        json_put_val(w, "socket_opts", json_get(config, "socket_opts"));
    else
        json_put_raw(w, "socket_opts", STR("{\"rejectUnauthorized\":false}"));
    json_put_z(w, "temp_dir", f->temp);
    if (json_get(config, "airgap"))
        json_put_val(w, "airgap", json_get(config, "airgap"));
    json_put_null(w, "activity");
    if (f->runner_token.n)
        json_put_str(w, "auth_token", f->runner_token);
}

static Status stdin_build(struct build *b, struct buf *out, struct err *err)
{
    static const char *const meta[] = { "xy",      "type",     "cwd",         "log_file",
                                        "secrets", "base_url", "socket_opts", "temp_dir",
                                        "airgap",  "activity", "auth_token",  "input" };
    const char *skip[COUNT_OF(meta) + DETAILS_MAX + 1] = { NULL };
    size_t n = 0;
    struct json_writer w = json_writer_init(out);
    const bool runner = json_truthy(json_get(b->job, "runner"));
    yyjson_val *input = json_get(b->details, "input");
    size_t i, max;
    yyjson_val *k, *v;

    for (n = 0; n < COUNT_OF(meta); n++)
        skip[n] = meta[n];
    json_obj(&w, NULL);
    json_put_i64(&w, "xy", 1);
    json_put_z(&w, "type", "event");
    if (yyjson_is_obj(b->details)) {
        yyjson_obj_foreach (b->details, i, max, k, v) {
            if (n < COUNT_OF(skip) - 1)
                skip[n++] = yyjson_get_str(k);
        }
    }
    json_put_members(&w, b->job, skip);
    skip[COUNT_OF(meta)] = NULL;
    json_put_members(&w, b->details, skip);
    put_input(&w, input ? input : json_get(b->job, "input"), runner);
    put_meta(&w, b);
    json_end(&w);
    (void)buf_add_char(out, '\n');
    if (out->failed)
        return err_set(err, STATUS_TOO_BIG, NULL, "Setup Error: The job's data is too large");
    return STATUS_OK;
}

Status prepare_job(yyjson_val *launch, const struct prepare_facts *facts, struct arena *a,
                   struct prepared *out, struct err *err)
{
    struct build b = {
        .job = json_get(launch, "job"),
        .details = json_get(launch, "details"),
        .sec = json_get(launch, "sec"),
        .facts = facts,
        .a = a,
    };
    const char *const *env;
    Status st;

    *out = (struct prepared){ 0 };
    buf_init(&out->stdin_line, PREPARE_STDIN_MAX);
    buf_init(&out->script, PREPARE_SCRIPT_MAX);
    env_init(&b.env, a);
    st = find_user(&b, err);
    if (!st) {
        env_build(&b);
        env = env_list(&b.env);
        st = env ? argv_build(&b, env, out, err)
                 : err_set(err, STATUS_NOMEM, NULL, "Setup Error: out of memory");
    }
    if (!st)
        st = stdin_build(&b, &out->stdin_line, err);
    if (!st) {
        const char **list = argv_new(a, b.env.n);

        if (list)
            memcpy(list, b.env.at, b.env.n * sizeof(*list));
        out->env = list;
        out->set_user = b.set_user;
        out->uid = b.user.uid;
        out->gid = b.gid;
        out->user_name = arena_dup_z(a, str_z(b.user.name));
        out->env_skipped = b.env.skipped;
        if (!list || !out->user_name)
            st = err_set(err, STATUS_NOMEM, NULL, "Setup Error: out of memory");
    }
    env_done(&b.env);
    return st;
}
