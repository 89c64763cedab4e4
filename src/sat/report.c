/* The second's record of every job that is not over: its state, and what its processes use. /proc
 * is read once for all jobs, on the probe lane, and not again before five times as long as that
 * took has passed (reference/satellite.md 27). */
#include <math.h>

#include "base/log.h"
#include "proc/tree.h"
#include "sat/runner_int.h"

#define FRAME_BYTES (256u * 1024) /* jobs are collected into messages of about this size */
#define RATE_MIN    0.01          /* seconds: below this a rate says nothing */

/* What a process had used at the last look. */
struct proc_mark {
    pid_t pid;
    uint64_t start_ticks;
    uint64_t cpu_ticks;
};

struct target {
    Id id;
    pid_t supervisor;
    struct proc_mark *marks;
    size_t n_marks;
    double cpu, mem; /* found */
    size_t members;
    char *procs;
};

struct scan_work {
    struct lane_work work;
    struct runner *runner;
    struct target *targets;
    size_t n;
    double elapsed; /* since the last look */
    Usec took;
};

/* On the lane */

static const char *state_name(char c)
{
    return strchr("SDU", c)  ? "Sleeping"
           : c == 'R'        ? "Running"
           : c == 'I'        ? "Idle"
           : c == 'Z'        ? "Zombie"
           : strchr("Tt", c) ? "Stopped"
           : c == 'X'        ? "Dead"
                             : "Unknown";
}

