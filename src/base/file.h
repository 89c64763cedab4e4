/* Small files read and replaced whole; folders made and removed. Blocking: start-up, lanes, tools.
 */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include "base/buf.h"
#include "base/status.h"
#include "base/str.h"

#include <sys/types.h>

/* Appends the whole file to out; TOO_BIG when it passes out's maximum, MISSING when absent. */
Status file_read(const char *path, struct buf *out, struct err *err) MUST_USE;

/* Writes a temporary beside path, fsyncs it, renames it over path and fsyncs the folder: after OK
 * the new content survives power loss, before it the old one is intact. */
Status file_replace(const char *path, struct str content, mode_t mode, struct err *err) MUST_USE;

/* As mkdir -p; OK when it exists already as a folder. */
Status file_mkdirs(const char *path, mode_t mode, struct err *err) MUST_USE;

/* As rm -r, never following links. OK when absent. */
Status file_remove_tree(const char *path, struct err *err) MUST_USE;

/* Writes all n bytes or fails (EINTR and short writes handled). 0 or -errno. */
int file_write_all(int fd, const void *p, size_t n);

#endif
