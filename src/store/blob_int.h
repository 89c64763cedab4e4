/* What the files of the blobs share, inside this room only. */
#ifndef STORE_BLOB_INT_H
#define STORE_BLOB_INT_H

#include "loop/lane.h"
#include "store/blob.h"

#include <limits.h>

#define BLOB_FILE_MAX    4096 /* absolute name of a blob */
#define BLOB_PLACE_TRIES 16u
#define BLOB_GRACE       USEC_DAY      /* a file without a row may be that young */
#define BLOB_SWEEP_STEP  LIMIT(200, 2) /* expired rows, or files looked at, a step */

struct blob_work {
    struct lane_work work;
    struct store *store;
    char *src; /* owned */
    char path[BLOB_PATH_MAX + 1];
    bool remove_src;
    uint64_t size;
    Status st;
    struct err err;
    BlobFn fn;
    void *arg;
};

/* Posts run on the lane; it finds CONTAINER_OF(w, struct blob_work, work) and sets st, err, size.
 */
Status blob_post(struct store *s, struct lane *lane, LaneWorkFn run, const char *src,
                 struct str path, bool remove_src, BlobFn fn, void *arg, struct err *err) MUST_USE;

/* Renames the synced file `temp` to its place, durably. Lane threads. */
Status blob_place(struct store *s, const char *temp, struct str path, struct err *err) MUST_USE;

#endif
