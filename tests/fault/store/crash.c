/* kill -9 at any moment: whatever was answered is there after the next start. A child commits in a
 * loop and reports each answered number over a pipe; the parent kills it, opens the store, looks,
 * and lets the next child go on in the same store. Then the same with a torn end of the log. */
#include "../../unit/store/fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define ROUNDS   8
#define PARALLEL 16

struct writer {
    struct store *store;
    int pipe;
    uint32_t next;
};

struct job {
    struct writer *w;
    uint32_t number;
};

static void commit_one(struct writer *w);

static void answered(void *arg, Status st, const struct err *err)
{
    struct job *j = arg;

    (void)err;
    if (st || file_write_all(j->w->pipe, &j->number, sizeof j->number))
        _exit(3);
    commit_one(j->w);
    free(j);
}

/* Two rows in each commit: both or none. */
static void commit_one(struct writer *w)
{
    struct job *j = malloc(sizeof *j);
    struct store_tx *tx = store_tx_new(w->store);
    char id[32];
    char json[600];

    if (!j)
        _exit(3);
    *j = (struct job){ .w = w, .number = w->next++ };
    memset(json, '1', sizeof json);
    (void)snprintf(id, sizeof id, "n%u", j->number);
    store_tx_put(tx, TABLE_STATE, str_z(id), str_n(json, sizeof json), NULL, 0);
    const struct store_value owner[BLOBS_COLUMNS] = { [BLOBS_OWNER] = store_text(str_z(id)) };
    store_tx_put(tx, TABLE_BLOBS, str_z(id), STR("{}"), owner, BLOBS_COLUMNS);
    if (store_commit(w->store, tx, answered, j, NULL))
        _exit(3);
}

static void child(const char *dir, int pipe, uint32_t first)
{
    struct writer w = { .pipe = pipe, .next = first };
    struct loop *loop = loop_new();
    const struct store_config config = { .loop = loop, .dir = dir };

    if (store_open(&config, &w.store, NULL))
        _exit(2);
    for (int i = 0; i < PARALLEL; i++)
        commit_one(&w);
    loop_run(loop);
    _exit(4);
}

/* Runs a child until it has had `enough` answers, kills it, reads the answers that are still in the
 * pipe. The highest answered number is returned; all below it were answered too, as answers come in
 * order. */
static uint32_t run_and_kill(const char *dir, uint32_t first, uint32_t enough)
{
    int ends[2];
    uint32_t number = 0;
    uint32_t last = 0;
    int status = 0;

    assert_int_equal(pipe(ends), 0);
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)close(ends[0]);
        child(dir, ends[1], first);
    }
    (void)close(ends[1]);
    for (uint32_t n = 0; read(ends[0], &number, sizeof number) == (ssize_t)sizeof number; n++) {
        assert_int_equal(number, first + n);
        last = number;
        if (n == enough)
            assert_int_equal(kill(pid, SIGKILL), 0);
    }
    (void)close(ends[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    return last;
}

struct seen {
    uint32_t rows;
    uint32_t highest;
};

static bool see(void *arg, const struct store_found *row)
{
    struct seen *s = arg;
    int64_t number = 0;

    assert_true(str_to_i64(str_slice(row->id, 1, row->id.n), &number));
    s->rows++;
    if ((uint32_t)number > s->highest)
        s->highest = (uint32_t)number;
    return true;
}

/* Rows 1..highest without a hole, in both tables alike, and at least up to `answered_to`. */
static uint32_t look(struct fixture *f, uint32_t answered_to)
{
    struct seen states = { 0 };
    struct seen blobs = { 0 };

    assert_int_equal(store_walk(f->store, TABLE_STATE, see, &states, NULL), STATUS_OK);
    assert_int_equal(store_walk(f->store, TABLE_BLOBS, see, &blobs, NULL), STATUS_OK);
    assert_true(states.highest >= answered_to);
    assert_int_equal(states.rows, states.highest);
    assert_int_equal(blobs.rows, states.rows);
    assert_int_equal(blobs.highest, states.highest);
    return states.highest;
}

static void test_store_survives_kill(void **state)
{
    struct fixture f;
    uint32_t next = 1;

    (void)state;
    fixture_init(&f);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        const uint32_t last = run_and_kill(f.dir, next, round * 97 + round * round * 31);
        fixture_open(&f);
        next = look(&f, last) + 1;
        fixture_close(&f);
    }
    fixture_done(&f);
}

/* Power fails while the log is being written: its end is missing or is noise. All that was answered
 * before the last commit of the intact part is there. */
static void test_store_survives_a_torn_log(void **state)
{
    static const int64_t cuts[] = { 1, 24, 500, 4096, 4120 };
    struct fixture f;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cuts) * 2; i++) {
        char wal[256];
        struct stat info;
        char noise[4200];

        fixture_init(&f);
        const uint32_t last = run_and_kill(f.dir, 1, 40);
        (void)snprintf(wal, sizeof wal, "%s/orrery.db-wal", f.dir);
        assert_int_equal(stat(wal, &info), 0);
        const int64_t cut = cuts[i / 2];
        const off_t at = info.st_size - cut;
        if (i % 2) {
            assert_int_equal(truncate(wal, at), 0);
        } else {
            const int fd = open(wal, O_WRONLY | O_CLOEXEC);
            memset(noise, 0x5a, sizeof noise);
            assert_int_equal(pwrite(fd, noise, (size_t)cut, at), cut);
            (void)close(fd);
        }
        fixture_open(&f);
        const uint32_t found = look(&f, 1);
        assert_true(found + PARALLEL * 2 >= last); /* at most the last groups are gone */
        put_state(&f, "n0", "\"works\"");
        fixture_done(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_store_survives_kill),
        cmocka_unit_test(test_store_survives_a_torn_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
