/* One message of a job (satellite.md 21): the gate that says whether it is one, and what each key
 * means. Keys that are not known here are merged into the record as they are. */
#include <math.h>

#include "sat/stdio_int.h"

/* Never taken from a job: ours, the link's, or dropped by every conductor (satellite.md 21.2). */
static const char *const keys_ignored[] = {
    "xy",     "id",   "state",  "type",    "activity", "log_file", "log_file_size", "log_size",
    "push_n", "tags", "limits", "actions", "redraw",   "pid",      "server",        "unknown",
};
/* Measured here, unless the job does it itself. */
static const char *const keys_measured[] = { "procs", "conns", "cpu", "mem", "rpid" };
static const char *const keys_merged[] = { "data", "serverData", "workflowData" };
/* A message with one of these makes the page draw the job's own content again. */
static const char *const keys_drawn[] = { "table", "html", "markdown", "text", "perf" };

static bool key_in(const char *const *list, size_t n, struct str key)
{
    for (size_t i = 0; i < n; i++) {
        if (str_eq_z(key, list[i]))
            return true;
    }
    return false;
}

/* The description as text, whatever it was. */
static void set_description(struct stdio_parser *p, yyjson_val *v)
{
    AUTO_BUF struct buf text = { 0 };
    AUTO_BUF struct buf quoted = { 0 };
    struct json_writer w;

    if (yyjson_is_str(v)) {
        stdio_field_set_val(p, STR("description"), v);
        return;
    }
    buf_init(&text, STDIO_FIELD_MAX);
    buf_init(&quoted, STDIO_FIELD_MAX);
    if (json_truthy(v) && json_text(v, false, &text) != STATUS_OK)
        return;
    w = json_writer_init(&quoted);
    json_put_str(&w, NULL, buf_str(&text));
    if (!quoted.failed)
        stdio_field_set(p, STR("description"), buf_str(&quoted));
}

static bool push_valid(struct stdio_parser *p, yyjson_val *push)
{
    size_t i, max;
    yyjson_val *k, *v;

    if (!yyjson_is_obj(push)) {
        stdio_warn(p, "WARNING: Invalid push syntax: Not an object");
        return false;
    }
    yyjson_obj_foreach (push, i, max, k, v) {
        const struct str key = json_val_str(k);

        if (!str_is_word(key) || key.n > STDIO_KEY_MAX) {
            stdio_warn(p, "WARNING: Invalid push syntax: Bad key: %.*s",
                       STR_FMT(str_slice(key, 0, 100)));
            return false;
        }
        if (!yyjson_is_arr(v)) {
            stdio_warn(p, "WARNING: Invalid push syntax: Not an array: %.*s", STR_FMT(key));
            return false;
        }
    }
    return true;
}

static void take_push(struct stdio_parser *p, yyjson_val *push)
{
    yyjson_val *files;

    if (!push_valid(p, push))
        return;
    files = json_get(push, "files");
    if (yyjson_arr_size(files))
        stdio_field_append(p, "files", files);
    stdio_push_add(p, push);
}

static void take_files(struct stdio_parser *p, yyjson_val *v)
{
    if (yyjson_is_arr(v))
        stdio_field_set_val(p, STR("files"), v);
    else
        stdio_warn(p, "WARNING: Invalid syntax: Not an array: files");
}

static void take_merged(struct stdio_parser *p, struct str key, yyjson_val *v)
{
    if (yyjson_is_obj(v))
        stdio_field_merge(p, key.p, v);
    else
        stdio_warn(p, "WARNING: Invalid syntax: Not an object: %.*s", STR_FMT(key));
}

static void take_key(struct stdio_parser *p, struct str key, yyjson_val *v)
{
    if (key.n == 0 || key.n > STDIO_KEY_MAX || key_in(keys_ignored, COUNT_OF(keys_ignored), key))
        return;
    if (!p->config.runner && key_in(keys_measured, COUNT_OF(keys_measured), key))
        return;
    if (str_eq_z(key, "complete") || str_eq_z(key, "code"))
        return; /* last, below */
    if (str_eq_z(key, "description"))
        set_description(p, v);
    else if (str_eq_z(key, "push"))
        take_push(p, v);
    else if (str_eq_z(key, "files"))
        take_files(p, v);
    else if (key_in(keys_merged, COUNT_OF(keys_merged), key))
        take_merged(p, key, v);
    else
        stdio_field_set_val(p, key, v);
}

static bool draws(const struct stdio_parser *p, yyjson_val *object)
{
    for (size_t i = 0; i < COUNT_OF(keys_drawn); i++) {
        if (json_get(object, keys_drawn[i]))
            return true;
    }
    return p->n_pushes || json_get(object, "status");
}

static void take_completion(struct stdio_parser *p, yyjson_val *object)
{
    yyjson_val *code = json_get(object, "code");
    AUTO_BUF struct buf text = { 0 };

    if (!code && !json_truthy(json_get(object, "complete")))
        return;
    buf_init(&text, 4096);
    if (json_truthy(code) && json_text(code, false, &text) != STATUS_OK) {
        buf_clear(&text);
        (void)buf_add_z(&text, "\"unknown\"");
    }
    stdio_complete(p, text.n ? buf_str(&text) : STR("0"), NULL);
}

bool stdio_update(struct stdio_parser *p, yyjson_val *object, Usec at)
{
    size_t i, max;
    yyjson_val *k, *v;
    char redraw[16];

    if (p->state.complete)
        return true;
    if (json_truthy(json_get(object, "type")) || json_truthy(json_get(object, "state")))
        return true;
    if (!json_truthy(json_get(object, "xy")))
        return false;
    if (p->config.abort_at && at > p->config.abort_at)
        return true;
    p->updates++;
    yyjson_obj_foreach (object, i, max, k, v)
        take_key(p, json_val_str(k), v);
    if (draws(p, object)) {
        (void)snprintf(redraw, sizeof(redraw), "\"r%x\"", (unsigned)p->updates);
        stdio_field_set(p, STR("redraw"), str_z(redraw));
    }
    take_completion(p, object);
    return true;
}

void stdio_progress(struct stdio_parser *p, double progress)
{
    char text[32];

    if (p->state.complete)
        return;
    (void)snprintf(text, sizeof(text), "%.4g", progress);
    stdio_field_set(p, STR("progress"), str_z(text));
}

void stdio_complete(struct stdio_parser *p, struct str code, const char *description)
{
    AUTO_BUF struct buf text = { 0 };
    struct json_writer w;
    const bool failed = !str_eq_z(code, "0");

    p->state.complete = true;
    stdio_field_remove(p, "status");
    stdio_field_set(p, STR("complete"), STR("true"));
    stdio_field_set(p, STR("progress"), STR("1"));
    stdio_field_set(p, STR("code"), code);
    if (!description && str_eq_z(stdio_field(p, "description"), "\"\""))
        stdio_field_remove(p, "description");
    if (!description && stdio_field(p, "description").p)
        return;
    if (!description)
        description = failed ? "Unknown Error (no description provided)" : "";
    buf_init(&text, 8192);
    w = json_writer_init(&text);
    json_put_z(&w, NULL, description);
    if (!text.failed)
        stdio_field_set(p, STR("description"), buf_str(&text));
}

struct str stdio_code(const struct stdio_parser *p)
{
    const struct str text = stdio_field(p, "code");

    return text.p ? text : STR("0");
}

struct str stdio_description(const struct stdio_parser *p)
{
    const struct str text = stdio_field(p, "description");

    return text.p ? text : STR("\"\"");
}
