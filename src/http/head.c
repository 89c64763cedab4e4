/* Reading a request head with llhttp: collecting the spans under the limits, then the checks that
 * llhttp leaves to us (RFC 9112: version, Host, length against encoding).
 *
 * Everything is copied into one buffer and remembered by offset, since the buffer may move. */
#include "http/http_int.h"

#include "base/str.h"

static int refuse(struct http_request *r, int status)
{
    r->fail = status;
    return HPE_USER;
}

static int on_url(llhttp_t *parser, const char *at, size_t n)
{
    struct http_request *r = parser->data;

    if (n > HTTP_URL_MAX - r->url_n)
        return refuse(r, 414);
    r->url_n += n;
    return buf_add(&r->head, at, n) ? refuse(r, 431) : 0;
}

/* Trailers are read over; chunk extensions too. Together they are bounded. */
static int ignore_bounded(struct http_request *r, size_t n)
{
    r->trailer_n += n;
    return r->trailer_n > HTTP_TRAILERS_MAX ? refuse(r, 400) : 0;
}

static int on_header_field(llhttp_t *parser, const char *at, size_t n)
{
    struct http_request *r = parser->data;
    struct head_field *f = &r->fields[r->n_fields];

    if (r->head_done)
        return ignore_bounded(r, n);
    if (r->n_fields >= HTTP_HEADERS_MAX)
        return refuse(r, 431);
    if (f->name_n == 0)
        f->name = (uint32_t)r->head.n;
    f->name_n += (uint32_t)n;
    return buf_add(&r->head, at, n) ? refuse(r, 431) : 0;
}

static int on_header_value(llhttp_t *parser, const char *at, size_t n)
{
    struct http_request *r = parser->data;
    struct head_field *f = &r->fields[r->n_fields];

    if (r->head_done)
        return ignore_bounded(r, n);
    if (f->value_n == 0)
        f->value = (uint32_t)r->head.n;
    f->value_n += (uint32_t)n;
    return buf_add(&r->head, at, n) ? refuse(r, 431) : 0;
}

static int on_header_value_complete(llhttp_t *parser)
{
    struct http_request *r = parser->data;

    if (!r->head_done) {
        r->n_fields++;
        if (r->n_fields < HTTP_HEADERS_MAX)
            r->fields[r->n_fields] = (struct head_field){ 0 };
    }
    return 0;
}

static int on_chunk_extension(llhttp_t *parser, const char *at, size_t n)
{
    (void)at;
    return ignore_bounded(parser->data, n);
}

static int on_headers_complete(llhttp_t *parser)
{
    struct http_request *r = parser->data;

    /* Upgrades are the handler's decision; for the parser every request is a plain one. */
    r->upgrade = parser->upgrade != 0;
    parser->upgrade = 0;
    r->head_done = true;
    return HPE_PAUSED;
}

static int on_body(llhttp_t *parser, const char *at, size_t n)
{
    struct http_request *r = parser->data;
    const struct http_conn *c = r->conn;

    if (n == 0) /* llhttp closes an empty span when it is run without input */
        return 0;
    request_body_data(r, (const uint8_t *)at, n);
    if (c->state == CONN_BODY)
        return r->paused || r->body_mode == BODY_OVER ? HPE_PAUSED : 0;
    return c->state == CONN_DISCARD ? 0 : HPE_PAUSED;
}

static int on_message_complete(llhttp_t *parser)
{
    struct http_request *r = parser->data;

    r->message_done = true;
    return HPE_PAUSED;
}

const llhttp_settings_t http_request_settings = {
    .on_url = on_url,
    .on_header_field = on_header_field,
    .on_header_value = on_header_value,
    .on_header_value_complete = on_header_value_complete,
    .on_chunk_extension_name = on_chunk_extension,
    .on_chunk_extension_value = on_chunk_extension,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

static bool has_token(struct str list, struct str token)
{
    struct str part;

    while (str_split(&list, ',', &part))
        if (str_eq_nocase(str_trim(part), token))
            return true;
    return false;
}

static int check_headers(struct http_request *r)
{
    size_t cursor = 0;
    size_t hosts = 0;
    bool websocket = false;
    struct str name;
    struct str value;

    while (http_request_next_header(r, &cursor, &name, &value)) {
        if (str_eq_nocase(name, STR("Host"))) {
            hosts++;
        } else if (str_eq_nocase(name, STR("Expect"))) {
            if (!str_eq_nocase(value, STR("100-continue")))
                return 417;
            r->expects = !r->http10;
        } else if (str_eq_nocase(name, STR("Upgrade"))) {
            websocket = has_token(value, STR("websocket"));
        }
    }
    r->upgrade = r->upgrade && websocket && r->parser.method == HTTP_GET;
    return hosts > 1 || (hosts == 0 && !r->http10) ? 400 : 0;
}

int head_check(struct http_request *r)
{
    const llhttp_t *p = &r->parser;
    const bool chunked = (p->flags & F_CHUNKED) != 0;
    const bool encoded = (p->flags & F_TRANSFER_ENCODING) != 0;
    int status;

    if (r->head_raw > HTTP_HEAD_MAX)
        return 431;
    if (p->http_major != 1 || p->http_minor > 1)
        return 505;
    r->http10 = p->http_minor == 0;
    /* Two ways to tell the length is the way of request smuggling (RFC 9112 6.1); llhttp refuses
     * most of these, and a coding other than chunked only later. */
    if (encoded && ((p->flags & F_CONTENT_LENGTH) || !chunked || r->http10))
        return 400;
    if (p->method == HTTP_CONNECT)
        return 501;
    status = check_headers(r);
    if (status)
        return status;
    r->has_body = chunked || p->content_length > 0;
    r->content_length = -1;
    if (!chunked && (p->flags & F_CONTENT_LENGTH))
        r->content_length = p->content_length > INT64_MAX ? INT64_MAX : (int64_t)p->content_length;
    r->expects = r->expects && r->has_body;
    r->keep_alive = llhttp_should_keep_alive(p) != 0;
    return 0;
}
