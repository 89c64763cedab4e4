/* Secrets (reference/api-objects.md 12). */
#include "api/api_int.h"

const struct api_row api_secret_rows[] = {
    { 0 },
};
