/* Documents generated from the rows: openapi.json (3.1) and one Markdown page a family. The same
 * tables check the requests, so the documents cannot be behind. */
#include "api/api_int.h"

#include "base/file.h"

#define DOCS_MAX (16u * 1024 * 1024)

const struct api_family api_families[] = {
    { "admin", "Administration", "State, import, export, maintenance.", -1 },
    { "agents", "Agents", "Calls of satellites; people have no need of them.", -1 },
    { "alerts", "Alerts", "Conditions on measurements, and when they held.", DEF_ALERT },
    { "api_keys", "API keys", "Keys by which programs call, each with its own privileges.",
      DEF_API_KEY },
    { "avatars", "Avatars", "Pictures of users.", -1 },
    { "buckets", "Buckets", "Data and files that jobs share.", DEF_BUCKET },
    { "categories", "Categories", "Every event is in one category.", DEF_CATEGORY },
    { "channels", "Channels", "Whom and what a notice reaches.", DEF_CHANNEL },
    { "events", "Events", "What may run: a plugin, its parameters, where and when.", DEF_EVENT },
    { "files", "Files", "Files that go into jobs and come out of them.", -1 },
    { "groups", "Server groups", "Servers by their host names.", DEF_GROUP },
    { "jobs", "Jobs", "Each run of an event is a job, with a record and a log.", -1 },
    { "misc", "Others", "Calls to try out a connection.", -1 },
    { "monitors", "Monitors", "What is measured on servers.", DEF_MONITOR },
    { "plugins", "Plugins", "Programs that jobs run.", DEF_PLUGIN },
    { "roles", "Roles", "Privileges and limits that users and keys share.", DEF_ROLE },
    { "search", "Searches", "Finished jobs.", -1 },
    { "secrets", "Secrets", "Sealed values that jobs and web hooks are given.", DEF_SECRET },
    { "servers", "Servers", "Machines with a satellite.", -1 },
    { "tags", "Tags", "Marks for jobs, events and tickets.", DEF_TAG },
    { "tickets", "Tickets", "What people have to do, with its history.", -1 },
    { "user", "Account", "Log-in and log-out of people: /api/user/NAME.", DEF_USER },
    { "users", "Users", "People with an account.", DEF_USER },
    { "web_hooks", "Web hooks", "Requests to other systems.", DEF_WEB_HOOK },
    { 0 },
};

static const char *space(const struct api_row *row)
{
    return row->flags & API_USER_SPACE ? "user" : "app";
}

/* What only reads is a GET with a query, the rest a POST with a body; the server takes either. */
bool api_row_reads(const struct api_row *row)
{
    static const char *const starts[] = { "get_", "view_", "download_job", "tail_", "search_",
                                          "ping", "echo",  "error",        "file",  "satellite" };
    const struct str name = str_z(row->name);

    if (row->flags & API_BODY_ONLY)
        return false;
    for (size_t i = 0; i < COUNT_OF(starts); i++) {
        if (str_starts(name, str_z(starts[i])))
            return true;
    }
    return false;
}

static bool is_open(const struct api_row *row)
{
    return row->priv == PRIV_PUBLIC || (row->flags & API_NO_CHECK);
}

bool api_family_used(const struct api_family *f)
{
    size_t n;
    const struct api_row *const *rows = api_rows(&n);

    for (size_t i = 0; i < n; i++) {
        if (strcmp(rows[i]->family, f->name) == 0)
            return true;
    }
    return false;
}

/* Who may call, and what the limits of a caller do: words for programs, sentences for people. */
static const char *rule_word(const struct api_row *row)
{
    if (row->priv == PRIV_PUBLIC)
        return "public";
    if (row->flags & API_NO_CHECK)
        return "token";
    return row->priv == PRIV_NONE ? "any" : privilege_key(row->priv);
}

