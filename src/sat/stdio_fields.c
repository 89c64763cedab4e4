/* The record of a job as the job itself writes it: keys with JSON text, merged message by message,
 * and the pushes that wait for delivery. Everything is bounded; what does not fit is dropped with a
 * row that says so. */
#include <math.h>

#include "sat/stdio_int.h"

#define PUSHES_MAX 10000u

struct stdio_field *stdio_field_find(const struct stdio_parser *p, struct str key)
{
    for (size_t i = 0; i < p->n_fields; i++) {
        if (str_eq_z(key, p->fields[i].key))
            return &p->fields[i];
    }
    return NULL;
}

/* What the end of a job needs always has room. */
static bool is_essential(struct str key)
{
    static const char *const keys[] = { "code",    "description", "complete", "progress",
                                        "unknown", "html",        "redraw" };

    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        if (str_eq_z(key, keys[i]))
            return true;
    }
    return false;
}

static struct stdio_field *field_add(struct stdio_parser *p, struct str key)
{
    struct stdio_field *at;

    if (p->n_fields >= STDIO_FIELDS_MAX && !is_essential(key))
        return NULL;
    at = realloc(p->fields, (p->n_fields + 1) * sizeof(*at));
    if (!at)
        return NULL;
    p->fields = at;
    at += p->n_fields;
    *at = (struct stdio_field){ .key = strndup(key.p, key.n) };
    if (!at->key)
        return NULL;
    p->n_fields++;
    return at;
}

void stdio_field_set(struct stdio_parser *p, struct str key, struct str text)
{
    struct stdio_field *f = stdio_field_find(p, key);
    char *copy;

    if (text.n > STDIO_FIELD_MAX ||
        (p->field_bytes + text.n > STDIO_BYTES_MAX && !is_essential(key))) {
        stdio_warn(p, "WARNING: Value is too large and was dropped: %.*s", STR_FMT(key));
        return;
    }
    if (!f)
        f = field_add(p, key);
    copy = f ? strndup(text.p, text.n) : NULL;
    if (!copy) {
        stdio_warn(p, "WARNING: Too many values, one was dropped: %.*s", STR_FMT(key));
        return;
    }
    p->field_bytes = p->field_bytes - f->n + text.n;
    free(f->text);
    f->text = copy;
    f->n = text.n;
    f->dirty = true;
}

void stdio_field_set_val(struct stdio_parser *p, struct str key, yyjson_val *v)
{
    AUTO_BUF struct buf text = { 0 };

    buf_init(&text, STDIO_FIELD_MAX + 1);
    if (json_text(v, false, &text) != STATUS_OK) {
        stdio_warn(p, "WARNING: Value is too large and was dropped: %.*s", STR_FMT(key));
        return;
    }
    stdio_field_set(p, key, buf_str(&text));
}

void stdio_field_remove(struct stdio_parser *p, const char *key)
{
    struct stdio_field *f = stdio_field_find(p, str_z(key));

    if (!f)
        return;
    p->field_bytes -= f->n;
    free(f->key);
    free(f->text);
    *f = p->fields[--p->n_fields];
}

/* The stored value in the arena of the object at hand; NULL when there is none. */
static yyjson_val *field_parse(const struct stdio_parser *p, const char *key)
{
    const struct stdio_field *f = stdio_field_find(p, str_z(key));
    yyjson_val *root = NULL;

    if (!f ||
        json_parse_in(p->arena, str_n(f->text, f->n), STDIO_FIELD_MAX, &root, NULL) != STATUS_OK)
        return NULL;
    return root;
}

static void put_items(struct json_writer *w, yyjson_val *array)
{
    size_t i, max;
    yyjson_val *v;

    yyjson_arr_foreach (array, i, max, v)
        json_put_val(w, NULL, v);
}

void stdio_field_merge(struct stdio_parser *p, const char *key, yyjson_val *changes)
{
    yyjson_val *old = field_parse(p, key);
    AUTO_BUF struct buf text = { 0 };
    struct json_writer w;
    size_t i, max;
    yyjson_val *k, *v;

    if (!old) {
        stdio_field_set_val(p, str_z(key), changes);
        return;
    }
    buf_init(&text, STDIO_FIELD_MAX + 1);
    w = json_writer_init(&text);
    json_obj(&w, NULL);
    yyjson_obj_foreach (old, i, max, k, v) {
        yyjson_val *fresh = json_get_str(changes, json_val_str(k));

        if (yyjson_is_arr(v) && yyjson_is_arr(fresh)) {
            json_arr(&w, yyjson_get_str(k));
            put_items(&w, v);
            put_items(&w, fresh);
            json_end(&w);
        } else {
            json_put_val_k(&w, json_val_str(k), fresh ? fresh : v);
        }
    }
    yyjson_obj_foreach (changes, i, max, k, v) {
        if (!json_get_str(old, json_val_str(k)))
            json_put_val_k(&w, json_val_str(k), v);
    }
    json_end(&w);
    if (text.failed)
        stdio_warn(p, "WARNING: Value is too large and was dropped: %s", key);
    else
        stdio_field_set(p, str_z(key), buf_str(&text));
}

void stdio_field_append(struct stdio_parser *p, const char *key, yyjson_val *items)
{
    AUTO_BUF struct buf text = { 0 };
    struct json_writer w;

    buf_init(&text, STDIO_FIELD_MAX + 1);
    w = json_writer_init(&text);
    json_arr(&w, NULL);
    put_items(&w, field_parse(p, key));
    put_items(&w, items);
    json_end(&w);
    if (text.failed)
        stdio_warn(p, "WARNING: Value is too large and was dropped: %s", key);
    else
        stdio_field_set(p, str_z(key), buf_str(&text));
}

