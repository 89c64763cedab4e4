/* rooms: sat */
/* The parser of a job's stream: any bytes as a stream, and the same bytes cut in two, which must
 * give the same log, rows and record. The first byte chooses the configuration and where to cut. */
#include <stddef.h>

#include "sat/stdio.h"

/* Also in builds without assert. */
#define CHECK(what)                                                                                \
    do {                                                                                           \
        if (!(what))                                                                               \
            abort();                                                                               \
    } while (0)

struct heard {
    struct buf log;
    struct buf metas;
};

static void on_log(void *ctx, struct str text)
{
    CHECK(str_is_utf8(text));
    (void)buf_add_str(&((struct heard *)ctx)->log, text);
}

static void on_meta(void *ctx, struct str text)
{
    CHECK(str_is_utf8(text));
    (void)buf_add_str(&((struct heard *)ctx)->metas, text);
    (void)buf_add_char(&((struct heard *)ctx)->metas, '\n');
}

static struct stdio_parser *run(struct str bytes, size_t cut, uint8_t flags, struct heard *h)
{
    static const struct stdio_ops ops = { .log = on_log, .meta = on_meta };
    const struct stdio_config config = { .shell = flags & 1,
                                         .annotate = flags & 2,
                                         .runner = flags & 4,
                                         .program = "p",
                                         .pass = flags & 8 ? STR("{\"a\":[1]}") : STR_NONE };
    struct stdio_parser *p;
    size_t need;
    size_t used;
    Status st;

    buf_init(&h->log, 64u << 20);
    buf_init(&h->metas, 64u << 20);
    p = stdio_new(&config, &ops, h);
    CHECK(p);
    used = stdio_bytes(p, str_slice(bytes, 0, cut), &need, &st);
    CHECK(used <= cut);
    used += stdio_bytes(p, str_slice(bytes, used, bytes.n), &need, &st);
    CHECK(used <= bytes.n);
    stdio_cut(p);
    CHECK(stdio_state(p)->ended);
    return p;
}

static void record(struct stdio_parser *p, struct buf *out)
{
    struct json_writer w = json_writer_init(out);

    json_obj(&w, NULL);
    stdio_put_fields(p, &w);
    stdio_put_changes(p, &w);
    json_put_raw(&w, "end_code", stdio_code(p));
    json_put_raw(&w, "end_text", stdio_description(p));
    json_put_raw(&w, "end_files", stdio_files(p));
    json_end(&w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct heard a;
    struct heard b;
    struct stdio_parser *pa;
    struct stdio_parser *pb;
    struct buf ra;
    struct buf rb;
    struct str bytes;
    yyjson_doc *doc = NULL;

    if (n < 2)
        return 0;
    bytes = str_n(data + 1, n - 1);
    buf_init(&ra, 256u << 20);
    buf_init(&rb, 256u << 20);
    pa = run(bytes, bytes.n, data[0], &a);
    pb = run(bytes, bytes.n * (data[0] >> 4) / 16, data[0], &b);
    record(pa, &ra);
    record(pb, &rb);
    CHECK(str_eq(buf_str(&a.log), buf_str(&b.log)));
    CHECK(str_eq(buf_str(&a.metas), buf_str(&b.metas)));
    CHECK(str_eq(buf_str(&ra), buf_str(&rb)));
    CHECK(json_parse(buf_str(&ra), 256u << 20, &doc, NULL) ==
          STATUS_OK); /* whatever came, it is JSON */
    json_doc_free(doc);
    stdio_free(pa);
    stdio_free(pb);
    buf_done(&a.log);
    buf_done(&a.metas);
    buf_done(&b.log);
    buf_done(&b.metas);
    buf_done(&ra);
    buf_done(&rb);
    return 0;
}
