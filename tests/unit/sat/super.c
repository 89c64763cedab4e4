/* Supervisors with real processes: frames, exits, output, the limits, and what survives what. */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <dirent.h>
#include <endian.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/file.h"
#include "proc/tree.h"
#include "sat/super_int.h"

#define DEADLINE   (120 * USEC_SEC)
#define STREAM_CUT (64u << 20)

static const char *const env[] = { "PATH=/usr/bin:/bin", "SECRET=s3cret", NULL };

struct world {
    char spool[64];
    char job[128];
    struct super *super;
};

static void *world_new(const struct super_limits *limits)
{
    static const struct super_limits real = { .stream_max = SUPER_STREAM_MAX,
                                              .linger = SUPER_LINGER };
    struct world *w = calloc(1, sizeof(*w));

    assert_non_null(w);
    (void)str_copy_z(STR("/tmp/orrery-super-XXXXXX"), w->spool, sizeof(w->spool));
    assert_non_null(mkdtemp(w->spool));
    assert_int_equal(super_start_limited(w->spool, limits ? limits : &real, &w->super, NULL),
                     STATUS_OK);
    return w;
}

static void world_free(struct world *w)
{
    super_free(w->super);
    assert_int_equal(file_remove_tree(w->spool, NULL), STATUS_OK);
    free(w);
}

static void job_file(const struct world *w, const char *name, struct str text)
{
    char path[256];

    (void)snprintf(path, sizeof(path), "%s/%s", w->job, name);
    assert_int_equal(file_replace(path, text, 0600, NULL), STATUS_OK);
}

/* Makes the job's folder for a shell script and its input. */
static void job_make(struct world *w, const char *id, const char *script, const char *input)
{
    const char *const argv[] = { "sh", "-c", script, NULL };
    const struct proc_spec spec = { .argv = argv, .env = env, .cwd = w->spool };
    AUTO_BUF struct buf exec = { 0 };

    (void)snprintf(w->job, sizeof(w->job), "%s/%s", w->spool, id);
    assert_int_equal(mkdir(w->job, 0700), 0);
    buf_init(&exec, SUPER_EXEC_MAX);
    assert_int_equal(super_write_exec(&spec, &exec), STATUS_OK);
    job_file(w, "exec", buf_str(&exec));
    if (input)
        job_file(w, "stdin", str_z(input));
}

static void job_start(struct world *w, const char *id, const char *script, const char *input)
{
    struct err err = { 0 };

    job_make(w, id, script, input);
    if (super_launch(w->super, str_z(id), &err) != STATUS_OK)
        fail_msg("%s", err.text);
}

static void stream_read(const struct world *w, struct buf *out)
{
    char path[256];

    buf_clear(out);
    (void)snprintf(path, sizeof(path), "%s/stream", w->job);
    assert_int_equal(file_read(path, out, NULL), STATUS_OK);
}

struct frame {
    int type;
    struct str text;
};

/* The whole frame at *at; false at the end or at an incomplete one. */
static bool frame_next(struct str all, size_t *at, struct frame *f)
{
    struct super_frame head;

    if (all.n - *at < sizeof(head))
        return false;
    memcpy(&head, all.p + *at, sizeof(head));
    if (all.n - *at - sizeof(head) < le32toh(head.n))
        return false;
    assert_true(le64toh(head.at) > UINT64_C(1700000000000000));
    assert_int_equal(head.zero[0] | head.zero[1] | head.zero[2], 0);
    f->type = head.type;
    f->text = str_slice(all, *at + sizeof(head), *at + sizeof(head) + le32toh(head.n));
    *at += sizeof(head) + le32toh(head.n);
    return true;
}

/* Waits until a frame of that type is there, and gives it. */
static struct frame wait_frame(const struct world *w, struct buf *all, int type)
{
    const Usec until = clock_mono() + DEADLINE;

    for (;;) {
        struct frame f;
        size_t at = 0;

        stream_read(w, all);
        while (frame_next(buf_str(all), &at, &f)) {
            if (f.type == type)
                return f;
        }
        assert_true(clock_mono() < until);
        (void)poll(NULL, 0, 2);
    }
}

