/* One row a key: where it lies in the files, its type, default and meaning. Files and environment
 * are applied row by row in rising precedence; a value of the wrong type is an error that names the
 * key. */
#include "conductor/config.h"

#include "base/file.h"
#include "base/log.h"
#include "json/json.h"
#include "json/writer.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum config_type { CONFIG_TEXT, CONFIG_INT, CONFIG_OBJECT };

struct config_row {
    const char *path;
    enum config_type type;
    size_t at;
    const char *def; /* JSON text; NULL: computed */
    int64_t min, max;
    const char *doc;
};

#define AT(member) offsetof(struct config, member)

static const struct config_row config_rows[] = {
    { "base_app_url", CONFIG_TEXT, AT(base_app_url), NULL, 0, 0,
      "Public address, used to build links. Default: http://localhost:PORT." },
    { "hostname", CONFIG_TEXT, AT(hostname), NULL, 0, 0,
      "Name of this conductor. Default: the host's name." },
    { "log_level", CONFIG_TEXT, AT(log_level), "\"info\"", 0, 0, "error, warn, info or debug." },
    { "max_jobs_per_min", CONFIG_INT, AT(max_jobs_per_min), "6000", 0, 10000000,
      "Job starts a minute, a brake for runaway launches; 0 is no limit." },
    { "dead_job_timeout", CONFIG_INT, AT(dead_job_timeout_sec), "120", 5, 31536000,
      "Seconds without word of a running job until it is taken for dead." },
    { "job_env", CONFIG_OBJECT, AT(job_env), "{}", 0, 0, "Environment variables for every job." },
    { "satellite.config", CONFIG_OBJECT, AT(satellite_config), "{}", 0, 0,
      "Configuration pushed to every satellite when it joins." },
    { "WebServer.port", CONFIG_INT, AT(port), "5522", 0, 65535,
      "HTTP and WebSocket port; 0: any free one." },
    { "WebServer.https_port", CONFIG_INT, AT(https_port), "5523", 0, 65535,
      "HTTPS port; used when the certificate files exist." },
    { "WebServer.bind_address", CONFIG_TEXT, AT(bind), "\"127.0.0.1\"", 0, 0,
      "Address to listen on; :: or 0.0.0.0 for all." },
    { "WebServer.https_cert_file", CONFIG_TEXT, AT(cert_file), "\"conf/tls.crt\"", 0, 0,
      "Certificate chain, PEM; relative to the home." },
    { "WebServer.https_key_file", CONFIG_TEXT, AT(key_file), "\"conf/tls.key\"", 0, 0, "Its key." },
    { "WebServer.max_upload_size", CONFIG_INT, AT(max_upload_size), "1073741824", 1024,
      INT64_C(1) << 50, "Largest request body in bytes." },
    { "WebServer.max_connections", CONFIG_INT, AT(max_connections), "20000", 1, 1000000,
      "Connections at the same time, satellites included." },
    { "WebServer.max_concurrent_requests", CONFIG_INT, AT(max_concurrent_requests), "1024", 1,
      1000000, "Requests at work at the same time; more are answered 503." },
    { "WebServer.timeout", CONFIG_INT, AT(timeout_sec), "30", 1, 86400,
      "Seconds for the head of a request, and without progress of its body or reply." },
    { "WebServer.keep_alive_timeout", CONFIG_INT, AT(keep_alive_sec), "30", 1, 86400,
      "Seconds an idle connection is kept." },
    { "User.session_expire_days", CONFIG_INT, AT(session_expire_days), "365", 1, 36500,
      "Life of a login session." },
    { "User.max_failed_logins_per_hour", CONFIG_INT, AT(max_failed_logins_per_hour), "5", 1,
      1000000, "Failed logins within an hour before the account is locked." },
};

static Status apply(struct config *c, const struct config_row *row, yyjson_val *v, const char *from,
                    struct err *err)
{
    char *base = (char *)c;

