/* Changing a definition. A change is validated against what is durable, written with its history
 * and activity in one transaction, and becomes visible when that is on disk. One change of an
 * object is on its way at a time; later ones wait in line and are validated when their turn comes,
 * so that each sees what the one before it did. Changes of different objects share the disk's
 * transactions (store/write.c). */
#include "event/defs_int.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Four parses of the object and one of its plugin, each up to five times the text. */
#define CHANGE_ARENA_MAX (DEFS_OBJECT_MAX * 32)

static Status no_memory(struct err *err)
{
    return err_set(err, STATUS_NOMEM, NULL, "out of memory");
}

struct change *change_new(struct defs *d, struct entry *e, enum change_op op, Usec now)
{
    struct change *c = calloc(1, sizeof *c);

    if (!c)
        return NULL;
    list_init(&c->link);
    c->d = d;
    c->entry = e;
    c->op = op;
    c->kind = e->def.kind;
    c->now = now;
    return c;
}

void change_free(struct change *c)
{
    if (!c)
        return;
    free(c->waiting_text);
    free(c->json);
    free(c);
}

/* ---- the given object ---- */

/* "+1", "-0.5" for a stored number: what to add. */
static bool is_increment(yyjson_val *stored, yyjson_val *v, double *ret)
{
    const struct str s = json_val_str(v);

    if (s.n < 2 || (s.p[0] != '+' && s.p[0] != '-') || !yyjson_is_num(stored))
        return false;
    for (size_t i = 1; i < s.n; i++)
        if (s.p[i] != '.' && (s.p[i] < '0' || s.p[i] > '9'))
            return false;
    if (!str_to_double(str_slice(s, 1, s.n), ret) || !isfinite(*ret))
        return false;
    if (s.p[0] == '-')
        *ret = -*ret;
    return true;
}

static void put_sum(struct json_writer *w, struct str key, yyjson_val *stored, double add,
                    struct arena *a)
{
    const double sum = yyjson_get_num(stored) + add;
    const char *name = arena_dup_z(a, key);

    if (!name)
        w->out->failed = true;
    else if (sum == floor(sum) && fabs(sum) < 9e15)
        json_put_i64(w, name, (int64_t)sum);
    else
        json_put_double(w, name, sum);
}

/* A text for a number that is not stored as one: nothing to add to. */
static bool is_stray_text(const struct prop *props, struct str name, yyjson_val *v)
{
    const struct prop *p = yyjson_is_str(v) ? schema_find(props, name) : NULL;

    return p && !(p->flags & P_READONLY) && (p->type == P_INT || p->type == P_NUMBER);
}

/* The caller's object as it is checked: without a falsy id at create, increments worked out. */
static Status given_read(const struct change *c, struct arena *a, yyjson_val *stored,
                         yyjson_val *given, yyjson_val **ret, struct err *err)
{
    const struct prop *props = def_kind_row(c->kind)->props;
    AUTO_BUF struct buf out = { 0 };
    yyjson_val *key;
    yyjson_obj_iter it;

    buf_init(&out, DEFS_OBJECT_MAX);
    struct json_writer w = json_writer_init(&out);
    json_obj(&w, NULL);
    yyjson_obj_iter_init(given, &it);
    for (key = yyjson_obj_iter_next(&it); key; key = yyjson_obj_iter_next(&it)) {
        yyjson_val *v = yyjson_obj_iter_get_val(key);
        const struct str name = json_val_str(key);
        yyjson_val *old = stored ? json_get_str(stored, name) : NULL;
        double add = 0;

        if (!stored && str_eq_z(name, "id") && !json_truthy(v))
            continue;
        if (is_increment(old, v, &add) && !str_eq_z(name, "revision"))
            put_sum(&w, name, old, add, a);
        else if (is_stray_text(props, name, v))
            return err_set(err, STATUS_INVALID, schema_find(props, name)->name,
                           "Malformed parameter: %.*s (must be a number)", STR_FMT(name));
        else
            json_put_val_k(&w, name, v);
    }
    json_end(&w);
    if (out.failed)
        return err_set(err, STATUS_TOO_BIG, NULL, "the object is larger than %u bytes",
                       (unsigned)DEFS_OBJECT_MAX);
    return json_parse_in(a, buf_str(&out), DEFS_OBJECT_MAX, ret, err);
}

