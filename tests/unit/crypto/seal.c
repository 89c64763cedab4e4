/* Tests of crypto_seal and crypto_open: what opens, and that nothing else does. */
#include "crypto/crypto.h"

#include <string.h>

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>
static int set_up(void **state)
{
    static struct secret master;

    assert_int_equal(secret_set(&master, STR("a master key")), STATUS_OK);
    *state = &master;
    return 0;
}

static int tear_down(void **state)
{
    secret_done(*state);
    return 0;
}

static void test_seal_opens_again(void **state)
{
    AUTO_BUF struct buf sealed = { .max = 1000 }, plain = { .max = 1000 };
    struct err err = { 0 };

    assert_int_equal(buf_add_z(&sealed, "front"), STATUS_OK); /* appends */
    assert_int_equal(crypto_seal(*state, "secrets", STR("hello"), STR("z1"), &sealed, &err),
                     STATUS_OK);
    assert_int_equal(sealed.n, 5 + 5 + CRYPTO_SEAL_EXTRA);
    assert_int_equal(sealed.p[5], 1);
    assert_int_equal(str_find(buf_str(&sealed), STR("hello")), sealed.n); /* not readable */
    assert_int_equal(crypto_open(*state, "secrets", str_slice(buf_str(&sealed), 5, sealed.n),
                                 STR("z1"), &plain, &err),
                     STATUS_OK);
    assert_true(str_eq_z(buf_str(&plain), "hello"));
}

static void test_seal_empty_and_fresh(void **state)
{
    AUTO_BUF struct buf one = { .max = 100 }, two = { .max = 100 }, plain = { .max = 100 };
    struct err err = { 0 };

    assert_int_equal(crypto_seal(*state, "p", STR_NONE, STR_NONE, &one, &err), STATUS_OK);
    assert_int_equal(crypto_seal(*state, "p", STR_NONE, STR_NONE, &two, &err), STATUS_OK);
    assert_false(str_eq(buf_str(&one), buf_str(&two))); /* a nonce of its own each */
    assert_int_equal(crypto_open(*state, "p", buf_str(&one), STR_NONE, &plain, &err), STATUS_OK);
    assert_int_equal(plain.n, 0);
    one.p[one.n - 1] ^= 1;
    assert_int_equal(crypto_open(*state, "p", buf_str(&one), STR_NONE, &plain, &err),
                     STATUS_CORRUPT);
}

static void test_seal_refuses_everything_else(void **state)
{
    AUTO_BUF struct buf sealed = { .max = 1000 }, plain = { .max = 1000 };
    struct secret other = { 0 }, none = { 0 };
    struct err err = { 0 };
    struct str s;

    assert_int_equal(crypto_seal(*state, "secrets", STR("hello"), STR("z1"), &sealed, &err),
                     STATUS_OK);
    s = buf_str(&sealed);
    assert_int_equal(crypto_open(*state, "other", s, STR("z1"), &plain, &err), STATUS_CORRUPT);
    assert_int_equal(crypto_open(*state, "secrets", s, STR("z2"), &plain, &err), STATUS_CORRUPT);
    assert_int_equal(secret_set(&other, STR("another master key")), STATUS_OK);
    assert_int_equal(crypto_open(&other, "secrets", s, STR("z1"), &plain, &err), STATUS_CORRUPT);
    for (size_t n = 0; n < s.n; n++)
        assert_int_equal(
            crypto_open(*state, "secrets", str_slice(s, 0, n), STR("z1"), &plain, &err),
            STATUS_CORRUPT);
    for (size_t i = 0; i < s.n; i++) {
        sealed.p[i] ^= 0x10;
        assert_int_equal(crypto_open(*state, "secrets", s, STR("z1"), &plain, &err),
                         STATUS_CORRUPT);
        sealed.p[i] ^= 0x10;
    }
    assert_int_equal(plain.n, 0);
    assert_int_equal(crypto_open(*state, "secrets", s, STR("z1"), &plain, &err), STATUS_OK);
    assert_int_equal(crypto_seal(&none, "p", STR("x"), STR_NONE, &sealed, &err), STATUS_INVALID);
    assert_int_equal(crypto_open(&none, "p", s, STR_NONE, &plain, &err), STATUS_INVALID);
    secret_done(&other);
}

static void test_seal_bounds(void **state)
{
    AUTO_BUF struct buf sealed = { .max = 33 }, plain = { .max = 3 };
    struct err err = { 0 };

    assert_int_equal(crypto_seal(*state, "p", STR("12345"), STR_NONE, &sealed, &err), STATUS_FULL);
    buf_clear(&sealed);
    assert_int_equal(crypto_seal(*state, "p", STR("1234"), STR_NONE, &sealed, &err), STATUS_OK);
    assert_int_equal(crypto_open(*state, "p", buf_str(&sealed), STR_NONE, &plain, &err),
                     STATUS_FULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seal_opens_again),
        cmocka_unit_test(test_seal_empty_and_fresh),
        cmocka_unit_test(test_seal_refuses_everything_else),
        cmocka_unit_test(test_seal_bounds),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
