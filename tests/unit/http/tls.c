/* HTTPS and WSS: our client and server over TLS with a certificate made here; who trusts it and who
 * does not; half-closes, garbage and big bodies through the encryption. */
#include "http_test.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "http/client.h"

static char folder[64];
static char cert_path[128];
static char key_path[128];

/* Self-signed, for localhost and 127.0.0.1. */
static int make_certificate(void **state)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    X509_NAME *name = X509_get_subject_name(cert);
    X509_EXTENSION *names;
    FILE *f;

    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/orrery-tls-XXXXXX");
    assert_non_null(mkdtemp(folder));
    (void)snprintf(cert_path, sizeof cert_path, "%s/cert.pem", folder);
    (void)snprintf(key_path, sizeof key_path, "%s/key.pem", folder);
    assert_non_null(key);
    assert_int_equal(X509_set_version(cert, 2), 1);
    (void)ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    (void)X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
    (void)X509_gmtime_adj(X509_getm_notAfter(cert), 86400);
    (void)X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"localhost",
                                     -1, -1, 0);
    (void)X509_set_issuer_name(cert, name);
    (void)X509_set_pubkey(cert, key);
    names = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1");
    assert_int_equal(X509_add_ext(cert, names, -1), 1);
    X509_EXTENSION_free(names);
    assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
    f = fopen(cert_path, "we");
    assert_int_equal(PEM_write_X509(f, cert), 1);
    (void)fclose(f);
    f = fopen(key_path, "we");
    assert_int_equal(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL), 1);
    (void)fclose(f);
    X509_free(cert);
    EVP_PKEY_free(key);
    return 0;
}

static int remove_certificate(void **state)
{
    (void)state;
    return file_remove_tree(folder, NULL) == STATUS_OK ? 0 : -1;
}

static struct net_tls *server_tls(void)
{
    struct err err = { 0 };
    struct net_tls *t = net_tls_server(cert_path, key_path, &err);

    if (!t)
        fail_msg("%s", err.text);
    return t;
}

