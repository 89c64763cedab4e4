/* Tests of crypto/crypto.h against published vectors (FIPS 180, RFC 1321, 2104, 4231, 4648, 6455).
 */
#include "crypto/crypto.h"

#include <string.h>

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>
static void test_crypto_sha256(void **state)
{
    char out[CRYPTO_SHA256_HEX + 1];

    (void)state;
    crypto_sha256_hex(NULL, 0, out);
    assert_string_equal(out, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    CRYPTO_SHA256_HEX_OF(out, STR("abc"));
    assert_string_equal(out, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    CRYPTO_SHA256_HEX_OF(out, STR("a"), STR_NONE, STR("bc"));
    assert_string_equal(out, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void test_crypto_reference_digests(void **state)
{
    char first[CRYPTO_SHA256_HEX + 1], out[CRYPTO_SHA256_HEX + 1];
    AUTO_BUF struct buf token = { .max = 100 };
    uint8_t raw[32];

    /* satellite.md 48.4, with the key "test" */
    (void)state;
    CRYPTO_SHA256_HEX_OF(first, STR("smf4"), STR("test"));
    assert_string_equal(first, "29e11c15bc2035b15313c8236ce60cefff16188c0124eaee8680a8cb84d7657c");
    CRYPTO_SHA256_HEX_OF(out, STR("abc"), STR("test"));
    assert_string_equal(out, "70e0f1ade11debb6732029c267095e092b5b43ff271d4f8d9158cb004322f38b");
    CRYPTO_SHA256_HEX_OF(out, STR("j1"), str_z(first));
    assert_string_equal(out, "2aa93986a619c79716be06952cc68b98f570c351e45ed55f14658136edef8c68");
    crypto_sha256((const struct str[]){ STR("download"), STR("j1"), STR("test") }, 3, raw);
    assert_int_equal(crypto_base64(str_n(raw, 16), true, &token), STATUS_OK);
    assert_true(str_eq_z(buf_str(&token), "WdxLecXr8hLZISBc0Q-CKw"));
}

static void test_crypto_other_digests(void **state)
{
    uint8_t raw[32];
    char hex[65];

    (void)state;
    crypto_hmac_sha256(STR("Jefe"), STR("what do ya want for nothing?"), raw);
    crypto_hex(raw, 32, hex);
    assert_string_equal(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    crypto_hmac_sha256(STR_NONE, STR_NONE, raw);
    crypto_hex(raw, 32, hex);
    assert_string_equal(hex, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
    crypto_sha1(STR("dGhlIHNhbXBsZSBub25jZQ==258EAFA5-E914-47DA-95CA-C5AB0DC85B11"), raw);
    crypto_hex(raw, 20, hex);
    assert_string_equal(hex, "b37a4f2cc0624f1690f64606cf385945b2bec4ea");
    crypto_md5(STR("abc"), raw);
    crypto_hex(raw, 16, hex);
    assert_string_equal(hex, "900150983cd24fb0d6963f7d28e17f72");
}

static void test_crypto_equal(void **state)
{
    (void)state;
    assert_true(crypto_equal(STR("abc"), STR("abc")));
    assert_false(crypto_equal(STR("abc"), STR("abd")));
    assert_false(crypto_equal(STR("abc"), STR("ab")));
    assert_true(crypto_equal(STR_NONE, STR("")));
}

static void test_crypto_random(void **state)
{
    char a[65], b[65], c[44], d[44];

    (void)state;
    crypto_random_hex(a);
    crypto_random_hex(b);
    assert_int_equal(strlen(a), 64);
    assert_int_equal(strspn(a, "0123456789abcdef"), 64);
    assert_string_not_equal(a, b);
    crypto_random_base64url(c);
    crypto_random_base64url(d);
    assert_int_equal(strlen(c), 43);
    assert_int_equal(strspn(c, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"),
                     43);
    assert_string_not_equal(c, d);
    assert_true(crypto_random_u64() != crypto_random_u64());
    crypto_random(NULL, 0);
}

static void test_crypto_random_base64url_is_32_bytes(void **state)
{
    AUTO_BUF struct buf b = { .max = 100 };
    char text[44];

    (void)state;
    crypto_random_base64url(text);
    assert_int_equal(crypto_unbase64(str_z(text), true, &b), STATUS_OK);
    assert_int_equal(b.n, 32);
}

static void test_crypto_hex(void **state)
{
    uint8_t out[3] = { 9, 9, 9 };
    char hex[7];

    (void)state;
    assert_true(crypto_unhex(STR("00fFa5"), out, 3));
    assert_memory_equal(out, "\x00\xff\xa5", 3);
    crypto_hex(out, 3, hex);
    assert_string_equal(hex, "00ffa5");
    assert_false(crypto_unhex(STR("00ff"), out, 3));
    assert_false(crypto_unhex(STR("00ff0g"), out, 3));
    assert_memory_equal(out, "\x00\xff\xa5", 3);
}

static void test_crypto_base64(void **state)
{
    static const char *const texts[][2] = {
        { "", "" },
        { "f", "Zg==" },
        { "fo", "Zm8=" },
        { "foo", "Zm9v" },
        { "foob", "Zm9vYg==" },
        { "fooba", "Zm9vYmE=" },
        { "foobar", "Zm9vYmFy" },
    };
    AUTO_BUF struct buf b = { .max = 100 };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        buf_clear(&b);
        assert_int_equal(crypto_base64(str_z(texts[i][0]), false, &b), STATUS_OK);
        assert_true(str_eq_z(buf_str(&b), texts[i][1]));
        buf_clear(&b);
        assert_int_equal(crypto_unbase64(str_z(texts[i][1]), false, &b), STATUS_OK);
        assert_true(str_eq_z(buf_str(&b), texts[i][0]));
    }
    buf_clear(&b);
    assert_int_equal(crypto_base64(STR("\xfb\xff\xfe\xff"), true, &b), STATUS_OK);
    assert_true(str_eq_z(buf_str(&b), "-__-_w"));
    buf_clear(&b);
    assert_int_equal(crypto_unbase64(STR("-__-_w"), true, &b), STATUS_OK);
    assert_true(str_eq(buf_str(&b), STR("\xfb\xff\xfe\xff")));
}

static void test_crypto_base64_is_strict(void **state)
{
    static const char *const bad[] = { "Zg",   "Zg=",    "Z===", "====",     "Zm8",   "Zh==",
                                       "Zm9=", "Zm9v\n", "Zm_v", "Zg==Zg==", "Z m9v", "=Zg=" };
    static const char *const bad_url[] = { "Zg==", "Z", "Zm+v", "Zh", "Zm9vY" };
    AUTO_BUF struct buf b = { .max = 100 };

    (void)state;
    assert_int_equal(buf_add_z(&b, "kept"), STATUS_OK);
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        if (crypto_unbase64(str_z(bad[i]), false, &b) != STATUS_INVALID)
            fail_msg("accepted: %s", bad[i]);
    }
    for (size_t i = 0; i < COUNT_OF(bad_url); i++)
        assert_int_equal(crypto_unbase64(str_z(bad_url[i]), true, &b), STATUS_INVALID);
    assert_int_equal(crypto_unbase64(STR("Zm9\0"), false, &b), STATUS_INVALID);
    assert_true(str_eq_z(buf_str(&b), "kept"));
}

static void test_crypto_base64_bounds(void **state)
{
    AUTO_BUF struct buf b = { .max = 4 };

    (void)state;
    assert_int_equal(crypto_base64(STR("foo"), false, &b), STATUS_OK); /* exactly */
    buf_clear(&b);
    assert_int_equal(crypto_base64(STR("foob"), false, &b), STATUS_FULL);
    buf_clear(&b);
    assert_int_equal(crypto_unbase64(STR("Zm9vYg=="), false, &b), STATUS_OK);
    buf_clear(&b);
    assert_int_equal(crypto_unbase64(STR("Zm9vYmE="), false, &b), STATUS_FULL);
}

static void test_secret(void **state)
{
    struct secret s = { 0 };

    (void)state;
    assert_int_equal(secret_set(&s, STR("one")), STATUS_OK);
    assert_true(str_eq_z(secret_str(&s), "one"));
    assert_int_equal(secret_set(&s, secret_str(&s)), STATUS_OK); /* from itself */
    assert_true(str_eq_z(secret_str(&s), "one"));
    assert_int_equal(secret_set(&s, STR_NONE), STATUS_OK);
    assert_int_equal(s.n, 0);
    secret_done(&s);
    assert_null(s.p);
    secret_done(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crypto_sha256),
        cmocka_unit_test(test_crypto_reference_digests),
        cmocka_unit_test(test_crypto_other_digests),
        cmocka_unit_test(test_crypto_equal),
        cmocka_unit_test(test_crypto_random),
        cmocka_unit_test(test_crypto_random_base64url_is_32_bytes),
        cmocka_unit_test(test_crypto_hex),
        cmocka_unit_test(test_crypto_base64),
        cmocka_unit_test(test_crypto_base64_is_strict),
        cmocka_unit_test(test_crypto_base64_bounds),
        cmocka_unit_test(test_secret),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
