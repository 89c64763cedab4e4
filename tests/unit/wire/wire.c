/* The link's table, parsing and writing of frames. */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "wire/wire.h"

static Status parse(struct arena *a, const char *text, enum wire_direction direction,
                    enum wire_kind *kind, yyjson_val **data)
{
    struct err err = { 0 };

    return wire_parse(a, str_z(text), direction, kind, data, &err);
}

static void test_wire_rows(void **state)
{
    (void)state;
    for (unsigned i = 0; i < WIRE_KIND_COUNT; i++) {
        const struct wire_row *row = wire_row((enum wire_kind)i);

        assert_non_null(row);
        assert_true(str_is_word(str_z(row->name)));
        assert_true(row->directions >= 1 && row->directions <= 3);
        assert_true(!row->extension || row->needs_auth);
        assert_int_equal(row->doc[strlen(row->doc) - 1], '.');
        for (unsigned k = 0; k < i; k++)
            assert_string_not_equal(row->name, wire_row((enum wire_kind)k)->name);
    }
    assert_null(wire_row(WIRE_UNKNOWN));
    assert_string_equal(wire_row(WIRE_TEST_MONITOR)->name, "testMonitorPlugin");
    assert_true(wire_row(WIRE_JOB_DONE)->extension);
    assert_false(wire_row(WIRE_HELLO)->needs_auth);
}

static void test_wire_parses(void **state)
{
    struct arena *a = arena_new(1 << 20);
    enum wire_kind kind = WIRE_ERROR;
    yyjson_val *data = NULL;

    (void)state;
    assert_int_equal(parse(a, "{\"cmd\":\"launch_job\",\"data\":{\"job\":{\"id\":\"j1\"}}}",
                           WIRE_TO_SATELLITE, &kind, &data),
                     STATUS_OK);
    assert_int_equal(kind, WIRE_LAUNCH_JOB);
    assert_true(str_eq_z(json_val_str(json_at(data, "job.id")), "j1"));

    assert_int_equal(parse(a, "{\"data\":5,\"cmd\":\"hello\"}", WIRE_TO_CONDUCTOR, &kind, &data),
                     STATUS_OK);
    assert_int_equal(kind, WIRE_HELLO);
    assert_int_equal(json_i64(NULL, "x", 5), 5);
    assert_int_equal(yyjson_get_int(data), 5);

    assert_int_equal(parse(a, "{\"cmd\":\"echo\"}", WIRE_TO_SATELLITE, &kind, &data), STATUS_OK);
    assert_int_equal(kind, WIRE_ECHO);
    assert_null(data);
    arena_free(a);
}

static void test_wire_ignores_the_unknown(void **state)
{
    struct arena *a = arena_new(1 << 20);
    enum wire_kind kind = WIRE_ERROR;
    yyjson_val *data = NULL;

    (void)state;
    assert_int_equal(parse(a, "{\"cmd\":\"dance\",\"data\":{}}", WIRE_TO_SATELLITE, &kind, &data),
                     STATUS_OK);
    assert_int_equal(kind, WIRE_UNKNOWN);
    /* a satellite may not launch jobs on the conductor, nor the conductor report jobs */
    assert_int_equal(parse(a, "{\"cmd\":\"launch_job\"}", WIRE_TO_CONDUCTOR, &kind, &data),
                     STATUS_OK);
    assert_int_equal(kind, WIRE_UNKNOWN);
    assert_int_equal(parse(a, "{\"cmd\":\"jobs\"}", WIRE_TO_SATELLITE, &kind, &data), STATUS_OK);
    assert_int_equal(kind, WIRE_UNKNOWN);
    assert_int_equal(parse(a, "{\"cmd\":\"LAUNCH_JOB\"}", WIRE_TO_SATELLITE, &kind, &data),
                     STATUS_OK);
    assert_int_equal(kind, WIRE_UNKNOWN);
    arena_free(a);
}

static void test_wire_refuses(void **state)
{
    static const char *const bad[] = { "",
                                       "x",
                                       "[]",
                                       "null",
                                       "{}",
                                       "\"hello\"",
                                       "{\"cmd\":5}",
                                       "{\"cmd\":null}",
                                       "{\"cmd\":\"hello\"",
                                       "{\"cmd\":\"hello\"}}",
                                       "{\"cmd\":[\"hello\"]}" };
    struct arena *a = arena_new(1 << 20);
    enum wire_kind kind = WIRE_ERROR;
    yyjson_val *data = NULL;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_int_equal(parse(a, bad[i], WIRE_TO_CONDUCTOR, &kind, &data), STATUS_INVALID);
    assert_int_equal(kind, WIRE_ERROR);
    assert_null(data);
    assert_int_equal(wire_parse(a, str_n("{", (size_t)WIRE_MESSAGE_MAX + 1), WIRE_TO_CONDUCTOR,
                                &kind, &data, NULL),
                     STATUS_TOO_BIG);
    arena_free(a);
}

static void test_wire_writes(void **state)
{
    AUTO_BUF struct buf out = { 0 };
    struct json_writer w;
    struct arena *a = arena_new(1 << 20);
    enum wire_kind kind;
    yyjson_val *data;

    (void)state;
    buf_init(&out, 4096);
    w = wire_begin(&out, WIRE_JOB_LOG);
    json_put_z(&w, "id", "j1");
    json_put_u64(&w, "pos", 7);
    json_put_z(&w, "text", "a\nb");
    wire_end(&w);
    assert_int_equal(wire_parse(a, buf_str(&out), WIRE_TO_CONDUCTOR, &kind, &data, NULL),
                     STATUS_OK);
    assert_int_equal(kind, WIRE_JOB_LOG);
    assert_int_equal(json_i64(data, "pos", 0), 7);
    (void)buf_add_char(&out, 0);
    assert_string_equal(out.p, "{\"cmd\":\"job_log\",\"data\":{\"id\":\"j1\",\"pos\":7,"
                               "\"text\":\"a\\nb\"}}");
    buf_clear(&out);
    w = wire_begin(&out, WIRE_ECHO);
    wire_end(&w);
    (void)buf_add_char(&out, 0);
    assert_string_equal(out.p, "{\"cmd\":\"echo\",\"data\":{}}");
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wire_rows),
        cmocka_unit_test(test_wire_parses),
        cmocka_unit_test(test_wire_ignores_the_unknown),
        cmocka_unit_test(test_wire_refuses),
        cmocka_unit_test(test_wire_writes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
