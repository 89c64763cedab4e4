/* Files as replies: opened and read by the disk lane, one block at a time, each read only when the
 * connection has room. Conditions and ranges by RFC 9110 (13, 14); several ranges at once are
 * answered with the whole file, which it allows. */
#include "http/http_int.h"

#include "http/disk.h"

#include <stdio.h>
#include <stdlib.h>

struct file_reply {
    struct http_request *r;
    struct reader *reader;
    const char *type; /* these in the request's arena */
    const char *cache_control;
    const char *download_name;
    const char *encoding;
    uint64_t start; /* of the part that counts, in the file */
    int64_t wanted; /* its length, -1: to the end */
    uint64_t pos;
    uint64_t left;
    bool reading;
};

enum range_kind { RANGE_NONE, RANGE_PART, RANGE_BAD };

static void file_over(struct file_reply *f)
{
    reader_close(f->reader);
    free(f);
}

/* ---- ranges and conditions ---- */

static bool range_number(struct str s, uint64_t *ret)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
    return str_to_u64(s, ret);
}

static enum range_kind parse_range(struct str text, uint64_t size, uint64_t *from, uint64_t *n)
{
    struct str spec;
    struct str first;
    struct str last;
    uint64_t a = 0;
    uint64_t b = 0;
    size_t dash;

    if (!text.p || !str_starts_nocase(text, STR("bytes=")))
        return RANGE_NONE;
    spec = str_trim(str_slice(text, 6, text.n));
    if (str_find_char(spec, ',') < spec.n)
        return RANGE_NONE;
    dash = str_find_char(spec, '-');
    if (dash == spec.n)
        return RANGE_BAD;
    first = str_slice(spec, 0, dash);
    last = str_slice(spec, dash + 1, spec.n);
    if (first.n == 0) { /* the last b bytes */
        if (!range_number(last, &b) || b == 0 || size == 0)
            return RANGE_BAD;
        *n = b < size ? b : size;
        *from = size - *n;
        return RANGE_PART;
    }
    if (!range_number(first, &a) || a >= size)
        return RANGE_BAD;
    b = size - 1;
    if (last.n && (!range_number(last, &b) || b < a))
        return RANGE_BAD;
    if (b >= size)
        b = size - 1;
    *from = a;
    *n = b - a + 1;
    return RANGE_PART;
}

static bool etag_matches(struct str list, struct str etag)
{
    struct str item;

    while (str_split(&list, ',', &item)) {
        item = str_trim(item);
        if (str_starts(item, STR("W/")))
            item = str_slice(item, 2, item.n);
        if (str_eq(item, etag) || str_eq(item, STR("*")))
            return true;
    }
    return false;
}

static bool header_time(struct str value, Usec *ret)
{
    char z[64];

    return value.p && str_copy_z(value, z, sizeof z) && usec_parse_http(z, ret);
}

static bool not_modified(const struct http_request *r, struct str etag, Usec mtime)
{
    const struct str none_match = http_request_header(r, "If-None-Match");
    Usec since;

    if (none_match.p)
        return etag_matches(none_match, etag);
    return header_time(http_request_header(r, "If-Modified-Since"), &since) &&
           mtime / USEC_SEC <= since / USEC_SEC;
}

/* If-Range: the range counts only when the client's copy is of this very file. */
static bool range_allowed(const struct http_request *r, struct str etag, Usec mtime)
{
    const struct str v = http_request_header(r, "If-Range");
    Usec t;

    if (!v.p)
        return true;
    if (v.n && v.p[0] == '"')
        return str_eq(v, etag);
    return header_time(v, &t) && mtime / USEC_SEC == t / USEC_SEC;
}

/* ---- the head ---- */

static void add_disposition(struct http_request *r, const char *name)
{
    AUTO_BUF struct buf b = { 0 };
    bool ascii = true;

    buf_init(&b, 4096);
    (void)buf_add_str(&b, STR("attachment; filename=\""));
    for (const char *p = name; *p; p++) {
        const unsigned char c = (unsigned char)*p;
        ascii = ascii && c < 128;
        (void)buf_add_char(&b, c < ' ' || c >= 127 || c == '"' || c == '\\' || c == '/' ? '_' : *p);
    }
    (void)buf_add_char(&b, '"');
    if (!ascii) { /* RFC 6266 4.3 */
        (void)buf_add_str(&b, STR("; filename*=UTF-8''"));
        (void)http_url_encode(str_z(name), &b);
    }
    (void)http_reply_header(r, "Content-Disposition", b.failed ? STR("attachment") : buf_str(&b));
}

static void add_headers(struct file_reply *f, struct str etag, Usec mtime)
{
    struct http_request *r = f->r;
    char date[30];

    usec_format_http(mtime, date);
    (void)http_reply_header(r, "ETag", etag);
    (void)http_reply_header(r, "Last-Modified", str_z(date));
    (void)http_reply_header(r, "Accept-Ranges", STR("bytes"));
    (void)http_reply_header(r, "Cache-Control",
                            str_z(f->cache_control ? f->cache_control : "public, max-age=0"));
    if (f->download_name)
        add_disposition(r, f->download_name);
}

