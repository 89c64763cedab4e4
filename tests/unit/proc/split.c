/* proc_split_command: words, quotes, variables, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "proc/spawn.h"

static const char *const env[] = { "HOME=/home/ada", "EMPTY=", "TWO=a b", "DOLLAR=$HOME|x", NULL };

/* Splits and joins the words with '/' between, each in brackets; "!" and the text when refused. */
static void check(const char *command, const char *expected)
{
    struct arena *a = arena_new(1 << 20);
    struct err err = { 0 };
    const char **argv = NULL;
    AUTO_BUF struct buf got = { 0 };

    buf_init(&got, 65536);
    if (proc_split_command(str_z(command), env, a, &argv, &err) != STATUS_OK) {
        (void)buf_printf(&got, "!%s", err.text);
        assert_int_equal(err.code, STATUS_INVALID);
    }
    for (size_t i = 0; argv && argv[i]; i++)
        (void)buf_printf(&got, "[%s]", argv[i]);
    (void)buf_add_char(&got, 0);
    assert_string_equal(got.p, expected);
    arena_free(a);
}

static void test_split_words(void **state)
{
    (void)state;
    check("/bin/echo", "[/bin/echo]");
    check("  echo  a\tb\nc  ", "[echo][a][b][c]");
    check("echo 'a b' \"c d\" e\\ f", "[echo][a b][c d][e f]");
    check("echo a'b'\"c\"d", "[echo][abcd]");
    check("echo '' \"\"", "[echo][][]");
    check("echo \"a\\\"b\\\\c\\$d\\x\"", "[echo][a\"b\\c$d\\x]");
    check("echo '\\n$HOME'", "[echo][\\n$HOME]");
    check("echo a # the rest", "[echo][a]");
    check("echo a#b # x\nc", "[echo][a#b][c]");
    check("echo \\# \\\nb", "[echo][#][b]");
    check("[x] {y}", "[[x]][{y}]");
}

static void test_split_variables(void **state)
{
    (void)state;
    check("echo $HOME/x ${HOME}x", "[echo][/home/ada/x][/home/adax]");
    check("echo \"$TWO\" $TWO", "[echo][a b][a b]");
    check("echo $NONE $EMPTY", "[echo][][]");
    check("echo $DOLLAR", "[echo][$HOME|x]");
    check("echo $ $1 $$ 5$", "[echo][$][$1][$$][5$]");
    check("$HOME/run", "[/home/ada/run]");
}

static void test_split_refuses(void **state)
{
    static const char *const operators[] = { "a | b", "a && b", "a; b", "a > f", "a < f",
                                             "(a)",   "a `b`",  "$(b)", "a & " };
    (void)state;

    for (size_t i = 0; i < COUNT_OF(operators); i++) {
        struct arena *a = arena_new(1 << 20);
        struct err err = { 0 };
        const char **argv = NULL;

        assert_int_equal(proc_split_command(str_z(operators[i]), env, a, &argv, &err),
                         STATUS_INVALID);
        assert_non_null(strstr(err.text, "shell operator"));
        assert_null(argv);
        arena_free(a);
    }
    check("ls *.c",
          "!The command holds the wildcard *, but it runs without a shell: quote it, or use "
          "the shell plugin");
    check("ls 'a", "!A quote (') in the command is not closed");
    check("ls \"a", "!A quote (\") in the command is not closed");
    check("ls \\", "!The command ends in a backslash");
    check("ls ${HOME:-x}", "!Only ${NAME} is understood in a command, without a shell");
    check("ls ${HOME", "!Only ${NAME} is understood in a command, without a shell");
    check("   ", "!The command is empty");
    check("# only", "!The command is empty");
    check("ls '|' \"*\" \\; ", "[ls][|][*][;]");
}

static void test_split_limits(void **state)
{
    AUTO_BUF struct buf text = { 0 };
    struct arena *a = arena_new(16u << 20);
    struct err err = { 0 };
    const char **argv = NULL;

    (void)state;
    buf_init(&text, 16u << 20);
    for (unsigned i = 0; i < PROC_ARGS_MAX; i++)
        assert_int_equal(buf_add_z(&text, "x "), STATUS_OK);
    assert_int_equal(proc_split_command(buf_str(&text), env, a, &argv, &err), STATUS_OK);
    assert_string_equal(argv[PROC_ARGS_MAX - 1], "x");
    assert_null(argv[PROC_ARGS_MAX]);
    assert_int_equal(buf_add_z(&text, "x"), STATUS_OK);
    assert_int_equal(proc_split_command(buf_str(&text), env, a, &argv, &err), STATUS_TOO_BIG);

    buf_clear(&text);
    for (unsigned i = 0; i < PROC_COMMAND_MAX; i++)
        (void)buf_add_char(&text, 'y');
    assert_int_equal(proc_split_command(buf_str(&text), env, a, &argv, &err), STATUS_OK);
    (void)buf_add_char(&text, 'y');
    assert_int_equal(proc_split_command(buf_str(&text), env, a, &argv, &err), STATUS_TOO_BIG);
    assert_int_equal(proc_split_command(str_n("a\0b", 3), env, a, &argv, &err), STATUS_INVALID);
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_split_words),
        cmocka_unit_test(test_split_variables),
        cmocka_unit_test(test_split_refuses),
        cmocka_unit_test(test_split_limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
