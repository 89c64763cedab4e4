/* A tree to a value (reference/expressions.md 1.5, 1.6, 2.3, 2.4). Every visit of a node is
 * counted; chains are walked in loops, so that the stack is as deep as the brackets. */
#include "expr/expr_int.h"

#include <math.h>

static Status eval(struct evaluation *ev, const struct node *n, struct expr_value *ret);

static const struct expr_value missing = { .kind = EXPR_MISSING };

Status expr_fails(struct evaluation *ev, const struct node *n, const char *sentence)
{
    return err_set(ev->err, STATUS_INVALID, NULL, "%s (column %u)", sentence, n->at + 1);
}

static Status no_memory(struct evaluation *ev)
{
    return err_set(ev->err, STATUS_FULL, NULL, "The evaluation needs too much memory");
}

Status expr_full(struct evaluation *ev, const char *what)
{
    return err_set(ev->err, STATUS_TOO_BIG, NULL, "%s would be too large", what);
}

Status expr_text_of(struct evaluation *ev, struct expr_value v, struct str *ret)
{
    Status st = expr_to_text(&v, ev->arena, ret);

    if (st == STATUS_TOO_BIG)
        return expr_full(ev, "A text");
    return st ? no_memory(ev) : STATUS_OK;
}

Status expr_number_of(struct evaluation *ev, struct expr_value v, double *ret)
{
    return expr_to_number(&v, ev->arena, ret) ? no_memory(ev) : STATUS_OK;
}

static Status numbers_of(struct evaluation *ev, struct expr_value a, struct expr_value b, double *x,
                         double *y)
{
    Status st = expr_number_of(ev, a, x);

    return st ? st : expr_number_of(ev, b, y);
}

static bool is_container(const struct expr_value *v)
{
    return v->kind == EXPR_JSON || v->kind == EXPR_LIST || v->kind == EXPR_OBJECT ||
           v->kind == EXPR_SCOPE;
}

/* ---- operators ---- */

static Status to_primitive(struct evaluation *ev, struct expr_value *v)
{
    struct str text;

    if (!is_container(v))
        return STATUS_OK;
    Status st = expr_text_of(ev, *v, &text);
    if (!st)
        *v = expr_text(text);
    return st;
}

static Status to_primitives(struct evaluation *ev, struct expr_value *a, struct expr_value *b)
{
    Status st = to_primitive(ev, a);

    return st ? st : to_primitive(ev, b);
}

static Status concat(struct evaluation *ev, const struct expr_value *a, const struct expr_value *b,
                     struct expr_value *ret)
{
    struct str x, y;
    char *out;
    Status st = expr_text_of(ev, *a, &x);

    if (!st)
        st = expr_text_of(ev, *b, &y);
    if (st)
        return st;
    if (x.n + y.n > EXPR_TEXT_MAX)
        return expr_full(ev, "A text");
    out = arena_alloc(ev->arena, x.n + y.n + 1);
    if (!out)
        return no_memory(ev);
    if (x.n)
        memcpy(out, x.p, x.n);
    if (y.n)
        memcpy(out + x.n, y.p, y.n);
    *ret = expr_text(str_n(out, x.n + y.n));
    return STATUS_OK;
}

static Status add(struct evaluation *ev, struct expr_value a, struct expr_value b,
                  struct expr_value *ret)
{
    double x, y;
    Status st = to_primitives(ev, &a, &b);

    if (st)
        return st;
    if (a.kind == EXPR_TEXT || b.kind == EXPR_TEXT)
        return concat(ev, &a, &b, ret);
    st = numbers_of(ev, a, b, &x, &y);
    if (!st)
        *ret = expr_number(x + y);
    return st;
}

static double power(double x, double y)
{
    if (y == 0)
        return 1;
    if (isnan(y) || (isinf(y) && fabs(x) == 1))
        return NAN;
    return pow(x, y);
}

static double calculate(enum expr_op op, double x, double y)
{
    switch (op) {
    case OP_SUB:
        return x - y;
    case OP_MUL:
        return x * y;
    case OP_DIV:
        return x / y;
    case OP_FLOORDIV:
        return floor(x / y);
    case OP_MOD:
        return y == 0 ? NAN : fmod(x, y);
    case OP_POW:
        return power(x, y);
    case OP_ADD:
    case OP_EQUAL:
    case OP_UNEQUAL:
    case OP_LESS:
    case OP_LESS_EQUAL:
    case OP_MORE:
    case OP_MORE_EQUAL:
    case OP_IN:
    case OP_AND:
    case OP_OR:
        break;
    }
    return NAN;
}

