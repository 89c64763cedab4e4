/* Jobs (reference/api-operations.md 5): lists of live ones, single reads of live and finished ones,
 * changes. Logs are joblog.c, searches search.c.
 *
 * A live job is written from memory, a finished one is a row of the store. */
#include "api/api_int.h"

#include <math.h>
#include <stdlib.h>

/* Left out of get_jobs and search_jobs unless asked for. */
const char *const api_job_big_keys[] = { "actions", "activity", "html",  "limits",
                                         "procs",   "conns",    "table", "timelines",
                                         "input",   "data",     "files", NULL };

/* ---- live jobs ---- */

static bool is_paging(struct str key)
{
    static const char *const words[] = { "offset", "limit", "sort_by", "sort_dir" };

    for (size_t i = 0; i < COUNT_OF(words); i++) {
        if (str_eq_z(key, words[i]))
            return true;
    }
    return false;
}

/* Top-level equality filters. */
static bool matches(struct api_call *c, const struct job *j)
{
    yyjson_obj_iter it = yyjson_obj_iter_with(c->params);
    yyjson_val *key;

    while ((key = yyjson_obj_iter_next(&it)) != NULL) {
        const struct str name = json_val_str(key);

        if (!is_paging(name) &&
            !api_loose_equal(yyjson_obj_iter_get_val(key), job_value(j, yyjson_get_str(key))))
            return false;
    }
    return true;
}

struct sorted_job {
    const struct job *job;
    double by;
};

static int rising(const void *a, const void *b)
{
    const struct sorted_job *x = a;
    const struct sorted_job *y = b;

    if (x->by != y->by)
        return x->by < y->by ? -1 : 1;
    return strcmp(x->job->id.z, y->job->id.z);
}

static int falling(const void *a, const void *b)
{
    return rising(b, a);
}

static double sort_value(const struct job *j, const char *key)
{
    double v = 0;

    if (strcmp(key, "started") == 0)
        return usec_to_epoch(j->started);
    return str_to_double(job_value(j, key), &v) && isfinite(v) ? v : 0;
}

/* The jobs that the caller may see and asked for, sorted. NULL: no memory. */
static struct sorted_job *collect(struct api_call *c, size_t *ret_n)
{
    const struct str sort_by = json_str(c->params, "sort_by");
    const char *key = sort_by.n ? arena_dup_z(c->arena, sort_by) : "started";
    struct sorted_job *all = arena_alloc(c->arena, (job_count(c->world->jobs) + 1) * sizeof *all);
    const struct job *j = NULL;
    size_t cursor = 0;
    size_t n = 0;

    if (!all || !key)
        return NULL;
    while (job_next(c->world->jobs, &cursor, &j)) {
        if (matches(c, j) && api_job_visible(c, j))
            all[n++] = (struct sorted_job){ j, sort_value(j, key) };
    }
    qsort(all, n, sizeof *all, json_i64(c->params, "sort_dir", -1) < 0 ? falling : rising);
    *ret_n = n;
    return all;
}

static void get_active_jobs(struct api_call *c)
{
    const int64_t offset = json_i64(c->params, "offset", 0);
    const int64_t limit = json_i64(c->params, "limit", 0);
    size_t n = 0;
    const struct sorted_job *all = collect(c, &n);
    struct buf out;
    struct json_writer w;

    if (!all) {
        api_fail(c, "job", STATUS_NOMEM, NULL);
        return;
    }
    w = api_reply_begin(c, &out);
    json_arr(&w, "rows");
    for (size_t i = offset > 0 ? (size_t)offset : 0; i < n && !out.failed; i++) {
        if (limit > 0 && i - (size_t)(offset > 0 ? offset : 0) >= (size_t)limit)
            break;
        job_put_json(all[i].job, false, &w, NULL);
    }
    json_end(&w);
    json_obj(&w, "list");
    json_put_u64(&w, "length", n);
    json_end(&w);
    api_reply_end(c, &w, &out);
}

/* ---- the summary ---- */

struct tally {
    struct tally *next;
    struct str word;
    int64_t n;
};

struct event_sum {
    struct event_sum *next;
    struct str id;
    struct tally *states;
    struct tally *sources;
    struct tally *targets;
};

static void count_word(struct arena *a, struct tally **list, struct str word)
{
    struct tally *t = *list;

    while (t && !str_eq(t->word, word))
        t = t->next;
    if (!t) {
        t = arena_zalloc(a, sizeof *t);
        if (!t)
            return;
        t->word = arena_dup(a, word);
        if (!t->word.p)
            return;
        t->next = *list;
        *list = t;
    }
    t->n++;
}

