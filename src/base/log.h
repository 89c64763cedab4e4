/* Log: one line, one event, stable keys, on stderr:
 *     2026-11-24T10:52:31.123Z info job.start job=jx7k2 event=backup server=db1 try=2
 * The fmt holds the keys; untrusted text goes through log_quote (or %.*s of it), never raw.
 * Rooms in layers 0-3 never log above debug; whoever gives up handling logs, once. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/attr.h"
#include "base/str.h"

/* An event without keys has the format "". */
#pragma GCC diagnostic ignored "-Wformat-zero-length"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

#define LOG_LINE_MAX 4096

void log_set_level(enum log_level level); /* default LOG_INFO */
enum log_level log_level_now(void);
bool log_level_parse(struct str s, enum log_level *ret);

/* what: "room.event"; fmt may be "" (no keys). Thread-safe: one write(2) a line. */
void log_event(enum log_level level, const char *what, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Writes s in double quotes with control characters, quotes and bad UTF-8 escaped; cut with "..."
 * when it does not fit. Returns out. */
const char *log_quote(struct str s, char *out, size_t size);
#define LOG_QUOTED(s) log_quote((s), (char[512]){ 0 }, 512)

#endif
