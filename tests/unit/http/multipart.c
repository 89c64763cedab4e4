/* Forms: the pure parser with every way of cutting the input, and uploads through a real server. */
#include "http_test.h"

#include "base/rng.h"
#include "crypto/crypto.h"

/* ---- the parser ---- */

struct trace {
    struct buf text; /* "[name|filename|file|type]data." */
    Status refuse;
};

static Status on_part(void *arg, struct str name, struct str filename, bool is_file,
                      struct str type)
{
    struct trace *t = arg;

    (void)buf_printf(&t->text, "[%.*s|%.*s|%d|%.*s]", STR_FMT(name), STR_FMT(filename), is_file,
                     STR_FMT(type));
    return t->refuse;
}

static Status on_data(void *arg, const uint8_t *p, size_t n)
{
    return buf_add(&((struct trace *)arg)->text, p, n);
}

static Status on_part_end(void *arg)
{
    return buf_add_char(&((struct trace *)arg)->text, '.');
}

static const struct multipart_ops trace_ops = {
    .on_part = on_part,
    .on_data = on_data,
    .on_part_end = on_part_end,
};

static Status parse(struct trace *t, struct str boundary, struct str text, struct rng *cuts)
{
    struct multipart_parser *p = multipart_new(boundary, &trace_ops, t);
    Status st = STATUS_OK;
    size_t at = 0;

    buf_init(&t->text, 1024 * 1024);
    assert_non_null(p);
    while (at < text.n && !st) {
        size_t n = cuts ? 1 + rng_below(cuts, 7) : text.n;
        if (n > text.n - at)
            n = text.n - at;
        st = multipart_feed(p, (const uint8_t *)text.p + at, n, NULL);
        at += n;
    }
    if (!st)
        st = multipart_end(p, NULL);
    multipart_free(p);
    return st;
}

#define FORM                                                                                       \
    "preamble\r\n--AaB\r\nContent-Disposition: form-data; name=\"field\"\r\n\r\nvalue\r\n"         \
    "--AaB  \r\nContent-Type: text/plain\r\ncontent-disposition: FORM-DATA; name=f; "              \
    "filename=\"C:\\dir\\a \\\"b\\\".txt\"\r\n\r\nline\r\n--Aa\r\r\n--AaC\r\n\r\n\r\n"             \
    "--AaB\r\nContent-Disposition: form-data; name=\"\"\r\n\r\n\r\n--AaB--\r\nepilogue --AaB"

#define FORM_TRACE                                                                                 \
    "[field||0|]value.[f|a \"b\".txt|1|text/plain]line\r\n--Aa\r\r\n--AaC\r\n\r\n.[||0|]."

static void test_parser(void **state)
{
    struct trace t = { 0 };
    struct rng rng;

    (void)state;
    assert_int_equal(parse(&t, STR("AaB"), STR(FORM), NULL), STATUS_OK);
    assert_true(str_eq_z(buf_str(&t.text), FORM_TRACE));
    buf_done(&t.text);
    rng_init(&rng, 7);
    for (int i = 0; i < 2000; i++) {
        assert_int_equal(parse(&t, STR("AaB"), STR(FORM), &rng), STATUS_OK);
        if (!str_eq_z(buf_str(&t.text), FORM_TRACE))
            fail_msg("run %d: %.*s", i, STR_FMT(buf_str(&t.text)));
        buf_done(&t.text);
    }
}

/* Random text out of the delimiter's own bytes: what is between delimiters comes back as it was. */
static void test_parser_random(void **state)
{
    static const char letters[] = "\r\n-Bx";
    struct rng rng;

    (void)state;
    rng_init(&rng, 42);
    for (int i = 0; i < 5000; i++) {
        struct trace t = { 0 };
        struct buf form;
        struct buf expect;
        char data[40];
        const size_t n = rng_below(&rng, sizeof data);
        for (size_t k = 0; k < n; k++)
            data[k] = letters[rng_below(&rng, 5)];
        buf_init(&form, 1000);
        buf_init(&expect, 1000);
        (void)buf_add_z(&form, "--BBB\r\nContent-Disposition: form-data; name=a\r\n\r\n");
        (void)buf_add(&form, data, n);
        (void)buf_add_z(&form, "\r\n--BBB--\r\n");
        (void)buf_add_z(&expect, "[a||0|]");
        (void)buf_add(&expect, data, n);
        (void)buf_add_z(&expect, ".");
        if (str_find(str_n(data, n), STR("\r\n--BBB")) == n) {
            assert_int_equal(parse(&t, STR("BBB"), buf_str(&form), &rng), STATUS_OK);
            assert_true(str_eq(buf_str(&t.text), buf_str(&expect)));
        }
        buf_done(&t.text);
        buf_done(&form);
        buf_done(&expect);
    }
}

