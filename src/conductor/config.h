/* The configuration: one table of keys (config_rows), read from DIR/conf/config.json (comment lines
 * begin with two slashes), then DIR/conf/overrides.json (a sparse map of dotted paths, mode 0600,
 * holds secret_key), then the environment (ORRERY_a__b=value), then the command line. Keys as in
 * reference/operations.md 2. */
#ifndef CONDUCTOR_CONFIG_H
#define CONDUCTOR_CONFIG_H

#include "base/arena.h"
#include "base/status.h"
#include "crypto/crypto.h"

#define CONFIG_FILE_MAX (1024u * 1024)

struct config {
    struct arena *arena; /* owns every string */
    const char *home;
    const char *base_app_url;
    const char *hostname;
    const char *log_level;
    const char *bind;
    const char *cert_file, *key_file;
    const char *job_env;          /* JSON object */
    const char *satellite_config; /* JSON object pushed in `joined` */
    int64_t port, https_port;
    int64_t max_upload_size, max_connections, max_concurrent_requests;
    int64_t timeout_sec, keep_alive_sec;
    int64_t max_jobs_per_min, dead_job_timeout_sec;
    int64_t session_expire_days, max_failed_logins_per_hour;
    struct secret secret_key;
    bool first_start; /* no configuration was there */
};

/* Makes the folders and, on a first start, the files. Blocking: start-up. */
Status config_load(const char *home, struct config *ret, struct err *err) MUST_USE;
void config_done(struct config *c);
/* The commented default configuration. */
Status config_write_default(struct buf *out);

#endif
