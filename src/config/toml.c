/* toml.c: reads settings from the TOML subset of toml.h (https://toml.io/en/v1.0.0), line by line. */
#include "config/toml.h"

#include "base/map.h"
#include "base/utf8.h"

struct toml_reader {
    const char *file;
    struct span line; /* the unread rest of the line */
    unsigned number;
    struct arena *arena;
    struct span table; /* prefix of the keys that follow */
    struct map seen;   /* full keys so far, and tables as "[table]" */
    struct dp_error *error;
};

static bool toml_is_blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

static bool toml_is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static bool is_key_character(uint8_t c)
{
    return toml_is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '_' || c == '-';
}

static void toml_skip_blanks(struct toml_reader *r)
{
    while (r->line.len && toml_is_blank(r->line.data[0]))
        r->line = span_of(r->line.data + 1, r->line.len - 1);
}

/* Skips `c` and returns true, if it comes next. */
static bool toml_take(struct toml_reader *r, uint8_t c)
{
    if (r->line.len == 0 || r->line.data[0] != c)
        return false;
    r->line = span_of(r->line.data + 1, r->line.len - 1);
    return true;
}

static bool next_is(const struct toml_reader *r, const char *text)
{
    return span_starts_with(r->line, span_str(text));
}

static bool at_end(struct toml_reader *r)
{
    toml_skip_blanks(r);
    return r->line.len == 0 || r->line.data[0] == '#';
}

static enum dp_status toml_fail(const struct toml_reader *r, enum dp_status status, const char *why)
{
    return dp_fail(r->error, status, "%s, line %u: %s", r->file, r->number, why);
}

/* Reads a key, bare parts with dots between them, into the arena. `with_table` puts r->table in front of it. */
static enum dp_status toml_read_key(struct toml_reader *r, bool with_table, struct span *out)
{
    uint8_t key[TOML_KEY_MAX_BYTES];
    size_t len = 0;
    if (with_table && r->table.len) {
        memcpy(key, r->table.data, r->table.len);
        len = r->table.len;
        key[len++] = '.';
    }
    for (;;) {
        toml_skip_blanks(r);
        if (r->line.len && (r->line.data[0] == '"' || r->line.data[0] == '\''))
            return toml_fail(r, DP_UNSUPPORTED, "quoted keys are not supported here");
        size_t part = len;
        while (r->line.len && is_key_character(r->line.data[0])) {
            if (len + 2 >= sizeof key)
                return toml_fail(r, DP_TOO_LARGE, "a key is too long");
            key[len++] = r->line.data[0];
            toml_take(r, r->line.data[0]);
        }
        if (len == part)
            return toml_fail(r, DP_INVALID, "expected a key of letters, digits, '-' and '_'");
        toml_skip_blanks(r);
        if (!toml_take(r, '.'))
            break;
        key[len++] = '.';
    }
    *out = arena_copy(r->arena, span_of(key, len));
    return out->data ? DP_OK : dp_fail_nomem(r->error, "settings");
}

/* Remembers a key or a "[table]". DP_INVALID: the file has it already. */
static enum dp_status toml_remember(struct toml_reader *r, struct span key)
{
    bool existing = false;
    enum dp_status status = map_put(&r->seen, key, r->number, NULL, &existing, r->error);
    if (status == DP_OK && existing)
        return dp_fail(r->error, DP_INVALID, "%s, line %u: %.*s is given twice", r->file, r->number,
                       SPAN_FMT(key));
    return status;
}

static enum dp_status toml_read_table(struct toml_reader *r)
{
    struct span name;
    if (next_is(r, "[["))
        return toml_fail(r, DP_UNSUPPORTED, "arrays of tables are not supported here");
    toml_take(r, '[');
    enum dp_status status = toml_read_key(r, false, &name);
    if (status != DP_OK)
        return status;
    if (!toml_take(r, ']') || !at_end(r))
        return toml_fail(r, DP_INVALID, "expected only [table] in this line");
    r->table = name;
    char *marked = arena_printf(r->arena, "[%.*s]", SPAN_FMT(name));
    return marked ? toml_remember(r, span_str(marked)) : dp_fail_nomem(r->error, "settings");
}

