/* The connection to the API on libcurl, and the stored URL and key. The key never appears in argv
 * or messages. */
#include "cli/cli.h"

#include "base/file.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONFIG_MAX (64u * 1024)

struct client {
    struct arena *arena;
    CURL *curl;
    const char *url; /* without a trailing slash */
    struct curl_slist *headers;
    char error[CURL_ERROR_SIZE];
};

static const char *config_path(struct arena *a)
{
    const char *given = getenv("ORRERY_CONFIG");
    const char *base = getenv("XDG_CONFIG_HOME");
    const char *home = getenv("HOME");

    if (given && *given)
        return given;
    if (base && *base)
        return arena_printf(a, "%s/orrery/config.json", base).p;
    return arena_printf(a, "%s/.config/orrery/config.json", home && *home ? home : ".").p;
}

void client_set(struct client *c, const char *url, struct str key)
{
    struct str u = str_z(url);
    struct str header = arena_printf(c->arena, "X-API-Key: %.*s", STR_FMT(key));

    while (u.n && u.p[u.n - 1] == '/')
        u.n--;
    c->url = arena_dup_z(c->arena, u);
    curl_slist_free_all(c->headers);
    c->headers = curl_slist_append(NULL, header.p);
}

static Status load(struct client *c, struct err *err)
{
    const char *url = getenv("ORRERY_URL");
    const char *key = getenv("ORRERY_API_KEY");
    AUTO_BUF struct buf text = { 0 };
    yyjson_val *root = NULL;
    Status st;

    if (url && *url && key && *key) {
        client_set(c, url, str_z(key));
        return STATUS_OK;
    }
    buf_init(&text, CONFIG_MAX);
    st = file_read(config_path(c->arena), &text, NULL);
    if (st == STATUS_OK)
        st = json_parse_in(c->arena, arena_dup(c->arena, buf_str(&text)), CONFIG_MAX, &root, err);
    if (st != STATUS_OK)
        return err_set(err, STATUS_INVALID, NULL,
                       "No server is known: run `orrery login URL` first.");
    client_set(c, url && *url ? url : arena_dup_z(c->arena, json_str(root, "url")),
               key && *key ? str_z(key) : json_str(root, "api_key"));
    return STATUS_OK;
}

Status client_open(struct arena *a, struct client **ret, struct err *err)
{
    struct client *c = arena_zalloc(a, sizeof(*c));
    Status st;

    if (!c || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return err_set(err, STATUS_NOMEM, NULL, "Out of memory.");
    c->arena = a;
    c->curl = curl_easy_init();
    if (!c->curl)
        return err_set(err, STATUS_NOMEM, NULL, "Out of memory.");
    st = err ? load(c, err) : STATUS_OK;
    if (st != STATUS_OK) {
        client_close(c);
        return st;
    }
    *ret = c;
    return STATUS_OK;
}

void client_close(struct client *c)
{
    if (!c)
        return;
    curl_slist_free_all(c->headers);
    curl_easy_cleanup(c->curl);
    curl_global_cleanup();
}

Status client_store(struct arena *a, const char *url, struct str key, struct err *err)
{
    const char *path = config_path(a);
    const char *slash = strrchr(path, '/');
    AUTO_BUF struct buf text = { 0 };
    struct json_writer w;
    Status st = STATUS_OK;

    if (slash && slash != path)
        st = file_mkdirs(arena_dup_z(a, str_n(path, (size_t)(slash - path))), 0700, err);
    buf_init(&text, CONFIG_MAX);
    w = json_writer_init(&text);
    json_obj(&w, NULL);
    json_put_z(&w, "url", url);
    json_put_str(&w, "api_key", key);
    json_end(&w);
    return st == STATUS_OK ? file_replace(path, buf_str(&text), 0600, err) : st;
}

static size_t take_reply(char *p, size_t size, size_t n, void *arg)
{
    return buf_add(arg, p, size * n) == STATUS_OK ? size * n : 0;
}

static void set_common(struct client *c, const char *url)
{
    curl_easy_reset(c->curl);
    (void)curl_easy_setopt(c->curl, CURLOPT_URL, url);
    (void)curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, c->headers);
    (void)curl_easy_setopt(c->curl, CURLOPT_USERAGENT, "orrery/" ORRERY_VERSION);
    (void)curl_easy_setopt(c->curl, CURLOPT_ERRORBUFFER, c->error);
    (void)curl_easy_setopt(c->curl, CURLOPT_ACCEPT_ENCODING, "");
    (void)curl_easy_setopt(c->curl, CURLOPT_CONNECTTIMEOUT, 10L);
    (void)curl_easy_setopt(c->curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(c->curl, CURLOPT_PROTOCOLS_STR, "http,https");
    c->error[0] = '\0';
}

static Status perform(struct client *c, struct err *err)
{
    CURLcode rc = curl_easy_perform(c->curl);

    if (rc == CURLE_OK)
        return STATUS_OK;
    return err_set(err, STATUS_IO, NULL, "%s: %s", c->url,
                   c->error[0] ? c->error : curl_easy_strerror(rc));
}

/* A parsed reply; a code that is not 0 becomes an error. */
static Status judge(struct client *c, struct buf *text, yyjson_val **ret_reply,
                    struct str *ret_text, struct err *err)
{
    struct str copy = arena_dup(c->arena, buf_str(text));
    yyjson_val *reply = NULL;
    yyjson_val *code;
    long http = 0;

    (void)curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &http);
    if (!copy.p || json_parse_in(c->arena, copy, CLI_REPLY_MAX, &reply, NULL) != STATUS_OK)
        return err_set(err, STATUS_INVALID, NULL, "The server answered HTTP %ld and no JSON.",
                       http);
    code = json_get(reply, "code");
    if (ret_text)
        *ret_text = copy;
    if (ret_reply)
        *ret_reply = reply;
    if (!code || (yyjson_is_num(code) && yyjson_get_num(code) == 0))
        return STATUS_OK;
    return err_set(err, STATUS_DENIED, yyjson_is_str(code) ? yyjson_get_str(code) : NULL, "%.*s",
                   STR_FMT(json_str(reply, "description")));
}

