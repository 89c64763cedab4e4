/* Server records: what is known of every machine ever seen. Settings that people make are a JSON
 * object kept as text; the few fields that placement needs are typed beside it. A record is written
 * whole. */
#include "fleet/fleet_int.h"

#include <stdlib.h>

#define SERVER_GROUPS_MAX 256u

Status fleet_str_set(struct str *dst, struct str src)
{
    char *copy = malloc(src.n + 1);

    if (!copy)
        return STATUS_NOMEM;
    if (src.n)
        memcpy(copy, src.p, src.n);
    copy[src.n] = '\0';
    free((void *)(uintptr_t)dst->p);
    *dst = str_n(copy, src.n);
    return STATUS_OK;
}

struct fleet_server *fleet_server_get(struct fleet *f, struct str id)
{
    return map_get(&f->servers, id);
}

static void server_free(struct fleet_server *s)
{
    free((void *)(uintptr_t)s->title.p);
    free((void *)(uintptr_t)s->json.p);
    free((void *)(uintptr_t)s->info.p);
    free(s->groups);
    free(s);
}

struct fleet_server *fleet_server_add(struct fleet *f, struct str id, struct err *err)
{
    struct fleet_server *s;

    if (f->servers.n >= FLEET_SERVERS_MAX) {
        (void)err_set(err, STATUS_FULL, NULL, "There are %u servers already, the limit.",
                      (unsigned)FLEET_SERVERS_MAX);
        return NULL;
    }
    s = calloc(1, sizeof(*s));
    if (!s || !id_from_str(id, &s->id) ||
        map_put(&f->servers, id_str(&s->id), s, NULL) != STATUS_OK) {
        (void)err_set(err, STATUS_NOMEM, NULL, "Out of memory.");
        free(s);
        return NULL;
    }
    s->enabled = true;
    s->auto_group = true;
    s->load1 = -1;
    s->mem_active = -1;
    return s;
}

void fleet_server_drop(struct fleet *f, struct fleet_server *s)
{
    (void)map_del(&f->servers, id_str(&s->id));
    server_free(s);
}

static void set_groups(struct fleet_server *s, const Id *ids, size_t n)
{
    Id *copy = n ? malloc(n * sizeof(*copy)) : NULL;

    if (n && !copy)
        return; /* keeps the old list: better than none */
    if (n)
        memcpy(copy, ids, n * sizeof(*copy));
    free(s->groups);
    s->groups = copy;
    s->n_groups = n;
}

Status fleet_server_set_json(struct fleet_server *s, yyjson_val *settings, struct err *err)
{
    static const char *const typed[] = { "id",       "hostname",  "ip",       "info", "online",
                                         "modified", "socket_id", "keywords", NULL };
    AUTO_BUF struct buf text = { 0 };
    struct json_writer w;
    yyjson_val *groups = json_get(settings, "groups");
    Id ids[SERVER_GROUPS_MAX];
    size_t n = 0, i, max;
    yyjson_val *item;

    buf_init(&text, FLEET_MESSAGE_MAX);
    w = json_writer_init(&text);
    json_obj(&w, NULL);
    json_put_members(&w, settings, typed);
    json_end(&w);
    if (text.failed || fleet_str_set(&s->json, buf_str(&text)) != STATUS_OK ||
        fleet_str_set(&s->title, json_str(settings, "title")) != STATUS_OK)
        return err_set(err, STATUS_NOMEM, NULL, "Out of memory.");
    s->enabled = json_bool(settings, "enabled", true);
    s->auto_group = json_bool(settings, "autoGroup", true);
    s->max_jobs = json_i64(settings, "maxJobs", 0);
    s->created = usec_from_epoch(json_double(settings, "created", 0));
    yyjson_arr_foreach (groups, i, max, item) {
        if (n < SERVER_GROUPS_MAX && id_from_str(json_val_str(item), &ids[n]) && ids[n].z[0])
            n++;
    }
    set_groups(s, ids, n);
    return STATUS_OK;
}

