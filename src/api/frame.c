/* The frame around every call: from a request to the handler of its row, and the account of it at
 * the end (api.h says the order of the checks).
 *
 * The one idea: a call is one struct in the arena of its request; whatever is asynchronous keeps
 * the pointer until it replies, and a client that goes away only turns the reply into nothing. */
#include "api/api_int.h"

#include "base/log.h"

#include <ctype.h>
#include <stdlib.h>

Status api_new(const struct api_world *world, struct api **ret, struct err *err)
{
    struct api *a = calloc(1, sizeof *a);
    Status st = STATUS_NOMEM;

    if (!a)
        return err_set(err, st, NULL, "Out of memory.");
    a->world = *world;
    map_init(&a->waits, crypto_random_u64());
    map_init(&a->doomed, crypto_random_u64());
    (void)api_rows(&a->n_rows);
    a->counters = calloc(a->n_rows + API_COUNT_EXTRA, sizeof *a->counters);
    if (a->counters)
        st = json_parse(STR("{}"), 2, &a->nothing, err);
    if (st) {
        api_free(a);
        return err_set(err, st, NULL, "Out of memory.");
    }
    *ret = a;
    return STATUS_OK;
}

void api_free(struct api *a)
{
    size_t cursor = 0;
    struct str key;
    void *value = NULL;

    if (!a)
        return;
    api_waits_free(a);
    while (map_next(&a->doomed, &cursor, &key, &value))
        free(value);
    map_done(&a->doomed);
    json_doc_free(a->nothing);
    free(a->counters);
    free(a);
}

static void header_credentials(struct api_call *c)
{
    const struct str method = http_request_method(c->req);
    struct str session = http_request_cookie(c->req, "session_id");

    if (!session.n)
        session = http_request_header(c->req, "X-Session-ID");
    c->creds.session_id = session;
    c->creds.csrf_token = http_request_header(c->req, "X-CSRF-Token");
    c->creds.api_key = http_request_header(c->req, "X-API-Key");
    c->creds.safe_method = str_eq_z(method, "GET") || str_eq_z(method, "HEAD");
}

static struct api_call *call_new(struct api *a, struct http_request *r)
{
    struct arena *arena = http_request_arena(r);
    struct api_call *c = arena ? arena_zalloc(arena, sizeof *c) : NULL;

    if (!c)
        return NULL;
    c->api = a;
    c->world = &a->world;
    c->req = r;
    c->arena = arena;
    c->params = c->query = yyjson_doc_get_root(a->nothing);
    c->now = loop_now_wall(a->world.loop);
    c->begin = loop_now_mono(a->world.loop);
    header_credentials(c);
    http_request_set_user(r, c);
    return c;
}

/* ---- who asks ---- */

static void body_credentials(struct api_call *c, yyjson_val *body)
{
    struct auth_credentials *creds = &c->creds;

    if (!creds->session_id.n)
        creds->session_id = json_str(body, "session_id");
    if (!creds->csrf_token.n)
        creds->csrf_token = json_str(body, "csrf_token");
    if (!creds->api_key.n)
        creds->api_key = json_str(body, "api_key");
    if (!creds->api_key.n)
        creds->api_key = json_str(c->query, "api_key");
    if (c->row->flags & API_USER_SPACE)
        creds->api_key = STR_NONE;
}

/* A link or image of another site that makes a browser call us with its cookie. GET needs no token,
 * so for calls that change something the browser's own word is taken. */
static bool is_lured(const struct api_call *c)
{
    return c->row->priv > PRIV_PUBLIC && c->creds.safe_method &&
           http_request_cookie(c->req, "session_id").n > 0 &&
           str_eq_z(http_request_header(c->req, "Sec-Fetch-Site"), "cross-site");
}

/* False: replied. */
static bool authenticate(struct api_call *c)
{
    struct err err = { .code = STATUS_OK };
    const char *code = "session";
    Status st = auth_check(c->world->auth, &c->creds, c->now, c->arena, &c->user, &code, &err);

    if (st || is_lured(c)) {
        api_error(c, code, "%s", st ? err.text : "Invalid session");
        return false;
    }
    c->checked = true;
    if (auth_has(&c->user, c->row->priv))
        return true;
    if (c->user.is_key)
        api_error(c, "access", "API Key ('%.*s') does not have the privilege: %s.",
                  STR_FMT(c->user.title), privilege_title(c->row->priv));
    else
        api_error(c, "access", "User '%.*s' does not have the privilege: %s.",
                  STR_FMT(c->user.username), privilege_title(c->row->priv));
    return false;
}

static bool needs_check(const struct api_call *c)
{
    return c->row->priv != PRIV_PUBLIC && !(c->row->flags & API_NO_CHECK);
}

/* Nothing in the body can change who asks: then a stranger's body is not even read. */
static bool is_early(const struct api_call *c)
{
    const struct auth_credentials *creds = &c->creds;

    if (creds->session_id.n)
        return creds->safe_method || creds->csrf_token.n > 0;
    return creds->api_key.n > 0;
}

