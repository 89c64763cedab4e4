/* sim --seed N: replays one seed with a trace. sim --seeds FROM COUNT: runs many, stops at the
 * first failure. sim --ci: the fixed seeds and fresh ones. sim --break NAME ...: with a deliberate
 * fault in the world, which must be detected: exit code 0 when it was. */
#include "sim.h"

#include "../unit/job/defs_fixture.h"
#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>

#define FIXED_SEEDS 900u
#define FRESH_SEEDS 100u

static const char *const break_names[BREAK_COUNT] = {
    [BREAK_NONE] = "none",   [BREAK_EARLY] = "early", [BREAK_POSITIONS] = "positions",
    [BREAK_SPOOL] = "spool", [BREAK_DONE] = "done",   [BREAK_LOSE] = "lose",
    [BREAK_SEEK] = "seek",   [BREAK_ABORT] = "abort",
};

struct totals {
    uint64_t seeds, steps, faults, jobs;
    Usec virtual_time;
};

static bool run_seed(const struct defs *defs, uint64_t seed, bool trace, enum break_kind broken,
                     struct totals *t)
{
    struct sim *s = calloc(1, sizeof(*s));
    bool ok;

    if (!s)
        abort();
    s->seed = seed;
    s->trace = trace;
    s->defs = defs;
    s->broken = broken;
    ok = sim_run(s);
    if (!ok && broken == BREAK_NONE)
        (void)printf(
            "sim: seed %llu FAILED after %.3f s, step %llu: %s\n  replay: sim --seed %llu\n",
            (unsigned long long)seed, (double)(s->now - SIM_EPOCH) / 1e6,
            (unsigned long long)s->steps, s->failure, (unsigned long long)seed);
    else if (!ok && trace)
        (void)printf("sim: seed %llu detects: %s\n", (unsigned long long)seed, s->failure);
    t->seeds++;
    t->steps += s->steps;
    t->faults += s->faults;
    t->jobs += s->models.n;
    t->virtual_time += s->now - SIM_EPOCH;
    sim_done(s);
    free(s);
    return ok;
}

static bool run_seeds(const struct defs *defs, uint64_t from, uint64_t count,
                      enum break_kind broken, struct totals *t)
{
    for (uint64_t seed = from; seed < from + count; seed++) {
        if (!run_seed(defs, seed, false, broken, t))
            return false;
    }
    return true;
}

static void report(const struct totals *t, Usec begin)
{
    const double seconds = (double)(clock_mono() - begin) / 1e6;

    (void)printf(
        "sim: %llu seeds, %llu steps, %llu jobs, %llu faults, %.1f h of virtual time in %.2f s "
        "(%.0f seeds/s)\n",
        (unsigned long long)t->seeds, (unsigned long long)t->steps, (unsigned long long)t->jobs,
        (unsigned long long)t->faults, (double)t->virtual_time / 3.6e9, seconds,
        (double)t->seeds / (seconds > 0 ? seconds : 1));
}

/* Every deliberate fault must be noticed within a few hundred seeds. */
static bool can_fail(const struct defs *defs)
{
    bool all = true;

    for (int b = BREAK_NONE + 1; b < BREAK_COUNT; b++) {
        struct totals t = { 0 };
        const bool missed = run_seeds(defs, 1, 300, (enum break_kind)b, &t);

        (void)printf("sim: fault '%s' %s after %llu seeds\n", break_names[b],
                     missed ? "NOT NOTICED" : "noticed", (unsigned long long)t.seeds);
        all = all && !missed;
    }
    return all;
}

static int usage(void)
{
    (void)fprintf(stderr,
                  "usage: sim [--break NAME] --seed N | --seeds FROM COUNT | --ci | --can-fail\n");
    return 2;
}

static int run(const struct defs *defs, int argc, char **argv)
{
    struct totals t = { 0 };
    const Usec begin = clock_mono();
    enum break_kind broken = BREAK_NONE;
    uint64_t from = 0, count = 0;
    bool ok = false;
    int i = 1;

    if (argc > 2 && strcmp(argv[1], "--break") == 0) {
        for (int b = 0; b < BREAK_COUNT; b++) {
            if (strcmp(argv[2], break_names[b]) == 0)
                broken = (enum break_kind)b;
        }
        if (broken == BREAK_NONE)
            return usage();
        i = 3;
    }
    if (i + 1 < argc && strcmp(argv[i], "--seed") == 0 && str_to_u64(str_z(argv[i + 1]), &from)) {
        ok = run_seed(defs, from, true, broken, &t);
    } else if (i + 2 < argc && strcmp(argv[i], "--seeds") == 0 &&
               str_to_u64(str_z(argv[i + 1]), &from) && str_to_u64(str_z(argv[i + 2]), &count)) {
        ok = run_seeds(defs, from, count, broken, &t);
    } else if (i < argc && strcmp(argv[i], "--ci") == 0) {
        from = (uint64_t)clock_wall() / 1000;
        (void)printf("sim: seeds 1..%u and %llu..%llu\n", FIXED_SEEDS, (unsigned long long)from,
                     (unsigned long long)from + FRESH_SEEDS - 1);
        ok = run_seeds(defs, 1, FIXED_SEEDS, BREAK_NONE, &t) &&
             run_seeds(defs, from, FRESH_SEEDS, BREAK_NONE, &t);
    } else if (i < argc && strcmp(argv[i], "--can-fail") == 0) {
        return can_fail(defs) ? 0 : 1;
    } else {
        return usage();
    }
    report(&t, begin);
    return ok == (broken == BREAK_NONE) ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct defs_fixture f;
    int code;

    log_set_level(LOG_ERROR);
    defs_fixture_open(&f);
    defs_fixture_put(
        &f, 'c', DEF_EVENT,
        "{\"id\":\"plain\",\"title\":\"Plain\",\"enabled\":true,\"category\":\"general\","
        "\"plugin\":\"shell\",\"targets\":[\"all\"],\"algo\":\"random\",\"params\":{\"script\":"
        "\"x\"}}");
    defs_fixture_put(
        &f, 'c', DEF_EVENT,
        "{\"id\":\"single\",\"title\":\"Single\",\"enabled\":true,\"category\":\"general\","
        "\"plugin\":\"shell\",\"targets\":[\"all\"],\"algo\":\"random\","
        "\"limits\":[{\"type\":\"job\",\"enabled\":true,\"amount\":1}]}");
    defs_fixture_put(
        &f, 'c', DEF_EVENT,
        "{\"id\":\"queued\",\"title\":\"Queued\",\"enabled\":true,\"category\":\"general\","
        "\"plugin\":\"shell\",\"targets\":[\"all\"],\"algo\":\"random\","
        "\"limits\":[{\"type\":\"job\",\"enabled\":true,\"amount\":2},"
        "{\"type\":\"queue\",\"enabled\":true,\"amount\":6}]}");
    code = run(f.defs, argc, argv);
    defs_fixture_close(&f);
    return code;
}
