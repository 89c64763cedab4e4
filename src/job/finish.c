/* The end of a job: abort, silence, result; closing the log; the code, tags and last words of the
 * record.
 *
 * live_end decides the result and asks for the log to be closed; when that is answered the job is
 * finalised and dirty, and the turn's end archives it. Nobody is told before the record is durable
 * (commit.c). */
#include "job/room_int.h"

#include <stdlib.h>

#define ABORT_CODE "\"abort\""

/* Code. */

static void code_of_text(struct str s, char out[JOB_CODE_MAX])
{
    size_t n = 0;
    bool gap = false;

    out[n++] = '"';
    for (size_t i = 0; i < s.n && n < JOB_CODE_MAX - 4; i++) {
        const char c = s.p[i] >= 'A' && s.p[i] <= 'Z' ? (char)(s.p[i] - 'A' + 'a') : s.p[i];
        const bool word = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';

        if (word || !gap)
            out[n++] = word ? c : '_';
        gap = !word;
    }
    out[n++] = '"';
    out[n] = '\0';
}

/* What the reference makes of a code (job-engine.md 4.8). text: JSON or none. */
static void normalise_code(struct str text, char out[JOB_CODE_MAX])
{
    yyjson_doc *doc = NULL;
    yyjson_val *v;

    (void)str_copy_z(STR("0"), out, JOB_CODE_MAX);
    if (!text.n || json_parse(text, JSON_SIZE_MAX, &doc, NULL) != STATUS_OK)
        return;
    v = yyjson_doc_get_root(doc);
    if (yyjson_is_str(v) && yyjson_get_len(v))
        code_of_text(json_val_str(v), out);
    else if ((yyjson_is_num(v) || yyjson_is_raw(v)) && json_truthy(v) && text.n < JOB_CODE_MAX)
        (void)str_copy_z(text, out, JOB_CODE_MAX);
    else if (json_truthy(v))
        (void)str_copy_z(STR("\"unknown\""), out, JOB_CODE_MAX);
    json_doc_free(doc);
}

static bool succeeded(const struct live *l)
{
    return strcmp(l->code, "0") == 0;
}

static void set_text(struct live *l, const char *key, struct str text)
{
    AUTO_BUF struct buf json = { 0 };
    struct json_writer w;

    buf_init(&json, JOB_FIELD_MAX);
    w = json_writer_init(&json);
    json_put_str(&w, NULL, text);
    if (!json.failed)
        (void)field_set(l, str_z(key), buf_str(&json));
}

/* The description as text, cut to what a row of the activity log takes. */
static void read_description(const struct live *l, char *out, size_t size)
{
    const struct str json = job_value(&l->job, "description");
    yyjson_doc *doc = NULL;

    out[0] = '\0';
    if (!json.n || json_parse(json, JSON_SIZE_MAX, &doc, NULL) != STATUS_OK)
        return;
    (void)str_copy_z(json_val_str(yyjson_doc_get_root(doc)), out, size);
    json_doc_free(doc);
}

/* Tags. */

static void put_tag(struct json_writer *w, yyjson_val *have, const char *tag)
{
    size_t i, max;
    yyjson_val *v;

    yyjson_arr_foreach (have, i, max, v) {
        if (yyjson_equals_str(v, tag))
            return;
    }
    json_put_z(w, NULL, tag);
}

static bool has_files(const struct live *l)
{
    const struct str files = job_value(&l->job, "files");
    const struct str input = raw_member(job_value(&l->job, "input"), STR("files"));

    return (files.n > 2 && files.p[0] == '[') || (input.n > 2 && input.p[0] == '[');
}

static void put_own_tags(struct json_writer *w, yyjson_val *tags)
{
    size_t i, max, k, kmax;
    yyjson_val *tag, *before;

    yyjson_arr_foreach (tags, i, max, tag) {
        bool again = !yyjson_is_str(tag);

        yyjson_arr_foreach (tags, k, kmax, before) {
            if (k >= i || again)
                break;
            again = json_equal(before, tag);
        }
        if (!again)
            json_put_val(w, NULL, tag);
    }
}

