/* Tests of base/str.h. */
#include "base/str.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>
static void test_str_compare(void **state)
{
    (void)state;
    assert_int_equal(str_cmp(STR("abc"), STR("abd")), -1);
    assert_int_equal(str_cmp(STR("b"), STR("abc")), 1);
    assert_int_equal(str_cmp(STR("ab"), STR("abc")), -1);
    assert_int_equal(str_cmp(STR("abc"), STR("ab")), 1);
    assert_int_equal(str_cmp(STR_NONE, STR("")), 0);
    assert_int_equal(str_cmp(STR("\xff"), STR("a")), 1); /* bytes are unsigned */
    assert_true(str_eq_nocase(STR("Content-TYPE"), STR("content-type")));
    assert_false(str_eq_nocase(STR("a"), STR("ab")));
    assert_false(str_eq_nocase(STR("["), STR("{"))); /* not letters, though 32 apart */
    assert_true(str_eq(STR_NONE, STR("")));
    assert_false(str_eq(STR("a\0b"), STR("a\0c")));
}

static void test_str_starts_ends(void **state)
{
    (void)state;
    assert_true(str_starts(STR("abc"), STR("ab")));
    assert_true(str_starts(STR("abc"), STR("")));
    assert_true(str_starts(STR_NONE, STR_NONE));
    assert_false(str_starts(STR("a"), STR("ab")));
    assert_true(str_ends(STR("abc"), STR("bc")));
    assert_false(str_ends(STR("bc"), STR("abc")));
    assert_true(str_starts_nocase(STR("Bearer x"), STR("bearer ")));
}

static void test_str_find(void **state)
{
    (void)state;
    assert_int_equal(str_find_char(STR("a=b"), '='), 1);
    assert_int_equal(str_find_char(STR("ab"), '='), 2);
    assert_int_equal(str_find_char(STR_NONE, '='), 0);
    assert_int_equal(str_find(STR("hello"), STR("llo")), 2);
    assert_int_equal(str_find(STR("hello"), STR("x")), 5);
    assert_int_equal(str_find(STR("hello"), STR("")), 0);
    assert_int_equal(str_find(STR_NONE, STR("x")), 0);
}

static void test_str_slice_trim(void **state)
{
    (void)state;
    assert_true(str_eq_z(str_slice(STR("hello"), 1, 3), "el"));
    assert_true(str_eq_z(str_slice(STR("hello"), 3, 99), "lo"));
    assert_int_equal(str_slice(STR("hello"), 9, 12).n, 0);
    assert_int_equal(str_slice(STR("hello"), 3, 1).n, 0);
    assert_int_equal(str_slice(STR_NONE, 0, 5).n, 0);
    assert_true(str_eq_z(str_trim(STR(" \t a b\r\n")), "a b"));
    assert_int_equal(str_trim(STR("  ")).n, 0);
}

static void test_str_split(void **state)
{
    struct str rest = STR("a,,b"), part;

    (void)state;
    assert_true(str_split(&rest, ',', &part));
    assert_true(str_eq_z(part, "a"));
    assert_true(str_split(&rest, ',', &part));
    assert_int_equal(part.n, 0);
    assert_true(str_split(&rest, ',', &part));
    assert_true(str_eq_z(part, "b"));
    assert_false(str_split(&rest, ',', &part));

    rest = STR("a,");
    assert_true(str_split(&rest, ',', &part));
    assert_true(str_split(&rest, ',', &part));
    assert_int_equal(part.n, 0);
    assert_false(str_split(&rest, ',', &part));
}

static void test_str_to_integers(void **state)
{
    int64_t i = 77;
    uint64_t u = 77;

    (void)state;
    assert_true(str_to_i64(STR("-9223372036854775808"), &i));
    assert_true(i == INT64_MIN);
    assert_true(str_to_i64(STR("9223372036854775807"), &i));
    assert_true(i == INT64_MAX);
    assert_true(str_to_i64(STR("-0"), &i));
    assert_true(i == 0);
    assert_true(str_to_i64(STR("007"), &i));
    assert_true(i == 7);
    assert_false(str_to_i64(STR("9223372036854775808"), &i));
    assert_false(str_to_i64(STR("-9223372036854775809"), &i));
    assert_false(str_to_i64(STR(""), &i));
    assert_false(str_to_i64(STR("-"), &i));
    assert_false(str_to_i64(STR("--1"), &i));
    assert_false(str_to_i64(STR("+1"), &i));
    assert_false(str_to_i64(STR(" 1"), &i));
    assert_false(str_to_i64(STR("1x"), &i));
    assert_true(i == 7); /* untouched */
    assert_true(str_to_u64(STR("18446744073709551615"), &u));
    assert_true(u == UINT64_MAX);
    assert_false(str_to_u64(STR("18446744073709551616"), &u));
    assert_false(str_to_u64(STR("-1"), &u));
}

