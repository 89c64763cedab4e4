/* What events, categories, plugins and groups must be: the checks beyond the property tables. */
#include "defs_fixture.h"

#define BASE                                                                                       \
    "'title':'E','category':'general','plugin':'sh','targets':['main'],'algo':'random','enabled':" \
    "true"

struct rule {
    const char *json;
    const char *at; /* NULL: fine */
};

static void rules_run(struct world *w, enum def_kind k, const struct rule *rules, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (rules[i].at)
            bad(w, CREATE, k, rules[i].json, STATUS_INVALID, rules[i].at);
        else
            good(w, CREATE, k, rules[i].json);
    }
}

static void test_event_required_properties(void **state)
{
    struct world *w = *state;
    static const struct rule rules[] = {
        { "{" BASE "}", NULL },
        { "{'category':'general','plugin':'sh','targets':['main'],'algo':'random','enabled':true}",
          "title" },
        { "{'title':'E','category':'general','plugin':'sh','targets':['main'],'algo':'random'}",
          "enabled" },
        { "{'title':'E','plugin':'sh','targets':['main'],'algo':'random','enabled':true}",
          "category" },
        { "{'title':'E','category':'general','targets':['main'],'algo':'random','enabled':true}",
          "plugin" },
        { "{'title':'E','category':'general','plugin':'sh','algo':'random','enabled':true}",
          "targets" },
        { "{'title':'E','category':'general','plugin':'sh','targets':['main'],'enabled':true}",
          "algo" },
        { "{'title':'E','category':'general','plugin':'sh','targets':[],'algo':'random','enabled':"
          "true}",
          "targets" },
        { "{'title':'E','category':'general','plugin':'sh','targets':'main','algo':'random','"
          "enabled':true}",
          "targets" },
        { "{'title':'E','category':'general','plugin':'sh','targets':[5],'algo':'random','enabled':"
          "true}",
          "targets[0]" },
        { "{'title':'E','category':'general','plugin':'sh','targets':['a'],'algo':'monitor:cpu_"
          "usage','enabled':1}",
          NULL },
        { "{'title':'E','category':'general','plugin':'sh','targets':['a'],'algo':'a "
          "b','enabled':1}",
          "algo" },
        { "{'title':'E','category':'general','plugin':'sh','targets':['a'],'algo':'','enabled':1}",
          "algo" },
        { "{'title':'E','category':'nowhere','plugin':'sh','targets':['a'],'algo':'random','"
          "enabled':1}",
          "category" },
        { "{'title':'E','category':'a-b','plugin':'sh','targets':['a'],'algo':'random','enabled':"
          "1}",
          "category" },
        { "{'title':'E','category':'general','plugin':'nothing','targets':['a'],'algo':'random','"
          "enabled':1}",
          "plugin" },
        { "{'title':'E','category':'general','plugin':'_built_in','targets':['a'],'algo':'random','"
          "enabled':1}",
          NULL },
        { "{" BASE ",'type':'other'}", "type" },
        { "{" BASE ",'type':''}", NULL },
        { "{" BASE ",'type':null}", NULL },
        { "{" BASE ",'tags':['a b']}", "tags[0]" },
        { "{" BASE ",'tags':['a','b']}", NULL },
        { "{" BASE ",'params':[]}", "params" },
        { "{" BASE ",'params':{'_xy_override_uid':'root'}}", "params" },
        { "{" BASE ",'workflow':[]}", "workflow" },
    };

    some_parents(w);
    rules_run(w, DEF_EVENT, rules, COUNT_OF(rules));
    const struct change_outcome o = change(w, CREATE, DEF_EVENT,
                                           "{'title':'E','category':'nowhere','plugin':'sh','"
                                           "targets':['a'],'algo':'random','enabled':1}");
    assert_string_equal(o.err.text, "Category not found: nowhere");
}

