/* Sealing: AES-256-GCM under a key of its own for each purpose.
 *
 * The one idea: the master key never encrypts; HKDF-SHA256 derives a key for `purpose` from it, so
 * what is sealed for one purpose does not open for another. Nonces are random: 96 bits are safe for
 * 2^32 messages under one key, far beyond what a conductor seals. */
#include "crypto/crypto.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#define SEAL_VERSION 1
#define SEAL_KEY     32
#define SEAL_NONCE   12
#define SEAL_TAG     16
#define SEAL_HEAD    (1 + SEAL_NONCE)

static bool derive(const struct secret *master, const char *purpose, uint8_t key[SEAL_KEY])
{
    char md[] = "SHA256";
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, md, 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, master->p, master->n),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)(uintptr_t)purpose,
                                          strlen(purpose)),
        OSSL_PARAM_construct_end(),
    };
    const bool ok = ctx && EVP_KDF_derive(ctx, key, SEAL_KEY, params) > 0;

    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(kdf);
    return ok;
}

static bool update(EVP_CIPHER_CTX *ctx, uint8_t *out, struct str in)
{
    int n = 0;

    return in.n == 0 || EVP_CipherUpdate(ctx, out, &n, (const uint8_t *)in.p, (int)in.n) == 1;
}

static bool encrypt(const uint8_t key[SEAL_KEY], const uint8_t *nonce, struct str plain,
                    struct str aad, uint8_t *out)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int n = 0;
    const bool ok = ctx && EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, nonce) == 1 &&
                    update(ctx, NULL, aad) && update(ctx, out, plain) &&
                    EVP_EncryptFinal_ex(ctx, out + plain.n, &n) == 1 &&
                    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, SEAL_TAG, out + plain.n) == 1;

    EVP_CIPHER_CTX_free(ctx);
    return ok;
}

static bool decrypt(const uint8_t key[SEAL_KEY], struct str sealed, struct str aad, uint8_t *out)
{
    const uint8_t *p = (const uint8_t *)sealed.p;
    const struct str text = str_slice(sealed, SEAL_HEAD, sealed.n - SEAL_TAG);
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    uint8_t tag[SEAL_TAG];
    int n = 0;
    bool ok;

    memcpy(tag, p + sealed.n - SEAL_TAG, SEAL_TAG);
    ok = ctx && EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, p + 1) == 1 &&
         update(ctx, NULL, aad) && update(ctx, out, text) &&
         EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, SEAL_TAG, tag) == 1 &&
         EVP_DecryptFinal_ex(ctx, out + text.n, &n) == 1;
    EVP_CIPHER_CTX_free(ctx);
    return ok;
}

Status crypto_seal(const struct secret *master, const char *purpose, struct str plain,
                   struct str aad, struct buf *out, struct err *err)
{
    uint8_t key[SEAL_KEY];
    uint8_t *head;
    bool ok;
    Status st;

    if (master->n == 0)
        return err_set(err, STATUS_INVALID, NULL, "no key to seal with");
    if (plain.n > CRYPTO_SEAL_MAX || aad.n > CRYPTO_SEAL_MAX)
        return err_set(err, STATUS_TOO_BIG, NULL, "too big to seal");
    st = buf_reserve(out, plain.n + CRYPTO_SEAL_EXTRA);
    if (st)
        return err_set(err, st, NULL, "no room to seal %zu bytes", plain.n);
    head = (uint8_t *)out->p + out->n;
    head[0] = SEAL_VERSION;
    crypto_random(head + 1, SEAL_NONCE);
    ok = derive(master, purpose, key) && encrypt(key, head + 1, plain, aad, head + SEAL_HEAD);
    crypto_wipe(key, sizeof key);
    if (!ok)
        return err_set(err, STATUS_NOMEM, NULL, "sealing failed");
    out->n += plain.n + CRYPTO_SEAL_EXTRA;
    return STATUS_OK;
}

Status crypto_open(const struct secret *master, const char *purpose, struct str sealed,
                   struct str aad, struct buf *out, struct err *err)
{
    uint8_t key[SEAL_KEY], nothing = 0;
    size_t n;
    bool ok;
    Status st;

    if (master->n == 0)
        return err_set(err, STATUS_INVALID, NULL, "no key to open with");
    if (sealed.n < CRYPTO_SEAL_EXTRA || sealed.p[0] != SEAL_VERSION)
        return err_set(err, STATUS_CORRUPT, NULL, "not sealed by us");
    n = sealed.n - CRYPTO_SEAL_EXTRA;
    if (n > CRYPTO_SEAL_MAX || aad.n > CRYPTO_SEAL_MAX)
        return err_set(err, STATUS_TOO_BIG, NULL, "too big to open");
    st = buf_reserve(out, n);
    if (st)
        return err_set(err, st, NULL, "no room to open %zu bytes", n);
    ok = derive(master, purpose, key) &&
         decrypt(key, sealed, aad, n ? (uint8_t *)out->p + out->n : &nothing);
    crypto_wipe(key, sizeof key);
    if (!ok) {
        if (n)
            crypto_wipe(out->p + out->n, n); /* decrypted but not authentic */
        return err_set(err, STATUS_CORRUPT, NULL, "sealed with another key, or damaged");
    }
    out->n += n;
    return STATUS_OK;
}
