/* The default install: exact ids, titles, commands and parameters. */
#include "defs_fixture.h"

static struct change_outcome installed;

static void install_note(void *arg, Status st, const struct err *err)
{
    (void)arg;
    (void)err;
    installed = (struct change_outcome){ .done = true, .st = st };
}

static void install(struct world *w)
{
    installed = (struct change_outcome){ .done = false };
    assert_int_equal(defs_install(w->d, NOW, install_note, NULL, NULL), STATUS_OK);
    fixture_wait(&w->f, &installed.done);
    assert_int_equal(installed.st, STATUS_OK);
}

/* "id type=default ..." of a plugin's parameters; R required, L locked. */
static void assert_params(struct world *w, const char *plugin, const char *expected)
{
    yyjson_val *params = json_get(object(w, DEF_PLUGIN, plugin), "params");
    yyjson_val *p;
    yyjson_arr_iter it;
    struct buf out;

    buf_init(&out, 65536);
    yyjson_arr_iter_init(params, &it);
    for (p = yyjson_arr_iter_next(&it); p; p = yyjson_arr_iter_next(&it)) {
        (void)buf_printf(
            &out, "%.*s %.*s%s%s%s=", STR_FMT(json_str(p, "id")), STR_FMT(json_str(p, "type")),
            str_eq_z(json_str(p, "variant"), "number") ? "/number" : "",
            json_bool(p, "required", false) ? " R" : "", json_bool(p, "locked", false) ? " L" : "");
        if (json_get(p, "value"))
            assert_int_equal(json_text(json_get(p, "value"), false, &out), STATUS_OK);
        (void)buf_add_z(&out, "\n");
    }
    (void)buf_add_char(&out, '\0');
    assert_string_equal(out.p, expected);
    buf_done(&out);
}

static void test_install_objects(void **state)
{
    struct world *w = *state;

    install(w);
    assert_int_equal(defs_count(w->d, DEF_GROUP), 1);
    assert_int_equal(defs_count(w->d, DEF_CATEGORY), 1);
    assert_int_equal(defs_count(w->d, DEF_ROLE), 1);
    assert_int_equal(defs_count(w->d, DEF_PLUGIN), 6);
    assert_int_equal(defs_count(w->d, DEF_USER), 0);
    yyjson_val *g = object(w, DEF_GROUP, "main");
    assert_str(json_str(g, "title"), "Main Group");
    assert_str(json_str(g, "hostname_match"), ".+");
    assert_int_equal(json_i64(g, "sort_order", -1), 0);
    assert_int_equal(yyjson_arr_size(json_get(g, "alert_actions")), 0);
    yyjson_val *c = object(w, DEF_CATEGORY, "general");
    assert_str(json_str(c, "title"), "General");
    assert_str(json_str(c, "color"), "plain");
    assert_str(json_str(c, "icon"), "");
    assert_true(json_bool(c, "enabled", false));
    assert_int_equal(json_i64(c, "sort_order", -1), 0);
    yyjson_val *r = object(w, DEF_ROLE, "all");
    assert_str(json_str(r, "title"), "All Users");
    assert_true(json_equal(
        json_get(r, "privileges"),
        json_of(&w->f,
                "{'create_events':true,'edit_events':true,'run_jobs':true,'tag_jobs':true}")));
    assert_str(json_str(c, "username"), "admin");
    assert_int_equal(json_i64(c, "created", -1), 1800000000);
    assert_int_equal(json_i64(c, "revision", -1), 1);
}

static void test_install_plugins(void **state)
{
    struct world *w = *state;
    static const struct {
        const char *id, *title, *type, *command, *kill, *icon, *enabled;
        bool stock;
    } rows[] = {
        { "testplug", "Test Plugin", "event", "[test-plugin]", "parent", "test-tube", "1", true },
        { "shellplug", "Shell Script", "event", "[shell-plugin]", "all", "console", "1", true },
        { "httpplug", "HTTP Request", "event", "[http-plugin]", "parent", "wan", "1", true },
        { "dockerplug", "Docker Run", "event", "[docker-plugin]", "all", "docker", "true", true },
        { "hookplug", "Fire Web Hook", "event", "[hook-plugin]", "parent", "webhook", "true",
          false },
        { "open_files", "Count Open Files", "monitor", "/bin/sh", "", "", "true", false },
    };

    install(w);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct buf enabled;
        assert_string_equal(defs_at(w->d, DEF_PLUGIN, i)->id.z, rows[i].id);
        yyjson_val *p = object(w, DEF_PLUGIN, rows[i].id);
        assert_str(json_str(p, "title"), rows[i].title);
        assert_str(json_str(p, "type"), rows[i].type);
        assert_str(json_str(p, "command"), rows[i].command);
        assert_str(json_str(p, "kill"), rows[i].kill);
        assert_str(json_str(p, "icon"), rows[i].icon);
        assert_int_equal(json_bool(p, "stock", false), rows[i].stock);
        assert_true(json_str(p, "notes").n > 0);
        buf_init(&enabled, 64);
        assert_int_equal(json_text(json_get(p, "enabled"), false, &enabled), STATUS_OK);
        assert_str(buf_str(&enabled), rows[i].enabled);
        buf_done(&enabled);
    }
    assert_true(json_bool(object(w, DEF_PLUGIN, "dockerplug"), "runner", false));
    assert_true(yyjson_is_false(json_get(object(w, DEF_PLUGIN, "hookplug"), "runner")));
    assert_null(json_get(object(w, DEF_PLUGIN, "testplug"), "runner"));
    assert_str(json_str(object(w, DEF_PLUGIN, "hookplug"), "uid"), "");
    assert_str(json_str(object(w, DEF_PLUGIN, "open_files"), "script"), "cat /proc/sys/fs/file-nr");
    assert_str(json_str(object(w, DEF_PLUGIN, "open_files"), "format"), "text");
}

