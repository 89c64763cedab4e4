/* Intents; see intent.h. One idea: while a batch is on the lane the next one collects, so a busy
 * satellite pays one sync for many launches and an idle one pays it at once. */
#include "sat/intent.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/log.h"
#include "base/vec.h"
#include "crypto/crypto.h"

struct intent {
    Id id;
    IntentFn fn;
    void *ctx;
};

struct intents {
    struct sat *sat;
    char *path;
    struct map open;  /* id -> struct intent, owned: durable or on its way */
    struct vec batch; /* of struct intent, owned: who is told after the next write */
    struct buf lines; /* of the next write */
    bool writing;
    bool closed;
    uint64_t size; /* of the file */
};

struct intent_work {
    struct lane_work work;
    struct intents *in;
    const char *path;
    struct vec batch;
    struct buf lines;
    bool anew; /* replace the file */
    uint64_t size;
    Status status;
    struct err err;
};

/* The file */

static Status append(const char *path, struct str lines, bool sync, uint64_t *ret_size,
                     struct err *err)
{
    const int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    struct stat st = { 0 };
    int error = fd < 0 ? errno : 0;

    if (!error)
        error = -file_write_all(fd, lines.p, lines.n);
    if (!error && sync && fdatasync(fd) != 0)
        error = errno;
    if (!error && fstat(fd, &st) != 0)
        error = errno;
    if (fd >= 0)
        close(fd);
    if (error)
        return err_errno(err, error, "Cannot write %s", path);
    *ret_size = (uint64_t)st.st_size;
    return STATUS_OK;
}

static void write_do(struct lane_work *work)
{
    struct intent_work *w = CONTAINER_OF(work, struct intent_work, work);

    if (w->anew) {
        w->status = file_replace(w->path, buf_str(&w->lines), 0600, &w->err);
        w->size = w->lines.n;
    } else {
        w->status = append(w->path, buf_str(&w->lines), w->batch.n > 0, &w->size, &w->err);
    }
}

static void intents_free(struct intents *in)
{
    size_t cursor = 0;
    void *item;

    while (map_next(&in->open, &cursor, NULL, &item))
        free(item);
    map_done(&in->open);
    for (size_t i = 0; i < in->batch.n; i++)
        free(in->batch.at[i]);
    vec_done(&in->batch);
    buf_done(&in->lines);
    free(in->path);
    free(in);
}

static void write_next(struct intents *in);

static void write_back(struct lane_work *work)
{
    struct intent_work *w = CONTAINER_OF(work, struct intent_work, work);
    struct intents *in = w->in;

    in->writing = false;
    if (w->status == STATUS_OK)
        in->size = w->size;
    for (size_t i = 0; i < w->batch.n; i++) {
        struct intent *one = w->batch.at[i];
        const struct str id = id_str(&one->id);
        const bool wanted = !in->closed && map_get(&in->open, id) != NULL;

        if (w->status && wanted)
            free(map_del(&in->open, id));
        if (wanted)
            one->fn(one->ctx, id, w->status, &w->err);
        free(one);
    }
    vec_done(&w->batch);
    buf_done(&w->lines);
    free(w);
    if (in->closed)
        intents_free(in);
    else
        write_next(in);
}

static void put_line(struct buf *out, char sign, struct str id)
{
    (void)buf_add_char(out, sign);
    (void)buf_add_str(out, id);
    (void)buf_add_char(out, '\n');
}

/* All that is open, instead of the lines that wait. */
static void lines_anew(struct intents *in)
{
    size_t cursor = 0;
    struct str id;
    void *item;

    buf_clear(&in->lines);
    while (map_next(&in->open, &cursor, &id, &item))
        put_line(&in->lines, '+', id);
}

static void write_next(struct intents *in)
{
    struct intent_work *w;

    if (in->writing || in->closed || in->lines.n == 0)
        return;
    w = calloc(1, sizeof(*w));
    if (!w)
        return; /* the next one tries again */
    w->work = (struct lane_work){ .work = write_do, .done = write_back };
    w->in = in;
    w->path = in->path;
    w->anew = in->size > INTENT_FILE_MAX;
    if (w->anew)
        lines_anew(in);
    w->batch = in->batch;
    w->lines = in->lines;
    if (lane_post(in->sat->disk, &w->work) != STATUS_OK) {
        free(w);
        return;
    }
    in->batch = (struct vec){ 0 };
    buf_init(&in->lines, INTENT_READ_MAX);
    in->writing = true;
}

