/* The list of privileges and what a principal may do by it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "auth/auth.h"

static void test_privilege_names(void **state)
{
    enum privilege p = PRIV_NONE;

    (void)state;
    assert_string_equal(privilege_key(PRIV_ADMIN), "admin");
    assert_string_equal(privilege_key(PRIV_RUN_JOBS), "run_jobs");
    assert_string_equal(privilege_key(PRIV_BULK_EXPORT), "bulk_export");
    assert_string_equal(privilege_title(PRIV_EDIT_EVENTS), "Edit Events");
    assert_string_equal(privilege_key(PRIV_NONE), "");
    assert_string_equal(privilege_key(PRIV_PUBLIC), "");
    assert_string_equal(privilege_key(PRIV_COUNT), "");
    assert_true(privilege_find(STR("delete_web_hooks"), &p));
    assert_int_equal(p, PRIV_DELETE_WEB_HOOKS);
    assert_false(privilege_find(STR(""), &p));
    assert_false(privilege_find(STR("Admin"), &p));
    assert_false(privilege_find(STR("run_jobs "), &p));
    assert_int_equal(p, PRIV_DELETE_WEB_HOOKS);
}

static void test_privilege_keys_are_unique_and_47(void **state)
{
    size_t n = 0;

    (void)state;
    for (unsigned a = PRIV_PUBLIC + 1; a < PRIV_COUNT; a++) {
        enum privilege found = PRIV_NONE;

        assert_true(privilege_find(str_z(privilege_key((enum privilege)a)), &found));
        assert_int_equal(found, a);
        assert_true(strlen(privilege_title((enum privilege)a)) > 0);
        n++;
    }
    assert_int_equal(n, 47);
}

static void test_auth_has(void **state)
{
    const struct auth_user runner = { .privileges = UINT64_C(1) << PRIV_RUN_JOBS };
    const struct auth_user admin = { .admin = true };
    const struct auth_user nobody = { .admin = false };

    (void)state;
    assert_true(auth_has(&runner, PRIV_RUN_JOBS));
    assert_false(auth_has(&runner, PRIV_ABORT_JOBS));
    assert_false(auth_has(&runner, PRIV_ADMIN));
    assert_true(auth_has(&admin, PRIV_ADMIN));
    assert_true(auth_has(&admin, PRIV_BULK_EXPORT));
    assert_true(auth_has(&nobody, PRIV_NONE));
    assert_true(auth_has(&nobody, PRIV_PUBLIC));
    assert_false(auth_has(&nobody, PRIV_RUN_JOBS));
}

static bool targets_ok(const struct auth_user *u, const char *json)
{
    yyjson_doc *doc = NULL;
    bool ok;

    assert_int_equal(json_parse(str_z(json), 1000, &doc, NULL), STATUS_OK);
    ok = auth_targets_ok(u, yyjson_doc_get_root(doc));
    json_doc_free(doc);
    return ok;
}

static void test_auth_limits(void **state)
{
    const struct str categories[] = { STR("night"), STR("day") };
    const struct str groups[] = { STR("db") };
    const struct auth_user free_user = { .admin = false };
    const struct auth_user limited = {
        .categories = categories, .n_categories = 2, .groups = groups, .n_groups = 1
    };
    struct auth_user admin = limited;

    (void)state;
    admin.admin = true;
    assert_true(auth_category_ok(&limited, STR("day")));
    assert_false(auth_category_ok(&limited, STR("general")));
    assert_false(auth_category_ok(&limited, STR("")));
    assert_true(auth_category_ok(&free_user, STR("general")));
    assert_true(auth_category_ok(&admin, STR("general")));
    assert_true(auth_group_ok(&limited, STR("db")));
    assert_false(auth_group_ok(&limited, STR("web")));
    assert_true(auth_group_ok(&free_user, STR("web")));

    assert_true(targets_ok(&limited, "[\"s1\",\"db\"]"));
    assert_false(targets_ok(&limited, "[\"s1\",\"web\"]"));
    assert_true(targets_ok(&limited, "[]"));
    assert_true(targets_ok(&free_user, "[\"web\"]"));
    assert_true(targets_ok(&admin, "[\"web\"]"));
    assert_false(targets_ok(&limited, "[5,null]"));
    assert_true(auth_targets_ok(&limited, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_privilege_names),
        cmocka_unit_test(test_privilege_keys_are_unique_and_47),
        cmocka_unit_test(test_auth_has),
        cmocka_unit_test(test_auth_limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
