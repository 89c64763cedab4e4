/* The HTTP client: exchanges from start to on_done, connections and replies.
 *
 * An exchange owns its stream while it runs and ends in exchange_over, the only place that tells
 * the caller and frees. Inside the parser nothing ends: callbacks leave their verdict in x->st and
 * the code behind llhttp_execute acts on it. The request body is in client_body.c. */
#include "http/client_int.h"

#include "crypto/crypto.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#define REPLY_MAX    (1024u * 1024)
#define IDLE_MAX     8u /* connections kept */
#define TICK_MIN     (20 * USEC_MSEC)
#define DEFAULT_WAIT (30 * USEC_SEC)

struct idle_conn {
    struct list link;
    struct http_client *client;
    struct net_stream *stream;
    struct loop_timer *timer;
    char host[256];
    uint16_t port;
    bool tls;
};

struct http_client {
    struct http_client_config config;
    struct list exchanges;
    struct list idle;
    size_t n_idle;
};

const struct http_client_config *exchange_config(const struct http_exchange *x)
{
    return &x->client->config;
}

/* ---- connections without an owner ---- */

static void nobody_data(void *ctx, const uint8_t *p, size_t n)
{
    (void)ctx;
    (void)p;
    (void)n;
}

static void nobody_close(void *ctx, Status why, const struct err *err)
{
    (void)ctx;
    (void)why;
    (void)err;
}

static const struct net_stream_ops nobody_ops = { .on_data = nobody_data,
                                                  .on_close = nobody_close };

static void stream_drop(struct net_stream *s)
{
    net_stream_set(s, &nobody_ops, NULL);
    net_stream_close(s);
}

static void idle_free(struct idle_conn *c)
{
    list_remove(&c->link);
    c->client->n_idle--;
    loop_timer_free(c->timer);
    free(c);
}

static void idle_over(void *arg)
{
    struct idle_conn *c = arg;

    stream_drop(c->stream);
    idle_free(c);
}

static void idle_data(void *ctx, const uint8_t *p, size_t n)
{
    (void)p;
    (void)n;
    idle_over(ctx); /* nothing was asked */
}

static void idle_close(void *ctx, Status why, const struct err *err)
{
    (void)why;
    (void)err;
    idle_free(ctx);
}

static const struct net_stream_ops idle_ops = {
    .on_data = idle_data,
    .on_end = idle_over,
    .on_close = idle_close,
};

static void idle_keep(struct http_exchange *x)
{
    struct http_client *client = x->client;
    struct idle_conn *c = client->n_idle < IDLE_MAX ? calloc(1, sizeof *c) : NULL;

    if (c) {
        c->timer = loop_timer_new(client->config.loop, "http.client_idle", idle_over, c);
        if (!c->timer || !str_copy_z(x->url.host, c->host, sizeof c->host)) {
            loop_timer_free(c->timer);
            free(c);
            c = NULL;
        }
    }
    if (!c) {
        stream_drop(x->stream);
        return;
    }
    c->client = client;
    c->stream = x->stream;
    c->port = x->url.port;
    c->tls = x->url.tls;
    list_push_front(&client->idle, &c->link);
    client->n_idle++;
    net_stream_set(c->stream, &idle_ops, c);
    loop_timer_start(c->timer, client->config.idle_timeout, 0);
}

static struct net_stream *idle_take(struct http_client *client, const struct url *u)
{
    LIST_EACH (it, &client->idle) {
        struct idle_conn *c = CONTAINER_OF(it, struct idle_conn, link);
        if (c->port == u->port && c->tls == u->tls && str_eq_nocase(u->host, str_z(c->host))) {
            struct net_stream *s = c->stream;
            idle_free(c);
            return s;
        }
    }
    return NULL;
}

/* ---- the end ---- */

