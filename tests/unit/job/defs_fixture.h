/* Real definitions for tests of the job room: a store in a temporary folder, a few objects created
 * through it. */
#ifndef DEFS_FIXTURE_H
#define DEFS_FIXTURE_H

#include "base/file.h"
#include "event/defs.h"

#include <stdio.h>
#include <stdlib.h>

struct defs_fixture {
    char dir[64];
    struct loop *loop;
    struct store *store;
    struct defs *defs;
    bool done;
    Status st;
};

static inline void defs_fixture_answer(void *arg, Status st, const struct def *def,
                                       const struct err *err)
{
    struct defs_fixture *f = arg;

    (void)def;
    (void)err;
    f->done = true;
    f->st = st;
    loop_stop(f->loop);
}

static inline void defs_fixture_fail(const char *what, const struct err *err)
{
    (void)fprintf(stderr, "fixture: %s: %s\n", what, err->text);
    exit(2);
}

/* Creates, updates (verb 'u') or deletes (verb 'd', text is the id) one object and waits for it. */
static inline void defs_fixture_put(struct defs_fixture *f, char verb, enum def_kind kind,
                                    const char *text)
{
    const struct actor by = { .username = STR("admin"), .creator = STR("admin") };
    yyjson_doc *doc = NULL;
    struct err err = { .text = "" };
    Status st;

    f->done = false;
    if (verb == 'd') {
        st = defs_delete(f->defs, kind, str_z(text), &by, clock_wall(), defs_fixture_answer, f,
                         &err);
    } else {
        st = json_parse(str_z(text), 1u << 20, &doc, &err);
        if (st == STATUS_OK)
            st = (verb == 'u' ? defs_update : defs_create)(f->defs, kind, yyjson_doc_get_root(doc),
                                                           &by, clock_wall(), defs_fixture_answer,
                                                           f, &err);
    }
    if (st != STATUS_OK)
        defs_fixture_fail(text, &err);
    while (!f->done)
        loop_run(f->loop);
    json_doc_free(doc);
    if (f->st != STATUS_OK)
        defs_fixture_fail(text, &err);
}

static inline void defs_fixture_open(struct defs_fixture *f)
{
    struct err err = { .text = "" };
    struct store_config config;

    *f = (struct defs_fixture){ .dir = "/tmp/orrery-defs-XXXXXX" };
    if (!mkdtemp(f->dir))
        defs_fixture_fail("mkdtemp", &err);
    f->loop = loop_new();
    config = (struct store_config){ .loop = f->loop, .dir = f->dir, .fast_unsafe = true };
    if (store_open(&config, &f->store, &err) != STATUS_OK ||
        defs_load(f->store, &f->defs, &err) != STATUS_OK)
        defs_fixture_fail("open", &err);
    defs_fixture_put(f, 'c', DEF_CATEGORY,
                     "{\"id\":\"general\",\"title\":\"General\",\"enabled\":true}");
    defs_fixture_put(f, 'c', DEF_PLUGIN,
                     "{\"id\":\"shell\",\"title\":\"Shell\",\"enabled\":true,\"type\":\"event\","
                     "\"command\":\"/bin/sh -e\",\"kill\":\"all\"}");
}

static inline void defs_fixture_close(struct defs_fixture *f)
{
    defs_free(f->defs);
    store_close(f->store);
    loop_free(f->loop);
    if (file_remove_tree(f->dir, NULL) != STATUS_OK)
        (void)fprintf(stderr, "fixture: %s is left behind\n", f->dir);
}

#endif