static void count_targets(struct arena *a, struct tally **list, struct str json)
{
    AUTO(json_doc_free) yyjson_doc *doc = NULL;
    yyjson_arr_iter it;
    yyjson_val *target;

    if (!json.p || json_parse(json, JSON_SIZE_MAX, &doc, NULL))
        return;
    it = yyjson_arr_iter_with(yyjson_doc_get_root(doc));
    while ((target = yyjson_arr_iter_next(&it)) != NULL)
        count_word(a, list, json_val_str(target));
}

static struct str unquoted(struct str json)
{
    return json.n >= 2 && json.p[0] == '"' ? str_slice(json, 1, json.n - 1) : STR("");
}

static void count_job(struct api_call *c, struct event_sum *e, const struct job *j)
{
    count_word(c->arena, &e->states, str_z(job_state_name(j->state)));
    count_word(c->arena, &e->sources, unquoted(job_value(j, "source")));
    count_targets(c->arena, &e->targets, job_value(j, "targets"));
}

static void put_tally(struct json_writer *w, const char *key, const struct tally *t)
{
    json_obj(w, key);
    for (; t; t = t->next)
        json_put_i64(w, t->word.p, t->n); /* arena copies end in a zero */
    json_end(w);
}

static struct event_sum *sum_of(struct api_call *c, struct map *m, struct event_sum **all,
                                const struct job *j)
{
    struct event_sum *e = map_get(m, id_str(&j->event));

    if (e)
        return e;
    e = arena_zalloc(c->arena, sizeof *e);
    if (!e)
        return NULL;
    e->id = arena_dup(c->arena, id_str(&j->event));
    e->next = *all;
    *all = e;
    return map_put(m, e->id, e, NULL) ? NULL : e;
}

static void put_sums(struct json_writer *w, const struct event_sum *e)
{
    json_obj(w, "events");
    for (; e; e = e->next) {
        json_obj_k(w, e->id);
        json_put_str(w, "id", e->id);
        put_tally(w, "states", e->states);
        put_tally(w, "sources", e->sources);
        put_tally(w, "targets", e->targets);
        json_end(w);
    }
    json_end(w);
}

static void get_active_job_summary(struct api_call *c)
{
    struct map by_event;
    struct event_sum *all = NULL;
    const struct job *j = NULL;
    size_t cursor = 0;
    struct buf out;
    struct json_writer w;

    map_init(&by_event, 0);
    while (job_next(c->world->jobs, &cursor, &j)) {
        struct event_sum *e;

        if (!j->event.z[0] || !matches(c, j) || !api_job_visible(c, j))
            continue;
        e = sum_of(c, &by_event, &all, j);
        if (e)
            count_job(c, e, j);
    }
    map_done(&by_event);
    w = api_reply_begin(c, &out);
    put_sums(&w, all);
    api_reply_end(c, &w, &out);
}

/* ---- one ---- */

bool api_need_job(struct api_call *c, const struct job *j)
{
    AUTO(json_doc_free) yyjson_doc *doc = NULL;
    struct str targets;

    if (!api_is_limited(c))
        return true;
    if (!api_need_category(c, id_str(&j->category)))
        return false;
    targets = job_value(j, "targets");
    if (targets.p && json_parse(targets, JSON_SIZE_MAX, &doc, NULL)) {
        api_fail(c, "job", STATUS_NOMEM, NULL);
        return false;
    }
    return api_need_targets(c, doc ? yyjson_doc_get_root(doc) : NULL);
}

bool api_need_record(struct api_call *c, yyjson_val *record)
{
    return !api_is_limited(c) || (api_need_category(c, json_str(record, "category")) &&
                                  api_need_targets(c, json_get(record, "targets")));
}

yyjson_val *api_found_record(struct api_call *c, const struct store_result *res, const char *code,
                             const char *text)
{
    struct err err = { .code = STATUS_OK };
    yyjson_val *record = NULL;
    Status st = res->status;

    if (!st && res->n == 0) {
        api_error(c, code, "%s: %.*s", text, STR_FMT(json_str(c->params, "id")));
        return NULL;
    }
    if (!st)
        st = json_parse_in(c->arena, res->rows[0].json, STORE_ROW_MAX, &record, &err);
    if (st) {
        api_fail(c, code, st, res->status ? &res->err : &err);
        return NULL;
    }
    return api_need_record(c, record) ? record : NULL;
}

void api_read_record(struct api_call *c, const char *code, StoreQueryFn fn)
{
    struct err err = { .code = STATUS_OK };
    Status st =
        store_get(c->world->store, TABLE_JOBS, json_str(c->params, "id"), c->arena, fn, c, &err);

    if (st)
        api_fail(c, code, st, &err);
}

