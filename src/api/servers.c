/* Servers (reference/api-operations.md 8) and the way for new ones to come in (14). */
#include "api/api_int.h"

#include <stdlib.h>

#define TOKEN_SECONDS_MAX (365 * 86400)

/* ---- reading ---- */

static void get_active_servers(struct api_call *c)
{
    const struct fleet_server *s = NULL;
    size_t cursor = 0;
    struct buf out;
    struct json_writer w = api_reply_begin(c, &out);
    int64_t n = 0;

    json_arr(&w, "rows");
    while (fleet_next(c->world->fleet, &cursor, &s)) {
        if (!s->online || !api_server_visible(c, s))
            continue;
        fleet_put_json(s, &w, NULL);
        n++;
    }
    json_end(&w);
    json_obj(&w, "list");
    json_put_i64(&w, "length", n);
    json_end(&w);
    api_reply_end(c, &w, &out);
}

/* NULL: replied. */
static const struct fleet_server *need_server(struct api_call *c, const char *code)
{
    const struct str id = json_str(c->params, "id");
    const struct fleet_server *s = fleet_find(c->world->fleet, id);

    if (!s) {
        api_error(c, code, "Failed to locate server: %.*s", STR_FMT(str_slice(id, 0, ID_MAX)));
        return NULL;
    }
    if (api_server_visible(c, s))
        return s;
    api_error(c, "access", "You do not have access to the server: %s.", s->id.z);
    return NULL;
}

static void get_active_server(struct api_call *c)
{
    const struct fleet_server *s = need_server(c, "notfound");
    struct buf out;
    struct json_writer w;

    if (!s)
        return;
    if (!s->online) {
        api_error(c, "notfound", "Failed to locate server: %s", s->id.z);
        return;
    }
    w = api_reply_begin(c, &out);
    fleet_put_json(s, &w, "server");
    api_reply_end(c, &w, &out);
}

static void get_server(struct api_call *c)
{
    const struct fleet_server *s = need_server(c, "notfound");
    struct buf out;
    struct json_writer w;

    if (!s)
        return;
    w = api_reply_begin(c, &out);
    fleet_put_json(s, &w, "server");
    json_obj(&w, "data");
    json_end(&w);
    json_put_bool(&w, "online", s->online);
    api_reply_end(c, &w, &out);
}

/* ---- changes ---- */

static void server_updated(void *arg, Status st, const struct err *err)
{
    struct api_call *c = arg;
    const struct str id = json_str(c->params, "id");
    const struct fleet_server *s = fleet_find(c->world->fleet, id);
    AUTO_BUF struct buf updates = { 0 };
    AUTO_BUF struct buf name = { 0 };
    struct json_writer w;

    if (st) {
        api_fail(c, "server", st, err);
        return;
    }
    buf_init(&updates, AUTH_ACTIVITY_MAX);
    buf_init(&name, 4096);
    w = json_writer_init(&name);
    json_put_z(&w, NULL, s ? s->hostname : "");
    if (json_text(c->params, false, &updates)) {
        buf_clear(&updates);
        (void)buf_add_z(&updates, "{}");
    }
    const struct auth_extra extra[] = { { "hostname", buf_str(&name) },
                                        { "updates", buf_str(&updates) } };

    api_log_activity(c, "server_update", s ? str_z(s->hostname) : id, id, extra, COUNT_OF(extra));
    api_reply_ok(c);
}

/* A limited caller moves servers only among its own groups. False: replied. */
static bool need_groups(struct api_call *c, yyjson_val *groups)
{
    yyjson_arr_iter it = yyjson_arr_iter_with(groups);
    yyjson_val *group;

    if (c->user.admin || c->user.n_groups == 0)
        return true;
    if (yyjson_arr_size(groups) == 0) {
        api_error(c, "access", "You may not take the server out of your groups.");
        return false;
    }
    while ((group = yyjson_arr_iter_next(&it)) != NULL) {
        if (!api_need_group(c, json_val_str(group)))
            return false;
    }
    return true;
}

