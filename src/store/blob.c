/* Blobs: files by path below DIR/blobs and their metadata rows. A file is whole and on disk (fsync
 * of the file and of every folder made for it) before its row can be committed; a file goes after
 * its row has. So a crash leaves at most files without rows, which blob_sweep collects.
 *
 * What happens inside a file is not known here. */
#include "store/blob.h"

#include "base/file.h"
#include "store/blob_int.h"
#include "store/sqlite_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

static bool part_ok(struct str part)
{
    if (part.n == 0 || part.n > NAME_MAX || part.p[0] == '.')
        return false; /* also "." and "..", and names hidden from a listing */
    for (size_t i = 0; i < part.n; i++) {
        const char c = part.p[i];
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                           (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
        if (!plain)
            return false;
    }
    return true;
}

bool blob_path_ok(struct str path)
{
    struct str rest = path;
    struct str part;

    if (path.n == 0 || path.n > BLOB_PATH_MAX || path.p[path.n - 1] == '/')
        return false;
    while (str_split(&rest, '/', &part))
        if (!part_ok(part))
            return false;
    return true;
}

Status blob_file(struct store *s, struct str path, char *out, size_t size)
{
    if (!blob_path_ok(path))
        return STATUS_INVALID;
    const int n = snprintf(out, size, "%s/blobs/%.*s", s->dir, STR_FMT(path));
    return n > 0 && (size_t)n < size ? STATUS_OK : STATUS_INVALID;
}

const char *blob_temp_dir(struct store *s)
{
    return s->temp;
}

struct lane *store_disk_lane(struct store *s)
{
    return s->disk_lane;
}

struct lane *store_zip_lane(struct store *s)
{
    return s->zip_lane;
}

Status blob_init(struct store *s, struct err *err)
{
    char blobs[BLOB_FILE_MAX];

    const int n = snprintf(blobs, sizeof blobs, "%s/blobs", s->dir);
    if (n < 0 || (size_t)n + BLOB_PATH_MAX + 2 > sizeof blobs)
        return err_set(err, STATUS_INVALID, NULL, "the path of the store is too long");
    Status st = file_mkdirs(blobs, 0700, err);
    if (!st)
        st = file_remove_tree(s->temp, err);
    if (!st)
        st = file_mkdirs(s->temp, 0700, err);
    return st;
}

int blob_fsync_dir(const char *path)
{
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return -1;
    const int rc = fsync(fd);
    const int error = errno;
    (void)close(fd);
    errno = error;
    return rc;
}

void blob_unlink(struct store *s, struct str path)
{
    char file[BLOB_FILE_MAX];

    if (blob_file(s, path, file, sizeof file))
        return;
    (void)unlink(file); /* what cannot be removed now is swept later */

    /* Empty folders go too, up to DIR/blobs; rmdir refuses one that is not empty. */
    const size_t root = strlen(s->dir) + strlen("/blobs");
    for (char *slash = strrchr(file, '/'); slash && (size_t)(slash - file) > root;
         slash = strrchr(file, '/')) {
        *slash = '\0';
        if (rmdir(file))
            return;
    }
}

/* Makes the folders of `file` below DIR/blobs; each new one is synced into its parent. 0 or an
 * errno. */
static int folders_make(struct store *s, char *file)
{
    const size_t root = strlen(s->dir) + strlen("/blobs");

    for (char *slash = strchr(file + root + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        int error = 0;

        *slash = '\0';
        const int rc = mkdir(file, 0700);
        if (rc && errno != EEXIST)
            error = errno;
        if (!rc && !s->fast_unsafe) {
            char *parent = strrchr(file, '/');
            *parent = '\0';
            if (blob_fsync_dir(file))
                error = errno;
            *parent = '/';
        }
        *slash = '/';
        if (error)
            return error;
    }
    return 0;
}

Status blob_place(struct store *s, const char *temp, struct str path, struct err *err)
{
    char file[BLOB_FILE_MAX];

    if (blob_file(s, path, file, sizeof file))
        return err_set(err, STATUS_INVALID, NULL, "not a path of a stored file");
    for (unsigned tries = 0;; tries++) {
        int error = folders_make(s, file);
        if (!error && rename(temp, file))
            error = errno;
        if (!error)
            break;
        /* A deletion beside us may take an empty folder away between its making and the rename. */
        if (error != ENOENT || tries >= BLOB_PLACE_TRIES || access(temp, F_OK))
            return err_errno(err, error, "cannot put the file %s in its place", file);
    }
    *strrchr(file, '/') = '\0';
    if (!s->fast_unsafe && blob_fsync_dir(file))
        return err_errno(err, errno, "cannot sync %s", file);
    return STATUS_OK;
}

/* ---- blob_adopt ---- */

static void adopt_run(struct lane_work *w)
{
    struct blob_work *b = CONTAINER_OF(w, struct blob_work, work);
    struct stat info;
    const int fd = open(b->src, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    if (fd < 0) {
        b->st = err_errno(&b->err, errno, "cannot open %s", b->src);
        return;
    }
    if (fstat(fd, &info) || (!b->store->fast_unsafe && fsync(fd)))
        b->st = err_errno(&b->err, errno, "cannot write %s", b->src);
    else if (!S_ISREG(info.st_mode))
        b->st = err_set(&b->err, STATUS_INVALID, NULL, "not a plain file: %s", b->src);
    else
        b->size = (uint64_t)info.st_size;
    (void)close(fd);
    if (!b->st)
        b->st = blob_place(b->store, b->src, str_z(b->path), &b->err);
}

static void blob_done(struct lane_work *w)
{
    struct blob_work *b = CONTAINER_OF(w, struct blob_work, work);

    if (b->fn)
        b->fn(b->arg, b->st, b->st ? 0 : b->size, b->st ? &b->err : NULL);
    free(b->src);
    free(b);
}

Status blob_post(struct store *s, struct lane *lane, LaneWorkFn run, const char *src,
                 struct str path, bool remove_src, BlobFn fn, void *arg, struct err *err)
{
    if (!blob_path_ok(path))
        return err_set(err, STATUS_INVALID, NULL, "not a path of a stored file");
    if (s->closing)
        return err_set(err, STATUS_CLOSED, NULL, "the store is closing");
    struct blob_work *b = calloc(1, sizeof *b);
    if (b)
        b->src = strdup(src);
    if (!b || !b->src) {
        free(b);
        return err_set(err, STATUS_NOMEM, NULL, "out of memory");
    }
    b->work = (struct lane_work){ .work = run, .done = blob_done };
    b->store = s;
    b->remove_src = remove_src;
    b->fn = fn;
    b->arg = arg;
    (void)str_copy_z(path, b->path, sizeof b->path);
    Status st = lane_post(lane, &b->work);
    if (st) {
        free(b->src);
        free(b);
        return err_set(err, st, NULL, "too much work waits for the disk");
    }
    return STATUS_OK;
}

Status blob_adopt(struct store *s, const char *temp_path, struct str path, BlobFn fn, void *arg,
                  struct err *err)
{
    return blob_post(s, s->disk_lane, adopt_run, temp_path, path, false, fn, arg, err);
}

/* ---- rows ---- */

void blob_tx_put(struct store_tx *tx, struct str path, struct str owner, uint64_t size,
                 Usec created, Usec expires)
{
    const struct store_value columns[BLOBS_COLUMNS] = {
        [BLOBS_OWNER] = store_text(owner),
        [BLOBS_SIZE] = store_int(size > INT64_MAX ? INT64_MAX : (int64_t)size),
        [BLOBS_CREATED] = store_int(created),
        [BLOBS_EXPIRES] = expires > 0 ? store_int(expires) : store_text(STR_NONE),
    };

    /* A bad path is refused like any other bad id. */
    store_tx_put(tx, TABLE_BLOBS, blob_path_ok(path) ? path : STR_NONE, STR("{}"), columns,
                 BLOBS_COLUMNS);
}

void blob_tx_delete(struct store_tx *tx, struct str path)
{
    if (blob_path_ok(path))
        (void)store_tx_op(tx, STORE_DELETE_BLOB, TABLE_BLOBS, path, STR_NONE, NULL, 0);
}

void blob_tx_delete_owner(struct store_tx *tx, struct str owner)
{
    if (owner.p)
        (void)store_tx_op(tx, STORE_DELETE_OWNER, TABLE_BLOBS, owner, STR_NONE, NULL, 0);
}
