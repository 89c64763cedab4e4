/* Matching and searching; see schedule.h. */
#include "schedule/schedule.h"

#include "base/date.h"

#include <math.h>
#include <stdlib.h>

/* ---- reading ---- */

/* Bits low..high of the list, shifted by none; `negative` gets -1..-high. Says whether there is any
 * element. */
static bool read_bits(yyjson_val *list, int64_t low, int64_t high, uint64_t *ret,
                      uint64_t *negative)
{
    yyjson_arr_iter it;
    yyjson_val *item;
    int64_t v;

    if (!yyjson_is_arr(list) || yyjson_arr_size(list) == 0)
        return false;
    it = yyjson_arr_iter_with(list);
    while ((item = yyjson_arr_iter_next(&it)) != NULL) {
        if (!json_is_int(item) || !json_val_i64(item, &v))
            continue;
        if (v >= low && v <= high)
            *ret |= UINT64_C(1) << v;
        else if (negative && v <= -1 && v >= -high)
            *negative |= UINT64_C(1) << -v;
    }
    return true;
}

static int by_value(const void *a, const void *b)
{
    const int16_t *x = a, *y = b;

    return *x - *y;
}

static Status read_years(yyjson_val *list, struct schedule *s, struct err *err)
{
    yyjson_arr_iter it;
    yyjson_val *item;
    int64_t v;

    if (!yyjson_is_arr(list) || yyjson_arr_size(list) == 0)
        return STATUS_OK;
    s->some_years = true;
    it = yyjson_arr_iter_with(list);
    while ((item = yyjson_arr_iter_next(&it)) != NULL) {
        if (!json_is_int(item) || !json_val_i64(item, &v) || v < 1 || v > 9999)
            continue;
        if (s->n_years == SCHEDULE_YEARS_MAX)
            return err_set(err, STATUS_FULL, NULL, "A schedule has at most %u years",
                           (unsigned)SCHEDULE_YEARS_MAX);
        s->years[s->n_years++] = (int16_t)v;
    }
    qsort(s->years, s->n_years, sizeof s->years[0], by_value);
    return STATUS_OK;
}

Status schedule_parse(yyjson_val *trigger, struct schedule *ret, struct err *err)
{
    struct schedule s = { 0 };
    uint64_t months = 0, days = 0, last = 0, weekdays = 0, hours = 0;
    Status st = read_years(json_get(trigger, "years"), &s, err);

    if (st)
        return st;
    s.some_months = read_bits(json_get(trigger, "months"), 1, 12, &months, NULL);
    s.some_days = read_bits(json_get(trigger, "days"), 1, 31, &days, &last);
    s.some_weekdays = read_bits(json_get(trigger, "weekdays"), 0, 6, &weekdays, NULL);
    s.some_hours = read_bits(json_get(trigger, "hours"), 0, 23, &hours, NULL);
    s.some_minutes = read_bits(json_get(trigger, "minutes"), 0, 59, &s.minutes, NULL);
    s.months = (uint16_t)months;
    s.days = (uint32_t)days;
    s.last_days = (uint32_t)last;
    s.weekdays = (uint8_t)weekdays;
    s.hours = (uint32_t)hours;
    *ret = s;
    return STATUS_OK;
}

/* ---- one minute ---- */

static bool year_ok(const struct schedule *s, int64_t year)
{
    for (size_t i = 0; i < s->n_years; i++) {
        if (s->years[i] == year)
            return true;
    }
    return !s->some_years;
}

static bool day_ok(const struct schedule *s, int64_t year, unsigned month, unsigned day,
                   int64_t days)
{
    if (s->some_weekdays && !(s->weekdays >> date_weekday(days) & 1))
        return false;
    return !s->some_days || (s->days >> day & 1) ||
           (s->last_days >> (date_month_days(year, month) - day + 1) & 1);
}

bool schedule_matches(const struct schedule *s, const struct zone *z, int64_t minute)
{
    const int64_t local = div_floor(minute + zone_offset(z, minute), 60);
    const int64_t days = div_floor(local, 1440);
    const unsigned of_day = (unsigned)(local - days * 1440);
    int64_t year;
    unsigned month, day;

    date_from_days(days, &year, &month, &day);
    return year_ok(s, year) && (!s->some_months || (s->months >> month & 1)) &&
           day_ok(s, year, month, day, days) && (!s->some_hours || (s->hours >> of_day / 60 & 1)) &&
           (!s->some_minutes || (s->minutes >> of_day % 60 & 1));
}

