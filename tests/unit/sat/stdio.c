/* The parser of a job's stream against scripts of frames: every rule of satellite.md 20, 21
 * and 38.1. */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <endian.h>

#include "sat/stdio.h"

#define AT (INT64_C(1770000000) * USEC_SEC)

struct job {
    struct stdio_parser *p;
    struct buf log;
    struct buf metas; /* one a line */
    struct buf out;
};

static void on_log(void *ctx, struct str text)
{
    assert_true(str_is_utf8(text));
    assert_int_equal(buf_add_str(&((struct job *)ctx)->log, text), STATUS_OK);
}

static void on_meta(void *ctx, struct str text)
{
    struct job *j = ctx;

    assert_true(str_is_utf8(text));
    (void)buf_add_str(&j->metas, text);
    (void)buf_add_char(&j->metas, '\n');
}

static void job_init(struct job *j, const struct stdio_config *config)
{
    static const struct stdio_ops ops = { .log = on_log, .meta = on_meta };

    *j = (struct job){ 0 };
    buf_init(&j->log, 256u * 1024 * 1024);
    buf_init(&j->metas, 1024 * 1024);
    buf_init(&j->out, 64u * 1024 * 1024);
    j->p = stdio_new(config, &ops, j);
    assert_non_null(j->p);
}

static void job_done(struct job *j)
{
    stdio_free(j->p);
    buf_done(&j->log);
    buf_done(&j->metas);
    buf_done(&j->out);
}

static void frame(struct job *j, enum super_frame_type type, const char *text)
{
    stdio_frame(j->p, type, AT, str_z(text));
}

static void out(struct job *j, const char *text)
{
    frame(j, SUPER_STDOUT, text);
}

/* The whole of a plain command: started, this on stdout, that exit. */
static void command(struct job *j, const char *text, const char *exit)
{
    const struct stdio_config config = { .program = "prog" };

    job_init(j, &config);
    frame(j, SUPER_STARTED, "4711 99 4710");
    out(j, text);
    frame(j, SUPER_EXIT, exit);
}

static void assert_log(struct job *j, const char *want)
{
    (void)buf_add_char(&j->log, 0);
    assert_string_equal(j->log.p, want);
    j->log.n--;
}

static void assert_metas(struct job *j, const char *want)
{
    (void)buf_add_char(&j->metas, 0);
    assert_string_equal(j->metas.p, want);
    j->metas.n--;
}

static void assert_str(struct str s, const char *want)
{
    if (!str_eq_z(s, want))
        fail_msg("'%.*s' is not '%s'", STR_FMT(s), want);
}

/* The changes as one JSON object. */
static void assert_changes(struct job *j, const char *want)
{
    struct json_writer w = json_writer_init(&j->out);

    buf_clear(&j->out);
    json_obj(&w, NULL);
    stdio_put_changes(j->p, &w);
    json_end(&w);
    assert_str(buf_str(&j->out), want);
}

static void test_lines_go_to_the_log(void **state)
{
    struct job j;

    (void)state;
    command(&j, "hi\n\nthere\n", "code 0");
    assert_log(&j, "hi\n\nthere\n");
    assert_metas(&j, "Spawned child process: PID 4711\nChild exited with code: 0\n");
    assert_int_equal(stdio_state(j.p)->pid, 4711);
    assert_int_equal(stdio_state(j.p)->start_ticks, 99);
    assert_int_equal(stdio_state(j.p)->supervisor, 4710);
    job_done(&j);
}

static void test_last_line_without_newline_is_kept(void **state)
{
    struct job j;

    (void)state;
    command(&j, "one\ntwo", "code 0");
    assert_log(&j, "one\ntwo");
    job_done(&j);
    command(&j, "{\"xy\":1,\"code\":0}", "code 0"); /* also when it is a message */
    assert_log(&j, "");
    assert_str(stdio_code(j.p), "0");
    job_done(&j);
}

