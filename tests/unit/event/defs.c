/* Life of definitions: create, update, delete, and what each leaves behind. */
#include "defs_fixture.h"

static void test_defs_category_life(void **state)
{
    struct world *w = *state;

    good(w, CREATE, DEF_CATEGORY,
         "{'id':'night','title':'Night','enabled':true,'created':1,'modified':2,'revision':77,'"
         "username':'eve',"
         "'sort_order':9,'own':{'kept':[1]},'notes':'<b>quiet</b> "
         "please','api_key':'x','session_id':'y','csrf_token':'z'}");
    assert_object(w, DEF_CATEGORY, "night",
                  "{'id':'night','title':'Night','enabled':true,'own':{'kept':[1]},'notes':'quiet "
                  "please','limits':[],"
                  "'actions':[],'sort_order':0,'username':'joe','created':1800000000,'modified':"
                  "1800000000,'revision':1}");
    const struct def *def = defs_find(w->d, DEF_CATEGORY, STR("night"));
    assert_int_equal(def->revision, 1);
    assert_true(def->enabled);
    assert_int_equal(def->kind, DEF_CATEGORY);

    good(w, UPDATE, DEF_CATEGORY,
         "{'id':'night','title':'Late','enabled':false,'created':1,'modified':2,'revision':77,'"
         "username':'eve',"
         "'own':null,'color':'red'}");
    assert_object(w, DEF_CATEGORY, "night",
                  "{'id':'night','title':'Late','enabled':false,'own':null,'notes':'quiet "
                  "please','limits':[],"
                  "'actions':[],'sort_order':0,'username':'joe','created':1800000000,'modified':"
                  "1800000001,'revision':2,"
                  "'color':'red'}");
    assert_int_equal(defs_find(w->d, DEF_CATEGORY, STR("night"))->revision, 2);
    assert_false(defs_find(w->d, DEF_CATEGORY, STR("night"))->enabled);

    good(w, DELETE, DEF_CATEGORY, "{'id':'night'}");
    assert_null(defs_find(w->d, DEF_CATEGORY, STR("night")));
    assert_int_equal(defs_count(w->d, DEF_CATEGORY), 0);
    good(w, CREATE, DEF_CATEGORY, "{'id':'night','title':'Again'}");
    assert_false(defs_find(w->d, DEF_CATEGORY, STR("night"))->enabled);
}

static void test_defs_survive_a_restart(void **state)
{
    struct world *w = *state;

    some_parents(w);
    good(w, CREATE, DEF_EVENT, EVENT("zz"));
    good(w, CREATE, DEF_EVENT, EVENT("aa"));
    good(w, CREATE, DEF_EVENT, EVENT("mm"));
    good(w, UPDATE, DEF_EVENT, "{'id':'zz','title':'Changed'}");
    good(w, DELETE, DEF_EVENT, "{'id':'aa'}");
    good(w, CREATE, DEF_EVENT, EVENT("bb"));
    for (int i = 0; i < 2; i++) {
        assert_int_equal(defs_count(w->d, DEF_EVENT), 3);
        assert_string_equal(defs_at(w->d, DEF_EVENT, 0)->id.z, "zz");
        assert_string_equal(defs_at(w->d, DEF_EVENT, 1)->id.z, "mm");
        assert_string_equal(defs_at(w->d, DEF_EVENT, 2)->id.z, "bb");
        assert_null(defs_at(w->d, DEF_EVENT, 3));
        const struct def *zz = defs_find(w->d, DEF_EVENT, STR("zz"));
        assert_int_equal(zz->revision, 2);
        assert_string_equal(zz->category.z, "general");
        assert_string_equal(zz->plugin.z, "sh");
        assert_true(zz->enabled);
        assert_string_equal(json_str(object(w, DEF_EVENT, "zz"), "title").p, "Changed");
        defs_reopen(w);
    }
    good(w, CREATE, DEF_EVENT, EVENT("last"));
    assert_string_equal(defs_at(w->d, DEF_EVENT, 3)->id.z, "last");
}

