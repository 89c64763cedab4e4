/* What a job consists of, beyond its typed part: updated fields as JSON text, rows of the activity
 * log, and the table that says of every key whose it is.
 *
 * The one idea: a field is replaced text by text; nobody parses or writes a whole job for an
 * update. */
#include "job/room_int.h"

#include <stdarg.h>
#include <stdlib.h>

static const struct {
    const char *name;
    unsigned flags;
} key_table[] = {
    { "id", KEY_TYPED | KEY_OWNED },
    { "event", KEY_TYPED | KEY_OWNED },
    { "category", KEY_TYPED | KEY_OWNED },
    { "plugin", KEY_TYPED | KEY_OWNED },
    { "server", KEY_TYPED | KEY_OWNED },
    { "state", KEY_TYPED | KEY_OWNED },
    { "now", KEY_TYPED | KEY_OWNED },
    { "started", KEY_TYPED | KEY_OWNED },
    { "updated", KEY_TYPED | KEY_OWNED },
    { "completed", KEY_TYPED | KEY_OWNED },
    { "elapsed", KEY_TYPED | KEY_OWNED },
    { "until", KEY_TYPED | KEY_OWNED },
    { "position", KEY_TYPED | KEY_OWNED },
    { "progress", KEY_TYPED },
    { "remote", KEY_TYPED | KEY_OWNED },
    { "complete", KEY_TYPED },
    { "log_file_size", KEY_TYPED | KEY_OWNED },
    { "log_uploaded", KEY_TYPED | KEY_OWNED },
    { "output", KEY_TYPED | KEY_OWNED },
    { "activity", KEY_TYPED | KEY_OWNED | KEY_DETAIL },
    { "final", KEY_TYPED | KEY_OWNED },
    { "given_up", KEY_TYPED | KEY_OWNED },
    { "push_n", KEY_TYPED | KEY_OWNED },
    { "abort_pending", KEY_TYPED | KEY_OWNED },
    { "_live", KEY_TYPED | KEY_OWNED },
    { "type", KEY_OWNED },
    { "targets", KEY_OWNED },
    { "algo", KEY_OWNED },
    { "expression", KEY_OWNED },
    { "params", KEY_OWNED },
    { "fields", KEY_OWNED },
    { "notes", KEY_OWNED | KEY_EDIT },
    { "limits", KEY_OWNED | KEY_EDIT },
    { "actions", KEY_OWNED | KEY_EDIT },
    { "tags", KEY_OWNED | KEY_EDIT },
    { "tickets", KEY_OWNED | KEY_EDIT },
    { "priority", KEY_OWNED },
    { "workflow", KEY_OWNED },
    { "groups", KEY_OWNED },
    { "env", KEY_OWNED },
    { "command", KEY_OWNED },
    { "script", KEY_OWNED },
    { "uid", KEY_OWNED },
    { "gid", KEY_OWNED },
    { "kill", KEY_OWNED },
    { "runner", KEY_OWNED },
    { "source", KEY_OWNED },
    { "username", KEY_OWNED },
    { "api_key", KEY_OWNED },
    { "parent", KEY_OWNED },
    { "stype", KEY_OWNED },
    { "splugin", KEY_OWNED },
    { "plabel", KEY_OWNED },
    { "picon", KEY_OWNED },
    { "jobs", KEY_OWNED },
    { "suspended", KEY_OWNED | KEY_END },
    { "retried", KEY_OWNED },
    { "retry_ok", KEY_OWNED | KEY_END },
    { "retry_count", KEY_OWNED },
    { "retry_prev", KEY_OWNED },
    { "test", KEY_OWNED },
    { "test_actions", KEY_OWNED },
    { "test_limits", KEY_OWNED },
    { "test_conditions", KEY_OWNED },
    { "invisible", KEY_OWNED },
    { "ephemeral", KEY_OWNED },
    { "event_title", KEY_OWNED | KEY_DETAIL },
    { "event_revision", KEY_OWNED | KEY_DETAIL },
    { "clear_alert", KEY_OWNED },
    { "secrets", KEY_OWNED },
    { "base_url", KEY_OWNED },
    { "versions", KEY_OWNED },
    { "late", KEY_OWNED },
    { "log_file", KEY_OWNED },
    { "log_size", KEY_OWNED },
    { "push", KEY_OWNED },
    { "input", KEY_OWNED | KEY_DETAIL },
    { "timelines", KEY_OWNED | KEY_DETAIL },
    { "data", KEY_DETAIL },
    { "files", KEY_DETAIL },
    { "workflowData", KEY_DETAIL },
    { "serverData", KEY_DETAIL },
    { "procs", KEY_LIVE },
    { "conns", KEY_LIVE },
    { "status", KEY_END },
    { "redraw", KEY_END },
    { "update_event", KEY_DETAIL | KEY_END },
    { "delete_event", KEY_DETAIL | KEY_END },
};

