/* The list of privileges as tables: by number and by name. It holds no rule of its own; what a
 * privilege opens is said in the rows of api/. */
#include "auth/privileges.h"

static const struct {
    const char *key;
    const char *title;
} rows[PRIV_COUNT] = { [PRIV_NONE] = { "", "Any valid user or key" },
                       [PRIV_PUBLIC] = { "", "Everybody" },
#define X(name, key, title) [PRIV_##name] = { key, title },
                       PRIVILEGES(X)
#undef X
};

const char *privilege_key(enum privilege p)
{
    return (unsigned)p < PRIV_COUNT ? rows[p].key : "";
}

const char *privilege_title(enum privilege p)
{
    return (unsigned)p < PRIV_COUNT ? rows[p].title : "";
}

bool privilege_find(struct str key, enum privilege *ret)
{
    for (unsigned p = PRIV_PUBLIC + 1; p < PRIV_COUNT; p++) {
        if (str_eq_z(key, rows[p].key)) {
            *ret = (enum privilege)p;
            return true;
        }
    }
    return false;
}
