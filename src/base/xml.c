/* xml.c: the bounded XML pull reader (see xml.h). */
#include "base/xml.h"

#include "base/hex.h"

static bool fail_at(struct xml_reader *r, enum dp_status status, const char *why)
{
    if (r->status == DP_OK) {
        r->status = status;
        r->failed_at = r->at;
        r->why = why;
    }
    return false;
}

enum dp_status xml_error(const struct xml_reader *r, struct dp_error *error)
{
    if (r->status == DP_NOMEM)
        return dp_fail_nomem(error, "an XML answer");
    return dp_fail(error, r->status, "bad XML: %s at byte %zu", r->why, r->failed_at);
}

void xml_reader_init(struct xml_reader *r, struct span text)
{
    *r = (struct xml_reader){.text = text};
}

static bool is_xml_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void skip_xml_space(struct xml_reader *r)
{
    while (r->at < r->text.len && is_xml_space(r->text.data[r->at]))
        r->at++;
}

static bool looking_at(const struct xml_reader *r, const char *text)
{
    size_t len = strlen(text);
    return r->text.len - r->at >= len && memcmp(r->text.data + r->at, text, len) == 0;
}

/* Moves behind the next `end`. */
static bool skip_past(struct xml_reader *r, const char *end)
{
    const void *found = memmem(r->text.data + r->at, r->text.len - r->at, end, strlen(end));
    if (!found)
        return fail_at(r, DP_IO, "it ends early");
    r->at = (size_t)((const uint8_t *)found - r->text.data) + strlen(end);
    return true;
}

/* Skips a comment, CDATA or processing instruction. *was: one of them was next. */
static bool skip_special(struct xml_reader *r, bool *was)
{
    *was = true;
    if (looking_at(r, "<!--"))
        return skip_past(r, "-->");
    if (looking_at(r, "<?"))
        return skip_past(r, "?>");
    /* skip_past starts at "<![CDATA[", which contains no "]]>", so it finds the end of the section. */
    if (r->depth && looking_at(r, "<![CDATA["))
        return skip_past(r, "]]>");
    if (looking_at(r, "<!"))
        return fail_at(r, DP_IO, "document types are not supported");
    *was = false;
    return true;
}

static bool read_name(struct xml_reader *r, struct span *name)
{
    size_t start = r->at;
    while (r->at < r->text.len) {
        uint8_t c = r->text.data[r->at];
        if (c <= ' ' || c == 0x7f || strchr("<>/=\"'&", c))
            break;
        r->at++;
    }
    *name = span_of(r->text.data + start, r->at - start);
    if (name->len == 0)
        return fail_at(r, DP_IO, "a name is missing");
    if (name->len > XML_NAME_MAX_BYTES)
        return fail_at(r, DP_IO, "a name is too long");
    return true;
}

/* Skips attributes up to the tag's '>' or "/>". */
static bool skip_attributes(struct xml_reader *r)
{
    for (;;) {
        struct span name;
        skip_xml_space(r);
        if (r->at == r->text.len)
            return fail_at(r, DP_IO, "it ends inside a tag");
        if (r->text.data[r->at] == '>' || r->text.data[r->at] == '/')
            return true;
        if (!read_name(r, &name))
            return false;
        skip_xml_space(r);
        if (!looking_at(r, "="))
            return fail_at(r, DP_IO, "an attribute has no value");
        r->at++;
        skip_xml_space(r);
        if (looking_at(r, "\"") || looking_at(r, "'")) {
            const char quote[2] = {(char)r->text.data[r->at++], '\0'};
            if (!skip_past(r, quote))
                return false;
        } else {
            return fail_at(r, DP_IO, "an attribute's value is not quoted");
        }
    }
}

static struct span without_prefix(struct span name)
{
    const uint8_t *colon = memchr(name.data, ':', name.len);
    size_t skip = colon ? (size_t)(colon - name.data) + 1 : 0;
    return span_of(name.data + skip, name.len - skip);
}

/* Reads a start tag, whose '<' is next. */
static bool open_tag(struct xml_reader *r, struct span *name)
{
    struct span whole;
    r->at++;
    if (r->depth == XML_DEPTH_MAX)
        return fail_at(r, DP_IO, "elements are nested too deep");
    if (!read_name(r, &whole))
        return false;
    size_t start = r->at;
    if (!skip_attributes(r))
        return false;
    r->attributes = span_of(r->text.data + start, r->at - start);
    r->empty = r->text.data[r->at] == '/';
    r->at += r->empty;
    if (!looking_at(r, ">"))
        return fail_at(r, DP_IO, "a tag does not end in '>'");
    r->at++;
    r->open[r->depth++] = whole;
    *name = without_prefix(whole);
    return true;
}

