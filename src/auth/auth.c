/* Who is asking: the checks of one request, all from memory (reference/api-operations.md 1.2, 1.3).
 * Principals are worked out in principal.c, sessions kept in session.c; log-in is login.c. */
#include "auth/auth_int.h"

#include <stdlib.h>

_Static_assert(PRIV_COUNT <= 64, "a privilege is a bit");

Status auth_new(const struct auth_config *config, struct auth **ret, struct err *err)
{
    struct auth *a = calloc(1, sizeof *a);
    Status st;

    if (!a)
        return err_set(err, STATUS_NOMEM, NULL, "Out of memory.");
    a->config = *config;
    list_init(&a->logins);
    id_source_init(&a->ids, crypto_random_u64());
    st = principals_load(a, err);
    if (!st)
        st = sessions_load(a, err);
    if (!st)
        st = defs_on_change(config->defs, principals_changed, a);
    if (st) {
        auth_free(a);
        return st;
    }
    *ret = a;
    return STATUS_OK;
}

void auth_free(struct auth *a)
{
    if (!a)
        return;
    logins_abandon(a);
    principals_free(a);
    sessions_free(a);
    crypto_wipe(a->salt, sizeof a->salt);
    free(a);
}

/* ---- one request ---- */

static Status refuse(const char **ret_code, const char *code, Status st, struct err *err,
                     const char *text)
{
    *ret_code = code;
    return err_set(err, st, NULL, "%s", text);
}

static bool copy_list(struct arena *arena, const struct str *from, size_t n, const struct str **ret)
{
    struct str *to = n ? arena_alloc(arena, n * sizeof *to) : NULL;

    for (size_t i = 0; to && i < n; i++) {
        to[i] = arena_dup(arena, from[i]);
        if (!to[i].p)
            return false;
    }
    *ret = to;
    return n == 0 || to;
}

static Status fill(const struct principal *p, struct str session_id, struct arena *arena,
                   struct auth_user *ret, const char **ret_code, struct err *err)
{
    struct auth_user u = {
        .is_key = p->is_key,
        .username = arena_dup(arena, p->username),
        .creator = p->is_key ? arena_dup(arena, p->creator) : STR_NONE,
        .title = arena_dup(arena, p->title),
        .session_id = session_id.n ? arena_dup(arena, session_id) : STR_NONE,
        .admin = p->admin,
        .privileges = p->privileges,
        .n_categories = p->n_categories,
        .n_groups = p->n_groups,
    };

    if (!p->is_key)
        u.creator = u.username;
    if (!u.username.p || !u.creator.p || !u.title.p ||
        !copy_list(arena, p->categories, p->n_categories, &u.categories) ||
        !copy_list(arena, p->groups, p->n_groups, &u.groups))
        return refuse(ret_code, "session", STATUS_NOMEM, err, "Out of memory.");
    *ret = u;
    return STATUS_OK;
}

static Status check_session(struct auth *a, const struct auth_credentials *c, Usec now,
                            struct arena *arena, struct auth_user *ret, const char **ret_code,
                            struct err *err)
{
    const struct session *s = session_find(a, c->session_id, now);
    const struct principal *p;

    if (!s)
        return refuse(ret_code, "session", STATUS_DENIED, err,
                      "The session has expired or is invalid.");
    if (!c->safe_method && s->csrf_token[0] && !crypto_equal(c->csrf_token, str_z(s->csrf_token)))
        return refuse(ret_code, "session", STATUS_DENIED, err, "Invalid session");
    p = principal_user(a, id_str(&s->user));
    if (!p)
        return refuse(ret_code, "user", STATUS_DENIED, err, "User does not exist.");
    if (!p->active)
        return refuse(ret_code, "session", STATUS_DENIED, err, "User account is disabled.");
    return fill(p, c->session_id, arena, ret, ret_code, err);
}

static bool over_rate(struct principal *p, Usec now)
{
    if (p->max_per_sec <= 0)
        return false;
    if (p->second != now / USEC_SEC) {
        p->second = now / USEC_SEC;
        p->count = 0;
    }
    return ++p->count > p->max_per_sec;
}