/* Reads the digits of \uXXXX or \UXXXXXXXX. Writes the character as UTF-8 and returns its number of bytes, or 0
 * if it is invalid. */
static size_t read_unicode(struct toml_reader *r, size_t digits, uint8_t out[4])
{
    uint32_t scalar = 0;
    if (r->line.len < digits)
        return 0;
    for (size_t i = 0; i < digits; i++) {
        uint8_t c = r->line.data[i], lower = c | 0x20;
        if (toml_is_digit(c))
            scalar = scalar << 4 | (uint32_t)(c - '0');
        else if (lower >= 'a' && lower <= 'f')
            scalar = scalar << 4 | (uint32_t)(lower - 'a' + 10);
        else
            return 0;
    }
    r->line = span_of(r->line.data + digits, r->line.len - digits);
    if (scalar == 0 || scalar > 0x10ffff || (scalar >= 0xd800 && scalar <= 0xdfff))
        return 0;
    return utf8_encode(scalar, out);
}

/* Reads the rest of an escape, after its backslash. Returns the number of bytes in `out`, or 0 if it is
 * invalid. */
static size_t read_escape(struct toml_reader *r, uint8_t out[4])
{
    static const char from[] = "btnfr\"\\", to[] = "\b\t\n\f\r\"\\";
    uint8_t c = r->line.len ? r->line.data[0] : 0;
    const char *found = c ? strchr(from, c) : NULL;
    toml_take(r, c);
    if (c == 'u' || c == 'U')
        return read_unicode(r, c == 'u' ? 4 : 8, out);
    if (!found)
        return 0;
    out[0] = (uint8_t)to[found - from];
    return 1;
}

static enum dp_status toml_read_string(struct toml_reader *r, struct span *out)
{
    uint8_t quote = r->line.data[0];
    if (next_is(r, "\"\"\"") || next_is(r, "'''"))
        return toml_fail(r, DP_UNSUPPORTED, "multi-line strings are not supported here");
    toml_take(r, quote);
    /* An escape is never shorter than its character, so the text fits. */
    uint8_t *text = arena_alloc(r->arena, r->line.len + 1);
    size_t len = 0;
    if (!text)
        return dp_fail_nomem(r->error, "settings");
    while (r->line.len && r->line.data[0] != quote) {
        uint8_t c = r->line.data[0], unescaped[4] = {c};
        size_t count = 1;
        toml_take(r, c);
        if (c == '\\' && quote == '"')
            count = read_escape(r, unescaped);
        if (count == 0)
            return toml_fail(r, DP_INVALID, "a string has an invalid escape");
        memcpy(text + len, unescaped, count);
        len += count;
    }
    if (!toml_take(r, quote))
        return toml_fail(r, DP_INVALID, "a string has no end quote");
    text[len] = '\0';
    *out = span_of(text, len);
    return DP_OK;
}

static enum dp_status toml_read_integer(struct toml_reader *r, struct span *out)
{
    uint8_t *text = arena_alloc(r->arena, r->line.len + 1);
    size_t len = 0, digits = 0;
    if (!text)
        return dp_fail_nomem(r->error, "settings");
    if (next_is(r, "-"))
        text[len++] = '-';
    if (next_is(r, "-") || next_is(r, "+"))
        toml_take(r, r->line.data[0]);
    bool zero = next_is(r, "0"), underscore = true; /* an underscore must stand between two digits */
    while (r->line.len && (toml_is_digit(r->line.data[0]) || r->line.data[0] == '_')) {
        uint8_t c = r->line.data[0];
        if (c == '_' && underscore)
            break;
        underscore = c == '_';
        if (!underscore) {
            text[len++] = c;
            digits++;
        }
        toml_take(r, c);
    }
    if (digits == 0 || underscore || (zero && digits > 1))
        return toml_fail(r, DP_INVALID, "expected a string, a decimal integer, true or false");
    if (r->line.len && (r->line.data[0] == '.' || is_key_character(r->line.data[0])))
        return toml_fail(r, DP_UNSUPPORTED, "numbers must be decimal integers; write other values as strings");
    text[len] = '\0';
    *out = span_of(text, len);
    return DP_OK;
}

