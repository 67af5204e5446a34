/* http/head.c: reads the heads of HTTP answers: header lines, Content-Range, Retry-After, ETags (RFC 9110).
 *
 * The bytes come from outside. No function here allocates, and each parses a value completely or not at all.
 */
#include "store/http/head.h"

#include <time.h>

static bool is_head_blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

static uint8_t ascii_lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

static bool equal_nocase(struct span a, const char *b)
{
    if (a.len != strlen(b))
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (ascii_lower(a.data[i]) != ascii_lower((uint8_t)b[i]))
            return false;
    return true;
}

static struct span head_trimmed(struct span s)
{
    while (s.len && is_head_blank(s.data[0]))
        s = span_of(s.data + 1, s.len - 1);
    while (s.len && (is_head_blank(s.data[s.len - 1]) || s.data[s.len - 1] == '\r'))
        s.len--;
    return s;
}

struct span http_head_find(struct span head, const char *name)
{
    while (head.len) {
        const uint8_t *end = memchr(head.data, '\n', head.len);
        size_t len = end ? (size_t)(end - head.data) : head.len;
        const uint8_t *colon = memchr(head.data, ':', len);
        if (colon) {
            size_t name_len = (size_t)(colon - head.data);
            if (equal_nocase(span_of(head.data, name_len), name))
                return head_trimmed(span_of(colon + 1, len - name_len - 1));
        }
        size_t step = end ? len + 1 : len;
        head = span_of(head.data + step, head.len - step);
    }
    return span_of(NULL, 0);
}

/* Removes a decimal number from the front of *s. Returns false if there is none or it has more than 18 digits. */
static bool take_decimal(struct span *s, uint64_t *out)
{
    uint64_t value = 0;
    size_t digits = 0;
    while (digits < s->len && s->data[digits] >= '0' && s->data[digits] <= '9') {
        value = value * 10 + (s->data[digits] - '0');
        if (++digits > 18) /* no object is that large, and sums of two such numbers do not overflow */
            return false;
    }
    if (digits == 0)
        return false;
    *s = span_of(s->data + digits, s->len - digits);
    *out = value;
    return true;
}

static bool take_char(struct span *s, char c)
{
    if (s->len == 0 || s->data[0] != (uint8_t)c)
        return false;
    *s = span_of(s->data + 1, s->len - 1);
    return true;
}

bool http_content_range_parse(struct span value, struct http_content_range *out)
{
    *out = (struct http_content_range){0};
    struct span rest = head_trimmed(value);
    if (rest.len < 6 || !equal_nocase(span_of(rest.data, 5), "bytes") || !is_head_blank(rest.data[5]))
        return false;
    rest = head_trimmed(span_of(rest.data + 6, rest.len - 6));
    struct http_content_range range = {0};
    if (!take_char(&rest, '*')) {
        range.has_range = true;
        if (!take_decimal(&rest, &range.first) || !take_char(&rest, '-') || !take_decimal(&rest, &range.last) ||
            range.last < range.first)
            return false;
    }
    if (!take_char(&rest, '/'))
        return false;
    if (!take_char(&rest, '*')) {
        range.has_size = true;
        if (!take_decimal(&rest, &range.size) || (range.has_range && range.last >= range.size))
            return false;
    }
    if (rest.len || !(range.has_range || range.has_size))
        return false;
    *out = range;
    return true;
}

/* Reads "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 §5.6.7) as Unix seconds. Returns false for other texts. */
static bool parse_fixdate(struct span s, int64_t *out)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    static const char shape[] = "Aaa, 00 Aaa 0000 00:00:00 GMT";
    if (s.len != sizeof shape - 1)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        bool letter = ascii_lower(s.data[i]) >= 'a' && ascii_lower(s.data[i]) <= 'z';
        bool digit = s.data[i] >= '0' && s.data[i] <= '9';
        bool wild = shape[i] == 'A' || shape[i] == 'a';
        if (shape[i] == '0' ? !digit : wild ? !letter : s.data[i] != (uint8_t)shape[i])
            return false;
    }
    static const size_t at[4] = {5, 17, 20, 23}; /* offsets of day, hour, minute and second */
    int number[4];
    for (size_t i = 0; i < 4; i++)
        number[i] = (s.data[at[i]] - '0') * 10 + (s.data[at[i] + 1] - '0');
    int year = 0;
    for (size_t i = 12; i < 16; i++)
        year = year * 10 + (s.data[i] - '0');
    int month = 0;
    while (month < 12 && memcmp(months + 3 * (size_t)month, s.data + 8, 3) != 0)
        month++;
    if (month == 12 || number[0] < 1 || number[0] > 31 || number[1] > 23 || number[2] > 59 || number[3] > 60)
        return false;
    struct tm tm = {.tm_mday = number[0],
                    .tm_mon = month,
                    .tm_year = year - 1900,
                    .tm_hour = number[1],
                    .tm_min = number[2],
                    .tm_sec = number[3]};
    *out = (int64_t)timegm(&tm);
    return true;
}

bool http_retry_after_parse(struct span value, int64_t now, uint64_t *seconds)
{
    struct span rest = head_trimmed(value);
    uint64_t number;
    int64_t date;
    if (take_decimal(&rest, &number) && rest.len == 0) {
        *seconds = number;
        return true;
    }
    if (!parse_fixdate(head_trimmed(value), &date))
        return false;
    *seconds = date > now ? (uint64_t)(date - now) : 0;
    return true;
}

bool http_etag_is_strong(struct span etag)
{
    if (etag.len < 2 || etag.data[0] != '"' || etag.data[etag.len - 1] != '"')
        return false;
    for (size_t i = 1; i + 1 < etag.len; i++)
        if (etag.data[i] < 0x21 || etag.data[i] == '"' || etag.data[i] == 0x7f)
            return false;
    return true;
}