Status client_call(struct client *c, const char *name, struct str body, yyjson_val **ret_reply,
                   struct str *ret_text, struct err *err)
{
    struct str url = arena_printf(c->arena, "%s/api/app/%s/v1", c->url, name);
    struct curl_slist *json = NULL;
    AUTO_BUF struct buf text = { 0 };
    Status st;

    buf_init(&text, CLI_REPLY_MAX);
    set_common(c, url.p);
    for (struct curl_slist *h = c->headers; h; h = h->next)
        json = curl_slist_append(json, h->data);
    json = curl_slist_append(json, "Content-Type: application/json");
    json = curl_slist_append(json, "Expect:");
    (void)curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, json);
    (void)curl_easy_setopt(c->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.n);
    (void)curl_easy_setopt(c->curl, CURLOPT_POSTFIELDS, body.n ? body.p : "");
    (void)curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, take_reply);
    (void)curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, &text);
    st = perform(c, err);
    curl_slist_free_all(json);
    return st == STATUS_OK ? judge(c, &text, ret_reply, ret_text, err) : st;
}

Status client_upload(struct client *c, const char *name, struct str body,
                     const struct cli_file *files, size_t n, yyjson_val **ret_reply,
                     struct str *ret_text, struct err *err)
{
    struct str url = arena_printf(c->arena, "%s/api/app/%s/v1", c->url, name);
    AUTO_BUF struct buf text = { 0 };
    curl_mime *form;
    curl_mimepart *part;
    Status st;

    buf_init(&text, CLI_REPLY_MAX);
    set_common(c, url.p);
    form = curl_mime_init(c->curl);
    part = curl_mime_addpart(form);
    (void)curl_mime_name(part, "json");
    (void)curl_mime_data(part, body.p, body.n);
    for (size_t i = 0; i < n; i++) {
        struct str field = arena_printf(c->arena, "file%zu", i + 1);

        part = curl_mime_addpart(form);
        (void)curl_mime_name(part, field.p);
        if (curl_mime_filedata(part, files[i].path) != CURLE_OK) {
            curl_mime_free(form);
            return err_set(err, STATUS_MISSING, NULL, "Cannot read %s.", files[i].path);
        }
    }
    (void)curl_easy_setopt(c->curl, CURLOPT_MIMEPOST, form);
    (void)curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, take_reply);
    (void)curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, &text);
    st = perform(c, err);
    curl_mime_free(form);
    return st == STATUS_OK ? judge(c, &text, ret_reply, ret_text, err) : st;
}

struct get_sink {
    CURL *curl;
    size_t (*fn)(void *arg, const char *p, size_t n);
    void *arg;
    uint64_t skip; /* a server that ignores Range sends the beginning again */
};

/* The body of an error page is not part of the log. */
static size_t take_bytes(char *p, size_t size, size_t n, void *arg)
{
    struct get_sink *sink = arg;
    long http = 0;

    (void)curl_easy_getinfo(sink->curl, CURLINFO_RESPONSE_CODE, &http);
    if (http >= 300)
        return size * n;
    if (http == 200 && sink->skip) {
        size_t drop = sink->skip < size * n ? (size_t)sink->skip : size * n;

        sink->skip -= drop;
        return drop + (drop < size * n ? sink->fn(sink->arg, p + drop, size * n - drop) : 0);
    }
    return sink->fn(sink->arg, p, size * n);
}

Status client_get(struct client *c, const char *path, uint64_t from,
                  size_t (*fn)(void *arg, const char *p, size_t n), void *arg, long *ret_code,
                  struct err *err)
{
    struct str url = arena_printf(c->arena, "%s%s", c->url, path);
    struct get_sink sink = { .curl = c->curl, .fn = fn, .arg = arg, .skip = from };
    char range[32];
    Status st;

    set_common(c, url.p);
    if (from) {
        (void)snprintf(range, sizeof(range), "%llu-", (unsigned long long)from);
        (void)curl_easy_setopt(c->curl, CURLOPT_RANGE, range);
        (void)curl_easy_setopt(c->curl, CURLOPT_ACCEPT_ENCODING, NULL);
    }
    (void)curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, take_bytes);
    (void)curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, &sink);
    st = perform(c, err);
    (void)curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, ret_code);
    return st;
}