static void test_install_parameters(void **state)
{
    struct world *w = *state;

    install(w);
    assert_params(w, "testplug",
                  "duration text/number R=60\n"
                  "action select=\"Success, Error, Warning, Critical, Crash\"\n"
                  "custom text=\"\"\n"
                  "burn checkbox=false\n"
                  "network checkbox=false\n"
                  "upload checkbox=false\n");
    assert_params(w, "shellplug",
                  "script code R L=\"#!/bin/sh\\n\\n# Your script goes here.\\n\"\n"
                  "annotate checkbox=false\n");
    assert_params(w, "httpplug",
                  "method select=\"GET, HEAD, POST, PUT, DELETE\"\n"
                  "url text R L=\"https://\"\n"
                  "headers textarea=\"User-Agent: Orrery/HTTP-Plugin\"\n"
                  "data textarea=\"\"\n"
                  "timeout text/number=\"30\"\n"
                  "idle_timeout text/number=\"30\"\n"
                  "connect_timeout text/number=\"10\"\n"
                  "success_match text=\"\"\n"
                  "error_match text=\"\"\n"
                  "follow checkbox=false\n"
                  "download checkbox=false\n"
                  "ssl_cert_bypass checkbox=false\n");
    assert_params(w, "dockerplug",
                  "image_name text R L=\"docker.io/library/alpine\"\n"
                  "image_ver text R L=\"latest\"\n"
                  "cont_name text R=\"orrery-job-{{id}}\"\n"
                  "cont_cpus text/number=1\n"
                  "cont_mem text=\"1 GB\"\n"
                  "cont_net text=\"\"\n"
                  "cont_extras text L=\"\"\n"
                  "cont_cmd text L=\"sh\"\n"
                  "run_mode select=\"Send Job JSON, Send Script Source\"\n"
                  "script code R L=\"#!/bin/sh\\n\\n# Your script goes here.\\n\"\n"
                  "cont_init checkbox=true\n"
                  "cont_rm checkbox=true\n"
                  "verbose checkbox=false\n");
    assert_params(w, "hookplug", "web_hook system R=\ntext textarea=\"\"\n");
    assert_params(w, "open_files", "");
    yyjson_val *hook = json_at(object(w, DEF_PLUGIN, "hookplug"), "params.0");
    assert_str(json_str(hook, "list_id"), "web_hooks");
    assert_true(yyjson_is_false(json_get(hook, "multiple")));
}

static void test_install_activity(void **state)
{
    struct world *w = *state;
    const struct store_query all = { .table = TABLE_ACTIVITY,
                                     .order_by = STORE_COLUMN_ID,
                                     .limit = 8 };

    install(w);
    const struct answer a = select_now(&w->f, &all);
    assert_int_equal(a.n, 8);
    assert_str(a.rows[0].columns[ACTIVITY_ACTION].text, "group_create");
    assert_str(a.rows[0].columns[ACTIVITY_USERNAME].text, "admin");
    assert_str(a.rows[0].columns[ACTIVITY_KEYWORDS].text, "main,admin");
    assert_str(a.rows[1].columns[ACTIVITY_ACTION].text, "category_create");
    assert_str(a.rows[7].columns[ACTIVITY_ACTION].text, "plugin_create");
}

static void test_install_only_once(void **state)
{
    struct world *w = *state;

    good(w, CREATE, DEF_USER, "{'username':'admin'}");
    install(w);
    good(w, DELETE, DEF_PLUGIN, "{'id':'testplug'}");
    good(w, UPDATE, DEF_CATEGORY, "{'id':'general','title':'Mine'}");
    install(w);
    assert_int_equal(defs_count(w->d, DEF_PLUGIN), 5);
    assert_str(json_str(object(w, DEF_CATEGORY, "general"), "title"), "Mine");
    defs_reopen(w);
    install(w);
    assert_int_equal(defs_count(w->d, DEF_PLUGIN), 5);
}

/* An event on each of the plugins, as people make them. */
static void test_install_is_usable(void **state)
{
    struct world *w = *state;

    install(w);
    good(w, CREATE, DEF_EVENT,
         "{'title':'E','enabled':true,'category':'general','plugin':'shellplug','targets':['main'],"
         "'algo':'random',"
         "'params':{'script':'#!/bin/sh\\necho "
         "hi\\n','annotate':false},'triggers':[{'type':'manual','enabled':true}]}");
    bad(w, CREATE, DEF_EVENT,
        "{'title':'E','enabled':true,'category':'general','plugin':'shellplug','targets':['main'],'"
        "algo':'random'}",
        STATUS_INVALID, "params.script");
    good(w, CREATE, DEF_EVENT,
         "{'title':'E','enabled':true,'category':'general','plugin':'testplug','targets':['main'],'"
         "algo':'random',"
         "'params':{'duration':5}}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DEFS_TEST(test_install_objects),    DEFS_TEST(test_install_plugins),
        DEFS_TEST(test_install_parameters), DEFS_TEST(test_install_activity),
        DEFS_TEST(test_install_only_once),  DEFS_TEST(test_install_is_usable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
