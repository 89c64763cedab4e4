/* Frames to lines to text. One idea: a line of stdout is held back only as long as it could still
 * become a message (it starts with '{') or is short; everything else goes to the log as it comes,
 * made valid UTF-8 on the way. Frames are whole (super.h) and their bounds never change, so
 * whatever depends on them comes out the same when the stream is read again. */
#include "sat/stdio.h"

#include <ctype.h>
#include <endian.h>
#include <math.h>
#include <signal.h>
#include <time.h>

#include "sat/stdio_int.h"

#define UTF8_BAD "\xEF\xBF\xBD"

struct stdio_parser *stdio_new(const struct stdio_config *config, const struct stdio_ops *ops,
                               void *ctx)
{
    struct stdio_parser *p = calloc(1, sizeof(*p));

    if (!p)
        return NULL;
    p->config = *config;
    p->ops = ops;
    p->ctx = ctx;
    p->program = strdup(config->program ? config->program : "");
    p->config.program = p->program;
    if (config->pass.p) {
        p->pass = strndup(config->pass.p, config->pass.n);
        p->config.pass = str_z(p->pass);
    }
    buf_init(&p->line, STDIO_JSON_LINE_MAX + STDIO_FRAME_MAX);
    buf_init(&p->err_tail, STDIO_FRAME_MAX + 8);
    buf_init(&p->err_keep, STDIO_STDERR_KEEP);
    buf_init(&p->clean, (STDIO_JSON_LINE_MAX + STDIO_FRAME_MAX) * 3 + 64);
    if (!p->program || (config->pass.p && !p->pass)) {
        stdio_free(p);
        return NULL;
    }
    return p;
}

void stdio_free(struct stdio_parser *p)
{
    if (!p)
        return;
    buf_done(&p->line);
    buf_done(&p->err_tail);
    buf_done(&p->err_keep);
    buf_done(&p->clean);
    stdio_fields_done(p);
    arena_free(p->arena);
    free(p->program);
    free(p->pass);
    free(p);
}

const struct stdio_state *stdio_state(const struct stdio_parser *p)
{
    return &p->state;
}

static void meta_v(struct stdio_parser *p, const char *fmt, va_list ap) PRINTF_LIKE(2, 0);
static void meta_v(struct stdio_parser *p, const char *fmt, va_list ap)
{
    char text[1024];
    struct str s;

    (void)vsnprintf(text, sizeof(text), fmt, ap);
    s = str_z(text);
    while (s.n && !str_is_utf8(s)) /* a character cut at the end */
        s.n--;
    p->ops->meta(p->ctx, s);
}

void stdio_meta(struct stdio_parser *p, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    meta_v(p, fmt, ap);
    va_end(ap);
}

void stdio_warn(struct stdio_parser *p, const char *fmt, ...)
{
    va_list ap;

    p->warnings++;
    if (p->warnings == STDIO_WARNINGS_MAX)
        p->ops->meta(p->ctx, STR("WARNING: Too many warnings, the rest is not shown"));
    if (p->warnings >= STDIO_WARNINGS_MAX)
        return;
    va_start(ap, fmt);
    meta_v(p, fmt, ap);
    va_end(ap);
}

/* Text */

/* How many bytes at the end are the beginning of a character that may still be completed. */
static size_t unfinished_tail(struct str s)
{
    for (size_t back = 1; back <= 3 && back <= s.n; back++) {
        const unsigned char c = (unsigned char)s.p[s.n - back];

        if (c < 0x80)
            return 0;
        if (c >= 0xC0)
            return back < (c >= 0xF0 ? 4u : c >= 0xE0 ? 3u : 2u) ? back : 0;
    }
    return 0;
}

/* To the log; each byte that is no UTF-8 becomes U+FFFD. */
static void emit(struct stdio_parser *p, struct str s)
{
    if (s.n == 0)
        return;
    if (str_is_utf8(s)) {
        p->ops->log(p->ctx, s);
        return;
    }
    buf_clear(&p->clean);
    for (size_t i = 0; i < s.n;) {
        const size_t step = str_utf8_at(s, i);

        if (step)
            (void)buf_add(&p->clean, s.p + i, step);
        else
            (void)buf_add_z(&p->clean, UTF8_BAD);
        i += step ? step : 1;
    }
    if (!p->clean.failed)
        p->ops->log(p->ctx, buf_str(&p->clean));
    buf_done(&p->clean); /* rare; not worth keeping the memory */
}

