/* The satellite as a process against a conductor in this one: enrolment, joining, coming back,
 * delivery that survives kill -9 and cut sockets. */
#include "conductor.h"
#include "sat/spool.h"

static void test_enrols_and_joins(void **state)
{
    struct world *w = world_new();
    char path[128];
    struct stat st;
    AUTO_BUF struct buf text;

    (void)state;
    satellite_start(w, true);
    wait_joined(w);
    assert_contains(&w->hello, "\"id\":\"" SERVER_ID "\"");
    assert_contains(&w->hello, "\"title\":\"Web 1\""); /* initial */
    assert_contains(&w->hello, "\"orrery\":1");
    assert_contains(&w->hello, "\"memory\":{");
    (void)snprintf(path, sizeof(path), "%s/config.json", w->home);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(satellite_end(w, SIGTERM), 0);
    buf_init(&text, CONFIG_SIZE_MAX);
    assert_int_equal(file_read(path, &text, NULL), STATUS_OK);
    assert_contains(&text, "\n\t\"server_id\": \"" SERVER_ID "\""); /* tab-indented */
    assert_contains(&text,
                    "\"hosts\": [\n\t\t\"127.0.0.1\""); /* as the conductor said at joining */
    assert_true(str_find(buf_str(&text), STR("initial")) == text.n); /* used once */
    satellite_start(w, false); /* the home alone is enough now */
    w->joined = false;
    wait_joined(w);
    world_free(w);
}

static void test_command_line(void **state)
{
    struct world *w = world_new();

    (void)state;
    satellite_start(w, false); /* nothing is known and nothing was given */
    assert_int_equal(satellite_wait(w), 2);
    w->option = "--nonsense";
    satellite_start(w, false);
    assert_int_equal(satellite_wait(w), 2);
    w->option = "--version";
    satellite_start(w, false);
    assert_int_equal(satellite_wait(w), 0);
    world_free(w);
}

static void test_a_second_one_is_refused(void **state)
{
    struct world *w = world_new();
    pid_t first;

    (void)state;
    satellite_start(w, true);
    wait_joined(w);
    first = w->satellite;
    w->satellite = 0;
    satellite_start(w, false);
    assert_int_equal(satellite_wait(w), 1);
    w->satellite = first;
    world_free(w);
}

static bool was_refused(struct world *w, const void *arg)
{
    (void)arg;
    return w->refused == 1 && !w->ws;
}

static bool has_rejoined(struct world *w, const void *arg)
{
    (void)arg;
    return w->joined || w->refused > 1;
}

static void test_stays_away_when_refused(void **state)
{
    struct world *w = world_new();

    (void)state;
    w->refuse = true;
    satellite_start(w, true);
    wait_for(w, was_refused, NULL, "refusal");
    w->refuse = false;
    assert_false(
        wait_quietly(w, has_rejoined, NULL, 4 * USEC_SEC)); /* ordinary ones come after 1 s */
    set_config(w, "{\"note\":1}");                          /* seen within check_config_freq_ms */
    wait_for(w, has_rejoined, NULL, "return");
    assert_true(w->joined);
    world_free(w);
}

static bool has_samples(struct world *w, const void *arg)
{
    (void)arg;
    return w->quicks >= 2 && w->last_monitor.n;
}

static void test_samples(void **state)
{
    struct world *w = world_new();

    (void)state;
    satellite_start(w, true);
    wait_for(w, has_samples, NULL, "samples");
    assert_contains(&w->last_quick, "\"mem\":{");
    assert_contains(&w->last_quick, "\"cpu\":{");
    assert_contains(&w->last_monitor, "\"server\":\"" SERVER_ID "\"");
    assert_contains(&w->last_monitor, "\"uptime_sec\":");
    assert_contains(&w->last_monitor, "\"jobs\":0");
    world_free(w);
}

static void test_a_shell_job(void **state)
{
    struct world *w = world_new();
    struct seen_job *j;

    (void)state;
    satellite_start(w, true);
    wait_joined(w);
    launch_shell(w, "j1", "#!/bin/sh\necho hi\necho 50%\necho '{\"xy\":1,\"data\":{\"a\":1}}'\n");
    wait_final(w, "j1");
    j = job_of(w, STR("j1"));
    assert_int_equal(j->accepted, 1);
    assert_int_equal(j->finals, 1);
    assert_text(&j->log, "hi\n");
    assert_final(w, "j1", "code", "0");
    assert_final(w, "j1", "description", "\"\"");
    assert_final(w, "j1", "data", "{\"a\":1}");
    assert_final(w, "j1", "files", "[]");
    assert_final(w, "j1", "log_size", "3");
    assert_contains(&j->metas, "Spawned child process: PID ");
    assert_contains(&j->metas, "Child exited with code: 0\nJob is finishing\n");
    assert_contains(&j->updates, "\"state\":\"finishing\"");
    wait_gone(w, "j1");
    world_free(w);
}

