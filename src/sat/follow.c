/* Following the streams of jobs. A stream is read in blocks on the lane, fed to the parser here,
 * and what comes out goes to the conductor at once: so a block in flight and an unfinished line are
 * all that is ever in memory. Nothing is read while the conductor does not take it (no link, no
 * seek yet, congested).
 *
 * Positions: the parser counts what it gives (log_pos, meta_next); log_sent and meta_sent say what
 * the conductor has. To go back the parser is made anew and the stream read again from its start;
 * what the conductor has is passed over. */
#include "sat/runner_int.h"

#include <inttypes.h>

#include "base/log.h"

/* Log text */

static void text_flush(struct sat_job *j)
{
    struct runner *r = j->runner;
    AUTO_BUF struct buf frame = { 0 };
    struct json_writer w;

    if (r->text.n == 0)
        return;
    buf_init(&frame, SAT_MESSAGE_MAX);
    w = wire_begin(&frame, WIRE_JOB_LOG);
    json_put_str(&w, "id", id_str(&j->id));
    if (link_exact(r->sat->link))
        json_put_u64(&w, "pos", r->text_pos);
    json_put_str(&w, "text", buf_str(&r->text));
    wire_end(&w);
    (void)link_send(r->sat->link, &frame);
    r->text_pos += r->text.n;
    j->log_sent = r->text_pos;
    buf_clear(&r->text);
}

static void text_add(struct sat_job *j, struct str s)
{
    struct runner *r = j->runner;

    while (s.n) {
        size_t n = WIRE_LOG_TEXT_MAX - r->text.n;

        if (n >= s.n) {
            n = s.n;
        } else { /* cut before a character */
            while (n > 0 && ((unsigned char)s.p[n] & 0xC0) == 0x80)
                n--;
        }
        (void)buf_add(&r->text, s.p, n);
        s = str_slice(s, n, s.n);
        if (s.n)
            text_flush(j);
    }
}

static void on_log(void *ctx, struct str text)
{
    struct sat_job *j = ctx;
    const uint64_t from = j->log_pos;

    j->log_pos += text.n;
    if (j->stage == STAGE_ENDED && j->log_pos > j->final_log) {
        if (from >= j->final_log)
            return;
        text.n = (size_t)(j->final_log - from);
    }
    if (j->log_pos <= j->log_sent)
        return;
    if (from < j->log_sent)
        text = str_slice(text, (size_t)(j->log_sent - from), text.n);
    if (j->runner->text.n == 0)
        j->runner->text_pos = from > j->log_sent ? from : j->log_sent;
    text_add(j, text);
}

/* Rows of the activity log */

static void meta_send(struct sat_job *j, uint32_t n, struct str text)
{
    struct runner *r = j->runner;
    AUTO_BUF struct buf frame = { 0 };
    struct json_writer w;

    buf_init(&frame, SAT_MESSAGE_MAX);
    w = wire_begin(&frame, WIRE_JOB_META);
    json_put_str(&w, "id", id_str(&j->id));
    if (link_exact(r->sat->link))
        json_put_u64(&w, "n", n);
    json_put_str(&w, "text", text);
    wire_end(&w);
    (void)link_send(r->sat->link, &frame);
    j->meta_sent = n;
}

/* Sends rows of our own with numbers below `before`, in order. */
static void rows_send_below(struct sat_job *j, uint32_t before)
{
    while (j->row_next < j->n_rows && j->rows[j->row_next].n && j->rows[j->row_next].n < before) {
        const struct job_row *row = &j->rows[j->row_next++];

        if (row->n > j->meta_sent)
            meta_send(j, row->n, str_z(row->text));
    }
}

static bool number_taken(const struct sat_job *j, uint32_t n)
{
    for (size_t i = j->n_rows; i > 0; i--) {
        if (j->rows[i - 1].n == n)
            return true;
    }
    return false;
}

static void on_meta(void *ctx, struct str text)
{
    struct sat_job *j = ctx;
    uint32_t n = j->meta_next;

    while (number_taken(j, n))
        n++;
    j->meta_next = n + 1;
    if (n > j->meta_high)
        j->meta_high = n;
    if (j->stage == STAGE_ENDED && n > j->final_metas)
        return;
    rows_send_below(j, n);
    if (n > j->meta_sent)
        meta_send(j, n, text);
}

/* Everything of the stream that was ever numbered has been numbered again. */
static bool caught_up(const struct sat_job *j)
{
    return j->offset >= j->offset_high;
}

