/* Updates: whose keys are whose, pushes, log text by position, rows by number, results only with
 * the whole log. */
#include "job_fixture.h"

static Id running(struct job_fixture *f, const char *event)
{
    Id id = fx_start(f, event, NULL);

    fx_turn(f);
    job_accepted(f->room, &f->server, id_str(&id), f->now);
    fx_turn(f);
    fx_clear(f);
    return id;
}

static void test_agents_set_their_keys_only(void **state)
{
    struct job_fixture *f = *state;
    Id id;

    fx_event(f, "e1", "\"tags\":[\"t\"]");
    id = running(f, "e1");
    f->now += USEC_SEC;
    fx_update(
        f, &id, true,
        "{\"id\":\"jevil\",\"state\":\"active\",\"event\":\"x\",\"category\":\"x\",\"plugin\":"
        "\"x\","
        "\"targets\":[\"x\"],\"algo\":\"x\",\"limits\":[],\"actions\":[{}],\"tags\":[\"x\"],"
        "\"workflow\":{},"
        "\"server\":\"evil\",\"env\":{\"x\":1},\"command\":\"x\",\"params\":{},\"started\":1,"
        "\"source\":\"x\","
        "\"log_file_size\":99,\"activity\":[],\"invisible\":true,\"final\":true,"
        "\"progress\":0.5,\"status\":\"s\",\"label\":\"l\",\"pid\":12,\"cpu\":{\"current\":1.5},"
        "\"custom\":[1,2],\"data\":{\"d\":1},\"procs\":{\"12\":{}}}");
    assert_value(f, &id, "event", "\"e1\"");
    assert_value(f, &id, "category", "\"general\"");
    assert_value(f, &id, "targets", "[\"main\"]");
    assert_value(f, &id, "tags", "[\"t\"]");
    assert_value(f, &id, "limits", "[]");
    assert_value(f, &id, "actions", "[]");
    assert_value(f, &id, "server", "\"s1\"");
    assert_value(f, &id, "env", "{}");
    assert_value(f, &id, "command", "\"/bin/sh -e\"");
    assert_value(f, &id, "source", "\"user\"");
    assert_value(f, &id, "log_file_size", "0");
    assert_value(f, &id, "started", "1800000000.000000");
    assert_value(f, &id, "updated", "1800000001.000000");
    assert_value(f, &id, "progress", "0.5");
    assert_value(f, &id, "status", "\"s\"");
    assert_value(f, &id, "label", "\"l\"");
    assert_value(f, &id, "pid", "12");
    assert_value(f, &id, "custom", "[1,2]");
    assert_value(f, &id, "data", "{\"d\":1}");
    assert_null(job_value(job_find(f->room, id_str(&id)), "workflow").p);
    assert_null(job_value(job_find(f->room, id_str(&id)), "invisible").p);
    assert_int_equal(f->results, 1); /* not final: answered at once */
}

static void test_updates_are_not_journalled_one_by_one(void **state)
{
    struct job_fixture *f = *state;
    Id id;
    unsigned puts;

    fx_event(f, "e1", "");
    id = running(f, "e1");
    puts = f->puts;
    fx_update(f, &id, true, "{\"state\":\"active\",\"progress\":0.7}");
    fx_turn(f);
    assert_int_equal(f->puts, puts);
    fx_update(f, &id, true,
              "{\"state\":\"active\",\"table\":{\"rows\":[[1]]}}"); /* sent once only */
    fx_turn(f);
    assert_int_equal(f->puts, puts + 1);
    fx_update(f, &id, true, "{\"state\":\"finishing\"}");
    fx_turn(f);
    assert_int_equal(f->puts, puts + 2);
    assert_int_equal(fx_state(f, &id), JOB_FINISHING);
}

