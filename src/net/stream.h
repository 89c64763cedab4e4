/* A byte stream over TCP, with or without TLS (OpenSSL on memory BIOs, buffers released when idle,
 * no session cache). The same callbacks either way.
 *
 * Owner: the stream lives from net_accept/net_connect until on_close has run; net_stream_close asks
 * for it (safe anywhere, also inside callbacks); on_close is always the last callback and comes
 * exactly once, on a later turn. After on_close the pointer is gone. */
#ifndef NET_STREAM_H
#define NET_STREAM_H

#include "base/attr.h"
#include "base/status.h"
#include "base/str.h"
#include "loop/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct net_stream;
struct net_tls;

/* Above this much unsent data net_stream_write still takes more, but net_stream_congested() is true
 * and on_drain will come when it falls below half of it. Above NET_PENDING_MAX write answers FULL.
 */
#define NET_HIGH_WATER  LIMIT(256u * 1024, 1024u)
#define NET_PENDING_MAX LIMIT(64u * 1024 * 1024, 256u * 1024)
#define NET_READ_SIZE   LIMIT(64u * 1024, 64u)
#define NET_ADDR_MAX    64

struct net_stream_ops {
    void (*on_open)(void *ctx); /* client: connected (and TLS done); may be NULL */
    void (*on_data)(void *ctx, const uint8_t *p, size_t n); /* borrowed during the call */
    void (*on_drain)(void *ctx);                            /* may be NULL */
    void (*on_end)(void *ctx); /* peer sent FIN / close_notify; may be NULL: closes */
    void (*on_close)(void *ctx, Status why,
                     const struct err *err); /* STATUS_OK: closed by us or cleanly */
};

/* Connects (DNS on libuv's resolver). tls NULL: plain. host also goes into SNI and the certificate
 * check. deadline: microseconds for connect + handshake. Failure arrives by on_close. */
Status net_connect(struct loop *l, const char *host, uint16_t port, struct net_tls *tls,
                   Usec deadline, const struct net_stream_ops *ops, void *ctx,
                   struct net_stream **ret, struct err *err) MUST_USE;

void net_stream_set(struct net_stream *s, const struct net_stream_ops *ops,
                    void *ctx); /* hand over */

/* Queues a copy. OK, FULL (nothing queued) or CLOSED. Small writes of one turn leave together. */
Status net_stream_write(struct net_stream *s, const void *p, size_t n);
/* As write, but takes ownership of malloc'ed p (also on failure). */
Status net_stream_write_take(struct net_stream *s, void *p, size_t n);

size_t net_stream_pending(const struct net_stream *s);
bool net_stream_congested(const struct net_stream *s);

void net_stream_pause(struct net_stream *s); /* stop reading: the peer feels it */
void net_stream_resume(struct net_stream *s);
bool net_stream_paused(const struct net_stream *s);

void net_stream_shutdown(
    struct net_stream *s);                   /* sends what is queued, then FIN; reading goes on */
void net_stream_close(struct net_stream *s); /* sends nothing more */
void net_stream_close_after_write(struct net_stream *s,
                                  Usec deadline); /* sends what is queued, lingers
                               reading and dropping until the peer closes or deadline */

/* "10.0.0.5" / "::1"; constant for the stream's life. */
const char *net_stream_peer(const struct net_stream *s);
uint16_t net_stream_peer_port(const struct net_stream *s);
bool net_stream_is_tls(const struct net_stream *s);
uint64_t net_stream_bytes_in(const struct net_stream *s);
uint64_t net_stream_bytes_out(const struct net_stream *s);

/* TLS contexts: shared by many streams, counted. */
struct net_tls *net_tls_server(const char *cert_file, const char *key_file, struct err *err);
/* verify false: any certificate (the reference agent's default, satellite.md 3). ca_file may be
 * NULL. */
struct net_tls *net_tls_client(bool verify, const char *ca_file, struct err *err);
struct net_tls *net_tls_ref(struct net_tls *t);
void net_tls_unref(struct net_tls *t);

#endif
