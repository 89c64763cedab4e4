/* Inside of room net: the hub of a loop, the stream, its output queue, TLS per stream.
 *
 * The hub is what all streams of one loop share: the read buffer (so that an idle connection costs
 * none) and the list of streams with something to do at the end of the turn. It is found by walking
 * the loop's handles, which happens once a listener and once an outgoing connection, and is
 * counted. */
#ifndef NET_INT_H
#define NET_INT_H

#include "net/listener.h"

#include "base/list.h"

#include <netinet/in.h>
#include <openssl/ssl.h>
#include <uv.h>

#define NET_TLS_PLAIN     (16u * 1024 + 512) /* one decrypted record always fits */
#define NET_CHUNK_SMALL   976u               /* with its head within malloc's small classes */
#define NET_CHUNK_MEDIUM  3500u
#define NET_CHUNK_BIG     (16u * 1024)
#define NET_IOV_MAX       32u
#define NET_HANDSHAKE_MAX (10 * USEC_SEC)

struct net_hub {
    uv_idle_t idle; /* active while `dirty` has members */
    struct loop *loop;
    size_t refs;
    struct list dirty;
    uint8_t plain[NET_TLS_PLAIN];
    uint8_t in[NET_READ_SIZE];
};

/* A piece of output. `p` is inside the same allocation or malloc'ed on its own (taken). */
struct out_chunk {
    struct out_chunk *next;
    uint8_t *p;
    size_t off; /* sent before here */
    size_t n;
    size_t cap; /* 0: taken, nothing may be added */
};

struct out_queue {
    struct out_chunk *head;
    struct out_chunk *tail;
    size_t n;
};

/* One uv_write in flight; its bytes stay at the front of the queue until it is done. */
struct write_op {
    uv_write_t req;
    struct net_stream *s;
    size_t n;
};

struct tls_state {
    SSL *ssl;
    struct net_tls *tls;
    struct out_queue wire; /* encrypted, to be sent */
    const uint8_t *in;     /* what SSL may read now */
    size_t in_n;
    uint8_t *stash; /* encrypted, kept while paused */
    size_t stash_n;
    bool notified; /* close_notify is in wire */
};

/* Addresses still to try. */
struct connect_state {
    uv_getaddrinfo_t dns;
    uv_connect_t req;
    struct addrinfo *found;
    const struct addrinfo *next;
    struct sockaddr_storage numeric;
    struct net_stream *s;
    char host[256];
    bool resolving;
    bool recycling; /* the handle is being closed to try the next address */
};

struct net_stream {
    uv_tcp_t tcp;
    struct net_hub *hub;
    const struct net_stream_ops *ops;
    void *ctx;
    struct net_listener *listener; /* NULL: outgoing */
    struct list dirty;
    struct out_queue out; /* as the owner wrote it */
    struct write_op *op;
    struct tls_state *tls;
    struct connect_state *connect;
    struct loop_timer *timer;
    struct err *err;
    uint64_t bytes_in;
    uint64_t bytes_out;
    Status why;
    bool open;    /* connected, handshake done, handed to the owner */
    bool reading; /* uv_read_start is in effect */
    bool paused;  /* wanted by the owner */
    bool closing; /* uv_close was called */
    bool closed;  /* its callback came */
    bool eof;     /* the peer has ended */
    bool shut;    /* FIN wanted once the queue is empty */
    bool shut_done;
    bool linger;     /* drop what comes, close at the peer's end */
    bool want_drain; /* was congested */
    uint16_t peer_port;
    char peer[INET6_ADDRSTRLEN];
};

struct net_tls {
    SSL_CTX *ctx;
    BIO_METHOD *bio;
    size_t refs;
    bool server;
    bool verify;
};

struct net_hub *hub_get(struct loop *l); /* a reference; NULL when out of memory */
struct net_hub *hub_ref(struct net_hub *h);
void hub_unref(struct net_hub *h);
void hub_touch(struct net_hub *h, struct net_stream *s); /* stream_turn(s) at the end of the turn */

bool queue_add(struct out_queue *q, const void *p, size_t n);
bool queue_take(struct out_queue *q, void *p, size_t n); /* frees p when it fails */
void queue_drop(struct out_queue *q, size_t n);
void queue_done(struct out_queue *q);

struct net_stream *stream_new(struct net_hub *h); /* NULL when out of memory */
void stream_free(struct net_stream *s);           /* one that was never opened */
void stream_set_peer(struct net_stream *s, const struct sockaddr *a);
void stream_turn(struct net_stream *s);
void stream_read_update(struct net_stream *s);
void stream_opened(struct net_stream *s);
void stream_end(struct net_stream *s); /* the peer has ended */
void stream_deliver(struct net_stream *s, const uint8_t *p, size_t n);
void stream_fail(struct net_stream *s, Status why, const char *fmt, ...) PRINTF_LIKE(3, 4);
void stream_fail_uv(struct net_stream *s, const char *what, int uv_error);
void stream_set_deadline(struct net_stream *s, Usec after, LoopTimerFn fn);
void stream_finish(struct net_stream *s); /* frees once nothing refers to it any more */

void connect_cancel(struct net_stream *s);

Status tls_attach(struct net_stream *s, struct net_tls *t, const char *host);
void tls_detach(struct net_stream *s);
void tls_feed(struct net_stream *s, const uint8_t *p,
              size_t n); /* also n = 0: starts the handshake */
void tls_unstash(struct net_stream *s);
bool tls_encrypt(struct net_stream *s); /* moves from out to wire; false: failed */
void tls_notify(struct net_stream *s);  /* close_notify */

void listener_stream_open(struct net_listener *n, struct net_stream *s);
void listener_stream_gone(struct net_listener *n);

#endif