/* The names of "remove" as json_put_members wants them; NULL: none. False: replied. */
static bool removed_keys(struct api_call *c, const char *const **ret)
{
    yyjson_val *v = json_get(c->params, "remove");
    const struct str *words = NULL;
    const char **keys;
    size_t n = 0;

    *ret = NULL;
    if (!v || yyjson_is_null(v))
        return true;
    if (!api_word_list(c->arena, v, API_PARAMS_MAX, &words, &n)) {
        api_error(c, "api", "Malformed parameter: remove (must be an array or a comma list)");
        return false;
    }
    keys = arena_zalloc(c->arena, (n + 1) * sizeof *keys);
    for (size_t i = 0; keys && i < n; i++) {
        keys[i] = arena_dup_z(c->arena, words[i]);
        if (!keys[i])
            keys = NULL;
    }
    if (!keys)
        api_fail(c, "job", STATUS_NOMEM, NULL);
    *ret = keys;
    return keys != NULL;
}

static void put_members_but(struct json_writer *w, const char *key, yyjson_val *job,
                            const char *const *skip)
{
    json_obj(w, key);
    json_put_members(w, job, skip);
    json_end(w);
}

static void put_live(struct json_writer *w, const char *key, const struct job *j,
                     const char *const *skip)
{
    AUTO(json_doc_free) yyjson_doc *doc = NULL;
    AUTO_BUF struct buf text = { 0 };
    struct json_writer whole;

    if (!skip) {
        job_put_json(j, true, w, key);
        return;
    }
    buf_init(&text, STORE_ROW_MAX);
    whole = json_writer_init(&text);
    job_put_json(j, true, &whole, NULL);
    if (text.failed || json_parse(buf_str(&text), STORE_ROW_MAX, &doc, NULL))
        w->out->failed = true;
    else
        put_members_but(w, key, yyjson_doc_get_root(doc), skip);
}

static void put_token(const struct api_call *c, struct json_writer *w)
{
    char token[23];

    api_log_token(c->world, json_str(c->params, "id"), token);
    json_put_z(w, "token", token);
}

static void job_found(void *arg, const struct store_result *res)
{
    struct api_call *c = arg;
    const char *const *skip = NULL;
    yyjson_val *record = NULL;
    struct buf out;
    struct json_writer w;

    if (!removed_keys(c, &skip))
        return;
    if (skip || api_is_limited(c) || res->status || res->n == 0) {
        record = api_found_record(c, res, "notfound", "Failed to load job details");
        if (!record)
            return;
    }
    w = api_reply_begin(c, &out);
    if (record)
        put_members_but(&w, "job", record, skip);
    else
        json_put_raw(&w, "job", res->rows[0].json);
    put_token(c, &w);
    api_reply_end(c, &w, &out);
}

static void get_job(struct api_call *c)
{
    const struct job *j = job_find(c->world->jobs, json_str(c->params, "id"));
    const char *const *skip = NULL;
    struct buf out;
    struct json_writer w;

    if (!j) {
        api_read_record(c, "notfound", job_found);
        return;
    }
    if (!api_need_job(c, j) || !removed_keys(c, &skip))
        return;
    w = api_reply_begin(c, &out);
    put_live(&w, "job", j, skip);
    put_token(c, &w);
    api_reply_end(c, &w, &out);
}

/* ---- many ---- */

struct bulk {
    struct api_call *c;
    const struct str *ids;
    size_t n;
    size_t at;
    struct arena *arena; /* of one record */
    struct buf out;
    struct json_writer w;
    const char *const *skip;
};

static void bulk_free(void *arg)
{
    struct bulk *b = arg;

    arena_free(b->arena);
    buf_done(&b->out);
}

static void put_missing(struct bulk *b)
{
    struct str text = arena_printf(b->c->arena, "Failed to locate job: %.*s",
                                   STR_FMT(str_slice(b->ids[b->at], 0, ID_MAX)));

    json_obj(&b->w, NULL);
    json_put_str(&b->w, "err", text.p ? text : STR(""));
    json_end(&b->w);
}

static void bulk_go_on(struct bulk *b);

static void bulk_found(void *arg, const struct store_result *res)
{
    struct bulk *b = arg;
    yyjson_val *record = NULL;

    if (res->status || res->n == 0 ||
        json_parse_in(b->arena, res->rows[0].json, STORE_ROW_MAX, &record, NULL) ||
        !auth_category_ok(&b->c->user, json_str(record, "category")) ||
        !auth_targets_ok(&b->c->user, json_get(record, "targets")))
        put_missing(b);
    else
        put_members_but(&b->w, NULL, record, b->skip);
    b->at++;
    bulk_go_on(b);
}

