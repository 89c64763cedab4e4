/* The property tables and rows of the kinds of definitions. */
#include "defs_fixture.h"

static void test_event_tables_pass_their_own_test(void **state)
{
    (void)state;
    for (unsigned k = 0; k < DEF_KIND_COUNT; k++) {
        struct err err = { .code = STATUS_OK };
        const struct def_kind_row *row = def_kind_row((enum def_kind)k);
        const Status st = schema_selftest(row->props, &err);
        if (st)
            print_error("%s: %s\n", row->name, err.text);
        assert_int_equal(st, STATUS_OK);
    }
    assert_null(def_kind_row(DEF_KIND_COUNT));
}

static void test_event_kind_names(void **state)
{
    static const struct {
        enum def_kind kind;
        const char *name, *plural, *prefix, *activity;
    } rows[] = {
        { DEF_EVENT, "event", "events", "e", "event" },
        { DEF_CATEGORY, "category", "categories", "ca", "category" },
        { DEF_PLUGIN, "plugin", "plugins", "p", "plugin" },
        { DEF_GROUP, "group", "groups", "g", "group" },
        { DEF_USER, "user", "users", "u", "user" },
        { DEF_ROLE, "role", "roles", "r", "role" },
        { DEF_API_KEY, "api_key", "api_keys", "k", "apikey" },
        { DEF_TAG, "tag", "tags", "t", "tag" },
        { DEF_CHANNEL, "channel", "channels", "ch", "channel" },
        { DEF_WEB_HOOK, "web_hook", "web_hooks", "w", "web_hook" },
        { DEF_MONITOR, "monitor", "monitors", "m", "monitor" },
        { DEF_ALERT, "alert", "alerts", "a", "alert" },
        { DEF_BUCKET, "bucket", "buckets", "b", "bucket" },
        { DEF_SECRET, "secret", "secrets", "z", "secret" },
    };

    (void)state;
    assert_int_equal(COUNT_OF(rows), DEF_KIND_COUNT);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct def_kind_row *row = def_kind_row(rows[i].kind);
        enum def_kind found = DEF_KIND_COUNT;
        assert_string_equal(row->name, rows[i].name);
        assert_string_equal(row->plural, rows[i].plural);
        assert_string_equal(row->id_prefix, rows[i].prefix);
        assert_string_equal(row->activity, rows[i].activity);
        assert_true(def_kind_find(str_z(rows[i].name), &found));
        assert_int_equal(found, rows[i].kind);
    }
    enum def_kind none = DEF_ROLE;
    assert_false(def_kind_find(STR("events"), &none));
    assert_int_equal(none, DEF_ROLE);
}

static void test_event_secrets_are_marked(void **state)
{
    (void)state;
    assert_true(schema_find(user_props, STR("password"))->flags & P_SECRET);
    assert_true(schema_find(user_props, STR("salt"))->flags & P_SECRET);
    assert_true(schema_find(api_key_props, STR("key"))->flags & P_SECRET);
}

static void test_event_user_ids(void **state)
{
    char name[ID_MAX + 2];
    Id id = { .z = "" };

    (void)state;
    assert_true(defs_user_id(STR("Joe.Smith-2"), &id));
    assert_string_equal(id.z, "joesmith2");
    assert_true(defs_user_id(STR("a_b"), &id));
    assert_string_equal(id.z, "a_b");
    assert_false(defs_user_id(STR(""), &id));
    assert_false(defs_user_id(STR(".-"), &id));
    assert_false(defs_user_id(STR_NONE, &id));
    memset(name, 'a', sizeof name);
    assert_true(defs_user_id(str_n(name, ID_MAX), &id));
    assert_false(defs_user_id(str_n(name, ID_MAX + 1), &id));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_event_tables_pass_their_own_test),
        cmocka_unit_test(test_event_kind_names),
        cmocka_unit_test(test_event_secrets_are_marked),
        cmocka_unit_test(test_event_user_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