static double boot_seconds(void)
{
    struct timespec t = { 0 };

    (void)clock_gettime(CLOCK_BOOTTIME, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Percent of the whole machine since the last look, or over its life when it was not seen before.
 */
static double cpu_percent(const struct target *t, const struct proc_info *p, double elapsed,
                          double age)
{
    const double hz = (double)proc_ticks_per_sec();
    const long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    uint64_t used = p->cpu_ticks;
    double seconds = age;

    for (size_t i = 0; i < t->n_marks; i++) {
        if (t->marks[i].pid == p->pid && t->marks[i].start_ticks == p->start_ticks &&
            t->marks[i].cpu_ticks <= used) {
            used -= t->marks[i].cpu_ticks;
            seconds = elapsed;
            break;
        }
    }
    if (seconds < RATE_MIN)
        seconds = RATE_MIN;
    return round((double)used / hz / seconds / (double)(cpus > 0 ? cpus : 1) * 10000) / 100;
}

static void put_process(struct json_writer *w, const struct proc_info *p, double cpu, double age,
                        struct str id)
{
    char pid[16];
    char command[512];

    if (!proc_cmdline(p->pid, command, sizeof(command)) || !command[0])
        (void)str_copy_z(str_z(p->comm), command, sizeof(command));
    (void)snprintf(pid, sizeof(pid), "%d", (int)p->pid);
    json_obj(w, pid);
    json_put_i64(w, "pid", p->pid);
    json_put_i64(w, "parentPid", p->ppid);
    json_put_z(w, "command", command);
    json_put_z(w, "state", state_name(p->state));
    json_put_double(w, "cpu", cpu);
    json_put_u64(w, "memRss", p->rss_bytes);
    json_put_u64(w, "threads", p->threads);
    json_put_i64(w, "age", (int64_t)age);
    json_put_u64(w, "disk", p->io_bytes);
    json_put_u64(w, "net", 0);
    json_put_u64(w, "conns", 0);
    json_put_str(w, "job", id);
    json_end(w);
}

static void look_at(struct target *t, const struct proc_info *all, size_t n, size_t *members,
                    double elapsed)
{
    const size_t found = proc_tree(all, n, t->supervisor, t->supervisor, members);
    const double now = boot_seconds();
    struct proc_mark *marks = calloc(found + 1, sizeof(*marks));
    AUTO_BUF struct buf text = { 0 };
    struct json_writer w;
    size_t n_marks = 0;

    buf_init(&text, 1024u * 1024);
    w = json_writer_init(&text);
    json_obj(&w, NULL);
    for (size_t i = 0; marks && i < found; i++) {
        const struct proc_info *p = &all[members[i]];
        const double age = now - (double)p->start_ticks / (double)proc_ticks_per_sec();
        double cpu;

        if (p->pid == t->supervisor)
            continue;
        cpu = cpu_percent(t, p, elapsed, age);
        t->cpu += cpu;
        t->mem += (double)p->rss_bytes;
        if (t->members++ < RUNNER_PROCS_MAX)
            put_process(&w, p, cpu, age, id_str(&t->id));
        marks[n_marks++] = (struct proc_mark){ p->pid, p->start_ticks, p->cpu_ticks };
    }
    json_end(&w);
    t->procs = buf_take(&text, NULL);
    free(t->marks);
    t->marks = marks;
    t->n_marks = n_marks;
}

static void scan_do(struct lane_work *work)
{
    struct scan_work *s = CONTAINER_OF(work, struct scan_work, work);
    const Usec from = clock_mono();
    struct proc_info *all = NULL;
    size_t *members = NULL;
    size_t n = 0;

    if (proc_scan(&all, &n, NULL) == STATUS_OK)
        members = calloc(n ? n : 1, sizeof(*members));
    for (size_t i = 0; members && i < s->n; i++)
        look_at(&s->targets[i], all, n, members, s->elapsed);
    free(members);
    free(all);
    s->took = clock_mono() - from;
}

/* On the loop */

static void usage_add(struct usage *u, double v)
{
    if (u->count == 0 || v < u->min)
        u->min = v;
    if (u->count == 0 || v > u->max)
        u->max = v;
    u->total += v;
    u->count++;
    u->current = v;
}

static void put_job(struct json_writer *w, const struct sat_job *j)
{
    const struct stdio_state *s = j->parser ? stdio_state(j->parser) : NULL;

    json_obj_k(w, id_str(&j->id));
    json_put_str(w, "id", id_str(&j->id));
    json_put_z(w, "state", j->stage == STAGE_FINISHING ? "finishing" : "active");
    if (s && s->started)
        json_put_i64(w, "pid", s->pid);
    if (j->parser && stdio_field(j->parser, "progress").p)
        json_put_raw(w, "progress", stdio_field(j->parser, "progress"));
    if (!j->runner_job) {
        put_usage(w, "cpu", &j->cpu);
        put_usage(w, "mem", &j->mem);
        if (j->procs)
            json_put_raw(w, "procs", str_z(j->procs));
        json_arr(w, "conns");
        json_end(w);
    }
    json_end(w);
}

static bool reported(const struct sat_job *j)
{
    return j->stage > STAGE_STORING && j->stage < STAGE_ENDED && j->seeked && !j->forgetting;
}

static void send_all(struct runner *r)
{
    AUTO_BUF struct buf frame = { 0 };
    struct json_writer w;
    size_t cursor = 0;
    size_t n = 0;
    void *item;

    if (!link_ready(r->sat->link) || link_congested(r->sat->link))
        return;
    buf_init(&frame, SAT_MESSAGE_MAX);
    while (map_next(&r->jobs, &cursor, NULL, &item)) {
        if (!reported(item))
            continue;
        if (n++ == 0)
            w = wire_begin(&frame, WIRE_JOBS);
        put_job(&w, item);
        if (frame.n < FRAME_BYTES)
            continue;
        wire_end(&w);
        (void)link_send(r->sat->link, &frame);
        buf_clear(&frame);
        n = 0;
    }
    if (n == 0)
        return;
    wire_end(&w);
    (void)link_send(r->sat->link, &frame);
}

static void take_target(struct runner *r, struct target *t)
{
    struct sat_job *j = job_get(r, id_str(&t->id));

    if (j && t->members) {
        usage_add(&j->cpu, t->cpu);
        usage_add(&j->mem, t->mem);
    }
    if (j && t->procs) {
        free(j->procs);
        free(j->marks);
        j->procs = t->procs;
        j->marks = t->marks;
        j->n_marks = t->n_marks;
        t->procs = NULL;
        t->marks = NULL;
    }
}

static void scan_free(struct scan_work *s)
{
    for (size_t i = 0; i < s->n; i++) {
        free(s->targets[i].marks);
        free(s->targets[i].procs);
    }
    free(s->targets);
    free(s);
}

static void scan_back(struct lane_work *work)
{
    struct scan_work *s = CONTAINER_OF(work, struct scan_work, work);
    struct runner *r = s->runner;

    r->scanning = false;
    r->scan_after = loop_now_mono(r->sat->loop) + 5 * s->took;
    for (size_t i = 0; i < s->n; i++)
        take_target(r, &s->targets[i]);
    scan_free(s);
    send_all(r);
}

static bool measured(const struct sat_job *j)
{
    return j->stage == STAGE_RUNNING && !j->runner_job && j->parser &&
           stdio_state(j->parser)->started && stdio_state(j->parser)->supervisor > 1;
}

static struct scan_work *scan_new(struct runner *r)
{
    struct scan_work *s = calloc(1, sizeof(*s));
    size_t cursor = 0;
    void *item;

    if (s)
        s->targets = calloc(r->jobs.n + 1, sizeof(*s->targets));
    if (!s || !s->targets) {
        free(s);
        return NULL;
    }
    s->work = (struct lane_work){ .work = scan_do, .done = scan_back };
    s->runner = r;
    while (map_next(&r->jobs, &cursor, NULL, &item)) {
        struct sat_job *j = item;

        if (!measured(j))
            continue;
        s->targets[s->n++] = (struct target){ .id = j->id,
                                              .supervisor = stdio_state(j->parser)->supervisor,
                                              .marks = j->marks,
                                              .n_marks = j->n_marks };
        j->marks = NULL;
        j->n_marks = 0;
    }
    return s;
}

void report_tick(struct runner *r, Usec now)
{
    struct scan_work *s = NULL;

    if (r->scanning || r->jobs.n == 0 || !link_ready(r->sat->link))
        return;
    if (now >= r->scan_after)
        s = scan_new(r);
    if (s && s->n == 0) {
        scan_free(s);
        s = NULL;
    }
    if (s) {
        s->elapsed = r->scan_last ? (double)(now - r->scan_last) / 1e6 : 1;
        if (lane_post(r->sat->probe, &s->work) == STATUS_OK) {
            r->scanning = true;
            r->scan_last = now;
            return; /* sent when it is back */
        }
        scan_free(s);
    }
    send_all(r);
}

void report_done(struct sat_job *j)
{
    free(j->procs);
    free(j->marks);
}
