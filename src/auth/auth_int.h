/* The inside of the room: principals (users and keys as requests need them), sessions, log-ins. */
#ifndef AUTH_AUTH_INT_H
#define AUTH_AUTH_INT_H

#include "auth/auth.h"
#include "base/list.h"
#include "base/map.h"
#include "crypto/crypto.h"

#define AUTH_KEY_MAX       256u                                  /* bytes of a plain key */
#define AUTH_PRINCIPAL_MAX LIMIT(16u * 1024 * 1024, 256u * 1024) /* parsing one with its roles */
#define AUTH_SWEEP_EVERY   USEC_HOUR                             /* of expired sessions */

/* A user or key, worked out: roles merged in. Made anew at every change of it or of a role. */
struct principal {
    struct arena *arena; /* strings and lists */
    Id id;
    bool is_key;
    bool active;
    struct str username; /* the user's name, or the key's id */
    struct str creator;
    struct str title;
    char digest[CRYPTO_SHA256_HEX + 1]; /* of a key: SHA-256 of plain key and id */
    Usec expires;                       /* of a key; 0: never */
    int64_t max_per_sec;
    int64_t second; /* the counter of this second */
    int64_t count;
    bool admin;
    uint64_t privileges;
    struct str *categories;
    size_t n_categories;
    struct str *groups;
    size_t n_groups;

    /* Of a user: failed log-ins of a clock hour as stored, and those not stored yet. */
    int64_t failed_hour;
    int64_t failed;
    int64_t unsaved_hour;
    int64_t unsaved;
    bool locked;
};

/* A plain key seen to be right: found again by one digest, without trying every key. */
struct verified {
    uint8_t tag[32]; /* SHA-256 of a salt of this process and the plain key */
    Id key;
};

struct session {
    char hash[CRYPTO_SHA256_HEX + 1]; /* SHA-256 of the session id, which itself is nowhere kept */
    char csrf_token[65];
    Id user;
    Usec expires;
};

struct auth {
    struct auth_config config;
    struct map users;    /* principal by id */
    struct map keys;     /* principal by id */
    struct map verified; /* by tag */
    struct map sessions; /* by hash */
    struct list logins;  /* struct login on the hash lane */
    struct id_source ids;
    uint8_t salt[32];
    Usec swept;
};

/* principal.c */
Status principals_load(struct auth *a, struct err *err) MUST_USE;
void principals_free(struct auth *a);
/* Follows a change of a definition (DefsChangeFn). */
void principals_changed(void *arg, enum def_kind k, struct str id, const struct def *def);
struct principal *principal_user(struct auth *a, struct str id);
/* The key of this plain text, or NULL. */
struct principal *principal_key(struct auth *a, struct str plain, Usec now);

/* session.c */
Status sessions_load(struct auth *a, struct err *err) MUST_USE;
void sessions_free(struct auth *a);
struct session *session_find(struct auth *a, struct str id, Usec now); /* NULL: none or expired */
Status session_add(struct auth *a, const struct session *s) MUST_USE;  /* copies */
void sessions_drop_user(struct auth *a, struct str user);              /* with their rows */
void sessions_sweep(struct auth *a, Usec now);
void session_hash(struct str id, char out[CRYPTO_SHA256_HEX + 1]);

/* login.c */
void logins_abandon(struct auth *a);

#endif
