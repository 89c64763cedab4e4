/* The fleet as a whole: loading, changes by people, group changes, tokens. Links are link.c,
 * records server.c, placement choose.c. */
#include "fleet/fleet_int.h"

#include "base/log.h"

#include <stdlib.h>

#define FLEET_SCRATCH_MAX (size_t)(512u * 1024 * 1024)
#define FLEET_TOKEN_STATE "satellite_tokens"

static bool load_row(void *arg, const struct store_found *row)
{
    struct fleet *f = arg;
    yyjson_doc *doc = NULL;
    yyjson_val *obj;
    struct fleet_server *s;
    AUTO_BUF struct buf info = { 0 };

    if (json_parse(row->json, JSON_SIZE_MAX, &doc, NULL) != STATUS_OK)
        return true; /* a damaged row is not worth the whole fleet; joining rewrites it */
    obj = yyjson_doc_get_root(doc);
    s = fleet_server_add(f, row->id, NULL);
    if (!s || fleet_server_set_json(s, obj, NULL) != STATUS_OK) {
        json_doc_free(doc);
        return s != NULL;
    }
    (void)str_copy_z(json_str(obj, "hostname"), s->hostname, sizeof(s->hostname));
    (void)str_copy_z(json_str(obj, "ip"), s->ip, sizeof(s->ip));
    s->modified = usec_from_epoch(json_double(obj, "modified", 0));
    buf_init(&info, STORE_ROW_MAX);
    if (json_text(json_get(obj, "info"), false, &info) == STATUS_OK)
        (void)!fleet_str_set(&s->info, buf_str(&info));
    json_doc_free(doc);
    return true;
}

static bool load_token_row(void *arg, const struct store_found *row)
{
    struct fleet *f = arg;
    yyjson_doc *doc = NULL;
    size_t i, max;
    yyjson_val *item;

    if (!str_eq_z(row->id, FLEET_TOKEN_STATE) ||
        json_parse(row->json, JSON_SIZE_MAX, &doc, NULL) != STATUS_OK)
        return true;
    yyjson_arr_foreach (yyjson_doc_get_root(doc), i, max, item) {
        struct fleet_token *t = calloc(1, sizeof(*t));

        if (!t)
            break;
        (void)str_copy_z(json_str(item, "token"), t->z, sizeof(t->z));
        t->expires = usec_from_epoch(json_double(item, "expires", 0));
        AUTO_BUF struct buf initial = { 0 };
        buf_init(&initial, JSON_SIZE_MAX);
        if (json_text(json_get(item, "initial"), false, &initial) == STATUS_OK)
            (void)!fleet_str_set(&t->initial, buf_str(&initial));
        if (map_put(&f->tokens, str_z(t->z), t, NULL) != STATUS_OK) {
            free(t);
            break;
        }
    }
    json_doc_free(doc);
    return true;
}

/* Regroups every online server; those whose groups changed are told. Rare: only when people edit
 * groups. */
static void on_def_change(void *arg, enum def_kind k, struct str id, const struct def *def)
{
    struct fleet *f = arg;

    (void)id;
    (void)def;
    if (k != DEF_GROUP)
        return;
    for (size_t i = 0; i < f->online.n; i++) {
        struct fleet_server *s = f->online.at[i];
        AUTO_BUF struct buf before = { 0 };
        AUTO_BUF struct buf after = { 0 };

        buf_init(&before, 64u * 1024);
        buf_init(&after, 64u * 1024);
        for (size_t g = 0; g < s->n_groups; g++)
            (void)buf_printf(&before, "%s,", s->groups[g].z);
        fleet_server_regroup(f, s);
        for (size_t g = 0; g < s->n_groups; g++)
            (void)buf_printf(&after, "%s,", s->groups[g].z);
        if (!str_eq(buf_str(&before), buf_str(&after)))
            fleet_link_send_update_groups(f, s);
    }
}

