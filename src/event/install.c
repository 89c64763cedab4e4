/* The default install: what an empty store gets, as rows. Ids, titles, commands and parameters are
 * those that exported events and scripts of compatible systems expect; the words are ours. */
#include "event/defs_int.h"

#include <stdlib.h>

#define INSTALL_ARENA_MAX (16u * 1024 * 1024)

struct param_row {
    const char *id;
    const char *type;
    const char *variant; /* NULL: none */
    const char *title;
    const char *value;   /* JSON text; NULL: none */
    const char *caption; /* NULL: none */
    bool required, locked;
    const char *more; /* further members as JSON object text; NULL: none */
};

struct plugin_row {
    const char *id;
    const char *title;
    const char *type;
    const char *command;
    const char *kill;    /* NULL: absent */
    const char *runner;  /* JSON text; NULL: absent */
    const char *icon;    /* NULL: absent */
    const char *enabled; /* JSON text */
    bool stock;
    const char *notes;
    const char *more; /* further members as JSON object text */
    const struct param_row *params;
};

#define SCRIPT_DEFAULT "\"#!/bin/sh\\n\\n# Your script goes here.\\n\""

static const struct param_row test_params[] = {
    { "duration", "text", "number", "Test Duration (seconds)", "60",
      "How long the job should take.", .required = true },
    { "action", "select", NULL, "Simulate Result", "\"Success, Error, Warning, Critical, Crash\"",
      "How the job should end." },
    { "custom", "text", "text", "Custom Value", "\"\"", "Any text; it comes back in the output." },
    { "burn", "checkbox", NULL, "Burn Memory/CPU", "false", "Keeps a core and some memory busy." },
    { "network", "checkbox", NULL, "Generate Network Traffic", "false",
      "Moves some bytes over a connection." },
    { "upload", "checkbox", NULL, "Upload Sample File", "false",
      "Attaches a small file to the job." },
    { 0 },
};

static const struct param_row shell_params[] = {
    { "script", "code", NULL, "Script Source", SCRIPT_DEFAULT,
      "Runs with the interpreter of its first line.", .required = true, .locked = true },
    { "annotate", "checkbox", NULL, "Add Date/Time Stamps to Log", "false",
      "Puts the time before each line of output." },
    { 0 },
};

static const struct param_row http_params[] = {
    { "method", "select", NULL, "Method", "\"GET, HEAD, POST, PUT, DELETE\"",
      "Method of the request." },
    { "url", "text", "text", "URL", "\"https://\"", "Where the request goes.", .required = true,
      .locked = true },
    { "headers", "textarea", NULL, "Request Headers", "\"User-Agent: Orrery/HTTP-Plugin\"",
      "One header a line." },
    { "data", "textarea", NULL, "POST Data", "\"\"", "Body of the request." },
    { "timeout", "text", "number", "Timeout (Seconds)", "\"30\"",
      "Until the first byte of the answer." },
    { "idle_timeout", "text", "number", "Idle Timeout (Seconds)", "\"30\"", "Between two bytes." },
    { "connect_timeout", "text", "number", "Connect Timeout (Seconds)", "\"10\"",
      "Until the connection stands." },
    { "success_match", "text", "text", "Success Match", "\"\"",
      "Regular expression that the answer must match." },
    { "error_match", "text", "text", "Error Match", "\"\"",
      "Regular expression that the answer must not match." },
    { "follow", "checkbox", NULL, "Follow Redirects", "false", "Goes where the server points to." },
    { "download", "checkbox", NULL, "Download File", "false",
      "Attaches the answer to the job as a file." },
    { "ssl_cert_bypass", "checkbox", NULL, "SSL Cert Bypass", "false",
      "Accepts any certificate of the server." },
    { 0 },
};

static const struct param_row docker_params[] = {
    { "image_name", "text", "text", "Image Name", "\"docker.io/library/alpine\"", "Image to run.",
      .required = true, .locked = true },
    { "image_ver", "text", "text", "Image Version", "\"latest\"", "Tag of the image.",
      .required = true, .locked = true },
    { "cont_name", "text", "text", "Container Name", "\"orrery-job-{{id}}\"",
      "Name of the container; {{id}} is the job's.", .required = true },
    { "cont_cpus", "text", "number", "Max CPUs", "1", "Cores that it may use." },
    { "cont_mem", "text", "text", "Max Memory", "\"1 GB\"", "Memory that it may use." },
    { "cont_net", "text", "text", "Join Network", "\"\"", "Network that it joins." },
    { "cont_extras", "text", "text", "Command Extras", "\"\"",
      "Further arguments of the run command.", .locked = true },
    { "cont_cmd", "text", "text", "Launch Command", "\"sh\"", "Command inside the container.",
      .locked = true },
    { "run_mode", "select", NULL, "Run Mode", "\"Send Job JSON, Send Script Source\"",
      "What the command reads on its standard input." },
    { "script", "code", NULL, "Script Source", SCRIPT_DEFAULT, "Sent when the run mode says so.",
      .required = true, .locked = true },
    { "cont_init", "checkbox", NULL, "Init process manager", "true",
      "A small init process passes signals on." },
    { "cont_rm", "checkbox", NULL, "Ephemeral Container", "true",
      "Removes the container afterwards." },
    { "verbose", "checkbox", NULL, "Verbose Logging", "false", "Shows the commands in the log." },
    { 0 },
};

