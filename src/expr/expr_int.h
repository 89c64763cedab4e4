/* The inside of the room: the tree, and what its files share. */
#ifndef EXPR_EXPR_INT_H
#define EXPR_EXPR_INT_H

#include "expr/expr.h"

enum token_kind {
    T_END,
    T_TEXT,
    T_NUMBER,
    T_TRUE,
    T_FALSE,
    T_NAME,
    T_OP, /* a binary operator: op */
    T_NOT,
    T_PUNCT, /* . [ ] | { } : , ( ) ?  in ch */
};

enum expr_op {
    OP_ADD,
    OP_SUB,
    OP_MUL,
    OP_DIV,
    OP_FLOORDIV,
    OP_MOD,
    OP_POW,
    OP_EQUAL,
    OP_UNEQUAL,
    OP_LESS,
    OP_LESS_EQUAL,
    OP_MORE,
    OP_MORE_EQUAL,
    OP_IN,
    OP_AND,
    OP_OR,
};

struct token {
    enum token_kind kind;
    enum expr_op op;
    char ch;
    uint32_t at; /* byte of the source */
    struct str text;
    double number;
};

/* Cuts the source into tokens of the arena, the last is T_END. Signs are already in the numbers. */
Status expr_lex(struct arena *a, struct str source, struct token **ret, struct err *err) MUST_USE;
/* "... (column N)" */
Status expr_error_at(struct err *err, struct str source, size_t at, const char *fmt, ...)
    PRINTF_LIKE(4, 5);

enum node_kind {
    N_LITERAL,
    N_NAME,    /* name; relative */
    N_LIST,    /* kids */
    N_OBJECT,  /* kids with keys */
    N_POSTFIX, /* kids[0], then steps */
    N_CALL,    /* fn, kids: arguments */
    N_NOT,     /* kids[0] */
    N_BINARY,  /* op, kids[0], kids[1] */
    N_TERNARY, /* kids[0], kids[1] and kids[2] may be NULL */
    N_BAD,     /* compiles, fails when evaluated: name is the sentence */
};

struct node;
struct step {
    enum { STEP_NAME, STEP_INDEX, STEP_FILTER } kind;
    struct str name;
    struct node *content;
};

struct expr_function;
struct node {
    enum node_kind kind;
    enum expr_op op;
    bool relative;
    uint32_t at;
    struct str name;
    struct expr_value literal;
    const struct expr_function *fn;
    struct node **kids;
    size_t n_kids;
    struct str *keys;
    struct step *steps;
    size_t n_steps;
    void *regex; /* pcre2_code of a match() whose pattern is a literal */
    struct node *next_regex;
};

struct expr {
    struct arena *arena;
    struct node *root;
    struct node *first_regex;
};

struct evaluation {
    const struct expr_scope *scope;
    struct arena *arena;
    struct err *err;
    const struct node *node;          /* of the call that runs */
    const struct expr_value *element; /* of the filter around, or NULL */
    uint32_t steps;
};

typedef Status (*ExprFn)(struct evaluation *ev, const struct expr_value *args, size_t n,
                         struct expr_value *ret);
struct expr_function {
    const char *name;
    ExprFn fn;
};
const struct expr_function *expr_function_find(struct str name); /* NULL */

/* value.c */
bool expr_is_object(const struct expr_value *v);
/* Own member or element by its text; missing otherwise. Never fails. */
struct expr_value expr_own(const struct expr_value *v, const struct expr_scope *scope,
                           struct str key);
struct expr_value expr_scope_get(const struct expr_scope *scope, struct str name);
bool expr_same(const struct expr_value *a, const struct expr_value *b); /* === of 2.3 */
size_t expr_units(struct str s);                                        /* UTF-16 length */
int expr_text_cmp(struct str a, struct str b);                          /* UTF-16 order */
double expr_text_number(struct str s);
/* Shortest digits of a finite, positive number: v = 0.d1d2... * 10^n. Returns the count. */
int expr_digits(double v, char digits[20], int *ret_n);
struct expr_value expr_text(struct str s);
struct expr_value expr_number(double n);
struct expr_value expr_bool(bool b);

/* lex.c */
/* The character at byte i and its length; 0 and 0 where there is none. */
uint32_t expr_code_point(struct str s, size_t i, size_t *ret_n);
/* Length of the white space character at i, 0: none. */
size_t expr_space_at(struct str s, size_t i);

/* eval.c: for operators and functions alike. */
Status expr_fails(struct evaluation *ev, const struct node *n, const char *sentence);
Status expr_full(struct evaluation *ev, const char *what);
Status expr_text_of(struct evaluation *ev, struct expr_value v, struct str *ret);
Status expr_number_of(struct evaluation *ev, struct expr_value v, double *ret);

/* regex.c */
Status expr_regex_compile(struct str pattern, void **ret, struct err *err) MUST_USE;
Status expr_regex_run(const void *regex, struct str text, bool *ret, struct err *err) MUST_USE;
void expr_regex_free(void *regex);

#endif
