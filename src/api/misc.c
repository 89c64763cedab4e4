/* Small calls that need no credentials: is there anybody, and what arrives of a request
 * (reference/api-operations.md 15). */
#include "api/api_int.h"

static void ping(struct api_call *c)
{
    api_reply_ok(c);
}

static void error(struct api_call *c)
{
    api_error(c, "test", "This is a test error message.");
}

static bool is_secret_header(struct str name)
{
    static const char *const names[] = { "Cookie",       "Authorization", "X-API-Key",
                                         "X-Session-ID", "X-CSRF-Token",  "Proxy-Authorization" };

    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (str_eq_nocase(name, str_z(names[i])))
            return true;
    }
    return false;
}

static struct str lower(struct api_call *c, struct str s)
{
    char *out = arena_dup_z(c->arena, s);

    for (size_t i = 0; out && i < s.n; i++) {
        if (out[i] >= 'A' && out[i] <= 'Z')
            out[i] = (char)(out[i] - 'A' + 'a');
    }
    return str_n(out, out ? s.n : 0);
}

static void put_headers(struct api_call *c, struct json_writer *w)
{
    size_t cursor = 0;
    struct str name;
    struct str value;

    json_obj(w, "headers");
    while (http_request_next_header(c->req, &cursor, &name, &value)) {
        if (!is_secret_header(name))
            json_put_str_k(w, lower(c, name), value);
    }
    json_end(w);
}

static void put_cookies(struct api_call *c, struct json_writer *w)
{
    struct str rest = http_request_header(c->req, "Cookie");
    struct str part;

    json_obj(w, "cookies");
    while (str_split(&rest, ';', &part)) {
        const struct str pair = str_trim(part);
        const size_t eq = str_find_char(pair, '=');
        const struct str name = str_slice(pair, 0, eq);

        if (eq > 0 && eq < pair.n && !str_eq_z(name, "session_id"))
            json_put_str_k(w, name, str_slice(pair, eq + 1, pair.n));
    }
    json_end(w);
}

static void put_files(const struct api_call *c, struct json_writer *w)
{
    json_obj(w, "files");
    for (size_t i = 0; c->files && i < c->files->n; i++) {
        const struct multipart_part *p = &c->files->parts[i];

        if (!p->path.p)
            continue;
        json_obj_k(w, p->name);
        json_put_str(w, "name", p->filename);
        json_put_str(w, "type", p->type);
        json_put_u64(w, "size", p->size);
        json_end(w);
    }
    json_end(w);
}

static void echo(struct api_call *c)
{
    struct buf out;
    struct json_writer w;

    buf_init(&out, API_REPLY_MAX);
    w = json_writer_init(&out);
    json_obj(&w, NULL);
    json_put_str(&w, "method", http_request_method(c->req));
    json_put_str(&w, "url", http_request_path(c->req)); /* the query may hold a credential */
    json_arr(&w, "ips");
    json_put_z(&w, NULL, http_request_peer(c->req));
    json_end(&w);
    json_put_val(&w, "query", c->query);
    put_headers(c, &w);
    put_cookies(c, &w);
    json_put_val(&w, "params", c->params);
    put_files(c, &w);
    api_reply_end(c, &w, &out);
}

const struct api_row api_misc_rows[] = {
    { API_ROW("echo", "misc", PUBLIC, NONE), .flags = API_FILES,
      .out = "method, url, ips, query, headers, cookies, params, files",
      .example = "{\"any\":\"thing\"}",
      .doc = "Shows what has arrived of a request, without its credentials; there is no `code`.",
      .fn = echo },
    { API_ROW("error", "misc", PUBLIC, NONE), .errors = "test",
      .doc = "Answers an error, to try out how a client takes it.", .fn = error },
    { API_ROW("ping", "misc", PUBLIC, NONE), .doc = "Answers, if there is anybody.", .fn = ping },
    { 0 },
};
