/* Intrusive binary min-heap of due times. A node knows its place, so removing is O(log n). */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H

#include "base/clock.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

struct heap_node {
    Usec due;
    size_t pos; /* 0: not in a heap */
};

struct heap {
    struct heap_node **at; /* at[1..n] */
    size_t n;
    size_t cap;
};

void heap_done(struct heap *h);
Status heap_put(struct heap *h, struct heap_node *node, Usec due) MUST_USE; /* inserts or moves */
void heap_remove(struct heap *h, struct heap_node *node);                   /* fine when not in */
struct heap_node *heap_peek(const struct heap *h);                          /* earliest or NULL */
static inline bool heap_has(const struct heap_node *node)
{
    return node->pos != 0;
}

#endif