static void test_exit_codes(void **state)
{
    struct job j;

    (void)state;
    command(&j, "", "code 3");
    assert_str(stdio_code(j.p), "3");
    assert_str(stdio_description(j.p), "\"Child 4711 crashed with code: 3\"");
    job_done(&j);
    command(&j, "", "code 0");
    assert_str(stdio_code(j.p), "\"warning\"");
    assert_str(stdio_description(j.p), "\"Process exited without reporting job completion.\"");
    assert_str(stdio_field(j.p, "unknown"), "1");
    job_done(&j);
    command(&j, "", "signal 9");
    assert_str(stdio_code(j.p), "\"warning\"");
    assert_metas(&j, "Spawned child process: PID 4711\nChild exited with code: SIGKILL\n");
    job_done(&j);
}

static void test_could_not_start(void **state)
{
    const struct stdio_config config = { .program = "/no/such" };
    const struct stdio_config shell = { .shell = true };
    struct job j;

    (void)state;
    job_init(&j, &config);
    frame(&j, SUPER_FAILED, "No such file or directory");
    assert_true(stdio_state(j.p)->failed);
    assert_str(stdio_code(j.p), "1");
    assert_str(stdio_description(j.p),
               "\"Child spawn error: /no/such: No such file or directory\"");
    job_done(&j);
    job_init(&j, &shell);
    frame(&j, SUPER_FAILED, "Exec format error");
    assert_str(stdio_description(j.p), "\"Script failed: Exec format error\"");
    job_done(&j);
}

static void test_completion_is_the_job_s_own(void **state)
{
    struct job j;

    (void)state;
    command(&j, "{\"xy\":1,\"code\":\"warning\",\"description\":\"Two rows skipped\"}\n", "code 7");
    assert_str(stdio_code(j.p), "\"warning\"");
    assert_str(stdio_description(j.p), "\"Two rows skipped\"");
    job_done(&j);
    command(&j, "{\"xy\":1,\"complete\":true}\n", "code 0");
    assert_str(stdio_code(j.p), "0");
    assert_str(stdio_description(j.p), "\"\"");
    job_done(&j);
    command(&j, "{\"xy\":1,\"code\":0,\"status\":\"gone\"}\n", "code 1");
    assert_str(stdio_code(j.p), "0");
    assert_null(stdio_field(j.p, "status").p);
    job_done(&j);
    command(&j, "{\"xy\":1,\"code\":false}\n", "code 0"); /* present, falsy */
    assert_str(stdio_code(j.p), "0");
    job_done(&j);
    command(&j, "{\"xy\":1,\"code\":12}\n", "code 0");
    assert_str(stdio_description(j.p), "\"Unknown Error (no description provided)\"");
    job_done(&j);
    command(&j, "{\"xy\":1,\"code\":1,\"description\":42}\n", "code 0");
    assert_str(stdio_description(j.p), "\"42\"");
    job_done(&j);
}

static void test_nothing_counts_after_completion(void **state)
{
    struct job j;

    (void)state;
    command(&j, "{\"xy\":1,\"code\":0}\n{\"xy\":1,\"code\":5,\"x\":1}\n{\"plain\":1}\ntext\n",
            "code 0");
    assert_str(stdio_code(j.p), "0");
    assert_null(stdio_field(j.p, "x").p);
    assert_log(&j, "text\n"); /* objects are swallowed, text is not */
    job_done(&j);
}

static void test_gate(void **state)
{
    struct job j;

    (void)state;
    command(&j,
            "{\"type\":\"a\",\"xy\":1,\"p\":1}\n"   /* type: swallowed */
            "{\"state\":\"active\"}\n"              /* state: swallowed */
            "{\"type\":\"\",\"xy\":true,\"q\":1}\n" /* falsy type, any truthy xy */
            "{ \"plain\" : 1.0 }\n"                 /* not ours: logged, compact */
            "{\"xy\":0}\n"
            "[1,2]\n" /* no object: text */
            "{}\n",   /* nothing in it: text */
            "code 0");
    assert_null(stdio_field(j.p, "p").p);
    assert_str(stdio_field(j.p, "q"), "1");
    assert_log(&j, "{\"plain\":1}\n{\"xy\":0}\n[1,2]\n{}\n");
    job_done(&j);
}

