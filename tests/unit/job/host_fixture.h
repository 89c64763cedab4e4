/* The host of a job room in tests: keeps what it is told. Rows and records: the last of each;
 * effects: as words in one text; commits and logs are answered by job_fixture.h. */
#ifndef HOST_FIXTURE_H
#define HOST_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "defs_fixture.h"
#include "job/job.h"

#define T0 (INT64_C(1800000000) * USEC_SEC)

struct job_fixture {
    struct defs_fixture d;
    struct job_room *room;
    Usec now;
    struct buf effects;     /* "launch ID SERVER;done ID;..." since the last fx_clear */
    struct buf row, record; /* the last of each */
    struct buf log;         /* live log of all jobs together */
    unsigned puts, archives, forgets;
    uint64_t commits[256]; /* under way */
    size_t n_commits;
    Status commit_status;
    bool hold_log; /* finish_log is not answered by fx_turn */
    Id closing;
    uint64_t log_says; /* size that the closed log claims; 0: what it has */
    bool uploaded;
    bool offline; /* no server can be chosen */
    bool gone;    /* the chosen one is not connected */
    Id server;
    unsigned launched, results;
    Status last_result;
    Id last_id;
};

static inline void fx_put(void *ctx, const struct job *j, struct str json)
{
    struct job_fixture *f = ctx;

    (void)j;
    f->puts++;
    buf_clear(&f->row);
    (void)buf_add_str(&f->row, json);
}

static inline void fx_archive(void *ctx, const struct job *j, struct str record)
{
    struct job_fixture *f = ctx;

    (void)j;
    f->archives++;
    buf_clear(&f->record);
    (void)buf_add_str(&f->record, record);
}

static inline void fx_forget(void *ctx, struct str id)
{
    (void)id;
    ((struct job_fixture *)ctx)->forgets++;
}

static inline void fx_commit(void *ctx, uint64_t batch)
{
    struct job_fixture *f = ctx;

    assert_true(f->n_commits < COUNT_OF(f->commits));
    f->commits[f->n_commits++] = batch;
}

static inline Id fx_choose(void *ctx, const struct job *j, yyjson_val *targets, struct str algo)
{
    struct job_fixture *f = ctx;

    (void)j;
    assert_true(yyjson_is_arr(targets) || yyjson_is_str(targets));
    assert_true(algo.n > 0);
    return f->offline ? (Id){ .z = "" } : f->server;
}

static inline bool fx_online(void *ctx, const Id *server)
{
    (void)server;
    return !((struct job_fixture *)ctx)->gone;
}

static inline void fx_note(void *ctx, const char *what, const char *id)
{
    (void)buf_printf(&((struct job_fixture *)ctx)->effects, "%s %s;", what, id);
}

static inline void fx_launch(void *ctx, const struct job *j)
{
    fx_note(ctx, "launch", j->server.z);
}

static inline void fx_abort(void *ctx, const struct job *j, struct str reason)
{
    (void)j;
    (void)buf_printf(&((struct job_fixture *)ctx)->effects, "abort %.*s;", STR_FMT(reason));
}

static inline void fx_seek(void *ctx, const Id *server, struct str id, uint64_t pos, uint32_t meta)
{
    (void)server;
    (void)id;
    (void)buf_printf(&((struct job_fixture *)ctx)->effects, "seek %llu %u;",
                     (unsigned long long)pos, meta);
}

static inline void fx_done(void *ctx, const Id *server, struct str id)
{
    (void)id;
    fx_note(ctx, "done", server->z);
}

static inline void fx_changed(void *ctx, const struct job *j)
{
    if (j->state == JOB_COMPLETE)
        fx_note(ctx, "ended", j->event.z);
}

static inline void fx_log(void *ctx, const struct job *j, struct str text)
{
    (void)j;
    (void)buf_add_str(&((struct job_fixture *)ctx)->log, text);
}

static inline void fx_finish_log(void *ctx, const struct job *j)
{
    ((struct job_fixture *)ctx)->closing = j->id;
}

static inline void fx_log_remove(void *ctx, const struct job *j)
{
    (void)j;
    fx_note(ctx, "log", "removed");
}

static inline void fx_stray(void *ctx, const Id *server, struct str id)
{
    (void)id;
    fx_note(ctx, "stray", server->z);
}

static inline void fx_name(void *ctx, const Id *server, char *out, size_t size)
{
    (void)ctx;
    (void)snprintf(out, size, "Server %s", server->z);
}

static inline struct job_host fx_host(struct job_fixture *f)
{
    return (struct job_host){ .ctx = f,
                              .put = fx_put,
                              .archive = fx_archive,
                              .forget = fx_forget,
                              .commit = fx_commit,
                              .choose_server = fx_choose,
                              .server_online = fx_online,
                              .server_name = fx_name,
                              .send_launch = fx_launch,
                              .send_abort = fx_abort,
                              .send_seek = fx_seek,
                              .send_done = fx_done,
                              .changed = fx_changed,
                              .stray = fx_stray,
                              .log_append = fx_log,
                              .finish_log = fx_finish_log,
                              .log_remove = fx_log_remove };
}

#endif
