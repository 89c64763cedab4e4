/* What a job meets on a real satellite: its environment and input, files in and out, abort,
 * failures to start, plugin scripts, and delivery to a plain conductor. */
#include "conductor.h"

static struct world *begin(void)
{
    struct world *w = world_new();

    satellite_start(w, true);
    wait_joined(w);
    return w;
}

static void test_environment(void **state)
{
    struct world *w = begin();
    char want[512];

    (void)state;
    assert_int_equal(setenv("XYOPS_SECRET_OF_AGENT", "1", 1), 0);
    launch(
        w, "jenv",
        "\"command\":\"/bin/sh -c 'echo $JOB_ID $JOB_NOW $XYOPS $PASSWORD; echo $JOB_BASE_URL; "
        "echo $PWD; pwd; "
        "echo $my_param $obj; echo $data_in $server_data_s $workflow_data_w $workflow_p; echo "
        "$FROM_JOB'\","
        "\"env\":{\"FROM_JOB\":\"yes\",\"JOB_ID\":\"no\"},"
        "\"params\":{\"my-param\":\"a b\",\"obj\":{\"k\":[1]}},\"workflow\":{\"params\":{\"p\":5}}",
        "{\"input\":{\"data\":{\"in\":1},\"files\":[]},\"serverData\":{\"s\":2},\"workflowData\":{"
        "\"w\":\"three\"}}");
    wait_final(w, "jenv");
    /* the variables are the splitter's: the whole script is in single quotes, so the shell expands
     * them */
    (void)snprintf(want, sizeof(want),
                   "jenv 1770000060 " ORRERY_VERSION
                   " geheim\nhttp://127.0.0.1:%u\n%s/temp/jobs/jenv\n"
                   "%s/temp/jobs/jenv\na b {\"k\":[1]}\n1 2 three 5\nyes\n",
                   w->port, w->home, w->home);
    assert_text(&job_of(w, STR("jenv"))->log, want);
    assert_final(w, "jenv", "code", "\"warning\"");
    world_free(w);
}

static void test_standard_input(void **state)
{
    struct world *w = begin();
    struct seen_job *j;

    (void)state;
    launch(w, "jin", "\"command\":\"/bin/cat\",\"params\":{\"x\":1}",
           "{\"input\":{\"data\":{\"d\":1},\"files\":[{\"id\":\"f1\",\"filename\":\"a.txt\","
           "\"path\":\"files/a\"}]},"
           "\"versions\":{\"xyops\":\"1\"}}");
    wait_final(w, "jin");
    j = job_of(w, STR("jin"));
    /* a whole job has a type: the line is swallowed, so the log is empty; look at the file */
    assert_text(&j->log, "");
    launch(w, "jin2", "\"command\":\"/bin/sed s/^/=/\",\"params\":{\"x\":1}",
           "{\"input\":{\"data\":{\"d\":1},\"files\":[{\"id\":\"f1\",\"filename\":\"a.txt\","
           "\"path\":\"files/a\"}]},"
           "\"versions\":{\"xyops\":\"1\"}}");
    wait_final(w, "jin2");
    j = job_of(w, STR("jin2"));
    assert_contains(
        &j->log,
        "={\"xy\":1,\"type\":\"event\",\"id\":\"jin2\",\"event\":\"e1\",\"now\":1770000060,"
        "\"state\":\"active\",\"command\":\"/bin/sed s/^/=/\",\"params\":{\"x\":1},"
        "\"versions\":{\"xyops\":\"1\"},"
        "\"input\":{\"data\":{\"d\":1},\"files\":[{\"id\":\"f1\",\"filename\":\"a.txt\"}]},\"cwd\":"
        "\"");
    assert_contains(&j->log,
                    "\"secrets\":{\"PASSWORD\":\"geheim\"},\"base_url\":\"http://127.0.0.1:");
    assert_contains(&j->log, "\"activity\":null}\n");
    world_free(w);
}