/* ---- the next one ---- */

/* The lowest set bit at or above `from`, or `end`. */
static unsigned next_bit(bool some, uint64_t bits, unsigned from, unsigned end)
{
    if (from >= end)
        return end;
    if (!some)
        return from;
    bits &= ~UINT64_C(0) << from;
    return bits ? (unsigned)__builtin_ctzll(bits) : end;
}

/* First day at or after (year, month, day) whose date fits; false: none before `until_days`. */
static bool next_day(const struct schedule *s, int64_t *days, int64_t until_days)
{
    int64_t year;
    unsigned month, day;

    date_from_days(*days, &year, &month, &day);
    while (date_to_days(year, month, day) < until_days) {
        size_t y = 0;

        while (y < s->n_years && s->years[y] < year)
            y++;
        if (s->some_years && y == s->n_years)
            return false;
        if (s->some_years && s->years[y] != year) {
            year = s->years[y];
            month = day = 1;
            continue;
        }
        const unsigned m = next_bit(s->some_months, s->months, month, 13);
        if (m == 13) {
            year++;
            month = day = 1;
            continue;
        }
        if (m != month)
            day = 1;
        month = m;
        const int64_t first = date_to_days(year, month, 1);
        for (; day <= date_month_days(year, month); day++) {
            if (day_ok(s, year, month, day, first + day - 1)) {
                *days = first + day - 1;
                return *days < until_days;
            }
        }
        month++;
        day = 1;
        if (month == 13) {
            month = 1;
            year++;
        }
    }
    return false;
}

/* First fitting local minute in [from, until); -1: none. */
static bool next_local(const struct schedule *s, int64_t from, int64_t until, int64_t *ret)
{
    int64_t days = div_floor(from, 1440);
    unsigned of_day = (unsigned)(from - days * 1440);
    const int64_t until_days = div_floor(until - 1, 1440) + 1;

    for (;;) {
        const int64_t wanted = days;

        if (!next_day(s, &days, until_days))
            return false;
        if (days != wanted)
            of_day = 0;
        unsigned hour = next_bit(s->some_hours, s->hours, of_day / 60, 24);
        unsigned minute =
            next_bit(s->some_minutes, s->minutes, hour == of_day / 60 ? of_day % 60 : 0, 60);
        if (hour < 24 && minute == 60) {
            hour = next_bit(s->some_hours, s->hours, hour + 1, 24);
            minute = next_bit(s->some_minutes, s->minutes, 0, 60);
        }
        if (hour < 24 && minute < 60) {
            *ret = days * 1440 + hour * 60 + minute;
            return *ret < until;
        }
        if (minute == 60 && s->some_minutes && s->minutes == 0)
            return false;
        if (hour == 24 && s->some_hours && s->hours == 0)
            return false;
        days++;
        of_day = 0;
    }
}

int64_t schedule_next(const struct schedule *s, const struct zone *z, int64_t after, int64_t until)
{
    int64_t at = (div_floor(after, 60) + 1) * 60;

    if (until - at > SCHEDULE_HORIZON)
        until = at + SCHEDULE_HORIZON;
    while (at < until) {
        const int32_t offset = zone_offset(z, at);
        const int64_t change = zone_change_after(z, at);
        const int64_t end = change < until ? change : until;
        const int64_t last = div_floor(end - 1 + offset, 60); /* local minute of its last second */
        int64_t local;

        if (next_local(s, div_floor(at + offset, 60), last + 1, &local)) {
            /* the whole UTC minute that lies in this local one */
            const int64_t minute = -div_floor(-(local * 60 - offset), 60) * 60;

            if (minute < end)
                return minute;
        }
        at = -div_floor(-end, 60) * 60;
    }
    return -1;
}

/* ---- intervals ---- */

double interval_next(double start, double duration, double from)
{
    double k;

    if (!(duration > 0) || !isfinite(start) || !isfinite(duration))
        return -1;
    if (start >= from)
        return start;
    k = ceil((from - start) / duration);
    return start + k * duration < from ? start + (k + 1) * duration : start + k * duration;
}

