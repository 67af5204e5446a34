/* fuzz_url.c: any bytes as a URL and as percent-encoded text. Checked beyond memory safety: the parts of
 * a URL together are the whole text; messages show no query; decoding undoes encoding. */
#include <stdlib.h>

#include "base/masked_url.h"
#include "base/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static size_t mark_and(struct span part)
{
    return part.data ? part.len + 1 : 0;
}

static void check_split(struct span text)
{
    struct url url;
    char shown[URL_SHOWN_MAX];
    uint16_t port;
    url_shown(text, shown);
    must(strlen(shown) < sizeof shown && !strchr(shown, '?') && !strchr(shown, '#'));
    struct span header = url_host_header(text);
    if (!url_split(text, &url)) {
        must(strcmp(shown, "(no URL)") == 0 && header.len == 0);
        return;
    }
    must(url.scheme.len + 3 + url.authority.len + url.path.len + mark_and(url.query) + mark_and(url.fragment) ==
         text.len);
    must(mark_and(url.userinfo) + url.place.len == url.authority.len);
    must(url.host.len + mark_and(url.port) == url.place.len);
    must(url.path.len == 0 || url.path.data[0] == '/');
    must(url.authority.len == 0 || !memchr(url.authority.data, '/', url.authority.len));
    must(url.place.len == 0 || !memchr(url.place.data, '@', url.place.len));
    must(header.len <= url.place.len);
    if (url.port.data && url_port(url.port, &port))
        must(port > 0);
}

static void check_percent(struct span text)
{
    uint8_t *room = malloc(4 * text.len + 1), *decoded = room + 3 * text.len;
    size_t len, loose;
    must(room != NULL);
    loose = percent_decode_loosely(text, decoded);
    must(loose <= text.len);
    if (percent_decode(text, false, room, &len))
        must(len == loose && (len == 0 || memcmp(room, decoded, len) == 0));
    size_t encoded = percent_encode(text, true, room);
    must(percent_decode(span_of(room, encoded), true, decoded, &len));
    must(span_equal(span_of(decoded, len), text));
    free(room);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = span_of(data, size);
    struct buffer masked;
    check_split(text);
    check_percent(text);
    buffer_init(&masked, SIZE_MAX / 2);
    masked_url_append(&masked, text);
    buffer_deinit(&masked);
    return 0;
}
