/* The body of a client's request: a text, or a multipart form (RFC 7578) whose files are read from
 * disk as the connection takes them. The length is known before the first byte goes out. */
#include "http/client_int.h"

#include "crypto/crypto.h"

#include <stdlib.h>

static char *dup_str(struct str s)
{
    char *p = malloc(s.n + 1);

    if (p) {
        if (s.n)
            memcpy(p, s.p, s.n);
        p[s.n] = '\0';
    }
    return p;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

static bool copy_part(struct body_part *to, const struct http_part *from)
{
    to->name = dup_str(str_z(from->name));
    if (!from->file_path) {
        to->value = dup_str(from->value);
        to->value_n = from->value.n;
        return to->name && to->value;
    }
    to->path = dup_str(str_z(from->file_path));
    to->filename = dup_str(str_z(from->filename ? from->filename : base_name(from->file_path)));
    return to->name && to->path && to->filename;
}

Status body_copy(struct client_body *b, const struct http_call *call, struct err *err)
{
    char random[65];

    buf_init(&b->text, SIZE_MAX / 2);
    if (call->n_parts > CLIENT_PARTS_MAX)
        return err_set(err, STATUS_TOO_BIG, "parts", "more than %u parts", CLIENT_PARTS_MAX);
    if (call->n_parts == 0) {
        if (call->body.n && buf_add_str(&b->text, call->body))
            return err_set(err, STATUS_NOMEM, NULL, "out of memory");
        b->length = call->body.n;
        return STATUS_OK;
    }
    b->parts = calloc(call->n_parts, sizeof *b->parts);
    if (!b->parts)
        return err_set(err, STATUS_NOMEM, NULL, "out of memory");
    b->n_parts = call->n_parts;
    for (size_t i = 0; i < b->n_parts; i++)
        if (!copy_part(&b->parts[i], &call->parts[i]))
            return err_set(err, STATUS_NOMEM, NULL, "out of memory");
    crypto_random_hex(random);
    (void)str_copy_z(str_n(random, 32), b->boundary, sizeof b->boundary);
    return STATUS_OK;
}

void body_done(struct client_body *b)
{
    for (size_t i = 0; i < b->n_parts; i++) {
        reader_close(b->parts[i].reader);
        free(b->parts[i].name);
        free(b->parts[i].value);
        free(b->parts[i].path);
        free(b->parts[i].filename);
    }
    free(b->parts);
    buf_done(&b->text);
    *b = (struct client_body){ 0 };
}

void body_rewind(struct client_body *b)
{
    b->at = 0;
    b->offset = 0;
    b->head_sent = false;
    b->complete = false;
    b->stale = b->reading;
}

/* As browsers do: what would end the quoted string is percent-escaped. */
static void add_quoted(struct buf *out, const char *z)
{
    for (; *z; z++) {
        if (*z == '"')
            (void)buf_add_str(out, STR("%22"));
        else if (*z == '\r')
            (void)buf_add_str(out, STR("%0D"));
        else if (*z == '\n')
            (void)buf_add_str(out, STR("%0A"));
        else
            (void)buf_add_char(out, *z);
    }
}

static void add_part_head(const struct client_body *b, const struct body_part *p, struct buf *out)
{
    (void)buf_printf(out, "--%s\r\nContent-Disposition: form-data; name=\"", b->boundary);
    add_quoted(out, p->name);
    if (p->path) {
        (void)buf_add_str(out, STR("\"; filename=\""));
        add_quoted(out, p->filename);
        (void)buf_add_str(out, STR("\"\r\nContent-Type: application/octet-stream"));
    } else {
        (void)buf_add_char(out, '"');
    }
    (void)buf_add_str(out, STR("\r\n\r\n"));
}

/* ---- opening ---- */

static bool count_length(struct client_body *b)
{
    AUTO_BUF struct buf head = { 0 };

    b->length = 6 + strlen(b->boundary); /* "--" boundary "--\r\n" */
    buf_init(&head, CLIENT_HEAD_MAX);
    for (size_t i = 0; i < b->n_parts; i++) {
        buf_clear(&head);
        add_part_head(b, &b->parts[i], &head);
        if (head.failed)
            return false;
        b->length += head.n + 2 + (b->parts[i].path ? b->parts[i].size : b->parts[i].value_n);
    }
    return true;
}

static void on_block(void *arg, Status st, uint8_t *p, size_t n, const struct err *err);

static void on_open(void *arg, Status st, const struct file_facts *facts, const struct err *err)
{
    struct http_exchange *x = arg;

    if (st) {
        exchange_fail(x, st, "%s", err->text);
        return;
    }
    x->body.parts[x->body.opening++].size = facts->size;
    body_open(x);
}

static const struct reader_ops reader_ops = { .on_open = on_open, .on_block = on_block };

void body_open(struct http_exchange *x)
{
    struct client_body *b = &x->body;
    const struct http_client_config *config = exchange_config(x);
    Status st;

    while (b->opening < b->n_parts && !b->parts[b->opening].path)
        b->opening++;
    if (b->opening == b->n_parts) {
        if (b->n_parts && !count_length(b))
            exchange_fail(x, STATUS_TOO_BIG, "a name of the form is too long");
        else
            exchange_connect(x);
        return;
    }
    st = reader_open(config->loop, config->disk, b->parts[b->opening].path, &reader_ops, x,
                     &b->parts[b->opening].reader);
    if (st)
        exchange_fail(x, st, "%s: %s", b->parts[b->opening].path, status_text(st));
}

/* ---- sending ---- */

static bool send_bytes(struct http_exchange *x, const void *p, size_t n)
{
    const Status st = net_stream_write(x->stream, p, n);

    if (st == STATUS_FULL || st == STATUS_NOMEM)
        exchange_fail(x, st, "the request could not be sent");
    return st == STATUS_OK;
}

static bool send_part_head(struct http_exchange *x)
{
    const struct client_body *b = &x->body;
    AUTO_BUF struct buf head = { 0 };

    buf_init(&head, CLIENT_HEAD_MAX);
    add_part_head(b, &b->parts[b->at], &head);
    return send_bytes(x, head.p, head.n);
}

static void on_block(void *arg, Status st, uint8_t *p, size_t n, const struct err *err)
{
    struct http_exchange *x = arg;
    struct client_body *b = &x->body;

    b->reading = false;
    if (b->stale) {
        b->stale = false;
        free(p);
        body_send(x);
        return;
    }
    if (st || n == 0) {
        exchange_fail(x, st ? st : STATUS_CONFLICT, "%s",
                      st ? err->text : "a file became shorter while it was sent");
        return;
    }
    if (!x->stream) { /* the reply is complete already */
        free(p);
        return;
    }
    b->offset += n;
    (void)net_stream_write_take(x->stream, p, n);
    body_send(x);
}

/* One step; false when it must wait or is done. */
static bool send_step(struct http_exchange *x)
{
    struct client_body *b = &x->body;
    struct body_part *part = &b->parts[b->at];

    if (b->at == b->n_parts) {
        char end[48];
        const size_t n = strlen(b->boundary);
        b->complete = true;
        memcpy(end, "--", 2);
        memcpy(end + 2, b->boundary, n);
        memcpy(end + 2 + n, "--\r\n", 4);
        (void)send_bytes(x, end, n + 6);
        return false;
    }
    if (!b->head_sent) {
        b->head_sent = true;
        b->offset = 0;
        if (!send_part_head(x))
            return false;
    }
    if (part->path && b->offset < part->size) {
        const uint64_t left = part->size - b->offset;
        b->reading = true;
        reader_next(part->reader, b->offset, left < DISK_BLOCK ? (size_t)left : DISK_BLOCK);
        return false;
    }
    if (!part->path && !send_bytes(x, part->value, part->value_n))
        return false;
    b->at++;
    b->head_sent = false;
    return send_bytes(x, "\r\n", 2);
}

void body_send(struct http_exchange *x)
{
    struct client_body *b = &x->body;

    if (b->complete || b->reading || (x->state != EXCHANGE_WAITING && x->state != EXCHANGE_READING))
        return;
    if (b->n_parts == 0) {
        b->complete = true;
        if (b->text.n)
            (void)send_bytes(x, b->text.p, b->text.n);
        return;
    }
    while (!net_stream_congested(x->stream) && send_step(x)) {
    }
}
