/* HTTP/1.1 server on llhttp (RFC 9110, 9112): keep-alive, pipelining (requests of one connection
 * are handled one after the other, replies in order), chunked both ways, streaming bodies, ranges,
 * gzip, timeouts for each phase, graceful drain.
 *
 * Life of a request: on_request is called when the head is complete. The handler then owns the
 * request until it has finished the reply (http_reply, or http_reply_start ... http_reply_end);
 * every request gets exactly one reply. If the connection dies earlier, on_abort is called once
 * (when set), reply calls become harmless no-ops, and the request lives until the handler's final
 * reply call, which frees it. So asynchronous work may hold the pointer as long as it has not
 * replied. */
#ifndef HTTP_SERVER_H
#define HTTP_SERVER_H

#include "base/arena.h"
#include "base/buf.h"
#include "net/listener.h"

struct lane;
struct http_server;
struct http_request;

#define HTTP_HEAD_MAX    LIMIT(64u * 1024, 2048u) /* request line + headers together; 431 */
#define HTTP_HEADERS_MAX LIMIT(100u, 16u)
#define HTTP_URL_MAX     LIMIT(16u * 1024, 512u) /* 414 */
#define HTTP_ARENA_MAX   LIMIT(128u * 1024 * 1024, 1024u * 1024)

struct http_limits {
    size_t connections_max; /* 2048 */
    size_t
        requests_max; /* being handled at once: 256; more get 503 + Retry-After; not for upgraded */
    uint64_t body_max;  /* 1 GiB; 413 */
    Usec head_timeout;  /* 30 s from the first byte (or accept) to the end of the head */
    Usec body_timeout;  /* 30 s without progress of the body */
    Usec write_timeout; /* 30 s without progress of the reply */
    Usec idle_timeout;  /* 30 s between requests of a connection */
};
struct http_limits http_limits_default(void);

struct http_server_config {
    struct loop *loop;
    struct lane *disk; /* file reads and writes */
    struct lane *zip;  /* gzip of big replies; NULL: on the loop, up to 64 KB only */
    struct http_limits limits;
    const char *server_name; /* Server header; "Orrery" */
    void (*on_request)(void *ctx, struct http_request *r);
    /* One finished exchange, for the access log and counters. may be NULL. */
    void (*on_done)(void *ctx, const struct http_request *r, int status, uint64_t bytes_out,
                    Usec elapsed);
    void *ctx;
};

Status http_server_new(const struct http_server_config *config, struct http_server **ret,
                       struct err *err) MUST_USE;
/* Any number of listeners, each plain or TLS. ret_port (may be NULL) gets the real port. */
Status http_server_listen(struct http_server *s, const char *bind, uint16_t port,
                          struct net_tls *tls, uint16_t *ret_port, struct err *err) MUST_USE;
/* Stops accepting, lets running requests finish, closes idle connections; fn(arg) when none is left
 * or after deadline microseconds from now (then cut). WebSockets are the owner's to close. */
void http_server_drain(struct http_server *s, Usec deadline, void (*fn)(void *arg), void *arg);
void http_server_free(struct http_server *s); /* after drain */

struct http_stats {
    uint64_t requests, bytes_in, bytes_out;
    size_t connections, active;
};
struct http_stats http_server_stats(const struct http_server *s);

/* The request. Strings are borrowed from its arena. */
struct arena *http_request_arena(struct http_request *r);
struct str http_request_method(const struct http_request *r); /* "GET" */
struct str http_request_path(const struct http_request *r);   /* before '?', as sent */
struct str http_request_query(const struct http_request *r);  /* after '?', as sent */
struct str http_request_header(const struct http_request *r,
                               const char *name); /* .p NULL: absent */
bool http_request_next_header(const struct http_request *r, size_t *cursor, struct str *ret_name,
                              struct str *ret_value);
