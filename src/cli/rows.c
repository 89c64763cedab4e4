/* The table of subcommands and what reads their arguments. */
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

static const struct cli_row rows[] = {
    { "abort", "ID", "End a running job.", true, cmd_abort },
    { "api", "NAME [JSON | @FILE | -]", "Call the API directly and print its reply.", true,
      cmd_api },
    { "completion", "bash", "Print a completion script: source <(orrery completion bash).", false,
      cmd_completion },
    { "eval", "EXPR | --template TEXT | --batch  [--with FILE] [--json]",
      "Try an expression or a template on JSON, without a server.", false, cmd_eval },
    { "events", "[--json]", "List events.", true, cmd_events },
    { "job", "ID [--json]", "Show one job.", true, cmd_job },
    { "jobs", "[--event EVENT] [--limit N] [--json]",
      "List running jobs and the latest finished ones.", true, cmd_jobs },
    { "log", "ID [-f]", "Print a job's log; -f follows it until the job ends.", true, cmd_log },
    { "login", "URL", "Store the server and an API key (from ORRERY_API_KEY or standard input).",
      false, cmd_login },
    { "run", "EVENT [--param K=V]... [--file F]... [--follow] [--json]",
      "Run an event, by id or title.", true, cmd_run },
    { "servers", "[--json]", "List online servers.", true, cmd_servers },
};

const struct cli_row *cli_rows(size_t *ret_n)
{
    *ret_n = COUNT_OF(rows);
    return rows;
}

int cli_usage(const char *name)
{
    FILE *out = name && !*name ? stdout : stderr;

    for (size_t i = 0; name && *name && i < COUNT_OF(rows); i++) {
        if (strcmp(rows[i].name, name) == 0) {
            (void)fprintf(out, "Usage: orrery %s %s\n", name, rows[i].usage);
            return 2;
        }
    }
    (void)fputs("Usage: orrery COMMAND [ARGUMENTS] [--json]\n\n", out);
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        (void)fprintf(out, "  %-10s %-42s %s\n", rows[i].name, rows[i].usage, rows[i].doc);
    (void)fputs("\nThe server and the key come from ORRERY_URL and ORRERY_API_KEY, or from `orrery "
                "login`.\n",
                out);
    return 2;
}

int cli_fail(const struct err *err)
{
    (void)fprintf(stderr, "orrery: %s\n", err->text[0] ? err->text : status_text(err->code));
    return 1;
}

static void take_out(struct cli *c, int i, int n)
{
    memmove(&c->argv[i], &c->argv[i + n], (size_t)(c->argc - i - n) * sizeof(char *));
    c->argc -= n;
}

const char *cli_arg(struct cli *c, int n)
{
    return n < c->argc ? c->argv[n] : NULL;
}

bool cli_flag(struct cli *c, const char *name)
{
    for (int i = 0; i < c->argc; i++) {
        if (strcmp(c->argv[i], name) == 0) {
            take_out(c, i, 1);
            return true;
        }
    }
    return false;
}

const char *cli_option(struct cli *c, const char *name)
{
    for (int i = 0; i + 1 < c->argc; i++) {
        if (strcmp(c->argv[i], name) == 0) {
            const char *value = c->argv[i + 1];

            take_out(c, i, 2);
            return value;
        }
    }
    return NULL;
}
