/* The satellite as a process: command line, folders, the lock on the home, the launcher, enrolment,
 * the loop, and leaving. Jobs outlive us: leaving means to close the socket and go; supervisors go
 * on, and the next start finds everything in the spool. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/log.h"
#include "crypto/crypto.h"
#include "http/url.h"
#include "sat/enrol.h"
#include "sat/sat.h"
#include "sat/testplugin.h"

#define LEAVE_TIMEOUT (2 * USEC_SEC)
#define FILES_MAX     65536u

struct options {
    const char *home;
    const char *conductor;
    const char *token;
    const char *log_level;
    bool abort_on_stop;
    bool help;
    bool version;
};

static int usage(int code)
{
    (void)fputs(
        "Usage: orrery-sat --home DIR [--conductor URL --token TOKEN]\n"
        "                  [--abort-jobs-on-stop] [--log-level error|warn|info|debug]\n"
        "       orrery-sat --help | --version\n\n"
        "Runs jobs for a conductor. --conductor (http://, https://, ws:// or wss://) and --token "
        "are\n"
        "needed once, to enrol; what is learnt lies in DIR/config.json. The program stays in the\n"
        "foreground. Jobs go on when it ends, and are found again at the next start;\n"
        "--abort-jobs-on-stop ends them instead.\n",
        code ? stderr : stdout);
    return code;
}

static const char **value_option(struct options *o, const char *name)
{
    return strcmp(name, "--home") == 0        ? &o->home
           : strcmp(name, "--conductor") == 0 ? &o->conductor
           : strcmp(name, "--token") == 0     ? &o->token
           : strcmp(name, "--log-level") == 0 ? &o->log_level
                                              : NULL;
}

static bool parse_options(int argc, char **argv, struct options *o)
{
    for (int i = 1; i < argc; i++) {
        const char **at = value_option(o, argv[i]);

        if (at) {
            if (i + 1 >= argc)
                return false;
            *at = argv[++i];
        } else if (strcmp(argv[i], "--help") == 0) {
            o->help = true;
        } else if (strcmp(argv[i], "--version") == 0) {
            o->version = true;
        } else if (strcmp(argv[i], "--abort-jobs-on-stop") == 0) {
            o->abort_on_stop = true;
        } else if (strcmp(argv[i], "--foreground") != 0) {
            return false;
        }
    }
    return true;
}

static int fail(int code, const char *text)
{
    (void)fprintf(stderr, "orrery-sat: %s\n", text);
    return code;
}

/* Places */

static char *join(const char *folder, const char *name)
{
    char *out = NULL;

    return asprintf(&out, "%s/%s", folder, name) < 0 ? NULL : out;
}

static char *temp_folder(const struct sat *s)
{
    AUTO(arena_free) struct arena *a = arena_new(65536);
    const struct str dir = json_str(s->config.root, "temp_dir");
    const char *z = a && dir.n ? arena_dup_z(a, dir) : "temp";

    return z && z[0] == '/' ? strdup(z) : join(s->home, z ? z : "temp");
}

static Status folders_make(struct sat *s, struct err *err)
{
    static const char *const below_temp[] = { "jobs", "plugins" };
    char path[PATH_MAX];
    Status st = file_mkdirs(s->spool, 0711, err);

    if (!st)
        st = file_mkdirs(s->temp, 0755, err);
    for (size_t i = 0; !st && i < COUNT_OF(below_temp); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", s->temp, below_temp[i]);
        st = file_mkdirs(path, 0755, err);
    }
    (void)snprintf(path, sizeof(path), "%s/logs/jobs", s->home);
    if (!st)
        st = file_mkdirs(path, 0755, err);
    if (!st && chmod(path, 01777) != 0) /* jobs of other users write their logs there */
        st = err_errno(err, errno, "Cannot open up %s", path);
    return st;
}

static Status home_open(struct sat *s, const char *home, struct err *err)
{
    char real[PATH_MAX];
    char exe[PATH_MAX];
    Status st = file_mkdirs(home, 0755, err);
    ssize_t n;

    if (st)
        return st;
    if (!realpath(home, real))
        return err_errno(err, errno, "Cannot find %s", home);
    n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
    if (n <= 0)
        return err_errno(err, errno, "Cannot find this program");
    exe[n] = 0;
    s->home = strdup(real);
    s->exe = strdup(exe);
    s->config_path = join(real, "config.json");
    s->spool = join(real, "spool");
    if (!s->home || !s->exe || !s->config_path || !s->spool)
        return err_set(err, STATUS_NOMEM, NULL, "out of memory");
    return STATUS_OK;
}