static const struct param_row hook_params[] = {
    { "web_hook", "system", NULL, "Web Hook", NULL, "Web hook to fire.", .required = true,
      .more = "{\"list_id\":\"web_hooks\",\"multiple\":false}" },
    { "text", "textarea", NULL, "Custom Text", "\"\"", "Text that is sent along.",
      .more = "{\"regex\":\"\"}" },
    { 0 },
};

static const struct param_row no_params[] = { { 0 } };

static const struct plugin_row plugins[] = {
    { "testplug", "Test Plugin", "event", "[test-plugin]", "parent", NULL, "test-tube", "1", true,
      "Makes jobs that end as you wish, for trying out events, limits and actions.", NULL,
      test_params },
    { "shellplug", "Shell Script", "event", "[shell-plugin]", "all", NULL, "console", "1", true,
      "Runs a script in the language named in its first line.", NULL, shell_params },
    { "httpplug", "HTTP Request", "event", "[http-plugin]", "parent", NULL, "wan", "1", true,
      "Sends one HTTP request and judges the answer.", NULL, http_params },
    { "dockerplug", "Docker Run", "event", "[docker-plugin]", "all", "true", "docker", "true", true,
      "Runs a job inside a container.", NULL, docker_params },
    { "hookplug", "Fire Web Hook", "event", "[hook-plugin]", "parent", "false", "webhook", "true",
      false, "Fires one of the web hooks.", "{\"script\":\"\",\"uid\":\"\",\"gid\":\"\"}",
      hook_params },
    { "open_files", "Count Open Files", "monitor", "/bin/sh", NULL, NULL, NULL, "true", false,
      "Counts the open files of a server (Linux only).",
      "{\"script\":\"cat /proc/sys/fs/file-nr\",\"groups\":[],\"format\":\"text\"}", no_params },
};

static const struct {
    enum def_kind kind;
    const char *json;
} others[] = {
    { DEF_GROUP,
      "{\"id\":\"main\",\"title\":\"Main Group\",\"hostname_match\":\".+\",\"icon\":\"\","
      "\"alert_actions\":[],\"notes\":\"Every server, unless it is put elsewhere.\"}" },
    { DEF_CATEGORY,
      "{\"id\":\"general\",\"title\":\"General\",\"enabled\":true,\"color\":\"plain\","
      "\"icon\":\"\",\"limits\":[],\"actions\":[],"
      "\"notes\":\"For events without a better place.\"}" },
    { DEF_ROLE,
      "{\"id\":\"all\",\"title\":\"All Users\",\"enabled\":true,\"icon\":\"\",\"categories\":[],"
      "\"groups\":[],\"privileges\":{\"create_events\":true,\"edit_events\":true,"
      "\"run_jobs\":true,\"tag_jobs\":true},"
      "\"notes\":\"What most people need; give it to whom you like.\"}" },
};

/* ---- rows to objects ---- */

static void put_more(struct json_writer *w, const char *json)
{
    AUTO(json_doc_free) yyjson_doc *doc = NULL;

    if (!json)
        return;
    if (json_parse(str_z(json), DEFS_OBJECT_MAX, &doc, NULL))
        w->out->failed = true;
    else
        json_put_members(w, yyjson_doc_get_root(doc), NULL);
}

static void put_param(struct json_writer *w, const struct param_row *p)
{
    json_obj(w, NULL);
    json_put_z(w, "id", p->id);
    json_put_z(w, "type", p->type);
    if (p->variant)
        json_put_z(w, "variant", p->variant);
    json_put_z(w, "title", p->title);
    if (p->value)
        json_put_raw(w, "value", str_z(p->value));
    if (p->caption)
        json_put_z(w, "caption", p->caption);
    if (p->required)
        json_put_bool(w, "required", true);
    if (p->locked)
        json_put_bool(w, "locked", true);
    put_more(w, p->more);
    json_end(w);
}

