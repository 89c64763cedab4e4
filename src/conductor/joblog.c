/* One open batch of text per job; at most one append per job is with the lane at a time, so order
 * needs no numbering and a slow disk only makes batches larger. */
#include "conductor/joblog.h"

#include "base/file.h"
#include "base/id.h"
#include "base/log.h"
#include "base/map.h"
#include "crypto/crypto.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define JOBLOG_PATH_MAX 4096

struct joblog {
    struct loop *loop;
    struct store *store;
    struct lane *lane;
    char dir[JOBLOG_PATH_MAX];
    uint64_t inline_max;
    void (*on_drain)(void *arg);
    JoblogFinishFn on_finish;
    void *arg;
    struct map open; /* id -> struct open_log */
    size_t waiting;
    bool was_full;
};

struct open_log {
    struct joblog *owner;
    Id id;
    struct buf text; /* not yet with the lane */
    bool at_work;
    bool finish; /* asked for; after the text is written */
    bool finishing;
    bool failed; /* an append was lost: what follows would leave a hole, so it is dropped; the
                    job room sees the size at the end and fetches the rest again */
};

struct log_work {
    struct lane_work lane;
    struct joblog *owner;
    Id id;
    char path[JOBLOG_PATH_MAX + ID_MAX + 8];
    char *text;
    size_t n;
    uint64_t inline_max;
    struct buf output;
    uint64_t size;
    bool too_big;
    Status st;
};

static void path_of(const struct joblog *j, struct str id, char *out, size_t size)
{
    (void)snprintf(out, size, "%s/%.*s.log", j->dir, STR_FMT(id));
}

