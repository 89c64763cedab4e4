/* Compressing a finished file into a blob, in a stream of small pieces: memory does not depend on
 * the size of the file. The result is written to a temporary first, so a crash leaves the source as
 * it was. */
#include "base/file.h"
#include "store/blob_int.h"
#include "store/sqlite_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <zlib.h>

#define GZIP_PIECE       (64u * 1024)
#define GZIP_LEVEL       6
#define GZIP_WINDOW_BITS (15 + 16) /* zlib: 16 more asks for a gzip header */

struct gzip {
    z_stream z;
    int in, out;
    uint64_t size; /* written */
    unsigned char plain[GZIP_PIECE];
    unsigned char packed[GZIP_PIECE];
};

static Status piece_deflate(struct gzip *g, int flush, struct err *err)
{
    do {
        g->z.next_out = g->packed;
        g->z.avail_out = sizeof g->packed;
        (void)deflate(&g->z, flush); /* cannot fail: the state is ours, there is room */
        const size_t n = sizeof g->packed - g->z.avail_out;
        const int rc = file_write_all(g->out, g->packed, n);
        if (rc)
            return err_errno(err, -rc, "cannot write the compressed file");
        g->size += n;
    } while (g->z.avail_out == 0);
    return STATUS_OK;
}

static Status stream_deflate(struct gzip *g, struct err *err)
{
    for (;;) {
        const ssize_t n = read(g->in, g->plain, sizeof g->plain);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(err, errno, "cannot read the file to compress");
        g->z.next_in = g->plain;
        g->z.avail_in = (uInt)n;
        Status st = piece_deflate(g, n == 0 ? Z_FINISH : Z_NO_FLUSH, err);
        if (st || n == 0)
            return st;
    }
}

static Status files_deflate(int in, int out, bool sync, uint64_t *ret_size, struct err *err)
{
    struct gzip *g = calloc(1, sizeof *g);

    if (!g || deflateInit2(&g->z, GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW_BITS, 8,
                           Z_DEFAULT_STRATEGY) != Z_OK) {
        free(g);
        return err_set(err, STATUS_NOMEM, NULL, "out of memory");
    }
    g->in = in;
    g->out = out;
    Status st = stream_deflate(g, err);
    (void)deflateEnd(&g->z);
    if (!st && sync && fsync(out))
        st = err_errno(err, errno, "cannot sync the compressed file");
    if (!st)
        *ret_size = g->size;
    free(g);
    return st;
}

static void gzip_run(struct lane_work *w)
{
    struct blob_work *b = CONTAINER_OF(w, struct blob_work, work);
    char temp[BLOB_FILE_MAX];
    const int n = snprintf(temp, sizeof temp, "%s/gzip-XXXXXX", b->store->temp);
    const int in = open(b->src, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    if (in < 0) {
        b->st = err_errno(&b->err, errno, "cannot open %s", b->src);
        return;
    }
    const int out = n > 0 && (size_t)n < sizeof temp ? mkostemp(temp, O_CLOEXEC) : -1;
    if (out < 0) {
        b->st = err_errno(&b->err, errno, "cannot make a temporary file");
        (void)close(in);
        return;
    }
    b->st = files_deflate(in, out, !b->store->fast_unsafe, &b->size, &b->err);
    (void)close(in);
    if (close(out) && !b->st)
        b->st = err_errno(&b->err, errno, "cannot write the compressed file");
    if (!b->st)
        b->st = blob_place(b->store, temp, str_z(b->path), &b->err);
    if (b->st)
        (void)unlink(temp);
    else if (b->remove_src)
        (void)unlink(b->src);
}

Status blob_gzip(struct store *s, const char *src, struct str path, bool remove_src, BlobFn fn,
                 void *arg, struct err *err)
{
    return blob_post(s, s->zip_lane, gzip_run, src, path, remove_src, fn, arg, err);
}
