/* Definitions on a real store, and synchronous changes of them. Objects are written as JSON with '
 * for ". */
#ifndef TEST_DEFS_FIXTURE_H
#define TEST_DEFS_FIXTURE_H

#include "../store/fixture.h"
#include "event/defs.h"
#include "event/kinds.h"

#define NOW (INT64_C(1800000000) * USEC_SEC + 250000)

struct world {
    struct fixture f;
    struct defs *d;
};

UNUSED static const struct actor joe = { .username = { "k123", 4 },
                                         .creator = { "joe", 3 },
                                         .ip = { "10.0.0.7", 8 },
                                         .user_agent = { "test/1", 6 } };

struct change_outcome {
    bool done;
    Status st;
    struct err err;
    bool has_def;
    Id id;
    int64_t revision;
    int order;
};

UNUSED static void change_note(void *arg, Status st, const struct def *def, const struct err *err)
{
    struct change_outcome *o = arg;

    assert_false(o->done);
    assert_true(!st == !err);
    o->done = true;
    o->st = st;
    o->order = fixture_counter();
    o->has_def = def != NULL;
    if (err)
        o->err = *err;
    if (def) {
        o->id = def->id;
        o->revision = def->revision;
    }
}

/* The JSON with ' for ", in the fixture's arena. */
UNUSED static yyjson_val *json_of(struct fixture *f, const char *text)
{
    char *copy = arena_dup_z(f->arena, str_z(text));
    yyjson_val *root = NULL;
    struct err err = { .code = STATUS_OK };

    assert_non_null(copy);
    for (char *c = copy; *c; c++)
        if (*c == '\'')
            *c = '"';
    const Status st = json_parse_in(f->arena, str_z(copy), 64u * 1024 * 1024, &root, &err);
    if (st)
        print_error("%s: %s\n", err.text, text);
    assert_int_equal(st, STATUS_OK);
    return root;
}

enum change_kind { CREATE, UPDATE, DELETE, MULTI };

UNUSED static Status change_start_now(struct world *w, enum change_kind op, enum def_kind k,
                                      yyjson_val *given, struct change_outcome *o)
{
    *o = (struct change_outcome){ .done = false };
    switch (op) {
    case CREATE:
        return defs_create(w->d, k, given, &joe, NOW, change_note, o, &o->err);
    case UPDATE:
        return defs_update(w->d, k, given, &joe, NOW + USEC_SEC, change_note, o, &o->err);
    case DELETE:
        return defs_delete(w->d, k, json_str(given, k == DEF_USER ? "username" : "id"), &joe,
                           NOW + 2 * USEC_SEC, change_note, o, &o->err);
    case MULTI:
        return defs_multi_update(w->d, k, given, &joe, NOW, change_note, o, &o->err);
    }
    return STATUS_INVALID;
}

UNUSED static struct change_outcome change(struct world *w, enum change_kind op, enum def_kind k,
                                           const char *json)
{
    struct change_outcome o;
    const Status st = change_start_now(w, op, k, json_of(&w->f, json), &o);

    if (st) {
        assert_false(o.done);
        o.st = st;
        return o;
    }
    fixture_wait(&w->f, &o.done);
    return o;
}

UNUSED static void good(struct world *w, enum change_kind op, enum def_kind k, const char *json)
{
    const struct change_outcome o = change(w, op, k, json);

    if (o.st)
        print_error("%s at %s: %s\n", o.err.text, o.err.at, json);
    assert_int_equal(o.st, STATUS_OK);
}

/* Refused, naming the property. */
UNUSED static void bad(struct world *w, enum change_kind op, enum def_kind k, const char *json,
                       Status st, const char *at)
{
    const struct change_outcome o = change(w, op, k, json);

    if (o.st != st || strcmp(o.err.at, at) != 0)
        print_error("status %d at \"%s\" (%s): %s\n", o.st, o.err.at, o.err.text, json);
    assert_int_equal(o.st, st);
    assert_string_equal(o.err.at, at);
    assert_true(strlen(o.err.text) > 0);
}

UNUSED static yyjson_val *object(struct world *w, enum def_kind k, const char *id)
{
    const struct def *def = defs_find(w->d, k, str_z(id));

    assert_non_null(def);
    yyjson_val *v = def_parse(def, w->f.arena);
    assert_non_null(v);
    return v;
}

/* The object equals the JSON, whatever the order of the keys. */
UNUSED static void assert_object(struct world *w, enum def_kind k, const char *id, const char *json)
{
    const struct def *def = defs_find(w->d, k, str_z(id));

    assert_non_null(def);
    if (!json_equal(object(w, k, id), json_of(&w->f, json)))
        print_error("%.*s\n", STR_FMT(def->json));
    assert_true(json_equal(object(w, k, id), json_of(&w->f, json)));
}

UNUSED static void defs_open(struct world *w)
{
    struct err err = { .code = STATUS_OK };
    const Status st = defs_load(w->f.store, &w->d, &err);

    if (st)
        print_error("defs_load: %s\n", err.text);
    assert_int_equal(st, STATUS_OK);
}

UNUSED static void defs_reopen(struct world *w)
{
    fixture_close(&w->f);
    defs_free(w->d);
    fixture_open(&w->f);
    defs_open(w);
}

UNUSED static int world_setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);

    assert_non_null(w);
    fixture_init(&w->f);
    fixture_open(&w->f);
    defs_open(w);
    *state = w;
    return 0;
}

UNUSED static int world_teardown(void **state)
{
    struct world *w = *state;

    fixture_close(&w->f);
    defs_free(w->d);
    fixture_done(&w->f);
    free(w);
    return 0;
}

/* A category, a plugin with nothing required and one that asks for a lot. */
UNUSED static void some_parents(struct world *w)
{
    good(w, CREATE, DEF_CATEGORY, "{'id':'general','title':'General','enabled':true}");
    good(w, CREATE, DEF_PLUGIN, "{'id':'sh','title':'Sh','type':'event','command':'/bin/sh'}");
    good(w, CREATE, DEF_PLUGIN,
         "{'id':'strict','title':'Strict','type':'event','command':'/bin/sh','params':["
         "{'id':'must','type':'text','title':'Must','required':true,'locked':true},"
         "{'id':'word','type':'text','title':'Word','regex':'^[a-z]+$'},"
         "{'id':'size','type':'text','variant':'number','title':'Size','range':'-5 - 10 / 2.5'}]}");
}

#define EVENT(id)                                                                                  \
    "{'id':'" id "','title':'An event','enabled':true,'category':'general','plugin':'sh',"         \
    "'targets':['main'],'algo':'random'}"

#define DEFS_TEST(fn) cmocka_unit_test_setup_teardown(fn, world_setup, world_teardown)

#endif