static void update_server(struct api_call *c)
{
    yyjson_val *groups = json_get(c->params, "groups");
    const struct fleet_server *s = need_server(c, "notfound");
    struct err err = { .code = STATUS_OK };
    Status st;

    if (!s)
        return;
    for (size_t i = 0; api_is_limited(c) && i < s->n_groups; i++) {
        if (!api_need_group(c, id_str(&s->groups[i])))
            return;
    }
    if (groups && !json_truthy(json_get(c->params, "autoGroup")) && !need_groups(c, groups))
        return;
    st = fleet_update(c->world->fleet, id_str(&s->id), c->params, c->now, server_updated, c, &err);
    if (st)
        api_fail(c, "server", st, &err);
}

static void server_deleted(void *arg, Status st, const struct err *err)
{
    struct api_call *c = arg;
    const struct str id = json_str(c->params, "id");

    if (st) {
        api_fail(c, "server", st, err);
        return;
    }
    api_log_activity(c, "server_delete", id, id, NULL, 0);
    api_reply_ok(c);
}

/* The record goes once the server has left. */
static void doom(struct api *a, const Id *id)
{
    Id *copy;

    if (map_get(&a->doomed, id_str(id)))
        return;
    copy = malloc(sizeof *copy);
    if (!copy)
        return;
    *copy = *id;
    if (map_put(&a->doomed, id_str(copy), copy, NULL))
        free(copy);
}

void api_server_left(struct api *a, struct str id)
{
    Id *copy = map_del(&a->doomed, id);

    if (!copy)
        return;
    (void)!fleet_delete(a->world.fleet, id_str(copy), NULL, NULL, NULL);
    free(copy);
}

static void delete_server(struct api_call *c)
{
    const bool history = json_truthy(json_get(c->params, "history"));
    const struct fleet_server *s = need_server(c, "server");
    struct err err = { .code = STATUS_OK };
    AUTO_BUF struct buf frame = { 0 };
    struct json_writer w;
    Status st;

    if (!s)
        return;
    if (!s->online && !history) {
        api_error(c, "server", "The server is offline; `history` would delete its record.");
        return;
    }
    if (!s->online) {
        st = fleet_delete(c->world->fleet, id_str(&s->id), server_deleted, c, &err);
        if (st)
            api_fail(c, "server", st, &err);
        return;
    }
    if (history)
        doom(c->api, &s->id);
    buf_init(&frame, 4096);
    w = wire_begin(&frame, WIRE_UNINSTALL);
    wire_end(&w);
    st = fleet_send(c->world->fleet, &s->id, buf_str(&frame));
    server_deleted(c, st, NULL);
}

/* ---- new servers ---- */

struct new_token {
    struct api_call *call;
    char token[65];
};

static void token_durable(void *arg, Status st, const struct err *err)
{
    struct new_token *t = arg;
    struct api_call *c = t->call;
    struct buf out;
    struct json_writer w;

    if (st) {
        api_fail(c, "satellite", st, err);
        return;
    }
    w = api_reply_begin(c, &out);
    json_put_z(&w, "token", t->token);
    json_put_z(&w, "base_url", c->world->base_url);
    json_put_z(&w, "image", "");
    json_put_z(&w, "version", ORRERY_VERSION);
    api_reply_end(c, &w, &out);
}

/* Everything but `expires` is what the future server starts with; empty groups say nothing. */
static void put_initial(struct api_call *c, struct buf *out)
{
    const bool empty = yyjson_is_arr(json_get(c->params, "groups")) &&
                       yyjson_arr_size(json_get(c->params, "groups")) == 0;
    const char *const skip[] = { "expires", empty ? "groups" : NULL, NULL };
    struct json_writer w = json_writer_init(out);

    json_obj(&w, NULL);
    json_put_members(&w, c->params, skip);
    json_end(&w);
}

static void get_satellite_token(struct api_call *c)
{
    const int64_t seconds = json_i64(c->params, "expires", 86400);
    struct new_token *t = arena_zalloc(c->arena, sizeof *t);
    AUTO_BUF struct buf initial = { 0 };
    struct err err = { .code = STATUS_OK };
    Status st = STATUS_NOMEM;

    buf_init(&initial, 64u * 1024);
    put_initial(c, &initial);
    if (t && !initial.failed) {
        t->call = c;
        st = fleet_make_token(c->world->fleet, c->now + seconds * USEC_SEC,
                              initial.n > 2 ? buf_str(&initial) : STR_NONE, t->token, token_durable,
                              t, &err);
    } else if (initial.failed) {
        st = STATUS_TOO_BIG;
    }
    if (st)
        api_fail(c, "satellite", st, &err);
}

