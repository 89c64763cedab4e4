/* Files on the disk lane, block by block, for bodies that are too big for memory: a reader and a
 * writer with at most two blocks each. Inside of room http.
 *
 * Owner: whoever opened; reader_close and writer_abort may be called any time (also while the lane
 * is at work: the object goes when it is back) and no callback comes after them. A full lane is
 * tried again. */
#ifndef HTTP_DISK_H
#define HTTP_DISK_H

#include "base/buf.h"
#include "base/clock.h"
#include "loop/lane.h"

#define DISK_BLOCK LIMIT(128u * 1024, 512u)

struct reader;
struct writer;

struct file_facts {
    uint64_t size;
    Usec mtime;
};

struct reader_ops {
    void (*on_open)(void *arg, Status st, const struct file_facts *facts, const struct err *err);
    /* A block, malloc'ed: yours. n = 0 (p NULL): the file ends here. */
    void (*on_block)(void *arg, Status st, uint8_t *p, size_t n, const struct err *err);
};

/* Only regular files. BUSY when the lane is full. */
Status reader_open(struct loop *l, struct lane *disk, const char *path,
                   const struct reader_ops *ops, void *arg, struct reader **ret) MUST_USE;
void reader_next(struct reader *r, uint64_t offset, size_t n); /* one at a time */
void reader_close(struct reader *r);                           /* NULL is fine */

struct writer_ops {
    void (*on_drain)(void *arg); /* after writer_congested was true; may be NULL */
    void (*on_done)(void *arg, Status st, uint64_t size, const uint8_t sha256[32],
                    const struct err *err); /* after writer_finish, or early when a write failed */
};

/* Creates path (0600), which must not exist, by the first write on the lane. At the end it is
 * renamed to final (NULL: stays). NULL when out of memory. */
struct writer *writer_open(struct loop *l, struct lane *disk, const char *path, const char *final,
                           const struct writer_ops *ops, void *arg);
Status writer_write(struct writer *w, const void *p, size_t n);
bool writer_congested(const struct writer *w);
void writer_finish(struct writer *w); /* writes the rest; after on_done the writer is gone */
void writer_abort(struct writer *w);  /* removes the file; NULL is fine */

#endif
