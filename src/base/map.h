/* map: open addressing, bytes -> pointer. Keys are BORROWED and must live as long as their entry
 * (normally they lie in the value itself). Seeded hash; grows at 3/4; no ordering. */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "base/status.h"
#include "base/str.h"

struct map_slot;

struct map {
    struct map_slot *slots;
    size_t cap; /* power of two, 0 before the first put */
    size_t n;
    size_t used; /* n + tombstones */
    uint64_t seed;
};

void map_init(struct map *m, uint64_t seed);
void map_done(struct map *m);
void *map_get(const struct map *m, struct str key); /* NULL when absent */
/* Puts or replaces; *ret_old (may be NULL) gets the earlier value or NULL. */
Status map_put(struct map *m, struct str key, void *value, void **ret_old) MUST_USE;
void *map_del(struct map *m, struct str key); /* the removed value or NULL */
/* Walks: start with *cursor = 0; false at the end. Deleting the current entry is allowed. */
bool map_next(const struct map *m, size_t *cursor, struct str *ret_key, void **ret_value);

#endif
