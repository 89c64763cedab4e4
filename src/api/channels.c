/* Notification channels (reference/api-objects.md 5). */
#include "api/api_int.h"

const struct api_row api_channel_rows[] = {
    { 0 },
};
