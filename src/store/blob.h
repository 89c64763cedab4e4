/* Blobs: logs, job files, uploads. A file below DIR/blobs at a path of the caller
 * ("files/jobs/ID/RND/name", "logs/jobs/ID.log.gz") with a metadata row (TABLE_BLOBS) put in the
 * same transaction as the record that names it; so after a crash a file without a row is garbage
 * (blob_sweep removes it after a day) and a row without a file cannot be: files are fsynced before
 * the row is committed.
 *
 * Paths are checked: characters [A-Za-z0-9_.-/], no empty or dot parts, at most BLOB_PATH_MAX. */
#ifndef STORE_BLOB_H
#define STORE_BLOB_H

#include "loop/lane.h"
#include "store/store.h"

#define BLOB_PATH_MAX 512

bool blob_path_ok(struct str path);
/* Absolute file name of a blob (needs not exist). INVALID for a bad path. */
Status blob_file(struct store *s, struct str path, char *out, size_t size) MUST_USE;
const char *blob_temp_dir(struct store *s); /* same file system: DIR/temp, emptied at start */

typedef void (*BlobFn)(void *arg, Status st, uint64_t size, const struct err *err);

/* Moves a finished temporary file into place: fsync, rename, fsync of the folders; on the disk
 * lane. */
Status blob_adopt(struct store *s, const char *temp_path, struct str path, BlobFn fn, void *arg,
                  struct err *err) MUST_USE;
/* Compresses src (a plain file) to the blob by gzip, then removes src when remove_src; on the zip
 * lane. */
Status blob_gzip(struct store *s, const char *src, struct str path, bool remove_src, BlobFn fn,
                 void *arg, struct err *err) MUST_USE;
/* Adds the metadata row / removes row (now) and file (after the commit). */
void blob_tx_put(struct store_tx *tx, struct str path, struct str owner, uint64_t size,
                 Usec created, Usec expires /* 0: never */);
void blob_tx_delete(struct store_tx *tx, struct str path);
/* The files of an owner ("job:ID"), row and file. */
void blob_tx_delete_owner(struct store_tx *tx, struct str owner);

/* Daily: removes expired blobs and files without a row older than a day. On the disk lane, in small
 * steps. */
void blob_sweep(struct store *s, Usec now);

struct lane *store_disk_lane(struct store *s);
struct lane *store_zip_lane(struct store *s);

#endif
