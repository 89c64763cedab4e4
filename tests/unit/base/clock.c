/* Tests of base/clock.h, the calendar against the system's. */
#include "base/clock.h"

#include "base/rng.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>
static void test_clock_moves(void **state)
{
    const Usec wall = clock_wall(), mono = clock_mono();

    (void)state;
    assert_true(wall > INT64_C(1600000000) * USEC_SEC);
    assert_true(clock_mono() >= mono);
}

static void test_usec_format_iso(void **state)
{
    char out[25];

    (void)state;
    usec_format_iso(0, out);
    assert_string_equal(out, "1970-01-01T00:00:00.000Z");
    usec_format_iso(INT64_C(1700000000123456), out);
    assert_string_equal(out, "2023-11-14T22:13:20.123Z");
    usec_format_iso(-1, out);
    assert_string_equal(out, "1969-12-31T23:59:59.999Z");
    usec_format_iso(INT64_MIN, out);
    assert_string_equal(out, "0000-01-01T00:00:00.000Z");
    usec_format_iso(USEC_NEVER, out);
    assert_string_equal(out, "9999-12-31T23:59:59.999Z");
}

static void test_usec_format_http(void **state)
{
    char out[30];

    (void)state;
    usec_format_http(INT64_C(784111777) * USEC_SEC, out);
    assert_string_equal(out, "Sun, 06 Nov 1994 08:49:37 GMT"); /* RFC 9110 section 5.6.7 */
    usec_format_http(INT64_C(951827696) * USEC_SEC, out);
    assert_string_equal(out, "Tue, 29 Feb 2000 12:34:56 GMT");
}

static void test_usec_parse_http(void **state)
{
    static const char *const bad[] = {
        "",
        "Mon, 06 Nov 1994 08:49:37 GMT", /* it was a Sunday */
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 GMT ",
        "Sun, 06 Nov 1994 08:49:60 GMT",
        "Sun, 06 Xxx 1994 08:49:37 GMT",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Wed, 30 Feb 2000 12:34:56 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
    };
    Usec t = 5;

    (void)state;
    assert_true(usec_parse_http("Sun, 06 Nov 1994 08:49:37 GMT", &t));
    assert_true(t == INT64_C(784111777) * USEC_SEC);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(usec_parse_http(bad[i], &t));
    assert_true(t == INT64_C(784111777) * USEC_SEC);
}

static void test_calendar_agrees_with_the_system(void **state)
{
    struct rng rng;

    (void)state;
    rng_init(&rng, 3);
    for (int i = 0; i < 20000; i++) {
        /* from the year 1 to 9999 */
        const int64_t s = (int64_t)rng_below(&rng, UINT64_C(315500000000)) - INT64_C(62100000000);
        const time_t seconds = (time_t)s;
        char ours[30], theirs[64];
        struct tm tm;
        Usec back;

        assert_non_null(gmtime_r(&seconds, &tm));
        assert_int_equal(strftime(theirs, sizeof theirs, "%a, %d %b ", &tm), 12);
        (void)snprintf(theirs + 12, sizeof theirs - 12, "%04d %02d:%02d:%02d GMT",
                       tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
        usec_format_http(s * USEC_SEC, ours);
        assert_string_equal(ours, theirs);
        assert_true(usec_parse_http(ours, &back));
        assert_true(back == s * USEC_SEC);
    }
}

static void test_epoch_seconds(void **state)
{
    (void)state;
    assert_true(usec_from_epoch(1700000000.25) == INT64_C(1700000000250000));
    assert_true(usec_from_epoch(-0.5) == -500000);
    assert_true(usec_from_epoch(1e300) == USEC_NEVER);
    assert_true(usec_to_epoch(INT64_C(1500000)) == 1.5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clock_moves),
        cmocka_unit_test(test_usec_format_iso),
        cmocka_unit_test(test_usec_format_http),
        cmocka_unit_test(test_usec_parse_http),
        cmocka_unit_test(test_calendar_agrees_with_the_system),
        cmocka_unit_test(test_epoch_seconds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
