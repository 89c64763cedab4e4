/* Short ids (reference/api-operations.md 1.8): prefix + milliseconds in base 36 + a counter in base
 * 36 (0..1295, two digits) + random [a-z0-9] up to 16 characters. They sort by time of creation. */
#ifndef BASE_ID_H
#define BASE_ID_H

#include "base/clock.h"
#include "base/rng.h"
#include "base/str.h"

#define ID_MAX 64 /* longest id accepted anywhere, without the NUL */

typedef struct {
    char z[ID_MAX + 1];
} Id;

struct id_source {
    struct rng rng;
    uint32_t counter;
};

void id_source_init(struct id_source *s, uint64_t seed);
Id id_new(struct id_source *s, const char *prefix, Usec now);

/* False when longer than ID_MAX (and *ret untouched). Does not check the characters. */
bool id_from_str(struct str s, Id *ret);
static inline struct str id_str(const Id *id)
{
    return str_z(id->z);
}
static inline bool id_eq(const Id *a, const Id *b)
{
    return strcmp(a->z, b->z) == 0;
}

#endif