static void test_blanks_around_an_object(void **state)
{
    struct job j;

    (void)state;
    command(&j, "  \t{\"xy\":1,\"a\":1} \r\nx {\"xy\":1,\"b\":1}\n", "code 0");
    assert_str(stdio_field(j.p, "a"), "1");
    assert_null(stdio_field(j.p, "b").p);
    assert_log(&j, "x {\"xy\":1,\"b\":1}\n");
    job_done(&j);
}

static void test_bad_json_is_logged_with_a_warning(void **state)
{
    struct job j;

    (void)state;
    command(&j, "before\n{\"xy\":1,}\nafter\n", "code 0");
    assert_log(&j, "before\n{\"xy\":1,}\nafter\n");
    (void)buf_add_char(&j.metas, 0);
    assert_non_null(strstr(j.metas.p, "WARNING: Error: JSON Parse Error: "));
    job_done(&j);
}

static void test_unknown_keys_stay_and_ours_do_not(void **state)
{
    const struct stdio_config config = { .program = "x" };
    struct job j;

    (void)state;
    job_init(&j, &config);
    out(&j,
        "{\"xy\":1,\"color\":\"red\",\"id\":\"evil\",\"activity\":[],\"tags\":[1],\"log_size\":9,"
        "\"procs\":{},\"cpu\":1,\"progress\":0.25}\n");
    assert_changes(&j, "{\"color\":\"red\",\"progress\":0.25}");
    assert_changes(&j, "{}"); /* once only */
    stdio_redeliver(j.p);
    assert_changes(&j, "{\"color\":\"red\",\"progress\":0.25}");
    job_done(&j);
}

static void test_runner_measures_itself(void **state)
{
    const struct stdio_config config = { .program = "x", .runner = true };
    struct job j;

    (void)state;
    job_init(&j, &config);
    out(&j, "{\"xy\":1,\"cpu\":{\"current\":1},\"files\":[{\"id\":\"f1\"}]}\n");
    assert_changes(&j, "{\"cpu\":{\"current\":1},\"files\":[{\"id\":\"f1\"}]}");
    assert_str(stdio_files(j.p), "[]"); /* nothing for us to upload */
    job_done(&j);
}

static void test_data_accumulates(void **state)
{
    struct job j;

    (void)state;
    command(&j,
            "{\"xy\":1,\"data\":{\"rows\":[1,2],\"n\":1,\"keep\":true}}\n"
            "{\"xy\":1,\"data\":{\"rows\":[3],\"n\":2,\"more\":{}}}\n"
            "{\"xy\":1,\"serverData\":{\"a\":[1]},\"workflowData\":{\"b\":1}}\n"
            "{\"xy\":1,\"data\":[1]}\n",
            "code 0");
    assert_str(stdio_field(j.p, "data"), "{\"rows\":[1,2,3],\"n\":2,\"keep\":true,\"more\":{}}");
    assert_str(stdio_field(j.p, "serverData"), "{\"a\":[1]}");
    assert_metas(&j,
                 "Spawned child process: PID 4711\nWARNING: Invalid syntax: Not an object: data\n"
                 "Child exited with code: 0\n");
    job_done(&j);
}

static void test_files_replace_and_push_appends(void **state)
{
    struct job j;

    (void)state;
    command(&j,
            "{\"xy\":1,\"files\":[\"a\"]}\n{\"xy\":1,\"files\":[\"b\"]}\n"
            "{\"xy\":1,\"push\":{\"files\":[{\"path\":\"c\",\"delete\":true}]}}\n",
            "code 0");
    assert_str(stdio_files(j.p), "[\"b\",{\"path\":\"c\",\"delete\":true}]");
    assert_int_equal(stdio_pushes(j.p), 0); /* nothing for the conductor in it */
    job_done(&j);
}