/* ---- preparing ---- */

static int64_t next_sort_order(const struct defs *d, enum def_kind k)
{
    int64_t next = 0;
    const struct vec *order = &d->kinds[k].order;

    for (size_t i = 0; i < order->n; i++) {
        const struct entry *e = order->at[i];
        if (e->sort_order >= next)
            next = e->sort_order + 1;
    }
    LIST_EACH (it, &d->active) {
        const struct change *c = CONTAINER_OF(it, struct change, link);
        if (c->kind == k && c->sort_order >= next)
            next = c->sort_order + 1;
    }
    return next;
}

static Status created_text(struct change *c, yyjson_val *given, const struct actor *by,
                           struct buf *out)
{
    const char *skip[DEF_SKIP_MAX + 1];
    struct json_writer w = json_writer_init(out);

    def_skip_keys(c->kind, NULL, given, skip);
    json_obj(&w, NULL);
    if (c->kind != DEF_USER)
        json_put_str(&w, "id", id_str(&c->entry->def.id));
    schema_put(def_kind_row(c->kind)->props, given, SCHEMA_CREATE, skip, &w);
    def_put_forced(c->kind, NULL, given, &w);
    if (def_is_sorted(c->kind))
        json_put_i64(&w, "sort_order", next_sort_order(c->d, c->kind));
    if (c->kind != DEF_USER)
        json_put_str(&w, "username", by->creator.p ? by->creator : by->username);
    json_put_i64(&w, "created", c->now / USEC_SEC);
    json_put_i64(&w, "modified", c->now / USEC_SEC);
    json_put_i64(&w, "revision", c->revision);
    json_end(&w);
    return out->failed ? STATUS_TOO_BIG : STATUS_OK;
}

static Status updated_text(struct change *c, struct arena *a, yyjson_val *stored, yyjson_val *given,
                           struct buf *out)
{
    const char *skip[DEF_SKIP_MAX + 1];
    AUTO_BUF struct buf changed = { 0 };
    yyjson_val *changes = NULL;

    buf_init(&changed, DEFS_OBJECT_MAX);
    struct json_writer w = json_writer_init(&changed);
    def_skip_keys(c->kind, stored, given, skip);
    json_obj(&w, NULL);
    schema_put(def_kind_row(c->kind)->props, given, SCHEMA_UPDATE, skip, &w);
    def_put_forced(c->kind, stored, given, &w);
    if (!c->reorder) {
        json_put_i64(&w, "modified", c->now / USEC_SEC);
        json_put_i64(&w, "revision", c->revision);
    }
    json_end(&w);
    if (changed.failed ||
        json_parse_in(a, buf_str(&changed), DEFS_OBJECT_MAX, &changes, NULL) != STATUS_OK)
        return STATUS_TOO_BIG;
    w = json_writer_init(out);
    json_put_merged(&w, NULL, stored, changes, NULL);
    return out->failed ? STATUS_TOO_BIG : STATUS_OK;
}

/* An event's category may be on its way out: no new event may name it any more. */
static Status category_alive(const struct change *c, struct err *err)
{
    const struct entry *category =
        c->kind == DEF_EVENT ? defs_entry(c->d, DEF_CATEGORY, id_str(&c->category)) : NULL;

    if (category && category->active && category->active->op == CHANGE_DELETE)
        return err_set(err, STATUS_INVALID, "category", "Category not found: %s", c->category.z);
    return STATUS_OK;
}

