/* rooms: schedule json base */
/* Any bytes as a time zone file, and questions about it. */
#include "schedule/schedule.h"

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int64_t times[] = { INT64_C(-3000000000), 0, 1700000000, INT64_C(4102444800) };
    AUTO(zone_free) struct zone *z = NULL;
    const struct schedule s = {
        .some_minutes = true, .minutes = 1, .some_hours = true, .hours = 8
    };

    if (zone_parse(str_n(data, size), &z, NULL))
        return 0;
    for (size_t i = 0; i < COUNT_OF(times); i++) {
        (void)zone_offset(z, times[i]);
        (void)schedule_next(&s, z, times[i], times[i] + 40 * 86400);
    }
    return 0;
}
