/* Short ids: prefix, milliseconds and a counter in base 36, random characters up to 16.
 *
 * The one idea: the millisecond part has eight digits until the year 2059 and nine until 5188, and
 * the counter always two, so ids of one prefix sort by time of creation. The source is seeded, so
 * the simulator replays the same ids; they are names, not secrets. */
#include "base/id.h"

#define ID_LENGTH      16u
#define ID_COUNTER_END 1296u /* 36 * 36 */

static const char id_digits[] = "0123456789abcdefghijklmnopqrstuvwxyz";

void id_source_init(struct id_source *s, uint64_t seed)
{
    rng_init(&s->rng, seed);
    s->counter = (uint32_t)rng_below(&s->rng, ID_COUNTER_END);
}

static size_t put_base36(char *out, uint64_t v)
{
    char reversed[16];
    size_t n = 0;

    do {
        reversed[n++] = id_digits[v % 36];
        v /= 36;
    } while (v);
    for (size_t i = 0; i < n; i++)
        out[i] = reversed[n - 1 - i];
    return n;
}

Id id_new(struct id_source *s, const char *prefix, Usec now)
{
    Id id = { .z = "" };
    size_t n = strnlen(prefix, 8);

    memcpy(id.z, prefix, n);
    n += put_base36(id.z + n, now > 0 ? (uint64_t)(now / USEC_MSEC) : 0);
    id.z[n++] = id_digits[s->counter / 36];
    id.z[n++] = id_digits[s->counter % 36];
    s->counter = (s->counter + 1) % ID_COUNTER_END;
    while (n < ID_LENGTH)
        id.z[n++] = id_digits[rng_below(&s->rng, 36)];
    return id;
}

bool id_from_str(struct str s, Id *ret)
{
    if (s.n > ID_MAX)
        return false;
    *ret = (Id){ .z = "" };
    return str_copy_z(s, ret->z, sizeof ret->z);
}