static void annotate(struct stdio_parser *p, Usec at)
{
    const time_t t = (time_t)(at / USEC_SEC);
    struct tm tm;
    char text[32];

    if (!p->config.annotate || !localtime_r(&t, &tm))
        return;
    if (strftime(text, sizeof(text), "[%Y/%m/%d %H:%M:%S] ", &tm))
        p->ops->log(p->ctx, str_z(text));
}

/* Lines of stdout */

static struct str without_newline(struct str line)
{
    if (line.n && line.p[line.n - 1] == '\n')
        line.n--;
    return line;
}

static bool starts_like_json(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '{')
            return true;
        if (!isspace((unsigned char)s.p[i]))
            return false;
    }
    return true; /* blank so far */
}

/* ^\s*\{.+\}\s*$ where . is no line end. */
static bool looks_like_json(struct str line)
{
    const struct str s = str_trim(line);

    return s.n >= 3 && s.p[0] == '{' && s.p[s.n - 1] == '}' && memchr(s.p, '\r', s.n) == NULL;
}

/* Shell: a line that is only NN%. */
static bool percent(struct str line, double *ret)
{
    struct str s = str_trim(line);
    double v;

    if (s.n < 2 || s.n > 8 || s.p[s.n - 1] != '%')
        return false;
    s.n--;
    for (size_t i = 0; i < s.n; i++) {
        if (!isdigit((unsigned char)s.p[i]))
            return false;
    }
    if (!str_to_double(s, &v))
        return false;
    *ret = v > 100 ? 1 : v / 100;
    return true;
}

static struct arena *scratch(struct stdio_parser *p)
{
    if (p->arena)
        arena_reset(p->arena);
    else
        p->arena = arena_new((size_t)STDIO_JSON_LINE_MAX * 16 + 65536);
    return p->arena;
}

static void json_line(struct stdio_parser *p, struct str line, Usec at)
{
    const struct str text = str_trim(line);
    struct arena *a = scratch(p);
    yyjson_val *root = NULL;
    struct err err = { 0 };
    AUTO_BUF struct buf compact = { 0 };

    if (!a || json_parse_in(a, text, STDIO_JSON_LINE_MAX, &root, &err) != STATUS_OK) {
        if (!p->state.complete)
            stdio_warn(p, "WARNING: Error: JSON Parse Error: %s", err.text);
        emit(p, line);
        return;
    }
    if (stdio_update(p, root, at))
        return;
    buf_init(&compact, STDIO_JSON_LINE_MAX + 1);
    if (json_text(root, false, &compact) != STATUS_OK ||
        buf_add_char(&compact, '\n') != STATUS_OK) {
        emit(p, line);
        return;
    }
    p->ops->log(p->ctx, buf_str(&compact));
}

/* A whole line, its newline included (except for a last one). */
static void take_line(struct stdio_parser *p, struct str line, Usec at)
{
    const struct str bare = without_newline(line);
    double progress;

    if (looks_like_json(bare)) {
        json_line(p, line, at);
        if (p->arena && arena_used(p->arena) > STDIO_TEXT_LINE_MAX) {
            arena_free(p->arena);
            p->arena = NULL;
        }
        return;
    }
    if (p->config.shell && percent(bare, &progress)) {
        stdio_progress(p, progress);
        return;
    }
    annotate(p, at);
    emit(p, line);
}

/* The held line cannot become a message any more: out with it, but for an unfinished character. */
static void release_line(struct stdio_parser *p, Usec at)
{
    struct str s = buf_str(&p->line);

    s.n -= unfinished_tail(s);
    if (!p->line_open)
        annotate(p, at);
    p->line_open = true;
    emit(p, s);
    buf_consume(&p->line, s.n);
}

static void line_ends(struct stdio_parser *p, struct str rest, Usec at)
{
    if (p->line_open) {
        (void)buf_add_str(&p->line, rest);
        emit(p, buf_str(&p->line));
    } else if (p->line.n == 0) {
        take_line(p, rest, at); /* the usual way: straight from the frame */
    } else {
        (void)buf_add_str(&p->line, rest);
        take_line(p, buf_str(&p->line), at);
    }
    p->line_open = false;
    if (p->line.cap > STDIO_TEXT_LINE_MAX)
        buf_done(&p->line);
    else
        buf_clear(&p->line);
}

