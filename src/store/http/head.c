/* http/head.c: reads the heads of HTTP answers: header lines, Content-Range, Retry-After, Date, ETags (RFC
 * 9110); writes dates.
 *
 * The bytes come from outside. No function here allocates, and each parses a value completely or not at all.
 */
#include "store/http/head.h"

#include <stdio.h>
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

/* The three forms of a date (RFC 9110 §5.6.7). In `shape`, 'a' stands for a letter, '0' for a digit and '_' for a
 * digit or a blank; other characters stand for themselves. The numbers are the offsets of the parts. */
static const struct date_form {
    const char *shape;
    uint8_t day, month, year, time;
    bool short_year;
} DATE_FORMS[] = {
    {"aaa, 00 aaa 0000 00:00:00 GMT", 5, 8, 12, 17, false}, /* Sun, 06 Nov 1994 08:49:37 GMT */
    {"aaa aaa _0 00:00:00 0000", 8, 4, 20, 11, false},      /* Sun Nov  6 08:49:37 1994 */
    {", 00-aaa-00 00:00:00 GMT", 2, 5, 9, 12, true},        /* after "Sunday": Sunday, 06-Nov-94 08:49:37 GMT */
};

static bool is_letter(uint8_t c)
{
    return ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z';
}

static bool has_shape(struct span s, const char *shape)
{
    if (s.len != strlen(shape))
        return false;
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = s.data[i];
        bool digit = c >= '0' && c <= '9', fits;
        switch (shape[i]) {
        case 'a': fits = is_letter(c); break;
        case '0': fits = digit; break;
        case '_': fits = digit || c == ' '; break;
        default: fits = c == (uint8_t)shape[i]; break;
        }
        if (!fits)
            return false;
    }
    return true;
}

/* Reads two characters, digits or a blank and a digit, as a number. */
static int two_digits(const uint8_t *at)
{
    return (at[0] == ' ' ? 0 : at[0] - '0') * 10 + (at[1] - '0');
}

/* Returns the latest year with these last two digits that is at most 50 years after `now` (RFC 9110). */
static int whole_year(int short_year, int64_t now)
{
    const time_t today = (time_t)now;
    struct tm tm = {0};
    gmtime_r(&today, &tm);
    int last = tm.tm_year + 1900 + 50;
    return last - (last - short_year) % 100;
}

/* Reads a date that has the form. */
static bool date_take_parts(struct span s, const struct date_form *form, int64_t now, int64_t *seconds)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    const uint8_t *time = s.data + form->time;
    int month = 0;
    while (month < 12 && memcmp(months + 3 * (size_t)month, s.data + form->month, 3) != 0)
        month++;
    int year = two_digits(s.data + form->year);
    year = form->short_year ? whole_year(year, now) : year * 100 + two_digits(s.data + form->year + 2);
    struct tm tm = {.tm_mday = two_digits(s.data + form->day),
                    .tm_mon = month,
                    .tm_year = year - 1900,
                    .tm_hour = two_digits(time),
                    .tm_min = two_digits(time + 3),
                    .tm_sec = two_digits(time + 6)};
    if (month == 12 || tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 60)
        return false;
    *seconds = (int64_t)timegm(&tm);
    return true;
}

bool http_date_parse(struct span value, int64_t now, int64_t *seconds)
{
    struct span s = head_trimmed(value);
    for (size_t i = 0; i < 2; i++)
        if (has_shape(s, DATE_FORMS[i].shape))
            return date_take_parts(s, &DATE_FORMS[i], now, seconds);
    size_t name = 0;
    while (name < s.len && is_letter(s.data[name]))
        name++;
    if (name < 6 || name > 9)
        return false;
    struct span rest = span_of(s.data + name, s.len - name);
    return has_shape(rest, DATE_FORMS[2].shape) && date_take_parts(rest, &DATE_FORMS[2], now, seconds);
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
    if (!http_date_parse(value, now, &date))
        return false;
    *seconds = date > now ? (uint64_t)(date - now) : 0;
    return true;
}

void http_date_format(int64_t wall_ms, char out[HTTP_DATE_LEN + 1])
{
    /* Not strftime, which writes names in the language of the process. */
    static const char DAYS[] = "SunMonTueWedThuFriSat", MONTHS[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    char text[64];
    snprintf(text, sizeof text, "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT", DAYS + 3 * utc.tm_wday, utc.tm_mday,
             MONTHS + 3 * utc.tm_mon, utc.tm_year + 1900, utc.tm_hour, utc.tm_min, utc.tm_sec);
    memcpy(out, text, HTTP_DATE_LEN);
    out[HTTP_DATE_LEN] = '\0';
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
