/* Everything that is no call: the front page, the documents as pages, health and metrics, files.
 * The front page holds no data; a small script of ours asks the API for what the visitor may see.
 */
#include "api/api_int.h"

#include <stdio.h>

#define PAGE_MAX (4u * 1024 * 1024)

static const char front_html[] =
    "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<title>Orrery</title>\n<link rel=\"stylesheet\" href=\"/ui.css\">\n"
    "<script src=\"/ui.js\" defer></script>\n</head>\n<body>\n<main>\n"
    "<h1>Orrery</h1>\n<p>Job scheduler, version " ORRERY_VERSION
    ". <a href=\"/api\">API</a> &middot; <a href=\"/openapi.json\">OpenAPI</a> &middot; "
    "<a href=\"/health\">health</a></p>\n"
    "<p id=\"message\" role=\"status\"></p>\n"
    "<form id=\"login\" hidden>\n<h2>Log in</h2>\n"
    "<label>User <input id=\"username\" autocomplete=\"username\"></label>\n"
    "<label>Password <input id=\"password\" type=\"password\" "
    "autocomplete=\"current-password\"></label>\n"
    "<label>or API key <input id=\"key\" type=\"password\" autocomplete=\"off\"></label>\n"
    "<button>Log in</button>\n</form>\n"
    "<section id=\"work\" hidden>\n<p id=\"counts\"></p>\n<h2>Latest jobs</h2>\n"
    "<table><thead><tr><th>Job</th><th>Event</th><th>Server</th><th>State</th><th>Started</th>"
    "<th>Description</th></tr></thead><tbody id=\"jobs\"></tbody></table>\n"
    "<button id=\"logout\" type=\"button\">Log out</button>\n</section>\n"
    "<noscript><p>This page needs JavaScript; the API does not.</p></noscript>\n"
    "</main>\n</body>\n</html>\n";

static const char ui_css[] =
    "body{font:16px/1.5 system-ui,sans-serif;margin:0;color:#1c2430;background:#f7f8fa}"
    "main{max-width:70rem;margin:2rem auto;padding:0 1rem}h1{margin:0}a{color:#14589c}"
    "label{display:block;margin:.5rem 0}input{font:inherit;padding:.25rem .5rem;width:20rem}"
    "button{font:inherit;padding:.25rem 1rem}table{border-collapse:collapse;width:100%}"
    "th,td{text-align:left;padding:.25rem .75rem .25rem 0;border-bottom:1px solid #d5dae1;"
    "vertical-align:top}code,pre{font:14px/1.5 ui-monospace,monospace}"
    "pre{background:#eceff3;padding:.5rem;overflow:auto}"
    "@media(prefers-color-scheme:dark){body{color:#e4e8ee;background:#151a21}a{color:#7db7f2}"
    "th,td{border-color:#38414d}pre{background:#20262f}}\n";

static const char ui_js[] =
    "'use strict';\n"
    "const el = (id) => document.getElementById(id);\n"
    "let csrf = '';\n"
    "async function call(name, body, space) {\n"
    "  const headers = { 'Content-Type': 'application/json' };\n"
    "  const key = sessionStorage.getItem('orrery_key');\n"
    "  if (key) headers['X-API-Key'] = key;\n"
    "  if (csrf) headers['X-CSRF-Token'] = csrf;\n"
    "  const r = await fetch(`/api/${space || 'app'}/${name}/v1`, { method: 'POST', headers,\n"
    "    body: JSON.stringify(body || {}), credentials: key ? 'omit' : 'same-origin' });\n"
    "  return r.json();\n"
    "}\n"
    "function row(job) {\n"
    "  const tr = document.createElement('tr');\n"
    "  const state = !job.final ? job.state : !job.code ? 'success' : String(job.code);\n"
    "  const started = job.started ? new Date(job.started * 1000).toLocaleString() : '';\n"
    "  for (const text of [job.id, job.event_title || job.event, job.server || '', state, "
    "started,\n"
    "    job.description || '']) {\n"
    "    const td = document.createElement('td');\n"
    "    td.textContent = text;\n"
    "    tr.append(td);\n"
    "  }\n"
    "  return tr;\n"
    "}\n"
    "async function show() {\n"
    "  const live = await call('get_active_jobs', { limit: 20 });\n"
    "  if (live.code) return ask(live.code === 'session' ? '' : live.description);\n"
    "  const done = await call('search_jobs', { limit: 20 });\n"
    "  const servers = await call('get_active_servers');\n"
    "  el('counts').textContent = `${live.list.length} live jobs, `\n"
    "    + `${done.code ? 0 : done.list.length} finished, `\n"
    "    + `${servers.code ? 0 : servers.list.length} servers online.`;\n"
    "  el('jobs').replaceChildren(...live.rows.map(row), ...(done.rows || []).map(row));\n"
    "  el('login').hidden = true;\n"
    "  el('work').hidden = false;\n"
    "  el('message').textContent = '';\n"
    "}\n"
    "function ask(text) {\n"
    "  sessionStorage.removeItem('orrery_key');\n"
    "  el('message').textContent = text || '';\n"
    "  el('work').hidden = true;\n"
    "  el('login').hidden = false;\n"
    "}\n"
    "el('login').addEventListener('submit', async (e) => {\n"
    "  e.preventDefault();\n"
    "  const key = el('key').value.trim();\n"
    "  if (key) {\n"
    "    sessionStorage.setItem('orrery_key', key);\n"
    "  } else {\n"
    "    const r = await call('login', { username: el('username').value,\n"
    "      password: el('password').value }, 'user');\n"
    "    if (r.code) return ask(r.description);\n"
    "    csrf = r.csrf_token;\n"
    "  }\n"
    "  el('key').value = el('password').value = '';\n"
    "  await show();\n"
    "});\n"
    "el('logout').addEventListener('click', async () => {\n"
    "  if (!sessionStorage.getItem('orrery_key')) await call('logout', {}, 'user');\n"
    "  csrf = '';\n"
    "  ask('');\n"
    "});\n"
    "(async () => {\n"
    "  if (!sessionStorage.getItem('orrery_key')) {\n"
    "    const r = await call('resume_session', {}, 'user');\n"
    "    csrf = r.csrf_token || '';\n"
    "    if (r.code || !r.username) return ask('');\n"
    "  }\n"
    "  await show();\n"
    "})();\n";

