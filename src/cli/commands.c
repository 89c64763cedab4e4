/* The small subcommands: one call, one table. */
#include "cli/cli.h"

#include "base/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KEY_MAX  1024u
#define JOBS_DEF 20

static int print_json(struct str text)
{
    (void)fwrite(text.p, 1, text.n, stdout);
    if (!text.n || text.p[text.n - 1] != '\n')
        printf("\n");
    return 0;
}

/* Reads standard input up to max bytes. */
static Status read_stdin(struct buf *out)
{
    ssize_t n;

    do {
        if (buf_reserve(out, 65536) != STATUS_OK)
            return STATUS_TOO_BIG;
        n = read(STDIN_FILENO, out->p + out->n, 65536);
        if (n > 0)
            out->n += (size_t)n;
    } while (n > 0);
    return n < 0 ? STATUS_IO : STATUS_OK;
}

int cmd_login(struct cli *c)
{
    const char *url = cli_arg(c, 0);
    const char *env = getenv("ORRERY_API_KEY");
    AUTO_BUF struct buf text = { 0 };
    struct str key;
    struct err err = { 0 };

    if (!url || c->argc != 1 ||
        (!str_starts(str_z(url), STR("http://")) && !str_starts(str_z(url), STR("https://"))))
        return cli_usage("login");
    buf_init(&text, KEY_MAX * 128);
    if (env && *env) {
        key = str_z(env);
    } else {
        if (isatty(STDIN_FILENO))
            (void)fputs("API key: ", stderr);
        if (read_stdin(&text) != STATUS_OK)
            return cli_usage("login");
        key = str_trim(buf_str(&text));
    }
    if (!key.n || key.n > KEY_MAX || str_find_char(key, '\n') < key.n) {
        (void)err_set(&err, STATUS_INVALID, NULL,
                      "There was no API key in ORRERY_API_KEY or standard input.");
        return cli_fail(&err);
    }
    /* The key is tried before it is stored. */
    if (client_open(c->arena, &c->client, NULL) != STATUS_OK)
        return 1;
    client_set(c->client, url, key);
    if (client_call(c->client, "get_active_jobs", STR("{\"limit\":1}"), NULL, NULL, &err) !=
        STATUS_OK)
        return cli_fail(&err);
    if (client_store(c->arena, url, key, &err) != STATUS_OK)
        return cli_fail(&err);
    (void)fprintf(stderr, "Logged in to %s.\n", url);
    return 0;
}

int cmd_api(struct cli *c)
{
    const char *name = cli_arg(c, 0);
    const char *body = cli_arg(c, 1);
    AUTO_BUF struct buf text = { 0 };
    struct str json = STR("{}");
    struct str reply = STR_NONE;
    struct err err = { 0 };
    Status st = STATUS_OK;

    if (!name || c->argc > 2 || !str_is_word(str_z(name)))
        return cli_usage("api");
    buf_init(&text, CLI_REPLY_MAX);
    if (body && strcmp(body, "-") == 0)
        st = read_stdin(&text);
    else if (body && body[0] == '@')
        st = file_read(body + 1, &text, &err);
    if (st != STATUS_OK)
        return cli_fail(&err);
    if (text.n)
        json = buf_str(&text);
    else if (body)
        json = str_z(body);
    st = client_call(c->client, name, json, NULL, &reply, &err);
    if (reply.n)
        (void)print_json(reply);
    return st == STATUS_OK ? 0 : reply.n ? 1 : cli_fail(&err);
}

static int list(struct cli *c, const char *call, struct str body, yyjson_val **ret_rows,
                struct str *ret_text)
{
    yyjson_val *reply = NULL;
    struct err err = { 0 };

    if (client_call(c->client, call, body, &reply, ret_text, &err) != STATUS_OK)
        return cli_fail(&err);
    *ret_rows = json_get(reply, "rows");
    return 0;
}

int cmd_events(struct cli *c)
{
    static const char *const titles[] = { "ID", "TITLE", "CATEGORY", "PLUGIN", "ENABLED" };
    struct table *t = table_new(c->arena, titles, COUNT_OF(titles));
    yyjson_val *rows = NULL;
    struct str text = STR_NONE;
    size_t i, max;
    yyjson_val *row;
    int code = c->argc ? cli_usage("events") : list(c, "get_events", STR("{}"), &rows, &text);

    if (code)
        return code;
    if (c->json)
        return print_json(text);
    yyjson_arr_foreach (rows, i, max, row) {
        const struct str cells[] = { show_text(c->arena, json_get(row, "id")),
                                     show_text(c->arena, json_get(row, "title")),
                                     show_text(c->arena, json_get(row, "category")),
                                     show_text(c->arena, json_get(row, "plugin")),
                                     json_truthy(json_get(row, "enabled")) ? STR("yes")
                                                                           : STR("no") };

        table_row(t, cells);
    }
    table_print(t);
    return 0;
}

