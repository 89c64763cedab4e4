/* The command line client. One row a subcommand (main.c); each calls the API through client.c and
 * prints a table for people or, with --json, the reply itself for scripts. Exit codes: 0 fine, 1
 * failed, 2 usage; `run --follow` and `log -f` end with the job's own code. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include "base/arena.h"
#include "base/buf.h"
#include "json/json.h"
#include "json/writer.h"

#define CLI_REPLY_MAX  (size_t)(1024u * 1024 * 1024)
#define CLI_PARAMS_MAX 256u
#define CLI_FILES_MAX  64u

struct client;

struct cli {
    struct arena *arena; /* lives as long as the process */
    struct client *client;
    bool json; /* --json */
    int argc;  /* what stands behind the subcommand */
    char **argv;
};

/* client.c */
struct cli_file {
    const char *path;
};

/* Where to go and with which key: ORRERY_URL and ORRERY_API_KEY, else the stored configuration.
 * need: INVALID with a hint when there is none. */
Status client_open(struct arena *a, struct client **ret, struct err *err) MUST_USE;
void client_close(struct client *c);
/* Stores URL and key in ~/.config/orrery/config.json (or $ORRERY_CONFIG), mode 0600. */
Status client_store(struct arena *a, const char *url, struct str key, struct err *err) MUST_USE;
void client_set(struct client *c, const char *url, struct str key);

/* POST /api/app/NAME/v1 with the body; *ret_reply is the parsed object in the arena. A code other
 * than 0 is an error with the description as its text and the code in err->at. */
Status client_call(struct client *c, const char *name, struct str body, yyjson_val **ret_reply,
                   struct str *ret_text, struct err *err) MUST_USE;
/* The same as multipart: body in the field `json`, files in file1, file2 ... */
Status client_upload(struct client *c, const char *name, struct str body,
                     const struct cli_file *files, size_t n, yyjson_val **ret_reply,
                     struct str *ret_text, struct err *err) MUST_USE;
/* GET of a path below the URL; bytes go to fn. from > 0: Range. *ret_code is the HTTP status. */
Status client_get(struct client *c, const char *path, uint64_t from,
                  size_t (*fn)(void *arg, const char *p, size_t n), void *arg, long *ret_code,
                  struct err *err) MUST_USE;

/* table.c: rows of text, columns as wide as they must be, cut to the terminal. */
struct table;
struct table *table_new(struct arena *a, const char *const *titles, size_t n);
void table_row(struct table *t, const struct str *cells);
void table_print(const struct table *t);
/* Values for people. */
struct str show_time(struct arena *a, double epoch);
struct str show_elapsed(struct arena *a, double seconds);
struct str show_size(struct arena *a, double bytes);
struct str show_code(struct arena *a, yyjson_val *job);
struct str show_text(struct arena *a, yyjson_val *v); /* control characters made visible */

/* follow.c: prints the log as it grows until the job ends. Its exit code, or 1. */
int follow_job(struct cli *c, struct str id, bool quiet);
int job_exit_code(yyjson_val *job);

/* commands.c, run.c: exit codes. */
int cmd_abort(struct cli *c);
int cmd_api(struct cli *c);
int cmd_completion(struct cli *c);
int cmd_eval(struct cli *c); /* eval.c */
int cmd_events(struct cli *c);
int cmd_job(struct cli *c);
int cmd_jobs(struct cli *c);
int cmd_log(struct cli *c);
int cmd_login(struct cli *c);
int cmd_run(struct cli *c);
int cmd_servers(struct cli *c);

/* main.c */
struct cli_row {
    const char *name;
    const char *usage;
    const char *doc;
    bool needs_server;
    int (*fn)(struct cli *c);
};
const struct cli_row *cli_rows(size_t *ret_n);
int cli_usage(const char *name);     /* 2 */
int cli_fail(const struct err *err); /* 1, the text on stderr */
/* The next argument that is no flag, NULL at the end; flags are left to cli_flag. */
const char *cli_arg(struct cli *c, int n);
bool cli_flag(struct cli *c, const char *name); /* takes it out */
const char *cli_option(struct cli *c,
                       const char *name); /* takes it and its value out; NULL when absent */

#endif
