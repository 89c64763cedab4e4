/* Placement: which server runs a job (reference/job-engine.md 3). The order of candidates is the
 * order of the targets, members of a group in connect order. One group and an algorithm that needs
 * no comparison costs the same whatever the size of the fleet. */
#include "fleet/fleet_int.h"

#include <stdlib.h>

struct fleet_robin {
    Id event;
    size_t next;
};

static bool has_room(const struct fleet *f, const struct fleet_server *s)
{
    int64_t most = s->max_jobs;

    for (size_t i = 0; most <= 0 && i < s->n_groups; i++) {
        const struct def *group = defs_find(f->config.defs, DEF_GROUP, id_str(&s->groups[i]));

        if (group && str_find(group->json, STR("max_jobs_per_server")) < group->json.n) {
            AUTO(arena_free) struct arena *a = arena_new(1024u * 1024);
            int64_t limit = a ? json_i64(def_parse(group, a), "max_jobs_per_server", 0) : 0;

            if (limit > 0 && (most <= 0 || limit < most))
                most = limit;
        }
    }
    return most <= 0 || (int64_t)s->jobs < most;
}

static bool usable(const struct fleet *f, const struct fleet_server *s)
{
    return s->online && s->enabled && has_room(f, s);
}

static void candidate_add(struct fleet *f, struct vec *all, struct fleet_server *s)
{
    if (!usable(f, s))
        return;
    for (size_t i = 0; i < all->n; i++) {
        if (all->at[i] == s)
            return;
    }
    (void)!vec_push(all, s);
}

static void collect(struct fleet *f, yyjson_val *targets, struct vec *all)
{
    size_t i, max;
    yyjson_val *target;

    yyjson_arr_foreach (targets, i, max, target) {
        struct str id = json_val_str(target);
        struct fleet_server *s = id.n ? fleet_server_get(f, id) : NULL;
        struct fleet_members *m;

        if (s && s->online) {
            candidate_add(f, all, s);
            continue;
        }
        m = map_get(&f->groups, id);
        for (size_t k = 0; m && k < m->servers.n; k++)
            candidate_add(f, all, m->servers.at[k]);
    }
}

static int by_title(const struct fleet_server *a, const struct fleet_server *b)
{
    return strcasecmp(a->title.n ? a->title.p : a->hostname, b->title.n ? b->title.p : b->hostname);
}

/* < 0: a is better. */
static int compare(struct str algo, const struct fleet_server *a, const struct fleet_server *b)
{
    if (str_eq_z(algo, "prefer_first"))
        return by_title(a, b);
    if (str_eq_z(algo, "prefer_last"))
        return -by_title(a, b);
    if (str_eq_z(algo, "least_cpu"))
        return (a->load1 > b->load1) - (a->load1 < b->load1);
    if (str_eq_z(algo, "least_mem"))
        return (a->mem_active > b->mem_active) - (a->mem_active < b->mem_active);
    return (a->jobs > b->jobs) - (a->jobs < b->jobs); /* fewest_jobs */
}

static size_t robin_next(struct fleet *f, struct str event, size_t n)
{
    struct fleet_robin *r = map_get(&f->robins, event);
    size_t at;

    if (!r) {
        r = calloc(1, sizeof(*r));
        if (!r || !id_from_str(event, &r->event) ||
            map_put(&f->robins, id_str(&r->event), r, NULL) != STATUS_OK) {
            free(r);
            return 0;
        }
    }
    at = r->next % n;
    r->next = (at + 1) % n;
    return at;
}

/* The common case without a list: one group, any member. */
static struct fleet_server *random_member(struct fleet *f, yyjson_val *targets)
{
    struct fleet_members *m = map_get(&f->groups, json_val_str(yyjson_arr_get_first(targets)));
    size_t from;

    if (!m || m->servers.n == 0)
        return NULL;
    from = (size_t)rng_below(&f->rng, m->servers.n);
    for (size_t i = 0; i < m->servers.n; i++) {
        struct fleet_server *s = m->servers.at[(from + i) % m->servers.n];

        if (usable(f, s))
            return s;
    }
    return NULL;
}

static bool is_comparing(struct str algo)
{
    return str_eq_z(algo, "prefer_first") || str_eq_z(algo, "prefer_last") ||
           str_eq_z(algo, "least_cpu") || str_eq_z(algo, "least_mem") ||
           str_eq_z(algo, "fewest_jobs");
}

static struct fleet_server *pick(struct fleet *f, struct vec *all, struct str algo,
                                 struct str event)
{
    struct fleet_server *best;

    if (str_eq_z(algo, "prefer_first_natural"))
        return all->at[0];
    if (str_eq_z(algo, "prefer_last_natural"))
        return all->at[all->n - 1];
    if (str_eq_z(algo, "round_robin"))
        return all->at[robin_next(f, event, all->n)];
    if (!is_comparing(algo))
        return all->at[rng_below(&f->rng, all->n)];
    best = all->at[0];
    for (size_t i = 1; i < all->n; i++) {
        if (compare(algo, all->at[i], best) < 0)
            best = all->at[i];
    }
    return best;
}

Id fleet_choose(struct fleet *f, yyjson_val *targets, struct str algo, struct str event)
{
    struct fleet_server *s = NULL;
    struct vec all = { 0 };

    if (yyjson_arr_size(targets) == 1 && str_eq_z(algo, "random") &&
        !fleet_server_get(f, json_val_str(yyjson_arr_get_first(targets)))) {
        s = random_member(f, targets);
    } else {
        collect(f, targets, &all);
        if (all.n)
            s = pick(f, &all, algo, event);
        vec_done(&all);
    }
    return s ? s->id : (Id){ "" };
}

void fleet_count_job(struct fleet *f, const Id *server, int delta)
{
    struct fleet_server *s = fleet_server_get(f, id_str(server));

    if (!s)
        return;
    if (delta > 0)
        s->jobs++;
    else if (s->jobs)
        s->jobs--;
}
