/* Who is asking (reference/api-operations.md 1.2, 1.3, 11.3-11.6).
 *
 * A request is authenticated from memory alone: sessions and API keys are maps; nothing here waits.
 * Log-in hashes on the hash lane. Sessions are rows of the store; a new one answers only when
 * durable. */
#ifndef AUTH_AUTH_H
#define AUTH_AUTH_H

#include "auth/privileges.h"
#include "event/defs.h"
#include "loop/lane.h"

#define AUTH_SESSIONS_MAX  LIMIT(100000u, 8u)
#define AUTH_LOGINS_QUEUED LIMIT(256u, 2u) /* hash lane; more answer BUSY */

struct auth;

struct auth_config {
    struct loop *loop;
    struct store *store;
    struct defs *defs;
    struct lane *hash;
    int64_t session_expire_days; /* 365 */
    int64_t max_failed_per_hour; /* 5 */
    uint64_t seed;
};
Status auth_new(const struct auth_config *config, struct auth **ret, struct err *err) MUST_USE;
void auth_free(struct auth *a);

/* First start: the admin user with this password (hashed by the caller on whatever thread). */
Status auth_put_admin(struct store *s, struct defs *d, struct str username,
                      struct str password_hash, Usec now, StoreCommitFn fn, void *arg,
                      struct err *err) MUST_USE;

/* What the client showed. Empty strings for what it did not. */
struct auth_credentials {
    struct str session_id; /* cookie session_id, else header X-Session-ID, else body session_id */
    struct str csrf_token; /* header X-CSRF-Token, else body csrf_token */
    struct str api_key;    /* header X-API-Key, else body, else query api_key */
    bool safe_method;      /* GET or HEAD: no CSRF */
};

/* The principal: copied into the request's arena. */
struct auth_user {
    bool is_key;
    struct str username;   /* user name, or the key's id (activity, jobs) */
    struct str creator;    /* user name, or the key's creator (objects) */
    struct str title;      /* key title, or full name */
    struct str session_id; /* of a user */
    bool admin;
    uint64_t privileges;          /* bit 1 << enum privilege, roles merged in */
    const struct str *categories; /* limits; none: unlimited. Always none for admins */
    size_t n_categories;
    const struct str *groups;
    size_t n_groups;
};

/* codes as the reference's: "session", "api", "rate", "user" in *ret_code. */
Status auth_check(struct auth *a, const struct auth_credentials *c, Usec now, struct arena *arena,
                  struct auth_user *ret, const char **ret_code, struct err *err) MUST_USE;

bool auth_has(const struct auth_user *u, enum privilege p);
bool auth_category_ok(const struct auth_user *u, struct str category);
bool auth_group_ok(const struct auth_user *u, struct str group);
/* targets: array; see 1.3 "target check". */
bool auth_targets_ok(const struct auth_user *u, yyjson_val *targets);

/* Log-in: fn with OK and the new session, or DENIED ("login", vague text). */
struct auth_session {
    Id username;
    char id[65];
    char csrf_token[65];
    Usec expires;
};
typedef void (*AuthLoginFn)(void *arg, Status st, const struct auth_session *session,
                            const struct err *err);
Status auth_login(struct auth *a, struct str username, struct str password, struct str ip,
                  struct str user_agent, Usec now, AuthLoginFn fn, void *arg,
                  struct err *err) MUST_USE;
/* MISSING when unknown or expired. */
Status auth_resume(struct auth *a, struct str session_id, Usec now, struct auth_session *ret,
                   struct err *err) MUST_USE;
Status auth_logout(struct auth *a, struct str session_id, StoreCommitFn fn, void *arg,
                   struct err *err);

/* API keys: makes a plain key (43 characters), its stored digest and mask (api-objects.md 14). */
void auth_make_key(struct str id, char plain[44], char digest[65], char mask[17]);

#endif
