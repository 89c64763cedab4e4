/* Scripts of plugins on disk (reference/satellite.md 11): TEMP/plugins/ID holds the script of each
 * plugin that has one, and nothing else. Written on the probe lane, one update after the other;
 * launches wait meanwhile. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/id.h"
#include "base/log.h"
#include "sat/sat.h"

#define SCRIPT_PATH_MAX 4096u

struct scripts_work {
    struct lane_work work;
    struct sat *sat;
    char *folder;
    char *json[2];
    unsigned failed;
};

/* [{id, script}] of the plugins that have one. */
static char *scripts_json(yyjson_val *plugins)
{
    AUTO_BUF struct buf text = { 0 };
    struct json_writer w;
    size_t i, max, n = 0;
    yyjson_val *v;

    buf_init(&text, SAT_MESSAGE_MAX);
    w = json_writer_init(&text);
    json_arr(&w, NULL);
    yyjson_arr_foreach (plugins, i, max, v) {
        if (!str_is_word(json_str(v, "id")) || !json_str(v, "script").n || n++ >= SAT_PLUGINS_MAX)
            continue;
        json_obj(&w, NULL);
        json_put_str(&w, "id", json_str(v, "id"));
        json_put_str(&w, "script", json_str(v, "script"));
        json_end(&w);
    }
    json_end(&w);
    return buf_take(&text, NULL);
}

static bool same_file(const char *path, struct str content)
{
    AUTO_BUF struct buf old = { 0 };
    struct stat st;

    buf_init(&old, content.n + 1);
    return stat(path, &st) == 0 && (size_t)st.st_size == content.n &&
           file_read(path, &old, NULL) == STATUS_OK && str_eq(buf_str(&old), content);
}

static bool write_script(const char *folder, struct str id, struct str script)
{
    char path[SCRIPT_PATH_MAX];
    char fresh[SCRIPT_PATH_MAX];
    AUTO_BUF struct buf text = { 0 };
    int fd;
    bool ok;

    buf_init(&text, SAT_MESSAGE_MAX);
    (void)buf_add_str(&text, script);
    (void)buf_add_char(&text, '\n');
    if (text.failed || id.n > ID_MAX ||
        snprintf(fresh, sizeof(fresh), "%s/.%.*s.new", folder, STR_FMT(id)) >= (int)sizeof(fresh))
        return false;
    (void)snprintf(path, sizeof(path), "%s/%.*s", folder, STR_FMT(id));
    if (same_file(path, buf_str(&text)))
        return true;
    fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0)
        return false;
    ok = file_write_all(fd, text.p, text.n) == 0;
    ok = close(fd) == 0 && ok;
    return ok && rename(fresh, path) == 0;
}

static bool listed(yyjson_val *list, const char *name)
{
    size_t i, max;
    yyjson_val *v;

    yyjson_arr_foreach (list, i, max, v) {
        if (str_eq_z(json_str(v, "id"), name))
            return true;
    }
    return false;
}

static void remove_others(const char *folder, yyjson_doc *const docs[2])
{
    DIR *dir = opendir(folder);
    struct dirent *e;

    while (dir && (e = readdir(dir)) != NULL) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if (!listed(yyjson_doc_get_root(docs[0]), e->d_name) &&
            !listed(yyjson_doc_get_root(docs[1]), e->d_name))
            (void)unlinkat(dirfd(dir), e->d_name, 0);
    }
    if (dir)
        closedir(dir);
}

static void scripts_do(struct lane_work *work)
{
    struct scripts_work *w = CONTAINER_OF(work, struct scripts_work, work);
    yyjson_doc *docs[2] = { NULL, NULL };
    size_t i, max;
    yyjson_val *v;

    for (size_t k = 0; k < 2; k++) {
        if (w->json[k] &&
            json_parse(str_z(w->json[k]), SAT_MESSAGE_MAX, &docs[k], NULL) != STATUS_OK)
            docs[k] = NULL;
        yyjson_arr_foreach (yyjson_doc_get_root(docs[k]), i, max, v)
            w->failed += !write_script(w->folder, json_str(v, "id"), json_str(v, "script"));
    }
    remove_others(w->folder, docs);
    json_doc_free(docs[0]);
    json_doc_free(docs[1]);
}

static void work_free(struct scripts_work *w)
{
    free(w->folder);
    free(w->json[0]);
    free(w->json[1]);
    free(w);
}

static void scripts_done(struct lane_work *work)
{
    struct scripts_work *w = CONTAINER_OF(work, struct scripts_work, work);
    struct sat *s = w->sat;

    if (w->failed)
        log_event(LOG_ERROR, "plugins.not_written", "count=%u folder=%s", w->failed, w->folder);
    work_free(w);
    s->scripts_writing--;
    if (!s->scripts_writing)
        runner_scripts_ready(s->runner);
}

bool plugins_busy(const struct sat *s)
{
    return s->scripts_writing > 0;
}

void plugins_set(struct sat *s, yyjson_val *plugins, yyjson_val *commands)
{
    yyjson_val *const lists[2] = { plugins, commands };
    struct scripts_work *w;
    bool any = false;

    for (size_t k = 0; k < 2; k++) {
        if (!yyjson_is_arr(lists[k]))
            continue;
        free(s->scripts[k]);
        s->scripts[k] = scripts_json(lists[k]);
        any = true;
    }
    w = any ? calloc(1, sizeof(*w)) : NULL;
    if (!w)
        return;
    w->work = (struct lane_work){ .work = scripts_do, .done = scripts_done };
    w->sat = s;
    if (asprintf(&w->folder, "%s/plugins", s->temp) < 0)
        w->folder = NULL;
    for (size_t k = 0; k < 2; k++)
        w->json[k] = s->scripts[k] ? strdup(s->scripts[k]) : NULL;
    if (!w->folder || lane_post(s->probe, &w->work) != STATUS_OK) {
        log_event(LOG_ERROR, "plugins.not_written", "reason=busy");
        work_free(w);
        return;
    }
    s->scripts_writing++;
}
