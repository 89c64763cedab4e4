/* Tokens to a tree (reference/expressions.md 1.4, 1.5), by recursive descent with precedence
 * climbing. Depth and number of terms are bounded, so that evaluation is, too: chains of operators
 * and of steps are walked in loops, brackets by recursion. */
#include "expr/expr_int.h"

#include <stdlib.h>

struct parser {
    struct str source;
    const struct token *t;
    struct arena *arena; /* of the tree */
    struct expr *e;
    struct err *err;
    Status status; /* sticks */
    unsigned depth;
    unsigned terms;
    bool relative;   /* a ".name" began an operand at this level */
    bool after_call; /* the last thing read was the end of a call */
};

static struct node *parse_expression(struct parser *p);

/* ---- small things ---- */

static struct node *fail(struct parser *p, const struct token *t, const char *what)
{
    if (p->status)
        return NULL;
    if (t->kind == T_END)
        p->status = expr_error_at(p->err, p->source, t->at, "Unexpected end, %s", what);
    else
        p->status = expr_error_at(p->err, p->source, t->at, "Unexpected \"%.*s\", %s",
                                  (int)(t->text.n > 40 ? 40 : t->text.n), t->text.p, what);
    return NULL;
}

static void *take_memory(struct parser *p, size_t n)
{
    void *m = arena_zalloc(p->arena, n);

    if (!m && !p->status)
        p->status = err_set(p->err, STATUS_NOMEM, NULL, "out of memory");
    return m;
}

static struct node *new_node(struct parser *p, enum node_kind kind, uint32_t at)
{
    struct node *n = take_memory(p, sizeof *n);

    if (n) {
        n->kind = kind;
        n->at = at;
    }
    return n;
}

static bool is_punct(const struct parser *p, char ch)
{
    return p->t->kind == T_PUNCT && p->t->ch == ch;
}

static bool accept(struct parser *p, char ch)
{
    if (!is_punct(p, ch))
        return false;
    p->t++;
    return true;
}

static bool expect(struct parser *p, char ch)
{
    char what[] = "\"?\" was expected";

    if (accept(p, ch))
        return true;
    what[1] = ch;
    (void)fail(p, p->t, what);
    return false;
}

static bool count_term(struct parser *p)
{
    if (++p->terms <= EXPR_TERMS_MAX)
        return true;
    if (!p->status)
        p->status = err_set(p->err, STATUS_TOO_BIG, NULL, "An expression has at most %u terms",
                            (unsigned)EXPR_TERMS_MAX);
    return false;
}

static bool go_deeper(struct parser *p)
{
    if (++p->depth <= EXPR_DEPTH_MAX)
        return true;
    if (!p->status)
        p->status = err_set(p->err, STATUS_TOO_BIG, NULL, "An expression nests at most %u levels",
                            (unsigned)EXPR_DEPTH_MAX);
    return false;
}

/* Names of what every object of JavaScript inherits: refused, so that nobody relies on them. */
static bool is_refused(struct str name)
{
    static const char *const names[] = {
        "constructor",      "toString",         "toLocaleString",       "valueOf",
        "hasOwnProperty",   "isPrototypeOf",    "propertyIsEnumerable", "__proto__",
        "__defineGetter__", "__defineSetter__", "__lookupGetter__",     "__lookupSetter__",
    };

    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (str_eq_z(name, names[i]))
            return true;
    }
    return false;
}

static bool take_name(struct parser *p, struct str *ret)
{
    if (p->t->kind != T_NAME) {
        (void)fail(p, p->t, "a name was expected");
        return false;
    }
    if (is_refused(p->t->text)) {
        (void)fail(p, p->t, "a reserved name");
        return false;
    }
    *ret = arena_dup(p->arena, p->t->text);
    if (!ret->p && !p->status)
        p->status = err_set(p->err, STATUS_NOMEM, NULL, "out of memory");
    p->t++;
    return !p->status;
}

/* An expression of a level of its own: dots in it are not those of the level around. */
static struct node *parse_inner(struct parser *p, bool *ret_relative)
{
    const bool outer = p->relative;
    struct node *n;

    p->relative = false;
    n = parse_expression(p);
    if (ret_relative)
        *ret_relative = p->relative;
    p->relative = outer;
    return n;
}

/* The array with room for one more behind its n elements: its size doubles at 4, 8, 16 ... */
static void *with_room(struct parser *p, void *old, size_t n, size_t size)
{
    void *v = old;

    if (n == 0)
        return take_memory(p, 4 * size);
    if (n >= 4 && (n & (n - 1)) == 0) {
        v = take_memory(p, 2 * n * size);
        if (v)
            memcpy(v, old, n * size);
    }
    return v;
}

