/* The baseline of durable changes: a bare loop that writes what one change writes (the object, its
 * history row, its activity row), a group of them in each transaction with synchronous=FULL, as
 * 64 waiting clients would allow. No HTTP, no JSON, no rights, no validation.
 *
 * Usage: bench_commits FOLDER OBJECT_BYTES GROUP SECONDS   (prints changes a second) */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static sqlite3 *db;

static void must(int rc)
{
    if (rc == SQLITE_OK || rc == SQLITE_DONE)
        return;
    (void)fprintf(stderr, "sqlite: %s\n", sqlite3_errmsg(db));
    exit(1);
}

static sqlite3_stmt *prepare(const char *sql)
{
    sqlite3_stmt *stmt = NULL;

    must(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL));
    return stmt;
}

static void put(sqlite3_stmt *stmt, const char *id, const char *json, int bytes)
{
    must(sqlite3_bind_text(stmt, 1, id, -1, SQLITE_STATIC));
    must(sqlite3_bind_text(stmt, 2, json, bytes, SQLITE_STATIC));
    must(sqlite3_step(stmt));
    must(sqlite3_reset(stmt));
}

static double now(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    char path[4096];
    long changes = 0;

    if (argc != 5)
        return 2;
    const int bytes = (int)strtol(argv[2], NULL, 10);
    const int group = (int)strtol(argv[3], NULL, 10);
    const double seconds = strtod(argv[4], NULL);
    char *json = malloc((size_t)bytes + 1);
    if (!json || bytes < 1 || group < 1)
        return 2;
    memset(json, 'x', (size_t)bytes);
    (void)snprintf(path, sizeof path, "%s/commits.db", argv[1]);
    must(sqlite3_open(path, &db));
    must(sqlite3_exec(db,
                      "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                      "CREATE TABLE defs(id TEXT NOT NULL PRIMARY KEY, json TEXT NOT NULL);"
                      "CREATE TABLE revisions(id TEXT NOT NULL PRIMARY KEY, json TEXT NOT NULL);"
                      "CREATE TABLE activity(id TEXT NOT NULL PRIMARY KEY, json TEXT NOT NULL);",
                      NULL, NULL, NULL));
    sqlite3_stmt *object = prepare("INSERT OR REPLACE INTO defs VALUES(?,?)");
    sqlite3_stmt *revision = prepare("INSERT INTO revisions VALUES(?,?)");
    sqlite3_stmt *activity = prepare("INSERT INTO activity VALUES(?,?)");
    const double begin = now();

    while (now() - begin < seconds) {
        must(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL));
        for (int i = 0; i < group; i++, changes++) {
            char id[32];

            (void)snprintf(id, sizeof id, "event:many%ld", changes % 256);
            put(object, id, json, bytes);
            (void)snprintf(id, sizeof id, "r%012ld", changes);
            put(revision, id, json, bytes);
            put(activity, id, json, bytes);
        }
        must(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL));
    }
    (void)printf("%.0f\n", (double)changes / (now() - begin));
    must(sqlite3_finalize(object));
    must(sqlite3_finalize(revision));
    must(sqlite3_finalize(activity));
    must(sqlite3_close(db));
    free(json);
    return 0;
}