/* Takes the text as the new state of the definition and adds all rows. */
static Status outcome(struct change *c, struct arena *a, struct buf *out, yyjson_val *given,
                      const struct actor *by, struct store_tx *tx, struct err *err)
{
    const struct def_kind_row *row = def_kind_row(c->kind);
    const enum schema_mode mode = c->op == CHANGE_CREATE ? SCHEMA_CREATE : SCHEMA_UPDATE;
    const struct store_value columns[DEFS_COLUMNS] = {
        [DEFS_KIND] = store_text(str_z(row->name)),
        [DEFS_REVISION] = store_int(c->revision),
        [DEFS_POSITION] = store_int(c->position),
    };
    yyjson_val *merged = NULL;

    Status st = json_parse_in(a, buf_str(out), DEFS_OBJECT_MAX, &merged, err);
    if (!st && row->check)
        st = row->check(a, c->d, merged, given, mode, err);
    if (st)
        return st;
    defs_summary(c->kind, merged, c);
    st = category_alive(c, err);
    if (st)
        return st;
    const struct str id = arena_printf(a, "%s:%s", row->name, c->entry->def.id.z);
    c->json = buf_take(out, &c->json_n);
    if (!id.p || !c->json)
        return no_memory(err);
    char *exact =
        realloc(c->json, c->json_n + 1); /* kept for long, perhaps a hundred thousand times */
    c->json = exact ? exact : c->json;
    store_tx_put(tx, TABLE_DEFS, id, str_n(c->json, c->json_n), columns, DEFS_COLUMNS);
    return c->reorder ? STATUS_OK : record_rows(c, a, merged, by, tx, err);
}

static Status too_big(struct err *err)
{
    return err_set(err, STATUS_TOO_BIG, NULL, "the object is larger than %u bytes",
                   (unsigned)DEFS_OBJECT_MAX);
}

static Status prepare_create(struct change *c, struct arena *a, yyjson_val *given,
                             const struct actor *by, struct store_tx *tx, struct err *err)
{
    const struct def_kind_row *row = def_kind_row(c->kind);
    AUTO_BUF struct buf out = { 0 };

    buf_init(&out, DEFS_OBJECT_MAX);
    if (c->entry->present)
        return err_set(err, STATUS_EXISTS, "id", "%s already exists: %s", row->name,
                       c->entry->def.id.z);
    Status st = given_read(c, a, NULL, given, &given, err);
    if (!st)
        st = schema_check_generic(given, err);
    if (!st)
        st = schema_check(row->props, given, SCHEMA_CREATE, err);
    if (st)
        return st;
    c->revision = 1;
    c->position = c->d->next_position++;
    if (created_text(c, given, by, &out))
        return too_big(err);
    return outcome(c, a, &out, given, by, tx, err);
}

static Status lock_check(const struct change *c, yyjson_val *given, struct err *err)
{
    yyjson_val *revision = c->kind == DEF_EVENT ? json_get(given, "revision") : NULL;

    if (!yyjson_is_num(revision) || c->entry->def.revision == 0)
        return STATUS_OK;
    if (yyjson_get_num(revision) == (double)c->entry->def.revision)
        return STATUS_OK;
    return err_set(err, STATUS_CONFLICT, "revision",
                   "The event is out of date: revision %.0f was given, revision %lld is stored",
                   yyjson_get_num(revision), (long long)c->entry->def.revision);
}

static Status missing(const struct entry *e, struct err *err)
{
    return err_set(err, STATUS_MISSING, "id", "Item not found: %s", e->def.id.z);
}

static Status prepare_update(struct change *c, struct arena *a, yyjson_val *given,
                             const struct actor *by, struct store_tx *tx, struct err *err)
{
    const struct def_kind_row *row = def_kind_row(c->kind);
    AUTO_BUF struct buf out = { 0 };

    buf_init(&out, DEFS_OBJECT_MAX);
    if (!c->entry->present)
        return missing(c->entry, err);
    yyjson_val *stored = def_parse(&c->entry->def, a);
    if (!stored)
        return no_memory(err);
    Status st = given_read(c, a, stored, given, &given, err);
    if (!st)
        st = lock_check(c, given, err);
    if (!st)
        st = schema_check_generic(given, err);
    if (!st)
        st = schema_check(row->props, given, SCHEMA_UPDATE, err);
    if (st)
        return st;
    c->revision = c->entry->def.revision + (c->reorder ? 0 : 1);
    c->position = c->entry->def.position;
    if (updated_text(c, a, stored, given, &out))
        return too_big(err);
    return outcome(c, a, &out, given, by, tx, err);
}

