/* Small files whole, and folders.
 *
 * The one idea: a rename is the moment a file changes, and it counts only once file and folder are
 * on the disk (fsync of both). Removing a tree works on descriptors and never follows a link, so
 * that a folder swapped for a link cannot lead it elsewhere; folders nested deeper than we hold
 * descriptors are first moved up to the top. */
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_READ_STEP      (64u * 1024u)
#define FILE_TREE_DEPTH_MAX 32

/* 0 or -errno; -EFBIG when there is more than fits. */
static int read_all(int fd, struct buf *out)
{
    for (;;) {
        const size_t left = out->max - out->n;
        const size_t want = left < FILE_READ_STEP ? left : FILE_READ_STEP;
        char beyond;
        ssize_t got;

        if (want && buf_reserve(out, want))
            return -ENOMEM;
        got = want ? read(fd, out->p + out->n, want) : read(fd, &beyond, 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            return 0;
        if (want == 0)
            return -EFBIG;
        out->n += (size_t)got;
    }
}

Status file_read(const char *path, struct buf *out, struct err *err)
{
    const size_t before = out->n;
    int fd, r;

    if (out->failed)
        return err_set(err, STATUS_FULL, NULL, "cannot read %s: no room left", path);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, errno, "cannot open %s", path);
    r = read_all(fd, out);
    (void)close(fd);
    if (r == 0)
        return STATUS_OK;
    out->n = before;
    return err_errno(err, -r, "cannot read %s", path);
}

int file_write_all(int fd, const void *p, size_t n)
{
    const char *at = p;

    while (n) {
        const ssize_t put = write(fd, at, n);

        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return -errno;
        at += put;
        n -= (size_t)put;
    }
    return 0;
}

/* The folder that holds path: "/a" gives "/", "a" gives ".". */
static void folder_of(const char *path, char out[PATH_MAX])
{
    const char *slash = strrchr(path, '/');

    if (!slash)
        slash = path;
    (void)str_copy_z(slash == path ? str_z(*path == '/' ? "/" : ".")
                                   : str_n(path, (size_t)(slash - path)),
                     out, PATH_MAX);
}

/* 0 or -errno. */
static int sync_folder_of(const char *path)
{
    char folder[PATH_MAX];
    int fd, r;

    folder_of(path, folder);
    fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    r = fsync(fd) < 0 ? -errno : 0;
    (void)close(fd);
    return r;
}

static int fill_file(int fd, struct str content, mode_t mode)
{
    const int r = file_write_all(fd, content.p, content.n);

    if (r)
        return r;
    if (fchmod(fd, mode) < 0 || fsync(fd) < 0)
        return -errno;
    return 0;
}

Status file_replace(const char *path, struct str content, mode_t mode, struct err *err)
{
    char tmp[PATH_MAX];
    int fd, r;

    if (snprintf(tmp, sizeof tmp, "%s.XXXXXX", path) >= (int)sizeof tmp)
        return err_errno(err, ENAMETOOLONG, "cannot write %s", path);
    fd = mkostemp(tmp, O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, errno, "cannot write %s", path);
    r = fill_file(fd, content, mode);
    if (close(fd) < 0 && r == 0)
        r = -errno;
    if (r == 0 && rename(tmp, path) < 0)
        r = -errno;
    if (r) {
        (void)unlink(tmp);
        return err_errno(err, -r, "cannot write %s", path);
    }
    r = sync_folder_of(path);
    if (r)
        return err_errno(err, -r, "cannot sync the folder of %s", path);
    return STATUS_OK;
}

/* One level; 0 or -errno. A folder just made is synced into its parent. */
static int make_folder(const char *path, mode_t mode)
{
    struct stat st;

    if (mkdir(path, mode) == 0)
        return sync_folder_of(path);
    if (errno != EEXIST)
        return -errno;
    if (stat(path, &st) < 0)
        return -errno;
    return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

Status file_mkdirs(const char *path, mode_t mode, struct err *err)
{
    char part[PATH_MAX];
    int r = 0;

    if (*path == '\0' || !str_copy_z(str_z(path), part, sizeof part))
        return err_errno(err, *path ? ENAMETOOLONG : ENOENT, "cannot make folder %s", path);
    for (size_t n = strlen(part); n > 1 && part[n - 1] == '/'; n--)
        part[n - 1] = '\0';
    for (char *slash = strchr(part + 1, '/'); slash && r == 0; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        r = make_folder(part, mode);
        *slash = '/';
    }
    if (r == 0)
        r = make_folder(part, mode);
    return r ? err_errno(err, -r, "cannot make folder %s", path) : STATUS_OK;
}

struct tree_walk {
    int top;        /* the folder that is being emptied */
    unsigned moved; /* makes names for folders moved up */
    bool again;     /* something was moved up: go over the top once more */
};

static int remove_inside(struct tree_walk *w, int fd, int depth);

/* Moves a folder that lies too deep to the top, under a name of ours. */
static int move_up(struct tree_walk *w, int fd, const char *name)
{
    char fresh[64];

    for (int try = 0; try < 1000; try++) {
        (void)snprintf(fresh, sizeof fresh, ".removing.%ld.%u", (long)getpid(), w->moved++);
        if (renameat2(fd, name, w->top, fresh, RENAME_NOREPLACE) == 0) {
            w->again = true;
            return 0;
        }
        if (errno != EEXIST)
            return errno == ENOENT ? 0 : -errno;
    }
    return -EEXIST;
}

static int remove_entry(struct tree_walk *w, int fd, const char *name, int depth)
{
    int sub, r;

    if (unlinkat(fd, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR && errno != EPERM)
        return -errno;
    if (unlinkat(fd, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
        return 0;
    if (errno != ENOTEMPTY && errno != EEXIST)
        return -errno;
    if (depth >= FILE_TREE_DEPTH_MAX)
        return move_up(w, fd, name);
    sub = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (sub < 0)
        return errno == ENOENT ? 0 : -errno;
    r = remove_inside(w, sub, depth + 1);
    if (r)
        return r;
    return unlinkat(fd, name, AT_REMOVEDIR) == 0 || errno == ENOENT ? 0 : -errno;
}

/* Empties the folder at fd and closes it. 0 or -errno. */
static int remove_inside(struct tree_walk *w, int fd, int depth)
{
    DIR *dir = fdopendir(fd);
    const struct dirent *entry;
    int r = 0;

    if (!dir) {
        r = -errno;
        (void)close(fd);
        return r;
    }
    while (r == 0) {
        errno = 0;
        entry = readdir(dir);
        if (!entry) {
            r = -errno;
            break;
        }
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            r = remove_entry(w, fd, entry->d_name, depth);
    }
    (void)closedir(dir);
    return r;
}

static int empty_folder(int top)
{
    struct tree_walk w = { .top = top };
    int r;

    do {
        const int fd = openat(top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        w.again = false;
        if (fd < 0)
            return -errno;
        r = remove_inside(&w, fd, 0);
    } while (r == 0 && w.again);
    return r;
}

Status file_remove_tree(const char *path, struct err *err)
{
    int top, r;

    if (unlink(path) == 0 || errno == ENOENT)
        return STATUS_OK;
    if (errno != EISDIR && errno != EPERM)
        return err_errno(err, errno, "cannot remove %s", path);
    top = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (top < 0)
        return err_errno(err, errno, "cannot remove %s", path);
    r = empty_folder(top);
    (void)close(top);
    if (r == 0 && rmdir(path) < 0 && errno != ENOENT)
        r = -errno;
    return r ? err_errno(err, -r, "cannot remove %s", path) : STATUS_OK;
}
