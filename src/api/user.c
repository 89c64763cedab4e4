/* The account space, /api/user/: log-in, resume, log-out (reference/api-operations.md 11.4-11.6).
 * Errors have HTTP 200. The session id travels in a cookie that scripts cannot read. */
#include "api/api_int.h"

#include <stdio.h>

static void set_cookie(struct api_call *c, const char *value, Usec max_age)
{
    const struct str text = arena_printf(c->arena,
                                         "session_id=%s; Path=/; Max-Age=%lld; HttpOnly; "
                                         "SameSite=Lax%s",
                                         value, (long long)(max_age / USEC_SEC),
                                         http_request_is_tls(c->req) ? "; Secure" : "");

    if (text.p)
        (void)http_reply_header(c->req, "Set-Cookie", text);
}

static void reply_session(struct api_call *c, const struct auth_session *s)
{
    const struct def *user = defs_find(c->world->defs, DEF_USER, id_str(&s->username));
    AUTO(json_doc_free) yyjson_doc *doc = NULL;
    struct buf out;
    struct json_writer w;

    if (!user) {
        api_error(c, "login", "User does not exist.");
        return;
    }
    if (!user->enabled) {
        api_error(c, "login", "User account is disabled.");
        return;
    }
    if (json_parse(user->json, DEFS_OBJECT_MAX, &doc, NULL)) {
        api_fail(c, "login", STATUS_NOMEM, NULL);
        return;
    }
    set_cookie(c, s->id, s->expires - c->now);
    (void)http_reply_header(c->req, "Cache-Control", STR("no-store"));
    w = api_reply_begin(c, &out);
    json_put_str(&w, "username", json_str(yyjson_doc_get_root(doc), "username"));
    api_put_def(c, &w, "user", user);
    json_put_z(&w, "csrf_token", s->csrf_token);
    json_put_double(&w, "epoch", usec_to_epoch(c->now));
    json_put_z(&w, "version", ORRERY_VERSION);
    api_reply_end(c, &w, &out);
}

static void logged_in(void *arg, Status st, const struct auth_session *session,
                      const struct err *err)
{
    struct api_call *c = arg;

    if (!st)
        reply_session(c, session);
    else if (st == STATUS_DENIED)
        api_error(c, "login", "%s", err ? err->text : "");
    else
        api_fail(c, "login", st, err);
}

static void login(struct api_call *c)
{
    const struct actor by = api_actor(c);
    struct err err = { .code = STATUS_OK };
    Status st =
        auth_login(c->world->auth, json_str(c->params, "username"), json_str(c->params, "password"),
                   by.ip, by.user_agent, c->now, logged_in, c, &err);

    if (st)
        logged_in(c, st, NULL, &err);
}

static void resume_session(struct api_call *c)
{
    struct auth_session s;
    struct err err = { .code = STATUS_OK };

    if (!c->creds.session_id.n) {
        api_reply_ok(c);
        return;
    }
    if (auth_resume(c->world->auth, c->creds.session_id, c->now, &s, &err)) {
        set_cookie(c, "", 0);
        api_error(c, "session", "%s", err.text);
        return;
    }
    reply_session(c, &s);
    crypto_wipe(&s, sizeof s);
}

static void logged_out(void *arg, Status st, const struct err *err)
{
    struct api_call *c = arg;

    if (st) {
        api_fail(c, "logout", st, err);
        return;
    }
    set_cookie(c, "", 0);
    api_reply_ok(c);
}

static void logout(struct api_call *c)
{
    struct auth_session s;
    struct err err = { .code = STATUS_OK };
    Status st;

    if (!c->creds.session_id.n ||
        auth_resume(c->world->auth, c->creds.session_id, c->now, &s, NULL)) {
        set_cookie(c, "", 0);
        api_reply_ok(c);
        return;
    }
    if (!c->creds.safe_method && !crypto_equal(c->creds.csrf_token, str_z(s.csrf_token))) {
        api_error(c, "session", "Invalid session");
        return;
    }
    st = auth_logout(c->world->auth, c->creds.session_id, logged_out, c, &err);
    if (st)
        api_fail(c, "logout", st, &err);
}

static const struct prop login_in[] = {
    { .name = "username",
      .type = P_TEXT,
      .flags = P_REQUIRED,
      .max = ID_MAX,
      .chars = "\\w-.",
      .doc = "Name of the user." },
    { .name = "password",
      .type = P_TEXT,
      .flags = P_REQUIRED | P_SECRET,
      .max = 1024,
      .doc = "Password of the user." },
    { 0 },
};

const struct api_row api_user_rows[] = {
    { API_ROW("login", "user", PUBLIC, NONE), .flags = API_BODY_ONLY | API_USER_SPACE,
      .in = login_in, .out = "username, user, csrf_token, epoch, version", .errors = "api login",
      .example = "{\"username\":\"ada\",\"password\":\"correct horse\"}",
      .doc = "Opens a session: sets the cookie `session_id` and shows the token for other methods "
             "than GET.",
      .fn = login },
    { API_ROW("logout", "user", PUBLIC, NONE), .flags = API_USER_SPACE, .errors = "session logout",
      .doc = "Ends the session of the cookie.", .fn = logout },
    { API_ROW("resume_session", "user", PUBLIC, NONE), .flags = API_USER_SPACE,
      .out = "username, user, csrf_token, epoch, version", .errors = "session login",
      .doc = "Shows again what login has shown; without a session it shows nothing.",
      .fn = resume_session },
    { 0 },
};
