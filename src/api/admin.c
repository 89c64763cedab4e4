/* Calls of administrators (reference/api-operations.md 12). */
#include "api/api_int.h"

const struct api_row api_admin_rows[] = {
    { 0 },
};
