/* Tickets (reference/api-objects.md 13). */
#include "api/api_int.h"

const struct api_row api_ticket_rows[] = {
    { 0 },
};
