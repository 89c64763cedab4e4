/* Compiler attributes behind names: the only extension of C that we use. */
#ifndef BASE_ATTR_H
#define BASE_ATTR_H

#include <stddef.h>

#define MUST_USE          __attribute__((warn_unused_result))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))
#define UNUSED            __attribute__((unused))
#define NORETURN          __attribute__((noreturn))
#define AUTO(fn)          __attribute__((cleanup(fn##_p)))

/* DEFINE_AUTO(struct job, job_free): `AUTO(job_free) struct job *j = NULL;` frees on every path. */
#define DEFINE_AUTO(type, fn)                                                                      \
    UNUSED static inline void fn##_p(type **p)                                                     \
    {                                                                                              \
        if (*p)                                                                                    \
            fn(*p);                                                                                \
    }                                                                                              \
    struct base_semicolon

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

/* The object of `type` that holds `member` at `ptr`. */
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* A limit of the product: its real number, and the near-zero one of `script/build tiny`, which puts
 * every edge close enough to meet. */
#ifdef ORRERY_TINY
#define LIMIT(normal, tiny) (tiny)
#else
#define LIMIT(normal, tiny) (normal)
#endif

#endif
