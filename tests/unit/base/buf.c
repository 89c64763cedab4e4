/* Tests of base/buf.h. */
#include "base/buf.h"

#include <stdlib.h>

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>
static void test_buf_appends(void **state)
{
    AUTO_BUF struct buf b = { 0 };

    (void)state;
    buf_init(&b, 1000);
    assert_int_equal(buf_add_z(&b, "one "), STATUS_OK);
    assert_int_equal(buf_add_str(&b, STR("two ")), STATUS_OK);
    assert_int_equal(buf_add_char(&b, '3'), STATUS_OK);
    assert_int_equal(buf_printf(&b, " %s %d", "four", 5), STATUS_OK);
    assert_int_equal(buf_add_str(&b, STR_NONE), STATUS_OK);
    assert_true(str_eq_z(buf_str(&b), "one two 3 four 5"));
    buf_consume(&b, 4);
    assert_true(str_eq_z(buf_str(&b), "two 3 four 5"));
    buf_consume(&b, 0);
    buf_consume(&b, 100);
    assert_int_equal(b.n, 0);
}

static void test_buf_maximum(void **state)
{
    AUTO_BUF struct buf b = { 0 };

    (void)state;
    buf_init(&b, 4);
    assert_int_equal(buf_add_z(&b, "abcd"), STATUS_OK); /* exactly the maximum */
    assert_int_equal(buf_add_char(&b, 'e'), STATUS_FULL);
    assert_true(b.failed);
    buf_clear(&b);
    assert_int_equal(buf_printf(&b, "%d", 1234), STATUS_OK);
    assert_int_equal(buf_printf(&b, "%d", 5), STATUS_FULL);
    assert_true(str_eq_z(buf_str(&b), "1234"));
}

static void test_buf_failure_sticks(void **state)
{
    AUTO_BUF struct buf b = { 0 };

    (void)state;
    buf_init(&b, 4);
    assert_int_equal(buf_add_z(&b, "abcde"), STATUS_FULL);
    assert_int_equal(buf_add_z(&b, "f"), STATUS_FULL); /* no text with a hole */
    assert_int_equal(b.n, 0);
    assert_null(buf_take(&b, NULL));
    buf_clear(&b);
    assert_int_equal(buf_add_z(&b, "f"), STATUS_OK);
}

static void test_buf_grows_by_printf(void **state)
{
    AUTO_BUF struct buf b = { 0 };

    (void)state;
    buf_init(&b, 1 << 20);
    for (int i = 0; i < 5000; i++)
        assert_int_equal(buf_printf(&b, "%05d,", i), STATUS_OK);
    assert_int_equal(b.n, 30000);
    assert_memory_equal(b.p + 6 * 4321, "04321,", 6);
    assert_int_equal(buf_printf(&b, "%40000d", 7), STATUS_OK); /* longer than what is there */
    assert_int_equal(b.n, 70000);
    assert_int_equal(b.p[69999], '7');
}

static void test_buf_huge_requests(void **state)
{
    AUTO_BUF struct buf b = { 0 };

    (void)state;
    buf_init(&b, SIZE_MAX);
    assert_int_equal(buf_add_char(&b, 'x'), STATUS_OK);
    assert_int_equal(buf_reserve(&b, SIZE_MAX), STATUS_FULL);
    buf_clear(&b);
    assert_int_equal(buf_reserve(&b, SIZE_MAX - 1), STATUS_FULL);
}

static void test_buf_take(void **state)
{
    struct buf b;
    size_t n = 0;
    char *p;

    (void)state;
    buf_init(&b, 100);
    assert_int_equal(buf_add_z(&b, "abc"), STATUS_OK);
    p = buf_take(&b, &n);
    assert_string_equal(p, "abc");
    assert_int_equal(n, 3);
    assert_int_equal(b.n, 0);
    free(p);
    p = buf_take(&b, NULL); /* empty, but a text */
    assert_string_equal(p, "");
    free(p);
    assert_int_equal(buf_add_z(&b, "again"), STATUS_OK);
    buf_done(&b);
    buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buf_appends),        cmocka_unit_test(test_buf_maximum),
        cmocka_unit_test(test_buf_failure_sticks), cmocka_unit_test(test_buf_grows_by_printf),
        cmocka_unit_test(test_buf_huge_requests),  cmocka_unit_test(test_buf_take),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
