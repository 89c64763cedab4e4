/* Replies: the JSON envelope, errors and their HTTP status (reference/api-operations.md 1.4).
 *
 * A reply is written straight into one buf, which goes to the connection as it is; stored JSON is
 * spliced in raw. */
#include "api/api_int.h"

#include <stdarg.h>
#include <stdio.h>

#define JSON_TYPE "application/json"

void api_security_headers(struct http_request *r)
{
    static const struct {
        const char *name;
        const char *value;
    } rows[] = {
        { "Content-Security-Policy",
          "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
          "img-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'" },
        { "X-Frame-Options", "DENY" },
        { "X-Content-Type-Options", "nosniff" },
        { "Referrer-Policy", "same-origin" },
        { "Permissions-Policy", "camera=(), geolocation=(), microphone=()" },
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++)
        (void)http_reply_header(r, rows[i].name, str_z(rows[i].value));
}

void api_reply_text(struct api_call *c, int status, const char *text)
{
    c->failed = status >= 400;
    http_reply(c->req, status, "text/plain; charset=utf-8", str_z(text));
}

/* ---- good ones ---- */

struct json_writer api_reply_begin(struct api_call *c, struct buf *out)
{
    struct json_writer w;

    (void)c;
    buf_init(out, API_REPLY_MAX);
    w = json_writer_init(out);
    json_obj(&w, NULL);
    json_put_i64(&w, "code", 0);
    return w;
}

/* The same with tabs; false when that is not possible. */
static bool make_pretty(struct buf *out)
{
    AUTO(json_doc_free) yyjson_doc *doc = NULL;
    struct buf pretty;

    buf_init(&pretty, API_REPLY_MAX);
    if (json_parse(buf_str(out), API_REPLY_MAX, &doc, NULL) ||
        json_text(yyjson_doc_get_root(doc), true, &pretty)) {
        buf_done(&pretty);
        return false;
    }
    (void)buf_add_char(&pretty, '\n');
    buf_done(out);
    *out = pretty;
    return true;
}

void api_reply_end(struct api_call *c, struct json_writer *w, struct buf *out)
{
    struct buf reply;

    json_end(w);
    reply = *out;
    *out = (struct buf){ 0 }; /* it may lie in the arena, which goes with the reply */
    if (reply.failed) {
        buf_done(&reply);
        api_error(c, "api", "The reply is too big.");
        return;
    }
    if (c->pretty)
        (void)make_pretty(&reply);
    http_reply_buf(c->req, 200, JSON_TYPE, &reply);
    buf_done(&reply);
}

void api_reply_ok(struct api_call *c)
{
    http_reply(c->req, 200, JSON_TYPE,
               c->pretty ? STR("{\n\t\"code\": 0\n}\n") : STR("{\"code\":0}"));
}

/* ---- errors ---- */

static void reply_error(struct api_call *c, int status, const char *code, struct str text)
{
    AUTO_BUF struct buf plain = { 0 };
    struct buf out;
    struct json_writer w;

    c->failed = true;
    buf_init(&plain, text.n + 1);
    (void)schema_strip_tags(text, &plain);
    buf_init(&out, 16u * 1024);
    w = json_writer_init(&out);
    json_obj(&w, NULL);
    if (strcmp(code, "1") == 0) /* the router's, the one number */
        json_put_i64(&w, "code", 1);
    else
        json_put_z(&w, "code", code);
    json_put_str(&w, "description", buf_str(&plain));
    json_end(&w);
    if (c->pretty)
        (void)make_pretty(&out);
    http_reply_buf(c->req, status, JSON_TYPE, &out);
    buf_done(&out);
}

static int status_of(const struct api_call *c, const char *code)
{
    const bool bare = !c->versioned || (c->row && (c->row->flags & API_USER_SPACE));

    return bare ? 200 : api_http_status(code);
}

void api_error(struct api_call *c, const char *code, const char *fmt, ...)
{
    char text[1024];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    reply_error(c, status_of(c, code), code, str_z(text));
}

/* Conditions of ours that the reference does not know get the status that proxies and clients act
 * on. */
static bool is_passing(Status st)
{
    return st == STATUS_BUSY || st == STATUS_NOMEM || st == STATUS_NOSPACE || st == STATUS_TIMEOUT;
}

void api_fail(struct api_call *c, const char *family_code, Status st, const struct err *err)
{
    const char *code = st == STATUS_INVALID || st == STATUS_TOO_BIG ? "api"
                       : st == STATUS_DENIED                        ? "access"
                                                                    : family_code;
    const struct str text = str_z(err && err->text[0] ? err->text : status_text(st));
    int status = status_of(c, code);

    if (is_passing(st) && status != 200) {
        status = status_http(st);
        (void)http_reply_header(c->req, "Retry-After", STR("1"));
    }
    reply_error(c, status, code, text);
}

void api_reply_router_error(struct api_call *c, const char *what, struct str name)
{
    struct str text = arena_printf(c->arena, "%s: %.*s", what, STR_FMT(str_slice(name, 0, 256)));

    reply_error(c, 200, "1", text.p ? text : str_z(what));
}

void api_reply_status(struct api_call *c, const char *family_code, Status st, const struct err *err)
{
    if (st)
        api_fail(c, family_code, st, err);
    else
        api_reply_ok(c);
}

struct actor api_actor(const struct api_call *c)
{
    return (struct actor){
        .username = c->user.username,
        .creator = c->user.creator,
        .ip = str_z(http_request_peer(c->req)),
        .user_agent = http_request_header(c->req, "User-Agent"),
    };
}