static Status loose_equal(struct evaluation *ev, struct expr_value a, struct expr_value b,
                          bool *ret)
{
    const bool a_none = a.kind == EXPR_MISSING || a.kind == EXPR_NULL;
    const bool b_none = b.kind == EXPR_MISSING || b.kind == EXPR_NULL;
    double x, y;
    Status st;

    *ret = false;
    if (a_none || b_none) {
        *ret = a_none && b_none;
        return STATUS_OK;
    }
    if (is_container(&a) && is_container(&b)) {
        *ret = expr_same(&a, &b);
        return STATUS_OK;
    }
    st = to_primitives(ev, &a, &b); /* booleans become numbers below */
    if (st)
        return st;
    if (a.kind == b.kind) {
        *ret = expr_same(&a, &b);
        return STATUS_OK;
    }
    st = numbers_of(ev, a, b, &x, &y);
    if (!st)
        *ret = x == y;
    return st;
}

static Status compare(struct evaluation *ev, enum expr_op op, struct expr_value a,
                      struct expr_value b, bool *ret)
{
    double x, y;
    Status st = to_primitives(ev, &a, &b);

    if (st)
        return st;
    if (a.kind == EXPR_TEXT && b.kind == EXPR_TEXT) {
        x = expr_text_cmp(a.s, b.s);
        y = 0;
    } else {
        st = numbers_of(ev, a, b, &x, &y);
        if (st)
            return st;
    }
    *ret = op == OP_LESS ? x < y : op == OP_LESS_EQUAL ? x <= y : op == OP_MORE ? x > y : x >= y;
    return STATUS_OK;
}

static Status contains(struct evaluation *ev, const struct expr_value *a,
                       const struct expr_value *b, bool *ret)
{
    *ret = false;
    if (b->kind == EXPR_TEXT) {
        struct str text;
        Status st = expr_text_of(ev, *a, &text);

        if (!st)
            *ret = text.n == 0 || str_find(b->s, text) < b->s.n;
        return st;
    }
    if (b->kind == EXPR_JSON && yyjson_is_arr(b->j)) {
        yyjson_arr_iter it = yyjson_arr_iter_with(b->j);
        yyjson_val *item;

        while (!*ret && (item = yyjson_arr_iter_next(&it)) != NULL) {
            const struct expr_value e = expr_of_json(item);
            *ret = expr_same(a, &e);
        }
    } else if (b->kind == EXPR_LIST) {
        for (size_t i = 0; !*ret && i < b->list->n; i++)
            *ret = expr_same(a, &b->list->v[i]);
    }
    return STATUS_OK;
}

static Status apply(struct evaluation *ev, enum expr_op op, const struct expr_value *a,
                    const struct expr_value *b, struct expr_value *ret)
{
    bool yes = false;
    double x, y;
    Status st = STATUS_OK;

    switch (op) {
    case OP_ADD:
        return add(ev, *a, *b, ret);
    case OP_SUB:
    case OP_MUL:
    case OP_DIV:
    case OP_FLOORDIV:
    case OP_MOD:
    case OP_POW:
        st = numbers_of(ev, *a, *b, &x, &y);
        if (!st)
            *ret = expr_number(calculate(op, x, y));
        return st;
    case OP_EQUAL:
    case OP_UNEQUAL:
        st = loose_equal(ev, *a, *b, &yes);
        *ret = expr_bool(yes == (op == OP_EQUAL));
        return st;
    case OP_LESS:
    case OP_LESS_EQUAL:
    case OP_MORE:
    case OP_MORE_EQUAL:
        st = compare(ev, op, *a, *b, &yes);
        *ret = expr_bool(yes);
        return st;
    case OP_IN:
        st = contains(ev, a, b, &yes);
        *ret = expr_bool(yes);
        return st;
    case OP_AND:
    case OP_OR:
        *ret = *b;
        return STATUS_OK;
    }
    return STATUS_OK;
}