static void test_pushes_are_joined_and_numbered(void **state)
{
    const struct stdio_config config = { .program = "x" };
    const struct stdio_config later = { .program = "x", .push_from = 2 };
    struct job j;

    (void)state;
    job_init(&j, &config);
    out(&j, "{\"xy\":1,\"push\":{\"tags\":[\"a\"]}}\n");
    out(&j, "{\"xy\":1,\"push\":{\"tags\":[\"b\"],\"limits\":[1]}}\n");
    assert_true(stdio_has_changes(j.p));
    assert_changes(
        &j, "{\"redraw\":\"r2\",\"push\":{\"tags\":[\"a\",\"b\"],\"limits\":[1]},\"push_n\":2}");
    assert_changes(&j, "{}");
    job_done(&j);
    job_init(&j, &later); /* read again: two were delivered */
    out(&j, "{\"xy\":1,\"push\":{\"tags\":[\"a\"]}}\n{\"xy\":1,\"push\":{\"tags\":[\"b\"]}}\n");
    assert_false(stdio_has_changes(j.p));
    out(&j, "{\"xy\":1,\"push\":{\"tags\":[\"c\"]}}\n");
    assert_changes(&j, "{\"redraw\":\"r3\",\"push\":{\"tags\":[\"c\"]},\"push_n\":3}");
    job_done(&j);
}

static void test_bad_pushes(void **state)
{
    struct job j;

    (void)state;
    command(&j,
            "{\"xy\":1,\"push\":[1]}\n{\"xy\":1,\"push\":{\"a-b\":[1]}}\n"
            "{\"xy\":1,\"push\":{\"tags\":\"x\"}}\n",
            "code 0");
    assert_metas(&j, "Spawned child process: PID 4711\n"
                     "WARNING: Invalid push syntax: Not an object\n"
                     "WARNING: Invalid push syntax: Bad key: a-b\n"
                     "WARNING: Invalid push syntax: Not an array: tags\n"
                     "Child exited with code: 0\n");
    assert_int_equal(stdio_pushes(j.p), 0);
    job_done(&j);
}

static void test_stderr_is_never_parsed(void **state)
{
    const struct stdio_config config = { .program = "x" };
    struct job j;

    (void)state;
    job_init(&j, &config);
    out(&j, "unfinished");
    frame(&j, SUPER_STDERR, "{\"xy\":1,\"code\":9}");
    out(&j, " line\n");
    assert_log(&j, "{\"xy\":1,\"code\":9}unfinished line\n"); /* a line of stdout stays whole */
    frame(&j, SUPER_EXIT, "code 2");
    assert_str(stdio_code(j.p), "2");
    job_done(&j);
}

static void test_bad_utf8_is_replaced(void **state)
{
    const struct stdio_config config = { .program = "x" };
    struct job j;

    (void)state;
    job_init(&j, &config);
    out(&j, "a\xff"
            "b\n");
    out(&j, "\xc3"); /* an e with acute accent in two frames */
    out(&j, "\xa9\n");
    frame(&j, SUPER_STDERR, "\xe2\x82");
    frame(&j, SUPER_STDERR, "\xac!");
    frame(&j, SUPER_STDERR, "\xe2");
    frame(&j, SUPER_EXIT, "code 0");
    assert_log(&j, "a\xEF\xBF\xBD"
                   "b\n\xc3\xa9\n\xe2\x82\xac!\xEF\xBF\xBD");
    job_done(&j);
}