unsigned key_flags(struct str key)
{
    for (size_t i = 0; i < COUNT_OF(key_table); i++) {
        if (str_eq_z(key, key_table[i].name))
            return key_table[i].flags;
    }
    return 0;
}

const struct job_field *field_find(const struct job *j, struct str key)
{
    for (size_t i = 0; i < j->n_fields; i++) {
        if (str_eq_z(key, j->fields[i].key))
            return &j->fields[i];
    }
    return NULL;
}

char *str_dup_z(struct str s)
{
    char *p = malloc(s.n + 1);

    if (!p)
        return NULL;
    if (s.n)
        memcpy(p, s.p, s.n);
    p[s.n] = '\0';
    return p;
}

static Status field_add(struct live *l, struct str key, struct str json)
{
    struct job *j = &l->job;
    struct job_field *f;

    if (j->n_fields >= JOB_FIELDS_MAX || key.n > 256 || memchr(key.p, 0, key.n))
        return STATUS_FULL;
    if (j->n_fields == l->fields_cap) {
        const size_t cap = l->fields_cap ? l->fields_cap * 2 : 8;
        struct job_field *grown = realloc(j->fields, cap * sizeof(*grown));

        if (!grown)
            return STATUS_NOMEM;
        j->fields = grown;
        l->fields_cap = cap;
    }
    f = &j->fields[j->n_fields];
    *f = (struct job_field){ .key = str_dup_z(key), .json = str_dup_z(json), .n = json.n };
    if (!f->key || !f->json) {
        free(f->key);
        free(f->json);
        return STATUS_NOMEM;
    }
    j->n_fields++;
    l->bytes += key.n + json.n;
    return STATUS_OK;
}

Status field_set(struct live *l, struct str key, struct str json)
{
    struct job_field *f = (struct job_field *)field_find(&l->job, key);
    const size_t old = f ? f->n : 0;
    char *text;

    if (json.n > JOB_FIELD_MAX || l->bytes - old + key.n + json.n > JOB_BYTES_MAX)
        return STATUS_FULL;
    if (!f)
        return field_add(l, key, json);
    if (str_eq(json, str_n(f->json, f->n)))
        return STATUS_OK;
    if (json.n == f->n) {
        memcpy(f->json, json.p, json.n);
        return STATUS_OK;
    }
    text = str_dup_z(json);
    if (!text)
        return STATUS_NOMEM;
    free(f->json);
    f->json = text;
    f->n = json.n;
    l->bytes = l->bytes - old + json.n;
    return STATUS_OK;
}

void field_drop(struct live *l, struct str key)
{
    struct job *j = &l->job;
    struct job_field *f = (struct job_field *)field_find(j, key);

    if (!f)
        return;
    l->bytes -= strlen(f->key) + f->n;
    free(f->key);
    free(f->json);
    *f = j->fields[--j->n_fields];
}

void fields_free(struct live *l)
{
    struct job *j = &l->job;

    for (size_t i = 0; i < j->n_fields; i++) {
        free(j->fields[i].key);
        free(j->fields[i].json);
    }
    for (size_t i = 0; i < j->n_meta; i++)
        free((void *)j->meta[i].p);
    free(j->fields);
    free(j->meta);
    j->fields = NULL;
    j->meta = NULL;
    j->n_fields = j->n_meta = 0;
}

