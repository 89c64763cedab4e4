/* User accounts, as administrators see them (reference/api-operations.md 11.9, 11.10). */
#include "api/api_int.h"

const struct api_row api_admin_user_rows[] = {
    { 0 },
};