static void take_stdout(struct stdio_parser *p, struct str s, Usec at)
{
    while (s.n) {
        const char *nl = memchr(s.p, '\n', s.n);
        size_t max;

        if (nl) {
            const size_t n = (size_t)(nl - s.p) + 1;

            line_ends(p, str_n(s.p, n), at);
            s = str_slice(s, n, s.n);
            continue;
        }
        (void)buf_add_str(&p->line, s);
        max = starts_like_json(buf_str(&p->line)) ? STDIO_JSON_LINE_MAX : STDIO_TEXT_LINE_MAX;
        if (p->line_open || p->line.n > max)
            release_line(p, at);
        return;
    }
}

static void take_stderr(struct stdio_parser *p, struct str s)
{
    struct str all = s;
    size_t tail;

    if (p->config.shell && p->err_keep.n < STDIO_STDERR_KEEP)
        (void)buf_add_str(&p->err_keep, str_slice(s, 0, STDIO_STDERR_KEEP - p->err_keep.n));
    if (p->err_tail.n) {
        (void)buf_add_str(&p->err_tail, s);
        all = buf_str(&p->err_tail);
    }
    tail = unfinished_tail(all);
    emit(p, str_slice(all, 0, all.n - tail));
    if (p->err_tail.n) {
        buf_consume(&p->err_tail, p->err_tail.n - tail);
    } else {
        (void)buf_add_str(&p->err_tail, str_slice(all, all.n - tail, all.n));
    }
}

/* What is held back when no more will come. */
static void flush(struct stdio_parser *p, Usec at)
{
    if (p->line.n || p->line_open)
        line_ends(p, STR_NONE, at);
    emit(p, buf_str(&p->err_tail));
    buf_clear(&p->err_tail);
}

/* The end */

struct ending {
    int code;
    int signal;
    char name[24]; /* of the signal */
};

static bool parse_exit(struct str text, struct ending *ret)
{
    struct ending e = { 0 };
    struct str word;
    int64_t v;
    const char *abbrev;

    if (!str_split(&text, ' ', &word) || !str_to_i64(text, &v) || v < 0 || v > 255)
        return false;
    if (str_eq_z(word, "code")) {
        e.code = (int)v;
    } else {
        e.signal = (int)v;
        abbrev = sigabbrev_np((int)v);
        if (abbrev)
            (void)snprintf(e.name, sizeof(e.name), "SIG%s", abbrev);
        else
            (void)snprintf(e.name, sizeof(e.name), "signal %d", (int)v);
    }
    *ret = e;
    return true;
}

/* {title, content} with the first of stderr, '<' escaped. */
static void shell_report(struct stdio_parser *p)
{
    AUTO_BUF struct buf content = { 0 };
    AUTO_BUF struct buf text = { 0 };
    struct json_writer w;

    if (stdio_field(p, "html").p || str_trim(buf_str(&p->err_keep)).n == 0)
        return;
    buf_init(&content, STDIO_STDERR_KEEP * 4 + 64);
    buf_init(&text, STDIO_STDERR_KEEP * 24 + 256);
    (void)buf_add_z(&content, "<pre>");
    for (size_t i = 0; i < p->err_keep.n; i++) {
        if (p->err_keep.p[i] == '<')
            (void)buf_add_z(&content, "&lt;");
        else
            (void)buf_add_char(&content, p->err_keep.p[i]);
    }
    (void)buf_add_z(&content, "</pre>");
    w = json_writer_init(&text);
    json_obj(&w, NULL);
    json_put_z(&w, "title", "Error Output");
    json_put_str(&w, "content", buf_str(&content));
    json_end(&w);
    stdio_field_set(p, STR("html"), buf_str(&text));
}

static void shell_ended(struct stdio_parser *p, const struct ending *e)
{
    struct str err = str_trim(buf_str(&p->err_keep));
    char code[32];
    char text[STDIO_DESC_LINE_MAX + 96] = "";

    if (e->signal)
        (void)snprintf(code, sizeof(code), "\"%s\"", e->name);
    else
        (void)snprintf(code, sizeof(code), "%d", e->code);
    shell_report(p);
    if (e->signal || e->code) {
        struct str first = STR_NONE;
        char shown[STDIO_DESC_LINE_MAX];

        (void)snprintf(shown, sizeof(shown), "%d", e->code);
        (void)snprintf(text, sizeof(text), "Script exited with code: %s",
                       e->signal ? e->name : shown);
        if (str_split(&err, '\n', &first) && first.n && first.n < STDIO_DESC_LINE_MAX) {
            const size_t n = strlen(text);

            (void)snprintf(text + n, sizeof(text) - n, ": %.*s", STR_FMT(str_trim(first)));
        }
    }
    stdio_complete(p, str_z(code), text);
}