void follow_rows_send(struct sat_job *j)
{
    if (j->seeked && caught_up(j) && !j->behind)
        rows_send_below(j, UINT32_MAX);
}

uint32_t follow_last_row(const struct sat_job *j)
{
    uint32_t last = j->meta_high;

    if (j->n_rows && j->rows[j->n_rows - 1].n > last)
        last = j->rows[j->n_rows - 1].n;
    return last;
}

void follow_rows_number(struct sat_job *j)
{
    for (size_t i = 0; i < j->n_rows; i++) {
        const uint32_t earlier = i ? j->rows[i - 1].n : 0;
        uint32_t n = j->meta_high > j->final_metas ? j->meta_high : j->final_metas;

        if (j->rows[i].n)
            continue;
        if (j->meta_sent > n && j->meta_sent < UINT32_MAX)
            n = j->meta_sent;
        j->rows[i].n = (earlier > n ? earlier : n) + 1;
    }
}

void follow_add_row(struct sat_job *j, uint32_t n, struct str text)
{
    struct job_row *at;

    if (j->n_rows >= RUNNER_ROWS_MAX)
        return;
    at = realloc(j->rows, (j->n_rows + 1) * sizeof(*at));
    if (!at)
        return;
    j->rows = at;
    at[j->n_rows] = (struct job_row){ .n = n, .text = strndup(text.p ? text.p : "", text.n) };
    if (at[j->n_rows].text)
        j->n_rows++;
}

void follow_row(struct sat_job *j, const char *fmt, ...)
{
    char text[1024];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    follow_add_row(j, 0, str_z(text));
    if (!j->seeked)
        return;
    follow_rows_number(j);
    follow_rows_send(j);
}

void follow_put_rows(const struct sat_job *j, struct json_writer *w)
{
    json_arr(w, "rows");
    for (size_t i = 0; i < j->n_rows; i++) {
        json_obj(w, NULL);
        json_put_u64(w, "n", j->rows[i].n);
        json_put_z(w, "text", j->rows[i].text);
        json_end(w);
    }
    json_end(w);
}

void follow_take_rows(struct sat_job *j, yyjson_val *rows)
{
    uint32_t last = j->n_rows ? j->rows[j->n_rows - 1].n : 0;
    size_t i, max;
    yyjson_val *v;

    yyjson_arr_foreach (rows, i, max, v) {
        const int64_t n = json_i64(v, "n", 0);

        if (n <= (int64_t)last || n >= UINT32_MAX)
            continue; /* one that is there already, or was never numbered */
        last = (uint32_t)n;
        follow_add_row(j, last, json_str(v, "text"));
    }
}

/* Changes */

/* Pushes are not idempotent. A conductor that numbers them says in its seek which it has; for one
 * that does not, the number is kept beside the stream, so that a restart does not send them again.
 */
struct push_work {
    struct job_work base;
    char text[32];
};

static void push_do(struct lane_work *work)
{
    struct push_work *w = CONTAINER_OF(work, struct push_work, base.work);
    const struct sat_job *j = w->base.job;

    w->base.status =
        spool_put(job_spool(j), id_str(&j->id), "pushes", str_z(w->text), false, &w->base.err);
}

static void push_back(struct lane_work *work)
{
    struct push_work *w = CONTAINER_OF(work, struct push_work, base.work);

    if (job_back(&w->base) && w->base.status)
        log_event(LOG_ERROR, "job.pushes_not_stored", "job=%s", w->base.job->id.z);
    free(w);
}

static void pushes_sent(struct sat_job *j, uint32_t n)
{
    struct push_work *w = n > j->push_sent ? calloc(1, sizeof(*w)) : NULL;

    if (!w)
        return;
    j->push_sent = n;
    (void)snprintf(w->text, sizeof(w->text), "%u", n);
    if (job_post(j, &w->base, push_do, push_back) != STATUS_OK)
        free(w);
}

void follow_changes(struct sat_job *j, bool force)
{
    const Usec now = loop_now_mono(j->runner->sat->loop);
    struct buf frame;
    struct json_writer w;

    if (!j->parser || !j->seeked || j->stage == STAGE_ENDED || !link_ready(j->runner->sat->link) ||
        !stdio_has_changes(j->parser))
        return;
    if (!force && now - j->changes_sent < RUNNER_CHANGES && !stdio_is_urgent(j->parser)) {
        runner_pulse(j->runner);
        return;
    }
    w = job_frame_begin(j, &frame, j->stage == STAGE_FINISHING ? "finishing" : "active");
    stdio_put_changes(j->parser, &w);
    if (job_frame_send(j, &w, &frame))
        pushes_sent(j, stdio_pushes(j->parser));
    buf_done(&frame);
    j->changes_sent = now;
}

