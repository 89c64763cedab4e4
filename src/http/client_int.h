/* Inside of the HTTP client: the exchange, and its request body. */
#ifndef HTTP_CLIENT_INT_H
#define HTTP_CLIENT_INT_H

#include "http/client.h"
#include "http/disk.h"
#include "http/url.h"

#include "base/list.h"

#include <llhttp.h>

#define CLIENT_PARTS_MAX 1000u
#define CLIENT_HEAD_MAX  (64u * 1024)

struct body_part {
    char *name;
    char *value; /* or a file: */
    size_t value_n;
    char *path;
    char *filename;
    struct reader *reader;
    uint64_t size;
};

/* The request body: a text, or the parts of a multipart form. */
struct client_body {
    struct buf text;
    struct body_part *parts;
    size_t n_parts;
    size_t opening;  /* parts below are open */
    size_t at;       /* part being sent */
    uint64_t offset; /* within its file */
    bool head_sent;  /* of that part */
    bool reading;
    bool stale; /* what is being read belongs to an earlier attempt */
    bool complete;
    char boundary[40];
    uint64_t length;
};

enum exchange_state {
    EXCHANGE_NEW,
    EXCHANGE_OPENING, /* files of the body */
    EXCHANGE_CONNECTING,
    EXCHANGE_WAITING, /* request under way, no byte of the reply yet */
    EXCHANGE_READING,
    EXCHANGE_SAVING, /* reply complete, file not */
    EXCHANGE_OVER,
};

struct http_exchange {
    struct list link;
    struct http_client *client;
    HttpDoneFn fn;
    void *arg;
    enum exchange_state state;
    char *method;
    char *content_type;
    char *save_to;
    struct buf headers; /* "Name: value\r\n"... */
    struct buf url_text;
    struct url url;
    struct client_body body;
    size_t reply_max;
    size_t redirects;

    struct net_stream *stream;
    bool reused;
    llhttp_t parser;
    struct buf name; /* header being read */
    struct buf value;
    size_t head_n;
    struct buf location;
    struct buf reply;
    struct writer *writer;
    bool skip_body; /* of a redirect */
    bool complete;
    int code;

    struct loop_timer *timer;
    Usec progress;
    uint64_t out_mark;
    Status st;
    struct err err;
    uint64_t saved;
};

const struct http_client_config *exchange_config(const struct http_exchange *x);
void exchange_fail(struct http_exchange *x, Status st, const char *fmt, ...) PRINTF_LIKE(3, 4);
void exchange_connect(struct http_exchange *x);

Status body_copy(struct client_body *b, const struct http_call *call, struct err *err) MUST_USE;
void body_done(struct client_body *b);
/* Opens the files one after the other; exchange_connect when all are, exchange_fail otherwise. */
void body_open(struct http_exchange *x);
void body_rewind(struct client_body *b);
void body_send(struct http_exchange *x); /* as much as the connection takes; again when it drains */

#endif