static const struct {
    const char *word;
    const char *sentence;
} limits[] = {
    [API_LIMIT_NONE] = { "none", NULL },
    [API_LIMIT_FILTERED] = { "filtered", "Limited callers are shown what they may see." },
    [API_LIMIT_CATEGORY] = { "category", "Limited callers: only their categories." },
    [API_LIMIT_GROUP] = { "group", "Limited callers: only their server groups." },
    [API_LIMIT_EVENT] = { "event", "Limited callers: only events of their categories and groups." },
    [API_LIMIT_JOB] = { "job", "Limited callers: only jobs of their categories and groups." },
    [API_LIMIT_SERVER] = { "server", "Limited callers: only servers of their groups." },
    [API_LIMIT_TICKET] = { "ticket", "Limited callers: only tickets of their categories." },
    [API_LIMIT_ALERT] = { "alert", "Limited callers: only alerts of their groups." },
    [API_LIMIT_UNLIMITED] = { "unlimited", "Not for limited callers." },
};

/* ---- OpenAPI ---- */

/* The schema of one property, taken out of that of an object that has only this one. */
static void put_one_schema(struct json_writer *w, const struct prop *prop)
{
    const struct prop alone[2] = { *prop, { 0 } };
    AUTO(json_doc_free) yyjson_doc *doc = NULL;
    AUTO_BUF struct buf text = { 0 };
    struct json_writer one;

    buf_init(&text, DOCS_MAX);
    one = json_writer_init(&text);
    json_obj(&one, NULL);
    schema_put_json_schema(alone, SCHEMA_CALL, &one, "object");
    json_end(&one);
    if (text.failed || json_parse(buf_str(&text), DOCS_MAX, &doc, NULL))
        w->out->failed = true;
    else
        json_put_val(w, "schema",
                     json_get(json_get(json_get(yyjson_doc_get_root(doc), "object"), "properties"),
                              prop->name));
}

static void put_query_params(struct json_writer *w, const struct prop *in)
{
    json_arr(w, "parameters");
    for (; in && in->name; in++) {
        json_obj(w, NULL);
        json_put_z(w, "name", in->name);
        json_put_z(w, "in", "query");
        json_put_bool(w, "required", (in->flags & P_REQUIRED) != 0);
        json_put_z(w, "description", in->doc);
        put_one_schema(w, in);
        json_end(w);
    }
    json_end(w);
}

static void put_request_body(struct json_writer *w, const struct api_row *row)
{
    static const struct prop anything[] = { { 0 } };

    json_obj(w, "requestBody");
    json_obj(w, "content");
    json_obj(w, row->flags & API_FILES ? "multipart/form-data" : "application/json");
    schema_put_json_schema(row->in ? row->in : anything, SCHEMA_CALL, w, "schema");
    if (row->example)
        json_put_raw(w, "example", str_z(row->example));
    json_end(w);
    json_end(w);
    json_end(w);
}

static void put_good_reply(struct json_writer *w, const struct api_row *row)
{
    struct str rest = str_z(row->out);
    struct str key;

    json_obj(w, "200");
    json_put_z(w, "description", "Done.");
    if (!(row->flags & API_STREAMS)) {
        json_obj(w, "content");
        json_obj(w, "application/json");
        json_obj(w, "schema");
        json_put_z(w, "type", "object");
        json_obj(w, "properties");
        json_obj(w, "code");
        json_put_i64(w, "const", 0);
        json_end(w);
        while (rest.n && str_split(&rest, ',', &key)) {
            json_obj_k(w, str_trim(key));
            json_end(w);
        }
        json_end(w);
        json_end(w);
        json_end(w);
        json_end(w);
    }
    json_end(w);
}

static void put_operation(struct json_writer *w, const struct api_row *row)
{
    json_obj(w, api_row_reads(row) ? "get" : "post");
    json_put_z(w, "operationId", row->name);
    json_put_z(w, "summary", row->doc);
    json_arr(w, "tags");
    json_put_z(w, NULL, row->family);
    json_end(w);
    if (is_open(row)) {
        json_arr(w, "security");
        json_end(w);
    }
    json_put_z(w, "x-rule", rule_word(row));
    json_put_z(w, "x-limit", limits[row->limit].word);
    if (row->example)
        json_put_raw(w, "x-example", str_z(row->example));
    if (api_row_reads(row))
        put_query_params(w, row->in);
    else
        put_request_body(w, row);
    json_obj(w, "responses");
    put_good_reply(w, row);
    json_obj(w, "default");
    json_put_z(w, "$ref", "#/components/responses/error");
    json_end(w);
    json_end(w);
    json_end(w);
}