size_t interval_hits(double start, double duration, int64_t minute, double ret[60])
{
    const double begin = (double)minute;
    size_t n = 0;

    if (!(start <= begin) || !(duration >= 1))
        return 0;
    for (double hit = interval_next(start, duration, begin); hit >= begin && hit < begin + 60;
         hit += duration) {
        if (n == 60)
            break;
        ret[n++] = hit - begin;
    }
    return n;
}

/* ---- an event's minute ---- */

static bool is_on(yyjson_val *trigger, const char *type)
{
    return json_truthy(json_get(trigger, "enabled")) && str_eq_z(json_str(trigger, "type"), type);
}

static bool inside(yyjson_val *t, int64_t minute)
{
    const bool start = json_truthy(json_get(t, "start")), end = json_truthy(json_get(t, "end"));

    if (start && json_double(t, "start", 0) > (double)minute)
        return false;
    if (end && json_double(t, "end", 0) < (double)minute)
        return false;
    return start || end;
}

static bool ranges_allow(yyjson_val *triggers, int64_t minute)
{
    yyjson_arr_iter it = yyjson_arr_iter_with(triggers);
    yyjson_val *t;
    bool any = false, in = false;

    while ((t = yyjson_arr_iter_next(&it)) != NULL) {
        if (is_on(t, "blackout") && inside(t, minute))
            return false;
        if (is_on(t, "range")) {
            any = true;
            in = in || inside(t, minute);
        }
    }
    return in || !any;
}

static yyjson_val *find_on(yyjson_val *triggers, const char *type)
{
    yyjson_arr_iter it = yyjson_arr_iter_with(triggers);
    yyjson_val *t;

    while ((t = yyjson_arr_iter_next(&it)) != NULL) {
        if (is_on(t, type))
            return t;
    }
    return NULL;
}

static bool is_due(yyjson_val *t, const struct schedule_host *host, int64_t minute)
{
    const struct str name = json_str(t, "timezone");
    const struct zone *z = name.n ? host->zone(host->ctx, name) : host->local;
    struct schedule s;

    if (is_on(t, "single"))
        return json_double(t, "epoch", -1) == (double)minute;
    return is_on(t, "schedule") && z && !schedule_parse(t, &s, NULL) &&
           schedule_matches(&s, z, minute);
}

struct out {
    struct launch *v;
    size_t n, max;
};

static void put(struct out *o, size_t trigger, double now, double until)
{
    if (o->n < o->max)
        o->v[o->n++] = (struct launch){ trigger, now, until };
}

/* Precision gives a job a second of its list, else delay puts the only one off. */
static void put_due(struct out *o, size_t trigger, yyjson_val *seconds, double delay,
                    int64_t minute)
{
    yyjson_arr_iter it = yyjson_arr_iter_with(seconds);
    yyjson_val *second;
    double v;

    if (yyjson_arr_size(seconds) == 0) {
        put(o, trigger, (double)minute, delay > 0 ? (double)minute + delay : 0);
        return;
    }
    while ((second = yyjson_arr_iter_next(&it)) != NULL) {
        if (json_val_double(second, &v) && v >= 0 && v < 60)
            put(o, trigger, (double)minute + v, (double)minute + v);
    }
}

size_t schedule_launches(yyjson_val *triggers, const struct schedule_host *host, int64_t minute,
                         int64_t *nth, struct launch *ret, size_t max)
{
    struct out o = { .v = ret, .max = max };
    yyjson_arr_iter it = yyjson_arr_iter_with(triggers);
    yyjson_val *t, *every = find_on(triggers, "nth");
    yyjson_val *seconds = json_get(find_on(triggers, "precision"), "seconds");
    const double delay = json_double(find_on(triggers, "delay"), "duration", 0);
    double hits[60];

    if (!ranges_allow(triggers, minute))
        return 0;
    for (size_t i = 0; (t = yyjson_arr_iter_next(&it)) != NULL; i++) {
        if (is_on(t, "interval")) {
            const size_t n = interval_hits(json_double(t, "start", 0),
                                           json_double(t, "duration", 0), minute, hits);

            for (size_t h = 0; h < n; h++)
                put(&o, i, (double)minute + hits[h], (double)minute + hits[h]);
        } else if (is_due(t, host, minute)) {
            put_due(&o, i, seconds, delay, minute);
        }
    }
    if (o.n > 0 && every) {
        if (--*nth > 0)
            return 0;
        *nth = json_i64(every, "every", 1);
    }
    return o.n;
}