static void test_event_plugin_parameters(void **state)
{
    struct world *w = *state;
    static const struct rule rules[] = {
        { "{'title':'E','category':'general','plugin':'strict','targets':['a'],'algo':'x','enabled'"
          ":true}",
          "params.must" },
        { "{'title':'E','category':'general','plugin':'strict','targets':['a'],'algo':'x','enabled'"
          ":true,"
          "'params':{'must':''}}",
          "params.must" },
        { "{'title':'E','category':'general','plugin':'strict','targets':['a'],'algo':'x','enabled'"
          ":true,"
          "'params':{'must':'x'}}",
          NULL },
        { "{'title':'E','category':'general','plugin':'strict','targets':['a'],'algo':'x','enabled'"
          ":true,"
          "'params':{'must':'x','word':'ABC'}}",
          "params.word" },
        { "{'title':'E','category':'general','plugin':'strict','targets':['a'],'algo':'x','enabled'"
          ":true,"
          "'params':{'must':'x','word':'abc','size':7.5}}",
          NULL },
        { "{'title':'E','category':'general','plugin':'strict','targets':['a'],'algo':'x','enabled'"
          ":true,"
          "'params':{'must':'x','size':12.5}}",
          "params.size" },
        { "{'title':'E','category':'general','plugin':'strict','targets':['a'],'algo':'x','enabled'"
          ":true,"
          "'params':{'must':'x'},'fields':[{'id':'must','type':'text'}]}",
          "fields[0].id" },
        { "{'title':'E','category':'general','plugin':'strict','targets':['a'],'algo':'x','enabled'"
          ":true,"
          "'params':{'must':'x'},'fields':[{'id':'word','type':'text'}]}",
          NULL },
    };

    some_parents(w);
    rules_run(w, DEF_EVENT, rules, COUNT_OF(rules));
}

static void test_event_lists(void **state)
{
    struct world *w = *state;
    static const struct rule rules[] = {
        { "{" BASE ",'triggers':[{'type':'manual','enabled':true},{'type':'schedule','enabled':"
          "false,'minutes':[0]}]}",
          NULL },
        { "{" BASE ",'triggers':{}}", "triggers" },
        { "{" BASE ",'triggers':[5]}", "triggers[0]" },
        { "{" BASE ",'triggers':[{'type':'manual','enabled':true},{'enabled':true}]}",
          "triggers[1].type" },
        { "{" BASE ",'triggers':[{'type':'hourly','enabled':true}]}", "triggers[0].type" },
        { "{" BASE ",'triggers':[{'type':'manual'}]}", "triggers[0].enabled" },
        { "{" BASE ",'limits':[{'type':'time','enabled':true,'duration':5}]}", NULL },
        { "{" BASE ",'limits':['x']}", "limits[0]" },
        { "{" BASE ",'limits':[{'type':'size','enabled':true}]}", "limits[0].type" },
        { "{" BASE ",'limits':[{'type':'mem'}]}", "limits[0].enabled" },
        { "{" BASE
          ",'actions':[{'type':'email','enabled':true,'condition':'error','email':'a@b'}]}",
          NULL },
        { "{" BASE ",'actions':[null]}", "actions[0]" },
        { "{" BASE ",'actions':[{'type':'fax','enabled':true}]}", "actions[0].type" },
        { "{" BASE ",'actions':[{'type':'email'}]}", "actions[0].enabled" },
        { "{" BASE ",'fields':[{'id':'a','type':'text'}]}", NULL },
        { "{" BASE ",'fields':[{'id':'a'}]}", "fields[0].type" },
        { "{" BASE ",'fields':[{'id':'a','type':'text'},{'id':'a','type':'text'}]}",
          "fields[1].id" },
    };

    some_parents(w);
    rules_run(w, DEF_EVENT, rules, COUNT_OF(rules));
    struct change_outcome o = change(w, CREATE, DEF_EVENT, "{" BASE ",'triggers':[5]}");
    assert_string_equal(o.err.text, "Malformed trigger entry #1 (not an object)");
    o = change(w, CREATE, DEF_EVENT,
               "{" BASE ",'limits':[{'type':'job','enabled':1},{'type':'zzz','enabled':1}]}");
    assert_string_equal(o.err.text, "Malformed limit entry #2: Unknown type: zzz");
}