static void test_shell_percent_lines(void **state)
{
    const struct stdio_config config = { .shell = true };
    struct job j;

    (void)state;
    job_init(&j, &config);
    out(&j, "50%\n");
    assert_changes(&j, "{\"progress\":0.5}");
    out(&j, " 250% \n");
    assert_changes(&j, "{\"progress\":1}");
    out(&j, "50% done\n%\nx%\n{\"xy\":1,\"label\":\"L\"}\n");
    assert_changes(&j, "{\"label\":\"L\"}");
    assert_log(&j, "50% done\n%\nx%\n");
    frame(&j, SUPER_EXIT, "code 0");
    assert_str(stdio_code(j.p), "0");
    assert_str(stdio_description(j.p), "\"\"");
    job_done(&j);
    command(&j, "50%\n", "code 0"); /* only in shell scripts */
    assert_log(&j, "50%\n");
    job_done(&j);
}

static void test_shell_annotates_text_only(void **state)
{
    const struct stdio_config config = { .shell = true, .annotate = true };
    struct job j;

    (void)state;
    assert_int_equal(setenv("TZ", "UTC", 1), 0);
    tzset();
    job_init(&j, &config);
    out(&j, "hi\n{\"plain\":1}\n7%\n");
    frame(&j, SUPER_STDERR, "err\n");
    assert_log(&j, "[2026/02/02 02:40:00] hi\n{\"plain\":1}\nerr\n");
    job_done(&j);
}

static void test_shell_failure_shows_stderr(void **state)
{
    const struct stdio_config config = { .shell = true };
    struct job j;

    (void)state;
    job_init(&j, &config);
    frame(&j, SUPER_STARTED, "1 1 1");
    frame(&j, SUPER_STDERR, "no <file>\nat all\n");
    frame(&j, SUPER_EXIT, "code 4");
    assert_str(stdio_code(j.p), "4");
    assert_str(stdio_description(j.p), "\"Script exited with code: 4: no <file>\"");
    assert_str(stdio_field(j.p, "html"),
               "{\"title\":\"Error Output\",\"content\":\"<pre>no &lt;file>\\nat all\\n</pre>\"}");
    job_done(&j);
    job_init(&j, &config); /* its own report stays; death by signal has the signal's name */
    out(&j, "{\"xy\":1,\"html\":{\"content\":\"mine\"}}\n");
    frame(&j, SUPER_STDERR, "x\n");
    frame(&j, SUPER_EXIT, "signal 15");
    assert_str(stdio_field(j.p, "html"), "{\"content\":\"mine\"}");
    assert_str(stdio_code(j.p), "\"SIGTERM\"");
    assert_str(stdio_description(j.p), "\"Script exited with code: SIGTERM: x\"");
    job_done(&j);
}

static void test_shell_passes_input_data(void **state)
{
    const struct stdio_config config = { .shell = true, .pass = STR("{\"in\":[1]}") };
    struct job j;

    (void)state;
    job_init(&j, &config);
    frame(&j, SUPER_STARTED, "1 1 1");
    out(&j, "{\"xy\":1,\"data\":{\"in\":[2]}}\n");
    assert_str(stdio_field(j.p, "data"), "{\"in\":[1,2]}");
    job_done(&j);
}

static void test_abort_ends_updates_not_text(void **state)
{
    const struct stdio_config config = { .program = "x", .abort_at = AT };
    struct job j;

    (void)state;
    job_init(&j, &config);
    out(&j, "{\"xy\":1,\"a\":1}\n");
    stdio_frame(j.p, SUPER_STDOUT, AT + 1, STR("{\"xy\":1,\"a\":2}\n{\"plain\":1}\nbye\n"));
    assert_str(stdio_field(j.p, "a"), "1");
    assert_log(&j, "{\"plain\":1}\nbye\n");
    job_done(&j);
}