static void test_raw(void **state)
{
    struct net_tls *tls = server_tls();
    struct net_tls *any = net_tls_client(false, NULL, NULL);
    struct env e;
    struct raw r;

    (void)state;
    env_start(&e, NULL, tls);
    raw_connect_tls(&e, &r, any);
    RAW_SEND(&r, "GET /hello HTTP/1.1\r\nHost: x\r\n\r\nPOST /echo HTTP/1.1\r\nHost: x\r\n"
                 "Content-Length: 3\r\n\r\nabc");
    RAW_EXPECT(&r, "\r\n\r\nabc");
    assert_true(raw_has(&r, "hello"));
    assert_true(net_stream_is_tls(r.s));
    /* Half-close: the answer still comes. */
    buf_clear(&r.in);
    RAW_SEND(&r, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
    net_stream_shutdown(r.s);
    UNTIL(&e, e.held);
    assert_true(http_request_is_tls(e.held));
    http_reply(e.held, 200, "text/plain", STR("late"));
    RAW_CLOSED(&r);
    assert_true(raw_has(&r, "late"));
    assert_true(r.ended);
    raw_done(&r);
    env_stop(&e);
    net_tls_unref(tls);
    net_tls_unref(any);
}

static void test_big_body(void **state)
{
    struct net_tls *tls = server_tls();
    struct net_tls *any = net_tls_client(false, NULL, NULL);
    static char piece[1024 * 1024];
    struct env e;
    struct raw r;

    (void)state;
    env_start(&e, NULL, tls);
    raw_connect_tls(&e, &r, any);
    RAW_SEND(&r, "PUT /count HTTP/1.1\r\nHost: x\r\nContent-Length: 33554432\r\n\r\n");
    for (int i = 0; i < 32; i++)
        raw_send(&r, str_n(piece, sizeof piece));
    RAW_EXPECT(&r, "\r\n\r\n33554432");
    assert_int_equal(http_server_stats(e.server).bytes_in > 33554432, 1);
    raw_done(&r);
    env_stop(&e);
    net_tls_unref(tls);
    net_tls_unref(any);
}

static struct http_request *paused;

static void pausing_data(void *arg, struct http_request *r, const uint8_t *p, size_t n)
{
    (void)p;
    ((struct env *)arg)->streamed += n;
    http_request_pause(r);
    paused = r;
}

static const struct http_body_ops pausing_ops = { .on_data = pausing_data, .on_end = count_end };

static void pausing_handler(struct env *e, struct http_request *r)
{
    http_request_stream_body(r, &pausing_ops, e);
}

/* Pausing with records of a read still undecrypted. */
static void test_back_pressure(void **state)
{
    struct net_tls *tls = server_tls();
    struct net_tls *any = net_tls_client(false, NULL, NULL);
    static char piece[1024 * 1024];
    struct env e;
    struct raw r;

    (void)state;
    env_start(&e, NULL, tls);
    e.on_request = pausing_handler;
    raw_connect_tls(&e, &r, any);
    RAW_SEND(&r, "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 4194304\r\n\r\n");
    for (int i = 0; i < 4; i++)
        raw_send(&r, str_n(piece, sizeof piece));
    UNTIL(&e, e.streamed > 0);
    for (int i = 0; i < 500; i++)
        (void)uv_run(loop_uv(e.loop), UV_RUN_NOWAIT);
    assert_true(http_server_stats(e.server).bytes_in < 1024 * 1024);
    while (e.streamed < 4194304) {
        const uint64_t before = e.streamed;
        http_request_resume(paused);
        UNTIL(&e, e.streamed > before);
    }
    http_request_resume(paused);
    RAW_EXPECT(&r, "\r\n\r\n4194304");
    raw_done(&r);
    env_stop(&e);
    net_tls_unref(tls);
    net_tls_unref(any);
}

/* ---- who is trusted ---- */

struct outcome {
    int calls;
    Status status;
    int code;
    char text[256];
};

static void on_done(void *arg, const struct http_result *res)
{
    struct outcome *o = arg;

    o->calls++;
    o->status = res->status;
    o->code = res->code;
    (void)str_copy_z(str_z(res->err.text), o->text, sizeof o->text);
}

static struct outcome fetch(struct env *e, struct net_tls *tls, const char *host)
{
    const struct http_client_config config = {
        .loop = e->loop, .disk = e->disk, .tls = tls, .connect_timeout = 30 * USEC_SEC
    };
    struct http_client *c = http_client_new(&config, NULL);
    struct outcome o = { 0 };
    char url[128];

    (void)snprintf(url, sizeof url, "https://%s:%u/hello", host, e->port);
    assert_int_equal(http_client_start(c, &(struct http_call){ .method = "GET", .url = url },
                                       on_done, &o, NULL, NULL),
                     STATUS_OK);
    UNTIL(e, o.calls == 1);
    http_client_free(c);
    return o;
}

static void test_trust(void **state)
{
    struct net_tls *tls = server_tls();
    struct net_tls *any = net_tls_client(false, NULL, NULL);
    struct net_tls *system_only = net_tls_client(true, NULL, NULL);
    struct net_tls *pinned = net_tls_client(true, cert_path, NULL);
    struct outcome o;
    struct env e;

    (void)state;
    env_start(&e, NULL, tls);
    o = fetch(&e, any, "127.0.0.1");
    assert_int_equal(o.code, 200);
    o = fetch(&e, pinned, "127.0.0.1");
    assert_int_equal(o.code, 200);
    o = fetch(&e, pinned, "localhost");
    assert_int_equal(o.code, 200);
    o = fetch(&e, system_only, "127.0.0.1");
    assert_int_equal(o.status, STATUS_DENIED);
    o = fetch(&e, pinned, "127.0.0.2"); /* another name than the certificate's */
    assert_true(o.status == STATUS_DENIED || o.status == STATUS_CLOSED);
    assert_int_equal(o.code, 0);
    env_stop(&e);
    net_tls_unref(tls);
    net_tls_unref(any);
    net_tls_unref(system_only);
    net_tls_unref(pinned);
}

static void test_not_tls(void **state)
{
    struct net_tls *tls = server_tls();
    struct net_tls *any = net_tls_client(false, NULL, NULL);
    struct outcome o;
    struct env e;
    struct raw r;

    (void)state;
    /* Plain HTTP to a TLS port: closed, no handler called. */
    env_start(&e, NULL, tls);
    raw_ask(&e, &r, STR("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"));
    assert_int_equal(http_server_stats(e.server).requests, 0);
    raw_done(&r);
    /* A client that ends in the middle of the handshake. */
    raw_connect(&e, &r);
    RAW_SEND(&r, "\x16\x03\x01\x02");
    net_stream_shutdown(r.s);
    RAW_CLOSED(&r);
    raw_done(&r);
    env_stop(&e);
    /* TLS to a plain port. */
    env_start(&e, NULL, NULL);
    o = fetch(&e, any, "127.0.0.1");
    assert_int_equal(o.status, STATUS_CLOSED);
    env_stop(&e);
    net_tls_unref(tls);
    net_tls_unref(any);
}

static void test_bad_files(void **state)
{
    struct err err = { 0 };

    (void)state;
    assert_null(net_tls_server("/nonexistent", key_path, &err));
    assert_int_equal(err.code, STATUS_INVALID);
    assert_null(net_tls_server(cert_path, cert_path, &err));
    assert_null(net_tls_client(true, "/nonexistent", &err));
}

/* ---- WSS ---- */

struct peer {
    int opens;
    int closes;
    int code;
    size_t n;
    struct ws *w;
};

static void ws_opened(void *ctx, struct ws *w)
{
    (void)w;
    ((struct peer *)ctx)->opens++;
}

static void ws_got(void *ctx, struct ws *w, struct str text, bool binary)
{
    (void)w;
    (void)binary;
    ((struct peer *)ctx)->n += text.n;
}

static void ws_echo(void *ctx, struct ws *w, struct str text, bool binary)
{
    ws_got(ctx, w, text, binary);
    (void)ws_send(w, text);
}

static void ws_closed(void *ctx, struct ws *w, int code, const struct err *err)
{
    struct peer *p = ctx;

    (void)w;
    (void)err;
    p->closes++;
    p->code = code;
}

static const struct ws_ops client_ops = { .on_open = ws_opened,
                                          .on_message = ws_got,
                                          .on_close = ws_closed };
static const struct ws_ops echo_ops = { .on_message = ws_echo, .on_close = ws_closed };
static struct peer server_peer;

static void ws_handler(struct env *e, struct http_request *r)
{
    (void)e;
    assert_int_equal(ws_accept(r, NULL, &echo_ops, &server_peer, &server_peer.w, NULL), STATUS_OK);
}

static void test_wss(void **state)
{
    struct net_tls *tls = server_tls();
    struct net_tls *pinned = net_tls_client(true, cert_path, NULL);
    static char text[100000];
    struct peer c = { 0 };
    struct env e;
    char url[64];

    (void)state;
    server_peer = (struct peer){ 0 };
    memset(text, 'w', sizeof text);
    env_start(&e, NULL, tls);
    e.on_request = ws_handler;
    (void)snprintf(url, sizeof url, "wss://localhost:%u/", e.port);
    assert_int_equal(
        ws_connect(e.loop, url, pinned, NULL, 30 * USEC_SEC, NULL, &client_ops, &c, &c.w, NULL),
        STATUS_OK);
    UNTIL(&e, c.opens == 1);
    assert_true(ws_is_tls(c.w));
    for (int i = 0; i < 50; i++)
        assert_int_equal(ws_send(c.w, str_n(text, sizeof text)), STATUS_OK);
    UNTIL(&e, c.n == 50 * sizeof text);
    ws_close(c.w, 1000, "");
    UNTIL(&e, c.closes == 1 && server_peer.closes == 1);
    assert_int_equal(c.code, 1000);
    env_stop(&e);
    net_tls_unref(tls);
    net_tls_unref(pinned);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_raw),           cmocka_unit_test(test_big_body),
        cmocka_unit_test(test_back_pressure), cmocka_unit_test(test_trust),
        cmocka_unit_test(test_not_tls),       cmocka_unit_test(test_bad_files),
        cmocka_unit_test(test_wss),
    };

    return cmocka_run_group_tests(tests, make_certificate, remove_certificate);
}