static void test_push(void **state)
{
    struct job_fixture *f = *state;
    Id id;

    fx_event(f, "e1", "\"tags\":[\"t\"]");
    id = running(f, "e1");
    fx_update(f, &id, true,
              "{\"push\":{\"tags\":[\"a\",7,\"b\"],\"actions\":[{\"condition\":\"success\","
              "\"source\":\"x\"},1],"
              "\"limits\":[{\"type\":\"log\"}],\"targets\":[\"evil\"],\"unknown\":[1]}}");
    assert_value(f, &id, "tags", "[\"t\",\"a\",\"b\"]");
    assert_value(f, &id, "actions", "[{\"condition\":\"success\",\"source\":\"job\"}]");
    assert_value(f, &id, "limits", "[{\"type\":\"log\"}]");
    assert_value(f, &id, "targets", "[\"main\"]");
    assert_null(job_value(job_find(f->room, id_str(&id)), "unknown").p);
    assert_null(job_value(job_find(f->room, id_str(&id)), "push").p);
}

static void test_a_numbered_push_is_taken_once(void **state)
{
    struct job_fixture *f = *state;
    Id id;

    fx_event(f, "e1", "");
    id = running(f, "e1");
    fx_update(f, &id, true, "{\"push_n\":2,\"push\":{\"tags\":[\"a\",\"b\"]}}");
    fx_update(f, &id, true, "{\"push_n\":2,\"push\":{\"tags\":[\"a\",\"b\"]}}");
    fx_update(f, &id, true, "{\"push_n\":1,\"push\":{\"tags\":[\"a\"]}}");
    assert_value(f, &id, "tags", "[\"a\",\"b\"]");
    fx_update(f, &id, true, "{\"push_n\":3,\"push\":{\"tags\":[\"c\"]}}");
    assert_value(f, &id, "tags", "[\"a\",\"b\",\"c\"]");
    assert_int_equal(job_find(f->room, id_str(&id))->push_seen, 3);
    assert_null(job_value(job_find(f->room, id_str(&id)), "push_n").p);
}

static void test_content_is_made_safe(void **state)
{
    struct job_fixture *f = *state;
    Id id;

    fx_event(f, "e1", "");
    id = running(f, "e1");
    fx_update(f, &id, true, "{\"html\":{\"title\":\"T\",\"content\":\"<script>a&b</script>\"}}");
    assert_value(
        f, &id, "html",
        "{\"title\":\"T\",\"content\":\"<pre>&lt;script&gt;a&amp;b&lt;/script&gt;</pre>\"}");
    fx_update(f, &id, true,
              "{\"text\":\"x\",\"markdown\":{\"content\":\"*m*\",\"caption\":\"C\"}}");
    assert_value(f, &id, "html", "{\"caption\":\"C\",\"content\":\"<pre>*m*</pre>\"}");
    assert_null(job_value(job_find(f->room, id_str(&id)), "markdown").p);
}

static void test_fields_are_bounded(void **state)
{
    struct job_fixture *f = *state;
    AUTO_BUF struct buf text = { 0 };
    char *all;
    size_t n;
    Id id;

    fx_event(f, "e1", "");
    id = running(f, "e1");
    buf_init(&text, 1u << 26);
    (void)buf_add_char(&text, '{');
    for (unsigned i = 0; i < JOB_FIELDS_MAX + 50; i++)
        (void)buf_printf(&text, "%s\"k%u\":1", i ? "," : "", i);
    (void)buf_add_z(&text, "}");
    all = buf_take(&text, &n);
    fx_update(f, &id, true, all);
    free(all);
    assert_true(job_find(f->room, id_str(&id))->n_fields <= JOB_FIELDS_MAX);
    assert_true(job_find(f->room, id_str(&id))->n_fields >= JOB_FIELDS_MAX - 8);
    fx_turn(f);
    fx_update(f, &id, true,
              "{\"state\":\"complete\",\"code\":5,\"description\":\"still room\",\"log_size\":0}");
    fx_turn(f);
    assert_has(buf_str(&f->record), "\"code\":5");
    assert_has(buf_str(&f->record), "Updates are too big or too many, dropped: ");
}

static void test_field_size(void **state)
{
    struct job_fixture *f = *state;
    char *big = calloc(1, (size_t)JOB_FIELD_MAX + 64);
    const int head = snprintf(big, 32, "{\"a\":1,\"big\":\"");
    Id id;

    fx_event(f, "e1", "");
    id = running(f, "e1");
    memset(big + head, 'x', JOB_FIELD_MAX - 2); /* with its quotes exactly the maximum */
    memcpy(big + head + JOB_FIELD_MAX - 2, "\"}", 3);
    fx_update(f, &id, true, big);
    assert_int_equal(job_value(job_find(f->room, id_str(&id)), "big").n, JOB_FIELD_MAX);
    memcpy(big + head + JOB_FIELD_MAX - 2, "y\"}", 4);
    fx_update(f, &id, true, big);
    assert_int_equal(job_value(job_find(f->room, id_str(&id)), "big").n,
                     JOB_FIELD_MAX); /* the old one */
    assert_has_not(job_value(job_find(f->room, id_str(&id)), "big"), "y");
    free(big);
}