static void test_defs_ids(void **state)
{
    struct world *w = *state;
    const struct change_outcome made =
        change(w, CREATE, DEF_GROUP, "{'title':'G','hostname_match':'.'}");
    char json[256];

    assert_int_equal(made.st, STATUS_OK);
    assert_int_equal(strlen(made.id.z), 16);
    assert_int_equal(made.id.z[0], 'g');
    assert_true(json_equal(
        json_get(object(w, DEF_GROUP, made.id.z), "id"),
        json_at(json_of(&w->f, (snprintf(json, sizeof json, "{'id':'%s'}", made.id.z), json)),
                "id")));
    static const char *const absent[] = { "''", "null", "false", "0" };
    for (size_t i = 0; i < COUNT_OF(absent); i++) {
        (void)snprintf(json, sizeof json, "{'id':%s,'title':'G','hostname_match':'.'}", absent[i]);
        good(w, CREATE, DEF_GROUP, json);
    }
    assert_int_equal(defs_count(w->d, DEF_GROUP), 5);
    static const char *const refused[] = { "7",     "true",          "['a']", "'Abc'",     "'a b'",
                                           "'a-b'", "'constructor'", "'0'",   "'\xc3\xa9'" };
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        (void)snprintf(json, sizeof json, "{'id':%s,'title':'G','hostname_match':'.'}", refused[i]);
        bad(w, CREATE, DEF_GROUP, json, STATUS_INVALID, "id");
    }
    char id[ID_MAX + 2];
    memset(id, 'i', sizeof id);
    (void)snprintf(json, sizeof json, "{'id':'%.*s','title':'G','hostname_match':'.'}", ID_MAX, id);
    good(w, CREATE, DEF_GROUP, json);
    (void)snprintf(json, sizeof json, "{'id':'%.*s','title':'G','hostname_match':'.'}", ID_MAX + 1,
                   id);
    bad(w, CREATE, DEF_GROUP, json, STATUS_INVALID, "id");
    good(w, CREATE, DEF_ROLE, "{'id':'same','title':'R'}");
    good(w, CREATE, DEF_GROUP,
         "{'id':'same','title':'G','hostname_match':'.'}"); /* unique by kind only */
    bad(w, CREATE, DEF_GROUP, "{'id':'same','title':'G','hostname_match':'.'}", STATUS_EXISTS,
        "id");
}

static void test_defs_unknown_ids(void **state)
{
    struct world *w = *state;
    struct change_outcome o = change(w, UPDATE, DEF_ROLE, "{'id':'nobody','title':'R'}");

    assert_int_equal(o.st, STATUS_MISSING);
    assert_non_null(strstr(o.err.text, "Item not found"));
    bad(w, DELETE, DEF_ROLE, "{'id':'nobody'}", STATUS_MISSING, "id");
    bad(w, UPDATE, DEF_ROLE, "{'title':'R'}", STATUS_INVALID, "id");
    bad(w, UPDATE, DEF_ROLE, "{'id':null}", STATUS_INVALID, "id");
    bad(w, UPDATE, DEF_ROLE, "{'id':''}", STATUS_INVALID, "id");
    bad(w, UPDATE, DEF_ROLE, "{'id':5}", STATUS_INVALID, "id");
    bad(w, UPDATE, DEF_ROLE, "[]", STATUS_INVALID, "id");
    bad(w, CREATE, DEF_ROLE, "[]", STATUS_INVALID, "title");
    bad(w, CREATE, DEF_ROLE, "'x'", STATUS_INVALID, "title");
}

