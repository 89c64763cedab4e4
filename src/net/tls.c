/* TLS by OpenSSL, fed by hand. A BIO of ours reads from the slice that just arrived and writes into
 * the stream's queue of encrypted output, so that an idle connection holds no buffers but OpenSSL's
 * own state (and those are released, SSL_MODE_RELEASE_BUFFERS). No sessions, tickets or
 * renegotiation. */
#include "net/net_int.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#define ENCRYPT_PER_STEP (64u * 1024)

/* ---- the BIO ---- */

static int bio_write(BIO *bio, const char *p, int n)
{
    struct net_stream *s = BIO_get_data(bio);

    if (n <= 0 || !queue_add(&s->tls->wire, p, (size_t)n))
        return -1;
    return n;
}

static int bio_read(BIO *bio, char *p, int n)
{
    const struct net_stream *s = BIO_get_data(bio);
    struct tls_state *t = s->tls;
    const size_t take = n > 0 && (size_t)n < t->in_n ? (size_t)n : t->in_n;

    BIO_clear_retry_flags(bio);
    if (take == 0 || n <= 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    memcpy(p, t->in, take);
    t->in += take;
    t->in_n -= take;
    return (int)take;
}

static long bio_ctrl(BIO *bio, int cmd, long num, void *ptr)
{
    (void)bio;
    (void)num;
    (void)ptr;
    return cmd == BIO_CTRL_FLUSH ? 1 : 0;
}

static int bio_create(BIO *bio)
{
    BIO_set_init(bio, 1);
    return 1;
}

/* ---- contexts ---- */

static Status ssl_error(struct err *err, Status st, const char *what, const char *which)
{
    char text[160];

    ERR_error_string_n(ERR_peek_last_error(), text, sizeof text);
    ERR_clear_error();
    return err_set(err, st, NULL, "%s %.120s: %s", what, which ? which : "", text);
}

/* A key with a pass phrase must fail, not ask on the terminal. */
static int no_passphrase(char *buf, int size, int rwflag, void *arg)
{
    (void)buf;
    (void)size;
    (void)rwflag;
    (void)arg;
    return 0;
}

static struct net_tls *tls_new(bool server, struct err *err)
{
    struct net_tls *t = calloc(1, sizeof *t);

    if (!t)
        goto fail;
    t->refs = 1;
    t->server = server;
    t->ctx = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
    t->bio = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "orrery stream");
    if (!t->ctx || !t->bio || BIO_meth_set_write(t->bio, bio_write) != 1 ||
        BIO_meth_set_read(t->bio, bio_read) != 1 || BIO_meth_set_ctrl(t->bio, bio_ctrl) != 1 ||
        BIO_meth_set_create(t->bio, bio_create) != 1)
        goto fail;
    (void)SSL_CTX_set_min_proto_version(t->ctx, TLS1_2_VERSION);
    (void)SSL_CTX_set_session_cache_mode(t->ctx, SSL_SESS_CACHE_OFF);
    (void)SSL_CTX_set_num_tickets(t->ctx, 0);
    (void)SSL_CTX_set_options(t->ctx, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION |
                                          SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
    (void)SSL_CTX_set_mode(t->ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                       SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_default_passwd_cb(t->ctx, no_passphrase);
    return t;
fail:
    (void)ssl_error(err, STATUS_NOMEM, "TLS", "");
    net_tls_unref(t);
    return NULL;
}

struct net_tls *net_tls_server(const char *cert_file, const char *key_file, struct err *err)
{
    struct net_tls *t = tls_new(true, err);

    if (!t)
        return NULL;
    ERR_clear_error();
    if (SSL_CTX_use_certificate_chain_file(t->ctx, cert_file) != 1) {
        (void)ssl_error(err, STATUS_INVALID, "certificate", cert_file);
        net_tls_unref(t);
        return NULL;
    }
    if (SSL_CTX_use_PrivateKey_file(t->ctx, key_file, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(t->ctx) != 1) {
        (void)ssl_error(err, STATUS_INVALID, "private key", key_file);
        net_tls_unref(t);
        return NULL;
    }
    return t;
}

struct net_tls *net_tls_client(bool verify, const char *ca_file, struct err *err)
{
    struct net_tls *t = tls_new(false, err);
    int ok = 1;

    if (!t)
        return NULL;
    t->verify = verify;
    ERR_clear_error();
    if (verify) {
        SSL_CTX_set_verify(t->ctx, SSL_VERIFY_PEER, NULL);
        ok = ca_file ? SSL_CTX_load_verify_locations(t->ctx, ca_file, NULL)
                     : SSL_CTX_set_default_verify_paths(t->ctx);
    }
    if (ok != 1) {
        (void)ssl_error(err, STATUS_INVALID, "certificate authorities", ca_file);
        net_tls_unref(t);
        return NULL;
    }
    return t;
}

struct net_tls *net_tls_ref(struct net_tls *t)
{
    t->refs++;
    return t;
}

void net_tls_unref(struct net_tls *t)
{
    if (!t || --t->refs)
        return;
    SSL_CTX_free(t->ctx);
    BIO_meth_free(t->bio);
    free(t);
}

/* ---- a stream ---- */

static bool set_client_name(SSL *ssl, bool verify, const char *host)
{
    struct sockaddr_in6 a6;
    struct sockaddr_in a4;
    const bool numeric = uv_ip4_addr(host, 0, &a4) == 0 || uv_ip6_addr(host, 0, &a6) == 0;

    SSL_set_connect_state(ssl);
    if (!numeric && SSL_set_tlsext_host_name(ssl, host) != 1)
        return false;
    if (!verify)
        return true;
    if (numeric)
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
    return SSL_set1_host(ssl, host) == 1;
}

Status tls_attach(struct net_stream *s, struct net_tls *tls, const char *host)
{
    struct tls_state *t = calloc(1, sizeof *t);
    BIO *bio;

    if (!t)
        return STATUS_NOMEM;
    t->ssl = SSL_new(tls->ctx);
    bio = t->ssl ? BIO_new(tls->bio) : NULL;
    if (!bio) {
        SSL_free(t->ssl);
        free(t);
        return STATUS_NOMEM;
    }
    BIO_set_data(bio, s);
    SSL_set_bio(t->ssl, bio, bio);
    t->tls = net_tls_ref(tls);
    s->tls = t;
    if (tls->server)
        SSL_set_accept_state(t->ssl);
    else if (!set_client_name(t->ssl, tls->verify, host))
        return STATUS_INVALID;
    return STATUS_OK;
}

void tls_detach(struct net_stream *s)
{
    struct tls_state *t = s->tls;

    if (!t)
        return;
    SSL_free(t->ssl);
    net_tls_unref(t->tls);
    queue_done(&t->wire);
    free(t->stash);
    free(t);
    s->tls = NULL;
    ERR_clear_error();
}

static void tls_fail(struct net_stream *s, const char *what)
{
    const long verify = SSL_get_verify_result(s->tls->ssl);
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    Status why = STATUS_CLOSED;

    if (!s->open && verify != X509_V_OK && s->tls->tls->verify) {
        why = STATUS_DENIED;
        reason = X509_verify_cert_error_string(verify);
    }
    /* Let the alert, if there is one, reach the peer: it tells it what was wrong. */
    if (s->tls->wire.n && !s->op && s->tls->wire.head) {
        const struct out_chunk *c = s->tls->wire.head;
        const uv_buf_t buf = uv_buf_init((char *)c->p + c->off, (unsigned)(c->n - c->off));
        (void)uv_try_write((uv_stream_t *)&s->tcp, &buf, 1);
    }
    stream_fail(s, why, "TLS %s: %s", what, reason ? reason : "protocol error");
    ERR_clear_error();
}

/* One step of the handshake; false when it cannot go on now. */
static bool handshake(struct net_stream *s)
{
    const int r = SSL_do_handshake(s->tls->ssl);

    if (r == 1) {
        hub_touch(s->hub, s);
        stream_opened(s);
        return true;
    }
    if (SSL_get_error(s->tls->ssl, r) == SSL_ERROR_WANT_READ) {
        hub_touch(s->hub, s);
        return false;
    }
    tls_fail(s, "handshake");
    return false;
}

static bool read_step(struct net_stream *s)
{
    struct net_hub *h = s->hub;
    const int r = SSL_read(s->tls->ssl, h->plain, (int)sizeof h->plain);

    if (r > 0) {
        stream_deliver(s, h->plain, (size_t)r);
        return true;
    }
    switch (SSL_get_error(s->tls->ssl, r)) {
    case SSL_ERROR_WANT_READ:
        if (s->tls->wire.n)
            hub_touch(s->hub, s);
        break;
    case SSL_ERROR_ZERO_RETURN:
        stream_end(s);
        break;
    default:
        tls_fail(s, "read");
    }
    return false;
}

static void stash_rest(struct net_stream *s)
{
    struct tls_state *t = s->tls;
    const size_t n = t->in_n;
    uint8_t *p;

    if (n == 0)
        return;
    p = malloc(n);
    if (!p) {
        stream_fail(s, STATUS_NOMEM, "out of memory");
        return;
    }
    memcpy(p, t->in, n);
    t->stash = p;
    t->stash_n = n;
    stream_read_update(s);
}

void tls_feed(struct net_stream *s, const uint8_t *p, size_t n)
{
    struct tls_state *t = s->tls;

    t->in = p;
    t->in_n = n;
    ERR_clear_error();
    while (!s->closing && !s->eof) {
        if (!s->open) {
            if (!handshake(s))
                break;
        } else if (s->paused && !s->linger) {
            stash_rest(s);
            break;
        } else if (!read_step(s)) {
            break;
        }
    }
    t->in = NULL;
    t->in_n = 0;
}

void tls_unstash(struct net_stream *s)
{
    struct tls_state *t = s->tls;
    uint8_t *p = t->stash;
    const size_t n = t->stash_n;

    t->stash = NULL;
    t->stash_n = 0;
    tls_feed(s, p, n);
    free(p);
    if (!s->closing)
        stream_read_update(s);
}

bool tls_encrypt(struct net_stream *s)
{
    struct tls_state *t = s->tls;
    size_t done = 0;

    ERR_clear_error();
    while (s->out.n && done < ENCRYPT_PER_STEP) {
        const struct out_chunk *c = s->out.head;
        size_t n = c->n - c->off;
        int r;

        if (n > ENCRYPT_PER_STEP)
            n = ENCRYPT_PER_STEP;
        r = SSL_write(t->ssl, c->p + c->off, (int)n);
        if (r <= 0) {
            tls_fail(s, "write");
            return false;
        }
        queue_drop(&s->out, (size_t)r);
        done += (size_t)r;
    }
    return true;
}

void tls_notify(struct net_stream *s)
{
    if (s->tls->notified)
        return;
    s->tls->notified = true;
    (void)SSL_shutdown(s->tls->ssl);
    ERR_clear_error();
}
