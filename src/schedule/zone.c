/* The reader of TZif files and of the POSIX rule in their footer. */
#include "schedule/zone.h"

#include "base/date.h"
#include "base/file.h"

#include <stdlib.h>

#define TYPES_MAX   256u
#define HEADER_SIZE 44u

/* When daylight time begins or ends (POSIX TZ): "M3.5.0/2", "J60", "59". */
struct rule_date {
    char form; /* 'M', 'J' or '0' */
    int month, week, day;
    int32_t time; /* seconds after local midnight, may be negative or beyond a day */
};

struct zone {
    size_t n;
    int64_t *at;   /* transitions, rising */
    uint8_t *type; /* the type from each on */
    int32_t offsets[TYPES_MAX];
    int32_t first; /* offset before the first transition */
    bool has_rule; /* the footer says what holds after the last */
    bool has_dst;
    int32_t std, dst;
    struct rule_date begin, end;
};

/* ---- the footer ---- */

struct reader {
    struct str s;
    size_t i;
    bool bad;
};

static char peek(const struct reader *r)
{
    return r->i < r->s.n ? r->s.p[r->i] : '\0';
}

static bool take(struct reader *r, char c)
{
    if (peek(r) != c)
        return false;
    r->i++;
    return true;
}

static int take_int(struct reader *r, int max)
{
    int v = 0;

    if (peek(r) < '0' || peek(r) > '9')
        r->bad = true;
    while (peek(r) >= '0' && peek(r) <= '9' && v <= max)
        v = v * 10 + (r->s.p[r->i++] - '0');
    if (v > max)
        r->bad = true;
    return v;
}

static void skip_name(struct reader *r)
{
    const size_t from = r->i;

    if (take(r, '<')) {
        while (peek(r) && peek(r) != '>')
            r->i++;
        r->bad = r->bad || !take(r, '>');
        return;
    }
    while ((peek(r) >= 'A' && peek(r) <= 'Z') || (peek(r) >= 'a' && peek(r) <= 'z'))
        r->i++;
    r->bad = r->bad || r->i - from < 3;
}

/* "[+-]hh[:mm[:ss]]" in seconds. */
static int32_t take_time(struct reader *r)
{
    const bool negative = take(r, '-');
    int32_t v;

    if (!negative)
        (void)take(r, '+');
    v = take_int(r, 167) * 3600;
    if (take(r, ':')) {
        v += take_int(r, 59) * 60;
        if (take(r, ':'))
            v += take_int(r, 59);
    }
    return negative ? -v : v;
}

static void take_date(struct reader *r, struct rule_date *d)
{
    d->time = 2 * 3600;
    if (take(r, 'M')) {
        d->form = 'M';
        d->month = take_int(r, 12);
        r->bad = r->bad || !take(r, '.');
        d->week = take_int(r, 5);
        r->bad = r->bad || !take(r, '.');
        d->day = take_int(r, 6);
        r->bad = r->bad || d->month < 1 || d->week < 1;
    } else {
        d->form = take(r, 'J') ? 'J' : '0';
        d->day = take_int(r, 365);
    }
    if (take(r, '/'))
        d->time = take_time(r);
}

static bool parse_rule(struct zone *z, struct str s)
{
    struct reader r = { .s = s };

    if (s.n == 0)
        return true;
    skip_name(&r);
    z->std = -take_time(&r);
    z->has_rule = true;
    if (r.bad || r.i == s.n)
        return !r.bad;
    skip_name(&r);
    z->dst = peek(&r) == ',' ? z->std + 3600 : -take_time(&r);
    r.bad = r.bad || !take(&r, ',');
    take_date(&r, &z->begin);
    r.bad = r.bad || !take(&r, ',');
    take_date(&r, &z->end);
    z->has_dst = true;
    return !r.bad && r.i == s.n;
}