static void test_defs_generic_rules(void **state)
{
    struct world *w = *state;

    bad(w, CREATE, DEF_ROLE, "{'title':'a<b'}", STATUS_INVALID, "title");
    bad(w, CREATE, DEF_ROLE, "{'title':'  '}", STATUS_INVALID, "title");
    bad(w, CREATE, DEF_ROLE, "{'title':5}", STATUS_INVALID, "title");
    bad(w, CREATE, DEF_ROLE, "{'title':'a','icon':'a b'}", STATUS_INVALID, "icon");
    bad(w, CREATE, DEF_ROLE, "{'title':'a','__proto__':1}", STATUS_INVALID, "");
    bad(w, CREATE, DEF_ROLE, "{'title':'a','enabled':'yes'}", STATUS_INVALID, "enabled");
    bad(w, CREATE, DEF_ROLE, "{'title':'a','privileges':[]}", STATUS_INVALID, "privileges");
    bad(w, CREATE, DEF_ROLE, "{'title':'a','categories':[1]}", STATUS_INVALID, "categories[0]");
    good(w, CREATE, DEF_ROLE, "{'id':'r','title':'a'}");
    assert_object(w, DEF_ROLE, "r",
                  "{'id':'r','title':'a','enabled':true,'privileges':{},'categories':[],'groups':[]"
                  ",'username':'joe',"
                  "'created':1800000000,'modified':1800000000,'revision':1}");
    bad(w, UPDATE, DEF_ROLE, "{'id':'r','title':'a>b'}", STATUS_INVALID, "title");
    bad(w, UPDATE, DEF_ROLE, "{'id':'r','icon':'!'}", STATUS_INVALID, "icon");
    bad(w, UPDATE, DEF_ROLE, "{'id':'r','toString':1}", STATUS_INVALID, "");
    assert_int_equal(defs_find(w->d, DEF_ROLE, STR("r"))->revision, 1);
}

static void test_defs_title_limit(void **state)
{
    struct world *w = *state;
    char title[DEF_TITLE_MAX + 2];
    char json[DEF_TITLE_MAX + 64];

    memset(title, 't', sizeof title);
    (void)snprintf(json, sizeof json, "{'title':'%.*s'}", DEF_TITLE_MAX, title);
    good(w, CREATE, DEF_ROLE, json);
    (void)snprintf(json, sizeof json, "{'title':'%.*s'}", DEF_TITLE_MAX + 1, title);
    bad(w, CREATE, DEF_ROLE, json, STATUS_INVALID, "title");
}

static void list_json(struct buf *out, const char *head, int n, const char *element)
{
    buf_init(out, 8u * 1024 * 1024);
    (void)buf_add_z(out, head);
    for (int i = 0; i < n; i++)
        (void)buf_printf(out, "%s%s", i ? "," : "", element);
    (void)buf_add(out, "]}", 3);
    assert_false(out->failed);
}

static void test_defs_list_limit(void **state)
{
    struct world *w = *state;
    struct buf json;

    list_json(&json, "{'title':'C','limits':[", DEF_LIST_MAX,
              "{'type':'time','enabled':true,'duration':5}");
    good(w, CREATE, DEF_CATEGORY, json.p);
    buf_done(&json);
    list_json(&json, "{'title':'C','limits':[", DEF_LIST_MAX + 1,
              "{'type':'time','enabled':true,'duration':5}");
    bad(w, CREATE, DEF_CATEGORY, json.p, STATUS_INVALID, "limits");
    buf_done(&json);
}

/* The text of one object: at DEFS_OBJECT_MAX it is refused, well below it is taken. */
static void test_defs_object_size_limit(void **state)
{
    struct world *w = *state;
    const size_t n = DEFS_OBJECT_MAX;
    char *json = malloc(n + 64);

    assert_non_null(json);
    const int head = snprintf(json, 64, "{'id':'big','title':'R','own':'");
    memset(json + head, 'x', n);
    (void)snprintf(json + head + n - 400, 8, "'}");
    good(w, CREATE, DEF_ROLE, json);
    memset(json + head, 'x', n);
    (void)snprintf(json + head + n - 40, 8, "'}");
    const struct change_outcome o = change(w, UPDATE, DEF_ROLE, json);
    assert_int_equal(o.st, STATUS_TOO_BIG);
    assert_int_equal(defs_find(w->d, DEF_ROLE, STR("big"))->revision, 1);
    free(json);
}

