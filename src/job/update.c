/* What satellites report of a job: log text, activity rows, updates, the result (job-engine.md 7,
 * satellite.md 22).
 *
 * Of an exact peer everything may come twice and is taken once: log text by its position, rows by
 * their number, a result when the whole log is here. A gap is answered by a seek: the satellite
 * sends again from there. */
#include "job/room_int.h"

static struct live *reported(struct job_room *r, const Id *server, struct str id)
{
    struct live *l = live_find(r, id);

    return l && (!server || id_eq(server, &l->job.server)) ? l : NULL;
}

static bool runs(const struct live *l)
{
    return l->job.state == JOB_ACTIVE || l->job.state == JOB_FINISHING;
}

void live_seek(struct job_room *r, struct live *l)
{
    r->host.send_seek(r->host.ctx, &l->job.server, id_str(&l->job.id), l->job.log_size,
                      l->job.meta_seen);
}

/* Any word of the satellite: it has the job. */
static void heard(struct job_room *r, struct live *l, Usec now)
{
    l->job.updated = now;
    l->dead_asked = false;
    if (l->job.remote)
        return;
    l->job.remote = true;
    if (l->job.aborting) /* decided while it was away */
        r->host.send_abort(r->host.ctx, &l->job, str_z(l->job.abort_reason));
}

void job_accepted(struct job_room *r, const Id *server, struct str id, Usec now)
{
    struct live *l = reported(r, server, id);

    if (!l || l->job.state == JOB_COMPLETE) {
        live_stray(r, server, id); /* it had the launch in hand while the job was given up here */
        return;
    }
    if (!runs(l))
        return;
    heard(r, l, now);
    if (l->job.accepted)
        return;
    l->job.accepted = true;
    live_dirty(r, l);
}

void job_log(struct job_room *r, const Id *server, struct str id, int64_t pos, struct str text,
             Usec now)
{
    struct live *l = reported(r, server, id);

    if (!l || (!runs(l) && !l->log_refetch))
        return;
    if (runs(l))
        heard(r, l, now);
    if (pos >= 0) {
        const uint64_t at = (uint64_t)pos;

        if (at > l->job.log_size) {
            if (!l->gap_asked) {
                l->gap_asked = true;
                live_seek(r, l);
            }
            return;
        }
        l->gap_asked = false;
        if (at + text.n <= l->job.log_size)
            return;
        text = str_slice(text, (size_t)(l->job.log_size - at), text.n);
    }
    if (!text.n)
        return;
    l->short_results = 0;
    l->job.log_size += text.n;
    r->host.log_append(r->host.ctx, &l->job, text);
    live_touch(r, l);
}

void job_meta(struct job_room *r, const Id *server, struct str id, uint32_t n, struct str text,
              Usec now)
{
    struct live *l = reported(r, server, id);

    if (!l || !runs(l))
        return;
    heard(r, l, now);
    if (n) {
        if (n <= l->job.meta_seen)
            return;
        if (n > l->job.meta_seen + 1 && l->meta_gap != n) {
            l->meta_gap =
                n; /* asked for once: rows that the satellite does not have are not worth more */
            live_seek(r, l);
            return;
        }
        l->job.meta_seen = n;
    }
    meta_add(r, l, id_str(&l->job.server), text, now);
    live_touch(r, l);
}

/* Merging. */

/* Some room is kept for the result and for what the conductor itself writes at the end. */
static bool agent_room(const struct live *l, struct str key, size_t more)
{
    if (str_eq_z(key, "code") || str_eq_z(key, "description"))
        return true;
    return (field_find(&l->job, key) || l->job.n_fields + 8 <= JOB_FIELDS_MAX) &&
           l->bytes + more + 8192 <= JOB_BYTES_MAX;
}

static void warn_dropped(struct job_room *r, struct live *l, struct str key, Usec now)
{
    if (l->warned)
        return;
    l->warned = true;
    meta_printf(r, l, now, "WARNING: Updates are too big or too many, dropped: %.*s",
                STR_FMT(str_slice(key, 0, 100)));
}

static void set_value(struct job_room *r, struct live *l, struct str key, yyjson_val *value,
                      Usec now)
{
    buf_clear(&r->text);
    r->text.failed = false;
    if (json_text(value, false, &r->text) != STATUS_OK || !agent_room(l, key, r->text.n) ||
        field_set(l, key, buf_str(&r->text)) != STATUS_OK)
        warn_dropped(r, l, key, now);
}

