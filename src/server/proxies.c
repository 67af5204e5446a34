/* proxies.c: trusted proxies, and the clients that they name in X-Forwarded-For. */
#include "server/proxies.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "os/address.h"

enum { IPV4_AT = 12 }; /* where the bytes of a mapped IPv4 address begin */

static void map_ipv4(const void *bytes, uint8_t out[ADDRESS_BYTES])
{
    memset(out, 0, ADDRESS_BYTES);
    out[IPV4_AT - 2] = out[IPV4_AT - 1] = 0xff;
    memcpy(out + IPV4_AT, bytes, 4);
}

void proxies_address(const struct sockaddr *address, uint8_t out[ADDRESS_BYTES])
{
    memset(out, 0, ADDRESS_BYTES);
    if (address && address->sa_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, address, sizeof v4);
        map_ipv4(&v4.sin_addr, out);
    } else if (address && address->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, address, sizeof v6);
        memcpy(out, &v6.sin6_addr, ADDRESS_BYTES);
    }
}

/* Parses an IPv4 or IPv6 address. *bits is the length of its kind. */
static bool parse_address(struct span text, uint8_t out[ADDRESS_BYTES], unsigned *bits)
{
    char copy[ADDRESS_TEXT_MAX];
    uint8_t v4[4];
    if (text.len == 0 || text.len >= sizeof copy)
        return false;
    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    if (inet_pton(AF_INET, copy, v4) == 1) {
        map_ipv4(v4, out);
        *bits = 32;
        return true;
    }
    *bits = 128;
    return inet_pton(AF_INET6, copy, out) == 1;
}

static bool parse_range(struct span text, struct proxies *out)
{
    const uint8_t *slash = memchr(text.data, '/', text.len);
    const size_t len = slash ? (size_t)(slash - text.data) : text.len;
    unsigned kind;
    if (out->count == PROXIES_MAX ||
        !parse_address(span_of(text.data, len), out->ranges[out->count].prefix, &kind))
        return false;
    unsigned bits = slash ? 0 : kind;
    for (size_t i = len + 1; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9' || bits > kind)
            return false;
        bits = bits * 10 + (unsigned)(text.data[i] - '0');
    }
    if (bits > kind || len + 1 == text.len)
        return false;
    out->ranges[out->count++].bits = 128 - kind + bits;
    return true;
}

enum dp_status proxies_parse(const char *text, struct proxies *out, struct dp_error *error)
{
    out->count = 0;
    while (*text) {
        const size_t len = strcspn(text, " ,\t\n");
        if (len && !parse_range(span_of(text, len), out))
            return dp_fail(error, DP_INVALID,
                           "\"%.*s\" is no trusted proxy: give up to %d addresses or ranges, as 10.0.0.0/8",
                           (int)(len < ADDRESS_TEXT_MAX ? len : ADDRESS_TEXT_MAX), text, PROXIES_MAX);
        text += len + (text[len] != '\0');
    }
    return DP_OK;
}

bool proxies_have(const struct proxies *p, const uint8_t address[ADDRESS_BYTES])
{
    for (size_t i = 0; i < p->count; i++)
        if (os_in_network(address, p->ranges[i].prefix, p->ranges[i].bits))
            return true;
    return false;
}

/* Returns an element of X-Forwarded-For without brackets and port, which some proxies add. */
static struct span without_port(struct span text)
{
    const uint8_t *colon = memchr(text.data, ':', text.len);
    if (text.len && text.data[0] == '[') {
        const uint8_t *end = memchr(text.data, ']', text.len);
        return end ? span_of(text.data + 1, (size_t)(end - text.data) - 1) : span_of(NULL, 0);
    }
    if (colon && !memchr(colon + 1, ':', (size_t)(text.data + text.len - colon) - 1))
        return span_of(text.data, (size_t)(colon - text.data));
    return text;
}

/* Takes the last element off a list that commas separate. */
static struct span take_last(struct span *list)
{
    const uint8_t *comma = list->len ? memrchr(list->data, ',', list->len) : NULL;
    const size_t at = comma ? (size_t)(comma - list->data) + 1 : 0;
    const struct span last = span_of(list->data + at, list->len - at);
    *list = span_of(list->data, comma ? at - 1 : 0);
    return span_trim(last, " \t");
}

bool proxies_client(const struct proxies *p, const struct head *head, char out[ADDRESS_TEXT_MAX])
{
    bool found = false;
    for (size_t i = head->count; i-- > 0;) {
        struct span list = head->fields[i].value;
        const struct span name = head->fields[i].name;
        if (!span_equal_ignoring_case(name, span_str("x-forwarded-for")))
            continue;
        while (list.len) {
            uint8_t address[ADDRESS_BYTES];
            unsigned kind;
            const struct span element = without_port(take_last(&list));
            if (!element.data || !parse_address(element, address, &kind))
                return found;
            memcpy(out, element.data, element.len); /* parse_address has checked its length */
            out[element.len] = '\0';
            found = true;
            if (!proxies_have(p, address))
                return true;
        }
    }
    return found;
}
