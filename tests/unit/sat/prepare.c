/* From a launch to a command: environment, arguments, standard input, users, file names. */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "sat/env.h"
#include "sat/prepare.h"

static const char *const agent_env[] = {
    "PATH=/opt/x:/bin:/opt/x", "HOME=/home/u", "LANG=C", "XYOPS_A=1", "XYSAT_B=1",
    "SATELLITE_C=1",           "ORRERY_D=1",   "BROKEN", NULL
};

static yyjson_val *parse(struct arena *a, const char *text)
{
    yyjson_val *v = NULL;

    assert_int_equal(json_parse_in(a, str_z(text), 1u << 20, &v, NULL), STATUS_OK);
    return v;
}

static void test_environment_order(void **state)
{
    AUTO(arena_free) struct arena *a = arena_new(1u << 20);
    struct env e;
    const char *const *list;

    (void)state;
    env_init(&e, a);
    env_inherit(&e, agent_env, "/srv/sat");
    assert_string_equal(env_get(&e, "PATH"),
                        "/srv/sat/bin:/home/u/.local/bin:/opt/x:/bin:/sbin:/usr/bin:"
                        "/usr/sbin:/usr/local/bin:/usr/local/sbin");
    assert_string_equal(env_get(&e, "LANG"), "C");
    assert_null(env_get(&e, "XYOPS_A"));
    assert_null(env_get(&e, "XYSAT_B"));
    assert_null(env_get(&e, "SATELLITE_C"));
    assert_null(env_get(&e, "ORRERY_D"));
    env_set_members(&e,
                    parse(a, "{\"LANG\":\"D\",\"N\":5,\"B\":true,\"BAD=NAME\":\"x\",\"\":\"x\"}"));
    assert_string_equal(env_get(&e, "LANG"), "D");
    assert_string_equal(env_get(&e, "N"), "5");
    assert_string_equal(env_get(&e, "B"), "true");
    assert_null(env_get(&e, "BAD"));
    env_set_cleaned(&e, "data_", parse(a, "{\"my - key\":{\"a\":[1]},\"nul\":\"a\\u0000b\"}"));
    assert_string_equal(env_get(&e, "data_my_key"), "{\"a\":[1]}");
    assert_string_equal(env_get(&e, "data_nul"), "a");
    list = env_list(&e);
    assert_non_null(list);
    assert_string_equal(list[0],
                        "PATH=/srv/sat/bin:/home/u/.local/bin:/opt/x:/bin:/sbin:/usr/bin:/usr/sbin:"
                        "/usr/local/bin:/usr/local/sbin");
    assert_string_equal(list[2], "LANG=D"); /* keeps its place */
    env_done(&e);
}

static void test_environment_limits(void **state)
{
    AUTO(arena_free) struct arena *a = arena_new(64u << 20);
    char *big = malloc(ENV_ENTRY_MAX + 1);
    struct env e;

    (void)state;
    assert_non_null(big);
    memset(big, 'x', ENV_ENTRY_MAX + 1);
    env_init(&e, a);
    env_set(&e, STR("A"), str_n(big, ENV_ENTRY_MAX - 3)); /* "A=" + value + NUL: just fits */
    assert_int_equal(e.skipped, 0);
    assert_non_null(env_get(&e, "A"));
    env_set(&e, STR("B"), str_n(big, ENV_ENTRY_MAX - 2));
    assert_int_equal(e.skipped, 1);
    assert_null(env_get(&e, "B"));
    for (unsigned i = 0; i < 3 * (ENV_BYTES_MAX / ENV_ENTRY_MAX); i++) {
        char name[16];

        (void)snprintf(name, sizeof(name), "V%u", i);
        env_set(&e, str_z(name), str_n(big, ENV_ENTRY_MAX - 16));
    }
    assert_true(e.bytes <= ENV_BYTES_MAX);
    assert_true(e.skipped > 1);
    env_done(&e);
    free(big);
}

struct made {
    struct arena *a;
    struct prepared p;
    Status st;
    struct err err;
};

static struct made *make(const char *launch)
{
    struct made *m = calloc(1, sizeof(*m));
    struct prepare_facts facts = { .home = "/srv/sat",
                                   .temp = "/srv/sat/temp",
                                   .exe = "/usr/bin/orrery-sat",
                                   .job_dir = "/srv/sat/spool/j1",
                                   .cwd = "/srv/sat/temp/jobs/j1",
                                   .log_file = "/srv/sat/logs/jobs/job-j1.log",
                                   .base_url = STR("http://c:5522"),
                                   .environment = agent_env };

