/* json_reader.c: the JSON pull reader.
 *
 * json.h states the grammar and the limits. For each open container the reader keeps two flags: whether it is an
 * object, and whether it has had an item. So skipping a value needs neither recursion nor memory. The reader
 * validates a string (UTF-8, escapes, surrogate pairs) in one sweep when it consumes it; a second sweep resolves
 * the escapes, if there are any.
 */
#include "base/json.h"

#include "base/hex.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/json_number.h"
#include "base/utf8.h"

void json_reader_init(struct json_reader *r, struct span text)
{
    r->text = text;
    r->at = 0;
    r->depth = 0;
    r->depth_max = JSON_DEPTH_MAX;
    r->status = DP_OK;
    r->failed_at = 0;
    r->why[0] = '\0';
}

/* Records the first failure, at byte `at`. Always returns false. */
static bool reader_fail_at(struct json_reader *r, size_t at, enum dp_status status, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static bool reader_fail_at(struct json_reader *r, size_t at, enum dp_status status, const char *format, ...)
{
    if (r->status != DP_OK)
        return false;
    va_list args;
    va_start(args, format);
    vsnprintf(r->why, sizeof r->why, format, args);
    va_end(args);
    r->status = status;
    r->failed_at = at;
    return false;
}

void json_reject(struct json_reader *r, enum dp_status status, const char *format, ...)
{
    if (r->status != DP_OK)
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(r->why, sizeof r->why, format, args);
    va_end(args);
    r->status = status;
    r->failed_at = r->at;
}

enum dp_status json_error(const struct json_reader *r, struct dp_error *error)
{
    if (r->status == DP_OK)
        return DP_OK;
    if (r->status == DP_NOMEM)
        return dp_fail_nomem(error, r->why);
    return dp_fail(error, r->status, "%s at byte %zu", r->why, r->failed_at);
}

const char *json_type_name(enum json_type type)
{
    switch (type) {
    case JSON_NULL: return "null";
    case JSON_BOOL: return "a boolean";
    case JSON_NUMBER: return "a number";
    case JSON_STRING: return "a string";
    case JSON_ARRAY: return "an array";
    case JSON_OBJECT: return "an object";
    case JSON_NOTHING: break;
    }
    return "nothing";
}

/* Skips white space. Returns the byte after it, without consuming it, or -1 at the end. */
static int reader_next_byte(struct json_reader *r)
{
    while (r->at < r->text.len) {
        uint8_t byte = r->text.data[r->at];
        if (byte != ' ' && byte != '\n' && byte != '\r' && byte != '\t')
            return byte;
        r->at++;
    }
    return -1;
}

static enum json_type type_of(int byte)
{
    switch (byte) {
    case 'n': return JSON_NULL;
    case 't':
    case 'f': return JSON_BOOL;
    case '"': return JSON_STRING;
    case '[': return JSON_ARRAY;
    case '{': return JSON_OBJECT;
    default: return byte == '-' || (byte >= '0' && byte <= '9') ? JSON_NUMBER : JSON_NOTHING;
    }
}

enum json_type json_peek(struct json_reader *r)
{
    return r->status == DP_OK ? type_of(reader_next_byte(r)) : JSON_NOTHING;
}

/* Fails with a sentence that says what was expected and what was found. */
static bool fail_expected(struct json_reader *r, const char *expected)
{
    int byte = reader_next_byte(r);
    enum json_type type = type_of(byte);
    if (byte < 0)
        return reader_fail_at(r, r->at, DP_INVALID, "expected %s, found the end of the text", expected);
    if (type != JSON_NOTHING)
        return reader_fail_at(r, r->at, DP_INVALID, "expected %s, found %s", expected, json_type_name(type));
    if (byte > 0x20 && byte < 0x7f)
        return reader_fail_at(r, r->at, DP_INVALID, "expected %s, found '%c'", expected, byte);
    return reader_fail_at(r, r->at, DP_INVALID, "expected %s, found byte 0x%02x", expected, (unsigned)byte);
}

/* Fails at a key without double quotes, the most common mistake in JSON written by hand. */
static bool fail_key(struct json_reader *r)
{
    int byte = reader_next_byte(r);
    if (byte > 0x20 && byte < 0x7f)
        return reader_fail_at(r, r->at, DP_INVALID, "expected a key in double quotes, found '%c'", byte);
    return fail_expected(r, "a key in double quotes");
}

/* Returns true if the next value has this type; else fails. */
static bool expect_type(struct json_reader *r, enum json_type type)
{
    if (r->status != DP_OK)
        return false;
    if (type_of(reader_next_byte(r)) == type)
        return true;
    return fail_expected(r, json_type_name(type));
}

static bool enter_container(struct json_reader *r, enum json_type type)
{
    if (!expect_type(r, type))
        return false;
    unsigned depth_max = r->depth_max < JSON_DEPTH_MAX ? r->depth_max : JSON_DEPTH_MAX;
    if (r->depth >= depth_max)
        return reader_fail_at(r, r->at, DP_INVALID, "nested deeper than %u", depth_max);
    r->at++;
    r->is_object[r->depth] = type == JSON_OBJECT;
    r->has_items[r->depth] = false;
    r->depth++;
    return true;
}

bool json_enter_object(struct json_reader *r)
{
    return enter_container(r, JSON_OBJECT);
}

bool json_enter_array(struct json_reader *r)
{
    return enter_container(r, JSON_ARRAY);
}

/* Moves past the comma before the next item of the innermost container and returns true, or moves past the
 * container's closing bracket and returns false. Also returns false when it fails. */
static bool next_in_container(struct json_reader *r, bool object)
{
    if (r->status != DP_OK)
        return false;
    const char close = object ? '}' : ']';
    if (r->depth == 0 || r->is_object[r->depth - 1] != object)
        return reader_fail_at(r, r->at, DP_INVALID, "not inside %s", object ? "an object" : "an array");
    int byte = reader_next_byte(r);
    if (byte == close) {
        r->at++;
        r->depth--;
        return false;
    }
    if (r->has_items[r->depth - 1]) {
        if (byte != ',')
            return fail_expected(r, object ? "',' or '}'" : "',' or ']'");
        r->at++;
        byte = reader_next_byte(r);
        if (byte == close)
            return reader_fail_at(r, r->at, DP_INVALID, "expected %s after ',', found '%c'",
                                  object ? "a key" : "a value", close);
    }
    r->has_items[r->depth - 1] = true;
    return true;
}

/* Returns the value of the four hexadecimal digits at `at`, or -1. */
static int32_t read_hex4(struct json_reader *r, size_t at)
{
    if (r->text.len - at < 4)
        return -1;
    int32_t value = 0;
    for (size_t i = 0; i < 4; i++) {
        int digit = hex_digit(r->text.data[at + i]);
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

/* Reads the escape whose backslash is at `at` into *scalar. Returns the escape's length, or 0 and fails if it is
 * malformed. */
static size_t scan_escape(struct json_reader *r, size_t at, uint32_t *scalar)
{
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    int name = at + 1 < r->text.len ? r->text.data[at + 1] : -1;
    if (name == 'u') {
        int32_t first = read_hex4(r, at + 2);
        if (first < 0) {
            reader_fail_at(r, at, DP_INVALID, "\\u without four hexadecimal digits");
            return 0;
        }
        if (first < 0xd800 || first > 0xdfff) {
            *scalar = (uint32_t)first;
            return 6;
        }
        bool pair = first < 0xdc00 && r->text.len - at >= 12 && r->text.data[at + 6] == '\\' &&
                    r->text.data[at + 7] == 'u';
        int32_t second = pair ? read_hex4(r, at + 8) : -1;
        if (second < 0xdc00 || second > 0xdfff) {
            reader_fail_at(r, at, DP_INVALID, "lone surrogate \\u%04x", (unsigned)first);
            return 0;
        }
        *scalar = 0x10000 + ((uint32_t)(first - 0xd800) << 10) + (uint32_t)(second - 0xdc00);
        return 12;
    }
    const char *found = name > 0 ? memchr(names, name, sizeof names - 1) : NULL;
    if (!found) {
        reader_fail_at(r, at, DP_INVALID, "unknown escape in a string");
        return 0;
    }
    *scalar = (uint8_t)values[found - names];
    return 2;
}

/* Consumes the string whose opening quote is next. *raw is the text between the quotes. */
static bool scan_string(struct json_reader *r, struct span *raw, bool *escaped)
{
    const uint8_t *data = r->text.data, *end = data + r->text.len;
    size_t start = r->at + 1, at = start;
    *escaped = false;
    for (;;) {
        at += utf8_plain_length(data + at, end);
        if (at >= r->text.len)
            return reader_fail_at(r, r->at, DP_INVALID, "a string without its closing quote");
        uint8_t byte = data[at];
        if (byte == '"')
            break;
        size_t len;
        if (byte == '\\') {
            uint32_t scalar;
            len = scan_escape(r, at, &scalar);
            if (len == 0)
                return false;
            *escaped = true;
        } else if (byte < 0x20) {
            return reader_fail_at(r, at, DP_INVALID, "a bare control character 0x%02x in a string", byte);
        } else {
            len = utf8_length(data + at, end);
            if (len == 0)
                return reader_fail_at(r, at, DP_INVALID, "invalid UTF-8 in a string");
        }
        at += len;
    }
    *raw = span_of(data + start, at - start);
    r->at = at + 1;
    return true;
}

/* Copies a scanned string with its escapes resolved. The copy is never longer than the raw text. */
static bool unescape_string(struct json_reader *r, struct arena *arena, struct span raw, struct span *out)
{
    uint8_t *copy = arena_alloc(arena, raw.len);
    if (!copy)
        return reader_fail_at(r, r->at, DP_NOMEM, "a string of a JSON text");
    size_t base = (size_t)(raw.data - r->text.data), at = 0, len = 0;
    while (at < raw.len) {
        const uint8_t *slash = memchr(raw.data + at, '\\', raw.len - at);
        size_t plain = slash ? (size_t)(slash - raw.data) - at : raw.len - at;
        memcpy(copy + len, raw.data + at, plain);
        len += plain;
        at += plain;
        if (at < raw.len) {
            uint32_t scalar = 0;
            uint8_t encoded[4];
            at += scan_escape(r, base + at, &scalar);
            size_t encoded_len = utf8_encode(scalar, encoded);
            memcpy(copy + len, encoded, encoded_len);
            len += encoded_len;
        }
    }
    *out = span_of(copy, len);
    return true;
}

/* Consumes a string and resolves its escapes. */
static bool reader_string(struct json_reader *r, struct arena *arena, struct span *out)
{
    bool escaped;
    size_t start = r->at;
    if (!scan_string(r, out, &escaped))
        return false;
    if (!escaped)
        return true;
    if (!arena)
        return reader_fail_at(r, start, DP_INVALID, "an escape in a string that must not have any");
    return unescape_string(r, arena, *out, out);
}

/* Consumes the colon behind a key. */
static bool read_colon(struct json_reader *r)
{
    if (reader_next_byte(r) != ':')
        return fail_expected(r, "':'");
    r->at++;
    return true;
}

bool json_next_key(struct json_reader *r, struct arena *arena, struct span *key)
{
    if (!next_in_container(r, true))
        return false;
    if (reader_next_byte(r) != '"')
        return fail_key(r);
    return reader_string(r, arena, key) && read_colon(r);
}

bool json_next_item(struct json_reader *r)
{
    return next_in_container(r, false);
}

bool json_read_string(struct json_reader *r, struct arena *arena, struct span *out)
{
    return expect_type(r, JSON_STRING) && reader_string(r, arena, out);
}

/* Consumes `word`; fails if it is not next. */
static bool read_word(struct json_reader *r, const char *word)
{
    struct span rest = span_of(r->text.data + r->at, r->text.len - r->at);
    if (!span_starts_with(rest, span_str(word)))
        return reader_fail_at(r, r->at, DP_INVALID, "expected %s", word);
    r->at += strlen(word);
    return true;
}

bool json_read_bool(struct json_reader *r, bool *out)
{
    if (!expect_type(r, JSON_BOOL))
        return false;
    *out = r->text.data[r->at] == 't';
    return read_word(r, *out ? "true" : "false");
}

bool json_read_null(struct json_reader *r)
{
    return expect_type(r, JSON_NULL) && read_word(r, "null");
}

/* Consumes a number without converting it. */
static bool scan_number(struct json_reader *r, struct json_number *n)
{
    if (!expect_type(r, JSON_NUMBER))
        return false;
    size_t len = json_number_scan(span_of(r->text.data + r->at, r->text.len - r->at), n);
    if (len == 0)
        return reader_fail_at(r, r->at, DP_INVALID, "a malformed number");
    if (len > JSON_NUMBER_MAX)
        return reader_fail_at(r, r->at, DP_INVALID, "a number longer than %d characters", JSON_NUMBER_MAX);
    r->at += len;
    return true;
}

/* Fails at a number that was just consumed. */
static bool fail_number(struct json_reader *r, const struct json_number *n, const char *why)
{
    return reader_fail_at(r, r->at - n->text.len, DP_INVALID, "%s: %.*s%s", why,
                          (int)(n->text.len < 40 ? n->text.len : 40), (const char *)n->text.data,
                          n->text.len < 40 ? "" : "...");
}

/* Consumes an integer; *magnitude is its absolute value. */
static bool reader_integer(struct json_reader *r, struct json_number *n, uint64_t *magnitude)
{
    if (!scan_number(r, n))
        return false;
    if (!n->integer)
        return fail_number(r, n, "expected an integer, found");
    uint64_t value = 0;
    for (size_t i = n->negative; i < n->text.len; i++)
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(n->text.data[i] - '0'), &value))
            return fail_number(r, n, "an integer out of range");
    *magnitude = value;
    return true;
}

bool json_read_i64(struct json_reader *r, int64_t *out)
{
    struct json_number n;
    uint64_t magnitude = 0;
    if (!reader_integer(r, &n, &magnitude))
        return false;
    if (magnitude > (uint64_t)INT64_MAX + n.negative)
        return fail_number(r, &n, "an integer out of range");
    *out = (int64_t)(n.negative ? 0 - magnitude : magnitude);
    return true;
}

bool json_read_u64(struct json_reader *r, uint64_t *out)
{
    struct json_number n;
    uint64_t magnitude = 0;
    if (!reader_integer(r, &n, &magnitude))
        return false;
    if (n.negative && magnitude != 0)
        return fail_number(r, &n, "expected a non-negative integer, found");
    *out = magnitude;
    return true;
}

bool json_read_double(struct json_reader *r, double *out)
{
    struct json_number n;
    if (!scan_number(r, &n))
        return false;
    return json_number_double(&n, out) || fail_number(r, &n, "a number out of range");
}

bool json_read_float(struct json_reader *r, float *out)
{
    struct json_number n;
    if (!scan_number(r, &n))
        return false;
    return json_number_float(&n, out) || fail_number(r, &n, "a number out of range");
}

/* Consumes a scalar, or the opening of a container. */
static bool skip_one(struct json_reader *r)
{
    struct json_number number;
    struct span string;
    bool flag;
    switch (json_peek(r)) {
    case JSON_NULL: return json_read_null(r);
    case JSON_BOOL: return json_read_bool(r, &flag);
    case JSON_NUMBER: return scan_number(r, &number);
    case JSON_STRING: return scan_string(r, &string, &flag);
    case JSON_ARRAY: return json_enter_array(r);
    case JSON_OBJECT: return json_enter_object(r);
    case JSON_NOTHING: break;
    }
    return r->status == DP_OK && fail_expected(r, "a value");
}

bool json_skip(struct json_reader *r)
{
    unsigned outside = r->depth;
    struct span key;
    bool flag;
    if (!skip_one(r))
        return false;
    while (r->depth > outside) {
        bool object = r->is_object[r->depth - 1];
        if (!next_in_container(r, object)) {
            if (r->status != DP_OK)
                return false;
            continue; /* the container ended */
        }
        if (object) {
            if (reader_next_byte(r) != '"')
                return fail_key(r);
            if (!scan_string(r, &key, &flag) || !read_colon(r))
                return false;
        }
        if (!skip_one(r))
            return false;
    }
    return true;
}

bool json_read_raw(struct json_reader *r, struct span *out)
{
    if (r->status != DP_OK)
        return false;
    reader_next_byte(r);
    size_t start = r->at;
    if (!json_skip(r))
        return false;
    *out = span_of(r->text.data + start, r->at - start);
    return true;
}

bool json_end(struct json_reader *r)
{
    if (r->status != DP_OK)
        return false;
    if (reader_next_byte(r) >= 0)
        return fail_expected(r, "the end of the text");
    if (r->depth != 0)
        return fail_expected(r, r->is_object[r->depth - 1] ? "'}'" : "']'");
    return true;
}
