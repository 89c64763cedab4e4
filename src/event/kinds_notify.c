/* Property tables of what marks and tells: tags, channels, web hooks (reference/api-objects.md 5,
 * 10, 11). */
#include "event/props.h"

/* clang-format off */
const struct prop tag_props[] = {
    PROP_ID,
    PROP_TITLE,
    PROP_ICON,
    PROP_NOTES,
    PROP_KEEPING,
    { 0 },
};

const struct prop channel_props[] = {
    PROP_ID,
    PROP_TITLE,
    PROP_ICON,
    PROP_NOTES,
    PROP_KEEPING,
    { 0 },
};

const struct prop web_hook_props[] = {
    PROP_ID,
    PROP_TITLE,
    PROP_ICON,
    PROP_NOTES,
    PROP_KEEPING,
    { 0 },
};
/* clang-format on */
