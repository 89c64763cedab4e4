/* Text to tokens (reference/expressions.md 1.1-1.3): cut from left to right, the first rule that
 * fits wins. A minus where an operand must come is the sign of the number behind it. */
#include "expr/expr_int.h"

#include <stdlib.h>

struct lexer {
    struct str source;
    size_t i;
    struct token *tokens;
    size_t n;
    struct arena *arena;
    struct err *err;
};

Status expr_error_at(struct err *err, struct str source, size_t at, const char *fmt, ...)
{
    char text[160];
    size_t column = 1;
    va_list ap;

    for (size_t i = 0; i < at && i < source.n; i++)
        column += ((unsigned char)source.p[i] & 0xc0) != 0x80;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return err_set(err, STATUS_INVALID, NULL, "%s (column %zu)", text, column);
}

/* ---- characters ---- */

uint32_t expr_code_point(struct str s, size_t i, size_t *ret_n)
{
    const unsigned char *p = (const unsigned char *)s.p + i;
    const size_t n = str_utf8_at(s, i);

    *ret_n = n;
    if (n == 1)
        return p[0];
    if (n == 2)
        return ((uint32_t)(p[0] & 0x1f) << 6) | (p[1] & 0x3fu);
    if (n == 3)
        return ((uint32_t)(p[0] & 0x0f) << 12) | ((uint32_t)(p[1] & 0x3f) << 6) | (p[2] & 0x3fu);
    if (n == 4)
        return ((uint32_t)(p[0] & 0x07) << 18) | ((uint32_t)(p[1] & 0x3f) << 12) |
               ((uint32_t)(p[2] & 0x3f) << 6) | (p[3] & 0x3fu);
    return 0;
}

