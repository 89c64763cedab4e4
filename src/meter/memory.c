/* Memory, from /proc/meminfo: in a sample every line, in hello a chosen few. All bytes. */
#include "meter/meter_int.h"

#define MEMORY_KEY_MAX 48

/* One "Name:  N kB" line; false when the name is not plain ("Active(anon)"). */
static bool line_parse(struct str line, struct str *name, uint64_t *value)
{
    const size_t colon = str_find_char(line, ':');
    struct str rest;
    struct str unit;

    if (colon == line.n)
        return false;
    *name = str_slice(line, 0, colon);
    if (!str_is_word(*name) || name->n >= MEMORY_KEY_MAX)
        return false;
    rest = str_slice(line, colon + 1, line.n);
    *value = meter_number(&rest);
    if (meter_word(&rest, &unit) && str_eq_z(unit, "kB"))
        *value = *value > UINT64_MAX / 1024 ? UINT64_MAX : *value * 1024;
    return true;
}

static uint64_t value_of(struct str meminfo, const char *wanted)
{
    struct str line;
    struct str name;
    uint64_t value;

    while (str_split(&meminfo, '\n', &line)) {
        if (line_parse(line, &name, &value) && str_eq_z(name, wanted))
            return value;
    }
    return 0;
}

/* As the wire calls it: without a leading "Mem", in lower case. */
static void key_make(struct str name, char out[MEMORY_KEY_MAX])
{
    if (str_starts(name, STR("Mem")))
        name = str_slice(name, 3, name.n);
    (void)str_copy_z(name, out, MEMORY_KEY_MAX);
    for (char *c = out; *c; c++) {
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c - 'A' + 'a');
    }
}

static uint64_t less(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

static uint64_t available_of(struct str meminfo)
{
    const uint64_t available = value_of(meminfo, "MemAvailable");

    return available ? available : value_of(meminfo, "MemFree") + value_of(meminfo, "Buffers");
}

uint64_t meter_memory_total(struct str meminfo)
{
    return value_of(meminfo, "MemTotal");
}

void meter_memory_write(struct str meminfo, struct json_writer *w, const char *key)
{
    const uint64_t total = meter_memory_total(meminfo);
    const uint64_t available = available_of(meminfo);
    struct str rest = meminfo;
    struct str line;
    struct str name;
    uint64_t value;
    char text[MEMORY_KEY_MAX];

    json_obj(w, key);
    json_put_u64(w, "total", total);
    json_put_u64(w, "free", value_of(meminfo, "MemFree"));
    json_put_u64(w, "used", less(total, available));
    json_put_u64(w, "available", available);
    while (str_split(&rest, '\n', &line)) {
        if (!line_parse(line, &name, &value) || str_eq_z(name, "MemTotal") ||
            str_eq_z(name, "MemFree") || str_eq_z(name, "MemAvailable"))
            continue;
        key_make(name, text);
        json_put_u64(w, text, value);
    }
    json_end(w);
}

void meter_memory_info(struct str meminfo, struct json_writer *w, const char *key)
{
    const uint64_t total = meter_memory_total(meminfo);
    const uint64_t available = available_of(meminfo);
    const uint64_t slab = value_of(meminfo, "Slab");
    const uint64_t buffers = value_of(meminfo, "Buffers");
    const uint64_t cached = value_of(meminfo, "Cached");
    const uint64_t mem_free = value_of(meminfo, "MemFree");
    const uint64_t swap = value_of(meminfo, "SwapTotal");
    const uint64_t swap_free = value_of(meminfo, "SwapFree");

    json_obj(w, key);
    json_put_u64(w, "total", total);
    json_put_u64(w, "free", mem_free);
    json_put_u64(w, "used", less(total, mem_free));
    json_put_u64(w, "active", less(total, available));
    json_put_u64(w, "available", available);
    json_put_u64(w, "buffers", buffers);
    json_put_u64(w, "cached", cached);
    json_put_u64(w, "slab", slab);
    json_put_u64(w, "buffcache", buffers + cached + slab);
    json_put_u64(w, "reclaimable", value_of(meminfo, "SReclaimable"));
    json_put_u64(w, "swaptotal", swap);
    json_put_u64(w, "swapused", less(swap, swap_free));
    json_put_u64(w, "swapfree", swap_free);
    json_put_u64(w, "writeback", value_of(meminfo, "Writeback"));
    json_put_u64(w, "dirty", value_of(meminfo, "Dirty"));
    json_end(w);
}

void meter_put_memory(struct meter *m, struct json_writer *w, const char *key)
{
    meter_memory_write(meter_read(m, "/proc/meminfo"), w, key);
}