static void command_ended(struct stdio_parser *p, const struct ending *e)
{
    char code[16];
    char text[96];

    if (e->code) {
        (void)snprintf(code, sizeof(code), "%d", e->code);
        (void)snprintf(text, sizeof(text), "Child %d crashed with code: %d", (int)p->state.pid,
                       e->code);
        stdio_complete(p, str_z(code), text);
        return;
    }
    stdio_field_set(p, STR("unknown"), STR("1"));
    stdio_complete(p, STR("\"warning\""), "Process exited without reporting job completion.");
}

static void take_exit(struct stdio_parser *p, struct str text, Usec at)
{
    struct ending e;

    flush(p, at);
    p->state.ended = true;
    if (!parse_exit(text, &e)) {
        p->corrupt = true;
        return;
    }
    if (e.signal)
        stdio_meta(p, "Child exited with code: %s", e.name);
    else
        stdio_meta(p, "Child exited with code: %d", e.code);
    if (p->state.complete)
        return;
    if (p->config.shell)
        shell_ended(p, &e);
    else
        command_ended(p, &e);
}

static void take_failed(struct stdio_parser *p, struct str text, Usec at)
{
    char desc[512];

    flush(p, at);
    p->state.ended = true;
    p->state.failed = true;
    if (p->config.shell)
        (void)snprintf(desc, sizeof(desc), "Script failed: %.*s", STR_FMT(text));
    else
        (void)snprintf(desc, sizeof(desc), "Child spawn error: %s: %.*s", p->program,
                       STR_FMT(text));
    stdio_complete(p, STR("1"), desc);
}

static void take_started(struct stdio_parser *p, struct str text)
{
    struct str word;
    int64_t v[3] = { 0 };

    for (size_t i = 0; i < COUNT_OF(v) && str_split(&text, ' ', &word); i++)
        (void)str_to_i64(word, &v[i]);
    p->state.started = true;
    p->state.pid = (pid_t)v[0];
    p->state.start_ticks = (uint64_t)v[1];
    p->state.supervisor = (pid_t)v[2];
    stdio_meta(p, "Spawned child process: PID %d", (int)p->state.pid);
}

static void take_pass(struct stdio_parser *p)
{
    struct arena *a = scratch(p);
    yyjson_val *root = NULL;

    if (!p->pass || !a ||
        json_parse_in(a, p->config.pass, STDIO_JSON_LINE_MAX, &root, NULL) != STATUS_OK)
        return;
    if (yyjson_is_obj(root))
        stdio_field_merge(p, "data", root);
}

void stdio_frame(struct stdio_parser *p, enum super_frame_type type, Usec at, struct str bytes)
{
    if (p->state.ended)
        return;
    if (p->frames++ == 0)
        take_pass(p);
    switch (type) {
    case SUPER_STDOUT:
        take_stdout(p, bytes, at);
        break;
    case SUPER_STDERR:
        take_stderr(p, bytes);
        break;
    case SUPER_STARTED:
        take_started(p, bytes);
        break;
    case SUPER_EXIT:
        take_exit(p, bytes, at);
        break;
    case SUPER_FAILED:
        take_failed(p, bytes, at);
        break;
    case SUPER_NOTE:
        stdio_meta(p, "%.*s", STR_FMT(bytes));
        break;
    }
}

size_t stdio_bytes(struct stdio_parser *p, struct str bytes, size_t *ret_need, Status *ret_status)
{
    size_t at = 0;
    size_t need = 0;

    while (!p->corrupt && bytes.n - at >= sizeof(struct super_frame)) {
        struct super_frame head;
        uint32_t n;

        memcpy(&head, bytes.p + at, sizeof(head));
        n = le32toh(head.n);
        if (n > STDIO_FRAME_MAX || head.type < SUPER_STDOUT || head.type > SUPER_NOTE) {
            p->corrupt = true;
            break;
        }
        if (bytes.n - at < sizeof(head) + n) {
            need = sizeof(head) + n;
            break;
        }
        stdio_frame(p, (enum super_frame_type)head.type, (Usec)le64toh(head.at),
                    str_n(bytes.p + at + sizeof(head), n));
        at += sizeof(head) + n;
    }
    if (ret_need)
        *ret_need = need;
    *ret_status = p->corrupt ? STATUS_CORRUPT : STATUS_OK;
    return at;
}

void stdio_cut(struct stdio_parser *p)
{
    if (!p->state.ended)
        flush(p, 0);
    p->state.ended = true;
}

void stdio_set_abort(struct stdio_parser *p, Usec at)
{
    p->config.abort_at = at;
}