/* The day of a rule in a year, since 1970. */
static int64_t rule_day(const struct rule_date *d, int64_t year)
{
    const int64_t new_year = date_to_days(year, 1, 1);

    if (d->form == 'J') /* 1..365, never 29 February */
        return new_year + d->day - 1 + (date_is_leap(year) && d->day >= 60);
    if (d->form == '0')
        return new_year + d->day;
    const int64_t first = date_to_days(year, (unsigned)d->month, 1);
    const int weekday = (int)date_weekday(first);
    int64_t day = first + (d->day - weekday + 7) % 7 + (d->week - 1) * 7;
    if (day >= first + (int64_t)date_month_days(year, (unsigned)d->month))
        day -= 7;
    return day;
}

static int64_t begin_of(const struct zone *z, int64_t year)
{
    return rule_day(&z->begin, year) * 86400 + z->begin.time - z->std;
}

static int64_t end_of(const struct zone *z, int64_t year)
{
    return rule_day(&z->end, year) * 86400 + z->end.time - z->dst;
}

static int64_t year_of(int64_t at)
{
    int64_t year;
    unsigned month, day;

    date_from_days(div_floor(at, 86400), &year, &month, &day);
    return year;
}

/* The latest change of the rule at or before `at` decides. */
static int32_t rule_offset(const struct zone *z, int64_t at)
{
    const int64_t year = year_of(at);
    int64_t best = INT64_MIN;
    int32_t offset = z->std;

    if (!z->has_dst)
        return z->std;
    for (int64_t y = year - 1; y <= year + 1; y++) {
        const int64_t b = begin_of(z, y), e = end_of(z, y);

        if (e <= at && e > best) {
            best = e;
            offset = z->std;
        }
        if (b <= at && b >= best) { /* ends and begins at once: daylight time all year */
            best = b;
            offset = z->dst;
        }
    }
    return offset;
}

static int64_t rule_change_after(const struct zone *z, int64_t at)
{
    const int64_t year = year_of(at);
    int64_t best = INT64_MAX;

    for (int64_t y = year - 1; z->has_dst && y <= year + 2; y++) {
        const int64_t b = begin_of(z, y), e = end_of(z, y);

        if (b > at && b < best)
            best = b;
        if (e > at && e < best)
            best = e;
    }
    return best;
}

/* ---- the file ---- */

static uint32_t be32(const char *p)
{
    const unsigned char *u = (const unsigned char *)p;

    return (uint32_t)u[0] << 24 | (uint32_t)u[1] << 16 | (uint32_t)u[2] << 8 | u[3];
}

static int64_t be64(const char *p)
{
    return (int64_t)((uint64_t)be32(p) << 32 | be32(p + 4));
}

struct counts {
    size_t utc, standard, leap, times, types, chars;
};

static bool read_header(struct str f, size_t at, struct counts *c)
{
    if (at > f.n || f.n - at < HEADER_SIZE || memcmp(f.p + at, "TZif", 4) != 0)
        return false;
    const char *p = f.p + at + 20;
    *c = (struct counts){ be32(p),      be32(p + 4),  be32(p + 8),
                          be32(p + 12), be32(p + 16), be32(p + 20) };
    return c->utc <= TYPES_MAX && c->standard <= TYPES_MAX && c->leap <= 4096 &&
           c->times <= 65536 && c->types >= 1 && c->types <= TYPES_MAX && c->chars <= 65536;
}

static size_t body_size(const struct counts *c, size_t word)
{
    return c->times * (word + 1) + c->types * 6 + c->chars + c->leap * (word + 4) + c->standard +
           c->utc;
}

static bool read_body(struct zone *z, struct str f, size_t at, const struct counts *c)
{
    const char *times = f.p + at, *types = times + c->times * 8, *infos = types + c->times;

    z->n = c->times;
    z->at = calloc(c->times + 1, sizeof *z->at);
    z->type = calloc(c->times + 1, 1);
    if (!z->at || !z->type)
        return false;
    for (size_t i = 0; i < c->types; i++)
        z->offsets[i] = (int32_t)be32(infos + i * 6);
    z->first = z->offsets[0];
    for (size_t i = 0; i < c->times; i++) {
        z->at[i] = be64(times + i * 8);
        z->type[i] = (uint8_t)types[i];
        if (z->type[i] >= c->types || (i && z->at[i] <= z->at[i - 1]))
            return false;
    }
    for (size_t i = 0; i < c->types; i++) {
        if (z->offsets[i] <= -93600 || z->offsets[i] >= 93600)
            return false;
    }
    return true;
}

