/* http/url.c: the parts of a URL that matter here: its authority, and what of it may be shown.
 *
 * Userinfo and query carry secrets (passwords, presigned signatures), so messages show neither. A password whose '/', '?'
 * or '#' is not percent-encoded seems to end with it, and what follows seems to be a path: in doubt both are hidden.
 */
#include <stdio.h>
#include <string.h>

#include "store/transport.h"

struct parts {
    struct span scheme, authority, path; /* authority: without userinfo */
};

static struct parts split(struct span url)
{
    struct parts p = {0};
    size_t at = 0;
    while (at < url.len && (((url.data[at] | 0x20) >= 'a' && (url.data[at] | 0x20) <= 'z') ||
                            (url.data[at] >= '0' && url.data[at] <= '9')))
        at++;
    if (at == 0 || url.len - at < 3 || memcmp(url.data + at, "://", 3) != 0)
        return p;
    p.scheme = span_of(url.data, at);
    size_t start = at + 3, end = start;
    while (end < url.len && url.data[end] != '/' && url.data[end] != '?' && url.data[end] != '#')
        end++;
    size_t host = start;
    for (size_t i = start; i < end; i++)
        if (url.data[i] == '@')
            host = i + 1;
    p.authority = span_of(url.data + host, end - host);
    size_t path_end = end;
    while (path_end < url.len && url.data[path_end] != '?' && url.data[path_end] != '#')
        path_end++;
    p.path = span_of(url.data + end, path_end - end);
    return p;
}

struct span http_url_authority(struct span url)
{
    struct parts p = split(url);
    struct span suffix = span_str(p.scheme.len == 5 ? ":443" : ":80");
    if (p.authority.len > suffix.len &&
        memcmp(p.authority.data + p.authority.len - suffix.len, suffix.data, suffix.len) == 0)
        p.authority.len -= suffix.len;
    return p.authority;
}

/* The length of the host's name or address in an authority. */
static size_t host_len(struct span authority)
{
    const uint8_t *bracket = authority.len ? memchr(authority.data, ']', authority.len) : NULL;
    size_t at = bracket && authority.data[0] == '[' ? (size_t)(bracket - authority.data) : 0;
    while (at < authority.len && authority.data[at] != ':')
        at++;
    return at;
}

/* Whether "host:port" may be a user's name and the beginning of a password. */
static bool may_be_password(struct span url, const struct parts *p)
{
    size_t host = host_len(p->authority);
    const uint8_t *end = p->authority.data + p->authority.len;
    if (host == p->authority.len)
        return false;
    for (size_t i = host + 1; i < p->authority.len; i++)
        if (p->authority.data[i] < '0' || p->authority.data[i] > '9')
            return true;
    return memchr(end, '@', (size_t)(url.data + url.len - end)) != NULL;
}

const char *http_url_shown(struct span url, char out[HTTP_URL_SHOWN_MAX])
{
    struct parts p = split(url);
    if (p.scheme.len == 0)
        snprintf(out, HTTP_URL_SHOWN_MAX, "(no URL)");
    else if (may_be_password(url, &p))
        snprintf(out, HTTP_URL_SHOWN_MAX, "%.*s://%.*s:(hidden)", SPAN_FMT(p.scheme), (int)host_len(p.authority),
                 (const char *)p.authority.data);
    else
        snprintf(out, HTTP_URL_SHOWN_MAX, "%.*s://%.*s%.*s", SPAN_FMT(p.scheme), SPAN_FMT(p.authority),
                 SPAN_FMT(p.path));
    return out;
}
