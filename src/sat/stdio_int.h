/* Inside of the parser: its state, and the half that understands objects. */
#ifndef SAT_STDIO_INT_H
#define SAT_STDIO_INT_H

#include "sat/stdio.h"

struct stdio_field {
    char *key;
    char *text; /* JSON */
    size_t n;
    bool dirty;
};

struct stdio_push {
    char *text; /* JSON object of arrays, without "files" */
    size_t n;
};

struct stdio_parser {
    struct stdio_config config;
    char *program;
    char *pass;
    const struct stdio_ops *ops;
    void *ctx;
    struct stdio_state state;

    struct buf line;     /* stdout: an unfinished line */
    bool line_open;      /* its beginning is in the log already */
    struct buf err_tail; /* stderr: an unfinished character */
    struct buf err_keep; /* shell: the first of stderr */
    struct buf clean;    /* scratch of the text filter */
    uint32_t frames;
    uint32_t updates;
    uint32_t warnings;
    bool corrupt;

    struct stdio_field *fields;
    size_t n_fields;
    size_t field_bytes;
    struct stdio_push *pushes; /* pending */
    size_t n_pushes;
    size_t push_bytes;
    uint32_t push_n;
    struct arena *arena; /* scratch of one object */
};

void stdio_meta(struct stdio_parser *p, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* A row that warns; bounded in number. */
void stdio_warn(struct stdio_parser *p, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* stdio_fields.c: the record as key and JSON text. */
struct stdio_field *stdio_field_find(const struct stdio_parser *p, struct str key);
void stdio_field_set(struct stdio_parser *p, struct str key, struct str text);
void stdio_field_set_val(struct stdio_parser *p, struct str key, yyjson_val *v);
void stdio_field_remove(struct stdio_parser *p, const char *key);
/* Shallow merge; array onto array is concatenated (satellite.md 21.2). */
void stdio_field_merge(struct stdio_parser *p, const char *key, yyjson_val *changes);
void stdio_field_append(struct stdio_parser *p, const char *key, yyjson_val *items);
void stdio_push_add(struct stdio_parser *p, yyjson_val *push);
void stdio_fields_done(struct stdio_parser *p);

/* stdio_update.c: one parsed object. False: it is none of ours and belongs into the log. */
bool stdio_update(struct stdio_parser *p, yyjson_val *object, Usec at);
void stdio_progress(struct stdio_parser *p, double progress);
void stdio_complete(struct stdio_parser *p, struct str code, const char *description);

#endif
