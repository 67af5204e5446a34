/* redis_url.c: parses the URLs of Redis servers. */
#include "embed/cache/redis_url.h"

#include "base/url.h"

enum { PORT_DEFAULT = 6379 };

/* Decodes a percent-encoded user or password. Returns false if it is malformed, too long, or contains NUL. */
static bool decode_secret(struct span text, char out[REDIS_SECRET_MAX + 1])
{
    size_t len = 0;
    for (size_t i = 0; i < text.len;) {
        uint8_t c;
        if (!percent_next(text, &i, &c) || c == '\0' || len == REDIS_SECRET_MAX)
            return false;
        out[len++] = (char)c;
    }
    out[len] = '\0';
    return true;
}

static bool read_decimal(struct span text, unsigned long max, unsigned long *out)
{
    *out = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        *out = *out * 10 + (unsigned long)(text.data[i] - '0');
        if (*out > max)
            return false;
    }
    return text.len > 0;
}

/* Cuts *rest at the first `mark`: sets *before to the text before it and *rest to the text behind it. Returns
 * false if there is no mark. */
static bool cut_at(struct span *rest, uint8_t mark, struct span *before)
{
    const uint8_t *at = rest->len ? memchr(rest->data, mark, rest->len) : NULL;
    if (!at)
        return false;
    *before = span_of(rest->data, (size_t)(at - rest->data));
    *rest = span_of(at + 1, rest->len - before->len - 1);
    return true;
}

static bool read_host(struct span text, struct redis_url *out)
{
    if (text.len == 0 || text.len > REDIS_HOST_MAX)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!plain && !memchr(".-_:%", c, 5))
            return false;
    }
    memcpy(out->host, text.data, text.len);
    out->host[text.len] = '\0';
    return true;
}

/* Reads [USER]:PASSWORD. A user needs a password. */
static bool read_login(struct span login, struct redis_url *out)
{
    struct span user;
    if (!cut_at(&login, ':', &user)) {
        user = login;
        login = span_of(NULL, 0);
    }
    return decode_secret(user, out->user) && decode_secret(login, out->password) &&
           (out->user[0] == '\0' || out->password[0]);
}

/* Reads HOST, HOST:PORT, [HOST] or [HOST]:PORT. */
static bool read_place(struct span place, struct redis_url *out)
{
    struct span host, port;
    url_split_place(place, &host, &port);
    if (port.data && !url_port(port, &out->port))
        return false;
    if (host.len > 0 && host.data[0] == '[') {
        if (host.data[host.len - 1] != ']')
            return false;
        host = span_of(host.data + 1, host.len - 2);
    }
    return read_host(host, out);
}

enum dp_status redis_url_parse(struct span text, struct redis_url *out, struct dp_error *error)
{
    static const char scheme[] = "redis://";
    struct span rest = text, login, place;
    unsigned long database = 0;
    *out = (struct redis_url){.port = PORT_DEFAULT};
    if (span_starts_with(text, span_str("rediss://")))
        return dp_fail(error, DP_UNSUPPORTED,
                       "rediss:// is not supported: the Redis client library has no TLS here. Use redis:// over a "
                       "private network, or through a TLS tunnel on this machine");
    if (!span_starts_with(text, span_str(scheme)))
        return dp_fail(error, span_starts_with(text, span_str("unix://")) ? DP_UNSUPPORTED : DP_INVALID,
                       "a Redis server is named by redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE]");
    rest = span_of(text.data + sizeof scheme - 1, text.len - (sizeof scheme - 1));
    if (cut_at(&rest, '@', &login) && !read_login(login, out))
        return dp_fail(error, DP_INVALID,
                       "the part of a redis:// URL before the '@' must be USER:PASSWORD or :PASSWORD, "
                       "percent-encoded, each of at most %d bytes",
                       REDIS_SECRET_MAX);
    if (cut_at(&rest, '/', &place)) {
        if (rest.len && !read_decimal(rest, REDIS_DATABASE_MAX, &database))
            return dp_fail(error, DP_INVALID, "the database of a redis:// URL must be a number from 0 to %d",
                           REDIS_DATABASE_MAX);
    } else {
        place = rest;
    }
    out->database = (unsigned)database;
    if (!read_place(place, out))
        return dp_fail(
            error, DP_INVALID,
            "the host of a redis:// URL must be a name or an address, with :PORT (1 to 65535) behind it "
            "or not");
    return DP_OK;
}

enum dp_status redis_url_parse_list(struct span text, struct redis_url out[REDIS_SERVERS_MAX], size_t *count,
                                    struct dp_error *error)
{
    bool more = true;
    *count = 0;
    while (more) {
        struct span one;
        more = cut_at(&text, ',', &one);
        if (!more)
            one = text;
        if (*count == REDIS_SERVERS_MAX)
            return dp_fail(error, DP_INVALID, "at most %d Redis servers may be named", REDIS_SERVERS_MAX);
        enum dp_status status = redis_url_parse(span_trim(one, " "), &out[*count], error);
        if (status != DP_OK) {
            dp_error_prefix(error, "Redis server %zu", *count + 1);
            return status;
        }
        for (size_t i = 0; i < *count; i++)
            if (strcmp(out[i].host, out[*count].host) == 0 && out[i].port == out[*count].port &&
                out[i].database == out[*count].database)
                return dp_fail(error, DP_INVALID, "Redis server %zu is the same as server %zu", *count + 1, i + 1);
        ++*count;
    }
    return DP_OK;
}
