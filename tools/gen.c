/* Writes the documents that follow from the API's tables: one page a family of calls, an index, and
 * openapi.json, into the folder given. script/gen runs it and compares.
 *
 * Knows nothing of the calls themselves: the text comes from api/. */
#include <stdio.h>
#include <stdlib.h>

#include <yyjson.h>

#include "api/api.h"
#include "base/file.h"

#define GEN_PAGE_MAX (16u << 20)

static Status write_page(const char *dir, const char *name, struct str content, struct err *err)
{
    char path[1024];
    int n = snprintf(path, sizeof(path), "%s/%s", dir, name);

    if (n < 0 || (size_t)n >= sizeof(path))
        return err_set(err, STATUS_INVALID, NULL, "path too long: %s/%s", dir, name);
    return file_replace(path, content, 0644, err);
}

static Status write_family(const char *dir, const char *family, struct err *err)
{
    AUTO_BUF struct buf page = { 0 };
    char name[128];
    Status st;

    buf_init(&page, GEN_PAGE_MAX);
    st = api_markdown(family, &page);
    if (st)
        return err_set(err, st, NULL, "no page for %s: %s", family, status_text(st));
    (void)snprintf(name, sizeof(name), "%s.md", family);
    return write_page(dir, name, buf_str(&page), err);
}

/* Indented, so that a change of one call is a change of its lines only. */
static Status write_openapi(const char *dir, struct err *err)
{
    AUTO_BUF struct buf text = { 0 };
    yyjson_doc *doc;
    char *pretty = NULL;
    size_t n = 0;
    Status st;

    buf_init(&text, GEN_PAGE_MAX);
    st = api_openapi(&text);
    if (st)
        return err_set(err, st, NULL, "no openapi.json: %s", status_text(st));
    doc = yyjson_read(text.p, text.n, 0);
    if (doc)
        pretty =
            yyjson_write(doc, YYJSON_WRITE_PRETTY_TWO_SPACES | YYJSON_WRITE_NEWLINE_AT_END, &n);
    yyjson_doc_free(doc);
    if (!pretty)
        return err_set(err, STATUS_INVALID, NULL, "openapi.json is not JSON");
    st = write_page(dir, "openapi.json", (struct str){ .p = pretty, .n = n }, err);
    free(pretty);
    return st;
}

static bool family_seen(const struct api_row *const *rows, size_t n, const char *family)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(rows[i]->family, family) == 0)
            return true;
    return false;
}

static void list_calls(struct buf *index, const struct api_row *const *rows, size_t n,
                       const char *family)
{
    const char *comma = "";

    (void)buf_printf(index, "| [%s](%s.md) | ", family, family);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(rows[i]->family, family) != 0)
            continue;
        (void)buf_printf(index, "%s`%s`", comma, rows[i]->name);
        comma = " ";
    }
    (void)buf_add_z(index, " |\n");
}

static Status write_all(const char *dir, struct err *err)
{
    AUTO_BUF struct buf index = { 0 };
    const struct api_row *const *rows;
    size_t n = 0;
    Status st = STATUS_OK;

    buf_init(&index, GEN_PAGE_MAX);
    (void)buf_add_z(&index, "# The API, call by call\n\n"
                            "Written by `script/gen` from the tables in `src/api`; do not edit.\n"
                            "The same as OpenAPI: [openapi.json](openapi.json).\n\n"
                            "| family | calls |\n|---|---|\n");
    rows = api_rows(&n);
    for (size_t i = 0; i < n && !st; i++) {
        if (family_seen(rows, i, rows[i]->family))
            continue;
        list_calls(&index, rows, n, rows[i]->family);
        st = write_family(dir, rows[i]->family, err);
    }
    if (!st && index.failed)
        st = err_set(err, STATUS_NOMEM, NULL, "the index does not fit");
    if (!st)
        st = write_page(dir, "README.md", buf_str(&index), err);
    return st ? st : write_openapi(dir, err);
}

int main(int argc, char **argv)
{
    struct err err = { 0 };

    if (argc != 2) {
        (void)fprintf(stderr, "usage: orrery-gen DIR\n");
        return 2;
    }
    if (write_all(argv[1], &err)) {
        (void)fprintf(stderr, "orrery-gen: %s\n", err.text);
        return 1;
    }
    return 0;
}
