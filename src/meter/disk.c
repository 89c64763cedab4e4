/* Disks: byte and operation counters of whole disks from /proc/diskstats, and the mounted file
 * systems. Network file systems are left out of the mounts: asking one whose server is gone would
 * hang. */
#include <sys/statvfs.h>

#include "meter/meter_int.h"

#define DISK_SECTOR 512u /* the unit of /proc/diskstats, whatever the disk */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* prefix, then only digits */
static bool is_numbered(struct str name, struct str prefix)
{
    size_t i = prefix.n;

    if (!str_starts(name, prefix) || i == name.n)
        return false;
    while (i < name.n && is_digit(name.p[i]))
        i++;
    return i == name.n;
}

/* ...pN at the end, behind a digit: a partition of an nvme or mmcblk disk */
static bool has_partition(struct str name)
{
    size_t i = name.n;

    while (i > 0 && is_digit(name.p[i - 1]))
        i--;
    return i < name.n && i > 1 && name.p[i - 1] == 'p' && is_digit(name.p[i - 2]);
}

/* satellite.md 32 */
bool meter_disk_is_whole(struct str name)
{
    static const struct str numbered[] = { { "dm-", 3 },  { "md", 2 }, { "loop", 4 }, { "ram", 3 },
                                           { "zram", 4 }, { "sr", 2 }, { "fd", 2 } };
    static const struct str lettered[] = { { "sd", 2 }, { "vd", 2 }, { "xvd", 3 }, { "hd", 2 } };

    if (name.n == 0)
        return false;
    for (size_t i = 0; i < COUNT_OF(numbered); i++) {
        if (is_numbered(name, numbered[i]))
            return false;
    }
    if (str_starts(name, STR("nvme")) || str_starts(name, STR("mmcblk")))
        return !has_partition(name);
    for (size_t i = 0; i < COUNT_OF(lettered); i++) {
        if (str_starts(name, lettered[i]))
            return !is_digit(name.p[name.n - 1]);
    }
    return true;
}

void meter_disk_parse(struct str diskstats, struct meter_disks *ret)
{
    struct meter_disks sum = { 0 };
    struct str line;

    for (size_t i = 0; i < METER_DISKS_MAX && str_split(&diskstats, '\n', &line); i++) {
        struct str name;
        uint64_t v[12] = { 0 };

        (void)meter_number(&line);
        (void)meter_number(&line);
        if (!meter_word(&line, &name) || !meter_disk_is_whole(name))
            continue;
        for (size_t k = 1; k < COUNT_OF(v); k++)
            v[k] = meter_number(&line);
        sum.reads += v[1];
        sum.read_bytes += v[3] * DISK_SECTOR;
        sum.read_ms += v[4];
        sum.writes += v[5];
        sum.write_bytes += v[7] * DISK_SECTOR;
        sum.write_ms += v[8];
        sum.queue_ms += v[11];
    }
    *ret = sum;
}

void meter_put_disk_quick(struct meter *m, struct json_writer *w, const char *key)
{
    struct meter_disks d;

    meter_disk_parse(meter_read(m, "/proc/diskstats"), &d);
    json_obj(w, key);
    json_put_u64(w, "rx", d.read_bytes);
    json_put_u64(w, "wx", d.write_bytes);
    json_end(w);
}

static void put_percent(struct json_writer *w, const char *key, uint64_t before, uint64_t now,
                        Usec span)
{
    double v;

    if (span <= 0) {
        json_put_null(w, key);
        return;
    }
    v = now < before ? 0 : (double)(now - before) * 1000 * 100 / (double)span;
    json_put_double(w, key, meter_round2(v > 100 ? 100 : v));
}

