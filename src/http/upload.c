/* multipart/form-data of a request: fields into the request's arena, files into a folder by the
 * disk lane. The connection is paused while the lane is behind.
 *
 * The state belongs to the request's arena and goes with it; writers still at work then are
 * aborted, and abort removes their files. After success the files are the caller's. */
#include "http/http_int.h"

#include "crypto/crypto.h"
#include "http/disk.h"
#include "http/multipart.h"

#include <stdio.h>
#include <stdlib.h>

struct upload;

struct upload_file {
    struct upload *u;
    struct writer *writer; /* NULL once done */
    size_t part;
    char *path;
    bool complete;
};

struct upload {
    struct http_request *r;
    struct multipart_parser *parser;
    const char *folder;
    MultipartFn fn;
    void *arg;
    uint64_t body_max;
    uint64_t seen;
    struct multipart_form form;
    size_t cap;
    struct vec files;         /* struct upload_file */
    struct upload_file *file; /* of the current part */
    struct buf field;
    size_t n_fields;
    size_t working; /* writers not done */
    bool is_file;
    bool skipping; /* a file input left empty: no name, no data */
    bool body_over;
    bool told;
    Status st;
    struct err err;
};

bool http_request_is_multipart(const struct http_request *r)
{
    const struct str type = http_request_header(r, "Content-Type");

    return str_eq_nocase(str_trim(str_slice(type, 0, str_find_char(type, ';'))),
                         STR("multipart/form-data"));
}

static struct str request_boundary(const struct http_request *r)
{
    struct str rest = http_request_header(r, "Content-Type");
    struct str part;

    while (str_split(&rest, ';', &part)) {
        struct str value;
        part = str_trim(part);
        if (!str_starts_nocase(part, STR("boundary=")))
            continue;
        value = str_slice(part, 9, part.n);
        if (value.n >= 2 && value.p[0] == '"' && value.p[value.n - 1] == '"')
            value = str_slice(value, 1, value.n - 1);
        return value;
    }
    return STR_NONE;
}

/* ---- ends ---- */

static void file_free(struct upload_file *f, bool remove_it)
{
    if (f->writer)
        writer_abort(f->writer);
    else if (f->complete && remove_it)
        (void)unlink(f->path);
    free(f->path);
    free(f);
}

static void files_drop(struct upload *u, bool remove_them)
{
    for (size_t i = 0; i < u->files.n; i++)
        file_free(u->files.at[i], remove_them);
    vec_done(&u->files);
    u->files = (struct vec){ 0 };
    u->file = NULL;
    u->working = 0;
}

/* With the arena, at the end of the request. */
static void upload_free(void *arg)
{
    struct upload *u = arg;

    files_drop(u, !u->told || u->st);
    multipart_free(u->parser);
    buf_done(&u->field);
    free(u->form.parts);
    free(u);
}

static void tell(struct upload *u)
{
    if (u->told)
        return;
    u->told = true;
    if (u->st) {
        files_drop(u, true);
        u->r->keep_alive = false; /* the rest of the body is not worth waiting for */
    }
    request_hold(u->r);
    u->fn(u->arg, u->r, u->st, u->st ? NULL : &u->form, &u->err);
    request_release(u->r);
}

static void fail(struct upload *u, Status st, const char *text)
{
    if (u->st || u->told)
        return;
    u->st = err_set(&u->err, st, NULL, "%s", text);
    tell(u);
}

static void maybe_over(struct upload *u)
{
    if (u->body_over && u->working == 0 && !u->st)
        tell(u);
}

/* ---- parts ---- */

static struct multipart_part *add_part(struct upload *u)
{
    if (u->form.n == u->cap) {
        const size_t cap = u->cap ? u->cap * 2 : 8;
        struct multipart_part *more = realloc(u->form.parts, cap * sizeof *more);
        if (!more)
            return NULL;
        u->form.parts = more;
        u->cap = cap;
    }
    u->form.parts[u->form.n] = (struct multipart_part){ 0 };
    return &u->form.parts[u->form.n++];
}

static void on_file_drain(void *arg)
{
    struct upload_file *f = arg;

    http_request_resume(f->u->r);
}

static void on_file_done(void *arg, Status st, uint64_t size, const uint8_t sha256[32],
                         const struct err *err)
{
    struct upload_file *f = arg;
    struct upload *u = f->u;
    struct multipart_part *part = &u->form.parts[f->part];

    f->writer = NULL;
    u->working--;
    if (u->file == f)
        u->file = NULL;
    if (st) {
        fail(u, st, err->text);
        return;
    }
    f->complete = true;
    part->size = size;
    memcpy(part->sha256, sha256, sizeof part->sha256);
    maybe_over(u);
}

