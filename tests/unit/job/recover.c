/* What survives: commits that fail, satellites that come back, the conductor's own restart. */
#include "job_fixture.h"

static const struct job_config config = { .host_id = "c1" };

static Id running(struct job_fixture *f, bool accept)
{
    Id id = fx_start(f, "e1", NULL);

    fx_turn(f);
    if (accept)
        job_accepted(f->room, &f->server, id_str(&id), f->now);
    fx_turn(f);
    fx_clear(f);
    return id;
}

static void rejoin(struct job_fixture *f, const char *format, const Id *id)
{
    char list[256];

    job_server_left(f->room, &f->server, STR("host (ip)"), f->now);
    job_server_joined(f->room, &f->server, true, f->now);
    (void)snprintf(list, sizeof(list),
                   format[0] == '[' ? "%s" : "[{\"id\":\"%s\",\"state\":\"running\"}]",
                   format[0] == '[' ? format : id->z);
    fx_inventory(f, list);
    fx_turn(f);
}

/* The room of a conductor that was started again on the last row. */
static void restart(struct job_fixture *f, uint64_t log_size)
{
    fx_room(f, &config);
    assert_int_equal(job_room_restore(f->room, buf_str(&f->row), log_size, f->now, NULL),
                     STATUS_OK);
    fx_clear(f);
    fx_turn(f);
}

static void test_a_failed_commit_holds_everything_back(void **state)
{
    struct job_fixture *f = *state;
    struct job_stats stats;
    struct err err = { .text = "" };
    Id id;

    fx_event(f, "e1", "");
    f->commit_status = STATUS_NOSPACE;
    (void)fx_start(f, "e1", NULL);
    fx_turn(f);
    assert_effects(f, "");
    assert_int_equal(f->launched, 0);
    assert_int_equal(f->puts, 1);
    assert_int_equal(fx_try(f, "e1", NULL, &id, &err), STATUS_NOSPACE);
    job_room_stats(f->room, &stats);
    assert_true(stats.paused);
    assert_int_equal(job_tick(f->room, f->now), f->now + JOB_COMMIT_RETRY);
    f->now += JOB_COMMIT_RETRY;
    fx_turn(f);
    assert_int_equal(f->puts, 2);
    assert_effects(f, "");
    f->commit_status = STATUS_OK;
    f->now += JOB_COMMIT_RETRY;
    fx_turn(f);
    assert_int_equal(f->puts, 3);
    assert_effects(f, "launch s1;");
    assert_int_equal(f->launched, 1);
    job_room_stats(f->room, &stats);
    assert_false(stats.paused);
    (void)fx_start(f, "e1", NULL);
}

static void test_effects_keep_their_order_over_a_failure(void **state)
{
    struct job_fixture *f = *state;
    Id a;

    fx_event(f, "e1", "");
    a = fx_start(f, "e1", NULL);
    job_turn_end(f->room, f->now); /* batch 1 */
    (void)fx_start(f, "e1", NULL);
    job_turn_end(f->room, f->now); /* batch 2 */
    assert_int_equal(f->n_commits, 2);
    job_committed(f->room, f->commits[0], STATUS_IO, f->now);
    job_committed(f->room, f->commits[1], STATUS_OK, f->now);
    f->n_commits = 0;
    assert_effects(f, "");
    assert_int_equal(f->launched, 0); /* the second waits behind the first */
    f->now += JOB_COMMIT_RETRY;
    fx_turn(f);
    assert_effects(f, "launch s1;launch s1;");
    assert_int_equal(f->launched, 2);
    assert_false(id_eq(&f->last_id, &a));
}

static void test_a_failed_archive_is_repeated(void **state)
{
    struct job_fixture *f = *state;
    Id id;

    fx_event(f, "e1", "");
    id = running(f, true);
    f->commit_status = STATUS_IO;
    fx_update(f, &id, true, "{\"state\":\"complete\",\"code\":0}");
    fx_turn(f);
    assert_int_equal(f->archives, 1);
    assert_effects(f, "");
    assert_int_equal(fx_state(f, &id), JOB_COMPLETE);
    f->commit_status = STATUS_OK;
    f->now += JOB_COMMIT_RETRY;
    fx_turn(f);
    assert_int_equal(f->archives, 2);
    assert_effects(f, "ended e1;log removed;done s1;");
}

static void test_a_launch_that_did_not_arrive_is_sent_again(void **state)
{
    struct job_fixture *f = *state;
    struct job_stats stats;
    Id id;

    fx_event(f, "e1", "");
    id = running(f, false);
    rejoin(f, "[]", &id);
    assert_effects(f, "launch s1;seek 0 0;");
    job_room_stats(f->room, &stats);
    assert_int_equal(stats.resent, 1);
    fx_inventory(f, "[]"); /* sent on this very connection: the list says nothing */
    assert_effects(f, "");
}

static void test_an_accepted_job_that_is_gone_is_lost(void **state)
{
    struct job_fixture *f = *state;
    Id id;

    fx_event(f, "e1", "");
    id = running(f, true);
    rejoin(f, "[]", &id);
    assert_effects(f, "ended e1;log removed;");
    assert_has(buf_str(&f->record), "\"code\":1");
    assert_has(buf_str(&f->record), "The satellite has lost the job");
    assert_has_not(buf_str(&f->record), "given_up");
}