static void test_log_by_position(void **state)
{
    struct job_fixture *f = *state;
    Id id;

    fx_event(f, "e1", "");
    id = running(f, "e1");
    fx_say(f, &id, 0, "hello ");
    fx_say(f, &id, 0, "hello ");
    fx_say(f, &id, 3, "lo world");
    assert_text(buf_str(&f->log), "hello world");
    assert_effects(f, "");
    fx_say(f, &id, 20, "far");
    fx_say(f, &id, 23, "ther");
    assert_effects(f, "seek 11 0;"); /* asked once */
    fx_say(f, &id, 11, "!");
    fx_say(f, &id, 20, "far");
    assert_effects(f, "seek 12 0;");
    assert_text(buf_str(&f->log), "hello world!");
    fx_say(f, &id, -1, "plain");
    assert_text(buf_str(&f->log), "hello world!plain");
    assert_value(f, &id, "log_file_size", "17");
}

static void last_row(struct job_fixture *f, const Id *id, const char *want)
{
    const struct job *j = job_find(f->room, id_str(id));

    assert_has(j->meta[j->n_meta - 1], want);
}

static void test_rows_by_number(void **state)
{
    struct job_fixture *f = *state;
    Id id;

    fx_event(f, "e1", "");
    id = running(f, "e1");
    job_meta(f->room, &f->server, id_str(&id), 1, STR("one"), f->now);
    job_meta(f->room, &f->server, id_str(&id), 1, STR("one again"), f->now);
    last_row(f, &id, "\"msg\":\"one\",\"server\":\"s1\"");
    job_meta(f->room, &f->server, id_str(&id), 3, STR("three"), f->now);
    last_row(f, &id, "\"msg\":\"one\"");
    assert_effects(f, "seek 0 1;");
    job_meta(f->room, &f->server, id_str(&id), 2, STR("two"), f->now);
    last_row(f, &id, "\"msg\":\"two\"");
    job_meta(f->room, &f->server, id_str(&id), 3, STR("three"), f->now);
    last_row(f, &id, "\"msg\":\"three\"");
    for (unsigned i = 0; i < JOB_META_MAX + 5; i++)
        job_meta(f->room, &f->server, id_str(&id), 0, STR("more"), f->now);
    assert_int_equal(job_find(f->room, id_str(&id))->n_meta, JOB_META_MAX);
}

static void test_result_waits_for_the_log(void **state)
{
    struct job_fixture *f = *state;
    Id id;

    fx_event(f, "e1", "");
    id = running(f, "e1");
    fx_say(f, &id, 0, "abc");
    fx_update(f, &id, true, "{\"state\":\"complete\",\"code\":0,\"log_size\":5}");
    assert_int_equal(fx_state(f, &id), JOB_ACTIVE);
    assert_effects(f, "seek 3 0;");
    assert_int_equal(f->last_result, STATUS_BUSY);
    fx_say(f, &id, 3, "de");
    fx_update(f, &id, true, "{\"state\":\"complete\",\"code\":0,\"log_size\":5}");
    assert_int_equal(fx_state(f, &id), JOB_COMPLETE);
    fx_turn(f);
    assert_effects(f, "ended e1;log removed;done s1;");
    assert_has(buf_str(&f->record), "\"output\":\"abcde\"");
    assert_has(buf_str(&f->record), "\"log_file_size\":5");
    assert_int_equal(f->last_result, STATUS_OK);
}

