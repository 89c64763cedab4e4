/* Absolute URLs of clients: http, https, ws, wss. Borrowed views; the parts are checked for
 * characters that must not get into a request line or a host name. */
#ifndef HTTP_URL_H
#define HTTP_URL_H

#include "base/status.h"
#include "base/str.h"

#define URL_MAX 8192u

struct url {
    struct str host;   /* without brackets */
    struct str target; /* path and query, "" when none: then "/" is meant */
    struct str auth;   /* "user:password" or .p NULL */
    uint16_t port;
    bool tls;
    bool websocket;
    bool ipv6;     /* host was in brackets */
    bool has_port; /* port differs from the scheme's own */
};

Status url_parse(struct str text, struct url *ret, struct err *err) MUST_USE;

#endif
