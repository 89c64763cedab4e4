/* The file `exec`: a proc_spec as records of one letter and a NUL-terminated text, so that nothing
 * needs escaping (the strings cannot hold NUL) and the supervisor can use them where they lie: x1
 * cFOLDER  uUID GID  nUSER  lRESOURCE SOFT HARD ...  aARG ...  eNAME=VALUE ...  z The closing
 * record tells a whole file from a cut one. */
#include "sat/super_int.h"

#define EXEC_VERSION    "1"
#define EXEC_LIMITS_MAX 64

static void put(struct buf *out, char letter, const char *text)
{
    (void)buf_add_char(out, letter);
    (void)buf_add(out, text, strlen(text) + 1);
}

Status super_write_exec(const struct proc_spec *spec, struct buf *out)
{
    char text[96];

    put(out, 'x', EXEC_VERSION);
    if (spec->cwd)
        put(out, 'c', spec->cwd);
    if (spec->set_user) {
        (void)snprintf(text, sizeof(text), "%u %u", (unsigned)spec->uid, (unsigned)spec->gid);
        put(out, 'u', text);
        if (spec->user_name)
            put(out, 'n', spec->user_name);
    }
    for (size_t i = 0; i < spec->n_limits; i++) {
        const struct proc_limit *l = &spec->limits[i];

        (void)snprintf(text, sizeof(text), "%d %llu %llu", l->resource, l->soft, l->hard);
        put(out, 'l', text);
    }
    for (const char *const *arg = spec->argv; arg && *arg; arg++)
        put(out, 'a', *arg);
    for (const char *const *var = spec->env; var && *var; var++)
        put(out, 'e', *var);
    put(out, 'z', "");
    return out->failed ? STATUS_FULL : STATUS_OK;
}

static bool take_number(struct str *rest, uint64_t max, unsigned long long *ret)
{
    struct str part;
    uint64_t v;

    if (!str_split(rest, ' ', &part) || !str_to_u64(part, &v) || v > max)
        return false;
    *ret = v;
    return true;
}

static bool take_user(struct super_exec *x, const char *text)
{
    struct str rest = str_z(text);
    unsigned long long uid;
    unsigned long long gid;

    if (!take_number(&rest, UINT32_MAX, &uid) || !take_number(&rest, UINT32_MAX, &gid))
        return false;
    x->spec.set_user = true;
    x->spec.uid = (uid_t)uid;
    x->spec.gid = (gid_t)gid;
    return true;
}

static bool take_limit(struct super_exec *x, const char *text)
{
    struct proc_limit *l = &x->limits[x->spec.n_limits];
    struct str rest = str_z(text);
    unsigned long long resource;

    if (x->spec.n_limits == EXEC_LIMITS_MAX || !take_number(&rest, 1000, &resource) ||
        !take_number(&rest, UINT64_MAX, &l->soft) || !take_number(&rest, UINT64_MAX, &l->hard))
        return false;
    l->resource = (int)resource;
    x->spec.n_limits++;
    return true;
}

struct counts {
    size_t args;
    size_t env;
};

/* Also proves that every record ends in a NUL and that the last one is there. */
static bool count_records(const char *text, size_t n, struct counts *ret)
{
    struct counts c = { 0 };
    const char *p = text;
    const char *end = text + n;
    char last = 0;

    while (p < end) {
        const char *nul = memchr(p, 0, (size_t)(end - p));

        if (!nul || nul == p || last == 'z')
            return false;
        c.args += *p == 'a';
        c.env += *p == 'e';
        last = *p;
        p = nul + 1;
    }
    *ret = c;
    return last == 'z';
}

static bool take_record(struct super_exec *x, const char *record, const char **args,
                        const char **env, struct counts *at)
{
    const char *text = record + 1;

    switch (*record) {
    case 'x':
        return strcmp(text, EXEC_VERSION) == 0;
    case 'c':
        x->spec.cwd = text;
        return true;
    case 'u':
        return take_user(x, text);
    case 'n':
        x->spec.user_name = text;
        return true;
    case 'l':
        return take_limit(x, text);
    case 'a':
        args[at->args++] = text;
        return true;
    case 'e':
        env[at->env++] = text;
        return true;
    default:
        return *record == 'z';
    }
}

Status super_exec_parse(struct super_exec *x, char *text, size_t n, struct err *err)
{
    struct counts counts;
    struct counts at = { 0 };
    const char **args;
    const char **env;

    *x = (struct super_exec){ .text = text, .n = n, .spec.fd = { -1, -1, -1 } };
    if (!count_records(text, n, &counts) || *text != 'x')
        return err_set(err, STATUS_CORRUPT, NULL, "The job's exec file is damaged");
    x->words = calloc(counts.args + counts.env + 2, sizeof(char *));
    x->limits = calloc(EXEC_LIMITS_MAX, sizeof(*x->limits));
    if (!x->words || !x->limits)
        return err_set(err, STATUS_NOMEM, NULL, "out of memory");
    args = x->words;
    env = x->words + counts.args + 1;
    for (const char *p = text; p < text + n; p += strlen(p) + 1) {
        if (!take_record(x, p, args, env, &at))
            return err_set(err, STATUS_CORRUPT, NULL, "The job's exec file is damaged");
    }
    x->spec.argv = args;
    x->spec.env = env;
    x->spec.limits = x->limits;
    return STATUS_OK;
}

void super_exec_done(struct super_exec *x)
{
    if (x->text)
        explicit_bzero(x->text, x->n);
    free(x->text);
    free(x->words);
    free(x->limits);
    *x = (struct super_exec){ 0 };
}