static void test_a_job_in_the_inventory_goes_on(void **state)
{
    struct job_fixture *f = *state;
    Id id;

    fx_event(f, "e1", "");
    id = running(f, true);
    fx_say(f, &id, 0, "abc");
    job_meta(f->room, &f->server, id_str(&id), 1, STR("one"), f->now);
    rejoin(f, "it", &id);
    assert_effects(f, "seek 3 1;");
    assert_int_equal(fx_state(f, &id), JOB_ACTIVE);
    assert_int_equal(job_abort(f->room, id_str(&id), STR("why"), f->now, NULL, NULL, NULL),
                     STATUS_OK);
    fx_turn(f);
    fx_clear(f);
    rejoin(f, "it", &id);
    assert_effects(f, "seek 3 1;abort why;");
}

static void test_an_abort_of_what_never_arrived(void **state)
{
    struct job_fixture *f = *state;
    Id id;

    fx_event(f, "e1", "");
    id = running(f, false);
    assert_int_equal(job_abort(f->room, id_str(&id), STR("why"), f->now, NULL, NULL, NULL),
                     STATUS_OK);
    fx_turn(f);
    fx_clear(f);
    rejoin(f, "[]", &id);
    assert_effects(f, "ended e1;log removed;");
    assert_has(buf_str(&f->record), "\"description\":\"why\"");
    job_accepted(f->room, &f->server, id_str(&id), f->now); /* it had it in hand after all */
    assert_effects(f, "stray s1;seek 9007199254740991 4294967295;");
}

static void test_a_job_given_up_whose_record_is_on_its_way(void **state)
{
    struct job_fixture *f = *state;
    Id id;

    fx_event(f, "e1", "");
    id = running(f, true);
    assert_int_equal(job_abort(f->room, id_str(&id), STR("why"), f->now, NULL, NULL, NULL),
                     STATUS_OK);
    fx_turn(f);
    fx_clear(f);
    job_server_left(f->room, &f->server, STR("h"), f->now);
    f->commit_status = STATUS_NOSPACE;
    f->now += JOB_DEAD_TIMEOUT;
    fx_turn(f);
    assert_int_equal(fx_state(f, &id), JOB_COMPLETE);
    rejoin(f, "it", &id);
    assert_effects(f, "abort why;seek 9007199254740991 4294967295;");
    fx_update(f, &id, true, "{\"state\":\"complete\",\"code\":\"abort\"}");
    rejoin(f, "it", &id);
    assert_effects(f, ""); /* the result is here: it is confirmed with the record */
    f->commit_status = STATUS_OK;
    f->now += JOB_COMMIT_RETRY;
    fx_turn(f);
    assert_effects(f, "ended e1;log removed;done s1;");
    assert_has(buf_str(&f->record), "\"abort_pending\":true");
}

static void test_a_stray_job(void **state)
{
    struct job_fixture *f = *state;

    fx_inventory(f, "[{\"id\":\"jold\",\"state\":\"done\"},{\"no\":\"id\"},7]");
    assert_effects(f, "stray s1;seek 9007199254740991 4294967295;");
}

static void test_restart_of_a_running_job(void **state)
{
    struct job_fixture *f = *state;
    Id id;

    fx_event(f, "e1", "\"notes\":\"n\"");
    id = running(f, true);
    fx_say(f, &id, 0, "abcdef");
    job_meta(f->room, &f->server, id_str(&id), 1, STR("one"), f->now);
    fx_update(f, &id, true, "{\"state\":\"active\",\"table\":{\"rows\":[]},\"data\":{\"a\":1}}");
    fx_turn(f);
    f->now += 300 * USEC_SEC;
    restart(f, 4);                                  /* the disk has lost two bytes of the log */
    assert_int_equal(fx_state(f, &id), JOB_ACTIVE); /* the silence counts from the restart */
    assert_value(f, &id, "updated", "1800000300.000000");
    assert_value(f, &id, "started", "1800000000.000000");
    assert_value(f, &id, "table", "{\"rows\":[]}");
    assert_value(f, &id, "data", "{\"a\":1}");
    assert_value(f, &id, "notes", "\"n\"");
    assert_value(f, &id, "event", "\"e1\"");
    assert_null(job_value(job_find(f->room, id_str(&id)), "remote").p);
    rejoin(f, "it", &id);
    assert_effects(f, "seek 4 1;");
    f->log.n = 4;
    fx_say(f, &id, 4, "ef");
    fx_update(f, &id, true, "{\"state\":\"complete\",\"code\":0,\"log_size\":6}");
    fx_turn(f);
    assert_effects(f, "ended e1;log removed;done s1;");
    assert_has(buf_str(&f->record), "\"output\":\"abcdef\"");
    assert_has(buf_str(&f->record), "\"msg\":\"one\"");
    assert_has(buf_str(&f->record), "\"data\":{\"a\":1}");
    assert_has(buf_str(&f->record), "\"event_title\":\"Title of e1\"");
}

