/* Install tokens: what a new satellite shows once to get an identity
 * (reference/satellite.md 14.1, 14.2). Kept in memory and, as one row of the state table, on disk;
 * any number of satellites may use one until it expires. */
#include "fleet/fleet_int.h"

#include <stdlib.h>

#define TOKENS_MAX   LIMIT(1000u, 2u)
#define TOKENS_STATE STR("satellite_tokens")

static void drop_expired(struct fleet *f, Usec now)
{
    size_t cursor = 0;
    struct str key;
    void *value;

    while (map_next(&f->tokens, &cursor, &key, &value)) {
        struct fleet_token *t = value;

        if (t->expires > now)
            continue;
        (void)map_del(&f->tokens, key);
        free((void *)(uintptr_t)t->initial.p);
        free(t);
    }
}

static void put_tokens(const struct fleet *f, struct json_writer *w)
{
    size_t cursor = 0;
    void *value;

    json_arr(w, NULL);
    while (map_next(&f->tokens, &cursor, NULL, &value)) {
        const struct fleet_token *t = value;

        json_obj(w, NULL);
        json_put_z(w, "token", t->z);
        json_put_double(w, "expires", usec_to_epoch(t->expires));
        json_put_raw(w, "initial", t->initial.n ? t->initial : STR("null"));
        json_end(w);
    }
    json_end(w);
}

Status fleet_make_token(struct fleet *f, Usec expires, struct str initial, char out[65],
                        StoreCommitFn fn, void *arg, struct err *err)
{
    struct fleet_token *t;
    struct store_tx *tx;
    AUTO_BUF struct buf text = { 0 };
    struct json_writer w;

    drop_expired(f, loop_now_wall(f->config.loop));
    if (f->tokens.n >= TOKENS_MAX)
        return err_set(err, STATUS_FULL, NULL, "There are %u install tokens already.", TOKENS_MAX);
    t = calloc(1, sizeof(*t));
    if (!t || (initial.n && fleet_str_set(&t->initial, initial) != STATUS_OK)) {
        free(t);
        return err_set(err, STATUS_NOMEM, NULL, "Out of memory.");
    }
    crypto_random_hex(t->z);
    t->expires = expires;
    if (map_put(&f->tokens, str_z(t->z), t, NULL) != STATUS_OK) {
        free((void *)(uintptr_t)t->initial.p);
        free(t);
        return err_set(err, STATUS_NOMEM, NULL, "Out of memory.");
    }
    memcpy(out, t->z, 65);
    buf_init(&text, STORE_ROW_MAX);
    w = json_writer_init(&text);
    put_tokens(f, &w);
    tx = store_tx_new(f->config.store);
    store_tx_put(tx, TABLE_STATE, TOKENS_STATE, buf_str(&text), NULL, STATE_COLUMNS);
    return store_commit(f->config.store, tx, fn, arg, err);
}

bool fleet_token_config(struct fleet *f, struct str token, Usec now, struct str host, uint16_t port,
                        bool secure, struct buf *out)
{
    struct fleet_token *t = map_get(&f->tokens, token);
    struct json_writer w = json_writer_init(out);
    char auth[65];
    Id id;

    if (!t || t->expires <= now)
        return false;
    id = id_new(&f->ids, "s", now);
    fleet_auth_token(f, id_str(&id), auth);
    json_obj(&w, NULL);
    json_arr(&w, "hosts");
    json_put_str(&w, NULL, host);
    json_end(&w);
    json_put_i64(&w, "port", port);
    json_put_bool(&w, "secure", secure);
    json_put_str(&w, "server_id", id_str(&id));
    json_put_z(&w, "auth_token", auth);
    if (t->initial.n)
        json_put_raw(&w, "initial", t->initial);
    json_end(&w);
    return true;
}