static void write_text(struct lane_work *w)
{
    struct log_work *work = CONTAINER_OF(w, struct log_work, lane);
    int fd = open(work->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    int error = fd < 0 ? -errno : file_write_all(fd, work->text, work->n);

    work->st = error ? status_from_errno(-error) : STATUS_OK;
    if (fd >= 0)
        (void)close(fd);
}

static void pump(struct open_log *log);

static void text_drop(struct open_log *log)
{
    log->owner->waiting -= log->text.n;
    buf_done(&log->text);
    buf_init(&log->text, (size_t)1 << 30);
}

static void wrote_text(struct lane_work *w)
{
    struct log_work *work = CONTAINER_OF(w, struct log_work, lane);
    struct joblog *j = work->owner;
    struct open_log *log = map_get(&j->open, id_str(&work->id));

    if (work->st != STATUS_OK)
        log_event(LOG_ERROR, "joblog.append_failed", "job=%s reason=%s", work->id.z,
                  status_text(work->st));
    j->waiting -= work->n;
    if (log) {
        log->failed = log->failed || work->st != STATUS_OK;
        if (log->failed)
            text_drop(log);
        log->at_work = false;
        pump(log);
    }
    free(work->text);
    free(work);
    if (j->was_full && j->waiting < JOBLOG_WAITING_MAX / 2) {
        j->was_full = false;
        j->on_drain(j->arg);
    }
}

static struct log_work *work_new(struct joblog *j, const Id *id)
{
    struct log_work *work = calloc(1, sizeof(*work));

    if (!work)
        return NULL;
    work->owner = j;
    work->id = *id;
    path_of(j, id_str(id), work->path, sizeof(work->path));
    return work;
}

static void read_log(struct lane_work *w)
{
    struct log_work *work = CONTAINER_OF(w, struct log_work, lane);
    struct stat info;

    buf_init(&work->output, work->inline_max + 1);
    if (stat(work->path, &info) != 0) {
        work->st = errno == ENOENT ? STATUS_OK : status_from_errno(errno);
        return;
    }
    work->size = (uint64_t)info.st_size;
    work->too_big = work->size > work->inline_max;
    work->st = work->too_big ? STATUS_OK : file_read(work->path, &work->output, NULL);
}

static void log_gone(struct open_log *log)
{
    (void)map_del(&log->owner->open, id_str(&log->id));
    buf_done(&log->text);
    free(log);
}

/* The compressed log's row is on its way in front of the record's. */
static void compressed(void *arg, Status st, uint64_t size, const struct err *err)
{
    struct log_work *work = arg;
    struct joblog *j = work->owner;
    struct open_log *log = map_get(&j->open, id_str(&work->id));
    char path[ID_MAX + 32];
    char owner[ID_MAX + 8];

    (void)err;
    if (st == STATUS_OK) {
        struct store_tx *tx = store_tx_new(j->store);

        (void)snprintf(path, sizeof(path), "logs/jobs/%s/log.txt.gz", work->id.z);
        (void)snprintf(owner, sizeof(owner), "job:%s", work->id.z);
        blob_tx_put(tx, str_z(path), str_z(owner), size, loop_now_wall(j->loop), 0);
        st = store_commit(j->store, tx, NULL, NULL, NULL);
    }
    if (log)
        log_gone(log);
    j->on_finish(j->arg, id_str(&work->id), st, STR_NONE, work->size, st == STATUS_OK);
    free(work);
}

static void log_read(struct lane_work *w)
{
    struct log_work *work = CONTAINER_OF(w, struct log_work, lane);
    struct joblog *j = work->owner;
    struct open_log *log = map_get(&j->open, id_str(&work->id));
    Status st = work->st;

    if (st == STATUS_OK && work->too_big) {
        char path[ID_MAX + 32];

        (void)snprintf(path, sizeof(path), "logs/jobs/%s/log.txt.gz", work->id.z);
        buf_done(&work->output);
        st = blob_gzip(j->store, work->path, str_z(path), false, compressed, work, NULL);
        if (st == STATUS_OK)
            return;
    }
    if (log)
        log_gone(log);
    j->on_finish(j->arg, id_str(&work->id), st, work->size ? buf_str(&work->output) : STR_NONE,
                 work->size, false);
    buf_done(&work->output);
    free(work);
}

static void post_finish(struct open_log *log)
{
    struct joblog *j = log->owner;
    struct log_work *work = work_new(j, &log->id);

    if (!work)
        return; /* pump is called again with the next append or finish of this job */
    work->lane.work = read_log;
    work->lane.done = log_read;
    work->inline_max = j->inline_max;
    if (lane_post(j->lane, &work->lane) != STATUS_OK) {
        free(work);
        return;
    }
    log->finishing = true;
}

static void pump(struct open_log *log)
{
    struct joblog *j = log->owner;
    struct log_work *work;

    if (log->at_work || log->finishing)
        return;
    if (!log->text.n) {
        if (log->finish)
            post_finish(log);
        else if (!log->failed)
            log_gone(log);
        return;
    }
    work = work_new(j, &log->id);
    if (!work)
        return;
    work->lane.work = write_text;
    work->lane.done = wrote_text;
    work->text = buf_take(&log->text, &work->n);
    if (!work->text || lane_post(j->lane, &work->lane) != STATUS_OK) {
        free(work->text);
        free(work);
        return;
    }
    log->at_work = true;
}

static struct open_log *open_get(struct joblog *j, struct str id)
{
    struct open_log *log = map_get(&j->open, id);

    if (log)
        return log;
    log = calloc(1, sizeof(*log));
    if (!log || !id_from_str(id, &log->id) ||
        map_put(&j->open, id_str(&log->id), log, NULL) != STATUS_OK) {
        free(log);
        return NULL;
    }
    log->owner = j;
    buf_init(&log->text, (size_t)1 << 30);
    return log;
}

void joblog_append(struct joblog *j, struct str id, struct str text)
{
    struct open_log *log = open_get(j, id);

    if (!log || log->failed || buf_add_str(&log->text, text) != STATUS_OK)
        return;
    j->waiting += text.n;
    if (j->waiting > JOBLOG_WAITING_MAX)
        j->was_full = true;
    pump(log);
}

void joblog_finish(struct joblog *j, struct str id)
{
    struct open_log *log = open_get(j, id);

    if (!log) {
        j->on_finish(j->arg, id, STATUS_NOMEM, STR_NONE, 0, false);
        return;
    }
    log->finish = true;
    pump(log);
}

static void unlink_log(struct lane_work *w)
{
    (void)unlink(CONTAINER_OF(w, struct log_work, lane)->path);
}

static void unlinked(struct lane_work *w)
{
    free(CONTAINER_OF(w, struct log_work, lane));
}

void joblog_remove(struct joblog *j, struct str id)
{
    Id copy;
    struct log_work *work = id_from_str(id, &copy) ? work_new(j, &copy) : NULL;

    if (!work)
        return;
    work->lane.work = unlink_log;
    work->lane.done = unlinked;
    if (lane_post(j->lane, &work->lane) != STATUS_OK)
        free(work); /* swept at the next start */
}

bool joblog_full(const struct joblog *j)
{
    return j->was_full;
}

size_t joblog_waiting(const struct joblog *j)
{
    return j->waiting;
}

uint64_t joblog_size(const struct joblog *j, struct str id)
{
    char path[JOBLOG_PATH_MAX + ID_MAX + 8];
    struct stat info;

    path_of(j, id, path, sizeof(path));
    return stat(path, &info) == 0 ? (uint64_t)info.st_size : 0;
}

void joblog_sweep(struct joblog *j, bool (*keep)(void *arg, struct str id), void *arg)
{
    DIR *dir = opendir(j->dir);
    struct dirent *entry;

    while (dir && (entry = readdir(dir)) != NULL) {
        struct str name = str_z(entry->d_name);
        char path[JOBLOG_PATH_MAX + 300];

        if (!str_ends(name, STR(".log")) || keep(arg, str_slice(name, 0, name.n - 4)))
            continue;
        (void)snprintf(path, sizeof(path), "%s/%s", j->dir, entry->d_name);
        (void)unlink(path);
    }
    if (dir)
        (void)closedir(dir);
}

Status joblog_new(struct loop *l, struct store *s, const char *dir, uint64_t inline_max,
                  void (*on_drain)(void *arg), JoblogFinishFn on_finish, void *arg,
                  struct joblog **ret, struct err *err)
{
    struct joblog *j = calloc(1, sizeof(*j));

    if (!j)
        return err_set(err, STATUS_NOMEM, NULL, "Out of memory.");
    j->loop = l;
    j->store = s;
    j->inline_max = inline_max;
    j->on_drain = on_drain;
    j->on_finish = on_finish;
    j->arg = arg;
    map_init(&j->open, crypto_random_u64());
    j->lane = lane_new(l, "log", 1, JOBLOG_LANE_MAX);
    if (!j->lane || !str_copy_z(str_z(dir), j->dir, sizeof(j->dir))) {
        joblog_free(j);
        return err_set(err, STATUS_NOMEM, NULL, "Cannot start the log lane.");
    }
    *ret = j;
    return STATUS_OK;
}

void joblog_free(struct joblog *j)
{
    size_t cursor = 0;
    void *value;

    if (!j)
        return;
    lane_free(j->lane);
    while (map_next(&j->open, &cursor, NULL, &value)) {
        struct open_log *log = value;

        buf_done(&log->text);
        free(log);
    }
    map_done(&j->open);
    free(j);
}
