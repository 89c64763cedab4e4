/* What a server is and how it does, in the words of the link (satellite.md 30-32). Linux.
 *
 * A struct meter is one series: CPU percentages and rates are differences to its previous reading,
 * so the minute series and the second series have a meter each. It keeps small facts and one text
 * buffer; nothing else stays open. What cannot be read is left out or zero, never an error: a
 * container sees less than a host.
 *
 * Cost: meter_put_quick reads four files of /proc. meter_put_sample reads a few files for each
 * process; on a busy server run it on a lane. No name service, no network, no other program is
 * asked, except that user and group names of processes come from the system's user database (kept
 * by the meter). */
#ifndef METER_METER_H
#define METER_METER_H

#include "base/clock.h"
#include "json/writer.h"

#include <stdint.h>
#include <sys/types.h>

#define METER_CPUS_MAX      LIMIT(1024u, 4u)   /* logical CPUs told apart */
#define METER_DISKS_MAX     LIMIT(1024u, 2u)   /* lines of /proc/diskstats taken */
#define METER_IFACES_MAX    LIMIT(256u, 4u)    /* network interfaces */
#define METER_MOUNTS_MAX    LIMIT(256u, 4u)    /* mounts listed */
#define METER_PROCESSES_MAX LIMIT(8192u, 8u)   /* processes listed; all are counted */
#define METER_COMMAND_MAX   LIMIT(1024u, 128u) /* bytes of a command line listed */
#define METER_TEXT_MAX      (8u * 1024 * 1024) /* bytes of one file of /proc */

struct meter;

struct meter *meter_new(void); /* NULL: out of memory */
void meter_free(struct meter *m);
DEFINE_AUTO(struct meter, meter_free);

/* Members of `hello.info`: booted, arch, platform, release, ip, os, memory, cpu, virt. The caller
 * adds satellite, node, quickmon and features. */
void meter_put_info(struct meter *m, struct json_writer *w, Usec now_wall);

/* Members of `quickmon`: mem, cpu, fs, net. */
void meter_put_quick(struct meter *m, struct json_writer *w);

/* A process of a job; an empty id for others. */
struct meter_job {
    struct str id;
    uint64_t disk;
    uint64_t net;
    uint64_t conns;
};
struct meter_jobs {
    struct meter_job (*find)(void *ctx, pid_t pid);
    void *ctx;
};

/* Members of `monitor.data`: uptime_sec, arch, platform, release, load, process, os, memory, cpu,
 * mounts, stats (io, fs, network), interfaces, conns (empty), processes. The caller adds jobs,
 * commands and metrics. jobs may be NULL. */
void meter_put_sample(struct meter *m, struct json_writer *w, const struct meter_jobs *jobs,
                      Usec now_wall, Usec now_mono);

/* The parts, each one object under `key` (satellite.md 31). */
void meter_put_memory(struct meter *m, struct json_writer *w, const char *key);
void meter_put_os(struct meter *m, struct json_writer *w, const char *key);
void meter_put_cpu(struct meter *m, struct json_writer *w, const char *key, bool hardware);
void meter_put_mounts(struct meter *m, struct json_writer *w, const char *key);
void meter_put_stats(struct meter *m, struct json_writer *w, const char *key, Usec now_mono);
void meter_put_interfaces(struct meter *m, struct json_writer *w, const char *key, Usec now_mono);
void meter_put_processes(struct meter *m, struct json_writer *w, const char *key,
                         const struct meter_jobs *jobs, Usec now_wall);

double meter_uptime(struct meter *m);                 /* seconds; 0 when not known */
void meter_load(struct meter *m, double ret_load[3]); /* 1, 5, 15 minutes */

#endif