static void exchange_free(struct http_exchange *x)
{
    loop_timer_free(x->timer);
    body_done(&x->body);
    writer_abort(x->writer);
    buf_done(&x->headers);
    buf_done(&x->url_text);
    buf_done(&x->name);
    buf_done(&x->value);
    buf_done(&x->location);
    buf_done(&x->reply);
    free(x->method);
    free(x->content_type);
    free(x->save_to);
    free(x);
}

static void exchange_over(struct http_exchange *x)
{
    const struct http_result res = {
        .status = x->st,
        .code = x->code,
        .body = buf_str(&x->reply),
        .saved_bytes = x->saved,
        .err = x->err,
    };

    if (x->state == EXCHANGE_OVER)
        return;
    x->state = EXCHANGE_OVER;
    if (x->stream)
        stream_drop(x->stream);
    x->stream = NULL;
    list_remove(&x->link);
    x->fn(x->arg, &res);
    exchange_free(x);
}

static void note(struct http_exchange *x, Status st, const char *text)
{
    if (!x->st)
        x->st = err_set(&x->err, st, NULL, "%s", text);
}

void exchange_fail(struct http_exchange *x, Status st, const char *fmt, ...)
{
    char text[384];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    note(x, st, text);
    exchange_over(x);
}

/* ---- the reply's head ---- */

static int on_field(llhttp_t *p, const char *at, size_t n)
{
    struct http_exchange *x = p->data;

    x->head_n += n;
    if (x->head_n > CLIENT_HEAD_MAX || buf_add(&x->name, at, n)) {
        note(x, STATUS_TOO_BIG, "the head of the reply is too big");
        return HPE_USER;
    }
    return 0;
}

static int on_value(llhttp_t *p, const char *at, size_t n)
{
    struct http_exchange *x = p->data;

    x->head_n += n;
    if (x->head_n > CLIENT_HEAD_MAX || buf_add(&x->value, at, n)) {
        note(x, STATUS_TOO_BIG, "the head of the reply is too big");
        return HPE_USER;
    }
    return 0;
}

static int on_value_complete(llhttp_t *p)
{
    struct http_exchange *x = p->data;

    if (str_eq_nocase(buf_str(&x->name), STR("Location"))) {
        buf_clear(&x->location);
        (void)buf_add_str(&x->location, str_trim(buf_str(&x->value)));
    }
    buf_clear(&x->name);
    buf_clear(&x->value);
    return 0;
}

static void on_saved_drain(void *arg)
{
    struct http_exchange *x = arg;

    if (x->stream)
        net_stream_resume(x->stream);
}

static void on_saved(void *arg, Status st, uint64_t size, const uint8_t sha256[32],
                     const struct err *err)
{
    struct http_exchange *x = arg;

    (void)sha256;
    x->writer = NULL;
    if (st)
        note(x, st, err->text);
    x->saved = st ? 0 : size;
    exchange_over(x);
}

static bool start_saving(struct http_exchange *x)
{
    static const struct writer_ops ops = { .on_drain = on_saved_drain, .on_done = on_saved };
    AUTO_BUF struct buf temporary = { 0 };
    char random[65];

    buf_init(&temporary, 8192);
    crypto_random_hex(random);
    (void)buf_printf(&temporary, "%s.%.12s.part", x->save_to, random);
    if (buf_add_char(&temporary, '\0') == STATUS_OK)
        x->writer = writer_open(x->client->config.loop, x->client->config.disk, temporary.p,
                                x->save_to, &ops, x);
    return x->writer != NULL;
}

static bool is_redirect(const struct http_exchange *x)
{
    return (x->code == 301 || x->code == 302 || x->code == 303 || x->code == 307 ||
            x->code == 308) &&
           x->location.n > 0 && x->redirects < x->client->config.redirects_max;
}