/* Reads the end tag of the open element, whose "</" is next. */
static bool close_tag(struct xml_reader *r)
{
    struct span name;
    r->at += 2;
    if (!read_name(r, &name))
        return false;
    if (!span_equal(name, r->open[r->depth - 1]))
        return fail_at(r, DP_IO, "an end tag does not match");
    skip_xml_space(r);
    if (!looking_at(r, ">"))
        return fail_at(r, DP_IO, "a tag does not end in '>'");
    r->at++;
    r->depth--;
    return true;
}

/* Ends the open element when it was written <a/>. */
static bool end_if_empty(struct xml_reader *r)
{
    if (!r->empty)
        return false;
    r->empty = false;
    r->depth--;
    return true;
}

bool xml_enter(struct xml_reader *r, struct span *name)
{
    if (r->status != DP_OK)
        return false;
    if (r->at == 0 && looking_at(r, "\xef\xbb\xbf"))
        r->at += 3;
    for (bool was = true; was;) {
        skip_xml_space(r);
        if (!skip_special(r, &was))
            return false;
    }
    if (!looking_at(r, "<"))
        return fail_at(r, DP_IO, "an element is missing");
    return open_tag(r, name);
}

bool xml_next_child(struct xml_reader *r, struct span *name)
{
    if (r->status != DP_OK)
        return false;
    if (r->depth == 0)
        return fail_at(r, DP_IO, "no element is open");
    if (end_if_empty(r))
        return false;
    for (;;) {
        bool was;
        const uint8_t *tag = r->at < r->text.len ? memchr(r->text.data + r->at, '<', r->text.len - r->at) : NULL;
        if (!tag)
            return fail_at(r, DP_IO, "it ends inside an element");
        r->at = (size_t)(tag - r->text.data);
        if (looking_at(r, "</"))
            return close_tag(r) && false;
        if (!skip_special(r, &was))
            return false;
        if (!was)
            return open_tag(r, name);
    }
}

bool xml_has_attribute(const struct xml_reader *r, const char *name, const char *value)
{
    /* The tag was read before, so names, '=' and quotes follow each other. */
    struct span rest = r->attributes;
    while ((rest = span_trim(rest, " \t\r\n")).len) {
        const uint8_t *equals = memchr(rest.data, '=', rest.len);
        if (!equals)
            return false;
        struct span here = span_trim(span_of(rest.data, (size_t)(equals - rest.data)), " \t\r\n");
        struct span behind = span_of(equals + 1, rest.len - (size_t)(equals + 1 - rest.data));
        while (behind.len && is_xml_space(behind.data[0]))
            behind = span_of(behind.data + 1, behind.len - 1);
        const uint8_t *end = behind.len > 1 ? memchr(behind.data + 1, behind.data[0], behind.len - 1) : NULL;
        if (!end)
            return false;
        struct span text = span_of(behind.data + 1, (size_t)(end - behind.data) - 1);
        if (span_equal_str(here, name))
            return span_equal_str(text, value);
        rest = span_of(end + 1, behind.len - (size_t)(end + 1 - behind.data));
    }
    return false;
}

bool xml_skip(struct xml_reader *r)
{
    unsigned until = r->depth - 1;
    struct span name;
    if (r->status != DP_OK)
        return false;
    if (r->depth == 0)
        return fail_at(r, DP_IO, "no element is open");
    while (r->status == DP_OK && r->depth > until)
        xml_next_child(r, &name);
    return r->status == DP_OK;
}

/* ---- text ------------------------------------------------------------------------------------------- */

/* Encodes a referenced character as UTF-8; 0 if XML does not allow it. */
static size_t encode_utf8(uint32_t c, uint8_t out[4])
{
    bool allowed = c == 0x9 || c == 0xa || c == 0xd || (c >= 0x20 && c < 0xd800) || (c >= 0xe000 && c < 0xfffe) ||
                   (c >= 0x10000 && c < 0x110000);
    if (!allowed)
        return 0;
    if (c < 0x80) {
        out[0] = (uint8_t)c;
        return 1;
    }
    size_t len = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const uint8_t lead[5] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = len - 1; i > 0; i--, c >>= 6)
        out[i] = (uint8_t)(0x80 | (c & 0x3f));
    out[0] = (uint8_t)(lead[len] | c);
    return len;
}

