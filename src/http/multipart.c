/* The multipart/form-data parser (RFC 7578, RFC 2046 5.1): bytes in pieces of any size, parts out.
 *
 * A delimiter is CRLF "--" boundary, and the first one may lack its CRLF. CR occurs in it only at
 * its start, so a failed match needs no going back: what had matched was data. Pure; no files here.
 */
#include "http/multipart.h"

#include <stdlib.h>

#define BOUNDARY_MAX 70 /* RFC 2046 5.1.1 */

enum part_state {
    PART_PREAMBLE, /* before the first delimiter */
    PART_BORDER,   /* right behind a delimiter */
    PART_DASH,     /* "-" behind it: one more and all ends */
    PART_LF,       /* CR behind it */
    PART_HEAD,
    PART_DATA,
    PART_EPILOGUE,
    PART_FAILED,
};

struct multipart_parser {
    const struct multipart_ops *ops;
    void *arg;
    enum part_state state;
    size_t matched; /* of the delimiter */
    size_t delimiter_n;
    char delimiter[4 + BOUNDARY_MAX];
    struct buf head;
};

struct multipart_parser *multipart_new(struct str boundary, const struct multipart_ops *ops,
                                       void *arg)
{
    struct multipart_parser *p;

    if (boundary.n == 0 || boundary.n > BOUNDARY_MAX || str_find_char(boundary, '\r') < boundary.n)
        return NULL;
    p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->ops = ops;
    p->arg = arg;
    memcpy(p->delimiter, "\r\n--", 4);
    memcpy(p->delimiter + 4, boundary.p, boundary.n);
    p->delimiter_n = 4 + boundary.n;
    p->matched = 2; /* the start counts as a line's */
    buf_init(&p->head, MULTIPART_HEAD_MAX);
    return p;
}

void multipart_free(struct multipart_parser *p)
{
    if (!p)
        return;
    buf_done(&p->head);
    free(p);
}

/* ---- the head of a part ---- */

/* Takes `; name="value"` off the front of *rest. A backslash only escapes a quote: browsers send
 * Windows paths with single ones. */
static bool next_param(struct str *rest, struct arena *a, struct str *ret_name,
                       struct str *ret_value)
{
    struct str s = *rest;
    size_t end;
    char *out;
    size_t n = 0;

    end = str_find_char(s, ';');
    if (end == s.n)
        return false;
    s = str_slice(s, end + 1, s.n);
    end = str_find_char(s, '=');
    if (end == s.n)
        return false;
    *ret_name = str_trim(str_slice(s, 0, end));
    s = str_slice(s, end + 1, s.n);
    if (s.n == 0 || s.p[0] != '"') {
        end = str_find_char(s, ';');
        *ret_value = str_trim(str_slice(s, 0, end));
        *rest = str_slice(s, end, s.n);
        return true;
    }
    out = arena_alloc(a, s.n);
    if (!out)
        return false;
    for (end = 1; end < s.n && s.p[end] != '"'; end++) {
        if (s.p[end] == '\\' && end + 1 < s.n && s.p[end + 1] == '"')
            end++;
        out[n++] = s.p[end];
    }
    *ret_value = str_n(out, n);
    *rest = str_slice(s, end + 1, s.n);
    return true;
}

static struct str base_name(struct str s)
{
    size_t from = s.n;

    while (from > 0 && s.p[from - 1] != '/' && s.p[from - 1] != '\\' && s.p[from - 1] != '\0')
        from--;
    s = str_slice(s, from, s.n);
    return str_eq(s, STR(".")) || str_eq(s, STR("..")) ? STR("") : s;
}

struct part_head {
    struct str name;
    struct str filename;
    struct str type;
    bool named;
    bool is_file;
};

static void read_disposition(struct str value, struct arena *a, struct part_head *h)
{
    struct str rest = value;
    struct str name;
    struct str text;

    if (!str_eq_nocase(str_trim(str_slice(value, 0, str_find_char(value, ';'))), STR("form-data")))
        return;
    while (next_param(&rest, a, &name, &text)) {
        if (str_eq_nocase(name, STR("name"))) {
            h->name = text;
            h->named = true;
        } else if (str_eq_nocase(name, STR("filename"))) {
            h->filename = base_name(text);
            h->is_file = true;
        }
    }
}

