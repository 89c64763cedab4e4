/* Alert definitions and invocations (reference/api-objects.md 2). */
#include "api/api_int.h"

const struct api_row api_alert_rows[] = {
    { 0 },
};