/* Reading */

static bool parser_new(struct sat_job *j)
{
    static const struct stdio_ops ops = { .log = on_log, .meta = on_meta };
    const struct stdio_config config = {
        .shell = j->shell,
        .annotate = j->annotate,
        .runner = j->runner_job,
        .program = j->program,
        .pass = j->pass ? str_z(j->pass) : STR_NONE,
        .abort_at = j->abort_at,
        .push_from = j->push_sent,
    };
    struct stdio_parser *p = stdio_new(&config, &ops, j);

    if (!p)
        return false;
    stdio_free(j->parser);
    j->parser = p;
    j->generation++;
    j->offset = 0;
    j->read_size = 0;
    j->log_pos = 0;
    j->meta_next = 1;
    j->row_next = 0;
    j->behind = false;
    return true;
}

void follow_start(struct sat_job *j, bool fresh)
{
    struct runner *r = j->runner;
    char path[SPOOL_PATH_MAX];

    j->stage = STAGE_RUNNING;
    if (!j->parser && !parser_new(j))
        log_event(LOG_ERROR, "job.no_memory", "job=%s", j->id.z);
    if (j->wd < 0 && spool_path(job_spool(j), id_str(&j->id), "stream", path)) {
        j->wd = watch_add(r->watch, path);
        if (j->wd >= 0 && map_put(&r->by_wd, str_n(&j->wd, sizeof(j->wd)), j, NULL) != STATUS_OK) {
            watch_remove(r->watch, j->wd);
            j->wd = -1;
        }
    }
    if (fresh) { /* there is nothing yet; a job that is over quickly is read once, at its end */
        j->last_read = loop_now_mono(r->sat->loop);
        j->read_later = true;
        runner_pulse(r);
    } else {
        follow_read(j);
    }
}

static bool wants_reading(const struct sat_job *j)
{
    if (!j->seeked || !j->parser || j->gone || j->forgetting)
        return false;
    if (j->stage == STAGE_ENDED)
        return j->offset < j->stream_end && !j->final_sent;
    return j->stage == STAGE_RUNNING;
}

void follow_read(struct sat_job *j)
{
    j->read_later = false;
    if (j->reading)
        j->read_again = true; /* what is being read may have been looked at before this */
    if (!wants_reading(j) || j->reading || !list_empty(&j->ready))
        return;
    list_push(&j->runner->ready, &j->ready);
    follow_pump(j->runner);
}

struct read_work {
    struct job_work base;
    uint32_t generation;
    uint64_t offset;
    size_t max;
    struct buf bytes;
    bool alive;
    uint64_t size;
};

static void read_do(struct lane_work *work)
{
    struct read_work *w = CONTAINER_OF(work, struct read_work, base.work);
    const struct sat_job *j = w->base.job;

    buf_init(&w->bytes, w->max);
    w->base.status = spool_read_stream(job_spool(j), id_str(&j->id), w->offset, w->max, &w->bytes,
                                       &w->alive, &w->size, &w->base.err);
}

static void ended(struct sat_job *j, const char *code, const char *description)
{
    text_flush(j);
    if (j->stage == STAGE_ENDED) {
        j->offset = j->stream_end;
        finish_seeked(j);
        return;
    }
    finish_begin(j, code, description);
}

/* After a block: what now? */
static void fed(struct sat_job *j, const struct read_work *w, size_t used, Status st)
{
    const bool more = j->offset < w->size;

    if (st) {
        stdio_cut(j->parser);
        ended(j, "1", "The stream of the job's output is damaged.");
    } else if (stdio_state(j->parser)->ended) {
        ended(j, NULL, NULL);
    } else if (j->stage == STAGE_ENDED && j->offset >= j->stream_end) {
        ended(j, NULL, NULL);
    } else if (more && used > 0) {
        follow_read(j);
    } else if (more && j->read_size > w->max) {
        follow_read(j); /* a frame larger than the block */
    } else if (!w->alive) {
        stdio_cut(j->parser);
        ended(j, "1", "Supervisor of the job was lost.");
    }
}

