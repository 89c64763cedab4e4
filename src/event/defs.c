/* The definitions in memory: maps by id, lists in order of creation, loading, listeners. What is
 * here has been durable before it became visible; how it gets there is change.c.
 *
 * A definition is kept as text. Parsing a kilobyte takes a few microseconds, a parsed tree would
 * take five times the memory. */
#include "event/defs.h"

#include "crypto/crypto.h"
#include "event/defs_int.h"

#include <stdlib.h>

struct listener {
    DefsChangeFn fn;
    void *arg;
};

struct entry *defs_entry(const struct defs *d, enum def_kind k, struct str id)
{
    return map_get(&d->kinds[k].by_id, id);
}

struct entry *defs_entry_make(struct defs *d, enum def_kind k, struct str id)
{
    struct entry *e = defs_entry(d, k, id);

    if (e)
        return e;
    e = calloc(1, sizeof *e);
    if (!e)
        return NULL;
    list_init(&e->waiting);
    e->def.kind = k;
    e->sort_order = -1;
    if (!id_from_str(id, &e->def.id) ||
        map_put(&d->kinds[k].by_id, id_str(&e->def.id), e, NULL) != STATUS_OK) {
        free(e);
        return NULL;
    }
    return e;
}

void defs_entry_settle(struct defs *d, struct entry *e)
{
    if (e->present || e->active || e->pins || !list_empty(&e->waiting))
        return;
    (void)map_del(&d->kinds[e->def.kind].by_id, id_str(&e->def.id));
    free((void *)(uintptr_t)e->def.json.p);
    free(e);
}

void defs_summary(enum def_kind k, yyjson_val *object, struct change *ret)
{
    const bool by_active = k == DEF_USER || k == DEF_API_KEY;

    ret->enabled = json_truthy(json_get(object, by_active ? "active" : "enabled"));
    ret->sort_order = json_i64(object, "sort_order", -1);
    ret->category = (Id){ .z = "" };
    ret->plugin = (Id){ .z = "" };
    if (k != DEF_EVENT)
        return;
    (void)id_from_str(json_str(object, "category"), &ret->category);
    (void)id_from_str(json_str(object, "plugin"), &ret->plugin);
}

static void entry_take(struct entry *e, struct change *c)
{
    free((void *)(uintptr_t)e->def.json.p);
    e->def.json = str_n(c->json, c->json_n);
    c->json = NULL;
    e->def.revision = c->revision;
    e->def.position = c->position;
    e->def.enabled = c->enabled;
    e->def.category = c->category;
    e->def.plugin = c->plugin;
    e->sort_order = c->sort_order;
}

