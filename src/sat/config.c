/* The configuration: one JSON document, and the few values of it that are asked for often. A merge
 * makes a new text that is parsed again, so file and memory cannot drift apart. */
#include "sat/config.h"

#include <math.h>
#include <sys/stat.h>

#include "base/file.h"
#include "json/writer.h"

static Usec seconds(yyjson_val *root, const char *key, double def)
{
    const double v = json_double(root, key, def);

    return v > 0 && v < 1e9 ? usec_from_epoch(v) : usec_from_epoch(def);
}

static Usec millis(yyjson_val *obj, const char *key, double def)
{
    const double v = json_double(obj, key, def);

    return v >= 0 && v < 1e12 ? usec_from_epoch(v / 1000) : usec_from_epoch(def / 1000);
}

static struct str text_or_none(yyjson_val *root, const char *key)
{
    const struct str s = json_str(root, key);

    return s.n ? s : STR_NONE;
}

static void apply(struct sat_config *c)
{
    yyjson_val *root = c->root;
    yyjson_val *http = json_get(root, "http_file_opts");
    const int64_t port = json_i64(root, "port", 5522);
    const int64_t retries = json_i64(http, "retries", 8);

    c->host = text_or_none(root, "host");
    c->hosts = json_get(root, "hosts");
    if (!yyjson_is_arr(c->hosts))
        c->hosts = NULL;
    c->port = port > 0 && port < 65536 ? (uint16_t)port : 5522;
    c->secure = json_truthy(json_get(root, "secure"));
    c->verify_tls = json_bool(json_get(root, "socket_opts"), "rejectUnauthorized", false);
    c->server_id = text_or_none(root, "server_id");
    c->auth_token = text_or_none(root, "auth_token");
    c->secret_key = text_or_none(root, "secret_key");
    c->hostname = text_or_none(root, "hostname");
    c->connect_timeout = seconds(root, "connect_timeout_sec", 5);
    c->ping_timeout = seconds(root, "ping_timeout_sec", 60);
    c->reconnect_delay = seconds(root, "socket_reconnect_delay_sec", 1);
    c->reconnect_max = seconds(root, "socket_reconnect_delay_max", 30);
    c->kill_timeout = seconds(root, "child_kill_timeout", 10);
    c->poll_every = millis(root, "check_config_freq_ms", 10000);
    c->monitoring = json_bool(root, "monitoring_enabled", true);
    c->quickmon = json_bool(root, "quickmon_enabled", true);
    c->abort_on_stop = json_bool(root, "abort_on_stop", false);
    c->http.first_byte = millis(http, "timeout", 300000);
    c->http.idle = millis(http, "idleTimeout", 30000);
    c->http.connect = millis(http, "connectTimeout", 10000);
    c->http.retries = retries >= 0 && retries <= 1000 ? (unsigned)retries : 8;
    c->http.retry_delay = millis(http, "retryDelay", 50);
    c->http.retry_max = millis(http, "retryDelayMax", 8000);
}

Status config_parse(struct sat_config *c, struct str text, struct err *err)
{
    struct sat_config fresh = { 0 };
    Status st = json_parse(str_trim(text).n ? text : STR("{}"), CONFIG_SIZE_MAX, &fresh.doc, err);

    if (st)
        return st;
    fresh.root = yyjson_doc_get_root(fresh.doc);
    if (!yyjson_is_obj(fresh.root)) {
        json_doc_free(fresh.doc);
        return err_set(err, STATUS_INVALID, NULL, "The configuration is not a JSON object");
    }
    apply(&fresh);
    config_done(c);
    *c = fresh;
    return STATUS_OK;
}

void config_done(struct sat_config *c)
{
    json_doc_free(c->doc);
    *c = (struct sat_config){ 0 };
}

Status config_load(struct sat_config *c, const char *path, struct err *err)
{
    AUTO_BUF struct buf text = { 0 };
    Status st;

    buf_init(&text, CONFIG_SIZE_MAX);
    st = file_read(path, &text, err);
    if (!st)
        st = config_parse(c, buf_str(&text), err);
    if (st && st != STATUS_MISSING)
        (void)!err_wrap(err, "%s", path);
    return st;
}

