/* Property tables of what is kept: buckets and secrets (reference/api-objects.md 3.4, 12.2). Data
 * and files of a bucket and the sealed fields of a secret are rows of their own, never in the
 * object. */
#include "event/props.h"

/* clang-format off */
const struct prop bucket_props[] = {
    PROP_ID,
    PROP_TITLE,
    PROP_ICON,
    PROP_NOTES,
    PROP_KEEPING,
    { 0 },
};

const struct prop secret_props[] = {
    PROP_ID,
    PROP_TITLE,
    PROP_ICON,
    PROP_NOTES,
    PROP_KEEPING,
    { 0 },
};
/* clang-format on */