int cmd_servers(struct cli *c)
{
    static const char *const titles[] = { "ID", "HOST", "IP", "ENABLED", "GROUPS", "VERSION" };
    struct table *t = table_new(c->arena, titles, COUNT_OF(titles));
    yyjson_val *rows = NULL;
    struct str text = STR_NONE;
    size_t i, max;
    yyjson_val *row;
    int code =
        c->argc ? cli_usage("servers") : list(c, "get_active_servers", STR("{}"), &rows, &text);

    if (code)
        return code;
    if (c->json)
        return print_json(text);
    yyjson_arr_foreach (rows, i, max, row) {
        struct str groups = STR("");
        size_t k, kmax;
        yyjson_val *group;

        yyjson_arr_foreach (json_get(row, "groups"), k, kmax, group) {
            struct str name = show_text(c->arena, group);

            groups = arena_printf(c->arena, "%.*s%s%.*s", STR_FMT(groups), groups.n ? "," : "",
                                  STR_FMT(name));
        }
        const struct str cells[] = { show_text(c->arena, json_get(row, "id")),
                                     show_text(c->arena, json_get(row, "hostname")),
                                     show_text(c->arena, json_get(row, "ip")),
                                     json_truthy(json_get(row, "enabled")) ? STR("yes") : STR("no"),
                                     groups,
                                     show_text(c->arena, json_at(row, "info.satellite")) };

        table_row(t, cells);
    }
    table_print(t);
    return 0;
}

static void job_row(struct cli *c, struct table *t, yyjson_val *job)
{
    double started = json_double(job, "started", 0);
    struct str title = show_text(c->arena, json_get(job, "event_title"));
    const struct str cells[] = {
        show_text(c->arena, json_get(job, "id")),
        title.n ? title : show_text(c->arena, json_get(job, "event")),
        show_text(c->arena, json_get(job, "server")),
        show_code(c->arena, job),
        show_time(c->arena, started),
        json_get(job, "elapsed") ? show_elapsed(c->arena, json_double(job, "elapsed", 0))
                                 : STR("-"),
        show_text(c->arena, json_get(job, "description")),
    };

    table_row(t, cells);
}

int cmd_jobs(struct cli *c)
{
    static const char *const titles[] = { "ID",         "EVENT",         "SERVER",
                                          "RESULT",     "STARTED (UTC)", "ELAPSED",
                                          "DESCRIPTION" };
    struct table *t = table_new(c->arena, titles, COUNT_OF(titles));
    const char *event = cli_option(c, "--event");
    const char *limit_text = cli_option(c, "--limit");
    int64_t limit = JOBS_DEF;
    yyjson_val *live = NULL;
    yyjson_val *done = NULL;
    struct str live_text = STR_NONE;
    struct str done_text = STR_NONE;
    struct str body;
    size_t i, max;
    yyjson_val *row;
    int code;

    if (c->argc || (limit_text && !str_to_i64(str_z(limit_text), &limit)) ||
        (event && !str_is_id(str_z(event))))
        return cli_usage("jobs");
    body = event ? arena_printf(c->arena, "{\"event\":\"%s\"}", event) : STR("{}");
    code = list(c, "get_active_jobs", body, &live, &live_text);
    if (code)
        return code;
    body = arena_printf(c->arena, "{\"query\":\"%s%s\",\"limit\":%lld}", event ? "event:" : "*",
                        event ? event : "", (long long)limit);
    code = list(c, "search_jobs", body, &done, &done_text);
    if (code)
        return code;
    if (c->json) {
        printf("{\"active\":%.*s,\n\"finished\":%.*s}\n", STR_FMT(live_text), STR_FMT(done_text));
        return 0;
    }
    yyjson_arr_foreach (live, i, max, row)
        job_row(c, t, row);
    yyjson_arr_foreach (done, i, max, row)
        job_row(c, t, row);
    table_print(t);
    return 0;
}

static void print_files(struct cli *c, yyjson_val *files)
{
    size_t i, max;
    yyjson_val *file;

    yyjson_arr_foreach (files, i, max, file) {
        struct str name = show_text(c->arena, json_get(file, "filename"));
        struct str size = show_size(c->arena, json_double(file, "size", 0));
        struct str path = show_text(c->arena, json_get(file, "path"));

        printf("file         %.*s (%.*s)  /%.*s\n", STR_FMT(name), STR_FMT(size), STR_FMT(path));
    }
}

