/* The link to the conductor (reference/satellite.md 2-12): which one to call, hello and join,
 * echoes, and coming back with a growing, jittered delay. Everything about jobs goes to the runner.
 *
 * One idea: there is at most one socket; `why_down` says what may bring the next one. */
#include <ctype.h>

#include "base/log.h"
#include "crypto/crypto.h"
#include "http/websocket.h"
#include "sat/sat.h"

#define LINK_HOST_MAX     256u
#define LINK_JITTER       0.2 /* of a delay, at most */
#define LINK_INFO_TIMEOUT (20 * USEC_SEC)

enum link_state {
    LINK_DOWN,       /* waiting for the timer, or for a change (`parked`) */
    LINK_CONNECTING, /* socket and handshake */
    LINK_OPEN,       /* hello is being made or was sent */
    LINK_JOINING,    /* join was sent */
    LINK_JOINED,
};

struct link {
    struct sat *sat;
    struct ws *ws;
    struct loop_timer *timer;
    enum link_state state;
    uint32_t generation; /* of the socket */
    bool parked;         /* no reconnect by itself: refused, or stopped */
    bool was_open;
    bool exact;
    bool finish_by_http;
    Usec delay; /* the next one */
    Usec last_echo;
    unsigned servers;
    char once[LINK_HOST_MAX]; /* left by a redirect */
    char host[LINK_HOST_MAX];
    char hostname[LINK_HOST_MAX]; /* ours */
    uint16_t port;
    bool secure;
    char base_url[LINK_HOST_MAX + 32];
};

static void connect_now(void *arg);

static void own_hostname(struct link *l)
{
    const char *name = getenv("HOSTNAME");
    char os_name[LINK_HOST_MAX] = "localhost";

    if (!name || !*name)
        name = getenv("HOST");
    if (!name || !*name) {
        (void)gethostname(os_name, sizeof(os_name) - 1);
        name = os_name;
    }
    (void)str_copy_z(l->sat->config.hostname.p ? l->sat->config.hostname : str_z(name), l->hostname,
                     sizeof(l->hostname));
    for (char *p = l->hostname; *p; p++)
        *p = (char)tolower((unsigned char)*p);
}

struct link *link_new(struct sat *s)
{
    struct link *l = calloc(1, sizeof(*l));

    if (!l)
        return NULL;
    l->sat = s;
    l->parked = true;
    l->servers = 1;
    l->timer = loop_timer_new(s->loop, "link.connect", connect_now, l);
    if (!l->timer) {
        free(l);
        return NULL;
    }
    own_hostname(l);
    return l;
}

void link_free(struct link *l)
{
    if (!l)
        return;
    loop_timer_free(l->timer);
    free(l);
}

bool link_ready(const struct link *l)
{
    return l->state == LINK_JOINED;
}

bool link_exact(const struct link *l)
{
    return l->exact;
}

bool link_congested(const struct link *l)
{
    return !l->ws || ws_congested(l->ws);
}

bool link_finish_by_http(const struct link *l)
{
    return l->finish_by_http;
}

const char *link_base_url(const struct link *l)
{
    return l->base_url;
}

bool link_is_secure(const struct link *l)
{
    return l->secure;
}

const char *link_hostname(const struct link *l)
{
    return l->hostname;
}

unsigned link_servers(const struct link *l)
{
    return l->servers;
}

bool link_send(struct link *l, struct buf *frame)
{
    if (frame->failed)
        log_event(LOG_ERROR, "link.message_too_big", "limit=%zu", frame->max);
    return l->ws && !frame->failed && ws_send(l->ws, buf_str(frame)) == STATUS_OK;
}

/* Up and down */

static void wait_and_connect(struct link *l)
{
    const double jitter = 1 + LINK_JITTER * rng_unit(&l->sat->rng);

    if (!l->parked)
        loop_timer_start(l->timer, (Usec)((double)l->delay * jitter), 0);
}

/* Section 3: 1 s after a socket that was open, else doubled. */
static void next_delay(struct link *l)
{
    const struct sat_config *c = &l->sat->config;

    if (l->was_open)
        l->delay = c->reconnect_delay;
    else
        l->delay = l->delay * 2 > c->reconnect_max ? c->reconnect_max : l->delay * 2;
}

static void went_down(struct link *l)
{
    const bool joined = l->state == LINK_JOINED;

    l->state = LINK_DOWN;
    l->ws = NULL;
    l->exact = false;
    l->generation++;
    if (joined) {
        runner_left(l->sat->runner);
        sampler_left(l->sat->sampler);
    }
    next_delay(l);
    wait_and_connect(l);
}

