/* Collecting a transaction: values copied into its own arena, nothing else. The first failure
 * (memory, a row too big, a bad id) sticks and is what store_commit answers. */
#include "store/sqlite_int.h"

struct store_tx *store_tx_new(struct store *s)
{
    struct store_tx *tx = calloc(1, sizeof *tx);

    if (!tx)
        return NULL;
    tx->store = s;
    tx->arena = arena_new(STORE_TX_MAX);
    if (!tx->arena) {
        free(tx);
        return NULL;
    }
    return tx;
}

void store_tx_free(struct store_tx *tx)
{
    if (!tx)
        return;
    arena_free(tx->arena);
    free(tx);
}

size_t store_tx_count(const struct store_tx *tx)
{
    return tx ? tx->n : 0;
}

static void tx_fail(struct store_tx *tx, Status st, const char *text)
{
    if (!tx->st)
        tx->st = err_set(&tx->err, st, NULL, "%s", text);
}

static bool tx_copy(struct store_tx *tx, struct str *s)
{
    if (!s->p)
        return true;
    tx->bytes += s->n;
    *s = arena_dup(tx->arena, *s);
    return s->p != NULL;
}

struct tx_op *store_tx_op(struct store_tx *tx, enum tx_op_kind kind, enum store_table t,
                          struct str id, struct str json, const struct store_value *columns,
                          size_t n)
{
    size_t row_bytes = id.n + json.n;

    if (!tx || tx->st)
        return NULL;
    for (size_t i = 0; i < n; i++)
        row_bytes += columns[i].text.p ? columns[i].text.n : 0;
    if (row_bytes > STORE_ROW_MAX) {
        tx_fail(tx, STATUS_TOO_BIG, "a row is larger than the store takes");
        return NULL;
    }
    if (id.n > STORE_ID_BYTES_MAX) {
        tx_fail(tx, STATUS_INVALID, "the id of a row is too long");
        return NULL;
    }
    struct tx_op *op = arena_zalloc(tx->arena, sizeof *op + n * sizeof op->values[0]);
    bool fits = op != NULL;
    if (fits) {
        *op = (struct tx_op){ .kind = kind, .table = t, .id = id, .json = json, .n_values = n };
        fits = tx_copy(tx, &op->id) && tx_copy(tx, &op->json);
    }
    for (size_t i = 0; fits && i < n; i++) {
        op->values[i] = columns[i];
        fits = columns[i].type != VALUE_TEXT || tx_copy(tx, &op->values[i].text);
    }
    if (!fits) {
        tx_fail(tx, STATUS_TOO_BIG, "the transaction is larger than the store takes");
        return NULL;
    }
    if (tx->last)
        tx->last->next = op;
    else
        tx->first = op;
    tx->last = op;
    tx->n++;
    tx->bytes += sizeof *op;
    return op;
}

static void tx_row(struct store_tx *tx, enum tx_op_kind kind, enum store_table t, struct str id,
                   struct str json, const struct store_value *columns, size_t n)
{
    const struct store_table_row *row = store_table_row(t);

    if (!tx)
        return;
    if (!row || n != row->n_columns || !id.p || id.n == 0 || !json.p) {
        tx_fail(tx, STATUS_INVALID, "a row without id, text or all of its columns");
        return;
    }
    (void)store_tx_op(tx, kind, t, id, json, columns, n);
}

void store_tx_put(struct store_tx *tx, enum store_table t, struct str id, struct str json,
                  const struct store_value *columns, size_t n)
{
    tx_row(tx, STORE_PUT, t, id, json, columns, n);
}

void store_tx_insert(struct store_tx *tx, enum store_table t, struct str id, struct str json,
                     const struct store_value *columns, size_t n)
{
    tx_row(tx, STORE_INSERT, t, id, json, columns, n);
}

void store_tx_delete(struct store_tx *tx, enum store_table t, struct str id)
{
    if (!tx)
        return;
    if (!store_table_row(t) || !id.p) {
        tx_fail(tx, STATUS_INVALID, "a deletion without an id");
        return;
    }
    (void)store_tx_op(tx, STORE_DELETE, t, id, STR_NONE, NULL, 0);
}

void store_tx_delete_where(struct store_tx *tx, enum store_table t, size_t column,
                           struct store_value v)
{
    const struct store_table_row *row = store_table_row(t);

    if (!tx)
        return;
    if (!row || column >= row->n_columns) {
        tx_fail(tx, STATUS_INVALID, "a deletion by a column that is not there");
        return;
    }
    struct tx_op *op = store_tx_op(tx, STORE_DELETE_WHERE, t, STR_NONE, STR_NONE, &v, 1);
    if (op)
        op->column = column;
}
