/* config.json: defaults, merging as satellite.md 10 says, what is written. */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <sys/stat.h>

#include "base/file.h"
#include "sat/config.h"

static void merge(const char *old, const char *update, bool pushed, const char *want)
{
    AUTO(json_doc_free) yyjson_doc *doc = NULL;
    AUTO_BUF struct buf out = { 0 };

    buf_init(&out, CONFIG_SIZE_MAX);
    assert_int_equal(json_parse(str_z(update), CONFIG_SIZE_MAX, &doc, NULL), STATUS_OK);
    assert_int_equal(config_merge_text(str_z(old), yyjson_doc_get_root(doc), pushed, &out, NULL),
                     STATUS_OK);
    (void)buf_add_char(&out, 0);
    assert_string_equal(out.p, want);
}

static void test_merging(void **state)
{
    (void)state;
    merge("{\"a\":1,\"b\":2}", "{\"b\":3,\"c\":4}", true,
          "{\n\t\"a\": 1,\n\t\"b\": 3,\n\t\"c\": 4\n}\n");
    merge("", "{\"a\":1}", true, "{\n\t\"a\": 1\n}\n");
    /* initial is for the first hello only */
    merge("{\"initial\":{},\"a\":1}", "{\"a\":1}", true, "{\n\t\"a\": 1\n}\n");
    merge("{\"initial\":{},\"a\":1}", "{\"a\":2}", false, "{\n\t\"initial\": {},\n\t\"a\": 2\n}\n");
    /* managed_keys lets only its own through, and binds only the conductor */
    merge("{\"managed_keys\":[\"a\"],\"a\":1,\"b\":1}", "{\"a\":2,\"b\":2,\"c\":2}", true,
          "{\n\t\"managed_keys\": [\n\t\t\"a\"\n\t],\n\t\"a\": 2,\n\t\"b\": 1\n}\n");
    merge("{\"managed_keys\":[],\"a\":1}", "{\"a\":2}", false,
          "{\n\t\"managed_keys\": [],\n\t\"a\": 2\n}\n");
}

static void test_values(void **state)
{
    struct sat_config c = { 0 };
    AUTO(json_doc_free) yyjson_doc *doc = NULL;

    (void)state;
    assert_int_equal(config_parse(&c, STR("{}"), NULL), STATUS_OK);
    assert_int_equal(c.port, 5522);
    assert_false(c.secure);
    assert_false(c.verify_tls);
    assert_null(c.host.p);
    assert_null(c.hosts);
    assert_int_equal(c.kill_timeout, 10 * USEC_SEC);
    assert_int_equal(c.reconnect_max, 30 * USEC_SEC);
    assert_int_equal(c.http.retries, 8);
    assert_true(c.monitoring);
    assert_int_equal(
        config_parse(
            &c,
            STR("{\"port\":99999,\"secure\":1,\"host\":\"h\",\"hosts\":[\"a\"],"
                "\"socket_opts\":{\"rejectUnauthorized\":true},\"child_kill_timeout\":0.5,"
                "\"ping_timeout_sec\":-1,\"http_file_opts\":{\"retries\":2,\"retryDelay\":10},"
                "\"quickmon_enabled\":false,\"auth_token\":\"\"}"),
            NULL),
        STATUS_OK);
    assert_int_equal(c.port, 5522); /* no port */
    assert_true(c.secure);
    assert_true(c.verify_tls);
    assert_true(str_eq_z(c.host, "h"));
    assert_int_equal(yyjson_arr_size(c.hosts), 1);
    assert_int_equal(c.kill_timeout, USEC_SEC / 2);
    assert_int_equal(c.ping_timeout, 60 * USEC_SEC);
    assert_int_equal(c.http.retries, 2);
    assert_int_equal(c.http.retry_delay, 10 * USEC_MSEC);
    assert_false(c.quickmon);
    assert_null(c.auth_token.p);
    assert_int_equal(config_parse(&c, STR("[1]"), NULL), STATUS_INVALID);
    assert_int_equal(config_parse(&c, STR("{"), NULL), STATUS_INVALID);
    assert_true(str_eq_z(c.host, "h")); /* the old one stays */
    assert_int_equal(json_parse(STR("{\"secure\":1,\"host\":\"h\"}"), 1000, &doc, NULL), STATUS_OK);
    assert_true(config_has_all(&c, yyjson_doc_get_root(doc)));
    json_doc_free(doc);
    assert_int_equal(json_parse(STR("{\"secure\":0}"), 1000, &doc, NULL), STATUS_OK);
    assert_false(config_has_all(&c, yyjson_doc_get_root(doc)));
    config_done(&c);
}

static void test_the_file(void **state)
{
    char folder[] = "/tmp/orrery-config-XXXXXX";
    char path[64];
    struct stat st;
    struct sat_config c = { 0 };
    AUTO_BUF struct buf text = { 0 };

    (void)state;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof(path), "%s/config.json", folder);
    buf_init(&text, CONFIG_SIZE_MAX);
    assert_int_equal(config_mtime(path), 0);
    assert_int_equal(config_load(&c, path, NULL), STATUS_MISSING);
    assert_int_equal(config_update_file(path, STR("{\"port\":1}"), true, &text, NULL), STATUS_OK);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_true(config_mtime(path) > 0);
    assert_int_equal(config_load(&c, path, NULL), STATUS_OK);
    assert_int_equal(c.port, 1);
    assert_int_equal(file_replace(path, STR("broken"), 0600, NULL), STATUS_OK);
    buf_clear(&text);
    assert_int_equal(config_update_file(path, STR("{\"port\":2}"), true, &text, NULL),
                     STATUS_INVALID);
    assert_int_equal(config_load(&c, path, NULL), STATUS_INVALID);
    assert_int_equal(c.port, 1);
    config_done(&c);
    assert_int_equal(file_remove_tree(folder, NULL), STATUS_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_merging),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_the_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
