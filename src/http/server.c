/* The server: listeners, the list of connections, one timer that sweeps them for whatever took too
 * long, draining, and what is shared by all replies (spare requests, Date). Connections: conn.c. */
#include "http/http_int.h"

#include "loop/loop.h"

#include <stdio.h>
#include <stdlib.h>

#define SWEEP_MIN (20 * USEC_MSEC)
#define SWEEP_MAX USEC_SEC

struct http_limits http_limits_default(void)
{
    return (struct http_limits){
        .connections_max = 2048,
        .requests_max = 256,
        .body_max = UINT64_C(1) << 30,
        .head_timeout = 30 * USEC_SEC,
        .body_timeout = 30 * USEC_SEC,
        .write_timeout = 30 * USEC_SEC,
        .idle_timeout = 30 * USEC_SEC,
    };
}

static void on_sweep(void *arg)
{
    struct http_server *s = arg;
    const Usec now = loop_now_mono(s->config.loop);

    LIST_EACH_SAFE (it, &s->conns) {
        conn_sweep(CONTAINER_OF(it, struct http_conn, link), now);
    }
    if (s->n_conns == 0) {
        loop_timer_stop(s->sweep);
        zip_done(s);
    }
}

/* Often enough for the shortest limit to be met within a quarter of it. */
static Usec sweep_interval(const struct http_limits *l)
{
    Usec least = l->head_timeout;

    if (l->body_timeout < least)
        least = l->body_timeout;
    if (l->write_timeout < least)
        least = l->write_timeout;
    if (l->idle_timeout < least)
        least = l->idle_timeout;
    least /= 4;
    return least < SWEEP_MIN ? SWEEP_MIN : least > SWEEP_MAX ? SWEEP_MAX : least;
}

Status http_server_new(const struct http_server_config *config, struct http_server **ret,
                       struct err *err)
{
    struct http_server *s = calloc(1, sizeof *s);

    if (!s)
        return err_set(err, STATUS_NOMEM, NULL, "out of memory");
    s->config = *config;
    if (!s->config.server_name)
        s->config.server_name = "Orrery";
    s->common_at = -1;
    list_init(&s->conns);
    s->sweep_every = sweep_interval(&s->config.limits);
    s->sweep = loop_timer_new(config->loop, "http.sweep", on_sweep, s);
    if (!s->sweep) {
        free(s);
        return err_set(err, STATUS_NOMEM, NULL, "out of memory");
    }
    *ret = s;
    return STATUS_OK;
}

static void on_accept(void *ctx, struct net_stream *stream)
{
    conn_accept(ctx, stream);
}

Status http_server_listen(struct http_server *s, const char *bind, uint16_t port,
                          struct net_tls *tls, uint16_t *ret_port, struct err *err)
{
    const struct net_listen_config config = {
        .bind = bind,
        .port = port,
        .tls = tls,
        .connections_max = s->config.limits.connections_max,
    };
    struct net_listener *n = NULL;
    Status st;

    st = net_listen(s->config.loop, &config, on_accept, s, &n, err);
    if (st)
        return st;
    st = vec_push(&s->listeners, n);
    if (st) {
        net_listener_free(n);
        return err_set(err, st, NULL, "out of memory");
    }
    if (ret_port)
        *ret_port = net_listener_port(n);
    return STATUS_OK;
}

const char *server_common(struct http_server *s, size_t *ret_n)
{
    const Usec second = loop_now_wall(s->config.loop) / USEC_SEC;

    if (second != s->common_at) {
        char date[30];
        int n;
        usec_format_http(second * USEC_SEC, date);
        n = snprintf(s->common, sizeof s->common, "Server: %.80s\r\nDate: %s\r\n",
                     s->config.server_name, date);
        s->common_n = n > 0 ? (size_t)n : 0;
        s->common_at = second;
    }
    *ret_n = s->common_n;
    return s->common;
}

/* ---- ending ---- */

static void drained(struct http_server *s)
{
    void (*fn)(void *arg) = s->drain_fn;

    loop_timer_free(s->drain_timer);
    s->drain_timer = NULL;
    s->drain_fn = NULL;
    if (fn)
        fn(s->drain_arg);
}

static void cut_all(struct http_server *s)
{
    LIST_EACH_SAFE (it, &s->conns) {
        conn_cut(CONTAINER_OF(it, struct http_conn, link));
    }
}

static void on_drain_timer(void *arg)
{
    struct http_server *s = arg;

    if (s->n_conns == 0)
        drained(s);
    else
        cut_all(s); /* drained when the last of them is closed */
}

void http_server_drain(struct http_server *s, Usec deadline, void (*fn)(void *arg), void *arg)
{
    s->draining = true;
    s->drain_fn = fn;
    s->drain_arg = arg;
    for (size_t i = 0; i < s->listeners.n; i++)
        net_listener_stop(s->listeners.at[i]);
    LIST_EACH_SAFE (it, &s->conns) {
        struct http_conn *c = CONTAINER_OF(it, struct http_conn, link);
        if (c->state == CONN_IDLE)
            conn_close_gently(c);
    }
    s->drain_timer = loop_timer_new(s->config.loop, "http.drain", on_drain_timer, s);
    if (s->drain_timer)
        loop_timer_start(s->drain_timer, s->n_conns ? deadline : 0, 0);
    else
        cut_all(s);
}

void server_conn_gone(struct http_server *s)
{
    if (s->n_conns)
        return;
    if (s->freed)
        server_maybe_free(s);
    else if (s->draining && s->drain_fn)
        drained(s);
}

void server_maybe_free(struct http_server *s)
{
    if (s->freed && s->n_conns == 0 && s->n_requests == 0)
        free(s);
}

void http_server_free(struct http_server *s)
{
    if (!s)
        return;
    s->draining = true;
    s->drain_fn = NULL;
    for (size_t i = 0; i < s->listeners.n; i++)
        net_listener_free(s->listeners.at[i]);
    vec_done(&s->listeners);
    loop_timer_free(s->sweep);
    loop_timer_free(s->drain_timer);
    zip_done(s);
    while (s->spare) {
        struct http_request *r = s->spare;
        s->spare = r->next_spare;
        request_free(r);
    }
    s->n_spare = 0;
    cut_all(s);
    s->freed = true;
    server_maybe_free(s); /* or when its last connection and request are gone */
}

struct http_stats http_server_stats(const struct http_server *s)
{
    return (struct http_stats){
        .requests = s->requests,
        .bytes_in = s->bytes_in,
        .bytes_out = s->bytes_out,
        .connections = s->n_conns,
        .active = s->active,
    };
}