static void test_notes_and_lost_supervisors(void **state)
{
    const struct stdio_config config = { .program = "x" };
    struct job j;

    (void)state;
    job_init(&j, &config);
    frame(&j, SUPER_NOTE, "output was cut");
    out(&j, "half");
    stdio_cut(j.p);
    assert_true(stdio_state(j.p)->ended);
    assert_log(&j, "half");
    assert_metas(&j, "output was cut\n");
    out(&j, "late\n"); /* ignored */
    assert_log(&j, "half");
    job_done(&j);
}

static void test_long_lines(void **state)
{
    const struct stdio_config config = { .program = "x" };
    AUTO_BUF struct buf big = { 0 };
    struct job j;
    const size_t max = STDIO_TEXT_LINE_MAX;

    (void)state;
    buf_init(&big, 64u * 1024 * 1024);
    for (size_t i = 0; i < max; i++)
        (void)buf_add_char(&big, 'x');
    job_init(&j, &config);
    stdio_frame(j.p, SUPER_STDOUT, AT, buf_str(&big));
    assert_int_equal(j.log.n, 0); /* at the limit it is held */
    stdio_frame(j.p, SUPER_STDOUT, AT, STR("y"));
    assert_int_equal(j.log.n, max + 1); /* beyond it is not */
    stdio_frame(j.p, SUPER_STDOUT, AT, STR("z\n{\"xy\":1,\"a\":1}\n"));
    assert_int_equal(j.log.n, max + 3);
    assert_str(stdio_field(j.p, "a"), "1");
    job_done(&j);
    job_init(&j, &config); /* what may be a message is held longer */
    (void)buf_add_char(&big, '\n');
    out(&j, "{\"xy\":1,\"pad\":\"");
    stdio_frame(j.p, SUPER_STDOUT, AT, str_slice(buf_str(&big), 0, max > 500 ? 500 : 50));
    out(&j, "\",\"b\":2}\n");
    assert_int_equal(j.log.n, 0);
    assert_str(stdio_field(j.p, "b"), "2");
    job_done(&j);
}

static void test_json_lines_have_a_limit(void **state)
{
    const struct stdio_config config = { .program = "x" };
    AUTO_BUF struct buf part = { 0 };
    struct job j;
    size_t sent = 0;

    (void)state;
    buf_init(&part, 256 * 1024);
    for (size_t i = 0; i < 512; i++)
        (void)buf_add_char(&part, 'x');
    job_init(&j, &config);
    out(&j, "{\"xy\":1,\"pad\":\"");
    while (sent <= STDIO_JSON_LINE_MAX) {
        stdio_frame(j.p, SUPER_STDOUT, AT, buf_str(&part));
        sent += part.n;
    }
    out(&j, "\",\"c\":3}\n");
    assert_true(j.log.n > STDIO_JSON_LINE_MAX); /* text after all */
    assert_null(stdio_field(j.p, "c").p);
    job_done(&j);
}

static void test_limits_of_the_record(void **state)
{
    const struct stdio_config config = { .program = "x" };
    AUTO_BUF struct buf line = { 0 };
    struct job j;

    (void)state;
    buf_init(&line, 64u * 1024 * 1024);
    job_init(&j, &config);
    for (unsigned i = 0; i < STDIO_FIELDS_MAX + 3; i++) {
        char text[64];

        (void)snprintf(text, sizeof(text), "{\"xy\":1,\"k%u\":1}\n", i);
        out(&j, text);
    }
    assert_str(stdio_field(j.p, "k0"), "1");
    assert_null(stdio_field(j.p, "k202").p);
    frame(&j, SUPER_EXIT, "code 3"); /* the end has room all the same */
    assert_str(stdio_code(j.p), "3");
    job_done(&j);
    job_init(&j, &config);
    (void)buf_add_z(&line, "{\"xy\":1,\"big\":\"");
    for (size_t i = 0; i < STDIO_FIELD_MAX; i++)
        (void)buf_add_char(&line, 'x');
    (void)buf_add_z(&line, "\"}\n");
    stdio_frame(j.p, SUPER_STDOUT, AT, buf_str(&line));
    assert_null(stdio_field(j.p, "big").p);
    job_done(&j);
}

