/* gzip for replies: text types above 1 KB when the client takes it. Small ones on the loop with one
 * deflate state that is kept while there are connections, bigger ones on the zip lane. */
#include "http/http_int.h"

#include "loop/lane.h"

#include <stdlib.h>

#define GZIP_WINDOW  (15 + 16) /* zlib: a gzip wrapper */
#define LEVEL_INLINE 2
#define LEVEL_LANE   5

bool zip_type(const char *content_type)
{
    const struct str t = str_z(content_type);

    return str_starts_nocase(t, STR("text/")) || str_find(t, STR("json")) < t.n ||
           str_find(t, STR("javascript")) < t.n || str_find(t, STR("xml")) < t.n;
}

/* RFC 9110 12.5.3, as far as gzip goes. */
static bool accepts_gzip(struct str list)
{
    struct str item;

    while (str_split(&list, ',', &item)) {
        const size_t semi = str_find_char(item, ';');
        const struct str name = str_trim(str_slice(item, 0, semi));
        struct str q = str_trim(str_slice(item, semi + 1, item.n));
        double weight = 1;
        if (!str_eq_nocase(name, STR("gzip")) && !str_eq_nocase(name, STR("x-gzip")))
            continue;
        if (str_starts_nocase(q, STR("q=")) && !str_to_double(str_slice(q, 2, q.n), &weight))
            weight = 0;
        return weight > 0;
    }
    return false;
}

bool zip_wanted(const struct http_request *r, int status, const char *content_type, size_t n)
{
    if (n <= HTTP_ZIP_MIN || r->encoded || status < 200 || status == 204 || status == 304 ||
        status == 206 || http_request_is_head(r) || !content_type || !zip_type(content_type))
        return false;
    if (n > HTTP_ZIP_INLINE && !r->server->config.zip)
        return false;
    return accepts_gzip(http_request_header(r, "Accept-Encoding"));
}

/* All of body into out; false when it does not get smaller than out's maximum. */
static bool deflate_all(z_stream *z, struct str body, struct buf *out)
{
    int e;

    if (body.n > UINT32_MAX / 2 || buf_reserve(out, body.n))
        return false;
    z->next_in = (z_const Bytef *)body.p;
    z->avail_in = (uInt)body.n;
    z->next_out = (Bytef *)out->p;
    z->avail_out = (uInt)body.n;
    e = deflate(z, Z_FINISH);
    if (e != Z_STREAM_END)
        return false;
    out->n = body.n - z->avail_out;
    return true;
}

bool zip_inline(struct http_server *s, struct str body, struct buf *out)
{
    if (!s->zip) {
        s->zip = calloc(1, sizeof *s->zip);
        if (!s->zip)
            return false;
        if (deflateInit2(s->zip, LEVEL_INLINE, Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY) !=
            Z_OK) {
            free(s->zip);
            s->zip = NULL;
            return false;
        }
    } else if (deflateReset(s->zip) != Z_OK) {
        return false;
    }
    return deflate_all(s->zip, body, out);
}

void zip_done(struct http_server *s)
{
    if (s->zip)
        (void)deflateEnd(s->zip);
    free(s->zip);
    s->zip = NULL;
}

/* ---- on the lane ---- */

struct zip_work {
    struct lane_work work;
    struct http_request *r; /* alive: its reply is ours to finish */
    int status;
    char *type;
    char *body;
    size_t n;
    struct buf out;
    bool ok;
};

static void zip_work_free(struct zip_work *w)
{
    free(w->type);
    free(w->body);
    buf_done(&w->out);
    free(w);
}

static void zip_run(struct lane_work *work)
{
    struct zip_work *w = (struct zip_work *)work;
    z_stream z = { 0 };

    if (deflateInit2(&z, LEVEL_LANE, Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return;
    w->ok = deflate_all(&z, str_n(w->body, w->n), &w->out);
    (void)deflateEnd(&z);
}

static void send_taken(struct http_request *r, struct zip_work *w, char **p, size_t n,
                       const char *encoding)
{
    char *taken = *p;

    *p = NULL;
    reply_head(r, w->status, w->type, (int64_t)n, encoding);
    (void)reply_raw_take(r, taken, n);
}

static void zip_over(struct lane_work *work)
{
    struct zip_work *w = (struct zip_work *)work;
    struct http_request *r = w->r;
    size_t n = 0;
    char *p;

    r->status = w->status;
    if (r->conn) {
        p = w->ok ? buf_take(&w->out, &n) : NULL;
        if (p)
            send_taken(r, w, &p, n, "gzip");
        else
            send_taken(r, w, &w->body, w->n, NULL);
    }
    zip_work_free(w);
    request_finish(r);
}

bool zip_on_lane(struct http_request *r, int status, const char *content_type, struct str body)
{
    struct zip_work *w = calloc(1, sizeof *w);

    if (!w)
        return false;
    w->work.work = zip_run;
    w->work.done = zip_over;
    w->r = r;
    w->status = status;
    w->type = strdup(content_type);
    w->body = malloc(body.n);
    w->n = body.n;
    buf_init(&w->out, body.n);
    if (!w->type || !w->body) {
        zip_work_free(w);
        return false;
    }
    memcpy(w->body, body.p, body.n);
    if (lane_post(r->server->config.zip, &w->work)) {
        zip_work_free(w);
        return false;
    }
    r->reply = REPLY_STARTED;
    http_request_on_abort(r, NULL, NULL); /* the reply is the lane's now */
    return true;
}
