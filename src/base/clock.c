/* The real clock, and UTC times as text.
 *
 * The one idea: text has a fixed width, so years are held to 0000-9999 and digits are put one by
 * one; no locale, no time zone, no gmtime. Days are counted in the proleptic Gregorian calendar. */
#include "base/clock.h"

#include "base/date.h"

#include <stdbool.h>
#include <string.h>
#include <time.h>

#define TIME_FIRST (INT64_C(-62167219200) * USEC_SEC)                   /* 0000-01-01 */
#define TIME_LAST  (INT64_C(253402300799) * USEC_SEC + INT64_C(999999)) /* 9999-12-31 */

static const char weekday_names[] = "SunMonTueWedThuFriSat";
static const char month_names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

struct civil {
    int year, month, day; /* month 1-12 */
    int weekday;          /* 0 is Sunday */
    int hour, minute, second, ms;
};

static Usec read_clock(clockid_t id)
{
    struct timespec ts;

    (void)clock_gettime(id, &ts);
    return (Usec)ts.tv_sec * USEC_SEC + (Usec)ts.tv_nsec / 1000;
}

Usec clock_wall(void)
{
    return read_clock(CLOCK_REALTIME);
}

Usec clock_mono(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

static struct civil civil_from_usec(Usec t)
{
    struct civil c = { 0 };
    unsigned month, day;
    int64_t year, days, left;

    if (t < TIME_FIRST)
        t = TIME_FIRST;
    if (t > TIME_LAST)
        t = TIME_LAST;
    days = div_floor(t, USEC_DAY);
    left = t - days * USEC_DAY;
    date_from_days(days, &year, &month, &day);
    c.year = (int)year;
    c.month = (int)month;
    c.day = (int)day;
    c.weekday = (int)date_weekday(days);
    c.hour = (int)(left / USEC_HOUR);
    c.minute = (int)(left / USEC_MINUTE % 60);
    c.second = (int)(left / USEC_SEC % 60);
    c.ms = (int)(left / USEC_MSEC % 1000);
    return c;
}

static char *put_digits(char *p, int width, int v)
{
    for (int i = width - 1; i >= 0; i--) {
        p[i] = (char)('0' + v % 10);
        v /= 10;
    }
    return p + width;
}

static char *put_text(char *p, const char *text, size_t n)
{
    memcpy(p, text, n);
    return p + n;
}

static char *put_time(char *p, const struct civil *c)
{
    p = put_digits(p, 2, c->hour);
    *p++ = ':';
    p = put_digits(p, 2, c->minute);
    *p++ = ':';
    return put_digits(p, 2, c->second);
}

void usec_format_iso(Usec t, char out[25])
{
    const struct civil c = civil_from_usec(t);
    char *p = put_digits(out, 4, c.year);

    *p++ = '-';
    p = put_digits(p, 2, c.month);
    *p++ = '-';
    p = put_digits(p, 2, c.day);
    *p++ = 'T';
    p = put_time(p, &c);
    *p++ = '.';
    p = put_digits(p, 3, c.ms);
    *p++ = 'Z';
    *p = '\0';
}

void usec_format_http(Usec t, char out[30])
{
    const struct civil c = civil_from_usec(t);
    char *p = put_text(out, weekday_names + (size_t)c.weekday * 3, 3);

    p = put_text(p, ", ", 2);
    p = put_digits(p, 2, c.day);
    *p++ = ' ';
    p = put_text(p, month_names + (size_t)(c.month - 1) * 3, 3);
    *p++ = ' ';
    p = put_digits(p, 4, c.year);
    *p++ = ' ';
    p = put_time(p, &c);
    p = put_text(p, " GMT", 4);
    *p = '\0';
}

static bool take_digits(const char *p, int width, int *ret)
{
    int v = 0;

    for (int i = 0; i < width; i++) {
        if (p[i] < '0' || p[i] > '9')
            return false;
        v = v * 10 + (p[i] - '0');
    }
    *ret = v;
    return true;
}

int usec_parse_http(const char *z, Usec *ret)
{
    struct civil c = { 0 };
    char again[30];
    Usec t;

    if (strnlen(z, 30) != 29)
        return false;
    if (!take_digits(z + 5, 2, &c.day) || !take_digits(z + 12, 4, &c.year) ||
        !take_digits(z + 17, 2, &c.hour) || !take_digits(z + 20, 2, &c.minute) ||
        !take_digits(z + 23, 2, &c.second))
        return false;
    for (int m = 1; m <= 12 && c.month == 0; m++) {
        if (memcmp(z + 8, month_names + (size_t)(m - 1) * 3, 3) == 0)
            c.month = m;
    }
    if (c.month == 0)
        return false;
    t = date_to_days(c.year, (unsigned)(c.month), (unsigned)(c.day)) * USEC_DAY +
        c.hour * USEC_HOUR + c.minute * USEC_MINUTE + c.second * USEC_SEC;
    /* printing it again settles ranges, separators and the day of the week in one go */
    usec_format_http(t, again);
    if (strcmp(z, again) != 0)
        return false;
    *ret = t;
    return true;
}
