/* Streams over loopback: order and amount of bytes, back-pressure, every way to end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <uv.h>

#include "base/buf.h"
#include "net/listener.h"

#define WAIT_MAX (60 * USEC_SEC)

struct end {
    struct net_stream *s;
    struct buf in;
    int opens;
    int drains;
    int ends;
    int closes;
    Status why;
    char text[128];
    bool close_in_data;
    bool echo;
};

static void on_open(void *ctx)
{
    ((struct end *)ctx)->opens++;
}

static void on_data(void *ctx, const uint8_t *p, size_t n)
{
    struct end *e = ctx;

    assert_int_equal(e->closes, 0);
    assert_int_equal(buf_add(&e->in, p, n), STATUS_OK);
    if (e->echo)
        (void)net_stream_write(e->s, p, n);
    if (e->close_in_data) {
        net_stream_close(e->s);
        assert_int_equal(e->closes, 0); /* on a later turn */
    }
}

static void on_drain(void *ctx)
{
    ((struct end *)ctx)->drains++;
}

static void on_end(void *ctx)
{
    ((struct end *)ctx)->ends++;
}

static void on_close(void *ctx, Status why, const struct err *err)
{
    struct end *e = ctx;

    e->closes++;
    e->why = why;
    e->s = NULL;
    (void)str_copy_z(str_z(err->text), e->text, sizeof e->text);
}

static const struct net_stream_ops ops = { on_open, on_data, on_drain, on_end, on_close };
static const struct net_stream_ops no_end_ops = { .on_data = on_data, .on_close = on_close };

struct pair {
    struct loop *loop;
    struct net_listener *listener;
    struct end a; /* connected */
    struct end b; /* accepted */
    const struct net_stream_ops *b_ops;
    int accepts;
};

static void on_accept(void *ctx, struct net_stream *s)
{
    struct pair *p = ctx;

    p->accepts++;
    p->b.s = s;
    net_stream_set(s, p->b_ops, &p->b);
}

static void tick(void *arg)
{
    (void)arg;
}

