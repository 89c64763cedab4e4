/* orrery run: parameters and files to run_event; with --follow the log and the job's exit code. */
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

struct run {
    const char *event;
    const char *params[CLI_PARAMS_MAX];
    size_t n_params;
    struct cli_file files[CLI_FILES_MAX];
    size_t n_files;
    bool follow;
};

static bool parse(struct cli *c, struct run *r)
{
    const char *value;

    r->follow = cli_flag(c, "--follow") || cli_flag(c, "-f");
    while ((value = cli_option(c, "--param")) != NULL || (value = cli_option(c, "-p")) != NULL) {
        if (r->n_params >= CLI_PARAMS_MAX || !strchr(value, '='))
            return false;
        r->params[r->n_params++] = value;
    }
    while ((value = cli_option(c, "--file")) != NULL) {
        if (r->n_files >= CLI_FILES_MAX)
            return false;
        r->files[r->n_files++].path = value;
    }
    r->event = cli_arg(c, 0);
    return r->event && c->argc == 1 && r->event[0] != '-';
}

/* A value that is a JSON number, true, false, array or object goes as that, everything else as a
 * text. */
static void put_param(struct json_writer *w, struct arena *a, const char *param)
{
    struct str text = str_z(param);
    size_t eq = str_find_char(text, '=');
    struct str key = str_slice(text, 0, eq);
    struct str value = str_slice(text, eq + 1, text.n);
    yyjson_val *v = NULL;

    if (value.n && json_parse_in(a, arena_dup(a, value), 1024u * 1024, &v, NULL) == STATUS_OK &&
        !yyjson_is_str(v) && !yyjson_is_null(v))
        json_put_val_k(w, key, v);
    else
        json_put_str_k(w, key, value);
}

static struct str run_body(struct cli *c, const struct run *r, bool by_title)
{
    AUTO_BUF struct buf text = { 0 };
    struct json_writer w;

    buf_init(&text, CLI_REPLY_MAX);
    w = json_writer_init(&text);
    json_obj(&w, NULL);
    json_put_z(&w, by_title ? "title" : "id", r->event);
    json_obj(&w, "params");
    for (size_t i = 0; i < r->n_params; i++)
        put_param(&w, c->arena, r->params[i]);
    json_end(&w);
    json_end(&w);
    return arena_dup(c->arena, buf_str(&text));
}

static Status start(struct cli *c, const struct run *r, bool by_title, yyjson_val **ret_reply,
                    struct str *ret_text, struct err *err)
{
    struct str body = run_body(c, r, by_title);

    if (r->n_files)
        return client_upload(c->client, "run_event", body, r->files, r->n_files, ret_reply,
                             ret_text, err);
    return client_call(c->client, "run_event", body, ret_reply, ret_text, err);
}

/* An id if there is such an event, else a title: so both work without a flag. */
static bool is_event_id(struct cli *c, const char *event)
{
    yyjson_val *reply = NULL;
    struct err err = { 0 };

    if (!str_is_id(str_z(event)))
        return false;
    return client_call(c->client, "get_event", arena_printf(c->arena, "{\"id\":\"%s\"}", event),
                       &reply, NULL, &err) == STATUS_OK;
}

int cmd_run(struct cli *c)
{
    struct run r = { 0 };
    yyjson_val *reply = NULL;
    struct str text = STR_NONE;
    struct err err = { 0 };
    struct str id;

    if (!parse(c, &r))
        return cli_usage("run");
    if (start(c, &r, !is_event_id(c, r.event), &reply, &text, &err) != STATUS_OK)
        return cli_fail(&err);
    id = json_str(reply, "id");
    if (r.follow) {
        if (!c->json)
            (void)fprintf(stderr, "job %.*s\n", STR_FMT(id));
        return follow_job(c, id, c->json);
    }
    if (c->json)
        printf("%.*s\n", STR_FMT(text));
    else
        printf("%.*s\n", STR_FMT(id));
    return 0;
}
