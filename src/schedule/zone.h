/* Time zones from the system's compiled data (TZif, RFC 8536), the footer rule included, so that
 * any future instant has its offset. Checked against the C library's for every zone. */
#ifndef SCHEDULE_ZONE_H
#define SCHEDULE_ZONE_H

#include "base/attr.h"
#include "base/status.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

#define ZONE_NAME_MAX LIMIT(64u, 32u)               /* bytes of a zone's name */
#define ZONE_FILE_MAX LIMIT(256u * 1024, 8u * 1024) /* bytes of its file */
#define ZONE_DIR      "/usr/share/zoneinfo"

struct zone;

/* Reads ZONE_DIR/name. INVALID for what cannot be a name, MISSING for an unknown one. */
Status zone_open(struct str name, struct zone **ret, struct err *err) MUST_USE;
/* From the bytes of a file: INVALID when they are none. */
Status zone_parse(struct str file, struct zone **ret, struct err *err) MUST_USE;
void zone_free(struct zone *z);
DEFINE_AUTO(struct zone, zone_free);

/* Seconds east of UTC at an instant (epoch seconds). */
int32_t zone_offset(const struct zone *z, int64_t at);
/* The first instant after `at` from which on another offset may hold; INT64_MAX: none. */
int64_t zone_change_after(const struct zone *z, int64_t at);

#endif
