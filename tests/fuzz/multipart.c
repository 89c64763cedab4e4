/* rooms: http net loop crypto base */
/* The form parser: the first byte chooses the sizes of the pieces. Cut or not, the same parts must
 * come out; names never hold what could leave a folder. The boundary is "B". */
#include "http/multipart.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct trace {
    uint64_t hash; /* of heads */
    uint64_t sum;  /* of data, the same however it is cut */
    size_t parts;
    size_t ended;
    size_t bytes;
};

static Status on_part(void *arg, struct str name, struct str filename, bool is_file,
                      struct str type)
{
    struct trace *t = arg;

    if (str_find_char(filename, '/') < filename.n || str_find_char(filename, '\0') < filename.n ||
        str_eq_z(filename, "..") || (!is_file && filename.n))
        abort();
    if (t->parts != t->ended)
        abort();
    t->parts++;
    t->hash = str_hash(name, t->hash + 1);
    t->hash = str_hash(filename, t->hash + 2);
    t->hash = str_hash(type, t->hash + 3);
    return STATUS_OK;
}

static Status on_data(void *arg, const uint8_t *p, size_t n)
{
    struct trace *t = arg;

    if (n == 0 || t->parts != t->ended + 1)
        abort();
    for (size_t i = 0; i < n; i++)
        t->sum = t->sum * 31 + p[i];
    t->bytes += n;
    return STATUS_OK;
}

static Status on_part_end(void *arg)
{
    struct trace *t = arg;

    t->ended++;
    return STATUS_OK;
}

static Status parse(const uint8_t *p, size_t n, size_t step, struct trace *t)
{
    static const struct multipart_ops ops = { on_part, on_data, on_part_end };
    struct multipart_parser *parser = multipart_new(STR("B"), &ops, t);
    Status st = STATUS_OK;

    for (size_t at = 0; at < n && !st; at += step)
        st = multipart_feed(parser, p + at, step < n - at ? step : n - at, NULL);
    if (!st)
        st = multipart_end(parser, NULL);
    multipart_free(parser);
    return st;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct trace whole = { 0 };
    struct trace pieces = { 0 };
    Status a;
    Status b;

    if (n < 2)
        return 0;
    a = parse(data + 1, n - 1, n - 1, &whole);
    b = parse(data + 1, n - 1, data[0] % 40 + 1u, &pieces);
    if (a != b || whole.hash != pieces.hash || whole.parts != pieces.parts ||
        whole.ended != pieces.ended)
        abort();
    /* What a failed parse had emitted may differ by what it still held back. */
    if (a == STATUS_OK &&
        (whole.sum != pieces.sum || whole.bytes != pieces.bytes || whole.parts != whole.ended))
        abort();
    return 0;
}
