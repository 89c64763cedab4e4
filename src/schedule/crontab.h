/* The five fields of a crontab line as triggers (crontab(5)): lists, ranges, steps, names of months
 * and days, "@daily" and its like. */
#ifndef SCHEDULE_CRONTAB_H
#define SCHEDULE_CRONTAB_H

#include "json/writer.h"

#define CRONTAB_LINE_MAX LIMIT(1000u, 200u) /* bytes of one line */

/* Takes the time fields off the front of the line and writes their triggers into the open array:
 * one, or two when both day fields are restricted, since crontab runs on either. *ret_rest: what
 * follows (the command), trimmed; may be NULL. INVALID with the name of the field. */
Status crontab_triggers(struct str line, struct json_writer *w, struct str *ret_rest,
                        struct err *err) MUST_USE;

#endif