size_t expr_space_at(struct str s, size_t i)
{
    size_t n = 0;
    const uint32_t c = i < s.n ? expr_code_point(s, i, &n) : 0;

    if ((c >= 9 && c <= 13) || c == ' ' || c == 0xa0 || c == 0xfeff || c == 0x1680 ||
        (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f ||
        c == 0x3000)
        return n;
    return 0;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_word(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* Length of the character when it may stand in a name, else 0. */
static size_t name_char(struct str s, size_t i, bool first)
{
    size_t n = 0;
    uint32_t c;

    if (i >= s.n)
        return 0;
    if (is_word(s.p[i]) || s.p[i] == '$')
        return first && is_digit(s.p[i]) ? 0 : 1;
    c = expr_code_point(s, i, &n);
    if ((c >= 0xc0 && c <= 0xff && c != 0xd7 && c != 0xf7) || (c >= 0x410 && c <= 0x44f))
        return n;
    return 0;
}

static bool edge_before(const struct lexer *l)
{
    return l->i == 0 || !is_word(l->source.p[l->i - 1]);
}

static bool whole_word(const struct lexer *l, const char *word)
{
    const size_t n = strlen(word);

    return str_starts(str_slice(l->source, l->i, l->source.n), str_z(word)) &&
           (l->i + n >= l->source.n || !is_word(l->source.p[l->i + n]));
}

/* ---- tokens ---- */

static struct token *add(struct lexer *l, enum token_kind kind, size_t n)
{
    struct token *t = &l->tokens[l->n++];

    *t = (struct token){ .kind = kind, .at = (uint32_t)l->i };
    t->text = str_slice(l->source, l->i, l->i + n);
    l->i += n;
    return t;
}

/* Where the text that opens at i is closed: at the first quote without a backslash, else at the
 * last one that has it; l->source.n: nowhere. */
static size_t closing_quote(const struct lexer *l)
{
    const struct str s = l->source;
    const char quote = s.p[l->i];
    size_t last = s.n;

    for (size_t i = l->i + 1; i < s.n; i++) {
        if (s.p[i] == '\\' && i + 1 < s.n && s.p[i + 1] == quote)
            last = ++i;
        else if (s.p[i] == quote)
            return i;
    }
    return last;
}

static Status take_text(struct lexer *l)
{
    const size_t at = l->i;
    const size_t end = closing_quote(l);
    const char quote = l->source.p[at];
    char *out;
    size_t n = 0;
    struct str raw;

    if (end >= l->source.n)
        return expr_error_at(l->err, l->source, at, "A text is not closed");
    raw = str_slice(l->source, at + 1, end);
    out = arena_alloc(l->arena, raw.n + 1);
    if (!out)
        return err_set(l->err, STATUS_NOMEM, NULL, "out of memory");
    for (size_t i = 0; i < raw.n; i++) {
        if (raw.p[i] == '\\' && i + 1 < raw.n && raw.p[i + 1] == quote)
            i++;
        out[n++] = raw.p[i];
    }
    for (size_t i = 0; i + 1 < n; i++) { /* the first double backslash alone becomes one */
        if (out[i] == '\\' && out[i + 1] == '\\') {
            memmove(out + i, out + i + 1, n - i - 1);
            n--;
            break;
        }
    }
    add(l, T_TEXT, end + 1 - at)->text = str_n(out, n);
    return STATUS_OK;
}

static void take_number(struct lexer *l)
{
    const struct str s = l->source;
    size_t end = l->i;
    char *z;
    struct token *t;

    while (end < s.n && is_digit(s.p[end]))
        end++;
    if (end + 1 < s.n && s.p[end] == '.' && is_digit(s.p[end + 1])) {
        end++;
        while (end < s.n && is_digit(s.p[end]))
            end++;
    }
    t = add(l, T_NUMBER, end - l->i);
    z = arena_dup_z(l->arena, t->text);
    t->number = z ? strtod(z, NULL) : 0;
}

static const struct {
    const char *text;
    enum expr_op op;
} operators[] = {
    { "//", OP_FLOORDIV },   { "==", OP_EQUAL }, { "!=", OP_UNEQUAL }, { ">=", OP_MORE_EQUAL },
    { "<=", OP_LESS_EQUAL }, { "&&", OP_AND },   { "||", OP_OR },      { "+", OP_ADD },
    { "-", OP_SUB },         { "*", OP_MUL },    { "/", OP_DIV },      { "%", OP_MOD },
    { "^", OP_POW },         { ">", OP_MORE },   { "<", OP_LESS },
};

static bool take_operator(struct lexer *l)
{
    const struct str rest = str_slice(l->source, l->i, l->source.n);

    if (whole_word(l, "in")) {
        add(l, T_OP, 2)->op = OP_IN;
        return true;
    }
    for (size_t i = 0; i < COUNT_OF(operators); i++) {
        if (str_starts(rest, str_z(operators[i].text))) {
            add(l, T_OP, strlen(operators[i].text))->op = operators[i].op;
            return true;
        }
    }
    return false;
}

/* May a minus here be a sign? */
static bool wants_operand(const struct lexer *l)
{
    const struct token *t = l->n ? &l->tokens[l->n - 1] : NULL;

    if (!t || t->kind == T_OP || t->kind == T_NOT)
        return true;
    return t->kind == T_PUNCT && (t->ch == '(' || t->ch == '[' || t->ch == '?' || t->ch == ':');
}

static void skip_space(struct lexer *l)
{
    size_t n;

    while ((n = expr_space_at(l->source, l->i)) > 0)
        l->i += n;
}

/* "-5", "- 5", "--5": one number. */
static Status take_sign(struct lexer *l)
{
    const size_t at = l->i;

    while (l->i < l->source.n && l->source.p[l->i] == '-') {
        l->i++;
        skip_space(l);
    }
    if (l->i >= l->source.n || !is_digit(l->source.p[l->i]))
        return expr_error_at(l->err, l->source, at, "A minus sign needs a number behind it");
    take_number(l);
    l->tokens[l->n - 1].number = -l->tokens[l->n - 1].number;
    return STATUS_OK;
}

static Status take(struct lexer *l)
{
    const char c = l->source.p[l->i];
    size_t n = 0, more;

    if (c == '"' || c == '\'')
        return take_text(l);
    if (edge_before(l) && whole_word(l, "true")) {
        (void)add(l, T_TRUE, 4);
        return STATUS_OK;
    }
    if (edge_before(l) && whole_word(l, "false")) {
        (void)add(l, T_FALSE, 5);
        return STATUS_OK;
    }
    if (c == '-' && wants_operand(l))
        return take_sign(l);
    if (take_operator(l))
        return STATUS_OK;
    if (c == '!') {
        (void)add(l, T_NOT, 1);
        return STATUS_OK;
    }
    if (c && strchr(".[]|{}:,()?", c)) {
        add(l, T_PUNCT, 1)->ch = c;
        return STATUS_OK;
    }
    while ((more = name_char(l->source, l->i + n, n == 0)) > 0)
        n += more;
    if (n > 0) {
        (void)add(l, T_NAME, n);
        return STATUS_OK;
    }
    if (is_digit(c)) {
        take_number(l);
        return STATUS_OK;
    }
    n = str_utf8_at(l->source, l->i);
    return expr_error_at(l->err, l->source, l->i, "Nothing begins with \"%.*s\"", (int)(n ? n : 1),
                         l->source.p + l->i);
}

Status expr_lex(struct arena *a, struct str source, struct token **ret, struct err *err)
{
    struct lexer l = { .source = source, .arena = a, .err = err };

    if (source.n > EXPR_SOURCE_MAX)
        return err_set(err, STATUS_TOO_BIG, NULL, "An expression has at most %u bytes",
                       (unsigned)EXPR_SOURCE_MAX);
    if (!str_is_utf8(source))
        return err_set(err, STATUS_INVALID, NULL, "The expression is not UTF-8");
    l.tokens = arena_alloc(a, (source.n + 1) * sizeof *l.tokens);
    if (!l.tokens)
        return err_set(err, STATUS_NOMEM, NULL, "out of memory");
    for (;;) {
        skip_space(&l);
        if (l.i >= source.n)
            break;
        Status st = take(&l);
        if (st)
            return st;
    }
    (void)add(&l, T_END, 0);
    *ret = l.tokens;
    return STATUS_OK;
}
