/* Uploaded files on their way into the store: each is moved to its place on the disk lane, then
 * their rows are committed together, then the handler goes on. So a file that a job is told of is
 * durable.
 *
 * Names: what a file is called for people is kept apart from the last part of its path. */
#include "api/api_int.h"

#define FILE_NAME_MAX    200u
#define USER_FILE_EXPIRE (30 * USEC_DAY)      /* of files for a run */
#define FILE_EXPIRE      (5 * 365 * USEC_DAY) /* of upload_files */

struct storing {
    struct api_call *c;
    enum api_place place;
    struct str job;
    struct api_stored *files;
    size_t n;
    size_t part; /* at work */
    ApiStoredFn fn;
    void *arg;
};

/* ---- names ---- */

static bool is_plain(char ch)
{
    return str_is_word(str_n(&ch, 1)) || ch == '-' || ch == '.';
}

static bool is_shown(char ch)
{
    return is_plain(ch) || (ch != '\0' && strchr("+, ()[]{}'\"!&^%$#@*?~", ch));
}

/* Runs of what is not allowed become one "_". */
static struct str clean(struct arena *a, struct str name, bool (*allowed)(char), bool lower)
{
    char *out = arena_alloc(a, name.n + 1);
    size_t n = 0;
    bool run = false;

    for (size_t i = 0; out && i < name.n; i++) {
        char ch = name.p[i];

        if (!allowed(ch)) {
            if (!run)
                out[n++] = '_';
            run = true;
            continue;
        }
        run = false;
        if (lower && ch >= 'A' && ch <= 'Z')
            ch = (char)(ch - 'A' + 'a');
        out[n++] = ch;
    }
    return str_n(out, out ? n : 0);
}

/* The end of a long name says more than its beginning. */
static struct str cut(struct str name)
{
    return name.n > FILE_NAME_MAX ? str_slice(name, name.n - FILE_NAME_MAX, name.n) : name;
}

struct str api_file_name(struct arena *a, struct str filename, bool lower)
{
    struct str name = cut(clean(a, filename, is_plain, lower));

    if (name.n && name.p[0] == '.') /* nothing hidden */
        name = arena_printf(a, "_%.*s", STR_FMT(str_slice(name, 1, name.n)));
    return name;
}

static bool has_extension(struct str name)
{
    for (size_t i = name.n; i-- > 1;) {
        if (name.p[i] == '.')
            return i + 1 < name.n;
    }
    return false;
}

/* ---- places ---- */

static struct str user_folder(struct api_call *c)
{
    struct str name = api_file_name(c->arena, c->user.username, false);

    if (!name.n || str_eq_z(name, "jobs")) /* where files of jobs are */
        name = arena_printf(c->arena, "%.*s_", STR_FMT(name));
    return name;
}

static struct str place_of(const struct storing *s, struct str filename)
{
    struct api_call *c = s->c;
    struct str name = api_file_name(c->arena, filename, s->place != API_PLACE_USER);
    const char *extension = has_extension(name) ? "" : ".bin";
    char random[44];

    crypto_random_base64url(random);
    switch (s->place) {
    case API_PLACE_USER:
        return arena_printf(c->arena, "files/%.*s/%.*s", STR_FMT(user_folder(c)), STR_FMT(name));
    case API_PLACE_USER_RANDOM:
        return arena_printf(c->arena, "files/%.*s/%s/%.*s%s", STR_FMT(user_folder(c)), random,
                            STR_FMT(name), extension);
    case API_PLACE_JOB:
        return arena_printf(c->arena, "files/jobs/%.*s/%s/%.*s%s", STR_FMT(s->job), random,
                            STR_FMT(name), extension);
    }
    return STR_NONE;
}

static Usec expiry_of(const struct storing *s)
{
    switch (s->place) {
    case API_PLACE_USER:
        return s->c->now + FILE_EXPIRE;
    case API_PLACE_USER_RANDOM:
        return s->c->now + USER_FILE_EXPIRE;
    case API_PLACE_JOB:
        return 0;
    }
    return 0;
}

/* ---- the way ---- */

