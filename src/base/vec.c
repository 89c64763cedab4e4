/* vec: a growing array of pointers; doubles, never shrinks. Knows nothing of what it points to. */
#include "base/vec.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define VEC_FIRST 8u

void vec_done(struct vec *v)
{
    free(v->at);
    *v = (struct vec){ 0 };
}

Status vec_push(struct vec *v, void *item)
{
    if (v->n == v->cap) {
        const size_t cap = v->cap ? 2 * v->cap : VEC_FIRST;
        void **at;

        if (cap > SIZE_MAX / 2 / sizeof *at)
            return STATUS_NOMEM;
        at = realloc(v->at, cap * sizeof *at);
        if (!at)
            return STATUS_NOMEM;
        v->at = at;
        v->cap = cap;
    }
    v->at[v->n++] = item;
    return STATUS_OK;
}

void *vec_pop(struct vec *v)
{
    return v->n ? v->at[--v->n] : NULL;
}

void vec_remove(struct vec *v, size_t i)
{
    if (i >= v->n)
        return;
    v->n--;
    memmove(v->at + i, v->at + i + 1, (v->n - i) * sizeof *v->at);
}

void vec_remove_swap(struct vec *v, size_t i)
{
    if (i >= v->n)
        return;
    v->at[i] = v->at[--v->n];
}
