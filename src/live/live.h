/* Live sockets of browsers (reference/satellite.md 45). What changed is told to every socket whose
 * user may see it; a slow reader is bounded: it loses what it has not read and is told to read
 * anew, nothing is buffered without end. */
#ifndef LIVE_LIVE_H
#define LIVE_LIVE_H

#include "base/str.h"
#include "json/json.h"

struct live;

/* A notice to one user's sockets; json: the whole message data of "notify". */
void live_notify(struct live *l, struct str username, struct str json);
/* Tells the sockets that look at a page ("Ticket", object id): message "page_update", json: its
 * data. category: only users who may see it (empty: all). */
void live_page_update(struct live *l, struct str page, struct str id, struct str category,
                      struct str json);

#endif
