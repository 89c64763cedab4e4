/* Inside of room http, the server side: server, connection, request. Nothing here is for other
 * rooms.
 *
 * A connection is small and owns no parser. While bytes of a request arrive or a request is handled
 * it borrows a struct http_request (parser, head, arena), which goes back to the server's spare
 * list when the exchange is over; so idle connections cost little and a busy one allocates nothing.
 */
#ifndef HTTP_INT_H
#define HTTP_INT_H

#include "http/server.h"

#include "base/list.h"
#include "base/vec.h"

#include <llhttp.h>
#include <zlib.h>

#define HTTP_PIPELINE_MAX                                                                          \
    LIMIT(64u * 1024, 256u) /* unparsed bytes kept while a request is handled */
#define HTTP_DISCARD_MAX  LIMIT(256u * 1024, 1024u) /* body bytes dropped to keep a connection */
#define HTTP_TRAILERS_MAX LIMIT(16u * 1024, 512u)   /* trailers and chunk extensions of one body */
#define HTTP_REPLY_HEAD   LIMIT(64u * 1024, 8192u)
#define HTTP_SPARES_MAX   64u
#define HTTP_LINGER       (2 * USEC_SEC)
#define HTTP_ZIP_MIN      1024u
#define HTTP_ZIP_INLINE   (64u * 1024)
#define HTTP_BLOCK        LIMIT(128u * 1024, 512u) /* of files read and written by the disk lane */

enum conn_state {
    CONN_IDLE,    /* between requests, no request object */
    CONN_HEAD,    /* a head is arriving */
    CONN_BODY,    /* handler called, body not complete */
    CONN_BUSY,    /* request complete, reply not */
    CONN_DISCARD, /* replied, the rest of the body is dropped */
    CONN_CLOSING, /* last bytes leave */
    CONN_GONE,    /* the stream was taken for an upgrade */
};

enum body_mode { BODY_NONE, BODY_COLLECT, BODY_STREAM, BODY_OVER };
enum reply_state { REPLY_NONE, REPLY_STARTED, REPLY_DONE };

struct http_conn {
    struct list link;
    struct net_stream *stream;
    struct http_server *server;
    struct http_request *req;
    struct http_request *retired; /* finished while the parser was at work on it */
    struct buf in;                /* arrived, not parsed */
    size_t in_off;
    Usec since; /* of the last progress in this state */
    uint64_t out_mark;
    Usec out_since;
    enum conn_state state;
    bool served; /* a request was handled before */
    bool eof;
    bool pumping;
    bool kick; /* the parser must run once, even without input */
};

struct head_field {
    uint32_t name;
    uint32_t name_n;
    uint32_t value;
    uint32_t value_n;
};

struct http_request {
    llhttp_t parser;
    struct http_conn *conn; /* NULL once the connection is lost or moved on */
    struct http_server *server;
    struct http_request *next_spare;
    struct arena *arena;
    struct buf head; /* url, names and values, back to back */
    size_t url_n;
    size_t head_raw;  /* bytes of the head as they came */
    size_t trailer_n; /* bytes of trailers and chunk extensions */
    uint32_t n_fields;
    int fail; /* HTTP status to answer instead of 400 */
    struct head_field fields[HTTP_HEADERS_MAX];

    int64_t content_length; /* -1: chunked or none */
    uint64_t body_seen;
    struct buf body;
    uint64_t body_max;
    union {
        HttpBodyFn whole;
        const struct http_body_ops *ops;
    } body_to;
    void *body_arg;
    void (*abort_fn)(void *arg);
    void *abort_arg;
    void (*drain_fn)(void *arg);
    void *drain_arg;
    void *user;

    struct buf extra; /* reply headers of the handler */
    struct buf out;   /* the reply head being built */
    int64_t reply_left;
    uint64_t bytes_out;
    Usec started;
    int status;
    enum body_mode body_mode;
    enum reply_state reply;
    bool head_done;
    bool message_done;
    bool has_body;
    bool keep_alive;
    bool http10;
    bool upgrade; /* asks for a WebSocket */
    bool expects; /* Expect: 100-continue not answered yet */
    bool paused;
    bool aborted;
    bool counted; /* in server->active */
    bool chunked; /* the reply */
    bool no_body; /* of the reply: HEAD, 204, 304 */
    bool encoded; /* the handler set Content-Encoding */
    bool finished;
    uint32_t holds; /* callbacks running on it */
    char peer[NET_ADDR_MAX];
    bool is_tls;
};

struct http_server {
    struct http_server_config config;
    struct vec listeners;
    struct list conns;
    size_t n_conns;
    size_t n_requests; /* alive, spares not counted */
    size_t active;
    struct loop_timer *sweep;
    Usec sweep_every;
    struct http_request *spare;
    size_t n_spare;
    Usec common_at; /* second of the cached header lines */
    size_t common_n;
    char common[160]; /* "Server: ...\r\nDate: ...\r\n" */
    uint64_t requests;
    uint64_t bytes_in;
    uint64_t bytes_out;
    z_stream *zip;
    bool draining;
    bool freed;
    void (*drain_fn)(void *arg);
    void *drain_arg;
    struct loop_timer *drain_timer;
};

/* conn.c */
void conn_accept(struct http_server *s, struct net_stream *stream);
void conn_pump(struct http_conn *c, const uint8_t *p, size_t n);
void conn_kick(struct http_conn *c); /* something changed: go on when not at it already */
void conn_reply_over(struct http_conn *c, struct http_request *r);
void conn_sweep(struct http_conn *c, Usec now);
void conn_cut(struct http_conn *c);
void conn_close_gently(struct http_conn *c);
/* Takes the stream; what was read behind the head goes into left. The connection is gone. */
struct net_stream *conn_take_stream(struct http_request *r, struct buf *left);

/* head.c */
extern const llhttp_settings_t http_request_settings;
int head_check(struct http_request *r); /* 0, or the HTTP status that refuses it */

/* request.c */
struct http_request *request_take(struct http_server *s, struct http_conn *c);
void request_recycle(struct http_request *r);
void request_free(struct http_request *r);
void request_body_data(struct http_request *r, const uint8_t *p, size_t n);
void request_body_end(struct http_request *r, Status st);
void request_lost(struct http_request *r); /* the connection died */
void request_hold(struct http_request *r);
void request_release(struct http_request *r);
void request_settle(struct http_request *r);
void request_finish(struct http_request *r); /* the reply is complete */

/* reply.c */
void reply_plain_error(struct http_conn *c, int status); /* before there is a request to answer */
void reply_error(struct http_request *r, int status);    /* "404 Not Found" as text/plain */
/* Head of a reply; length -1: unknown. encoding may be NULL. */
void reply_head(struct http_request *r, int status, const char *content_type, int64_t length,
                const char *encoding);
Status reply_raw(struct http_request *r, const void *p, size_t n);
Status reply_raw_take(struct http_request *r, void *p, size_t n);
void reply_continue(struct http_request *r);

/* zip.c */
bool zip_wanted(const struct http_request *r, int status, const char *content_type, size_t n);
bool zip_inline(struct http_server *s, struct str body, struct buf *out);
bool zip_on_lane(struct http_request *r, int status, const char *content_type, struct str body);
bool zip_type(const char *content_type);
void zip_done(struct http_server *s);

/* server.c */
void server_conn_gone(struct http_server *s);
void server_maybe_free(struct http_server *s);
const char *server_common(struct http_server *s, size_t *ret_n);

#endif