/* The address by which the client has reached us is one by which it will again. */
struct address {
    struct str host;
    uint16_t port;
    bool secure;
};

static struct address address_of(struct api_call *c)
{
    const struct str header = http_request_header(c->req, "Host");
    struct address a = { .host = header, .secure = http_request_is_tls(c->req) };
    size_t colon = header.n;
    uint64_t port = 0;

    for (size_t i = header.n; i-- > 0 && header.p[i] != ']';) {
        if (header.p[i] == ':') {
            colon = i;
            break;
        }
    }
    a.port = a.secure ? 443 : 80;
    if (colon < header.n && str_to_u64(str_slice(header, colon + 1, header.n), &port) && port > 0 &&
        port <= UINT16_MAX)
        a.port = (uint16_t)port;
    a.host = str_slice(header, 0, colon);
    if (!a.host.n)
        a.host = str_z(c->world->host_id);
    return a;
}

static void put_fresh_config(struct api_call *c, const struct address *at, struct buf *out)
{
    const Id id = id_new(c->world->ids, "s", c->now);
    struct json_writer w = json_writer_init(out);
    char auth[65];

    fleet_auth_token(c->world->fleet, id_str(&id), auth);
    json_obj(&w, NULL);
    json_arr(&w, "hosts");
    json_put_str(&w, NULL, at->host);
    json_end(&w);
    json_put_i64(&w, "port", at->port);
    json_put_bool(&w, "secure", at->secure);
    json_put_str(&w, "server_id", id_str(&id));
    json_put_z(&w, "auth_token", auth);
    json_end(&w);
}

static bool key_may_add(struct api_call *c, struct str key)
{
    const struct auth_credentials creds = { .api_key = key, .safe_method = true };
    const char *code = "";

    return !auth_check(c->world->auth, &creds, c->now, c->arena, &c->user, &code, NULL) &&
           auth_has(&c->user, PRIV_ADD_SERVERS);
}

static void satellite_config(struct api_call *c)
{
    const struct str token = api_param_text(c, "t");
    const struct address at = address_of(c);
    AUTO_BUF struct buf compact = { 0 };
    AUTO_BUF struct buf pretty = { 0 };
    AUTO(json_doc_free) yyjson_doc *doc = NULL;

    buf_init(&compact, 256u * 1024);
    buf_init(&pretty, 1024u * 1024);
    if (!fleet_token_config(c->world->fleet, token, c->now, at.host, at.port, at.secure,
                            &compact)) {
        if (!key_may_add(c, token)) {
            api_error(c, "satellite", "Access denied.");
            return;
        }
        buf_clear(&compact);
        put_fresh_config(c, &at, &compact);
    }
    if (json_parse(buf_str(&compact), JSON_SIZE_MAX, &doc, NULL) ||
        json_text(yyjson_doc_get_root(doc), true, &pretty)) {
        api_fail(c, "satellite", STATUS_NOMEM, NULL);
        return;
    }
    (void)http_reply_header(c->req, "Content-Disposition",
                            STR("attachment; filename=\"config.json\""));
    (void)http_reply_header(c->req, "Cache-Control", STR("no-store"));
    http_reply(c->req, 200, "application/json", buf_str(&pretty));
}

/* /api/app/satellite/METHOD */
static void satellite(struct api_call *c)
{
    struct str rest = c->rest;
    struct str method = STR_NONE;

    while (str_split(&rest, '/', &method) && method.n > 1 && method.p[0] == 'v' &&
           method.p[1] >= '0' && method.p[1] <= '9')
        method = STR_NONE;
    if (str_eq_z(method, "config"))
        satellite_config(c);
    else
        api_error(c, "satellite", "Invalid satellite API method.");
}

/* ---- rows ---- */

