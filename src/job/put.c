/* A job as JSON: the short and the whole view, the journal row and the record. One walk serves all
 * four; the table of keys (fields.c) says what belongs where. */
#include "job/room_int.h"

#include <stdarg.h>
#include <stdio.h>

enum view { VIEW_SHORT, VIEW_WHOLE, VIEW_ROW, VIEW_RECORD };

static bool wanted(enum view view, struct str key)
{
    const unsigned flags = key_flags(key);

    if (flags & KEY_TYPED)
        return false;
    if (view == VIEW_SHORT)
        return !(flags & KEY_DETAIL);
    if (view == VIEW_WHOLE)
        return true;
    if (flags & KEY_LIVE)
        return false;
    return view == VIEW_ROW || !(flags & KEY_END);
}

static void put_base(const struct live *l, enum view view, struct json_writer *w)
{
    yyjson_doc *doc = NULL;
    size_t i, max;
    yyjson_val *key, *value;

    if (!l->job.base.n || json_parse(l->job.base, JSON_SIZE_MAX, &doc, NULL) != STATUS_OK)
        return;
    yyjson_obj_foreach (yyjson_doc_get_root(doc), i, max, key, value) {
        const struct str name = json_val_str(key);

        if (wanted(view, name) && !field_find(&l->job, name) &&
            !(l->code[0] && str_eq_z(name, "code")))
            json_put_val_k(w, name, value);
    }
    json_doc_free(doc);
}

static void put_time(struct json_writer *w, const char *key, Usec t)
{
    if (t)
        json_put_double(w, key, usec_to_epoch(t));
}

static void put_typed(const struct live *l, enum view view, struct json_writer *w)
{
    const struct job *j = &l->job;

    json_put_str(w, "id", id_str(&j->id));
    json_put_str(w, "event", id_str(&j->event));
    json_put_str(w, "category", id_str(&j->category));
    json_put_str(w, "plugin", id_str(&j->plugin));
    if (j->server.z[0])
        json_put_str(w, "server", id_str(&j->server));
    /* a row of an end that has no record yet says that the end is near (restore.c) */
    json_put_z(
        w, "state",
        job_state_name(view == VIEW_ROW && j->state == JOB_COMPLETE ? JOB_FINISHING : j->state));
    put_time(w, "now", j->now);
    put_time(w, "started", j->started);
    put_time(w, "updated", j->updated);
    put_time(w, "completed", j->completed);
    if (j->completed)
        json_put_double(w, "elapsed", usec_to_epoch(j->completed - j->started));
    put_time(w, "until", j->until);
    if (j->state == JOB_QUEUED) {
        if (l->line->renumber)
            line_renumber(l->line);
        json_put_u64(w, "position", l->position);
    }
    if (j->state >= JOB_ACTIVE)
        json_put_double(w, "progress", j->progress);
    if (j->remote && view != VIEW_RECORD)
        json_put_bool(w, "remote", true);
    if (j->complete)
        json_put_bool(w, "complete", true);
    json_put_u64(w, "log_file_size", j->log_size);
}

static void put_activity(const struct job *j, struct json_writer *w)
{
    json_arr(w, "activity");
    for (size_t i = 0; i < j->n_meta; i++)
        json_put_raw(w, NULL, j->meta[i]);
    json_end(w);
}

static void put_members(const struct live *l, enum view view, struct json_writer *w)
{
    const struct job *j = &l->job;

    put_typed(l, view, w);
    put_base(l, view, w);
    for (size_t i = 0; i < j->n_fields; i++) {
        const struct job_field *f = &j->fields[i];

        if (wanted(view, str_z(f->key)) && !(l->code[0] && strcmp(f->key, "code") == 0))
            json_put_raw(w, f->key, str_n(f->json, f->n));
    }
    if (l->code[0]) /* the normalised one */
        json_put_raw(w, "code", str_z(l->code));
    if (view != VIEW_SHORT)
        put_activity(j, w);
}

void job_put_json(const struct job *j, bool whole, struct json_writer *w, const char *key)
{
    json_obj(w, key);
    put_members(live_of(j), whole ? VIEW_WHOLE : VIEW_SHORT, w);
    json_end(w);
}

