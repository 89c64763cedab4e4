/* Log-in (reference/api-operations.md 11.4). The password is hashed on the hash lane, also for a
 * user that does not exist, so that time tells nothing. Failures are counted per clock hour in the
 * user object; past the limit the account is locked until an administrator resets it.
 *
 * A good log-in answers when its session is durable, a bad one when its count is. */
#include "auth/activity.h"
#include "auth/auth_int.h"
#include "crypto/password.h"

#include <stdlib.h>

struct login {
    struct lane_work lane;
    struct list link;  /* auth->logins */
    struct auth *auth; /* NULL: abandoned */
    Id user;           /* empty: unknown */
    char username[ID_MAX + 1];
    char *password; /* wiped */
    size_t password_n;
    char hash[PASSWORD_HASH_MAX];
    bool right; /* the lane's answer */
    char ip[64];
    char agent[512];
    Usec now;
    struct auth_session session;
    AuthLoginFn fn;
    void *arg;
};

static void login_free(struct login *l)
{
    if (l->password) {
        crypto_wipe(l->password, l->password_n);
        free(l->password);
    }
    crypto_wipe(&l->session, sizeof l->session);
    list_remove(&l->link);
    free(l);
}

static void login_answer(struct login *l, Status st, const struct err *err)
{
    l->fn(l->arg, st, st ? NULL : &l->session, err);
    login_free(l);
}

static void login_refuse(struct login *l, const char *text)
{
    struct err err = { .code = STATUS_OK };

    (void)err_set(&err, STATUS_DENIED, NULL, "%s", text);
    login_answer(l, STATUS_DENIED, &err);
}

static const char vague[] = "Username or password incorrect.";
static const char locked[] = "The account is locked out. Please reset the password to unlock it.";

void logins_abandon(struct auth *a)
{
    LIST_EACH_SAFE (it, &a->logins) {
        struct login *l = CONTAINER_OF(it, struct login, link);

        l->auth = NULL;
        list_remove(&l->link);
    }
}

/* ---- failures ---- */

struct failure {
    struct login *login;
    Id user;
    int64_t hour;
    bool lock;
};

static void failure_saved(void *arg, Status st, const struct def *def, const struct err *err)
{
    struct failure *f = arg;
    struct login *l = f->login;
    struct principal *p = l->auth ? principal_user(l->auth, id_str(&f->user)) : NULL;

    (void)def;
    (void)err;
    /* what could not be saved still counts while we run */
    if (!st && p && p->unsaved_hour == f->hour && p->unsaved > 0)
        p->unsaved--;
    free(f);
    if (l->auth)
        login_refuse(l, vague);
    else
        login_free(l);
}

static int64_t failures_in(const struct principal *p, int64_t hour)
{
    const int64_t stored = p->failed_hour == hour ? p->failed : 0;

    return stored + (p->unsaved_hour == hour ? p->unsaved : 0);
}

static Status failure_save(struct login *l, struct failure *f, int64_t count)
{
    struct auth *a = l->auth;
    const struct actor by = {
        .username = str_z(l->username),
        .creator = str_z(l->username),
        .ip = str_z(l->ip),
        .user_agent = str_z(l->agent),
    };
    AUTO(json_doc_free) yyjson_doc *doc = NULL;
    AUTO_BUF struct buf text = { 0 };
    struct json_writer w;
    Status st;

    buf_init(&text, 1024);
    w = json_writer_init(&text);
    json_obj(&w, NULL);
    json_put_str(&w, "id", id_str(&f->user));
    json_put_i64(&w, "fl_date_code", f->hour);
    json_put_i64(&w, "fl_count", count);
    if (f->lock)
        json_put_i64(&w, "force_password_reset", 1);
    json_end(&w);
    st = json_parse(buf_str(&text), JSON_SIZE_MAX, &doc, NULL);
    if (st)
        return st;
    return defs_update(a->config.defs, DEF_USER, yyjson_doc_get_root(doc), &by, l->now,
                       failure_saved, f, NULL);
}