static void reply_bad_range(struct http_request *r, uint64_t size)
{
    char text[64];

    (void)snprintf(text, sizeof text, "bytes */%llu", (unsigned long long)size);
    (void)http_reply_header(r, "Content-Range", str_z(text));
    reply_error(r, 416);
}

static void add_content_range(struct http_request *r, uint64_t from, uint64_t n, uint64_t size)
{
    char text[96];

    (void)snprintf(text, sizeof text, "bytes %llu-%llu/%llu", (unsigned long long)from,
                   (unsigned long long)(from + n - 1), (unsigned long long)size);
    (void)http_reply_header(r, "Content-Range", str_z(text));
}

/* ---- the body ---- */

static void file_more(void *arg)
{
    struct file_reply *f = arg;
    struct http_request *r = f->r;

    if (f->reading)
        return;
    if (f->left == 0 || !r->conn || r->conn->state == CONN_CLOSING) {
        file_over(f);
        http_reply_end(r);
        return;
    }
    if (http_reply_congested(r))
        return; /* comes again when it drains */
    f->reading = true;
    reader_next(f->reader, f->pos, f->left < DISK_BLOCK ? (size_t)f->left : DISK_BLOCK);
}

static void on_block(void *arg, Status st, uint8_t *p, size_t n, const struct err *err)
{
    struct file_reply *f = arg;

    (void)err;
    f->reading = false;
    if (st || n == 0) { /* a file that got shorter: the end notices what is missing */
        f->left = 0;
        file_more(f);
        return;
    }
    f->pos += n;
    f->left -= n;
    f->r->reply_left -= (int64_t)n;
    (void)reply_raw_take(f->r, p, n);
    file_more(f);
}

static void file_send(struct file_reply *f, const struct file_facts *facts)
{
    struct http_request *r = f->r;
    const uint64_t rest = facts->size > f->start ? facts->size - f->start : 0;
    const uint64_t size = f->wanted >= 0 && (uint64_t)f->wanted < rest ? (uint64_t)f->wanted : rest;
    enum range_kind kind = RANGE_NONE;
    uint64_t from = 0;
    uint64_t n = size;
    char etag[64];

    (void)snprintf(etag, sizeof etag, "\"%llu-%lld\"", (unsigned long long)size,
                   (long long)(facts->mtime / USEC_MSEC));
    if (not_modified(r, str_z(etag), facts->mtime)) {
        add_headers(f, str_z(etag), facts->mtime);
        file_over(f);
        http_reply(r, 304, NULL, STR_NONE);
        return;
    }
    if (range_allowed(r, str_z(etag), facts->mtime))
        kind = parse_range(http_request_header(r, "Range"), size, &from, &n);
    if (kind == RANGE_BAD) {
        file_over(f);
        reply_bad_range(r, size);
        return;
    }
    add_headers(f, str_z(etag), facts->mtime);
    if (kind == RANGE_PART)
        add_content_range(r, from, n, size);
    reply_head(r, kind == RANGE_PART ? 206 : 200, f->type, (int64_t)n, f->encoding);
    f->pos = f->start + from;
    f->left = r->no_body ? 0 : n;
    http_reply_on_drain(r, file_more, f);
    http_request_on_abort(r, file_more, f); /* lost while waiting for room */
    file_more(f);
}

static void on_open(void *arg, Status st, const struct file_facts *facts, const struct err *err)
{
    struct file_reply *f = arg;
    struct http_request *r = f->r;

    (void)err;
    if (!r->conn) {
        file_over(f);
        r->status = 499;
        request_finish(r);
    } else if (st) {
        file_over(f);
        reply_error(r, st == STATUS_MISSING ? 404 : st == STATUS_DENIED ? 403 : status_http(st));
    } else {
        file_send(f, facts);
    }
}

static const char *keep(struct http_request *r, const char *z)
{
    return z ? arena_dup_z(http_request_arena(r), str_z(z)) : NULL;
}

void http_reply_file(struct http_request *r, const struct http_file *file)
{
    static const struct reader_ops ops = { .on_open = on_open, .on_block = on_block };
    const struct str name = str_z(file->download_name ? file->download_name : file->path);
    struct file_reply *f;
    Status st;

    if (!r->conn || !http_request_arena(r)) {
        http_reply(r, 503, "text/plain", STR("503 Service Unavailable"));
        return;
    }
    f = calloc(1, sizeof *f);
    if (!f) {
        reply_error(r, 503);
        return;
    }
    f->r = r;
    http_request_on_abort(r, NULL, NULL); /* the reply is ours now */
    f->type = keep(r, file->content_type ? file->content_type : http_content_type(name));
    f->cache_control = keep(r, file->cache_control);
    f->download_name = keep(r, file->download_name);
    f->encoding = keep(r, file->content_encoding);
    f->start = file->offset;
    f->wanted = file->length;
    st = reader_open(r->server->config.loop, r->server->config.disk, file->path, &ops, f,
                     &f->reader);
    if (st) {
        free(f);
        (void)http_reply_header(r, "Retry-After", STR("1"));
        reply_error(r, 503);
    }
}