/* Held until the process ends. */
static Status home_lock(const struct sat *s, struct err *err)
{
    char path[PATH_MAX];
    int fd;

    (void)snprintf(path, sizeof(path), "%s/lock", s->home);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_errno(err, errno, "Cannot open %s", path);
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return STATUS_OK;
    close(fd);
    return err_set(err, STATUS_BUSY, NULL, "Another satellite runs in %s", s->home);
}

/* The running parts */

void sat_exit(struct sat *s, int code)
{
    s->exit_code = code;
    loop_stop(s->loop);
}

bool sat_refuses(const struct sat *s)
{
    return s->stopping;
}

struct net_tls *sat_tls(struct sat *s, struct err *err)
{
    if (!s->tls)
        s->tls = net_tls_client(s->config.verify_tls, NULL, err);
    return s->tls;
}

struct http_client *sat_http(struct sat *s, bool secure, struct err *err)
{
    const struct sat_config *c = &s->config;
    struct http_client_config config = { .loop = s->loop,
                                         .disk = s->disk,
                                         .user_agent = SAT_USER_AGENT,
                                         .connect_timeout = c->http.connect,
                                         .first_byte_timeout = c->http.first_byte,
                                         .idle_timeout = c->http.idle,
                                         .redirects_max = 5 };

    if (s->http && (s->http_has_tls || !secure))
        return s->http;
    if (secure) {
        config.tls = sat_tls(s, err);
        if (!config.tls)
            return NULL;
    }
    http_client_free(s->http); /* it could not have served what comes now */
    s->http = http_client_new(&config, err);
    s->http_has_tls = secure;
    return s->http;
}

struct push_work {
    struct lane_work work;
    struct sat *sat;
    struct buf update;
    struct buf text;
    Status status;
    Usec mtime;
    struct err err;
};

static void push_do(struct lane_work *work)
{
    struct push_work *w = CONTAINER_OF(work, struct push_work, work);

    w->status =
        config_update_file(w->sat->config_path, buf_str(&w->update), true, &w->text, &w->err);
    w->mtime = config_mtime(w->sat->config_path);
}

static void push_free(struct push_work *w)
{
    buf_done(&w->update);
    buf_done(&w->text);
    free(w);
}

static void push_back(struct lane_work *work)
{
    struct push_work *w = CONTAINER_OF(work, struct push_work, work);
    struct sat *s = w->sat;

    if (w->status)
        log_event(LOG_ERROR, "config.not_written", "file=%s reason=%s", s->config_path,
                  LOG_QUOTED(str_z(w->err.text)));
    else if (config_parse(&s->config, buf_str(&w->text), NULL) == STATUS_OK)
        s->config_seen = w->mtime;
    push_free(w);
}

void sat_config_push(struct sat *s, yyjson_val *update)
{
    struct push_work *w;
    AUTO_BUF struct buf now = { 0 };
    AUTO_BUF struct buf merged = { 0 };

    if (yyjson_obj_size(update) == 0 || config_has_all(&s->config, update))
        return;
    buf_init(&now, CONFIG_SIZE_MAX);
    buf_init(&merged, CONFIG_SIZE_MAX);
    w = calloc(1, sizeof(*w));
    if (!w)
        return;
    w->work = (struct lane_work){ .work = push_do, .done = push_back };
    w->sat = s;
    buf_init(&w->update, CONFIG_SIZE_MAX);
    buf_init(&w->text, CONFIG_SIZE_MAX);
    if (json_text(update, false, &w->update) != STATUS_OK ||
        lane_post(s->probe, &w->work) != STATUS_OK) {
        log_event(LOG_ERROR, "config.not_written", "reason=busy");
        push_free(w);
    }
    /* at once in memory; `update` may lie in a message, never in our own document */
    if (json_text(s->config.root, false, &now) == STATUS_OK &&
        config_merge_text(buf_str(&now), update, true, &merged, NULL) == STATUS_OK)
        (void)!config_parse(&s->config, buf_str(&merged), NULL);
}