static const struct prop update_in[] = {
    { .name = "id", .type = P_ID, .of = "server", .flags = P_REQUIRED, .doc = "Id of the server." },
    { .name = "title",
      .type = P_TEXT,
      .flags = P_NOTAGS,
      .max = 256,
      .doc = "Name shown in lists." },
    { .name = "enabled", .type = P_BOOL, .doc = "A disabled server gets no new jobs." },
    { .name = "icon", .type = P_TEXT, .max = 64, .doc = "Icon id." },
    { .name = "groups",
      .type = P_ARRAY,
      .of_type = P_WORD,
      .of = "group",
      .max = 256,
      .doc = "Groups that it belongs to." },
    { .name = "autoGroup", .type = P_BOOL, .doc = "Its groups follow from its host name." },
    { .name = "maxJobs",
      .type = P_INT,
      .max = 1000000,
      .doc = "Jobs at the same time; 0 is no limit." },
    { .name = "userData", .type = P_OBJECT, .doc = "Data of yours, kept with the server." },
    { 0 },
};

static const struct prop delete_in[] = {
    { .name = "id", .type = P_ID, .of = "server", .flags = P_REQUIRED, .doc = "Id of the server." },
    { .name = "history", .type = P_BOOL, .doc = "Deletes its record as well." },
    { 0 },
};

static const struct prop token_in[] = {
    { .name = "expires",
      .type = P_INT,
      .flags = P_LOOSE,
      .min = 1,
      .max = TOKEN_SECONDS_MAX,
      .def = "86400",
      .doc = "Seconds for which the token is good." },
    { .name = "title",
      .type = P_TEXT,
      .flags = P_NOTAGS,
      .max = 256,
      .doc = "Title of the servers that come in by it." },
    { .name = "groups",
      .type = P_ARRAY,
      .of_type = P_WORD,
      .of = "group",
      .max = 256,
      .doc = "Their groups." },
    { .name = "enabled", .type = P_BOOL, .doc = "Whether they get jobs." },
    { 0 },
};

static const struct prop satellite_in[] = {
    { .name = "t",
      .type = P_TEXT,
      .flags = P_REQUIRED | P_LOOSE,
      .max = 256,
      .chars = "\\w-",
      .doc = "Install token, or an API key that may add servers." },
    { 0 },
};

const struct api_row api_server_rows[] = {
    { API_ROW("delete_server", "servers", ADMIN, SERVER), .in = delete_in,
      .errors = "api access server", .example = "{\"id\":\"smx1\",\"history\":true}",
      .doc = "Uninstalls an online server; with `history` its record goes when it is offline.",
      .fn = delete_server },
    { API_ROW("get_active_server", "servers", NONE, SERVER), .in = api_in_id, .out = "server",
      .errors = "api notfound access", .example = "{\"id\":\"smx1\"}",
      .doc = "Shows one online server.", .fn = get_active_server },
    { API_ROW("get_active_servers", "servers", NONE, FILTERED), .out = "rows, list",
      .doc = "Lists the online servers that the caller may see.", .fn = get_active_servers },
    { API_ROW("get_satellite_token", "servers", ADD_SERVERS, NONE), .flags = API_BODY_ONLY,
      .in = token_in, .out = "token, base_url, image, version", .errors = "api access satellite",
      .example = "{\"title\":\"web02\",\"groups\":[\"web\"],\"expires\":3600}",
      .doc =
          "Makes a token by which new servers come in; other properties are what they start with.",
      .fn = get_satellite_token },
    { API_ROW("get_server", "servers", NONE, SERVER), .in = api_in_id,
      .out = "server, data, online", .errors = "api notfound access",
      .example = "{\"id\":\"smx1\"}", .doc = "Shows one server, online or not.", .fn = get_server },
    { API_ROW("satellite", "servers", NONE, NONE),
      .flags = API_STREAMS | API_NO_CHECK | API_QUERY_ONLY, .in = satellite_in,
      .errors = "api satellite", .example = "{\"t\":\"0a1b2c\"}",
      .doc = "Serves /api/app/satellite/config: the first configuration of a new server.",
      .fn = satellite },
    { API_ROW("update_server", "servers", UPDATE_SERVERS, SERVER), .in = update_in,
      .errors = "api notfound access server", .example = "{\"id\":\"smx1\",\"enabled\":false}",
      .doc = "Merges the given properties into a server.", .fn = update_server },
    { 0 },
};
