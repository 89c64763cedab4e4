/* Processes, from /proc/PID/{stat,status,cmdline}, with the keys of satellite.md 31.7; and
 * ourselves. */
#include <dirent.h>
#include <grp.h>
#include <pwd.h>

#include "meter/meter_int.h"

#define STAT_FIELDS 42 /* proc(5), counted from 1; 41 is the scheduling class */

struct process {
    int64_t pid;
    char state;
    int64_t field[STAT_FIELDS];
    uint32_t uid;
    uint32_t gid;
};

/* What the list needs to know besides the process. */
struct scene {
    Usec now_wall;
    double uptime;
    double ticks;
    uint64_t page;
    uint64_t memory;
    int64_t cpus;
    const struct meter_jobs *jobs;
};

enum state {
    STATE_IDLE,
    STATE_SLEEPING,
    STATE_RUNNING,
    STATE_ZOMBIE,
    STATE_STOPPED,
    STATE_PAGED,
    STATE_DEAD,
    STATE_UNKNOWN,
    STATE_COUNT
};

static const char *const state_names[STATE_COUNT] = { "Idle",    "Sleeping", "Running", "Zombie",
                                                      "Stopped", "Paged",    "Dead",    "Unknown" };
static const char *const state_keys[STATE_COUNT] = { "idle",    "sleeping", "running", "zombie",
                                                     "stopped", "paged",    "dead",    "unknown" };

static enum state state_of(char c)
{
    switch (c) {
    case 'I':
        return STATE_IDLE;
    case 'S':
    case 'D':
    case 'U':
        return STATE_SLEEPING;
    case 'R':
        return STATE_RUNNING;
    case 'Z':
        return STATE_ZOMBIE;
    case 'T':
    case 't':
        return STATE_STOPPED;
    case 'W':
        return STATE_PAGED;
    case 'X':
        return STATE_DEAD;
    default:
        return STATE_UNKNOWN;
    }
}

static const char *class_of(int64_t policy)
{
    static const char *const names[] = {
        "Other", "FIFO", "RR", "Batch", "ISO", "Idle", "Deadline"
    };

    return policy >= 0 && policy < (int64_t)COUNT_OF(names) ? names[policy] : "Unknown";
}

/* The name of an id, asked once and kept; the number itself when there is none. */
static const char *name_of(struct meter_name *names, uint32_t id, bool group)
{
    struct meter_name *n = &names[id & (METER_NAMES_MAX - 1)];
    char space[4096];

    if (n->known && n->id == id)
        return n->name;
    *n = (struct meter_name){ .id = id, .known = true };
    (void)snprintf(n->name, sizeof(n->name), "%u", id);
    if (group) {
        struct group entry;
        struct group *found = NULL;

        if (getgrgid_r(id, &entry, space, sizeof(space), &found) == 0 && found)
            (void)str_copy_z(str_z(entry.gr_name), n->name, sizeof(n->name));
    } else {
        struct passwd entry;
        struct passwd *found = NULL;

        if (getpwuid_r(id, &entry, space, sizeof(space), &found) == 0 && found)
            (void)str_copy_z(str_z(entry.pw_name), n->name, sizeof(n->name));
    }
    return n->name;
}

static struct str read_of(struct meter *m, int64_t pid, const char *what)
{
    char path[64];

    (void)snprintf(path, sizeof(path), "/proc/%lld/%s", (long long)pid, what);
    return meter_read(m, path);
}

bool meter_process_parse(struct str stat, char *ret_state, int64_t *field, size_t n)
{
    const char *close_at = stat.n ? memrchr(stat.p, ')', stat.n) : NULL;
    struct str rest;
    struct str word;

    if (!close_at)
        return false;
    rest = str_slice(stat, (size_t)(close_at - stat.p) + 1, stat.n);
    if (!meter_word(&rest, &word))
        return false;
    *ret_state = word.p[0];
    for (size_t i = 4; i < n; i++) {
        field[i] = 0;
        if (meter_word(&rest, &word))
            (void)str_to_i64(str_trim(word), &field[i]);
    }
    return true;
}

/* "Uid: real effective saved fs": the effective one. */
static uint32_t effective_of(struct str status, const char *key)
{
    struct str value = meter_value(status, key, ':');

    (void)meter_number(&value);
    return (uint32_t)meter_number(&value);
}

static bool process_read(struct meter *m, int64_t pid, struct process *p)
{
    struct str status;

    *p = (struct process){ .pid = pid };
    if (!meter_process_parse(read_of(m, pid, "stat"), &p->state, p->field, STAT_FIELDS))
        return false;
    status = read_of(m, pid, "status");
    p->uid = effective_of(status, "Uid");
    p->gid = effective_of(status, "Gid");
    return true;
}

static void tty_name(int64_t device, char out[24])
{
    const unsigned major = ((unsigned)device >> 8) & 0xfff;
    const unsigned minor = ((unsigned)device & 0xff) | (((unsigned)device >> 12) & 0xfff00);

    if (major >= 136 && major <= 143)
        (void)snprintf(out, 24, "pts/%u", minor + (major - 136) * 256);
    else if (major == 4 && minor < 64)
        (void)snprintf(out, 24, "tty%u", minor);
    else if (major == 4)
        (void)snprintf(out, 24, "ttyS%u", minor - 64);
    else
        (void)snprintf(out, 24, "?");
}