Status fleet_new(const struct fleet_config *config, struct fleet **ret, struct err *err)
{
    struct fleet *f = calloc(1, sizeof(*f));
    Status st;

    if (!f)
        return err_set(err, STATUS_NOMEM, NULL, "Out of memory.");
    f->config = *config;
    map_init(&f->servers, config->seed);
    map_init(&f->groups, config->seed + 1);
    map_init(&f->robins, config->seed + 2);
    map_init(&f->tokens, config->seed + 3);
    list_init(&f->links);
    rng_init(&f->rng, config->seed + 4);
    id_source_init(&f->ids, config->seed + 5);
    f->scratch = arena_new(FLEET_SCRATCH_MAX);
    st = f->scratch ? STATUS_OK : err_set(err, STATUS_NOMEM, NULL, "Out of memory.");
    if (st == STATUS_OK)
        st = store_walk(config->store, TABLE_SERVERS, load_row, f, err);
    if (st == STATUS_OK)
        st = store_walk(config->store, TABLE_STATE, load_token_row, f, err);
    if (st == STATUS_OK)
        st = defs_on_change(config->defs, on_def_change, f);
    if (st != STATUS_OK) {
        fleet_free(f);
        return st;
    }
    *ret = f;
    return STATUS_OK;
}

static void token_free(struct fleet_token *t)
{
    free((void *)(uintptr_t)t->initial.p);
    free(t);
}

void fleet_free(struct fleet *f)
{
    size_t cursor = 0;
    void *value;

    if (!f)
        return;
    fleet_members_free(f);
    while (map_next(&f->servers, &cursor, NULL, &value))
        fleet_server_drop(f, value);
    cursor = 0;
    while (map_next(&f->robins, &cursor, NULL, &value))
        free(value);
    cursor = 0;
    while (map_next(&f->tokens, &cursor, NULL, &value))
        token_free(value);
    map_done(&f->servers);
    map_done(&f->robins);
    map_done(&f->tokens);
    vec_done(&f->online);
    arena_free(f->scratch);
    free(f);
}

const struct fleet_server *fleet_find(const struct fleet *f, struct str id)
{
    return map_get(&f->servers, id);
}

bool fleet_next(const struct fleet *f, size_t *cursor, const struct fleet_server **ret)
{
    void *value;

    if (!map_next(&f->servers, cursor, NULL, &value))
        return false;
    *ret = value;
    return true;
}

size_t fleet_count(const struct fleet *f, bool online_only)
{
    return online_only ? f->online.n : f->servers.n;
}

/* A change by people. Memory changes when the commit succeeds, so the new settings travel in the
 * request. */
struct fleet_change {
    struct fleet *fleet;
    Id id;
    struct str settings;
    Usec now;
    StoreCommitFn fn;
    void *arg;
};

static void change_apply(struct fleet_change *c)
{
    struct fleet_server *s = fleet_server_get(c->fleet, id_str(&c->id));
    yyjson_doc *doc = NULL;

    if (s && json_parse(c->settings, JSON_SIZE_MAX, &doc, NULL) == STATUS_OK) {
        bool online = s->online;

        if (online)
            fleet_members_remove(c->fleet, s);
        (void)!fleet_server_set_json(s, yyjson_doc_get_root(doc), NULL);
        if (online)
            fleet_members_add(c->fleet, s);
        fleet_server_regroup(c->fleet, s);
        s->modified = c->now;
        fleet_link_send_update_groups(c->fleet, s);
    }
    json_doc_free(doc);
}

static void change_done(void *arg, Status st, const struct err *err)
{
    struct fleet_change *c = arg;

    if (st == STATUS_OK)
        change_apply(c);
    if (c->fn)
        c->fn(c->arg, st, err);
    free((void *)(uintptr_t)c->settings.p);
    free(c);
}

