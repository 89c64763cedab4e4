/* Locked parameters (reference/api-operations.md 4.14): a plugin may say that only administrators
 * set some of its parameters; for everybody else the value stays what it was, or the plugin's own.
 */
#include "api/api_int.h"

static bool is_locked(yyjson_val *def)
{
    return json_str(def, "id").n > 0 && json_truthy(json_get(def, "locked"));
}

static bool is_locked_id(yyjson_val *definitions, struct str id)
{
    yyjson_arr_iter it = yyjson_arr_iter_with(definitions);
    yyjson_val *def;

    while ((def = yyjson_arr_iter_next(&it)) != NULL) {
        if (is_locked(def) && str_eq(json_str(def, "id"), id))
            return true;
    }
    return false;
}

bool api_has_locked(yyjson_val *definitions)
{
    yyjson_arr_iter it = yyjson_arr_iter_with(definitions);
    yyjson_val *def;

    while ((def = yyjson_arr_iter_next(&it)) != NULL) {
        if (is_locked(def))
            return true;
    }
    return false;
}

void api_put_locked(struct json_writer *w, const char *key, yyjson_val *definitions,
                    yyjson_val *given, yyjson_val *original)
{
    yyjson_obj_iter members = yyjson_obj_iter_with(given);
    yyjson_arr_iter it = yyjson_arr_iter_with(definitions);
    yyjson_val *name;
    yyjson_val *def;

    json_obj(w, key);
    while ((name = yyjson_obj_iter_next(&members)) != NULL) {
        if (!is_locked_id(definitions, json_val_str(name)))
            json_put_val_k(w, json_val_str(name), yyjson_obj_iter_get_val(name));
    }
    while ((def = yyjson_arr_iter_next(&it)) != NULL) {
        const struct str id = json_str(def, "id");
        yyjson_val *value = is_locked(def) ? json_get_str(original, id) : NULL;

        if (is_locked(def) && !value)
            value = json_get(def, "value");
        if (value)
            json_put_val_k(w, id, value);
    }
    json_end(w);
}
