/* url_rules.c: parses URLs strictly, and compares them with the operator's rules. */
#include "service/url_rules.h"

#include "base/alloc.h"
#include "base/hex.h"
#include "base/masked_url.h"
#include "base/url.h"

enum { DECODE_ROUNDS_MAX = 4, RULES_MAX = 256, RULES_BYTES_MAX = 64 << 10 };

enum url_scheme { SCHEME_HTTP, SCHEME_HTTPS, SCHEME_S3, SCHEME_GS, SCHEME_AZ, SCHEME_FILE, SCHEMES };
static const char *const SCHEME_NAMES[SCHEMES] = {"http", "https", "s3", "gs", "az", "file"};
static const unsigned SCHEME_PORTS[SCHEMES] = {80, 443, 0, 0, 0, 0};

/* A parsed URL. */
struct url_parts {
    enum url_scheme scheme;
    struct span host; /* host or bucket, as written */
    unsigned port;
    struct span path; /* from the first '/' on; percent-decoded, except s3; in the arena */
};

struct rule {
    struct url_parts parts;
    /* The host was "*", or "*.host"; parts.host is the text behind the '*'. */
    bool any_host, below_host;
    bool is_start; /* the path ended in '*' */
    bool vouched;  /* the operator vouches for the host, which may have any address */
};

struct url_rules {
    struct arena arena;
    size_t count;
    struct rule rules[RULES_MAX];
};

/* ---- the parser ------------------------------------------------------------------------------------------ */

static bool is_bucket(enum url_scheme scheme)
{
    return scheme == SCHEME_S3 || scheme == SCHEME_GS || scheme == SCHEME_AZ;
}

static bool is_http(enum url_scheme scheme)
{
    return scheme == SCHEME_HTTP || scheme == SCHEME_HTTPS;
}

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

