/* Tests of crypto/password.h. The foreign hashes are published vectors of their schemes. */
#include "crypto/password.h"

#include <string.h>

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>
static void test_password_hash_verifies(void **state)
{
    char hash[PASSWORD_HASH_MAX], again[PASSWORD_HASH_MAX];
    struct err err = { 0 };

    (void)state;
    assert_int_equal(password_hash(STR("s3cret"), hash, &err), STATUS_OK);
    assert_memory_equal(hash, "$argon2id$v=19$m=19456,t=2,p=1$", 31);
    assert_true(password_verify(STR("s3cret"), str_z(hash)));
    assert_false(password_verify(STR("s3cre"), str_z(hash)));
    assert_false(password_verify(STR("s3cret\0"), str_z(hash)));
    assert_false(password_verify(STR_NONE, str_z(hash)));
    assert_int_equal(password_hash(STR("s3cret"), again, &err), STATUS_OK);
    assert_string_not_equal(hash, again); /* salted */
}

static void test_password_length(void **state)
{
    char longest[PASSWORD_MAX + 1], hash[PASSWORD_HASH_MAX];
    struct err err = { 0 };

    (void)state;
    memset(longest, 'x', sizeof longest);
    assert_int_equal(password_hash(str_n(longest, PASSWORD_MAX + 1), hash, &err), STATUS_INVALID);
    assert_int_equal(password_hash(str_n(longest, PASSWORD_MAX), hash, &err), STATUS_OK);
    assert_true(password_verify(str_n(longest, PASSWORD_MAX), str_z(hash)));
    assert_false(password_verify(str_n(longest, PASSWORD_MAX + 1), str_z(hash)));
}

static void test_password_verifies_foreign_hashes(void **state)
{
    const struct str bcrypt = STR("$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW");
    const struct str sha512 =
        STR("$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdc"
            "bYEdFCoEOfaS35inz1");

    (void)state;
    assert_true(password_verify(STR("U*U"), bcrypt));
    assert_false(password_verify(STR("U*V"), bcrypt));
    assert_true(password_verify(STR("Hello world!"), sha512));
    assert_false(password_verify(STR("Hello world"), sha512));
    assert_false(password_verify(STR("Hello world!\0x"), sha512)); /* no cut at a NUL */
}

static void test_password_refuses_bad_hashes(void **state)
{
    const struct str bad[] = {
        STR(""),
        STR("x"),
        STR("$"),
        STR("*0"),
        STR("password"),
        STR("abJnggxhB/yWI"),                  /* DES */
        STR("$1$salt$qJH7.N4xYta3aEG/dfqo/0"), /* MD5 */
        STR("$argon2id$"),
        STR("$argon2id$v=19$m=19456,t=2,p=1$"),
        STR("$2b$31$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"), /* hours */
        STR("$6$rounds=999999999$saltstring$x"),
        STR("$2b$"),
        STR("$6$salt\0string"),
    };
    char longer[600];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        assert_false(password_verify(STR("password"), bad[i]));
        assert_false(password_verify(STR_NONE, bad[i]));
    }
    memset(longer, '$', sizeof longer);
    assert_false(password_verify(STR("password"), str_n(longer, sizeof longer)));
    assert_false(password_verify(STR("password"), STR_NONE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_password_hash_verifies),
        cmocka_unit_test(test_password_length),
        cmocka_unit_test(test_password_verifies_foreign_hashes),
        cmocka_unit_test(test_password_refuses_bad_hashes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