/* Reads the number in "#38" or "#x26"; 0 if it is malformed. */
static uint32_t numeric_reference(struct span body)
{
    bool hex = body.len > 1 && (body.data[1] == 'x' || body.data[1] == 'X');
    uint32_t value = 0;
    size_t start = hex ? 2 : 1;
    if (body.len <= start || body.len > 9)
        return 0;
    for (size_t i = start; i < body.len; i++) {
        int digit = hex_digit(body.data[i]);
        if (digit < 0 || (!hex && digit > 9))
            return 0;
        value = value * (hex ? 16 : 10) + (uint32_t)digit;
    }
    return value;
}

/* Decodes the reference whose '&' is next. Returns the length of its character, 0 on failure. */
static size_t decode_reference(struct xml_reader *r, uint8_t out[4])
{
    static const struct {
        const char *name;
        uint8_t c;
    } named[] = {{"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"apos", '\''}};
    enum { LONGEST = 10 };
    size_t room = r->text.len - r->at - 1;
    const uint8_t *start = r->text.data + r->at + 1;
    const uint8_t *end = memchr(start, ';', room < LONGEST ? room : LONGEST);
    struct span body = span_of(start, end ? (size_t)(end - start) : 0);
    size_t len = 0;
    for (size_t i = 0; i < sizeof named / sizeof *named && !len; i++)
        if (span_equal_str(body, named[i].name)) {
            out[0] = named[i].c;
            len = 1;
        }
    if (!len && body.len && body.data[0] == '#')
        len = encode_utf8(numeric_reference(body), out);
    if (!len)
        fail_at(r, DP_IO, "unknown character reference");
    else
        r->at += body.len + 2;
    return len;
}

static void put_bytes(uint8_t *out, size_t *len, const uint8_t *bytes, size_t count)
{
    if (out)
        memcpy(out + *len, bytes, count);
    *len += count;
}

/* Reads text up to the end tag; `out` may be NULL to learn its length. */
static bool scan_text(struct xml_reader *r, uint8_t *out, size_t *len)
{
    *len = 0;
    while (r->at < r->text.len) {
        const uint8_t *here = r->text.data + r->at;
        if (*here == '&') {
            uint8_t bytes[4];
            size_t count = decode_reference(r, bytes);
            if (!count)
                return false;
            put_bytes(out, len, bytes, count);
        } else if (looking_at(r, "</")) {
            return true;
        } else if (looking_at(r, "<![CDATA[")) {
            enum { BEFORE = 9, BEHIND = 3 };
            size_t start = r->at += BEFORE;
            if (!skip_past(r, "]]>"))
                return false;
            put_bytes(out, len, r->text.data + start, r->at - BEHIND - start);
        } else if (*here == '<') {
            bool was;
            if (!skip_special(r, &was))
                return false;
            if (!was)
                return fail_at(r, DP_IO, "an element is where text is expected");
        } else {
            size_t end = r->at + 1;
            while (end < r->text.len && r->text.data[end] != '<' && r->text.data[end] != '&')
                end++;
            put_bytes(out, len, here, end - r->at);
            r->at = end;
        }
    }
    return fail_at(r, DP_IO, "it ends inside text");
}

bool xml_read_text(struct xml_reader *r, struct arena *arena, struct span *out)
{
    *out = (struct span){0};
    if (r->status != DP_OK)
        return false;
    if (r->depth == 0)
        return fail_at(r, DP_IO, "no element is open");
    if (end_if_empty(r))
        return true;
    size_t start = r->at, len;
    if (!scan_text(r, NULL, &len))
        return false;
    if (r->at - start == len) {
        *out = span_of(r->text.data + start, len); /* the text needs no decoding */
    } else {
        uint8_t *bytes = arena_alloc(arena, len + 1);
        if (!bytes)
            return fail_at(r, DP_NOMEM, "");
        r->at = start;
        scan_text(r, bytes, &len);
        *out = span_of(bytes, len);
    }
    return close_tag(r);
}

bool xml_read_u64(struct xml_reader *r, struct arena *arena, uint64_t *out)
{
    struct span text;
    *out = 0;
    if (!xml_read_text(r, arena, &text))
        return false;
    if (text.len == 0 || text.len > 19)
        return fail_at(r, DP_IO, "a number is expected");
    uint64_t value = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return fail_at(r, DP_IO, "a number is expected");
        value = value * 10 + (uint64_t)(text.data[i] - '0');
    }
    *out = value;
    return true;
}
