/* Digests, randomness, encodings, sealing, constant-time comparison; on OpenSSL's libcrypto. */
#ifndef CRYPTO_CRYPTO_H
#define CRYPTO_CRYPTO_H

#include "base/attr.h"
#include "base/buf.h"
#include "base/status.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

#define CRYPTO_SHA256_HEX 64

/* SHA-256 as lower-case hex with a NUL; the parts are concatenated without a separator
 * (the reference's digests, satellite.md 4). */
void crypto_sha256_hex(const struct str *parts, size_t n, char out[CRYPTO_SHA256_HEX + 1]);
#define CRYPTO_SHA256_HEX_OF(out, ...)                                                             \
    crypto_sha256_hex((const struct str[]){ __VA_ARGS__ },                                         \
                      sizeof((const struct str[]){ __VA_ARGS__ }) / sizeof(struct str), out)
void crypto_sha256(const struct str *parts, size_t n, uint8_t out[32]);
void crypto_hmac_sha256(struct str key, struct str data, uint8_t out[32]);
void crypto_sha1(struct str data, uint8_t out[20]); /* WebSocket accept key only (RFC 6455) */
void crypto_md5(struct str data, uint8_t out[16]);  /* spreading samples only (satellite.md 31.1) */

bool crypto_equal(struct str a, struct str b); /* constant time in the content */
void crypto_wipe(void *p, size_t n);

/* Randomness from the system; aborts the process if the system has none. */
void crypto_random(void *out, size_t n);
void crypto_random_hex(char out[65]);       /* 64 lower-case hex digits, NUL */
void crypto_random_base64url(char out[44]); /* 32 bytes as 43 characters, NUL */
uint64_t crypto_random_u64(void);

void crypto_hex(const uint8_t *p, size_t n, char *out); /* 2n + 1 bytes */
bool crypto_unhex(struct str hex, uint8_t *out, size_t n);
/* base64, standard with padding or URL-safe without. Appends. Reading is strict (INVALID): the
 * other alphabet, missing or extra padding, blanks, stray bits. */
Status crypto_base64(struct str data, bool url_safe, struct buf *out);
Status crypto_unbase64(struct str text, bool url_safe, struct buf *out) MUST_USE;

/* A secret: wiped on done, never printed. */
struct secret {
    char *p;
    size_t n;
};
Status secret_set(struct secret *s, struct str value) MUST_USE;
void secret_done(struct secret *s);
static inline struct str secret_str(const struct secret *s) /* for digests; do not log */
{
    return (struct str){ .p = s->p, .n = s->n };
}

/* AES-256-GCM under a key derived (HKDF-SHA256) from `master` for `purpose`. Sealed form:
 * version byte 1, 12-byte nonce, ciphertext, 16-byte tag. CORRUPT when it does not open. Appends;
 * on failure out is as it was. At most CRYPTO_SEAL_MAX bytes (TOO_BIG). */
#define CRYPTO_SEAL_MAX   (256u * 1024 * 1024)
#define CRYPTO_SEAL_EXTRA 29
Status crypto_seal(const struct secret *master, const char *purpose, struct str plain,
                   struct str aad, struct buf *out, struct err *err) MUST_USE;
Status crypto_open(const struct secret *master, const char *purpose, struct str sealed,
                   struct str aad, struct buf *out, struct err *err) MUST_USE;

#endif
