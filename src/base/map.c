/* map: open addressing with linear probing, bytes -> pointer.
 *
 * The one idea: the hash of a slot doubles as its state (0 free, 1 removed, others taken), so
 * probing touches the key only when the hashes agree. Growing also sweeps out the removed ones;
 * removing never moves anything, which is what lets a walk delete. */
#include "base/map.h"

#include <assert.h>
#include <stdlib.h>

#define MAP_FIRST 16u

enum { SLOT_FREE, SLOT_REMOVED, SLOT_TAKEN };

struct map_slot {
    uint64_t hash; /* SLOT_FREE, SLOT_REMOVED, or >= SLOT_TAKEN */
    struct str key;
    void *value;
};

void map_init(struct map *m, uint64_t seed)
{
    *m = (struct map){ .seed = seed };
}

void map_done(struct map *m)
{
    free(m->slots);
    map_init(m, m->seed);
}

static uint64_t hash_of(const struct map *m, struct str key)
{
    const uint64_t h = str_hash(key, m->seed);

    return h < SLOT_TAKEN ? h + SLOT_TAKEN : h;
}

static struct map_slot *find(const struct map *m, struct str key, uint64_t hash)
{
    if (m->cap == 0)
        return NULL;
    for (size_t i = hash & (m->cap - 1);; i = (i + 1) & (m->cap - 1)) {
        struct map_slot *s = &m->slots[i];

        if (s->hash == SLOT_FREE)
            return NULL;
        if (s->hash == hash && str_eq(s->key, key))
            return s;
    }
}

/* The first slot on the way of hash that is not taken. */
static struct map_slot *vacant(struct map_slot *slots, size_t cap, uint64_t hash)
{
    size_t i = hash & (cap - 1);

    while (slots[i].hash >= SLOT_TAKEN)
        i = (i + 1) & (cap - 1);
    return &slots[i];
}

static Status grow(struct map *m)
{
    /* many removed ones: the same size again is enough */
    const size_t cap = m->cap == 0 ? MAP_FIRST : m->n >= m->cap / 2 ? 2 * m->cap : m->cap;
    struct map_slot *slots = calloc(cap, sizeof *slots);

    if (!slots)
        return STATUS_NOMEM;
    for (size_t i = 0; i < m->cap; i++) {
        if (m->slots[i].hash >= SLOT_TAKEN)
            *vacant(slots, cap, m->slots[i].hash) = m->slots[i];
    }
    free(m->slots);
    m->slots = slots;
    m->cap = cap;
    m->used = m->n;
    return STATUS_OK;
}

void *map_get(const struct map *m, struct str key)
{
    const struct map_slot *s = find(m, key, hash_of(m, key));

    return s ? s->value : NULL;
}

Status map_put(struct map *m, struct str key, void *value, void **ret_old)
{
    const uint64_t hash = hash_of(m, key);
    struct map_slot *s = find(m, key, hash);
    Status st;

    assert(value);
    if (s) {
        if (ret_old)
            *ret_old = s->value;
        s->key = key; /* the earlier key may die with the earlier value */
        s->value = value;
        return STATUS_OK;
    }
    if ((m->used + 1) * 4 > m->cap * 3) {
        st = grow(m);
        if (st)
            return st;
    }
    s = vacant(m->slots, m->cap, hash);
    if (s->hash == SLOT_FREE)
        m->used++;
    *s = (struct map_slot){ .hash = hash, .key = key, .value = value };
    m->n++;
    if (ret_old)
        *ret_old = NULL;
    return STATUS_OK;
}

void *map_del(struct map *m, struct str key)
{
    struct map_slot *s = find(m, key, hash_of(m, key));
    void *value;
    size_t next;

    if (!s)
        return NULL;
    value = s->value;
    next = ((size_t)(s - m->slots) + 1) & (m->cap - 1);
    *s = (struct map_slot){ .hash = SLOT_REMOVED };
    m->n--;
    if (m->slots[next].hash == SLOT_FREE) { /* the end of a run: nobody probes past it */
        s->hash = SLOT_FREE;
        m->used--;
    }
    return value;
}

bool map_next(const struct map *m, size_t *cursor, struct str *ret_key, void **ret_value)
{
    while (*cursor < m->cap) {
        const struct map_slot *s = &m->slots[(*cursor)++];

        if (s->hash < SLOT_TAKEN)
            continue;
        if (ret_key)
            *ret_key = s->key;
        if (ret_value)
            *ret_value = s->value;
        return true;
    }
    return false;
}
