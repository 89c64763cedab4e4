/* Slots, servers and the queue (job-engine.md 3.2, 10, 14.2). */
#include "job_fixture.h"

#define LIMITS(jobs, queue)                                                                        \
    "\"limits\":[{\"type\":\"job\",\"enabled\":true,\"amount\":" #jobs                             \
    "},{\"type\":\"queue\",\"enabled\":true,\"amount\":" #queue "}]"

static void end(struct job_fixture *f, const Id *id)
{
    fx_update(f, id, true, "{\"state\":\"complete\",\"code\":0}");
    fx_turn(f);
}

static void test_the_table_of_the_reference(void **state)
{
    struct job_fixture *f = *state;
    Id a, b, c, d;

    fx_event(f, "q", LIMITS(1, 2));
    a = fx_start(f, "q", NULL);
    b = fx_start(f, "q", NULL);
    c = fx_start(f, "q", "{\"priority\":true}");
    d = fx_start(f, "q", NULL);
    assert_int_equal(fx_state(f, &a), JOB_ACTIVE);
    assert_int_equal(fx_state(f, &b), JOB_QUEUED);
    assert_value(f, &b, "position", "1");
    assert_int_equal(fx_state(f, &c), JOB_QUEUED);
    assert_value(f, &c, "position", "0");
    assert_int_equal(fx_state(f, &d), JOB_COMPLETE);
    fx_turn(f);
    assert_has(buf_str(&f->record),
               "\"description\":\"Maximum number of concurrent jobs for event has been reached, "
               "and the queue is maxed out.\"");
    assert_int_equal(job_count_state(f->room, JOB_QUEUED), 2);
    end(f, &a);
    assert_int_equal(fx_state(f, &c), JOB_ACTIVE);
    assert_int_equal(fx_state(f, &b), JOB_QUEUED);
    assert_value(f, &b, "position", "1");
    end(f, &c);
    assert_int_equal(fx_state(f, &b), JOB_ACTIVE);
    end(f, &b);
    assert_int_equal(job_count(f->room), 0);
}

static void test_oldest_first_and_a_finishing_job_frees_its_slot(void **state)
{
    struct job_fixture *f = *state;
    Id a, b, c;

    fx_event(f, "q", LIMITS(1, 5));
    a = fx_start(f, "q", NULL);
    b = fx_start(f, "q", NULL);
    c = fx_start(f, "q", NULL);
    fx_turn(f);
    fx_update(f, &a, true, "{\"state\":\"finishing\"}");
    fx_turn(f);
    assert_int_equal(fx_state(f, &a), JOB_FINISHING);
    assert_int_equal(fx_state(f, &b), JOB_ACTIVE);
    assert_int_equal(fx_state(f, &c), JOB_QUEUED);
    assert_value(f, &c, "position", "1");
}

static void test_limit_without_queue(void **state)
{
    struct job_fixture *f = *state;
    Id a, b;

    fx_event(f, "q", "\"limits\":[{\"type\":\"job\",\"enabled\":true,\"amount\":1}]");
    a = fx_start(f, "q", NULL);
    b = fx_start(f, "q", NULL);
    fx_turn(f);
    assert_int_equal(fx_state(f, &a), JOB_ACTIVE);
    assert_int_equal(fx_state(f, &b), JOB_STATE_COUNT);
    assert_has(buf_str(&f->record),
               "\"description\":\"Maximum number of concurrent jobs for event has been reached.\"");
    assert_int_equal(f->launched, 2); /* both were accepted */
}

static void test_no_server(void **state)
{
    struct job_fixture *f = *state;
    Id a;

    fx_event(f, "e", "");
    f->offline = true;
    a = fx_start(f, "e", NULL);
    fx_turn(f);
    assert_int_equal(fx_state(f, &a), JOB_STATE_COUNT);
    assert_has(buf_str(&f->record), "\"description\":\"No available servers matching targets.\"");
    assert_has(buf_str(&f->record), "No servers match the targets");
}

static void test_a_queue_waits_for_a_server(void **state)
{
    struct job_fixture *f = *state;
    Id a, b, c;

    fx_event(f, "q", LIMITS(2, 2));
    f->offline = true;
    a = fx_start(f, "q", NULL);
    b = fx_start(f, "q", NULL);
    c = fx_start(f, "q", NULL);
    fx_turn(f);
    assert_int_equal(fx_state(f, &a), JOB_QUEUED);
    assert_has(buf_str(&f->record),
               "No available servers matching targets, and the queue is full.");
    assert_int_equal(fx_state(f, &c), JOB_STATE_COUNT);
    f->offline = false;
    f->now += JOB_QUEUE_RETRY - 1;
    fx_turn(f);
    assert_int_equal(fx_state(f, &a), JOB_QUEUED);
    f->now += 1;
    fx_turn(f);
    assert_int_equal(fx_state(f, &a), JOB_ACTIVE);
    assert_int_equal(fx_state(f, &b), JOB_ACTIVE);
}

static void test_the_event_goes_away_in_the_queue(void **state)
{
    struct job_fixture *f = *state;
    Id a, b;

    fx_event(f, "q", LIMITS(1, 5));
    a = fx_start(f, "q", NULL);
    b = fx_start(f, "q", NULL);
    fx_turn(f);
    defs_fixture_put(&f->d, 'u', DEF_EVENT, "{\"id\":\"q\",\"enabled\":false}");
    fx_update(f, &a, true,
              "{\"state\":\"finishing\"}"); /* the slot is free: it is the next one's turn */
    fx_turn(f);
    assert_int_equal(fx_state(f, &b), JOB_STATE_COUNT);
    assert_has(buf_str(&f->record), "\"description\":\"Event was disabled: Title of q\"");
    fx_event(f, "e", "");
    a = fx_start(f, "e", "{\"state\":\"start_delay\",\"until\":1800000010}");
    defs_fixture_put(&f->d, 'd', DEF_EVENT, "e");
    f->now = T0 + 10 * USEC_SEC;
    fx_turn(f);
    assert_has(buf_str(&f->record), "\"description\":\"Event was deleted: e\"");
}

static void test_abort_in_the_queue(void **state)
{
    struct job_fixture *f = *state;
    Id a, b, c;

    fx_event(f, "q", LIMITS(1, 5));
    a = fx_start(f, "q", NULL);
    b = fx_start(f, "q", NULL);
    c = fx_start(f, "q", NULL);
    fx_turn(f);
    assert_int_equal(job_abort(f->room, id_str(&b), STR("x"), f->now, NULL, NULL, NULL), STATUS_OK);
    fx_turn(f);
    assert_value(f, &c, "position", "1");
    end(f, &a);
    assert_int_equal(fx_state(f, &c), JOB_ACTIVE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_table_of_the_reference, fx_setup, fx_teardown),
        cmocka_unit_test_setup_teardown(test_oldest_first_and_a_finishing_job_frees_its_slot,
                                        fx_setup, fx_teardown),
        cmocka_unit_test_setup_teardown(test_limit_without_queue, fx_setup, fx_teardown),
        cmocka_unit_test_setup_teardown(test_no_server, fx_setup, fx_teardown),
        cmocka_unit_test_setup_teardown(test_a_queue_waits_for_a_server, fx_setup, fx_teardown),
        cmocka_unit_test_setup_teardown(test_the_event_goes_away_in_the_queue, fx_setup,
                                        fx_teardown),
        cmocka_unit_test_setup_teardown(test_abort_in_the_queue, fx_setup, fx_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
