/* Simulated satellites: N sockets to a conductor, each joins as a server of its own, answers pings,
 * and with
 * --samples sends one sample of about 2 KB a second. Prints "joined N" when all are in, then runs
 * until its input ends.
 *
 * Usage: bench_sockets URL N SECRET_KEY [--samples]   (the key in the environment:
 * ORRERY_secret_key) */
#include "base/log.h"
#include "crypto/crypto.h"
#include "http/websocket.h"
#include "json/json.h"
#include "loop/loop.h"
#include "wire/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <uv.h>

#define AT_ONCE 64 /* sockets on their way at the same time */

struct fleet {
    struct loop *loop;
    const char *url;
    const char *key;
    size_t n, started, joined, lost;
    bool samples;
    struct satellite *all;
    struct arena *arena;
    char sample[2048];
};

struct satellite {
    struct fleet *fleet;
    struct ws *ws;
    bool joined;
};

static void start_next(struct fleet *f);

static void send_text(struct satellite *s, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void send_text(struct satellite *s, const char *fmt, ...)
{
    AUTO_BUF struct buf text = { 0 };
    va_list ap;

    buf_init(&text, 65536);
    va_start(ap, fmt);
    (void)buf_vprintf(&text, fmt, ap);
    va_end(ap);
    (void)ws_send(s->ws, buf_str(&text));
}

static void on_open(void *ctx, struct ws *w)
{
    struct satellite *s = ctx;
    size_t i = (size_t)(s - s->fleet->all);

    s->ws = w;
    send_text(s,
              "{\"cmd\":\"hello\",\"data\":{\"hostname\":\"bench%zu\",\"id\":\"sbench%zu\","
              "\"info\":{\"satellite\":\"0.1.0\","
              "\"features\":{\"orrery\":1},\"os\":{},\"memory\":{},\"cpu\":{}}}}",
              i, i);
}

static void on_message(void *ctx, struct ws *w, struct str text, bool binary)
{
    struct satellite *s = ctx;
    struct fleet *f = s->fleet;
    yyjson_val *data = NULL;
    enum wire_kind kind;
    char token[65];

    (void)w;
    (void)binary;
    arena_reset(f->arena);
    if (wire_parse(f->arena, text, WIRE_TO_SATELLITE, &kind, &data, NULL) != STATUS_OK)
        return;
    if (kind == WIRE_HELLO) {
        CRYPTO_SHA256_HEX_OF(token, json_str(data, "nonce"), str_z(f->key));
        send_text(s, "{\"cmd\":\"join\",\"data\":{\"token\":\"%s\"}}", token);
    } else if (kind == WIRE_JOINED && !s->joined) {
        s->joined = true;
        if (++f->joined == f->n) {
            printf("joined %zu\n", f->joined);
            (void)fflush(stdout);
        }
        start_next(f);
    } else if (kind == WIRE_ECHO) {
        struct str id = json_str(data, "id");

        send_text(s, "{\"cmd\":\"echoback\",\"data\":{\"id\":\"%.*s\",\"last_ping_ms\":0}}",
                  STR_FMT(id));
    }
}

static void on_close(void *ctx, struct ws *w, int code, const struct err *err)
{
    struct satellite *s = ctx;

    (void)w;
    s->ws = NULL;
    s->fleet->lost++;
    (void)fprintf(stderr, "lost a socket: %d %s\n", code, err ? err->text : "");
}

static void start_next(struct fleet *f)
{
    static const struct ws_ops ops = { .on_open = on_open,
                                       .on_message = on_message,
                                       .on_close = on_close };
    static const struct ws_config config = { .message_max = 1 << 20, .queue_max = 1 << 20 };
    struct err err = { 0 };

    if (f->started >= f->n)
        return;
    struct satellite *s = &f->all[f->started++];

    s->fleet = f;
    if (ws_connect(f->loop, f->url, NULL, "bench", 60 * USEC_SEC, &config, &ops, s, &s->ws, &err) !=
        STATUS_OK) {
        (void)fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
}

static void on_second(void *arg)
{
    struct fleet *f = arg;

    for (size_t i = 0; f->samples && i < f->n; i++) {
        if (f->all[i].joined && f->all[i].ws)
            (void)ws_send(f->all[i].ws, str_z(f->sample));
    }
}

static void on_stdin(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
    (void)b;
    if (n < 0)
        loop_stop(((struct fleet *)s->data)->loop);
}

static void alloc(uv_handle_t *h, size_t hint, uv_buf_t *out)
{
    static char bytes[256];

    (void)h;
    (void)hint;
    *out = uv_buf_init(bytes, sizeof(bytes));
}

int main(int argc, char **argv)
{
    struct fleet f = { .loop = loop_new(), .arena = arena_new(1u << 28) };
    struct loop_timer *second = loop_timer_new(f.loop, "bench.second", on_second, &f);
    uv_pipe_t in;
    int64_t n;

    if (argc < 3 || !str_to_i64(str_z(argv[2]), &n) || n < 1 || !getenv("ORRERY_secret_key"))
        return 2;
    (void)setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 100000, 100000 });
    f.url = argv[1];
    f.n = (size_t)n;
    f.key = getenv("ORRERY_secret_key");
    f.samples = argc > 3;
    f.all = calloc(f.n, sizeof(*f.all));
    if (!f.all)
        return 1;
    (void)snprintf(f.sample, sizeof(f.sample),
                   "{\"cmd\":\"quickmon\",\"data\":{\"mem\":{\"total\":1,\"pad\":\"%01800d\"},"
                   "\"cpu\":{},\"fs\":{\"rx\":0,\"wx\":0},"
                   "\"net\":{\"rx\":0,\"tx\":0}}}",
                   0);
    for (int i = 0; i < AT_ONCE; i++)
        start_next(&f);
    loop_timer_start(second, USEC_SEC, USEC_SEC);
    (void)uv_pipe_init(loop_uv(f.loop), &in, 0);
    (void)uv_pipe_open(&in, 0);
    in.data = &f;
    (void)uv_read_start((uv_stream_t *)&in, alloc, on_stdin);
    loop_run(f.loop);
    return f.lost ? 1 : 0;
}
