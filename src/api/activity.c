/* Audit of calls: activity rows written by handlers. Changes of definitions are recorded by event/.
 */
#include "api/api_int.h"

#include "base/log.h"

void api_put_activity(const struct api_call *c, struct store_tx *tx, const char *action,
                      struct str description, struct str object, const struct auth_extra *extra,
                      size_t n_extra)
{
    const struct auth_activity activity = {
        .action = action,
        .description = description,
        .object = object,
        .extra = extra,
        .n_extra = n_extra,
    };
    const struct actor by = api_actor(c);

    auth_put_activity(tx, c->world->ids, &activity, &by, c->now);
}

static void logged(void *arg, Status st, const struct err *err)
{
    const char *action = arg; /* a literal */

    if (st)
        log_event(LOG_WARN, "api.activity_lost", "action=%s reason=%s", action,
                  LOG_QUOTED(str_z(err ? err->text : status_text(st))));
}

void api_log_activity(const struct api_call *c, const char *action, struct str description,
                      struct str object, const struct auth_extra *extra, size_t n_extra)
{
    struct store_tx *tx = store_tx_new(c->world->store);
    struct err err = { .code = STATUS_OK };
    Status st;

    if (!tx)
        return;
    api_put_activity(c, tx, action, description, object, extra, n_extra);
    st = store_commit(c->world->store, tx, logged, (void *)(uintptr_t)action, &err);
    if (st)
        logged((void *)(uintptr_t)action, st, &err);
}
