/* A request as the handler sees it: what was asked, the body, and its life.
 *
 * The object belongs to the handler from on_request to its final reply call. While a callback of
 * the handler runs on it, it is held, so that a reply inside the callback cannot take it away under
 * us. */
#include "http/http_int.h"

#include <assert.h>
#include <stdlib.h>

#define HEAD_KEEP (8u * 1024) /* of the head buffer of a spare */

/* ---- life ---- */

static struct http_request *request_new(void)
{
    struct http_request *r = calloc(1, sizeof *r);

    if (!r)
        return NULL;
    buf_init(&r->head, HTTP_HEAD_MAX);
    buf_init(&r->extra, HTTP_REPLY_HEAD / 2);
    buf_init(&r->out, HTTP_REPLY_HEAD);
    return r;
}

void request_free(struct http_request *r)
{
    arena_free(r->arena);
    buf_done(&r->head);
    buf_done(&r->extra);
    buf_done(&r->out);
    buf_done(&r->body);
    free(r);
}

struct http_request *request_take(struct http_server *s, struct http_conn *c)
{
    struct http_request *r = s->spare;

    if (r) {
        s->spare = r->next_spare;
        s->n_spare--;
    } else {
        r = request_new();
        if (!r)
            return NULL;
    }
    s->n_requests++;
    r->server = s;
    r->conn = c;
    r->content_length = -1;
    r->is_tls = net_stream_is_tls(c->stream);
    (void)str_copy_z(str_z(net_stream_peer(c->stream)), r->peer, sizeof r->peer);
    llhttp_init(&r->parser, HTTP_REQUEST, &http_request_settings);
    r->parser.data = r;
    return r;
}

static void shrink(struct buf *b, size_t max)
{
    if (b->cap > HEAD_KEEP || b->failed) {
        buf_done(b);
        buf_init(b, max);
    }
    buf_clear(b);
}

/* Everything behind the parser back to zero, but for the memory that is worth keeping. */
static void request_clear(struct http_request *r)
{
    struct arena *arena = r->arena;
    struct buf head = r->head;
    struct buf extra = r->extra;
    struct buf out = r->out;

    buf_done(&r->body);
    if (arena)
        arena_reset(arena);
    shrink(&head, HTTP_HEAD_MAX);
    shrink(&extra, HTTP_REPLY_HEAD / 2);
    shrink(&out, HTTP_REPLY_HEAD);
    memset(&r->parser, 0, offsetof(struct http_request, fields));
    memset(&r->fields[0], 0, sizeof r->fields[0]);
    memset((char *)r + offsetof(struct http_request, content_length), 0,
           sizeof *r - offsetof(struct http_request, content_length));
    r->arena = arena;
    r->head = head;
    r->extra = extra;
    r->out = out;
}

void request_recycle(struct http_request *r)
{
    struct http_server *s = r->server;

    s->n_requests--;
    if (s->freed || s->n_spare >= HTTP_SPARES_MAX) {
        request_free(r);
    } else {
        request_clear(r);
        r->next_spare = s->spare;
        s->spare = r;
        s->n_spare++;
    }
    if (s->freed)
        server_maybe_free(s);
}

void request_hold(struct http_request *r)
{
    r->holds++;
}

/* A finished request that nobody holds and no connection parses goes back. */
void request_settle(struct http_request *r)
{
    if (r->finished && r->holds == 0 && !r->conn)
        request_recycle(r);
}

void request_release(struct http_request *r)
{
    r->holds--;
    request_settle(r);
}

void request_finish(struct http_request *r)
{
    struct http_server *s = r->server;
    struct http_conn *c = r->conn;

    if (r->finished)
        return;
    r->finished = true;
    r->reply = REPLY_DONE;
    r->abort_fn = NULL;
    r->drain_fn = NULL;
    if (r->counted) {
        r->counted = false;
        s->active--;
    }
    s->bytes_out += r->bytes_out;
    if (s->config.on_done)
        s->config.on_done(s->config.ctx, r, r->status, r->bytes_out,
                          loop_now_mono(s->config.loop) - r->started);
    if (c)
        conn_reply_over(c, r);
    else
        request_settle(r);
}

void request_lost(struct http_request *r)
{
    void (*fn)(void *arg);

    r->conn = NULL;
    r->aborted = true;
    if (r->finished) {
        request_settle(r);
        return;
    }
    request_hold(r);
    if (r->body_mode == BODY_COLLECT || r->body_mode == BODY_STREAM)
        request_body_end(r, STATUS_CLOSED);
    fn = r->abort_fn;
    r->abort_fn = NULL;
    if (fn)
        fn(r->abort_arg);
    request_release(r);
}

/* ---- body ---- */

static void body_start(struct http_request *r, enum body_mode mode, uint64_t max, void *arg)
{
    assert(r->body_mode == BODY_NONE);
    r->body_mode = mode;
    r->body_max = max;
    r->body_arg = arg;
    if (!r->conn) {
        request_body_end(r, STATUS_CLOSED);
        return;
    }
    if (!r->has_body) {
        request_body_end(r, STATUS_OK);
        return;
    }
    if (r->content_length > 0 && (uint64_t)r->content_length > max) {
        request_body_end(r, STATUS_TOO_BIG);
        return;
    }
    if (mode == BODY_COLLECT) {
        const uint64_t bound = max < SIZE_MAX / 2 ? max : SIZE_MAX / 2;
        buf_init(&r->body, (size_t)bound + 1);
        if (r->content_length > 0 && r->content_length <= (int64_t)HTTP_PIPELINE_MAX)
            (void)buf_reserve(&r->body, (size_t)r->content_length);
    }
    if (r->expects)
        reply_continue(r);
    r->conn->since = loop_now_mono(r->server->config.loop);
    conn_kick(r->conn);
}