static void test_defs_increments(void **state)
{
    struct world *w = *state;

    good(
        w, CREATE, DEF_GROUP,
        "{'id':'g','title':'G','hostname_match':'.','max_jobs_per_server':3,'own':1.5,'word':'x'}");
    good(w, UPDATE, DEF_GROUP,
         "{'id':'g','max_jobs_per_server':'+2','own':'-0.25','word':'+1','new':'+1','revision':'+5'"
         ",'sort_order':'+10'}");
    yyjson_val *g = object(w, DEF_GROUP, "g");
    assert_int_equal(json_i64(g, "max_jobs_per_server", -1), 5);
    assert_true(json_double(g, "own", 0) == 1.25);
    assert_str(json_str(g, "word"), "+1");
    assert_str(json_str(g, "new"), "+1");
    assert_int_equal(json_i64(g, "revision", -1), 2);
    assert_int_equal(json_i64(g, "sort_order", -1), 10);
    good(w, UPDATE, DEF_GROUP, "{'id':'g','max_jobs_per_server':'-5'}");
    assert_int_equal(json_i64(object(w, DEF_GROUP, "g"), "max_jobs_per_server", -1), 0);
    bad(w, UPDATE, DEF_GROUP, "{'id':'g','max_jobs_per_server':'-1'}", STATUS_INVALID,
        "max_jobs_per_server");
    bad(w, UPDATE, DEF_GROUP, "{'id':'g','max_jobs_per_server':'+0.5'}", STATUS_INVALID,
        "max_jobs_per_server");
    bad(w, UPDATE, DEF_GROUP, "{'id':'g','max_jobs_per_server':'+x'}", STATUS_INVALID,
        "max_jobs_per_server");
    good(w, CREATE, DEF_GROUP, "{'id':'h','title':'G','hostname_match':'.'}");
    bad(w, UPDATE, DEF_GROUP, "{'id':'h','max_jobs_per_server':'+1'}", STATUS_INVALID,
        "max_jobs_per_server");
    bad(w, CREATE, DEF_GROUP, "{'title':'G','hostname_match':'.','max_jobs_per_server':'3'}",
        STATUS_INVALID, "max_jobs_per_server");
}

/* Objects from elsewhere may have no revision, or a text: it counts as 0. */
static void test_defs_missing_revision_counts_as_zero(void **state)
{
    struct world *w = *state;
    const struct store_value columns[DEFS_COLUMNS] = { [DEFS_KIND] = store_text(STR("role")),
                                                       [DEFS_REVISION] = store_int(0),
                                                       [DEFS_POSITION] = store_int(4) };
    struct store_tx *tx = store_tx_new(w->f.store);

    store_tx_put(tx, TABLE_DEFS, STR("role:old"),
                 STR("{\"id\":\"old\",\"title\":\"Old\",\"revision\":\"+1\"}"), columns,
                 DEFS_COLUMNS);
    assert_int_equal(commit_now(&w->f, tx, NULL), STATUS_OK);
    defs_reopen(w);
    good(w, UPDATE, DEF_ROLE, "{'id':'old','title':'New'}");
    assert_object(w, DEF_ROLE, "old",
                  "{'id':'old','title':'New','revision':1,'modified':1800000001}");
}

static void test_defs_damaged_row_is_refused(void **state)
{
    struct world *w = *state;
    const struct store_value columns[DEFS_COLUMNS] = { [DEFS_KIND] = store_text(STR("role")) };
    const struct store_value later[DEFS_COLUMNS] = { [DEFS_KIND] = store_text(STR("planet")) };
    struct store_tx *tx = store_tx_new(w->f.store);
    struct err err = { .code = STATUS_OK };
    struct defs *d = NULL;

    store_tx_put(tx, TABLE_DEFS, STR("planet:mars"), STR("{}"), later, DEFS_COLUMNS);
    assert_int_equal(commit_now(&w->f, tx, NULL), STATUS_OK);
    defs_reopen(w); /* a kind of a later version is left alone */
    tx = store_tx_new(w->f.store);
    store_tx_put(tx, TABLE_DEFS, STR("role:torn"), STR("{\"id\":"), columns, DEFS_COLUMNS);
    assert_int_equal(commit_now(&w->f, tx, NULL), STATUS_OK);
    assert_int_not_equal(defs_load(w->f.store, &d, &err), STATUS_OK);
    assert_null(d);
    assert_non_null(strstr(err.text, "role:torn"));
    tx = store_tx_new(w->f.store);
    store_tx_delete(tx, TABLE_DEFS, STR("role:torn"));
    assert_int_equal(commit_now(&w->f, tx, NULL), STATUS_OK);
}

/* ---- users and keys ---- */

