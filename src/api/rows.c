/* All rows, put together from the families and sorted by name once; read-only from then on. A new
 * family is one line here and one in api_int.h. */
#include "api/api_int.h"

#include <stdlib.h>

#define ROWS_MAX 256u

static const struct api_row *const families[] = {
    api_agent_rows,  api_category_rows,   api_event_rows,    api_file_rows,    api_group_rows,
    api_job_rows,    api_job_change_rows, api_joblog_rows,   api_key_rows,     api_misc_rows,
    api_plugin_rows, api_run_rows,        api_search_rows,   api_server_rows,  api_user_rows,
    api_tag_rows,    api_channel_rows,    api_web_hook_rows, api_monitor_rows, api_alert_rows,
    api_role_rows,   api_admin_user_rows, api_bucket_rows,   api_secret_rows,  api_ticket_rows,
    api_admin_rows,  api_avatar_rows,
};

const struct prop api_in_id[] = {
    { .name = "id", .type = P_ID, .flags = P_REQUIRED, .doc = "Id of the object." },
    { 0 },
};

/* The account space behind the others. */
static int space_of(const struct api_row *row)
{
    return row->flags & API_USER_SPACE ? 1 : 0;
}

static int by_name(const void *a, const void *b)
{
    const struct api_row *const *x = a;
    const struct api_row *const *y = b;

    if (space_of(*x) != space_of(*y))
        return space_of(*x) - space_of(*y);
    return strcmp((*x)->name, (*y)->name);
}

const struct api_row *const *api_rows(size_t *ret_n)
{
    static const struct api_row *sorted[ROWS_MAX];
    static size_t n;

    if (n == 0) {
        for (size_t f = 0; f < COUNT_OF(families); f++)
            for (const struct api_row *row = families[f]; row->name && n < ROWS_MAX; row++)
                sorted[n++] = row;
        qsort(sorted, n, sizeof sorted[0], by_name);
    }
    *ret_n = n;
    return sorted;
}

static int compare(const struct api_row *row, struct str name, bool user_space)
{
    if (space_of(row) != (user_space ? 1 : 0))
        return space_of(row) - (user_space ? 1 : 0);
    return str_cmp(str_z(row->name), name);
}

const struct api_row *api_row_find(struct str name, bool user_space)
{
    size_t high;
    const struct api_row *const *rows = api_rows(&high);
    size_t low = 0;

    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const int order = compare(rows[middle], name, user_space);

        if (order == 0)
            return rows[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

size_t api_row_index(const struct api_row *row)
{
    size_t high;
    const struct api_row *const *rows = api_rows(&high);
    size_t low = 0;

    while (low < high) {
        const size_t middle = low + (high - low) / 2;

        if (by_name(&rows[middle], &row) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}
