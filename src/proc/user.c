/* Users and groups by name or number, from the system's database. A number without an entry is
 * accepted when it is our own. Does not change anything; proc_spawn does. */
#include "proc/spawn.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>

#define USER_ENTRY_MAX (1024u * 1024) /* a group with very many members */

static bool id_parse(const char *text, uint32_t *ret)
{
    uint64_t v;

    if (!str_to_u64(str_z(text), &v) || v >= UINT32_MAX)
        return false;
    *ret = (uint32_t)v;
    return true;
}

/* By name, then as a number. 0 with *found NULL: there is none. */
static int user_lookup(const char *text, struct passwd *entry, char *space, size_t size,
                       struct passwd **found)
{
    uint32_t id;
    int error = getpwnam_r(text, entry, space, size, found);

    if (!*found && error != ERANGE && id_parse(text, &id))
        error = getpwuid_r(id, entry, space, size, found);
    return error;
}

static int group_lookup(const char *text, struct group *entry, char *space, size_t size,
                        struct group **found)
{
    uint32_t id;
    int error = getgrnam_r(text, entry, space, size, found);

    if (!*found && error != ERANGE && id_parse(text, &id))
        error = getgrgid_r(id, entry, space, size, found);
    return error;
}

static Status user_missing(const char *text, struct proc_user *out, struct err *err)
{
    uint32_t id;

    if (!id_parse(text, &id) || id != geteuid())
        return err_set(err, STATUS_MISSING, NULL, "User does not exist: %s", text);
    *out = (struct proc_user){ .uid = id, .gid = getegid() };
    return STATUS_OK;
}

Status proc_user_find(const char *name_or_uid, struct proc_user *out, struct err *err)
{
    Status st = STATUS_NOMEM;

    for (size_t size = 4096; size <= USER_ENTRY_MAX; size *= 4) {
        char *space = malloc(size);
        struct passwd entry;
        struct passwd *found = NULL;
        int error;

        if (!space)
            break;
        error = user_lookup(name_or_uid, &entry, space, size, &found);
        st = STATUS_OK;
        if (found) {
            *out = (struct proc_user){ .uid = entry.pw_uid, .gid = entry.pw_gid };
            if (!str_copy_z(str_z(entry.pw_name), out->name, sizeof(out->name)) ||
                !str_copy_z(str_z(entry.pw_dir), out->home, sizeof(out->home)) ||
                !str_copy_z(str_z(entry.pw_shell), out->shell, sizeof(out->shell)))
                st = err_set(err, STATUS_TOO_BIG, NULL, "The entry of user %s is too long",
                             name_or_uid);
        }
        free(space);
        if (found)
            return st;
        if (error != ERANGE)
            return user_missing(name_or_uid, out, err);
        st = STATUS_TOO_BIG;
    }
    return err_set(err, st, NULL, "Cannot read the entry of user %s", name_or_uid);
}

Status proc_group_find(const char *name_or_gid, gid_t *ret, struct err *err)
{
    uint32_t id;

    for (size_t size = 4096; size <= USER_ENTRY_MAX; size *= 4) {
        char *space = malloc(size);
        struct group entry;
        struct group *found = NULL;
        int error;

        if (!space)
            return err_set(err, STATUS_NOMEM, NULL, "out of memory");
        error = group_lookup(name_or_gid, &entry, space, size, &found);
        free(space); /* gr_gid lies in entry itself */
        if (found) {
            *ret = entry.gr_gid;
            return STATUS_OK;
        }
        if (error != ERANGE)
            break;
    }
    if (id_parse(name_or_gid, &id) && id == getegid()) {
        *ret = id;
        return STATUS_OK;
    }
    return err_set(err, STATUS_MISSING, NULL, "Group does not exist: %s", name_or_gid);
}
