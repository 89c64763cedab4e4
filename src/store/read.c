/* Reading: a query is compiled to SQL with bound parameters on the loop, run on a read-only
 * connection of the read lane, its rows copied into the caller's arena. Names come from the table
 * rows only, never from a caller's text. A snapshot holds for one query: rows and total agree.
 *
 * There are as many connections as threads of the lane, so a work item always finds a free one. */
#include "store/sqlite_int.h"

#include <stdio.h>

struct read_work {
    struct lane_work work;
    struct store *store;
    struct arena *own; /* holds this struct and the texts of the query */
    const struct store_table_row *row;
    struct str sql;
    struct str count_sql; /* .p NULL: no total wanted */
    struct store_value values[STORE_CONDITIONS_MAX * 2];
    size_t n_values;
    int64_t limit, offset;
    bool paged; /* limit and offset are the last two parameters */
    bool ids_only;
    struct arena *arena; /* the caller's */
    struct store_result result;
    StoreQueryFn fn;
    void *arg;
};

struct db *store_reader_take(struct store *s)
{
    for (;;) {
        for (unsigned i = 0; i < STORE_READERS; i++)
            if (!atomic_flag_test_and_set(&s->reader_busy[i]))
                return &s->readers[i];
    }
}

void store_reader_give(struct store *s, struct db *db)
{
    atomic_flag_clear(&s->reader_busy[db - s->readers]);
}

static struct read_work *read_new(struct store *s, enum store_table t, struct arena *a,
                                  StoreQueryFn fn, void *arg)
{
    struct arena *own = arena_new(STORE_ROW_MAX + 64u * 1024);
    struct read_work *r = own ? arena_zalloc(own, sizeof *r) : NULL;

    if (!r) {
        arena_free(own);
        return NULL;
    }
    r->store = s;
    r->own = own;
    r->row = store_table_row(t);
    r->arena = a;
    r->fn = fn;
    r->arg = arg;
    r->result.total = -1;
    return r;
}

/* ---- building ---- */

static void add_value(struct read_work *r, struct store_value v)
{
    if (v.type == VALUE_TEXT) {
        v.text = arena_dup(r->own, v.text);
        if (!v.text.p)
            r->result.status = STATUS_NOMEM;
    }
    r->values[r->n_values++] = v;
}

/* The smallest text greater than every text with this prefix; VALUE_NULL when there is none. */
static struct store_value prefix_end(struct read_work *r, struct str prefix)
{
    char *end = arena_dup_z(r->own, prefix);
    size_t n = prefix.n;

    while (end && n > 0 && (unsigned char)end[n - 1] == 0xff)
        n--;
    if (!end || n == 0)
        return (struct store_value){ .type = VALUE_NULL };
    end[n - 1] = (char)((unsigned char)end[n - 1] + 1);
    return store_text(str_n(end, n));
}

static void add_prefix(struct read_work *r, const char *name, struct str prefix, struct buf *sql)
{
    const struct store_value end = prefix_end(r, prefix);

    if (end.type == VALUE_NULL) {
        (void)buf_printf(sql, "\"%s\" IS NOT NULL", name);
        return;
    }
    (void)buf_printf(sql, "\"%s\">=? AND \"%s\"<?", name, name);
    add_value(r, store_text(prefix));
    add_value(r, end);
}

static Status add_condition(struct read_work *r, const struct store_condition *c, struct buf *sql,
                            struct err *err)
{
    static const char *const signs[] = { [OP_EQ] = "=",  [OP_NE] = "IS NOT", [OP_LT] = "<",
                                         [OP_LE] = "<=", [OP_GT] = ">",      [OP_GE] = ">=" };
    const bool is_id = c->column == STORE_COLUMN_ID;
    const bool wants_text = c->op == OP_HAS_WORD || c->op == OP_PREFIX;

    if (!is_id && (c->column < 0 || (size_t)c->column >= r->row->n_columns))
        return err_set(err, STATUS_INVALID, NULL, "a query names a column that is not there");
    if (wants_text && c->value.type != VALUE_TEXT)
        return err_set(err, STATUS_INVALID, NULL, "a query needs a text here");
    const char *name = is_id ? "id" : r->row->columns[c->column].name;

