/* Status: how a call ended; struct err: why, for people. 0 is fine, everything else negative.
 *
 * The first failure writes the text (err_set); upper layers add context (err_wrap). Outputs named
 * ret_* are set on success only. `struct err *` comes last and may be NULL everywhere. */
#ifndef BASE_STATUS_H
#define BASE_STATUS_H

#include "base/attr.h"

/* name, HTTP status, text: the only list. */
#define STATUS_MAP(X)                                                                              \
    X(OK, 200, "ok")                                                                               \
    X(INVALID, 400, "invalid value")                                                               \
    X(DENIED, 403, "not allowed")                                                                  \
    X(MISSING, 404, "not found")                                                                   \
    X(EXISTS, 409, "exists already")                                                               \
    X(CONFLICT, 409, "changed meanwhile")                                                          \
    X(TOO_BIG, 413, "too big")                                                                     \
    X(FULL, 429, "limit reached")                                                                  \
    X(IO, 500, "input/output error")                                                               \
    X(CORRUPT, 500, "damaged data")                                                                \
    X(NOMEM, 503, "out of memory")                                                                 \
    X(BUSY, 503, "busy, try again")                                                                \
    X(NOSPACE, 507, "no space left")                                                               \
    X(TIMEOUT, 504, "took too long")                                                               \
    X(CLOSED, 499, "connection closed")                                                            \
    X(UNSUPPORTED, 501, "not supported")

enum status_index {
#define X(name, http, text) STATUS_INDEX_##name,
    STATUS_MAP(X)
#undef X
        STATUS_COUNT
};

typedef enum {
#define X(name, http, text) STATUS_##name = -(int)STATUS_INDEX_##name,
    STATUS_MAP(X)
#undef X
} Status;

struct err {
    Status code;
    char at[128];   /* path of the property at fault: "limits[2].amount"; empty when none */
    char text[384]; /* one sentence */
};

const char *status_name(Status st);
const char *status_text(Status st);
int status_http(Status st);

/* Maps an errno value (positive). */
Status status_from_errno(int error);

/* Fills err (when not NULL) and returns st, so that `return err_set(...)` reads well. at may be
 * NULL. */
Status err_set(struct err *err, Status st, const char *at, const char *fmt, ...) PRINTF_LIKE(4, 5);

/* As err_set from errno, text "<what>: <strerror>". */
Status err_errno(struct err *err, int error, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Puts "<context>: " before the text of an error already set. Returns its code (INVALID when err is
 * NULL: whoever may be handed NULL returns the status it has). */
Status err_wrap(struct err *err, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
