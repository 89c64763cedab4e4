/* Groups as placement sees them: for each group the online, enabled servers in it, in connect
 * order, so that choosing one of a group costs nothing that grows with the fleet. Also the host
 * name rules. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "fleet/fleet_int.h"

#include <pcre2.h>
#include <stdlib.h>

#define HOST_MATCH_LIMIT                                                                           \
    100000u /* steps of one hostname_match: a runaway pattern just does not match */

static struct fleet_members *members_get(struct fleet *f, const Id *group)
{
    struct fleet_members *m = map_get(&f->groups, id_str(group));

    if (m)
        return m;
    m = calloc(1, sizeof(*m));
    if (!m)
        return NULL;
    m->group = *group;
    if (map_put(&f->groups, id_str(&m->group), m, NULL) != STATUS_OK) {
        free(m);
        return NULL;
    }
    return m;
}

void fleet_members_add(struct fleet *f, struct fleet_server *s)
{
    if (!s->enabled)
        return;
    for (size_t i = 0; i < s->n_groups; i++) {
        struct fleet_members *m = members_get(f, &s->groups[i]);

        if (m)
            (void)!vec_push(&m->servers, s);
    }
}

void fleet_members_remove(struct fleet *f, struct fleet_server *s)
{
    for (size_t i = 0; i < s->n_groups; i++) {
        struct fleet_members *m = map_get(&f->groups, id_str(&s->groups[i]));

        for (size_t k = 0; m && k < m->servers.n; k++) {
            if (m->servers.at[k] == s) {
                vec_remove(&m->servers, k);
                break;
            }
        }
    }
}

void fleet_members_free(struct fleet *f)
{
    size_t cursor = 0;
    void *value;

    while (map_next(&f->groups, &cursor, NULL, &value)) {
        struct fleet_members *m = value;

        vec_done(&m->servers);
        free(m);
    }
    map_done(&f->groups);
}

static bool host_matches(struct str pattern, struct str hostname)
{
    int code = 0;
    PCRE2_SIZE at = 0;
    pcre2_code *re = pcre2_compile((PCRE2_SPTR)pattern.p, pattern.n, PCRE2_UTF, &code, &at, NULL);
    pcre2_match_data *data;
    pcre2_match_context *context;
    bool hit = false;

    if (!re)
        return false;
    data = pcre2_match_data_create(1, NULL);
    context = pcre2_match_context_create(NULL);
    if (data && context) {
        (void)pcre2_set_match_limit(context, HOST_MATCH_LIMIT);
        hit = pcre2_match(re, (PCRE2_SPTR)hostname.p, hostname.n, 0, 0, data, context) >= 0;
    }
    pcre2_match_context_free(context);
    pcre2_match_data_free(data);
    pcre2_code_free(re);
    return hit;
}

size_t fleet_groups_match(const struct fleet *f, struct str hostname, Id *out, size_t max)
{
    AUTO(arena_free) struct arena *a = arena_new(16u * 1024 * 1024);
    size_t n = 0;

    for (size_t i = 0; a && i < defs_count(f->config.defs, DEF_GROUP) && n < max; i++) {
        const struct def *group = defs_at(f->config.defs, DEF_GROUP, i);
        yyjson_val *obj = def_parse(group, a);
        struct str pattern = json_str(obj, "hostname_match");

        if (pattern.n && host_matches(pattern, hostname))
            out[n++] = group->id;
    }
    return n;
}