void http_request_read_body(struct http_request *r, uint64_t max, HttpBodyFn fn, void *arg)
{
    r->body_to.whole = fn;
    body_start(r, BODY_COLLECT, max, arg);
}

void http_request_stream_body(struct http_request *r, const struct http_body_ops *ops, void *arg)
{
    r->body_to.ops = ops;
    body_start(r, BODY_STREAM, r->server->config.limits.body_max, arg);
}

void request_body_data(struct http_request *r, const uint8_t *p, size_t n)
{
    struct http_conn *c = r->conn;

    if (!c)
        return;
    c->since = loop_now_mono(r->server->config.loop);
    r->body_seen += n;
    if (c->state == CONN_DISCARD) {
        if (r->body_seen > HTTP_DISCARD_MAX)
            conn_close_gently(c);
        return;
    }
    if (r->body_mode == BODY_OVER)
        return;
    if (r->body_seen > r->body_max) {
        request_body_end(r, STATUS_TOO_BIG);
        return;
    }
    if (r->body_mode == BODY_STREAM) {
        request_hold(r);
        r->body_to.ops->on_data(r->body_arg, r, p, n);
        request_release(r);
        return;
    }
    if (r->body_mode == BODY_COLLECT && buf_add(&r->body, p, n))
        request_body_end(r, STATUS_NOMEM);
}

/* Tells the consumer, once, how the body ended. */
void request_body_end(struct http_request *r, Status st)
{
    const enum body_mode mode = r->body_mode;

    if (mode == BODY_OVER)
        return;
    r->body_mode = BODY_OVER;
    if (st)
        r->keep_alive = false;
    request_hold(r);
    if (mode == BODY_COLLECT)
        r->body_to.whole(r->body_arg, r, st, st ? STR_NONE : buf_str(&r->body));
    else if (mode == BODY_STREAM)
        r->body_to.ops->on_end(r->body_arg, r, st);
    request_release(r);
}

void http_request_pause(struct http_request *r)
{
    r->paused = true;
}

void http_request_resume(struct http_request *r)
{
    if (!r->paused)
        return;
    r->paused = false;
    if (!r->conn || r->body_mode == BODY_OVER)
        return;
    r->conn->since = loop_now_mono(r->server->config.loop);
    conn_kick(r->conn);
}

/* ---- asking ---- */

struct arena *http_request_arena(struct http_request *r)
{
    if (!r->arena)
        r->arena = arena_new(HTTP_ARENA_MAX);
    return r->arena;
}

struct str http_request_method(const struct http_request *r)
{
    return str_z(llhttp_method_name((llhttp_method_t)r->parser.method));
}

static struct str request_url(const struct http_request *r)
{
    return str_n(r->head.p, r->url_n);
}

struct str http_request_path(const struct http_request *r)
{
    const struct str url = request_url(r);

    return str_slice(url, 0, str_find_char(url, '?'));
}

struct str http_request_query(const struct http_request *r)
{
    const struct str url = request_url(r);

    return str_slice(url, str_find_char(url, '?') + 1, url.n);
}

bool http_request_next_header(const struct http_request *r, size_t *cursor, struct str *ret_name,
                              struct str *ret_value)
{
    const struct head_field *f;

    if (*cursor >= r->n_fields)
        return false;
    f = &r->fields[(*cursor)++];
    *ret_name = str_n(r->head.p + f->name, f->name_n);
    *ret_value = f->value_n ? str_trim(str_n(r->head.p + f->value, f->value_n)) : STR("");
    return true;
}

struct str http_request_header(const struct http_request *r, const char *name)
{
    const struct str wanted = str_z(name);
    size_t cursor = 0;
    struct str n;
    struct str v;

    while (http_request_next_header(r, &cursor, &n, &v))
        if (n.n == wanted.n && str_eq_nocase(n, wanted))
            return v;
    return STR_NONE;
}

struct str http_request_cookie(const struct http_request *r, const char *name)
{
    const struct str wanted = str_z(name);
    size_t cursor = 0;
    struct str n;
    struct str v;

    while (http_request_next_header(r, &cursor, &n, &v)) {
        struct str part;
        if (!str_eq_nocase(n, STR("Cookie")))
            continue;
        while (str_split(&v, ';', &part)) {
            const size_t eq = str_find_char(part, '=');
            struct str value;
            if (eq == part.n || !str_eq(str_trim(str_slice(part, 0, eq)), wanted))
                continue;
            value = str_trim(str_slice(part, eq + 1, part.n));
            if (value.n >= 2 && value.p[0] == '"' && value.p[value.n - 1] == '"')
                value = str_slice(value, 1, value.n - 1);
            return value;
        }
    }
    return STR_NONE;
}

const char *http_request_peer(const struct http_request *r)
{
    return r->peer;
}

bool http_request_is_tls(const struct http_request *r)
{
    return r->is_tls;
}

bool http_request_is_head(const struct http_request *r)
{
    return r->parser.method == HTTP_HEAD;
}

int64_t http_request_content_length(const struct http_request *r)
{
    return r->content_length;
}

bool http_request_has_body(const struct http_request *r)
{
    return r->has_body;
}

bool http_request_aborted(const struct http_request *r)
{
    return r->aborted;
}

void http_request_on_abort(struct http_request *r, void (*fn)(void *arg), void *arg)
{
    r->abort_fn = fn;
    r->abort_arg = arg;
}

void *http_request_user(const struct http_request *r)
{
    return r->user;
}

void http_request_set_user(struct http_request *r, void *user)
{
    r->user = user;
}
