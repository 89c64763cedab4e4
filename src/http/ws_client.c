/* The client's half of the opening handshake (RFC 6455 4.1): connects, asks, checks the answer. */
#include "http/ws_int.h"

#include "crypto/crypto.h"
#include "http/url.h"

#include <llhttp.h>
#include <stdlib.h>

#define HANDSHAKE_HEAD_MAX (16u * 1024)

struct ws_handshake {
    llhttp_t parser;
    struct buf request;
    struct buf name; /* of the header being read */
    struct buf value;
    size_t seen;
    char accept[WS_ACCEPT_SIZE]; /* expected */
    bool accepted;
    bool upgraded;
    bool complete;
};

void handshake_free(struct ws_handshake *h)
{
    if (!h)
        return;
    buf_done(&h->request);
    buf_done(&h->name);
    buf_done(&h->value);
    free(h);
}

static int on_field(llhttp_t *p, const char *at, size_t n)
{
    struct ws_handshake *h = p->data;

    return buf_add(&h->name, at, n) ? HPE_USER : 0;
}

static int on_value(llhttp_t *p, const char *at, size_t n)
{
    struct ws_handshake *h = p->data;

    return buf_add(&h->value, at, n) ? HPE_USER : 0;
}

static int on_value_complete(llhttp_t *p)
{
    struct ws_handshake *h = p->data;
    const struct str name = buf_str(&h->name);
    const struct str value = str_trim(buf_str(&h->value));

    if (str_eq_nocase(name, STR("Sec-WebSocket-Accept")))
        h->accepted = str_eq(value, str_z(h->accept));
    else if (str_eq_nocase(name, STR("Upgrade")))
        h->upgraded = str_eq_nocase(value, STR("websocket"));
    buf_clear(&h->name);
    buf_clear(&h->value);
    return 0;
}

static int on_headers_complete(llhttp_t *p)
{
    struct ws_handshake *h = p->data;

    h->complete = true;
    return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_header_field = on_field,
    .on_header_value = on_value,
    .on_header_value_complete = on_value_complete,
    .on_headers_complete = on_headers_complete,
};

void handshake_send(struct ws *w)
{
    const struct buf *b = &w->handshake->request;

    (void)net_stream_write(w->stream, b->p, b->n);
}

bool handshake_feed(struct ws *w, const uint8_t *p, size_t n, size_t *used)
{
    struct ws_handshake *h = w->handshake;
    const char *at = (const char *)p;
    const llhttp_errno_t e = llhttp_execute(&h->parser, at, n);

    h->seen += n;
    if (!h->complete) {
        if (e != HPE_OK)
            ws_fail(w, 1006, STATUS_INVALID, "the server does not speak HTTP");
        else if (h->seen > HANDSHAKE_HEAD_MAX)
            ws_fail(w, 1006, STATUS_TOO_BIG, "the head of the reply is too big");
        return false;
    }
    *used = (size_t)(llhttp_get_error_pos(&h->parser) - at);
    if (h->parser.status_code != 101) {
        const int status = h->parser.status_code;
        ws_fail(w, 1006, status == 401 || status == 403 ? STATUS_DENIED : STATUS_INVALID,
                "the server answered %d %s", status, http_status_text(status));
        return false;
    }
    if (!h->accepted || !h->upgraded) {
        ws_fail(w, 1006, STATUS_INVALID, "the server answered with a bad WebSocket handshake");
        return false;
    }
    return true;
}

static void on_deadline(void *arg)
{
    ws_fail(arg, 1006, STATUS_TIMEOUT, "no WebSocket handshake in time");
}

static void write_request(struct ws_handshake *h, const struct url *u, const char *user_agent,
                          struct str key)
{
    struct buf *b = &h->request;
    const struct str slash = u->target.n && u->target.p[0] == '/' ? STR("") : STR("/");

    (void)buf_printf(b, "GET %.*s%.*s HTTP/1.1\r\nHost: %s%.*s%s", STR_FMT(slash),
                     STR_FMT(u->target), u->ipv6 ? "[" : "", STR_FMT(u->host), u->ipv6 ? "]" : "");
    if (u->has_port)
        (void)buf_printf(b, ":%u", u->port);
    (void)buf_printf(
        b,
        "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: %.*s\r\n",
        STR_FMT(key));
    if (user_agent)
        (void)buf_printf(b, "User-Agent: %s\r\n", user_agent);
    (void)buf_add_str(b, STR("\r\n"));
}

static struct ws_handshake *handshake_new(const struct url *u, const char *user_agent)
{
    struct ws_handshake *h = calloc(1, sizeof *h);
    AUTO_BUF struct buf key = { 0 };
    uint8_t nonce[16];

    buf_init(&key, 64);
    if (!h)
        return NULL;
    buf_init(&h->request, URL_MAX + 2048);
    buf_init(&h->name, HANDSHAKE_HEAD_MAX);
    buf_init(&h->value, HANDSHAKE_HEAD_MAX);
    llhttp_init(&h->parser, HTTP_RESPONSE, &settings);
    h->parser.data = h;
    crypto_random(nonce, sizeof nonce);
    (void)crypto_base64(str_n(nonce, sizeof nonce), false, &key);
    ws_accept_key(buf_str(&key), h->accept);
    write_request(h, u, user_agent, buf_str(&key));
    if (key.failed || h->request.failed) {
        handshake_free(h);
        return NULL;
    }
    return h;
}

static Status check_url(const char *url, struct net_tls *tls, struct url *u, struct err *err)
{
    const Status st = url_parse(str_z(url), u, err);

    if (st)
        return st;
    if (!u->websocket)
        return err_set(err, STATUS_INVALID, "url", "URL does not begin with ws:// or wss://");
    if (u->tls && !tls)
        return err_set(err, STATUS_UNSUPPORTED, "url", "wss:// without TLS");
    return STATUS_OK;
}

Status ws_connect(struct loop *l, const char *url, struct net_tls *tls, const char *user_agent,
                  Usec deadline, const struct ws_config *config, const struct ws_ops *ops,
                  void *ctx, struct ws **ret, struct err *err)
{
    struct net_stream *s = NULL;
    struct url u;
    char host[256];
    struct ws *w;
    Status st;

    st = check_url(url, tls, &u, err);
    if (st)
        return st;
    w = ws_new(l, false, config, ops, ctx);
    if (!w)
        return err_set(err, STATUS_NOMEM, NULL, "out of memory");
    w->handshake = handshake_new(&u, user_agent);
    w->timer = loop_timer_new(l, "ws.handshake", on_deadline, w);
    if (!w->handshake || !w->timer) {
        ws_free(w);
        return err_set(err, STATUS_NOMEM, NULL, "out of memory");
    }
    (void)str_copy_z(u.host, host, sizeof host);
    st = net_connect(l, host, u.port, u.tls ? tls : NULL, deadline, &ws_stream_ops, w, &s, err);
    if (st) {
        ws_free(w);
        return st;
    }
    ws_attach(w, s);
    loop_timer_start(w->timer, deadline > 0 ? deadline : 10 * USEC_SEC, 0);
    *ret = w;
    return STATUS_OK;
}
