/* Parsing absolute URLs, strictly: anything unusual is refused instead of guessed at. */
#include "http/url.h"

static bool take_scheme(struct str *rest, struct url *u)
{
    static const struct {
        struct str prefix;
        uint16_t port;
        bool tls;
        bool websocket;
    } schemes[] = {
        { { "http://", 7 }, 80, false, false },
        { { "https://", 8 }, 443, true, false },
        { { "ws://", 5 }, 80, false, true },
        { { "wss://", 6 }, 443, true, true },
    };

    for (size_t i = 0; i < COUNT_OF(schemes); i++) {
        if (!str_starts_nocase(*rest, schemes[i].prefix))
            continue;
        u->port = schemes[i].port;
        u->tls = schemes[i].tls;
        u->websocket = schemes[i].websocket;
        *rest = str_slice(*rest, schemes[i].prefix.n, rest->n);
        return true;
    }
    return false;
}

static bool take_port(struct str text, struct url *u)
{
    uint64_t port;

    if (text.n == 0)
        return true;
    if (text.n > 5 || !str_to_u64(text, &port) || port == 0 || port > 65535)
        return false;
    u->has_port = u->port != (uint16_t)port;
    u->port = (uint16_t)port;
    return true;
}

static bool take_authority(struct str a, struct url *u)
{
    size_t at = a.n;
    size_t end;

    while (at > 0 && a.p[at - 1] != '@')
        at--;
    if (at > 0) {
        u->auth = str_slice(a, 0, at - 1);
        a = str_slice(a, at, a.n);
    }
    if (a.n && a.p[0] == '[') {
        end = str_find_char(a, ']');
        if (end == a.n || (end + 1 < a.n && a.p[end + 1] != ':'))
            return false;
        u->ipv6 = true;
        u->host = str_slice(a, 1, end);
        return u->host.n > 0 && take_port(str_slice(a, end + 2, a.n), u);
    }
    end = str_find_char(a, ':');
    u->host = str_slice(a, 0, end);
    return u->host.n > 0 && u->host.n < 254 && take_port(str_slice(a, end + 1, a.n), u);
}

Status url_parse(struct str text, struct url *ret, struct err *err)
{
    struct url u = { 0 };
    struct str rest = text;
    size_t end = 0;

    if (text.n > URL_MAX)
        return err_set(err, STATUS_TOO_BIG, "url", "URL is longer than %u bytes", URL_MAX);
    for (size_t i = 0; i < text.n; i++)
        if ((unsigned char)text.p[i] <= ' ' || text.p[i] == 127 || text.p[i] == '\\')
            return err_set(err, STATUS_INVALID, "url", "URL holds a blank or control character");
    if (!take_scheme(&rest, &u))
        return err_set(err, STATUS_INVALID, "url",
                       "URL does not begin with http://, https://, ws:// or wss://");
    rest = str_slice(rest, 0, str_find_char(rest, '#'));
    while (end < rest.n && rest.p[end] != '/' && rest.p[end] != '?')
        end++;
    if (!take_authority(str_slice(rest, 0, end), &u))
        return err_set(err, STATUS_INVALID, "url", "URL has no proper host or port");
    u.target = str_slice(rest, end, rest.n);
    *ret = u;
    return STATUS_OK;
}
