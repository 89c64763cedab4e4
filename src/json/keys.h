/* The keys of one object, looked up quickly. Small objects are searched as they are; from
 * JSON_KEYS_LINEAR_MAX members on a hash table is built, so that nobody can make us compare every
 * key with every other. Of equal keys the first counts, as everywhere in json/. For rooms that walk
 * objects of any size; others use json_get.
 *
 * Owner: the struct owns the table; the object is borrowed. */
#ifndef JSON_KEYS_H
#define JSON_KEYS_H

#include "base/str.h"

#include <stdbool.h>
#include <yyjson.h>

#define JSON_KEYS_LINEAR_MAX 8

struct json_keys {
    yyjson_val *obj;
    yyjson_val **slots; /* keys; NULL for a small object */
    size_t cap;         /* power of two */
    uint64_t seed;
};

/* obj may be NULL or no object: then nothing is found. False when out of memory. */
bool json_keys_init(struct json_keys *k, yyjson_val *obj);
void json_keys_done(struct json_keys *k);

/* The first key equal to `key`, or NULL. Its value: yyjson_obj_iter_get_val. */
yyjson_val *json_keys_find(const struct json_keys *k, struct str key);

#endif
