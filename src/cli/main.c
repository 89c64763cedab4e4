/* orrery: picks the subcommand's row and runs it. */
#include "cli/cli.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    size_t n;
    const struct cli_row *rows = cli_rows(&n);
    struct cli c = { 0 };
    struct err err = { 0 };
    int code = -1;

    (void)signal(SIGPIPE, SIG_DFL);
    if (argc < 2)
        return cli_usage(NULL);
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
        (void)cli_usage("");
        return 0;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("orrery %s\n", ORRERY_VERSION);
        return 0;
    }
    c.arena = arena_new(CLI_REPLY_MAX * 4);
    c.argc = argc - 2;
    c.argv = argv + 2;
    for (size_t i = 0; c.arena && i < n && code < 0; i++) {
        if (strcmp(rows[i].name, argv[1]) != 0)
            continue;
        if (cli_flag(&c, "--help")) {
            printf("Usage: orrery %s %s\n%s\n", rows[i].name, rows[i].usage, rows[i].doc);
            code = 0;
            break;
        }
        c.json = cli_flag(&c, "--json");
        if (rows[i].needs_server && client_open(c.arena, &c.client, &err) != STATUS_OK)
            code = cli_fail(&err);
        else
            code = rows[i].fn(&c);
    }
    client_close(c.client);
    arena_free(c.arena);
    return code < 0 ? cli_usage(NULL) : code;
}