static void on_close(void *ctx, struct ws *w, int code, const struct err *err)
{
    struct link *l = ctx;

    if (w != l->ws)
        return;
    log_event(l->was_open ? LOG_INFO : LOG_WARN, "link.down", "host=%s port=%u code=%d reason=%s",
              l->host, l->port, code,
              LOG_QUOTED(str_z(err && err->text[0] ? err->text : "closed")));
    went_down(l);
}

/* Closes a socket of which we want to hear no more; reconnects unless parked. */
static void drop(struct link *l, int code, const char *reason)
{
    if (l->ws)
        ws_close(l->ws, code, reason);
}

static bool choose_host(struct link *l)
{
    const struct sat *s = l->sat;
    const size_t n = yyjson_arr_size(s->config.hosts);
    struct str host = STR_NONE;

    if (s->fixed_host)
        host = str_z(s->fixed_host);
    else if (s->config.host.p)
        host = s->config.host;
    else if (l->once[0])
        host = str_z(l->once);
    else if (n)
        host = json_val_str(yyjson_arr_get(s->config.hosts, (size_t)rng_below(&l->sat->rng, n)));
    if (host.n == 0 || !str_copy_z(host, l->host, sizeof(l->host)))
        return false;
    l->once[0] = 0;
    l->port = s->fixed_host ? s->fixed_port : s->config.port;
    l->secure = s->fixed_host ? s->fixed_secure : s->config.secure;
    return true;
}

static void on_open(void *ctx, struct ws *w);
static void on_message(void *ctx, struct ws *w, struct str text, bool binary);

static void on_drain(void *ctx, struct ws *w)
{
    struct link *l = ctx;

    if (w == l->ws && l->state == LINK_JOINED)
        runner_drained(l->sat->runner);
}

static void connect_failed(struct link *l, const char *why)
{
    log_event(LOG_WARN, "link.down", "reason=%s", LOG_QUOTED(str_z(why)));
    l->was_open = false;
    went_down(l);
}

static void connect_now(void *arg)
{
    static const struct ws_ops ops = {
        .on_open = on_open, .on_message = on_message, .on_drain = on_drain, .on_close = on_close
    };
    const struct ws_config config = { .message_max = SAT_MESSAGE_MAX };
    struct link *l = arg;
    struct net_tls *tls = NULL;
    struct err err = { 0 };
    char url[LINK_HOST_MAX + 32];
    bool ipv6;

    if (l->ws || l->parked)
        return;
    if (!choose_host(l)) {
        connect_failed(l, "no conductor is configured");
        return;
    }
    ipv6 = strchr(l->host, ':') != NULL;
    (void)snprintf(url, sizeof(url), "%s://%s%s%s:%u/", l->secure ? "wss" : "ws", ipv6 ? "[" : "",
                   l->host, ipv6 ? "]" : "", l->port);
    (void)snprintf(l->base_url, sizeof(l->base_url), "%s://%s%s%s:%u", l->secure ? "https" : "http",
                   ipv6 ? "[" : "", l->host, ipv6 ? "]" : "", l->port);
    if (l->secure)
        tls = sat_tls(l->sat, &err);
    l->was_open = false;
    l->state = LINK_CONNECTING;
    if ((l->secure && !tls) ||
        ws_connect(l->sat->loop, url, tls, SAT_USER_AGENT, l->sat->config.connect_timeout, &config,
                   &ops, l, &l->ws, &err) != STATUS_OK) {
        l->ws = NULL;
        connect_failed(l, err.text);
    }
}

void link_start(struct link *l)
{
    l->parked = false;
    l->delay = l->sat->config.reconnect_delay;
    loop_timer_start(l->timer, 0, 0);
}

void link_stop(struct link *l)
{
    l->parked = true;
    loop_timer_stop(l->timer);
    drop(l, 1000, "Leaving");
}

void link_cut(struct link *l)
{
    l->parked = true;
    loop_timer_stop(l->timer);
    if (l->ws)
        ws_terminate(l->ws);
}

bool link_is_down(const struct link *l)
{
    return !l->ws;
}

void link_reconfigured(struct link *l)
{
    if (l->parked && !l->ws && !l->sat->stopping)
        link_start(l);
}