static Status head_end(struct multipart_parser *p, struct err *err)
{
    AUTO(arena_free) struct arena *a = arena_new(4 * MULTIPART_HEAD_MAX + 4096);
    struct part_head h = { .name = STR(""), .filename = STR(""), .type = STR("") };
    struct str rest = buf_str(&p->head);
    struct str line;
    Status st;

    if (!a)
        return err_set(err, STATUS_NOMEM, NULL, "out of memory");
    while (str_split(&rest, '\n', &line)) {
        const size_t colon = str_find_char(line, ':');
        const struct str key = str_trim(str_slice(line, 0, colon));
        const struct str value = str_trim(str_slice(line, colon + 1, line.n));
        if (str_eq_nocase(key, STR("Content-Disposition")))
            read_disposition(value, a, &h);
        else if (str_eq_nocase(key, STR("Content-Type")))
            h.type = value;
    }
    if (!h.named)
        return err_set(err, STATUS_INVALID, NULL, "a part of the form has no name");
    st = p->ops->on_part(p->arg, h.name, h.filename, h.is_file, h.type);
    buf_done(&p->head);
    buf_init(&p->head, MULTIPART_HEAD_MAX);
    p->state = PART_DATA;
    p->matched = 0;
    return st ? err_set(err, st, NULL, "a part of the form was refused") : STATUS_OK;
}

static Status head_byte(struct multipart_parser *p, char c, struct err *err)
{
    if (buf_add_char(&p->head, c))
        return err_set(err, STATUS_TOO_BIG, NULL, "the head of a part is longer than %u bytes",
                       MULTIPART_HEAD_MAX);
    if (c == '\n' &&
        (str_eq(buf_str(&p->head), STR("\r\n")) || str_ends(buf_str(&p->head), STR("\r\n\r\n"))))
        return head_end(p, err);
    return STATUS_OK;
}

/* ---- data and delimiters ---- */

static Status emit(struct multipart_parser *p, const void *data, size_t n, struct err *err)
{
    Status st = STATUS_OK;

    if (n && p->state == PART_DATA)
        st = p->ops->on_data(p->arg, data, n);
    return st ? err_set(err, st, NULL, "the data of a part was refused") : STATUS_OK;
}

static Status part_over(struct multipart_parser *p, struct err *err)
{
    const bool data = p->state == PART_DATA;
    const Status st = data ? p->ops->on_part_end(p->arg) : STATUS_OK;

    p->state = PART_BORDER;
    return st ? err_set(err, st, NULL, "a part of the form was refused") : STATUS_OK;
}

/* Goes through data up to the end of a delimiter or of the input; *used: bytes taken. */
static Status data_bytes(struct multipart_parser *p, const char *s, size_t n, size_t *used,
                         struct err *err)
{
    size_t carry = p->matched; /* of the match under way, these came with earlier input */
    size_t i = 0;
    Status st;

    *used = n;
    while (i < n) {
        if (p->matched == 0) {
            const char *cr = memchr(s + i, '\r', n - i);
            if (!cr)
                break;
            i = (size_t)(cr - s) + 1;
            p->matched = 1;
        } else if (s[i] == p->delimiter[p->matched]) {
            i++;
            if (++p->matched == p->delimiter_n) {
                *used = i;
                st = emit(p, s, carry ? 0 : i - p->delimiter_n, err);
                return st ? st : part_over(p, err);
            }
        } else {
            st = emit(p, p->delimiter, carry, err); /* it was data after all */
            if (st)
                return st;
            carry = 0;
            p->matched = 0;
        }
    }
    return emit(p, s, carry ? 0 : n - p->matched, err);
}

static Status border_byte(struct multipart_parser *p, char c, struct err *err)
{
    if (p->state == PART_LF && c == '\n')
        p->state = PART_HEAD;
    else if (p->state == PART_DASH && c == '-')
        p->state = PART_EPILOGUE;
    else if (p->state == PART_BORDER && c == '-')
        p->state = PART_DASH;
    else if (p->state == PART_BORDER && c == '\r')
        p->state = PART_LF;
    else if (p->state != PART_BORDER || (c != ' ' && c != '\t'))
        return err_set(err, STATUS_INVALID, NULL, "the form has a damaged delimiter");
    return STATUS_OK;
}

Status multipart_feed(struct multipart_parser *p, const uint8_t *data, size_t n, struct err *err)
{
    const char *s = (const char *)data;
    Status st = STATUS_OK;
    size_t i = 0;

    if (p->state == PART_FAILED)
        return err_set(err, STATUS_INVALID, NULL, "the form failed before");
    while (i < n && !st && p->state != PART_EPILOGUE) {
        size_t used = 1;
        if (p->state == PART_PREAMBLE || p->state == PART_DATA)
            st = data_bytes(p, s + i, n - i, &used, err);
        else if (p->state == PART_HEAD)
            st = head_byte(p, s[i], err);
        else
            st = border_byte(p, s[i], err);
        i += used;
    }
    if (st)
        p->state = PART_FAILED;
    return st;
}

Status multipart_end(struct multipart_parser *p, struct err *err)
{
    if (p->state != PART_EPILOGUE)
        return err_set(err, STATUS_INVALID, NULL, "the form is cut short");
    return STATUS_OK;
}