/* An edit from outside takes effect; only a link that is down for good is started by it. */
static void config_look(struct sat *s, Usec now)
{
    struct err err = { 0 };
    Usec mtime;

    if (now - s->config_looked < s->config.poll_every)
        return;
    s->config_looked = now;
    mtime = config_mtime(s->config_path);
    if (mtime == s->config_seen)
        return;
    s->config_seen = mtime;
    if (config_load(&s->config, s->config_path, &err) != STATUS_OK) {
        log_event(LOG_ERROR, "config.unreadable", "reason=%s", LOG_QUOTED(str_z(err.text)));
        return;
    }
    log_event(LOG_INFO, "config.loaded", "file=%s", s->config_path);
    link_reconfigured(s->link);
}

static void leave(void *arg);

static void tick(void *arg)
{
    struct sat *s = arg;
    const Usec now = loop_now_mono(s->loop);

    if (!s->stopping)
        config_look(s, now);
    link_tick(s->link, now);
    runner_tick(s->runner, now);
    sampler_tick(s->sampler, loop_now_wall(s->loop));
    if (s->stopping && runner_count(s->runner) == 0)
        leave(s);
}

/* Leaving */

/* Once the socket has said good-bye, or has had the time to. */
static void leaving(void *arg)
{
    struct sat *s = arg;

    if (link_is_down(s->link) || loop_now_mono(s->loop) >= s->leave_until)
        sat_exit(s, 0);
}

static void leave(void *arg)
{
    struct sat *s = arg;

    if (s->leave_until)
        return;
    link_stop(s->link);
    s->leave_until = loop_now_mono(s->loop) + LEAVE_TIMEOUT;
    loop_timer_free(s->tick);
    s->tick = loop_timer_new(s->loop, "sat.leave", leaving, s);
    if (s->tick)
        loop_timer_start(s->tick, 0, 10 * USEC_MSEC);
    else
        sat_exit(s, 0);
}

static void on_signal(int signum, void *arg)
{
    struct sat *s = arg;

    if (s->stopping) {
        sat_exit(s, 1);
        return;
    }
    log_event(LOG_INFO, "sat.stopping", "signal=%d jobs=%zu", signum,
              s->runner ? runner_active(s->runner) : 0);
    s->stopping = true;
    if (!s->runner || (!s->abort_on_stop && !s->config.abort_on_stop)) {
        leave(s);
        return;
    }
    runner_abort_all(s->runner, "Server is shutting down.");
    if (runner_count(s->runner) == 0)
        leave(s);
}

/* Start and end */

static Status parts_open(struct sat *s, struct err *err)
{
    static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
    Status st = STATUS_OK;

    s->disk = lane_new(s->loop, "disk", SAT_DISK_THREADS, SAT_LANE_QUEUE);
    s->probe = lane_new(s->loop, "probe", 1, SAT_LANE_QUEUE);
    s->link = s->disk && s->probe ? link_new(s) : NULL;
    s->sampler = s->link ? sampler_new(s) : NULL;
    if (!s->sampler)
        return err_set(err, STATUS_NOMEM, NULL, "out of memory");
    s->tick = loop_timer_new(s->loop, "sat.tick", tick, s);
    if (!s->tick)
        return err_set(err, STATUS_NOMEM, NULL, "out of memory");
    for (size_t i = 0; !st && i < COUNT_OF(signals); i++)
        st = loop_on_signal(s->loop, signals[i], on_signal, s, err);
    return st;
}

static void parts_close(struct sat *s)
{
    if (s->link)
        link_cut(s->link);
    http_client_free(s->http);
    s->http = NULL;
    lane_free(s->disk);
    lane_free(s->probe);
    loop_timer_free(s->tick);
    s->tick = NULL;
    if (s->sampler)
        sampler_left(s->sampler);
    loop_run(s->loop); /* what is closing closes */
    runner_free(s->runner);
    sampler_free(s->sampler);
    link_free(s->link);
}

static Status run(struct sat *s, struct err *err)
{
    if (!runner_new(s, err))
        return err->code ? err->code : STATUS_NOMEM;
    log_event(LOG_INFO, "sat.start", "version=%s home=%s jobs=%zu", ORRERY_VERSION, s->home,
              runner_count(s->runner));
    loop_timer_start(s->tick, USEC_SEC, USEC_SEC);
    link_start(s->link);
    loop_run(s->loop);
    return STATUS_OK;
}