void link_tick(struct link *l, Usec now)
{
    if (l->ws && l->state >= LINK_OPEN && now - l->last_echo >= l->sat->config.ping_timeout) {
        log_event(LOG_WARN, "link.silent", "host=%s seconds=%lld", l->host,
                  (long long)((now - l->last_echo) / USEC_SEC));
        ws_terminate(l->ws);
    }
}

/* Hello */

static void send_hello(struct link *l, struct str info)
{
    static const char *const own[] = { "hostname", "id", "info", NULL };
    const struct sat_config *c = &l->sat->config;
    AUTO_BUF struct buf frame = { 0 };
    struct json_writer w;

    buf_init(&frame, SAT_MESSAGE_MAX);
    w = wire_begin(&frame, WIRE_HELLO);
    json_put_members(&w, json_get(c->root, "initial"), own);
    json_put_z(&w, "hostname", l->hostname);
    json_put_str(&w, "id", c->server_id.p ? c->server_id : STR(""));
    json_put_raw(&w, "info", info);
    wire_end(&w);
    (void)link_send(l, &frame);
}

struct hello {
    struct link *link;
    uint32_t generation;
};

static void info_ready(void *arg, struct str info)
{
    struct hello *h = arg;

    if (h->generation == h->link->generation && h->link->state == LINK_OPEN)
        send_hello(h->link, info);
    free(h);
}

static void on_open(void *ctx, struct ws *w)
{
    struct link *l = ctx;
    struct hello *h = malloc(sizeof(*h));

    l->ws = w; /* may come before ws_connect has returned */
    l->was_open = true;
    l->state = LINK_OPEN;
    l->delay = l->sat->config.reconnect_delay;
    l->last_echo = loop_now_mono(l->sat->loop);
    if (!h) {
        ws_terminate(w);
        return;
    }
    *h = (struct hello){ .link = l, .generation = l->generation };
    sampler_hello(l->sat->sampler, info_ready, h);
}

static void park(struct link *l)
{
    l->parked = true;
    loop_timer_stop(l->timer);
    drop(l, 1000, "Refused");
}

static void send_join(struct link *l, struct str nonce)
{
    const struct sat_config *c = &l->sat->config;
    AUTO_BUF struct buf frame = { 0 };
    struct json_writer w;
    char digest[CRYPTO_SHA256_HEX + 1];

    if (!c->auth_token.p && !c->secret_key.p) {
        log_event(LOG_ERROR, "link.no_secret", "file=%s", l->sat->config_path);
        park(l);
        return;
    }
    if (!c->auth_token.p)
        CRYPTO_SHA256_HEX_OF(digest, nonce, c->secret_key);
    buf_init(&frame, 4096);
    w = wire_begin(&frame, WIRE_JOIN);
    json_put_str(&w, "token", c->auth_token.p ? c->auth_token : str_z(digest));
    wire_end(&w);
    l->state = LINK_JOINING;
    (void)link_send(l, &frame);
}

static void push_text(struct link *l, struct buf *text)
{
    yyjson_doc *doc = NULL;

    if (!text->failed && json_parse(buf_str(text), CONFIG_SIZE_MAX, &doc, NULL) == STATUS_OK)
        sat_config_push(l->sat, yyjson_doc_get_root(doc));
    json_doc_free(doc);
}

static void take_hello(struct link *l, yyjson_val *data)
{
    const struct str id = json_str(data, "id");

    if (l->state != LINK_OPEN)
        return;
    if (!l->sat->config.server_id.p && str_is_word(id)) {
        AUTO_BUF struct buf text = { 0 };
        struct json_writer w;

        buf_init(&text, 4096);
        w = json_writer_init(&text);
        json_obj(&w, NULL);
        json_put_str(&w, "server_id", id);
        json_end(&w);
        push_text(l, &text);
    }
    send_join(l, json_str(data, "nonce"));
}

/* joined.config and the list of conductors in one push. */
static void push_config(struct link *l, yyjson_val *config, yyjson_val *masters)
{
    static const char *const own[] = { "hosts", NULL };
    AUTO_BUF struct buf text = { 0 };
    struct json_writer w;

    buf_init(&text, CONFIG_SIZE_MAX);
    w = json_writer_init(&text);
    json_obj(&w, NULL);
    json_put_members(&w, config, yyjson_is_arr(masters) ? own : NULL);
    if (yyjson_arr_size(masters))
        json_put_val(&w, "hosts", masters);
    json_end(&w);
    push_text(l, &text);
}

