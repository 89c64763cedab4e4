/* rooms: sat */
/* What a job says, in frames of any size: whatever the pieces, log and result are the same, the log
 * is valid UTF-8 and every field is JSON. The first byte chooses the rules and the sizes. */
#include "sat/stdio.h"

#include <stdlib.h>

#define LOG_MAX (64u * 1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
    struct buf log;
};

static void on_log(void *ctx, struct str text)
{
    struct seen *s = ctx;

    if (!str_is_utf8(text))
        abort();
    (void)buf_add_str(&s->log, text);
}

static void on_meta(void *ctx, struct str text)
{
    (void)ctx;
    if (!str_is_utf8(text))
        abort();
}

static void check_json(struct str text)
{
    yyjson_doc *doc = NULL;

    if (json_parse(text, JSON_SIZE_MAX, &doc, NULL) != STATUS_OK)
        abort();
    json_doc_free(doc);
}

static void run(const uint8_t *data, size_t size, size_t piece, struct seen *s, struct buf *fields)
{
    static const struct stdio_ops ops = { .log = on_log, .meta = on_meta };
    const struct stdio_config config = {
        .shell = size && (data[0] & 1),
        .annotate = size && (data[0] & 2),
        .runner = size && (data[0] & 4),
        .program = "x",
    };
    const enum super_frame_type type = size && (data[0] & 8) ? SUPER_STDERR : SUPER_STDOUT;
    struct stdio_parser *p = stdio_new(&config, &ops, s);
    struct json_writer w;

    if (!p)
        abort();
    stdio_frame(p, SUPER_STARTED, 1, STR("1 1 1"));
    for (size_t at = 1; at < size; at += piece)
        stdio_frame(p, type, 2, str_slice(str_n(data, size), at, at + piece));
    stdio_frame(p, SUPER_EXIT, 3, STR("code 0"));
    w = json_writer_init(fields);
    json_obj(&w, NULL);
    stdio_put_fields(p, &w);
    json_put_raw(&w, "code", stdio_code(p));
    json_put_raw(&w, "files", stdio_files(p));
    json_end(&w);
    stdio_free(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const size_t piece = size ? (size_t)(data[0] >> 4) + 1 : 1;
    struct seen one = { 0 };
    struct seen two = { 0 };
    AUTO_BUF struct buf fields = { 0 };
    AUTO_BUF struct buf again = { 0 };

    buf_init(&one.log, LOG_MAX);
    buf_init(&two.log, LOG_MAX);
    buf_init(&fields, LOG_MAX);
    buf_init(&again, LOG_MAX);
    run(data, size, piece, &one, &fields);
    run(data, size, size + 1, &two, &again);
    if (!str_eq(buf_str(&one.log), buf_str(&two.log)))
        abort();
    if (!fields.failed)
        check_json(buf_str(&fields));
    buf_done(&one.log);
    buf_done(&two.log);
    return 0;
}