/* Every kind of trigger, limit and action that the reference knows is accepted. */
static void test_event_known_types(void **state)
{
    struct world *w = *state;
    static const char *const lists[][17] = {
        { "triggers", "manual", "schedule", "interval", "single", "magic", "keyboard", "startup",
          "catchup", "nth", "range", "blackout", "delay", "precision", "quiet", "plugin" },
        { "limits", "time", "job", "log", "mem", "cpu", "retry", "queue", "file", "day", "tag" },
        { "actions", "email", "web_hook", "run_event", "channel", "store", "fetch", "ticket", "tag",
          "label", "snapshot", "suspend", "disable", "delete", "plugin" },
    };

    some_parents(w);
    for (size_t l = 0; l < COUNT_OF(lists); l++) {
        for (size_t i = 1; lists[l][i]; i++) {
            char json[512];
            (void)snprintf(json, sizeof json,
                           "{'id':'one'," BASE ",'%s':[{'type':'%s','enabled':true}]}", lists[l][0],
                           lists[l][i]);
            good(w, CREATE, DEF_EVENT, json);
            good(w, DELETE, DEF_EVENT, "{'id':'one'}");
        }
    }
}

static void test_event_launch_fields_are_dropped(void **state)
{
    struct world *w = *state;

    some_parents(w);
    good(w, CREATE, DEF_EVENT,
         "{'id':'e'," BASE ",'command':'rm','script':'x','uid':0,'gid':0,'cwd':'/"
         "','env':{},'kill':'all','runner':true,"
         "'update_state':{'cursor':1},'other':1}");
    assert_object(w, DEF_EVENT, "e",
                  "{'id':'e'," BASE
                  ",'other':1,'params':{},'fields':[],'triggers':[],'limits':[],'actions':[],"
                  "'username':'joe','created':1800000000,'modified':1800000000,'revision':1}");
    good(w, UPDATE, DEF_EVENT,
         "{'id':'e','command':'rm','env':{'A':'1'},'type':'workflow','update_state':{}}");
    assert_null(json_get(object(w, DEF_EVENT, "e"), "command"));
    assert_null(json_get(object(w, DEF_EVENT, "e"), "env"));
    assert_null(json_get(object(w, DEF_EVENT, "e"), "type")); /* the type never changes */
}

static void test_event_workflows(void **state)
{
    struct world *w = *state;
    static const struct rule rules[] = {
        { "{'title':'W','type':'workflow','category':'general','enabled':true,'workflow':{'nodes':["
          "],'connections':[]}}",
          NULL },
        { "{'title':'W','type':'workflow','category':'general','enabled':true}", "workflow" },
        { "{'title':'W','type':'workflow','category':'general','enabled':true,'workflow':5}",
          "workflow" },
        { "{'title':'W','type':'workflow','category':'general','enabled':true,'workflow':{'"
          "connections':[]}}",
          "workflow.nodes" },
        { "{'title':'W','type':'workflow','category':'general','enabled':true,'workflow':{'nodes':["
          "],'connections':{}}}",
          "workflow.connections" },
    };

    some_parents(w);
    rules_run(w, DEF_EVENT, rules, COUNT_OF(rules));
    good(w, CREATE, DEF_EVENT,
         "{'id':'wf','title':'W','type':'workflow','category':'general','enabled':true,'plugin':'"
         "sh','targets':['a'],"
         "'workflow':{'nodes':[],'connections':[]}}");
    yyjson_val *e = object(w, DEF_EVENT, "wf");
    assert_str(json_str(e, "plugin"), "_workflow");
    assert_int_equal(yyjson_arr_size(json_get(e, "targets")), 0);
    assert_string_equal(defs_find(w->d, DEF_EVENT, STR("wf"))->plugin.z, "_workflow");
    good(w, UPDATE, DEF_EVENT, "{'id':'wf','plugin':'sh','targets':['a'],'title':'X'}");
    e = object(w, DEF_EVENT, "wf");
    assert_str(json_str(e, "plugin"), "_workflow");
    assert_int_equal(yyjson_arr_size(json_get(e, "targets")), 0);
    assert_str(json_str(e, "title"), "X");
}

