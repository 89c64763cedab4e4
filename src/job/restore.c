/* Start-up: a journal row becomes a live job again. Its updated fields come back as part of the
 * base, which reads and writes the same. */
#include "job/room_int.h"

static bool read_state(struct str text, enum job_state *ret)
{
    for (int s = 0; s < JOB_STATE_COUNT; s++) {
        if (str_eq_z(text, job_state_name((enum job_state)s))) {
            *ret = (enum job_state)s;
            return true;
        }
    }
    return false;
}

static Usec read_time(yyjson_val *row, const char *key)
{
    return usec_from_epoch(json_double(row, key, 0));
}

static bool read_base(struct live *l, yyjson_val *row)
{
    struct buf text;
    struct json_writer w;
    size_t i, max;
    yyjson_val *key, *value;

    buf_init(&text, JOB_ROW_MAX);
    w = json_writer_init(&text);
    json_obj(&w, NULL);
    yyjson_obj_foreach (row, i, max, key, value) {
        if (!(key_flags(json_val_str(key)) & KEY_TYPED))
            json_put_val_k(&w, json_val_str(key), value);
    }
    json_end(&w);
    if (text.failed) {
        buf_done(&text);
        return false;
    }
    l->job.base.p = buf_take(&text, &l->job.base.n);
    if (l->job.base.n > JOB_BASE_MAX) /* what was updated before counts on */
        l->bytes = l->job.base.n - JOB_BASE_MAX;
    return l->job.base.p != NULL;
}

static bool read_activity(struct live *l, yyjson_val *rows)
{
    AUTO_BUF struct buf text = { 0 };
    size_t i, max;
    yyjson_val *row;

    buf_init(&text, JOB_ROW_MAX);
    yyjson_arr_foreach (rows, i, max, row) {
        buf_clear(&text);
        if (json_text(row, false, &text) != STATUS_OK || !meta_add_row(l, buf_str(&text)))
            return false;
    }
    return true;
}

static bool read_typed(struct live *l, yyjson_val *row)
{
    struct job *j = &l->job;
    yyjson_val *live = json_get(row, "_live");
    const struct str reason = json_str(live, "abort");

    if (!id_from_str(json_str(row, "category"), &j->category) ||
        !id_from_str(json_str(row, "plugin"), &j->plugin) ||
        !id_from_str(json_str(row, "server"), &j->server))
        return false;
    j->now = read_time(row, "now");
    j->started = read_time(row, "started");
    j->updated = read_time(row, "updated");
    j->until = read_time(row, "until");
    j->created = read_time(live, "created");
    j->progress = json_double(row, "progress", 0);
    j->accepted = json_bool(live, "accepted", false);
    j->meta_seen = (uint32_t)json_i64(live, "meta", 0);
    j->push_seen = (uint32_t)json_i64(live, "push", 0);
    j->sends = (uint32_t)json_i64(live, "sends", 0);
    l->exact = json_bool(live, "exact", false);
    l->test = json_truthy(json_get(row, "test"));
    l->priority = json_truthy(json_get(row, "priority"));
    l->ephemeral = json_truthy(json_get(row, "ephemeral"));
    if (!reason.p)
        return true;
    j->abort_reason = str_dup_z(reason);
    j->aborting = j->abort_reason != NULL;
    return j->aborting;
}

/* Where the job stood, and what it waits for now. */
static bool resume(struct job_room *r, struct live *l, enum job_state state, Usec now)
{
    struct job *j = &l->job;
    const Id server = j->server;

    l->patience = now + JOB_RESTORE_GRACE;
    switch (state) {
    case JOB_START_DELAY:
    case JOB_RETRY_DELAY:
        live_set_state(r, l, state, now);
        live_timer(r, l, j->until);
        return true;
    case JOB_STARTING: /* nothing was sent: it starts again, with the server of the moment */
    case JOB_READY:
        j->server = (Id){ .z = "" };
        live_timer(r, l, now);
        return true;
    case JOB_QUEUED:
        live_set_state(r, l, JOB_QUEUED, now);
        line_timer(r, l->line, now + JOB_QUEUE_RETRY);
        return true;
    case JOB_FINISHING:
    case JOB_ACTIVE:
    case JOB_COMPLETE: /* never journalled: an end without a record is taken again */
        l->sent = true;
        j->updated = now;
        live_set_state(r, l, state == JOB_FINISHING ? JOB_FINISHING : JOB_ACTIVE, now);
        live_timer(r, l, now + r->config.dead_timeout);
        return live_place(r, l, &server);
    case JOB_STATE_COUNT:
        break;
    }
    return false;
}

static Status restore_row(struct job_room *r, yyjson_val *row, uint64_t log_size, Usec now,
                          struct err *err)
{
    Id id, event;
    enum job_state state;
    struct live *l;

    if (!id_from_str(json_str(row, "id"), &id) || !id.z[0] ||
        !id_from_str(json_str(row, "event"), &event) || !read_state(json_str(row, "state"), &state))
        return err_set(err, STATUS_CORRUPT, NULL, "Job journal: a row without id, event or state.");
    if (live_find(r, id_str(&id)))
        return err_set(err, STATUS_EXISTS, NULL, "Job journal: two rows of job %s.", id.z);
    l = live_new(r, &id, &event);
    if (!l)
        return err_set(err, STATUS_NOMEM, NULL, "Out of memory.");
    if (!read_typed(l, row) || !read_base(l, row) || !read_activity(l, json_get(row, "activity"))) {
        live_free(r, l);
        return err_set(err, STATUS_NOMEM, NULL, "Job journal: job %s cannot be read.", id.z);
    }
    l->job.log_size = log_size;
    live_read_limits(l);
    if (!resume(r, l, state, now)) {
        live_free(r, l);
        return err_set(err, STATUS_NOMEM, NULL, "Out of memory.");
    }
    live_settle(r, l);
    return STATUS_OK;
}

Status job_room_restore(struct job_room *r, struct str json, uint64_t log_size, Usec now,
                        struct err *err)
{
    yyjson_doc *doc = NULL;
    Status st = json_parse(json, (size_t)2 * JOB_ROW_MAX, &doc, err);

    if (st != STATUS_OK)
        return err_wrap(err, "Job journal");
    st = restore_row(r, yyjson_doc_get_root(doc), log_size, now, err);
    json_doc_free(doc);
    return st;
}