static void put_io(struct json_writer *w, const struct meter_disks *was,
                   const struct meter_disks *is, Usec span)
{
    json_obj(w, "io");
    json_put_u64(w, "rIO", is->reads);
    json_put_u64(w, "wIO", is->writes);
    json_put_u64(w, "tIO", is->reads + is->writes);
    json_put_u64(w, "rWaitTime", is->read_ms);
    json_put_u64(w, "wWaitTime", is->write_ms);
    json_put_u64(w, "tWaitTime", is->queue_ms);
    meter_put_rate(w, "rIO_sec", was->reads, is->reads, span);
    meter_put_rate(w, "wIO_sec", was->writes, is->writes, span);
    meter_put_rate(w, "tIO_sec", was->reads + was->writes, is->reads + is->writes, span);
    put_percent(w, "rWaitPercent", was->read_ms, is->read_ms, span);
    put_percent(w, "wWaitPercent", was->write_ms, is->write_ms, span);
    put_percent(w, "tWaitPercent", was->queue_ms, is->queue_ms, span);
    json_put_i64(w, "ms", span / USEC_MSEC);
    json_end(w);
}

static void put_fs(struct json_writer *w, const struct meter_disks *was,
                   const struct meter_disks *is, Usec span)
{
    json_obj(w, "fs");
    json_put_u64(w, "rx", is->read_bytes);
    json_put_u64(w, "wx", is->write_bytes);
    json_put_u64(w, "tx", is->read_bytes + is->write_bytes);
    meter_put_rate(w, "rx_sec", was->read_bytes, is->read_bytes, span);
    meter_put_rate(w, "wx_sec", was->write_bytes, is->write_bytes, span);
    meter_put_rate(w, "tx_sec", was->read_bytes + was->write_bytes,
                   is->read_bytes + is->write_bytes, span);
    json_put_i64(w, "ms", span / USEC_MSEC);
    json_end(w);
}

void meter_put_disk_stats(struct meter *m, struct json_writer *w, Usec now_mono)
{
    const Usec span = m->disks_at ? now_mono - m->disks_at : 0;
    struct meter_disks now;

    meter_disk_parse(meter_read(m, "/proc/diskstats"), &now);
    put_io(w, &m->disks, &now, span);
    put_fs(w, &m->disks, &now, span);
    m->disks = now;
    m->disks_at = now_mono;
}

/* Left out unless the source is a path or the mount is "/" (satellite.md 31.6). */
static bool is_pseudo(struct str type)
{
    static const char *const types[] = {
        "tmpfs",      "devtmpfs",    "rootfs",   "udev",     "squashfs",  "initramfs", "proc",
        "sysfs",      "devpts",      "cgroup",   "cgroup2",  "mqueue",    "debugfs",   "tracefs",
        "securityfs", "pstore",      "bpf",      "configfs", "hugetlbfs", "fusectl",   "autofs",
        "nsfs",       "binfmt_misc", "efivarfs", "ramfs",    "selinuxfs", "rpc_pipefs"
    };

    for (size_t i = 0; i < COUNT_OF(types); i++) {
        if (str_eq_z(type, types[i]))
            return true;
    }
    return false;
}

static bool is_remote(struct str type)
{
    static const char *const types[] = { "nfs",    "nfs4", "cifs", "smb3", "smbfs",
                                         "ncpfs",  "afs",  "ceph", "9p",   "glusterfs",
                                         "lustre", "gfs",  "gfs2", "ocfs2" };

    for (size_t i = 0; i < COUNT_OF(types); i++) {
        if (str_eq_z(type, types[i]))
            return true;
    }
    return str_starts(type, STR("fuse."));
}

/* /proc/mounts writes blanks and backslashes as \040 and the like. */
static bool unescape(struct str from, char *out, size_t size)
{
    size_t n = 0;

    for (size_t i = 0; i < from.n; i++) {
        char c = from.p[i];

        if (c == '\\' && i + 3 < from.n && from.p[i + 1] >= '0' && from.p[i + 1] <= '3' &&
            is_digit(from.p[i + 2]) && is_digit(from.p[i + 3])) {
            c = (char)(((from.p[i + 1] - '0') << 6) | ((from.p[i + 2] - '0') << 3) |
                       (from.p[i + 3] - '0'));
            i += 3;
        }
        if (n + 1 >= size)
            return false;
        out[n++] = c;
    }
    out[n] = 0;
    return str_is_utf8(str_n(out, n));
}