/* ---- parameters ---- */

static Status merge_params(struct api_call *c, yyjson_val *body, struct err *err)
{
    yyjson_val *nothing = yyjson_doc_get_root(c->api->nothing);
    const char *skip = json_get(c->query, "pretty") ? "pretty" : NULL;
    yyjson_val *query = c->row->flags & API_BODY_ONLY ? nothing : c->query;
    Status st = api_merge(c->arena, nothing, c->query, skip, &c->query, err);

    if (st)
        return st;
    c->body = body;
    if ((c->row->flags & API_BODY_WINS) && json_truthy(json_get(c->query, "post_data"))) {
        c->params = c->query; /* the body is data, not parameters */
        return STATUS_OK;
    }
    if (c->row->flags & API_BODY_WINS)
        return api_merge(c->arena, query, body, skip, &c->params, err);
    return api_merge(c->arena, body, query, skip, &c->params, err);
}

static void run(struct api_call *c, yyjson_val *body)
{
    struct err err = { .code = STATUS_OK };
    Status st = merge_params(c, body, &err);

    if (!st && (c->row->in || c->row->priv != PRIV_PUBLIC))
        st = schema_check_generic(c->params, &err);
    if (!st && c->row->in)
        st = schema_check(c->row->in, c->params, SCHEMA_CALL, &err);
    if (st)
        api_fail(c, "api", st, &err);
    else
        c->row->fn(c);
}

static void proceed(struct api_call *c, yyjson_val *body)
{
    body_credentials(c, body);
    if (needs_check(c) && !c->checked && !authenticate(c))
        return;
    run(c, body);
}

/* ---- bodies ---- */

static void refuse_body(struct api_call *c, Status st)
{
    if (st == STATUS_TOO_BIG)
        api_reply_text(c, 413, "413 Payload Too Large");
    else if (st == STATUS_TIMEOUT)
        api_reply_text(c, 408, "408 Request Timeout");
    else if (st == STATUS_NOMEM || st == STATUS_BUSY)
        api_reply_text(c, 503, "503 Service Unavailable");
    else if (st == STATUS_NOSPACE)
        api_reply_text(c, 507, "507 Insufficient Storage");
    else
        api_reply_text(c, 400, "400 Bad Request");
}

static bool contains_nocase(struct str s, struct str what)
{
    for (size_t i = 0; i + what.n <= s.n; i++) {
        if (str_eq_nocase(str_slice(s, i, i + what.n), what))
            return true;
    }
    return false;
}

static bool is_json(const struct http_request *r)
{
    static const char *const words[] = { "text", "javascript", "js", "json" };
    const struct str type = http_request_header(r, "Content-Type");
    const struct str encoding = http_request_header(r, "Content-Encoding");

    if (encoding.n && !str_eq_nocase(encoding, STR("identity")))
        return false;
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        if (contains_nocase(type, str_z(words[i])))
            return true;
    }
    return false;
}

static void on_body(void *arg, struct http_request *r, Status st, struct str text)
{
    struct api_call *c = arg;
    yyjson_val *body = NULL;

    if (!st && str_trim(text).n && is_json(r)) {
        st = json_parse_in(c->arena, text, API_BODY_MAX, &body, NULL);
    } else if (!st && contains_nocase(http_request_header(r, "Content-Type"),
                                      STR("application/x-www-form-urlencoded"))) {
        st = api_form_object(c->arena, text, &body, NULL);
    }
    if (st)
        refuse_body(c, st);
    else
        proceed(c, yyjson_is_obj(body) ? body : yyjson_doc_get_root(c->api->nothing));
}

/* What nobody moved into the store. */
static void drop_files(void *arg)
{
    const struct api_call *c = arg;

    for (size_t i = 0; i < c->files->n; i++) {
        if (c->files->parts[i].path.p && !c->adopted[i])
            (void)unlink(c->files->parts[i].path.p);
    }
}

static Status fields_object(struct api_call *c, const struct multipart_form *form, yyjson_val **ret)
{
    AUTO_BUF struct buf out = { 0 };
    struct json_writer w;

    buf_init(&out, JSON_SIZE_MAX);
    w = json_writer_init(&out);
    json_obj(&w, NULL);
    for (size_t i = form->n; i-- > 0;) { /* of equal keys a reader takes the first: the last sent */
        if (form->parts[i].value.p)
            json_put_str_k(&w, form->parts[i].name, form->parts[i].value);
    }
    json_end(&w);
    return api_parse_buf(c->arena, &out, ret, NULL);
}

