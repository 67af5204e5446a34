/* filter/document.c: walks over documents and arrays without copying, and compares texts with escapes. */
#include "filter/document.h"

#include "base/hex.h"
#include "base/utf8.h"

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Returns the quote that ends the string which begins behind `at`, or NULL. */
static const uint8_t *string_end(const uint8_t *at, const uint8_t *end)
{
    const uint8_t *from = at;
    while (from < end) {
        const uint8_t *quote = memchr(from, '"', (size_t)(end - from));
        if (!quote)
            return NULL;
        size_t slashes = 0;
        while (quote - slashes > at && quote[-1 - (ptrdiff_t)slashes] == '\\')
            slashes++;
        if (slashes % 2 == 0)
            return quote;
        from = quote + 1;
    }
    return NULL;
}

/* Moves past blanks and one of the characters of `marks`, if it is there. */
static void skip_mark(struct document_walk *w, const char *marks)
{
    while (w->at < w->end && is_blank(*w->at))
        w->at++;
    if (w->at < w->end && *w->at && strchr(marks, *w->at)) {
        w->at++;
        while (w->at < w->end && is_blank(*w->at))
            w->at++;
    }
}

/* Moves past the object or array that begins here. */
static bool skip_container(struct document_walk *w)
{
    size_t depth = 0;
    while (w->at < w->end) {
        uint8_t c = *w->at++;
        if (c == '{' || c == '[') {
            depth++;
        } else if (c == '}' || c == ']') {
            if (--depth == 0)
                return true;
        } else if (c == '"') {
            const uint8_t *quote = string_end(w->at, w->end);
            if (!quote)
                return false;
            w->at = quote + 1;
        }
    }
    return false;
}

static bool take_value(struct document_walk *w, struct span *out)
{
    const uint8_t *start = w->at;
    if (w->at == w->end)
        return false;
    if (*w->at == '"') {
        const uint8_t *quote = string_end(w->at + 1, w->end);
        if (!quote)
            return false;
        w->at = quote + 1;
    } else if (*w->at == '{' || *w->at == '[') {
        if (!skip_container(w))
            return false;
    } else {
        while (w->at < w->end && *w->at != ',' && *w->at != '}' && *w->at != ']' && !is_blank(*w->at))
            w->at++;
    }
    *out = span_of(start, (size_t)(w->at - start));
    return out->len > 0;
}

bool document_next(struct document_walk *w, struct document_member *out)
{
    skip_mark(w, "{,");
    if (w->at == w->end || *w->at != '"')
        return false;
    const uint8_t *start = w->at + 1, *quote = string_end(start, w->end);
    if (!quote)
        return false;
    out->key = span_of(start, (size_t)(quote - start));
    w->at = quote + 1;
    skip_mark(w, ":");
    return take_value(w, &out->value);
}

bool document_next_item(struct document_walk *w, struct span *out)
{
    skip_mark(w, "[,");
    if (w->at == w->end || *w->at == ']')
        return false;
    return take_value(w, out);
}

bool document_is_key(struct span key, struct span name)
{
    bool escaped = key.len && memchr(key.data, '\\', key.len);
    return escaped ? key.len > name.len && text_compare(key, true, name, false) == 0 : span_equal(key, name);
}

bool document_find(struct span document, struct span name, struct span *value)
{
    struct document_walk w = document_begin(document);
    struct document_member m;
    while (document_next(&w, &m)) {
        if (document_is_key(m.key, name)) {
            *value = m.value;
            return true;
        }
    }
    return false;
}

/* Returns the value of the four digits behind "\u", or 0 if they are not there. */
static uint32_t code_unit(const uint8_t *at, const uint8_t *end)
{
    uint32_t value = 0;
    if (end - at < 6 || at[0] != '\\' || at[1] != 'u')
        return 0;
    for (int i = 2; i < 6; i++) {
        int digit = hex_digit(at[i]);
        if (digit < 0)
            return 0;
        value = value << 4 | (uint32_t)digit;
    }
    return value;
}

/* Reads the escape at t->at into t->character. */
static void take_escape(struct text_bytes *t)
{
    static const char names[] = "bfnrt", values[] = "\b\f\n\r\t";
    uint8_t name = t->end - t->at > 1 ? t->at[1] : '\\';
    const char *found = name ? strchr(names, name) : NULL;
    t->given = 0;
    if (name == 'u') {
        uint32_t first = code_unit(t->at, t->end), second = 0;
        t->at += t->end - t->at < 6 ? t->end - t->at : 6;
        if (first >= 0xd800 && first < 0xdc00)
            second = code_unit(t->at, t->end);
        if (second >= 0xdc00 && second < 0xe000) {
            first = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
            t->at += 6;
        }
        t->length = utf8_encode(first >= 0xd800 && first < 0xe000 ? 0xfffd : first, t->character);
        return;
    }
    t->character[0] = found ? (uint8_t)values[found - names] : name;
    t->length = 1;
    t->at += t->end - t->at < 2 ? t->end - t->at : 2;
}

int text_next_byte(struct text_bytes *t)
{
    if (t->given < t->length)
        return t->character[t->given++];
    if (t->at == t->end)
        return -1;
    if (!t->escaped || *t->at != '\\')
        return *t->at++;
    take_escape(t);
    return t->character[t->given++];
}

int32_t text_next_scalar(struct text_bytes *t)
{
    int lead = text_next_byte(t);
    if (lead < 0x80)
        return lead;
    int more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
    int32_t scalar = lead & (0x3f >> more);
    for (; more > 0; more--) {
        int byte = text_next_byte(t);
        if (byte < 0 || (byte & 0xc0) != 0x80)
            return 0xfffd;
        scalar = scalar << 6 | (byte & 0x3f);
    }
    return scalar;
}

int text_compare(struct span a, bool a_escaped, struct span b, bool b_escaped)
{
    if (!a_escaped && !b_escaped)
        return span_compare(a, b);
    struct text_bytes x = text_bytes_of(a, a_escaped), y = text_bytes_of(b, b_escaped);
    for (;;) {
        int left = text_next_byte(&x), right = text_next_byte(&y);
        if (left != right)
            return left < right ? -1 : 1;
        if (left < 0)
            return 0;
    }
}