/* Activity rows. */

static bool meta_room(struct live *l)
{
    struct job *j = &l->job;

    if (j->n_meta == JOB_META_MAX) {
        free((void *)j->meta[0].p);
        memmove(j->meta, j->meta + 1, (j->n_meta - 1) * sizeof(*j->meta));
        j->n_meta--;
    }
    if (j->n_meta == l->meta_cap) {
        const size_t cap = l->meta_cap ? l->meta_cap * 2 : 8;
        struct str *grown = realloc(j->meta, cap * sizeof(*grown));

        if (!grown)
            return false;
        j->meta = grown;
        l->meta_cap = cap;
    }
    return true;
}

bool meta_add_row(struct live *l, struct str row)
{
    char *copy = str_dup_z(row);

    if (!copy || !meta_room(l)) {
        free(copy);
        return false;
    }
    l->job.meta[l->job.n_meta++] = str_n(copy, row.n);
    return true;
}

void meta_add(struct job_room *r, struct live *l, struct str server, struct str text, Usec now)
{
    AUTO_BUF struct buf row = { 0 };
    struct json_writer w;
    const Id id = id_new(&r->ids, "m", now);

    buf_init(&row, 64u * 1024);
    w = json_writer_init(&row);
    json_obj(&w, NULL);
    json_put_str(&w, "id", id_str(&id));
    json_put_double(&w, "epoch", usec_to_epoch(now));
    json_put_str(&w, "msg", str_slice(text, 0, JOB_META_TEXT_MAX));
    json_put_str(&w, "server", server);
    json_end(&w);
    if (!row.failed)
        (void)meta_add_row(l, buf_str(&row));
}

void meta_printf(struct job_room *r, struct live *l, Usec now, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (n < 0)
        return;
    meta_add(r, l, str_z(r->server_text), str_z(text), now);
}

/* Limits that the start of a job needs. */

uint64_t limit_amount(yyjson_val *limits, const char *type)
{
    size_t i, max;
    yyjson_val *limit;

    yyjson_arr_foreach (limits, i, max, limit) {
        int64_t amount;

        if (!str_eq_z(json_str(limit, "type"), type) || !json_bool(limit, "enabled", false))
            continue;
        amount = json_i64(limit, "amount", 0);
        return amount > 0 ? (uint64_t)amount : 0;
    }
    return 0;
}

void live_read_limits(struct live *l)
{
    const struct str text = job_value(&l->job, "limits");
    yyjson_doc *doc = NULL;

    l->limit_job = l->limit_queue = 0;
    if (text.n <= 2 || json_parse(text, JSON_SIZE_MAX, &doc, NULL) != STATUS_OK)
        return;
    l->limit_job = limit_amount(yyjson_doc_get_root(doc), "job");
    l->limit_queue = limit_amount(yyjson_doc_get_root(doc), "queue");
    json_doc_free(doc);
}

/* Finding a member in JSON text that we wrote ourselves: compact, valid, so a scan for the end of a
 * value is enough. */

static size_t skip_string(struct str s, size_t i)
{
    for (i++; i < s.n && s.p[i] != '"'; i++) {
        if (s.p[i] == '\\')
            i++;
    }
    return i + 1;
}

static size_t skip_value(struct str s, size_t i)
{
    size_t depth = 0;

    while (i < s.n) {
        const char c = s.p[i];

        if (c == '"') {
            i = skip_string(s, i);
            continue;
        }
        if (depth == 0 && (c == ',' || c == '}' || c == ']'))
            return i;
        if (c == '{' || c == '[')
            depth++;
        else if (c == '}' || c == ']')
            depth--;
        i++;
    }
    return s.n;
}

struct str raw_member(struct str object, struct str key)
{
    size_t i = 1;

    while (i < object.n && object.p[i] == '"') {
        const size_t end = skip_string(object, i);
        const struct str name = str_slice(object, i + 1, end - 1);
        const size_t value_end = skip_value(object, end + 1);

        if (str_eq(name, key))
            return str_slice(object, end + 1, value_end);
        i = value_end + 1;
    }
    return STR_NONE;
}
