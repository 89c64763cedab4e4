/* vec: a growing array of pointers. Owner of the array, never of what it points to. */
#ifndef BASE_VEC_H
#define BASE_VEC_H

#include "base/status.h"

#include <stddef.h>

struct vec {
    void **at;
    size_t n;
    size_t cap;
};

void vec_done(struct vec *v);
Status vec_push(struct vec *v, void *item) MUST_USE;
void *vec_pop(struct vec *v);                  /* NULL when empty */
void vec_remove(struct vec *v, size_t i);      /* keeps the order */
void vec_remove_swap(struct vec *v, size_t i); /* last one takes the place */

#endif
