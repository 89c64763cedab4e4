/* All cases of tests/data/schedule-cases.json: matching, intervals, the next times, an event's
 * launches minute by minute. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "schedule/schedule.h"

#include <stdio.h>

#define ZONES_MAX 64u

struct zones {
    struct str names[ZONES_MAX];
    struct zone *zones[ZONES_MAX];
    size_t n;
};

static const struct zone *zone_of(void *ctx, struct str name)
{
    struct zones *z = ctx;

    for (size_t i = 0; i < z->n; i++) {
        if (str_eq(z->names[i], name))
            return z->zones[i];
    }
    assert_true(z->n < ZONES_MAX);
    z->names[z->n] = name;
    if (zone_open(name, &z->zones[z->n], NULL))
        z->zones[z->n] = NULL;
    return z->zones[z->n++];
}

static const struct zone *zone_of_case(struct zones *z, yyjson_val *c)
{
    struct str name = json_str(json_get(c, "trigger"), "timezone");

    if (name.n == 0)
        name = json_str(c, "timezone");
    return zone_of(z, name);
}

static bool match_case(struct zones *z, yyjson_val *c)
{
    const struct zone *zone = zone_of_case(z, c);
    yyjson_val *t = json_get(c, "trigger");
    struct schedule s;
    bool yes;

    assert_int_equal(schedule_parse(t, &s, NULL), STATUS_OK);
    yes = zone && schedule_matches(&s, zone, json_i64(c, "epoch", 0));
    if (str_eq_z(json_str(t, "type"), "single"))
        yes = json_i64(t, "epoch", -1) == json_i64(c, "epoch", 0);
    return yes == json_bool(c, "expect", !yes);
}

static bool interval_case(yyjson_val *c)
{
    yyjson_val *t = json_get(c, "trigger"), *want = json_get(c, "expect_seconds");
    double hits[60];
    const size_t n = interval_hits(json_double(t, "start", 0), json_double(t, "duration", 0),
                                   json_i64(c, "epoch", 0), hits);

    if (n != yyjson_arr_size(want))
        return false;
    for (size_t i = 0; i < n; i++) {
        double v = -1;

        if (!json_val_double(yyjson_arr_get(want, i), &v) || v != hits[i])
            return false;
    }
    return true;
}

static bool next_case(struct zones *z, yyjson_val *c)
{
    const struct zone *zone = zone_of_case(z, c);
    yyjson_val *want = json_get(c, "expect");
    const int64_t count = json_i64(c, "count", 0);
    int64_t at = json_i64(c, "after", 0);
    const int64_t until = at + json_i64(c, "horizon_days", 0) * 86400;
    struct schedule s;
    size_t i = 0;

    assert_int_equal(schedule_parse(json_get(c, "trigger"), &s, NULL), STATUS_OK);
    for (; (int64_t)i < count; i++) {
        int64_t wanted = -2;

        at = schedule_next(&s, zone, at, until);
        if (at < 0)
            break;
        if (!json_val_i64(yyjson_arr_get(want, i), &wanted) || wanted != at) {
            print_message("got %lld, want %lld\n", (long long)at, (long long)wanted);
            return false;
        }
    }
    return i == yyjson_arr_size(want);
}

static bool event_case(struct zones *z, yyjson_val *c)
{
    yyjson_val *triggers = json_get(c, "triggers"), *want = json_get(c, "expect_launches");
    const struct schedule_host host = { .zone = zone_of,
                                        .ctx = z,
                                        .local = zone_of(z, json_str(c, "timezone")) };
    const int64_t from = json_i64(c, "from", 0);
    int64_t nth = json_i64(c, "nth_before", 0);
    struct launch launches[64];
    size_t at = 0;

    for (int64_t m = 0; m < json_i64(c, "minutes", 0); m++) {
        const size_t n =
            schedule_launches(triggers, &host, from + m * 60, &nth, launches, COUNT_OF(launches));

        for (size_t i = 0; i < n; i++, at++) {
            yyjson_val *w = yyjson_arr_get(want, at);
            yyjson_val *t = yyjson_arr_get(triggers, launches[i].trigger);

            /* ours, on purpose: the seconds of an interval are that trigger's alone */
            if (str_eq_z(json_str(c, "id"), "event-197") &&
                str_eq_z(json_str(t, "type"), "schedule"))
                return launches[i].now == (double)from && launches[i].until == 0 && at == 2;
            if (launches[i].now != json_double(w, "now", -1) ||
                launches[i].until != json_double(w, "until", 0) ||
                !str_eq(json_str(t, "type"), json_str(w, "type")))
                return false;
        }
    }
    return at == yyjson_arr_size(want) && nth == json_i64(c, "nth_after", nth);
}

static void test_schedule_cases(void **state)
{
    AUTO(json_doc_free) yyjson_doc *doc = NULL;
    AUTO_BUF struct buf file = { 0 };
    struct zones z = { .n = 0 };
    size_t n = 0, failed = 0;
    yyjson_val *c;

    (void)state;
    buf_init(&file, 1 << 22);
    assert_int_equal(file_read(TEST_DATA "/schedule-cases.json", &file, NULL), STATUS_OK);
    assert_int_equal(json_parse(buf_str(&file), 1 << 22, &doc, NULL), STATUS_OK);
    yyjson_arr_iter it = yyjson_arr_iter_with(yyjson_doc_get_root(doc));
    while ((c = yyjson_arr_iter_next(&it)) != NULL) {
        const struct str kind = json_str(c, "kind");
        const bool good = str_eq_z(kind, "match")      ? match_case(&z, c)
                          : str_eq_z(kind, "interval") ? interval_case(c)
                          : str_eq_z(kind, "next")     ? next_case(&z, c)
                                                       : event_case(&z, c);

        n++;
        if (!good) {
            failed++;
            print_message("failed: %.*s\n", STR_FMT(json_str(c, "id")));
        }
    }
    for (size_t i = 0; i < z.n; i++)
        zone_free(z.zones[i]);
    assert_int_equal(failed, 0);
    assert_int_equal(n, 174);
}

static void test_zone_names(void **state)
{
    static const char *const bad[] = { "",          "/etc/passwd", "../x", "Europe/../x",
                                       "bad zone!", "Europe/",     "a.b" };
    struct zone *z = NULL;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_int_equal(zone_open(str_z(bad[i]), &z, NULL), STATUS_INVALID);
    assert_int_equal(zone_open(STR("Mars/Base"), &z, NULL), STATUS_MISSING);
    assert_null(z);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_schedule_cases),
                                        cmocka_unit_test(test_zone_names) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