    if (row->type == CONFIG_INT) {
        int64_t i = json_is_int(v) ? (int64_t)yyjson_get_num(v) : row->min - 1;

        if (i < row->min || i > row->max)
            return err_set(err, STATUS_INVALID, row->path,
                           "%s: %s must be a whole number from %lld to %lld.", from, row->path,
                           (long long)row->min, (long long)row->max);
        memcpy(base + row->at, &i, sizeof(i));
        return STATUS_OK;
    }
    const char *text = NULL;
    if (row->type == CONFIG_TEXT) {
        if (!yyjson_is_str(v))
            return err_set(err, STATUS_INVALID, row->path, "%s: %s must be a text.", from,
                           row->path);
        text = arena_dup_z(c->arena, json_val_str(v));
    } else {
        AUTO_BUF struct buf out = { 0 };

        if (!yyjson_is_obj(v))
            return err_set(err, STATUS_INVALID, row->path, "%s: %s must be an object.", from,
                           row->path);
        buf_init(&out, CONFIG_FILE_MAX);
        if (json_text(v, false, &out) == STATUS_OK)
            text = arena_dup_z(c->arena, buf_str(&out));
    }
    if (!text)
        return err_set(err, STATUS_NOMEM, row->path, "Out of memory.");
    memcpy(base + row->at, &text, sizeof(text));
    return STATUS_OK;
}

static Status apply_text(struct config *c, const struct config_row *row, struct str json,
                         const char *from, struct err *err)
{
    yyjson_val *v = NULL;
    Status st = json_parse_in(c->arena, json, CONFIG_FILE_MAX, &v, err);

    return st == STATUS_OK ? apply(c, row, v, from, err) : st;
}

/* Comment lines become blank ones, so that positions in messages stay right. */
static void blank_comments(struct buf *text)
{
    size_t i = 0;

    while (i < text->n) {
        size_t start = i;

        while (i < text->n && isspace((unsigned char)text->p[i]) && text->p[i] != '\n')
            i++;
        bool comment = i + 1 < text->n && text->p[i] == '/' && text->p[i + 1] == '/';

        while (i < text->n && text->p[i] != '\n') {
            if (comment)
                text->p[i] = ' ';
            i++;
        }
        (void)start;
        i++;
    }
}

static Status read_json(struct config *c, const char *path, yyjson_val **ret, struct err *err)
{
    AUTO_BUF struct buf text = { 0 };
    Status st;

    buf_init(&text, CONFIG_FILE_MAX);
    st = file_read(path, &text, err);
    if (st != STATUS_OK)
        return st;
    blank_comments(&text);
    st = json_parse_in(c->arena, arena_dup(c->arena, buf_str(&text)), CONFIG_FILE_MAX, ret, err);
    if (st != STATUS_OK)
        return err_wrap(err, "%s", path);
    if (!yyjson_is_obj(*ret))
        return err_set(err, STATUS_INVALID, NULL, "%s: must hold an object.", path);
    return STATUS_OK;
}

static Status apply_environment(struct config *c, const struct config_row *row, struct err *err)
{
    char name[256] = "ORRERY_";
    size_t n = strlen(name);
    const char *value;
    struct str text;
    AUTO_BUF struct buf quoted = { 0 };
    struct json_writer w;
    int64_t number;

    for (const char *p = row->path; *p && n + 3 < sizeof(name); p++) {
        if (*p == '.') {
            name[n++] = '_';
            name[n++] = '_';
        } else {
            name[n++] = *p;
        }
    }
    name[n] = '\0';
    value = getenv(name);
    if (!value)
        return STATUS_OK;
    text = str_z(value);
    buf_init(&quoted, CONFIG_FILE_MAX);
    w = json_writer_init(&quoted);
    if (row->type == CONFIG_TEXT)
        json_put_str(&w, NULL, text);
    else if (row->type == CONFIG_INT && str_to_i64(text, &number))
        json_put_i64(&w, NULL, number);
    else
        json_put_raw(&w, NULL, text);
    return apply_text(c, row, buf_str(&quoted), name, err);
}

Status config_write_default(struct buf *out)
{
    (void)buf_add_z(
        out,
        "{\n    // Orrery's configuration. Lines that begin with two slashes are comments; take "
        "them\n"
        "    // away to change a value. Nested keys may also be given as ORRERY_A__B=value in the\n"
        "    // environment. Restart orreryd after a change.\n\n");
    for (size_t i = 0; i < COUNT_OF(config_rows); i++) {
        const struct config_row *row = &config_rows[i];

        (void)buf_printf(out, "    // %s\n    // \"%s\": %s,\n\n", row->doc, row->path,
                         row->def ? row->def : "\"\"");
    }
    return buf_add_z(out, "    \"config_version\": 1\n}\n");
}

/* A key may be nested or written as one dotted name. */
static yyjson_val *lookup(yyjson_val *root, const char *path)
{
    yyjson_val *v = json_get(root, path);

    return v ? v : json_at(root, path);
}