/* "/" is root; else without the first slash, other runs of non-word characters as one '_'. */
static void mount_key(const char *path, char *out, size_t size)
{
    size_t n = 0;
    bool gap = false;

    for (const char *c = path + (*path == '/'); *c && n + 2 < size; c++) {
        if (str_is_word(str_n(c, 1))) {
            out[n++] = *c;
            gap = false;
        } else if (!gap) {
            out[n++] = '_';
            gap = true;
        }
    }
    out[n] = 0;
    if (n == 0)
        (void)str_copy_z(STR("root"), out, size);
}

static void put_mount(struct json_writer *w, const char *key, const char *source, struct str type,
                      const char *path, bool writable)
{
    struct statvfs s;
    uint64_t used;
    uint64_t left;

    if (statvfs(path, &s) != 0 || s.f_blocks == 0)
        return;
    used = (uint64_t)(s.f_blocks - s.f_bfree) * s.f_frsize;
    left = (uint64_t)s.f_bavail * s.f_frsize;
    json_obj(w, key);
    json_put_z(w, "fs", source);
    json_put_str(w, "type", type);
    json_put_u64(w, "size", (uint64_t)s.f_blocks * s.f_frsize);
    json_put_u64(w, "used", used);
    json_put_u64(w, "available", left);
    json_put_double(w, "use",
                    used + left ? meter_round2(100 * (double)used / (double)(used + left)) : 0);
    json_put_z(w, "mount", path);
    json_put_bool(w, "rw", writable);
    json_end(w);
}

struct seen {
    char key[64];
    uint64_t source; /* hash; 0 when the source is no path */
};

/* A place once and a device once, as df does: bind mounts of one device are the same file system.
 */
static bool is_new(const struct seen *all, size_t n, const struct seen *one)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(all[i].key, one->key) == 0 || (one->source && all[i].source == one->source))
            return false;
    }
    return true;
}

static void put_mounts(struct str mounts, struct json_writer *w, struct seen *seen)
{
    struct str line;
    size_t n = 0;

    while (n < METER_MOUNTS_MAX && str_split(&mounts, '\n', &line)) {
        struct str source;
        struct str place;
        struct str type;
        struct str options;
        char from[256];
        char path[1024];

        if (!meter_word(&line, &source) || !meter_word(&line, &place) ||
            !meter_word(&line, &type) || !meter_word(&line, &options))
            continue;
        if (str_eq_z(type, "squashfs") || is_remote(type) || !unescape(place, path, sizeof(path)) ||
            !unescape(source, from, sizeof(from)))
            continue;
        if (is_pseudo(type) && !strchr(from, '/') && strcmp(path, "/") != 0)
            continue;
        mount_key(path, seen[n].key, sizeof(seen[n].key));
        seen[n].source = from[0] == '/' ? str_hash(str_z(from), 1) : 0;
        if (!is_new(seen, n, &seen[n]))
            continue;
        put_mount(w, seen[n].key, from, type, path,
                  str_eq_z(options, "rw") || str_starts(options, STR("rw,")));
        n++;
    }
}

void meter_mounts_write(struct str mounts, struct json_writer *w, const char *key)
{
    struct seen *seen = calloc(METER_MOUNTS_MAX, sizeof(*seen));

    json_obj(w, key);
    if (seen)
        put_mounts(mounts, w, seen);
    json_end(w);
    free(seen);
}

void meter_put_mounts(struct meter *m, struct json_writer *w, const char *key)
{
    meter_mounts_write(meter_read(m, "/proc/self/mounts"), w, key);
}
