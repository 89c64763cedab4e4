/* When an event is due (reference/expressions.md 9, job-engine.md): pure functions of a trigger, a
 * time zone and an instant. Finding the next instant jumps from field to field inside stretches of
 * one offset; it never steps through minutes.
 *
 * Local times inside a gap of daylight saving never match; those of an overlap match in both
 * passes. All times are epoch seconds; a minute is a multiple of 60. */
#ifndef SCHEDULE_SCHEDULE_H
#define SCHEDULE_SCHEDULE_H

#include "json/json.h"
#include "schedule/zone.h"

#define SCHEDULE_YEARS_MAX  LIMIT(128u, 8u)              /* years of one trigger */
#define SCHEDULE_LAUNCH_MAX LIMIT(6000u, 240u)           /* launches of one event in one minute */
#define SCHEDULE_HORIZON    (INT64_C(100) * 366 * 86400) /* seconds that a search looks ahead */

/* A trigger of type "schedule". A field without bits does not restrict. */
struct schedule {
    uint64_t minutes;   /* bit 0-59 */
    uint32_t hours;     /* bit 0-23 */
    uint32_t days;      /* bit 1-31 */
    uint32_t last_days; /* bit 1-31: counted from the end, 1 is the last */
    uint16_t months;    /* bit 1-12 */
    uint8_t weekdays;   /* bit 0-6, 0 is Sunday */
    uint16_t n_years;
    bool some_years, some_months, some_days, some_weekdays, some_hours, some_minutes;
    int16_t years[SCHEDULE_YEARS_MAX]; /* rising */
};

/* Values that no calendar has match nothing. FULL with too many years. */
Status schedule_parse(yyjson_val *trigger, struct schedule *ret, struct err *err) MUST_USE;
bool schedule_matches(const struct schedule *s, const struct zone *z, int64_t minute);
/* The first matching minute after that of `after`, before `until` (at most SCHEDULE_HORIZON away);
 * -1: none. */
int64_t schedule_next(const struct schedule *s, const struct zone *z, int64_t after, int64_t until);

/* A trigger of type "interval": start + k * duration. Second offsets of its hits in the minute, at
 * most 60; only if it starts at or before the minute. */
size_t interval_hits(double start, double duration, int64_t minute, double ret[60]);
/* Its first hit at or after `from`; -1: none. */
double interval_next(double start, double duration, double from);

/* What an event launches in a minute. */
struct launch {
    size_t trigger; /* index in `triggers` */
    double now;     /* the time that the job is of */
    double until;   /* it waits until then; 0: it starts at once */
};
struct schedule_host {
    /* The zone of a name, or NULL when it is unknown: such a trigger never matches. */
    const struct zone *(*zone)(void *ctx, struct str name);
    void *ctx;
    const struct zone *local; /* for triggers without one */
};
/* triggers: the event's. nth: its counter, kept by the caller. Returns how many there are, at most
 * max. */
size_t schedule_launches(yyjson_val *triggers, const struct schedule_host *host, int64_t minute,
                         int64_t *nth, struct launch *ret, size_t max);

#endif
