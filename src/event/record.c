/* The rows that a change leaves besides the object: its history and its activity. Secrets are taken
 * out of both; they go to people. A delete is recorded under the revision that would have come
 * next. */
#include "event/defs_int.h"

#include <math.h>
#include <stdio.h>

#define KEYWORD_MAX 256

static void secret_keys(const struct prop *props, const char *ret[DEF_SKIP_MAX + 1])
{
    size_t n = 0;

    for (const struct prop *p = props; p->name; p++)
        if ((p->flags & P_SECRET) && n < DEF_SKIP_MAX)
            ret[n++] = p->name;
    ret[n] = NULL;
}

/* Non-word characters become "_", as the index of the reference has user names. */
static struct str keyword(struct arena *a, struct str s)
{
    char *out = arena_dup_z(a, str_slice(s, 0, KEYWORD_MAX));

    for (char *c = out; c && *c; c++)
        if (!str_is_word(str_n(c, 1)))
            *c = '_';
    return str_z(out);
}

static const char *op_word(enum change_op op)
{
    switch (op) {
    case CHANGE_CREATE:
        return "create";
    case CHANGE_UPDATE:
        return "update";
    case CHANGE_DELETE:
        return "delete";
    }
    return "";
}

static Status put_revision(const struct change *c, struct arena *a, struct str json, Usec now,
                           struct str username, struct store_tx *tx)
{
    const struct def_kind_row *row = def_kind_row(c->kind);
    const struct str id =
        arena_printf(a, "%s:%s:%lld", row->name, c->entry->def.id.z, (long long)c->revision);
    const struct store_value columns[REVISIONS_COLUMNS] = {
        [REVISIONS_KIND] = store_text(str_z(row->name)),
        [REVISIONS_OBJECT] = store_text(id_str(&c->entry->def.id)),
        [REVISIONS_REVISION] = store_int(c->revision),
        [REVISIONS_EPOCH] = store_real(usec_to_epoch(now)),
        [REVISIONS_USERNAME] = store_text(username),
    };

    if (!id.p)
        return STATUS_NOMEM;
    store_tx_put(tx, TABLE_REVISIONS, id, json, columns, REVISIONS_COLUMNS);
    return STATUS_OK;
}

struct activity {
    Id id;
    struct str action;
    struct str description;
    struct str object; /* keyword; .p NULL: none */
    const char *key;   /* member that holds `value` */
    struct str value;  /* JSON text */
};

static Status put_activity(struct arena *a, const struct activity *v, const struct actor *by,
                           Usec now, struct store_tx *tx)
{
    AUTO_BUF struct buf out = { 0 };
    const struct str user = keyword(a, by->username);
    const struct str words =
        v->object.p ? arena_printf(a, "%.*s,%.*s", STR_FMT(v->object), STR_FMT(user)) : user;
    const struct store_value columns[ACTIVITY_COLUMNS] = {
        [ACTIVITY_ACTION] = store_text(v->action),
        [ACTIVITY_EPOCH] = store_real(usec_to_epoch(now)),
        [ACTIVITY_USERNAME] = store_text(by->username),
        [ACTIVITY_KEYWORDS] = store_text(words),
    };

    buf_init(&out, DEFS_OBJECT_MAX * 2);
    struct json_writer w = json_writer_init(&out);
    json_obj(&w, NULL);
    json_put_str(&w, "id", id_str(&v->id));
    json_put_str(&w, "action", v->action);
    json_put_i64(&w, "epoch", now / USEC_SEC);
    json_put_str(&w, "description", v->description.p ? v->description : STR(""));
    json_put_str(&w, "username", by->username.p ? by->username : STR(""));
    json_put_str(&w, "ip", by->ip.p ? by->ip : STR(""));
    json_put_str(&w, "useragent", by->user_agent.p ? by->user_agent : STR(""));
    json_arr(&w, "keywords");
    if (v->object.p)
        json_put_str(&w, NULL, v->object);
    json_put_str(&w, NULL, user.p ? user : STR(""));
    json_end(&w);
    json_put_raw(&w, v->key, v->value);
    json_end(&w);
    if (out.failed || !words.p)
        return STATUS_NOMEM;
    store_tx_put(tx, TABLE_ACTIVITY, id_str(&v->id), buf_str(&out), columns, ACTIVITY_COLUMNS);
    return STATUS_OK;
}

Status record_rows(const struct change *c, struct arena *a, yyjson_val *object,
                   const struct actor *by, struct store_tx *tx, struct err *err)
{
    const struct def_kind_row *row = def_kind_row(c->kind);
    const char *skip[DEF_SKIP_MAX + 1];
    AUTO_BUF struct buf out = { 0 };

    buf_init(&out, DEFS_OBJECT_MAX);
    secret_keys(row->props, skip);
    struct json_writer w = json_writer_init(&out);
    json_obj(&w, NULL);
    json_put_members(&w, object, skip);
    json_end(&w);

    const struct activity activity = {
        .id = id_new(&c->d->ids, "a", c->now),
        .action = arena_printf(a, "%s_%s", row->activity, op_word(c->op)),
        .description =
            c->kind == DEF_USER ? json_str(object, "username") : json_str(object, "title"),
        .object = id_str(&c->entry->def.id),
        .key = row->name,
        .value = buf_str(&out),
    };
    Status st = out.failed || !activity.action.p ? STATUS_NOMEM : STATUS_OK;
    if (!st)
        st = put_revision(c, a, buf_str(&out), c->now, by->username, tx);
    if (!st)
        st = put_activity(a, &activity, by, c->now, tx);
    return st ? err_set(err, st, NULL, "out of memory") : STATUS_OK;
}

Status record_multi(struct defs *d, enum def_kind k, yyjson_val *items, const struct actor *by,
                    Usec now, struct store_tx *tx, struct err *err)
{
    AUTO(arena_free) struct arena *a = arena_new(DEFS_OBJECT_MAX);
    AUTO_BUF struct buf keys = { 0 };
    yyjson_val *key;
    yyjson_obj_iter it;

    buf_init(&keys, DEFS_OBJECT_MAX);
    if (!a)
        return err_set(err, STATUS_NOMEM, NULL, "out of memory");
    struct json_writer w = json_writer_init(&keys);
    json_arr(&w, NULL);
    yyjson_obj_iter_init(yyjson_arr_get_first(items), &it);
    for (key = yyjson_obj_iter_next(&it); key; key = yyjson_obj_iter_next(&it))
        if (!str_eq_z(json_val_str(key), "id"))
            json_put_str(&w, NULL, json_val_str(key));
    json_end(&w);

    const struct activity activity = {
        .id = id_new(&d->ids, "a", now),
        .action = arena_printf(a, "%s_multi_update", def_kind_row(k)->activity),
        .key = "updated",
        .value = buf_str(&keys),
    };
    Status st =
        keys.failed || !activity.action.p ? STATUS_NOMEM : put_activity(a, &activity, by, now, tx);
    return st ? err_set(err, st, NULL, "out of memory") : STATUS_OK;
}
