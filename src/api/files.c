/* Files of people (reference/api-operations.md 6): uploads, and reading stored files by their path.
 * Reading needs no credentials; that a path cannot be guessed is what protects it. */
#include "api/api_int.h"

#include <stdio.h>

/* ---- uploads ---- */

static void urls_stored(struct api_call *c, void *arg, const struct api_stored *files, size_t n)
{
    struct buf out;
    struct json_writer w;

    (void)arg;
    if (n == 0) {
        api_error(c, "file", "No file data was uploaded.");
        return;
    }
    w = api_reply_begin(c, &out);
    json_arr(&w, "urls");
    for (size_t i = 0; i < n; i++) {
        struct str url =
            arena_printf(c->arena, "%s/%.*s", c->world->base_url, STR_FMT(files[i].path));

        json_put_str(&w, NULL, url.p ? url : files[i].path);
    }
    json_end(&w);
    api_reply_end(c, &w, &out);
}

static void upload_files(struct api_call *c)
{
    api_store_files(c, API_PLACE_USER, STR_NONE, urls_stored, NULL);
}

static void input_stored(struct api_call *c, void *arg, const struct api_stored *files, size_t n)
{
    struct buf out;
    struct json_writer w;

    (void)arg;
    if (n == 0) {
        api_error(c, "file", "No file data was uploaded.");
        return;
    }
    w = api_reply_begin(c, &out);
    json_arr(&w, "files");
    for (size_t i = 0; i < n; i++)
        api_put_file(c, &w, &files[i]);
    json_end(&w);
    api_reply_end(c, &w, &out);
}

static void upload_job_input_files(struct api_call *c)
{
    api_store_files(c, API_PLACE_USER_RANDOM, STR_NONE, input_stored, NULL);
}

/* ---- reading ---- */

/* What a browser would run as a page of ours is only ever saved. */
static bool is_active_content(struct str type)
{
    static const char *const words[] = { "text/html", "xml", "svg", "javascript" };

    for (size_t i = 0; i < COUNT_OF(words); i++) {
        if (str_find(type, str_z(words[i])) < type.n)
            return true;
    }
    return false;
}

static struct str base_name(struct str path)
{
    for (size_t i = path.n; i-- > 0;) {
        if (path.p[i] == '/')
            return str_slice(path, i + 1, path.n);
    }
    return path;
}

static const char *download_name(struct api_call *c, struct str path, const char *type)
{
    yyjson_val *v = json_get(c->query, "download");
    const struct str name = json_val_str(v);
    const bool named = name.n && !str_eq_z(name, "true");

    if (!json_truthy(v) && !is_active_content(str_z(type)))
        return NULL;
    return arena_dup_z(c->arena, named ? name : base_name(path));
}

void api_serve_file(struct api_call *c, struct str path)
{
    struct str key = http_url_decode(c->arena, path, false);
    struct http_file f = { .length = -1 };
    char file[4096];

    while (key.n && key.p[0] == '/')
        key = str_slice(key, 1, key.n);
    if (key.n == 0) {
        api_reply_text(c, 400, "400 Bad Request");
        return;
    }
    if (!str_starts(key, STR("files/")))
        key = arena_printf(c->arena, "files/%.*s", STR_FMT(key));
    if (!key.p || blob_file(c->world->store, key, file, sizeof file)) {
        api_reply_text(c, 404, "404 Not Found");
        return;
    }
    f.path = file;
    f.content_type = http_content_type(key);
    f.download_name = download_name(c, key, f.content_type);
    (void)http_reply_header(c->req, "X-Content-Type-Options", STR("nosniff"));
    (void)http_reply_header(c->req, "Content-Security-Policy", STR("default-src 'none'; sandbox"));
    http_reply_file(c->req, &f);
}

static void file(struct api_call *c)
{
    const struct str path = api_param_text(c, "path");
    struct str rest = c->rest;
    struct str part = STR_NONE;

    if (path.n) {
        api_serve_file(c, path);
        return;
    }
    if (c->versioned) /* file/v1/PATH */
        (void)str_split(&rest, '/', &part);
    api_serve_file(c, rest);
}

static const struct prop read_in[] = {
    { .name = "path",
      .type = P_TEXT,
      .flags = P_LOOSE,
      .max = BLOB_PATH_MAX,
      .doc = "Path of the file; it may stand in the URL instead, as in `/files/PATH`." },
    { .name = "download",
      .type = P_JSON,
      .max = 1024,
      .doc = "1 or a file name: the file is sent as a download." },
    { 0 },
};

const struct api_row api_file_rows[] = {
    { API_ROW("file", "files", PUBLIC, NONE), .flags = API_STREAMS | API_QUERY_ONLY, .in = read_in,
      .example = "{\"path\":\"files/jobs/jmx1/RANDOM/report.csv\"}",
      .doc = "Sends a stored file; ranges and conditional requests are answered.", .fn = file },
    { API_ROW("upload_files", "files", NONE, NONE), .flags = API_FILES | API_BIG_FILES,
      .out = "urls", .errors = "api file",
      .doc = "Stores files sent as multipart, under the caller's name.", .fn = upload_files },
    { API_ROW("upload_job_input_files", "files", RUN_JOBS, NONE),
      .flags = API_FILES | API_BIG_FILES, .out = "files", .errors = "api access file",
      .doc = "Stores files sent as multipart, for `input.files` of run_event.",
      .fn = upload_job_input_files },
    { 0 },
};