static void login_failed(struct login *l, struct principal *p)
{
    const int64_t hour = l->now / USEC_HOUR;
    const int64_t count = failures_in(p, hour) + 1;
    struct failure *f = malloc(sizeof *f);

    if (p->unsaved_hour != hour) {
        p->unsaved_hour = hour;
        p->unsaved = 0;
    }
    p->unsaved++;
    if (f) {
        *f = (struct failure){
            .login = l,
            .user = p->id,
            .hour = hour,
            .lock = count > l->auth->config.max_failed_per_hour,
        };
        if (!failure_save(l, f, count))
            return;
        free(f);
    }
    login_refuse(l, vague);
}

/* ---- success ---- */

static void session_durable(void *arg, Status st, const struct err *err)
{
    struct login *l = arg;
    struct session s = { .user = l->user, .expires = l->session.expires };

    if (!l->auth) {
        login_free(l);
        return;
    }
    session_hash(str_z(l->session.id), s.hash);
    memcpy(s.csrf_token, l->session.csrf_token, sizeof s.csrf_token);
    if (!st)
        st = session_add(l->auth, &s);
    login_answer(l, st, err);
}

static void put_session(const struct login *l, struct store_tx *tx)
{
    struct store_value columns[SESSIONS_COLUMNS];
    char hash[CRYPTO_SHA256_HEX + 1];
    AUTO_BUF struct buf text = { 0 };
    struct json_writer w;

    session_hash(str_z(l->session.id), hash);
    buf_init(&text, 16u * 1024);
    w = json_writer_init(&text);
    json_obj(&w, NULL);
    json_put_z(&w, "username", l->username);
    json_put_z(&w, "ip", l->ip);
    json_put_z(&w, "useragent", l->agent);
    json_put_i64(&w, "created", l->now / USEC_SEC);
    json_put_i64(&w, "modified", l->now / USEC_SEC);
    json_put_i64(&w, "expires", l->session.expires / USEC_SEC);
    json_put_z(&w, "csrf_token", l->session.csrf_token);
    json_end(&w);
    columns[SESSIONS_USERNAME] = store_text(id_str(&l->user));
    columns[SESSIONS_EXPIRES] = store_int(l->session.expires / USEC_SEC);
    store_tx_put(tx, TABLE_SESSIONS, str_z(hash), buf_str(&text), columns, SESSIONS_COLUMNS);
}

static void login_succeeded(struct login *l)
{
    struct auth *a = l->auth;
    struct store_tx *tx = store_tx_new(a->config.store);
    const struct auth_activity activity = {
        .action = "user_login",
        .description = str_z(l->username),
        .object = id_str(&l->user),
    };
    const struct actor by = {
        .username = str_z(l->username),
        .creator = str_z(l->username),
        .ip = str_z(l->ip),
        .user_agent = str_z(l->agent),
    };
    struct err err = { .code = STATUS_OK };
    Status st;

    if (l->now - a->swept > AUTH_SWEEP_EVERY || a->sessions.n >= AUTH_SESSIONS_MAX)
        sessions_sweep(a, l->now);
    if (a->sessions.n >= AUTH_SESSIONS_MAX) {
        store_tx_free(tx);
        (void)err_set(&err, STATUS_FULL, NULL, "There are too many sessions.");
        login_answer(l, STATUS_FULL, &err);
        return;
    }
    l->session.username = l->user;
    /* whole seconds: what is stored is what counts */
    l->session.expires = (l->now / USEC_SEC) * USEC_SEC + a->config.session_expire_days * USEC_DAY;
    crypto_random_hex(l->session.id);
    crypto_random_hex(l->session.csrf_token);
    put_session(l, tx);
    auth_put_activity(tx, &a->ids, &activity, &by, l->now);
    st = store_commit(a->config.store, tx, session_durable, l, &err);
    if (st)
        login_answer(l, st, &err);
}

