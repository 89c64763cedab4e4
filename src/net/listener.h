/* A listening socket. Pauses accepting while `connections_max` streams of it are open; the kernel's
 * backlog then is the queue. Out of descriptors: accepts pause and are tried again each second. */
#ifndef NET_LISTENER_H
#define NET_LISTENER_H

#include "net/stream.h"

struct net_listener;

/* The new stream has no ops yet: the callback must net_stream_set or net_stream_close it. For TLS
 * the handshake (10 s at most) is done before the callback comes. */
typedef void (*NetAcceptFn)(void *ctx, struct net_stream *s);

struct net_listen_config {
    const char *bind;    /* "127.0.0.1", "::", "0.0.0.0" */
    uint16_t port;       /* 0: any; ask net_listener_port */
    struct net_tls *tls; /* NULL: plain */
    size_t connections_max;
};

Status net_listen(struct loop *l, const struct net_listen_config *config, NetAcceptFn fn, void *ctx,
                  struct net_listener **ret, struct err *err) MUST_USE;
uint16_t net_listener_port(const struct net_listener *n);
size_t net_listener_open(const struct net_listener *n); /* streams alive */
void net_listener_stop(struct net_listener *n);         /* accepts no more; streams live on */
void net_listener_free(struct net_listener *n);         /* stop + free once its streams are gone */

#endif
