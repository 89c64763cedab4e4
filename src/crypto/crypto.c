/* Digests, randomness, encodings, secrets; on OpenSSL's EVP.
 *
 * The one idea: a digest of bytes in memory fails only when memory or the library itself is broken,
 * and going on with a wrong digest would be worse, so that ends the process; callers get plain
 * values. Encodings are ours and strict: one text for one sequence of bytes. */
#include "crypto/crypto.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/log.h"

NORETURN static void die(const char *what)
{
    log_event(LOG_ERROR, "crypto.broken", "what=%s", what);
    abort();
}

static void digest(const EVP_MD *md, const struct str *parts, size_t n, uint8_t *out)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    int ok = ctx && EVP_DigestInit_ex(ctx, md, NULL);

    for (size_t i = 0; ok && i < n; i++)
        ok = parts[i].n == 0 || EVP_DigestUpdate(ctx, parts[i].p, parts[i].n);
    ok = ok && EVP_DigestFinal_ex(ctx, out, NULL);
    EVP_MD_CTX_free(ctx);
    if (!ok)
        die("digest");
}

void crypto_sha256(const struct str *parts, size_t n, uint8_t out[32])
{
    digest(EVP_sha256(), parts, n, out);
}

void crypto_sha256_hex(const struct str *parts, size_t n, char out[CRYPTO_SHA256_HEX + 1])
{
    uint8_t raw[32];

    crypto_sha256(parts, n, raw);
    crypto_hex(raw, sizeof raw, out);
}

void crypto_hmac_sha256(struct str key, struct str data, uint8_t out[32])
{
    unsigned n = 0;

    if (key.n > INT32_MAX)
        die("hmac key");
    if (!HMAC(EVP_sha256(), key.n ? key.p : "", (int)key.n, (const uint8_t *)(data.n ? data.p : ""),
              data.n, out, &n) ||
        n != 32)
        die("hmac");
}

void crypto_sha1(struct str data, uint8_t out[20])
{
    digest(EVP_sha1(), &data, 1, out);
}

void crypto_md5(struct str data, uint8_t out[16])
{
    digest(EVP_md5(), &data, 1, out);
}

bool crypto_equal(struct str a, struct str b)
{
    return a.n == b.n && (a.n == 0 || CRYPTO_memcmp(a.p, b.p, a.n) == 0);
}

void crypto_wipe(void *p, size_t n)
{
    if (n)
        OPENSSL_cleanse(p, n);
}

void crypto_random(void *out, size_t n)
{
    uint8_t *at = out;

    while (n) {
        const ssize_t got = getrandom(at, n, 0);

        if (got < 0 && errno != EINTR)
            die("getrandom");
        if (got > 0) {
            at += got;
            n -= (size_t)got;
        }
    }
}

void crypto_random_hex(char out[65])
{
    uint8_t raw[32];

    crypto_random(raw, sizeof raw);
    crypto_hex(raw, sizeof raw, out);
    crypto_wipe(raw, sizeof raw);
}

uint64_t crypto_random_u64(void)
{
    uint64_t v;

    crypto_random(&v, sizeof v);
    return v;
}

void crypto_hex(const uint8_t *p, size_t n, char *out)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < n; i++) {
        *out++ = digits[p[i] >> 4];
        *out++ = digits[p[i] & 15];
    }
    *out = '\0';
}

bool crypto_unhex(struct str hex, uint8_t *out, size_t n)
{
    if (hex.n != 2 * n)
        return false;
    for (size_t i = 0; i < hex.n; i++) {
        if (str_hex_digit(hex.p[i]) < 0)
            return false;
    }
    for (size_t i = 0; i < n; i++)
        out[i] = (uint8_t)(str_hex_digit(hex.p[2 * i]) << 4 | str_hex_digit(hex.p[2 * i + 1]));
    return true;
}

