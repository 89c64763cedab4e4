/* Servers and the link to them (reference/satellite.md 1-10, 12; monitoring.md 2, 3.2;
 * job-engine.md 3).
 *
 * Online = has an authenticated socket. Server records are rows of the store; those seen lately are
 * in memory. Messages about jobs are handed up through struct fleet_host. */
#ifndef FLEET_FLEET_H
#define FLEET_FLEET_H

#include "base/id.h"
#include "base/rng.h"
#include "crypto/crypto.h"
#include "event/defs.h"
#include "http/websocket.h"
#include "wire/wire.h"

#define FLEET_SERVERS_MAX  LIMIT(20000u, 4u)
#define FLEET_AUTH_TIMEOUT (30 * USEC_SEC) /* satellite.md 6.2 */
#define FLEET_PING_EVERY   (5 * USEC_SEC)
#define FLEET_PING_TIMEOUT (30 * USEC_SEC)
#define FLEET_MESSAGE_MAX                                                                          \
    LIMIT(32u * 1024 * 1024, 256u * 1024) /* of one frame from a satellite                         \
                                           */

struct fleet;

struct fleet_server {
    Id id;
    bool online;
    bool exact; /* speaks our extension */
    bool enabled;
    bool auto_group;
    char hostname[256];
    char ip[64];
    struct str title; /* owned */
    struct str json;  /* owned: the record without info */
    struct str info;  /* owned: hello.info, updated by samples */
    Id *groups;
    size_t n_groups;
    Usec created, modified;
    size_t jobs;       /* live jobs placed here */
    double load1;      /* from samples; -1: none yet */
    double mem_active; /* bytes; -1: none yet */
    int64_t max_jobs;
    struct fleet_link *link; /* NULL: offline */
};

/* Upwards; filled in by conductor/. */
struct fleet_host {
    void *ctx;
    void (*joined)(void *ctx, const struct fleet_server *s);
    void (*left)(void *ctx, const struct fleet_server *s);
    /* kind: JOBS, JOB_LOG, JOB_META, JOB_INVENTORY, JOB_ACCEPTED, MONITOR, QUICKMON, NOTICE ... */
    void (*message)(void *ctx, const struct fleet_server *s, enum wire_kind kind, yyjson_val *data);
    /* Extra members of `joined` (plugins, config ...) into the open data object. */
    void (*put_joined)(void *ctx, const struct fleet_server *s, struct json_writer *w);
};

struct fleet_config {
    struct loop *loop;
    struct store *store;
    struct defs *defs;
    const struct secret *secret_key;
    const char *host_id;
    uint64_t seed;
    struct fleet_host host;
};
Status fleet_new(const struct fleet_config *config, struct fleet **ret, struct err *err) MUST_USE;
void fleet_free(struct fleet *f);

/* Takes a WebSocket upgrade of a satellite (or of anyone: browsers speak "authenticate" first and
 * are closed until their part arrives). */
void fleet_accept(struct fleet *f, struct http_request *r);
/* Once a second: pings, dead and unauthenticated sockets. */
void fleet_tick(struct fleet *f, Usec now);
/* Closes every link (shutdown). */
void fleet_close_links(struct fleet *f);

const struct fleet_server *fleet_find(const struct fleet *f, struct str id);
bool fleet_next(const struct fleet *f, size_t *cursor, const struct fleet_server **ret);
size_t fleet_count(const struct fleet *f, bool online_only);
/* The Server object (api-operations.md 16.20). */
void fleet_put_json(const struct fleet_server *s, struct json_writer *w, const char *key);
bool fleet_in_group(const struct fleet_server *s, struct str group);

/* Job placement. */
Id fleet_choose(struct fleet *f, yyjson_val *targets, struct str algo, struct str event);
void fleet_count_job(struct fleet *f, const Id *server, int delta);

/* Sends one frame built with wire_begin/wire_end; CLOSED when offline. */
Status fleet_send(struct fleet *f, const Id *server, struct str frame);
/* Back-pressure: stop reading from one satellite until fleet_resume_all. */
void fleet_pause(struct fleet *f, const Id *server);
void fleet_resume_all(struct fleet *f);
bool fleet_congested(const struct fleet *f, const Id *server);
/* update {plugins, commands} to all, update {groups} to one (satellite.md 8). */
void fleet_broadcast(struct fleet *f, struct str frame);

/* Changes by people: title, icon, enabled, groups, autoGroup, maxJobs, userData. Durable before fn.
 */
Status fleet_update(struct fleet *f, struct str id, yyjson_val *changes, Usec now, StoreCommitFn fn,
                    void *arg, struct err *err) MUST_USE;
/* Only an offline server; the record goes. */
Status fleet_delete(struct fleet *f, struct str id, StoreCommitFn fn, void *arg,
                    struct err *err) MUST_USE;

/* Digests (satellite.md 4). */
void fleet_auth_token(const struct fleet *f, struct str server_id, char out[65]);
bool fleet_job_auth_ok(const struct fleet *f, struct str job_id, struct str server_id,
                       struct str auth);

/* Install tokens: 64 hex, live in memory and in the state table, 24 h. initial: JSON object or
 * none. */
Status fleet_make_token(struct fleet *f, Usec expires, struct str initial, char out[65],
                        StoreCommitFn fn, void *arg, struct err *err) MUST_USE;
/* config.json for a new satellite; false for an unknown or expired token. */
bool fleet_token_config(struct fleet *f, struct str token, Usec now, struct str host, uint16_t port,
                        bool secure, struct buf *out);

#endif