/* ---- documents as pages ---- */

/* Text for HTML; `code` in backticks gets its element. */
static void put_text(struct buf *out, const char *text)
{
    bool code = false;

    for (; text && *text; text++) {
        switch (*text) {
        case '<':
            (void)buf_add_z(out, "&lt;");
            break;
        case '>':
            (void)buf_add_z(out, "&gt;");
            break;
        case '&':
            (void)buf_add_z(out, "&amp;");
            break;
        case '"':
            (void)buf_add_z(out, "&quot;");
            break;
        case '`':
            (void)buf_add_z(out, code ? "</code>" : "<code>");
            code = !code;
            break;
        default:
            (void)buf_add_char(out, *text);
        }
    }
    if (code)
        (void)buf_add_z(out, "</code>");
}

static void page_begin(struct buf *out, const char *title)
{
    (void)buf_add_z(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                         "<meta name=\"viewport\" content=\"width=device-width, "
                         "initial-scale=1\">\n<title>");
    put_text(out, title);
    (void)buf_add_z(out, " - Orrery API</title>\n<link rel=\"stylesheet\" href=\"/ui.css\">\n"
                         "</head>\n<body>\n<main>\n<p><a href=\"/\">Orrery</a> &middot; "
                         "<a href=\"/api\">API</a></p>\n<h1>");
    put_text(out, title);
    (void)buf_add_z(out, "</h1>\n");
}

static void page_end(struct api_call *c, struct buf *out)
{
    (void)buf_add_z(out, "</main>\n</body>\n</html>\n");
    api_security_headers(c->req);
    if (out->failed)
        api_reply_text(c, 503, "503 Service Unavailable");
    else
        http_reply_buf(c->req, 200, "text/html; charset=utf-8", out);
    buf_done(out);
}

static void put_props(struct buf *out, const struct prop *props)
{
    (void)buf_add_z(out, "<table><thead><tr><th>Name</th><th></th><th>Meaning</th></tr></thead>"
                         "<tbody>\n");
    for (; props && props->name; props++) {
        if (props->flags & P_QUIET)
            continue;
        (void)buf_printf(out, "<tr><td><code>%s</code></td><td>%s</td><td>", props->name,
                         props->flags & P_REQUIRED   ? "required"
                         : props->flags & P_READONLY ? "read-only"
                                                     : "");
        put_text(out, props->doc);
        (void)buf_add_z(out, "</td></tr>\n");
    }
    (void)buf_add_z(out, "</tbody></table>\n");
}

static void put_call(struct buf *out, const struct api_row *row)
{
    (void)buf_printf(out, "<h2 id=\"%s\">%s</h2>\n<p>", row->name, row->name);
    put_text(out, row->doc);
    (void)buf_printf(out, "</p>\n<p><code>%s /api/%s/%s/v1</code>",
                     api_row_reads(row) ? "GET" : "POST",
                     row->flags & API_USER_SPACE ? "user" : "app", row->name);
    if (row->priv > PRIV_PUBLIC)
        (void)buf_printf(out, ", privilege <code>%s</code>", privilege_key(row->priv));
    (void)buf_add_z(out, "</p>\n");
    if (row->in)
        put_props(out, row->in);
    if (row->example) {
        (void)buf_add_z(out, "<pre>");
        put_text(out, row->example);
        (void)buf_add_z(out, "</pre>\n");
    }
}