static void test_defs_users(void **state)
{
    struct world *w = *state;

    good(w, CREATE, DEF_USER,
         "{'username':'Joe.Smith','password':'$hash','email':'<i>a</"
         "i>@b','privileges':{'admin':true}}");
    yyjson_val *u = object(w, DEF_USER, "joesmith");
    assert_str(json_str(u, "username"), "Joe.Smith");
    assert_str(json_str(u, "password"), "$hash");
    assert_str(json_str(u, "email"), "a@b");
    assert_int_equal(json_i64(u, "active", -1), 1);
    assert_int_equal(json_i64(u, "volume", -1), 7);
    assert_int_equal(json_i64(json_get(u, "filters"), "saturation", -1), 100);
    assert_null(json_get(u, "id"));
    assert_null(json_get(u, "categories"));
    assert_true(defs_find(w->d, DEF_USER, STR("joesmith"))->enabled);
    bad(w, CREATE, DEF_USER, "{'username':'JOESMITH'}", STATUS_EXISTS, "id");
    bad(w, CREATE, DEF_USER, "{'username':'a b'}", STATUS_INVALID, "username");
    bad(w, CREATE, DEF_USER, "{'username':'..'}", STATUS_INVALID, "username");
    bad(w, CREATE, DEF_USER, "{'full_name':'x'}", STATUS_INVALID, "username");
    good(w, UPDATE, DEF_USER, "{'username':'JoeSmith','active':0,'password':'$other'}");
    u = object(w, DEF_USER, "joesmith");
    assert_str(json_str(u, "username"), "Joe.Smith"); /* the name never changes */
    assert_str(json_str(u, "password"), "$other");
    assert_false(defs_find(w->d, DEF_USER, STR("joesmith"))->enabled);
    good(w, UPDATE, DEF_USER, "{'id':'joesmith','full_name':'Joe'}");
    good(w, DELETE, DEF_USER, "{'username':'joe.smith'}");
    assert_int_equal(defs_count(w->d, DEF_USER), 0);
}

#define DIGEST_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void test_defs_api_keys(void **state)
{
    struct world *w = *state;

    good(w, CREATE, DEF_API_KEY,
         "{'id':'k1','key':'" DIGEST_A
         "','mask':'abcd********wxyz','title':'Key','privileges':{'run_jobs':1}}");
    assert_object(w, DEF_API_KEY, "k1",
                  "{'id':'k1','key':'" DIGEST_A
                  "','mask':'abcd********wxyz','title':'Key','privileges':{'run_jobs':1},"
                  "'description':'','active':1,'username':'joe','created':1800000000,'modified':"
                  "1800000000,'revision':1}");
    good(w, UPDATE, DEF_API_KEY,
         "{'id':'k1','key':'" DIGEST_A "','mask':'no','active':false,'title':'Other'}");
    yyjson_val *k = object(w, DEF_API_KEY, "k1");
    assert_str(json_str(k, "mask"), "abcd********wxyz");
    assert_str(json_str(k, "title"), "Other");
    assert_false(defs_find(w->d, DEF_API_KEY, STR("k1"))->enabled);
    bad(w, CREATE, DEF_API_KEY, "{'title':'Key'}", STATUS_INVALID, "key");
    bad(w, CREATE, DEF_API_KEY, "{'title':'Key','key':'short'}", STATUS_INVALID, "key");
}

/* ---- what a change leaves behind ---- */

static struct answer rows_of(struct world *w, enum store_table t, int column, const char *value,
                             int order)
{
    const struct store_condition where = { column, OP_EQ, store_text(str_z(value)) };
    const struct store_query q = { .table = t, .where = &where, .n_where = 1, .order_by = order };
    return select_now(&w->f, &q);
}

static void test_defs_history(void **state)
{
    struct world *w = *state;

    good(w, CREATE, DEF_ROLE, "{'id':'r','title':'One'}");
    good(w, UPDATE, DEF_ROLE, "{'id':'r','title':'Two'}");
    good(w, DELETE, DEF_ROLE, "{'id':'r'}");
    const struct answer a = rows_of(w, TABLE_REVISIONS, REVISIONS_OBJECT, "r", REVISIONS_REVISION);
    assert_int_equal(a.n, 3);
    static const char *const titles[] = { "\"title\":\"One\"", "\"title\":\"Two\"",
                                          "\"title\":\"Two\"" };
    static const char *const ids[] = { "role:r:1", "role:r:2", "role:r:3" };
    for (size_t i = 0; i < 3; i++) {
        assert_str(a.rows[i].id, ids[i]);
        assert_true(str_find(a.rows[i].json, str_z(titles[i])) < a.rows[i].json.n);
        assert_str(a.rows[i].columns[REVISIONS_KIND].text, "role");
        assert_int_equal(a.rows[i].columns[REVISIONS_REVISION].i, i + 1);
        assert_str(a.rows[i].columns[REVISIONS_USERNAME].text, "k123");
        assert_true(a.rows[i].columns[REVISIONS_EPOCH].real == 1800000000.25 + (double)i);
    }
}