/* Events that name the category: those in memory and those on their way. */
static size_t category_uses(const struct defs *d, const Id *category)
{
    const struct vec *events = &d->kinds[DEF_EVENT].order;
    size_t n = 0;

    for (size_t i = 0; i < events->n; i++)
        n += id_eq(&((const struct entry *)events->at[i])->def.category, category);
    LIST_EACH (it, &d->active) {
        const struct change *c = CONTAINER_OF(it, struct change, link);
        n += c->kind == DEF_EVENT && c->op != CHANGE_DELETE && id_eq(&c->category, category);
    }
    return n;
}

static Status prepare_delete(struct change *c, struct arena *a, const struct actor *by,
                             struct store_tx *tx, struct err *err)
{
    const struct entry *e = c->entry;

    if (!e->present)
        return missing(e, err);
    const size_t uses = c->kind == DEF_CATEGORY ? category_uses(c->d, &e->def.id) : 0;
    if (uses > 0)
        return err_set(err, STATUS_CONFLICT, "id",
                       "The category cannot be deleted: %zu event%s still assigned to it", uses,
                       uses == 1 ? " is" : "s are");
    yyjson_val *stored = def_parse(&e->def, a);
    const struct str id = arena_printf(a, "%s:%s", def_kind_row(c->kind)->name, e->def.id.z);
    if (!stored || !id.p)
        return no_memory(err);
    c->revision = e->def.revision + 1;
    c->sort_order = -1;
    store_tx_delete(tx, TABLE_DEFS, id);
    return record_rows(c, a, stored, by, tx, err);
}

Status change_prepare(struct change *c, struct arena *a, yyjson_val *given, const struct actor *by,
                      struct store_tx *tx, struct err *err)
{
    switch (c->op) {
    case CHANGE_CREATE:
        return prepare_create(c, a, given, by, tx, err);
    case CHANGE_UPDATE:
        return prepare_update(c, a, given, by, tx, err);
    case CHANGE_DELETE:
        return prepare_delete(c, a, by, tx, err);
    }
    return STATUS_INVALID;
}

/* ---- the way to the disk ---- */

static void committed(void *arg, Status st, const struct err *err)
{
    change_landed(arg, st, err);
}

void change_launched(struct change *c)
{
    c->entry->active = c;
    list_push(&c->d->active, &c->link);
}

static Status change_go(struct change *c, yyjson_val *given, const struct actor *by,
                        struct err *err)
{
    AUTO(arena_free) struct arena *a = arena_new(CHANGE_ARENA_MAX);
    struct store_tx *tx = store_tx_new(c->d->store);

    Status st = a && tx ? change_prepare(c, a, given, by, tx, err) : no_memory(err);
    if (st) {
        store_tx_free(tx);
        return st;
    }
    st = store_commit(c->d->store, tx, committed, c, err);
    if (!st)
        change_launched(c);
    return st;
}

static void change_answer(struct change *c, Status st, const struct def *def, const struct err *err)
{
    if (c->fn)
        c->fn(c->arg, st, def, err);
}

/* The turn of one that waited. */
static Status waited_go(struct change *c, struct err *err)
{
    AUTO(json_doc_free) yyjson_doc *doc = NULL;

    if (c->op == CHANGE_DELETE)
        return change_go(c, NULL, &c->by, err);
    Status st = json_parse(c->given, DEFS_OBJECT_MAX, &doc, err);
    return st ? st : change_go(c, yyjson_doc_get_root(doc), &c->by, err);
}

static void next_waiting(struct entry *e)
{
    while (!e->active && !list_empty(&e->waiting)) {
        struct change *c = CONTAINER_OF(e->waiting.next, struct change, link);
        struct err err = { .code = STATUS_OK };

        list_remove(&c->link);
        e->n_waiting--;
        const Status st = waited_go(c, &err);
        if (st) {
            change_answer(c, st, NULL, &err);
            change_free(c);
        }
    }
}

void change_landed(struct change *c, Status st, const struct err *err)
{
    struct defs *d = c->d;
    struct entry *e = c->entry;

    list_remove(&c->link);
    e->active = NULL;
    e->pins++; /* the callbacks below may change this very object */
    if (!st)
        defs_apply(c);
    change_answer(c, st, !st && e->present ? &e->def : NULL, err);
    change_free(c);
    next_waiting(e);
    e->pins--;
    defs_entry_settle(d, e);
}

static struct str pack(char **at, struct str s)
{
    const struct str copy = str_n(*at, s.n);

