/* Output queue: small writes gather in shared chunks, big ones are taken as they are. Chunks never
 * move, so that a write in flight may point into them while more is added behind. */
#include "net/net_int.h"

#include <stdlib.h>

static struct out_chunk *chunk_new(size_t cap)
{
    struct out_chunk *c = malloc(sizeof *c + cap);

    if (c)
        *c = (struct out_chunk){ .p = (uint8_t *)(c + 1), .cap = cap };
    return c;
}

static void chunk_free(struct out_chunk *c)
{
    if (c->cap == 0)
        free(c->p);
    free(c);
}

static void chunk_link(struct out_queue *q, struct out_chunk *c)
{
    if (q->tail)
        q->tail->next = c;
    else
        q->head = c;
    q->tail = c;
}

/* Grows with what is queued, so that one message a turn on each of many streams stays small. */
static size_t usual_chunk(const struct out_queue *q, size_t left)
{
    if (!q->tail && left <= NET_CHUNK_SMALL)
        return NET_CHUNK_SMALL;
    return q->n + left <= NET_CHUNK_MEDIUM ? NET_CHUNK_MEDIUM : NET_CHUNK_BIG;
}

bool queue_add(struct out_queue *q, const void *p, size_t n)
{
    struct out_chunk *c = q->tail;
    const size_t room = c && c->cap ? c->cap - c->n : 0;
    const size_t first = n < room ? n : room;
    struct out_chunk *more = NULL;

    if (n > first) {
        const size_t left = n - first;
        const size_t usual = usual_chunk(q, left);
        more = chunk_new(left > usual ? left : usual);
        if (!more)
            return false;
        memcpy(more->p, (const uint8_t *)p + first, left);
        more->n = left;
    }
    if (first) {
        memcpy(c->p + c->n, p, first);
        c->n += first;
    }
    if (more)
        chunk_link(q, more);
    q->n += n;
    return true;
}

bool queue_take(struct out_queue *q, void *p, size_t n)
{
    struct out_chunk *c = n ? malloc(sizeof *c) : NULL;

    if (!c) {
        free(p);
        return n == 0;
    }
    *c = (struct out_chunk){ .p = p, .n = n };
    chunk_link(q, c);
    q->n += n;
    return true;
}

void queue_drop(struct out_queue *q, size_t n)
{
    q->n -= n;
    while (n) {
        struct out_chunk *c = q->head;
        const size_t here = c->n - c->off;
        if (n < here) {
            c->off += n;
            return;
        }
        n -= here;
        q->head = c->next;
        if (!q->head)
            q->tail = NULL;
        chunk_free(c);
    }
}

void queue_done(struct out_queue *q)
{
    queue_drop(q, q->n);
}
