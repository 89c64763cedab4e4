/* Inside of the meter: the struct, reading and scanning of small text files, and the pure parsers
 * that tests feed with text. */
#ifndef METER_METER_INT_H
#define METER_METER_INT_H

#include "meter/meter.h"

#define METER_COLUMNS 10 /* of a cpu line in /proc/stat */

struct meter_cpu_times {
    uint64_t column[METER_COLUMNS];
};

/* Sums over whole disks; the numbers of /proc/diskstats. */
struct meter_disks {
    uint64_t reads, writes;
    uint64_t read_bytes, write_bytes;
    uint64_t read_ms, write_ms, queue_ms;
};

struct meter_iface {
    char name[32];
    bool internal;
    bool has_address;
    char ip4[20], mask4[20], ip6[64], mask6[64];
    uint64_t rx_bytes, rx_errors, rx_dropped;
    uint64_t tx_bytes, tx_errors, tx_dropped;
};

struct meter_ifaces {
    struct meter_iface at[METER_IFACES_MAX];
    size_t n;
};

/* An id and its name, from the user database. */
struct meter_name {
    uint32_t id;
    bool known;
    char name[36];
};
#define METER_NAMES_MAX 64u /* a power of two; kept by the low bits of the id */

struct meter {
    struct buf text;
    struct meter_cpu_times *cpus; /* [0] is all together, then one each */
    struct meter_cpu_times *next; /* room for the next reading */
    struct meter_disks disks;
    Usec disks_at; /* monotonic; 0: no reading yet */
    struct meter_ifaces *ifaces;
    Usec ifaces_at;
    char external[METER_IFACES_MAX][32]; /* names known at start, for quick samples */
    size_t n_external;
    struct meter_name users[METER_NAMES_MAX];
    struct meter_name groups[METER_NAMES_MAX];
};

/* The whole file, borrowed until the next call; empty when it cannot be read. */
struct str meter_read(struct meter *m, const char *path);
/* The file's first line, trimmed, copied into out. False (and out empty) when there is none. */
bool meter_read_line(struct meter *m, const char *path, char *out, size_t size);
uint64_t meter_read_number(struct meter *m, const char *path, uint64_t def);

/* Takes the next word (blanks and tabs between) off the front. */
bool meter_word(struct str *rest, struct str *ret);
/* Takes the next word as a number; 0 when it is none. */
uint64_t meter_number(struct str *rest);
/* Value of "key : value" or key=value lines; quotes around are taken off. STR_NONE when absent. */
struct str meter_value(struct str text, const char *key, char separator);
double meter_round2(double v); /* down to hundredths */

/* Pure parts. */
void meter_memory_write(struct str meminfo, struct json_writer *w, const char *key);
void meter_memory_info(struct str meminfo, struct json_writer *w, const char *key);
uint64_t meter_memory_total(struct str meminfo);
size_t meter_cpu_parse(struct str stat, struct meter_cpu_times *out, size_t max);
void meter_cpu_percent(const struct meter_cpu_times *before, const struct meter_cpu_times *now,
                       double out[METER_COLUMNS + 1]); /* [METER_COLUMNS] is active */
void meter_cpu_hardware(struct meter *m, struct str cpuinfo, struct json_writer *w);
bool meter_disk_is_whole(struct str name);
void meter_disk_parse(struct str diskstats, struct meter_disks *ret);
bool meter_process_parse(struct str stat, char *ret_state, int64_t *field, size_t n);
void meter_mounts_write(struct str mounts, struct json_writer *w, const char *key);
void meter_net_parse(struct str net_dev, struct meter_ifaces *io);
void meter_net_states(struct str table, bool udp, uint64_t counts[16]);
/* release: text of the release files. Writes distro, release, codename, logofile, build. */
void meter_os_write(struct str release, struct json_writer *w);
/* The first name on the line of /etc/hosts that has `host`; host itself when there is none. */
struct str meter_fqdn(struct str hosts, struct str host);

/* One file each. */
void meter_net_list(struct meter *m, struct meter_ifaces *ret);
void meter_net_init(struct meter *m);
void meter_put_disk_quick(struct meter *m, struct json_writer *w, const char *key);
void meter_put_net_quick(struct meter *m, struct json_writer *w, const char *key);
void meter_put_disk_stats(struct meter *m, struct json_writer *w, Usec now_mono);
void meter_put_net_stats(struct meter *m, struct json_writer *w);
void meter_put_virt(struct meter *m, struct json_writer *w, const char *key);
void meter_put_self(struct meter *m, struct json_writer *w, const char *key, Usec now_wall);
void meter_put_rate(struct json_writer *w, const char *key, uint64_t before, uint64_t now,
                    Usec span);

#endif