    if (s.n)
        memcpy(*at, s.p, s.n);
    *at += s.n;
    return copy;
}

/* Puts the change in line behind those of its object, with copies of what its caller lent. */
static Status change_wait(struct change *c, yyjson_val *given, const struct actor *by,
                          struct err *err)
{
    struct entry *e = c->entry;
    AUTO_BUF struct buf text = { 0 };

    buf_init(&text, DEFS_OBJECT_MAX);
    if (e->n_waiting >= DEFS_WAITING_MAX)
        return err_set(err, STATUS_BUSY, "id", "too many changes of %s wait", e->def.id.z);
    if (given && json_text(given, false, &text))
        return too_big(err);
    const size_t n = text.n + by->username.n + by->creator.n + by->ip.n + by->user_agent.n;
    c->waiting_text = malloc(n + 1);
    if (!c->waiting_text)
        return no_memory(err);
    char *at = c->waiting_text;
    c->given = pack(&at, buf_str(&text));
    c->by.username = pack(&at, by->username);
    c->by.creator = pack(&at, by->creator);
    c->by.ip = pack(&at, by->ip);
    c->by.user_agent = pack(&at, by->user_agent);
    list_push(&e->waiting, &c->link);
    e->n_waiting++;
    return STATUS_OK;
}

/* ---- calls ---- */

struct call {
    enum change_op op;
    bool reorder;
    yyjson_val *given;
    const struct actor *by;
    Usec now;
    DefsFn fn;
    void *arg;
};

static Status change_start(struct defs *d, struct entry *e, const struct call *call,
                           struct err *err)
{
    struct change *c = change_new(d, e, call->op, call->now);

    if (!c)
        return no_memory(err);
    c->reorder = call->reorder;
    c->fn = call->fn;
    c->arg = call->arg;
    const bool free_now = !e->active && list_empty(&e->waiting);
    Status st = free_now ? change_go(c, call->given, call->by, err)
                         : change_wait(c, call->given, call->by, err);
    if (st)
        change_free(c);
    return st;
}

static Status user_id(yyjson_val *given, Id *ret, struct err *err)
{
    const struct str name =
        json_str(given, "username").p ? json_str(given, "username") : json_str(given, "id");

    if (!name.p || name.n == 0)
        return err_set(err, STATUS_INVALID, "username", "Missing parameter: username");
    if (!defs_user_id(name, ret))
        return err_set(err, STATUS_INVALID, "username", "Malformed parameter: username");
    return STATUS_OK;
}

/* The id of an object that must be there. */
static Status given_id(enum def_kind k, yyjson_val *given, Id *ret, struct err *err)
{
    yyjson_val *id = json_get(given, "id");

    if (k == DEF_USER)
        return user_id(given, ret, err);
    if (!id || yyjson_is_null(id))
        return err_set(err, STATUS_INVALID, "id", "Missing parameter: id");
    if (!yyjson_is_str(id))
        return err_set(err, STATUS_INVALID, "id", "Malformed parameter: id (ID not a string)");
    if (json_val_str(id).n == 0)
        return err_set(err, STATUS_INVALID, "id", "Missing parameter: id");
    if (!str_is_id(json_val_str(id)) || !id_from_str(json_val_str(id), ret))
        return err_set(err, STATUS_INVALID, "id", "Malformed parameter: id");
    return STATUS_OK;
}

Status defs_create(struct defs *d, enum def_kind k, yyjson_val *given, const struct actor *by,
                   Usec now, DefsFn fn, void *arg, struct err *err)
{
    const struct call call = { CHANGE_CREATE, false, given, by, now, fn, arg };
    Id id;
    Status st = STATUS_OK;

    if (k != DEF_USER && !json_truthy(json_get(given, "id")))
        id = defs_new_id(d, k, now);
    else
        st = given_id(k, given, &id, err);
    if (!st && schema_is_reserved(id_str(&id)))
        st = err_set(err, STATUS_INVALID, "id", "Malformed parameter: id (reserved word)");
    if (!st && d->kinds[k].by_id.n >= DEFS_COUNT_MAX)
        st = err_set(err, STATUS_FULL, NULL, "there are %u %s already", (unsigned)DEFS_COUNT_MAX,
                     def_kind_row(k)->plural);
    if (st)
        return st;
    struct entry *e = defs_entry_make(d, k, id_str(&id));
    if (!e)
        return no_memory(err);
    st = change_start(d, e, &call, err);
    defs_entry_settle(d, e);
    return st;
}