/* ---- the hash lane ---- */

static void login_work(struct lane_work *w)
{
    struct login *l = CONTAINER_OF(w, struct login, lane);
    const struct str password = str_n(l->password, l->password_n);
    char waste[PASSWORD_HASH_MAX];

    if (l->hash[0])
        l->right = password_verify(password, str_z(l->hash));
    else
        (void)!password_hash(password, waste, NULL);
}

static void login_done(struct lane_work *w)
{
    struct login *l = CONTAINER_OF(w, struct login, lane);
    struct principal *p = l->auth ? principal_user(l->auth, id_str(&l->user)) : NULL;

    if (!l->auth)
        login_free(l);
    else if (!p)
        login_refuse(l, vague);
    else if (p->locked) /* meanwhile */
        login_refuse(l, locked);
    else if (!l->right)
        login_failed(l, p);
    else if (!p->active)
        login_refuse(l, "User account is disabled.");
    else
        login_succeeded(l);
}

/* Imported accounts hashed the password with their salt behind it. */
static bool set_password(struct login *l, struct str password, struct str salt)
{
    l->password_n = password.n + salt.n;
    l->password = malloc(l->password_n + 1);
    if (!l->password)
        return false;
    if (password.n)
        memcpy(l->password, password.p, password.n);
    if (salt.n)
        memcpy(l->password + password.n, salt.p, salt.n);
    return true;
}

static Status login_prepare(struct login *l, struct str username, struct str password,
                            struct err *err)
{
    AUTO(arena_free) struct arena *scratch = arena_new(AUTH_PRINCIPAL_MAX);
    const struct def *def = NULL;
    yyjson_val *user = NULL;
    struct str salt = STR_NONE;
    Id id;

    if (defs_user_id(username, &id))
        def = defs_find(l->auth->config.defs, DEF_USER, id_str(&id));
    if (def) {
        user = scratch ? def_parse(def, scratch) : NULL;
        if (!user)
            return err_set(err, STATUS_NOMEM, NULL, "Out of memory.");
        l->user = id;
        (void)str_copy_z(json_str(user, "password"), l->hash, sizeof l->hash);
        if (!str_starts(str_z(l->hash), STR("$argon2")))
            salt = json_str(user, "salt");
        (void)str_copy_z(json_str(user, "username"), l->username, sizeof l->username);
    }
    if (!set_password(l, password, salt))
        return err_set(err, STATUS_NOMEM, NULL, "Out of memory.");
    return STATUS_OK;
}

Status auth_login(struct auth *a, struct str username, struct str password, struct str ip,
                  struct str user_agent, Usec now, AuthLoginFn fn, void *arg, struct err *err)
{
    struct login *l;
    const struct principal *p;
    Status st;

    if (password.n > PASSWORD_MAX)
        return err_set(err, STATUS_DENIED, NULL, "%s", vague);
    l = calloc(1, sizeof *l);
    if (!l)
        return err_set(err, STATUS_NOMEM, NULL, "Out of memory.");
    list_init(&l->link);
    l->auth = a;
    l->now = now;
    l->fn = fn;
    l->arg = arg;
    l->lane.work = login_work;
    l->lane.done = login_done;
    (void)str_copy_z(ip, l->ip, sizeof l->ip);
    (void)str_copy_z(user_agent, l->agent, sizeof l->agent);
    st = login_prepare(l, username, password, err);
    p = l->user.z[0] ? principal_user(a, id_str(&l->user)) : NULL;
    if (!st && p && p->locked)
        st = err_set(err, STATUS_DENIED, NULL, "%s", locked);
    if (!st && lane_post(a->config.hash, &l->lane))
        st = err_set(err, STATUS_BUSY, NULL, "Too many log-ins at once; please try again.");
    if (st) {
        login_free(l);
        return st;
    }
    list_push(&a->logins, &l->link);
    return STATUS_OK;
}