#define UNTIL(p, condition)                                                                        \
    do {                                                                                           \
        const Usec deadline = clock_mono() + WAIT_MAX;                                             \
        struct loop_timer *timer = loop_timer_new((p)->loop, "test", tick, NULL);                  \
        loop_timer_start(timer, 50 * USEC_MSEC, 50 * USEC_MSEC);                                   \
        while (!(condition)) {                                                                     \
            if (clock_mono() > deadline)                                                           \
                fail_msg("line %d: waited in vain for " #condition, __LINE__);                     \
            (void)uv_run(loop_uv((p)->loop), UV_RUN_ONCE);                                         \
        }                                                                                          \
        loop_timer_free(timer);                                                                    \
    } while (0)

static void pair_listen(struct pair *p, const char *bind, size_t connections_max)
{
    const struct net_listen_config config = { .bind = bind, .connections_max = connections_max };

    *p = (struct pair){ .loop = loop_new(), .b_ops = &ops };
    buf_init(&p->a.in, 512u * 1024 * 1024);
    buf_init(&p->b.in, 512u * 1024 * 1024);
    assert_int_equal(net_listen(p->loop, &config, on_accept, p, &p->listener, NULL), STATUS_OK);
    assert_true(net_listener_port(p->listener) != 0);
}

static void pair_open(struct pair *p, const char *bind, const char *host)
{
    pair_listen(p, bind, 100);
    assert_int_equal(net_connect(p->loop, host, net_listener_port(p->listener), NULL, 0, &ops,
                                 &p->a, &p->a.s, NULL),
                     STATUS_OK);
    assert_int_equal(p->a.opens, 0);
    UNTIL(p, p->a.opens == 1 && p->accepts == 1);
}

static void pair_done(struct pair *p)
{
    if (p->a.s)
        net_stream_close(p->a.s);
    if (p->b.s)
        net_stream_close(p->b.s);
    UNTIL(p, !p->a.s && !p->b.s);
    net_listener_free(p->listener);
    loop_run(p->loop);
    loop_free(p->loop);
    assert_true(p->a.closes <= 1 && p->b.closes <= 1);
    buf_done(&p->a.in);
    buf_done(&p->b.in);
}

static void test_echo(void **state)
{
    static const char *const hosts[][2] = {
        { "127.0.0.1", "127.0.0.1" },
        { "127.0.0.1", "localhost" },
        { "0.0.0.0", "127.0.0.1" },
        { "localhost", "127.0.0.1" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(hosts); i++) {
        struct pair p;
        pair_open(&p, hosts[i][0], hosts[i][1]);
        p.b.echo = true;
        assert_int_equal(net_stream_write(p.a.s, "hello ", 6), STATUS_OK);
        assert_int_equal(net_stream_write(p.a.s, "world", 5), STATUS_OK);
        UNTIL(&p, p.a.in.n == 11);
        assert_memory_equal(p.a.in.p, "hello world", 11);
        assert_string_equal(net_stream_peer(p.b.s), "127.0.0.1");
        assert_int_equal(net_stream_peer_port(p.a.s), net_listener_port(p.listener));
        assert_int_equal(net_stream_bytes_in(p.b.s), 11);
        assert_int_equal(net_stream_bytes_out(p.b.s), 11);
        assert_false(net_stream_is_tls(p.a.s));
        assert_int_equal(net_listener_open(p.listener), 1);
        pair_done(&p);
    }
}

/* An IPv4 peer of a dual-stack listener shows its IPv4 address. */
static void test_dual_stack(void **state)
{
    const struct net_listen_config config = { .bind = "::" };
    struct pair p;

    (void)state;
    p = (struct pair){ .loop = loop_new() };
    if (net_listen(p.loop, &config, on_accept, &p, &p.listener, NULL)) {
        loop_free(p.loop); /* a machine without IPv6 */
        skip();
    }
    net_listener_free(p.listener);
    loop_run(p.loop);
    loop_free(p.loop);
    pair_open(&p, "::", "127.0.0.1");
    assert_string_equal(net_stream_peer(p.b.s), "127.0.0.1");
    pair_done(&p);
}

static void test_many_bytes(void **state)
{
    struct pair p;
    const size_t total = 40u * 1024 * 1024;
    uint8_t *data = malloc(total);
    size_t sent = 0;
    size_t step = 1;

    (void)state;
    for (size_t i = 0; i < total; i++)
        data[i] = (uint8_t)(i * 2654435761u >> 13);
    pair_open(&p, "127.0.0.1", "127.0.0.1");
    while (sent < total) { /* pieces from one byte to 300 KB, by both ways of writing */
        const size_t n = step < total - sent ? step : total - sent;
        if (step % 2) {
            assert_int_equal(net_stream_write(p.a.s, data + sent, n), STATUS_OK);
        } else {
            uint8_t *copy = malloc(n);
            memcpy(copy, data + sent, n);
            assert_int_equal(net_stream_write_take(p.a.s, copy, n), STATUS_OK);
        }
        sent += n;
        step = step > 300000 ? 1 : step + step / 7 + 1;
    }
    UNTIL(&p, p.b.in.n == total);
    assert_memory_equal(p.b.in.p, data, total);
    assert_int_equal(net_stream_pending(p.a.s), 0);
    assert_int_equal(net_stream_bytes_out(p.a.s), total);
    free(data);
    pair_done(&p);
}

static void test_back_pressure(void **state)
{
    struct pair p;
    static char piece[64 * 1024];

    (void)state;
    pair_open(&p, "127.0.0.1", "127.0.0.1");
    net_stream_pause(p.b.s);
    assert_true(net_stream_paused(p.b.s));
    while (!net_stream_congested(p.a.s) || net_stream_pending(p.a.s) < 2 * NET_HIGH_WATER) {
        assert_int_equal(net_stream_write(p.a.s, piece, sizeof piece), STATUS_OK);
        (void)uv_run(loop_uv(p.loop), UV_RUN_NOWAIT);
    }
    assert_int_equal(p.b.in.n, 0);
    assert_int_equal(p.a.drains, 0);
    net_stream_resume(p.b.s);
    UNTIL(&p, p.a.drains == 1);
    assert_true(net_stream_pending(p.a.s) < NET_HIGH_WATER / 2);
    UNTIL(&p, net_stream_pending(p.a.s) == 0);
    assert_int_equal(p.a.drains, 1);
    pair_done(&p);
}

static void test_pending_max(void **state)
{
    struct pair p;
    const size_t n = 1024u * 1024;
    char *piece = calloc(1, n);
    size_t taken = 0;
    Status st = STATUS_OK;

    (void)state;
    pair_open(&p, "127.0.0.1", "127.0.0.1");
    net_stream_pause(p.b.s);
    while (!st) {
        st = net_stream_write(p.a.s, piece, n);
        taken += st ? 0 : n;
        assert_true(taken < NET_PENDING_MAX + 64u * 1024 * 1024);
    }
    assert_int_equal(st, STATUS_FULL);
    assert_true(net_stream_pending(p.a.s) <= NET_PENDING_MAX);
    assert_int_equal(p.a.closes, 0); /* nothing was lost, the owner decides */
    net_stream_resume(p.b.s);
    UNTIL(&p, p.b.in.n == taken);
    assert_int_equal(net_stream_write(p.a.s, "x", 1), STATUS_OK);
    UNTIL(&p, p.b.in.n == taken + 1);
    free(piece);
    pair_done(&p);
}

static void test_shutdown_and_half_close(void **state)
{
    struct pair p;
    static char piece[3 * 1024 * 1024];

    (void)state;
    pair_open(&p, "127.0.0.1", "127.0.0.1");
    assert_int_equal(net_stream_write(p.a.s, piece, sizeof piece), STATUS_OK);
    net_stream_shutdown(p.a.s);
    assert_int_equal(net_stream_write(p.a.s, "x", 1), STATUS_CLOSED);
    UNTIL(&p, p.b.ends == 1);
    assert_int_equal(p.b.in.n, sizeof piece); /* all of it before the end */
    assert_int_equal(net_stream_write(p.b.s, "still here", 10), STATUS_OK);
    UNTIL(&p, p.a.in.n == 10);
    net_stream_shutdown(p.b.s);
    UNTIL(&p, p.a.ends == 1);
    assert_int_equal(p.a.closes + p.b.closes, 0);
    pair_done(&p);
    /* Nobody listens for the end: closed cleanly. */
    pair_listen(&p, "127.0.0.1", 100);
    p.b_ops = &no_end_ops;
    assert_int_equal(net_connect(p.loop, "127.0.0.1", net_listener_port(p.listener), NULL, 0, &ops,
                                 &p.a, &p.a.s, NULL),
                     STATUS_OK);
    UNTIL(&p, p.accepts == 1);
    net_stream_shutdown(p.a.s);
    UNTIL(&p, p.b.closes == 1);
    assert_int_equal(p.b.why, STATUS_OK);
    pair_done(&p);
}

static void test_close_after_write(void **state)
{
    struct pair p;
    static char piece[2 * 1024 * 1024];

    (void)state;
    pair_open(&p, "127.0.0.1", "127.0.0.1");
    assert_int_equal(net_stream_write(p.b.s, piece, sizeof piece), STATUS_OK);
    /* The peer is still sending: it must get everything all the same, not a reset. */
    assert_int_equal(net_stream_write(p.a.s, piece, sizeof piece), STATUS_OK);
    net_stream_close_after_write(p.b.s, 30 * USEC_SEC);
    UNTIL(&p, p.a.ends == 1);
    assert_int_equal(p.a.in.n, sizeof piece);
    assert_int_equal(p.b.in.n, 0);
    net_stream_close(p.a.s);
    UNTIL(&p, p.b.closes == 1);
    assert_int_equal(p.b.why, STATUS_OK);
    pair_done(&p);
    /* A peer that never ends: the deadline does. */
    pair_open(&p, "127.0.0.1", "127.0.0.1");
    net_stream_close_after_write(p.b.s, 50 * USEC_MSEC);
    UNTIL(&p, p.b.closes == 1);
    pair_done(&p);
}

static void test_close_inside_data(void **state)
{
    struct pair p;

    (void)state;
    pair_open(&p, "127.0.0.1", "127.0.0.1");
    p.b.close_in_data = true;
    assert_int_equal(net_stream_write(p.a.s, "x", 1), STATUS_OK);
    UNTIL(&p, p.b.closes == 1 && p.a.ends == 1);
    assert_int_equal(p.b.why, STATUS_OK);
    pair_done(&p);
}

static void reset(struct net_stream *s)
{
    const struct linger hard = { .l_onoff = 1, .l_linger = 0 };
    uv_os_fd_t fd;

    assert_int_equal(uv_fileno((const uv_handle_t *)(const void *)s, &fd), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard), 0);
    net_stream_close(s);
}

static void test_reset(void **state)
{
    struct pair p;
    static char piece[8 * 1024 * 1024];

    (void)state;
    pair_open(&p, "127.0.0.1", "127.0.0.1");
    reset(p.a.s);
    UNTIL(&p, p.b.closes == 1);
    assert_int_equal(p.b.why, STATUS_CLOSED);
    pair_done(&p);
    /* While a write is in flight. */
    pair_open(&p, "127.0.0.1", "127.0.0.1");
    net_stream_pause(p.a.s);
    assert_int_equal(net_stream_write(p.b.s, piece, sizeof piece), STATUS_OK);
    for (int i = 0; i < 20; i++)
        (void)uv_run(loop_uv(p.loop), UV_RUN_NOWAIT);
    reset(p.a.s);
    UNTIL(&p, p.b.closes == 1);
    assert_int_equal(p.b.why, STATUS_CLOSED);
    pair_done(&p);
    /* Close with a write in flight. */
    pair_open(&p, "127.0.0.1", "127.0.0.1");
    net_stream_pause(p.a.s);
    assert_int_equal(net_stream_write(p.b.s, piece, sizeof piece), STATUS_OK);
    for (int i = 0; i < 20; i++)
        (void)uv_run(loop_uv(p.loop), UV_RUN_NOWAIT);
    net_stream_close(p.b.s);
    UNTIL(&p, p.b.closes == 1);
    pair_done(&p);
}

static void test_connect_failures(void **state)
{
    struct loop *l = loop_new();
    struct pair p = { .loop = l };
    struct net_stream *s = NULL;
    struct err err = { 0 };

    (void)state;
    assert_int_equal(net_connect(l, "127.0.0.1", 1, NULL, 0, &ops, &p.a, &p.a.s, NULL), STATUS_OK);
    UNTIL(&p, p.a.closes == 1);
    assert_int_equal(p.a.opens, 0);
    assert_int_equal(p.a.why, STATUS_CLOSED);
    assert_non_null(strstr(p.a.text, "127.0.0.1"));
    /* By name: several addresses, all refuse. */
    p.a = (struct end){ 0 };
    assert_int_equal(net_connect(l, "localhost", 1, NULL, 0, &ops, &p.a, &p.a.s, NULL), STATUS_OK);
    UNTIL(&p, p.a.closes == 1);
    assert_int_equal(p.a.why, STATUS_CLOSED);
    /* No such name. */
    p.a = (struct end){ 0 };
    assert_int_equal(net_connect(l, "no-such-host.invalid", 1, NULL, 0, &ops, &p.a, &p.a.s, NULL),
                     STATUS_OK);
    UNTIL(&p, p.a.closes == 1);
    assert_true(p.a.why != STATUS_OK);
    /* Closed while the name is looked up. */
    p.a = (struct end){ 0 };
    assert_int_equal(net_connect(l, "localhost", 1, NULL, 0, &ops, &p.a, &p.a.s, NULL), STATUS_OK);
    net_stream_close(p.a.s);
    UNTIL(&p, p.a.closes == 1);
    assert_int_equal(p.a.why, STATUS_OK);
    /* No name at all. */
    p.a = (struct end){ 0 };
    assert_int_equal(net_connect(l, "", 1, NULL, 0, &ops, &p.a, &s, &err), STATUS_INVALID);
    loop_run(l);
    assert_int_equal(p.a.closes, 0);
    loop_free(l);
}

static void test_listen_failures(void **state)
{
    struct pair p;
    struct net_listener *second = NULL;
    struct net_listen_config config = { .bind = "127.0.0.1" };
    struct err err = { 0 };

    (void)state;
    pair_listen(&p, "127.0.0.1", 10);
    config.port = net_listener_port(p.listener);
    assert_true(net_listen(p.loop, &config, on_accept, &p, &second, &err) != STATUS_OK);
    assert_null(second);
    assert_true(err.text[0] != '\0');
    config = (struct net_listen_config){ .bind = "not an address" };
    assert_int_equal(net_listen(p.loop, &config, on_accept, &p, &second, &err), STATUS_INVALID);
    pair_done(&p);
}

struct crowd {
    struct loop *loop;
    struct net_listener *listener;
    struct end accepted[4];
    int accepts;
};

static void crowd_accept(void *ctx, struct net_stream *s)
{
    struct crowd *c = ctx;
    struct end *e = &c->accepted[c->accepts++];

    e->s = s;
    net_stream_set(s, &no_end_ops, e);
}

static void test_connections_max(void **state)
{
    const struct net_listen_config config = { .bind = "127.0.0.1", .connections_max = 2 };
    struct crowd c = { .loop = loop_new() };
    struct end more[3] = { 0 };

    (void)state;
    assert_int_equal(net_listen(c.loop, &config, crowd_accept, &c, &c.listener, NULL), STATUS_OK);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(net_connect(c.loop, "127.0.0.1", net_listener_port(c.listener), NULL, 0,
                                     &ops, &more[i], &more[i].s, NULL),
                         STATUS_OK);
    UNTIL(&c, more[0].opens + more[1].opens + more[2].opens == 3 && c.accepts == 2);
    for (int i = 0; i < 20; i++)
        (void)uv_run(loop_uv(c.loop), UV_RUN_NOWAIT);
    assert_int_equal(c.accepts, 2);
    assert_int_equal(net_listener_open(c.listener), 2);
    net_stream_close(c.accepted[0].s);
    UNTIL(&c, c.accepts == 3);
    /* Stopped and freed: its streams live on. */
    net_listener_stop(c.listener);
    net_listener_free(c.listener);
    assert_int_equal(c.accepted[1].closes + c.accepted[2].closes, 0);
    for (size_t i = 0; i < 3; i++)
        net_stream_close(more[i].s);
    UNTIL(&c, c.accepted[1].closes == 1 && c.accepted[2].closes == 1);
    loop_run(c.loop);
    loop_free(c.loop);
}

/* No descriptor left: accepting waits and goes on when there are some again; nobody is turned away.
 */
static void test_out_of_descriptors(void **state)
{
    struct rlimit old;
    struct rlimit low;
    struct pair p;
    int taken[256];
    size_t n = 0;
    uv_tcp_t first;

    (void)state;
    pair_listen(&p, "127.0.0.1", 100);
    /* libuv sets a descriptor aside with the first handle of a loop. */
    assert_int_equal(uv_tcp_init(loop_uv(p.loop), &first), 0);
    uv_close((uv_handle_t *)&first, NULL);
    (void)uv_run(loop_uv(p.loop), UV_RUN_NOWAIT);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    low = old;
    low.rlim_cur = 200;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    while (n < COUNT_OF(taken)) {
        taken[n] = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
        if (taken[n] < 0)
            break;
        n++;
    }
    assert_true(n > 1 && n < COUNT_OF(taken));
    (void)close(taken[--n]); /* for the client */
    assert_int_equal(net_connect(p.loop, "127.0.0.1", net_listener_port(p.listener), NULL, 0, &ops,
                                 &p.a, &p.a.s, NULL),
                     STATUS_OK);
    UNTIL(&p, p.a.opens == 1);
    assert_int_equal(net_stream_write(p.a.s, "x", 1), STATUS_OK);
    for (int i = 0; i < 20; i++)
        (void)uv_run(loop_uv(p.loop), UV_RUN_NOWAIT);
    assert_int_equal(p.accepts, 0);
    while (n > 0)
        (void)close(taken[--n]);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    UNTIL(&p, p.accepts == 1 && p.b.in.n == 1);
    assert_int_equal(p.a.ends + p.a.closes, 0);
    pair_done(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_echo),
        cmocka_unit_test(test_dual_stack),
        cmocka_unit_test(test_many_bytes),
        cmocka_unit_test(test_back_pressure),
        cmocka_unit_test(test_pending_max),
        cmocka_unit_test(test_shutdown_and_half_close),
        cmocka_unit_test(test_close_after_write),
        cmocka_unit_test(test_close_inside_data),
        cmocka_unit_test(test_reset),
        cmocka_unit_test(test_connect_failures),
        cmocka_unit_test(test_listen_failures),
        cmocka_unit_test(test_connections_max),
        cmocka_unit_test(test_out_of_descriptors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
