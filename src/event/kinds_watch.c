/* Property tables of what is watched: monitors and alerts (reference/api-objects.md 2.2, 7). */
#include "event/props.h"

/* clang-format off */
const struct prop monitor_props[] = {
    PROP_ID,
    PROP_TITLE,
    PROP_SORT_ORDER,
    PROP_ICON,
    PROP_NOTES,
    PROP_KEEPING,
    { 0 },
};

const struct prop alert_props[] = {
    PROP_ID,
    PROP_TITLE,
    PROP_ICON,
    PROP_NOTES,
    PROP_KEEPING,
    { 0 },
};
/* clang-format on */