/* Pushes */

void stdio_push_add(struct stdio_parser *p, yyjson_val *push)
{
    static const char *const own[] = { "files", NULL };
    AUTO_BUF struct buf text = { 0 };
    struct json_writer w;
    struct stdio_push *at;

    buf_init(&text, STDIO_FIELD_MAX);
    w = json_writer_init(&text);
    json_obj(&w, NULL);
    json_put_members(&w, push, own);
    json_end(&w);
    if (str_eq_z(buf_str(&text), "{}"))
        return;
    p->push_n++;
    if (p->push_n <= p->config.push_from)
        return;
    at = p->n_pushes < PUSHES_MAX ? realloc(p->pushes, (p->n_pushes + 1) * sizeof(*at)) : NULL;
    if (!at || text.failed) {
        p->pushes = at ? at : p->pushes;
        stdio_warn(p, "WARNING: Push is too large and was dropped");
        return;
    }
    p->pushes = at;
    at += p->n_pushes;
    at->n = text.n;
    at->text = buf_take(&text, NULL);
    if (!at->text)
        return;
    p->push_bytes += at->n;
    p->n_pushes++;
}

static void pushes_drop(struct stdio_parser *p)
{
    for (size_t i = 0; i < p->n_pushes; i++)
        free(p->pushes[i].text);
    free(p->pushes);
    p->pushes = NULL;
    p->n_pushes = 0;
    p->push_bytes = 0;
}

static bool key_in_earlier(yyjson_val *const *roots, size_t n, struct str key)
{
    for (size_t i = 0; i < n; i++) {
        if (json_get_str(roots[i], key))
            return true;
    }
    return false;
}

/* One "push" with, per key, the items of all that wait. */
static void pushes_put(struct stdio_parser *p, struct json_writer *w)
{
    AUTO(arena_free) struct arena *a = arena_new((size_t)STDIO_FIELD_MAX * 16);
    yyjson_val **roots = a ? arena_zalloc(a, p->n_pushes * sizeof(*roots)) : NULL;
    size_t i, max;
    yyjson_val *k, *v;

    json_obj(w, "push");
    for (size_t n = 0; roots && n < p->n_pushes; n++) {
        const struct str text = str_n(p->pushes[n].text, p->pushes[n].n);

        (void)!json_parse_in(a, text, STDIO_FIELD_MAX, &roots[n], NULL);
    }
    for (size_t n = 0; roots && n < p->n_pushes; n++) {
        if (!roots[n])
            continue;
        yyjson_obj_foreach (roots[n], i, max, k, v) {
            const struct str key = json_val_str(k);

            if (key_in_earlier(roots, n, key))
                continue;
            json_arr(w, yyjson_get_str(k));
            for (size_t m = n; m < p->n_pushes; m++)
                put_items(w, json_get_str(roots[m], key));
            json_end(w);
        }
    }
    json_end(w);
    json_put_u64(w, "push_n", p->push_n);
}

uint32_t stdio_pushes(const struct stdio_parser *p)
{
    return p->push_n;
}

/* Handing out */

bool stdio_has_changes(const struct stdio_parser *p)
{
    if (p->n_pushes)
        return true;
    for (size_t i = 0; i < p->n_fields; i++) {
        if (p->fields[i].dirty)
            return true;
    }
    return false;
}

bool stdio_is_urgent(const struct stdio_parser *p)
{
    return p->push_bytes > STDIO_PUSH_MAX || p->n_pushes > PUSHES_MAX / 2;
}

/* Output files are the satellite's business until they are uploaded. */
static bool withheld(const struct stdio_parser *p, const char *key)
{
    return !p->config.runner && strcmp(key, "files") == 0;
}

void stdio_put_changes(struct stdio_parser *p, struct json_writer *w)
{
    for (size_t i = 0; i < p->n_fields; i++) {
        struct stdio_field *f = &p->fields[i];

        if (f->dirty && !withheld(p, f->key))
            json_put_raw(w, f->key, str_n(f->text, f->n));
        f->dirty = false;
    }
    if (p->n_pushes)
        pushes_put(p, w);
    pushes_drop(p);
}

void stdio_redeliver(struct stdio_parser *p)
{
    for (size_t i = 0; i < p->n_fields; i++)
        p->fields[i].dirty = true;
}

void stdio_put_fields(const struct stdio_parser *p, struct json_writer *w)
{
    static const char *const own[] = { "code", "description", "complete", "progress", "status" };

    for (size_t i = 0; i < p->n_fields; i++) {
        const struct stdio_field *f = &p->fields[i];
        bool skip = withheld(p, f->key);

        for (size_t k = 0; k < COUNT_OF(own); k++)
            skip |= strcmp(f->key, own[k]) == 0;
        if (!skip)
            json_put_raw(w, f->key, str_n(f->text, f->n));
    }
}

struct str stdio_field(const struct stdio_parser *p, const char *key)
{
    const struct stdio_field *f = stdio_field_find(p, str_z(key));

    return f ? str_n(f->text, f->n) : STR_NONE;
}

struct str stdio_files(const struct stdio_parser *p)
{
    const struct str text = p->config.runner ? STR_NONE : stdio_field(p, "files");

    return text.p ? text : STR("[]");
}

void stdio_fields_done(struct stdio_parser *p)
{
    for (size_t i = 0; i < p->n_fields; i++) {
        free(p->fields[i].key);
        free(p->fields[i].text);
    }
    free(p->fields);
    p->fields = NULL;
    p->n_fields = 0;
    pushes_drop(p);
}
