/* The satellite's parts and what they say to each other. struct sat is made by sat_main and lives
 * as long as the process; all of this runs on the loop thread.
 *
 *   app.c     command line, folders, lock, enrolment, the loop, leaving
 *   link.c    the socket to the conductor: who to call, hello/join, pings, back-off, configuration
 *   runner.c  the jobs: launch, seek, done (runner_int.h has the rest of that family)
 *   sampler.c minute and second samples, hello.info
 */
#ifndef SAT_SAT_H
#define SAT_SAT_H

#include "base/buf.h"
#include "base/rng.h"
#include "http/client.h"
#include "loop/lane.h"
#include "sat/config.h"
#include "sat/super.h"
#include "wire/wire.h"

#define SAT_USER_AGENT   "Orrery Satellite v" ORRERY_VERSION
#define SAT_DISK_THREADS 4u
#define SAT_LANE_QUEUE   LIMIT(200000u, 256u)
#define SAT_MESSAGE_MAX  LIMIT(100u * 1024 * 1024, 1024u * 1024) /* one message of the link */
#define SAT_PLUGINS_MAX  LIMIT(2000u, 8u)

struct link;
struct runner;
struct sampler;

struct sat {
    struct loop *loop;
    struct lane *disk;  /* the spool, bodies of HTTP */
    struct lane *probe; /* one thread, in order: config.json, plugin scripts, /proc */
    struct super *super;
    struct sat_config config;
    char *home; /* absolute, as all of these */
    char *config_path;
    char *spool;
    char *temp;
    char *exe;
    char *fixed_host; /* --conductor: beats the configuration, with port and secure; NULL */
    uint16_t fixed_port;
    bool fixed_secure;
    struct http_client *http;
    struct net_tls *tls; /* only once it was needed */
    bool http_has_tls;
    struct link *link;
    struct runner *runner;
    struct sampler *sampler;
    struct loop_timer *tick;
    struct rng rng;
    Usec config_seen;   /* time of last change of the file as of our last look */
    Usec config_looked; /* mono */
    char *scripts[2]; /* plugins.c: JSON of what event and monitor plugins have on disk; NULL: never
                         told */
    unsigned scripts_writing;
    bool abort_on_stop; /* --abort-jobs-on-stop */
    bool stopping;      /* a signal came */
    Usec leave_until;   /* mono; 0: we are not leaving */
    int exit_code;
};

int sat_main(int argc, char **argv);

/* Ends the loop; the process exits with `code`. */
void sat_exit(struct sat *s, int code);
/* True while jobs are being aborted because the satellite stops: nothing may be launched. */
bool sat_refuses(const struct sat *s);
/* Sets keys in the running configuration and in config.json (satellite.md 10). */
void sat_config_push(struct sat *s, yyjson_val *update);
/* The HTTP client for the scheme at hand; NULL with an error when TLS cannot be had. */
struct http_client *sat_http(struct sat *s, bool secure, struct err *err);
struct net_tls *sat_tls(struct sat *s, struct err *err);

/* link.c */
struct link *link_new(struct sat *s);
void link_free(struct link *l); /* cuts the socket */
void link_start(struct link *l);
/* Closes politely and stays down. */
void link_stop(struct link *l);
/* Cuts the socket at once and stays down. */
void link_cut(struct link *l);
bool link_is_down(const struct link *l);
/* Something changed in the configuration: connects when the link was down for good. */
void link_reconfigured(struct link *l);
void link_tick(struct link *l, Usec now_mono);
bool link_ready(const struct link *l); /* joined */
bool link_exact(const struct link *l); /* the peer speaks our extension */
bool link_congested(const struct link *l);
bool link_finish_by_http(const struct link *l); /* joined.features.api_finish_job */
/* Sends a frame made with wire_begin/wire_end; false when it did not go (the link is or goes down).
 */
bool link_send(struct link *l, struct buf *frame);
/* "http://host:port" of the current or last connection; "" when there was none. */
const char *link_base_url(const struct link *l);
bool link_is_secure(const struct link *l);
const char *link_hostname(const struct link *l);
unsigned link_servers(const struct link *l); /* numServers of the last join */

/* plugins.c: scripts of plugins in TEMP/plugins, as of the last joined or update. */
void plugins_set(struct sat *s, yyjson_val *plugins,
                 yyjson_val *commands); /* either may be NULL: kept */
bool plugins_busy(
    const struct sat *s); /* scripts are being written; runner_scripts_ready follows */

/* runner.c */
struct runner *runner_new(struct sat *s,
                          struct err *err); /* reads the spool; blocking, at start-up */
void runner_free(struct runner *r);
void runner_joined(struct runner *r);
void runner_left(struct runner *r);
void runner_drained(struct runner *r);
void runner_scripts_ready(struct runner *r);
void runner_tick(struct runner *r, Usec now_mono);
void runner_launch(struct runner *r, yyjson_val *data);
void runner_abort(struct runner *r, yyjson_val *data);
void runner_seek(struct runner *r, yyjson_val *data);
void runner_done(struct runner *r, yyjson_val *data);
void runner_abort_all(struct runner *r, const char *reason);
size_t runner_count(const struct runner *r);  /* jobs in the spool */
size_t runner_active(const struct runner *r); /* without those that only wait for job_done */

/* sampler.c */
struct sampler *sampler_new(struct sat *s);
void sampler_free(struct sampler *m);
/* Gathers hello.info on the probe lane; fn gets its JSON text. One at a time. */
void sampler_hello(struct sampler *m, void (*fn)(void *arg, struct str info), void *arg);
void sampler_joined(struct sampler *m);
void sampler_left(struct sampler *m);
void sampler_tick(struct sampler *m, Usec now_wall);

#endif