static void wait_gone(const struct world *w)
{
    const Usec until = clock_mono() + DEADLINE;

    while (super_alive(w->job)) {
        assert_true(clock_mono() < until);
        (void)poll(NULL, 0, 2);
    }
}

/* Waits for the end and gives all text of one type joined, in out. */
static void ended(const struct world *w, int type, struct buf *out)
{
    AUTO_BUF struct buf all = { 0 };
    struct frame f = { 0 };
    size_t at = 0;

    wait_gone(w);
    buf_init(&all, STREAM_CUT);
    stream_read(w, &all);
    while (frame_next(buf_str(&all), &at, &f)) {
        if (f.type == type)
            assert_int_equal(buf_add_str(out, f.text), STATUS_OK);
    }
    assert_int_equal(at, all.n);
    if (f.type != SUPER_EXIT && f.type != SUPER_FAILED)
        fail_msg("the stream of %s has %zu bytes and ends with frame %d, %.*s", w->job, all.n,
                 f.type, STR_FMT(f.text));
}

static void expect_ended(const struct world *w, int type, const char *expected)
{
    AUTO_BUF struct buf got = { 0 };

    buf_init(&got, STREAM_CUT);
    ended(w, type, &got);
    assert_int_equal(buf_add_char(&got, 0), STATUS_OK);
    assert_string_equal(got.p, expected);
}

/* PID, START_TICKS, SUPERVISOR_PID */
static void started(const struct world *w, int64_t ret[3])
{
    AUTO_BUF struct buf all = { 0 };
    struct str rest;
    struct str part;

    buf_init(&all, STREAM_CUT);
    rest = wait_frame(w, &all, SUPER_STARTED).text;
    for (int i = 0; i < 3; i++)
        assert_true(str_split(&rest, ' ', &part) && str_to_i64(part, &ret[i]));
}

static void test_super_runs_a_job(void **state)
{
    struct world *w = world_new(NULL);
    int64_t ids[3];

    (void)state;
    job_start(w, "jone", "read line; echo \"got $line $SECRET\"; pwd; echo oops >&2; exit 3",
              "{\"a\":1}\n");
    started(w, ids);
    assert_true(ids[0] > 1 && ids[1] > 0 && ids[2] > 1 && ids[0] != ids[2]);
    expect_ended(w, SUPER_EXIT, "code 3");
    expect_ended(w, SUPER_STDERR, "oops\n");
    {
        char expected[128];

        (void)snprintf(expected, sizeof(expected), "got {\"a\":1} s3cret\n%s\n", w->spool);
        expect_ended(w, SUPER_STDOUT, expected);
    }
    expect_ended(w, SUPER_NOTE, "");
    world_free(w);
}

static void test_super_is_alive_while_it_lives(void **state)
{
    struct world *w = world_new(NULL);
    int64_t ids[3];

    (void)state;
    job_make(w, "jlive", "kill -STOP $$", NULL);
    assert_false(super_alive(w->job));
    assert_int_equal(super_launch(w->super, STR("jlive"), NULL), STATUS_OK);
    assert_true(super_alive(w->job)); /* at once */
    started(w, ids);
    assert_true(proc_is_alive((pid_t)ids[0], (uint64_t)ids[1]));
    assert_int_equal(proc_kill_tree((pid_t)ids[0], SIGKILL), 1);
    expect_ended(w, SUPER_EXIT, "signal 9");
    assert_false(super_alive(w->job));
    assert_false(super_alive("/no/such/folder"));
    world_free(w);
}

static void test_super_never_starts_twice(void **state)
{
    struct world *w = world_new(NULL);
    struct err err = { 0 };

    (void)state;
    job_start(w, "jtwice", "echo once", NULL);
    assert_int_equal(super_launch(w->super, STR("jtwice"), &err), STATUS_EXISTS);
    expect_ended(w, SUPER_STDOUT, "once\n");
    assert_int_equal(super_launch(w->super, STR("jtwice"), &err), STATUS_EXISTS);
    expect_ended(w, SUPER_STDOUT, "once\n");
    assert_int_equal(super_launch(w->super, STR("../jtwice"), &err), STATUS_INVALID);
    assert_int_equal(super_launch(w->super, STR(""), &err), STATUS_INVALID);
    assert_int_equal(super_launch(w->super, STR("jnone"), &err), STATUS_MISSING);
    world_free(w);
}