/* An update is judged by what comes out of it. */
static void test_event_update_checks_the_whole(void **state)
{
    struct world *w = *state;

    some_parents(w);
    good(w, CREATE, DEF_EVENT, "{'id':'e'," BASE "}");
    bad(w, UPDATE, DEF_EVENT, "{'id':'e','plugin':'strict'}", STATUS_INVALID, "params.must");
    bad(w, UPDATE, DEF_EVENT, "{'id':'e','targets':[]}", STATUS_INVALID, "targets");
    bad(w, UPDATE, DEF_EVENT, "{'id':'e','algo':null}", STATUS_INVALID, "algo");
    bad(w, UPDATE, DEF_EVENT, "{'id':'e','category':'nowhere'}", STATUS_INVALID, "category");
    bad(w, UPDATE, DEF_EVENT, "{'id':'e','triggers':[{}]}", STATUS_INVALID, "triggers[0].type");
    good(w, UPDATE, DEF_EVENT, "{'id':'e','plugin':'strict','params':{'must':'x'}}");
    assert_string_equal(defs_find(w->d, DEF_EVENT, STR("e"))->plugin.z, "strict");
}

static void test_event_optimistic_lock(void **state)
{
    struct world *w = *state;

    some_parents(w);
    good(w, CREATE, DEF_EVENT, "{'id':'e'," BASE "}");
    good(w, UPDATE, DEF_EVENT, "{'id':'e','title':'Two','revision':1}");
    const struct change_outcome o =
        change(w, UPDATE, DEF_EVENT, "{'id':'e','title':'Three','revision':1}");
    assert_int_equal(o.st, STATUS_CONFLICT);
    assert_string_equal(o.err.at, "revision");
    assert_non_null(strstr(o.err.text, "revision 1 was given, revision 2 is stored"));
    good(w, UPDATE, DEF_EVENT, "{'id':'e','title':'Four'}");
    assert_int_equal(defs_find(w->d, DEF_EVENT, STR("e"))->revision, 3);
    good(w, CREATE, DEF_ROLE, "{'id':'r','title':'R'}");
    good(w, UPDATE, DEF_ROLE, "{'id':'r','title':'S','revision':55}"); /* events only */
}

static void test_category_in_use_is_kept(void **state)
{
    struct world *w = *state;

    some_parents(w);
    good(w, CREATE, DEF_CATEGORY, "{'id':'other','title':'O','enabled':true}");
    good(w, CREATE, DEF_EVENT, EVENT("e1"));
    good(w, CREATE, DEF_EVENT, EVENT("e2"));
    struct change_outcome o = change(w, DELETE, DEF_CATEGORY, "{'id':'general'}");
    assert_int_equal(o.st, STATUS_CONFLICT);
    assert_string_equal(o.err.text,
                        "The category cannot be deleted: 2 events are still assigned to it");
    good(w, DELETE, DEF_EVENT, "{'id':'e1'}");
    o = change(w, DELETE, DEF_CATEGORY, "{'id':'general'}");
    assert_string_equal(o.err.text,
                        "The category cannot be deleted: 1 event is still assigned to it");
    good(w, UPDATE, DEF_EVENT, "{'id':'e2','category':'other'}");
    good(w, DELETE, DEF_CATEGORY, "{'id':'general'}");
    good(w, DELETE, DEF_PLUGIN, "{'id':'sh'}"); /* a plugin may go at any time */
    bad(w, UPDATE, DEF_EVENT, "{'id':'e2','title':'X'}", STATUS_INVALID, "plugin");
}

