/* The hash table behind json_keys: open addressing over the keys of one object, built once, at most
 * half full, thrown away after use. The seed differs from process to process by where the table
 * lies in memory, which is all that is needed against chosen collisions in one pass. */
#include "json/keys.h"

#include <stdint.h>
#include <stdlib.h>

static struct str key_str(yyjson_val *key)
{
    return str_n(yyjson_get_str(key), yyjson_get_len(key));
}

/* The slot that holds a key equal to `key`, or the free one where it would go. */
static size_t slot_of(const struct json_keys *k, struct str key)
{
    size_t i = str_hash(key, k->seed) & (k->cap - 1);

    while (k->slots[i] && !str_eq(key_str(k->slots[i]), key))
        i = (i + 1) & (k->cap - 1);
    return i;
}

bool json_keys_init(struct json_keys *k, yyjson_val *obj)
{
    const size_t n = yyjson_obj_size(obj);
    yyjson_obj_iter it = yyjson_obj_iter_with(obj);
    yyjson_val *key;

    *k = (struct json_keys){ .obj = obj };
    if (n <= JSON_KEYS_LINEAR_MAX)
        return true;
    for (k->cap = 16; k->cap < 2 * n; k->cap *= 2)
        continue;
    k->slots = calloc(k->cap, sizeof(yyjson_val *));
    if (!k->slots)
        return false;
    k->seed = (uint64_t)(uintptr_t)k->slots;
    while ((key = yyjson_obj_iter_next(&it)) != NULL) {
        const size_t i = slot_of(k, key_str(key));

        if (!k->slots[i])
            k->slots[i] = key;
    }
    return true;
}

void json_keys_done(struct json_keys *k)
{
    free((void *)k->slots);
    *k = (struct json_keys){ 0 };
}

yyjson_val *json_keys_find(const struct json_keys *k, struct str key)
{
    yyjson_obj_iter it;
    yyjson_val *each;

    if (k->slots)
        return k->slots[slot_of(k, key)];
    it = yyjson_obj_iter_with(k->obj);
    while ((each = yyjson_obj_iter_next(&it)) != NULL) {
        if (str_eq(key_str(each), key))
            return each;
    }
    return NULL;
}
