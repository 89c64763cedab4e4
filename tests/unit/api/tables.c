/* Walks every row of the API: what a table says of itself must be true. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "api/api_int.h"
#include "base/file.h"
#include "event/kinds.h"

/* Names that clients of the reference use and this version has. */
static const char *const promised[] = {
    "abort_job",
    "create_api_key",
    "create_category",
    "create_event",
    "create_group",
    "create_plugin",
    "delete_api_key",
    "delete_category",
    "delete_event",
    "delete_group",
    "delete_job",
    "delete_job_file",
    "delete_plugin",
    "delete_server",
    "download_job_log",
    "echo",
    "error",
    "file",
    "finish_job",
    "get_active_job_summary",
    "get_active_jobs",
    "get_active_server",
    "get_active_servers",
    "get_api_key",
    "get_api_keys",
    "get_categories",
    "get_category",
    "get_event",
    "get_event_history",
    "get_events",
    "get_group",
    "get_groups",
    "get_job",
    "get_job_log",
    "get_jobs",
    "get_plugin",
    "get_plugins",
    "get_satellite_token",
    "get_server",
    "job_skip_delay",
    "multi_update_category",
    "multi_update_group",
    "ping",
    "run_event",
    "satellite",
    "search_jobs",
    "tail_live_job_log",
    "update_api_key",
    "update_category",
    "update_event",
    "update_group",
    "update_job",
    "update_plugin",
    "update_server",
    "upload_files",
    "upload_job_file",
    "upload_job_input_files",
    "view_job_log",
};

static bool is_user(const struct api_row *row)
{
    return (row->flags & API_USER_SPACE) != 0;
}

static void test_rows_are_sorted_and_unique(void **state)
{
    size_t n;
    const struct api_row *const *rows = api_rows(&n);

    (void)state;
    assert_true(n > 50);
    for (size_t i = 1; i < n; i++) {
        if (is_user(rows[i]) == is_user(rows[i - 1]))
            assert_true(strcmp(rows[i - 1]->name, rows[i]->name) < 0);
        else
            assert_true(is_user(rows[i])); /* the account space comes last */
    }
}

static void test_rows_are_found(void **state)
{
    size_t n;
    const struct api_row *const *rows = api_rows(&n);

    (void)state;
    for (size_t i = 0; i < n; i++) {
        assert_ptr_equal(api_row_find(str_z(rows[i]->name), is_user(rows[i])), rows[i]);
        assert_null(api_row_find(str_z(rows[i]->name), !is_user(rows[i])));
        assert_int_equal(api_row_index(rows[i]), i);
    }
    assert_null(api_row_find(STR("no_such_call"), false));
    assert_null(api_row_find(STR(""), false));
    assert_null(api_row_find(STR("zzz"), true));
    for (size_t i = 0; i < COUNT_OF(promised); i++) {
        if (!api_row_find(str_z(promised[i]), false))
            fail_msg("%s is not there", promised[i]);
    }
    assert_non_null(api_row_find(STR("login"), true));
    assert_non_null(api_row_find(STR("logout"), true));
    assert_non_null(api_row_find(STR("resume_session"), true));
}

static void test_rows_are_complete(void **state)
{
    size_t n;
    const struct api_row *const *rows = api_rows(&n);

    (void)state;
    for (size_t i = 0; i < n; i++) {
        const struct api_row *row = rows[i];
        const size_t doc = row->doc ? strlen(row->doc) : 0;
        struct err err = { .code = STATUS_OK };

        assert_true(str_is_word(str_z(row->name)));
        if (!row->fn || doc < 2 || row->doc[doc - 1] != '.')
            fail_msg("%s: no handler, or a doc without full stop", row->name);
        if (!row->family || !api_family_find(str_z(row->family)))
            fail_msg("%s: unknown family", row->name);
        assert_true((unsigned)row->priv < PRIV_COUNT);
        assert_false((row->flags & API_BODY_ONLY) && (row->flags & API_QUERY_ONLY));
        assert_false((row->flags & API_BIG_FILES) && !(row->flags & API_FILES));
        if (row->in && schema_selftest(row->in, &err))
            fail_msg("%s: %s", row->name, err.text);
    }
}

/* What changes something needs a privilege, unless it brings its own proof or is one's own. */
static void test_rows_that_change_need_a_privilege(void **state)
{
    static const char *const starts[] = { "create_", "update_", "delete_", "multi_",
                                          "abort_",  "run_",    "job_skip" };
    size_t n;
    const struct api_row *const *rows = api_rows(&n);

    (void)state;
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < COUNT_OF(starts); k++) {
            if (str_starts(str_z(rows[i]->name), str_z(starts[k])) && rows[i]->priv <= PRIV_PUBLIC)
                fail_msg("%s needs no privilege", rows[i]->name);
        }
    }
}

static void test_examples_pass_their_own_tables(void **state)
{
    size_t n;
    const struct api_row *const *rows = api_rows(&n);
    size_t checked = 0;

    (void)state;
    for (size_t i = 0; i < n; i++) {
        yyjson_doc *doc = NULL;
        struct err err = { .code = STATUS_OK };
        yyjson_val *v;

        if (!rows[i]->example)
            continue;
        if (json_parse(str_z(rows[i]->example), JSON_SIZE_MAX, &doc, &err))
            fail_msg("%s: %s", rows[i]->name, err.text);
        v = yyjson_doc_get_root(doc);
        assert_true(yyjson_is_obj(v));
        if (schema_check_generic(v, &err) ||
            (rows[i]->in && schema_check(rows[i]->in, v, SCHEMA_CALL, &err)))
            fail_msg("%s: %s", rows[i]->name, err.text);
        checked++;
        json_doc_free(doc);
    }
    assert_true(checked > 40);
}