Status zone_parse(struct str file, struct zone **ret, struct err *err)
{
    AUTO(zone_free) struct zone *z = calloc(1, sizeof *z);
    struct counts c;
    size_t at;

    if (!z)
        return err_set(err, STATUS_NOMEM, NULL, "out of memory");
    if (!read_header(file, 0, &c) || file.p[4] < '2')
        return err_set(err, STATUS_INVALID, NULL, "not a time zone of version 2 or later");
    at = HEADER_SIZE + body_size(&c, 4);
    if (!read_header(file, at, &c))
        return err_set(err, STATUS_INVALID, NULL, "the second part of the time zone is missing");
    at += HEADER_SIZE;
    if (file.n - at < body_size(&c, 8) || !read_body(z, file, at, &c))
        return err_set(err, STATUS_INVALID, NULL, "the time zone is damaged");
    struct str footer = str_slice(file, at + body_size(&c, 8), file.n);
    if (footer.n < 2 || footer.p[0] != '\n' || footer.p[footer.n - 1] != '\n' ||
        !parse_rule(z, str_slice(footer, 1, footer.n - 1)))
        return err_set(err, STATUS_INVALID, NULL, "the rule of the time zone is damaged");
    *ret = z;
    z = NULL;
    return STATUS_OK;
}

static bool name_ok(struct str name)
{
    if (name.n == 0 || name.n > ZONE_NAME_MAX || name.p[0] == '/' || name.p[name.n - 1] == '/')
        return false;
    for (size_t i = 0; i < name.n; i++) {
        const char c = name.p[i];

        if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
              c == '_' || c == '-' || c == '+' || c == '/'))
            return false; /* no dots: no way out of the folder */
    }
    return true;
}

Status zone_open(struct str name, struct zone **ret, struct err *err)
{
    AUTO_BUF struct buf file = { 0 };
    char path[sizeof ZONE_DIR + ZONE_NAME_MAX + 2];

    if (!name_ok(name))
        return err_set(err, STATUS_INVALID, NULL, "\"%.*s\" cannot be the name of a time zone",
                       STR_FMT(str_slice(name, 0, ZONE_NAME_MAX)));
    (void)snprintf(path, sizeof path, "%s/%.*s", ZONE_DIR, STR_FMT(name));
    buf_init(&file, ZONE_FILE_MAX);
    Status st = file_read(path, &file, NULL);
    if (st)
        return err_set(err, STATUS_MISSING, NULL, "There is no time zone \"%.*s\"", STR_FMT(name));
    st = zone_parse(buf_str(&file), ret, err);
    return st ? err_wrap(err, "%.*s", STR_FMT(name)) : STATUS_OK;
}

void zone_free(struct zone *z)
{
    if (!z)
        return;
    free(z->at);
    free(z->type);
    free(z);
}

/* ---- questions ---- */

/* Number of transitions at or before `at`. */
static size_t passed(const struct zone *z, int64_t at)
{
    size_t low = 0, high = z->n;

    while (low < high) {
        const size_t middle = low + (high - low) / 2;

        if (z->at[middle] <= at)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

int32_t zone_offset(const struct zone *z, int64_t at)
{
    const size_t n = passed(z, at);

    if (n == z->n && z->has_rule && (n > 0 || z->has_dst || z->n == 0))
        return rule_offset(z, at);
    return n == 0 ? z->first : z->offsets[z->type[n - 1]];
}

int64_t zone_change_after(const struct zone *z, int64_t at)
{
    const size_t n = passed(z, at);

    if (n < z->n)
        return z->at[n];
    return z->has_rule ? rule_change_after(z, at) : INT64_MAX;
}