/* a op b op c ... leans to the left: down to the first operand, then up again. */
static Status eval_binary(struct evaluation *ev, const struct node *n, struct expr_value *ret)
{
    const struct node *small[8];
    const struct node **chain = small;
    const struct node *first = n;
    size_t count = 0;
    Status st;

    for (; first->kind == N_BINARY; first = first->kids[0])
        count++;
    if (count > COUNT_OF(small)) {
        chain = arena_alloc(ev->arena, count * sizeof(struct node *));
        if (!chain)
            return no_memory(ev);
    }
    for (size_t i = count; i-- > 0; n = n->kids[0])
        chain[i] = n;
    st = eval(ev, first, ret);
    for (size_t i = 0; i < count && !st; i++) {
        struct expr_value right;

        if ((chain[i]->op == OP_AND && !expr_truthy(ret)) ||
            (chain[i]->op == OP_OR && expr_truthy(ret)))
            continue;
        st = eval(ev, chain[i]->kids[1], &right);
        if (!st) {
            const struct expr_value left = *ret;
            st = apply(ev, chain[i]->op, &left, &right, ret);
        }
    }
    return st;
}

/* ---- members, indexes, filters ---- */

static Status read_name(struct evaluation *ev, const struct node *n, struct expr_value *v,
                        struct str name)
{
    struct expr_value subject = *v;

    if (expr_is_list(&subject)) {
        subject = expr_list_at(&subject, 0);
        if (subject.kind == EXPR_MISSING || subject.kind == EXPR_NULL)
            return expr_fails(ev, n, "A name is read from a list without a first element");
    }
    *v = expr_own(&subject, ev->scope, name);
    return STATUS_OK;
}

static Status read_index(struct evaluation *ev, const struct step *step, struct expr_value *v)
{
    struct expr_value key;
    struct str text;
    Status st = eval(ev, step->content, &key);

    if (st)
        return st;
    if (key.kind == EXPR_BOOL) {
        if (!key.b)
            *v = missing;
        return STATUS_OK;
    }
    if (v->kind == EXPR_MISSING || v->kind == EXPR_NULL)
        return expr_fails(ev, step->content, "An index is read from a missing value");
    st = expr_text_of(ev, key, &text);
    if (!st)
        *v = expr_own(v, ev->scope, text);
    return st;
}

static Status filter_one(struct evaluation *ev, const struct step *step,
                         const struct expr_value *element, struct expr_value *kept, size_t *n)
{
    const struct expr_value *outer = ev->element;
    struct expr_value yes;
    Status st;

    ev->element = element;
    st = eval(ev, step->content, &yes);
    ev->element = outer;
    if (!st && expr_truthy(&yes))
        kept[(*n)++] = *element;
    return st;
}

static Status filter(struct evaluation *ev, const struct step *step, struct expr_value *v)
{
    const struct expr_value subject = *v;
    const bool list = expr_is_list(&subject);
    const size_t count = subject.kind == EXPR_MISSING ? 0 : (list ? expr_list_count(&subject) : 1);
    struct expr_list *out = arena_zalloc(ev->arena, sizeof *out);
    struct expr_value *kept = arena_alloc(ev->arena, (count + 1) * sizeof *kept);
    Status st = STATUS_OK;

    if (count > EXPR_LIST_MAX)
        return expr_full(ev, "A list");
    if (!out || !kept)
        return no_memory(ev);
    if (list && subject.kind == EXPR_JSON) {
        yyjson_arr_iter it = yyjson_arr_iter_with(subject.j);
        yyjson_val *item;

        while (!st && (item = yyjson_arr_iter_next(&it)) != NULL) {
            const struct expr_value e = expr_of_json(item);
            st = filter_one(ev, step, &e, kept, &out->n);
        }
    } else if (list) {
        for (size_t i = 0; i < count && !st; i++)
            st = filter_one(ev, step, &subject.list->v[i], kept, &out->n);
    } else if (count) {
        st = filter_one(ev, step, &subject, kept, &out->n);
    }
    out->v = kept;
    *v = (struct expr_value){ .kind = EXPR_LIST, .list = out };
    return st;
}

static Status eval_postfix(struct evaluation *ev, const struct node *n, struct expr_value *ret)
{
    Status st = eval(ev, n->kids[0], ret);

    for (size_t i = 0; i < n->n_steps && !st; i++) {
        const struct step *step = &n->steps[i];

        switch (step->kind) {
        case STEP_NAME:
            st = read_name(ev, n, ret, step->name);
            break;
        case STEP_INDEX:
            st = read_index(ev, step, ret);
            break;
        case STEP_FILTER:
            st = filter(ev, step, ret);
            break;
        }
    }
    return st;
}

/* ---- the others ---- */

static Status eval_kids(struct evaluation *ev, const struct node *n, struct expr_value **ret)
{
    struct expr_value *v = arena_alloc(ev->arena, (n->n_kids + 1) * sizeof *v);
    Status st = STATUS_OK;

    if (!v)
        return no_memory(ev);
    for (size_t i = 0; i < n->n_kids && !st; i++)
        st = eval(ev, n->kids[i], &v[i]);
    *ret = v;
    return st;
}

