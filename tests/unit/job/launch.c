/* Launch: refusals with the reference's texts, what a request may replace, inherited lists, delays,
 * limits. */
#include "job_fixture.h"

static void refused(struct job_fixture *f, const char *event, const char *overrides, Status st,
                    const char *text)
{
    struct err err = { .text = "" };
    Id id;

    assert_int_equal(fx_try(f, event, overrides, &id, &err), st);
    assert_string_equal(err.text, text);
}

static void test_refusals(void **state)
{
    struct job_fixture *f = *state;

    refused(f, "nothere", NULL, STATUS_MISSING, "Event not found: nothere");
    fx_event(f, "off", "");
    defs_fixture_put(&f->d, 'u', DEF_EVENT, "{\"id\":\"off\",\"enabled\":false}");
    refused(f, "off", NULL, STATUS_DENIED, "Event is disabled: Title of off");
    fx_event(f, "queueonly", "\"limits\":[{\"type\":\"queue\",\"enabled\":true,\"amount\":3}]");
    refused(f, "queueonly", NULL, STATUS_INVALID,
            "A Max Queue Limit needs a Max Concurrent Jobs limit beside it.");
    fx_event(f, "ok", "");
    refused(f, "ok", "{\"targets\":7}", STATUS_INVALID, "Malformed parameter: targets");
    refused(f, "ok", "{\"tags\":[1]}", STATUS_INVALID, "Malformed parameter: tags");
    refused(f, "ok", "{\"state\":\"start_delay\"}", STATUS_INVALID, "Malformed parameter: until");
    defs_fixture_put(&f->d, 'u', DEF_PLUGIN, "{\"id\":\"shell\",\"enabled\":false}");
    refused(f, "ok", NULL, STATUS_DENIED, "Plugin is disabled: Shell");
    defs_fixture_put(&f->d, 'u', DEF_PLUGIN, "{\"id\":\"shell\",\"enabled\":true}");
    defs_fixture_put(&f->d, 'u', DEF_CATEGORY, "{\"id\":\"general\",\"enabled\":false}");
    refused(f, "ok", NULL, STATUS_DENIED, "Category is disabled: General");
    fx_turn(f);
    assert_int_equal(f->launched, 0);
    assert_int_equal(job_count(f->room), 0);
}

static void test_test_runs_pass_disabled_objects(void **state)
{
    struct job_fixture *f = *state;
    Id id;

    fx_event(f, "off", "");
    defs_fixture_put(&f->d, 'u', DEF_EVENT, "{\"id\":\"off\",\"enabled\":false}");
    id = fx_start(f, "off", "{\"test\":true}");
    assert_int_equal(fx_state(f, &id), JOB_ACTIVE);
    assert_value(f, &id, "test", "true");
}

static void test_a_request_replaces_only_what_it_may(void **state)
{
    struct job_fixture *f = *state;
    Id id;

    fx_event(f, "e1", "\"tags\":[\"a\"],\"notes\":\"n\"");
    id = fx_start(
        f, "e1",
        "{\"targets\":[\"x\"],\"tags\":[\"b\"],\"label\":\"L\",\"priority\":true,\"now\":"
        "1700000000.5,"
        "\"server\":\"evil\",\"command\":\"rm\",\"env\":{\"A\":1},\"uid\":\"root\",\"limits\":[],"
        "\"source\":\"magic\",\"category\":\"c\",\"workflow\":{\"job\":\"j\"},\"retry_count\":9}");
    assert_value(f, &id, "targets", "[\"x\"]");
    assert_value(f, &id, "tags", "[\"b\"]");
    assert_value(f, &id, "label", "\"L\"");
    assert_value(f, &id, "notes", "\"n\"");
    assert_value(f, &id, "priority", "true");
    assert_value(f, &id, "now", "1700000000.500000");
    assert_value(f, &id, "server", "\"s1\"");
    assert_value(f, &id, "command", "\"/bin/sh -e\"");
    assert_value(f, &id, "env", "{}");
    assert_value(f, &id, "uid", "\"\"");
    assert_value(f, &id, "source", "\"user\"");
    assert_value(f, &id, "username", "\"joe\"");
    assert_value(f, &id, "category", "\"general\"");
    assert_null(job_value(job_find(f->room, id_str(&id)), "workflow").p);
    assert_null(job_value(job_find(f->room, id_str(&id)), "retry_count").p);
    assert_null(job_value(job_find(f->room, id_str(&id)), "title").p);
}

