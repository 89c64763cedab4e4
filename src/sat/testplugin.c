/* The test plugin; see testplugin.h. A process of its own, so it may block. */
#include "sat/testplugin.h"

#include <errno.h>
#include <math.h>
#include <poll.h>

#include "base/clock.h"
#include "base/rng.h"
#include "json/writer.h"

#define STEP_MS   150
#define INPUT_MAX (64u * 1024 * 1024)
#define CRASH     1

static bool read_input(struct buf *in)
{
    char block[16384];
    ssize_t n;

    for (;;) {
        n = read(STDIN_FILENO, block, sizeof(block));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n == 0 && !in->failed;
        if (buf_add(in, block, (size_t)n) != STATUS_OK)
            return false;
    }
}

static void say(struct buf *out)
{
    (void)buf_add_char(out, '\n');
    if (!out->failed)
        (void)fwrite(out->p, 1, out->n, stdout);
    (void)fflush(stdout);
    buf_clear(out);
}

static void say_progress(struct buf *out, double progress)
{
    struct json_writer w = json_writer_init(out);

    json_obj(&w, NULL);
    json_put_i64(&w, "xy", 1);
    json_put_double(&w, "progress", progress);
    json_end(&w);
    say(out);
}

/* Seconds: a number, "8", or "5-10" for one between. */
static double duration(yyjson_val *params)
{
    const struct str text = json_str(params, "duration");
    struct str rest = text;
    struct str low;
    double from = json_double(params, "duration", 60);
    double to;
    struct rng rng;

    if (text.n && str_split(&rest, '-', &low) && str_to_double(str_trim(low), &from) &&
        str_to_double(str_trim(rest), &to) && to > from) {
        rng_init(&rng, (uint64_t)clock_wall());
        from += rng_unit(&rng) * (to - from);
    }
    if (!(from >= 1))
        from = 1;
    return from > TESTPLUGIN_SECONDS_MAX ? TESTPLUGIN_SECONDS_MAX : from;
}

static void put_report(struct json_writer *w, double seconds, yyjson_val *params)
{
    json_obj(w, "perf");
    json_put_double(w, "total", seconds);
    json_put_double(w, "work", seconds * 0.9);
    json_put_double(w, "idle", seconds * 0.1);
    json_end(w);
    json_obj(w, "table");
    json_put_z(w, "title", "Sample Job Stats");
    json_put_raw(w, "header", STR("[\"Name\",\"Value\"]"));
    json_arr(w, "rows");
    json_arr(w, NULL);
    json_put_z(w, NULL, "Seconds");
    json_put_double(w, NULL, seconds);
    json_end(w);
    json_end(w);
    json_end(w);
    json_obj(w, "html");
    json_put_z(w, "title", "Sample Job Report");
    json_put_z(w, "content", "<p>The test has <b>ended</b>.</p>");
    json_end(w);
    json_obj(w, "data");
    json_put_z(w, "text", "This is some sample data.");
    json_put_i64(w, "pid", getpid());
    if (json_get(params, "custom"))
        json_put_val(w, "custom", json_get(params, "custom"));
    json_end(w);
}

static int say_end(struct buf *out, struct str action, double seconds, yyjson_val *params)
{
    struct json_writer w = json_writer_init(out);

    if (str_eq_nocase(action, STR("Crash"))) {
        (void)fputs("The test plugin crashes, as it was told to.\n", stderr);
        return CRASH;
    }
    json_obj(&w, NULL);
    json_put_i64(&w, "xy", 1);
    if (str_eq_nocase(action, STR("Error"))) {
        json_put_i64(&w, "code", 999);
        json_put_z(&w, "description", "Simulating an error message here.");
    } else if (str_eq_nocase(action, STR("Warning"))) {
        json_put_z(&w, "code", "warning");
        json_put_z(&w, "description", "Simulating a warning message here.");
    } else if (str_eq_nocase(action, STR("Critical"))) {
        json_put_z(&w, "code", "critical");
        json_put_z(&w, "description", "Simulating a critical message here.");
    } else if (str_eq_nocase(action, STR("Abort"))) {
        json_put_z(&w, "code", "abort");
        json_put_z(&w, "description", "Simulating an abort message here.");
    } else {
        json_put_i64(&w, "code", 0);
        json_put_z(&w, "description", "Success!");
        put_report(&w, seconds, params);
    }
    json_end(&w);
    say(out);
    return 0;
}

int testplugin_main(void)
{
    AUTO(json_doc_free) yyjson_doc *doc = NULL;
    AUTO_BUF struct buf in = { 0 };
    AUTO_BUF struct buf out = { 0 };
    yyjson_val *params;
    const Usec start = clock_mono();
    double seconds;
    double spent = 0;

    buf_init(&in, INPUT_MAX);
    buf_init(&out, INPUT_MAX);
    if (!read_input(&in) || json_parse(buf_str(&in), INPUT_MAX, &doc, NULL) != STATUS_OK) {
        (void)fputs("The test plugin could not read its job.\n", stderr);
        return CRASH;
    }
    params = json_get(yyjson_doc_get_root(doc), "params");
    seconds = duration(params);
    printf("Test plugin: %.1f seconds, action %.*s\n", seconds,
           STR_FMT(json_str(params, "action")));
    for (int c = 31; c <= 36; c++)
        printf("\033[%dmThis line has colour %d.\033[0m\n", c, c);
    while (spent < seconds) {
        say_progress(&out, spent / seconds);
        (void)poll(NULL, 0, STEP_MS);
        spent = (double)(clock_mono() - start) / 1e6;
    }
    return say_end(&out, json_str(params, "action"), spent, params);
}
