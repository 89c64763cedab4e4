/* Migrations: the database's format, step by step, forward only. Step N brings format N-1 to N. */
#ifndef STORE_MIGRATIONS_H
#define STORE_MIGRATIONS_H

#include "base/status.h"

struct sqlite3;

#define STORE_APPLICATION_ID 0x4f727279 /* "Orry", in the header of the file */

/* Checks that the file is ours (or empty) and not newer than STORE_FORMAT. Changes nothing.
 * *ret_format is the format found, 0 for an empty file. CORRUPT, UNSUPPORTED or an input/output
 * error. */
Status store_format_read(struct sqlite3 *h, const char *file, int *ret_format,
                         struct err *err) MUST_USE;

/* Runs the missing steps, each in its own transaction. */
Status store_migrate(struct sqlite3 *h, int format, struct err *err) MUST_USE;

/* Every table of tables.h is there with its columns. CORRUPT otherwise. */
Status store_schema_check(struct sqlite3 *h, struct err *err) MUST_USE;

#endif
