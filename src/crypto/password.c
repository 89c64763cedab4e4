/* Password hashes.
 *
 * The one idea: we make argon2id only, with OWASP's smallest advised cost (19 MiB, two passes), so
 * that a small conductor can afford it; the parameters are in the hash, so they may grow later.
 * Other crypt(3) forms come with imported users: verified, never made, and refused when their cost
 * would keep the hash lane busy for minutes. */
#include "crypto/password.h"

#include <crypt.h>
#include <stdlib.h>

#include <sodium.h>

#include "crypto/crypto.h"

#define PASSWORD_PASSES      2
#define PASSWORD_MEMORY      (19u * 1024 * 1024)
#define PASSWORD_BCRYPT_COST 16      /* highest one verified, about 4 s */
#define PASSWORD_SHA_ROUNDS  5000000 /* the same for sha256crypt and sha512crypt */

Status password_hash(struct str password, char out[PASSWORD_HASH_MAX], struct err *err)
{
    char hash[crypto_pwhash_STRBYTES];

    if (password.n > PASSWORD_MAX)
        return err_set(err, STATUS_INVALID, "password", "password is longer than %d bytes",
                       PASSWORD_MAX);
    if (sodium_init() < 0 ||
        crypto_pwhash_str_alg(hash, password.n ? password.p : "", password.n, PASSWORD_PASSES,
                              PASSWORD_MEMORY, crypto_pwhash_ALG_ARGON2ID13) != 0)
        return err_set(err, STATUS_NOMEM, NULL, "out of memory for hashing");
    (void)str_copy_z(str_z(hash), out, PASSWORD_HASH_MAX);
    return STATUS_OK;
}

/* The cost of a crypt(3) hash is bearable. */
static bool is_affordable(struct str hash)
{
    struct str rest = str_slice(hash, 1, hash.n), scheme, cost;
    uint64_t n;

    if (!str_split(&rest, '$', &scheme) || !str_split(&rest, '$', &cost))
        return false;
    if (str_eq_z(scheme, "2a") || str_eq_z(scheme, "2b") || str_eq_z(scheme, "2y"))
        return str_to_u64(cost, &n) && n <= PASSWORD_BCRYPT_COST;
    if (str_eq_z(scheme, "5") || str_eq_z(scheme, "6")) {
        if (!str_starts(cost, STR("rounds=")))
            return true;
        return str_to_u64(str_slice(cost, 7, cost.n), &n) && n <= PASSWORD_SHA_ROUNDS;
    }
    return str_eq_z(scheme, "y"); /* yescrypt, Debian's own */
}

static bool verify_crypt(const char *password, const char *hash)
{
    struct crypt_data *data;
    const char *again;
    bool ok;

    if (hash[0] != '$' || !is_affordable(str_z(hash)))
        return false;
    data = calloc(1, sizeof *data); /* 32 KB, too much for a lane's stack */
    if (!data)
        return false;
    again = crypt_rn(password, hash, data, sizeof *data);
    ok = again && again[0] == '$' && crypto_equal(str_z(again), str_z(hash));
    crypto_wipe(data, sizeof *data);
    free(data);
    return ok;
}

bool password_verify(struct str password, struct str hash)
{
    char password_z[PASSWORD_MAX + 1], hash_z[PASSWORD_HASH_MAX];
    bool ok;

    if (password.n > PASSWORD_MAX || str_find_char(hash, '\0') != hash.n ||
        !str_copy_z(hash, hash_z, sizeof hash_z))
        return false;
    if (str_starts(hash, STR("$argon2")))
        return sodium_init() >= 0 && hash.n < crypto_pwhash_STRBYTES &&
               crypto_pwhash_str_verify(hash_z, password.n ? password.p : "", password.n) == 0;
    if (str_find_char(password, '\0') != password.n)
        return false; /* crypt would compare only what is before it */
    (void)str_copy_z(password, password_z, sizeof password_z);
    ok = verify_crypt(password_z, hash_z);
    crypto_wipe(password_z, sizeof password_z);
    return ok;
}
