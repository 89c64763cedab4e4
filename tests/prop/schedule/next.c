/* Properties: offsets of every zone are the C library's; the next time is the one that a naive scan
 * of minutes finds. Each prints its seed; ORRERY_SEED repeats it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/rng.h"
#include "schedule/schedule.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DAY INT64_C(86400)

static const char *const odd[] = {
    "UTC",
    "Europe/Berlin",
    "Europe/London",
    "Europe/Dublin",
    "America/New_York",
    "America/Sao_Paulo",
    "America/St_Johns",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Pacific/Apia",
    "Pacific/Chatham",
    "Antarctica/Troll",
    "Africa/Casablanca",
    "Africa/Cairo",
    "Asia/Gaza",
    "America/Nuuk",
    "Pacific/Kiritimati",
};

static uint64_t seed(void)
{
    const char *given = getenv("ORRERY_SEED");
    const uint64_t s = given ? strtoull(given, NULL, 10) : (uint64_t)clock_wall();

    print_message("seed %llu\n", (unsigned long long)s);
    return s;
}

static size_t zone_names(char names[][64], size_t max)
{
    FILE *f = fopen(ZONE_DIR "/tzdata.zi", "r");
    char line[512];
    size_t n = 0;

    assert_non_null(f);
    while (n < max && fgets(line, sizeof line, f)) {
        char name[64];

        if (sscanf(line, "Z %63s", name) == 1)
            (void)snprintf(names[n++], 64, "%s", name);
    }
    (void)fclose(f);
    return n;
}

static void test_offsets_are_those_of_the_system(void **state)
{
    static char names[600][64];
    const size_t n = zone_names(names, COUNT_OF(names));
    struct rng r;

    (void)state;
    rng_init(&r, seed());
    assert_true(n > 300);
    for (size_t i = 0; i < n; i++) {
        AUTO(zone_free) struct zone *z = NULL;

        assert_int_equal(zone_open(str_z(names[i]), &z, NULL), STATUS_OK);
        assert_int_equal(setenv("TZ", names[i], 1), 0);
        tzset();
        for (int k = 0; k < 400; k++) {
            /* 1900 to 2100, and close to a change every other time */
            int64_t at = (int64_t)rng_below(&r, 200 * 366 * (uint64_t)DAY) - 70 * 366 * DAY;
            struct tm tm;
            time_t t;

            if (k % 2) {
                const int64_t change = zone_change_after(z, at);
                at = change == INT64_MAX ? at : change - 1 + (int64_t)rng_below(&r, 3);
            }
            t = (time_t)at;
            assert_non_null(localtime_r(&t, &tm));
            if (zone_offset(z, at) != tm.tm_gmtoff)
                fail_msg("%s at %lld: ours %d, the system's %ld", names[i], (long long)at,
                         zone_offset(z, at), tm.tm_gmtoff);
        }
    }
    assert_int_equal(unsetenv("TZ"), 0);
    tzset();
}

static uint64_t some_bits(struct rng *r, unsigned low, unsigned high)
{
    uint64_t bits = 0;

    for (uint64_t n = 1 + rng_below(r, 4); n > 0; n--)
        bits |= UINT64_C(1) << (low + rng_below(r, high - low + 1));
    return bits;
}

static void make(struct rng *r, struct schedule *s)
{
    *s = (struct schedule){ 0 };
    s->some_minutes = rng_below(r, 4) > 0;
    s->minutes = s->some_minutes ? some_bits(r, 0, 59) : 0;
    s->some_hours = rng_below(r, 3) > 0;
    s->hours = s->some_hours ? (uint32_t)some_bits(r, 0, 23) : 0;
    s->some_weekdays = rng_below(r, 4) == 0;
    s->weekdays = s->some_weekdays ? (uint8_t)some_bits(r, 0, 6) : 0;
    s->some_days = rng_below(r, 3) == 0;
    if (s->some_days && rng_below(r, 2))
        s->days = (uint32_t)some_bits(r, 1, 31);
    else if (s->some_days)
        s->last_days = (uint32_t)some_bits(r, 1, 31);
    s->some_months = rng_below(r, 5) == 0;
    s->months = s->some_months ? (uint16_t)some_bits(r, 1, 12) : 0;
}

static void test_next_is_what_a_scan_finds(void **state)
{
    struct rng r;

    (void)state;
    rng_init(&r, seed());
    for (size_t i = 0; i < COUNT_OF(odd); i++) {
        AUTO(zone_free) struct zone *z = NULL;

        assert_int_equal(zone_open(str_z(odd[i]), &z, NULL), STATUS_OK);
        for (int k = 0; k < 60; k++) {
            const int64_t window = (5 + (int64_t)rng_below(&r, 40)) * DAY;
            /* within 20 years from 2020, mostly around a change */
            int64_t from = 1577836800 + (int64_t)rng_below(&r, 20 * 365 * (uint64_t)DAY);
            const int64_t change = zone_change_after(z, from);
            struct schedule s;
            int64_t scan;

            if (change != INT64_MAX && k % 4)
                from = change - (int64_t)rng_below(&r, 3 * (uint64_t)DAY);
            make(&r, &s);
            for (scan = (from / 60 + 1) * 60; scan < from + window; scan += 60) {
                if (schedule_matches(&s, z, scan))
                    break;
            }
            if (scan >= from + window)
                scan = -1;
            if (schedule_next(&s, z, from, from + window) != scan)
                fail_msg("%s from %lld: next %lld, scan %lld", odd[i], (long long)from,
                         (long long)schedule_next(&s, z, from, from + window), (long long)scan);
        }
    }
}

static void test_impossible_schedules_end(void **state)
{
    AUTO(zone_free) struct zone *z = NULL;
    struct schedule s = { .some_months = true, .months = 1 << 2, .some_days = true };

    (void)state;
    assert_int_equal(zone_open(STR("Europe/Berlin"), &z, NULL), STATUS_OK);
    s.days = 1u << 30; /* 30 February */
    assert_int_equal(schedule_next(&s, z, 1700000000, INT64_MAX / 2), -1);
    s.days = 1u << 29; /* 29 February, a Monday, at noon: 2044 */
    s.some_weekdays = s.some_hours = s.some_minutes = true;
    s.weekdays = 1 << 1;
    s.hours = 1 << 12;
    s.minutes = 1;
    assert_int_equal(schedule_next(&s, z, 1716000000, INT64_MAX / 2), 2340356400);
    s.minutes = 0; /* a list without any valid minute */
    assert_int_equal(schedule_next(&s, z, 1716000000, INT64_MAX / 2), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_offsets_are_those_of_the_system),
        cmocka_unit_test(test_next_is_what_a_scan_finds),
        cmocka_unit_test(test_impossible_schedules_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
