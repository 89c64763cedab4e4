/* What all families of definitions have in common: lists, single reads, changes
 * (reference/api-objects.md 1). Reads splice the stored text; changes are given to event/, whose
 * callback replies when they are durable. */
#include "api/api_int.h"
#include "event/kinds.h"

/* ---- reading ---- */

static bool has_secrets(enum def_kind k)
{
    return k == DEF_API_KEY || k == DEF_USER;
}

static void secret_keys(enum def_kind k, const char *ret[DEF_SKIP_MAX + 1])
{
    size_t n = 0;

    for (const struct prop *p = def_kind_row(k)->props; p->name; p++) {
        if ((p->flags & P_SECRET) && n < DEF_SKIP_MAX)
            ret[n++] = p->name;
    }
    ret[n] = NULL;
}

void api_put_def(struct api_call *c, struct json_writer *w, const char *key, const struct def *def)
{
    AUTO(json_doc_free) yyjson_doc *doc = NULL;
    const char *skip[DEF_SKIP_MAX + 1];

    (void)c;
    if (!has_secrets(def->kind)) {
        json_put_raw(w, key, def->json);
        return;
    }
    if (json_parse(def->json, DEFS_OBJECT_MAX, &doc, NULL)) {
        w->out->failed = true;
        return;
    }
    secret_keys(def->kind, skip);
    json_obj(w, key);
    json_put_members(w, yyjson_doc_get_root(doc), skip);
    json_end(w);
}

/* Which of a kind a limited caller sees; events are looked at by their own family. */
static bool is_visible(const struct api_call *c, const struct def *def)
{
    if (def->kind == DEF_CATEGORY)
        return auth_category_ok(&c->user, id_str(&def->id));
    if (def->kind == DEF_GROUP)
        return auth_group_ok(&c->user, id_str(&def->id));
    return true;
}

/* False: replied. */
static bool need_visible(struct api_call *c, enum def_kind k, struct str id)
{
    if (k == DEF_CATEGORY)
        return api_need_category(c, id);
    if (k == DEF_GROUP)
        return api_need_group(c, id);
    return true;
}

void api_defs_list(struct api_call *c, enum def_kind k)
{
    const size_t n = defs_count(c->world->defs, k);
    struct buf out;
    struct json_writer w = api_reply_begin(c, &out);
    int64_t shown = 0;

    json_arr(&w, "rows");
    for (size_t i = 0; i < n; i++) {
        /* API keys: the newest first */
        const struct def *def = defs_at(c->world->defs, k, k == DEF_API_KEY ? n - 1 - i : i);

        if (!is_visible(c, def))
            continue;
        api_put_def(c, &w, NULL, def);
        shown++;
    }
    json_end(&w);
    json_obj(&w, "list");
    json_put_i64(&w, "length", shown);
    json_end(&w);
    api_reply_end(c, &w, &out);
}

const struct def *api_need_def(struct api_call *c, enum def_kind k, const char *code)
{
    const struct str id = json_str(c->params, "id");
    const struct def *def = defs_find(c->world->defs, k, id);

    if (!def)
        api_error(c, code, "Failed to locate %s: %.*s", def_kind_row(k)->name,
                  STR_FMT(str_slice(id, 0, ID_MAX)));
    return def;
}

void api_defs_get(struct api_call *c, enum def_kind k)
{
    const struct def *def = api_need_def(c, k, "notfound");
    struct buf out;
    struct json_writer w;

    if (!def || !need_visible(c, k, id_str(&def->id)))
        return;
    w = api_reply_begin(c, &out);
    api_put_def(c, &w, def_kind_row(k)->name, def);
    api_reply_end(c, &w, &out);
}

/* ---- changing ---- */

/* The error code of a kind: its name, but for the reference's "api" of an unknown plugin. */
static const char *family_code(const struct api_call *c, enum def_kind k, Status st)
{
    if (k == DEF_PLUGIN && st == STATUS_MISSING && str_eq_z(str_z(c->row->name), "update_plugin"))
        return "api";
    return def_kind_row(k)->name;
}

static enum def_kind kind_of_call(const struct api_call *c)
{
    /* "create_event" ... "multi_update_category": the kind is the end of the name */
    const struct str name = str_z(c->row->name);

    for (unsigned k = 0; k < DEF_KIND_COUNT; k++) {
        if (str_ends(name, str_z(def_kind_row((enum def_kind)k)->name)))
            return (enum def_kind)k;
    }
    return DEF_KIND_COUNT;
}

/* Does the row promise the object? Creates do, most updates and all deletes do not. */
static bool shows_object(const struct api_call *c, enum def_kind k)
{
    return c->row->out && str_eq_z(str_z(c->row->out), def_kind_row(k)->name);
}

void api_def_changed(void *arg, Status st, const struct def *def, const struct err *err)
{
    struct api_call *c = arg;
    const enum def_kind k = kind_of_call(c);
    struct buf out;
    struct json_writer w;

    if (st) {
        api_fail(c, family_code(c, k, st), st, err);
        return;
    }
    if (!def || !shows_object(c, k)) {
        api_reply_ok(c);
        return;
    }
    w = api_reply_begin(c, &out);
    api_put_def(c, &w, def_kind_row(k)->name, def);
    api_reply_end(c, &w, &out);
}

static void started(struct api_call *c, enum def_kind k, Status st, const struct err *err)
{
    if (st)
        api_fail(c, family_code(c, k, st), st, err);
}

void api_defs_create(struct api_call *c, enum def_kind k, yyjson_val *given)
{
    const struct actor by = api_actor(c);
    const struct str id = json_str(given, "id");
    struct err err = { .code = STATUS_OK };

    /* a limited caller makes only what is in its list already; without an id nothing can be */
    if (!need_visible(c, k, id))
        return;
    started(c, k, defs_create(c->world->defs, k, given, &by, c->now, api_def_changed, c, &err),
            &err);
}

void api_defs_update(struct api_call *c, enum def_kind k, yyjson_val *given)
{
    const struct actor by = api_actor(c);
    struct err err = { .code = STATUS_OK };

    if (!need_visible(c, k, json_str(given, "id")))
        return;
    started(c, k, defs_update(c->world->defs, k, given, &by, c->now, api_def_changed, c, &err),
            &err);
}

void api_defs_delete(struct api_call *c, enum def_kind k)
{
    const struct actor by = api_actor(c);
    const struct str id = json_str(c->params, "id");
    struct err err = { .code = STATUS_OK };

    if (!need_visible(c, k, id))
        return;
    started(c, k, defs_delete(c->world->defs, k, id, &by, c->now, api_def_changed, c, &err), &err);
}

void api_defs_multi_update(struct api_call *c, enum def_kind k)
{
    yyjson_val *items = json_get(c->params, "items");
    const struct actor by = api_actor(c);
    struct err err = { .code = STATUS_OK };
    const bool limited =
        !c->user.admin && (k == DEF_CATEGORY ? c->user.n_categories : c->user.n_groups) > 0;

    if (!yyjson_is_arr(items) || yyjson_arr_size(items) == 0)
        api_error(c, "session", "Missing parameter: items"); /* the reference's code for it */
    else if (limited)
        api_error(c, "access", "You do not have access to all %s.", def_kind_row(k)->plural);
    else
        started(c, k,
                defs_multi_update(c->world->defs, k, items, &by, c->now, api_def_changed, c, &err),
                &err);
}