    if (c->op == OP_HAS_WORD) {
        (void)buf_printf(sql, "instr(','||\"%s\"||',',?)>0", name);
        const struct str word = arena_printf(r->own, ",%.*s,", STR_FMT(c->value.text));
        if (!word.p)
            return err_set(err, STATUS_NOMEM, NULL, "out of memory");
        r->values[r->n_values++] = store_text(word);
    } else if (c->op == OP_PREFIX) {
        add_prefix(r, name, c->value.text, sql);
    } else if (c->value.type == VALUE_NULL && (c->op == OP_EQ || c->op == OP_NE)) {
        (void)buf_printf(sql, "\"%s\" IS%s NULL", name, c->op == OP_NE ? " NOT" : "");
    } else {
        (void)buf_printf(sql, "\"%s\" %s ?", name, signs[c->op]);
        add_value(r, c->value);
    }
    return STATUS_OK;
}

static Status add_where(struct read_work *r, const struct store_query *q, struct buf *sql,
                        struct err *err)
{
    for (size_t i = 0; i < q->n_where; i++) {
        (void)buf_add_z(sql, i == 0 ? " WHERE " : " AND ");
        Status st = add_condition(r, &q->where[i], sql, err);
        if (st)
            return st;
    }
    return STATUS_OK;
}

static void add_columns(const struct store_table_row *row, bool json, struct buf *sql)
{
    (void)buf_add_z(sql, "SELECT id");
    for (size_t i = 0; i < row->n_columns; i++)
        (void)buf_printf(sql, ",\"%s\"", row->columns[i].name);
    (void)buf_printf(sql, "%s FROM \"%s\"", json ? ",json" : "", row->name);
}

static void add_order(const struct read_work *r, const struct store_query *q, struct buf *sql)
{
    const char *way = q->descending ? " DESC" : "";

    if (q->order_by == STORE_COLUMN_ID)
        (void)buf_printf(sql, " ORDER BY id%s", way);
    else /* the id breaks ties, so that pages never overlap */
        (void)buf_printf(sql, " ORDER BY \"%s\"%s,id%s", r->row->columns[q->order_by].name, way,
                         way);
    (void)buf_add_z(sql, " LIMIT ? OFFSET ?");
}

static Status select_build(struct read_work *r, const struct store_query *q, struct err *err)
{
    AUTO_BUF struct buf where = { 0 };
    AUTO_BUF struct buf sql = { 0 };

    buf_init(&where, DB_SQL_MAX);
    buf_init(&sql, DB_SQL_MAX);
    if (!r->row || q->n_where > STORE_CONDITIONS_MAX)
        return err_set(err, STATUS_INVALID, NULL, "a query with more than %u conditions",
                       STORE_CONDITIONS_MAX);
    if (q->order_by != STORE_COLUMN_ID &&
        (q->order_by < 0 || (size_t)q->order_by >= r->row->n_columns))
        return err_set(err, STATUS_INVALID, NULL, "a query sorts by a column that is not there");
    Status st = add_where(r, q, &where, err);
    if (st)
        return st;
    if (q->want_total)
        r->count_sql = arena_printf(r->own, "SELECT count(*) FROM \"%s\"%.*s", r->row->name,
                                    STR_FMT(buf_str(&where)));
    add_columns(r->row, !q->ids_only, &sql);
    (void)buf_add_str(&sql, buf_str(&where));
    add_order(r, q, &sql);
    r->sql = arena_dup(r->own, buf_str(&sql));
    r->paged = true;
    r->ids_only = q->ids_only;
    r->limit = q->limit <= 0 || q->limit > STORE_LIMIT_MAX ? STORE_LIMIT_MAX : q->limit;
    r->offset = q->offset > 0 ? q->offset : 0;
    if (sql.failed || where.failed || !r->sql.p || (q->want_total && !r->count_sql.p) ||
        r->result.status)
        return err_set(err, STATUS_NOMEM, NULL, "out of memory");
    return STATUS_OK;
}

/* ---- running, on the lane ---- */

static Status statement_ready(struct read_work *r, struct db *db, struct str sql, bool paged,
                              sqlite3_stmt **ret)
{
    int at = 1;
    int rc = SQLITE_OK;

    Status st = db_prepare(db, sql, ret, &r->result.err);
    if (st)
        return st;
    for (size_t i = 0; rc == SQLITE_OK && i < r->n_values; i++)
        rc = db_bind(*ret, at++, &r->values[i]);
    if (rc == SQLITE_OK && paged)
        rc = sqlite3_bind_int64(*ret, at++, r->limit);
    if (rc == SQLITE_OK && paged)
        rc = sqlite3_bind_int64(*ret, at, r->offset);
    return rc == SQLITE_OK ? STATUS_OK : db_error(db->h, rc, "reading", &r->result.err);
}

struct found_list {
    struct store_found *at;
    size_t n, cap;
};

