/* Following a job: its log is fetched from where we are, a few times a second, until the record
 * says how it ended; then the rest comes from the stored log, so that not a byte is missing or
 * double. */
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define FOLLOW_POLL_NSEC 200000000L

struct sink {
    uint64_t seen; /* bytes of the log printed */
    uint64_t skip; /* of a whole log: what was printed already */
};

static size_t print_bytes(void *arg, const char *p, size_t n)
{
    struct sink *s = arg;
    size_t drop = s->skip < n ? (size_t)s->skip : n;

    s->skip -= drop;
    s->seen += n - drop;
    (void)fwrite(p + drop, 1, n - drop, stdout);
    (void)fflush(stdout);
    return n;
}

int job_exit_code(yyjson_val *job)
{
    yyjson_val *code = json_get(job, "code");
    int64_t i;

    if (!code || yyjson_is_null(code) || yyjson_is_false(code))
        return 0;
    if (!yyjson_is_num(code))
        return 1; /* "warning", "abort" ... */
    i = json_i64(job, "code", 1);
    return i == 0 ? 0 : i > 0 && i < 256 ? (int)i : 1;
}

static void wait_a_moment(void)
{
    const struct timespec t = { .tv_nsec = FOLLOW_POLL_NSEC };

    (void)nanosleep(&t, NULL);
}

static Status fetch_job(struct cli *c, struct str id, yyjson_val **ret_job, struct str *ret_token,
                        struct err *err)
{
    struct str body =
        arena_printf(c->arena,
                     "{\"id\":\"%.*s\",\"remove\":\"activity,input,data,files,timelines,"
                     "output,procs,conns\"}",
                     STR_FMT(id));
    yyjson_val *reply = NULL;
    Status st = client_call(c->client, "get_job", body, &reply, NULL, err);

    if (st != STATUS_OK)
        return st;
    *ret_job = json_get(reply, "job");
    *ret_token = json_str(reply, "token");
    return STATUS_OK;
}

static void print_ending(struct cli *c, struct str id, yyjson_val *job)
{
    struct str code = show_code(c->arena, job);
    struct str why = show_text(c->arena, json_get(job, "description"));
    struct str elapsed = show_elapsed(c->arena, json_double(job, "elapsed", 0));

    (void)fprintf(stderr, "job %.*s: %.*s in %.*s%s%.*s\n", STR_FMT(id), STR_FMT(code),
                  STR_FMT(elapsed), why.n ? ": " : "", STR_FMT(why));
}

int follow_job(struct cli *c, struct str id, bool quiet)
{
    struct sink sink = { 0 };
    struct arena *keep = c->arena;
    AUTO(arena_free) struct arena *turn = arena_new(CLI_REPLY_MAX);
    struct err err = { 0 };
    yyjson_val *job = NULL;
    struct str token = STR_NONE;
    long http = 0;
    int code;

    if (!turn || !str_is_word(id)) {
        (void)err_set(&err, STATUS_INVALID, NULL, "That is no job id.");
        return cli_fail(&err);
    }
    for (;;) {
        if (fetch_job(c, id, &job, &token, &err) != STATUS_OK)
            return cli_fail(&err);
        if (json_bool(job, "final", false))
            break;
        struct str path = arena_printf(keep, "/api/app/view_job_log/v1?id=%.*s&t=%.*s", STR_FMT(id),
                                       STR_FMT(token));

        if (client_get(c->client, path.p, sink.seen, print_bytes, &sink, &http, &err) != STATUS_OK)
            return cli_fail(&err);
        wait_a_moment();
    }
    sink.skip = sink.seen;
    struct str path = arena_printf(keep, "/api/app/get_job_log/v1?id=%.*s", STR_FMT(id));

    if (client_get(c->client, path.p, 0, print_bytes, &sink, &http, &err) != STATUS_OK)
        return cli_fail(&err);
    code = job_exit_code(job);
    if (!quiet)
        print_ending(c, id, job);
    return code;
}