static void test_input_files(void **state)
{
    struct world *w = begin();
    struct seen_job *j;

    (void)state;
    w->file_failures = 2; /* tried again */
    launch(w, "jfiles", "\"command\":\"/bin/sh -c 'cat a.txt; ls -A'\"",
           "{\"input\":{\"data\":{},\"files\":[{\"filename\":\"a.txt\",\"path\":\"files/x/"
           "a.txt\",\"size\":20},"
           "{\"filename\":\"../../etc/evil\",\"path\":\"files/x/b.txt\",\"size\":20}]}}");
    wait_final(w, "jfiles");
    j = job_of(w, STR("jfiles"));
    assert_text(&j->log, "content of the file\n.._.._etc_evil\na.txt\n");
    assert_contains(
        &j->metas,
        "Downloading file: a.txt (20 bytes)\nDownloading file: ../../etc/evil (20 bytes)\n"
        "Spawned child process: PID ");
    launch(w, "jmissing", "\"command\":\"/bin/true\"",
           "{\"input\":{\"files\":[{\"filename\":\"a.txt\",\"path\":\"files/missing\"}]}}");
    wait_final(w, "jmissing");
    assert_final(w, "jmissing", "code", "1");
    assert_final(w, "jmissing", "description",
                 "\"Setup Error: Error: Failed to download job file: a.txt: HTTP 404\"");
    wait_gone(w, "jmissing");
    world_free(w);
}

static void test_output_files(void **state)
{
    struct world *w = begin();
    struct seen_job *j;

    (void)state;
    launch_shell(
        w, "jout",
        "#!/bin/sh\nprintf abc > one.csv; printf '' > two.csv; printf x > keep.txt; mkdir sub\n"
        "echo log >> \"$JOB_LOG\"\n"
        "echo '{\"xy\":1,\"files\":[\"*.csv\",{\"nopath\":1},[\"keep.txt\",\"new "
        "name?.txt\"],\"none*\"]}'\n");
    wait_final(w, "jout");
    j = job_of(w, STR("jout"));
    assert_int_equal(w->uploaded, 4);
    assert_final(w, "jout", "code", "0");
    assert_final(w, "jout", "files.0.filename", "\"one.csv\"");
    assert_final(w, "jout", "files.0.path", "\"files/jobs/jout/one.csv\"");
    assert_final(w, "jout", "files.0.size", "3");
    assert_final(w, "jout", "files.0.server", "\"" SERVER_ID "\"");
    assert_final(w, "jout", "files.0.job", "\"jout\"");
    assert_final(w, "jout", "files.1.size", "0");
    assert_final(w, "jout", "files.2.filename", "\"new name?.txt\"");
    assert_final(w, "jout", "files.3.filename", "\"job-jout.log\"");
    assert_final(w, "jout", "files.4", "");
    assert_contains(&j->metas,
                    "Job is finishing\nUploading file: one.csv\nUploading file: two.csv\n");
    launch_shell(w, "jout2", "#!/bin/sh\necho '{\"xy\":1,\"files\":[[\"absent\",\"a\"]]}'\n");
    wait_final(w, "jout2");
    assert_final(w, "jout2", "code", "\"upload\"");
    assert_final(w, "jout2", "files", "[]");
    world_free(w);
}

static void abort_job(struct world *w, const char *id)
{
    char text[200];

    (void)snprintf(text, sizeof(text),
                   "{\"cmd\":\"abort_job\",\"data\":{\"id\":\"%s\",\"reason\":\"Enough.\"}}", id);
    say(w, text);
}

static void test_abort_all(void **state)
{
    struct world *w = begin();
    struct seen_job *j;

    (void)state;
    /* the child ignores SIGTERM and must be killed harder */
    launch_shell(w, "jall",
                 "#!/bin/sh\n(trap '' TERM; echo child; sleep 600 & wait; sleep 600) &\n"
                 "trap '' TERM; echo begin; sleep 600; sleep 600\n");
    wait_log(w, "jall", "child\n");
    wait_log(w, "jall", "begin\n");
    abort_job(w, "jall");
    wait_final(w, "jall");
    j = job_of(w, STR("jall"));
    assert_final(w, "jall", "code", "\"abort\"");
    assert_final(w, "jall", "description", "\"Enough.\"");
    assert_contains(&j->metas, "Aborting job on server\nKilling all job processes: ");
    assert_contains_either(
        &j->metas, "Children did not exit, killing harder: ", "Child exited with code: SIGKILL\n");
    wait_gone(w, "jall");
    world_free(w);
}