/* Appends the elements of `more` to the array of that name; actions get their source. */
static void push_list(struct job_room *r, struct live *l, const char *key, yyjson_val *more,
                      bool objects, bool source, Usec now)
{
    const struct str old = job_value(&l->job, key);
    struct json_writer w;
    AUTO_BUF struct buf text = { 0 };
    yyjson_doc *doc = NULL;
    size_t i, max;
    yyjson_val *item;

    if (!yyjson_is_arr(more) || old.n < 2 || old.p[0] != '[' ||
        json_parse(old, JSON_SIZE_MAX, &doc, NULL) != STATUS_OK)
        return;
    buf_init(&text, JOB_FIELD_MAX);
    w = json_writer_init(&text);
    json_arr(&w, NULL);
    yyjson_arr_foreach (yyjson_doc_get_root(doc), i, max, item)
        json_put_val(&w, NULL, item);
    yyjson_arr_foreach (more, i, max, item) {
        if (objects ? !yyjson_is_obj(item) : !yyjson_is_str(item))
            continue;
        if (!source) {
            json_put_val(&w, NULL, item);
            continue;
        }
        json_obj(&w, NULL);
        json_put_members(&w, item, (const char *const[]){ "source", NULL });
        json_put_z(&w, "source", "job");
        json_end(&w);
    }
    json_end(&w);
    json_doc_free(doc);
    if (text.failed || !agent_room(l, str_z(key), text.n) ||
        field_set(l, str_z(key), buf_str(&text)) != STATUS_OK)
        warn_dropped(r, l, str_z(key), now);
}

/* Agents may add to these lists only; other lists of the job are the conductor's, unknown ones are
 * dropped. */
static void take_push(struct job_room *r, struct live *l, yyjson_val *push, int64_t number,
                      Usec now)
{
    if (!yyjson_is_obj(push))
        return;
    if (number > 0 && number <= UINT32_MAX) { /* numbered by an exact peer: each is taken once */
        if (number <= (int64_t)l->job.push_seen)
            return;
        l->job.push_seen = (uint32_t)number;
    }
    push_list(r, l, "tags", json_get(push, "tags"), false, false, now);
    push_list(r, l, "actions", json_get(push, "actions"), true, true, now);
    push_list(r, l, "limits", json_get(push, "limits"), true, false, now);
    live_dirty(r, l); /* sent once only */
}

static void take_content(struct job_room *r, struct live *l, yyjson_val *update, Usec now)
{
    static const char *const kinds[] = { "markdown", "text", "html" };

    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        yyjson_val *content = json_get(update, kinds[i]);

        if (!yyjson_is_obj(content) && !yyjson_is_str(content))
            continue;
        buf_clear(&r->text);
        r->text.failed = false;
        if (!text_to_html(content, &r->text) || !agent_room(l, STR("html"), r->text.n) ||
            field_set(l, STR("html"), buf_str(&r->text)) != STATUS_OK)
            warn_dropped(r, l, STR("html"), now);
        live_dirty(r, l); /* sent once only */
        return;
    }
}

static void merge(struct job_room *r, struct live *l, yyjson_val *update, Usec now)
{
    size_t i, max;
    yyjson_val *key_val, *value;

    yyjson_obj_foreach (update, i, max, key_val, value) {
        const struct str key = json_val_str(key_val);

        if (str_eq_z(key, "push"))
            take_push(r, l, value, json_i64(update, "push_n", 0), now);
        else if (str_eq_z(key, "progress"))
            l->job.progress =
                yyjson_is_num(value) ? json_double(update, "progress", 0) : l->job.progress;
        else if (str_eq_z(key, "complete"))
            l->job.complete = json_truthy(value);
        else if (str_eq_z(key, "markdown") || str_eq_z(key, "text") || str_eq_z(key, "html"))
            continue;
        else if (!(key_flags(key) & (KEY_OWNED | KEY_TYPED)))
            set_value(r, l, key, value, now);
    }
    if (!(l->job.progress >= 0))
        l->job.progress = 0;
    if (l->job.progress > 1)
        l->job.progress = 1;
    take_content(r, l, update, now);
    if (json_get(update, "table"))
        live_dirty(r, l); /* sent once only */
}

/* False: the log is not all here yet; the satellite sends the rest, then the result again. */
static bool result_is_whole(struct job_room *r, struct live *l, yyjson_val *update, Usec now)
{
    const int64_t size = json_i64(update, "log_size", -1);

    if (size < 0)
        return true;
    if ((uint64_t)size > l->job.log_size) {
        if (l->short_results < JOB_SHORT_RESULTS_MAX) {
            l->short_results++;
            live_seek(r, l);
            return false;
        }
        meta_printf(r, l, now, "WARNING: The job log is incomplete: %llu of %lld bytes",
                    (unsigned long long)l->job.log_size, (long long)size);
        l->job.log_expected = l->job.log_size;
        return true;
    }
    l->job.log_expected = (uint64_t)size;
    return true;
}

