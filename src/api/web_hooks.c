/* Web hooks (reference/api-objects.md 11). */
#include "api/api_int.h"

const struct api_row api_web_hook_rows[] = {
    { 0 },
};