static void test_abort_goes_on_after_a_restart(void **state)
{
    struct world *w = begin();
    const struct wanted row = { "jab", "Killing job process" };

    (void)state;
    launch_shell_with(w, "jab",
                      "#!/bin/sh\ntrap '' TERM\necho begin\nwhile :; do sleep 0.2; done\n",
                      "\"kill\":\"parent\",");
    wait_log(w, "jab", "begin\n");
    abort_job(w, "jab");
    assert_true(wait_quietly(w, has_meta, &row, WAIT));
    assert_int_equal(satellite_end(w, SIGKILL), -SIGKILL);
    assert_true(spool_has_file(w, "jab", "abort.json"));
    w->joined = false;
    satellite_start(w, false);
    wait_final(w, "jab");
    assert_final(w, "jab", "code", "\"abort\"");
    assert_final(w, "jab", "description", "\"Enough.\"");
    assert_contains_either(&job_of(w, STR("jab"))->metas, "Child did not exit, killing harder: ",
                           "Child exited with code: SIGKILL\n");
    world_free(w);
}

static void test_abort_none_leaves_the_process(void **state)
{
    struct world *w = begin();
    char path[128];
    AUTO_BUF struct buf mark;

    (void)state;
    (void)snprintf(path, sizeof(path), "%s/mark", w->home);
    {
        char script[256];

        (void)snprintf(script, sizeof(script),
                       "#!/bin/sh\necho begin\nsleep 1\necho went on > %s\n", path);
        launch_shell_with(w, "jnone", script, "\"kill\":\"none\",");
    }
    wait_log(w, "jnone", "begin\n");
    abort_job(w, "jnone");
    wait_final(w, "jnone");
    assert_final(w, "jnone", "code", "\"abort\"");
    wait_gone(w, "jnone");
    buf_init(&mark, 1000);
    for (int i = 0; i < 600 && mark.n == 0; i++) {
        (void)wait_quietly(w, NULL, NULL, 50 * USEC_MSEC);
        if (file_read(path, &mark, NULL) != STATUS_OK)
            buf_clear(&mark);
    }
    assert_text(&mark, "went on\n");
    world_free(w);
}

static void test_failures_to_start(void **state)
{
    struct world *w = begin();

    (void)state;
    launch(w, "jf1", "\"command\":\"[docker-plugin]\"", NULL);
    wait_final(w, "jf1");
    assert_final(w, "jf1", "code", "1");
    assert_final(w, "jf1", "description",
                 "\"Setup Error: built-in plugin not supported: docker-plugin\"");
    launch(w, "jf2", "\"command\":\"/no/such/program\"", NULL);
    wait_final(w, "jf2");
    assert_final(w, "jf2", "code", "1");
    assert_contains(&job_of(w, STR("jf2"))->final,
                    "\"description\":\"Child spawn error: /no/such/program: ");
    launch(w, "jf3", "\"command\":\"/bin/true\",\"uid\":\"no-such-user\"", NULL);
    wait_final(w, "jf3");
    assert_final(w, "jf3", "description", "\"Plugin Error: User does not exist: no-such-user\"");
    launch(w, "jf4", "\"command\":\"/bin/true\",\"gid\":\"no-such-group\"", NULL);
    wait_final(w, "jf4");
    assert_final(w, "jf4", "description", "\"Plugin Error: Group does not exist: no-such-group\"");
    launch(w, "jf5", "\"command\":\"/bin/echo a | cat\"", NULL);
    wait_final(w, "jf5");
    assert_final(w, "jf5", "code", "1");
    launch(w, "jf6", "\"command\":\"/bin/sh\",\"plugin\":\"nope\",\"script\":\"(File)\"", NULL);
    wait_final(w, "jf6");
    assert_final(w, "jf6", "description", "\"Plugin not found: nope\"");
    launch(w, "jf7", "\"command\":\"\"", NULL);
    wait_final(w, "jf7");
    assert_final(w, "jf7", "description", "\"Setup Error: The plugin has no command\"");
    world_free(w);
}