static bool is_managed(yyjson_val *managed, struct str key)
{
    size_t i, max;
    yyjson_val *v;

    if (!yyjson_is_arr(managed))
        return true;
    yyjson_arr_foreach (managed, i, max, v) {
        if (str_eq(json_val_str(v), key))
            return true;
    }
    return false;
}

static void put_merged(struct json_writer *w, yyjson_val *old, yyjson_val *update, bool pushed)
{
    yyjson_val *managed = pushed ? json_get(old, "managed_keys") : NULL;
    size_t i, max;
    yyjson_val *k, *v;

    yyjson_obj_foreach (old, i, max, k, v) {
        const struct str key = json_val_str(k);
        yyjson_val *fresh = is_managed(managed, key) ? json_get_str(update, key) : NULL;

        if (pushed && str_eq_z(key, "initial"))
            continue;
        json_put_val_k(w, key, fresh ? fresh : v);
    }
    yyjson_obj_foreach (update, i, max, k, v) {
        const struct str key = json_val_str(k);

        if (!json_get_str(old, key) && is_managed(managed, key))
            json_put_val_k(w, key, v);
    }
}

Status config_merge_text(struct str old, yyjson_val *update, bool pushed, struct buf *out,
                         struct err *err)
{
    AUTO(json_doc_free) yyjson_doc *doc = NULL;
    AUTO(json_doc_free) yyjson_doc *merged = NULL;
    AUTO_BUF struct buf text = { 0 };
    struct json_writer w;
    Status st;

    st = json_parse(str_trim(old).n ? old : STR("{}"), CONFIG_SIZE_MAX, &doc, err);
    if (st)
        return st;
    buf_init(&text, CONFIG_SIZE_MAX);
    w = json_writer_init(&text);
    json_obj(&w, NULL);
    put_merged(&w, yyjson_doc_get_root(doc), update, pushed);
    json_end(&w);
    if (text.failed)
        return err_set(err, STATUS_TOO_BIG, NULL, "The configuration would be too big");
    st = json_parse(buf_str(&text), CONFIG_SIZE_MAX, &merged, err);
    if (!st)
        st = json_text(yyjson_doc_get_root(merged), true, out);
    if (!st)
        st = buf_add_char(out, '\n');
    return st ? err_set(err, st, NULL, "Cannot write the configuration as text") : STATUS_OK;
}

bool config_has_all(const struct sat_config *c, yyjson_val *update)
{
    yyjson_val *managed = json_get(c->root, "managed_keys");
    size_t i, max;
    yyjson_val *k, *v;

    if (json_get(c->root, "initial"))
        return false;
    yyjson_obj_foreach (update, i, max, k, v) {
        const struct str key = json_val_str(k);
        yyjson_val *ours = json_get_str(c->root, key);

        if (is_managed(managed, key) && (!ours || !json_equal(ours, v)))
            return false;
    }
    return true;
}

Status config_update_file(const char *path, struct str update, bool pushed, struct buf *ret_text,
                          struct err *err)
{
    AUTO(json_doc_free) yyjson_doc *doc = NULL;
    AUTO_BUF struct buf old = { 0 };
    Status st;

    buf_init(&old, CONFIG_SIZE_MAX);
    st = json_parse(update, CONFIG_SIZE_MAX, &doc, err);
    if (st)
        return st;
    st = file_read(path, &old, err);
    if (st && st != STATUS_MISSING)
        return st;
    st = config_merge_text(buf_str(&old), yyjson_doc_get_root(doc), pushed, ret_text, err);
    if (st)
        return st;
    if (str_eq(buf_str(&old), buf_str(ret_text)))
        return STATUS_OK;
    return file_replace(path, buf_str(ret_text), 0600, err);
}

Usec config_mtime(const char *path)
{
    struct stat st;

    if (stat(path, &st) != 0)
        return 0;
    return (Usec)st.st_mtim.tv_sec * USEC_SEC + st.st_mtim.tv_nsec / 1000;
}
