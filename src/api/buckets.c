/* Buckets (reference/api-objects.md 3). */
#include "api/api_int.h"

const struct api_row api_bucket_rows[] = {
    { 0 },
};
