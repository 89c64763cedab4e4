/* Enrolment; see enrol.h. The identity is bound to conductor and token by a digest in config.json
 * ("enrolled"), so the same command line may be given at every start. */
#include "sat/enrol.h"

#include "base/log.h"
#include "crypto/crypto.h"

struct enrolment {
    struct sat *sat;
    const char *token;
    struct loop_timer *timer;
    struct http_exchange *exchange;
    char digest[CRYPTO_SHA256_HEX + 1];
    Usec delay;
    bool done;
    Status status;
    struct err err;
};

static void ask(void *arg);

static void stop(struct enrolment *e, Status st)
{
    e->done = true;
    e->status = st;
    loop_stop(e->sat->loop);
}

static void ask_again(struct enrolment *e, const char *why)
{
    log_event(LOG_WARN, "enrol.retry", "seconds=%.1f reason=%s", (double)e->delay / 1e6,
              LOG_QUOTED(str_z(why)));
    loop_timer_start(e->timer, e->delay, 0);
    e->delay = e->delay * 2 > ENROL_RETRY_MAX ? ENROL_RETRY_MAX : e->delay * 2;
}

/* The answer, with where we asked: that is where we stay. */
static Status keep(struct enrolment *e, yyjson_val *answer)
{
    static const char *const own[] = { "host", "port", "secure", "enrolled", NULL };
    struct sat *s = e->sat;
    AUTO_BUF struct buf update = { 0 };
    AUTO_BUF struct buf text = { 0 };
    struct json_writer w;
    Status st;

    buf_init(&update, CONFIG_SIZE_MAX);
    buf_init(&text, CONFIG_SIZE_MAX);
    w = json_writer_init(&update);
    json_obj(&w, NULL);
    json_put_members(&w, answer, own);
    json_put_z(&w, "host", s->fixed_host);
    json_put_i64(&w, "port", s->fixed_port);
    json_put_bool(&w, "secure", s->fixed_secure);
    json_put_z(&w, "enrolled", e->digest);
    json_end(&w);
    if (update.failed)
        return err_set(&e->err, STATUS_TOO_BIG, NULL, "The conductor's configuration is too big");
    st = config_update_file(s->config_path, buf_str(&update), false, &text, &e->err);
    if (!st)
        st = config_parse(&s->config, buf_str(&text), &e->err);
    s->config_seen = config_mtime(s->config_path);
    return st;
}

static void answered(void *arg, const struct http_result *res)
{
    struct enrolment *e = arg;
    AUTO(json_doc_free) yyjson_doc *doc = NULL;
    yyjson_val *root = NULL;
    struct str why;

    e->exchange = NULL;
    if (e->done || res->status == STATUS_CLOSED) {
        if (!e->done)
            ask_again(e, res->err.text);
        return;
    }
    if (res->status || res->code >= 500) {
        ask_again(e, res->status ? res->err.text : "the conductor is not ready");
        return;
    }
    if (json_parse(res->body, CONFIG_SIZE_MAX, &doc, NULL) == STATUS_OK)
        root = yyjson_doc_get_root(doc);
    why = json_str(root, "description");
    if (str_is_word(json_str(root, "server_id")) && json_str(root, "auth_token").n) {
        stop(e, keep(e, root));
        return;
    }
    (void)!err_set(&e->err, STATUS_DENIED, NULL,
                   "The conductor refuses to enrol this satellite: %.*s (HTTP %d)",
                   STR_FMT(why.n ? why : STR("no configuration was given")), res->code);
    stop(e, STATUS_DENIED);
}

static void ask(void *arg)
{
    struct enrolment *e = arg;
    struct sat *s = e->sat;
    char url[1024];
    const bool ipv6 = strchr(s->fixed_host, ':') != NULL;
    struct http_call call = { .method = "GET", .url = url, .reply_max = CONFIG_SIZE_MAX };
    struct http_client *http = sat_http(s, s->fixed_secure, &e->err);

    (void)snprintf(url, sizeof(url), "%s://%s%s%s:%u/api/app/satellite/config?t=%s",
                   s->fixed_secure ? "https" : "http", ipv6 ? "[" : "", s->fixed_host,
                   ipv6 ? "]" : "", s->fixed_port, e->token);
    if (!http || http_client_start(http, &call, answered, e, &e->exchange, &e->err) != STATUS_OK)
        stop(e, e->err.code ? e->err.code : STATUS_IO);
}

static bool token_usable(const char *token)
{
    const size_t n = strlen(token);

    return n > 0 && n <= ENROL_TOKEN_MAX &&
           strspn(token, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == n;
}

Status enrol(struct sat *s, const char *token, struct err *err)
{
    struct enrolment e = { .sat = s, .token = token, .delay = USEC_SEC };
    char port[16];

    if (!token_usable(token))
        return err_set(err, STATUS_INVALID, NULL,
                       "The token has characters that tokens do not have");
    (void)snprintf(port, sizeof(port), ":%u ", s->fixed_port);
    CRYPTO_SHA256_HEX_OF(e.digest, str_z(s->fixed_host), str_z(port), str_z(token));
    if (s->config.server_id.p && s->config.auth_token.p &&
        str_eq_z(json_str(s->config.root, "enrolled"), e.digest))
        return STATUS_OK;
    e.timer = loop_timer_new(s->loop, "enrol.retry", ask, &e);
    if (!e.timer)
        return err_set(err, STATUS_NOMEM, NULL, "out of memory");
    ask(&e);
    if (!e.done)
        loop_run(s->loop);
    if (!e.done) /* a signal */
        e.status = STATUS_OK;
    e.done = true;
    if (e.exchange)
        http_exchange_cancel(e.exchange);
    loop_timer_free(e.timer);
    if (e.status && err)
        *err = e.err;
    return e.status;
}
