/* fuzz_sites.c: any bytes as --cors-origin (the first line), --allowed-hosts (the second), a method (the third), and fields of
 * a head (each other line, NAME:VALUE). */
#include <stdlib.h>
#include <string.h>

#include "os/address.h"
#include "server/sites.h"

enum { SETTING_MAX = 512, ARENA_MAX = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct span take(struct span *rest, uint8_t end)
{
    const uint8_t *at = rest->len ? memchr(rest->data, end, rest->len) : NULL;
    struct span part = span_of(rest->data, at ? (size_t)(at - rest->data) : rest->len);
    *rest = at ? span_of(at + 1, rest->len - part.len - 1) : span_of(NULL, 0);
    return part;
}

/* Returns the setting as a string; NULL: it is empty or too long. */
static const char *setting_of(struct span line, char out[SETTING_MAX])
{
    if (line.len == 0 || line.len >= SETTING_MAX)
        return NULL;
    memcpy(out, line.data, line.len);
    out[line.len] = '\0';
    return out;
}

/* The server refuses a head with control characters before it looks at the fields (head_check). */
static bool is_plain(struct span value)
{
    for (size_t i = 0; i < value.len; i++)
        if (value.data[i] < ' ' || value.data[i] == 0x7f)
            return false;
    return true;
}

/* Without allowed names, a known host is an address or ends with "localhost", perhaps with a port or a dot. */
static void check_host(const struct head *head)
{
    const struct site_rules rules = {.checks_host = true};
    const struct span host = head_value(head, "host");
    char text[64] = "";
    if (!site_knows_host(&rules, head) || host.len == 0 || host.data[0] == ':')
        return;
    struct span name = host.data[0] == '[' ? span_of(host.data + 1, host.len - 1) : host;
    name = take(&name, host.data[0] == '[' ? ']' : ':');
    while (name.len && name.data[name.len - 1] == '.')
        name.len--;
    if (name.len < sizeof text)
        memcpy(text, name.data, name.len);
    const size_t local = sizeof "localhost" - 1;
    const bool is_local =
        name.len >= local &&
        span_equal_ignoring_case(span_of(name.data + name.len - local, local), span_str("localhost"));
    if (!is_local && !os_is_address(text))
        abort();
}

/* A header of an answer must not be cut into two. */
static void check_headers(const struct http_response *response)
{
    for (size_t i = 0; i < response->header_count; i++)
        if (strpbrk(response->headers[i].value, "\r\n"))
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct head head;
    struct span rest = span_of(data, size);
    char origins[SETTING_MAX], names[SETTING_MAX];
    struct dp_error error;
    struct arena arena;
    struct http_response response;
    struct site_rules rules = {.checks_host = true};
    rules.cors_origin = setting_of(take(&rest, '\n'), origins);
    rules.allowed_hosts = setting_of(take(&rest, '\n'), names);
    const struct span method = take(&rest, '\n');
    if (site_rules_check(&rules, &error) != DP_OK)
        rules.cors_origin = rules.allowed_hosts = NULL;
    head_clear(&head);
    while (rest.len && head.count < HEAD_FIELDS_MAX) {
        struct span value = take(&rest, '\n'), name = take(&value, ':');
        if (is_plain(value))
            head.fields[head.count++] = (struct head_field){name, value};
    }
    const struct span site = head_value(&head, "sec-fetch-site");
    const bool foreign = site_is_foreign(&rules, &head, method);
    if (!rules.cors_origin && !foreign && span_equal_str(site, "cross-site") && span_equal_str(method, "POST"))
        abort();
    check_host(&head);
    site_knows_host(&rules, &head);
    arena_init(&arena, ARENA_MAX);
    http_response_init(&response);
    site_add_cors(&rules, &head, &arena, &response);
    site_add_preflight(&rules, &head, &arena, &response);
    if (!rules.cors_origin && response.header_count)
        abort();
    check_headers(&response);
    http_response_deinit(&response);
    arena_deinit(&arena);
    return 0;
}
