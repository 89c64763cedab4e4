/* Ends: codes, tags, the log in the record, aborts in every state, silence, what is told when. */
#include "job_fixture.h"

static Id running(struct job_fixture *f, const char *event, const char *overrides)
{
    Id id = fx_start(f, event, overrides);

    fx_turn(f);
    job_accepted(f->room, &f->server, id_str(&id), f->now);
    fx_turn(f);
    fx_clear(f);
    return id;
}

static void test_codes(void **state)
{
    struct job_fixture *f = *state;
    static const char *const rows[][2] = {
        { "{\"state\":\"complete\"}", "\"code\":0," },
        { "{\"state\":\"complete\",\"code\":0}", "\"code\":0," },
        { "{\"state\":\"complete\",\"code\":false}", "\"code\":0," },
        { "{\"state\":\"complete\",\"code\":null}", "\"code\":0," },
        { "{\"state\":\"complete\",\"code\":\"\"}", "\"code\":0," },
        { "{\"state\":\"complete\",\"code\":7}", "\"code\":7," },
        { "{\"state\":\"complete\",\"code\":-1.5}", "\"code\":-1.5," },
        { "{\"state\":\"complete\",\"code\":true}", "\"code\":\"unknown\"," },
        { "{\"state\":\"complete\",\"code\":[1]}", "\"code\":\"unknown\"," },
        { "{\"state\":\"complete\",\"code\":\"warning\"}", "\"code\":\"warning\"," },
        { "{\"state\":\"complete\",\"code\":\"Critical!\"}", "\"code\":\"critical_\"," },
        { "{\"state\":\"complete\",\"code\":\"My  Code!\"}", "\"code\":\"my_code_\"," },
    };

    fx_event(f, "e1", "");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const Id id = running(f, "e1", NULL);

        fx_update(f, &id, true, rows[i][0]);
        fx_turn(f);
        assert_int_equal(fx_state(f, &id), JOB_STATE_COUNT);
        assert_has(buf_str(&f->record), rows[i][1]);
        assert_has(buf_str(&f->record),
                   strcmp(rows[i][1], "\"code\":0,") == 0 ? "_success" : "_error");
    }
}

static void test_a_record(void **state)
{
    struct job_fixture *f = *state;
    Id id;

    fx_event(f, "e1", "\"tags\":[\"t\",\"_last\",\"t\"]");
    id = running(f, "e1", NULL);
    fx_say(f, &id, 0, "out\n");
    f->now += 2 * USEC_SEC;
    fx_update(f, &id, true,
              "{\"state\":\"complete\",\"code\":0,\"status\":\"s\",\"redraw\":\"r\",\"procs\":{},"
              "\"conns\":[],"
              "\"pid\":3,\"data\":{\"a\":1},\"files\":[{\"id\":\"f1\"}],\"log_size\":4,\"update_"
              "event\":{}}");
    fx_turn(f);
    assert_effects(f, "ended e1;log removed;done s1;");
    assert_has(buf_str(&f->record), "\"state\":\"complete\"");
    assert_has(buf_str(&f->record), "\"elapsed\":2,");
    assert_has(buf_str(&f->record), "\"final\":true");
    assert_has(buf_str(&f->record), "\"event_title\":\"Title of e1\",\"event_revision\":1");
    assert_has(buf_str(&f->record), "\"tags\":[\"t\",\"_last\",\"_success\",\"_files\"]");
    assert_has(buf_str(&f->record), "\"output\":\"out\\n\"");
    assert_has(buf_str(&f->record), "\"data\":{\"a\":1}");
    assert_has(buf_str(&f->record), "\"pid\":3");
    assert_has(buf_str(&f->record), "\"msg\":\"Job completed successfully.\"");
    assert_has_not(buf_str(&f->record), "\"status\"");
    assert_has_not(buf_str(&f->record), "\"redraw\"");
    assert_has_not(buf_str(&f->record), "\"procs\"");
    assert_has_not(buf_str(&f->record), "\"remote\"");
    assert_has_not(buf_str(&f->record), "\"update_event\"");
    assert_has_not(buf_str(&f->record), "given_up");
    assert_has_not(buf_str(&f->record), "_live");
    assert_int_equal(job_count(f->room), 0);
}

