/* masked_url.c: hides secrets in URLs. The texts are settings that may be malformed, so the code assumes only this
 * form: a list of URLs, each of which runs from a "scheme://" to the next. */
#include "base/masked_url.h"

#include <stdio.h>

#include "base/url.h"

static const char HIDDEN[] = "(hidden)", SEPARATORS[] = ",; \t";

static struct span text_from(struct span text, size_t at)
{
    return span_of(text.data + at, text.len - at);
}

/* Returns the offset of the first byte that is one of `characters`; text.len if there is none. */
static size_t find_any_of(struct span text, const char *characters)
{
    size_t at = 0;
    while (at < text.len && (!text.data[at] || !strchr(characters, text.data[at])))
        at++;
    return at;
}

/* Returns the offset of the first "://" from `at` on; text.len if there is none. */
static size_t find_scheme_end(struct span text, size_t at)
{
    for (; at + 3 <= text.len; at++)
        if (memcmp(text.data + at, "://", 3) == 0)
            return at;
    return text.len;
}

/* Returns the beginning of the next URL of a list after the one whose "://" is at `at`; text.len if there is
 * none. */
static size_t next_url(struct span text, size_t at)
{
    for (size_t end = find_scheme_end(text, at + 3); end < text.len; end = find_scheme_end(text, end + 3)) {
        size_t begin = end;
        while (begin > at + 3 && url_is_scheme_byte(text.data[begin - 1]))
            begin--;
        if (begin < end && strchr(SEPARATORS, text.data[begin - 1]))
            return begin;
    }
    return text.len;
}

static bool speaks_of_secrets(struct span name)
{
    static const char *const words[] = {"pass", "pwd", "secret", "token", "key", "sig", "credential", "auth"};
    for (size_t w = 0; w < sizeof words / sizeof *words; w++) {
        size_t len = strlen(words[w]), same = 0;
        for (size_t i = 0; i + len <= name.len && same < len; i++)
            for (same = 0; same < len && (name.data[i + same] | 0x20) == words[w][same];)
                same++;
        if (same == len)
            return true;
    }
    return false;
}

/* Returns the end of the value that begins at `at`: the first '&' with another "name=" after it. Any other '&' may
 * be part of the secret. */
static size_t end_of_value(struct span text, size_t at)
{
    for (at += find_any_of(text_from(text, at), "&"); at < text.len;
         at += 1 + find_any_of(text_from(text, at + 1), "&")) {
        size_t next = at + 1 + find_any_of(text_from(text, at + 1), "=&");
        if (next < text.len && text.data[next] == '=')
            return at;
    }
    return text.len;
}

/* Appends text and hides the secret values of its parameters. A parameter is a "name=value" at the beginning of
 * the text or after '?', '&' or a blank. */
static void append_parameters(struct buffer *out, struct span text)
{
    size_t shown = 0;
    for (size_t i = 0; i < text.len; i++) {
        struct span name = text_from(text, i);
        name.len = find_any_of(name, "=?& ");
        size_t value = i + name.len + 1;
        bool begins = i == 0 || strchr("?& ", text.data[i - 1]) != NULL;
        if (!begins || value > text.len || text.data[value - 1] != '=' || !speaks_of_secrets(name))
            continue;
        buffer_append(out, span_of(text.data + shown, value - shown));
        buffer_append_str(out, HIDDEN);
        shown = end_of_value(text, value);
        i = shown - 1;
    }
    buffer_append(out, text_from(text, shown));
}

/* Appends one URL and hides its password. The user's name begins at `user`. 0: the text has no scheme, so
 * everything before the '@' is hidden. */
static void append_url(struct buffer *out, struct span url, size_t user)
{
    size_t at = url.len; /* after the loop, the byte after the last '@'; then the '@' itself */
    while (at > user && url.data[at - 1] != '@')
        at--;
    if (at == user) {
        append_parameters(out, url);
        return;
    }
    at--;
    struct span userinfo = span_of(url.data + user, at - user);
    size_t name = user ? find_any_of(userinfo, ":") : 0;
    if (user && name == userinfo.len) {
        append_parameters(out, url); /* no password; or the '@' is in a parameter */
        return;
    }
    buffer_append(out, span_of(url.data, user + name));
    buffer_append_str(out, user ? ":" : "");
    buffer_append_str(out, HIDDEN);
    /* With a '?' before the '@', either the password holds the '?' or a parameter holds the '@'. Nobody can tell,
     * so hide the rest. */
    if (find_any_of(userinfo, "?") == userinfo.len)
        append_parameters(out, text_from(url, at));
}

void masked_url_append(struct buffer *out, struct span text)
{
    size_t scheme = find_scheme_end(text, 0);
    if (scheme == text.len) {
        append_url(out, text, 0);
        return;
    }
    while (scheme < text.len) {
        size_t next = next_url(text, scheme);
        append_url(out, span_of(text.data, next), scheme + 3);
        text = text_from(text, next);
        scheme = find_scheme_end(text, 0);
    }
}

const char *masked_url(struct span text, char out[MASKED_URL_MAX])
{
    struct buffer all;
    buffer_init(&all, SIZE_MAX / 2);
    masked_url_append(&all, text);
    size_t len = all.len;
    if (len >= MASKED_URL_MAX)
        for (len = MASKED_URL_MAX - 1; len > 0 && (all.data[len] & 0xc0) == 0x80;)
            len--;
    if (all.status != DP_OK) /* `all` has only the beginning of the masked text, so show nothing */
        len = 0;
    for (size_t i = 0; i < len; i++)
        out[i] = all.data[i] < ' ' || all.data[i] == 0x7f ? '?' : (char)all.data[i];
    out[len] = '\0';
    buffer_deinit(&all);
    return out;
}

/* Returns whether "host:port" may in fact be a user's name and the beginning of a password. */
static bool may_be_password(struct span text, const struct url *url)
{
    const uint8_t *end = url->place.data + url->place.len;
    if (!url->port.data)
        return false;
    for (size_t i = 0; i < url->port.len; i++)
        if (url->port.data[i] < '0' || url->port.data[i] > '9')
            return true;
    return memchr(end, '@', (size_t)(text.data + text.len - end)) != NULL;
}

const char *url_shown(struct span text, char out[URL_SHOWN_MAX])
{
    struct url url;
    if (!url_split(text, &url))
        snprintf(out, URL_SHOWN_MAX, "(no URL)");
    else if (may_be_password(text, &url))
        snprintf(out, URL_SHOWN_MAX, "%.*s://%.*s:(hidden)", SPAN_FMT(url.scheme), SPAN_FMT(url.host));
    else
        snprintf(out, URL_SHOWN_MAX, "%.*s://%.*s%.*s", SPAN_FMT(url.scheme), SPAN_FMT(url.place),
                 SPAN_FMT(url.path));
    return out;
}
