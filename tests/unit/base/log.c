/* Tests of base/log.h: what reaches stderr, byte for byte. */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>
/* Runs one log_event with stderr in a pipe; the line without its 25-byte time stamp. */
#define CAPTURE(line, ...)                                                                         \
    do {                                                                                           \
        const int before = begin_capture();                                                        \
        log_event(__VA_ARGS__);                                                                    \
        end_capture(before, line, sizeof line);                                                    \
    } while (0)

static int capture_fds[2];

static int begin_capture(void)
{
    const int before = dup(STDERR_FILENO);

    assert_int_equal(pipe2(capture_fds, O_CLOEXEC), 0);
    assert_true(dup2(capture_fds[1], STDERR_FILENO) >= 0);
    return before;
}

static void end_capture(int before, char *line, size_t size)
{
    ssize_t n;

    assert_true(dup2(before, STDERR_FILENO) >= 0);
    (void)close(before);
    (void)close(capture_fds[1]);
    n = read(capture_fds[0], line, size - 1);
    (void)close(capture_fds[0]);
    line[n > 0 ? n : 0] = '\0';
    if (n > 25)
        memmove(line, line + 25, (size_t)n - 24);
}

static void test_log_line(void **state)
{
    char line[8192];

    (void)state;
    CAPTURE(line, LOG_INFO, "job.start", "job=%s try=%d", "jx7k2", 2);
    assert_string_equal(line, "info job.start job=jx7k2 try=2\n");
    CAPTURE(line, LOG_WARN, "loop.idle", "");
    assert_string_equal(line, "warn loop.idle\n");
}

static void test_log_level(void **state)
{
    enum log_level level = LOG_ERROR;
    char line[100];

    (void)state;
    CAPTURE(line, LOG_DEBUG, "a.b", "x=1");
    assert_string_equal(line, "");
    log_set_level(LOG_DEBUG);
    assert_int_equal(log_level_now(), LOG_DEBUG);
    CAPTURE(line, LOG_DEBUG, "a.b", "x=1");
    assert_string_equal(line, "debug a.b x=1\n");
    log_set_level(LOG_INFO);
    assert_true(log_level_parse(STR("warn"), &level));
    assert_int_equal(level, LOG_WARN);
    assert_false(log_level_parse(STR("WARN"), &level));
    assert_false(log_level_parse(STR(""), &level));
}

static void test_log_one_event_is_one_line(void **state)
{
    char line[8192];

    (void)state;
    CAPTURE(line, LOG_ERROR, "a.b", "text=%s", "one\ntwo\x1b[31m");
    assert_string_equal(line, "error a.b text=one?two?[31m\n");
}

static void test_log_long_line_is_cut(void **state)
{
    static char text[10000];
    char line[8192];

    (void)state;
    memset(text, 'x', sizeof text - 1);
    CAPTURE(line, LOG_INFO, "a.b", "text=%s", text);
    assert_int_equal(strlen(line), LOG_LINE_MAX - 25);
    assert_string_equal(line + LOG_LINE_MAX - 25 - 5, "x...\n");
}

static void test_log_keeps_errno(void **state)
{
    char line[100];

    (void)state;
    errno = 77;
    CAPTURE(line, LOG_INFO, "a.b", "");
    assert_string_equal(line, "info a.b\n");
    errno = 78;
    log_event(LOG_DEBUG, "a.b", "");
    assert_int_equal(errno, 78);
}

static void test_log_quote(void **state)
{
    char out[16];

    (void)state;
    assert_string_equal(LOG_QUOTED(STR("a \"b\" \\ \n\t\r")), "\"a \\\"b\\\" \\\\ \\n\\t\\r\"");
    assert_string_equal(LOG_QUOTED(STR("\0\x7f\xff")), "\"\\x00\\x7f\\xff\"");
    assert_string_equal(LOG_QUOTED(STR("\xC3\xA9")), "\"\xC3\xA9\"");
    assert_string_equal(LOG_QUOTED(STR("\xC2\x9b")), "\"\\xc2\\x9b\""); /* a terminal's CSI */
    assert_string_equal(LOG_QUOTED(STR_NONE), "\"\"");
    assert_string_equal(log_quote(STR("0123456789abc"), out, sizeof out), "\"0123456789abc\"");
    assert_string_equal(log_quote(STR("0123456789abcd"), out, sizeof out), "\"0123456789...\"");
    /* an escape is never cut in two */
    assert_string_equal(log_quote(STR("012345678\n\n\n\n"), out, sizeof out), "\"012345678...\"");
    assert_string_equal(log_quote(STR("abc"), out, 3), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_log_line),
        cmocka_unit_test(test_log_level),
        cmocka_unit_test(test_log_one_event_is_one_line),
        cmocka_unit_test(test_log_long_line_is_cut),
        cmocka_unit_test(test_log_keeps_errno),
        cmocka_unit_test(test_log_quote),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
