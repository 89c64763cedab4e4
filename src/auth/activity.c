/* Writes activity rows. The members are those of the reference, so that its clients can read them;
 * `keywords` is what a search by object or user looks at. */
#include "auth/activity.h"

#include <ctype.h>

#define KEYWORD_MAX 256

/* Non-word characters become "_". */
static struct str keyword(struct str s, char out[KEYWORD_MAX + 1])
{
    (void)str_copy_z(s, out, KEYWORD_MAX + 1);
    for (char *c = out; *c; c++) {
        if (!isalnum((unsigned char)*c) && *c != '_')
            *c = '_';
    }
    return str_z(out);
}

static struct str or_empty(struct str s)
{
    return s.p ? s : STR("");
}

static void put_row(struct buf *out, const Id *id, const struct auth_activity *v,
                    const struct actor *by, struct str user, bool extra, Usec now)
{
    struct json_writer w = json_writer_init(out);

    json_obj(&w, NULL);
    json_put_str(&w, "id", id_str(id));
    json_put_z(&w, "action", v->action);
    json_put_i64(&w, "epoch", now / USEC_SEC);
    json_put_str(&w, "description", or_empty(v->description));
    json_put_str(&w, "username", or_empty(by->username));
    json_put_str(&w, "ip", or_empty(by->ip));
    json_put_str(&w, "useragent", or_empty(by->user_agent));
    json_arr(&w, "keywords");
    if (v->object.p)
        json_put_str(&w, NULL, v->object);
    json_put_str(&w, NULL, user);
    json_end(&w);
    for (size_t i = 0; extra && i < v->n_extra; i++)
        json_put_raw(&w, v->extra[i].key, v->extra[i].json);
    json_end(&w);
}

void auth_put_activity(struct store_tx *tx, struct id_source *ids, const struct auth_activity *v,
                       const struct actor *by, Usec now)
{
    const Id id = id_new(ids, "a", now);
    char user_text[KEYWORD_MAX + 1];
    char words[KEYWORD_MAX + ID_MAX + 2];
    const struct str user = keyword(by->username, user_text);
    struct store_value columns[ACTIVITY_COLUMNS];
    AUTO_BUF struct buf out = { 0 };

    buf_init(&out, AUTH_ACTIVITY_MAX);
    put_row(&out, &id, v, by, user, true, now);
    if (out.failed) {
        buf_clear(&out);
        put_row(&out, &id, v, by, user, false, now);
    }
    (void)snprintf(words, sizeof words, "%.*s%s%s", STR_FMT(str_slice(v->object, 0, ID_MAX)),
                   v->object.n ? "," : "", user_text);
    columns[ACTIVITY_ACTION] = store_text(str_z(v->action));
    columns[ACTIVITY_EPOCH] = store_real(usec_to_epoch(now));
    columns[ACTIVITY_USERNAME] = store_text(or_empty(by->username));
    columns[ACTIVITY_KEYWORDS] = store_text(str_z(words));
    store_tx_put(tx, TABLE_ACTIVITY, id_str(&id), buf_str(&out), columns, ACTIVITY_COLUMNS);
}