static void test_warnings_have_a_limit(void **state)
{
    const struct stdio_config config = { .program = "x" };
    struct job j;
    size_t lines = 0;

    (void)state;
    job_init(&j, &config);
    for (unsigned i = 0; i < STDIO_WARNINGS_MAX + 50; i++)
        out(&j, "{\"xy\":1,\"data\":1}\n");
    for (size_t i = 0; i < j.metas.n; i++)
        lines += j.metas.p[i] == '\n';
    assert_int_equal(lines, STDIO_WARNINGS_MAX);
    job_done(&j);
}

static void add_frame(struct buf *b, uint8_t type, struct str text)
{
    struct super_frame head = { .n = htole32((uint32_t)text.n), .type = type, .at = htole64(AT) };

    (void)buf_add(b, &head, sizeof(head));
    (void)buf_add_str(b, text);
}

static void test_bytes_are_taken_frame_by_frame(void **state)
{
    const struct stdio_config config = { .program = "x" };
    AUTO_BUF struct buf b = { 0 };
    struct job j;
    size_t need = 77;
    Status st;

    (void)state;
    buf_init(&b, 65536);
    add_frame(&b, SUPER_STDOUT, STR("one\n"));
    add_frame(&b, SUPER_STDOUT, STR("two\n"));
    job_init(&j, &config);
    assert_int_equal(stdio_bytes(j.p, str_slice(buf_str(&b), 0, 10), &need, &st), 0);
    assert_int_equal(need, 0); /* not even a head */
    assert_int_equal(stdio_bytes(j.p, str_slice(buf_str(&b), 0, 39), &need, &st), 20);
    assert_int_equal(need, 20);
    assert_log(&j, "one\n");
    assert_int_equal(stdio_bytes(j.p, str_slice(buf_str(&b), 20, 40), &need, &st), 20);
    assert_int_equal(st, STATUS_OK);
    assert_log(&j, "one\ntwo\n");
    buf_clear(&b);
    add_frame(&b, 9, STR("?"));
    assert_int_equal(stdio_bytes(j.p, buf_str(&b), &need, &st), 0);
    assert_int_equal(st, STATUS_CORRUPT);
    job_done(&j);
}

/* The same stream, cut into reads at every place, gives the same everything. */
static void test_reads_may_be_cut_anywhere(void **state)
{
    const struct stdio_config config = { .shell = true };
    AUTO_BUF struct buf b = { 0 };
    struct job whole;

    (void)state;
    buf_init(&b, 65536);
    add_frame(&b, SUPER_STARTED, STR("5 6 7"));
    add_frame(&b, SUPER_STDOUT, STR("a\xc3"));
    add_frame(&b, SUPER_STDERR, STR("err \xe2\x82"));
    add_frame(&b, SUPER_STDOUT, STR("\xa9\n{\"xy\":1,\"data\":{\"l\":[1]}}\n30%\nrest"));
    add_frame(&b, SUPER_STDERR, STR("\xac"));
    add_frame(&b, SUPER_EXIT, STR("code 1"));
    job_init(&whole, &config);
    {
        Status st;

        assert_int_equal(stdio_bytes(whole.p, buf_str(&b), NULL, &st), b.n);
    }
    for (size_t cut = 1; cut < b.n; cut++) {
        struct job j;
        Status st;
        size_t used;

        job_init(&j, &config);
        used = stdio_bytes(j.p, str_slice(buf_str(&b), 0, cut), NULL, &st);
        used += stdio_bytes(j.p, str_slice(buf_str(&b), used, b.n), NULL, &st);
        assert_int_equal(used, b.n);
        assert_true(str_eq(buf_str(&j.log), buf_str(&whole.log)));
        assert_true(str_eq(buf_str(&j.metas), buf_str(&whole.metas)));
        assert_true(str_eq(stdio_description(j.p), stdio_description(whole.p)));
        job_done(&j);
    }
    assert_log(&whole, "err a\xc3\xa9\n\xe2\x82\xac"
                       "rest");
    job_done(&whole);
}

