/* Searching records. One table a record kind (search_indexes) names its columns, where their values
 * lie in the record, and how they are cleaned; from it: the row that is written, the query language
 * (reference/api-operations.md 2, 3), summaries, sorters, documents.
 *
 * Writers of records call search_put alone: it fills the typed columns and the word index of the
 * record's table. Rights are joined to the parsed query as conditions, never to its text. */
#ifndef SEARCH_SEARCH_H
#define SEARCH_SEARCH_H

#include "store/store.h"

enum search_index {
    SEARCH_JOBS,
    SEARCH_ALERTS,
    SEARCH_SNAPSHOTS,
    SEARCH_SERVERS,
    SEARCH_ACTIVITY,
    SEARCH_TICKETS,
    SEARCH_COUNT
};

/* Adds the row of a record with all columns of its index (replacing an older one). json: the whole
 * record. What cannot be indexed (wrong types) is left out of the index, never refused. */
void search_put(struct store_tx *tx, enum search_index i, struct str id, struct str json);
void search_delete(struct store_tx *tx, enum search_index i, struct str id);

#endif