#define COUNTING                                                                                   \
    "#!/bin/sh\ni=0\nwhile [ $i -lt %u ]; do echo line $i; i=$((i+1)); [ $((i %% 20)) -eq 0 ] && " \
    "sleep 0.1; done\n"                                                                            \
    "echo '{\"xy\":1,\"data\":{\"end\":1}}'\n"

static void assert_counted(struct world *w, const char *id, unsigned lines)
{
    AUTO_BUF struct buf want;

    buf_init(&want, 1024 * 1024);
    for (unsigned i = 0; i < lines; i++)
        (void)buf_printf(&want, "line %u\n", i);
    (void)buf_add_char(&want, 0);
    assert_text(&job_of(w, str_z(id))->log, want.p);
    assert_final(w, id, "data", "{\"end\":1}");
}

static void test_killed_in_the_middle_of_a_job(void **state)
{
    struct world *w = world_new();
    char script[512];

    (void)state;
    (void)snprintf(script, sizeof(script), COUNTING, 400u);
    satellite_start(w, true);
    wait_joined(w);
    launch_shell(w, "jkill", script);
    wait_log(w, "jkill", "line 30\n");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(satellite_end(w, SIGKILL), -SIGKILL);
        w->joined = false;
        satellite_start(w, false);
        wait_joined(w);
    }
    wait_final(w, "jkill");
    assert_counted(w, "jkill", 400); /* nothing lost, nothing twice */
    assert_final(w, "jkill", "code", "0");
    assert_int_equal(job_of(w, STR("jkill"))->accepted, 1);
    assert_contains(&job_of(w, STR("jkill"))->metas, "Child exited with code: 0\n");
    wait_gone(w, "jkill");
    world_free(w);
}

static bool is_down(struct world *w, const void *arg)
{
    (void)arg;
    return !w->ws;
}

static void test_a_cut_link_loses_nothing(void **state)
{
    struct world *w = world_new();
    char script[512];

    (void)state;
    (void)snprintf(script, sizeof(script), COUNTING, 400u);
    satellite_start(w, true);
    wait_joined(w);
    launch_shell(w, "jcut", script);
    for (int i = 0; i < 3; i++) {
        wait_log(w, "jcut", "line 10\n");
        cut(w);
        wait_joined(w);
    }
    wait_final(w, "jcut");
    assert_counted(w, "jcut", 400);
    assert_true(job_of(w, STR("jcut"))->seeks >= 1);
    world_free(w);
}

static void test_jobs_outlive_a_stopped_satellite(void **state)
{
    struct world *w = world_new();

    (void)state;
    satellite_start(w, true);
    wait_joined(w);
    launch_shell(w, "jlive", "#!/bin/sh\necho begin\nsleep 2\necho end\n");
    wait_log(w, "jlive", "begin\n");
    assert_int_equal(satellite_end(w, SIGTERM), 0);
    satellite_start(w, false);
    wait_final(w, "jlive");
    assert_text(&job_of(w, STR("jlive"))->log, "begin\nend\n");
    assert_final(w, "jlive", "code", "0");
    world_free(w);
}

static void test_stop_may_abort_jobs(void **state)
{
    struct world *w = world_new();

    (void)state;
    w->option = "--abort-jobs-on-stop";
    satellite_start(w, true);
    wait_joined(w);
    launch_shell(w, "jstop", "#!/bin/sh\necho begin\nsleep 600\n");
    wait_log(w, "jstop", "begin\n");
    assert_int_equal(satellite_end(w, SIGTERM), 0); /* after the result is taken */
    assert_final(w, "jstop", "code", "\"abort\"");
    assert_final(w, "jstop", "description", "\"Server is shutting down.\"");
    assert_false(spool_has_file(w, "jstop", ""));
    world_free(w);
}

