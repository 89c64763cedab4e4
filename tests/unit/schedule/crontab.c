/* Crontab lines become triggers, or are refused with the field's name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "schedule/crontab.h"

#include <string.h>

static void assert_triggers(const char *line, const char *want, const char *command)
{
    AUTO_BUF struct buf out = { 0 };
    struct json_writer w;
    struct str rest = STR("?");
    struct err err = { .code = STATUS_OK };

    buf_init(&out, 1 << 16);
    w = json_writer_init(&out);
    json_arr(&w, NULL);
    if (crontab_triggers(str_z(line), &w, &rest, &err))
        fail_msg("%s: %s", line, err.text);
    json_end(&w);
    (void)buf_add_char(&out, '\0');
    assert_string_equal(out.p, want);
    assert_true(str_eq_z(rest, command));
}

#define HEAD "{\"type\":\"schedule\",\"enabled\":true"

static void test_crontab_lines(void **state)
{
    (void)state;
    assert_triggers("* * * * *  /bin/true -x", "[" HEAD "}]", "/bin/true -x");
    assert_triggers("*/15 9-17 * * mon-fri run",
                    "[" HEAD ",\"minutes\":[0,15,30,45],\"hours\":[9,10,11,12,13,14,15,16,17],"
                    "\"weekdays\":[1,2,3,4,5]}]",
                    "run");
    assert_triggers("5,35 0 1 JAN,jul * x",
                    "[" HEAD ",\"minutes\":[5,35],\"hours\":[0],\"days\":[1],\"months\":[1,7]}]",
                    "x");
    assert_triggers("0 4 * * 7", "[" HEAD ",\"minutes\":[0],\"hours\":[4],\"weekdays\":[0]}]", "");
    assert_triggers("0 4 * * 5-7", "[" HEAD ",\"minutes\":[0],\"hours\":[4],\"weekdays\":[0,5,6]}]",
                    "");
    assert_triggers("10/20 * * * *", "[" HEAD ",\"minutes\":[10,30,50]}]", "");
    /* on the 13th, and on Fridays */
    assert_triggers("0 0 13 * 5",
                    "[" HEAD ",\"minutes\":[0],\"hours\":[0],\"days\":[13]}," HEAD
                    ",\"minutes\":[0],\"hours\":[0],\"weekdays\":[5]}]",
                    "");
    /* a star with a step does not restrict the day by itself: both must fit */
    assert_triggers("0 0 */2 * 1",
                    "[" HEAD ",\"minutes\":[0],\"hours\":[0],\"days\":[1,3,5,7,9,11,13,15,17,19,21,"
                    "23,25,27,29,31],\"weekdays\":[1]}]",
                    "");
    assert_triggers("@daily backup", "[" HEAD ",\"minutes\":[0],\"hours\":[0]}]", "backup");
    assert_triggers("@Reboot up", "[{\"type\":\"startup\",\"enabled\":true}]", "up");
}

static void test_crontab_refuses(void **state)
{
    static const struct {
        const char *line, *at;
    } bad[] = {
        { "", "minutes" },
        { "60 * * * *", "minutes" },
        { "* 24 * * *", "hours" },
        { "* * 0 * *", "days" },
        { "* * 32 * *", "days" },
        { "* * * 13 *", "months" },
        { "* * * * 8", "weekdays" },
        { "5-1 * * * *", "minutes" },
        { "*/0 * * * *", "minutes" },
        { "1,,2 * * * *", "minutes" },
        { "1, * * * *", "minutes" },
        { "-1 * * * *", "minutes" },
        { "* * * foo *", "months" },
        { "* * *", "months" },
        { "1.5 * * * *", "minutes" },
        { "99999999999999999999 * * * *", "minutes" },
        { "@never x", "" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        AUTO_BUF struct buf out = { 0 };
        struct json_writer w;
        struct err err = { .code = STATUS_OK };

        buf_init(&out, 1 << 16);
        w = json_writer_init(&out);
        json_arr(&w, NULL);
        if (crontab_triggers(str_z(bad[i].line), &w, NULL, &err) != STATUS_INVALID)
            fail_msg("%s is taken", bad[i].line);
        assert_non_null(strstr(err.text, bad[i].at));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_crontab_lines),
                                        cmocka_unit_test(test_crontab_refuses) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