struct kids {
    struct node **v;
    struct str *keys;
    size_t n;
};

static bool add_kid(struct parser *p, struct kids *k, struct node *kid, struct str key)
{
    k->v = with_room(p, k->v, k->n, sizeof *k->v);
    k->keys = with_room(p, k->keys, k->n, sizeof *k->keys);
    if (!k->v || !k->keys)
        return false;
    k->v[k->n] = kid;
    k->keys[k->n++] = key;
    return count_term(p);
}

/* Expressions between commas up to `close`; empty places are dropped. */
static bool parse_items(struct parser *p, char close, struct kids *ret)
{
    while (!p->status && !accept(p, close)) {
        if (accept(p, ','))
            continue;
        struct node *item = parse_inner(p, NULL);
        if (!item || !add_kid(p, ret, item, STR_NONE))
            return false;
        if (!is_punct(p, ',') && !is_punct(p, close)) {
            (void)fail(p, p->t,
                       close == ')' ? "\",\" or \")\" was expected"
                                    : "\",\" or \"]\" was expected");
            return false;
        }
    }
    return !p->status;
}

/* ---- operands ---- */

static struct node *parse_list(struct parser *p)
{
    struct node *n = new_node(p, N_LIST, p->t->at);
    struct kids kids = { 0 };

    p->t++;
    if (!n || !parse_items(p, ']', &kids))
        return NULL;
    n->kids = kids.v;
    n->n_kids = kids.n;
    return n;
}

static struct node *parse_object(struct parser *p)
{
    struct node *n = new_node(p, N_OBJECT, p->t->at);
    struct kids kids = { 0 };
    struct str key;

    p->t++;
    while (n && !accept(p, '}')) {
        if (!take_name(p, &key) || !expect(p, ':'))
            return NULL;
        struct node *item = parse_inner(p, NULL);
        if (!item || !add_kid(p, &kids, item, key))
            return NULL;
        if (!accept(p, ',') && !is_punct(p, '}'))
            return fail(p, p->t, "\",\" or \"}\" was expected");
    }
    if (!n)
        return NULL;
    n->kids = kids.v;
    n->keys = kids.keys;
    n->n_kids = kids.n;
    return n;
}

static struct node *parse_literal(struct parser *p)
{
    const struct token *t = p->t++;
    struct node *n = new_node(p, N_LITERAL, t->at);

    if (!n)
        return NULL;
    if (t->kind == T_NUMBER) {
        n->literal = expr_number(t->number);
    } else if (t->kind == T_TEXT) {
        n->literal = expr_text(arena_dup(p->arena, t->text));
        if (!n->literal.s.p)
            p->status = err_set(p->err, STATUS_NOMEM, NULL, "out of memory");
    } else {
        n->literal = expr_bool(t->kind == T_TRUE);
    }
    return n;
}

static struct node *parse_name(struct parser *p)
{
    struct node *n = new_node(p, N_NAME, p->t->at);

    if (!n)
        return NULL;
    if (accept(p, '.'))
        n->relative = p->relative = true;
    return take_name(p, &n->name) ? n : NULL;
}

static struct node *parse_group(struct parser *p)
{
    struct node *n;

    p->t++;
    n = parse_inner(p, NULL);
    return n && expect(p, ')') ? n : NULL;
}

static struct node *bad_node(struct parser *p, uint32_t at, const char *sentence)
{
    struct node *n = new_node(p, N_BAD, at);

    if (n)
        n->name = str_z(sentence);
    return n;
}

static struct node *parse_call(struct parser *p, struct str name, uint32_t at)
{
    struct node *n = new_node(p, N_CALL, at);
    struct kids kids = { 0 };

    p->t++;
    if (!n || !parse_items(p, ')', &kids))
        return NULL;
    n->name = name;
    n->fn = expr_function_find(name);
    n->kids = kids.v;
    n->n_kids = kids.n;
    return n;
}

/* A pattern that is known already is compiled with the expression; a bad one is an error of the
 * evaluation. */
static void keep_regex(struct parser *p, struct node *call)
{
    if (!str_eq_z(call->name, "match") || call->n_kids < 2 || call->kids[1]->kind != N_LITERAL ||
        call->kids[1]->literal.kind != EXPR_TEXT ||
        expr_regex_compile(call->kids[1]->literal.s, &call->regex, NULL))
        return;
    call->next_regex = p->e->first_regex;
    p->e->first_regex = call;
}

