/* Inside the fleet room only: the tables behind fleet.h. */
#ifndef FLEET_FLEET_INT_H
#define FLEET_FLEET_INT_H

#include "base/list.h"
#include "base/map.h"
#include "base/vec.h"
#include "fleet/fleet.h"

enum link_state {
    LINK_NEW,     /* nothing heard yet */
    LINK_GREETED, /* hello answered, nonce out */
    LINK_JOINING, /* token good, record on its way to the disk */
    LINK_JOINED,
    LINK_REPLACED, /* a newer socket has the id */
};

struct fleet_link {
    struct list link; /* in fleet.links */
    struct fleet *fleet;
    struct ws *ws; /* NULL: closed, freed when the pending commit has answered */
    enum link_state state;
    Id id; /* candidate, then server id */
    char socket_id[24];
    char nonce[65];
    char hostname[256];
    struct str info;    /* owned JSON */
    struct str initial; /* owned JSON: members of hello besides hostname, id, info */
    bool exact;
    Usec opened, echo_sent, answered; /* monotonic */
    char echo_id[24];
    int64_t ping_ms;
    bool committing;
    bool paused;
};

/* Members of one group that are online and enabled, in connect order. */
struct fleet_members {
    Id group;
    struct vec servers;
    size_t robin;
};

struct fleet_token {
    char z[65];
    Usec expires;
    struct str initial;
};

struct fleet {
    struct fleet_config config;
    struct map servers; /* id -> struct fleet_server */
    struct vec online;  /* in connect order */
    struct map groups;  /* id -> struct fleet_members */
    struct map robins;  /* event id -> struct fleet_robin */
    struct list links;
    struct map tokens; /* token -> struct fleet_token */
    struct rng rng;
    struct id_source ids;
    struct arena *scratch; /* of the message being handled */
    size_t n_links;
};

/* server.c */
struct fleet_server *fleet_server_get(struct fleet *f, struct str id);
struct fleet_server *fleet_server_add(struct fleet *f, struct str id, struct err *err);
void fleet_server_drop(struct fleet *f, struct fleet_server *s);
Status fleet_server_set_json(struct fleet_server *s, yyjson_val *settings, struct err *err);
/* Takes the typed fields out of settings and recomputes groups when automatic. */
void fleet_server_regroup(struct fleet *f, struct fleet_server *s);
void fleet_server_online(struct fleet *f, struct fleet_server *s, bool online);
/* One put of the whole record. */
void fleet_server_save(struct fleet *f, const struct fleet_server *s, struct store_tx *tx);
Status fleet_str_set(struct str *dst, struct str src) MUST_USE; /* owned copy, frees the old one */

/* groups.c */
void fleet_members_add(struct fleet *f, struct fleet_server *s);
void fleet_members_remove(struct fleet *f, struct fleet_server *s);
void fleet_members_free(struct fleet *f);
/* Group ids whose hostname_match fits, in list order; into out (room for max). */
size_t fleet_groups_match(const struct fleet *f, struct str hostname, Id *out, size_t max);

/* link.c */
const char *fleet_link_socket_id(const struct fleet_link *link);
void fleet_link_send_update_groups(struct fleet *f, const struct fleet_server *s);

#endif