static void take_joined(struct link *l, yyjson_val *data)
{
    yyjson_val *features = json_get(data, "features");
    const int64_t servers = json_i64(data, "numServers", 1);

    if (l->state != LINK_JOINING)
        return;
    l->state = LINK_JOINED;
    l->exact = json_i64(features, "orrery", 0) == WIRE_VERSION;
    l->finish_by_http = json_truthy(json_get(features, "api_finish_job"));
    l->servers = servers < 1 ? 1 : servers > 1000 ? 1000 : (unsigned)servers;
    log_event(LOG_INFO, "link.joined", "host=%s port=%u id=%.*s exact=%d", l->host, l->port,
              STR_FMT(l->sat->config.server_id), l->exact);
    push_config(l, json_get(data, "config"), json_at(data, "masterData.masters"));
    plugins_set(l->sat, json_get(data, "plugins"), json_get(data, "commands"));
    runner_joined(l->sat->runner);
    sampler_joined(l->sat->sampler);
}

static void take_echo(struct link *l, yyjson_val *data)
{
    AUTO_BUF struct buf frame = { 0 };
    struct json_writer w;

    l->last_echo = loop_now_mono(l->sat->loop);
    buf_init(&frame, SAT_MESSAGE_MAX);
    w = wire_begin(&frame, WIRE_ECHOBACK);
    json_put_members(&w, data, NULL);
    wire_end(&w);
    (void)link_send(l, &frame);
}

static void take_redirect(struct link *l, yyjson_val *data)
{
    const struct str host = json_str(data, "host");

    log_event(LOG_INFO, "link.redirect", "host=%s", LOG_QUOTED(host));
    if (!str_copy_z(host, l->once, sizeof(l->once)))
        l->once[0] = 0;
    drop(l, 1000, "Redirected");
}

static void take_failure(struct link *l, yyjson_val *data)
{
    log_event(LOG_ERROR, "link.refused", "host=%s reason=%s", l->host,
              LOG_QUOTED(json_str(data, "description")));
    park(l);
}

/* What concerns the connection itself; true when the message was one of those. */
static bool dispatch_link(struct link *l, enum wire_kind kind, yyjson_val *data)
{
    if (kind == WIRE_HELLO)
        take_hello(l, data);
    else if (kind == WIRE_JOINED)
        take_joined(l, data);
    else if (kind == WIRE_ECHO)
        take_echo(l, data);
    else if (kind == WIRE_REDIRECT)
        take_redirect(l, data);
    else if (kind == WIRE_RETRY)
        drop(l, 1000, "Retry");
    else if (kind == WIRE_AUTH_FAILURE)
        take_failure(l, data);
    else
        return false;
    return true;
}

static void dispatch(struct link *l, enum wire_kind kind, yyjson_val *data)
{
    struct runner *r = l->sat->runner;

    if (dispatch_link(l, kind, data) || l->state != LINK_JOINED)
        return;
    if (kind == WIRE_LAUNCH_JOB)
        runner_launch(r, data);
    else if (kind == WIRE_ABORT_JOB)
        runner_abort(r, data);
    else if (kind == WIRE_JOB_LOG_SEEK)
        runner_seek(r, data);
    else if (kind == WIRE_JOB_DONE)
        runner_done(r, data);
    else if (kind == WIRE_UPDATE)
        plugins_set(l->sat, json_get(data, "plugins"), json_get(data, "commands"));
    else if (kind == WIRE_UPDATE_CONFIG)
        sat_config_push(l->sat, data);
    else if (kind == WIRE_MASTER_DATA)
        push_config(l, NULL, json_get(data, "masters"));
    else if (kind == WIRE_UPGRADE || kind == WIRE_UNINSTALL)
        log_event(LOG_WARN, "link.unsupported", "command=%s", wire_row(kind)->name);
}

static void on_message(void *ctx, struct ws *w, struct str text, bool binary)
{
    struct link *l = ctx;
    AUTO(arena_free) struct arena *a = NULL;
    struct loop_span span = loop_span_begin(l->sat->loop, "link.message");
    enum wire_kind kind = WIRE_UNKNOWN;
    yyjson_val *data = NULL;
    struct err err = { 0 };

    if (binary || w != l->ws || l->parked)
        return;
    a = arena_new((size_t)SAT_MESSAGE_MAX * 16);
    if (!a || wire_parse(a, text, WIRE_TO_SATELLITE, &kind, &data, &err) != STATUS_OK)
        log_event(LOG_WARN, "link.bad_message", "bytes=%zu reason=%s", text.n,
                  LOG_QUOTED(str_z(err.text)));
    else
        dispatch(l, kind, data);
    loop_span_end(&span);
}