    assert_non_null(m);
    m->a = arena_new(16u << 20);
    facts.config = parse(m->a, "{\"job_env\":{\"FROM_AGENT\":\"1\",\"X\":\"agent\"}}");
    m->st = prepare_job(parse(m->a, launch), &facts, m->a, &m->p, &m->err);
    return m;
}

static void *drop(struct made *m)
{
    prepared_done(&m->p);
    arena_free(m->a);
    free(m);
    return NULL;
}

static const char *var(const struct made *m, const char *name)
{
    const size_t n = strlen(name);

    for (size_t i = 0; m->p.env[i]; i++) {
        if (strncmp(m->p.env[i], name, n) == 0 && m->p.env[i][n] == '=')
            return m->p.env[i] + n + 1;
    }
    return NULL;
}

static void test_a_command(void **state)
{
    struct made *m = make("{\"job\":{\"id\":\"j1\",\"now\":17,\"type\":\"adhoc\",\"activity\":[1],"
                          "\"command\":\"prog 'a b' $X \\\"$JOB_ID\\\"\",\"env\":{\"X\":\"job\"},"
                          "\"params\":{\"JOB_NOW\":\"param\",\"p-1\":null}},"
                          "\"details\":{\"params\":\"from details\",\"workflowData\":{\"k\":1}},"
                          "\"sec\":{\"S\":\"secret\"}}");

    (void)state;
    assert_int_equal(m->st, STATUS_OK);
    assert_string_equal(m->p.argv[0], "prog");
    assert_string_equal(m->p.argv[1], "a b");
    assert_string_equal(m->p.argv[2], "job");
    assert_string_equal(m->p.argv[3], "j1");
    assert_null(m->p.argv[4]);
    assert_string_equal(var(m, "FROM_AGENT"), "1");
    assert_string_equal(var(m, "S"), "secret");
    assert_string_equal(var(m, "JOB_ID"), "j1");
    assert_string_equal(var(m, "JOB_NOW"), "param"); /* parameters come last */
    assert_string_equal(var(m, "JOB_BASE_URL"), "http://c:5522");
    assert_string_equal(var(m, "p_1"), "null");
    assert_string_equal(var(m, "workflow_data_k"), "1");
    assert_string_equal(var(m, "XYOPS"), ORRERY_VERSION);
    assert_false(m->p.set_user);
    (void)buf_add_char(&m->p.stdin_line, 0);
    assert_string_equal(
        m->p.stdin_line.p,
        "{\"xy\":1,\"type\":\"event\",\"id\":\"j1\",\"now\":17,\"command\":\"prog 'a b' $X "
        "\\\"$JOB_ID\\\"\","
        "\"env\":{\"X\":\"job\"},\"params\":\"from "
        "details\",\"workflowData\":{\"k\":1},\"input\":null,"
        "\"cwd\":\"/srv/sat/temp/jobs/j1\",\"log_file\":\"/srv/sat/logs/jobs/job-j1.log\","
        "\"secrets\":{\"S\":\"secret\"},\"base_url\":\"http://c:5522\","
        "\"socket_opts\":{\"rejectUnauthorized\":false},\"temp_dir\":\"/srv/sat/"
        "temp\",\"activity\":null}\n");
    drop(m);
}

static void test_the_shell(void **state)
{
    struct made *m =
        make("{\"job\":{\"id\":\"j1\",\"command\":\"[shell-plugin]\",\"params\":{\"script\":"
             "\"#!/bin/sh\\r\\necho a\\rb\\r\\n\"}}}");

    (void)state;
    assert_int_equal(m->st, STATUS_OK);
    assert_string_equal(m->p.argv[0], "/srv/sat/spool/j1/script");
    assert_null(m->p.argv[1]);
    (void)buf_add_char(&m->p.script, 0);
    assert_string_equal(m->p.script.p, "#!/bin/sh\necho a\rb\n");
    drop(m);
    m = make("{\"job\":{\"id\":\"j1\",\"command\":\"[shell-plugin]\",\"params\":{}}}");
    assert_string_equal(m->err.text, "Script failed: there is no script to run");
    drop(m);
}

