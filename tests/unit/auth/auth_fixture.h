/* auth/ on real definitions, a real store and a hash lane; log-ins made synchronous. */
#ifndef TEST_AUTH_FIXTURE_H
#define TEST_AUTH_FIXTURE_H

#include "../event/defs_fixture.h"
#include "auth/auth.h"
#include "crypto/crypto.h"
#include "crypto/password.h"

struct house {
    struct world w;
    struct lane *hash;
    struct auth *auth;
};

UNUSED static void auth_open(struct house *h)
{
    struct err err = { .code = STATUS_OK };
    const struct auth_config config = {
        .loop = h->w.f.loop,
        .store = h->w.f.store,
        .defs = h->w.d,
        .hash = h->hash,
        .session_expire_days = 10,
        .max_failed_per_hour = 2,
        .seed = 7,
    };

    assert_int_equal(auth_new(&config, &h->auth, &err), STATUS_OK);
}

/* As after a restart of the process. */
UNUSED static void auth_reopen(struct house *h)
{
    fixture_close(&h->w.f);
    auth_free(h->auth);
    defs_free(h->w.d);
    fixture_open(&h->w.f);
    defs_open(&h->w);
    auth_open(h);
}

UNUSED static int house_setup(void **state)
{
    struct house *h = calloc(1, sizeof *h);

    assert_non_null(h);
    fixture_init(&h->w.f);
    fixture_open(&h->w.f);
    defs_open(&h->w);
    h->hash = lane_new(h->w.f.loop, "hash", 1, 16);
    assert_non_null(h->hash);
    auth_open(h);
    *state = h;
    return 0;
}

UNUSED static int house_teardown(void **state)
{
    struct house *h = *state;

    fixture_close(&h->w.f);
    auth_free(h->auth);
    lane_free(h->hash);
    defs_free(h->w.d);
    fixture_done(&h->w.f);
    free(h);
    return 0;
}

/* Makes a key with these further members; the plain key to out. */
UNUSED static void make_key(struct house *h, const char *id, const char *more, char plain[44])
{
    char digest[65];
    char mask[17];
    char json[2048];

    auth_make_key(str_z(id), plain, digest, mask);
    (void)snprintf(json, sizeof json, "{'id':'%s','key':'%s','mask':'%s','title':'Key %s'%s%s}", id,
                   digest, mask, id, *more ? "," : "", more);
    good(&h->w, CREATE, DEF_API_KEY, json);
}

UNUSED static void make_user(struct house *h, const char *name, const char *password,
                             const char *more)
{
    char hash[PASSWORD_HASH_MAX];
    char json[4096];

    assert_int_equal(password_hash(str_z(password), hash, NULL), STATUS_OK);
    (void)snprintf(json, sizeof json, "{'username':'%s','password':'%s','full_name':'%s Full'%s%s}",
                   name, hash, name, *more ? "," : "", more);
    good(&h->w, CREATE, DEF_USER, json);
}

/* The error code of a check, "" when it passed. */
UNUSED static const char *checked(struct house *h, const struct auth_credentials *c, Usec now,
                                  struct auth_user *ret)
{
    struct auth_user user = { .admin = false };
    struct err err = { .code = STATUS_OK };
    const char *code = "";

    if (!auth_check(h->auth, c, now, h->w.f.arena, &user, &code, &err)) {
        if (ret)
            *ret = user;
        return "";
    }
    assert_true(strlen(err.text) > 0);
    return code;
}

UNUSED static const char *key_checked(struct house *h, const char *plain, Usec now,
                                      struct auth_user *ret)
{
    const struct auth_credentials c = { .api_key = str_z(plain) };

    return checked(h, &c, now, ret);
}

struct login_outcome {
    bool done;
    Status st;
    struct auth_session session;
    struct err err;
};

UNUSED static void login_note(void *arg, Status st, const struct auth_session *session,
                              const struct err *err)
{
    struct login_outcome *o = arg;

    assert_false(o->done);
    o->done = true;
    o->st = st;
    if (session)
        o->session = *session;
    if (err)
        o->err = *err;
}

UNUSED static struct login_outcome log_in(struct house *h, const char *name, const char *password,
                                          Usec now)
{
    struct login_outcome o = { .done = false };

    o.st = auth_login(h->auth, str_z(name), str_z(password), STR("10.1.1.1"), STR("test/2"), now,
                      login_note, &o, &o.err);
    if (!o.st)
        fixture_wait(&h->w.f, &o.done);
    return o;
}

#define AUTH_TEST(fn) cmocka_unit_test_setup_teardown(fn, house_setup, house_teardown)

#endif
