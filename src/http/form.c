/* Query strings and urlencoded forms: percent decoding and encoding, pairs one at a time. */
#include "http/server.h"

#include "base/buf.h"

struct str http_url_decode(struct arena *a, struct str s, bool plus_is_space)
{
    char *out;
    size_t n = 0;

    if (!a)
        return STR_NONE;
    out = arena_alloc(a, s.n + 1);
    if (!out)
        return STR_NONE;
    for (size_t i = 0; i < s.n; i++) {
        const int high = s.p[i] == '%' && i + 2 < s.n ? str_hex_digit(s.p[i + 1]) : -1;
        const int low = high >= 0 ? str_hex_digit(s.p[i + 2]) : -1;
        if (low >= 0) {
            out[n++] = (char)(high << 4 | low);
            i += 2;
        } else {
            out[n++] = plus_is_space && s.p[i] == '+' ? ' ' : s.p[i];
        }
    }
    out[n] = '\0';
    return str_n(out, n);
}

bool http_form_next(struct str *rest, struct arena *a, struct str *ret_key, struct str *ret_value)
{
    struct str pair;
    struct str key;
    struct str value;
    size_t eq;

    do {
        if (!str_split(rest, '&', &pair))
            return false;
    } while (pair.n == 0);
    eq = str_find_char(pair, '=');
    key = http_url_decode(a, str_slice(pair, 0, eq), true);
    value = http_url_decode(a, str_slice(pair, eq + 1, pair.n), true);
    if (!key.p || !value.p)
        return false;
    *ret_key = key;
    *ret_value = value;
    return true;
}

Status http_url_encode(struct str s, struct buf *out)
{
    static const char digits[] = "0123456789ABCDEF";

    for (size_t i = 0; i < s.n; i++) {
        const unsigned char c = (unsigned char)s.p[i];
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
            c == '-' || c == '.' || c == '_' || c == '~') {
            (void)buf_add_char(out, (char)c);
        } else {
            const char escaped[3] = { '%', digits[c >> 4], digits[c & 15] };
            (void)buf_add(out, escaped, 3);
        }
    }
    return out->failed ? STATUS_FULL : STATUS_OK;
}