static void test_refusals(void **state)
{
    static const char *const cases[][2] = {
        { "{\"job\":{\"command\":\"[http-plugin]\"}}",
          "Setup Error: built-in plugin not supported: http-plugin" },
        { "{\"job\":{\"command\":\"  \"}}", "Setup Error: The plugin has no command" },
        { "{\"job\":{}}", "Setup Error: The plugin has no command" },
        { "{}", "Setup Error: The plugin has no command" },
        { "[]", "Setup Error: The plugin has no command" },
        { "{\"job\":{\"command\":\"x\",\"uid\":\"nobody-of-that-name\"}}",
          "Plugin Error: User does not exist: nobody-of-that-name" },
        { "{\"job\":{\"command\":\"x\",\"gid\":\"no-group-of-that-name\"}}",
          "Plugin Error: Group does not exist: no-group-of-that-name" },
        { "{\"job\":{\"command\":\"x\",\"script\":\"(File)\",\"plugin\":\"../p\"}}",
          "Plugin not found: ../p" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct made *m = make(cases[i][0]);

        assert_int_not_equal(m->st, STATUS_OK);
        assert_string_equal(m->err.text, cases[i][1]);
        drop(m);
    }
}

static void test_another_user(void **state)
{
    struct made *m = make("{\"job\":{\"id\":\"j1\",\"command\":\"x\",\"uid\":0,\"gid\":\"0\"}}");

    (void)state;
    assert_int_equal(m->st, STATUS_OK);
    assert_int_equal(m->p.set_user, geteuid() != 0 || getegid() != 0);
    assert_string_equal(var(m, "USER"), "root");
    assert_string_equal(var(m, "HOME"), "/root");
    drop(m);
}

static void test_kinds(void **state)
{
    AUTO(arena_free) struct arena *a = arena_new(1u << 20);

    (void)state;
    assert_int_equal(prepare_kind(parse(a, "{\"command\":\" [shell-plugin] \"}")), COMMAND_SHELL);
    assert_int_equal(prepare_kind(parse(a, "{\"command\":\"[test-plugin]\"}")), COMMAND_TEST);
    assert_int_equal(prepare_kind(parse(a, "{\"command\":\"[a_b]\"}")), COMMAND_UNKNOWN);
    assert_int_equal(prepare_kind(parse(a, "{\"command\":\"[a b]\"}")), COMMAND_PROGRAM);
    assert_int_equal(prepare_kind(parse(a, "{\"command\":\"[]\"}")), COMMAND_PROGRAM);
    assert_int_equal(prepare_kind(parse(a, "{\"command\":7}")), COMMAND_PROGRAM);
}

static void assert_str(struct str s, const char *want)
{
    if (!str_eq_z(s, want))
        fail_msg("'%.*s' is not '%s'", STR_FMT(s), want);
}

static void test_file_names(void **state)
{
    AUTO(arena_free) struct arena *a = arena_new(1u << 20);
    char z[3 * PREPARE_NAME_MAX];

    (void)state;
    assert_str(prepare_file_name(a, STR("a.txt")), "a.txt");
    assert_str(prepare_file_name(a, STR("../../etc/passwd")), ".._.._etc_passwd");
    assert_str(prepare_file_name(a, STR("/")), "_");
    assert_str(prepare_file_name(a, STR("..")), "_");
    assert_str(prepare_file_name(a, STR(".")), "_");
    assert_str(prepare_file_name(a, STR("")), "_");
    assert_str(prepare_file_name(a, STR("a\nb\x7f")), "a_b_");
    assert_str(prepare_file_name(a, STR("\xc3\xa9.txt")), "\xc3\xa9.txt");
    memset(z, 'x', sizeof(z));
    memcpy(z + PREPARE_NAME_MAX - 1, "\xc3\xa9", 2); /* a character over the edge goes whole */
    assert_int_equal(prepare_file_name(a, str_n(z, sizeof(z))).n, PREPARE_NAME_MAX - 1);
    assert_str(prepare_upload_name(a, STR("/tmp/dir/out 1.csv")), "out 1.csv");
    assert_str(prepare_upload_name(a, STR("b\xc3\xa9\xc3\xa9/\x01::x|y.bin")), "_x_y.bin");
    assert_str(prepare_upload_name(a, STR("dir/..")), "_");
    assert_str(prepare_upload_name(a, STR("a[1]{2}!&^%$#@*?~.t")), "a[1]{2}!&^%$#@*?~.t");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_environment_order),
        cmocka_unit_test(test_environment_limits),
        cmocka_unit_test(test_a_command),
        cmocka_unit_test(test_the_shell),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_another_user),
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_file_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