static void test_plugin_scripts(void **state)
{
    struct world *w = world_new();
    char path[128];

    (void)state;
    w->plugins = "[{\"id\":\"pone\",\"type\":\"event\",\"command\":\"/bin/sh\",\"script\":\"echo "
                 "from plugin\"}]";
    satellite_start(w, true);
    wait_joined(w);
    launch(w, "jp1", "\"command\":\"/bin/sh\",\"plugin\":\"pone\",\"script\":\"(File)\"", NULL);
    wait_final(w, "jp1");
    assert_text(&job_of(w, STR("jp1"))->log, "from plugin\n");
    say(w, "{\"cmd\":\"update\",\"data\":{\"plugins\":[{\"id\":\"ptwo\",\"script\":\"echo \\\"two "
           "$1\\\"\"}]}}");
    launch(w, "jp2", "\"command\":\"/bin/sh\",\"plugin\":\"ptwo\",\"script\":\"(File)\"", NULL);
    wait_final(w, "jp2");
    assert_text(&job_of(w, STR("jp2"))->log, "two \n");
    (void)snprintf(path, sizeof(path), "%s/temp/plugins/pone", w->home);
    assert_int_not_equal(access(path, F_OK), 0); /* deleted with its plugin */
    world_free(w);
}

static void test_running_jobs_are_reported(void **state)
{
    struct world *w = begin();
    struct seen_job *j;
    const struct wanted procs = { "jrep", "\"memRss\":" };

    (void)state;
    launch_shell(w, "jrep", "#!/bin/sh\necho 10%\nsleep 600 &\nwait\n");
    assert_true(wait_quietly(w, has_update, &procs, WAIT));
    j = job_of(w, STR("jrep"));
    assert_contains(&j->updates, "\"state\":\"active\"");
    assert_contains(&j->updates, "\"progress\":0.1");
    assert_contains(&j->updates, "\"mem\":{\"min\":");
    assert_contains(&j->updates, "\"command\":\"sleep 600\"");
    abort_job(w, "jrep");
    wait_final(w, "jrep");
    assert_contains(&j->final, "\"cpu\":{\"min\":");
    world_free(w);
}

static void test_the_test_plugin(void **state)
{
    struct world *w = begin();

    (void)state;
    launch(w, "jt1",
           "\"command\":\"[test-plugin]\",\"params\":{\"duration\":1,\"action\":\"Success\","
           "\"custom\":7}",
           NULL);
    launch(w, "jt2",
           "\"command\":\"[test-plugin]\",\"params\":{\"duration\":\"1\",\"action\":\"Error\"}",
           NULL);
    launch(w, "jt3",
           "\"command\":\"[test-plugin]\",\"params\":{\"duration\":1,\"action\":\"Crash\"}", NULL);
    wait_final(w, "jt1");
    wait_final(w, "jt2");
    wait_final(w, "jt3");
    assert_final(w, "jt1", "code", "0");
    assert_final(w, "jt1", "description", "\"Success!\"");
    assert_final(w, "jt1", "data.custom", "7");
    assert_final(w, "jt2", "code", "999");
    assert_final(w, "jt3", "code", "1");
    world_free(w);
}

static size_t count_of(const struct buf *b, const char *text)
{
    struct str s = buf_str(b);
    size_t n = 0;

    for (size_t at = str_find(s, str_z(text)); at < s.n; at = str_find(s, str_z(text))) {
        s = str_slice(s, at + 1, s.n);
        n++;
    }
    return n;
}

static bool pushes_kept(struct world *w, const void *id)
{
    return spool_has_file(w, id, "pushes");
}