static struct intent *intent_new(struct str id, IntentFn fn, void *ctx)
{
    struct intent *one = calloc(1, sizeof(*one));

    if (!one)
        return NULL;
    one->fn = fn;
    one->ctx = ctx;
    if (!id_from_str(id, &one->id)) {
        free(one);
        return NULL;
    }
    return one;
}

Status intents_add(struct intents *in, struct str id, IntentFn fn, void *ctx)
{
    struct intent *open;
    struct intent *told;
    Status st;

    if (map_get(&in->open, id))
        return STATUS_EXISTS;
    if (in->lines.n + id.n + 2 > INTENT_READ_MAX)
        return STATUS_FULL;
    open = intent_new(id, NULL, NULL);
    told = intent_new(id, fn, ctx);
    st = open && told ? map_put(&in->open, id_str(&open->id), open, NULL) : STATUS_NOMEM;
    if (!st) {
        st = vec_push(&in->batch, told);
        if (st)
            (void)map_del(&in->open, id);
    }
    if (st) {
        free(open);
        free(told);
        return st;
    }
    put_line(&in->lines, '+', id);
    write_next(in);
    return STATUS_OK;
}

void intents_remove(struct intents *in, struct str id)
{
    free(map_del(&in->open, id));
    put_line(&in->lines, '-', id);
    write_next(in);
}

/* Start */

static Status open_add(struct intents *in, struct str id)
{
    struct intent *one = map_get(&in->open, id) ? NULL : intent_new(id, NULL, NULL);
    Status st = STATUS_OK;

    if (one)
        st = map_put(&in->open, id_str(&one->id), one, NULL);
    if (st)
        free(one);
    return st;
}

static Status read_lines(struct intents *in, struct err *err)
{
    AUTO_BUF struct buf text = { 0 };
    struct str rest;
    struct str line;
    Status st;

    buf_init(&text, INTENT_READ_MAX);
    st = file_read(in->path, &text, err);
    if (st == STATUS_MISSING)
        return STATUS_OK;
    rest = buf_str(&text);
    while (!st && rest.n && str_split(&rest, '\n', &line)) {
        const struct str id = str_slice(line, 1, line.n);

        if (line.n < 2 || !str_is_word(id))
            continue; /* torn by a power failure: it was not yet accepted */
        if (line.p[0] == '+')
            st = open_add(in, id);
        else if (line.p[0] == '-')
            free(map_del(&in->open, id));
    }
    return st;
}

struct intents *intents_open(struct sat *s, struct err *err)
{
    struct intents *in = calloc(1, sizeof(*in));
    Status st = in ? STATUS_OK : err_set(err, STATUS_NOMEM, NULL, "out of memory");

    if (st)
        return NULL;
    in->sat = s;
    map_init(&in->open, crypto_random_u64());
    buf_init(&in->lines, INTENT_READ_MAX);
    if (asprintf(&in->path, "%s/" INTENT_FILE, s->spool) < 0) {
        in->path = NULL;
        st = err_set(err, STATUS_NOMEM, NULL, "out of memory");
    }
    if (!st)
        st = read_lines(in, err);
    if (!st) {
        lines_anew(in);
        st = file_replace(in->path, buf_str(&in->lines), 0600, err);
        in->size = in->lines.n;
        buf_clear(&in->lines);
    }
    if (st) {
        intents_free(in);
        return NULL;
    }
    return in;
}

bool intents_has(const struct intents *in, struct str id)
{
    return map_get(&in->open, id) != NULL;
}

void intents_each(const struct intents *in, void (*fn)(void *ctx, struct str id), void *ctx)
{
    size_t cursor = 0;
    struct str id;
    void *item;

    while (map_next(&in->open, &cursor, &id, &item))
        fn(ctx, id);
}

void intents_close(struct intents *in)
{
    if (!in)
        return;
    in->closed = true;
    if (!in->writing)
        intents_free(in);
}
