/* Reading crontab lines; see crontab.h. */
#include "schedule/crontab.h"

struct field {
    const char *name; /* of the trigger's member */
    unsigned low, high;
    const char *words; /* names of its values, three letters each, from `low` on */
};

enum { MINUTES, HOURS, DAYS, MONTHS, WEEKDAYS, FIELDS };

static const struct field fields[FIELDS] = {
    [MINUTES] = { "minutes", 0, 59, NULL },
    [HOURS] = { "hours", 0, 23, NULL },
    [DAYS] = { "days", 1, 31, NULL },
    [MONTHS] = { "months", 1, 12, "janfebmaraprmayjunjulaugsepoctnovdec" },
    [WEEKDAYS] = { "weekdays", 0, 7, "sunmontuewedthufrisat" }, /* 7 is Sunday, too */
};

static const struct {
    const char *word, *line;
} shorts[] = {
    { "@yearly", "0 0 1 1 *" }, { "@annually", "0 0 1 1 *" }, { "@monthly", "0 0 1 * *" },
    { "@weekly", "0 0 * * 0" }, { "@daily", "0 0 * * *" },    { "@midnight", "0 0 * * *" },
    { "@hourly", "0 * * * *" },
};

struct value {
    uint64_t bits;
    bool star; /* begins with one: does not restrict the day */
};

static struct str take_word(struct str *rest)
{
    size_t n = 0;
    struct str word;

    *rest = str_trim(*rest);
    while (n < rest->n && rest->p[n] != ' ' && rest->p[n] != '\t')
        n++;
    word = str_slice(*rest, 0, n);
    *rest = str_trim(str_slice(*rest, n, rest->n));
    return word;
}

static bool read_number(const struct field *f, struct str s, unsigned *ret)
{
    uint64_t v;

    for (unsigned i = 0; f->words && f->words[i * 3]; i++) {
        if (str_eq_nocase(s, str_n(f->words + (size_t)i * 3, 3))) {
            *ret = f->low + i;
            return true;
        }
    }
    if (s.n > 3 || !str_to_u64(s, &v) || v < f->low || v > f->high)
        return false;
    *ret = (unsigned)v;
    return true;
}

/* "*", "5", "1-5", each with "/step". */
static bool read_part(const struct field *f, struct str part, uint64_t *bits)
{
    const size_t slash = str_find_char(part, '/');
    struct str range = str_slice(part, 0, slash);
    const size_t dash = str_find_char(range, '-');
    unsigned low = f->low, high = f->high;
    uint64_t step = 1;

    if (slash < part.n && (!str_to_u64(str_slice(part, slash + 1, part.n), &step) || step == 0))
        return false;
    if (str_eq_z(range, "*")) {
        if (high == 7)
            high = 6; /* of weekdays: Sunday once */
    } else if (dash < range.n) {
        if (!read_number(f, str_slice(range, 0, dash), &low) ||
            !read_number(f, str_slice(range, dash + 1, range.n), &high) || low > high)
            return false;
    } else {
        if (!read_number(f, range, &low))
            return false;
        if (slash >= part.n)
            high = low;
    }
    for (uint64_t v = low; v <= high; v += step)
        *bits |= UINT64_C(1) << v;
    return true;
}

static bool read_field(const struct field *f, struct str text, struct value *ret)
{
    struct str part;

    if (text.n == 0 || text.p[text.n - 1] == ',')
        return false;
    ret->star = text.p[0] == '*';
    ret->bits = 0;
    while (str_split(&text, ',', &part)) {
        if (!read_part(f, part, &ret->bits))
            return false;
    }
    if (f->high == 7 && (ret->bits >> 7 & 1))
        ret->bits = (ret->bits | 1) & 0x7f;
    return true;
}

static void put_list(struct json_writer *w, const struct field *f, uint64_t bits)
{
    const unsigned high = f->high == 7 ? 6 : f->high;
    bool all = true;

    for (unsigned v = f->low; v <= high; v++)
        all = all && (bits >> v & 1);
    if (all)
        return; /* an absent list does not restrict */
    json_arr(w, f->name);
    for (unsigned v = f->low; v <= high; v++) {
        if (bits >> v & 1)
            json_put_i64(w, NULL, v);
    }
    json_end(w);
}

static void put_trigger(struct json_writer *w, const struct value v[FIELDS], bool days,
                        bool weekdays)
{
    json_obj(w, NULL);
    json_put_z(w, "type", "schedule");
    json_put_bool(w, "enabled", true);
    for (unsigned i = 0; i < FIELDS; i++) {
        if ((i != DAYS || days) && (i != WEEKDAYS || weekdays))
            put_list(w, &fields[i], v[i].bits);
    }
    json_end(w);
}

Status crontab_triggers(struct str line, struct json_writer *w, struct str *ret_rest,
                        struct err *err)
{
    struct value v[FIELDS];
    struct str rest = line, times;

    if (line.n > CRONTAB_LINE_MAX)
        return err_set(err, STATUS_TOO_BIG, NULL, "A crontab line has at most %u bytes",
                       (unsigned)CRONTAB_LINE_MAX);
    times = str_trim(line);
    if (times.n && times.p[0] == '@') {
        const struct str word = take_word(&rest);

        if (ret_rest)
            *ret_rest = rest;
        if (str_eq_nocase(word, STR("@reboot"))) {
            json_obj(w, NULL);
            json_put_z(w, "type", "startup");
            json_put_bool(w, "enabled", true);
            json_end(w);
            return STATUS_OK;
        }
        for (size_t i = 0; i < COUNT_OF(shorts); i++) {
            if (str_eq_nocase(word, str_z(shorts[i].word)))
                return crontab_triggers(str_z(shorts[i].line), w, NULL, err);
        }
        return err_set(err, STATUS_INVALID, NULL, "\"%.*s\" is no time of a crontab",
                       STR_FMT(str_slice(word, 0, 40)));
    }
    for (unsigned i = 0; i < FIELDS; i++) {
        const struct str text = take_word(&rest);

        if (!read_field(&fields[i], text, &v[i]))
            return err_set(err, STATUS_INVALID, fields[i].name, "\"%.*s\" is no list of %s",
                           STR_FMT(str_slice(text, 0, 40)), fields[i].name);
    }
    if (ret_rest)
        *ret_rest = rest;
    if (v[DAYS].star || v[WEEKDAYS].star) {
        put_trigger(w, v, true, true);
    } else { /* either will do */
        put_trigger(w, v, true, false);
        put_trigger(w, v, false, true);
    }
    return STATUS_OK;
}