static void test_super_reports_failures(void **state)
{
    struct world *w = world_new(NULL);
    const char *const argv[] = { "/no/such/program", NULL };
    AUTO_BUF struct buf exec = { 0 };

    (void)state;
    buf_init(&exec, SUPER_EXEC_MAX);
    job_make(w, "jbad", "true", NULL);
    assert_int_equal(super_write_exec(&(struct proc_spec){ .argv = argv, .env = env }, &exec),
                     STATUS_OK);
    job_file(w, "exec", buf_str(&exec));
    assert_int_equal(super_launch(w->super, STR("jbad"), NULL), STATUS_OK);
    expect_ended(w, SUPER_FAILED,
                 "Child process failed to spawn (Check executable location and permissions?)");

    job_make(w, "jtorn", "true", NULL);
    job_file(w, "exec", str_slice(buf_str(&exec), 0, exec.n - 1));
    assert_int_equal(super_launch(w->super, STR("jtorn"), NULL), STATUS_OK);
    expect_ended(w, SUPER_FAILED, "The job's exec file is damaged");

    job_make(w, "jempty", "true", NULL);
    job_file(w, "exec", STR(""));
    assert_int_equal(super_launch(w->super, STR("jempty"), NULL), STATUS_OK);
    expect_ended(w, SUPER_FAILED, "The job's exec file has no usable size");
    world_free(w);
}

/* The satellite's end takes the launcher with it, not the jobs; signals do not end a supervisor. */
static void test_super_outlives_the_satellite(void **state)
{
    struct world *w = world_new(NULL);
    int64_t ids[3];

    (void)state;
    job_start(w, "jlong", "while ! test -e go; do sleep 0.05; done; echo went", NULL);
    started(w, ids);
    super_free(w->super);
    w->super = NULL;
    for (int i = 0; i < 3; i++) {
        static const int signals[] = { SIGTERM, SIGINT, SIGHUP };

        assert_int_equal(kill((pid_t)ids[2], signals[i]), 0);
    }
    assert_true(super_alive(w->job));
    {
        char path[128];

        (void)snprintf(path, sizeof(path), "%s/go", w->spool);
        assert_int_equal(file_replace(path, STR("x"), 0600, NULL), STATUS_OK);
    }
    expect_ended(w, SUPER_STDOUT, "went\n");
    expect_ended(w, SUPER_EXIT, "code 0");
    world_free(w);
}

static void test_super_launches_queued_jobs_after_the_end(void **state)
{
    struct world *w = world_new(NULL);
    char id[16];

    (void)state;
    for (int i = 0; i < 50; i++) {
        (void)snprintf(id, sizeof(id), "jq%d", i);
        job_start(w, id, "echo queued", NULL);
    }
    super_free(w->super);
    w->super = NULL;
    for (int i = 0; i < 50; i++) {
        (void)snprintf(w->job, sizeof(w->job), "%s/jq%d", w->spool, i);
        expect_ended(w, SUPER_STDOUT, "queued\n");
    }
    world_free(w);
}

/* A launcher that stands still: launches are refused at some point, and none of those leaves a
 * trace. */
