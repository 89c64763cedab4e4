/* Expressions and templates (reference/expressions.md 1-6). An expression is compiled once per
 * definition and evaluated many times; JSON values are read where they lie, never copied.
 *
 * Only own members are visible: `__proto__` and its like are missing keys, or refused as names.
 * Numbers print as JavaScript prints them; texts have UTF-16 lengths. Every bound below is an error
 * with a sentence in it, and every error of the text names its column (1 is the first). */
#ifndef EXPR_EXPR_H
#define EXPR_EXPR_H

#include "base/buf.h"
#include "json/json.h"

#define EXPR_SOURCE_MAX   LIMIT(16384u, 512u)     /* bytes of one expression */
#define EXPR_DEPTH_MAX    LIMIT(200u, 20u)        /* brackets, calls, negations, ternaries */
#define EXPR_TERMS_MAX    LIMIT(4096u, 256u)      /* operators and steps of one expression */
#define EXPR_STEPS_MAX    LIMIT(1000000u, 5000u)  /* node visits of one evaluation */
#define EXPR_TEXT_MAX     LIMIT(1048576u, 8192u)  /* bytes of a text that it makes */
#define EXPR_LIST_MAX     LIMIT(100000u, 200u)    /* elements of a list that it makes */
#define EXPR_REGEX_MAX    LIMIT(4096u, 128u)      /* bytes of a pattern */
#define EXPR_REGEX_STEPS  LIMIT(1000000u, 10000u) /* match limit of one pattern */
#define TEMPLATE_TEXT_MAX LIMIT(1048576u, 16384u) /* bytes of a template, and of what it gives */
#define TEMPLATE_ROUNDS   31                      /* of templates that expand their results */

enum expr_kind {
    EXPR_MISSING,
    EXPR_NULL,
    EXPR_BOOL,
    EXPR_NUMBER,
    EXPR_TEXT,
    EXPR_JSON,   /* a list or object of the context */
    EXPR_LIST,   /* a list made by the expression */
    EXPR_OBJECT, /* an object made by it */
    EXPR_SCOPE,  /* the whole context as an object */
};

struct expr_value {
    enum expr_kind kind;
    union {
        bool b;
        double n;
        struct str s;
        yyjson_val *j;
        const struct expr_list *list;
        const struct expr_object *object;
    };
};
struct expr_list {
    size_t n;
    const struct expr_value *v;
};
struct expr_member {
    struct str key;
    struct expr_value v;
};
struct expr_object {
    size_t n;
    struct expr_member *m;
};

/* What the functions server() and event() ask. False: unknown. May be NULL. */
struct expr_host {
    bool (*server_title)(void *ctx, struct str id, struct str *ret);
    bool (*event_title)(void *ctx, struct str id, struct str *ret);
    void *ctx;
};

/* The names that an expression may read. Everything is borrowed. */
struct expr_scope {
    yyjson_val *context;             /* an object; its members are the names */
    const struct expr_member *names; /* before those of the context */
    size_t n_names;
    const char *self; /* a name for the whole context when it has none of it ("input"), or NULL */
    const struct expr_host *host;
    struct arena *arena; /* what is made goes here */
};

struct expr;

/* INVALID with the column on a text that is no expression, TOO_BIG over a bound. */
Status expr_compile(struct str source, struct expr **ret, struct err *err) MUST_USE;
void expr_free(struct expr *e);
DEFINE_AUTO(struct expr, expr_free);

/* INVALID with a sentence when the evaluation fails; FULL or TOO_BIG over a bound. */
Status expr_eval(const struct expr *e, const struct expr_scope *scope, struct expr_value *ret,
                 struct err *err) MUST_USE;

/* ---- values (2.1, 2.2) ---- */

struct expr_value expr_of_json(yyjson_val *v); /* NULL: missing */
bool expr_truthy(const struct expr_value *v);
/* text may be made in the arena; on no room *ret is empty and the Status says so. */
Status expr_to_text(const struct expr_value *v, struct arena *a, struct str *ret) MUST_USE;
Status expr_to_number(const struct expr_value *v, struct arena *a, double *ret) MUST_USE;
bool expr_is_list(const struct expr_value *v);
size_t expr_list_count(const struct expr_value *v); /* 0 when it is none */
struct expr_value expr_list_at(const struct expr_value *v, size_t i);
/* Appends JSON text as stringify() does. INVALID for the scope when it contains itself. */
Status expr_put_json(const struct expr_value *v, const struct expr_scope *scope, struct buf *out,
                     struct err *err) MUST_USE;
/* The same, but nothing is lost: what JSON cannot say is {"$":"undefined"}, {"$":"NaN"},
 * {"$":"Infinity"}, {"$":"-Infinity"}, {"$":"-0"}. */
Status expr_put_exact(const struct expr_value *v, const struct expr_scope *scope, struct buf *out,
                      struct err *err) MUST_USE;
/* A number as JavaScript prints it. */
#define EXPR_NUMBER_TEXT 48
void expr_number_text(double v, char out[EXPR_NUMBER_TEXT]);

/* JavaScript-flavoured pattern found in text? INVALID for a bad pattern, TOO_BIG when it takes too
 * long. */
Status expr_regex(struct str pattern, struct str text, bool *ret, struct err *err) MUST_USE;

/* ---- templates (6) ---- */

enum template_filter {
    TEMPLATE_PLAIN,
    TEMPLATE_EMPTY_NA, /* an empty text prints n/a: mails */
    TEMPLATE_URL,      /* values are URL-encoded */
};

struct template_form {
    struct str missing; /* printed for a missing value */
    enum template_filter filter;
    bool again; /* results that are macros are expanded, too: event parameters alone */
};

/* Appends the text with its macros expanded. A macro that fails prints "(ERROR: ...)"; the Status
 * is for bounds and memory. */
Status template_expand(struct str text, const struct template_form *form,
                       const struct expr_scope *scope, struct buf *out, struct err *err) MUST_USE;
/* Every macro compiles; INVALID with the first that does not. */
Status template_check(struct str text, struct err *err) MUST_USE;
/* The form with [path] of fixed texts (6.4), one pass. fallback .p NULL: the unknown stays. */
Status template_fill(struct str text, yyjson_val *context, struct str fallback,
                     struct buf *out) MUST_USE;

#endif