/* The command line with blanks; the short name in brackets when there is none (kernel threads). */
static void put_command(struct meter *m, struct json_writer *w, int64_t pid)
{
    struct str text = read_of(m, pid, "cmdline");
    char out[METER_COMMAND_MAX];
    char name[64];
    char path[64];

    if (text.n > 0) {
        (void)str_copy_z(text, out, sizeof(out));
        for (size_t i = 0; i < text.n && i + 1 < sizeof(out); i++)
            out[i] = out[i] && out[i] != '\n' ? out[i] : ' ';
        json_put_str(w, "command",
                     str_trim(str_n(out, text.n < sizeof(out) ? text.n : sizeof(out) - 1)));
        return;
    }
    (void)snprintf(path, sizeof(path), "/proc/%lld/comm", (long long)pid);
    (void)meter_read_line(m, path, name, sizeof(name));
    (void)snprintf(out, sizeof(out), "[%s]", name);
    json_put_z(w, "command", out);
}

static void put_job(struct json_writer *w, const struct meter_jobs *jobs, int64_t pid)
{
    struct meter_job job;

    if (!jobs)
        return;
    job = jobs->find(jobs->ctx, (pid_t)pid);
    if (job.id.n == 0)
        return;
    json_put_str(w, "job", job.id);
    json_put_u64(w, "disk", job.disk);
    json_put_u64(w, "conns", job.conns);
    json_put_u64(w, "net", job.net);
}

static void put_process(struct meter *m, struct json_writer *w, const struct process *p,
                        const struct scene *s)
{
    const double time = (double)(p->field[14] + p->field[15]) / s->ticks;
    const double age = s->uptime - (double)p->field[22] / s->ticks;
    const int64_t age_sec = age > 0 ? (int64_t)age : 0;
    const uint64_t rss = (uint64_t)p->field[24] * s->page;
    const double cpu = age > 0.01 ? 100 * time / age / (double)s->cpus : 0;
    char tty[24];

    tty_name(p->field[7], tty);
    json_obj(w, NULL);
    json_put_i64(w, "pid", p->pid);
    json_put_i64(w, "parentPid", p->field[4]);
    json_put_z(w, "user", name_of(m->users, p->uid, false));
    json_put_z(w, "group", name_of(m->groups, p->gid, true));
    json_put_double(w, "cpu", meter_round2(cpu));
    json_put_double(w, "mem", s->memory ? meter_round2(100 * (double)rss / (double)s->memory) : 0);
    json_put_u64(w, "memRss", rss);
    json_put_i64(w, "memVsz", p->field[23]);
    json_put_i64(w, "age", age_sec);
    json_put_i64(w, "started", s->now_wall / USEC_SEC - age_sec);
    json_put_z(w, "state", state_names[state_of(p->state)]);
    json_put_i64(w, "priority", p->field[18]);
    json_put_i64(w, "nice", p->field[19]);
    json_put_i64(w, "threads", p->field[20]);
    json_put_z(w, "tty", tty);
    json_put_z(w, "class", class_of(p->field[41]));
    json_put_i64(w, "time", (int64_t)time);
    put_command(m, w, p->pid);
    put_job(w, s->jobs, p->pid);
    json_end(w);
}

static struct scene scene_of(struct meter *m, const struct meter_jobs *jobs, Usec now_wall)
{
    struct scene s = { .now_wall = now_wall, .jobs = jobs };
    const long cpus = sysconf(_SC_NPROCESSORS_ONLN);

    s.uptime = meter_uptime(m);
    s.ticks = (double)sysconf(_SC_CLK_TCK);
    s.page = (uint64_t)sysconf(_SC_PAGESIZE);
    s.memory = meter_memory_total(meter_read(m, "/proc/meminfo"));
    s.cpus = cpus > 0 ? cpus : 1;
    return s;
}

void meter_put_processes(struct meter *m, struct json_writer *w, const char *key,
                         const struct meter_jobs *jobs, Usec now_wall)
{
    const struct scene s = scene_of(m, jobs, now_wall);
    uint64_t counts[STATE_COUNT] = { 0 };
    uint64_t all = 0;
    DIR *dir = opendir("/proc");
    const struct dirent *e = dir ? readdir(dir) : NULL;

    json_obj(w, key);
    json_arr(w, "list");
    for (; e; e = readdir(dir)) {
        struct process p;
        uint64_t pid;

        if (!str_to_u64(str_z(e->d_name), &pid) || !process_read(m, (int64_t)pid, &p))
            continue;
        all++;
        counts[state_of(p.state)]++;
        if (all <= METER_PROCESSES_MAX)
            put_process(m, w, &p, &s);
    }
    if (dir)
        (void)closedir(dir);
    json_end(w);
    json_put_u64(w, "all", all);
    for (int i = 0; i < STATE_COUNT; i++) {
        if (counts[i] || i == STATE_RUNNING || i == STATE_SLEEPING)
            json_put_u64(w, state_keys[i], counts[i]);
    }
    json_end(w);
}

/* cpu: percent of one core over our lifetime. */
void meter_put_self(struct meter *m, struct json_writer *w, const char *key, Usec now_wall)
{
    const struct scene s = scene_of(m, NULL, now_wall);
    struct process p = { 0 };
    double age = 0;

    if (process_read(m, getpid(), &p))
        age = s.uptime - (double)p.field[22] / s.ticks;
    json_obj(w, key);
    json_put_i64(w, "pid", getpid());
    json_put_i64(w, "started", now_wall / USEC_SEC - (age > 0 ? (int64_t)age : 0));
    json_put_u64(w, "mem", (uint64_t)p.field[24] * s.page);
    json_put_double(
        w, "cpu",
        age > 0.01 ? meter_round2(100 * (double)(p.field[14] + p.field[15]) / s.ticks / age) : 0);
    json_end(w);
}