static int on_headers_complete(llhttp_t *p)
{
    struct http_exchange *x = p->data;

    x->head_n = 0;
    if (p->status_code < 200)
        return 0;
    x->code = p->status_code;
    x->skip_body = is_redirect(x);
    if (x->save_to && !x->skip_body && x->code >= 200 && x->code < 300 && !start_saving(x)) {
        note(x, STATUS_NOMEM, "out of memory");
        return -1;
    }
    return strcmp(x->method, "HEAD") == 0 ? 1 : 0;
}

static int on_body(llhttp_t *p, const char *at, size_t n)
{
    struct http_exchange *x = p->data;

    if (x->skip_body)
        return 0;
    if (x->writer) {
        if (writer_write(x->writer, at, n)) {
            note(x, STATUS_NOMEM, "out of memory");
            return HPE_USER;
        }
        if (writer_congested(x->writer))
            net_stream_pause(x->stream);
        return 0;
    }
    if (buf_add(&x->reply, at, n)) {
        note(x, STATUS_TOO_BIG, "the reply is too big");
        return HPE_USER;
    }
    return 0;
}

static int on_message_complete(llhttp_t *p)
{
    struct http_exchange *x = p->data;

    if (p->status_code < 200)
        return 0;
    x->complete = true;
    return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_header_field = on_field,
    .on_header_value = on_value,
    .on_header_value_complete = on_value_complete,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

/* ---- redirects ---- */

static bool same_place(const struct url *a, const struct url *b)
{
    return a->tls == b->tls && a->port == b->port && str_eq_nocase(a->host, b->host);
}

static bool has_scheme(struct str s)
{
    const size_t colon = str_find_char(s, ':');

    return colon < s.n && colon < str_find_char(s, '/') && colon < str_find_char(s, '?');
}

/* The Location against the present URL (RFC 3986 5, as far as clients meet it). */
static Status resolve(const struct http_exchange *x, struct buf *out)
{
    const struct str to = buf_str(&x->location);
    const struct str now = buf_str(&x->url_text);
    const struct str scheme = x->url.tls ? STR("https:") : STR("http:");
    size_t end = (size_t)(x->url.target.p - now.p);

    if (str_starts_nocase(to, STR("http://")) || str_starts_nocase(to, STR("https://")))
        return buf_add_str(out, to);
    if (has_scheme(to))
        return STATUS_UNSUPPORTED;
    if (str_starts(to, STR("//"))) {
        (void)buf_add_str(out, scheme);
        return buf_add_str(out, to);
    }
    (void)buf_add_str(out, str_slice(now, 0, end));
    if (to.p[0] != '/') {
        const struct str path = str_slice(x->url.target, 0, str_find_char(x->url.target, '?'));
        size_t slash = path.n;
        while (slash > 0 && path.p[slash - 1] != '/')
            slash--;
        (void)buf_add_str(out, slash ? str_slice(path, 0, slash) : STR("/"));
    }
    return buf_add_str(out, to);
}

static void follow(struct http_exchange *x)
{
    struct buf text;
    struct url u;

    buf_init(&text, URL_MAX);
    if (resolve(x, &text) || url_parse(buf_str(&text), &u, &x->err) || u.websocket ||
        (x->url.tls && !u.tls) || (u.tls && !x->client->config.tls)) {
        buf_done(&text);
        x->err = (struct err){ 0 };
        exchange_fail(x, STATUS_INVALID, "redirect to a place that is not allowed");
        return;
    }
    if (!same_place(&u, &x->url))
        buf_clear(&x->headers); /* they may hold credentials */
    buf_done(&x->url_text);
    x->url_text = text;
    x->url = u;
    x->redirects++;
    if (x->code != 307 && x->code != 308 && strcmp(x->method, "HEAD") != 0) {
        (void)str_copy_z(STR("GET"), x->method, 4);
        body_done(&x->body);
        buf_init(&x->body.text, 1);
    }
    x->code = 0;
    buf_clear(&x->location);
    stream_drop(x->stream);
    x->stream = NULL;
    exchange_connect(x);
}

static void reply_over(struct http_exchange *x)
{
    if (x->skip_body) {
        follow(x);
        return;
    }
    if (x->body.complete && llhttp_should_keep_alive(&x->parser) &&
        net_stream_pending(x->stream) == 0)
        idle_keep(x);
    else
        stream_drop(x->stream);
    x->stream = NULL;
    if (x->writer) {
        x->state = EXCHANGE_SAVING;
        writer_finish(x->writer);
        return;
    }
    exchange_over(x);
}

/* ---- the stream ---- */

static void send_request(struct http_exchange *x)
{
    AUTO_BUF struct buf b = { 0 };
    const struct url *u = &x->url;
    const bool slash = u->target.n == 0 || u->target.p[0] != '/';
    const bool body = x->body.n_parts || x->body.length || strcmp(x->method, "POST") == 0 ||
                      strcmp(x->method, "PUT") == 0;

    x->state = EXCHANGE_WAITING;
    x->progress = loop_now_mono(x->client->config.loop);
    buf_init(&b, URL_MAX + 2 * CLIENT_HEAD_MAX);
    (void)buf_printf(&b, "%s %s%.*s HTTP/1.1\r\nHost: %s%.*s%s", x->method, slash ? "/" : "",
                     STR_FMT(u->target), u->ipv6 ? "[" : "", STR_FMT(u->host), u->ipv6 ? "]" : "");
    if (u->has_port)
        (void)buf_printf(&b, ":%u", u->port);
    (void)buf_add_str(&b, STR("\r\nAccept: */*\r\n"));
    if (x->client->config.user_agent)
        (void)buf_printf(&b, "User-Agent: %s\r\n", x->client->config.user_agent);
    if (x->body.n_parts)
        (void)buf_printf(&b, "Content-Type: multipart/form-data; boundary=%s\r\n",
                         x->body.boundary);
    else if (body && x->content_type)
        (void)buf_printf(&b, "Content-Type: %s\r\n", x->content_type);
    if (body)
        (void)buf_printf(&b, "Content-Length: %llu\r\n", (unsigned long long)x->body.length);
    (void)buf_add_str(&b, buf_str(&x->headers));
    (void)buf_add_str(&b, STR("\r\n"));
    if (b.failed || net_stream_write(x->stream, b.p, b.n)) {
        exchange_fail(x, STATUS_TOO_BIG, "the request could not be sent");
        return;
    }
    body_send(x);
}

static void on_stream_open(void *ctx)
{
    send_request(ctx);
}

static void on_stream_data(void *ctx, const uint8_t *p, size_t n)
{
    struct http_exchange *x = ctx;
    llhttp_errno_t e;

    x->state = EXCHANGE_READING;
    x->progress = loop_now_mono(x->client->config.loop);
    e = llhttp_execute(&x->parser, (const char *)p, n);
    if (x->complete) {
        if (llhttp_get_error_pos(&x->parser) != (const char *)p + n)
            x->body.complete = false; /* more than was asked for: not to be used again */
        reply_over(x);
    } else if (e != HPE_OK) {
        note(x, STATUS_INVALID, "the server's reply is not proper HTTP");
        exchange_over(x);
    }
}

static void on_stream_drain(void *ctx)
{
    body_send(ctx);
}

static void on_stream_end(void *ctx)
{
    struct http_exchange *x = ctx;

    if (x->state == EXCHANGE_READING) {
        (void)llhttp_finish(&x->parser);
        if (x->complete) {
            x->body.complete = false;
            reply_over(x);
            return;
        }
    }
    if (x->reused && x->state == EXCHANGE_WAITING) {
        stream_drop(x->stream); /* the server had given up the kept connection */
        x->stream = NULL;
        exchange_connect(x);
        return;
    }
    exchange_fail(x, STATUS_CLOSED,
                  "the server closed the connection before its reply was complete");
}

static void on_stream_close(void *ctx, Status why, const struct err *err)
{
    struct http_exchange *x = ctx;

    x->stream = NULL; /* it is gone on its own */
    if (x->reused && x->state == EXCHANGE_WAITING) {
        exchange_connect(x);
        return;
    }
    exchange_fail(x, why ? why : STATUS_CLOSED, "%s",
                  err && err->text[0] ? err->text : "connection closed");
}

static const struct net_stream_ops stream_ops = {
    .on_open = on_stream_open,
    .on_data = on_stream_data,
    .on_drain = on_stream_drain,
    .on_end = on_stream_end,
    .on_close = on_stream_close,
};

static void on_tick(void *arg)
{
    struct http_exchange *x = arg;
    const struct http_client_config *c = &x->client->config;
    const Usec now = loop_now_mono(c->loop);
    const Usec limit =
        x->state == EXCHANGE_WAITING && x->body.complete ? c->first_byte_timeout : c->idle_timeout;
    uint64_t out;

    if (x->state == EXCHANGE_NEW) {
        x->state = EXCHANGE_OPENING;
        body_open(x);
        return;
    }
    if (x->state != EXCHANGE_WAITING && x->state != EXCHANGE_READING)
        return;
    out = net_stream_bytes_out(x->stream);
    if (out != x->out_mark || net_stream_paused(x->stream)) {
        x->out_mark = out;
        x->progress = now;
    }
    if (now - x->progress > limit)
        exchange_fail(x, STATUS_TIMEOUT, "the server did not answer in time");
}

void exchange_connect(struct http_exchange *x)
{
    const struct http_client_config *c = &x->client->config;
    char host[256];
    Status st;

    x->state = EXCHANGE_CONNECTING;
    x->complete = false;
    x->out_mark = 0;
    body_rewind(&x->body);
    llhttp_init(&x->parser, HTTP_RESPONSE, &settings);
    x->parser.data = x;
    /* A kept connection may be half dead; only what may be asked twice goes over it. */
    if (!x->reused && (strcmp(x->method, "GET") == 0 || strcmp(x->method, "HEAD") == 0)) {
        x->stream = idle_take(x->client, &x->url);
        x->reused = x->stream != NULL;
        if (x->stream) {
            net_stream_set(x->stream, &stream_ops, x);
            send_request(x);
            return;
        }
    }
    x->reused = false;
    (void)str_copy_z(x->url.host, host, sizeof host);
    st = net_connect(c->loop, host, x->url.port, x->url.tls ? c->tls : NULL, c->connect_timeout,
                     &stream_ops, x, &x->stream, &x->err);
    if (st) {
        x->st = st;
        exchange_over(x);
    }
}

/* ---- what the owner calls ---- */

struct http_client *http_client_new(const struct http_client_config *config, struct err *err)
{
    struct http_client *c = calloc(1, sizeof *c);

    if (!c) {
        (void)err_set(err, STATUS_NOMEM, NULL, "out of memory");
        return NULL;
    }
    c->config = *config;
    if (c->config.connect_timeout <= 0)
        c->config.connect_timeout = 10 * USEC_SEC;
    if (c->config.first_byte_timeout <= 0)
        c->config.first_byte_timeout = DEFAULT_WAIT;
    if (c->config.idle_timeout <= 0)
        c->config.idle_timeout = DEFAULT_WAIT;
    list_init(&c->exchanges);
    list_init(&c->idle);
    return c;
}

void http_client_free(struct http_client *c)
{
    if (!c)
        return;
    while (!list_empty(&c->exchanges))
        http_exchange_cancel(CONTAINER_OF(c->exchanges.next, struct http_exchange, link));
    while (!list_empty(&c->idle))
        idle_over(CONTAINER_OF(c->idle.next, struct idle_conn, link));
    free(c);
}

void http_exchange_cancel(struct http_exchange *x)
{
    exchange_fail(x, STATUS_CLOSED, "cancelled");
}

static Status copy_headers(struct http_exchange *x, const char *const *headers, struct err *err)
{
    for (; headers && *headers; headers++) {
        if (strpbrk(*headers, "\r\n") || !strchr(*headers, ':'))
            return err_set(err, STATUS_INVALID, "headers", "bad header line");
        if (buf_add_z(&x->headers, *headers) || buf_add_str(&x->headers, STR("\r\n")))
            return err_set(err, STATUS_TOO_BIG, "headers", "headers are too long");
    }
    return STATUS_OK;
}

static Status check_method(const char *method, struct err *err)
{
    for (const char *p = method; *p; p++)
        if (!isupper((unsigned char)*p) && *p != '-')
            return err_set(err, STATUS_INVALID, "method", "bad method");
    return *method ? STATUS_OK : err_set(err, STATUS_INVALID, "method", "no method");
}

static Status exchange_fill(struct http_exchange *x, const struct http_call *call, struct err *err)
{
    Status st;

    buf_init(&x->headers, CLIENT_HEAD_MAX);
    buf_init(&x->url_text, URL_MAX);
    buf_init(&x->name, CLIENT_HEAD_MAX);
    buf_init(&x->value, CLIENT_HEAD_MAX);
    buf_init(&x->location, URL_MAX);
    x->reply_max = call->reply_max ? call->reply_max : REPLY_MAX;
    buf_init(&x->reply, x->reply_max);
    if (buf_add_z(&x->url_text, call->url))
        return err_set(err, STATUS_TOO_BIG, "url", "URL is too long");
    st = url_parse(buf_str(&x->url_text), &x->url, err);
    if (st)
        return st;
    if (x->url.websocket || (x->url.tls && !x->client->config.tls))
        return err_set(err, STATUS_UNSUPPORTED, "url", "this scheme is not served");
    st = check_method(call->method, err);
    if (!st)
        st = copy_headers(x, call->headers, err);
    if (!st)
        st = body_copy(&x->body, call, err);
    if (st)
        return st;
    if (call->content_type && strpbrk(call->content_type, "\r\n"))
        return err_set(err, STATUS_INVALID, "content_type", "bad content type");
    x->method = malloc(strlen(call->method) + 4); /* room for GET after a redirect */
    if (x->method)
        (void)str_copy_z(str_z(call->method), x->method, strlen(call->method) + 1);
    x->content_type = call->content_type ? strdup(call->content_type) : NULL;
    x->save_to = call->save_to ? strdup(call->save_to) : NULL;
    if (!x->method || (call->content_type && !x->content_type) || (call->save_to && !x->save_to))
        return err_set(err, STATUS_NOMEM, NULL, "out of memory");
    return STATUS_OK;
}

static Usec tick_interval(const struct http_client_config *c)
{
    Usec least = c->first_byte_timeout < c->idle_timeout ? c->first_byte_timeout : c->idle_timeout;

    least /= 4;
    return least < TICK_MIN ? TICK_MIN : least > USEC_SEC ? USEC_SEC : least;
}

Status http_client_start(struct http_client *c, const struct http_call *call, HttpDoneFn fn,
                         void *arg, struct http_exchange **ret, struct err *err)
{
    struct http_exchange *x = calloc(1, sizeof *x);
    Status st;

    if (!x)
        return err_set(err, STATUS_NOMEM, NULL, "out of memory");
    x->client = c;
    x->fn = fn;
    x->arg = arg;
    list_init(&x->link);
    st = exchange_fill(x, call, err);
    if (!st) {
        x->timer = loop_timer_new(c->config.loop, "http.client", on_tick, x);
        if (!x->timer)
            st = err_set(err, STATUS_NOMEM, NULL, "out of memory");
    }
    if (st) {
        exchange_free(x);
        return st;
    }
    list_push(&c->exchanges, &x->link);
    /* The first tick starts it, so that on_done never comes before this returns. */
    loop_timer_start(x->timer, 0, tick_interval(&c->config));
    if (ret)
        *ret = x;
    return STATUS_OK;
}