static struct store_found *found_push(struct found_list *l)
{
    if (l->n == l->cap) {
        const size_t cap = l->cap ? l->cap * 2 : 64;
        struct store_found *more = realloc(l->at, cap * sizeof *more);
        if (!more)
            return NULL;
        l->at = more;
        l->cap = cap;
    }
    return &l->at[l->n++];
}

static Status rows_collect(struct read_work *r, struct db *db, sqlite3_stmt *stmt,
                           struct found_list *list)
{
    int rc;

    for (rc = sqlite3_step(stmt); rc == SQLITE_ROW; rc = sqlite3_step(stmt)) {
        struct store_found *found = found_push(list);
        if (!found)
            return err_set(&r->result.err, STATUS_NOMEM, NULL, "out of memory");
        if (db_row(stmt, r->row, !r->ids_only, r->arena, NULL, found))
            return err_set(&r->result.err, STATUS_TOO_BIG, NULL,
                           "the answer is larger than allowed; ask for fewer rows");
    }
    return rc == SQLITE_DONE ? STATUS_OK : db_error(db->h, rc, "reading", &r->result.err);
}

static Status rows_read(struct read_work *r, struct db *db)
{
    struct found_list list = { 0 };
    sqlite3_stmt *stmt = NULL;

    Status st = statement_ready(r, db, r->sql, r->paged, &stmt);
    if (!st)
        st = rows_collect(r, db, stmt, &list);
    (void)sqlite3_reset(stmt);
    if (!st && list.n) {
        struct store_found *rows = arena_alloc(r->arena, list.n * sizeof *rows);
        if (rows) {
            memcpy(rows, list.at, list.n * sizeof *rows);
            r->result.rows = rows;
            r->result.n = list.n;
        } else {
            st = err_set(&r->result.err, STATUS_TOO_BIG, NULL, "the answer is larger than allowed");
        }
    }
    free(list.at);
    return st;
}

static Status total_read(struct read_work *r, struct db *db)
{
    sqlite3_stmt *stmt = NULL;
    const int64_t n = (int64_t)r->result.n;

    if (n < r->limit && (n > 0 || r->offset == 0)) { /* the last page tells by itself */
        r->result.total = r->offset + n;
        return STATUS_OK;
    }
    Status st = statement_ready(r, db, r->count_sql, false, &stmt);
    if (st)
        return st;
    const int rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW)
        r->result.total = sqlite3_column_int64(stmt, 0);
    else
        st = db_error(db->h, rc, "counting", &r->result.err);
    (void)sqlite3_reset(stmt);
    return st;
}

static void read_run(struct lane_work *w)
{
    struct read_work *r = CONTAINER_OF(w, struct read_work, work);
    struct db *db = store_reader_take(r->store);
    const bool snapshot = r->count_sql.p != NULL;

    Status st = snapshot ? db_exec(db->h, "BEGIN", &r->result.err) : STATUS_OK;
    if (!st)
        st = rows_read(r, db);
    if (!st && r->count_sql.p)
        st = total_read(r, db);
    if (snapshot && !sqlite3_get_autocommit(db->h))
        (void)db_exec(db->h, "COMMIT", NULL);
    store_reader_give(r->store, db);
    if (st) {
        r->result.rows = NULL;
        r->result.n = 0;
        r->result.total = -1;
    }
    r->result.status = st;
}

static void read_done(struct lane_work *w)
{
    struct read_work *r = CONTAINER_OF(w, struct read_work, work);

    r->store->health.queries++;
    r->fn(r->arg, &r->result);
    arena_free(r->own);
}

static Status read_post(struct read_work *r, struct err *err)
{
    r->work.work = read_run;
    r->work.done = read_done;
    const bool closing = r->store->closing;
    Status st = closing ? STATUS_CLOSED : lane_post(r->store->read_lane, &r->work);
    if (!st)
        return STATUS_OK;
    arena_free(r->own);
    return err_set(err, st, NULL,
                   closing ? "the store is closing" : "too many queries wait for the store");
}

Status store_select(struct store *s, const struct store_query *q, struct arena *a, StoreQueryFn fn,
                    void *arg, struct err *err)
{
    struct read_work *r = read_new(s, q->table, a, fn, arg);

    if (!r)
        return err_set(err, STATUS_NOMEM, NULL, "out of memory");
    Status st = select_build(r, q, err);
    if (st) {
        arena_free(r->own);
        return st;
    }
    return read_post(r, err);
}

