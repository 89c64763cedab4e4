/* Pictures of users (reference/api-operations.md 11). */
#include "api/api_int.h"

const struct api_row api_avatar_rows[] = {
    { 0 },
};
