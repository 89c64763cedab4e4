/* Monitor definitions (reference/api-objects.md 7). */
#include "api/api_int.h"

const struct api_row api_monitor_rows[] = {
    { 0 },
};