/* ---- what follows an operand ---- */

struct tail {
    struct step *v;
    size_t n;
};

static bool add_step(struct parser *p, struct tail *t, struct step step)
{
    t->v = with_room(p, t->v, t->n, sizeof *t->v);
    if (!t->v)
        return false;
    t->v[t->n++] = step;
    return count_term(p);
}

static struct node *close_tail(struct parser *p, struct node *head, struct tail *t)
{
    struct node *n;

    if (!head || t->n == 0)
        return head;
    n = new_node(p, N_POSTFIX, head->at);
    if (!n)
        return NULL;
    n->kids = take_memory(p, sizeof *n->kids);
    if (!n->kids)
        return NULL;
    n->kids[0] = head;
    n->n_kids = 1;
    n->steps = t->v;
    n->n_steps = t->n;
    *t = (struct tail){ 0 };
    return n;
}

static bool parse_bracket(struct parser *p, struct tail *t)
{
    struct step step = { .kind = STEP_INDEX };
    bool filter = false;

    p->t++;
    step.content = parse_inner(p, &filter);
    if (!step.content || !expect(p, ']'))
        return false;
    if (filter)
        step.kind = STEP_FILTER;
    return add_step(p, t, step);
}

/* "|name(...)": there are no transforms; it compiles and fails. */
static struct node *parse_transform(struct parser *p)
{
    const uint32_t at = p->t->at;
    struct kids kids = { 0 };
    struct str name;

    p->t++;
    if (!take_name(p, &name))
        return NULL;
    if (is_punct(p, '(')) {
        p->t++;
        if (!parse_items(p, ')', &kids))
            return NULL;
        p->after_call = true;
    }
    return bad_node(p, at, "There are no transforms");
}

static struct node *parse_operand(struct parser *p, bool *ret_full)
{
    *ret_full = false;
    switch (p->t->kind) {
    case T_TEXT:
    case T_NUMBER:
    case T_TRUE:
    case T_FALSE:
        return parse_literal(p);
    case T_NAME:
        *ret_full = true;
        return parse_name(p);
    case T_PUNCT:
        if (p->t->ch == '(')
            return parse_group(p);
        if (p->t->ch == '[')
            return parse_list(p);
        if (p->t->ch == '{')
            return parse_object(p);
        if (p->t->ch == '.') {
            *ret_full = true;
            return parse_name(p);
        }
        break;
    case T_OP:
    case T_NOT:
    case T_END:
        break;
    }
    return fail(p, p->t, "a value was expected");
}

/* What a "(" here would call: the name just read, or something that cannot be called. */
enum callable { CALL_NOTHING, CALL_NAME, CALL_RESULT };

static struct node *parse_postfix(struct parser *p)
{
    bool full;
    struct tail tail = { 0 };
    struct node *head = parse_operand(p, &full);
    enum callable callable = full ? CALL_NAME : CALL_NOTHING;
    struct str last = full && head ? head->name : STR_NONE;

    p->after_call = false;
    while (head && !p->status) {
        const uint32_t at = p->t->at;

        if (accept(p, '.')) {
            struct step step = { .kind = STEP_NAME };
            if (!take_name(p, &step.name) || !add_step(p, &tail, step))
                return NULL;
            last = step.name;
            full = true;
            callable = CALL_NAME;
            p->after_call = false;
        } else if (full && is_punct(p, '[')) {
            if (!parse_bracket(p, &tail))
                return NULL;
            callable = CALL_RESULT;
            p->after_call = false;
        } else if (callable != CALL_NOTHING && is_punct(p, '(')) {
            struct node *call = parse_call(p, last, at); /* whatever stood before is dropped */
            if (!call)
                return NULL;
            if (callable == CALL_RESULT)
                call = bad_node(p, at, "This cannot be called");
            else
                keep_regex(p, call);
            head = call;
            tail = (struct tail){ 0 };
            full = true;
            callable = CALL_NOTHING;
            p->after_call = true;
        } else if (is_punct(p, '|')) {
            p->after_call = false;
            head = parse_transform(p);
            tail = (struct tail){ 0 };
            full = true;
            callable = CALL_NOTHING;
        } else {
            break;
        }
    }
    return close_tail(p, head, &tail);
}

/* ---- operators ---- */