static void family_page(struct api_call *c, struct str name)
{
    const struct api_family *f = api_family_find(name);
    size_t n;
    const struct api_row *const *rows = api_rows(&n);
    struct buf out;

    if (!f) {
        api_reply_text(c, 404, "404 Not Found");
        return;
    }
    buf_init(&out, PAGE_MAX);
    page_begin(&out, f->title);
    (void)buf_add_z(&out, "<p>");
    put_text(&out, f->doc);
    (void)buf_add_z(&out, "</p>\n");
    for (size_t i = 0; i < n; i++) {
        if (strcmp(rows[i]->family, f->name) == 0)
            put_call(&out, rows[i]);
    }
    if (f->kind >= 0) {
        (void)buf_add_z(&out, "<h2>The object</h2>\n");
        put_props(&out, def_kind_row((enum def_kind)f->kind)->props);
    }
    page_end(c, &out);
}

static void index_page(struct api_call *c)
{
    size_t n;
    const struct api_row *const *rows = api_rows(&n);
    struct buf out;

    buf_init(&out, PAGE_MAX);
    page_begin(&out, "API");
    for (const struct api_family *f = api_families; f->name; f++) {
        if (!api_family_used(f))
            continue;
        (void)buf_printf(&out, "<h2><a href=\"/api/docs/%s\">%s</a></h2>\n<p>", f->name, f->title);
        put_text(&out, f->doc);
        (void)buf_add_z(&out, "</p>\n<ul>\n");
        for (size_t i = 0; i < n; i++) {
            if (strcmp(rows[i]->family, f->name) != 0)
                continue;
            (void)buf_printf(&out, "<li><a href=\"/api/docs/%s#%s\">%s</a>: ", f->name,
                             rows[i]->name, rows[i]->name);
            put_text(&out, rows[i]->doc);
            (void)buf_add_z(&out, "</li>\n");
        }
        (void)buf_add_z(&out, "</ul>\n");
    }
    page_end(c, &out);
}

static void openapi(struct api_call *c)
{
    struct buf out;

    buf_init(&out, PAGE_MAX);
    if (api_openapi(&out))
        api_reply_text(c, 503, "503 Service Unavailable");
    else
        http_reply_buf(c->req, 200, "application/json", &out);
    buf_done(&out);
}

/* ---- routes ---- */

static void front(struct api_call *c)
{
    api_security_headers(c->req);
    (void)http_reply_header(c->req, "Cache-Control", STR("no-cache"));
    http_reply(c->req, 200, "text/html; charset=utf-8", STR(front_html));
}

static void script(struct api_call *c)
{
    (void)http_reply_header(c->req, "X-Content-Type-Options", STR("nosniff"));
    (void)http_reply_header(c->req, "Cache-Control", STR("no-cache"));
    http_reply(c->req, 200, "text/javascript; charset=utf-8", STR(ui_js));
}

static void style(struct api_call *c)
{
    (void)http_reply_header(c->req, "X-Content-Type-Options", STR("nosniff"));
    (void)http_reply_header(c->req, "Cache-Control", STR("no-cache"));
    http_reply(c->req, 200, "text/css; charset=utf-8", STR(ui_css));
}

static void no_icon(struct api_call *c)
{
    http_reply(c->req, 204, NULL, STR(""));
}

void api_page(struct api_call *c, struct str path)
{
    static const struct {
        const char *path;
        void (*fn)(struct api_call *c);
    } routes[] = {
        { "/", front },
        { "/index.html", front },
        { "/ui.js", script },
        { "/ui.css", style },
        { "/favicon.ico", no_icon },
        { "/health", api_health },
        { "/metrics", api_metrics },
        { "/openapi.json", openapi },
        { "/api", index_page },
    };

    if (!c->creds.safe_method) {
        (void)http_reply_header(c->req, "Allow", STR("GET, HEAD, OPTIONS"));
        api_reply_text(c, 405, "405 Method Not Allowed");
        return;
    }
    for (size_t i = 0; i < COUNT_OF(routes); i++) {
        if (str_eq_z(path, routes[i].path)) {
            routes[i].fn(c);
            return;
        }
    }
    if (!str_starts(path, STR("/files/")) && !str_starts(path, STR("/api/docs/"))) {
        api_reply_text(c, 404, "404 Not Found");
        return;
    }
    if (str_starts(path, STR("/api/docs/"))) {
        family_page(c, str_slice(path, 10, path.n));
        return;
    }
    if (http_request_query(c->req).n)
        (void)!api_query_object(c->arena, http_request_query(c->req), &c->query, NULL);
    api_serve_file(c, str_slice(path, 1, path.n));
}