static void test_defs_activity(void **state)
{
    struct world *w = *state;

    good(w, CREATE, DEF_CATEGORY, "{'id':'c','title':'One'}");
    good(w, UPDATE, DEF_CATEGORY, "{'id':'c','title':'Two'}");
    good(w, DELETE, DEF_CATEGORY, "{'id':'c'}");
    static const char *const actions[] = { "category_create", "category_update",
                                           "category_delete" };
    static const char *const titles[] = { "One", "Two", "Two" };
    for (size_t i = 0; i < 3; i++) {
        const struct answer a =
            rows_of(w, TABLE_ACTIVITY, ACTIVITY_ACTION, actions[i], ACTIVITY_EPOCH);
        assert_int_equal(a.n, 1);
        assert_int_equal(a.rows[0].id.p[0], 'a');
        assert_int_equal(a.rows[0].id.n, 16);
        assert_str(a.rows[0].columns[ACTIVITY_USERNAME].text, "k123");
        assert_str(a.rows[0].columns[ACTIVITY_KEYWORDS].text, "c,k123");
        yyjson_val *v = NULL;
        assert_int_equal(json_parse_in(w->f.arena, a.rows[0].json, 1 << 20, &v, NULL), STATUS_OK);
        assert_str(json_str(v, "action"), actions[i]);
        assert_true(str_eq(json_str(v, "id"), a.rows[0].id));
        assert_int_equal(json_i64(v, "epoch", 0), 1800000000 + (int)i);
        assert_str(json_str(v, "description"), titles[i]);
        assert_str(json_str(v, "username"), "k123");
        assert_str(json_str(v, "ip"), "10.0.0.7");
        assert_str(json_str(v, "useragent"), "test/1");
        assert_true(json_equal(json_get(v, "keywords"), json_of(&w->f, "['c','k123']")));
        assert_str(json_str(json_get(v, "category"), "title"), titles[i]);
        assert_str(json_str(json_get(v, "category"), "username"), "joe");
    }
}

static void test_defs_secrets_stay_out_of_history(void **state)
{
    struct world *w = *state;
    const struct store_query all[] = { { .table = TABLE_REVISIONS, .order_by = -1 },
                                       { .table = TABLE_ACTIVITY, .order_by = -1 } };

    good(w, CREATE, DEF_USER,
         "{'username':'u','password':'PASSWORD-HASH','salt':'SALT-VALUE','full_name':'U'}");
    good(w, UPDATE, DEF_USER, "{'username':'u','password':'PASSWORD-HASH'}");
    good(w, CREATE, DEF_API_KEY, "{'id':'k1','key':'" DIGEST_A "','title':'Key'}");
    good(w, DELETE, DEF_API_KEY, "{'id':'k1'}");
    good(w, DELETE, DEF_USER, "{'username':'u'}");
    for (size_t t = 0; t < 2; t++) {
        const struct answer a = select_now(&w->f, &all[t]);
        assert_int_equal(a.n, 5);
        for (size_t i = 0; i < a.n; i++) {
            assert_int_equal(str_find(a.rows[i].json, STR("PASSWORD-HASH")), a.rows[i].json.n);
            assert_int_equal(str_find(a.rows[i].json, STR("SALT-VALUE")), a.rows[i].json.n);
            assert_int_equal(str_find(a.rows[i].json, STR(DIGEST_A)), a.rows[i].json.n);
        }
    }
    assert_int_equal(rows_of(w, TABLE_ACTIVITY, ACTIVITY_ACTION, "apikey_create", ACTIVITY_EPOCH).n,
                     1);
    assert_int_equal(rows_of(w, TABLE_ACTIVITY, ACTIVITY_ACTION, "user_delete", ACTIVITY_EPOCH).n,
                     1);
}

