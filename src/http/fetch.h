/* Outbound HTTP for web hooks and plugins by libcurl's multi interface on the loop: proxies,
 * HTTP/2, redirects, certificates. Bounded body; per-request timeout; at most FETCH_RUNNING_MAX at
 * once, the rest waits in a bounded queue. */
#ifndef HTTP_FETCH_H
#define HTTP_FETCH_H

#include "base/buf.h"
#include "loop/loop.h"

#define FETCH_RUNNING_MAX LIMIT(64u, 2u)
#define FETCH_QUEUE_MAX   LIMIT(10000u, 4u)

struct fetcher;

struct fetch_call {
    const char *method;
    const char *url;            /* http or https only */
    const char *const *headers; /* "Name: value", NULL-ended */
    struct str body;
    Usec timeout;     /* whole exchange; 0: 30 s */
    bool follow;      /* at most 32 redirects, http(s) only */
    bool insecure;    /* no certificate check */
    size_t reply_max; /* 0: 1 MB */
};

struct fetch_result {
    Status status;
    int code;
    struct str headers; /* of the last reply, raw lines */
    struct str body;
    double total_sec, dns_sec, connect_sec, tls_sec, first_byte_sec;
    struct err err;
};

typedef void (*FetchFn)(void *arg, const struct fetch_result *res);

struct fetcher *fetcher_new(struct loop *l, const char *user_agent, struct err *err);
void fetcher_free(struct fetcher *f); /* what runs ends with CLOSED */
Status fetch_start(struct fetcher *f, const struct fetch_call *call, FetchFn fn, void *arg,
                   struct err *err) MUST_USE;

#endif