static void sat_free(struct sat *s)
{
    net_tls_unref(s->tls);
    super_free(s->super);
    config_done(&s->config);
    free(s->home);
    free(s->config_path);
    free(s->spool);
    free(s->temp);
    free(s->exe);
    free(s->fixed_host);
    free(s->scripts[0]);
    free(s->scripts[1]);
}

static Status take_conductor(struct sat *s, const char *text, struct err *err)
{
    struct url url;
    Status st = url_parse(str_z(text), &url, err);

    if (st)
        return st;
    s->fixed_host = strndup(url.host.p, url.host.n);
    s->fixed_port = url.port;
    s->fixed_secure = url.tls;
    return s->fixed_host ? STATUS_OK : err_set(err, STATUS_NOMEM, NULL, "out of memory");
}

static int start(struct sat *s, const struct options *o)
{
    struct err err = { 0 };
    Status st;

    st = parts_open(s, &err);
    if (!st && o->token)
        st = enrol(s, o->token, &err);
    if (!st && s->exit_code == 0 && !s->stopping)
        st = run(s, &err);
    parts_close(s);
    if (st)
        return fail(1, err.text);
    return s->exit_code;
}

/* Before there are threads, a loop or connections: everything up to the launcher. */
static int prepare(struct sat *s, const struct options *o)
{
    struct err err = { 0 };
    Status st = home_open(s, o->home, &err);

    if (!st)
        st = home_lock(s, &err);
    if (!st) {
        st = config_load(&s->config, s->config_path, &err);
        if (st == STATUS_MISSING)
            st = config_parse(&s->config, STR("{}"), &err);
        s->config_seen = config_mtime(s->config_path);
    }
    if (!st)
        s->temp = temp_folder(s);
    if (!st && !s->temp)
        st = err_set(&err, STATUS_NOMEM, NULL, "out of memory");
    if (!st)
        st = folders_make(s, &err);
    if (st)
        return fail(1, err.text);
    if (o->conductor && take_conductor(s, o->conductor, &err) != STATUS_OK)
        return fail(2, err.text);
    if (!o->token && !s->config.auth_token.p && !s->config.secret_key.p)
        return fail(
            2, "this satellite is not enrolled: give --conductor URL and --token TOKEN, or put "
               "server_id and auth_token into config.json");
    if (super_start(s->spool, &s->super, &err) != STATUS_OK)
        return fail(1, err.text);
    return 0;
}

static void process_setup(void)
{
    struct rlimit files;

    (void)setenv("UV_THREADPOOL_SIZE", "1", 1); /* only names are looked up there */
    (void)mallopt(M_ARENA_MAX, 2);
    (void)mallopt(M_MMAP_THRESHOLD, 64 * 1024); /* big buffers go back to the system at once */
    (void)mallopt(M_TRIM_THRESHOLD, 64 * 1024);
    (void)prctl(PR_SET_DUMPABLE, 0); /* secrets are in memory */
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max > FILES_MAX ? FILES_MAX : files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
}

static int serve(const struct options *o)
{
    struct sat s = { 0 };
    int code = prepare(&s, o);

    if (code == 0) {
        process_setup();
        rng_init(&s.rng, crypto_random_u64());
        s.abort_on_stop = o->abort_on_stop;
        s.loop = loop_new();
        code = s.loop ? start(&s, o) : fail(1, "cannot start the loop");
        if (s.loop)
            loop_free(s.loop);
    }
    sat_free(&s);
    return code;
}

int sat_main(int argc, char **argv)
{
    struct options o = { 0 };
    enum log_level level = LOG_INFO;

    if (argc == 3 && strcmp(argv[1], "plugin") == 0 && strcmp(argv[2], "test-plugin") == 0)
        return testplugin_main();
    if (!parse_options(argc, argv, &o))
        return usage(2);
    if (o.help)
        return usage(0);
    if (o.version) {
        printf("orrery-sat %s\n", ORRERY_VERSION);
        return 0;
    }
    if (!o.home || (o.token && !o.conductor) ||
        (o.log_level && !log_level_parse(str_z(o.log_level), &level)))
        return usage(2);
    log_set_level(level);
    return serve(&o);
}
