/* Arena: a chain of malloc'ed blocks, handed out from the front of the newest.
 *
 * The one idea: the first block (1 KB) stays for ever, each further one doubles up to 1 MB, and a
 * request too big for the next step gets a block of its own behind the newest, which stays in use.
 * Under AddressSanitizer all that is not handed out is poisoned, with a gap between neighbours. */
#include "base/arena.h"

#include <assert.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_ASAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define ARENA_ASAN 1
#endif
#ifdef ARENA_ASAN
#include <sanitizer/asan_interface.h>
#define ARENA_GAP      16u
#define POISON(p, n)   ASAN_POISON_MEMORY_REGION((p), (n))
#define UNPOISON(p, n) ASAN_UNPOISON_MEMORY_REGION((p), (n))
#else
#define ARENA_GAP      0u
#define POISON(p, n)   ((void)0)
#define UNPOISON(p, n) ((void)0)
#endif

#define ARENA_BLOCK_FIRST 1024u
#define ARENA_BLOCK_MAX   (1024u * 1024u)
#define ARENA_ALIGN       16u

struct block {
    struct block *older;
    size_t cap;
    size_t used;
    alignas(ARENA_ALIGN) char data[];
};

struct deferred {
    struct deferred *earlier;
    void (*fn)(void *arg);
    void *arg;
};

struct arena {
    struct block *newest;
    struct block *first; /* survives a reset */
    struct deferred *deferred;
    size_t max;   /* bytes of all blocks together */
    size_t total; /* bytes of the blocks there are */
    size_t used;  /* bytes handed out */
    size_t next;  /* size of the block to come */
};

static struct block *block_new(struct arena *a, size_t cap)
{
    struct block *b = malloc(sizeof *b + cap);

    if (!b)
        return NULL;
    b->cap = cap;
    b->used = 0;
    POISON(b->data, cap);
    a->total += cap;
    return b;
}

static void block_free(struct arena *a, struct block *b)
{
    a->total -= b->cap;
    UNPOISON(b->data, b->cap);
    free(b);
}

struct arena *arena_new(size_t max_bytes)
{
    struct arena *a = calloc(1, sizeof *a);

    if (!a)
        return NULL;
    a->max = max_bytes;
    a->next = ARENA_BLOCK_FIRST;
    return a;
}

static void run_deferred(struct arena *a)
{
    while (a->deferred) {
        const struct deferred *d = a->deferred;

        a->deferred = d->earlier;
        d->fn(d->arg);
    }
}

void arena_free(struct arena *a)
{
    if (!a)
        return;
    run_deferred(a);
    while (a->newest) {
        struct block *b = a->newest;

        a->newest = b->older;
        block_free(a, b);
    }
    free(a);
}

void arena_reset(struct arena *a)
{
    run_deferred(a);
    while (a->newest) {
        struct block *b = a->newest;

        a->newest = b->older;
        if (b != a->first)
            block_free(a, b);
    }
    if (a->first) {
        POISON(a->first->data, a->first->cap);
        a->first->used = 0;
        a->first->older = NULL;
        a->newest = a->first;
        a->next = 2 * ARENA_BLOCK_FIRST;
    }
    a->used = 0;
}

static void *block_take(struct arena *a, struct block *b, size_t n)
{
    void *p = b->data + b->used;

    b->used += n;
    b->used = b->cap - b->used > ARENA_GAP ? b->used + ARENA_GAP : b->cap;
    a->used += n;
    return p;
}

/* A block with room for n: the next step of the doubling, or one of exactly n behind the newest. */
static struct block *block_for(struct arena *a, size_t n)
{
    const size_t left = (a->max - a->total) & ~(size_t)(ARENA_ALIGN - 1);
    size_t cap = a->next < left ? a->next : left;
    struct block *b;

    if (n > left)
        return NULL;
    if (n > cap && a->newest) {
        b = block_new(a, n);
        if (!b)
            return NULL;
        b->older = a->newest->older;
        a->newest->older = b;
        return b;
    }
    if (n > cap)
        cap = n;
    b = block_new(a, cap);
    if (!b)
        return NULL;
    b->older = a->newest;
    a->newest = b;
    if (!a->first)
        a->first = b;
    if (a->next < ARENA_BLOCK_MAX)
        a->next *= 2;
    return b;
}

void *arena_alloc(struct arena *a, size_t n)
{
    struct block *b = a->newest;
    void *p;

    if (n > SIZE_MAX / 2)
        return NULL;
    const size_t rounded = n ? (n + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1) : ARENA_ALIGN;

    if (!b || b->cap - b->used < rounded)
        b = block_for(a, rounded);
    if (!b)
        return NULL;
    p = block_take(a, b, rounded);
    UNPOISON(p, n);
    return p;
}

void *arena_zalloc(struct arena *a, size_t n)
{
    void *p = arena_alloc(a, n);

    if (p && n)
        memset(p, 0, n);
    return p;
}

char *arena_dup_z(struct arena *a, struct str s)
{
    char *p = s.n < SIZE_MAX / 2 ? arena_alloc(a, s.n + 1) : NULL;

    if (!p)
        return NULL;
    if (s.n)
        memcpy(p, s.p, s.n);
    p[s.n] = '\0';
    return p;
}

struct str arena_dup(struct arena *a, struct str s)
{
    const char *p = arena_dup_z(a, s);

    return p ? (struct str){ .p = p, .n = s.n } : STR_NONE;
}

struct str arena_printf(struct arena *a, const char *fmt, ...)
{
    struct str s;
    va_list ap;

    va_start(ap, fmt);
    s = arena_vprintf(a, fmt, ap);
    va_end(ap);
    return s;
}

struct str arena_vprintf(struct arena *a, const char *fmt, va_list ap)
{
    va_list again;
    char *p;
    int n;

    va_copy(again, ap);
    n = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    if (n < 0)
        return STR_NONE;
    p = arena_alloc(a, (size_t)n + 1);
    if (!p)
        return STR_NONE;
    (void)vsnprintf(p, (size_t)n + 1, fmt, ap);
    return (struct str){ .p = p, .n = (size_t)n };
}

size_t arena_used(const struct arena *a)
{
    return a->used;
}

bool arena_defer(struct arena *a, void (*fn)(void *arg), void *arg)
{
    struct deferred *d;

    assert(fn);
    d = arena_alloc(a, sizeof *d);
    if (!d)
        return false;
    *d = (struct deferred){ .earlier = a->deferred, .fn = fn, .arg = arg };
    a->deferred = d;
    return true;
}
