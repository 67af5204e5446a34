/* head.c: refuses heads that are ambiguous about framing (RFC 9112 §5, §6; RFC 9110 §5.1). */
#include "server/head.h"

static bool equal_ignoring_case(struct span a, const char *lower)
{
    size_t len = strlen(lower);
    if (a.len != len)
        return false;
    for (size_t i = 0; i < len; i++) {
        uint8_t c = a.data[i];
        if (c >= 'A' && c <= 'Z')
            c = (uint8_t)(c + 'a' - 'A');
        if (c != (uint8_t)lower[i])
            return false;
    }
    return true;
}

struct span head_value(const struct head *head, const char *name)
{
    for (size_t i = 0; i < head->count; i++)
        if (equal_ignoring_case(head->fields[i].name, name))
            return span_trim(head->fields[i].value, " \t");
    return span_of(NULL, 0);
}

/* Returns true if `s` is a token (RFC 9110 §5.6.2). */
static bool is_token(struct span s)
{
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = s.data[i];
        bool alphanumeric = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!alphanumeric && (c == 0 || !strchr("!#$%&'*+-.^_`|~", c)))
            return false;
    }
    return s.len > 0;
}

static bool is_field_value(struct span s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((s.data[i] < 0x20 && s.data[i] != '\t') || s.data[i] == 0x7f)
            return false;
    return true;
}

/* Reads 1 to 18 digits, so the number is well below 2^64. Returns false for anything else. */
static bool read_length(struct span s, uint64_t *out)
{
    uint64_t value = 0;
    if (s.len == 0 || s.len > 18)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] < '0' || s.data[i] > '9')
            return false;
        value = value * 10 + (uint64_t)(s.data[i] - '0');
    }
    *out = value;
    return true;
}

static unsigned refuse_head(struct dp_error *error, unsigned status, const char *why)
{
    dp_fail(error, status == 413 || status == 431 ? DP_TOO_LARGE : DP_INVALID, "%s", why);
    return status;
}

void head_clear(struct head *head)
{
    memset(head, 0, offsetof(struct head, fields));
}

unsigned head_check(struct head *head, struct dp_error *error)
{
    size_t lengths = 0, encodings = 0, hosts = 0, keys = 0;
    bool http_1_0 = span_equal_str(head->version, "HTTP/1.0");
    if (!http_1_0 && !span_equal_str(head->version, "HTTP/1.1"))
        return refuse_head(error, 505, "this server speaks only HTTP/1.1 and HTTP/1.0");
    if (head->too_many)
        return refuse_head(error, 431, "the request has too many headers");
    if (head->ambiguous)
        return refuse_head(error, 400, "the request's line or headers are malformed");
    if (!is_token(head->method))
        return refuse_head(error, 400, "the request's method is malformed");
    for (size_t i = 0; i < head->count; i++) {
        struct span name = head->fields[i].name, value = head->fields[i].value;
        if (!is_token(name))
            return refuse_head(error, 400, "a header's name holds a blank or another byte that is not allowed");
        if (!is_field_value(value))
            return refuse_head(error, 400, "a header's value holds a control character");
        if (equal_ignoring_case(name, "content-length")) {
            lengths++;
            if (!read_length(value, &head->content_length))
                return refuse_head(error, 400, "Content-Length is malformed");
            head->has_length = true;
        } else if (equal_ignoring_case(name, "transfer-encoding")) {
            encodings++;
            head->chunked = equal_ignoring_case(span_trim(value, " \t"), "chunked");
            if (!head->chunked)
                return refuse_head(error, 501, "this server knows no Transfer-Encoding but \"chunked\"");
        } else if (equal_ignoring_case(name, "host")) {
            hosts++;
        } else if (equal_ignoring_case(name, "idempotency-key")) {
            keys++;
        } else if (equal_ignoring_case(name, "expect")) {
            head->expects_continue = equal_ignoring_case(span_trim(value, " \t"), "100-continue");
            if (!head->expects_continue)
                return refuse_head(error, 417, "this server knows no Expect but \"100-continue\"");
        }
    }
    if (lengths > 1)
        return refuse_head(error, 400, "Content-Length is given more than once");
    if (encodings > 1)
        return refuse_head(error, 400, "Transfer-Encoding is given more than once");
    if (lengths && encodings)
        return refuse_head(error, 400, "Content-Length and Transfer-Encoding exclude each other");
    if (encodings && http_1_0)
        return refuse_head(error, 400, "HTTP/1.0 has no Transfer-Encoding");
    if (keys > 1)
        return refuse_head(error, 400, "Idempotency-Key is given more than once");
    if (hosts > 1 || (hosts == 0 && !http_1_0))
        return refuse_head(error, 400, hosts ? "Host is given more than once" : "Host is missing");
    return 0;
}

/* Steps over the two NULs that the parser wrote over CR and LF. Returns false at a bare LF, which became a
 * single NUL. */
static bool step_line_end(const uint8_t **at, const uint8_t *end)
{
    if (end - *at < 2 || (*at)[0] != 0 || (*at)[1] != 0)
        return false;
    *at += 2;
    return true;
}

/* Returns true if method, target and version fill the request line, with a single blank between them. If one of
 * them held a NUL, or more blanks stood between them, the line has bytes that the parser did not report. */
static bool line_is_whole(const struct head *head, struct span raw)
{
    if (head->method.data != raw.data || head->version.data < raw.data ||
        head->version.data > raw.data + raw.len ||
        head->version.len > (size_t)(raw.data + raw.len - head->version.data))
        return false;
    const size_t before = (size_t)(head->version.data - raw.data);
    return before >= head->method.len + 2 && before - head->method.len - 2 == head->target_len;
}

bool head_is_whole(const struct head *head, struct span raw)
{
    const uint8_t *end = raw.data + raw.len;
    if (!line_is_whole(head, raw))
        return false;
    const uint8_t *at = head->version.data + head->version.len;
    if (!step_line_end(&at, end))
        return false;
    for (size_t i = 0; i < head->count; i++) {
        struct span name = head->fields[i].name, value = head->fields[i].value;
        if (name.data != at || name.len >= (size_t)(end - at))
            return false;
        at += name.len;
        if (*at++ != 0) /* the colon */
            return false;
        while (at < end && (*at == ' ' || *at == '\t'))
            at++;
        if (value.data != at || value.len > (size_t)(end - at))
            return false;
        at += value.len;
        if (!step_line_end(&at, end))
            return false;
    }
    return step_line_end(&at, end) && at == end;
}
