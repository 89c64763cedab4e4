/* Password hashes: argon2id (libsodium, "$argon2id$..."); bcrypt and other crypt(3) forms are only
 * verified, for imported users. Slow by design: call on the hash lane. Input at most 1,024 bytes.
 */
#ifndef CRYPTO_PASSWORD_H
#define CRYPTO_PASSWORD_H

#include "base/status.h"
#include "base/str.h"

#include <stdbool.h>

#define PASSWORD_MAX      1024
#define PASSWORD_HASH_MAX 256

Status password_hash(struct str password, char out[PASSWORD_HASH_MAX], struct err *err) MUST_USE;
bool password_verify(struct str password, struct str hash);

#endif