static void test_lists_are_inherited_with_their_source(void **state)
{
    struct job_fixture *f = *state;
    const struct job_config config = {
        .host_id = "c1",
        .job_env = STR("{\"LANG\":\"C\"}"),
        .universal_limits = STR("{\"default\":[{\"type\":\"log\",\"enabled\":true,\"amount\":9}]}"),
        .default_uid = "nobody",
    };
    Id id;

    defs_fixture_put(
        &f->d, 'u', DEF_CATEGORY,
        "{\"id\":\"general\",\"limits\":[{\"type\":\"time\",\"enabled\":true,\"duration\":5},"
        "{\"type\":\"mem\",\"enabled\":false,\"amount\":1}],"
        "\"actions\":[{\"type\":\"email\",\"enabled\":true,\"condition\":\"error\"}]}");
    fx_event(f, "e1", "\"limits\":[{\"type\":\"cpu\",\"enabled\":false,\"amount\":1}]");
    fx_room(f, &config);
    job_server_joined(f->room, &f->server, true, f->now);
    id = fx_start(f, "e1", NULL);
    assert_value(f, &id, "limits",
                 "[{\"type\":\"cpu\",\"enabled\":false,\"amount\":1},"
                 "{\"type\":\"time\",\"enabled\":true,\"duration\":5,\"source\":\"category\"},"
                 "{\"type\":\"log\",\"enabled\":true,\"amount\":9,\"source\":\"universal\"}]");
    assert_value(
        f, &id, "actions",
        "[{\"type\":\"email\",\"enabled\":true,\"condition\":\"error\",\"source\":\"category\"}]");
    assert_value(f, &id, "env", "{\"LANG\":\"C\"}");
    assert_value(f, &id, "uid", "\"nobody\"");
    id = fx_start(f, "e1", "{\"test\":true,\"test_actions\":true}");
    assert_value(f, &id, "limits", "[{\"type\":\"cpu\",\"enabled\":false,\"amount\":1}]");
    assert_has(job_value(job_find(f->room, id_str(&id)), "actions"), "\"source\":\"category\"");
}

static void test_journalled_before_it_leaves(void **state)
{
    struct job_fixture *f = *state;
    Id id;

    fx_event(f, "e1", "");
    id = fx_start(f, "e1", NULL);
    job_turn_end(f->room, f->now);
    assert_int_equal(f->n_commits, 1);
    assert_effects(f, "");
    assert_int_equal(f->launched, 0);
    assert_has(buf_str(&f->row), "\"state\":\"active\"");
    assert_has(buf_str(&f->row), "\"server\":\"s1\"");
    assert_has(buf_str(&f->row), "Chosen server: Server s1 (random)");
    job_committed(f->room, f->commits[0], STATUS_OK, f->now);
    f->n_commits = 0;
    assert_effects(f, "launch s1;");
    assert_int_equal(f->launched, 1);
    assert_true(id_eq(&f->last_id, &id));
    assert_int_equal(job_count_state(f->room, JOB_ACTIVE), 1);
}

static void test_start_delay(void **state)
{
    struct job_fixture *f = *state;
    Id id, other;

    fx_event(f, "e1", "");
    id = fx_start(f, "e1", "{\"state\":\"start_delay\",\"until\":1800000010}");
    other = fx_start(f, "e1", "{\"state\":\"start_delay\",\"until\":1800000099}");
    fx_turn(f);
    assert_int_equal(f->launched, 2);
    assert_int_equal(fx_state(f, &id), JOB_START_DELAY);
    assert_value(f, &id, "until", "1800000010.000000");
    assert_int_equal(job_tick(f->room, f->now), T0 + 10 * USEC_SEC);
    f->now = T0 + 10 * USEC_SEC - 1;
    fx_turn(f);
    assert_int_equal(fx_state(f, &id), JOB_START_DELAY);
    f->now++;
    fx_turn(f);
    assert_int_equal(fx_state(f, &id), JOB_ACTIVE);
    assert_null(job_value(job_find(f->room, id_str(&id)), "until").p);
    assert_int_equal(job_skip_delay(f->room, id_str(&other), f->now, NULL), STATUS_OK);
    fx_turn(f);
    assert_int_equal(fx_state(f, &other), JOB_ACTIVE);
    assert_int_equal(job_skip_delay(f->room, id_str(&other), f->now, NULL), STATUS_CONFLICT);
    assert_effects(f, "launch s1;launch s1;");
}