static void test_nobody_is_told_before_the_record_is_durable(void **state)
{
    struct job_fixture *f = *state;
    Id id;

    fx_event(f, "e1", "");
    id = running(f, "e1", NULL);
    fx_update(f, &id, true, "{\"state\":\"complete\",\"code\":0,\"log_size\":0}");
    job_turn_end(f->room, f->now);
    assert_int_equal(f->n_commits, 0); /* the log first */
    fx_close_log(f);
    job_turn_end(f->room, f->now);
    assert_int_equal(f->archives, 1);
    assert_effects(f, "");
    assert_int_equal(f->results, 0);
    fx_update(
        f, &id, true,
        "{\"state\":\"complete\",\"code\":0,\"log_size\":0}"); /* once more: one answer each */
    job_committed(f->room, f->commits[0], STATUS_OK, f->now);
    f->n_commits = 0;
    assert_effects(f, "ended e1;log removed;done s1;");
    assert_int_equal(f->results, 2);
    assert_int_equal(f->last_result, STATUS_OK);
    assert_int_equal(f->archives, 1);
}

static void test_log_of_a_failure_without_output(void **state)
{
    struct job_fixture *f = *state;
    Id id;

    fx_event(f, "e1", "");
    id = running(f, "e1", NULL);
    fx_update(f, &id, true, "{\"state\":\"complete\",\"code\":2,\"description\":\"It broke\"}");
    fx_turn(f);
    assert_has(buf_str(&f->record), "\"output\":\"It broke\\n\"");
    assert_has(buf_str(&f->record), "\"msg\":\"Job failed: It broke (2)\"");
}

static void test_a_long_log_is_uploaded(void **state)
{
    struct job_fixture *f = *state;
    Id id;

    fx_event(f, "e1", "");
    id = running(f, "e1", NULL);
    fx_say(f, &id, 0, "long");
    f->uploaded = true;
    fx_update(f, &id, true, "{\"state\":\"complete\",\"code\":0,\"log_size\":4}");
    fx_turn(f);
    assert_has(buf_str(&f->record), "\"log_uploaded\":true");
    assert_has(buf_str(&f->record), "\"log_file_size\":4");
    assert_has_not(buf_str(&f->record), "\"output\"");
}

static void test_log_text_that_the_disk_lost_is_fetched_again(void **state)
{
    struct job_fixture *f = *state;
    Id id;

    fx_event(f, "e1", "");
    id = running(f, "e1", NULL);
    fx_say(f, &id, 0, "abcdef");
    f->hold_log = true;
    fx_update(f, &id, true, "{\"state\":\"complete\",\"code\":0,\"log_size\":6}");
    fx_turn(f);
    f->log.n = 2; /* the disk has "ab" only */
    fx_close_log(f);
    fx_turn(f);
    assert_effects(f, "seek 2 0;");
    assert_int_equal(f->archives, 0);
    fx_say(f, &id, 2, "cdef");
    f->hold_log = false;
    fx_update(f, &id, true, "{\"state\":\"complete\",\"code\":0,\"log_size\":6}");
    fx_turn(f);
    assert_effects(f, "ended e1;log removed;done s1;");
    assert_has(buf_str(&f->record), "\"output\":\"abcdef\"");
}

static void test_a_log_that_cannot_be_closed_is_tried_again(void **state)
{
    struct job_fixture *f = *state;
    Id id;

    fx_event(f, "e1", "");
    id = running(f, "e1", NULL);
    f->hold_log = true;
    fx_update(f, &id, true, "{\"state\":\"complete\",\"code\":0}");
    fx_turn(f);
    f->closing = (Id){ .z = "" };
    job_log_finished(f->room, id_str(&id), STATUS_NOSPACE, STR_NONE, 0, false, f->now);
    fx_turn(f);
    assert_string_equal(f->closing.z, "");
    f->hold_log = false;
    f->now += JOB_COMMIT_RETRY;
    fx_turn(f);
    assert_int_equal(f->archives, 1);
}

