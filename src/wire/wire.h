/* clang-format off */
/* The link: JSON text frames {"cmd":NAME,"data":...} over WebSocket, as reference/satellite.md
 * 1-28, and our extension, used only when both ends announce it: satellite:
 * hello.info.features.orrery = WIRE_VERSION conductor: joined.features.orrery = WIRE_VERSION
 *
 * The extension makes delivery exact where the reference's messages are fire and forget
 * (S: satellite, C: conductor):
 *
 *   job_inventory S>C {jobs:[{id, state:"running"|"done"}]}
 *                     right after joined: every job in the spool.
 *   launch_job    C>S as the reference; an id already in the spool is not started again.
 *   job_accepted  S>C {ids:[ID,...]}
 *                     the launch is durable in the spool (sent before or with the start).
 *   job_log       S>C {id, pos, text}
 *                     pos: byte offset of text in the job's log. The conductor appends only what
 *                     lies beyond what it has; a gap is answered by a seek.
 *   job_meta      S>C {id, n, text}
 *                     n: 1, 2, 3 ... per job; one seen already is dropped.
 *   job_log_seek  C>S {id, pos, meta, push}
 *                     send the log from pos, metas after number `meta`, pushes after number `push`.
 *                     Sent for every running or done job of an inventory, and on a gap. Until it
 *                     comes after a (re)join, the satellite sends no log or meta of that job.
 *   jobs          S>C {ID:{..., push, push_n:N}}
 *                     push_n numbers the last push of the message; one seen already is dropped.
 *                 S>C {ID:{..., state:"complete", log_size:N}}
 *                     final result, after the whole log, on the link itself (not finish_job).
 *                     The conductor answers
 *   job_done      C>S {ids:[ID,...]}
 *                     the result is durable (or the job is none of ours): forget it. Until it comes
 *                     the result is kept and sent again after each join.
 *   abort_job     C>S as the reference; kept in the spool, so it survives a restart of that end.
 *
 * With a peer that does not announce it, both sides speak the plain reference protocol. */
/* clang-format on */
#ifndef WIRE_WIRE_H
#define WIRE_WIRE_H

#include "base/arena.h"
#include "json/json.h"
#include "json/writer.h"

#define WIRE_VERSION      1
#define WIRE_LOG_TEXT_MAX LIMIT(256u * 1024, 64u) /* bytes of text in one job_log of ours */
#define WIRE_MESSAGE_MAX                                                                           \
    LIMIT(100u * 1024 * 1024, 65536u) /* bytes of one message (satellite.md 1) */

enum wire_direction { WIRE_TO_SATELLITE = 1, WIRE_TO_CONDUCTOR = 2 };

/* name on the wire, directions, needs an authenticated socket, of our extension, doc */
#define WIRE_KINDS(X)                                                                              \
    X(HELLO, "hello", 3, 0, 0, "Who I am; the conductor answers with a nonce and the id.")         \
    X(JOIN, "join", 2, 0, 0, "Proof of the server id.")                                            \
    X(AUTH_FAILURE, "auth_failure", 1, 0, 0, "Refused; stay away until reconfigured.")             \
    X(REDIRECT, "redirect", 1, 0, 0, "Another conductor leads.")                                   \
    X(RETRY, "retry", 1, 0, 0, "No leader known; come again.")                                     \
    X(JOINED, "joined", 1, 0, 0, "Configuration, plugins and groups after a good join.")           \
    X(ECHO, "echo", 1, 0, 0, "Ping.")                                                              \
    X(ECHOBACK, "echoback", 2, 0, 0, "Pong.")                                                      \
    X(MASTER_DATA, "masterData", 1, 0, 0, "The list of conductors.")                               \
    X(UPDATE, "update", 1, 0, 0, "New groups, plugins or commands.")                               \
    X(UPDATE_CONFIG, "updateConfig", 1, 0, 0, "New configuration values.")                         \
    X(LAUNCH_JOB, "launch_job", 1, 0, 0, "Run this.")                                              \
    X(ABORT_JOB, "abort_job", 1, 0, 0, "End this job.")                                            \
    X(UPGRADE, "upgrade", 1, 0, 0, "Upgrade the satellite.")                                       \
    X(UNINSTALL, "uninstall", 1, 0, 0, "Remove the satellite.")                                    \
    X(TEST_MONITOR, "testMonitorPlugin", 1, 0, 0, "Run a monitor plugin once.")                    \
    X(JOBS, "jobs", 2, 1, 0, "Records of running jobs, or a final result.")                        \
    X(JOB_LOG, "job_log", 2, 1, 0, "Log text.")                                                    \
    X(JOB_META, "job_meta", 2, 1, 0, "A row of the job's activity log.")                           \
    X(MONITOR, "monitor", 2, 1, 0, "Minute sample.")                                               \
    X(QUICKMON, "quickmon", 2, 1, 0, "Second sample.")                                             \
    X(TEST_MONITOR_RESULT, "monitorPluginTestResult", 2, 1, 0, "Result of testMonitorPlugin.")     \
    X(NOTICE, "notice", 2, 1, 0, "Activity row.")                                                  \
    X(WARNING, "warning", 2, 1, 0, "Activity row.")                                                \
    X(ERROR, "error", 2, 1, 0, "Activity row.")                                                    \
    X(CRITICAL, "critical", 2, 1, 0, "Activity row.")                                              \
    X(JOB_INVENTORY, "job_inventory", 2, 1, 1, "Every job in the spool.")                          \
    X(JOB_ACCEPTED, "job_accepted", 2, 1, 1, "Launches that are durable in the spool.")            \
    X(JOB_LOG_SEEK, "job_log_seek", 1, 1, 1, "Send log and metas from here.")                      \
    X(JOB_DONE, "job_done", 1, 1, 1, "Results that are durable; forget them.")                     \
    X(AUTHENTICATE, "authenticate", 2, 0, 0, "A browser, not a satellite.")                        \
    X(MASTER, "master", 3, 0, 0, "Another conductor, not a satellite.")

enum wire_kind {
#define X(name, text, dir, auth, ext, doc) WIRE_##name,
    WIRE_KINDS(X)
#undef X
        WIRE_KIND_COUNT,
    WIRE_UNKNOWN = WIRE_KIND_COUNT
};

struct wire_row {
    const char *name;
    unsigned directions;
    bool needs_auth;
    bool extension;
    const char *doc;
};
const struct wire_row *wire_row(enum wire_kind kind);

/* Parses one frame. *ret_kind is WIRE_UNKNOWN for a name that is not in the table or comes from the
 * wrong side (ignored by both ends); *ret_data may be NULL. INVALID when it is not {"cmd":...},
 * TOO_BIG beyond WIRE_MESSAGE_MAX. Values live in the arena. */
Status wire_parse(struct arena *a, struct str text, enum wire_direction direction,
                  enum wire_kind *ret_kind, yyjson_val **ret_data, struct err *err) MUST_USE;

/* Begins {"cmd":NAME,"data":{ ; the caller writes members and calls wire_end. */
struct json_writer wire_begin(struct buf *out, enum wire_kind kind);
void wire_end(struct json_writer *w);

#endif