/* Where it lies in the list: rising by position, so by halving. */
static size_t order_find(const struct vec *order, const struct entry *e)
{
    size_t low = 0;
    size_t high = order->n;

    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const struct entry *other = order->at[middle];
        if (other->def.position < e->def.position)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void order_remove(struct vec *order, const struct entry *e)
{
    size_t i = order_find(order, e);

    for (; i < order->n; i++) {
        if (order->at[i] == e) {
            vec_remove(order, i);
            return;
        }
    }
}

/* Creates are committed in the order of their positions, so a new one goes to the end. */
static void order_add(struct vec *order, struct entry *e)
{
    const bool last =
        order->n == 0 || ((struct entry *)order->at[order->n - 1])->def.position <= e->def.position;

    if (vec_push(order, e) != STATUS_OK)
        return; /* out of memory: found by id all the same, in lists after the next start */
    if (last)
        return;
    order->n--;
    const size_t at = order_find(order, e);
    memmove(&order->at[at + 1], &order->at[at], (order->n - at) * sizeof order->at[0]);
    order->at[at] = e;
    order->n++;
}

static void tell(struct defs *d, enum def_kind k, struct str id, const struct def *def)
{
    for (size_t i = 0; i < d->listeners.n; i++) {
        const struct listener *l = d->listeners.at[i];
        l->fn(l->arg, k, id, def);
    }
}

void defs_apply(struct change *c)
{
    struct defs *d = c->d;
    struct entry *e = c->entry;
    struct vec *order = &d->kinds[c->kind].order;

    switch (c->op) {
    case CHANGE_CREATE:
        entry_take(e, c);
        e->present = true;
        order_add(order, e);
        break;
    case CHANGE_UPDATE:
        entry_take(e, c);
        break;
    case CHANGE_DELETE:
        order_remove(order, e);
        e->present = false;
        break;
    }
    tell(d, c->kind, id_str(&e->def.id), e->present ? &e->def : NULL);
}

Status defs_on_change(struct defs *d, DefsChangeFn fn, void *arg)
{
    struct listener *l = malloc(sizeof *l);

    if (!l)
        return STATUS_NOMEM;
    *l = (struct listener){ .fn = fn, .arg = arg };
    Status st = vec_push(&d->listeners, l);
    if (st)
        free(l);
    return st;
}

/* ---- reading ---- */

const struct def *defs_find(const struct defs *d, enum def_kind k, struct str id)
{
    const struct entry *e = defs_entry(d, k, id);
    return e && e->present ? &e->def : NULL;
}

size_t defs_count(const struct defs *d, enum def_kind k)
{
    return d->kinds[k].order.n;
}

const struct def *defs_at(const struct defs *d, enum def_kind k, size_t i)
{
    const struct vec *order = &d->kinds[k].order;
    return i < order->n ? &((const struct entry *)order->at[i])->def : NULL;
}

yyjson_val *def_parse(const struct def *def, struct arena *a)
{
    yyjson_val *root = NULL;
    return json_parse_in(a, def->json, DEFS_OBJECT_MAX, &root, NULL) == STATUS_OK ? root : NULL;
}

bool defs_user_id(struct str username, Id *ret)
{
    Id id = { .z = "" };
    size_t n = 0;

    for (size_t i = 0; i < username.n; i++) {
        char c = username.p[i];
        if (c >= 'A' && c <= 'Z')
            c = (char)(c - 'A' + 'a');
        if (!str_is_word(str_n(&c, 1)))
            continue;
        if (n == ID_MAX)
            return false;
        id.z[n++] = c;
    }
    if (n == 0)
        return false;
    *ret = id;
    return true;
}

Id defs_new_id(struct defs *d, enum def_kind k, Usec now)
{
    return id_new(&d->ids, def_kind_row(k)->id_prefix, now);
}

/* ---- loading ---- */

struct load {
    struct defs *d;
    Status st;
    struct err *err;
};

static Status load_object(struct defs *d, enum def_kind k, struct str id,
                          const struct store_found *row, struct err *err)
{
    AUTO(json_doc_free) yyjson_doc *doc = NULL;
    struct change c = { .d = d, .kind = k };

    Status st = json_parse(row->json, DEFS_OBJECT_MAX, &doc, err);
    if (st)
        return st;
    struct entry *e = defs_entry_make(d, k, id);
    c.json = malloc(row->json.n + 1);
    if (!e || !c.json || vec_push(&d->kinds[k].order, e) != STATUS_OK) {
        free(c.json);
        return err_set(err, STATUS_NOMEM, NULL, "out of memory");
    }
    memcpy(c.json, row->json.p, row->json.n);
    c.json[row->json.n] = '\0';
    c.json_n = row->json.n;
    c.revision = row->columns[DEFS_REVISION].i;
    c.position = row->columns[DEFS_POSITION].i;
    defs_summary(k, yyjson_doc_get_root(doc), &c);
    entry_take(e, &c);
    e->present = true;
    if (c.position >= d->next_position)
        d->next_position = c.position + 1;
    return STATUS_OK;
}

static bool load_row(void *arg, const struct store_found *row)
{
    struct load *l = arg;
    const struct str kind = row->columns[DEFS_KIND].text;
    enum def_kind k = DEF_EVENT;

    if (!kind.p || !def_kind_find(kind, &k))
        return true; /* of a later version: kept, not used */
    const struct str id = str_slice(row->id, kind.n + 1, row->id.n);
    l->st = id.n ? load_object(l->d, k, id, row, l->err)
                 : err_set(l->err, STATUS_CORRUPT, NULL, "a definition without id");
    if (l->st)
        (void)err_wrap(l->err, "definition %.*s", STR_FMT(str_slice(row->id, 0, DEFS_ROW_ID_MAX)));
    return l->st == STATUS_OK;
}

static int by_position(const void *a, const void *b)
{
    const struct entry *const *x = a;
    const struct entry *const *y = b;
    const int64_t p = (*x)->def.position;
    const int64_t q = (*y)->def.position;

    if (p != q)
        return p < q ? -1 : 1;
    return strcmp((*x)->def.id.z, (*y)->def.id.z);
}

Status defs_load(struct store *s, struct defs **ret, struct err *err)
{
    struct defs *d = calloc(1, sizeof *d);
    struct load load = { .d = d, .err = err };

    if (!d)
        return err_set(err, STATUS_NOMEM, NULL, "out of memory");
    d->store = s;
    list_init(&d->active);
    id_source_init(&d->ids, crypto_random_u64());
    for (unsigned k = 0; k < DEF_KIND_COUNT; k++)
        map_init(&d->kinds[k].by_id, crypto_random_u64());
    Status st = store_walk(s, TABLE_DEFS, load_row, &load, err);
    if (!st)
        st = load.st;
    if (st) {
        defs_free(d);
        return st;
    }
    for (unsigned k = 0; k < DEF_KIND_COUNT; k++) {
        const struct vec *order = &d->kinds[k].order;
        if (order->n)
            qsort(order->at, order->n, sizeof order->at[0], by_position);
    }
    *ret = d;
    return STATUS_OK;
}

static void entry_free(struct entry *e)
{
    LIST_EACH_SAFE (it, &e->waiting) {
        change_free(CONTAINER_OF(it, struct change, link));
    }
    free((void *)(uintptr_t)e->def.json.p);
    free(e);
}

void defs_free(struct defs *d)
{
    if (!d)
        return;
    for (unsigned k = 0; k < DEF_KIND_COUNT; k++) {
        size_t cursor = 0;
        struct str id;
        void *entry = NULL;
        while (map_next(&d->kinds[k].by_id, &cursor, &id, &entry))
            entry_free(entry);
        map_done(&d->kinds[k].by_id);
        vec_done(&d->kinds[k].order);
    }
    for (size_t i = 0; i < d->listeners.n; i++)
        free(d->listeners.at[i]);
    vec_done(&d->listeners);
    free(d);
}
