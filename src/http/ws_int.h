/* Inside of the WebSocket part of room http: the frame layer and the socket. */
#ifndef HTTP_WS_INT_H
#define HTTP_WS_INT_H

#include "http/websocket.h"

#include <wslay/wslay.h>

#define WS_CONTROL_MAX 125u /* RFC 6455 5.5 */

/* Frames to messages and back, on wslay's frame layer. wslay's context is 4 KB, so it lives only
 * while a frame is under way: fed and seen tell whether any byte of a next frame has been read into
 * it. */
struct ws_codec {
    wslay_frame_context_ptr frame;
    const uint8_t *in;
    size_t in_n;
    uint64_t fed;  /* bytes that went into frame */
    uint64_t seen; /* bytes that came out of it, headers included */
    uint64_t got;  /* payload of the current frame so far */
    struct buf message;
    struct net_stream *out; /* where frames are written; NULL: nowhere (the fuzzer) */
    size_t message_max;
    bool server;
    bool in_frame;
    bool in_message;
    bool binary;
    uint8_t control_n;
    uint8_t *control; /* WS_CONTROL_MAX bytes while a control frame arrives */
};

struct ws_events {
    void (*on_message)(void *ctx, struct str text, bool binary);
    void (*on_control)(void *ctx, uint8_t opcode, struct str payload);
    bool (*stopped)(void *ctx); /* no more for now: paused or closed */
};

void codec_init(struct ws_codec *c, bool server, size_t message_max, struct net_stream *out);
void codec_done(struct ws_codec *c);
/* Returns 0, or the close code of a violation. *used: bytes taken, fewer than n only when stopped.
 */
int codec_feed(struct ws_codec *c, const uint8_t *p, size_t n, const struct ws_events *events,
               void *ctx, size_t *used);
Status codec_send(struct ws_codec *c, uint8_t opcode, struct str payload);

struct ws_handshake;

struct ws {
    struct net_stream *stream;
    struct loop *loop;
    const struct ws_ops *ops;
    void *ctx;
    struct ws_codec codec;
    struct ws_handshake *handshake; /* client, until it is open */
    struct loop_timer *timer;       /* of the handshake, then of closing */
    struct err *err;
    uint8_t *stash; /* arrived while paused */
    size_t stash_n;
    size_t queue_max;
    Usec close_timeout;
    int code; /* for on_close */
    bool open;
    bool paused;
    bool close_sent;
    bool close_got;
    bool dead;     /* on_close has run */
    bool deferred; /* a call by the loop is under way */
};

struct ws *ws_new(struct loop *l, bool server, const struct ws_config *config,
                  const struct ws_ops *ops, void *ctx);
void ws_free(struct ws *w);
void ws_attach(struct ws *w, struct net_stream *s);
void ws_receive(struct ws *w, const uint8_t *p, size_t n);
void ws_fail(struct ws *w, int code, Status st, const char *fmt, ...) PRINTF_LIKE(4, 5);
extern const struct net_stream_ops ws_stream_ops;

/* ws_client.c: feeds the reply of the handshake; true once it is open, *used then says where it
 * ended. */
bool handshake_feed(struct ws *w, const uint8_t *p, size_t n, size_t *used);
void handshake_send(struct ws *w);
void handshake_free(struct ws_handshake *h);

/* base64(SHA-1(key + GUID)), RFC 6455 4.2.2; 28 characters and a NUL. */
#define WS_ACCEPT_SIZE 29
void ws_accept_key(struct str key, char out[WS_ACCEPT_SIZE]);

#endif