static void on_multipart(void *arg, struct http_request *r, Status st,
                         const struct multipart_form *form, const struct err *err)
{
    struct api_call *c = arg;
    yyjson_val *body = NULL;

    (void)r;
    (void)err;
    if (st) {
        refuse_body(c, st);
        return;
    }
    c->adopted = arena_zalloc(c->arena, form->n * sizeof *c->adopted + 1);
    if (!c->adopted) {
        refuse_body(c, STATUS_NOMEM);
        return;
    }
    c->files = form;
    if (!arena_defer(c->arena, drop_files, c)) {
        drop_files(c);
        refuse_body(c, STATUS_NOMEM);
        return;
    }
    st = fields_object(c, form, &body);
    if (st)
        refuse_body(c, st);
    else
        proceed(c, body);
}

static void read_body(struct api_call *c)
{
    const bool big = (c->row->flags & API_BIG_FILES) != 0;

    if (!http_request_has_body(c->req) || (c->row->flags & API_QUERY_ONLY))
        proceed(c, yyjson_doc_get_root(c->api->nothing));
    else if (needs_check(c) && is_early(c) && !authenticate(c))
        return;
    else if (http_request_is_multipart(c->req))
        http_request_read_multipart(c->req, blob_temp_dir(c->world->store),
                                    big ? c->world->upload_max : API_BODY_MAX, on_multipart, c);
    else
        http_request_read_body(c->req, API_BODY_MAX, on_body, c);
}

/* ---- routes ---- */

static void preflight(struct api_call *c)
{
    const struct str origin = http_request_header(c->req, "Origin");
    const struct str asked = http_request_header(c->req, "Access-Control-Request-Headers");

    (void)http_reply_header(c->req, "Access-Control-Allow-Origin", origin.n ? origin : STR("*"));
    (void)http_reply_header(c->req, "Access-Control-Allow-Methods",
                            STR("POST, GET, HEAD, OPTIONS"));
    (void)http_reply_header(c->req, "Access-Control-Allow-Headers", asked.n ? asked : STR("*"));
    (void)http_reply_header(c->req, "Access-Control-Max-Age", STR("1728000"));
    http_reply(c->req, 200, "text/plain", STR(""));
}

static void route_call(struct api_call *c, struct str path)
{
    struct api_path p;
    struct err err = { .code = STATUS_OK };
    const struct str query = http_request_query(c->req);
    Status st;

    if (!api_path_parse(path, &p) || !(str_eq_z(p.space, "app") || str_eq_z(p.space, "user"))) {
        api_reply_router_error(c, "Invalid API URL", path);
        return;
    }
    c->row = api_row_find(p.name, str_eq_z(p.space, "user"));
    if (!c->row) {
        api_reply_router_error(c, "Unsupported API",
                               str_slice(path, 5, (size_t)(p.name.p + p.name.n - path.p)));
        return;
    }
    c->versioned = p.versioned;
    c->wait = p.wait;
    c->rest = p.rest;
    if (query.n) {
        st = api_query_object(c->arena, query, &c->query, &err);
        c->pretty = json_truthy(json_get(c->query, "pretty"));
        if (st) {
            api_fail(c, "api", st, &err);
            return;
        }
    }
    read_body(c);
}

void api_handle(struct api *a, struct http_request *r)
{
    const struct str path = http_request_path(r);
    struct api_call *c = call_new(a, r);

    if (!c)
        http_reply(r, 503, "text/plain", STR("503 Service Unavailable"));
    else if (str_eq_z(http_request_method(r), "OPTIONS"))
        preflight(c);
    else if (str_starts(path, STR("/api/")) && !str_starts(path, STR("/api/docs/")))
        route_call(c, path);
    else
        api_page(c, path);
}

/* ---- the account ---- */

static void log_access(const struct http_request *r, const struct api_call *c, int status,
                       uint64_t bytes_out, Usec elapsed)
{
    const bool file = str_starts(http_request_path(r), STR("/files/"));

    /* the path of a file is what protects it */
    log_event(LOG_DEBUG, "http.request", "method=%.*s path=%s status=%d ms=%.1f bytes=%llu user=%s",
              STR_FMT(str_slice(http_request_method(r), 0, 16)),
              file ? "/files/..." : LOG_QUOTED(http_request_path(r)), status,
              (double)elapsed / 1000.0, (unsigned long long)bytes_out,
              LOG_QUOTED(c ? c->user.username : STR_NONE));
}

void api_done(struct api *a, const struct http_request *r, int status, uint64_t bytes_out,
              Usec elapsed)
{
    const struct api_call *c = http_request_user(r);

    if (log_level_now() >= LOG_DEBUG)
        log_access(r, c, status, bytes_out, elapsed);
    if (!c)
        a->refused++;
    else if (c->row)
        api_count(a, api_row_index(c->row), c->failed || status >= 400, elapsed);
    else
        api_count(a,
                  a->n_rows + (str_starts(http_request_path(r), STR("/files/")) ? API_COUNT_FILES
                                                                                : API_COUNT_PAGES),
                  c->failed || status >= 400, elapsed);
}
