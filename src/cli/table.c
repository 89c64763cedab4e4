/* Tables for people: columns as wide as their widest cell, the last one cut to the terminal's
 * width. */
#include "cli/cli.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define TABLE_COLUMNS_MAX 16u
#define TABLE_ROWS_MAX    100000u

struct table {
    struct arena *arena;
    size_t n;
    size_t width[TABLE_COLUMNS_MAX];
    const struct str *rows[TABLE_ROWS_MAX];
    size_t n_rows;
};

/* Characters, not bytes: continuation bytes of UTF-8 take no room. */
static size_t width_of(struct str s)
{
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++)
        n += ((unsigned char)s.p[i] & 0xC0) != 0x80;
    return n;
}

struct table *table_new(struct arena *a, const char *const *titles, size_t n)
{
    struct table *t = arena_zalloc(a, sizeof(*t));
    struct str cells[TABLE_COLUMNS_MAX];

    if (!t || n > TABLE_COLUMNS_MAX)
        return NULL;
    t->arena = a;
    t->n = n;
    for (size_t i = 0; i < n; i++)
        cells[i] = str_z(titles[i]);
    table_row(t, cells);
    return t;
}

void table_row(struct table *t, const struct str *cells)
{
    struct str *copy;

    if (!t || t->n_rows >= TABLE_ROWS_MAX)
        return;
    copy = arena_alloc(t->arena, t->n * sizeof(*copy));
    if (!copy)
        return;
    for (size_t i = 0; i < t->n; i++) {
        size_t w = width_of(cells[i]);

        copy[i] = cells[i];
        if (w > t->width[i])
            t->width[i] = w;
    }
    t->rows[t->n_rows++] = copy;
}

static size_t terminal_width(void)
{
    struct winsize size;

    if (!isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < 20)
        return 100000;
    return size.ws_col;
}

/* The bytes of the first `most` characters. */
static size_t cut(struct str s, size_t most)
{
    size_t i = 0;
    size_t n = 0;

    while (i < s.n) {
        bool starts = ((unsigned char)s.p[i] & 0xC0) != 0x80;

        if (starts && n++ == most)
            break;
        i++;
    }
    return i;
}

void table_print(const struct table *t)
{
    size_t room = terminal_width();

    for (size_t r = 0; t && r < t->n_rows; r++) {
        size_t used = 0;

        for (size_t i = 0; i < t->n; i++) {
            struct str s = t->rows[r][i];
            bool last = i + 1 == t->n;
            size_t most = last ? (room > used ? room - used : 1) : t->width[i];
            size_t pad = last ? 0 : t->width[i] - width_of(s) + 2;

            (void)fwrite(s.p ? s.p : "", 1, cut(s, most), stdout);
            printf("%*s", (int)pad, "");
            used += t->width[i] + 2;
        }
        printf("\n");
    }
}

struct str show_time(struct arena *a, double epoch)
{
    char iso[25];

    if (epoch <= 0)
        return STR("-");
    usec_format_iso(usec_from_epoch(epoch), iso);
    iso[10] = ' ';
    iso[19] = '\0';
    return arena_dup(a, str_z(iso));
}

struct str show_elapsed(struct arena *a, double seconds)
{
    if (seconds < 0)
        return STR("-");
    if (seconds < 60)
        return arena_printf(a, "%.2fs", seconds);
    if (seconds < 3600)
        return arena_printf(a, "%dm%02ds", (int)seconds / 60, (int)seconds % 60);
    return arena_printf(a, "%dh%02dm", (int)(seconds / 3600), (int)seconds / 60 % 60);
}

struct str show_size(struct arena *a, double bytes)
{
    static const char *const units[] = { "B", "KB", "MB", "GB", "TB" };
    size_t u = 0;

    while (bytes >= 1000 && u + 1 < COUNT_OF(units)) {
        bytes /= 1000;
        u++;
    }
    return arena_printf(a, u ? "%.1f %s" : "%.0f %s", bytes, units[u]);
}

struct str show_text(struct arena *a, yyjson_val *v)
{
    struct str s = json_val_str(v);
    char *copy = arena_dup_z(a, s);

    for (size_t i = 0; copy && i < s.n; i++) {
        if ((unsigned char)copy[i] < 32 || copy[i] == 127)
            copy[i] = ' ';
    }
    return copy ? str_n(copy, s.n) : STR("");
}

struct str show_code(struct arena *a, yyjson_val *job)
{
    yyjson_val *code = json_get(job, "code");

    if (!str_eq_z(json_str(job, "state"), "complete"))
        return show_text(a, json_get(job, "state"));
    if (yyjson_is_str(code))
        return show_text(a, code);
    if (yyjson_is_num(code) && yyjson_get_num(code) != 0)
        return arena_printf(a, "error %g", yyjson_get_num(code));
    return STR("success");
}
