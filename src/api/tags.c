/* Tags (reference/api-objects.md 10). */
#include "api/api_int.h"

const struct api_row api_tag_rows[] = {
    { 0 },
};
