/* The table of moves: complete, without doubles, every state reachable, no way out of the end. */
#include "job_fixture.h"

static void test_rows_are_unique_and_documented(void **state)
{
    (void)state;
    for (size_t i = 0; i < job_moves_count; i++) {
        const char *doc = job_moves[i].doc;

        assert_ptr_equal(job_move_find(job_moves[i].from, job_moves[i].on), &job_moves[i]);
        assert_int_equal(doc[strlen(doc) - 1], '.');
    }
}

static void test_every_state_but_the_born_ones_is_reached(void **state)
{
    (void)state;
    for (int s = 0; s < JOB_STATE_COUNT; s++) {
        bool reached = s == JOB_START_DELAY || s == JOB_RETRY_DELAY;

        for (size_t i = 0; i < job_moves_count; i++)
            reached = reached || (int)job_moves[i].to == s;
        assert_true(reached);
    }
}

static void test_every_state_can_be_aborted_but_the_last(void **state)
{
    (void)state;
    for (int s = 0; s < JOB_COMPLETE; s++) {
        const struct job_move *m = job_move_find((enum job_state)s, JOB_ON_ABORT);

        assert_non_null(m);
        assert_int_equal(m->to, JOB_COMPLETE);
    }
    assert_null(job_move_find(JOB_COMPLETE, JOB_ON_ABORT));
}

static void test_complete_is_the_end(void **state)
{
    (void)state;
    for (size_t i = 0; i < job_moves_count; i++) {
        if (job_moves[i].from == JOB_COMPLETE)
            assert_int_equal(job_moves[i].to, JOB_COMPLETE);
    }
}

static void test_names(void **state)
{
    (void)state;
    assert_string_equal(job_state_name(JOB_START_DELAY), "start_delay");
    assert_string_equal(job_state_name(JOB_COMPLETE), "complete");
    assert_string_equal(job_input_name(JOB_ON_NO_SLOT), "NO_SLOT");
    assert_string_equal(job_source_name(JOB_SOURCE_STARTUP), "startup");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_are_unique_and_documented),
        cmocka_unit_test(test_every_state_but_the_born_ones_is_reached),
        cmocka_unit_test(test_every_state_can_be_aborted_but_the_last),
        cmocka_unit_test(test_complete_is_the_end),
        cmocka_unit_test(test_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
