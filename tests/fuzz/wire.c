/* rooms: wire */
/* Frames of the link from either side: parse, look at the data, never crash. */
#include "wire/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const enum wire_direction direction =
        size && (data[size - 1] & 1) ? WIRE_TO_SATELLITE : WIRE_TO_CONDUCTOR;
    struct arena *a = arena_new(1 << 22);
    struct err err = { 0 };
    enum wire_kind kind;
    yyjson_val *value = NULL;

    if (!a)
        return 0;
    if (wire_parse(a, str_n(data, size), direction, &kind, &value, &err) == STATUS_OK) {
        AUTO_BUF struct buf out = { 0 };

        if (kind != WIRE_UNKNOWN && !(wire_row(kind)->directions & direction))
            abort();
        buf_init(&out, 1 << 22);
        if (value && json_text(value, false, &out) == STATUS_OK && out.n == 0)
            abort();
    }
    arena_free(a);
    return 0;
}
