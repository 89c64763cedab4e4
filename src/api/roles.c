/* Roles (reference/api-objects.md 9). */
#include "api/api_int.h"

const struct api_row api_role_rows[] = {
    { 0 },
};