static enum dp_status toml_read_value(struct toml_reader *r, struct toml_value *value)
{
    toml_skip_blanks(r);
    value->line = r->number;
    uint8_t c = r->line.len ? r->line.data[0] : 0;
    if (c == '"' || c == '\'') {
        value->type = TOML_STRING;
        return toml_read_string(r, &value->text);
    }
    if (c == '[' || c == '{')
        return toml_fail(r, DP_UNSUPPORTED, "arrays and inline tables are not supported here");
    const char *word = next_is(r, "true") ? "true" : next_is(r, "false") ? "false" : NULL;
    if (!word) {
        value->type = TOML_INTEGER;
        return toml_read_integer(r, &value->text);
    }
    value->type = TOML_BOOLEAN;
    value->text = span_str(word);
    r->line = span_of(r->line.data + value->text.len, r->line.len - value->text.len);
    return DP_OK;
}

static enum dp_status toml_read_line(struct toml_reader *r, const struct toml_sink *sink)
{
    struct span key;
    struct toml_value value;
    if (at_end(r))
        return DP_OK;
    if (next_is(r, "["))
        return toml_read_table(r);
    enum dp_status status = toml_read_key(r, true, &key);
    if (status == DP_OK && !toml_take(r, '='))
        status = toml_fail(r, DP_INVALID, "expected '=' after the key");
    if (status == DP_OK)
        status = toml_read_value(r, &value);
    if (status == DP_OK && !at_end(r))
        status = toml_fail(r, DP_INVALID, "text follows the value");
    if (status == DP_OK)
        status = toml_remember(r, key);
    return status == DP_OK ? sink->take(sink->ctx, key, &value, r->error) : status;
}

/* Takes the next line, without its line end. Returns false when there is none. */
static bool next_line(struct span *rest, struct span *line)
{
    if (rest->len == 0)
        return false;
    const uint8_t *newline = memchr(rest->data, '\n', rest->len);
    size_t len = newline ? (size_t)(newline - rest->data) : rest->len;
    size_t used = newline ? len + 1 : len;
    *line = span_of(rest->data, len && newline && newline[-1] == '\r' ? len - 1 : len);
    *rest = span_of(rest->data + used, rest->len - used);
    return true;
}

enum dp_status toml_read(const char *file, struct span text, struct arena *arena, const struct toml_sink *sink,
                         struct dp_error *error)
{
    struct toml_reader r = {.file = file, .arena = arena, .error = error};
    map_init(&r.seen, TOML_KEYS_MAX);
    enum dp_status status = DP_OK;
    if (span_starts_with(text, span_str("\xef\xbb\xbf")))
        text = span_of(text.data + 3, text.len - 3);
    while (status == DP_OK && next_line(&text, &r.line)) {
        r.number++;
        if (!utf8_valid(r.line))
            status = toml_fail(&r, DP_INVALID, "the line is not UTF-8");
        for (size_t i = 0; i < r.line.len && status == DP_OK; i++)
            if ((r.line.data[i] < 0x20 && r.line.data[i] != '\t') || r.line.data[i] == 0x7f)
                status = toml_fail(&r, DP_INVALID, "the line holds a control character");
        if (status == DP_OK)
            status = toml_read_line(&r, sink);
    }
    map_deinit(&r.seen);
    return status;
}
