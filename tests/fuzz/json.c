/* rooms: json base */
/* Fuzzes reading and writing JSON: what parses is walked by every getter, written, parsed again and
 * must be equal; the second writing must be the first, byte for byte. */
#include "json/json.h"
#include "json/writer.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
    if (!ok)
        abort();
}

static void walk(yyjson_val *v)
{
    struct str s;
    int64_t i;
    double d;

    (void)json_truthy(v);
    (void)json_type_name(v);
    (void)json_val_str(v);
    require(!json_is_int(v) || json_val_i64(v, &i));
    (void)json_val_double(v, &d);
    require(json_equal(v, v));
    if (yyjson_is_arr(v)) {
        yyjson_arr_iter it = yyjson_arr_iter_with(v);
        yyjson_val *each;

        while ((each = yyjson_arr_iter_next(&it)) != NULL)
            walk(each);
    } else if (yyjson_is_obj(v)) {
        yyjson_obj_iter it = yyjson_obj_iter_with(v);
        yyjson_val *key;

        while ((key = yyjson_obj_iter_next(&it)) != NULL) {
            s = json_val_str(key);
            require(json_get_str(v, s) != NULL);
            walk(yyjson_obj_iter_get_val(key));
        }
    }
}

static void write_again(yyjson_val *root, bool pretty, size_t size)
{
    AUTO(json_doc_free) yyjson_doc *doc = NULL;
    AUTO_BUF struct buf one = { .max = 64 * size + 4096 }, two = { .max = 64 * size + 4096 };

    require(json_text(root, pretty, &one) == STATUS_OK);
    require(json_parse(buf_str(&one), one.max, &doc, NULL) == STATUS_OK);
    require(json_equal(root, yyjson_doc_get_root(doc)));
    require(json_text(yyjson_doc_get_root(doc), pretty, &two) == STATUS_OK);
    require(str_eq(buf_str(&one), buf_str(&two)));
}

static void merge(yyjson_val *root)
{
    AUTO_BUF struct buf b = { .max = 1 << 20 };
    AUTO(json_doc_free) yyjson_doc *doc = NULL;
    struct json_writer w = json_writer_init(&b);

    json_put_merged(&w, NULL, json_at(root, "0"), json_at(root, "1"), NULL);
    if (!b.failed)
        require(json_parse(buf_str(&b), b.max, &doc, NULL) == STATUS_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(json_doc_free) yyjson_doc *doc = NULL;
    AUTO(arena_free) struct arena *a = arena_new(1 << 22);
    const struct str text = str_n(data, size);
    yyjson_val *root = NULL;
    struct err err = { 0 };
    Status st;

    if (json_parse(text, JSON_SIZE_MAX, &doc, &err)) {
        require(err.code != STATUS_OK && err.text[0]);
        require(json_parse_in(a, text, JSON_SIZE_MAX, &root, NULL) != STATUS_OK);
        return 0;
    }
    walk(yyjson_doc_get_root(doc));
    write_again(yyjson_doc_get_root(doc), false, size);
    write_again(yyjson_doc_get_root(doc), true, size);
    merge(yyjson_doc_get_root(doc));
    st = json_parse_in(a, text, JSON_SIZE_MAX, &root, NULL);
    require(st == STATUS_OK || st == STATUS_TOO_BIG);
    if (!st)
        require(json_equal(root, yyjson_doc_get_root(doc)));
    return 0;
}