static Status change_existing(struct defs *d, enum def_kind k, const Id *id,
                              const struct call *call, struct err *err)
{
    struct entry *e = defs_entry(d, k, id_str(id));

    if (!e)
        return err_set(err, STATUS_MISSING, "id", "Item not found: %s", id->z);
    Status st = change_start(d, e, call, err);
    defs_entry_settle(d, e);
    return st;
}

Status defs_update(struct defs *d, enum def_kind k, yyjson_val *given, const struct actor *by,
                   Usec now, DefsFn fn, void *arg, struct err *err)
{
    const struct call call = { CHANGE_UPDATE, false, given, by, now, fn, arg };
    Id id;

    Status st = given_id(k, given, &id, err);
    return st ? st : change_existing(d, k, &id, &call, err);
}

Status defs_delete(struct defs *d, enum def_kind k, struct str id, const struct actor *by, Usec now,
                   DefsFn fn, void *arg, struct err *err)
{
    const struct call call = { CHANGE_DELETE, false, NULL, by, now, fn, arg };
    Id key;

    if (k == DEF_USER ? !defs_user_id(id, &key) : !id_from_str(id, &key))
        return err_set(err, STATUS_MISSING, "id", "Item not found: %.*s",
                       STR_FMT(str_slice(id, 0, ID_MAX)));
    return change_existing(d, k, &key, &call, err);
}

/* ---- re-ordering ---- */

struct multi {
    size_t left; /* parts on their way, and one while they are being started */
    Status st;
    struct err err;
    DefsFn fn;
    void *arg;
};

static void multi_part(struct multi *m, Status st, const struct err *err)
{
    if (st && !m->st) {
        m->st = st;
        if (err)
            m->err = *err;
    }
    if (--m->left > 0)
        return;
    if (m->fn)
        m->fn(m->arg, m->st, NULL, m->st ? &m->err : NULL);
    free(m);
}

static void multi_item_done(void *arg, Status st, const struct def *def, const struct err *err)
{
    (void)def;
    multi_part(arg, st, err);
}

static void multi_activity_done(void *arg, Status st, const struct err *err)
{
    multi_part(arg, st, err);
}

static void multi_item(struct multi *m, struct defs *d, enum def_kind k, yyjson_val *item,
                       const struct actor *by, Usec now)
{
    const struct call call = { CHANGE_UPDATE, true, item, by, now, multi_item_done, m };
    struct err err = { .code = STATUS_OK };
    Id id;

    if (given_id(k, item, &id, NULL) || !defs_find(d, k, id_str(&id)))
        return;
    m->left++;
    const Status st = change_existing(d, k, &id, &call, &err);
    if (st)
        multi_part(m, st, &err);
}

Status defs_multi_update(struct defs *d, enum def_kind k, yyjson_val *items, const struct actor *by,
                         Usec now, DefsFn fn, void *arg, struct err *err)
{
    yyjson_val *item;
    yyjson_arr_iter it;

    if (!yyjson_is_arr(items) || yyjson_arr_size(items) == 0)
        return err_set(err, STATUS_INVALID, "items", "Missing parameter: items");
    struct store_tx *tx = store_tx_new(d->store);
    struct multi *m = calloc(1, sizeof *m);
    Status st = tx && m ? record_multi(d, k, items, by, now, tx, err) : no_memory(err);
    if (st) {
        store_tx_free(tx);
        free(m);
        return st;
    }
    m->fn = fn;
    m->arg = arg;
    m->left = 1;
    st = store_commit(d->store, tx, multi_activity_done, m, err);
    if (st) {
        free(m);
        return st;
    }
    m->left++;
    yyjson_arr_iter_init(items, &it);
    for (item = yyjson_arr_iter_next(&it); item; item = yyjson_arr_iter_next(&it))
        multi_item(m, d, k, item, by, now);
    multi_part(m, STATUS_OK, NULL);
    return STATUS_OK;
}
