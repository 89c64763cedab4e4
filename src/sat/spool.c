/* Files of the spool; see spool.h. */
#include "sat/spool.h"

#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/vec.h"
#include "sat/super.h"

#define TRASH       "trash."
#define MODE_FOLDER 0711 /* a job of another user must reach its script */

bool spool_path(const char *spool, struct str id, const char *name, char out[SPOOL_PATH_MAX])
{
    const int n = snprintf(out, SPOOL_PATH_MAX, "%s/%.*s%s%s", spool, STR_FMT(id), name ? "/" : "",
                           name ? name : "");

    return n > 0 && n < (int)SPOOL_PATH_MAX && id.n <= ID_MAX;
}

void spool_boot_id(char out[SPOOL_BOOT_MAX])
{
    AUTO_BUF struct buf text = { 0 };

    buf_init(&text, 256);
    out[0] = 0;
    if (file_read("/proc/sys/kernel/random/boot_id", &text, NULL) == STATUS_OK)
        (void)str_copy_z(str_trim(buf_str(&text)), out, SPOOL_BOOT_MAX);
}

static Status write_plainly(const char *path, int flags, struct str text, mode_t mode,
                            struct err *err)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | flags, mode);
    int error;

    if (fd < 0)
        return err_errno(err, errno, "Cannot write %s", path);
    error = -file_write_all(fd, text.p, text.n);
    if (close(fd) != 0 && !error)
        error = errno;
    if (error)
        (void)unlink(path);
    return error ? err_errno(err, error, "Cannot write %s", path) : STATUS_OK;
}

Status spool_store(const char *spool, struct str id, struct str launch, struct err *err)
{
    char folder[SPOOL_PATH_MAX];
    char path[SPOOL_PATH_MAX];
    Status st;

    if (!str_is_word(id) || !spool_path(spool, id, NULL, folder) ||
        !spool_path(spool, id, "launch.json", path))
        return err_set(err, STATUS_INVALID, NULL, "Bad job id");
    if (mkdir(folder, MODE_FOLDER) != 0 && errno != EEXIST)
        return err_errno(err, errno, "Cannot make %s", folder);
    st = write_plainly(path, O_EXCL, launch, 0600, err);
    if (st && st != STATUS_EXISTS)
        (void)!file_remove_tree(folder, NULL);
    return st;
}

Status spool_make(const char *spool, struct str id, const char *name, struct str text, mode_t mode,
                  struct err *err)
{
    char path[SPOOL_PATH_MAX];

    if (!spool_path(spool, id, name, path))
        return err_set(err, STATUS_INVALID, NULL, "Bad job id");
    return write_plainly(path, O_TRUNC, text, mode, err);
}

static Status replace_quickly(const char *path, struct str text, struct err *err)
{
    char temporary[SPOOL_PATH_MAX + 8];
    Status st;

    (void)snprintf(temporary, sizeof(temporary), "%s.new", path);
    st = write_plainly(temporary, O_TRUNC, text, 0600, err);
    if (!st && rename(temporary, path) != 0) {
        st = err_errno(err, errno, "Cannot write %s", path);
        (void)unlink(temporary);
    }
    return st;
}

Status spool_put(const char *spool, struct str id, const char *name, struct str text, bool durable,
                 struct err *err)
{
    char path[SPOOL_PATH_MAX];

    if (!spool_path(spool, id, name, path))
        return err_set(err, STATUS_INVALID, NULL, "Bad job id");
    return durable ? file_replace(path, text, 0600, err) : replace_quickly(path, text, err);
}

Status spool_get(const char *spool, struct str id, const char *name, struct buf *out,
                 struct err *err)
{
    char path[SPOOL_PATH_MAX];

    if (!spool_path(spool, id, name, path))
        return err_set(err, STATUS_INVALID, NULL, "Bad job id");
    return file_read(path, out, err);
}

bool spool_has(const char *spool, struct str id, const char *name)
{
    char path[SPOOL_PATH_MAX];

    return spool_path(spool, id, name, path) && access(path, F_OK) == 0;
}

void spool_forget(const char *spool, struct str id)
{
    char path[SPOOL_PATH_MAX];
    char trash[SPOOL_PATH_MAX + 8];

    if (!spool_path(spool, id, NULL, path))
        return;
    (void)snprintf(trash, sizeof(trash), "%s/" TRASH "%.*s", spool, STR_FMT(id));
    if (rename(path, trash) != 0 && errno != ENOENT)
        (void)!file_remove_tree(path, NULL);
    (void)!file_remove_tree(trash, NULL);
}

