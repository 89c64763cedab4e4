/* Deleting finished jobs: the record, its log, its output files, and those input files that were
 * uploaded for it. In bulk for a deleted event, a few hundred at a time, so that nobody waits. */
#include "api/api_int.h"

#include "base/log.h"

#include <stdlib.h>

#define PURGE_STEP      200
#define PURGE_ARENA_MAX (16u * 1024 * 1024)

struct purge {
    struct api *api;
    Id event;
    bool workflow; /* second pass: sub-jobs of the event as a workflow */
    struct arena *arena;
    uint64_t n;
};

/* files/USER/RANDOM/NAME as store_files.c makes them; anything else in `input.files` came from the
 * caller and may be the path of somebody else's. */
static bool is_upload(struct str path)
{
    struct str parts[5];
    struct str rest = path;
    size_t n = 0;

    while (n < COUNT_OF(parts) && str_split(&rest, '/', &parts[n]))
        n++;
    return n == 4 && str_eq_z(parts[0], "files") && !str_eq_z(parts[1], "jobs") && parts[2].n == 43;
}

void api_delete_record(struct store_tx *tx, struct str id, yyjson_val *record)
{
    yyjson_arr_iter it = yyjson_arr_iter_with(json_get(json_get(record, "input"), "files"));
    yyjson_val *file;
    char owner[ID_MAX + 8];

    store_tx_delete(tx, TABLE_JOBS, id);
    (void)snprintf(owner, sizeof owner, "job:%.*s", STR_FMT(str_slice(id, 0, ID_MAX)));
    blob_tx_delete_owner(tx, str_z(owner));
    while ((file = yyjson_arr_iter_next(&it)) != NULL) {
        const struct str path = json_str(file, "path");

        if (is_upload(path) && !json_get(file, "bucket") && !json_get(file, "ticket"))
            blob_tx_delete(tx, path);
    }
}

static void step(struct purge *p);

static void purge_end(struct purge *p, Status st)
{
    if (st)
        log_event(LOG_WARN, "api.purge_failed", "event=%s jobs=%llu reason=%s", p->event.z,
                  (unsigned long long)p->n, status_name(st));
    else
        log_event(LOG_INFO, "api.purged", "event=%s jobs=%llu", p->event.z,
                  (unsigned long long)p->n);
    arena_free(p->arena);
    free(p);
}

static void deleted(void *arg, Status st, const struct err *err)
{
    struct purge *p = arg;

    (void)err;
    if (st)
        purge_end(p, st);
    else
        step(p);
}

static void found(void *arg, const struct store_result *res)
{
    struct purge *p = arg;
    struct store_tx *tx;
    Status st;

    if (res->status) {
        purge_end(p, res->status);
        return;
    }
    if (res->n == 0) {
        if (p->workflow) {
            purge_end(p, STATUS_OK);
        } else {
            p->workflow = true;
            step(p);
        }
        return;
    }
    tx = store_tx_new(p->api->world.store);
    for (size_t i = 0; i < res->n; i++)
        api_delete_record(tx, res->rows[i].id, NULL);
    p->n += res->n;
    st = store_commit(p->api->world.store, tx, deleted, p, NULL);
    if (st)
        purge_end(p, st);
}

static void step(struct purge *p)
{
    const struct store_condition of_event = {
        .column = p->workflow ? JOBS_WORKFLOW : JOBS_EVENT,
        .op = OP_EQ,
        .value = store_text(id_str(&p->event)),
    };
    const struct store_query q = {
        .table = TABLE_JOBS,
        .where = &of_event,
        .n_where = 1,
        .order_by = STORE_COLUMN_ID,
        .limit = PURGE_STEP,
        .ids_only = true,
    };
    Status st;

    arena_reset(p->arena);
    st = store_select(p->api->world.store, &q, p->arena, found, p, NULL);
    if (st)
        purge_end(p, st);
}

void api_purge_jobs(struct api *a, struct str event)
{
    struct purge *p = calloc(1, sizeof *p);

    if (!p)
        return;
    p->api = a;
    p->arena = arena_new(PURGE_ARENA_MAX);
    if (!p->arena || !id_from_str(event, &p->event)) {
        arena_free(p->arena);
        free(p);
        return;
    }
    step(p);
}
