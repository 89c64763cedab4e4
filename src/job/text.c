/* User content of a job made safe: text, Markdown and HTML of plugins are shown as preformatted
 * text, every character of markup escaped. */
#include "job/room_int.h"

static bool escape(struct str s, struct buf *out)
{
    for (size_t i = 0; i < s.n; i++) {
        const char c = s.p[i];

        if (c == '<')
            (void)buf_add_z(out, "&lt;");
        else if (c == '>')
            (void)buf_add_z(out, "&gt;");
        else if (c == '&')
            (void)buf_add_z(out, "&amp;");
        else
            (void)buf_add_char(out, c);
    }
    return !out->failed;
}

bool text_to_html(yyjson_val *text, struct buf *out)
{
    AUTO_BUF struct buf content = { 0 };
    struct json_writer w;
    static const char *const keep[] = { "title", "caption" };

    buf_init(&content, JOB_FIELD_MAX);
    (void)buf_add_z(&content, "<pre>");
    if (!escape(yyjson_is_str(text) ? json_val_str(text) : json_str(text, "content"), &content))
        return false;
    (void)buf_add_z(&content, "</pre>");
    w = json_writer_init(out);
    json_obj(&w, NULL);
    for (size_t i = 0; i < COUNT_OF(keep); i++) {
        const struct str value = json_str(text, keep[i]);

        if (value.p)
            json_put_str(&w, keep[i], value);
    }
    json_put_str(&w, "content", buf_str(&content));
    json_end(&w);
    return !content.failed && !out->failed;
}