Status fleet_update(struct fleet *f, struct str id, yyjson_val *changes, Usec now, StoreCommitFn fn,
                    void *arg, struct err *err)
{
    static const char *const fixed[] = { "id",       "hostname",  "ip",       "info",   "created",
                                         "modified", "socket_id", "keywords", "online", NULL };
    AUTO(arena_free) struct arena *a = arena_new(FLEET_SCRATCH_MAX);
    const struct fleet_server *s = fleet_find(f, id);
    struct fleet_change *c;
    struct store_tx *tx;
    AUTO_BUF struct buf now_text = { 0 };
    AUTO_BUF struct buf merged = { 0 };
    struct json_writer w;
    yyjson_val *old = NULL;
    struct fleet_server copy;
    Status st;

    buf_init(&now_text, STORE_ROW_MAX);
    buf_init(&merged, STORE_ROW_MAX);
    if (!s)
        return err_set(err, STATUS_MISSING, NULL, "Failed to locate server: %.*s", STR_FMT(id));
    w = json_writer_init(&now_text);
    fleet_put_json(s, &w, NULL);
    st = a ? json_parse_in(a, buf_str(&now_text), JSON_SIZE_MAX, &old, err) : STATUS_NOMEM;
    if (st != STATUS_OK)
        return st;
    w = json_writer_init(&merged);
    json_put_merged(&w, NULL, old, changes, fixed);
    c = calloc(1, sizeof(*c));
    if (!c || merged.failed || fleet_str_set(&c->settings, buf_str(&merged)) != STATUS_OK) {
        free(c);
        return err_set(err, STATUS_NOMEM, NULL, "Out of memory.");
    }
    *c = (struct fleet_change){ f, s->id, c->settings, now, fn, arg };
    /* The row is written from a shadow with the new settings; the real one follows when it is
     * durable. */
    copy = *s;
    copy.json = copy.title = STR_NONE;
    copy.groups = NULL;
    copy.n_groups = 0;
    copy.modified = now;
    (void)!json_parse_in(a, buf_str(&merged), JSON_SIZE_MAX, &old, NULL);
    (void)!fleet_server_set_json(&copy, old, NULL);
    copy.online = false;
    fleet_server_regroup(f, &copy);
    tx = store_tx_new(f->config.store);
    fleet_server_save(f, &copy, tx);
    free((void *)(uintptr_t)copy.json.p);
    free((void *)(uintptr_t)copy.title.p);
    free(copy.groups);
    st = store_commit(f->config.store, tx, change_done, c, err);
    if (st != STATUS_OK) {
        free((void *)(uintptr_t)c->settings.p);
        free(c);
    }
    return st;
}

static void delete_done(void *arg, Status st, const struct err *err)
{
    struct fleet_change *c = arg;
    struct fleet_server *s = fleet_server_get(c->fleet, id_str(&c->id));

    if (st == STATUS_OK && s && !s->online)
        fleet_server_drop(c->fleet, s);
    if (c->fn)
        c->fn(c->arg, st, err);
    free(c);
}

Status fleet_delete(struct fleet *f, struct str id, StoreCommitFn fn, void *arg, struct err *err)
{
    const struct fleet_server *s = fleet_find(f, id);
    struct fleet_change *c;
    struct store_tx *tx;
    Status st;

    if (!s)
        return err_set(err, STATUS_MISSING, NULL, "Failed to locate server: %.*s", STR_FMT(id));
    if (s->online)
        return err_set(err, STATUS_CONFLICT, NULL, "Server is online: %.*s", STR_FMT(id));
    c = calloc(1, sizeof(*c));
    if (!c)
        return err_set(err, STATUS_NOMEM, NULL, "Out of memory.");
    *c = (struct fleet_change){ .fleet = f, .id = s->id, .fn = fn, .arg = arg };
    tx = store_tx_new(f->config.store);
    store_tx_delete(tx, TABLE_SERVERS, id);
    st = store_commit(f->config.store, tx, delete_done, c, err);
    if (st != STATUS_OK)
        free(c);
    return st;
}

void fleet_auth_token(const struct fleet *f, struct str server_id, char out[65])
{
    CRYPTO_SHA256_HEX_OF(out, server_id, secret_str(f->config.secret_key));
}

bool fleet_job_auth_ok(const struct fleet *f, struct str job_id, struct str server_id,
                       struct str auth)
{
    char token[65];
    char runner[65];
    const struct fleet_server *s;

    if (!server_id.n) {
        CRYPTO_SHA256_HEX_OF(token, job_id, secret_str(f->config.secret_key));
        return crypto_equal(auth, str_z(token));
    }
    s = fleet_find(f, server_id);
    if (!s || !s->online)
        return false;
    fleet_auth_token(f, server_id, token);
    CRYPTO_SHA256_HEX_OF(runner, job_id, str_z(token));
    return (int)crypto_equal(auth, str_z(token)) | (int)crypto_equal(auth, str_z(runner));
}
