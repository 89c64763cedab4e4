/* Tests of base/file.h on a temporary folder. */
#include "base/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>
static char *at(const char *folder, const char *name)
{
    static char paths[4][512];
    static unsigned turn;
    char *path = paths[turn++ % 4];

    (void)snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static int make_home(void **state)
{
    static char home[64];

    (void)snprintf(home, sizeof home, "/tmp/orrery-file-XXXXXX");
    *state = mkdtemp(home);
    return *state ? 0 : -1;
}

static int remove_home(void **state)
{
    return file_remove_tree(*state, NULL);
}

static size_t count_entries(const char *path)
{
    DIR *dir = opendir(path);
    size_t n = 0;

    assert_non_null(dir);
    while (readdir(dir))
        n++;
    (void)closedir(dir);
    return n - 2;
}

static void test_file_replace_and_read(void **state)
{
    const char *path = at(*state, "conf.json");
    AUTO_BUF struct buf out = { 0 };
    struct err err = { 0 };
    struct stat st;

    buf_init(&out, 1 << 20);
    assert_int_equal(file_replace(path, STR("first"), 0600, &err), STATUS_OK);
    assert_int_equal(file_read(path, &out, &err), STATUS_OK);
    assert_true(str_eq_z(buf_str(&out), "first"));
    assert_int_equal(file_replace(path, STR("second\0!"), 0644, &err), STATUS_OK);
    assert_int_equal(file_read(path, &out, &err), STATUS_OK); /* appends */
    assert_true(str_eq(buf_str(&out), STR("firstsecond\0!")));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0644);
    assert_int_equal(count_entries(*state), 1); /* no temporary left */
    assert_int_equal(file_replace(path, STR_NONE, 0600, &err), STATUS_OK);
    buf_clear(&out);
    assert_int_equal(file_read(path, &out, &err), STATUS_OK);
    assert_int_equal(out.n, 0);
}

static void test_file_read_limits(void **state)
{
    const char *path = at(*state, "x");
    AUTO_BUF struct buf out = { .max = 4 };
    struct err err = { 0 };

    assert_int_equal(file_replace(path, STR("1234"), 0600, &err), STATUS_OK);
    assert_int_equal(file_read(path, &out, &err), STATUS_OK);
    assert_int_equal(out.n, 4);
    buf_clear(&out);
    assert_int_equal(file_replace(path, STR("12345"), 0600, &err), STATUS_OK);
    assert_int_equal(file_read(path, &out, &err), STATUS_TOO_BIG);
    assert_int_equal(out.n, 0);
    assert_int_equal(file_read(at(*state, "absent"), &out, &err), STATUS_MISSING);
    assert_non_null(strstr(err.text, "absent: No such file"));
    assert_int_equal(file_read(*state, &out, &err), STATUS_INVALID); /* a folder */
}

static void test_file_replace_failing_leaves_the_old(void **state)
{
    struct err err = { 0 };

    assert_int_equal(mkdir(at(*state, "folder"), 0700), 0);
    assert_int_equal(file_replace(at(*state, "folder"), STR("x"), 0600, &err), STATUS_INVALID);
    assert_int_equal(count_entries(*state), 1); /* the temporary is gone */
    assert_int_equal(file_replace(at(*state, "no/such"), STR("x"), 0600, &err), STATUS_MISSING);
}

static void test_file_mkdirs(void **state)
{
    struct err err = { 0 };
    struct stat st;

    assert_int_equal(file_mkdirs(at(*state, "a/b//c/"), 0750, &err), STATUS_OK);
    assert_int_equal(stat(at(*state, "a/b/c"), &st), 0);
    assert_true(S_ISDIR(st.st_mode));
    assert_int_equal(file_mkdirs(at(*state, "a/b/c"), 0750, &err), STATUS_OK);
    assert_int_equal(file_mkdirs("/", 0750, &err), STATUS_OK);
    assert_int_equal(file_replace(at(*state, "f"), STR("x"), 0600, &err), STATUS_OK);
    assert_int_equal(file_mkdirs(at(*state, "f"), 0750, &err), STATUS_INVALID);
    assert_int_equal(file_mkdirs(at(*state, "f/g"), 0750, &err), STATUS_INVALID);
    assert_int_equal(file_mkdirs("", 0750, &err), STATUS_MISSING);
}

static void test_file_remove_tree_does_not_follow_links(void **state)
{
    struct err err = { 0 };

    assert_int_equal(file_mkdirs(at(*state, "keep"), 0700, &err), STATUS_OK);
    assert_int_equal(file_replace(at(*state, "keep/file"), STR("x"), 0600, &err), STATUS_OK);
    assert_int_equal(file_mkdirs(at(*state, "go/deep"), 0700, &err), STATUS_OK);
    assert_int_equal(file_replace(at(*state, "go/deep/file"), STR("x"), 0600, &err), STATUS_OK);
    assert_int_equal(symlink(at(*state, "keep"), at(*state, "go/link")), 0);
    assert_int_equal(symlink(at(*state, "keep"), at(*state, "link")), 0);
    assert_int_equal(file_remove_tree(at(*state, "go"), &err), STATUS_OK);
    assert_int_equal(file_remove_tree(at(*state, "link"), &err), STATUS_OK);
    assert_int_equal(access(at(*state, "go"), F_OK), -1);
    assert_int_equal(access(at(*state, "keep/file"), F_OK), 0);
    assert_int_equal(file_remove_tree(at(*state, "absent"), &err), STATUS_OK);
    assert_int_equal(file_remove_tree(at(*state, "keep/file"), &err), STATUS_OK);
    assert_int_equal(count_entries(at(*state, "keep")), 0);
}

static void test_file_remove_tree_deeper_than_descriptors(void **state)
{
    const char *top = at(*state, "deep");
    struct err err = { 0 };
    int fd;

    assert_int_equal(mkdir(top, 0700), 0);
    fd = open(top, O_RDONLY | O_DIRECTORY);
    for (int i = 0; i < 300; i++) { /* the path would be longer than a path may be */
        int next;

        assert_int_equal(mkdirat(fd, "a_rather_long_name_for_a_folder", 0700), 0);
        assert_int_equal(mkdirat(fd, "sister", 0700), 0);
        next = openat(fd, "a_rather_long_name_for_a_folder", O_RDONLY | O_DIRECTORY);
        (void)close(fd);
        fd = next;
        assert_true(fd >= 0);
    }
    (void)close(fd);
    assert_int_equal(file_remove_tree(top, &err), STATUS_OK);
    assert_int_equal(access(top, F_OK), -1);
}

static void test_file_write_all_to_a_closed_pipe(void **state)
{
    (void)state;
    assert_true(file_write_all(-1, "x", 1) < 0);
    assert_int_equal(file_write_all(-1, "", 0), 0);
}

#define IN_HOME(test) cmocka_unit_test_setup_teardown(test, make_home, remove_home)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_HOME(test_file_replace_and_read),
        IN_HOME(test_file_read_limits),
        IN_HOME(test_file_replace_failing_leaves_the_old),
        IN_HOME(test_file_mkdirs),
        IN_HOME(test_file_remove_tree_does_not_follow_links),
        IN_HOME(test_file_remove_tree_deeper_than_descriptors),
        cmocka_unit_test(test_file_write_all_to_a_closed_pipe),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
