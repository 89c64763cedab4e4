/* A small ordered map of environment variables; see env.h. */
#include "sat/env.h"

#include <ctype.h>

#include "json/writer.h"

void env_init(struct env *e, struct arena *a)
{
    *e = (struct env){ .a = a };
    map_init(&e->index, 0);
}

void env_done(struct env *e)
{
    map_done(&e->index);
    free(e->at);
}

static bool name_usable(struct str name)
{
    return name.n > 0 && !memchr(name.p, '=', name.n) && !memchr(name.p, 0, name.n);
}

static bool grow(struct env *e)
{
    const size_t cap = e->cap ? e->cap * 2 : 64;
    const char **at;

    if (e->n + 1 < e->cap)
        return true;
    if (e->n + 1 >= PROC_ENV_MAX)
        return false;
    at = realloc(e->at, cap * sizeof(*at));
    if (!at)
        return false;
    e->at = at;
    e->cap = cap;
    return true;
}

void env_set(struct env *e, struct str name, struct str value)
{
    const size_t nul = str_find_char(value, 0);
    struct str entry;
    uintptr_t place;

    value.n = nul;
    if (!name_usable(name))
        return;
    if (name.n + value.n + 2 > ENV_ENTRY_MAX || e->bytes + name.n + value.n + 2 > ENV_BYTES_MAX ||
        !grow(e)) {
        e->skipped++;
        return;
    }
    entry.n = name.n + 1 + value.n;
    entry.p = arena_alloc(e->a, entry.n + 1);
    if (!entry.p) {
        e->skipped++;
        return;
    }
    {
        char *p = (char *)(uintptr_t)entry.p;

        memcpy(p, name.p, name.n);
        p[name.n] = '=';
        if (value.n)
            memcpy(p + name.n + 1, value.p, value.n);
        p[entry.n] = 0;
    }
    place = (uintptr_t)map_get(&e->index, name);
    if (place) {
        e->bytes -= strlen(e->at[place - 1]) + 1;
        e->at[place - 1] = entry.p;
    } else {
        const struct str key = str_n(entry.p, name.n);

        if (map_put(&e->index, key, (void *)(uintptr_t)(e->n + 1), NULL) != STATUS_OK) {
            e->skipped++;
            return;
        }
        e->at[e->n++] = entry.p;
    }
    e->bytes += entry.n + 1;
}

void env_set_val(struct env *e, struct str name, yyjson_val *v)
{
    AUTO_BUF struct buf text = { 0 };

    if (yyjson_is_str(v)) {
        env_set(e, name, json_val_str(v));
        return;
    }
    buf_init(&text, ENV_ENTRY_MAX);
    if (json_text(v, false, &text) == STATUS_OK)
        env_set(e, name, buf_str(&text));
    else
        e->skipped++;
}

void env_set_members(struct env *e, yyjson_val *obj)
{
    size_t i, max;
    yyjson_val *k, *v;

    if (!yyjson_is_obj(obj))
        return;
    yyjson_obj_foreach (obj, i, max, k, v)
        env_set_val(e, json_val_str(k), v);
}

static bool is_word_char(char c)
{
    return c == '_' || (isalnum((unsigned char)c) && (unsigned char)c < 0x80);
}

static struct str clean_name(struct arena *a, const char *prefix, struct str name)
{
    const size_t lead = strlen(prefix);
    char *p = arena_alloc(a, lead + name.n + 1);
    size_t n = lead;
    bool run = false;

    if (!p)
        return STR_NONE;
    memcpy(p, prefix, lead);
    for (size_t i = 0; i < name.n; i++) {
        if (is_word_char(name.p[i]))
            p[n++] = name.p[i];
        else if (!run)
            p[n++] = '_';
        run = !is_word_char(name.p[i]);
    }
    return str_n(p, n);
}

void env_set_cleaned(struct env *e, const char *prefix, yyjson_val *obj)
{
    size_t i, max;
    yyjson_val *k, *v;

    if (!yyjson_is_obj(obj))
        return;
    yyjson_obj_foreach (obj, i, max, k, v)
        env_set_val(e, clean_name(e->a, prefix, json_val_str(k)), v);
}

const char *env_get(const struct env *e, const char *name)
{
    const uintptr_t place = (uintptr_t)map_get(&e->index, str_z(name));

    return place ? e->at[place - 1] + strlen(name) + 1 : NULL;
}

/* PATH */

static void path_add(struct buf *path, struct str dir)
{
    struct str rest = buf_str(path);
    struct str part;

    while (str_split(&rest, ':', &part)) {
        if (str_eq(part, dir))
            return;
    }
    if (path->n)
        (void)buf_add_char(path, ':');
    (void)buf_add_str(path, dir);
}

static void set_path(struct env *e, const char *home)
{
    static const char *const usual[] = { "/bin",      "/sbin",          "/usr/bin",
                                         "/usr/sbin", "/usr/local/bin", "/usr/local/sbin" };
    const char *user_home = env_get(e, "HOME");
    const char *old = env_get(e, "PATH");
    struct str rest = str_z(old ? old : "");
    struct str part;
    AUTO_BUF struct buf path = { 0 };

    buf_init(&path, ENV_ENTRY_MAX / 2);
    path_add(&path, arena_printf(e->a, "%s/bin", home));
    path_add(&path,
             arena_printf(e->a, "%s/.local/bin", user_home && *user_home ? user_home : "/root"));
    while (rest.n && str_split(&rest, ':', &part)) {
        if (part.n)
            path_add(&path, part);
    }
    for (size_t i = 0; i < COUNT_OF(usual); i++)
        path_add(&path, str_z(usual[i]));
    env_set(e, STR("PATH"), buf_str(&path));
}

static bool is_ours(struct str name)
{
    return str_starts(name, STR("XYOPS_")) || str_starts(name, STR("XYSAT_")) ||
           str_starts(name, STR("SATELLITE_")) || str_starts(name, STR("ORRERY_"));
}

void env_inherit(struct env *e, const char *const *environment, const char *home)
{
    for (size_t i = 0; environment && environment[i]; i++) {
        struct str value = str_z(environment[i]);
        struct str name;

        if (!memchr(value.p, '=', value.n) || !str_split(&value, '=', &name) || is_ours(name))
            continue;
        env_set(e, name, value);
    }
    set_path(e, home);
}

const char *const *env_list(struct env *e)
{
    if (!grow(e))
        return NULL;
    e->at[e->n] = NULL;
    return e->at;
}