static void test_plugin_rules(void **state)
{
    struct world *w = *state;
    static const struct rule rules[] = {
        { "{'title':'P','type':'event','command':'/bin/sh'}", NULL },
        { "{'title':'P','type':'monitor','command':'/bin/sh','params':[]}", NULL },
        { "{'title':'P','type':'action','command':'/bin/sh','params':null}", NULL },
        { "{'title':'P','type':'scheduler','command':'/bin/sh'}", NULL },
        { "{'title':'P','type':'other','command':'/bin/sh'}", "type" },
        { "{'title':'P','command':'/bin/sh'}", "type" },
        { "{'title':'P','type':'event'}", "command" },
        { "{'title':'P','type':'event','command':' '}", "command" },
        { "{'type':'event','command':'x'}", "title" },
        { "{'title':'P','type':'event','command':'x','params':{}}", "params" },
        { "{'title':'P','type':'event','command':'x','params':[{'id':'1','type':'text','title':'A'}"
          "]}",
          "params[0].id" },
        { "{'title':'P','type':'event','command':'x','params':[{'id':'a','type':'text','title':'A',"
          "'regex':'('}]}",
          "params[0].regex" },
    };

    rules_run(w, DEF_PLUGIN, rules, COUNT_OF(rules));
    good(w, CREATE, DEF_PLUGIN,
         "{'id':'m','title':'P','type':'event','command':'x','marketplace':{'id':'a'},'uid':'root',"
         "'gid':0}");
    assert_null(json_get(object(w, DEF_PLUGIN, "m"), "uid"));
    assert_true(json_bool(object(w, DEF_PLUGIN, "m"), "enabled", false));
    good(w, UPDATE, DEF_PLUGIN, "{'id':'m','uid':'root','marketplace':null}");
    assert_null(json_get(object(w, DEF_PLUGIN, "m"), "uid")); /* what is stored decides */
    good(w, UPDATE, DEF_PLUGIN, "{'id':'m','uid':'root'}");
    assert_str(json_str(object(w, DEF_PLUGIN, "m"), "uid"), "root");
    bad(w, UPDATE, DEF_PLUGIN, "{'id':'m','type':'what'}", STATUS_INVALID, "type");
    bad(w, UPDATE, DEF_PLUGIN, "{'id':'m','params':[{'id':'a'}]}", STATUS_INVALID,
        "params[0].type");
}

static void test_group_rules(void **state)
{
    struct world *w = *state;
    static const struct rule rules[] = {
        { "{'title':'G','hostname_match':'^web\\\\d+\\\\.example\\\\.(com|org)$'}", NULL },
        { "{'title':'G'}", "hostname_match" },
        { "{'title':'G','hostname_match':''}", "hostname_match" },
        { "{'title':'G','hostname_match':'('}", "hostname_match" },
        { "{'title':'G','hostname_match':'.','max_jobs_per_server':-1}", "max_jobs_per_server" },
        { "{'title':'G','hostname_match':'.','max_jobs_per_server':1000000}", NULL },
        { "{'title':'G','hostname_match':'.','max_jobs_per_server':1000001}",
          "max_jobs_per_server" },
        { "{'title':'G','hostname_match':'.','alert_actions':[{'type':'email','enabled':true}]}",
          NULL },
        { "{'title':'G','hostname_match':'.','alert_actions':[{'type':'emails','enabled':true}]}",
          "alert_actions[0].type" },
    };

    rules_run(w, DEF_GROUP, rules, COUNT_OF(rules));
}

static void test_category_rules(void **state)
{
    struct world *w = *state;
    static const struct rule rules[] = {
        { "{'title':'C','limits':[{'type':'job','enabled':true,'amount':1}],'actions':[]}", NULL },
        { "{'title':'C','limits':[{'type':'jobs','enabled':true}]}", "limits[0].type" },
        { "{'title':'C','actions':[{'type':'email'}]}", "actions[0].enabled" },
        { "{'title':'C','actions':'x'}", "actions" },
        { "{'title':'C','enabled':'on'}", "enabled" },
    };

    rules_run(w, DEF_CATEGORY, rules, COUNT_OF(rules));
    good(w, CREATE, DEF_CATEGORY, "{'id':'c','title':'C'}");
    bad(w, UPDATE, DEF_CATEGORY, "{'id':'c','limits':[1]}", STATUS_INVALID, "limits[0]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DEFS_TEST(test_event_required_properties),
        DEFS_TEST(test_event_plugin_parameters),
        DEFS_TEST(test_event_lists),
        DEFS_TEST(test_event_known_types),
        DEFS_TEST(test_event_launch_fields_are_dropped),
        DEFS_TEST(test_event_workflows),
        DEFS_TEST(test_event_update_checks_the_whole),
        DEFS_TEST(test_event_optimistic_lock),
        DEFS_TEST(test_category_in_use_is_kept),
        DEFS_TEST(test_plugin_rules),
        DEFS_TEST(test_group_rules),
        DEFS_TEST(test_category_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