static void test_ephemeral(void **state)
{
    struct job_fixture *f = *state;
    Id id;

    fx_event(f, "e1", "");
    id = running(f, "e1", "{\"ephemeral\":true}");
    fx_update(f, &id, true, "{\"state\":\"complete\",\"code\":0}");
    fx_turn(f);
    assert_int_equal(f->forgets, 1);
    assert_int_equal(f->archives, 0);
    assert_effects(f, "ended e1;log removed;done s1;");
    id = running(f, "e1", "{\"ephemeral\":true}");
    fx_update(f, &id, true, "{\"state\":\"complete\",\"code\":1}");
    fx_turn(f);
    assert_int_equal(f->archives, 1);
}

static void test_abort_before_it_is_sent(void **state)
{
    struct job_fixture *f = *state;
    Id id;

    fx_event(f, "e1", "");
    id = fx_start(f, "e1", NULL); /* active, its row not yet durable */
    assert_int_equal(job_abort(f->room, id_str(&id), STR("by joe"), f->now, fx_result, f, NULL),
                     STATUS_OK);
    fx_turn(f);
    assert_effects(f, "ended e1;");
    assert_int_equal(f->launched, 1);
    assert_int_equal(f->results, 1);
    assert_has(buf_str(&f->record), "\"code\":\"abort\"");
    assert_has(buf_str(&f->record), "\"description\":\"by joe\"");
    assert_has(buf_str(&f->record), "\"msg\":\"Job aborted: by joe\"");
    assert_has_not(buf_str(&f->record), "given_up");
    assert_int_equal(job_abort(f->room, id_str(&id), STR("x"), f->now, NULL, NULL, NULL),
                     STATUS_MISSING);
    id = fx_start(f, "e1", "{\"state\":\"start_delay\",\"until\":1900000000}");
    assert_int_equal(job_abort(f->room, id_str(&id), STR("by joe"), f->now, NULL, NULL, NULL),
                     STATUS_OK);
    assert_int_equal(job_abort(f->room, id_str(&id), STR("again"), f->now, NULL, NULL, NULL),
                     STATUS_CONFLICT);
    fx_turn(f);
    assert_effects(f, "ended e1;");
}

static void test_abort_on_the_satellite(void **state)
{
    struct job_fixture *f = *state;
    Id id;

    fx_event(f, "e1", "");
    id = running(f, "e1", NULL);
    assert_int_equal(job_abort(f->room, id_str(&id), STR("by joe"), f->now, fx_result, f, NULL),
                     STATUS_OK);
    job_turn_end(f->room, f->now);
    assert_effects(f, ""); /* first it is journalled */
    assert_has(buf_str(&f->row), "\"abort\":\"by joe\"");
    job_committed(f->room, f->commits[0], STATUS_OK, f->now);
    f->n_commits = 0;
    assert_effects(f, "abort by joe;");
    assert_int_equal(f->results, 1);
    assert_int_equal(fx_state(f, &id), JOB_ACTIVE);
    /* its connection is lost and comes back: told again */
    job_server_left(f->room, &f->server, STR("host (ip)"), f->now);
    job_server_joined(f->room, &f->server, true, f->now);
    fx_inventory(f, "[]");
    fx_turn(f);
    assert_int_equal(fx_state(f, &id), JOB_STATE_COUNT); /* accepted and gone: lost */
    assert_has(buf_str(&f->record), "\"code\":1");
}

static void test_abort_of_a_plain_agent_that_is_away(void **state)
{
    struct job_fixture *f = *state;
    Id id;

    fx_event(f, "e1", "");
    job_server_joined(f->room, &f->server, false, f->now);
    id = running(f, "e1", NULL);
    job_server_left(f->room, &f->server, STR("host (ip)"), f->now);
    f->gone = true;
    assert_int_equal(job_abort(f->room, id_str(&id), STR("by joe"), f->now, NULL, NULL, NULL),
                     STATUS_OK);
    fx_turn(f);
    assert_effects(f, "ended e1;log removed;");
    assert_has(buf_str(&f->record), "Lost connection to remote server: host (ip)");
    assert_has(buf_str(&f->record), "\"given_up\":true");
    assert_has_not(buf_str(&f->record), "abort_pending");
}