static void finish_tags(struct live *l)
{
    const struct str text = job_value(&l->job, "tags");
    yyjson_doc *doc = NULL;
    yyjson_val *tags = NULL;
    AUTO_BUF struct buf out = { 0 };
    struct json_writer w;

    if (text.n && json_parse(text, JSON_SIZE_MAX, &doc, NULL) == STATUS_OK)
        tags = yyjson_doc_get_root(doc);
    buf_init(&out, JOB_FIELD_MAX);
    w = json_writer_init(&out);
    json_arr(&w, NULL);
    put_own_tags(&w, tags);
    put_tag(&w, tags, succeeded(l) ? "_success" : "_error");
    put_tag(&w, tags, "_last");
    if (l->test)
        put_tag(&w, tags, "_test");
    if (has_files(l))
        put_tag(&w, tags, "_files");
    json_end(&w);
    json_doc_free(doc);
    if (!out.failed)
        (void)field_set(l, STR("tags"), buf_str(&out));
}

/* The end. */

static void count(struct job_room *r, const struct live *l)
{
    r->stats.completed++;
    if (succeeded(l))
        r->stats.succeeded++;
    else if (strcmp(l->code, ABORT_CODE) == 0)
        r->stats.aborted++;
    else
        r->stats.failed++;
}

static void last_words(struct job_room *r, struct live *l, Usec now)
{
    char text[512];

    read_description(l, text, sizeof(text));
    if (succeeded(l))
        meta_printf(r, l, now, "Job completed successfully.");
    else if (strcmp(l->code, ABORT_CODE) == 0)
        meta_printf(r, l, now, "Job aborted: %s", text);
    else if (l->code[0] == '"')
        meta_printf(r, l, now, "Job failed: %s (%.*s)", text, (int)strlen(l->code) - 2,
                    l->code + 1);
    else
        meta_printf(r, l, now, "Job failed: %s (%s)", text, l->code);
}

/* Everything is known: from here on the job only waits to be archived. */
static void finalise(struct job_room *r, struct live *l, Usec now)
{
    l->log_done = true;
    live_timer(r, l, USEC_NEVER);
    if (!l->output.n && !l->job.log_size && !succeeded(l)) {
        char text[2048];

        read_description(l, text, sizeof(text) - 1);
        if (text[0]) {
            const size_t n = strlen(text);
            char *copy = malloc(n + 1);

            text[n] = '\n';
            if (copy)
                l->output = str_n(memcpy(copy, text, n + 1), n + 1);
        }
    }
    if (l->ephemeral && (!succeeded(l) || job_value(&l->job, "files").n > 2)) {
        l->ephemeral = false;
        meta_printf(r, l, now, "The job is kept: it failed or has output files");
    }
    finish_tags(l);
    last_words(r, l, now);
    count(r, l);
    live_dirty(r, l);
}

static void close_log(struct job_room *r, struct live *l)
{
    live_timer(r, l, USEC_NEVER);
    l->job.finishing_log = true;
    r->host.finish_log(r->host.ctx, &l->job);
}

void live_end(struct job_room *r, struct live *l, enum job_input on, const char *code,
              struct str description, Usec now)
{
    const bool at_satellite =
        l->sent && (l->job.state == JOB_ACTIVE || l->job.state == JOB_FINISHING);

    if (!live_move(r, l, on, now))
        return;
    l->by_result = l->owes_done = on == JOB_ON_RESULT;
    l->given_up = at_satellite && on != JOB_ON_RESULT && on != JOB_ON_LOST;
    if (description.p)
        set_text(l, "description", description);
    normalise_code(code ? str_z(code) : job_value(&l->job, "code"), l->code);
    l->job.complete = true;
    l->job.remote = false;
    l->job.until = 0;
    l->job.completed = now;
    if (!l->sent && !l->job.log_size)
        finalise(r, l, now); /* it never ran: there is no log */
    else
        close_log(r, l);
}

void job_log_finished(struct job_room *r, struct str id, Status st, struct str output,
                      uint64_t size, bool uploaded, Usec now)
{
    struct live *l = live_find(r, id);

    if (!l || !l->job.finishing_log)
        return;
    l->job.finishing_log = false;
    if (st != STATUS_OK) {
        live_timer(r, l, now + JOB_COMMIT_RETRY);
        return;
    }
    if (l->exact && l->by_result && l->job.log_expected != UINT64_MAX &&
        size < l->job.log_expected) {
        /* the disk kept less than arrived; the satellite has it all until job_done */
        l->log_refetch = true;
        l->job.log_size = size;
        live_seek(r, l);
        live_timer(r, l, now + JOB_REFETCH_WAIT);
        return;
    }
    if (output.n && !uploaded) {
        char *copy = malloc(output.n);

        if (!copy) {
            live_timer(r, l, now + JOB_COMMIT_RETRY);
            return;
        }
        l->output = str_n(memcpy(copy, output.p, output.n), output.n);
    }
    l->job.log_size = size;
    l->log_uploaded = uploaded;
    finalise(r, l, now);
}