static Status list_names(const char *spool, struct vec *names, struct err *err)
{
    DIR *dir = opendir(spool);
    struct dirent *e;
    Status st = STATUS_OK;

    if (!dir)
        return err_errno(err, errno, "Cannot read %s", spool);
    while (!st && (e = readdir(dir)) != NULL) {
        char *copy;

        if (e->d_name[0] == '.' || names->n >= SPOOL_JOBS_MAX)
            continue;
        copy = strdup(e->d_name);
        st = copy ? vec_push(names, copy) : STATUS_NOMEM;
        if (st)
            free(copy);
    }
    closedir(dir);
    return st;
}

Status spool_scan(const char *spool, void (*fn)(void *ctx, struct str id), void *ctx,
                  struct err *err)
{
    struct vec names = { 0 };
    Status st = list_names(spool, &names, err);

    for (size_t i = 0; i < names.n; i++) {
        const struct str name = str_z(names.at[i]);
        char path[SPOOL_PATH_MAX];

        if (!st && str_is_word(name) && spool_has(spool, name, "launch.json")) {
            fn(ctx, name);
        } else if (!st && (str_is_word(name) || str_starts(name, STR(TRASH)))) {
            (void)snprintf(path, sizeof(path), "%s/%s", spool, name.p);
            (void)!file_remove_tree(path, NULL);
        }
        free(names.at[i]);
    }
    vec_done(&names);
    return st;
}

static int open_stream(const char *spool, struct str id)
{
    char path[SPOOL_PATH_MAX];

    if (!spool_path(spool, id, "stream", path)) {
        errno = EINVAL;
        return -1;
    }
    return open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
}

Status spool_read_stream(const char *spool, struct str id, uint64_t offset, size_t max,
                         struct buf *out, bool *ret_alive, uint64_t *ret_size, struct err *err)
{
    char folder[SPOOL_PATH_MAX];
    const int fd = open_stream(spool, id);
    struct stat st;
    ssize_t n = 0;

    if (fd < 0)
        return err_errno(err, errno, "Cannot open the job's stream");
    if (!spool_path(spool, id, NULL, folder) || fstat(fd, &st) != 0) {
        close(fd);
        return err_set(err, STATUS_IO, NULL, "Cannot look at the job's stream");
    }
    /* First whether it lives, then what is there: so nothing can come behind "dead". */
    *ret_alive = super_alive(folder);
    if (fstat(fd, &st) == 0 && (uint64_t)st.st_size > offset) {
        const uint64_t left = (uint64_t)st.st_size - offset;
        const size_t want = left < max ? (size_t)left : max;

        if (buf_reserve(out, want) == STATUS_OK) {
            do
                n = pread(fd, out->p + out->n, want, (off_t)offset);
            while (n < 0 && errno == EINTR);
            if (n > 0)
                out->n += (size_t)n;
        } else {
            n = -1;
            errno = ENOMEM;
        }
    }
    *ret_size = (uint64_t)st.st_size;
    close(fd);
    return n < 0 ? err_errno(err, errno, "Cannot read the job's stream") : STATUS_OK;
}

bool spool_process(const char *spool, struct str id, struct spool_process *ret)
{
    const int fd = open_stream(spool, id);
    struct super_frame head;
    char text[128];
    struct str rest;
    struct str word;
    int64_t v[3] = { 0 };
    ssize_t n = -1;

    if (fd < 0)
        return false;
    if (pread(fd, &head, sizeof(head), 0) == (ssize_t)sizeof(head) && head.type == SUPER_STARTED &&
        le32toh(head.n) < sizeof(text))
        n = pread(fd, text, le32toh(head.n), sizeof(head));
    close(fd);
    if (n <= 0 || (uint32_t)n != le32toh(head.n))
        return false;
    rest = str_n(text, (size_t)n);
    for (size_t i = 0; i < COUNT_OF(v); i++) {
        if (!str_split(&rest, ' ', &word) || !str_to_i64(word, &v[i]))
            return false;
    }
    *ret = (struct spool_process){ .pid = (pid_t)v[0],
                                   .start_ticks = (uint64_t)v[1],
                                   .supervisor = (pid_t)v[2] };
    return ret->pid > 1;
}