static void test_limit_per_minute(void **state)
{
    struct job_fixture *f = *state;
    const struct job_config config = { .host_id = "c1", .launches_per_min = 2 };

    fx_event(f, "e1", "");
    fx_room(f, &config);
    (void)fx_start(f, "e1", NULL);
    (void)fx_start(f, "e1", NULL);
    refused(f, "e1", NULL, STATUS_FULL, "Global jobs per minute limit has been reached (2/min)");
    f->now += USEC_MINUTE;
    (void)fx_start(f, "e1", NULL);
}

static void test_live_max(void **state)
{
    struct job_fixture *f = *state;

    fx_event(f, "e1", "");
    for (size_t i = 0; i < JOB_LIVE_MAX; i++)
        (void)fx_start(f, "e1", "{\"state\":\"start_delay\",\"until\":1900000000}");
    refused(f, "e1", NULL, STATUS_FULL, "Too many jobs are active.");
    assert_int_equal(job_count(f->room), JOB_LIVE_MAX);
}

static void test_input_and_params(void **state)
{
    struct job_fixture *f = *state;
    yyjson_doc *doc =
        fx_json("{\"p\":{\"a\":1},\"i\":{\"data\":{\"x\":2},\"files\":[{\"id\":\"f1\"}]}}");
    const struct job_launch l = { .event_id = STR("e1"),
                                  .params = json_get(yyjson_doc_get_root(doc), "p"),
                                  .input = json_get(yyjson_doc_get_root(doc), "i"),
                                  .source = JOB_SOURCE_SCHEDULER };
    AUTO_BUF struct buf text = { 0 };
    struct json_writer w;
    Id id;

    fx_event(f, "e1", "\"params\":{\"a\":0,\"b\":0}");
    assert_int_equal(job_launch(f->room, &l, f->now, fx_launched, f, &id, NULL), STATUS_OK);
    json_doc_free(doc);
    assert_value(f, &id, "params", "{\"a\":1}");
    assert_value(f, &id, "username", "\"admin\"");
    buf_init(&text, 1u << 20);
    w = json_writer_init(&text);
    job_put_json(job_find(f->room, id_str(&id)), false, &w, NULL);
    assert_has_not(buf_str(&text), "\"input\"");
    assert_has_not(buf_str(&text), "\"activity\"");
    buf_clear(&text);
    w = json_writer_init(&text);
    job_put_json(job_find(f->room, id_str(&id)), true, &w, NULL);
    assert_has(buf_str(&text), "\"input\":{\"data\":{\"x\":2},\"files\":[{\"id\":\"f1\"}]}");
    assert_has(buf_str(&text), "\"msg\":\"Event ID: #e1\",\"server\":\"m:c1\"");
    assert_has(buf_str(&text), "\"source\":\"scheduler\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_refusals, fx_setup, fx_teardown),
        cmocka_unit_test_setup_teardown(test_test_runs_pass_disabled_objects, fx_setup,
                                        fx_teardown),
        cmocka_unit_test_setup_teardown(test_a_request_replaces_only_what_it_may, fx_setup,
                                        fx_teardown),
        cmocka_unit_test_setup_teardown(test_lists_are_inherited_with_their_source, fx_setup,
                                        fx_teardown),
        cmocka_unit_test_setup_teardown(test_journalled_before_it_leaves, fx_setup, fx_teardown),
        cmocka_unit_test_setup_teardown(test_start_delay, fx_setup, fx_teardown),
        cmocka_unit_test_setup_teardown(test_limit_per_minute, fx_setup, fx_teardown),
        cmocka_unit_test_setup_teardown(test_live_max, fx_setup, fx_teardown),
        cmocka_unit_test_setup_teardown(test_input_and_params, fx_setup, fx_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