/* The example of satellite.md 48.3. */
static void test_a_plugin_that_does_everything(void **state)
{
    struct job j;

    (void)state;
    command(&j,
            "{\"xy\":1,\"progress\":0.1,\"status\":\"Loading\"}\n"
            "{\"xy\":1,\"data\":{\"rows\":[1,2]}}\n"
            "{\"xy\":1,\"data\":{\"rows\":[3]}}\n"
            "{\"xy\":1,\"push\":{\"files\":[{\"path\":\"out/"
            "*.csv\",\"delete\":true}],\"tags\":[\"important\"]}}\n"
            "{\"xy\":1,\"table\":{\"title\":\"T\",\"header\":[\"a\"],\"rows\":[[1]]}}\n"
            "{\"xy\":1,\"perf\":{\"scale\":1000,\"db\":1851,\"http\":3220}}\n"
            "{\"xy\":1,\"code\":\"warning\",\"description\":\"Two rows skipped\"}\n",
            "code 0");
    assert_str(stdio_field(j.p, "progress"), "1");
    assert_str(stdio_field(j.p, "data"), "{\"rows\":[1,2,3]}");
    assert_str(stdio_field(j.p, "table"), "{\"title\":\"T\",\"header\":[\"a\"],\"rows\":[[1]]}");
    assert_str(stdio_field(j.p, "perf"), "{\"scale\":1000,\"db\":1851,\"http\":3220}");
    assert_str(stdio_code(j.p), "\"warning\"");
    assert_str(stdio_description(j.p), "\"Two rows skipped\"");
    assert_int_equal(stdio_pushes(j.p), 1);
    assert_str(stdio_files(j.p), "[{\"path\":\"out/*.csv\",\"delete\":true}]");
    job_done(&j);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_go_to_the_log),
        cmocka_unit_test(test_last_line_without_newline_is_kept),
        cmocka_unit_test(test_exit_codes),
        cmocka_unit_test(test_could_not_start),
        cmocka_unit_test(test_completion_is_the_job_s_own),
        cmocka_unit_test(test_nothing_counts_after_completion),
        cmocka_unit_test(test_gate),
        cmocka_unit_test(test_blanks_around_an_object),
        cmocka_unit_test(test_bad_json_is_logged_with_a_warning),
        cmocka_unit_test(test_unknown_keys_stay_and_ours_do_not),
        cmocka_unit_test(test_runner_measures_itself),
        cmocka_unit_test(test_data_accumulates),
        cmocka_unit_test(test_files_replace_and_push_appends),
        cmocka_unit_test(test_pushes_are_joined_and_numbered),
        cmocka_unit_test(test_bad_pushes),
        cmocka_unit_test(test_stderr_is_never_parsed),
        cmocka_unit_test(test_bad_utf8_is_replaced),
        cmocka_unit_test(test_shell_percent_lines),
        cmocka_unit_test(test_shell_annotates_text_only),
        cmocka_unit_test(test_shell_failure_shows_stderr),
        cmocka_unit_test(test_shell_passes_input_data),
        cmocka_unit_test(test_abort_ends_updates_not_text),
        cmocka_unit_test(test_notes_and_lost_supervisors),
        cmocka_unit_test(test_long_lines),
        cmocka_unit_test(test_json_lines_have_a_limit),
        cmocka_unit_test(test_limits_of_the_record),
        cmocka_unit_test(test_warnings_have_a_limit),
        cmocka_unit_test(test_bytes_are_taken_frame_by_frame),
        cmocka_unit_test(test_reads_may_be_cut_anywhere),
        cmocka_unit_test(test_a_plugin_that_does_everything),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