static void test_str_to_double(void **state)
{
    double d = 77;

    (void)state;
    assert_true(str_to_double(STR("-12.5e1"), &d));
    assert_true(d == -125.0);
    assert_true(str_to_double(STR(".5"), &d));
    assert_true(d == 0.5);
    assert_true(str_to_double(str_slice(STR("1234"), 0, 2), &d)); /* never past its end */
    assert_true(d == 12.0);
    assert_false(str_to_double(STR("inf"), &d));
    assert_false(str_to_double(STR("nan"), &d));
    assert_false(str_to_double(STR("0x10"), &d));
    assert_false(str_to_double(STR(" 1"), &d));
    assert_false(str_to_double(STR("+1"), &d));
    assert_false(str_to_double(STR("."), &d));
    assert_false(str_to_double(STR("1e"), &d));
    assert_false(str_to_double(STR("1e999"), &d));
    assert_false(str_to_double(STR(""), &d));
    assert_true(d == 12.0);
}

static void test_str_utf8(void **state)
{
    (void)state;
    assert_true(str_is_utf8(STR("")));
    assert_true(str_is_utf8(STR("a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80")));
    assert_false(str_is_utf8(STR("\xC0\x80")));         /* overlong NUL */
    assert_false(str_is_utf8(STR("\xE0\x80\x80")));     /* overlong */
    assert_false(str_is_utf8(STR("\xED\xA0\x80")));     /* surrogate */
    assert_false(str_is_utf8(STR("\xF4\x90\x80\x80"))); /* above U+10FFFF */
    assert_false(str_is_utf8(STR("\xE2\x82")));         /* cut */
    assert_false(str_is_utf8(STR("\x80")));
    assert_int_equal(str_utf8_at(STR("\xE2\x82\xAC"), 0), 3);
    assert_int_equal(str_utf8_at(STR("\xE2\x82\xAC"), 1), 0);
    assert_int_equal(str_utf8_at(STR("a"), 1), 0);
}

static void test_str_words(void **state)
{
    (void)state;
    assert_true(str_is_word(STR("Ab_9")));
    assert_false(str_is_word(STR("a-b")));
    assert_false(str_is_word(STR("")));
    assert_true(str_is_id(STR("ab_9")));
    assert_false(str_is_id(STR("Ab")));
    assert_false(str_is_id(STR("")));
    assert_false(str_is_id(STR("a\n")));
}

static void test_str_hash(void **state)
{
    const char *text = "the quick brown fox";

    (void)state;
    for (size_t n = 0; n < 19; n++) {
        char copy[32];

        memcpy(copy, text, n);
        assert_true(str_hash(str_n(text, n), 5) == str_hash(str_n(copy, n), 5));
        assert_true(str_hash(str_n(text, n), 5) != str_hash(str_n(text, n), 6));
        assert_true(str_hash(str_n(text, n), 5) != str_hash(str_n(text, n + 1), 5));
    }
    assert_true(str_hash(STR("a\0"), 1) != str_hash(STR("a"), 1));
}

static void test_str_copy_z(void **state)
{
    char out[4];

    (void)state;
    assert_true(str_copy_z(STR("abc"), out, sizeof out));
    assert_string_equal(out, "abc");
    assert_false(str_copy_z(STR("wxyz"), out, sizeof out));
    assert_string_equal(out, "wxy");
    assert_true(str_copy_z(STR_NONE, out, 1));
    assert_string_equal(out, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_str_compare),   cmocka_unit_test(test_str_starts_ends),
        cmocka_unit_test(test_str_find),      cmocka_unit_test(test_str_slice_trim),
        cmocka_unit_test(test_str_split),     cmocka_unit_test(test_str_to_integers),
        cmocka_unit_test(test_str_to_double), cmocka_unit_test(test_str_utf8),
        cmocka_unit_test(test_str_words),     cmocka_unit_test(test_str_hash),
        cmocka_unit_test(test_str_copy_z),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
