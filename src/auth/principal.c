/* Users and keys as requests need them: privileges as bits, limits as lists, roles merged in
 * (reference/api-operations.md 1.2, 1.3). Worked out once and again whenever the definition or a
 * role changes, so that a request only looks up.
 *
 * A plain key is recognised by its salted digest; only one never seen before is
 * tried against every key. */
#include "auth/auth_int.h"

#include <stdlib.h>

static void principal_free(struct principal *p)
{
    if (!p)
        return;
    arena_free(p->arena);
    free(p);
}

static void map_free_principals(struct map *m)
{
    size_t cursor = 0;
    struct str key;
    void *value = NULL;

    while (map_next(m, &cursor, &key, &value))
        principal_free(value);
    map_done(m);
}

static void verified_clear(struct auth *a)
{
    size_t cursor = 0;
    struct str key;
    void *value = NULL;

    while (map_next(&a->verified, &cursor, &key, &value)) {
        crypto_wipe(value, sizeof(struct verified));
        free(value);
    }
    map_done(&a->verified);
}

void principals_free(struct auth *a)
{
    map_free_principals(&a->users);
    map_free_principals(&a->keys);
    verified_clear(a);
}

/* ---- working one out ---- */

/* Lists of an object and its roles while they are put together. */
struct words {
    struct str *at;
    size_t n;
    size_t cap;
};

static bool words_add(struct words *l, struct arena *a, struct str word)
{
    for (size_t i = 0; i < l->n; i++) {
        if (str_eq(l->at[i], word))
            return true;
    }
    if (l->n == l->cap) {
        const size_t cap = l->cap ? l->cap * 2 : 8;
        struct str *at = arena_alloc(a, cap * sizeof *at);

        if (!at)
            return false;
        if (l->n)
            memcpy(at, l->at, l->n * sizeof *at);
        l->at = at;
        l->cap = cap;
    }
    l->at[l->n] = arena_dup(a, word);
    return l->at[l->n++].p != NULL;
}

static bool words_add_all(struct words *l, struct arena *a, yyjson_val *list)
{
    yyjson_arr_iter it = yyjson_arr_iter_with(list);
    yyjson_val *item;
    bool ok = true;

    while (ok && (item = yyjson_arr_iter_next(&it)) != NULL) {
        if (yyjson_is_str(item))
            ok = words_add(l, a, json_val_str(item));
    }
    return ok;
}

static uint64_t privilege_bits(yyjson_val *object)
{
    yyjson_obj_iter it = yyjson_obj_iter_with(object);
    yyjson_val *key;
    uint64_t bits = 0;

    while ((key = yyjson_obj_iter_next(&it)) != NULL) {
        enum privilege p;

        if (privilege_find(json_val_str(key), &p) && json_truthy(yyjson_obj_iter_get_val(key)))
            bits |= UINT64_C(1) << p;
    }
    return bits;
}

static bool merge_rights(struct principal *p, yyjson_val *object, struct words *categories,
                         struct words *groups)
{
    p->privileges |= privilege_bits(json_get(object, "privileges"));
    return words_add_all(categories, p->arena, json_get(object, "categories")) &&
           words_add_all(groups, p->arena, json_get(object, "groups"));
}

/* Own rights, then those of every enabled role. Admins have no limits. */
static bool work_out_rights(struct auth *a, struct principal *p, yyjson_val *object,
                            struct arena *scratch)
{
    struct words categories = { 0 };
    struct words groups = { 0 };
    yyjson_arr_iter it = yyjson_arr_iter_with(json_get(object, "roles"));
    yyjson_val *item;
    bool ok = merge_rights(p, object, &categories, &groups);

    while (ok && (item = yyjson_arr_iter_next(&it)) != NULL) {
        const struct def *role = defs_find(a->config.defs, DEF_ROLE, json_val_str(item));
        yyjson_val *parsed = role && role->enabled ? def_parse(role, scratch) : NULL;

        if (role && role->enabled)
            ok = parsed && merge_rights(p, parsed, &categories, &groups);
    }
    p->admin = (p->privileges & (UINT64_C(1) << PRIV_ADMIN)) != 0;
    if (p->admin)
        return ok;
    p->categories = categories.at;
    p->n_categories = categories.n;
    p->groups = groups.at;
    p->n_groups = groups.n;
    return ok;
}

static struct str text_dup(struct principal *p, struct str s)
{
    return arena_dup(p->arena, s.p ? s : STR(""));
}

static bool fill_key(struct principal *p, yyjson_val *object)
{
    p->username = id_str(&p->id);
    p->creator = text_dup(p, json_str(object, "username"));
    p->title = text_dup(p, json_str(object, "title"));
    p->expires = usec_from_epoch(json_double(object, "expires", 0));
    p->max_per_sec = json_i64(object, "max_per_sec", 0);
    (void)str_copy_z(json_str(object, "key"), p->digest, sizeof p->digest);
    return p->creator.p && p->title.p;
}

static bool fill_user(struct principal *p, yyjson_val *object)
{
    p->username = text_dup(p, json_str(object, "username"));
    p->creator = p->username;
    p->title = text_dup(p, json_str(object, "full_name"));
    p->failed_hour = json_i64(object, "fl_date_code", 0);
    p->failed = json_i64(object, "fl_count", 0);
    p->locked = json_truthy(json_get(object, "force_password_reset"));
    return p->username.p && p->title.p;
}

