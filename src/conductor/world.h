/* The world: every room of the conductor, wired. main builds it and passes it on. */
#ifndef CONDUCTOR_WORLD_H
#define CONDUCTOR_WORLD_H

#include "api/api.h"
#include "conductor/config.h"
#include "conductor/joblog.h"

struct control;

struct world {
    const struct config *config;
    struct loop *loop;
    struct lane *hash;
    struct store *store;
    struct defs *defs;
    struct auth *auth;
    struct fleet *fleet;
    struct job_room *jobs;
    struct joblog *joblog;
    struct api *api;
    struct http_server *http;
    struct control *control;
    struct id_source ids;
    struct loop_timer *second; /* pings and dead sockets */
    struct loop_timer *due;    /* the next job timer */
    Usec due_at;               /* wall; USEC_NEVER: not armed */
    struct store_tx *batch;    /* writes of the job room in this turn */
    uint16_t port, https_port; /* as bound */
    bool stopping;
    int exit_code;
};

/* Builds everything but the listeners: store, definitions, accounts, fleet, live jobs. Blocking. */
Status world_open(const struct config *config, struct loop *loop, struct world *w,
                  struct err *err) MUST_USE;
/* Listens and runs until a signal; returns when all is shut down. */
Status world_run(struct world *w, struct err *err) MUST_USE;
void world_close(struct world *w);

/* jobhost.c: the job room's host; linkhost.c: the fleet's. */
struct job_host world_job_host(struct world *w);
struct fleet_host world_fleet_host(struct world *w);
/* A finished job's row with its columns. */
void world_put_record(struct store_tx *tx, struct str id, struct str record);
/* A final result of a job that is not live (satellite.md 28). */
void world_late_result(struct world *w, const Id *server, bool exact, struct str id,
                       yyjson_val *update);
/* Tells the online satellites about changed plugins. */
void world_plugins_changed(struct world *w);
/* Restores the journal and clears what a crash left behind. */
Status world_restore_jobs(struct world *w, struct err *err) MUST_USE;

#endif
