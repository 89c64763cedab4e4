/* Status names and the struct err writers.
 *
 * The one idea: everything is printed into a temporary first, so that a caller may pass the fields
 * of the same err as arguments (adding context to a text, keeping a path). Nothing here allocates.
 */
#include "base/status.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct status_row {
    const char *name;
    const char *text;
    int http;
};

static const struct status_row status_rows[STATUS_COUNT] = {
#define X(n, h, t) [STATUS_INDEX_##n] = { .name = #n, .text = t, .http = h },
    STATUS_MAP(X)
#undef X
};

static const struct status_row *row_of(Status st)
{
    const long i = -(long)st;

    return &status_rows[i >= 0 && i < STATUS_COUNT ? i : STATUS_INDEX_IO];
}

const char *status_name(Status st)
{
    return row_of(st)->name;
}

const char *status_text(Status st)
{
    return row_of(st)->text;
}

int status_http(Status st)
{
    return row_of(st)->http;
}

Status status_from_errno(int error)
{
    switch (error) {
    case 0:
        return STATUS_OK;
    case EINVAL:
    case ENAMETOOLONG:
    case EISDIR:
    case ENOTDIR:
    case ELOOP:
        return STATUS_INVALID;
    case EACCES:
    case EPERM:
    case EROFS:
        return STATUS_DENIED;
    case ENOENT:
    case ESRCH:
    case ENXIO:
        return STATUS_MISSING;
    case EEXIST:
    case ENOTEMPTY:
        return STATUS_EXISTS;
    case EFBIG:
    case E2BIG:
    case EMSGSIZE:
        return STATUS_TOO_BIG;
    case EMFILE:
    case ENFILE:
        return STATUS_FULL;
    case ENOMEM:
        return STATUS_NOMEM;
    case EAGAIN:
    case EBUSY:
    case ETXTBSY:
        return STATUS_BUSY;
    case ENOSPC:
    case EDQUOT:
        return STATUS_NOSPACE;
    case ETIMEDOUT:
        return STATUS_TIMEOUT;
    case EPIPE:
    case ECONNRESET:
    case ECONNABORTED:
    case ENOTCONN:
        return STATUS_CLOSED;
    case ENOSYS:
    case EOPNOTSUPP:
    case EAFNOSUPPORT:
        return STATUS_UNSUPPORTED;
    default:
        return STATUS_IO;
    }
}

static void fill(struct err *err, Status st, const char *at, const char *text)
{
    struct err e = { .code = st };

    (void)snprintf(e.at, sizeof e.at, "%s", at ? at : "");
    (void)snprintf(e.text, sizeof e.text, "%s", text);
    *err = e;
}

Status err_set(struct err *err, Status st, const char *at, const char *fmt, ...)
{
    char text[sizeof err->text];
    va_list ap;

    if (!err)
        return st;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    fill(err, st, at, text);
    return st;
}

Status err_errno(struct err *err, int error, const char *fmt, ...)
{
    const Status st = status_from_errno(error);
    char what[sizeof err->text];
    char reason[128];
    va_list ap;

    if (!err)
        return st;
    va_start(ap, fmt);
    (void)vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    return err_set(err, st, NULL, "%s: %s", what, strerror_r(error, reason, sizeof reason));
}

Status err_wrap(struct err *err, const char *fmt, ...)
{
    char context[sizeof err->text];
    char at[sizeof err->at];
    va_list ap;

    if (!err)
        return STATUS_INVALID;
    va_start(ap, fmt);
    (void)vsnprintf(context, sizeof context, fmt, ap);
    va_end(ap);
    (void)snprintf(at, sizeof at, "%s", err->at);
    return err_set(err, err->code, at, "%s: %s", context, err->text);
}