struct str http_request_cookie(const struct http_request *r, const char *name);
const char *http_request_peer(const struct http_request *r);
bool http_request_is_tls(const struct http_request *r);
bool http_request_is_head(const struct http_request *r);
int64_t http_request_content_length(const struct http_request *r); /* -1: chunked or none */
bool http_request_has_body(const struct http_request *r);
bool http_request_aborted(const struct http_request *r);
void http_request_on_abort(struct http_request *r, void (*fn)(void *arg), void *arg);
void *http_request_user(const struct http_request *r); /* a pointer of the handler's */
void http_request_set_user(struct http_request *r, void *user);

/* Body, one of these, once; if none is called the body is read and dropped (bounded) before the
 * reply ends the exchange, or the connection is closed. Whole: fn gets it (borrowed, request arena)
 * or a Status: TOO_BIG, TIMEOUT, CLOSED, INVALID. It may come before the call returns, so let it be
 * the last thing a handler does; the same holds for on_end of a request without a body. */
typedef void (*HttpBodyFn)(void *arg, struct http_request *r, Status st, struct str body);
void http_request_read_body(struct http_request *r, uint64_t max, HttpBodyFn fn, void *arg);

/* Streaming: on_data gets pieces; pause/resume give back-pressure; on_end with OK or the failure.
 */
struct http_body_ops {
    void (*on_data)(void *arg, struct http_request *r, const uint8_t *p, size_t n);
    void (*on_end)(void *arg, struct http_request *r, Status st);
};
void http_request_stream_body(struct http_request *r, const struct http_body_ops *ops, void *arg);
void http_request_pause(struct http_request *r);
void http_request_resume(struct http_request *r);

/* Reply. Extra headers: `http_reply_header` before the reply starts (names and values are checked:
 * a CR, LF or NUL makes INVALID). Content-Length, Date, Server, Connection are the server's own
 * business. */
Status http_reply_header(struct http_request *r, const char *name, struct str value);
/* Whole reply; body is copied (or sent as it is). Gzips text types above 1 KB when the client
 * accepts it. At most NET_PENDING_MAX: what is bigger must be streamed, or the connection is cut.
 */
void http_reply(struct http_request *r, int status, const char *content_type, struct str body);
/* As above, takes the buf's memory. */
void http_reply_buf(struct http_request *r, int status, const char *content_type, struct buf *body);
/* Streamed: length -1 means chunked. on_drain (may be NULL) when more may be written. */
void http_reply_start(struct http_request *r, int status, const char *content_type, int64_t length);
Status http_reply_write(struct http_request *r, const void *p,
                        size_t n); /* CLOSED when the peer is gone */
bool http_reply_congested(const struct http_request *r);
void http_reply_on_drain(struct http_request *r, void (*fn)(void *arg), void *arg);
void http_reply_end(struct http_request *r);

/* Sends a file through the disk lane, never whole in memory: Range (206, 416), ETag and
 * Last-Modified with 304, HEAD. The file is opened on the lane; missing gives 404 in plain text. */
struct http_file {
    const char *path;
    const char *content_type;     /* NULL: from the extension of name (or path) */
    const char *cache_control;    /* "public, max-age=0" when NULL */
    const char *download_name;    /* not NULL: Content-Disposition attachment */
    const char *content_encoding; /* "gzip" for stored logs; NULL none */
    uint64_t offset;              /* first byte of the file that counts as 0 */
    int64_t length;               /* -1: to the end as of opening */
};
void http_reply_file(struct http_request *r, const struct http_file *f);

const char *http_content_type(struct str filename); /* "application/octet-stream" by default */
const char *http_status_text(int status);

/* Query strings and forms (application/x-www-form-urlencoded). Walks decoded pairs, copies in the
 * arena; false at the end. Malformed percent escapes are kept as they are. */
bool http_form_next(struct str *rest, struct arena *a, struct str *ret_key, struct str *ret_value);
struct str http_url_decode(struct arena *a, struct str s, bool plus_is_space);
Status http_url_encode(struct str s, struct buf *out);

#endif
