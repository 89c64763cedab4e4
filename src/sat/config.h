/* config.json of a satellite: reading, merging what the conductor pushes, noticing edits. Keys as
 * in reference/satellite.md 16 where they have a meaning here; others are kept as they are.
 *
 * Owner: struct sat_config owns the document; texts are borrowed from it until the next load or
 * merge. */
#ifndef SAT_CONFIG_H
#define SAT_CONFIG_H

#include "base/buf.h"
#include "base/clock.h"
#include "json/json.h"

#include <time.h>

#define CONFIG_SIZE_MAX LIMIT(4u * 1024 * 1024, 65536u)

struct sat_config {
    yyjson_doc *doc;
    yyjson_val *root;

    struct str host;   /* fixed host, or .p NULL */
    yyjson_val *hosts; /* array, or NULL */
    uint16_t port;
    bool secure;
    bool verify_tls; /* socket_opts.rejectUnauthorized */
    struct str server_id, auth_token, secret_key;
    struct str hostname; /* override, or .p NULL */
    Usec connect_timeout, ping_timeout, reconnect_delay, reconnect_max;
    Usec kill_timeout; /* child_kill_timeout */
    Usec poll_every;   /* check_config_freq_ms */
    bool monitoring, quickmon;
    bool abort_on_stop;
    struct {
        Usec first_byte, idle, connect;
        unsigned retries;
        Usec retry_delay, retry_max;
    } http; /* http_file_opts */
};

/* An empty document with defaults: never fails but for memory. */
Status config_parse(struct sat_config *c, struct str text, struct err *err) MUST_USE;
void config_done(struct sat_config *c);
/* Reads path; MISSING when there is none. c is replaced on success only. */
Status config_load(struct sat_config *c, const char *path, struct err *err) MUST_USE;

/* Text of `old` (JSON, may be empty) with the members of update set. pushed: by the conductor, so
 * `managed_keys` of old holds back, and `initial` goes (satellite.md 10). Tab-indented, newline at
 * the end. */
Status config_merge_text(struct str old, yyjson_val *update, bool pushed, struct buf *out,
                         struct err *err) MUST_USE;
/* True when update would change nothing. */
bool config_has_all(const struct sat_config *c, yyjson_val *update);

/* The file on disk: read, merge, replace (0600, durable). Blocking. */
Status config_update_file(const char *path, struct str update, bool pushed, struct buf *ret_text,
                          struct err *err) MUST_USE;
/* Time of last change of the file, 0 when there is none. */
Usec config_mtime(const char *path);

#endif
