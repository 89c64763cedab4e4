/* struct buf: doubling up to the maximum of its birth.
 *
 * The one idea: the memory always has one byte more than cap, so that a NUL fits behind the last
 * byte (vsnprintf, buf_take) without a copy. A failed append adds nothing, and neither does any
 * later one: a text with a hole must not look like a text. */
#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>

#define BUF_FIRST 64u

void buf_init(struct buf *b, size_t max)
{
    *b = (struct buf){ .max = max < SIZE_MAX / 4 ? max : SIZE_MAX / 4 };
}

void buf_done(struct buf *b)
{
    free(b->p);
    *b = (struct buf){ .max = b->max };
}

static Status fail(struct buf *b, Status st)
{
    b->failed = true;
    return st;
}

Status buf_reserve(struct buf *b, size_t more)
{
    size_t cap;
    char *p;

    if (b->failed)
        return STATUS_FULL;
    if (more <= b->cap - b->n)
        return STATUS_OK;
    if (more > b->max - b->n)
        return fail(b, STATUS_FULL);
    cap = b->cap ? b->cap : BUF_FIRST;
    while (cap < b->n + more)
        cap *= 2;
    if (cap > b->max)
        cap = b->max;
    p = realloc(b->p, cap + 1);
    if (!p)
        return fail(b, STATUS_NOMEM);
    b->p = p;
    b->cap = cap;
    return STATUS_OK;
}

Status buf_add(struct buf *b, const void *p, size_t n)
{
    const Status st = buf_reserve(b, n);

    if (st)
        return st;
    if (n)
        memcpy(b->p + b->n, p, n);
    b->n += n;
    return STATUS_OK;
}

Status buf_add_str(struct buf *b, struct str s)
{
    return buf_add(b, s.p, s.n);
}

Status buf_add_z(struct buf *b, const char *z)
{
    return buf_add(b, z, strlen(z));
}

Status buf_add_char(struct buf *b, char c)
{
    return buf_add(b, &c, 1);
}

Status buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    Status st;

    va_start(ap, fmt);
    st = buf_vprintf(b, fmt, ap);
    va_end(ap);
    return st;
}

Status buf_vprintf(struct buf *b, const char *fmt, va_list ap)
{
    const size_t room = b->p ? b->cap - b->n + 1 : 0;
    va_list again;
    Status st;
    int n;

    va_copy(again, ap);
    n = vsnprintf(b->p ? b->p + b->n : NULL, room, fmt, again);
    va_end(again);
    if (n < 0)
        return fail(b, STATUS_INVALID);
    st = buf_reserve(b, (size_t)n);
    if (st)
        return st;
    if ((size_t)n >= room && n > 0)
        (void)vsnprintf(b->p + b->n, (size_t)n + 1, fmt, ap);
    b->n += (size_t)n;
    return STATUS_OK;
}

void buf_clear(struct buf *b)
{
    b->n = 0;
    b->failed = false;
}

void buf_consume(struct buf *b, size_t n)
{
    if (n >= b->n) {
        b->n = 0;
        return;
    }
    if (n == 0)
        return;
    memmove(b->p, b->p + n, b->n - n);
    b->n -= n;
}

struct str buf_str(const struct buf *b)
{
    return (struct str){ .p = b->p, .n = b->n };
}

char *buf_take(struct buf *b, size_t *ret_n)
{
    char *p;

    if (b->failed)
        return NULL;
    p = realloc(b->p, b->n + 1);
    if (!p)
        return NULL;
    p[b->n] = '\0';
    if (ret_n)
        *ret_n = b->n;
    *b = (struct buf){ .max = b->max };
    return p;
}