static void test_defs_refused_changes_leave_nothing(void **state)
{
    struct world *w = *state;
    const struct store_query all = { .table = TABLE_ACTIVITY, .order_by = -1 };

    bad(w, CREATE, DEF_ROLE, "{'id':'r'}", STATUS_INVALID, "title");
    assert_int_equal(select_now(&w->f, &all).n, 0);
    assert_null(defs_find(w->d, DEF_ROLE, STR("r")));
    good(w, CREATE, DEF_ROLE, "{'id':'r','title':'R'}");
}

/* ---- re-ordering ---- */

static void test_defs_multi_update(void **state)
{
    struct world *w = *state;

    for (int i = 0; i < 3; i++) {
        char json[64];
        (void)snprintf(json, sizeof json, "{'id':'c%d','title':'C'}", i);
        good(w, CREATE, DEF_CATEGORY, json);
    }
    assert_int_equal(json_i64(object(w, DEF_CATEGORY, "c2"), "sort_order", -1), 2);
    good(w, MULTI, DEF_CATEGORY,
         "[{'id':'c2','sort_order':0},{'id':'nobody','sort_order':8},{'sort_order':9},{'id':'c0','"
         "sort_order':2}]");
    yyjson_val *c = object(w, DEF_CATEGORY, "c2");
    assert_int_equal(json_i64(c, "sort_order", -1), 0);
    assert_int_equal(json_i64(c, "revision", -1), 1);
    assert_int_equal(json_i64(c, "modified", -1), 1800000000);
    assert_int_equal(json_i64(object(w, DEF_CATEGORY, "c0"), "sort_order", -1), 2);
    struct answer a =
        rows_of(w, TABLE_ACTIVITY, ACTIVITY_ACTION, "category_multi_update", ACTIVITY_EPOCH);
    assert_int_equal(a.n, 1);
    assert_true(str_find(a.rows[0].json, STR("\"updated\":[\"sort_order\"]")) < a.rows[0].json.n);
    assert_int_equal(rows_of(w, TABLE_REVISIONS, REVISIONS_OBJECT, "c2", REVISIONS_REVISION).n, 1);
    bad(w, MULTI, DEF_CATEGORY, "[]", STATUS_INVALID, "items");
    bad(w, MULTI, DEF_CATEGORY, "{}", STATUS_INVALID, "items");
    bad(w, MULTI, DEF_CATEGORY, "[{'id':'c1','sort_order':'x'}]", STATUS_INVALID, "sort_order");
    bad(w, MULTI, DEF_CATEGORY, "[{'id':'c1','sort_order':-1}]", STATUS_INVALID, "sort_order");
    good(w, CREATE, DEF_CATEGORY, "{'title':'C'}");
    assert_int_equal(
        json_i64(object(w, DEF_CATEGORY, defs_at(w->d, DEF_CATEGORY, 3)->id.z), "sort_order", -1),
        3);
    defs_reopen(w);
    assert_int_equal(json_i64(object(w, DEF_CATEGORY, "c0"), "sort_order", -1), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DEFS_TEST(test_defs_category_life),
        DEFS_TEST(test_defs_survive_a_restart),
        DEFS_TEST(test_defs_ids),
        DEFS_TEST(test_defs_unknown_ids),
        DEFS_TEST(test_defs_generic_rules),
        DEFS_TEST(test_defs_title_limit),
        DEFS_TEST(test_defs_list_limit),
        DEFS_TEST(test_defs_object_size_limit),
        DEFS_TEST(test_defs_increments),
        DEFS_TEST(test_defs_missing_revision_counts_as_zero),
        DEFS_TEST(test_defs_damaged_row_is_refused),
        DEFS_TEST(test_defs_users),
        DEFS_TEST(test_defs_api_keys),
        DEFS_TEST(test_defs_history),
        DEFS_TEST(test_defs_activity),
        DEFS_TEST(test_defs_secrets_stay_out_of_history),
        DEFS_TEST(test_defs_refused_changes_leave_nothing),
        DEFS_TEST(test_defs_multi_update),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