void live_result_again(struct job_room *r, struct live *l, Usec now)
{
    (void)live_move(r, l, JOB_ON_RESULT, now);
    l->owes_done = true;
    if (!l->log_refetch)
        return;
    if (l->job.log_size < l->job.log_expected) {
        live_seek(r, l);
        return;
    }
    l->log_refetch = false;
    close_log(r, l);
}

void live_log_overdue(struct job_room *r, struct live *l, Usec now)
{
    if (l->log_done || l->job.finishing_log)
        return;
    if (l->log_refetch) {
        l->log_refetch = false;
        l->job.log_expected = UINT64_MAX;
        meta_printf(r, l, now,
                    "WARNING: The job log is incomplete: its end could not be fetched again");
    }
    close_log(r, l);
}

/* Silence and aborts. */

static void silence_text(const struct job_room *r, char *out, size_t size)
{
    const long long seconds = r->config.dead_timeout / USEC_SEC;

    if (seconds % 60 == 0 && seconds)
        (void)snprintf(out, size,
                       "No updates received in last %lld minute%s, assuming job is dead.",
                       seconds / 60, seconds == 60 ? "" : "s");
    else
        (void)snprintf(out, size, "No updates received in last %lld seconds, assuming job is dead.",
                       seconds);
}

void live_dead_check(struct job_room *r, struct live *l, Usec now)
{
    char text[128];

    if (!list_empty(&l->launch.node)) { /* the journal is to blame, not the satellite */
        live_timer(r, l, now + r->config.dead_timeout);
        return;
    }
    if (l->job.updated + r->config.dead_timeout > now) {
        live_timer(r, l, l->job.updated + r->config.dead_timeout);
        return;
    }
    silence_text(r, text, sizeof(text));
    if (l->job.remote && !l->dead_asked && r->host.server_online(r->host.ctx, &l->job.server)) {
        l->dead_asked = true;
        l->job.updated = now;
        live_timer(r, l, now + r->config.dead_timeout);
        live_ask_abort(r, l, str_z(text));
        return;
    }
    live_end(r, l, JOB_ON_DEAD, ABORT_CODE,
             l->job.aborting ? str_z(l->job.abort_reason) : str_z(text), now);
}

void live_ask_abort(struct job_room *r, struct live *l, struct str reason)
{
    if (!l->job.aborting) {
        char *copy = str_dup_z(reason);

        if (!copy)
            return; /* the caller's timer, or the person, comes again */
        l->job.abort_reason = copy;
        l->job.aborting = true;
        live_dirty(r, l);
    }
    if (list_empty(&l->abort.node))
        effect_push(r, &l->abort, EFFECT_ABORT);
}

Status job_abort(struct job_room *r, struct str id, struct str reason, Usec now, JobResultFn fn,
                 void *arg, struct err *err)
{
    struct live *l = live_find(r, id);
    struct call *c = NULL;
    bool ask;

    if (!l)
        return err_set(err, STATUS_MISSING, "id", "Job is not active: %.*s",
                       STR_FMT(str_slice(id, 0, ID_MAX)));
    if (l->job.state == JOB_COMPLETE)
        return err_set(err, STATUS_CONFLICT, "id", "Job is already complete: %s", l->job.id.z);
    if (fn) {
        c = call_new(NULL, fn, arg, NULL);
        if (!c)
            return err_set(err, STATUS_NOMEM, NULL, "Out of memory.");
    }
    reason = str_slice(reason, 0, JOB_META_TEXT_MAX);
    /* One that speaks our extension keeps its end: it is told now or at its return. A plain agent
     * in reach is asked while the process runs; in every other case the job ends here. */
    ask = l->sent && (l->exact || (l->job.state == JOB_ACTIVE && l->job.remote &&
                                   r->host.server_online(r->host.ctx, &l->job.server)));
    if (ask) {
        meta_printf(r, l, now, "Aborting job on server: %.*s", STR_FMT(str_slice(reason, 0, 500)));
        l->job.updated = now;
        live_ask_abort(r, l, reason);
        if (c)
            effect_push_call(r, l, c);
        return STATUS_OK;
    }
    if (c)
        list_push(&l->waiters, &c->node);
    live_end(r, l, JOB_ON_ABORT, ABORT_CODE, reason, now);
    return STATUS_OK;
}
