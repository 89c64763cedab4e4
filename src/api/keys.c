/* API keys (reference/api-objects.md 14): for administrators. The plain key is in one answer only;
 * its digest never leaves. */
#include "api/api_int.h"

/* What the answer of create_api_key shows once. */
struct made_key {
    struct api_call *call;
    char plain[44];
};

static void wipe_made(void *arg)
{
    struct made_key *made = arg;

    crypto_wipe(made->plain, sizeof made->plain);
}

static void key_made(void *arg, Status st, const struct def *def, const struct err *err)
{
    struct made_key *made = arg;
    struct api_call *c = made->call;
    struct buf out;
    struct json_writer w;

    if (st) {
        api_fail(c, "api_key", st, err);
        return;
    }
    w = api_reply_begin(c, &out);
    api_put_def(c, &w, "api_key", def);
    json_put_z(&w, "plain_key", made->plain);
    api_reply_end(c, &w, &out);
}

static void create_api_key(struct api_call *c)
{
    static const char *const ours[] = { "id", "key", "mask", "active", NULL };
    const struct actor by = api_actor(c);
    const Id id = id_new(c->world->ids, "k", c->now);
    struct made_key *made = arena_zalloc(c->arena, sizeof *made);
    struct err err = { .code = STATUS_OK };
    char digest[65];
    char mask[17];
    AUTO_BUF struct buf text = { 0 };
    struct json_writer w;
    yyjson_val *given = NULL;
    Status st;

    if (!made || !arena_defer(c->arena, wipe_made, made)) {
        api_fail(c, "api_key", STATUS_NOMEM, NULL);
        return;
    }
    made->call = c;
    auth_make_key(id_str(&id), made->plain, digest, mask);
    buf_init(&text, DEFS_OBJECT_MAX);
    w = json_writer_init(&text);
    json_obj(&w, NULL);
    json_put_str(&w, "id", id_str(&id));
    json_put_z(&w, "key", digest);
    json_put_z(&w, "mask", mask);
    json_put_i64(&w, "active", 1); /* a key is born active */
    json_put_members(&w, c->params, ours);
    json_end(&w);
    st = api_parse_buf(c->arena, &text, &given, &err);
    if (!st)
        st = defs_create(c->world->defs, DEF_API_KEY, given, &by, c->now, key_made, made, &err);
    if (st)
        api_fail(c, "api_key", st, &err);
}

static void delete_api_key(struct api_call *c)
{
    api_defs_delete(c, DEF_API_KEY);
}

static void get_api_key(struct api_call *c)
{
    api_defs_get(c, DEF_API_KEY);
}

static void get_api_keys(struct api_call *c)
{
    api_defs_list(c, DEF_API_KEY);
}

static void update_api_key(struct api_call *c)
{
    api_defs_update(c, DEF_API_KEY, c->params);
}

const struct api_row api_key_rows[] = {
    { API_ROW("create_api_key", "api_keys", ADMIN, NONE), .flags = API_BODY_ONLY,
      .out = "api_key, plain_key", .errors = "api access api_key",
      .example = "{\"title\":\"Deploy\",\"privileges\":{\"run_jobs\":true}}",
      .doc = "Makes an API key; `plain_key` is shown this once.", .fn = create_api_key },
    { API_ROW("delete_api_key", "api_keys", ADMIN, NONE), .flags = API_BODY_ONLY, .in = api_in_id,
      .errors = "api access api_key", .example = "{\"id\":\"kmx1\"}",
      .doc = "Deletes an API key; it stops working at once.", .fn = delete_api_key },
    { API_ROW("get_api_key", "api_keys", ADMIN, NONE), .in = api_in_id, .out = "api_key",
      .errors = "api access notfound", .example = "{\"id\":\"kmx1\"}",
      .doc = "Shows one API key without its digest.", .fn = get_api_key },
    { API_ROW("get_api_keys", "api_keys", ADMIN, NONE), .out = "rows, list", .errors = "access",
      .doc = "Lists all API keys, the newest first, without their digests.", .fn = get_api_keys },
    { API_ROW("update_api_key", "api_keys", ADMIN, NONE), .flags = API_BODY_ONLY, .in = api_in_id,
      .errors = "api access api_key", .example = "{\"id\":\"kmx1\",\"active\":false}",
      .doc = "Merges the given properties into an API key.", .fn = update_api_key },
    { 0 },
};
