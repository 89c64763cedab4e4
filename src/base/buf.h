/* struct buf: bytes that grow up to a maximum given at birth. Passing the maximum is FULL, never a
 * crash; once an append failed, `failed` stays set so that a chain of appends is checked once.
 *
 * Owner: the struct owns p (heap). buf_done frees. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/attr.h"
#include "base/status.h"
#include "base/str.h"

#include <stdarg.h>

struct buf {
    char *p;
    size_t n;
    size_t cap;
    size_t max;
    bool failed;
};

void buf_init(struct buf *b, size_t max);
void buf_done(struct buf *b);
static inline void buf_done_p(struct buf *b) /* for AUTO_BUF */
{
    buf_done(b);
}
#define AUTO_BUF __attribute__((cleanup(buf_done_p)))

/* STATUS_OK, STATUS_FULL (over max) or STATUS_NOMEM. */
Status buf_reserve(struct buf *b, size_t more); /* room for `more` bytes beyond n */
Status buf_add(struct buf *b, const void *p, size_t n);
Status buf_add_str(struct buf *b, struct str s);
Status buf_add_z(struct buf *b, const char *z);
Status buf_add_char(struct buf *b, char c);
Status buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
Status buf_vprintf(struct buf *b, const char *fmt, va_list ap);

void buf_clear(struct buf *b);             /* keeps the memory, forgets `failed` */
void buf_consume(struct buf *b, size_t n); /* drops n bytes at the front */

/* What is inside, borrowed until the next append. */
struct str buf_str(const struct buf *b);

/* Takes the bytes out, NUL terminated (caller frees); the buf is empty afterwards. NULL on no
 * memory or when an append failed before. ret_n may be NULL. */
char *buf_take(struct buf *b, size_t *ret_n);

#endif