static const char base64_standard[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char base64_url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* Up to three bytes as four characters; how many of them mean something is left to the caller. */
static void base64_group(const uint8_t *p, size_t n, const char *letters, char out[4])
{
    const uint32_t bits =
        (uint32_t)p[0] << 16 | (n > 1 ? (uint32_t)p[1] << 8 : 0) | (n > 2 ? (uint32_t)p[2] : 0);

    for (int i = 0; i < 4; i++)
        out[i] = letters[bits >> (18 - 6 * i) & 63];
}

Status crypto_base64(struct str data, bool url_safe, struct buf *out)
{
    const char *letters = url_safe ? base64_url : base64_standard;
    Status st;

    if (data.n > SIZE_MAX / 2)
        return STATUS_FULL;
    st = buf_reserve(out, url_safe ? (data.n * 4 + 2) / 3 : (data.n + 2) / 3 * 4);
    if (st)
        return st;
    for (size_t i = 0; i < data.n; i += 3) {
        const size_t n = data.n - i < 3 ? data.n - i : 3;
        char group[4];

        base64_group((const uint8_t *)data.p + i, n, letters, group);
        if (n < 3 && !url_safe)
            memset(group + n + 1, '=', 3 - n);
        (void)buf_add(out, group, n < 3 && url_safe ? n + 1 : 4);
    }
    return STATUS_OK;
}

void crypto_random_base64url(char out[44])
{
    uint8_t raw[32];

    crypto_random(raw, sizeof raw);
    for (size_t i = 0; i < 30; i += 3)
        base64_group(raw + i, 3, base64_url, out + i / 3 * 4);
    base64_group(raw + 30, 2, base64_url, out + 40);
    out[43] = '\0';
    crypto_wipe(raw, sizeof raw);
}

static int base64_value(char c, const char *letters)
{
    const char *hit = c ? strchr(letters, c) : NULL;

    return hit ? (int)(hit - letters) : -1;
}

/* Two to four letters as one to three bytes; false on a foreign letter or bits that mean nothing.
 */
static bool base64_ungroup(const char *p, size_t n, const char *letters, uint8_t out[3])
{
    uint32_t bits = 0;

    for (size_t i = 0; i < 4; i++) {
        const int value = i < n ? base64_value(p[i], letters) : 0;

        if (value < 0)
            return false;
        bits = bits << 6 | (uint32_t)value;
    }
    if ((n == 2 && bits & 0xFFFF) || (n == 3 && bits & 0xFF))
        return false;
    out[0] = (uint8_t)(bits >> 16);
    out[1] = (uint8_t)(bits >> 8);
    out[2] = (uint8_t)bits;
    return true;
}

Status crypto_unbase64(struct str text, bool url_safe, struct buf *out)
{
    const char *letters = url_safe ? base64_url : base64_standard;
    const size_t before = out->n;
    Status st;

    if (!url_safe) {
        if (text.n % 4 != 0)
            return STATUS_INVALID;
        for (int i = 0; i < 2 && text.n && text.p[text.n - 1] == '='; i++)
            text.n--;
    }
    if (text.n % 4 == 1)
        return STATUS_INVALID;
    st = buf_reserve(out, text.n / 4 * 3 + (text.n % 4 ? text.n % 4 - 1 : 0));
    if (st)
        return st;
    for (size_t i = 0; i < text.n; i += 4) {
        const size_t n = text.n - i < 4 ? text.n - i : 4;
        uint8_t bytes[3];

        if (!base64_ungroup(text.p + i, n, letters, bytes)) {
            out->n = before;
            return STATUS_INVALID;
        }
        (void)buf_add(out, bytes, n - 1); /* reserved */
    }
    return STATUS_OK;
}

Status secret_set(struct secret *s, struct str value)
{
    char *p = malloc(value.n + 1);

    if (!p)
        return STATUS_NOMEM;
    if (value.n)
        memcpy(p, value.p, value.n);
    p[value.n] = '\0';
    secret_done(s);
    *s = (struct secret){ .p = p, .n = value.n };
    return STATUS_OK;
}

void secret_done(struct secret *s)
{
    if (s->p)
        crypto_wipe(s->p, s->n);
    free(s->p);
    *s = (struct secret){ 0 };
}
