/* The link's messages: the table of kinds, and the first layer of parsing and writing a frame. What
 * the data of each kind means is the business of fleet/ and sat/. */
#include "wire/wire.h"

static const struct wire_row rows[WIRE_KIND_COUNT] = {
#define X(kind, text, dir, auth, ext, about)                                                       \
    [WIRE_##kind] = { .name = (text),                                                              \
                      .directions = (dir),                                                         \
                      .needs_auth = (auth),                                                        \
                      .extension = (ext),                                                          \
                      .doc = (about) },
    WIRE_KINDS(X)
#undef X
};

const struct wire_row *wire_row(enum wire_kind kind)
{
    return (unsigned)kind < WIRE_KIND_COUNT ? &rows[kind] : NULL;
}

static enum wire_kind kind_find(struct str name, enum wire_direction direction)
{
    for (unsigned i = 0; i < WIRE_KIND_COUNT; i++) {
        if ((rows[i].directions & direction) && str_eq_z(name, rows[i].name))
            return (enum wire_kind)i;
    }
    return WIRE_UNKNOWN;
}

Status wire_parse(struct arena *a, struct str text, enum wire_direction direction,
                  enum wire_kind *ret_kind, yyjson_val **ret_data, struct err *err)
{
    yyjson_val *root = NULL;
    struct str name;
    Status st = json_parse_in(a, text, WIRE_MESSAGE_MAX, &root, err);

    if (st)
        return st;
    st = json_need_str(root, "cmd", &name, err);
    if (st)
        return st;
    *ret_kind = kind_find(name, direction);
    *ret_data = json_get(root, "data");
    return STATUS_OK;
}

struct json_writer wire_begin(struct buf *out, enum wire_kind kind)
{
    struct json_writer w = json_writer_init(out);

    json_obj(&w, NULL);
    json_put_z(&w, "cmd", rows[kind].name);
    json_obj(&w, "data");
    return w;
}

void wire_end(struct json_writer *w)
{
    json_end(w);
    json_end(w);
}