static void test_a_result_is_kept_until_it_is_taken(void **state)
{
    struct world *w = world_new();
    struct seen_job *j;

    (void)state;
    w->keep = true;
    satellite_start(w, true);
    wait_joined(w);
    launch_shell(w, "jkeep", "#!/bin/sh\necho one\nexit 3\n");
    wait_final(w, "jkeep");
    j = job_of(w, STR("jkeep"));
    assert_final(w, "jkeep", "code", "3");
    assert_int_equal(satellite_end(w, SIGKILL), -SIGKILL);
    j->finals = 0;
    buf_clear(&j->log); /* we have forgotten everything */
    buf_clear(&j->metas);
    j->meta = 0;
    satellite_start(w, false);
    wait_final(w, "jkeep");
    assert_text(&j->log, "one\n"); /* and get it all again */
    assert_final(w, "jkeep", "code", "3");
    assert_contains(&j->metas, "Child exited with code: 3\nJob is finishing\n");
    assert_true(spool_has_file(w, "jkeep", "stream"));
    say_done(w, "jkeep");
    wait_gone(w, "jkeep");
    world_free(w);
}

static void test_a_launch_is_not_taken_twice(void **state)
{
    struct world *w = world_new();
    struct seen_job *j;

    (void)state;
    w->keep = true;
    satellite_start(w, true);
    wait_joined(w);
    launch_shell(w, "jtwice", "#!/bin/sh\necho ran >> \"$JOB_LOG.mark\"\ncat \"$JOB_LOG.mark\"\n");
    wait_final(w, "jtwice");
    j = job_of(w, STR("jtwice"));
    launch_shell(w, "jtwice", "#!/bin/sh\necho again\n");
    launch_shell(w, "jother", "#!/bin/sh\nexit 0\n");
    wait_final(w, "jother");
    assert_int_equal(j->accepted, 2); /* it says so again, and no more */
    assert_int_equal(j->finals, 1);
    assert_text(&j->log, "ran\n");
    world_free(w);
}

static void test_a_lost_supervisor(void **state)
{
    struct world *w = world_new();
    char path[128];
    char text[128] = "";
    int fd;
    ssize_t n;
    struct str rest;
    struct str word;
    int64_t v[3] = { 0 };

    (void)state;
    satellite_start(w, true);
    wait_joined(w);
    launch_shell(w, "jlost", "#!/bin/sh\necho begin\nsleep 600\n");
    wait_log(w, "jlost", "begin\n");
    (void)snprintf(path, sizeof(path), "%s/spool/jlost/stream", w->home);
    fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    n = pread(fd, text, sizeof(text) - 1, sizeof(struct super_frame));
    close(fd);
    assert_true(n > 0);
    rest = str_z(text);
    for (size_t i = 0; i < 3 && str_split(&rest, ' ', &word); i++) {
        size_t digits = strspn(word.p, "0123456789");

        assert_true(str_to_i64(str_slice(word, 0, digits < word.n ? digits : word.n), &v[i]));
    }
    assert_true(v[2] > 1);
    assert_int_equal(kill((pid_t)v[2], SIGKILL), 0);
    wait_final(w, "jlost");
    assert_final(w, "jlost", "code", "1");
    assert_final(w, "jlost", "description", "\"Supervisor of the job was lost.\"");
    (void)kill(-(pid_t)v[0], SIGKILL);
    wait_gone(w, "jlost");
    world_free(w);
}

static void write_file(struct world *w, const char *name, const char *text)
{
    char path[256];

    (void)snprintf(path, sizeof(path), "%s/spool/%s", w->home, name);
    assert_int_equal(file_replace(path, str_z(text), 0600, NULL), STATUS_OK);
}

static void write_launch(struct world *w, const char *id, const char *boot)
{
    char path[256];
    char text[512];

    (void)snprintf(path, sizeof(path), "%s/spool/%s", w->home, id);
    assert_int_equal(mkdir(path, 0711), 0);
    (void)snprintf(path, sizeof(path), "%s/launch.json", id);
    (void)snprintf(text, sizeof(text),
                   "{\"boot\":\"%s\",\"base_url\":\"\",\"launch\":{\"job\":{\"id\":\"%s\","
                   "\"command\":\"/bin/echo ran\"}}}",
                   boot, id);
    write_file(w, path, text);
}

