/* azure/shared_key.c: Azure's Shared Key signatures (see shared_key.h). */
#include "store/azure/shared_key.h"

#include <inttypes.h>

#include "base/base64.h"
#include "base/checksum.h"

enum { STRING_MAX_BYTES = 256 << 10 };

/* The headers that have a line of their own, in this order. Content-Length comes third, from the body. */
static const char *const LINES[] = {"Content-Encoding",
                                    "Content-Language",
                                    NULL,
                                    "Content-MD5",
                                    "Content-Type",
                                    "Date",
                                    "If-Modified-Since",
                                    "If-Match",
                                    "If-None-Match",
                                    "If-Unmodified-Since",
                                    "Range"};

static uint8_t small_letter(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

/* Compares names in small letters, byte by byte. */
static int compare_names(struct span a, struct span b)
{
    for (size_t i = 0; i < a.len && i < b.len; i++) {
        int order = (int)small_letter(a.data[i]) - (int)small_letter(b.data[i]);
        if (order)
            return order;
    }
    return a.len < b.len ? -1 : a.len > b.len;
}

static void append_small(struct buffer *out, struct span name)
{
    for (size_t i = 0; i < name.len; i++)
        buffer_u8(out, small_letter(name.data[i]));
}

static struct span header_value(const struct shared_key_request *r, const char *name)
{
    for (size_t i = 0; i < r->header_count; i++)
        if (span_equal_ignoring_case(r->headers[i].name, span_str(name)))
            return r->headers[i].value;
    return (struct span){0};
}

static void append_lines(const struct shared_key_request *r, struct buffer *out)
{
    buffer_append(out, r->method);
    buffer_u8(out, '\n');
    for (size_t i = 0; i < sizeof LINES / sizeof *LINES; i++) {
        if (LINES[i])
            buffer_append(out, header_value(r, LINES[i]));
        else if (r->body_len)
            buffer_printf(out, "%" PRIu64, r->body_len);
        buffer_u8(out, '\n');
    }
}

/* Appends the headers that begin with "x-ms-", by name. */
static void append_own_headers(const struct shared_key_request *r, struct buffer *out)
{
    struct transport_header sorted[SHARED_KEY_HEADERS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < r->header_count; i++) {
        struct span name = r->headers[i].name;
        if (name.len < 5 || compare_names(span_of(name.data, 5), span_str("x-ms-")) != 0)
            continue;
        size_t at = count++;
        for (; at > 0 && compare_names(sorted[at - 1].name, name) > 0; at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = r->headers[i];
    }
    for (size_t i = 0; i < count; i++) {
        append_small(out, sorted[i].name);
        buffer_u8(out, ':');
        buffer_append(out, span_trim(sorted[i].value, " \t"));
        buffer_u8(out, '\n');
    }
}

/* Appends "/account/path", then the parameters by name. */
static void append_resource(struct span account, const struct shared_key_request *r, struct buffer *out)
{
    struct azure_parameter sorted[SHARED_KEY_PARAMETERS_MAX];
    for (size_t i = 0; i < r->query_count; i++) {
        size_t at = i;
        for (; at > 0 && compare_names(sorted[at - 1].name, r->query[i].name) > 0; at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = r->query[i];
    }
    buffer_u8(out, '/');
    buffer_append(out, account);
    buffer_append(out, r->path);
    for (size_t i = 0; i < r->query_count; i++) {
        buffer_u8(out, '\n');
        append_small(out, sorted[i].name);
        buffer_u8(out, ':');
        buffer_append(out, sorted[i].value);
    }
}

enum dp_status shared_key_string(struct span account, const struct shared_key_request *request, struct buffer *out,
                                 struct dp_error *error)
{
    if (request->header_count > SHARED_KEY_HEADERS_MAX || request->query_count > SHARED_KEY_PARAMETERS_MAX)
        return dp_fail(error, DP_INVALID, "a request to sign has more than %d headers or %d parameters",
                       SHARED_KEY_HEADERS_MAX, SHARED_KEY_PARAMETERS_MAX);
    append_lines(request, out);
    append_own_headers(request, out);
    append_resource(account, request, out);
    return buffer_check(out, "a request to sign", error);
}

enum dp_status shared_key_authorization(struct span account, struct span key,
                                        const struct shared_key_request *request, struct buffer *out,
                                        struct dp_error *error)
{
    struct buffer text;
    uint8_t signature[32];
    buffer_init(&text, STRING_MAX_BYTES);
    enum dp_status status = shared_key_string(account, request, &text, error);
    if (status == DP_OK && !hmac_sha256(key, buffer_span(&text), signature))
        status = dp_fail(error, DP_NOMEM, "OpenSSL could not compute a signature");
    buffer_deinit(&text);
    if (status != DP_OK)
        return status;
    buffer_printf(out, "SharedKey %.*s:", SPAN_FMT(account));
    base64_encode(span_of(signature, sizeof signature), out);
    return buffer_check(out, "an Authorization header", error);
}