static void test_super_is_busy_when_the_launcher_stands(void **state)
{
    struct world *w = world_new(NULL);
    struct proc_info *all = NULL;
    size_t n = 0;
    pid_t launcher = 0;
    char path[256];
    char id[32];
    int refused = 0;

    (void)state;
    assert_int_equal(proc_scan(&all, &n, NULL), STATUS_OK);
    for (size_t i = 0; i < n; i++) {
        if (all[i].ppid == getpid())
            launcher = all[i].pid;
    }
    free(all);
    assert_true(launcher > 1);
    assert_int_equal(kill(launcher, SIGSTOP), 0);
    while (!refused) {
        Status st;

        (void)snprintf(id, sizeof(id), "jb%zu", n++);
        job_make(w, id, "echo late", NULL);
        st = super_launch(w->super, str_z(id), NULL);
        refused = st == STATUS_BUSY;
        assert_true(st == STATUS_OK || refused);
    }
    (void)snprintf(path, sizeof(path), "%s/stream", w->job);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(kill(launcher, SIGCONT), 0);
    {
        const Usec until = clock_mono() + DEADLINE;

        while (super_launch(w->super, str_z(id), NULL) == STATUS_BUSY)
            assert_true(clock_mono() < until);
    }
    expect_ended(w, SUPER_STDOUT, "late\n");
    super_free(w->super);
    w->super = NULL;
    for (size_t i = 0; i < n; i++) { /* the others end, too, before their folder goes */
        (void)snprintf(w->job, sizeof(w->job), "%s/jb%zu", w->spool, i);
        if (access(w->job, F_OK) == 0)
            wait_gone(w);
    }
    world_free(w);
}

/* Every byte arrives, in order: the numbers 1..300000, 1988895 bytes. */
static void test_super_keeps_big_output(void **state)
{
    struct world *w = world_new(NULL);
    AUTO_BUF struct buf got = { 0 };
    struct str rest;
    struct str line;
    uint64_t expected = 1;
    uint64_t v;

    (void)state;
#ifndef ORRERY_TINY
    buf_init(&got, STREAM_CUT);
    job_start(w, "jbig", "seq 1 300000", NULL);
    ended(w, SUPER_STDOUT, &got);
    assert_int_equal(got.n, 1988895);
    rest = buf_str(&got);
    while (expected <= 300000) {
        assert_true(str_split(&rest, '\n', &line) && str_to_u64(line, &v));
        assert_int_equal(v, expected);
        expected++;
    }
#else
    buf_init(&got, 16);
    (void)rest;
    (void)line;
    (void)expected;
    (void)v;
#endif
    world_free(w);
}

/* Many small writes become few frames, and nothing is lost. */
static void test_super_collects_small_output(void **state)
{
    struct world *w = world_new(NULL);
    AUTO_BUF struct buf got = { 0 };
    struct frame f;
    size_t at = 0;
    size_t frames = 0;

    (void)state;
    buf_init(&got, STREAM_CUT);
    job_start(w, "jsmall", "i=0; while test $i -lt 2000; do echo x; i=$((i+1)); done", NULL);
    ended(w, SUPER_STDOUT, &got);
    assert_int_equal(got.n, 4000);
    stream_read(w, &got);
    while (frame_next(buf_str(&got), &at, &f))
        frames += f.type == SUPER_STDOUT;
    assert_true(frames >= 1 && frames < 1000);
    world_free(w);
}

static void test_super_does_not_wait_for_silent_daemons(void **state)
{
    static const struct super_limits limits = { .stream_max = SUPER_STREAM_MAX,
                                                .linger = 300 * USEC_MSEC };
    struct world *w = world_new(&limits);
    AUTO_BUF struct buf out = { 0 };
    int64_t daemon_pid = 0;

    (void)state;
    buf_init(&out, 4096);
    job_start(w, "jdaemon", "sleep 1000 & echo $!", NULL);
    ended(w, SUPER_STDOUT, &out);
    expect_ended(w, SUPER_EXIT, "code 0");
    expect_ended(
        w, SUPER_NOTE,
        "The job's process has ended, but another process holds its output open; what that "
        "writes from now on is not seen");
    assert_true(str_to_i64(str_trim(buf_str(&out)), &daemon_pid));
    assert_int_equal(kill((pid_t)daemon_pid, SIGKILL), 0);
    world_free(w);
}