static void bulk_go_on(struct bulk *b)
{
    struct api_call *c = b->c;
    Status st = STATUS_OK;

    for (; b->at < b->n && !b->out.failed; b->at++) {
        const struct job *j = job_find(c->world->jobs, b->ids[b->at]);

        if (j && api_job_visible(c, j)) {
            put_live(&b->w, NULL, j, b->skip);
            continue;
        }
        if (!j && b->ids[b->at].n) {
            arena_reset(b->arena);
            st = store_get(c->world->store, TABLE_JOBS, b->ids[b->at], b->arena, bulk_found, b,
                           NULL);
            if (!st)
                return;
        }
        put_missing(b);
    }
    json_end(&b->w);
    api_reply_end(c, &b->w, &b->out);
}

static void get_jobs(struct api_call *c)
{
    struct bulk *b = arena_zalloc(c->arena, sizeof *b);

    if (!b) {
        api_fail(c, "job", STATUS_NOMEM, NULL);
        return;
    }
    b->c = c;
    if (!api_word_list(c->arena, json_get(c->params, "ids"), API_IDS_MAX, &b->ids, &b->n) ||
        b->n == 0) {
        api_error(c, "job", "Missing or malformed parameter: ids");
        return;
    }
    b->arena = arena_new((size_t)STORE_ROW_MAX * 4);
    if (!b->arena || !arena_defer(c->arena, bulk_free, b)) {
        arena_free(b->arena);
        api_fail(c, "job", STATUS_NOMEM, NULL);
        return;
    }
    b->skip = json_truthy(json_get(c->params, "verbose")) ? NULL : api_job_big_keys;
    b->w = api_reply_begin(c, &b->out);
    json_arr(&b->w, "jobs");
    bulk_go_on(b);
}

/* ---- rows ---- */

static const struct prop active_in[] = {
    { .name = "offset",
      .type = P_INT,
      .flags = P_LOOSE,
      .max = INT32_MAX,
      .def = "0",
      .doc = "Rows to skip." },
    { .name = "limit",
      .type = P_INT,
      .flags = P_LOOSE,
      .max = INT32_MAX,
      .def = "0",
      .doc = "Rows to show; 0 is all." },
    { .name = "sort_by",
      .type = P_TEXT,
      .max = 128,
      .def = "\"started\"",
      .doc = "Property to sort by, as a number." },
    { .name = "sort_dir",
      .type = P_INT,
      .flags = P_LOOSE,
      .min = -1,
      .max = 1,
      .def = "-1",
      .doc = "1 is rising, -1 falling." },
    { 0 },
};

static const struct prop job_in[] = {
    { .name = "id", .type = P_ID, .of = "job", .flags = P_REQUIRED, .doc = "Id of the job." },
    { .name = "remove",
      .type = P_JSON,
      .max = 65536,
      .doc = "Top-level properties to leave out: an array or a comma list." },
    { 0 },
};

static const struct prop jobs_in[] = {
    { .name = "ids", .type = P_JSON, .doc = "Ids of jobs: an array or a comma list." },
    { .name = "verbose", .type = P_BOOL, .doc = "Shows the big properties as well." },
    { 0 },
};

const struct api_row api_job_rows[] = {
    { API_ROW("get_active_job_summary", "jobs", NONE, FILTERED), .out = "events",
      .example = "{\"category\":\"general\"}",
      .doc = "Counts live jobs by event: their states, sources and targets.",
      .fn = get_active_job_summary },
    { API_ROW("get_active_jobs", "jobs", NONE, FILTERED), .in = active_in, .out = "rows, list",
      .errors = "api", .example = "{\"event\":\"nightly\",\"limit\":50}",
      .doc = "Lists live jobs; any other parameter is an equality filter.", .fn = get_active_jobs },
    { API_ROW("get_job", "jobs", NONE, JOB), .in = job_in, .out = "job, token",
      .errors = "api notfound access",
      .example = "{\"id\":\"jmx1\",\"remove\":\"timelines,activity\"}",
      .doc = "Shows one job, live or finished; `token` opens its log.", .fn = get_job },
    { API_ROW("get_jobs", "jobs", NONE, FILTERED), .in = jobs_in, .out = "jobs", .errors = "job",
      .example = "{\"ids\":[\"jmx1\",\"jmx2\"]}",
      .doc =
          "Shows several jobs in the order of their ids; {err} stands for one that is not there.",
      .fn = get_jobs },
    { 0 },
};
