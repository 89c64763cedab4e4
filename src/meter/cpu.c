/* CPU: load percentages as differences of /proc/stat, and the hardware from /proc/cpuinfo and /sys.
 */
#include "meter/meter_int.h"

static const char *const columns[] = {
    "user", "nice", "system", "idle", "iowait", "irq", "softirq"
};
enum { COLUMN_IDLE = 3 };

size_t meter_cpu_parse(struct str stat, struct meter_cpu_times *out, size_t max)
{
    struct str line;
    size_t n = 0;

    while (n < max && str_split(&stat, '\n', &line)) {
        struct str name;

        if (!str_starts(line, STR("cpu")))
            break; /* they come first */
        (void)meter_word(&line, &name);
        for (int i = 0; i < METER_COLUMNS; i++)
            out[n].column[i] = meter_number(&line);
        n++;
    }
    return n;
}

/* satellite.md 31.4: cut to hundredths, 0..100; a first reading (all zero before) is idle. */
void meter_cpu_percent(const struct meter_cpu_times *before, const struct meter_cpu_times *now,
                       double out[METER_COLUMNS + 1])
{
    static const struct meter_cpu_times none;
    uint64_t d[METER_COLUMNS];
    uint64_t total = 0;

    for (int i = 0; i < METER_COLUMNS; i++) {
        d[i] = now->column[i] > before->column[i] ? now->column[i] - before->column[i] : 0;
        total += d[i];
    }
    if (total == 0)
        total = 1;
    if (memcmp(before, &none, sizeof(none)) == 0) {
        memset(d, 0, sizeof(d));
        d[COLUMN_IDLE] = total;
    }
    for (int i = 0; i < METER_COLUMNS; i++) {
        const double v = meter_round2(100 - 100 * (double)(total - d[i]) / (double)total);

        out[i] = v < 0 ? 0 : v > 100 ? 100 : v;
    }
    out[METER_COLUMNS] = 100 - out[COLUMN_IDLE];
}

static void put_percent(struct json_writer *w, const char *key, const double *v)
{
    json_obj(w, key);
    for (size_t i = 0; i < COUNT_OF(columns); i++)
        json_put_double(w, columns[i], v[i]);
    json_put_double(w, "active", v[METER_COLUMNS]);
    json_end(w);
}

static void put_load(struct meter *m, struct json_writer *w)
{
    double load[3];
    double v[METER_COLUMNS + 1];
    struct meter_cpu_times *now = m->next;
    size_t n;

    meter_load(m, load);
    json_put_double(w, "avgLoad", load[0]);
    n = meter_cpu_parse(meter_read(m, "/proc/stat"), now, METER_CPUS_MAX + 1);
    if (n > 0) {
        meter_cpu_percent(&m->cpus[0], &now[0], v);
        json_put_double(w, "currentLoad", v[METER_COLUMNS]);
        put_percent(w, "totals", v);
    }
    json_arr(w, "cpus");
    for (size_t i = 1; i < n; i++) {
        meter_cpu_percent(&m->cpus[i], &now[i], v);
        put_percent(w, NULL, v);
    }
    json_end(w);
    m->next = m->cpus;
    m->cpus = now;
}

void meter_put_cpu(struct meter *m, struct json_writer *w, const char *key, bool hardware)
{
    json_obj(w, key);
    if (hardware)
        meter_cpu_hardware(m, STR_NONE, w);
    put_load(m, w);
    json_end(w);
}

struct counts {
    uint64_t logical;
    uint64_t cores;   /* distinct (package, core) */
    uint64_t sockets; /* distinct packages */
};

/* Cores are listed in any order; at most METER_CPUS_MAX are told apart. */
static struct counts count_cores(struct str cpuinfo)
{
    uint64_t *seen = calloc(METER_CPUS_MAX, sizeof(*seen));
    struct counts c = { 0 };
    struct str line;
    uint64_t package = 0;
    uint64_t top = 0;

    while (seen && str_split(&cpuinfo, '\n', &line)) {
        struct str value = str_trim(str_slice(line, str_find_char(line, ':') + 1, line.n));
        uint64_t core = 0;
        bool known = false;

        if (str_starts(line, STR("processor")))
            c.logical++;
        if (str_starts(line, STR("physical id"))) {
            (void)str_to_u64(value, &package);
            top = package + 1 > top ? package + 1 : top;
        }
        if (!str_starts(line, STR("core id")) || !str_to_u64(value, &core))
            continue;
        core = (package << 32) | core;
        for (uint64_t i = 0; i < c.cores && !known; i++)
            known = seen[i] == core;
        if (!known && c.cores < METER_CPUS_MAX)
            seen[c.cores++] = core;
    }
    free(seen);
    if (c.logical == 0)
        c.logical = 1;
    if (c.cores == 0)
        c.cores = c.logical;
    c.sockets = top ? top : 1;
    return c;
}

/* Copies `from` with (R) and (TM) as signs and without the word CPU. */
static void brand_clean(struct str from, struct buf *out)
{
    static const struct {
        struct str from;
        struct str to;
    } changes[] = {
        { { "(R)", 3 }, { "\xc2\xae", 2 } },
        { { "(TM)", 4 }, { "\xe2\x84\xa2", 3 } },
        { { " CPU", 4 }, { "", 0 } },
    };

    while (from.n > 0) {
        size_t step = 1;
        struct str put = str_slice(from, 0, 1);

        for (size_t i = 0; i < COUNT_OF(changes); i++) {
            if (str_starts(from, changes[i].from)) {
                step = changes[i].from.n;
                put = changes[i].to;
            }
        }
        (void)buf_add_str(out, put);
        from = str_slice(from, step, from.n);
    }
}