static Status load_secret(struct config *c, const char *path, struct err *err)
{
    yyjson_val *root = NULL;
    struct str key;
    char fresh[44];
    AUTO_BUF struct buf text = { 0 };
    struct json_writer w;
    Status st = read_json(c, path, &root, err);

    if (st != STATUS_OK && st != STATUS_MISSING)
        return st;
    if (getenv("ORRERY_secret_key"))
        return secret_set(&c->secret_key, str_z(getenv("ORRERY_secret_key")));
    key = json_str(root, "secret_key");
    if (key.n)
        return secret_set(&c->secret_key, key);
    crypto_random_base64url(fresh);
    st = secret_set(&c->secret_key, str_z(fresh));
    buf_init(&text, CONFIG_FILE_MAX);
    w = json_writer_init(&text);
    json_obj(&w, NULL);
    if (root)
        json_put_members(&w, root, (const char *const[]){ "secret_key", NULL });
    json_put_z(&w, "secret_key", fresh);
    json_end(&w);
    crypto_wipe(fresh, sizeof(fresh));
    if (st == STATUS_OK)
        st = file_replace(path, buf_str(&text), 0600, err);
    crypto_wipe(text.p, text.n);
    return st;
}

static Status make_home(struct config *c, struct err *err)
{
    static const char *const folders[] = { "", "/conf", "/data", "/logs", "/logs/jobs" };
    Status st = STATUS_OK;

    for (size_t i = 0; i < COUNT_OF(folders) && st == STATUS_OK; i++) {
        struct str path = arena_printf(c->arena, "%s%s", c->home, folders[i]);

        st = path.p ? file_mkdirs(path.p, 0700, err) : STATUS_NOMEM;
    }
    return st;
}

static Status apply_all(struct config *c, yyjson_val *file, yyjson_val *overrides, struct err *err)
{
    Status st = STATUS_OK;

    for (size_t i = 0; i < COUNT_OF(config_rows) && st == STATUS_OK; i++) {
        const struct config_row *row = &config_rows[i];
        yyjson_val *from_file = lookup(file, row->path);
        yyjson_val *from_overrides = lookup(overrides, row->path);

        if (row->def)
            st = apply_text(c, row, str_z(row->def), "default", err);
        if (st == STATUS_OK && from_file)
            st = apply(c, row, from_file, "conf/config.json", err);
        if (st == STATUS_OK && from_overrides)
            st = apply(c, row, from_overrides, "conf/overrides.json", err);
        if (st == STATUS_OK)
            st = apply_environment(c, row, err);
    }
    return st;
}

static void lower_hostname(struct config *c)
{
    char name[256] = "localhost";

    if (!c->hostname || !*c->hostname) {
        (void)gethostname(name, sizeof(name) - 1);
        c->hostname = arena_dup_z(c->arena, str_z(name));
    }
    for (char *p = (char *)(uintptr_t)c->hostname; p && *p; p++)
        *p = (char)tolower((unsigned char)*p);
}

Status config_load(const char *home, struct config *ret, struct err *err)
{
    struct config c = { .home = home, .arena = arena_new(16u * 1024 * 1024) };
    yyjson_val *file = NULL;
    yyjson_val *overrides = NULL;
    struct str config_path, overrides_path;
    Status st;

    if (!c.arena)
        return err_set(err, STATUS_NOMEM, NULL, "Out of memory.");
    st = make_home(&c, err);
    config_path = arena_printf(c.arena, "%s/conf/config.json", home);
    overrides_path = arena_printf(c.arena, "%s/conf/overrides.json", home);
    if (st == STATUS_OK && access(config_path.p, F_OK) != 0) {
        AUTO_BUF struct buf text = { 0 };

        c.first_start = true;
        buf_init(&text, CONFIG_FILE_MAX);
        st = config_write_default(&text);
        if (st == STATUS_OK)
            st = file_replace(config_path.p, buf_str(&text), 0600, err);
    }
    if (st == STATUS_OK)
        st = load_secret(&c, overrides_path.p, err);
    if (st == STATUS_OK)
        st = read_json(&c, config_path.p, &file, err);
    if (st == STATUS_OK && access(overrides_path.p, F_OK) == 0)
        st = read_json(&c, overrides_path.p, &overrides, err);
    if (st == STATUS_OK)
        st = apply_all(&c, file, overrides, err);
    if (st != STATUS_OK) {
        config_done(&c);
        return st;
    }
    (void)chmod(config_path.p, 0600);
    (void)chmod(overrides_path.p, 0600);
    lower_hostname(&c);
    *ret = c;
    return STATUS_OK;
}

void config_done(struct config *c)
{
    secret_done(&c->secret_key);
    arena_free(c->arena);
    c->arena = NULL;
}
