/* Log-in sessions: in memory by the digest of their id, each a row of the store. The id itself is
 * known to the client alone, so neither a copy of the database nor of our memory lets one in. */
#include "auth/auth_int.h"

#include <stdlib.h>

void session_hash(struct str id, char out[CRYPTO_SHA256_HEX + 1])
{
    CRYPTO_SHA256_HEX_OF(out, id);
}

Status session_add(struct auth *a, const struct session *s)
{
    struct session *copy = malloc(sizeof *copy);
    void *old = NULL;
    Status st;

    if (!copy)
        return STATUS_NOMEM;
    *copy = *s;
    st = map_put(&a->sessions, str_z(copy->hash), copy, &old);
    if (st)
        free(copy);
    else
        free(old);
    return st;
}

static void session_drop(struct auth *a, struct session *s, struct store_tx *tx)
{
    (void)map_del(&a->sessions, str_z(s->hash));
    if (tx)
        store_tx_delete(tx, TABLE_SESSIONS, str_z(s->hash));
    crypto_wipe(s, sizeof *s);
    free(s);
}

struct session *session_find(struct auth *a, struct str id, Usec now)
{
    char hash[CRYPTO_SHA256_HEX + 1];
    struct session *s;

    if (id.n == 0 || id.n > 128)
        return NULL;
    session_hash(id, hash);
    s = map_get(&a->sessions, str_z(hash));
    return s && now < s->expires ? s : NULL;
}

void sessions_drop_user(struct auth *a, struct str user)
{
    struct store_tx *tx = NULL;
    size_t cursor = 0;
    struct str hash;
    void *value = NULL;

    while (map_next(&a->sessions, &cursor, &hash, &value)) {
        struct session *s = value;

        if (!str_eq(id_str(&s->user), user))
            continue;
        if (!tx)
            tx = store_tx_new(a->config.store);
        session_drop(a, s, tx);
    }
    if (tx)
        (void)!store_commit(a->config.store, tx, NULL, NULL, NULL);
}

void sessions_sweep(struct auth *a, Usec now)
{
    struct store_tx *tx = NULL;
    size_t cursor = 0;
    struct str hash;
    void *value = NULL;

    a->swept = now;
    while (map_next(&a->sessions, &cursor, &hash, &value)) {
        struct session *s = value;

        if (now < s->expires)
            continue;
        if (!tx)
            tx = store_tx_new(a->config.store);
        session_drop(a, s, tx);
    }
    if (tx)
        (void)!store_commit(a->config.store, tx, NULL, NULL, NULL);
}

/* ---- start and end ---- */

struct load {
    struct auth *a;
    Status st;
};

static bool load_row(void *arg, const struct store_found *row)
{
    struct load *l = arg;
    AUTO(json_doc_free) yyjson_doc *doc = NULL;
    yyjson_val *object;
    struct session s = { .hash = "" };

    if (json_parse(row->json, STORE_ROW_MAX, &doc, NULL))
        return true; /* nobody can use it: the same as none */
    object = yyjson_doc_get_root(doc);
    if (row->id.n != CRYPTO_SHA256_HEX || !str_copy_z(row->id, s.hash, sizeof s.hash) ||
        !str_copy_z(json_str(object, "csrf_token"), s.csrf_token, sizeof s.csrf_token) ||
        !defs_user_id(json_str(object, "username"), &s.user))
        return true;
    s.expires = usec_from_epoch(json_double(object, "expires", 0));
    if (l->a->sessions.n < AUTH_SESSIONS_MAX)
        l->st = session_add(l->a, &s);
    return l->st == STATUS_OK;
}

Status sessions_load(struct auth *a, struct err *err)
{
    struct load l = { .a = a };
    Status st;

    map_init(&a->sessions, a->config.seed);
    st = store_walk(a->config.store, TABLE_SESSIONS, load_row, &l, err);
    if (!st && l.st)
        st = err_set(err, l.st, NULL, "Out of memory.");
    return st;
}

void sessions_free(struct auth *a)
{
    size_t cursor = 0;
    struct str hash;
    void *value = NULL;

    while (map_next(&a->sessions, &cursor, &hash, &value))
        session_drop(a, value, NULL);
    map_done(&a->sessions);
}

/* ---- calls ---- */

Status auth_resume(struct auth *a, struct str session_id, Usec now, struct auth_session *ret,
                   struct err *err)
{
    const struct session *s = session_find(a, session_id, now);
    struct auth_session out = { .expires = 0 };

    if (!s)
        return err_set(err, STATUS_MISSING, NULL, "The session has expired or is invalid.");
    out.username = s->user;
    out.expires = s->expires;
    (void)str_copy_z(session_id, out.id, sizeof out.id);
    (void)str_copy_z(str_z(s->csrf_token), out.csrf_token, sizeof out.csrf_token);
    *ret = out;
    return STATUS_OK;
}

Status auth_logout(struct auth *a, struct str session_id, StoreCommitFn fn, void *arg,
                   struct err *err)
{
    char hash[CRYPTO_SHA256_HEX + 1];
    struct session *s;
    struct store_tx *tx;

    session_hash(session_id, hash);
    s = map_get(&a->sessions, str_z(hash));
    if (!s)
        return err_set(err, STATUS_MISSING, NULL, "The session has expired or is invalid.");
    tx = store_tx_new(a->config.store);
    session_drop(a, s, tx);
    return store_commit(a->config.store, tx, fn, arg, err);
}