static void put_paths(struct json_writer *w)
{
    size_t n;
    const struct api_row *const *rows = api_rows(&n);

    json_obj(w, "paths");
    for (size_t i = 0; i < n; i++) {
        char path[128];

        (void)snprintf(path, sizeof path, "/api/%s/%s/v1", space(rows[i]), rows[i]->name);
        json_obj(w, path);
        put_operation(w, rows[i]);
        json_end(w);
    }
    json_end(w);
}

static void put_components(struct json_writer *w)
{
    json_obj(w, "components");
    json_obj(w, "schemas");
    for (unsigned k = 0; k < DEF_KIND_COUNT; k++) {
        const struct def_kind_row *row = def_kind_row((enum def_kind)k);

        schema_put_json_schema(row->props, SCHEMA_CREATE, w, row->name);
    }
    json_put_raw(w, "error",
                 STR("{\"type\":\"object\",\"required\":[\"code\",\"description\"],\"properties\":"
                     "{\"code\":{\"type\":[\"string\",\"integer\"]},\"description\":"
                     "{\"type\":\"string\"}}}"));
    json_end(w);
    json_put_raw(w, "responses",
                 STR("{\"error\":{\"description\":\"It failed; `code` says why.\",\"content\":"
                     "{\"application/json\":{\"schema\":{\"$ref\":"
                     "\"#/components/schemas/error\"}}}}}"));
    json_put_raw(
        w, "securitySchemes",
        STR("{\"key\":{\"type\":\"apiKey\",\"in\":\"header\",\"name\":\"X-API-Key\"},"
            "\"session\":{\"type\":\"apiKey\",\"in\":\"cookie\",\"name\":\"session_id\"}}"));
    json_end(w);
}

Status api_openapi(struct buf *out)
{
    struct json_writer w = json_writer_init(out);

    json_obj(&w, NULL);
    json_put_z(&w, "openapi", "3.1.0");
    json_obj(&w, "info");
    json_put_z(&w, "title", "Orrery");
    json_put_z(&w, "version", ORRERY_VERSION);
    json_put_z(&w, "description",
               "Parameters may come as query, JSON or form body. Errors are {code, description}; "
               "their HTTP status follows the code.");
    json_end(&w);
    json_put_raw(&w, "security", STR("[{\"key\":[]},{\"session\":[]}]"));
    json_arr(&w, "tags");
    for (const struct api_family *f = api_families; f->name; f++) {
        if (!api_family_used(f))
            continue;
        json_obj(&w, NULL);
        json_put_z(&w, "name", f->name);
        json_put_z(&w, "description", f->doc);
        json_end(&w);
    }
    json_end(&w);
    put_paths(&w);
    put_components(&w);
    json_end(&w);
    return out->failed ? STATUS_FULL : STATUS_OK;
}

/* ---- Markdown ---- */

const struct api_family *api_family_find(struct str name)
{
    for (const struct api_family *f = api_families; f->name; f++) {
        if (str_eq_z(name, f->name))
            return f;
    }
    return NULL;
}

static void markdown_row(const struct api_row *row, struct buf *out)
{
    struct str rest = str_z(row->errors);
    struct str code;
    const char *between = "";

    (void)buf_printf(out, "## %s\n\n%s\n\n`%s /api/%s/%s/v1`", row->name, row->doc,
                     api_row_reads(row) ? "GET" : "POST", space(row), row->name);
    if (row->priv == PRIV_PUBLIC)
        (void)buf_add_z(out, ", open to everybody");
    else if (row->flags & API_NO_CHECK)
        (void)buf_add_z(out, ", opened by its own token");
    else if (row->priv != PRIV_NONE)
        (void)buf_printf(out, ", privilege `%s`", privilege_key(row->priv));
    (void)buf_add_z(out, row->flags & API_BODY_ONLY ? "; the query is ignored.\n\n" : ".\n\n");
    if (limits[row->limit].sentence)
        (void)buf_printf(out, "%s\n\n", limits[row->limit].sentence);
    if (row->in) {
        (void)schema_markdown(row->in, out);
        (void)buf_add_z(out, "\n");
    }
    if (row->example)
        (void)buf_printf(out, "```json\n%s\n```\n\n", row->example);
    if (row->flags & API_STREAMS)
        (void)buf_add_z(out, "A good reply is the content itself.");
    else
        (void)buf_printf(out, "A good reply has `code` 0%s%s%s.", row->out ? " and `" : "",
                         row->out ? row->out : "", row->out ? "`" : "");
    while (rest.n && str_split(&rest, ' ', &code)) {
        (void)buf_printf(out, "%s`%.*s`", *between ? between : " Error codes: ", STR_FMT(code));
        between = ", ";
    }
    (void)buf_add_z(out, *between ? ".\n\n" : "\n\n");
}