static Status start_file(struct upload *u, struct multipart_part *part)
{
    static const struct writer_ops ops = { .on_drain = on_file_drain, .on_done = on_file_done };
    struct upload_file *f;
    char name[44];

    if (u->files.n >= MULTIPART_FILES_MAX)
        return STATUS_FULL;
    crypto_random_base64url(name);
    part->path = arena_printf(http_request_arena(u->r), "%s/%s", u->folder, name);
    f = calloc(1, sizeof *f);
    if (!f || !part->path.p) {
        free(f);
        return STATUS_NOMEM;
    }
    f->u = u;
    f->part = (size_t)(part - u->form.parts);
    f->path = strdup(part->path.p);
    if (f->path)
        f->writer = writer_open(u->r->server->config.loop, u->r->server->config.disk, f->path, NULL,
                                &ops, f);
    if (!f->writer || vec_push(&u->files, f)) {
        writer_abort(f->writer);
        free(f->path);
        free(f);
        return STATUS_NOMEM;
    }
    u->working++;
    u->file = f;
    return STATUS_OK;
}

static Status on_part(void *arg, struct str name, struct str filename, bool is_file,
                      struct str type)
{
    struct upload *u = arg;
    struct arena *a = http_request_arena(u->r);
    struct multipart_part *part;

    u->is_file = is_file;
    u->skipping = is_file && filename.n == 0;
    if (!is_file && ++u->n_fields > MULTIPART_FIELDS_MAX)
        return STATUS_FULL;
    part = add_part(u);
    if (!part)
        return STATUS_NOMEM;
    part->name = arena_dup(a, name);
    part->filename = arena_dup(a, filename);
    part->type = arena_dup(a, type);
    if (!part->name.p || !part->filename.p || !part->type.p)
        return STATUS_NOMEM;
    return is_file && !u->skipping ? start_file(u, part) : STATUS_OK;
}

static Status on_part_data(void *arg, const uint8_t *p, size_t n)
{
    struct upload *u = arg;
    Status st = STATUS_OK;

    if (!u->is_file)
        return buf_add(&u->field, p, n) ? STATUS_TOO_BIG : STATUS_OK;
    if (u->skipping) {
        u->skipping = false;
        st = start_file(u, &u->form.parts[u->form.n - 1]);
    }
    return st ? st : writer_write(u->file->writer, p, n);
}

static Status on_part_end(void *arg)
{
    struct upload *u = arg;
    struct multipart_part *part = &u->form.parts[u->form.n - 1];

    if (u->skipping) {
        u->form.n--;
        u->skipping = false;
    } else if (u->is_file) {
        writer_finish(u->file->writer);
        u->file = NULL;
    } else {
        part->value = arena_dup(http_request_arena(u->r), buf_str(&u->field));
        part->size = part->value.n;
        buf_done(&u->field);
        buf_init(&u->field, MULTIPART_FIELD_SIZE);
        if (!part->value.p)
            return STATUS_NOMEM;
    }
    return STATUS_OK;
}

/* ---- the body ---- */

static void on_data(void *arg, struct http_request *r, const uint8_t *p, size_t n)
{
    struct upload *u = arg;
    struct err err = { 0 };
    Status st;

    if (u->st)
        return;
    u->seen += n;
    if (u->seen > u->body_max) {
        fail(u, STATUS_TOO_BIG, "the form is too big");
        return;
    }
    st = multipart_feed(u->parser, p, n, &err);
    if (st)
        fail(u, st, err.text);
    else if (u->file && writer_congested(u->file->writer))
        http_request_pause(r);
}

static void on_end(void *arg, struct http_request *r, Status st)
{
    struct upload *u = arg;
    struct err err = { 0 };

    (void)r;
    if (u->st)
        return;
    if (st) {
        fail(u, st, "the body of the request was cut short");
        return;
    }
    st = multipart_end(u->parser, &err);
    if (st) {
        fail(u, st, err.text);
        return;
    }
    u->body_over = true;
    maybe_over(u);
}

static struct upload *upload_new(struct http_request *r, const char *folder)
{
    static const struct multipart_ops ops = {
        .on_part = on_part,
        .on_data = on_part_data,
        .on_part_end = on_part_end,
    };
    struct arena *a = http_request_arena(r);
    struct upload *u = a ? calloc(1, sizeof *u) : NULL;

    if (!u)
        return NULL;
    buf_init(&u->field, MULTIPART_FIELD_SIZE);
    u->r = r;
    u->folder = arena_dup_z(a, str_z(folder));
    u->parser = multipart_new(request_boundary(r), &ops, u);
    if (!u->folder || !arena_defer(a, upload_free, u)) {
        upload_free(u);
        return NULL;
    }
    return u;
}

void http_request_read_multipart(struct http_request *r, const char *folder, uint64_t body_max,
                                 MultipartFn fn, void *arg)
{
    static const struct http_body_ops ops = { .on_data = on_data, .on_end = on_end };
    struct upload *u = upload_new(r, folder);
    struct err err = { 0 };

    if (!u) {
        r->keep_alive = false;
        (void)err_set(&err, STATUS_NOMEM, NULL, "out of memory");
        fn(arg, r, STATUS_NOMEM, NULL, &err);
        return;
    }
    u->fn = fn;
    u->arg = arg;
    u->body_max = body_max;
    if (!u->parser || !http_request_is_multipart(r)) {
        fail(u, STATUS_INVALID, "not multipart/form-data with a boundary");
        return;
    }
    if (r->content_length > 0 && (uint64_t)r->content_length > body_max) {
        fail(u, STATUS_TOO_BIG, "the form is too big");
        return;
    }
    http_request_stream_body(r, &ops, u);
}