void live_put_row(const struct live *l, struct json_writer *w)
{
    const struct job *j = &l->job;

    json_obj(w, NULL);
    put_members(l, VIEW_ROW, w);
    json_obj(w, "_live");
    json_put_double(w, "created", usec_to_epoch(j->created));
    json_put_bool(w, "accepted", j->accepted);
    json_put_bool(w, "exact", l->exact);
    json_put_u64(w, "meta", j->meta_seen);
    json_put_u64(w, "push", j->push_seen);
    json_put_u64(w, "sends", j->sends);
    if (j->aborting)
        json_put_str(w, "abort", str_z(j->abort_reason));
    json_end(w);
    json_end(w);
}

void live_put_record(const struct live *l, struct json_writer *w)
{
    json_obj(w, NULL);
    put_members(l, VIEW_RECORD, w);
    json_put_bool(w, "final", true);
    if (l->given_up)
        json_put_bool(w, "given_up", true);
    if (l->given_up && l->job.aborting)
        json_put_bool(w, "abort_pending", true);
    if (l->log_uploaded)
        json_put_bool(w, "log_uploaded", true);
    if (l->output.n)
        json_put_str(w, "output", l->output);
    json_end(w);
}

/* Values one by one. */

static struct str scratch_printf(const struct live *l, const char *fmt, ...) PRINTF_LIKE(2, 3);
static struct str scratch_printf(const struct live *l, const char *fmt, ...)
{
    struct live *writable =
        (struct live *)l; /* every job is born by live_new; only the scratch changes */
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(writable->scratch, sizeof(writable->scratch), fmt, ap);
    va_end(ap);
    return n < 0 || (size_t)n >= sizeof(writable->scratch) ? STR_NONE
                                                           : str_n(writable->scratch, (size_t)n);
}

static struct str value_id(const struct live *l, const Id *id)
{
    return id->z[0] ? scratch_printf(l, "\"%s\"", id->z) : STR_NONE;
}

static struct str value_time(const struct live *l, Usec t)
{
    return t ? scratch_printf(l, "%.6f", usec_to_epoch(t)) : STR_NONE;
}

static struct str value_typed(const struct live *l, const char *key)
{
    const struct job *j = &l->job;
    const struct {
        const char *key;
        const Id *id;
        Usec at;
    } rows[] = {
        { "id", &j->id, 0 },
        { "event", &j->event, 0 },
        { "category", &j->category, 0 },
        { "plugin", &j->plugin, 0 },
        { "server", &j->server, 0 },
        { "now", NULL, j->now },
        { "started", NULL, j->started },
        { "updated", NULL, j->updated },
        { "completed", NULL, j->completed },
        { "until", NULL, j->until },
        { "elapsed", NULL, j->completed ? j->completed - j->started : 0 },
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if (strcmp(key, rows[i].key) == 0)
            return rows[i].id ? value_id(l, rows[i].id) : value_time(l, rows[i].at);
    }
    if (strcmp(key, "state") == 0)
        return scratch_printf(l, "\"%s\"", job_state_name(j->state));
    if (strcmp(key, "progress") == 0)
        return j->state >= JOB_ACTIVE ? scratch_printf(l, "%.17g", j->progress) : STR_NONE;
    if (strcmp(key, "remote") == 0)
        return j->remote ? STR("true") : STR_NONE;
    if (strcmp(key, "complete") == 0)
        return j->complete ? STR("true") : STR_NONE;
    if (strcmp(key, "log_file_size") == 0)
        return scratch_printf(l, "%llu", (unsigned long long)j->log_size);
    if (strcmp(key, "position") == 0 && j->state == JOB_QUEUED) {
        if (l->line->renumber)
            line_renumber(l->line);
        return scratch_printf(l, "%u", l->position);
    }
    return STR_NONE;
}

struct str job_value(const struct job *j, const char *key)
{
    const struct job_field *f;

    if (key_flags(str_z(key)) & KEY_TYPED)
        return value_typed(live_of(j), key);
    if (live_of(j)->code[0] && strcmp(key, "code") == 0)
        return str_z(live_of(j)->code);
    f = field_find(j, str_z(key));
    if (f)
        return str_n(f->json, f->n);
    return raw_member(j->base, str_z(key));
}
