/* ini.c: reads files of sections, keys and values (see ini.h). */
#include "store/s3/ini.h"

#include "base/array.h"

/* The state of a parse. */
struct ini_parser {
    const char *path;
    struct arena *arena;
    uint8_t *text; /* the parser's copy */
    struct ini_file *out;
    size_t capacity;
    unsigned number; /* of the line */
    struct span section;
    bool in_section;
    bool in_value; /* deeper lines continue the last value */
    size_t indent; /* bytes before the last header or key */
    size_t empty;  /* empty lines since the last line of the value */
    struct dp_error *error;
};

struct span ini_trim(struct span s)
{
    /* U+00A0 comes with text from web pages. */
    for (;;) {
        size_t before = s.len;
        s = span_trim(s, " \t\r\v\f");
        if (span_starts_with(s, span_str("\xc2\xa0")))
            s = span_of(s.data + 2, s.len - 2);
        if (s.len >= 2 && memcmp(s.data + s.len - 2, "\xc2\xa0", 2) == 0)
            s.len -= 2;
        if (s.len == before)
            return s;
    }
}

static enum dp_status ini_fail(struct ini_parser *p, const char *what)
{
    return dp_fail(p->error, DP_INVALID, "%s, line %u: %s", p->path, p->number, what);
}

static enum dp_status add_line(struct ini_parser *p, struct span key, struct span value)
{
    if (p->out->count == INI_LINES_MAX)
        return ini_fail(p, "the file has too many sections and keys");
    struct ini_line *lines =
        arena_reserve(p->arena, p->out->lines, p->out->count, &p->capacity, sizeof *lines, 64);
    if (!lines)
        return dp_fail_nomem(p->error, "the AWS profile files");
    p->out->lines = lines;
    lines[p->out->count++] = (struct ini_line){.section = p->section, .key = key, .value = value};
    return DP_OK;
}

/* Joins a line to the last value, after the empty lines between them. The joined value is a part of the lines read so
 * far, so it fits over them. */
static enum dp_status continue_value(struct ini_parser *p, struct span line)
{
    struct span *value = &p->out->lines[p->out->count - 1].value;
    bool is_group = value->len == 0 || value->data[0] == '\n';
    if (is_group && !memchr(line.data, '=', line.len))
        return ini_fail(p, "expected \"name = value\" below a key without a value");
    uint8_t *end = p->text + (value->data - p->text) + value->len;
    memset(end, '\n', p->empty + 1);
    memmove(end + p->empty + 1, line.data, line.len);
    value->len += p->empty + 1 + line.len;
    p->empty = 0;
    return DP_OK;
}

/* Reads a header or a key; `line` is trimmed and not empty. */
static enum dp_status read_ini_line(struct ini_parser *p, struct span line)
{
    p->empty = 0;
    if (line.data[0] == '[') {
        const uint8_t *end = memchr(line.data, ']', line.len);
        if (!end)
            return ini_fail(p, "a section's name does not end in ']'");
        p->section = ini_trim(span_of(line.data + 1, (size_t)(end - line.data) - 1));
        p->in_section = true;
        p->in_value = false;
        return add_line(p, (struct span){0}, (struct span){0});
    }
    size_t at = 0;
    while (at < line.len && line.data[at] != '=' && line.data[at] != ':')
        at++;
    struct span key = ini_trim(span_of(line.data, at));
    if (at == line.len || key.len == 0)
        return ini_fail(p, "expected \"key = value\"");
    if (!p->in_section)
        return ini_fail(p, "a key stands before the first section");
    p->in_value = true;
    return add_line(p, key, ini_trim(span_of(line.data + at + 1, line.len - at - 1)));
}

enum dp_status ini_parse(const char *path, struct span text, struct arena *arena, struct ini_file *out,
                         struct dp_error *error)
{
    struct ini_parser p = {.path = path, .arena = arena, .out = out, .error = error};
    enum dp_status status = DP_OK;
    *out = (struct ini_file){0};
    p.text = arena_alloc(arena, text.len + 1);
    if (!p.text)
        return dp_fail_nomem(error, "the AWS profile files");
    if (text.len)
        memcpy(p.text, text.data, text.len);
    text = span_of(p.text, text.len);
    if (span_starts_with(text, span_str("\xef\xbb\xbf")))
        text = span_of(text.data + 3, text.len - 3);
    for (p.number = 1; text.len && status == DP_OK; p.number++) {
        const uint8_t *newline = memchr(text.data, '\n', text.len);
        size_t len = newline ? (size_t)(newline - text.data) : text.len;
        struct span line = span_of(text.data, len), content = ini_trim(line);
        text = newline ? span_of(newline + 1, text.len - len - 1) : (struct span){0};
        if (content.len == 0)
            p.empty++;
        if (content.len == 0 || content.data[0] == '#' || content.data[0] == ';')
            continue;
        size_t indent = (size_t)(content.data - line.data);
        if (p.in_value && indent > p.indent) {
            status = continue_value(&p, content);
        } else {
            p.indent = indent;
            status = read_ini_line(&p, content);
        }
    }
    return status;
}

/* ---- values ----------------------------------------------------------------------------------------- */

bool ini_has_section(const struct ini_file *file, struct span section)
{
    for (size_t i = 0; i < file->count; i++)
        if (span_equal(file->lines[i].section, section))
            return true;
    return false;
}

static struct span find_value(const struct ini_file *file, struct span section, struct span key)
{
    for (size_t i = 0; i < file->count; i++)
        if (span_equal_ignoring_case(file->lines[i].key, key) && span_equal(file->lines[i].section, section)) {
            struct span value = file->lines[i].value;
            return value.data ? value : span_str("");
        }
    return (struct span){0};
}

struct span ini_value(const struct ini_file *file, struct span section, const char *key)
{
    struct span value = find_value(file, section, span_str(key));
    if (!value.data && ini_has_section(file, section))
        value = find_value(file, span_str("DEFAULT"), span_str(key));
    return value;
}

struct span ini_nested(struct span group, const char *name)
{
    struct span found = {0};
    while (group.len && group.data[0] == '\n') {
        group = span_of(group.data + 1, group.len - 1);
        const uint8_t *newline = group.len ? memchr(group.data, '\n', group.len) : NULL;
        struct span line = span_of(group.data, newline ? (size_t)(newline - group.data) : group.len);
        const uint8_t *equals = line.len ? memchr(line.data, '=', line.len) : NULL;
        size_t at = equals ? (size_t)(equals - line.data) : line.len;
        if (equals && span_equal_str(ini_trim(span_of(line.data, at)), name))
            found = ini_trim(span_of(equals + 1, line.len - at - 1));
        group = span_of(group.data + line.len, group.len - line.len);
    }
    return found;
}