static void test_parser_refuses(void **state)
{
    static const struct {
        const char *text;
        Status st;
    } rows[] = {
        { "", STATUS_INVALID },
        { "no delimiter at all", STATUS_INVALID },
        { "--B", STATUS_INVALID },
        { "--B\r\n", STATUS_INVALID },
        { "--B\r\nContent-Disposition: form-data; name=a\r\n\r\nx", STATUS_INVALID },
        { "--B\r\nContent-Disposition: form-data; name=a\r\n\r\nx\r\n--B", STATUS_INVALID },
        { "--B\r\nContent-Disposition: form-data; name=a\r\n\r\nx\r\n--B-", STATUS_INVALID },
        { "--B\r\nContent-Disposition: form-data; name=a\r\n\r\nx\r\n--B--", STATUS_OK },
        { "--B--", STATUS_OK },
        { "--BX\r\n", STATUS_INVALID },
        { "--B\rX", STATUS_INVALID },
        { "--B\r\n\r\nno head\r\n--B--", STATUS_INVALID },
        { "--B\r\nContent-Disposition: attachment; name=a\r\n\r\nx\r\n--B--", STATUS_INVALID },
        { "--B\r\nContent-Disposition: form-data\r\n\r\nx\r\n--B--", STATUS_INVALID },
    };
    struct trace t = { 0 };
    struct buf b;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if (parse(&t, STR("B"), str_z(rows[i].text), NULL) != rows[i].st)
            fail_msg("row %zu", i);
        buf_done(&t.text);
    }
    assert_null(multipart_new(STR(""), &trace_ops, &t));
    assert_null(multipart_new(
        str_n("0123456789012345678901234567890123456789012345678901234567890123456789x", 71),
        &trace_ops, &t));
    buf_init(&b, 64u * 1024);
    (void)buf_add_z(&b, "--B\r\n");
    while (b.n < MULTIPART_HEAD_MAX + 64)
        (void)buf_add_z(&b, "A: b\r\n");
    assert_int_equal(parse(&t, STR("B"), buf_str(&b), NULL), STATUS_TOO_BIG);
    buf_done(&t.text);
    buf_done(&b);
    t.refuse = STATUS_FULL;
    assert_int_equal(
        parse(&t, STR("B"), STR("--B\r\nContent-Disposition: form-data; name=a\r\n\r\nx"), NULL),
        STATUS_FULL);
    buf_done(&t.text);
}

