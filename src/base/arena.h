/* Arena: memory that goes together. One per request, per tick, per parse; freed whole.
 *
 * Owner: whoever called arena_new. Thread: one at a time. A maximum is set at birth; asking for
 * more gives NULL (the caller answers NOMEM or TOO_BIG). Small first block, doubling up to 1 MB. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/attr.h"
#include "base/str.h"

#include <stdarg.h>

struct arena;

/* max_bytes bounds all blocks together. NULL when out of memory. */
struct arena *arena_new(size_t max_bytes);
void arena_free(struct arena *a);
DEFINE_AUTO(struct arena, arena_free);

/* Forgets everything, keeps the first block. */
void arena_reset(struct arena *a);

void *arena_alloc(struct arena *a, size_t n);        /* 16-byte aligned, not cleared */
void *arena_zalloc(struct arena *a, size_t n);       /* cleared */
struct str arena_dup(struct arena *a, struct str s); /* NUL behind it; .p NULL when full */
char *arena_dup_z(struct arena *a, struct str s);
struct str arena_printf(struct arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3);
struct str arena_vprintf(struct arena *a, const char *fmt, va_list ap);
size_t arena_used(const struct arena *a);

/* Runs fn(arg) when the arena is freed or reset, last registered first; false when full. */
bool arena_defer(struct arena *a, void (*fn)(void *arg), void *arg);

#endif
