/* Tests of base/status.h: names, HTTP numbers, how an error text comes about. */
#include "base/status.h"

#include <errno.h>
#include <string.h>

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>
static void test_status_ok_is_zero(void **state)
{
    (void)state;
    assert_int_equal(STATUS_OK, 0);
    assert_true(STATUS_INVALID < 0);
    assert_true(STATUS_UNSUPPORTED < 0);
}

static void test_status_names(void **state)
{
    (void)state;
    assert_string_equal(status_name(STATUS_OK), "OK");
    assert_string_equal(status_name(STATUS_TOO_BIG), "TOO_BIG");
    assert_string_equal(status_text(STATUS_MISSING), "not found");
    assert_int_equal(status_http(STATUS_INVALID), 400);
    assert_int_equal(status_http(STATUS_BUSY), 503);
    /* a number that is no status is an input/output error, not a crash */
    assert_int_equal(status_http((Status)-1000), 500);
    assert_int_equal(status_http((Status)7), 500);
}

static void test_status_from_errno(void **state)
{
    (void)state;
    assert_int_equal(status_from_errno(0), STATUS_OK);
    assert_int_equal(status_from_errno(ENOENT), STATUS_MISSING);
    assert_int_equal(status_from_errno(ENOSPC), STATUS_NOSPACE);
    assert_int_equal(status_from_errno(EACCES), STATUS_DENIED);
    assert_int_equal(status_from_errno(123456), STATUS_IO);
}

static void test_err_set(void **state)
{
    struct err err = { .code = STATUS_BUSY, .text = "old", .at = "old" };

    (void)state;
    assert_int_equal(err_set(&err, STATUS_INVALID, "limits[2].amount", "must be %d", 7),
                     STATUS_INVALID);
    assert_int_equal(err.code, STATUS_INVALID);
    assert_string_equal(err.at, "limits[2].amount");
    assert_string_equal(err.text, "must be 7");
    assert_int_equal(err_set(NULL, STATUS_FULL, NULL, "nobody listens"), STATUS_FULL);
}

static void test_err_set_takes_its_own_fields(void **state)
{
    struct err err = { 0 };

    (void)state;
    (void)err_set(&err, STATUS_IO, "a.b", "cause");
    (void)err_set(&err, STATUS_IO, err.at, "more: %s", err.text);
    assert_string_equal(err.at, "a.b");
    assert_string_equal(err.text, "more: cause");
}

static void test_err_wrap_keeps_code_and_path(void **state)
{
    struct err err = { 0 };

    (void)state;
    (void)err_set(&err, STATUS_MISSING, "id", "no such event");
    assert_int_equal(err_wrap(&err, "event %s", "e1"), STATUS_MISSING);
    assert_string_equal(err.text, "event e1: no such event");
    assert_string_equal(err.at, "id");
    assert_true(err_wrap(NULL, "x") != STATUS_OK);
}

static void test_err_long_texts_are_cut(void **state)
{
    struct err err = { 0 };
    char longer[1000];

    (void)state;
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    (void)err_set(&err, STATUS_INVALID, longer, "%s", longer);
    assert_int_equal(strlen(err.at), sizeof err.at - 1);
    assert_int_equal(strlen(err.text), sizeof err.text - 1);
    (void)err_wrap(&err, "%s", longer);
    assert_int_equal(strlen(err.text), sizeof err.text - 1);
}

static void test_err_errno(void **state)
{
    struct err err = { 0 };

    (void)state;
    assert_int_equal(err_errno(&err, ENOENT, "cannot open %s", "/x"), STATUS_MISSING);
    assert_string_equal(err.text, "cannot open /x: No such file or directory");
    assert_int_equal(err_errno(NULL, EACCES, "x"), STATUS_DENIED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_status_ok_is_zero),
        cmocka_unit_test(test_status_names),
        cmocka_unit_test(test_status_from_errno),
        cmocka_unit_test(test_err_set),
        cmocka_unit_test(test_err_set_takes_its_own_fields),
        cmocka_unit_test(test_err_wrap_keeps_code_and_path),
        cmocka_unit_test(test_err_long_texts_are_cut),
        cmocka_unit_test(test_err_errno),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
