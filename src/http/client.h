/* HTTP/1.1 client on llhttp for the satellite: one request a connection-or-reuse, streamed bodies
 * from and to files, small memory. (Web hooks and anything that meets the open Internet: fetch.h,
 * on libcurl.)
 *
 * Owner: the exchange frees itself after on_done, which comes exactly once; cancel makes it come
 * with CLOSED, before cancel returns. It never comes before http_client_start has returned. */
#ifndef HTTP_CLIENT_H
#define HTTP_CLIENT_H

#include "base/buf.h"
#include "loop/lane.h"
#include "net/stream.h"

struct http_client;
struct http_exchange;

struct http_client_config {
    struct loop *loop;
    struct lane *disk;
    const char *user_agent;
    struct net_tls *tls;     /* for https; NULL: https is refused */
    Usec connect_timeout;    /* 10 s (satellite.md 13) */
    Usec first_byte_timeout; /* 300 s */
    Usec idle_timeout;       /* 30 s */
    size_t redirects_max;    /* 5 */
};

struct http_client *http_client_new(const struct http_client_config *config, struct err *err);
void http_client_free(struct http_client *c); /* cancels what runs */

struct http_part { /* of a multipart body */
    const char *name;
    struct str value;      /* a field */
    const char *file_path; /* or a file, streamed */
    const char *filename;
};

struct http_call {
    const char *method; /* "GET", "POST" */
    const char *url;
    struct str body; /* copied; with content_type */
    const char *content_type;
    const struct http_part *parts; /* or a multipart body; copied (paths too) */
    size_t n_parts;
    const char *save_to;        /* the body of a 2xx reply goes there (0600, replaced whole) */
    size_t reply_max;           /* of a body kept in memory; 0: 1 MB */
    const char *const *headers; /* "Name: value", NULL-ended, may be NULL; copied */
};

struct http_result {
    Status status;   /* OK: a reply came, whatever its code */
    int code;        /* HTTP status */
    struct str body; /* borrowed during the callback */
    uint64_t saved_bytes;
    struct err err;
};

typedef void (*HttpDoneFn)(void *arg, const struct http_result *res);
Status http_client_start(struct http_client *c, const struct http_call *call, HttpDoneFn fn,
                         void *arg, struct http_exchange **ret, struct err *err) MUST_USE;
void http_exchange_cancel(struct http_exchange *x);

#endif
