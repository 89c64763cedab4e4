/* Patterns as JavaScript reads them, without flags, on PCRE2 with limits (reference/expressions.md
 * 3). Pattern and text are made of UTF-16 units, half a pair is one. What the two write differently
 * is translated first: `.` and `\s`, escapes that mean something to PCRE2 alone, and its own
 * constructs, which are refused. */
#include "expr/expr_int.h"

#define PCRE2_CODE_UNIT_WIDTH 16
#include <pcre2.h>

#include <stdlib.h>

#define OPTIONS                                                                                    \
    (PCRE2_ALT_BSUX | PCRE2_DOLLAR_ENDONLY | PCRE2_MATCH_UNSET_BACKREF | PCRE2_ALLOW_EMPTY_CLASS)
#define TRANSLATED_MAX (EXPR_REGEX_MAX * 64u)
/* ALT_BSUX takes \x with two digits only: \u with four is for the rest. */
#define SPACES                                                                                     \
    "\\t\\n\\x0b\\f\\r \\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000\\ufeff"

static Status bad(struct err *err, const char *what)
{
    return err_set(err, STATUS_INVALID, NULL, "The pattern is not a regular expression: %s", what);
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static void put_escape(char c, bool in_class, struct buf *out)
{
    if (c == 's') {
        (void)buf_add_z(out, in_class ? SPACES : "[" SPACES "]");
    } else if (c == 'S' && !in_class) {
        (void)buf_add_z(out, "[^" SPACES "]");
    } else {
        if (!is_letter(c) || strchr("dDwWSbBfnrtvxuk", c))
            (void)buf_add_char(out, '\\');
        if (c == 'v') /* a vertical tab there, a class of line ends in PCRE2 */
            (void)buf_add_z(out, "x0b");
        else
            (void)buf_add_char(out, c);
    }
}

/* A group that JavaScript has: (?: (?= (?! (?<= (?<! (?<name> */
static bool group_ok(struct str rest)
{
    if (rest.n < 2 || rest.p[0] != '?')
        return !(rest.n && rest.p[0] == '*');
    if (rest.p[1] == ':' || rest.p[1] == '=' || rest.p[1] == '!')
        return true;
    return rest.p[1] == '<' && rest.n > 2 &&
           (rest.p[2] == '=' || rest.p[2] == '!' || is_letter(rest.p[2]) || rest.p[2] == '_' ||
            rest.p[2] == '$');
}

static Status translate(struct str p, struct buf *out, struct err *err)
{
    bool in_class = false;

    for (size_t i = 0; i < p.n; i++) {
        const char c = p.p[i];

        if (c == '\\') {
            if (i + 1 >= p.n)
                return bad(err, "a backslash at its end");
            i++;
            if (p.p[i] == 'c' && i + 1 < p.n && is_letter(p.p[i + 1])) {
                (void)buf_printf(out, "\\x%02x", p.p[i + 1] & 0x1f);
                i++;
            } else {
                put_escape(p.p[i], in_class, out);
            }
        } else if (in_class) {
            in_class = c != ']';
            if (c == '[')
                (void)buf_add_char(out, '\\');
            (void)buf_add_char(out, c);
        } else if (c == '.') {
            (void)buf_add_z(out, "[^\\n\\r\\u2028\\u2029]");
        } else if (c == '(' && !group_ok(str_slice(p, i + 1, p.n))) {
            return bad(err, "an unknown group");
        } else if (c == '+' && i > 0 && strchr("*+?}", p.p[i - 1]) &&
                   !(i > 1 && p.p[i - 2] == '\\')) {
            return bad(err, "nothing to repeat");
        } else {
            in_class = c == '[';
            (void)buf_add_char(out, c);
            if (in_class && i + 1 < p.n && p.p[i + 1] == '^') {
                (void)buf_add_char(out, '^');
                i++;
            }
            if (in_class && i + 1 < p.n && p.p[i + 1] == ']') { /* [] and [^] are whole */
                (void)buf_add_char(out, ']');
                in_class = false;
                i++;
            }
        }
    }
    return out->failed ? err_set(err, STATUS_TOO_BIG, NULL, "The pattern is too long") : STATUS_OK;
}

/* s as UTF-16 units on the heap; NULL on no memory. */
static uint16_t *units_of(struct str s, size_t *ret_n)
{
    uint16_t *out = malloc((s.n + 1) * sizeof *out); /* never more units than bytes */
    size_t n = 0;

    for (size_t i = 0, bytes; out && i < s.n; i += bytes ? bytes : 1) {
        const uint32_t c = expr_code_point(s, i, &bytes);

        if (bytes == 4) {
            out[n++] = (uint16_t)(0xd800u | ((c - 0x10000u) >> 10));
            out[n++] = (uint16_t)(0xdc00u | ((c - 0x10000u) & 0x3ffu));
        } else {
            out[n++] = bytes ? (uint16_t)c : 0xfffd;
        }
    }
    *ret_n = n;
    return out;
}

static void put_message(int problem, char out[120])
{
    uint16_t message[120] = { 0 };
    size_t i = 0;

    (void)pcre2_get_error_message(problem, message, COUNT_OF(message));
    for (; i + 1 < 120 && message[i]; i++)
        out[i] = (char)message[i];
    out[i] = '\0';
}

Status expr_regex_compile(struct str pattern, void **ret, struct err *err)
{
    AUTO_BUF struct buf text = { 0 };
    pcre2_code *code;
    PCRE2_SIZE at;
    size_t n;
    int problem = 0;
    char message[120] = "";

    if (pattern.n > EXPR_REGEX_MAX)
        return err_set(err, STATUS_TOO_BIG, NULL, "A pattern has at most %u bytes",
                       (unsigned)EXPR_REGEX_MAX);
    buf_init(&text, TRANSLATED_MAX);
    Status st = translate(pattern, &text, err);
    if (st)
        return st;
    uint16_t *units = units_of(buf_str(&text), &n);
    if (!units)
        return err_set(err, STATUS_NOMEM, NULL, "out of memory");
    code = pcre2_compile(units, n, OPTIONS, &problem, &at, NULL);
    free(units);
    if (!code) {
        put_message(problem, message);
        return bad(err, message);
    }
    *ret = code;
    return STATUS_OK;
}

Status expr_regex_run(const void *regex, struct str text, bool *ret, struct err *err)
{
    pcre2_match_data *data = pcre2_match_data_create(1, NULL);
    pcre2_match_context *context = pcre2_match_context_create(NULL);
    size_t n;
    uint16_t *units = units_of(text, &n);
    int rc = PCRE2_ERROR_NOMEMORY;

    if (data && context && units) {
        (void)pcre2_set_match_limit(context, EXPR_REGEX_STEPS);
        (void)pcre2_set_depth_limit(context, 1000);
        rc = pcre2_match(regex, units, n, 0, 0, data, context);
    }
    pcre2_match_context_free(context);
    pcre2_match_data_free(data);
    free(units);
    if (rc >= 0 || rc == PCRE2_ERROR_NOMATCH) {
        *ret = rc >= 0;
        return STATUS_OK;
    }
    return err_set(err, STATUS_TOO_BIG, NULL, "The pattern takes too long on this text");
}

void expr_regex_free(void *regex)
{
    pcre2_code_free(regex);
}

Status expr_regex(struct str pattern, struct str text, bool *ret, struct err *err)
{
    void *regex = NULL;
    Status st = expr_regex_compile(pattern, &regex, err);

    if (!st)
        st = expr_regex_run(regex, text, ret, err);
    expr_regex_free(regex);
    return st;
}