Status store_get(struct store *s, enum store_table t, struct str id, struct arena *a,
                 StoreQueryFn fn, void *arg, struct err *err)
{
    AUTO_BUF struct buf sql = { 0 };
    struct read_work *r = read_new(s, t, a, fn, arg);

    buf_init(&sql, DB_SQL_MAX);
    if (!r)
        return err_set(err, STATUS_NOMEM, NULL, "out of memory");
    if (r->row) {
        add_columns(r->row, true, &sql);
        (void)buf_add_z(&sql, " WHERE id=?");
        r->sql = arena_dup(r->own, buf_str(&sql));
        add_value(r, store_text(id.p ? id : STR("")));
    }
    if (!r->row || sql.failed || !r->sql.p || r->result.status) {
        const Status st = r->row ? STATUS_NOMEM : STATUS_INVALID;
        arena_free(r->own);
        return err_set(err, st, NULL, "%s", status_text(st));
    }
    return read_post(r, err);
}

/* ---- start-up ---- */

Status store_walk(struct store *s, enum store_table t, StoreWalkFn fn, void *arg, struct err *err)
{
    const struct store_table_row *row = store_table_row(t);
    struct store_value columns[32];
    AUTO_BUF struct buf sql = { 0 };
    sqlite3_stmt *stmt = NULL;
    struct db db;
    bool more = true;
    int rc = SQLITE_DONE;

    buf_init(&sql, DB_SQL_MAX);
    if (!row || row->n_columns > COUNT_OF(columns))
        return err_set(err, STATUS_INVALID, NULL, "no such table");
    add_columns(row, true, &sql);
    (void)buf_add_z(&sql, " ORDER BY id");
    if (sql.failed)
        return err_set(err, STATUS_NOMEM, NULL, "out of memory");
    Status st = db_open(&db, s->file, DB_READ, err);
    if (st)
        return st;
    st = db_prepare(&db, buf_str(&sql), &stmt, err);
    while (!st && more) {
        struct store_found found;
        rc = sqlite3_step(stmt);
        if (rc != SQLITE_ROW)
            break;
        st = db_row(stmt, row, true, NULL, columns, &found);
        more = !st && fn(arg, &found);
    }
    if (!st && rc != SQLITE_ROW && rc != SQLITE_DONE)
        st = db_error(db.h, rc, "reading", err);
    db_close(&db);
    return st;
}

/* ---- the check after start-up ---- */

struct check_work {
    struct lane_work work;
    struct store *store;
    bool finished;
    bool sound;
    char problem[256];
};

static int check_stop(void *arg)
{
    const struct check_work *c = arg;
    return atomic_load(&c->store->stop);
}

static void check_read(struct check_work *c, struct db *db)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(db->h, "PRAGMA quick_check(1)", -1, &stmt, NULL);

    if (rc == SQLITE_OK)
        rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW) {
        const void *text = sqlite3_column_text(stmt, 0);
        const struct str result = str_z(text);
        c->finished = true;
        c->sound = str_eq_z(result, "ok");
        (void)str_copy_z(c->sound ? STR("") : result, c->problem, sizeof c->problem);
    } else if (rc != SQLITE_INTERRUPT) {
        c->finished = true;
        (void)snprintf(c->problem, sizeof c->problem, "the check failed: %s",
                       sqlite3_errmsg(db->h));
    }
    sqlite3_finalize(stmt);
}

/* On a connection of its own: it is long, and no other query should wait for its cache. */
static void check_run(struct lane_work *w)
{
    struct check_work *c = CONTAINER_OF(w, struct check_work, work);
    struct err err = { .code = STATUS_OK };
    struct db db;

    if (db_open(&db, c->store->file, DB_READ, &err)) {
        c->finished = true;
        (void)str_copy_z(str_z(err.text), c->problem, sizeof c->problem);
        return;
    }
    sqlite3_progress_handler(db.h, 1000, check_stop, c);
    check_read(c, &db);
    db_close(&db);
}

static void check_done(struct lane_work *w)
{
    struct check_work *c = CONTAINER_OF(w, struct check_work, work);
    struct store_health *h = &c->store->health;

    h->checked = c->finished;
    h->sound = c->finished && c->sound;
    if (c->finished && !c->sound)
        (void)str_copy_z(str_z(c->problem), h->problem, sizeof h->problem);
    free(c);
}

Status store_check_start(struct store *s, struct err *err)
{
    struct check_work *c = calloc(1, sizeof *c);

    if (!c)
        return err_set(err, STATUS_NOMEM, NULL, "out of memory");
    c->store = s;
    c->work.work = check_run;
    c->work.done = check_done;
    Status st = lane_post(s->read_lane, &c->work);
    if (st)
        free(c);
    return st ? err_set(err, st, NULL, "the read lane is full") : STATUS_OK;
}
