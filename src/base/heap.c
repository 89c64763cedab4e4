/* Binary min-heap of due times over nodes that lie in their owners.
 *
 * The one idea: at[1..n] with the children of i at 2i and 2i+1, and every node knows its place, so
 * a node can be moved or removed without a search. Equal times come out in no promised order. */
#include "base/heap.h"

#include <stdint.h>
#include <stdlib.h>

#define HEAP_FIRST 16u

void heap_done(struct heap *h)
{
    for (size_t i = 1; i <= h->n; i++)
        h->at[i]->pos = 0;
    free(h->at);
    *h = (struct heap){ 0 };
}

static void place(struct heap *h, size_t i, struct heap_node *node)
{
    h->at[i] = node;
    node->pos = i;
}

static void sift_up(struct heap *h, struct heap_node *node)
{
    size_t i = node->pos;

    while (i > 1 && h->at[i / 2]->due > node->due) {
        place(h, i, h->at[i / 2]);
        i /= 2;
    }
    place(h, i, node);
}

static void sift_down(struct heap *h, struct heap_node *node)
{
    size_t i = node->pos;

    while (2 * i <= h->n) {
        size_t child = 2 * i;

        if (child < h->n && h->at[child + 1]->due < h->at[child]->due)
            child++;
        if (h->at[child]->due >= node->due)
            break;
        place(h, i, h->at[child]);
        i = child;
    }
    place(h, i, node);
}

Status heap_put(struct heap *h, struct heap_node *node, Usec due)
{
    if (!heap_has(node) && h->n + 1 >= h->cap) {
        const size_t cap = h->cap ? 2 * h->cap : HEAP_FIRST;
        struct heap_node **at;

        if (cap > SIZE_MAX / 2 / sizeof *at)
            return STATUS_NOMEM;
        at = realloc(h->at, cap * sizeof *at);
        if (!at)
            return STATUS_NOMEM;
        h->at = at;
        h->cap = cap;
    }
    node->due = due;
    if (!heap_has(node))
        place(h, ++h->n, node);
    sift_up(h, node);
    sift_down(h, node);
    return STATUS_OK;
}

void heap_remove(struct heap *h, struct heap_node *node)
{
    struct heap_node *last;
    const size_t i = node->pos;

    if (i == 0)
        return;
    last = h->at[h->n--];
    node->pos = 0;
    if (last == node)
        return;
    place(h, i, last);
    sift_up(h, last);
    sift_down(h, last);
}

struct heap_node *heap_peek(const struct heap *h)
{
    return h->n ? h->at[1] : NULL;
}