static void committed(void *arg, Status st, const struct err *err)
{
    struct storing *s = arg;

    if (st)
        api_fail(s->c, "file", st, err);
    else
        s->fn(s->c, s->arg, s->files, s->n);
}

static void commit(struct storing *s)
{
    struct api_call *c = s->c;
    struct store_tx *tx = store_tx_new(c->world->store);
    const struct str owner = s->place == API_PLACE_JOB
                                 ? arena_printf(c->arena, "job:%.*s", STR_FMT(s->job))
                                 : arena_printf(c->arena, "user:%.*s", STR_FMT(c->user.username));
    struct err err = { .code = STATUS_OK };
    Status st;

    for (size_t i = 0; i < s->n; i++)
        blob_tx_put(tx, s->files[i].path, owner, s->files[i].size, c->now, expiry_of(s));
    st = store_commit(c->world->store, tx, committed, s, &err);
    if (st)
        api_fail(c, "file", st, &err);
}

static void next(struct storing *s);

static void adopted(void *arg, Status st, uint64_t size, const struct err *err)
{
    struct storing *s = arg;

    if (st) {
        api_fail(s->c, "file", st, err);
        return;
    }
    s->c->adopted[s->part] = true;
    s->files[s->n++].size = size;
    s->part++;
    next(s);
}

static bool is_file(const struct multipart_part *p)
{
    return p->path.p != NULL;
}

static void next(struct storing *s)
{
    struct api_call *c = s->c;
    const struct multipart_form *form = c->files;
    struct err err = { .code = STATUS_OK };
    struct api_stored *f = &s->files[s->n];
    Status st;

    while (s->part < form->n && !is_file(&form->parts[s->part]))
        s->part++;
    if (s->part == form->n) {
        commit(s);
        return;
    }
    f->id = id_new(c->world->ids, "f", c->now);
    f->filename = cut(clean(c->arena, form->parts[s->part].filename, is_shown, false));
    f->path = place_of(s, form->parts[s->part].filename);
    st = blob_adopt(c->world->store, form->parts[s->part].path.p, f->path, adopted, s, &err);
    if (st)
        api_fail(c, "file", st, &err);
}

size_t api_file_count(const struct api_call *c)
{
    size_t n = 0;

    for (size_t i = 0; c->files && i < c->files->n; i++)
        n += is_file(&c->files->parts[i]);
    return n;
}

/* False: replied. A job's output may be empty, what a person uploads not. */
static bool need_good_files(struct api_call *c, enum api_place place)
{
    for (size_t i = 0; i < c->files->n; i++) {
        const struct multipart_part *p = &c->files->parts[i];

        if (!is_file(p))
            continue;
        if (!p->filename.n || str_eq_z(p->filename, ".") || str_eq_z(p->filename, "..")) {
            api_error(c, "api", "Malformed file upload: a file has no name.");
            return false;
        }
        if (p->size == 0 && place != API_PLACE_JOB) {
            api_error(c, "api", "Malformed file upload: %.*s is empty.", STR_FMT(p->filename));
            return false;
        }
    }
    return true;
}

void api_store_files(struct api_call *c, enum api_place place, struct str job, ApiStoredFn fn,
                     void *arg)
{
    const size_t n = api_file_count(c);
    struct storing *s = arena_zalloc(c->arena, sizeof *s);

    if (n == 0) {
        fn(c, arg, NULL, 0);
        return;
    }
    if (!need_good_files(c, place))
        return;
    if (s)
        s->files = arena_zalloc(c->arena, n * sizeof *s->files);
    if (!s || !s->files) {
        api_fail(c, "file", STATUS_NOMEM, NULL);
        return;
    }
    s->c = c;
    s->place = place;
    s->job = job;
    s->fn = fn;
    s->arg = arg;
    next(s);
}

void api_put_file(const struct api_call *c, struct json_writer *w, const struct api_stored *f)
{
    json_obj(w, NULL);
    json_put_str(w, "id", id_str(&f->id));
    json_put_i64(w, "date", c->now / USEC_SEC);
    json_put_str(w, "filename", f->filename);
    json_put_str(w, "path", f->path);
    json_put_u64(w, "size", f->size);
    json_put_str(w, "username", c->user.username);
    json_end(w);
}