static void test_file_names(void **state)
{
    static const struct {
        const char *sent;
        const char *kept;
    } rows[] = {
        { "a.txt", "a.txt" }, { "../../etc/passwd", "passwd" },
        { "/abs", "abs" },    { "dir/", "" },
        { "..", "" },         { "C:\\x\\y.z", "y.z" },
        { "a;b", "a;b" },     { "\xc3\xa9.txt", "\xc3\xa9.txt" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct trace t = { 0 };
        char form[256];
        char expect[128];
        (void)snprintf(
            form, sizeof form,
            "--B\r\nContent-Disposition: form-data; name=f; filename=\"%s\"\r\n\r\n\r\n--B--",
            rows[i].sent);
        (void)snprintf(expect, sizeof expect, "[f|%s|1|].", rows[i].kept);
        assert_int_equal(parse(&t, STR("B"), str_z(form), NULL), STATUS_OK);
        if (!str_eq_z(buf_str(&t.text), expect))
            fail_msg("row %zu: %.*s", i, STR_FMT(buf_str(&t.text)));
        buf_done(&t.text);
    }
}

/* ---- uploads ---- */

static struct {
    int calls;
    Status st;
    size_t n;
    char names[256];
    char hash[CRYPTO_SHA256_HEX + 1];
    uint64_t size;
    char path[256];
} got;

static uint64_t form_max = 1u << 30;

static void form_done(void *arg, struct http_request *r, Status st,
                      const struct multipart_form *form, const struct err *err)
{
    (void)arg;
    got.calls++;
    got.st = st;
    if (st) {
        assert_null(form);
        assert_int_equal(err->code, st);
        http_reply(r, status_http(st), "text/plain", str_z(err->text));
        return;
    }
    got.n = form->n;
    for (size_t i = 0; i < form->n; i++) {
        const struct multipart_part *p = &form->parts[i];
        const size_t at = strlen(got.names);
        (void)snprintf(got.names + at, sizeof got.names - at, "%.*s=%.*s;", STR_FMT(p->name),
                       STR_FMT(p->value.p ? p->value : p->filename));
        if (p->path.p) {
            crypto_hex(p->sha256, 32, got.hash);
            got.size = p->size;
            (void)str_copy_z(p->path, got.path, sizeof got.path);
        }
    }
    http_reply(r, 200, "text/plain", STR("ok"));
}

static void handler(struct env *e, struct http_request *r)
{
    assert_true(http_request_is_multipart(r) || !str_eq_z(http_request_path(r), "/"));
    http_request_read_multipart(r, e->folder, form_max, form_done, e);
}

static void begin(struct env *e, struct raw *r)
{
    memset(&got, 0, sizeof got);
    form_max = 1u << 30;
    env_start(e, NULL, NULL);
    e->on_request = handler;
    raw_connect(e, r);
}

static void send_head(struct raw *r, size_t length)
{
    char head[256];
    const int n = snprintf(head, sizeof head,
                           "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; "
                           "boundary=\"BoUnD\"\r\nContent-Length: %zu\r\n\r\n",
                           length);

    raw_send(r, str_n(head, (size_t)n));
}

#define FIELD  "--BoUnD\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n"
#define FILE_1 "--BoUnD\r\nContent-Disposition: form-data; name=\"f\"; filename=\"x.bin\"\r\n\r\n"
#define END    "\r\n--BoUnD--\r\n"

static void test_upload(void **state)
{
    struct env e;
    struct raw r;
    static char data[3 * 1024 * 1024 + 5];
    char expect[CRYPTO_SHA256_HEX + 1];
    struct stat st;

    (void)state;
    begin(&e, &r);
    memset(data, 'm', sizeof data);
    send_head(&r, sizeof FIELD - 1 + sizeof FILE_1 - 1 + sizeof data + sizeof END - 1);
    RAW_SEND(&r, FIELD FILE_1);
    raw_send(&r, str_n(data, sizeof data));
    RAW_SEND(&r, END);
    RAW_EXPECT(&r, "\r\n\r\nok");
    assert_int_equal(got.n, 2);
    assert_string_equal(got.names, "a=1;f=x.bin;");
    assert_int_equal(got.size, sizeof data);
    CRYPTO_SHA256_HEX_OF(expect, str_n(data, sizeof data));
    assert_string_equal(got.hash, expect);
    assert_int_equal(stat(got.path, &st), 0);
    assert_int_equal(st.st_size, sizeof data);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(folder_count(e.folder), 1);

    /* The same connection again: several files, one empty, one input left alone. */
    memset(&got, 0, sizeof got);
    buf_clear(&r.in);
    {
        static const char form[] = FILE_1
            "one\r\n" FILE_1 "\r\n"
            "--BoUnD\r\nContent-Disposition: form-data; name=\"none\"; filename=\"\"\r\n\r\n" END;
        send_head(&r, sizeof form - 1);
        RAW_SEND(&r, form);
    }
    RAW_EXPECT(&r, "\r\n\r\nok");
    assert_string_equal(got.names, "f=x.bin;f=x.bin;");
    assert_int_equal(folder_count(e.folder), 3);
    raw_done(&r);
    env_stop(&e);
}

/* Waits until the folder is empty: files go by the lane. */
#define NO_FILES(e) UNTIL((e), folder_count((e)->folder) == 0)

static void test_cut_short(void **state)
{
    struct env e;
    struct raw r;
    static char data[1024 * 1024];

    (void)state;
    /* The connection dies in the middle of a file. */
    begin(&e, &r);
    send_head(&r, 100u * 1024 * 1024);
    RAW_SEND(&r, FIELD FILE_1 "complete\r\n" FILE_1);
    raw_send(&r, str_n(data, sizeof data));
    UNTIL(&e, folder_count(e.folder) == 2);
    raw_done(&r);
    UNTIL(&e, got.calls == 1);
    assert_int_equal(got.st, STATUS_CLOSED);
    NO_FILES(&e);
    env_stop(&e);
    /* The body is complete, the form is not. */
    begin(&e, &r);
    send_head(&r, sizeof FIELD - 1 + sizeof FILE_1 - 1 + sizeof data);
    RAW_SEND(&r, FIELD FILE_1);
    raw_send(&r, str_n(data, sizeof data));
    RAW_EXPECT(&r, "HTTP/1.1 400 ");
    assert_int_equal(got.st, STATUS_INVALID);
    NO_FILES(&e);
    raw_done(&r);
    env_stop(&e);
}

static void test_limits(void **state)
{
    struct env e;
    struct raw r;
    static char data[1024 * 1024];

    (void)state;
    /* Announced too big. */
    begin(&e, &r);
    form_max = 1000;
    send_head(&r, 1001);
    RAW_EXPECT(&r, "HTTP/1.1 413 ");
    RAW_CLOSED(&r);
    raw_done(&r);
    env_stop(&e);
    /* Found out by counting. */
    begin(&e, &r);
    form_max = 512u * 1024;
    RAW_SEND(&r,
             "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=BoUnD\r\n"
             "Transfer-Encoding: chunked\r\n\r\n100100\r\n");
    RAW_SEND(&r, FILE_1);
    raw_send(&r, str_n(data, sizeof data));
    RAW_EXPECT(&r, "HTTP/1.1 413 ");
    assert_int_equal(got.st, STATUS_TOO_BIG);
    NO_FILES(&e);
    raw_done(&r);
    env_stop(&e);
    /* Too many files: at the limit, and one more. */
    for (size_t extra = 0; extra < 2; extra++) {
        struct buf form;
        buf_init(&form, 1024 * 1024);
        begin(&e, &r);
        for (size_t i = 0; i < MULTIPART_FILES_MAX + extra; i++)
            (void)buf_add_z(&form, FILE_1 "x\r\n");
        (void)buf_add_z(&form, "--BoUnD--");
        send_head(&r, form.n);
        raw_send(&r, buf_str(&form));
        RAW_EXPECT(&r, extra ? "HTTP/1.1 429 " : "HTTP/1.1 200 ");
        UNTIL(&e, folder_count(e.folder) == (extra ? 0 : MULTIPART_FILES_MAX));
        raw_done(&r);
        env_stop(&e);
        buf_done(&form);
    }
    for (size_t extra = 0; extra < 2; extra++) {
        struct buf form;
        buf_init(&form, 1024 * 1024);
        begin(&e, &r);
        for (size_t i = 0; i < MULTIPART_FIELDS_MAX + extra; i++)
            (void)buf_add_z(&form, FIELD);
        (void)buf_add_z(&form, "--BoUnD--");
        send_head(&r, form.n);
        raw_send(&r, buf_str(&form));
        RAW_EXPECT(&r, extra ? "HTTP/1.1 429 " : "HTTP/1.1 200 ");
        raw_done(&r);
        env_stop(&e);
        buf_done(&form);
    }
}

static void test_not_multipart(void **state)
{
    struct env e;
    struct raw r;

    (void)state;
    begin(&e, &r);
    RAW_SEND(
        &r,
        "POST /other HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
        "\r\n{}");
    RAW_EXPECT(&r, "HTTP/1.1 400 ");
    raw_done(&r);
    raw_connect(&e, &r);
    RAW_SEND(
        &r,
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data\r\nContent-Length: 2\r\n"
        "\r\n{}");
    RAW_EXPECT(&r, "HTTP/1.1 400 ");
    raw_done(&r);
    env_stop(&e);
}

static void test_unwritable_folder(void **state)
{
    struct env e;
    struct raw r;
    char kept[64];

    (void)state;
    begin(&e, &r);
    memcpy(kept, e.folder, sizeof kept);
    (void)snprintf(e.folder, sizeof e.folder, "/nonexistent/folder");
    send_head(&r, sizeof FILE_1 - 1 + 1 + sizeof END - 1);
    RAW_SEND(&r, FILE_1 "x" END);
    RAW_EXPECT(&r, "HTTP/1.1 404 ");
    assert_int_equal(got.st, STATUS_MISSING);
    raw_done(&r);
    memcpy(e.folder, kept, sizeof kept);
    env_stop(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parser),
        cmocka_unit_test(test_parser_random),
        cmocka_unit_test(test_parser_refuses),
        cmocka_unit_test(test_file_names),
        cmocka_unit_test(test_upload),
        cmocka_unit_test(test_cut_short),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_not_multipart),
        cmocka_unit_test(test_unwritable_folder),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