static void test_plain_agent_gone_at_launch(void **state)
{
    struct job_fixture *f = *state;
    Id id;

    fx_event(f, "e1", "");
    job_server_joined(f->room, &f->server, false, f->now);
    f->gone = true;
    id = fx_start(f, "e1", NULL);
    fx_turn(f);
    assert_int_equal(fx_state(f, &id), JOB_STATE_COUNT);
    assert_has(buf_str(&f->record), "\"description\":\"Chosen server is no longer connected.\"");
    assert_effects(f, "ended e1;");
}

static void test_silence(void **state)
{
    struct job_fixture *f = *state;
    Id id;

    fx_event(f, "e1", "");
    id = running(f, "e1", NULL);
    f->now = T0 + 119 * USEC_SEC;
    fx_update(f, &id, true, "{\"state\":\"active\"}");
    f->now = T0 + 200 * USEC_SEC;
    fx_turn(f);
    assert_effects(f, ""); /* heard of 81 s ago */
    assert_int_equal(job_tick(f->room, f->now), T0 + 239 * USEC_SEC);
    f->now = T0 + 239 * USEC_SEC;
    fx_turn(f);
    assert_effects(f, "abort No updates received in last 2 minutes, assuming job is dead.;");
    assert_int_equal(fx_state(f, &id), JOB_ACTIVE);
    f->now += 120 * USEC_SEC;
    fx_turn(f);
    assert_int_equal(fx_state(f, &id), JOB_STATE_COUNT);
    assert_has(buf_str(&f->record), "\"code\":\"abort\"");
    assert_has(buf_str(&f->record),
               "\"description\":\"No updates received in last 2 minutes, assuming job is dead.\"");
    assert_has(buf_str(&f->record), "\"given_up\":true");
    assert_has(buf_str(&f->record), "\"abort_pending\":true");
    assert_effects(f, "ended e1;log removed;");
}

static void test_silence_of_a_lost_server(void **state)
{
    struct job_fixture *f = *state;
    Id id;

    fx_event(f, "e1", "");
    id = running(f, "e1", NULL);
    job_server_left(f->room, &f->server, STR("h"), f->now);
    f->gone = true;
    f->now += 119 * USEC_SEC;
    fx_turn(f);
    assert_int_equal(fx_state(f, &id), JOB_ACTIVE);
    f->now += USEC_SEC;
    fx_turn(f);
    assert_int_equal(fx_state(f, &id), JOB_STATE_COUNT);
    assert_has_not(buf_str(&f->record), "abort_pending");
    assert_effects(f, "ended e1;log removed;");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_codes, fx_setup, fx_teardown),
        cmocka_unit_test_setup_teardown(test_a_record, fx_setup, fx_teardown),
        cmocka_unit_test_setup_teardown(test_nobody_is_told_before_the_record_is_durable, fx_setup,
                                        fx_teardown),
        cmocka_unit_test_setup_teardown(test_log_of_a_failure_without_output, fx_setup,
                                        fx_teardown),
        cmocka_unit_test_setup_teardown(test_a_long_log_is_uploaded, fx_setup, fx_teardown),
        cmocka_unit_test_setup_teardown(test_log_text_that_the_disk_lost_is_fetched_again, fx_setup,
                                        fx_teardown),
        cmocka_unit_test_setup_teardown(test_a_log_that_cannot_be_closed_is_tried_again, fx_setup,
                                        fx_teardown),
        cmocka_unit_test_setup_teardown(test_ephemeral, fx_setup, fx_teardown),
        cmocka_unit_test_setup_teardown(test_abort_before_it_is_sent, fx_setup, fx_teardown),
        cmocka_unit_test_setup_teardown(test_abort_on_the_satellite, fx_setup, fx_teardown),
        cmocka_unit_test_setup_teardown(test_abort_of_a_plain_agent_that_is_away, fx_setup,
                                        fx_teardown),
        cmocka_unit_test_setup_teardown(test_plain_agent_gone_at_launch, fx_setup, fx_teardown),
        cmocka_unit_test_setup_teardown(test_silence, fx_setup, fx_teardown),
        cmocka_unit_test_setup_teardown(test_silence_of_a_lost_server, fx_setup, fx_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