/* What a start makes of a spool that was left in every state. */
static void test_recovery(void **state)
{
    struct world *w = world_new();
    char boot[SPOOL_BOOT_MAX];
    static const char *const lost[] = { "jpower", "jboot", "jtorn" };

    (void)state;
    w->keep = true;
    satellite_start(w, true);
    wait_joined(w);
    assert_int_equal(satellite_end(w, SIGTERM), 0);
    spool_boot_id(boot);
    write_file(w, "intents.log", "+jpower\n+jboot\n+jfresh\n+jtorn\n+jover\n-jover\n");
    write_launch(w, "jboot", "another"); /* the machine went down: nobody knows whether it ran */
    write_launch(w, "jfresh", boot);     /* only we went down, before it was started */
    write_launch(w, "jnever", boot);     /* not accepted */
    write_launch(w, "jover", boot);      /* over, and not quite gone */
    write_launch(w, "jtorn", boot);
    write_file(w, "jtorn/launch.json", "{\"boot\":");
    w->joined = false;
    satellite_start(w, false);
    for (size_t i = 0; i < COUNT_OF(lost); i++) {
        wait_final(w, lost[i]);
        assert_final(w, lost[i], "code", "1");
        assert_final(w, lost[i], "description", "\"Supervisor of the job was lost.\"");
    }
    wait_final(w, "jfresh");
    assert_text(&job_of(w, STR("jfresh"))->log, "ran\n");
    assert_int_equal(w->n_jobs, 4);
    assert_false(spool_has_file(w, "jnever", ""));
    assert_false(spool_has_file(w, "jover", ""));
    for (size_t i = 0; i < 4; i++)
        say_done(w, w->jobs[i].id);
    for (size_t i = 0; i < 4; i++)
        wait_gone(w, w->jobs[i].id);
    world_free(w);
}

#define BIG (SUPER_STREAM_MAX > 100000000 ? 20000000u : 20000u)

static void test_a_big_log_arrives_whole(void **state)
{
    struct world *w = world_new();
    struct seen_job *j;
    char script[200];
    char want[16];

    (void)state;
    satellite_start(w, true);
    wait_joined(w);
    (void)snprintf(script, sizeof(script),
                   "#!/bin/sh\nhead -c %u /dev/zero | tr '\\0' 'x'\necho\nprintf 'end\\377'\n",
                   BIG);
    launch_shell(w, "jbig", script);
    wait_final(w, "jbig");
    j = job_of(w, STR("jbig"));
    (void)snprintf(want, sizeof(want), "%u", BIG + 7); /* the last byte became U+FFFD */
    assert_final(w, "jbig", "log_size", want);
    assert_int_equal(j->log.n, BIG + 7);
    assert_memory_equal(j->log.p + BIG - 10, "xxxxxxxxxx\nend\xEF\xBF\xBD", 17);
    world_free(w);
}

static void test_redirect_and_retry(void **state)
{
    struct world *w = world_new();
    const unsigned joins = 1;

    (void)state;
    satellite_start(w, true);
    wait_joined(w);
    assert_int_equal(w->joins, joins);
    w->joined = false;
    say(w, "{\"cmd\":\"retry\",\"data\":{}}");
    wait_joined(w);
    w->joined = false;
    say(w, "{\"cmd\":\"redirect\",\"data\":{\"host\":\"nowhere.invalid\"}}");
    wait_joined(w); /* --conductor beats it */
    say(w, "not json at all");
    say(w, "{\"cmd\":\"unheard_of\",\"data\":1}");
    say(w, "{\"cmd\":\"launch_job\",\"data\":{\"job\":{\"id\":\"../x\"}}}");
    say(w, "{\"cmd\":\"abort_job\",\"data\":{\"id\":\"none\"}}");
    say(w, "{\"cmd\":\"job_log_seek\",\"data\":[]}");
    say(w, "{\"cmd\":\"job_done\",\"data\":{\"ids\":[1,\"none\"]}}");
    launch_shell(w, "jafter", "#!/bin/sh\nexit 0\n");
    wait_final(w, "jafter");
    assert_final(w, "jafter", "code", "0");
    assert_false(wait_quietly(w, is_down, NULL, 100 * USEC_MSEC));
    world_free(w);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_enrols_and_joins),
        cmocka_unit_test(test_command_line),
        cmocka_unit_test(test_a_second_one_is_refused),
        cmocka_unit_test(test_stays_away_when_refused),
        cmocka_unit_test(test_samples),
        cmocka_unit_test(test_a_shell_job),
        cmocka_unit_test(test_killed_in_the_middle_of_a_job),
        cmocka_unit_test(test_a_cut_link_loses_nothing),
        cmocka_unit_test(test_jobs_outlive_a_stopped_satellite),
        cmocka_unit_test(test_stop_may_abort_jobs),
        cmocka_unit_test(test_a_result_is_kept_until_it_is_taken),
        cmocka_unit_test(test_a_launch_is_not_taken_twice),
        cmocka_unit_test(test_a_lost_supervisor),
        cmocka_unit_test(test_recovery),
        cmocka_unit_test(test_a_big_log_arrives_whole),
        cmocka_unit_test(test_redirect_and_retry),
    };
    int code;

    if (conductor_is_satellite(argc, argv, &code))
        return code;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