static void test_a_log_that_never_comes_is_given_up(void **state)
{
    struct job_fixture *f = *state;
    Id id;

    fx_event(f, "e1", "");
    id = running(f, "e1");
    for (unsigned i = 0; i < JOB_SHORT_RESULTS_MAX; i++)
        fx_update(f, &id, true, "{\"state\":\"complete\",\"code\":0,\"log_size\":5}");
    assert_int_equal(fx_state(f, &id), JOB_ACTIVE);
    fx_update(f, &id, true, "{\"state\":\"complete\",\"code\":0,\"log_size\":5}");
    fx_turn(f);
    assert_has(buf_str(&f->record), "The job log is incomplete: 0 of 5 bytes");
}

static void test_strangers_are_refused(void **state)
{
    struct job_fixture *f = *state;
    const Id other = { .z = "s2" };
    yyjson_doc *doc = fx_json("{\"state\":\"complete\",\"code\":0}");
    Id id;

    fx_event(f, "e1", "");
    id = running(f, "e1");
    job_update(f->room, &other, true, id_str(&id), yyjson_doc_get_root(doc), f->now, fx_result, f);
    assert_int_equal(f->last_result, STATUS_DENIED);
    job_log(f->room, &other, id_str(&id), 0, STR("x"), f->now);
    job_meta(f->room, &other, id_str(&id), 1, STR("x"), f->now);
    assert_int_equal(fx_state(f, &id), JOB_ACTIVE);
    assert_int_equal(f->log.n, 0);
    job_update(f->room, &f->server, true, STR("junknown"), yyjson_doc_get_root(doc), f->now,
               fx_result, f);
    assert_int_equal(f->last_result, STATUS_OK); /* not ours: the caller looks among the records */
    json_doc_free(doc);
}

static void test_people_edit(void **state)
{
    struct job_fixture *f = *state;
    yyjson_doc *doc =
        fx_json("{\"label\":\"new\",\"tags\":[\"z\"],\"server\":\"evil\",\"command\":\"evil\"}");
    yyjson_doc *bad = fx_json("{\"tags\":\"z\"}");
    Id id;

    fx_event(f, "e1", "");
    id = running(f, "e1");
    assert_int_equal(
        job_edit(f->room, id_str(&id), yyjson_doc_get_root(bad), f->now, fx_result, f, NULL),
        STATUS_INVALID);
    assert_int_equal(
        job_edit(f->room, id_str(&id), yyjson_doc_get_root(doc), f->now, fx_result, f, NULL),
        STATUS_OK);
    assert_int_equal(f->results, 0);
    fx_turn(f);
    assert_int_equal(f->results, 1);
    assert_value(f, &id, "label", "\"new\"");
    assert_value(f, &id, "tags", "[\"z\"]");
    assert_value(f, &id, "server", "\"s1\"");
    assert_value(f, &id, "command", "\"/bin/sh -e\"");
    assert_int_equal(
        job_edit(f->room, STR("jno"), yyjson_doc_get_root(doc), f->now, NULL, NULL, NULL),
        STATUS_MISSING);
    json_doc_free(doc);
    json_doc_free(bad);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_agents_set_their_keys_only, fx_setup, fx_teardown),
        cmocka_unit_test_setup_teardown(test_updates_are_not_journalled_one_by_one, fx_setup,
                                        fx_teardown),
        cmocka_unit_test_setup_teardown(test_push, fx_setup, fx_teardown),
        cmocka_unit_test_setup_teardown(test_a_numbered_push_is_taken_once, fx_setup, fx_teardown),
        cmocka_unit_test_setup_teardown(test_content_is_made_safe, fx_setup, fx_teardown),
        cmocka_unit_test_setup_teardown(test_fields_are_bounded, fx_setup, fx_teardown),
        cmocka_unit_test_setup_teardown(test_field_size, fx_setup, fx_teardown),
        cmocka_unit_test_setup_teardown(test_log_by_position, fx_setup, fx_teardown),
        cmocka_unit_test_setup_teardown(test_rows_by_number, fx_setup, fx_teardown),
        cmocka_unit_test_setup_teardown(test_result_waits_for_the_log, fx_setup, fx_teardown),
        cmocka_unit_test_setup_teardown(test_a_log_that_never_comes_is_given_up, fx_setup,
                                        fx_teardown),
        cmocka_unit_test_setup_teardown(test_strangers_are_refused, fx_setup, fx_teardown),
        cmocka_unit_test_setup_teardown(test_people_edit, fx_setup, fx_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