static int precedence(enum expr_op op)
{
    switch (op) {
    case OP_AND:
    case OP_OR:
        return 1;
    case OP_EQUAL:
    case OP_UNEQUAL:
    case OP_LESS:
    case OP_LESS_EQUAL:
    case OP_MORE:
    case OP_MORE_EQUAL:
    case OP_IN:
        return 2;
    case OP_ADD:
    case OP_SUB:
        return 3;
    case OP_MUL:
    case OP_DIV:
    case OP_FLOORDIV:
        return 4;
    case OP_MOD:
    case OP_POW:
        return 5;
    }
    return 0;
}

static struct node *parse_unary(struct parser *p)
{
    struct node *n, *kid;

    if (p->t->kind != T_NOT)
        return parse_postfix(p);
    n = new_node(p, N_NOT, p->t->at);
    p->t++;
    if (!n || !go_deeper(p))
        return NULL;
    kid = parse_unary(p);
    p->depth--;
    n->kids = take_memory(p, sizeof *n->kids);
    if (!kid || !n->kids)
        return NULL;
    n->kids[0] = kid;
    n->n_kids = 1;
    return n;
}

static struct node *parse_binary(struct parser *p, int least)
{
    struct node *left = parse_unary(p);

    while (left && !p->status && p->t->kind == T_OP && precedence(p->t->op) >= least) {
        struct node *n = new_node(p, N_BINARY, p->t->at);
        const enum expr_op op = p->t->op;

        p->t++;
        if (!n || !count_term(p))
            return NULL;
        struct node *right = parse_binary(p, precedence(op) + 1);
        n->kids = take_memory(p, 2 * sizeof *n->kids);
        if (!right || !n->kids)
            return NULL;
        n->op = op;
        n->kids[0] = left;
        n->kids[1] = right;
        n->n_kids = 2;
        left = n;
    }
    return p->status ? NULL : left;
}

static bool at_end_of_level(const struct parser *p)
{
    return p->t->kind == T_END || (p->t->kind == T_PUNCT && strchr(")]},:", p->t->ch) != NULL);
}

static struct node *parse_ternary(struct parser *p, struct node *test)
{
    struct node *n = new_node(p, N_TERNARY, p->t->at);

    if (p->after_call)
        return fail(p, p->t, "a call before \"?\" needs parentheses");
    p->t++;
    if (!n)
        return NULL;
    n->kids = take_memory(p, 3 * sizeof *n->kids);
    if (!n->kids)
        return NULL;
    n->n_kids = 3;
    n->kids[0] = test;
    if (!is_punct(p, ':')) {
        n->kids[1] = parse_inner(p, NULL);
        if (!n->kids[1])
            return NULL;
    }
    if (!expect(p, ':'))
        return NULL;
    if (!at_end_of_level(p)) {
        n->kids[2] = parse_inner(p, NULL);
        if (!n->kids[2])
            return NULL;
    }
    p->after_call = false;
    return n;
}

static struct node *parse_expression(struct parser *p)
{
    struct node *n;

    if (!go_deeper(p))
        return NULL;
    n = parse_binary(p, 1);
    if (n && is_punct(p, '?'))
        n = parse_ternary(p, n);
    p->depth--;
    return p->status ? NULL : n;
}

/* ---- the whole ---- */

#define ARENA_FACTOR 512u /* bytes of tree and tokens a byte of source can cost at most */

Status expr_compile(struct str source, struct expr **ret, struct err *err)
{
    AUTO(expr_free) struct expr *e = calloc(1, sizeof *e);
    AUTO(arena_free) struct arena *scratch = arena_new((source.n + 64) * sizeof(struct token) * 2);
    struct token *tokens;

    if (!e || !scratch)
        return err_set(err, STATUS_NOMEM, NULL, "out of memory");
    Status st = expr_lex(scratch, source, &tokens, err);
    if (st)
        return st;
    e->arena = arena_new((source.n + 64) * ARENA_FACTOR);
    if (!e->arena)
        return err_set(err, STATUS_NOMEM, NULL, "out of memory");
    struct parser p = { .source = source, .t = tokens, .arena = e->arena, .e = e, .err = err };
    e->root = parse_expression(&p);
    if (e->root && p.t->kind != T_END)
        (void)fail(&p, p.t, "an operator or the end was expected");
    if (p.status)
        return p.status;
    *ret = e;
    e = NULL;
    return STATUS_OK;
}

void expr_free(struct expr *e)
{
    if (!e)
        return;
    for (const struct node *n = e->first_regex; n; n = n->next_regex)
        expr_regex_free(n->regex);
    arena_free(e->arena);
    free(e);
}