Status api_markdown(const char *family, struct buf *out)
{
    const struct api_family *f = api_family_find(str_z(family));
    size_t n;
    const struct api_row *const *rows = api_rows(&n);

    if (!f)
        return STATUS_MISSING;
    (void)buf_printf(out, "# %s\n\n%s Generated by `script/gen` from the tables of the API.\n\n",
                     f->title, f->doc);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(rows[i]->family, family) == 0)
            markdown_row(rows[i], out);
    }
    if (f->kind >= 0) {
        (void)buf_printf(out, "## The object\n\n");
        (void)schema_markdown(def_kind_row((enum def_kind)f->kind)->props, out);
    }
    return out->failed ? STATUS_FULL : STATUS_OK;
}

static void index_markdown(struct buf *out)
{
    size_t n;
    const struct api_row *const *rows = api_rows(&n);

    (void)buf_add_z(out, "# API\n\nGenerated by `script/gen` from the tables of the API; "
                         "[openapi.json](openapi.json) says the same to programs.\n\n"
                         "| Call | Page | What it does |\n|---|---|---|\n");
    for (size_t i = 0; i < n; i++)
        (void)buf_printf(out, "| [%s](%s.md#%s) | %s | %s |\n", rows[i]->name, rows[i]->family,
                         rows[i]->name, rows[i]->family, rows[i]->doc);
}

/* ---- files ---- */

static Status write_one(const char *dir, const char *name, const struct buf *text, struct err *err)
{
    char path[4096];
    const int n = snprintf(path, sizeof path, "%s/%s", dir, name);

    if (n < 0 || (size_t)n >= sizeof path || text->failed)
        return err_set(err, STATUS_TOO_BIG, NULL, "Cannot write %s.", name);
    return file_replace(path, buf_str(text), 0644, err);
}

static Status write_openapi(const char *dir, struct err *err)
{
    AUTO(json_doc_free) yyjson_doc *doc = NULL;
    AUTO_BUF struct buf compact = { 0 };
    AUTO_BUF struct buf pretty = { 0 };
    Status st;

    buf_init(&compact, DOCS_MAX);
    buf_init(&pretty, DOCS_MAX);
    st = api_openapi(&compact);
    if (!st)
        st = json_parse(buf_str(&compact), DOCS_MAX, &doc, err);
    if (!st)
        st = json_text(yyjson_doc_get_root(doc), true, &pretty);
    if (!st)
        st = buf_add_char(&pretty, '\n');
    return st ? st : write_one(dir, "openapi.json", &pretty, err);
}

Status api_write_docs(const char *dir, struct err *err)
{
    Status st = file_mkdirs(dir, 0755, err);

    for (const struct api_family *f = api_families; f->name && !st; f++) {
        AUTO_BUF struct buf text = { 0 };
        char name[128];

        if (!api_family_used(f))
            continue;
        buf_init(&text, DOCS_MAX);
        (void)snprintf(name, sizeof name, "%s.md", f->name);
        st = api_markdown(f->name, &text);
        if (!st)
            st = write_one(dir, name, &text, err);
    }
    if (!st) {
        AUTO_BUF struct buf text = { 0 };

        buf_init(&text, DOCS_MAX);
        index_markdown(&text);
        st = write_one(dir, "README.md", &text, err);
    }
    return st ? st : write_openapi(dir, err);
}
