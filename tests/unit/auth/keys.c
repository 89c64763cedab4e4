/* API keys: recognised, refused, rate-limited, and what roles give them. */
#include "auth_fixture.h"

static void test_auth_make_key(void **state)
{
    char plain[44], other[44], digest[65], mask[17], want[65];

    (void)state;
    auth_make_key(STR("k1"), plain, digest, mask);
    auth_make_key(STR("k1"), other, digest, mask);
    assert_int_equal(strlen(plain), 43);
    assert_string_not_equal(plain, other);
    CRYPTO_SHA256_HEX_OF(want, str_z(other), STR("k1"));
    assert_string_equal(digest, want);
    assert_int_equal(strlen(mask), 16);
    assert_memory_equal(mask, other, 4);
    assert_memory_equal(mask + 4, "********", 8);
    assert_string_equal(mask + 12, other + 39);
}

static void test_auth_key_is_recognised(void **state)
{
    struct house *h = *state;
    struct auth_user u = { .admin = false };
    char plain[44], second[44];

    make_key(h, "k1", "'privileges':{'run_jobs':true,'edit_events':1,'abort_jobs':0,'nonsense':1}",
             plain);
    make_key(h, "k2", "'privileges':{'admin':true},'categories':['night']", second);
    assert_string_equal(key_checked(h, plain, NOW, &u), "");
    assert_true(u.is_key);
    assert_str(u.username, "k1");
    assert_str(u.creator, "joe");
    assert_str(u.title, "Key k1");
    assert_false(u.admin);
    assert_true(auth_has(&u, PRIV_RUN_JOBS));
    assert_true(auth_has(&u, PRIV_EDIT_EVENTS));
    assert_false(auth_has(&u, PRIV_ABORT_JOBS));
    for (int i = 0; i < 2; i++) { /* the second time from memory */
        assert_string_equal(key_checked(h, second, NOW, &u), "");
        assert_str(u.username, "k2");
        assert_true(u.admin);
        assert_int_equal(u.n_categories, 0); /* admins have no limits */
    }
    auth_reopen(h);
    assert_string_equal(key_checked(h, plain, NOW, &u), "");
    assert_str(u.username, "k1");
}

static void test_auth_key_is_refused(void **state)
{
    struct house *h = *state;
    char plain[44];
    char longest[400];
    const struct auth_credentials none = { .safe_method = true };

    memset(longest, 'a', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    make_key(h, "k1", "", plain);
    assert_string_equal(checked(h, &none, NOW, NULL), "session");
    assert_string_equal(key_checked(h, "wrong", NOW, NULL), "session");
    assert_string_equal(key_checked(h, longest, NOW, NULL), "session");
    plain[0] = plain[0] == 'x' ? 'y' : 'x';
    assert_string_equal(key_checked(h, plain, NOW, NULL), "session");
}

static void test_auth_key_follows_its_definition(void **state)
{
    struct house *h = *state;
    char plain[44];

    make_key(h, "k1", "'expires':1800000100", plain);
    assert_string_equal(key_checked(h, plain, NOW, NULL), "");
    assert_string_equal(key_checked(h, plain, INT64_C(1800000100) * USEC_SEC - 1, NULL), "");
    assert_string_equal(key_checked(h, plain, INT64_C(1800000100) * USEC_SEC, NULL), "session");
    good(&h->w, UPDATE, DEF_API_KEY, "{'id':'k1','active':false}");
    assert_string_equal(key_checked(h, plain, NOW, NULL), "session");
    good(&h->w, UPDATE, DEF_API_KEY, "{'id':'k1','active':true}");
    assert_string_equal(key_checked(h, plain, NOW, NULL), "");
    good(&h->w, DELETE, DEF_API_KEY, "{'id':'k1'}");
    assert_string_equal(key_checked(h, plain, NOW, NULL), "session");
}

static void test_auth_key_rate(void **state)
{
    struct house *h = *state;
    char plain[44];

    make_key(h, "k1", "'max_per_sec':3", plain);
    for (int second = 0; second < 2; second++) {
        for (int i = 0; i < 3; i++)
            assert_string_equal(key_checked(h, plain, NOW + second * USEC_SEC, NULL), "");
        assert_string_equal(key_checked(h, plain, NOW + second * USEC_SEC, NULL), "rate");
        assert_string_equal(key_checked(h, plain, NOW + second * USEC_SEC, NULL), "rate");
    }
    /* a change of the key does not give it a new second */
    good(&h->w, UPDATE, DEF_API_KEY, "{'id':'k1','title':'Slow'}");
    assert_string_equal(key_checked(h, plain, NOW + USEC_SEC, NULL), "rate");
}

static void test_auth_roles(void **state)
{
    struct house *h = *state;
    struct auth_user u = { .admin = false };
    char plain[44];

    good(&h->w, CREATE, DEF_ROLE,
         "{'id':'r1','title':'R','privileges':{'run_jobs':true},'categories':['night','day']}");
    good(&h->w, CREATE, DEF_ROLE,
         "{'id':'r2','title':'R','enabled':false,'privileges':{'admin':true},'groups':['db']}");
    make_key(h, "k1", "'roles':['r1','r2','gone'],'categories':['day','noon']", plain);
    assert_string_equal(key_checked(h, plain, NOW, &u), "");
    assert_true(auth_has(&u, PRIV_RUN_JOBS));
    assert_false(u.admin);
    assert_int_equal(u.n_categories, 3);
    assert_str(u.categories[0], "day");
    assert_str(u.categories[1], "noon");
    assert_str(u.categories[2], "night");
    assert_int_equal(u.n_groups, 0);

    good(&h->w, UPDATE, DEF_ROLE, "{'id':'r2','enabled':true,'privileges':{'tag_jobs':true}}");
    assert_string_equal(key_checked(h, plain, NOW, &u), "");
    assert_true(auth_has(&u, PRIV_TAG_JOBS));
    assert_int_equal(u.n_groups, 1);
    assert_str(u.groups[0], "db");
    good(&h->w, DELETE, DEF_ROLE, "{'id':'r1'}");
    assert_string_equal(key_checked(h, plain, NOW, &u), "");
    assert_false(auth_has(&u, PRIV_RUN_JOBS));
    assert_int_equal(u.n_categories, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_auth_make_key), AUTH_TEST(test_auth_key_is_recognised),
        AUTH_TEST(test_auth_key_is_refused),  AUTH_TEST(test_auth_key_follows_its_definition),
        AUTH_TEST(test_auth_key_rate),        AUTH_TEST(test_auth_roles),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
