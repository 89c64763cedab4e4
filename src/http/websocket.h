/* WebSocket (RFC 6455) on wslay: server by upgrade of a request, client by connecting. Text and
 * binary messages whole (bounded), ping/pong answered, close handshake, back-pressure by a bounded
 * queue: a peer that does not read is cut when its queue passes queue_max.
 *
 * Owner: alive until on_close, which comes exactly once and last. */
#ifndef HTTP_WEBSOCKET_H
#define HTTP_WEBSOCKET_H

#include "http/server.h"

struct ws;

#define WS_MESSAGE_MAX LIMIT(100u * 1024 * 1024, 64u * 1024) /* satellite.md 1 */
#define WS_QUEUE_MAX   LIMIT(64u * 1024 * 1024, 256u * 1024)

struct ws_ops {
    void (*on_open)(void *ctx, struct ws *w); /* client: handshake done; may be NULL */
    void (*on_message)(void *ctx, struct ws *w, struct str text, bool binary);
    void (*on_drain)(void *ctx,
                     struct ws *w); /* queue fell below half of high water; may be NULL */
    void (*on_close)(void *ctx, struct ws *w, int code,
                     const struct err *err); /* 1006: no close frame */
};

struct ws_config {
    size_t message_max; /* 0: WS_MESSAGE_MAX; larger ones close with 1009 */
    size_t queue_max;   /* 0: WS_QUEUE_MAX */
    Usec close_timeout; /* 0: 5 s for the peer's close frame */
};

bool http_request_is_upgrade(const struct http_request *r);
/* Answers 101 and takes the connection out of the HTTP server (the request is used up). On INVALID
 * (bad key or version) the reply was 400/426 already. */
Status ws_accept(struct http_request *r, const struct ws_config *config, const struct ws_ops *ops,
                 void *ctx, struct ws **ret, struct err *err) MUST_USE;

/* url: ws://host:port/path or wss://. deadline for connect + handshake. Failure comes by on_close.
 */
Status ws_connect(struct loop *l, const char *url, struct net_tls *tls, const char *user_agent,
                  Usec deadline, const struct ws_config *config, const struct ws_ops *ops,
                  void *ctx, struct ws **ret, struct err *err) MUST_USE;

/* Queues a text message (copied). CLOSED, or FULL (then the socket is being cut with 1013). */
Status ws_send(struct ws *w, struct str text);
size_t ws_pending(const struct ws *w);
bool ws_congested(const struct ws *w);
void ws_pause(struct ws *w); /* stop reading from the peer */
void ws_resume(struct ws *w);
void ws_close(struct ws *w, int code, const char *reason);
void ws_terminate(struct ws *w); /* cut at once */
const char *ws_peer(const struct ws *w);
bool ws_is_tls(const struct ws *w);

/* The pure frame layer underneath (wslay bounded as above), for the fuzzer: feeds bytes as a server
 * or client would get them, calls on_message for each whole one. */
Status ws_fuzz_feed(bool server, const uint8_t *p, size_t n,
                    void (*on_message)(void *ctx, struct str text), void *ctx);

#endif