int cmd_job(struct cli *c)
{
    static const char *const keys[] = { "id",     "event",  "event_title", "category",
                                        "plugin", "server", "source",      "username",
                                        "state",  "label",  "description" };
    const char *id = cli_arg(c, 0);
    yyjson_val *reply = NULL;
    yyjson_val *job, *row;
    struct str text = STR_NONE;
    struct err err = { 0 };
    size_t i, max;

    if (!id || c->argc != 1 || !str_is_id(str_z(id)))
        return cli_usage("job");
    if (client_call(c->client, "get_job", arena_printf(c->arena, "{\"id\":\"%s\"}", id), &reply,
                    &text, &err) != STATUS_OK)
        return cli_fail(&err);
    if (c->json)
        return print_json(text);
    job = json_get(reply, "job");
    for (size_t k = 0; k < COUNT_OF(keys); k++) {
        struct str v = show_text(c->arena, json_get(job, keys[k]));

        if (v.n)
            printf("%-12s %.*s\n", keys[k], STR_FMT(v));
    }
    struct str result = show_code(c->arena, job);
    struct str started = show_time(c->arena, json_double(job, "started", 0));
    struct str elapsed = show_elapsed(c->arena, json_double(job, "elapsed", -1));

    printf("%-12s %.*s\n%-12s %.*s\n%-12s %.*s\n", "result", STR_FMT(result), "started",
           STR_FMT(started), "elapsed", STR_FMT(elapsed));
    print_files(c, json_get(job, "files"));
    yyjson_arr_foreach (json_get(job, "activity"), i, max, row) {
        struct str at = show_time(c->arena, json_double(row, "epoch", 0));
        struct str msg = show_text(c->arena, json_get(row, "msg"));

        printf("  %.*s  %.*s\n", STR_FMT(at), STR_FMT(msg));
    }
    return 0;
}

static size_t to_stdout(void *arg, const char *p, size_t n)
{
    (void)arg;
    return fwrite(p, 1, n, stdout);
}

int cmd_log(struct cli *c)
{
    bool follow = cli_flag(c, "-f") || cli_flag(c, "--follow");
    const char *id = cli_arg(c, 0);
    yyjson_val *reply = NULL;
    struct err err = { 0 };
    long http = 0;
    struct str path;

    if (!id || c->argc != 1 || !str_is_id(str_z(id)))
        return cli_usage("log");
    if (follow)
        return follow_job(c, str_z(id), true);
    if (client_call(
            c->client, "get_job",
            arena_printf(c->arena, "{\"id\":\"%s\",\"remove\":\"output,activity,input,data\"}", id),
            &reply, NULL, &err) != STATUS_OK)
        return cli_fail(&err);
    if (json_bool(json_get(reply, "job"), "final", false)) {
        path = arena_printf(c->arena, "/api/app/get_job_log/v1?id=%s", id);
    } else {
        struct str token = json_str(reply, "token");

        path = arena_printf(c->arena, "/api/app/view_job_log/v1?id=%s&t=%.*s", id, STR_FMT(token));
    }
    if (client_get(c->client, path.p, 0, to_stdout, NULL, &http, &err) != STATUS_OK)
        return cli_fail(&err);
    return http < 300 || http == 404 ? 0 : 1;
}

int cmd_abort(struct cli *c)
{
    const char *id = cli_arg(c, 0);
    struct err err = { 0 };

    if (!id || c->argc != 1 || !str_is_id(str_z(id)))
        return cli_usage("abort");
    if (client_call(c->client, "abort_job", arena_printf(c->arena, "{\"id\":\"%s\"}", id), NULL,
                    NULL, &err) != STATUS_OK)
        return cli_fail(&err);
    return 0;
}

int cmd_completion(struct cli *c)
{
    size_t n;
    const struct cli_row *rows = cli_rows(&n);

    if (c->argc != 1 || strcmp(c->argv[0], "bash") != 0)
        return cli_usage("completion");
    printf(
        "_orrery() {\n  local cur=${COMP_WORDS[COMP_CWORD]}\n  if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
        "    COMPREPLY=($(compgen -W \"");
    for (size_t i = 0; i < n; i++)
        printf("%s%s", i ? " " : "", rows[i].name);
    printf("\" -- \"$cur\"))\n    return\n  fi\n  case ${COMP_WORDS[1]} in\n"
           "  run)\n    case $cur in\n    -*) COMPREPLY=($(compgen -W '--param --file --follow "
           "--json' -- \"$cur\")) ;;\n"
           "    *) COMPREPLY=($(compgen -W \"$(orrery events 2>/dev/null | awk 'NR>1{print $1}')\" "
           "-- \"$cur\")) ;;\n"
           "    esac ;;\n"
           "  job|log|abort)\n    COMPREPLY=($(compgen -W \"$(orrery jobs 2>/dev/null | awk "
           "'NR>1{print $1}')\""
           " -- \"$cur\")) ;;\n"
           "  esac\n  [ ${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=($(compgen -f -- \"$cur\"))\n}\n"
           "complete -F _orrery orrery\n");
    return 0;
}
