/* The baseline: a bare libuv + llhttp server on one thread that answers every request with the same
 * bytes, read from a file at start. It parses the request fully, reads bodies, keeps connections
 * alive, pipelines; it knows no routes, rights, limits or time-outs. What a server of this kind can
 * do at most.
 *
 * Usage: bench_bare FILE   (prints the port) */
#include <llhttp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

struct conn {
    uv_tcp_t tcp;
    llhttp_t parser;
    int done; /* requests finished in this read */
};

static char *reply;
static size_t reply_n;
static char read_buffer[65536];
static llhttp_settings_t settings;

static void closed(uv_handle_t *h)
{
    free(h->data);
}

static int on_complete(llhttp_t *p)
{
    struct conn *c = p->data;

    c->done++;
    return 0;
}

static void wrote(uv_write_t *w, int status)
{
    (void)status;
    free(w);
}

static void answer(struct conn *c)
{
    while (c->done > 0) {
        uv_buf_t b = uv_buf_init(reply, (unsigned)reply_n);
        int n = uv_try_write((uv_stream_t *)&c->tcp, &b, 1);

        c->done--;
        if (n == (int)reply_n)
            continue;
        uv_write_t *w = malloc(sizeof(*w));
        size_t from = n > 0 ? (size_t)n : 0;

        if (!w)
            abort();
        b = uv_buf_init(reply + from, (unsigned)(reply_n - from));
        (void)uv_write(w, (uv_stream_t *)&c->tcp, &b, 1, wrote);
    }
}

static void alloc(uv_handle_t *h, size_t hint, uv_buf_t *out)
{
    (void)h;
    (void)hint;
    *out = uv_buf_init(read_buffer, sizeof(read_buffer));
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
    struct conn *c = s->data;

    if (n > 0 && llhttp_execute(&c->parser, b->base, (size_t)n) == HPE_OK)
        answer(c);
    else if (n != 0 && !uv_is_closing((uv_handle_t *)s))
        uv_close((uv_handle_t *)s, closed);
}

static void on_connection(uv_stream_t *server, int status)
{
    struct conn *c = calloc(1, sizeof(*c));

    if (status < 0 || !c) {
        free(c);
        return;
    }
    (void)uv_tcp_init(server->loop, &c->tcp);
    c->tcp.data = c;
    llhttp_init(&c->parser, HTTP_REQUEST, &settings);
    c->parser.data = c;
    if (uv_accept(server, (uv_stream_t *)&c->tcp) == 0) {
        (void)uv_tcp_nodelay(&c->tcp, 1);
        (void)uv_read_start((uv_stream_t *)&c->tcp, alloc, on_read);
    } else {
        uv_close((uv_handle_t *)&c->tcp, closed);
    }
}

static int load(const char *path)
{
    static char body[1 << 20];
    FILE *f = fopen(path, "rb");
    size_t n = f ? fread(body, 1, sizeof(body), f) : 0;

    if (!f)
        return -1;
    (void)fclose(f);
    reply = malloc(n + 256);
    if (!reply)
        return -1;
    int head = snprintf(
        reply, 256,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n", n);

    memcpy(reply + head, body, n);
    reply_n = (size_t)head + n;
    return 0;
}

int main(int argc, char **argv)
{
    uv_tcp_t server;
    struct sockaddr_in addr;
    struct sockaddr_storage bound;
    int size = sizeof(bound);

    if (argc != 2 || load(argv[1]) != 0)
        return 2;
    llhttp_settings_init(&settings);
    settings.on_message_complete = on_complete;
    (void)uv_ip4_addr("127.0.0.1", 0, &addr);
    (void)uv_tcp_init(uv_default_loop(), &server);
    (void)uv_tcp_bind(&server, (const struct sockaddr *)&addr, 0);
    if (uv_listen((uv_stream_t *)&server, 1024, on_connection) != 0)
        return 1;
    (void)uv_tcp_getsockname(&server, (struct sockaddr *)&bound, &size);
    printf("%u\n", ntohs(((struct sockaddr_in *)&bound)->sin_port));
    (void)fflush(stdout);
    return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