static Status check_key(struct auth *a, const struct auth_credentials *c, Usec now,
                        struct arena *arena, struct auth_user *ret, const char **ret_code,
                        struct err *err)
{
    struct principal *p = principal_key(a, c->api_key, now);

    if (!p)
        return refuse(ret_code, "session", STATUS_DENIED, err, "Invalid API Key");
    if (over_rate(p, now))
        return refuse(ret_code, "rate", STATUS_FULL, err,
                      "The API Key has reached its limit of requests per second.");
    return fill(p, STR_NONE, arena, ret, ret_code, err);
}

Status auth_check(struct auth *a, const struct auth_credentials *c, Usec now, struct arena *arena,
                  struct auth_user *ret, const char **ret_code, struct err *err)
{
    if (c->session_id.n)
        return check_session(a, c, now, arena, ret, ret_code, err);
    if (c->api_key.n)
        return check_key(a, c, now, arena, ret, ret_code, err);
    return refuse(ret_code, "session", STATUS_DENIED, err,
                  "No Session ID or API Key could be found");
}

/* ---- what one may ---- */

bool auth_has(const struct auth_user *u, enum privilege p)
{
    if (p == PRIV_NONE || p == PRIV_PUBLIC || u->admin)
        return true;
    return (u->privileges & (UINT64_C(1) << p)) != 0;
}

static bool among(struct str word, const struct str *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (str_eq(word, list[i]))
            return true;
    }
    return false;
}

bool auth_category_ok(const struct auth_user *u, struct str category)
{
    return u->admin || u->n_categories == 0 || among(category, u->categories, u->n_categories);
}

bool auth_group_ok(const struct auth_user *u, struct str group)
{
    return u->admin || u->n_groups == 0 || among(group, u->groups, u->n_groups);
}

bool auth_targets_ok(const struct auth_user *u, yyjson_val *targets)
{
    yyjson_arr_iter it = yyjson_arr_iter_with(targets);
    yyjson_val *target;

    if (u->admin || u->n_groups == 0 || yyjson_arr_size(targets) == 0)
        return true;
    while ((target = yyjson_arr_iter_next(&it)) != NULL) {
        if (among(json_val_str(target), u->groups, u->n_groups))
            return true;
    }
    return false;
}

/* ---- keys and the first user ---- */

void auth_make_key(struct str id, char plain[44], char digest[65], char mask[17])
{
    crypto_random_base64url(plain);
    CRYPTO_SHA256_HEX_OF(digest, str_z(plain), id);
    (void)snprintf(mask, 17, "%.4s********%s", plain, plain + 39);
}

struct admin_put {
    StoreCommitFn fn;
    void *arg;
};

static void admin_stored(void *arg, Status st, const struct def *def, const struct err *err)
{
    struct admin_put *put = arg;

    (void)def;
    if (put->fn)
        put->fn(put->arg, st, err);
    free(put);
}

Status auth_put_admin(struct store *s, struct defs *d, struct str username,
                      struct str password_hash, Usec now, StoreCommitFn fn, void *arg,
                      struct err *err)
{
    const struct actor by = { .username = username, .creator = username };
    AUTO(json_doc_free) yyjson_doc *doc = NULL;
    AUTO_BUF struct buf text = { 0 };
    struct admin_put *put = malloc(sizeof *put);
    struct json_writer w;
    Status st;

    (void)s;
    if (!put)
        return err_set(err, STATUS_NOMEM, NULL, "Out of memory.");
    *put = (struct admin_put){ .fn = fn, .arg = arg };
    buf_init(&text, 8192);
    w = json_writer_init(&text);
    json_obj(&w, NULL);
    json_put_str(&w, "username", username);
    json_put_str(&w, "password", password_hash);
    json_put_z(&w, "full_name", "Administrator");
    json_put_z(&w, "email", "admin@localhost");
    json_put_bool(&w, "active", true);
    json_put_raw(&w, "privileges", STR("{\"admin\":true}"));
    json_end(&w);
    st = json_parse(buf_str(&text), JSON_SIZE_MAX, &doc, err);
    if (!st)
        st = defs_create(d, DEF_USER, yyjson_doc_get_root(doc), &by, now, admin_stored, put, err);
    crypto_wipe(text.p, text.n);
    if (st)
        free(put);
    return st;
}