static bool is_alphanumeric(uint8_t c)
{
    return (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z');
}

/* Returns whether a part of a path stays a plain name, however often servers decode it. A plain name has no
 * separator and no control character, and is not "." or "..". Some servers cut a part at a ';', so the text before
 * a ';' must not be "." or ".." either. `scratch` has room for the part. */
static bool is_plain_part(struct span part, bool encoded, uint8_t *scratch)
{
    size_t len = part.len;
    if (len > 0)
        memcpy(scratch, part.data, len);
    unsigned rounds = 0;
    for (size_t before = SIZE_MAX; encoded && len < before;) {
        if (rounds++ == DECODE_ROUNDS_MAX)
            return false;
        before = len;
        len = percent_decode_loosely(span_of(scratch, len), scratch);
    }
    for (size_t i = 0; i < len; i++)
        if (scratch[i] < 0x20 || scratch[i] == 0x7f || scratch[i] == '\\' || scratch[i] == '/')
            return false;
    const uint8_t *cut = len > 0 ? memchr(scratch, ';', len) : NULL;
    struct span name = span_of(scratch, cut ? (size_t)(cut - scratch) : len);
    return !span_equal_str(name, ".") && !span_equal_str(name, "..");
}

/* Checks a path and decodes it once. */
static enum dp_status take_path(struct span raw, bool encoded, struct arena *arena, struct span *out,
                                struct dp_error *error)
{
    uint8_t *scratch = arena_alloc(arena, raw.len + 1), *path = arena_alloc(arena, raw.len + 1);
    if (!scratch || !path)
        return dp_fail_nomem(error, "a URL");
    for (size_t i = 0; encoded && i < raw.len; i++)
        if (raw.data[i] == '%' && !percent_byte(raw, i, scratch))
            return dp_fail(error, DP_INVALID, "a '%%' in its path is not followed by two hexadecimal digits");
    for (size_t begin = 1, end; begin <= raw.len; begin = end + 1) {
        for (end = begin; end < raw.len && raw.data[end] != '/'; end++)
            ;
        if (!is_plain_part(span_of(raw.data + begin, end - begin), encoded, scratch))
            return dp_fail(
                error, DP_INVALID,
                "its path has a part that can be read as '.' or '..', or to hold a '/', '\\' or control "
                "character");
    }
    path[0] = '/';
    size_t len = raw.len > 0 ? raw.len : 1;
    if (raw.len > 0)
        memcpy(path, raw.data, raw.len);
    if (encoded)
        len = percent_decode_loosely(span_of(path, len), path);
    *out = span_of(path, len);
    return DP_OK;
}

static bool is_host(struct span host, bool wildcards)
{
    if (host.len == 0 || host.len > 255)
        return false;
    bool address = host.data[0] == '[';
    for (size_t i = 0; i < host.len; i++) {
        uint8_t c = host.data[i];
        bool inside = address && i > 0 && i + 1 < host.len && (hex_digit(c) >= 0 || c == ':' || c == '.');
        bool bracket = address && (i == 0 || (i + 1 == host.len && c == ']'));
        bool name = !address && (is_alphanumeric(c) || c == '-' || c == '_' || (wildcards && c == '*' && i == 0) ||
                                 (c == '.' && i > 0 && i + 1 < host.len && host.data[i - 1] != '.'));
        if (!inside && !bracket && !name)
            return false;
    }
    return !address || host.len > 3;
}

/* Parses host[:port]. */
static enum dp_status take_authority(const struct url *url, bool wildcards, struct url_parts *out,
                                     struct dp_error *error)
{
    uint16_t port = (uint16_t)SCHEME_PORTS[out->scheme];
    if (url->userinfo.data)
        return dp_fail(error, DP_INVALID, "a user or password before its host is not allowed");
    if (url->port.data && !url_port(url->port, &port))
        return dp_fail(error, DP_INVALID, "its port is not a number from 1 to 65535");
    if (!is_host(url->host, wildcards))
        return dp_fail(error, DP_INVALID, "its host is neither a name nor an address");
    out->host = url->host;
    out->port = port;
    return DP_OK;
}

static enum dp_status take_apart(struct span text, bool wildcards, struct arena *arena, struct url_parts *out,
                                 struct dp_error *error)
{
    struct url url;
    *out = (struct url_parts){.scheme = SCHEMES};
    if (text.len > URL_RULES_URL_MAX)
        return dp_fail(error, DP_INVALID, "it has %zu bytes, more than %d", text.len, URL_RULES_URL_MAX);
    url_split(text, &url);
    for (unsigned s = 0; s < SCHEMES; s++)
        if (span_equal_str(url.scheme, SCHEME_NAMES[s]))
            out->scheme = (enum url_scheme)s;
    if (out->scheme == SCHEMES)
        return dp_fail(error, DP_INVALID, "it must begin with http://, https://, s3://, gs://, az:// or file:///");
    const bool http = is_http(out->scheme);
    for (size_t i = url.scheme.len + 3; i < text.len; i++) {
        uint8_t c = text.data[i];
        if (c < 0x20 || c == 0x7f || c == '\\' || c == '#' || (http && (c == ' ' || c >= 0x80)) ||
            (!http && c == '?'))
            return dp_fail(error, DP_INVALID, "it holds byte 0x%02x, which is not allowed%s", c,
                           http && c >= 0x20 && c != 0x7f && c != '\\' ? "; percent-encode it" : "");
    }
    enum dp_status status = DP_OK;
    if (http) {
        status = take_authority(&url, wildcards, out, error);
    } else if (out->scheme == SCHEME_FILE) {
        if (url.authority.len > 0)
            status = dp_fail(error, DP_INVALID, "write file:///path, with three slashes");
    } else {
        out->host = url.authority;
        if (!is_host(out->host, false))
            status = dp_fail(error, DP_INVALID,
                             "after %s:// comes the name of a bucket: letters, digits, '-', '_' and '.'",
                             SCHEME_NAMES[out->scheme]);
    }
    if (status != DP_OK)
        return status;
    return take_path(url.path, !is_bucket(out->scheme), arena, &out->path, error);
}

/* ---- rules ----------------------------------------------------------------------------------------------- */

/* Returns whether a host is an address, or localhost. */
static bool is_address(struct span host)
{
    bool digits = true;
    for (size_t i = 0; i < host.len; i++)
        digits = digits && ((host.data[i] >= '0' && host.data[i] <= '9') || host.data[i] == '.');
    return digits || host.data[0] == '[' || span_equal_str(host, "localhost");
}

static enum dp_status take_rule(struct span text, struct arena *arena, struct rule *out, struct dp_error *error)
{
    const struct span marker = span_str("private+");
    struct span url = text;
    *out = (struct rule){0};
    if (span_starts_with(url, marker)) {
        out->vouched = true;
        url = span_of(url.data + marker.len, url.len - marker.len);
    }
    if (memchr(url.data, '?', url.len))
        return dp_fail(error, DP_INVALID, "a rule must not have a query");
    enum dp_status status = take_apart(url, true, arena, &out->parts, error);
    if (status != DP_OK)
        return status;
    struct span *host = &out->parts.host, *path = &out->parts.path;
    if (out->vouched && !is_http(out->parts.scheme))
        return dp_fail(error, DP_INVALID, "private+ must precede http:// or https://");
    if (host->len > 0 && host->data[0] == '*') {
        out->any_host = host->len == 1;
        out->below_host = !out->any_host;
        *host = span_of(host->data + 1, host->len - 1);
        if (out->below_host && (host->data[0] != '.' || host->len < 2))
            return dp_fail(error, DP_INVALID, "a '*' in a host must be alone or precede a '.'");
    } else if (is_http(out->parts.scheme) && is_address(*host)) {
        out->vouched = true;
    }
    out->is_start = path->data[path->len - 1] == '*';
    path->len -= out->is_start;
    return DP_OK;
}

static bool is_separator(uint8_t c)
{
    return c == ' ' || c == ',' || c == '\t' || c == '\n' || c == '\r';
}

/* Adds the rule to the error, without a password or a presigned query. */
static void name_rule(struct dp_error *error, struct span rule)
{
    const struct span marker = span_str("private+");
    const bool vouched = span_starts_with(rule, marker);
    const struct span url = vouched ? span_of(rule.data + marker.len, rule.len - marker.len) : rule;
    char shown[URL_SHOWN_MAX], masked[MASKED_URL_MAX];
    url_shown(url, shown);
    const bool is_url = strcmp(shown, "(no URL)") != 0;
    dp_error_prefix(error, "rule \"%s%s\"", vouched ? "private+" : "", is_url ? shown : masked_url(url, masked));
}

enum dp_status url_rules_new(struct span text, struct url_rules **out, struct dp_error *error)
{
    *out = NULL;
    if (text.len > RULES_BYTES_MAX)
        return dp_fail(error, DP_INVALID, "the rules for URLs have %zu bytes, more than %d", text.len,
                       RULES_BYTES_MAX);
    struct url_rules *rules = mem_calloc(1, sizeof *rules);
    if (!rules)
        return dp_fail_nomem(error, "the rules for URLs");
    arena_init(&rules->arena, 1 << 20);
    enum dp_status status = DP_OK;
    struct span copy = arena_copy(&rules->arena, text);
    if (!copy.data)
        status = dp_fail_nomem(error, "the rules for URLs");
    for (size_t begin = 0, end; status == DP_OK && begin < text.len; begin = end + 1) {
        for (end = begin; end < text.len && !is_separator(copy.data[end]); end++)
            ;
        struct span rule = span_of(copy.data + begin, end - begin);
        if (rule.len == 0)
            continue;
        if (rules->count == RULES_MAX) {
            status = dp_fail(error, DP_INVALID, "there are more than %d rules for URLs", RULES_MAX);
            break;
        }
        status = take_rule(rule, &rules->arena, &rules->rules[rules->count++], error);
        if (status == DP_INVALID)
            name_rule(error, rule);
    }
    if (status == DP_OK)
        *out = rules;
    else
        url_rules_free(rules);
    return status;
}

void url_rules_free(struct url_rules *rules)
{
    if (!rules)
        return;
    arena_deinit(&rules->arena);
    mem_free(rules);
}

size_t url_rules_count(const struct url_rules *rules)
{
    return rules->count;
}

/* ---- matching -------------------------------------------------------------------------------------------- */

static bool equal_in_any_case(struct span a, struct span b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (lower(a.data[i]) != lower(b.data[i]))
            return false;
    return true;
}

static bool host_fits(const struct rule *rule, const struct url_parts *url)
{
    struct span host = rule->parts.host;
    if (rule->any_host)
        return true;
    if (!rule->below_host)
        return is_bucket(rule->parts.scheme) ? span_equal(host, url->host) : equal_in_any_case(host, url->host);
    return url->host.len > host.len && url->host.data[0] != '[' &&
           equal_in_any_case(host, span_of(url->host.data + (url->host.len - host.len), host.len));
}

static bool path_fits(const struct rule *rule, const struct url_parts *url)
{
    struct span path = rule->parts.path;
    if (!span_starts_with(url->path, path))
        return false;
    return rule->is_start || path.data[path.len - 1] == '/' || url->path.len == path.len ||
           url->path.data[path.len] == '/';
}

static bool permits(const struct rule *rule, const struct url_parts *url)
{
    return rule->parts.scheme == url->scheme && rule->parts.port == url->port && host_fits(rule, url) &&
           path_fits(rule, url);
}

/* Returns the folder that a rule for files names. It is the rule's path, or the path up to its last '/' if the
 * rule names one file or ends in '*'. */
static struct span folder_of(const struct rule *rule, const struct url_parts *url)
{
    struct span path = rule->parts.path;
    bool whole = !rule->is_start && url->path.len > path.len; /* the URL lies below the path */
    while (!whole && path.data[path.len - 1] != '/')
        path.len--;
    while (path.len > 1 && path.data[path.len - 1] == '/')
        path.len--;
    return path;
}

enum dp_status url_rules_check(const struct url_rules *rules, struct span url, struct arena *arena,
                               struct url_permit *out, struct dp_error *error)
{
    struct url_parts parts;
    struct span below = {0};
    bool found = false;
    *out = (struct url_permit){.reach = URL_PUBLIC};
    enum dp_status status = take_apart(url, false, arena, &parts, error);
    if (status == DP_INVALID)
        dp_error_prefix(error, "url");
    if (status != DP_OK)
        return status;
    for (size_t i = 0; i < rules->count; i++)
        if (permits(&rules->rules[i], &parts)) {
            found = true;
            if (rules->rules[i].vouched)
                out->reach = URL_ANY;
            struct span folder = parts.scheme == SCHEME_FILE ? folder_of(&rules->rules[i], &parts) : below;
            /* the longest folder: the operator wrote its path, so symbolic links in that path are trusted */
            if (folder.len > below.len)
                below = folder;
        }
    if (parts.scheme == SCHEME_FILE)
        out->reach = URL_LOCAL;
    else if (is_bucket(parts.scheme))
        out->reach = URL_BUCKET;
    out->below = found && parts.scheme == SCHEME_FILE ? arena_printf(arena, "%.*s", SPAN_FMT(below)) : NULL;
    if (found && parts.scheme == SCHEME_FILE && !out->below)
        return dp_fail_nomem(error, "a URL");
    char shown[URL_SHOWN_MAX];
    if (!found)
        return dp_fail(error, DP_DENIED,
                       "%s: this server may not open that URL; its operator permits URLs with %s",
                       url_shown(url, shown), "--allow-index-url");
    return DP_OK;
}
