/* struct str: a borrowed view of bytes; not zero terminated, may hold NUL, lives as long as its
 * holder. Nothing here allocates. Printing: printf("%.*s", STR_FMT(s)). */
#ifndef BASE_STR_H
#define BASE_STR_H

#include "base/attr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
    const char *p;
    size_t n;
};

#define STR(lit)   ((struct str){ .p = (lit), .n = sizeof(lit) - 1 })
#define STR_NONE   ((struct str){ .p = NULL, .n = 0 })
#define STR_FMT(s) (int)((s).n > 100000 ? 100000 : (s).n), ((s).p ? (s).p : "")

static inline struct str str_z(const char *z)
{
    return z ? (struct str){ .p = z, .n = strlen(z) } : STR_NONE;
}

static inline struct str str_n(const void *p, size_t n)
{
    return (struct str){ .p = p, .n = n };
}

static inline bool str_eq(struct str a, struct str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool str_eq_z(struct str a, const char *z)
{
    return str_eq(a, str_z(z));
}

int str_cmp(struct str a, struct str b);        /* bytewise; shorter first on a tie */
bool str_eq_nocase(struct str a, struct str b); /* ASCII only */
bool str_starts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
bool str_starts_nocase(struct str s, struct str prefix); /* ASCII only */

/* Index of the first hit, or s.n when there is none. */
size_t str_find_char(struct str s, char c);
size_t str_find(struct str s, struct str needle);

struct str str_slice(struct str s, size_t from, size_t to); /* clamped */
struct str str_trim(struct str s);                          /* ASCII white space at both ends */

/* Takes the part before `sep` off the front of *rest (all of it when there is no sep); false when
 * *rest is exhausted. "a,,b" gives "a", "", "b". */
bool str_split(struct str *rest, char sep, struct str *ret_part);

/* Whole-string numbers: no blanks, no leading '+'; false (and *ret untouched) when it is not one.
 */
bool str_to_i64(struct str s, int64_t *ret);
bool str_to_u64(struct str s, uint64_t *ret);
bool str_to_double(struct str s, double *ret);

int str_hex_digit(char c); /* 0-15; -1 when it is none */
/* Length (1-4) of the well-formed UTF-8 character at byte i; 0 when there is none. */
size_t str_utf8_at(struct str s, size_t i);
bool str_is_utf8(struct str s);
bool str_is_word(struct str s); /* ^[A-Za-z0-9_]+$ */
bool str_is_id(struct str s);   /* ^[a-z0-9_]+$ */

uint64_t str_hash(struct str s, uint64_t seed);

/* Copies s into out (size > 0) with a terminating NUL; false when it had to be cut. */
bool str_copy_z(struct str s, char *out, size_t size);

#endif
