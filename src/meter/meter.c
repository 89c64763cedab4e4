/* The meter itself: its life, reading and scanning of text, and the three messages put together
 * from the parts. Sources are read one after the other; a missing one leaves its members out or
 * zero. */
#include "meter/meter.h"

#include <sys/utsname.h>

#include "base/file.h"
#include "meter/meter_int.h"

struct meter *meter_new(void)
{
    struct meter *m = calloc(1, sizeof(*m));

    if (!m)
        return NULL;
    buf_init(&m->text, METER_TEXT_MAX);
    m->cpus = calloc(METER_CPUS_MAX + 1, sizeof(*m->cpus));
    m->next = calloc(METER_CPUS_MAX + 1, sizeof(*m->next));
    m->ifaces = calloc(1, sizeof(*m->ifaces));
    if (!m->cpus || !m->next || !m->ifaces) {
        meter_free(m);
        return NULL;
    }
    meter_net_init(m);
    return m;
}

void meter_free(struct meter *m)
{
    if (!m)
        return;
    buf_done(&m->text);
    free(m->cpus);
    free(m->next);
    free(m->ifaces);
    free(m);
}

struct str meter_read(struct meter *m, const char *path)
{
    buf_clear(&m->text);
    m->text.failed = false;
    if (file_read(path, &m->text, NULL) != STATUS_OK)
        return STR_NONE;
    return buf_str(&m->text);
}

bool meter_read_line(struct meter *m, const char *path, char *out, size_t size)
{
    struct str text = meter_read(m, path);
    struct str line = STR_NONE;

    (void)str_split(&text, '\n', &line);
    line = str_trim(line);
    (void)str_copy_z(line.p && str_is_utf8(line) ? line : STR(""), out, size);
    return out[0] != 0;
}

uint64_t meter_read_number(struct meter *m, const char *path, uint64_t def)
{
    uint64_t v = def;

    (void)str_to_u64(str_trim(meter_read(m, path)), &v);
    return v;
}

bool meter_word(struct str *rest, struct str *ret)
{
    size_t from = 0;
    size_t to;

    while (from < rest->n && (rest->p[from] == ' ' || rest->p[from] == '\t'))
        from++;
    to = from;
    while (to < rest->n && rest->p[to] != ' ' && rest->p[to] != '\t')
        to++;
    *ret = str_slice(*rest, from, to);
    *rest = str_slice(*rest, to, rest->n);
    return ret->n > 0;
}

uint64_t meter_number(struct str *rest)
{
    struct str word;
    uint64_t v = 0;

    if (meter_word(rest, &word))
        (void)str_to_u64(word, &v);
    return v;
}

struct str meter_value(struct str text, const char *key, char separator)
{
    struct str line;

    while (str_split(&text, '\n', &line)) {
        const size_t at = str_find_char(line, separator);
        struct str value;

        if (at == line.n || !str_eq_z(str_trim(str_slice(line, 0, at)), key))
            continue;
        value = str_trim(str_slice(line, at + 1, line.n));
        if (value.n >= 2 && (value.p[0] == '"' || value.p[0] == '\'') &&
            value.p[value.n - 1] == value.p[0])
            value = str_slice(value, 1, value.n - 1);
        return value;
    }
    return STR_NONE;
}

double meter_round2(double v)
{
    return v < 0 || v > 1e15 ? v : (double)(int64_t)(v * 100) / 100;
}

/* Per second since the last reading; null when there is none. Counters that went back count as 0.
 */
void meter_put_rate(struct json_writer *w, const char *key, uint64_t before, uint64_t now,
                    Usec span)
{
    if (span <= 0)
        json_put_null(w, key);
    else
        json_put_double(w, key, now < before ? 0 : (double)(now - before) * 1e6 / (double)span);
}

static const char *arch_name(const char *machine)
{
    static const struct {
        const char *machine;
        const char *name;
    } names[] = {
        { "x86_64", "x64" },    { "amd64", "x64" },   { "aarch64", "arm64" }, { "i386", "ia32" },
        { "i686", "ia32" },     { "armv6l", "arm" },  { "armv7l", "arm" },    { "armv8l", "arm" },
        { "ppc64le", "ppc64" }, { "ppc64", "ppc64" },
    };

    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (strcmp(machine, names[i].machine) == 0)
            return names[i].name;
    }
    return machine;
}

static void put_kernel(struct json_writer *w)
{
    struct utsname u = { 0 };

    (void)uname(&u);
    json_put_z(w, "arch", arch_name(u.machine));
    json_put_z(w, "platform", "linux");
    json_put_z(w, "release", u.release);
}

double meter_uptime(struct meter *m)
{
    struct str text = meter_read(m, "/proc/uptime");
    struct str word;
    double v = 0;

    if (meter_word(&text, &word))
        (void)str_to_double(word, &v);
    return v;
}

void meter_load(struct meter *m, double ret_load[3])
{
    struct str text = meter_read(m, "/proc/loadavg");
    struct str word;

    for (int i = 0; i < 3; i++) {
        ret_load[i] = 0;
        if (meter_word(&text, &word))
            (void)str_to_double(word, &ret_load[i]);
    }
}

/* The first external IPv4 address that is not link-local. */
static void put_ip(struct meter *m, struct json_writer *w)
{
    struct meter_ifaces *all = calloc(1, sizeof(*all));

    if (!all)
        return;
    meter_net_list(m, all);
    for (size_t i = 0; i < all->n; i++) {
        const struct meter_iface *f = &all->at[i];

        if (f->internal || !f->ip4[0] || str_starts(str_z(f->ip4), STR("169.254.")))
            continue;
        json_put_z(w, "ip", f->ip4);
        break;
    }
    free(all);
}

void meter_put_info(struct meter *m, struct json_writer *w, Usec now_wall)
{
    json_put_i64(w, "booted", now_wall / USEC_SEC - (int64_t)meter_uptime(m));
    put_kernel(w);
    put_ip(m, w);
    meter_put_os(m, w, "os");
    meter_memory_info(meter_read(m, "/proc/meminfo"), w, "memory");
    json_obj(w, "cpu");
    meter_cpu_hardware(m, STR_NONE, w);
    json_end(w);
    meter_put_virt(m, w, "virt");
}

void meter_put_quick(struct meter *m, struct json_writer *w)
{
    meter_put_memory(m, w, "mem");
    meter_put_cpu(m, w, "cpu", false);
    meter_put_disk_quick(m, w, "fs");
    meter_put_net_quick(m, w, "net");
}

void meter_put_stats(struct meter *m, struct json_writer *w, const char *key, Usec now_mono)
{
    json_obj(w, key);
    meter_put_disk_stats(m, w, now_mono);
    meter_put_net_stats(m, w);
    json_end(w);
}

void meter_put_sample(struct meter *m, struct json_writer *w, const struct meter_jobs *jobs,
                      Usec now_wall, Usec now_mono)
{
    double load[3];

    json_put_double(w, "uptime_sec", meter_uptime(m));
    put_kernel(w);
    meter_load(m, load);
    json_arr(w, "load");
    for (int i = 0; i < 3; i++)
        json_put_double(w, NULL, load[i]);
    json_end(w);
    meter_put_self(m, w, "process", now_wall);
    meter_put_os(m, w, "os");
    meter_put_memory(m, w, "memory");
    meter_put_cpu(m, w, "cpu", true);
    meter_put_mounts(m, w, "mounts");
    meter_put_interfaces(m, w, "interfaces", now_mono);
    meter_put_stats(m, w, "stats", now_mono);
    json_arr(w, "conns");
    json_end(w);
    meter_put_processes(m, w, "processes", jobs, now_wall);
}