static const char *manufacturer_of(struct str vendor)
{
    if (str_eq_z(vendor, "GenuineIntel"))
        return "Intel";
    if (str_eq_z(vendor, "AuthenticAMD"))
        return "AMD";
    if (str_eq_z(vendor, "HygonGenuine"))
        return "Hygon";
    return "";
}

static void put_names(struct json_writer *w, struct str cpuinfo)
{
    const struct str vendor = meter_value(cpuinfo, "vendor_id", ':');
    struct str brand = meter_value(cpuinfo, "model name", ':');
    AUTO_BUF struct buf clean = { 0 };

    buf_init(&clean, 1024);
    if (brand.n == 0)
        brand = meter_value(cpuinfo, "Model", ':'); /* ARM boards */
    if (str_find_char(brand, ' ') < brand.n && vendor.n)
        brand = str_slice(brand, str_find_char(brand, ' ') + 1, brand.n);
    brand_clean(brand, &clean);
    json_put_z(w, "manufacturer", manufacturer_of(vendor));
    json_put_str(w, "brand", buf_str(&clean));
    json_put_str(w, "vendor", vendor.p ? vendor : STR(""));
}

static void put_word(struct json_writer *w, const char *key, struct str cpuinfo, const char *name)
{
    const struct str value = meter_value(cpuinfo, name, ':');

    json_put_str(w, key, value.p ? value : STR(""));
}

static double speed_of(struct meter *m, const char *name)
{
    char path[96];

    (void)snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu0/cpufreq/%s", name);
    return meter_round2((double)meter_read_number(m, path, 0) / 1e6);
}

static void put_cache(struct meter *m, struct json_writer *w)
{
    static const char *const keys[] = { "l1d", "l1i", "l2", "l3" };
    uint64_t size[4] = { 0 };

    for (int i = 0; i < 8; i++) {
        char path[96];
        char type[24];
        char text[24];
        uint64_t level;
        struct str number;
        uint64_t v = 0;

        (void)snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu0/cache/index%d/level", i);
        level = meter_read_number(m, path, 0);
        (void)snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu0/cache/index%d/type", i);
        if (level < 1 || level > 3 || !meter_read_line(m, path, type, sizeof(type)))
            continue;
        (void)snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu0/cache/index%d/size", i);
        (void)meter_read_line(m, path, text, sizeof(text));
        number = str_z(text);
        if (str_ends(number, STR("K")))
            number = str_slice(number, 0, number.n - 1);
        (void)str_to_u64(number, &v);
        size[level == 1 ? (type[0] == 'I' ? 1 : 0) : level] = v * 1024;
    }
    json_obj(w, "cache");
    for (size_t i = 0; i < COUNT_OF(keys); i++)
        json_put_u64(w, keys[i], size[i]);
    json_end(w);
}

/* True when `word` is among the blank-separated words. */
static bool has_word(struct str words, const char *word)
{
    struct str one;

    while (meter_word(&words, &one)) {
        if (str_eq_z(one, word))
            return true;
    }
    return false;
}

/* The text (STR_NONE: /proc/cpuinfo itself) is copied, because other files are read on the way. */
void meter_cpu_hardware(struct meter *m, struct str cpuinfo, struct json_writer *w)
{
    AUTO_BUF struct buf text = { 0 };
    struct counts counts;
    struct str flags;
    double mhz = 0;
    double speed;
    char governor[32];

    buf_init(&text, METER_TEXT_MAX);
    (void)buf_add_str(&text, cpuinfo.p ? cpuinfo : meter_read(m, "/proc/cpuinfo"));
    cpuinfo = buf_str(&text);
    counts = count_cores(cpuinfo);
    put_names(w, cpuinfo);
    put_word(w, "family", cpuinfo, "cpu family");
    put_word(w, "model", cpuinfo, "model");
    put_word(w, "stepping", cpuinfo, "stepping");
    put_word(w, "revision", cpuinfo, "microcode");
    json_put_z(w, "voltage", "");
    speed = speed_of(m, "cpuinfo_max_freq");
    (void)str_to_double(meter_value(cpuinfo, "cpu MHz", ':'), &mhz);
    json_put_double(w, "speed", mhz > 0 ? meter_round2(mhz / 1000) : speed);
    json_put_double(w, "speedMin", speed_of(m, "cpuinfo_min_freq"));
    json_put_double(w, "speedMax", speed);
    (void)meter_read_line(m, "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", governor,
                          sizeof(governor));
    json_put_z(w, "governor", governor);
    json_put_u64(w, "cores", counts.logical);
    json_put_u64(w, "physicalCores", counts.cores);
    json_put_u64(w, "performanceCores", counts.cores);
    json_put_u64(w, "efficiencyCores", 0);
    json_put_u64(w, "processors", counts.sockets);
    json_put_z(w, "socket", "");
    flags = meter_value(cpuinfo, "flags", ':');
    if (!flags.p)
        flags = meter_value(cpuinfo, "Features", ':');
    json_put_str(w, "flags", flags.p ? flags : STR(""));
    json_put_bool(w, "virtualization", has_word(flags, "vmx") || has_word(flags, "svm"));
    put_cache(m, w);
}
