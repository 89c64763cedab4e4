/* `orrery eval`: expressions and templates tried on a JSON file, without a server. --batch answers
 * a line for each line of standard input: {"expr" | "template", "context"} gives {"value"} or
 * {"error"}. */
#include "cli/cli.h"

#include "base/file.h"
#include "expr/expr.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EVAL_CONTEXT_MAX (16u * 1024 * 1024) /* bytes of the context, and of a line of --batch */
#define EVAL_MEMORY_MAX  (256u * 1024 * 1024)

static Status eval_text(struct str source, const struct expr_scope *scope, bool exact,
                        struct buf *out, struct err *err)
{
    AUTO(expr_free) struct expr *e = NULL;
    struct expr_value v = { .kind = EXPR_MISSING };
    struct str text;
    Status st = expr_compile(source, &e, err);

    if (!st)
        st = expr_eval(e, scope, &v, err);
    if (st)
        return st;
    if (exact)
        return expr_put_exact(&v, scope, out, err);
    if (expr_is_list(&v) || v.kind == EXPR_OBJECT || v.kind == EXPR_JSON)
        return expr_put_json(&v, scope, out, err);
    st = expr_to_text(&v, scope->arena, &text);
    return st ? err_set(err, st, NULL, "The value is too large") : buf_add_str(out, text);
}

static Status expand_text(struct str text, const struct expr_scope *scope, bool exact,
                          struct buf *out, struct err *err)
{
    const struct template_form form = { .missing = STR("") };
    AUTO_BUF struct buf plain = { 0 };
    struct json_writer w = json_writer_init(out);

    if (!exact)
        return template_expand(text, &form, scope, out, err);
    buf_init(&plain, TEMPLATE_TEXT_MAX);
    Status st = template_expand(text, &form, scope, &plain, err);
    if (st)
        return st;
    json_put_str(&w, NULL, buf_str(&plain));
    return STATUS_OK;
}

static void answer(struct str line, struct buf *out)
{
    AUTO(arena_free) struct arena *a = arena_new(EVAL_MEMORY_MAX);
    AUTO_BUF struct buf value = { 0 };
    struct json_writer w = json_writer_init(out);
    struct err err = { .code = STATUS_OK };
    yyjson_val *ask = NULL;
    Status st = a ? json_parse_in(a, line, EVAL_CONTEXT_MAX, &ask, &err) : STATUS_NOMEM;
    const struct expr_scope scope = { .context = json_get(ask, "context"), .arena = a };

    buf_init(&value, EXPR_TEXT_MAX * 2u);
    if (!st && json_get(ask, "expr"))
        st = eval_text(json_str(ask, "expr"), &scope, true, &value, &err);
    else if (!st && json_get(ask, "template"))
        st = expand_text(json_str(ask, "template"), &scope, true, &value, &err);
    else if (!st)
        st = err_set(&err, STATUS_INVALID, NULL, "A line needs `expr` or `template`");
    json_obj(&w, NULL);
    if (st)
        json_put_z(&w, "error", err.text[0] ? err.text : status_text(st));
    else
        json_put_raw(&w, "value", buf_str(&value));
    json_end(&w);
    (void)buf_add_char(out, '\n');
}

static int batch(void)
{
    char *line = NULL;
    size_t size = 0;
    ssize_t n;

    while ((n = getline(&line, &size, stdin)) >= 0) {
        AUTO_BUF struct buf out = { 0 };
        const struct str text = str_trim(str_n(line, (size_t)n));

        if (text.n == 0)
            continue;
        buf_init(&out, EXPR_TEXT_MAX * 4u);
        answer(text, &out);
        (void)fwrite(out.p, 1, out.n, stdout);
        (void)fflush(stdout);
    }
    free(line);
    return ferror(stdin) ? 1 : 0;
}

static Status read_context(struct arena *a, const char *path, yyjson_val **ret, struct err *err)
{
    AUTO_BUF struct buf file = { 0 };

    if (!path)
        return json_parse_in(a, STR("{}"), 16, ret, err);
    buf_init(&file, EVAL_CONTEXT_MAX);
    Status st = file_read(path, &file, err);
    if (!st)
        st = json_parse_in(a, buf_str(&file), EVAL_CONTEXT_MAX, ret, err);
    if (!st && !yyjson_is_obj(*ret))
        st = err_set(err, STATUS_INVALID, NULL, "the context must be a JSON object");
    return st ? err_wrap(err, "%s", path) : STATUS_OK;
}

int cmd_eval(struct cli *c)
{
    const char *with = cli_option(c, "--with");
    const char *template = cli_option(c, "--template");
    const bool many = cli_flag(c, "--batch");
    const char *source = template ? template : cli_arg(c, 0);
    AUTO(arena_free) struct arena *a = arena_new(EVAL_MEMORY_MAX);
    AUTO_BUF struct buf out = { 0 };
    struct expr_scope scope = { .arena = a };
    struct err err = { .code = STATUS_OK };

    if (many && !source)
        return batch();
    if (!source || many || c->argc > (template ? 0 : 1))
        return cli_usage("eval");
    buf_init(&out, EXPR_TEXT_MAX * 4u);
    Status st = a ? read_context(a, with, &scope.context, &err) : STATUS_NOMEM;
    if (!st && template)
        st = expand_text(str_z(source), &scope, c->json, &out, &err);
    else if (!st)
        st = eval_text(str_z(source), &scope, c->json, &out, &err);
    if (st)
        return cli_fail(&err);
    (void)fwrite(out.p, 1, out.n, stdout);
    (void)fputc('\n', stdout);
    return 0;
}
