/* search_jobs in its first form: the newest finished jobs, all or those of one event. The query
 * language comes with its own room; any other query is refused rather than answered wrongly. */
#include "api/api_int.h"

#define SEARCH_LIMIT_MAX 10000

/* A condition for an OR of values does not exist in the store: one category at most. False:
 * replied. */
static bool need_searchable(struct api_call *c)
{
    if (c->user.admin || (c->user.n_groups == 0 && c->user.n_categories <= 1))
        return true;
    api_error(c, "access",
              "Searches are not possible with limits to several categories or to groups.");
    return false;
}

static bool parse_query(struct api_call *c, struct store_condition *where, size_t *n)
{
    const struct str query = str_trim(api_param_text(c, "query"));
    const struct str event =
        str_starts(query, STR("event:")) ? str_slice(query, 6, query.n) : STR_NONE;

    if (query.n == 0 || str_eq_z(query, "*"))
        return true;
    if (!str_is_id(event))
        return false;
    where[(*n)++] = (struct store_condition){ JOBS_EVENT, OP_EQ, store_text(event) };
    return true;
}

static void put_selected(struct json_writer *w, yyjson_val *job, const struct str *keys, size_t n)
{
    json_obj(w, NULL);
    for (size_t i = 0; i < n; i++) {
        yyjson_val *v = json_get_str(job, keys[i]);

        if (v)
            json_put_val_k(w, keys[i], v);
    }
    json_end(w);
}

static void put_row(struct api_call *c, struct json_writer *w, struct str json)
{
    AUTO(json_doc_free) yyjson_doc *doc = NULL;
    const struct str *keys = NULL;
    size_t n = 0;

    if (!json_get(c->params, "select") && json_truthy(json_get(c->params, "verbose"))) {
        json_put_raw(w, NULL, json);
        return;
    }
    if (json_parse(json, STORE_ROW_MAX, &doc, NULL))
        return;
    if (json_get(c->params, "select") &&
        api_word_list(c->arena, json_get(c->params, "select"), API_PARAMS_MAX, &keys, &n)) {
        put_selected(w, yyjson_doc_get_root(doc), keys, n);
        return;
    }
    json_obj(w, NULL);
    json_put_members(w, yyjson_doc_get_root(doc), api_job_big_keys);
    json_end(w);
}

static void found(void *arg, const struct store_result *res)
{
    struct api_call *c = arg;
    struct buf out;
    struct json_writer w;

    if (res->status) {
        api_error(c, "db", "Failed DB search: %s", res->err.text);
        return;
    }
    w = api_reply_begin(c, &out);
    json_arr(&w, "rows");
    for (size_t i = 0; i < res->n; i++)
        put_row(c, &w, res->rows[i].json);
    json_end(&w);
    json_obj(&w, "list");
    json_put_i64(&w, "length", res->total);
    json_end(&w);
    api_reply_end(c, &w, &out);
}

static void search_jobs(struct api_call *c)
{
    const int64_t limit = json_i64(c->params, "limit", 1);
    struct store_condition where[2];
    struct store_query q = {
        .table = TABLE_JOBS,
        .where = where,
        .order_by = STORE_COLUMN_ID,
        .descending = json_i64(c->params, "sort_dir", -1) < 0,
        .offset = json_i64(c->params, "offset", 0),
        .limit = limit > 0 ? limit : 1,
        .want_total = true,
    };
    struct err err = { .code = STATUS_OK };
    Status st;

    if (!need_searchable(c))
        return;
    if (!parse_query(c, where, &q.n_where)) {
        api_error(c, "db", "Failed DB search: only `*` and `event:ID` are understood so far.");
        return;
    }
    if (!c->user.admin && c->user.n_categories)
        where[q.n_where++] =
            (struct store_condition){ JOBS_CATEGORY, OP_EQ, store_text(c->user.categories[0]) };
    st = store_select(c->world->store, &q, c->arena, found, c, &err);
    if (st)
        api_fail(c, "db", st, &err);
}

static const struct prop search_in[] = {
    { .name = "query",
      .type = P_TEXT,
      .flags = P_LOOSE,
      .max = 4096,
      .def = "\"*\"",
      .doc = "`*` for all jobs, or `event:ID`." },
    { .name = "offset",
      .type = P_INT,
      .flags = P_LOOSE,
      .max = INT32_MAX,
      .def = "0",
      .doc = "Rows to skip." },
    { .name = "limit",
      .type = P_INT,
      .flags = P_LOOSE,
      .max = SEARCH_LIMIT_MAX,
      .def = "1",
      .doc = "Rows to show." },
    { .name = "sort_dir",
      .type = P_INT,
      .flags = P_LOOSE,
      .min = -1,
      .max = 1,
      .def = "-1",
      .doc = "-1 for the newest first." },
    { .name = "verbose", .type = P_BOOL, .doc = "Shows the big properties as well." },
    { .name = "select",
      .type = P_JSON,
      .max = 65536,
      .doc = "Top-level properties to show: an array or a comma list." },
    { 0 },
};

const struct api_row api_search_rows[] = {
    { API_ROW("search_jobs", "search", NONE, FILTERED), .in = search_in, .out = "rows, list",
      .errors = "api access db", .example = "{\"query\":\"event:nightly\",\"limit\":20}",
      .doc = "Lists finished jobs, the newest first.", .fn = search_jobs },
    { 0 },
};