/* Examples of creates pass the property table of their kind as well. */
static void test_create_examples_pass_the_object_tables(void **state)
{
    static const enum def_kind kinds[] = { DEF_EVENT, DEF_CATEGORY, DEF_PLUGIN, DEF_GROUP };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        const struct def_kind_row *kind = def_kind_row(kinds[i]);
        char name[64];
        yyjson_doc *doc = NULL;
        struct err err = { .code = STATUS_OK };
        const struct api_row *row;

        (void)snprintf(name, sizeof name, "create_%s", kind->name);
        row = api_row_find(str_z(name), false);
        assert_non_null(row);
        assert_int_equal(json_parse(str_z(row->example), JSON_SIZE_MAX, &doc, &err), STATUS_OK);
        if (schema_check(kind->props, yyjson_doc_get_root(doc), SCHEMA_CREATE, &err))
            fail_msg("%s: %s", name, err.text);
        json_doc_free(doc);
    }
}

static void test_required_parameters_are_required(void **state)
{
    size_t n;
    const struct api_row *const *rows = api_rows(&n);
    yyjson_doc *doc = NULL;

    (void)state;
    assert_int_equal(json_parse(STR("{}"), 2, &doc, NULL), STATUS_OK);
    for (size_t i = 0; i < n; i++) {
        bool required = false;
        Status st;

        for (const struct prop *p = rows[i]->in; p && p->name; p++)
            required = required || (p->flags & P_REQUIRED);
        if (!rows[i]->in)
            continue;
        st = schema_check(rows[i]->in, yyjson_doc_get_root(doc), SCHEMA_CALL, NULL);
        assert_int_equal(st, required ? STATUS_INVALID : STATUS_OK);
    }
    json_doc_free(doc);
}

/* The documents nest deeper than the tiny build reads JSON. */
static bool is_tiny(void)
{
    return JSON_DEPTH_MAX < 16;
}

static void test_openapi_names_every_call(void **state)
{
    AUTO_BUF struct buf out = { .max = 16u * 1024 * 1024 };
    yyjson_doc *doc = NULL;
    size_t n;
    const struct api_row *const *rows = api_rows(&n);
    yyjson_val *root, *paths;

    (void)state;
    if (is_tiny())
        skip();
    assert_int_equal(api_openapi(&out), STATUS_OK);
    assert_int_equal(json_parse(buf_str(&out), JSON_SIZE_MAX, &doc, NULL), STATUS_OK);
    root = yyjson_doc_get_root(doc);
    paths = json_get(root, "paths");
    assert_true(str_eq_z(json_str(root, "openapi"), "3.1.0"));
    assert_int_equal(yyjson_obj_size(paths), n);
    for (size_t i = 0; i < n; i++) {
        char path[128];

        (void)snprintf(path, sizeof path, "/api/%s/%s/v1", is_user(rows[i]) ? "user" : "app",
                       rows[i]->name);
        if (!json_get(paths, path))
            fail_msg("%s is not in openapi.json", path);
    }
    assert_non_null(json_get(json_get(paths, "/api/app/get_event/v1"), "get"));
    assert_non_null(json_get(json_get(paths, "/api/app/run_event/v1"), "post"));
    assert_true(
        str_eq_z(json_str(json_get(json_get(paths, "/api/app/run_event/v1"), "post"), "x-rule"),
                 "run_jobs"));
    assert_true(
        str_eq_z(json_val_str(json_at(root, "components.schemas.event.required.0")), "title"));
    assert_non_null(json_at(root, "components.schemas.api_key.properties.title"));
    json_doc_free(doc);
}

static void test_docs_are_written(void **state)
{
    char dir[] = "/tmp/orrery-docs-XXXXXX";
    char path[128];
    AUTO_BUF struct buf text = { .max = 1u << 20 };
    struct err err = { .code = STATUS_OK };

    (void)state;
    if (is_tiny())
        skip();
    assert_non_null(mkdtemp(dir));
    assert_int_equal(api_write_docs(dir, &err), STATUS_OK);
    for (const struct api_family *f = api_families; f->name; f++) {
        (void)snprintf(path, sizeof path, "%s/%s.md", dir, f->name);
        buf_clear(&text);
        if (!api_family_used(f)) {
            assert_int_equal(file_read(path, &text, NULL), STATUS_MISSING);
            continue;
        }
        assert_int_equal(file_read(path, &text, NULL), STATUS_OK);
        assert_true(str_starts(buf_str(&text), STR("# ")));
        assert_true(str_find(buf_str(&text), STR("\n## ")) < text.n);
    }
    (void)snprintf(path, sizeof path, "%s/openapi.json", dir);
    buf_clear(&text);
    assert_int_equal(file_read(path, &text, NULL), STATUS_OK);
    assert_true(str_starts(buf_str(&text), STR("{\n\t\"openapi\"")));
    assert_int_equal(file_remove_tree(dir, NULL), STATUS_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_are_sorted_and_unique),
        cmocka_unit_test(test_rows_are_found),
        cmocka_unit_test(test_rows_are_complete),
        cmocka_unit_test(test_rows_that_change_need_a_privilege),
        cmocka_unit_test(test_examples_pass_their_own_tables),
        cmocka_unit_test(test_create_examples_pass_the_object_tables),
        cmocka_unit_test(test_required_parameters_are_required),
        cmocka_unit_test(test_openapi_names_every_call),
        cmocka_unit_test(test_docs_are_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