static void test_restart_before_the_launch_left(void **state)
{
    struct job_fixture *f = *state;
    Id id;

    fx_event(f, "e1", "");
    id = fx_start(f, "e1", NULL);
    job_turn_end(f->room, f->now);
    restart(f, 0);
    assert_effects(f, ""); /* perhaps it was sent: the satellite knows */
    rejoin(f, "[]", &id);
    assert_effects(f, "launch s1;seek 0 0;");
}

static void test_restart_of_delays_and_queues(void **state)
{
    struct job_fixture *f = *state;
    Id id;

    fx_event(f, "e1", "");
    id = fx_start(f, "e1", "{\"state\":\"start_delay\",\"until\":1800000010}");
    fx_turn(f);
    f->now = T0 + 20 * USEC_SEC;
    f->offline = true;
    restart(f, 0);
    assert_int_equal(fx_state(f, &id), JOB_READY); /* due, and patient until the servers are back */
    f->offline = false;
    f->now += JOB_QUEUE_RETRY;
    fx_turn(f);
    assert_int_equal(fx_state(f, &id), JOB_ACTIVE);
    f->offline = true;
    restart(f, 0);
    assert_int_equal(fx_state(f, &id), JOB_ACTIVE);
}

static void test_the_patience_of_a_restored_job_ends(void **state)
{
    struct job_fixture *f = *state;
    Id id;

    fx_event(f, "e1", "");
    id = fx_start(f, "e1", "{\"state\":\"start_delay\",\"until\":1800000010}");
    fx_turn(f);
    f->now = T0 + 20 * USEC_SEC;
    f->offline = true;
    restart(f, 0);
    f->now += JOB_RESTORE_GRACE - 1;
    fx_turn(f);
    assert_int_equal(fx_state(f, &id), JOB_READY);
    f->now += JOB_QUEUE_RETRY;
    fx_turn(f);
    assert_int_equal(fx_state(f, &id), JOB_STATE_COUNT);
    assert_has(buf_str(&f->record), "No available servers matching targets.");
}

static void test_restart_while_starting_or_ending(void **state)
{
    struct job_fixture *f = *state;
    static const char starting[] = "{\"id\":\"jx\",\"event\":\"e1\",\"category\":\"general\","
                                   "\"plugin\":\"shell\",\"server\":\"s9\","
                                   "\"state\":\"starting\",\"started\":1800000000,\"targets\":["
                                   "\"main\"],\"algo\":\"random\",\"limits\":[]}";
    const Id id = { .z = "jx" };

    fx_event(f, "e1", "");
    buf_clear(&f->row);
    (void)buf_add_z(&f->row, starting);
    restart(f, 0);
    assert_value(f, &id, "server", "\"s1\""); /* chosen anew */
    assert_effects(f, "launch s1;");
    assert_int_equal(job_room_restore(f->room, str_z(starting), 0, f->now, NULL), STATUS_EXISTS);
    assert_int_equal(job_room_restore(f->room, STR("{\"id\":\"jy\"}"), 0, f->now, NULL),
                     STATUS_CORRUPT);
    assert_int_equal(job_room_restore(f->room, STR("{\"id\""), 0, f->now, NULL), STATUS_INVALID);
    assert_int_equal(job_count(f->room), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_failed_commit_holds_everything_back, fx_setup,
                                        fx_teardown),
        cmocka_unit_test_setup_teardown(test_effects_keep_their_order_over_a_failure, fx_setup,
                                        fx_teardown),
        cmocka_unit_test_setup_teardown(test_a_failed_archive_is_repeated, fx_setup, fx_teardown),
        cmocka_unit_test_setup_teardown(test_a_launch_that_did_not_arrive_is_sent_again, fx_setup,
                                        fx_teardown),
        cmocka_unit_test_setup_teardown(test_an_accepted_job_that_is_gone_is_lost, fx_setup,
                                        fx_teardown),
        cmocka_unit_test_setup_teardown(test_a_job_in_the_inventory_goes_on, fx_setup, fx_teardown),
        cmocka_unit_test_setup_teardown(test_an_abort_of_what_never_arrived, fx_setup, fx_teardown),
        cmocka_unit_test_setup_teardown(test_a_job_given_up_whose_record_is_on_its_way, fx_setup,
                                        fx_teardown),
        cmocka_unit_test_setup_teardown(test_a_stray_job, fx_setup, fx_teardown),
        cmocka_unit_test_setup_teardown(test_restart_of_a_running_job, fx_setup, fx_teardown),
        cmocka_unit_test_setup_teardown(test_restart_before_the_launch_left, fx_setup, fx_teardown),
        cmocka_unit_test_setup_teardown(test_restart_of_delays_and_queues, fx_setup, fx_teardown),
        cmocka_unit_test_setup_teardown(test_the_patience_of_a_restored_job_ends, fx_setup,
                                        fx_teardown),
        cmocka_unit_test_setup_teardown(test_restart_while_starting_or_ending, fx_setup,
                                        fx_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