static void test_pushes_come_once(void **state)
{
    struct world *w = begin();
    struct seen_job *j;

    (void)state;
    launch_shell(
        w, "jpush",
        "#!/bin/sh\necho '{\"xy\":1,\"push\":{\"tags\":[\"t1\"]}}'\necho begin\n"
        "while [ ! -e go ]; do sleep 0.1; done\necho '{\"xy\":1,\"push\":{\"tags\":[\"t2\"]}}'\n");
    wait_update(w, "jpush", "\"tags\":[\"t1\"]");
    wait_for(w, pushes_kept, "jpush", "number of pushes");
    assert_int_equal(satellite_end(w, SIGKILL), -SIGKILL);
    w->joined = false;
    satellite_start(w, false);
    wait_joined(w);
    {
        char path[128];

        (void)snprintf(path, sizeof(path), "%s/temp/jobs/jpush/go", w->home);
        assert_int_equal(file_replace(path, STR("x"), 0644, NULL), STATUS_OK);
    }
    wait_final(w, "jpush");
    j = job_of(w, STR("jpush"));
    assert_int_equal(count_of(&j->updates, "\"tags\":[\"t1\"]"), 1);
    assert_int_equal(count_of(&j->updates, "\"tags\":[\"t2\"]"), 1);
    assert_contains(&j->updates, "\"push_n\":2");
    world_free(w);
}

static bool has_posts(struct world *w, const void *arg)
{
    (void)arg;
    return w->finish_posts >= 2;
}

/* Without our extension: log without positions, the result by finish_job, whose code counts. */
static void test_plain_conductor(void **state)
{
    struct world *w = world_new();

    (void)state;
    w->plain = true;
    w->finish_refusals = 1;
    satellite_start(w, true);
    wait_joined(w);
    launch_shell(w, "jplain", "#!/bin/sh\necho hi\nexit 5\n");
    wait_for(w, has_posts, NULL, "finish_job");
    assert_text(&job_of(w, STR("jplain"))->log, "hi\n");
    assert_int_equal(job_of(w, STR("jplain"))->accepted, 0);
    assert_int_equal(job_of(w, STR("jplain"))->finals, 0);
    assert_contains(&w->finish, "{\"id\":\"jplain\",\"server\":\"" SERVER_ID "\",\"auth\":\"");
    assert_contains(&w->finish, "\"state\":\"complete\"");
    assert_contains(&w->finish, "\"code\":5");
    wait_gone(w, "jplain");
    world_free(w);
}

static void test_pushed_configuration(void **state)
{
    struct world *w = world_new();
    char path[128];
    AUTO_BUF struct buf text;

    (void)state;
    w->config = "{\"job_env\":{\"FROM_CONDUCTOR\":\"1\"},\"secret\":\"x\"}";
    satellite_start(w, true);
    wait_joined(w);
    launch(w, "jcfg", "\"command\":\"/bin/sh -c 'echo $FROM_CONDUCTOR'\"", NULL);
    wait_final(w, "jcfg");
    assert_text(&job_of(w, STR("jcfg"))->log, "1\n");
    assert_int_equal(satellite_end(w, SIGTERM), 0);
    buf_init(&text, CONFIG_SIZE_MAX);
    (void)snprintf(path, sizeof(path), "%s/config.json", w->home);
    assert_int_equal(file_read(path, &text, NULL), STATUS_OK);
    assert_contains(&text, "\t\"secret\": \"x\"");
    world_free(w);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_environment),
        cmocka_unit_test(test_standard_input),
        cmocka_unit_test(test_input_files),
        cmocka_unit_test(test_output_files),
        cmocka_unit_test(test_abort_all),
        cmocka_unit_test(test_abort_goes_on_after_a_restart),
        cmocka_unit_test(test_abort_none_leaves_the_process),
        cmocka_unit_test(test_failures_to_start),
        cmocka_unit_test(test_plugin_scripts),
        cmocka_unit_test(test_running_jobs_are_reported),
        cmocka_unit_test(test_the_test_plugin),
        cmocka_unit_test(test_pushes_come_once),
        cmocka_unit_test(test_plain_conductor),
        cmocka_unit_test(test_pushed_configuration),
    };
    int code;

    if (conductor_is_satellite(argc, argv, &code))
        return code;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