static void take_state(struct job_room *r, struct live *l, yyjson_val *update, Usec now)
{
    const struct str state = json_str(update, "state");

    if (str_eq_z(state, "finishing")) {
        if (l->job.state == JOB_ACTIVE)
            (void)live_move(r, l, JOB_ON_ENDING, now);
    } else if (str_eq_z(state, "complete")) {
        live_end(r, l, JOB_ON_RESULT, NULL, STR_NONE, now);
    } else {
        (void)live_move(r, l, JOB_ON_REPORT, now);
    }
}

/* A result waits for its record; false: no memory, the caller is told at once. */
static bool wait_for_end(struct live *l, JobResultFn fn, void *arg)
{
    struct call *c = call_new(NULL, fn, arg, NULL);

    if (c)
        list_push(&l->waiters, &c->node);
    return c != NULL;
}

static void answer(JobResultFn fn, void *arg, Status st)
{
    if (fn)
        fn(arg, st);
}

void job_update(struct job_room *r, const Id *server, bool exact, struct str id, yyjson_val *update,
                Usec now, JobResultFn fn, void *arg)
{
    struct live *l = live_find(r, id);
    const bool final = str_eq_z(json_str(update, "state"), "complete");

    if (!l || !yyjson_is_obj(update)) {
        answer(fn, arg, STATUS_OK);
        return;
    }
    if (server && !id_eq(server, &l->job.server)) {
        answer(fn, arg, STATUS_DENIED);
        return;
    }
    if (l->job.state == JOB_COMPLETE) {
        if (final)
            live_result_again(r, l, now);
        if (!final || !fn || !wait_for_end(l, fn, arg))
            answer(fn, arg, final && fn ? STATUS_NOMEM : STATUS_OK);
        return;
    }
    if (!runs(l)) {
        (void)live_move(r, l, final ? JOB_ON_RESULT : JOB_ON_REPORT,
                        now); /* refused, logged and counted */
        answer(fn, arg, STATUS_INVALID);
        return;
    }
    heard(r, l, now);
    if (final && exact && !result_is_whole(r, l, update, now)) {
        answer(fn, arg, STATUS_BUSY);
        return;
    }
    if (final && fn && !wait_for_end(l, fn, arg)) {
        fn(arg, STATUS_NOMEM); /* not taken: it comes again */
        return;
    }
    merge(r, l, update, now);
    live_touch(r, l);
    take_state(r, l, update, now);
    if (!final)
        answer(fn, arg, STATUS_OK);
}

/* People. */

Status job_edit(struct job_room *r, struct str id, yyjson_val *changes, Usec now, JobResultFn fn,
                void *arg, struct err *err)
{
    struct live *l = live_find(r, id);
    struct call *c = NULL;
    size_t i, max;
    yyjson_val *key_val, *value;

    if (!l)
        return err_set(err, STATUS_MISSING, "id", "Job is not active: %.*s",
                       STR_FMT(str_slice(id, 0, ID_MAX)));
    if (l->job.state == JOB_COMPLETE)
        return err_set(err, STATUS_CONFLICT, "id", "Job is already complete: %s", l->job.id.z);
    yyjson_obj_foreach (changes, i, max, key_val, value) {
        const struct str key = json_val_str(key_val);

        if ((key_flags(key) & KEY_EDIT) && !str_eq_z(key, "notes") && !yyjson_is_arr(value))
            return err_set(err, STATUS_INVALID, yyjson_get_str(key_val),
                           "Malformed parameter: %.*s", STR_FMT(str_slice(key, 0, 100)));
    }
    if (fn) {
        c = call_new(NULL, fn, arg, NULL);
        if (!c)
            return err_set(err, STATUS_NOMEM, NULL, "Out of memory.");
        effect_push_call(r, l, c);
    }
    yyjson_obj_foreach (changes, i, max, key_val, value) {
        const struct str key = json_val_str(key_val);
        const unsigned flags = key_flags(key);

        if (!(flags & KEY_TYPED) && (!(flags & KEY_OWNED) || (flags & KEY_EDIT)))
            set_value(r, l, key, value, now);
    }
    live_read_limits(l);
    live_dirty(r, l);
    live_touch(r, l);
    return STATUS_OK;
}

Status job_skip_delay(struct job_room *r, struct str id, Usec now, struct err *err)
{
    struct live *l = live_find(r, id);

    if (!l)
        return err_set(err, STATUS_MISSING, "id", "Job is not active: %.*s",
                       STR_FMT(str_slice(id, 0, ID_MAX)));
    if (l->job.state != JOB_START_DELAY && l->job.state != JOB_RETRY_DELAY)
        return err_set(err, STATUS_CONFLICT, "id", "Job is not in a delay state: %s", l->job.id.z);
    l->job.until = now;
    meta_printf(r, l, now, "The delay was skipped");
    live_timer(r, l, now);
    live_dirty(r, l);
    live_touch(r, l);
    return STATUS_OK;
}
