/* orreryd: the conductor. Reads the command line, builds the world, runs it. */
#include "conductor/admin.h"
#include "conductor/world.h"

#include "base/log.h"

#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

static int usage(int code)
{
    (void)fputs(
        "Usage: orreryd --home DIR [--port N] [--bind ADDR] [--log-level LEVEL]\n"
        "       orreryd admin --home DIR COMMAND [ARGUMENTS]\n"
        "       orreryd docs DIR       write the generated API documents\n"
        "       orreryd --help | --version\n\nAdministration (works while the conductor runs):\n",
        code ? stderr : stdout);
    if (!code)
        admin_usage();
    return code;
}

struct options {
    const char *home;
    const char *port;
    const char *bind;
    const char *log_level;
    int rest; /* first argument that is no option of ours */
};

/* False: bad usage. Stops at the first argument that is not ours. */
static bool parse_options(int argc, char **argv, int from, struct options *o)
{
    for (o->rest = from; o->rest < argc; o->rest += 2) {
        const char *name = argv[o->rest];
        const char **at = strcmp(name, "--home") == 0        ? &o->home
                          : strcmp(name, "--port") == 0      ? &o->port
                          : strcmp(name, "--bind") == 0      ? &o->bind
                          : strcmp(name, "--log-level") == 0 ? &o->log_level
                                                             : NULL;

        if (!at)
            return true;
        if (o->rest + 1 >= argc)
            return false;
        *at = argv[o->rest + 1];
    }
    return true;
}

static int write_docs(const char *dir)
{
    struct err err = { 0 };

    if (api_write_docs(dir, &err) == STATUS_OK)
        return 0;
    (void)fprintf(stderr, "orreryd: %s\n", err.text);
    return 1;
}

static bool apply_options(struct config *c, const struct options *o)
{
    int64_t port;
    enum log_level level;

    if (o->port) {
        if (!str_to_i64(str_z(o->port), &port) || port < 0 || port > 65535)
            return false;
        c->port = port;
    }
    if (o->bind)
        c->bind = o->bind;
    if (o->log_level)
        c->log_level = o->log_level;
    if (!log_level_parse(str_z(c->log_level), &level))
        return false;
    log_set_level(level);
    if (!c->base_app_url || !*c->base_app_url)
        c->base_app_url = arena_printf(c->arena, "http://localhost:%lld", (long long)c->port).p;
    return true;
}

static int run(const struct options *o)
{
    struct config config;
    struct world w = { 0 };
    struct err err = { 0 };
    struct loop *loop = loop_new();
    Status st;

    /* Secrets are in memory: no core files, no ptrace by others. */
    (void)prctl(PR_SET_DUMPABLE, 0);
    (void)setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
    if (!loop) {
        (void)fputs("orreryd: cannot start the loop.\n", stderr);
        return 1;
    }
    st = config_load(o->home, &config, &err);
    if (st == STATUS_OK && !apply_options(&config, o)) {
        config_done(&config);
        loop_free(loop);
        return usage(2);
    }
    if (st == STATUS_OK) {
        st = world_open(&config, loop, &w, &err);
        if (st == STATUS_OK)
            st = world_run(&w, &err);
        world_close(&w);
        config_done(&config);
    }
    loop_free(loop);
    if (st == STATUS_OK)
        return 0;
    (void)fprintf(stderr, "orreryd: %s\n", err.text[0] ? err.text : status_text(st));
    return 1;
}

static void raise_descriptors(void)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
}

int main(int argc, char **argv)
{
    struct options o = { 0 };
    bool admin = argc > 1 && strcmp(argv[1], "admin") == 0;

    if (argc == 2 && strcmp(argv[1], "--help") == 0)
        return usage(0);
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        printf("orreryd %s\n", ORRERY_VERSION);
        return 0;
    }
    if (argc == 3 && strcmp(argv[1], "docs") == 0)
        return write_docs(argv[2]);
    if (!parse_options(argc, argv, admin ? 2 : 1, &o))
        return usage(2);
    if (admin && o.rest < argc && strcmp(argv[o.rest], "--help") == 0)
        return usage(0);
    if (!o.home || (!admin && o.rest < argc))
        return usage(2);
    if (!admin) {
        raise_descriptors();
        return run(&o);
    }
    log_set_level(LOG_WARN);
    return admin_main(o.home, argc - o.rest, argv + o.rest);
}