static void put_plugin(struct json_writer *w, const struct plugin_row *row)
{
    json_obj(w, NULL);
    json_put_z(w, "id", row->id);
    json_put_z(w, "title", row->title);
    json_put_raw(w, "enabled", str_z(row->enabled));
    json_put_z(w, "type", row->type);
    json_put_z(w, "command", row->command);
    if (row->kill)
        json_put_z(w, "kill", row->kill);
    if (row->runner)
        json_put_raw(w, "runner", str_z(row->runner));
    if (row->icon)
        json_put_z(w, "icon", row->icon);
    if (row->stock)
        json_put_bool(w, "stock", true);
    json_put_z(w, "notes", row->notes);
    put_more(w, row->more);
    json_arr(w, "params");
    for (const struct param_row *p = row->params; p->id; p++)
        put_param(w, p);
    json_end(w);
    json_end(w);
}

/* ---- one transaction ---- */

struct install {
    struct change *first;
    struct change **end;
    struct store_tx *tx;
    StoreCommitFn fn;
    void *arg;
};

static void install_free(struct install *in)
{
    for (struct change *c = in->first; c;) {
        struct change *next = c->sibling;
        struct entry *e = c->entry;
        struct defs *d = c->d;
        change_free(c);
        defs_entry_settle(d, e);
        c = next;
    }
    free(in);
}

static void install_done(void *arg, Status st, const struct err *err)
{
    struct install *in = arg;

    for (struct change *c = in->first; c;) {
        struct change *next = c->sibling;
        change_landed(c, st, err);
        c = next;
    }
    if (in->fn)
        in->fn(in->arg, st, err);
    free(in);
}

static Status install_one(struct install *in, struct defs *d, enum def_kind k, struct str json,
                          Usec now, struct err *err)
{
    static const struct actor installer = { .username = { "admin", 5 },
                                            .creator = { "admin", 5 },
                                            .user_agent = { "Orrery installer", 16 } };
    AUTO(arena_free) struct arena *a = arena_new(INSTALL_ARENA_MAX);
    yyjson_val *object = NULL;

    if (!a)
        return err_set(err, STATUS_NOMEM, NULL, "out of memory");
    Status st = json_parse_in(a, json, DEFS_OBJECT_MAX, &object, err);
    if (st)
        return st;
    struct entry *e = defs_entry_make(d, k, json_str(object, "id"));
    struct change *c = e ? change_new(d, e, CHANGE_CREATE, now) : NULL;
    if (!c) {
        if (e)
            defs_entry_settle(d, e);
        return err_set(err, STATUS_NOMEM, NULL, "out of memory");
    }
    *in->end = c;
    in->end = &c->sibling;
    return change_prepare(c, a, object, &installer, in->tx, err);
}

static Status install_all(struct install *in, struct defs *d, Usec now, struct err *err)
{
    Status st = STATUS_OK;

    for (size_t i = 0; !st && i < COUNT_OF(others); i++)
        st = install_one(in, d, others[i].kind, str_z(others[i].json), now, err);
    for (size_t i = 0; !st && i < COUNT_OF(plugins); i++) {
        AUTO_BUF struct buf out = { 0 };
        buf_init(&out, DEFS_OBJECT_MAX);
        struct json_writer w = json_writer_init(&out);
        put_plugin(&w, &plugins[i]);
        st = out.failed ? err_set(err, STATUS_NOMEM, NULL, "out of memory")
                        : install_one(in, d, DEF_PLUGIN, buf_str(&out), now, err);
    }
    return st;
}

static bool is_empty(const struct defs *d)
{
    static const enum def_kind kinds[] = { DEF_CATEGORY, DEF_PLUGIN, DEF_GROUP, DEF_ROLE };

    for (size_t i = 0; i < COUNT_OF(kinds); i++)
        if (d->kinds[kinds[i]].by_id.n > 0)
            return false;
    return true;
}

Status defs_install(struct defs *d, Usec now, StoreCommitFn fn, void *arg, struct err *err)
{
    struct install *in = calloc(1, sizeof *in);

    if (!in)
        return err_set(err, STATUS_NOMEM, NULL, "out of memory");
    in->end = &in->first;
    in->fn = fn;
    in->arg = arg;
    in->tx = store_tx_new(d->store);
    Status st = in->tx ? STATUS_OK : err_set(err, STATUS_NOMEM, NULL, "out of memory");
    if (!st && is_empty(d))
        st = install_all(in, d, now, err);
    if (st)
        store_tx_free(in->tx);
    else
        st = store_commit(d->store, in->tx, install_done, in, err);
    if (st) {
        install_free(in);
        return st;
    }
    for (struct change *c = in->first; c; c = c->sibling)
        change_launched(c);
    return STATUS_OK;
}
