/* A job room on real definitions, with the host of host_fixture.h; a turn answers what is under
 * way. */
#ifndef JOB_FIXTURE_H
#define JOB_FIXTURE_H

#include "host_fixture.h"
#include "job/moves.h"

static inline void fx_room(struct job_fixture *f, const struct job_config *config)
{
    const struct job_host host = fx_host(f);

    job_room_free(f->room);
    f->n_commits = 0;
    f->closing = (Id){ .z = "" };
    assert_int_equal(job_room_new(&host, config, f->d.defs, 7, &f->room, NULL), STATUS_OK);
}

static inline int fx_setup(void **state)
{
    static const struct job_config config = { .host_id = "c1" };
    struct job_fixture *f = calloc(1, sizeof(*f));

    if (!f)
        return -1;
    defs_fixture_open(&f->d);
    f->now = T0;
    f->server = (Id){ .z = "s1" };
    buf_init(&f->effects, 1u << 20);
    buf_init(&f->row, 1u << 26);
    buf_init(&f->record, 1u << 26);
    buf_init(&f->log, 1u << 24);
    fx_room(f, &config);
    job_server_joined(f->room, &f->server, true, f->now);
    *state = f;
    return 0;
}

static inline int fx_teardown(void **state)
{
    struct job_fixture *f = *state;

    job_room_free(f->room);
    buf_done(&f->effects);
    buf_done(&f->row);
    buf_done(&f->record);
    buf_done(&f->log);
    defs_fixture_close(&f->d);
    free(f);
    return 0;
}

static inline void fx_event(struct job_fixture *f, const char *id, const char *more)
{
    char text[4096];

    (void)snprintf(
        text, sizeof(text),
        "{\"id\":\"%s\",\"title\":\"Title of %s\",\"enabled\":true,\"category\":\"general\","
        "\"plugin\":\"shell\",\"targets\":[\"main\"],\"algo\":\"random\"%s%s}",
        id, id, more[0] ? "," : "", more);
    defs_fixture_put(&f->d, 'c', DEF_EVENT, text);
}

static inline void fx_clear(struct job_fixture *f)
{
    buf_clear(&f->effects);
}

static inline void fx_close_log(struct job_fixture *f)
{
    const Id id = f->closing;
    const uint64_t size = f->log_says ? f->log_says : f->log.n;

    f->closing = (Id){ .z = "" };
    job_log_finished(f->room, id_str(&id), STATUS_OK,
                     f->uploaded || !f->log.n ? STR_NONE : buf_str(&f->log), size, f->uploaded,
                     f->now);
}

/* Ends the turn and answers every commit (and the log), until nothing is under way. */
static inline void fx_turn(struct job_fixture *f)
{
    for (int i = 0; i < 10; i++) {
        uint64_t batch;

        (void)job_tick(f->room, f->now);
        job_turn_end(f->room, f->now);
        if (f->closing.z[0] && !f->hold_log)
            fx_close_log(f);
        else if (!f->n_commits)
            return;
        while (f->n_commits) {
            batch = f->commits[0];
            f->n_commits--;
            memmove(f->commits, f->commits + 1, f->n_commits * sizeof(f->commits[0]));
            job_committed(f->room, batch, f->commit_status, f->now);
        }
    }
}

static inline void fx_launched(void *arg, Status st, const Id *id, const struct err *err)
{
    struct job_fixture *f = arg;

    (void)err;
    assert_int_equal(st, STATUS_OK);
    f->launched++;
    f->last_id = *id;
}

static inline void fx_result(void *arg, Status st)
{
    struct job_fixture *f = arg;

    f->results++;
    f->last_result = st;
}

static inline yyjson_doc *fx_json(const char *text)
{
    yyjson_doc *doc = NULL;

    assert_int_equal(json_parse(str_z(text), 1u << 26, &doc, NULL), STATUS_OK);
    return doc;
}

/* overrides: JSON object or NULL. */
static inline Status fx_try(struct job_fixture *f, const char *event, const char *overrides,
                            Id *ret_id, struct err *err)
{
    yyjson_doc *doc = overrides ? fx_json(overrides) : NULL;
    const struct job_launch l = { .event_id = str_z(event),
                                  .overrides = doc ? yyjson_doc_get_root(doc) : NULL,
                                  .source = JOB_SOURCE_USER,
                                  .username = STR("joe") };
    const Status st = job_launch(f->room, &l, f->now, fx_launched, f, ret_id, err);

    json_doc_free(doc);
    return st;
}

static inline Id fx_start(struct job_fixture *f, const char *event, const char *overrides)
{
    Id id = { .z = "" };
    struct err err = { .text = "" };

    if (fx_try(f, event, overrides, &id, &err) != STATUS_OK)
        fail_msg("launch: %s", err.text);
    return id;
}

static inline void fx_update(struct job_fixture *f, const Id *id, bool exact, const char *update)
{
    yyjson_doc *doc = fx_json(update);

    job_update(f->room, &f->server, exact, id_str(id), yyjson_doc_get_root(doc), f->now, fx_result,
               f);
    json_doc_free(doc);
}

static inline void fx_inventory(struct job_fixture *f, const char *list)
{
    yyjson_doc *doc = fx_json(list);

    job_server_inventory(f->room, &f->server, yyjson_doc_get_root(doc), f->now);
    json_doc_free(doc);
}

static inline void fx_say(struct job_fixture *f, const Id *id, int64_t pos, const char *text)
{
    job_log(f->room, &f->server, id_str(id), pos, str_z(text), f->now);
}

static inline enum job_state fx_state(struct job_fixture *f, const Id *id)
{
    const struct job *j = job_find(f->room, id_str(id));

    return j ? j->state : JOB_STATE_COUNT;
}

static inline void assert_text(struct str have, const char *want)
{
    if (!str_eq_z(have, want))
        fail_msg("have: %.*s\nwant: %s", STR_FMT(have), want);
}

static inline void assert_has(struct str have, const char *want)
{
    if (str_find(have, str_z(want)) == have.n)
        fail_msg("have: %.*s\nwithout: %s", STR_FMT(have), want);
}

static inline void assert_has_not(struct str have, const char *unwanted)
{
    if (str_find(have, str_z(unwanted)) != have.n)
        fail_msg("have: %.*s\nwith: %s", STR_FMT(have), unwanted);
}

#define assert_effects(f, want)                                                                    \
    do {                                                                                           \
        assert_text(buf_str(&(f)->effects), want);                                                 \
        fx_clear(f);                                                                               \
    } while (0)

/* A value of the live job. */
#define assert_value(f, id, key, want)                                                             \
    assert_text(job_value(job_find((f)->room, id_str(id)), key), want)

#endif
