/* rooms: http net loop crypto base */
/* Query strings, percent coding and absolute URLs: encoding and decoding are inverse, decoding
 * never grows, an accepted URL holds nothing that could break a request line. */
#include "http/server.h"
#include "http/url.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void require(bool ok)
{
    if (!ok)
        abort();
}

static void check_url(struct str text)
{
    struct url u;

    if (url_parse(text, &u, NULL) != STATUS_OK)
        return;
    require(u.host.n > 0 && u.port > 0);
    require(u.target.n == 0 || u.target.p[0] == '/' || u.target.p[0] == '?');
    for (size_t i = 0; i < u.target.n; i++)
        require((unsigned char)u.target.p[i] > ' ');
    for (size_t i = 0; i < u.host.n; i++)
        require((unsigned char)u.host.p[i] > ' ' && u.host.p[i] != '/' && u.host.p[i] != '@');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const struct str text = str_n(n ? (const void *)data : "", n);
    struct arena *a = arena_new(64u * 1024 * 1024);
    struct str rest = text;
    struct str key;
    struct str value;
    struct buf out;
    size_t total = 0;

    while (http_form_next(&rest, a, &key, &value))
        total += key.n + value.n;
    require(total <= n);
    buf_init(&out, 3 * n + 1);
    require(http_url_encode(text, &out) == STATUS_OK);
    require(str_eq(http_url_decode(a, buf_str(&out), true), text));
    require(http_url_decode(a, text, false).n <= n);
    check_url(text);
    (void)http_content_type(text);
    buf_done(&out);
    arena_free(a);
    return 0;
}