static void feed(struct sat_job *j, const struct read_work *w)
{
    struct str bytes = buf_str(&w->bytes);
    size_t need = 0;
    size_t used;
    Status st;

    if (j->stage == STAGE_ENDED && bytes.n > j->stream_end - j->offset)
        bytes.n = (size_t)(j->stream_end - j->offset);
    used = stdio_bytes(j->parser, bytes, &need, &st);
    j->offset += used;
    if (j->offset > j->offset_high)
        j->offset_high = j->offset;
    j->read_size = need > RUNNER_READ_SIZE ? need : 0;
    text_flush(j);
    follow_rows_send(j);
    follow_changes(j, false);
    fed(j, w, used, st);
}

static void read_back(struct lane_work *work)
{
    struct read_work *w = CONTAINER_OF(work, struct read_work, base.work);
    struct runner *r = w->base.job->runner;
    struct sat_job *j = w->base.job;
    struct loop_span span = loop_span_begin(r->sat->loop, "runner.feed");
    bool again;

    r->reads--;
    if (job_back(&w->base)) {
        j->reading = false;
        again = j->read_again;
        j->read_again = false;
        j->last_read = loop_now_mono(r->sat->loop);
        if (w->generation != j->generation || !wants_reading(j)) {
            follow_read(j); /* from another place, or not at all now */
        } else if (w->base.status == STATUS_MISSING) {
            stdio_cut(j->parser);
            ended(j, "1", "Supervisor of the job was lost.");
        } else if (w->base.status == STATUS_OK) {
            feed(j, w);
        } else {
            log_event(LOG_ERROR, "job.read", "job=%s reason=%s", j->id.z,
                      LOG_QUOTED(str_z(w->base.err.text)));
            j->last_read = 0; /* the next tick tries again */
        }
        if (again)
            follow_read(j);
    }
    buf_done(&w->bytes);
    free(w);
    loop_span_end(&span);
    follow_pump(r);
}

static bool read_start(struct sat_job *j)
{
    struct read_work *w = calloc(1, sizeof(*w));

    if (!w)
        return false;
    w->generation = j->generation;
    w->offset = j->offset;
    w->max = j->read_size ? j->read_size : RUNNER_READ_SIZE;
    if (job_post(j, &w->base, read_do, read_back) != STATUS_OK) {
        free(w);
        return false;
    }
    j->reading = true;
    j->runner->reads++;
    return true;
}

void follow_pump(struct runner *r)
{
    struct link *link = r->sat->link;

    if (r->pumping)
        return;
    r->pumping = true;
    while (!list_empty(&r->ready) && r->reads < RUNNER_READS_MAX && link_ready(link) &&
           !link_congested(link)) {
        struct sat_job *j = CONTAINER_OF(r->ready.next, struct sat_job, ready);

        list_remove(&j->ready);
        if (!wants_reading(j) || j->reading)
            continue;
        if (!read_start(j)) {
            list_push_front(&r->ready, &j->ready);
            break;
        }
    }
    r->pumping = false;
}

void follow_pulse(struct sat_job *j, Usec now)
{
    if (j->read_later) {
        if (now - j->last_read >= RUNNER_BATCH)
            follow_read(j);
        else
            runner_pulse(j->runner);
    }
    if (j->stage == STAGE_RUNNING)
        follow_changes(j, false);
}

/* Where the conductor wants us to go on */

bool follow_seek(struct sat_job *j, uint64_t pos, uint32_t meta, uint32_t push)
{
    const bool same = j->parser && !j->behind && pos == j->log_pos && pos == j->log_sent &&
                      meta == j->meta_sent && push == j->push_sent;

    j->seeked = true;
    j->final_sent = false;
    j->log_sent = pos;
    j->meta_sent = meta;
    j->push_sent = push;
    if (!same && j->stage == STAGE_FINISHING)
        j->behind = true; /* the parser's record is still needed; STAGE_ENDED reads again */
    if (!same && (j->stage == STAGE_RUNNING || j->stage == STAGE_ENDED) && !parser_new(j))
        return false;
    follow_rows_number(j);
    if (j->stage == STAGE_ENDED)
        follow_ended(j);
    follow_rows_send(j);
    follow_read(j);
    return true;
}

void follow_ended(struct sat_job *j)
{
    const bool has_all = j->log_sent >= j->final_log && j->meta_sent >= j->final_metas &&
                         j->push_sent >= j->final_pushes;

    if (!j->seeked)
        return;
    if (has_all || !link_exact(j->runner->sat->link)) {
        j->offset = j->stream_end;
    } else if (j->behind && !parser_new(j)) {
        log_event(LOG_ERROR, "job.no_memory", "job=%s", j->id.z);
        return;
    }
    if (j->offset >= j->stream_end)
        finish_seeked(j);
    else
        follow_read(j);
}