static struct principal *principal_new(struct auth *a, const struct def *def)
{
    AUTO(arena_free) struct arena *scratch = arena_new(AUTH_PRINCIPAL_MAX);
    struct principal *p = calloc(1, sizeof *p);
    yyjson_val *object = scratch ? def_parse(def, scratch) : NULL;
    bool ok = p && object;

    if (ok) {
        p->arena = arena_new(AUTH_PRINCIPAL_MAX);
        p->id = def->id;
        p->is_key = def->kind == DEF_API_KEY;
        p->active = def->enabled;
        ok = p->arena && (p->is_key ? fill_key(p, object) : fill_user(p, object)) &&
             work_out_rights(a, p, object, scratch);
    }
    if (ok)
        return p;
    principal_free(p);
    return NULL;
}

/* ---- keeping them true ---- */

static struct map *map_of(struct auth *a, enum def_kind k)
{
    return k == DEF_API_KEY ? &a->keys : &a->users;
}

/* What belongs to the running process, not to the definition. Failures not saved yet stay, unless
 * somebody cleared the count. */
static void carry_over(struct principal *to, const struct principal *from)
{
    to->second = from->second;
    to->count = from->count;
    if (to->failed > 0) {
        to->unsaved_hour = from->unsaved_hour;
        to->unsaved = from->unsaved;
    }
}

/* Out of memory: the old one must not stay valid, so there is none until the next change. */
static Status principal_set(struct auth *a, const struct def *def)
{
    struct map *m = map_of(a, def->kind);
    struct principal *old = map_del(m, id_str(&def->id));
    struct principal *p = principal_new(a, def);
    Status st = STATUS_NOMEM;

    if (p && old)
        carry_over(p, old);
    principal_free(old);
    if (p)
        st = map_put(m, id_str(&p->id), p, NULL);
    if (st)
        principal_free(p);
    return st;
}

static Status set_all(struct auth *a, enum def_kind k)
{
    Status st = STATUS_OK;

    for (size_t i = 0; i < defs_count(a->config.defs, k); i++) {
        Status one = principal_set(a, defs_at(a->config.defs, k, i));

        if (one)
            st = one;
    }
    return st;
}

void principals_changed(void *arg, enum def_kind k, struct str id, const struct def *def)
{
    struct auth *a = arg;

    if (k == DEF_ROLE) {
        (void)!set_all(a, DEF_USER);
        (void)!set_all(a, DEF_API_KEY);
        return;
    }
    if (k != DEF_USER && k != DEF_API_KEY)
        return;
    if (k == DEF_API_KEY)
        verified_clear(a);
    if (def) {
        (void)!principal_set(a, def);
        return;
    }
    principal_free(map_del(map_of(a, k), id));
    if (k == DEF_USER)
        sessions_drop_user(a, id); /* a new user of that name must not find them */
}

Status principals_load(struct auth *a, struct err *err)
{
    Status st;

    map_init(&a->users, a->config.seed);
    map_init(&a->keys, a->config.seed);
    map_init(&a->verified, crypto_random_u64());
    crypto_random(a->salt, sizeof a->salt);
    st = set_all(a, DEF_USER);
    if (!st)
        st = set_all(a, DEF_API_KEY);
    return st ? err_set(err, st, NULL, "Out of memory.") : STATUS_OK;
}

struct principal *principal_user(struct auth *a, struct str id)
{
    return map_get(&a->users, id);
}

/* ---- plain keys ---- */

static bool key_is_good(const struct principal *p, Usec now)
{
    return p->active && (p->expires <= 0 || now < p->expires);
}

static void remember(struct auth *a, const uint8_t tag[32], const Id *key)
{
    struct verified *v = malloc(sizeof *v);

    if (!v)
        return;
    memcpy(v->tag, tag, sizeof v->tag);
    v->key = *key;
    if (map_put(&a->verified, str_n(v->tag, sizeof v->tag), v, NULL))
        free(v);
}

struct principal *principal_key(struct auth *a, struct str plain, Usec now)
{
    const struct str salt = str_n(a->salt, sizeof a->salt);
    struct principal *found = NULL;
    const struct verified *v;
    uint8_t tag[32];
    size_t cursor = 0;
    struct str id;
    void *value = NULL;

    if (plain.n == 0 || plain.n > AUTH_KEY_MAX)
        return NULL;
    crypto_sha256((const struct str[]){ salt, plain }, 2, tag);
    v = map_get(&a->verified, str_n(tag, sizeof tag));
    if (v) {
        found = map_get(&a->keys, id_str(&v->key));
        return found && key_is_good(found, now) ? found : NULL;
    }
    while (map_next(&a->keys, &cursor, &id, &value)) {
        struct principal *p = value;
        char digest[CRYPTO_SHA256_HEX + 1];

        CRYPTO_SHA256_HEX_OF(digest, plain, id_str(&p->id));
        if (crypto_equal(str_z(digest), str_z(p->digest)))
            found = p; /* no early end: the time tells nothing */
    }
    if (found)
        remember(a, tag, &found->id);
    return found && key_is_good(found, now) ? found : NULL;
}
