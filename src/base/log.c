/* The log: a line is put together on the stack and leaves in one write(2), so lines of several
 * threads never mix. Control characters that slipped into the keys become '?', so one event stays
 * one line. The level is the only global of the program. Nothing here allocates or fails. */
#include "base/log.h"

#include "base/clock.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

static _Atomic int log_level = LOG_INFO;

static const char *const level_names[] = {
    [LOG_ERROR] = "error",
    [LOG_WARN] = "warn",
    [LOG_INFO] = "info",
    [LOG_DEBUG] = "debug",
};

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&log_level, (int)level, memory_order_relaxed);
}

enum log_level log_level_now(void)
{
    return (enum log_level)atomic_load_explicit(&log_level, memory_order_relaxed);
}

bool log_level_parse(struct str s, enum log_level *ret)
{
    for (size_t i = 0; i < COUNT_OF(level_names); i++) {
        if (str_eq_z(s, level_names[i])) {
            *ret = (enum log_level)i;
            return true;
        }
    }
    return false;
}

static bool is_control(char c)
{
    return (unsigned char)c < 0x20 || c == 0x7F;
}

void log_event(enum log_level level, const char *what, const char *fmt, ...)
{
    const int saved = errno;
    char line[LOG_LINE_MAX + 1]; /* one more for vsnprintf's NUL, where the line's end goes */
    char stamp[25];
    size_t n;
    va_list ap;
    int m;

    if (level > log_level_now())
        return;
    usec_format_iso(clock_wall(), stamp);
    m = snprintf(line, LOG_LINE_MAX, "%s %s %s%s", stamp, level_names[level], what,
                 *fmt ? " " : "");
    n = m < 0 ? 0 : m < LOG_LINE_MAX ? (size_t)m : LOG_LINE_MAX - 1;
    va_start(ap, fmt);
    m = vsnprintf(line + n, LOG_LINE_MAX - n, fmt, ap);
    va_end(ap);
    if (m > 0 && (size_t)m >= LOG_LINE_MAX - n) {
        n = LOG_LINE_MAX - 1;
        memcpy(line + n - 3, "...", 3);
    } else if (m > 0) {
        n += (size_t)m;
    }
    for (size_t i = 0; i < n; i++) {
        if (is_control(line[i]))
            line[i] = '?';
    }
    line[n++] = '\n';
    /* nobody is left to tell when stderr is gone */
    while (write(STDERR_FILENO, line, n) < 0 && errno == EINTR)
        continue;
    errno = saved;
}

/* Writes one character of s at i as it is shown; how many bytes of s it took goes to *ret_step. */
static size_t put_shown(struct str s, size_t i, char out[8], size_t *ret_step)
{
    static const char hex[] = "0123456789abcdef";
    static const char plain[] = "\"\\\n\r\t";
    const size_t step = str_utf8_at(s, i);
    const unsigned char c = (unsigned char)s.p[i];
    const char *short_form = c ? strchr(plain, c) : NULL;

    *ret_step = 1;
    if (step == 1 && short_form) {
        out[0] = '\\';
        out[1] = "\"\\nrt"[short_form - plain];
        return 2;
    }
    /* C1 controls (U+0080-U+009F) steer terminals as well */
    if (step == 0 || (step == 1 && is_control((char)c)) ||
        (step == 2 && c == 0xC2 && (unsigned char)s.p[i + 1] < 0xA0)) {
        memcpy(out, (char[]){ '\\', 'x', hex[c >> 4], hex[c & 15] }, 4);
        return 4;
    }
    memcpy(out, s.p + i, step);
    *ret_step = step;
    return step;
}

const char *log_quote(struct str s, char *out, size_t size)
{
    size_t n = 0, cut = 0;

    if (size < 6) { /* no room for "..." in quotes */
        if (size)
            out[0] = '\0';
        return out;
    }
    out[n++] = '"';
    cut = n;
    for (size_t i = 0, step; i < s.n; i += step) {
        char shown[8];
        const size_t m = put_shown(s, i, shown, &step);

        if (n + m + 2 > size) {
            n = cut;
            memcpy(out + n, "...", 3);
            n += 3;
            break;
        }
        memcpy(out + n, shown, m);
        n += m;
        if (n + 5 <= size)
            cut = n;
    }
    out[n++] = '"';
    out[n] = '\0';
    return out;
}
