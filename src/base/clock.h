/* Time. Usec is UTC microseconds since 1970 (wall) or since an unknown start (monotonic): the name
 * of a variable says which when it matters. Only conductor/, sat/, cli/ and tests ask the real
 * clock; every other room is handed `now`. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

typedef int64_t Usec;

#define USEC_MSEC   INT64_C(1000)
#define USEC_SEC    INT64_C(1000000)
#define USEC_MINUTE (60 * USEC_SEC)
#define USEC_HOUR   (3600 * USEC_SEC)
#define USEC_DAY    (86400 * USEC_SEC)
#define USEC_NEVER  INT64_MAX

Usec clock_wall(void);
Usec clock_mono(void);

/* Epoch seconds with a fraction, as the wire has them, and back. */
static inline double usec_to_epoch(Usec t)
{
    return (double)t / 1e6;
}

static inline Usec usec_from_epoch(double s)
{
    return s >= 9.2e12    ? USEC_NEVER
           : s <= -9.2e12 ? -USEC_NEVER
                          : (Usec)(s * 1e6 + (s < 0 ? -0.5 : 0.5));
}

/* "2026-11-24T10:52:31.123Z", 25 bytes with the NUL. */
void usec_format_iso(Usec t, char out[25]);
/* "Tue, 24 Nov 2026 10:52:31 GMT" (RFC 9110 section 5.6.7), 30 bytes with the NUL. */
void usec_format_http(Usec t, char out[30]);
/* Parses the same; false when it is something else. */
int usec_parse_http(const char *z, Usec *ret);

#endif