void fleet_server_regroup(struct fleet *f, struct fleet_server *s)
{
    Id ids[SERVER_GROUPS_MAX];
    size_t n = 0;
    bool online = s->online;

    if (online)
        fleet_members_remove(f, s);
    if (!s->auto_group) { /* deleted groups fall out; the last one gone makes it automatic again */
        for (size_t i = 0; i < s->n_groups; i++) {
            if (defs_find(f->config.defs, DEF_GROUP, id_str(&s->groups[i])))
                ids[n++] = s->groups[i];
        }
        if (n == 0)
            s->auto_group = true;
    }
    if (s->auto_group)
        n = fleet_groups_match(f, str_z(s->hostname), ids, SERVER_GROUPS_MAX);
    set_groups(s, ids, n);
    if (online)
        fleet_members_add(f, s);
}

void fleet_server_online(struct fleet *f, struct fleet_server *s, bool online)
{
    if (s->online == online)
        return;
    s->online = online;
    if (online) {
        if (vec_push(&f->online, s) != STATUS_OK)
            s->online = false;
        else
            fleet_members_add(f, s);
        return;
    }
    fleet_members_remove(f, s);
    for (size_t i = 0; i < f->online.n; i++) {
        if (f->online.at[i] == s) {
            vec_remove(&f->online, i);
            break;
        }
    }
    s->load1 = -1;
    s->mem_active = -1;
}

void fleet_server_save(struct fleet *f, const struct fleet_server *s, struct store_tx *tx)
{
    AUTO_BUF struct buf text = { 0 };
    struct json_writer w;
    struct store_value columns[SERVERS_COLUMNS];

    (void)f;
    buf_init(&text, STORE_ROW_MAX);
    w = json_writer_init(&text);
    fleet_put_json(s, &w, NULL);
    columns[SERVERS_HOSTNAME] = store_text(str_z(s->hostname));
    columns[SERVERS_IP] = store_text(str_z(s->ip));
    columns[SERVERS_MODIFIED] = store_int(s->modified / USEC_SEC);
    store_tx_put(tx, TABLE_SERVERS, id_str(&s->id), buf_str(&text), columns, SERVERS_COLUMNS);
}

static void put_keywords(const struct fleet_server *s, struct json_writer *w)
{
    AUTO_BUF struct buf text = { 0 };

    buf_init(&text, 64u * 1024);
    (void)buf_printf(&text, "%s,%s", s->hostname, s->ip);
    for (size_t i = 0; i < s->n_groups; i++)
        (void)buf_printf(&text, ",%s", s->groups[i].z);
    if (s->title.n)
        (void)buf_printf(&text, ",%.*s", STR_FMT(s->title));
    json_put_str(w, "keywords", buf_str(&text));
}

void fleet_put_json(const struct fleet_server *s, struct json_writer *w, const char *key)
{
    static const char *const ours[] = { "groups", "autoGroup", "enabled", "created", NULL };
    yyjson_doc *doc = NULL;

    json_obj(w, key);
    json_put_str(w, "id", id_str(&s->id));
    json_put_z(w, "hostname", s->hostname);
    json_put_z(w, "ip", s->ip);
    if (s->json.n && json_parse(s->json, JSON_SIZE_MAX, &doc, NULL) == STATUS_OK)
        json_put_members(w, yyjson_doc_get_root(doc), ours);
    json_doc_free(doc);
    json_put_bool(w, "enabled", s->enabled);
    json_put_bool(w, "autoGroup", s->auto_group);
    json_arr(w, "groups");
    for (size_t i = 0; i < s->n_groups; i++)
        json_put_str(w, NULL, id_str(&s->groups[i]));
    json_end(w);
    json_put_i64(w, "created", s->created / USEC_SEC);
    json_put_i64(w, "modified", s->modified / USEC_SEC);
    put_keywords(s, w);
    if (s->link)
        json_put_z(w, "socket_id", fleet_link_socket_id(s->link));
    json_put_raw(w, "info", s->info.n ? s->info : STR("{}"));
    json_end(w);
}

bool fleet_in_group(const struct fleet_server *s, struct str group)
{
    for (size_t i = 0; i < s->n_groups; i++) {
        if (str_eq(id_str(&s->groups[i]), group))
            return true;
    }
    return false;
}