static Status eval_list(struct evaluation *ev, const struct node *n, struct expr_value *ret)
{
    struct expr_list *list = arena_alloc(ev->arena, sizeof *list);
    struct expr_value *v = NULL;
    Status st = eval_kids(ev, n, &v);

    if (st)
        return st;
    if (!list)
        return no_memory(ev);
    *list = (struct expr_list){ .n = n->n_kids, .v = v };
    *ret = (struct expr_value){ .kind = EXPR_LIST, .list = list };
    return STATUS_OK;
}

static Status eval_object(struct evaluation *ev, const struct node *n, struct expr_value *ret)
{
    struct expr_object *object = arena_alloc(ev->arena, sizeof *object);
    struct expr_member *m = arena_alloc(ev->arena, (n->n_kids + 1) * sizeof *m);
    struct expr_value *v = NULL;
    size_t count = 0;
    Status st = eval_kids(ev, n, &v);

    if (st)
        return st;
    if (!object || !m)
        return no_memory(ev);
    for (size_t i = 0; i < n->n_kids; i++) {
        size_t at = 0;

        while (at < count && !str_eq(m[at].key, n->keys[i]))
            at++;
        m[at] = (struct expr_member){ .key = n->keys[i], .v = v[i] };
        if (at == count)
            count++;
    }
    *object = (struct expr_object){ .n = count, .m = m };
    *ret = (struct expr_value){ .kind = EXPR_OBJECT, .object = object };
    return STATUS_OK;
}

static Status eval_call(struct evaluation *ev, const struct node *n, struct expr_value *ret)
{
    const struct node *outer = ev->node;
    struct expr_value *args = NULL;
    Status st;

    if (!n->fn)
        return err_set(ev->err, STATUS_INVALID, NULL, "There is no function %.*s (column %u)",
                       STR_FMT(str_slice(n->name, 0, 40)), n->at + 1);
    st = eval_kids(ev, n, &args);
    if (st)
        return st;
    ev->node = n;
    *ret = missing;
    st = n->fn->fn(ev, args, n->n_kids, ret);
    ev->node = outer;
    return st;
}

static Status eval_ternary(struct evaluation *ev, const struct node *n, struct expr_value *ret)
{
    Status st = eval(ev, n->kids[0], ret);

    if (st)
        return st;
    if (!expr_truthy(ret))
        return n->kids[2] ? eval(ev, n->kids[2], ret)
                          : expr_fails(ev, n, "Nothing follows the \":\"");
    return n->kids[1] ? eval(ev, n->kids[1], ret) : STATUS_OK;
}

static struct expr_value eval_name(const struct evaluation *ev, const struct node *n)
{
    if (n->relative && ev->element && expr_truthy(ev->element))
        return expr_own(ev->element, ev->scope, n->name);
    return expr_scope_get(ev->scope, n->name);
}

static Status eval(struct evaluation *ev, const struct node *n, struct expr_value *ret)
{
    Status st;

    if (++ev->steps > EXPR_STEPS_MAX)
        return err_set(ev->err, STATUS_TOO_BIG, NULL, "The evaluation takes more than %u steps",
                       (unsigned)EXPR_STEPS_MAX);
    switch (n->kind) {
    case N_LITERAL:
        *ret = n->literal;
        return STATUS_OK;
    case N_NAME:
        *ret = eval_name(ev, n);
        return STATUS_OK;
    case N_LIST:
        return eval_list(ev, n, ret);
    case N_OBJECT:
        return eval_object(ev, n, ret);
    case N_POSTFIX:
        return eval_postfix(ev, n, ret);
    case N_CALL:
        return eval_call(ev, n, ret);
    case N_NOT:
        st = eval(ev, n->kids[0], ret);
        *ret = expr_bool(!st && !expr_truthy(ret));
        return st;
    case N_BINARY:
        return eval_binary(ev, n, ret);
    case N_TERNARY:
        return eval_ternary(ev, n, ret);
    case N_BAD:
        return expr_fails(ev, n, n->name.p);
    }
    return STATUS_OK;
}

Status expr_eval(const struct expr *e, const struct expr_scope *scope, struct expr_value *ret,
                 struct err *err)
{
    struct evaluation ev = { .scope = scope, .arena = scope->arena, .err = err };
    struct expr_value value = missing;
    Status st = eval(&ev, e->root, &value);

    if (!st)
        *ret = value;
    return st;
}
