/* url.c: splits URLs, and decodes and encodes percent signs, for the whole program. */
#include "base/url.h"

#include "base/hex.h"

/* ---- parts -------------------------------------------------------------------------------------------- */

static bool is_letter(uint8_t c)
{
    return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

bool url_is_scheme_byte(uint8_t c)
{
    return is_letter(c) || (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
}

size_t url_scheme_len(struct span text)
{
    size_t len = 0;
    struct span mark;
    while (len < text.len && url_is_scheme_byte(text.data[len]))
        len++;
    if (len == 0 || !is_letter(text.data[0]) || !span_sub(text, len, 3, &mark) || !span_equal_str(mark, "://"))
        return 0;
    return len;
}

/* Takes the text before the first byte of `marks`, or all of it, from *rest. */
static struct span take_before(struct span *rest, const char *marks)
{
    size_t len = 0;
    while (len < rest->len && (!rest->data[len] || !strchr(marks, rest->data[len])))
        len++;
    struct span taken = span_of(rest->data, len);
    *rest = span_of(rest->data + len, rest->len - len);
    return taken;
}

/* Takes the text between `mark` and the first byte of `marks` from *rest. Data NULL: *rest does not begin with
 * `mark`. */
static struct span take_behind(struct span *rest, uint8_t mark, const char *marks)
{
    if (rest->len == 0 || rest->data[0] != mark)
        return span_of(NULL, 0);
    *rest = span_of(rest->data + 1, rest->len - 1);
    return take_before(rest, marks);
}

bool url_split(struct span text, struct url *out)
{
    size_t scheme = url_scheme_len(text);
    *out = (struct url){0};
    if (scheme == 0)
        return false;
    out->scheme = span_of(text.data, scheme);
    struct span rest = span_of(text.data + scheme + 3, text.len - scheme - 3);
    out->authority = take_before(&rest, "/?#");
    out->path = take_before(&rest, "?#");
    out->query = take_behind(&rest, '?', "#");
    out->fragment = take_behind(&rest, '#', "");
    size_t host = out->authority.len;
    while (host > 0 && out->authority.data[host - 1] != '@')
        host--;
    if (host > 0)
        out->userinfo = span_of(out->authority.data, host - 1);
    out->place = span_of(out->authority.data + host, out->authority.len - host);
    url_split_place(out->place, &out->host, &out->port);
    return true;
}

void url_split_place(struct span place, struct span *host, struct span *port)
{
    *host = place;
    *port = span_of(NULL, 0);
    const uint8_t *bracket = place.len > 0 && place.data[0] == '[' ? memchr(place.data, ']', place.len) : NULL;
    size_t end = bracket ? (size_t)(bracket - place.data) : 0;
    while (end < place.len && place.data[end] != ':')
        end++;
    if (end == place.len)
        return;
    *host = span_of(place.data, end);
    *port = span_of(place.data + end + 1, place.len - end - 1);
}

bool url_port(struct span digits, uint16_t *out)
{
    unsigned port = 0;
    if (digits.len == 0 || digits.len > 5)
        return false;
    for (size_t i = 0; i < digits.len; i++) {
        if (digits.data[i] < '0' || digits.data[i] > '9')
            return false;
        port = port * 10 + (digits.data[i] - '0');
    }
    *out = (uint16_t)port;
    return port > 0 && port <= UINT16_MAX;
}

struct span url_host_header(struct span text)
{
    struct url url;
    url_split(text, &url);
    const char *own = span_equal_str(url.scheme, "https") ? "443" : "80";
    return url.port.data && span_equal_str(url.port, own) ? url.host : url.place;
}

/* ---- percent signs ------------------------------------------------------------------------------------- */

bool percent_byte(struct span text, size_t at, uint8_t *out)
{
    struct span escape;
    if (!span_sub(text, at, 3, &escape) || escape.data[0] != '%')
        return false;
    int high = hex_digit(escape.data[1]), low = hex_digit(escape.data[2]);
    if (high < 0 || low < 0)
        return false;
    *out = (uint8_t)(high << 4 | low);
    return true;
}

bool percent_next(struct span text, size_t *at, uint8_t *out)
{
    *out = text.data[*at];
    if (*out == '%' && !percent_byte(text, *at, out))
        return false;
    *at += text.data[*at] == '%' ? 3 : 1;
    return true;
}

bool percent_decode(struct span text, bool plus, uint8_t *out, size_t *len)
{
    size_t to = 0;
    for (size_t i = 0; i < text.len;) {
        const bool is_blank = plus && text.data[i] == '+';
        uint8_t c;
        if (!percent_next(text, &i, &c))
            return false;
        out[to++] = is_blank ? ' ' : c;
    }
    *len = to;
    return true;
}

size_t percent_decode_loosely(struct span text, uint8_t *out)
{
    size_t to = 0;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        if (percent_byte(text, i, &c))
            i += 2;
        out[to++] = c;
    }
    return to;
}

static bool is_unreserved(uint8_t c)
{
    return is_letter(c) || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
}

size_t percent_encode(struct span text, bool keep_slash, uint8_t *out)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t to = 0;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        if (is_unreserved(c) || (keep_slash && c == '/')) {
            out[to++] = c;
            continue;
        }
        out[to++] = '%';
        out[to++] = (uint8_t)digits[c >> 4];
        out[to++] = (uint8_t)digits[c & 15];
    }
    return to;
}

void percent_append(struct buffer *out, struct span text, bool keep_slash)
{
    if (text.len <= SIZE_MAX / 3 && buffer_reserve(out, 3 * text.len))
        out->len += percent_encode(text, keep_slash, out->data + out->len);
}
