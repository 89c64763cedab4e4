/* /proc as a table of processes, and what is done with it. Processes come and go while we read: one
 * that vanishes is left out, and a signal goes through a descriptor of the process (pidfd) after
 * its start time was compared once more, so that a pid used anew is never hit. */
#include "proc/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>

#include "base/str.h"

#define TREE_PASSES_MAX 100 /* each finds at least one more level */
#define TREE_KILLS_MAX  3   /* looks at a tree that forks while it is killed */
#define STAT_FIELD_MAX  24  /* proc(5), counted from 1 */

/* Reads a small file of /proc whole; bytes read, or -1. */
static ssize_t proc_file(pid_t pid, const char *name, char *out, size_t size)
{
    char path[64];
    ssize_t n;
    int fd;

    (void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    n = read(fd, out, size - 1);
    close(fd);
    if (n >= 0)
        out[n] = 0;
    return n;
}

/* "PID (COMM) STATE PPID ...": COMM may hold blanks and parentheses, so it ends at the last ')'. */
static bool parse_stat(struct str text, struct proc_info *p)
{
    int64_t v[STAT_FIELD_MAX + 1] = { 0 };
    const char *open_at = memchr(text.p, '(', text.n);
    const char *close_at = memrchr(text.p, ')', text.n);
    struct str rest;
    struct str field;

    if (!open_at || !close_at || close_at < open_at)
        return false;
    (void)str_copy_z(str_n(open_at + 1, (size_t)(close_at - open_at - 1)), p->comm,
                     sizeof(p->comm));
    rest = str_slice(text, (size_t)(close_at - text.p) + 2, text.n);
    for (int i = 3; i <= STAT_FIELD_MAX; i++) {
        if (!str_split(&rest, ' ', &field) || field.n == 0)
            return false;
        if (i == 3)
            p->state = field.p[0];
        else
            (void)str_to_i64(field, &v[i]);
    }
    p->ppid = (pid_t)v[4];
    p->pgid = (pid_t)v[5];
    p->sid = (pid_t)v[6];
    p->cpu_ticks = (uint64_t)v[14] + (uint64_t)v[15];
    p->threads = (uint32_t)v[20];
    p->start_ticks = (uint64_t)v[22];
    p->rss_bytes = (uint64_t)v[24] * (uint64_t)sysconf(_SC_PAGESIZE);
    return true;
}

static bool read_stat(pid_t pid, struct proc_info *ret)
{
    char text[1024];
    struct proc_info p = { .pid = pid };
    const ssize_t n = proc_file(pid, "stat", text, sizeof(text));

    if (n <= 0 || !parse_stat(str_n(text, (size_t)n), &p))
        return false;
    *ret = p;
    return true;
}

static uint64_t io_value(struct str text, struct str name)
{
    struct str line;
    uint64_t v = 0;

    while (str_split(&text, '\n', &line)) {
        if (str_starts(line, name)) {
            (void)str_to_u64(str_trim(str_slice(line, name.n, line.n)), &v);
            break;
        }
    }
    return v;
}

static void read_io(struct proc_info *p)
{
    char text[512];
    ssize_t n;

    if (p->rss_bytes == 0)
        return; /* a kernel thread or a zombie */
    n = proc_file(p->pid, "io", text, sizeof(text));
    if (n > 0)
        p->io_bytes = io_value(str_n(text, (size_t)n), STR("rchar:")) +
                      io_value(str_n(text, (size_t)n), STR("wchar:"));
}

Status proc_read(pid_t pid, struct proc_info *ret)
{
    if (!read_stat(pid, ret))
        return STATUS_MISSING;
    read_io(ret);
    return STATUS_OK;
}

Status proc_start_ticks(pid_t pid, uint64_t *ret)
{
    struct proc_info p;

    if (!read_stat(pid, &p))
        return STATUS_MISSING;
    *ret = p.start_ticks;
    return STATUS_OK;
}

bool proc_is_alive(pid_t pid, uint64_t start_ticks)
{
    struct proc_info p;

    return read_stat(pid, &p) && p.start_ticks == start_ticks && p.state != 'Z' && p.state != 'X';
}

struct table {
    struct proc_info *at;
    size_t n;
    size_t cap;
};

static Status table_add(struct table *t, const struct proc_info *p)
{
    if (t->n == t->cap) {
        const size_t cap = t->cap ? t->cap * 2 : 256;
        struct proc_info *at = realloc(t->at, cap * sizeof(*at));

        if (!at)
            return STATUS_NOMEM;
        t->at = at;
        t->cap = cap;
    }
    t->at[t->n++] = *p;
    return STATUS_OK;
}

static int by_pid(const void *a, const void *b)
{
    const struct proc_info *x = a;
    const struct proc_info *y = b;

    return (x->pid > y->pid) - (x->pid < y->pid);
}

static bool name_is_pid(const char *name, pid_t *ret)
{
    int64_t v;

    if (name[0] < '1' || name[0] > '9' || !str_to_i64(str_z(name), &v) || v > INT32_MAX)
        return false;
    *ret = (pid_t)v;
    return true;
}

static Status scan(bool with_io, struct proc_info **ret, size_t *ret_n, struct err *err)
{
    struct table t = { 0 };
    Status st = STATUS_OK;
    const struct dirent *e;
    DIR *dir = opendir("/proc");

    if (!dir)
        return err_errno(err, errno, "Cannot read /proc");
    for (e = readdir(dir); e && !st && t.n < PROC_TABLE_MAX; e = readdir(dir)) {
        struct proc_info p;
        pid_t pid;

        if (!name_is_pid(e->d_name, &pid) || !read_stat(pid, &p))
            continue;
        if (with_io)
            read_io(&p);
        st = table_add(&t, &p);
    }
    (void)closedir(dir);
    if (st) {
        free(t.at);
        return err_set(err, st, NULL, "out of memory");
    }
    if (t.n)
        qsort(t.at, t.n, sizeof(*t.at), by_pid);
    *ret = t.at;
    *ret_n = t.n;
    return STATUS_OK;
}

Status proc_scan(struct proc_info **ret, size_t *ret_n, struct err *err)
{
    return scan(true, ret, ret_n, err);
}

/* Index of pid, or n. */
static size_t find_pid(const struct proc_info *all, size_t n, pid_t pid)
{
    size_t lo = 0;
    size_t hi = n;

    while (lo < hi) {
        const size_t mid = lo + (hi - lo) / 2;

        if (all[mid].pid < pid)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < n && all[lo].pid == pid ? lo : n;
}

/* Marks children of marked processes; out[i] is the mark of all[i]. True when there were new ones.
 */
static bool mark_children(const struct proc_info *all, size_t n, size_t *out)
{
    bool any = false;

    for (size_t i = 0; i < n; i++) {
        size_t parent;

        if (out[i])
            continue;
        parent = find_pid(all, n, all[i].ppid);
        if (parent < n && out[parent]) {
            out[i] = 1;
            any = true;
        }
    }
    return any;
}

size_t proc_tree(const struct proc_info *all, size_t n, pid_t root, pid_t session, size_t *out)
{
    size_t count = 0;
    bool with_root;

    for (size_t i = 0; i < n; i++)
        out[i] = all[i].pid == root || (session > 0 && all[i].sid == session);
    for (int pass = 0; pass < TREE_PASSES_MAX; pass++) {
        if (!mark_children(all, n, out))
            break;
    }
    /* The marks become indexes in place: out[count] lies at or before the mark just read. */
    with_root = find_pid(all, n, root) < n;
    for (size_t i = 0; i < n; i++) {
        if (out[i])
            out[count++] = i;
    }
    for (size_t i = 0; with_root && i < count; i++) {
        if (all[out[i]].pid == root) {
            const size_t at = out[i];

            memmove(out + 1, out, i * sizeof(*out));
            out[0] = at;
            break;
        }
    }
    return count;
}

/* True when that very process got the signal. */
static bool signal_exactly(const struct proc_info *p, int signal)
{
    const int fd = (int)syscall(SYS_pidfd_open, p->pid, 0u);
    uint64_t ticks;
    bool sent;

    if (fd < 0)
        return false;
    sent = proc_start_ticks(p->pid, &ticks) == STATUS_OK && ticks == p->start_ticks &&
           syscall(SYS_pidfd_send_signal, fd, signal, NULL, 0u) == 0;
    close(fd);
    return sent;
}

/* One look, and one signal to each living member. Members of `group` get it at once through the
 * group, so that none of them escapes by forking and none gets it twice. The look comes first: the
 * dead no longer lead to their children. group 0: none. Returns how many were signalled. */
static size_t kill_round(pid_t root, pid_t group, bool skip_root, int signal)
{
    struct proc_info *all = NULL;
    size_t n = 0;
    size_t sent = 0;
    size_t count = 0;
    size_t *out;

    if (scan(false, &all, &n, NULL) != STATUS_OK)
        return 0;
    out = malloc((n + 1) * sizeof(*out));
    if (out)
        count = proc_tree(all, n, root, group, out);
    for (size_t i = 0; i < count; i++) {
        const struct proc_info *p = &all[out[i]];

        if (p->state == 'Z' || p->state == 'X' || p->pid == getpid())
            continue;
        if (skip_root && p->pid == root)
            continue;
        if (group && p->pgid == group)
            sent++;
        else
            sent += signal_exactly(p, signal);
    }
    if (group && kill(-group, signal) == 0 && sent == 0)
        sent = 1;
    free(out);
    free(all);
    return sent;
}

/* Killing is repeated while somebody new shows up; other signals are sent once. */
static size_t kill_rounds(pid_t root, pid_t group, bool skip_root, int signal)
{
    const size_t sent = kill_round(root, group, skip_root, signal);
    size_t last = sent;

    for (int i = 1; signal == SIGKILL && last > 0 && i < TREE_KILLS_MAX; i++)
        last = kill_round(root, group, skip_root, signal);
    return sent;
}

size_t proc_kill_tree(pid_t root, int signal)
{
    if (root <= 1)
        return 0;
    return kill_rounds(root, root == getpgrp() ? 0 : root, false, signal);
}

size_t proc_kill_below(pid_t ancestor, int signal)
{
    return ancestor <= 1 ? 0 : kill_rounds(ancestor, 0, true, signal);
}

long proc_ticks_per_sec(void)
{
    return sysconf(_SC_CLK_TCK);
}

bool proc_cmdline(pid_t pid, char *out, size_t size)
{
    const ssize_t n = proc_file(pid, "cmdline", out, size);

    if (n < 0)
        return false;
    for (ssize_t i = 0; i + 1 < n; i++) {
        if (!out[i])
            out[i] = ' ';
    }
    return true;
}
