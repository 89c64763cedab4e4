/* proc_split_command: a command line into words as a shell would, without a shell. One pass over
 * the bytes; the word being built lies in a buf, finished words in the arena. Values of variables
 * are taken as they are: never split again, never looked at for quotes or operators. What only a
 * shell could do (operators, globs, command substitution) is refused with a sentence instead of
 * passed on. */
#include "proc/spawn.h"

#include <errno.h>

#include "base/arena.h"
#include "base/buf.h"

struct split {
    struct str in;
    size_t at;
    const char *const *env;
    struct arena *arena;
    struct buf word;
    bool in_word; /* also after "" */
    const char **argv;
    size_t argc;
    struct err *err;
};

static bool is_name_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_name(char c)
{
    return is_name_start(c) || (c >= '0' && c <= '9');
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\v' || c == '\f';
}

static bool more(const struct split *s)
{
    return s->at < s->in.n;
}

static struct str env_value(const char *const *env, struct str name)
{
    for (size_t i = 0; env && env[i]; i++) {
        const struct str var = str_z(env[i]);

        if (var.n > name.n && var.p[name.n] == '=' && memcmp(var.p, name.p, name.n) == 0)
            return str_slice(var, name.n + 1, var.n);
    }
    return STR_NONE;
}

static Status word_add(struct split *s, const char *p, size_t n)
{
    s->in_word = true;
    if (n > 0 && memchr(p, 0, n))
        return err_set(s->err, STATUS_INVALID, NULL, "The command holds a NUL byte");
    if (n > 0 && buf_add(&s->word, p, n) != STATUS_OK)
        return err_set(s->err, STATUS_TOO_BIG, NULL, "The command is too long");
    return STATUS_OK;
}

static Status word_end(struct split *s)
{
    if (!s->in_word)
        return STATUS_OK;
    if (s->argc >= PROC_ARGS_MAX)
        return err_set(s->err, STATUS_TOO_BIG, NULL, "The command has more than %u words",
                       PROC_ARGS_MAX);
    s->argv[s->argc] = arena_dup_z(s->arena, buf_str(&s->word));
    if (!s->argv[s->argc])
        return err_set(s->err, STATUS_NOMEM, NULL, "out of memory");
    s->argc++;
    buf_clear(&s->word);
    s->in_word = false;
    return STATUS_OK;
}

/* At the '$'. A '$' before anything that is no name stands for itself. */
static Status take_variable(struct split *s)
{
    const struct str in = s->in;
    const bool braces = s->at + 1 < in.n && in.p[s->at + 1] == '{';
    size_t from = s->at + (braces ? 2 : 1);
    size_t to = from;
    struct str value;

    if (to < in.n && is_name_start(in.p[to])) {
        while (to < in.n && is_name(in.p[to]))
            to++;
    }
    if (braces && (to == from || to >= in.n || in.p[to] != '}'))
        return err_set(s->err, STATUS_INVALID, NULL,
                       "Only ${NAME} is understood in a command, without a shell");
    if (to == from) {
        s->at++;
        return word_add(s, "$", 1);
    }
    value = env_value(s->env, str_slice(in, from, to));
    s->at = to + (braces ? 1 : 0);
    return word_add(s, value.p, value.n);
}

/* Behind the opening quote. */
static Status take_single(struct split *s)
{
    const struct str rest = str_slice(s->in, s->at, s->in.n);
    const size_t n = str_find_char(rest, '\'');

    if (n == rest.n)
        return err_set(s->err, STATUS_INVALID, NULL, "A quote (') in the command is not closed");
    s->at += n + 1;
    return word_add(s, rest.p, n);
}

static Status take_double(struct split *s)
{
    Status st = word_add(s, "", 0);

    while (!st && more(s)) {
        const char c = s->in.p[s->at];

        if (c == '"') {
            s->at++;
            return STATUS_OK;
        }
        if (c == '$') {
            st = take_variable(s);
            continue;
        }
        if (c == '\\' && s->at + 1 < s->in.n) {
            const char next = s->in.p[s->at + 1];

            s->at += 2;
            if (next == '\n')
                continue;
            if (next == '$' || next == '`' || next == '"' || next == '\\')
                st = word_add(s, &next, 1);
            else
                st = word_add(s, s->in.p + s->at - 2, 2);
            continue;
        }
        s->at++;
        st = word_add(s, &c, 1);
    }
    if (!st)
        st = err_set(s->err, STATUS_INVALID, NULL, "A quote (\") in the command is not closed");
    return st;
}

static Status take_escape(struct split *s)
{
    if (s->at + 1 >= s->in.n)
        return err_set(s->err, STATUS_INVALID, NULL, "The command ends in a backslash");
    s->at += 2;
    if (s->in.p[s->at - 1] == '\n')
        return STATUS_OK;
    return word_add(s, s->in.p + s->at - 1, 1);
}

static Status take_bare(struct split *s)
{
    const char c = s->in.p[s->at];

    if (c && strchr("|&;<>()`", c))
        return err_set(s->err, STATUS_INVALID, NULL,
                       "The command holds the shell operator %c, but it runs without a shell: "
                       "quote it, or use the shell plugin",
                       c);
    if (c && strchr("*?", c))
        return err_set(s->err, STATUS_INVALID, NULL,
                       "The command holds the wildcard %c, but it runs without a shell: "
                       "quote it, or use the shell plugin",
                       c);
    s->at++;
    return word_add(s, &c, 1);
}

static Status take_one(struct split *s)
{
    const char c = s->in.p[s->at];

    if (is_blank(c)) {
        s->at++;
        return word_end(s);
    }
    if (c == '#' && !s->in_word) { /* a comment, to the end of its line */
        while (more(s) && s->in.p[s->at] != '\n')
            s->at++;
        return STATUS_OK;
    }
    if (c == '\'' || c == '"') {
        s->at++;
        return c == '"' ? take_double(s) : take_single(s);
    }
    if (c == '\\')
        return take_escape(s);
    if (c == '$')
        return take_variable(s);
    return take_bare(s);
}

Status proc_split_command(struct str command, const char *const *env, struct arena *a,
                          const char ***ret_argv, struct err *err)
{
    struct split s = { .in = command, .env = env, .arena = a, .err = err };
    /* every word but the last needs a byte and a blank */
    const size_t room = command.n / 2 + 2;
    Status st = STATUS_OK;

    s.argv = arena_zalloc(a, ((room < PROC_ARGS_MAX ? room : PROC_ARGS_MAX) + 1) * sizeof(char *));
    if (!s.argv)
        return err_set(err, STATUS_NOMEM, NULL, "out of memory");
    buf_init(&s.word, PROC_COMMAND_MAX);
    while (!st && more(&s))
        st = take_one(&s);
    if (!st)
        st = word_end(&s);
    if (!st && s.argc == 0)
        st = err_set(err, STATUS_INVALID, NULL, "The command is empty");
    buf_done(&s.word);
    if (!st)
        *ret_argv = s.argv;
    return st;
}