/* A daemon of the job comes to the supervisor, and so it can be found and killed. */
static void test_super_adopts_orphans(void **state)
{
    struct world *w = world_new(NULL);
    AUTO_BUF struct buf all = { 0 };
    struct proc_info p;
    int64_t ids[3];
    int64_t orphan = 0;
    const Usec until = clock_mono() + DEADLINE;

    (void)state;
    buf_init(&all, STREAM_CUT);
    job_start(w, "jorphan",
              "(setsid sh -c 'echo $$; exec sleep 1000' &); while :; do sleep 0.05; done", NULL);
    started(w, ids);
    assert_true(str_to_i64(str_trim(wait_frame(w, &all, SUPER_STDOUT).text), &orphan));
    do {
        assert_true(clock_mono() < until);
        assert_int_equal(proc_read((pid_t)orphan, &p), STATUS_OK);
    } while (p.ppid != (pid_t)ids[2]);
    assert_true(proc_kill_below((pid_t)ids[2], SIGKILL) >= 2);
    expect_ended(w, SUPER_EXIT, "signal 9");
    world_free(w);
}

static size_t count_descriptors(pid_t pid)
{
    char path[64];
    const struct dirent *e;
    DIR *dir;
    size_t n = 0;

    (void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
    dir = opendir(path);
    assert_non_null(dir);
    for (e = readdir(dir); e; e = readdir(dir))
        n += e->d_name[0] != '.';
    (void)closedir(dir);
    return n;
}

static void test_super_holds_nothing_of_ours(void **state)
{
    const int leak = open("/dev/null", O_RDONLY); /* not close-on-exec, on purpose */
    struct world *w = world_new(NULL);
    char text[128];
    int64_t ids[3];

    (void)state;
    job_start(w, "jclean", "kill -STOP $$", NULL);
    started(w, ids);
    /* 0-2, the stream, two pipes and the signals */
    assert_int_equal(count_descriptors((pid_t)ids[2]), 7);
    assert_true(proc_cmdline((pid_t)ids[2], text, sizeof(text)));
    assert_int_equal(strncmp(text, "orrery-sat: job jclean", 22), 0);
    assert_int_equal(getsid((pid_t)ids[2]), ids[2]);
    (void)proc_kill_tree((pid_t)ids[0], SIGKILL);
    wait_gone(w);
    close(leak);
    world_free(w);
}

static void test_super_cuts_endless_output(void **state)
{
    static const struct super_limits limits = { .stream_max = 40000, .linger = SUPER_LINGER };
    struct world *w = world_new(&limits);
    AUTO_BUF struct buf out = { 0 };
    AUTO_BUF struct buf notes = { 0 };
    AUTO_BUF struct buf all = { 0 };
    char expected[256];
    size_t capped_at;

    (void)state;
    buf_init(&out, STREAM_CUT);
    buf_init(&notes, STREAM_CUT);
    buf_init(&all, STREAM_CUT);
    job_start(w, "jcut", "i=0; while test $i -lt 100; do printf '%01000d' $i; i=$((i+1)); done",
              NULL);
    ended(w, SUPER_STDOUT, &out);
    ended(w, SUPER_NOTE, &notes);
    stream_read(w, &all);
    assert_true(all.n <= 40000);
    assert_true(out.n < 40000);
    (void)buf_add_char(&notes, 0);
    assert_int_equal(strncmp(notes.p, "The job's output has reached ", 29), 0);
    (void)snprintf(expected, sizeof(expected),
                   " bytes; the rest is dropped%zu bytes of the job's output were dropped",
                   100000 - out.n);
    capped_at = str_find(buf_str(&notes), str_z(expected));
    assert_int_equal(capped_at + strlen(expected) + 1, notes.n);
    expect_ended(w, SUPER_EXIT, "code 0");
    world_free(w);
}

/* No room on the disk, played by a limit on file sizes: the job goes on, and a note has the
 * account. */
static void test_super_survives_a_full_disk(void **state)
{
    static const struct super_limits wide = { .stream_max = 1u << 30, .linger = SUPER_LINGER };
    struct rlimit before;
    struct rlimit small;
    struct world *w;
    AUTO_BUF struct buf out = { 0 };
    AUTO_BUF struct buf notes = { 0 };
    char path[128];
    char expected[128];
    int64_t ids[3];
    const Usec until = clock_mono() + DEADLINE;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = (struct rlimit){ .rlim_cur = 30000, .rlim_max = before.rlim_max };
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    w = world_new(&wide);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    buf_init(&out, STREAM_CUT);
    buf_init(&notes, STREAM_CUT);
    /* 100,000 bytes more than the pipe holds, so all is read before `full` appears */
    job_start(w, "jfull",
              "i=0; while test $i -lt 200; do printf '%01000d' $i; i=$((i+1)); done; : > full; "
              "while ! test -e go; do sleep 0.05; done; echo end",
              NULL);
    started(w, ids);
    (void)snprintf(path, sizeof(path), "%s/full", w->spool);
    while (access(path, F_OK) != 0) {
        assert_true(clock_mono() < until);
        (void)poll(NULL, 0, 5);
    }
    assert_int_equal(prlimit((pid_t)ids[2], RLIMIT_FSIZE, &before, NULL), 0);
    (void)snprintf(path, sizeof(path), "%s/go", w->spool);
    assert_int_equal(file_replace(path, STR("x"), 0600, NULL), STATUS_OK);
    ended(w, SUPER_STDOUT, &out);
    ended(w, SUPER_NOTE, &notes);
    (void)snprintf(expected, sizeof(expected),
                   "%zu bytes of the job's output were lost: File too large", 200004 - out.n);
    (void)buf_add_char(&notes, 0);
    assert_string_equal(notes.p, expected);
    assert_true(out.n < 150000);
    expect_ended(w, SUPER_EXIT, "code 0");
    world_free(w);
}

static void test_super_killed_leaves_no_end(void **state)
{
    struct world *w = world_new(NULL);
    AUTO_BUF struct buf all = { 0 };
    int64_t ids[3];
    struct frame f;
    size_t at = 0;

    (void)state;
    buf_init(&all, STREAM_CUT);
    job_start(w, "jkilled", "while :; do sleep 0.05; done", NULL);
    started(w, ids);
    assert_int_equal(kill((pid_t)ids[2], SIGKILL), 0);
    wait_gone(w);
    stream_read(w, &all);
    while (frame_next(buf_str(&all), &at, &f))
        assert_true(f.type != SUPER_EXIT && f.type != SUPER_FAILED);
    (void)proc_kill_tree((pid_t)ids[0], SIGKILL);
    world_free(w);
}

static void test_super_without_launcher(void **state)
{
    struct world *w = world_new(NULL);
    struct proc_info *all = NULL;
    size_t n = 0;
    char path[256];

    (void)state;
    assert_int_equal(proc_scan(&all, &n, NULL), STATUS_OK);
    for (size_t i = 0; i < n; i++) {
        if (all[i].ppid == getpid())
            assert_int_equal(kill(all[i].pid, SIGKILL), 0);
    }
    free(all);
    assert_int_equal(waitpid(-1, NULL, 0) > 0, 1);
    job_make(w, "jnobody", "true", NULL);
    assert_int_equal(super_launch(w->super, STR("jnobody"), NULL), STATUS_IO);
    (void)snprintf(path, sizeof(path), "%s/stream", w->job);
    assert_int_equal(access(path, F_OK), -1);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_super_runs_a_job),
        cmocka_unit_test(test_super_is_alive_while_it_lives),
        cmocka_unit_test(test_super_never_starts_twice),
        cmocka_unit_test(test_super_reports_failures),
        cmocka_unit_test(test_super_outlives_the_satellite),
        cmocka_unit_test(test_super_launches_queued_jobs_after_the_end),
        cmocka_unit_test(test_super_is_busy_when_the_launcher_stands),
        cmocka_unit_test(test_super_keeps_big_output),
        cmocka_unit_test(test_super_collects_small_output),
        cmocka_unit_test(test_super_does_not_wait_for_silent_daemons),
        cmocka_unit_test(test_super_adopts_orphans),
        cmocka_unit_test(test_super_holds_nothing_of_ours),
        cmocka_unit_test(test_super_cuts_endless_output),
        cmocka_unit_test(test_super_survives_a_full_disk),
        cmocka_unit_test(test_super_killed_leaves_no_end),
        cmocka_unit_test(test_super_without_launcher),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
