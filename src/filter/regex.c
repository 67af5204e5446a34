/* filter/regex.c: parses regular expressions as Rust's regex does, without Unicode's properties. */
#include "base/hex.h"
#include "filter/pattern_build.h"

enum { SCALAR_MAX = 0x10ffff, REPEAT_MAX = 1000 };

struct regex_flags {
    bool ignore_case, dot_takes_newline, lines;
};

struct regex_parser {
    struct pattern_build build;
    struct text_bytes text;
    int32_t next; /* the next character, or -1 */
    struct regex_flags flags;
    struct dp_error *error;
};

static enum dp_status parse_alternatives(struct regex_parser *r, int depth);

#define FAIL(r, ...) dp_fail((r)->error, DP_INVALID, __VA_ARGS__)

static int32_t take(struct regex_parser *r)
{
    int32_t c = r->next;
    if (c >= 0)
        r->next = text_next_scalar(&r->text);
    return c;
}

static bool take_if(struct regex_parser *r, int32_t c)
{
    if (r->next != c)
        return false;
    take(r);
    return true;
}

/* ---- classes of characters ----------------------------------------------------------------------------- */

/* Ranges of ASCII, ascending. */
static const struct named_class {
    const char *name, *ranges; /* pairs: the first and the last character of a range */
} classes[] = {
    {"d", "09"},           {"s", "\t\r  "},     {"w", "09AZ__az"},   {"alnum", "09AZaz"},
    {"alpha", "AZaz"},     {"ascii", "\1\x7f"}, {"blank", "\t\t  "}, {"cntrl", "\1\x1f\x7f\x7f"},
    {"digit", "09"},       {"graph", "!~"},     {"lower", "az"},     {"print", " ~"},
    {"punct", "!/:@[`{~"}, {"space", "\t\r  "}, {"upper", "AZ"},     {"word", "09AZ__az"},
    {"xdigit", "09AFaf"},
};

static const struct named_class *find_class(const char *name)
{
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        if (strcmp(name, classes[i].name) == 0)
            return &classes[i];
    }
    return NULL;
}

/* Adds the characters of a class, or all others, to the set that was begun. */
static void put_class(struct regex_parser *r, const struct named_class *c, bool negated)
{
    bool has_nul = strcmp(c->name, "ascii") == 0 || strcmp(c->name, "cntrl") == 0;
    uint32_t from = 0;
    for (const char *at = c->ranges; *at; at += 2) {
        uint32_t low = (uint8_t)at[0], high = (uint8_t)at[1];
        if (has_nul && low == 1)
            low = 0;
        if (!negated)
            pattern_put_range(&r->build, low, high);
        else if (low > from)
            pattern_put_range(&r->build, from, low - 1);
        from = high + 1;
    }
    if (negated)
        pattern_put_range(&r->build, from, SCALAR_MAX);
}

/* Reads the digits of \xHH, \uHHHH, \x{H}, \u{H}. */
static enum dp_status read_hex(struct regex_parser *r, int digits, int32_t *out)
{
    bool braces = take_if(r, '{');
    int count = 0;
    for (*out = 0; braces ? r->next != '}' : count < digits; count++) {
        int32_t c = take(r);
        int digit = c >= 0 && c < 0x80 ? hex_digit((uint8_t)c) : -1;
        if (digit < 0 || *out > SCALAR_MAX)
            return FAIL(r, "the number of a character is not hexadecimal or too large");
        *out = *out << 4 | digit;
    }
    if (braces)
        take(r);
    if (count == 0 || *out > SCALAR_MAX || (*out >= 0xd800 && *out < 0xe000))
        return FAIL(r, "the number of a character is not hexadecimal or too large");
    return DP_OK;
}

/* Reads the character behind a "\", of which `c` is the first. */
static enum dp_status read_escape(struct regex_parser *r, int32_t c, int32_t *out)
{
    static const char names[] = "ntrfva", values[] = "\n\t\r\f\v\a";
    const char *found = c > 0 && c < 0x80 ? strchr(names, c) : NULL;
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    *out = found ? values[found - names] : c;
    if (c < 0)
        return FAIL(r, "\"\\\" at its end");
    if (c == 'x' || c == 'u')
        return read_hex(r, c == 'x' ? 2 : 4, out);
    if (c == 'p' || c == 'P')
        return FAIL(r, "\\%c: properties of characters are not supported", (char)c);
    if (c >= '0' && c <= '9')
        return FAIL(r, "\\%c: back-references are not supported", (char)c);
    if (!found && (letter || c >= 0x80))
        return FAIL(r, "there is no escape \\%c", c < 0x80 ? (char)c : '?');
    return DP_OK;
}

/* Reads "\d" and the like into the set that was begun. Returns false if `c`, behind "\", is no such class. */
static bool put_escaped_class(struct regex_parser *r, int32_t c)
{
    if (c <= 0 || !(c == 'd' || c == 'D' || c == 's' || c == 'S' || c == 'w' || c == 'W'))
        return false;
    const char name[2] = {(char)(c | 0x20), 0};
    put_class(r, find_class(name), c < 'a');
    return true;
}

/* Reads "[:alpha:]" behind its "[". */
static enum dp_status parse_named_class(struct regex_parser *r)
{
    char name[8] = {0};
    size_t length = 0;
    if (!take_if(r, ':'))
        return FAIL(r, "a class within a class: write \"\\[\"");
    bool negated = take_if(r, '^');
    while (r->next >= 'a' && r->next <= 'z' && length < sizeof name - 1)
        name[length++] = (char)take(r);
    const struct named_class *found = length > 1 ? find_class(name) : NULL;
    if (!found || !take_if(r, ':') || !take_if(r, ']'))
        return FAIL(r, "a class that has no such name");
    put_class(r, found, negated);
    return DP_OK;
}

/* Reads one character of a class. *set: it was a class such as \d, and is in the set now. */
static enum dp_status read_class_char(struct regex_parser *r, int32_t *out, bool *set)
{
    int32_t c = take(r);
    *set = false;
    *out = c;
    if (c < 0)
        return FAIL(r, "a class without \"]\"");
    if (c == '[') {
        *set = true;
        return parse_named_class(r);
    }
    if ((c == '&' || c == '~' || c == '-') && r->next == c)
        return FAIL(r, "operators on classes are not supported");
    if (c != '\\')
        return DP_OK;
    c = take(r);
    *set = put_escaped_class(r, c);
    if (*set)
        return DP_OK;
    if (c == 'b')
        return FAIL(r, "there is no escape \\b in a class");
    return read_escape(r, c, out);
}

/* Reads a class behind its "[". */
static enum dp_status parse_class(struct regex_parser *r)
{
    bool negated = take_if(r, '^');
    pattern_put_set(&r->build, negated, r->flags.ignore_case);
    for (bool first = true; first || r->next != ']'; first = false) {
        int32_t low, high;
        bool set;
        enum dp_status status = read_class_char(r, &low, &set);
        if (status)
            return status;
        if (set)
            continue;
        high = low;
        if (take_if(r, '-')) {
            if (r->next == ']') {
                pattern_put_range(&r->build, '-', '-');
            } else {
                status = read_class_char(r, &high, &set);
                if (status)
                    return status;
                if (set || high < low)
                    return FAIL(r, "a range of characters that ends before it begins");
            }
        }
        pattern_put_range(&r->build, (uint32_t)low, (uint32_t)high);
    }
    take(r);
    return DP_OK;
}

/* ---- atoms and repetitions ----------------------------------------------------------------------------- */

static void put_place(struct regex_parser *r, enum step_kind kind)
{
    pattern_put(&r->build, (struct pattern_step){.kind = kind});
}

/* Reads what stands behind a "\". */
static enum dp_status parse_escape(struct regex_parser *r)
{
    int32_t c = take(r), scalar;
    static const char places[] = "bBAz";
    static const enum step_kind kinds[] = {STEP_WORD, STEP_NOT_WORD, STEP_BEGIN, STEP_END};
    const char *place = c > 0 && c < 0x80 ? strchr(places, c) : NULL;
    if (place) {
        put_place(r, kinds[place - places]);
        return DP_OK;
    }
    size_t before = r->build.pattern->count;
    pattern_put_set(&r->build, false, r->flags.ignore_case);
    if (put_escaped_class(r, c))
        return DP_OK;
    enum dp_status status = read_escape(r, c, &scalar);
    if (status == DP_OK && r->build.pattern->count > before)
        pattern_put_range(&r->build, (uint32_t)scalar, (uint32_t)scalar);
    return status;
}

/* Reads flags up to the ":" or ")" behind them. */
static enum dp_status parse_flags(struct regex_parser *r)
{
    bool on = true;
    while (r->next != ':' && r->next != ')') {
        int32_t c = take(r);
        if (c == '-' && on)
            on = false;
        else if (c == 'i')
            r->flags.ignore_case = on;
        else if (c == 's')
            r->flags.dot_takes_newline = on;
        else if (c == 'm')
            r->flags.lines = on;
        else if (c == '=' || c == '!')
            return FAIL(r, "look-around is not supported");
        else
            return FAIL(r, "a flag behind \"(?\" that is not i, s or m");
    }
    return DP_OK;
}

/* Reads the name of a group behind its "<". */
static enum dp_status parse_group_name(struct regex_parser *r)
{
    if (r->next == '=' || r->next == '!')
        return FAIL(r, "look-around is not supported");
    while (r->next != '>') {
        if (take(r) < 0)
            return FAIL(r, "the name of a group without \">\"");
    }
    take(r);
    return DP_OK;
}

/* Reads a group behind its "(". Flags without ":" hold up to the end of the group around them. */
static enum dp_status parse_group(struct regex_parser *r, int depth)
{
    const struct regex_flags before = r->flags;
    enum dp_status status = DP_OK;
    if (depth == PATTERN_DEPTH_MAX)
        return FAIL(r, "more than %d groups within each other", PATTERN_DEPTH_MAX);
    if (take_if(r, '?')) {
        if (take_if(r, 'P') && r->next != '<')
            return FAIL(r, "back-references are not supported");
        if (take_if(r, '<')) {
            status = parse_group_name(r);
        } else {
            status = parse_flags(r);
            if (status == DP_OK && take_if(r, ')'))
                return DP_OK;
            take_if(r, ':');
        }
    }
    if (status == DP_OK)
        status = parse_alternatives(r, depth + 1);
    if (status == DP_OK && !take_if(r, ')'))
        status = FAIL(r, "\"(\" without \")\"");
    r->flags = before;
    return status;
}

/* Reads a number of repetitions. Returns -1 if none is there, and REPEAT_MAX + 1 for a larger one. */
static int read_count(struct regex_parser *r)
{
    int count = -1;
    while (r->next >= '0' && r->next <= '9') {
        count = (count < 0 ? 0 : count) * 10 + (int)(take(r) - '0');
        if (count > REPEAT_MAX)
            count = REPEAT_MAX + 1;
    }
    return count;
}

/* Reads "{2,3}" behind its "{". */
static enum dp_status parse_counts(struct regex_parser *r, int *low, int *high)
{
    *low = read_count(r);
    *high = *low;
    if (take_if(r, ','))
        *high = read_count(r);
    if (*low < 0 || !take_if(r, '}'))
        return FAIL(r, "\"{\" without numbers and \"}\": write \"\\{\" for the character");
    if (*low > REPEAT_MAX || *high > REPEAT_MAX)
        return FAIL(r, "more than %d repetitions", REPEAT_MAX);
    if (*high >= 0 && *high < *low)
        return FAIL(r, "a repetition whose maximum is less than its minimum");
    return DP_OK;
}

/* Reads the repetitions of the atom whose steps begin at `first`. */
static enum dp_status parse_repetitions(struct regex_parser *r, size_t first)
{
    while (r->next == '*' || r->next == '+' || r->next == '?' || r->next == '{') {
        int32_t c = take(r);
        int low = c == '+', high = c == '?' ? 1 : -1;
        enum dp_status status = c == '{' ? parse_counts(r, &low, &high) : DP_OK;
        if (status)
            return status;
        take_if(r, '?'); /* lazy: whether there is a match stays the same */
        if (r->build.pattern->count > first)
            pattern_repeat_between(&r->build, first, low, high);
    }
    return DP_OK;
}

static enum dp_status parse_atom(struct regex_parser *r, int depth)
{
    int32_t c = take(r);
    switch (c) {
    case '(': return parse_group(r, depth);
    case '[': return parse_class(r);
    case '\\': return parse_escape(r);
    case '^': put_place(r, r->flags.lines ? STEP_LINE_BEGIN : STEP_BEGIN); return DP_OK;
    case '$': put_place(r, r->flags.lines ? STEP_LINE_END : STEP_END); return DP_OK;
    case '.':
        pattern_put_set(&r->build, true, false);
        if (!r->flags.dot_takes_newline)
            pattern_put_range(&r->build, '\n', '\n');
        return DP_OK;
    case '*':
    case '+':
    case '?':
    case '{': return FAIL(r, "\"%c\" with nothing to repeat", (char)c);
    default: pattern_put_char(&r->build, (uint32_t)c, r->flags.ignore_case); return DP_OK;
    }
}

/* Reads alternatives up to the ")" or the end behind them. */
static enum dp_status parse_alternatives(struct regex_parser *r, int depth)
{
    size_t first = r->build.pattern->count, second = first;
    for (bool again = false;; again = true) {
        while (r->next >= 0 && r->next != '|' && r->next != ')') {
            size_t atom = r->build.pattern->count;
            enum dp_status status = parse_atom(r, depth);
            if (status == DP_OK)
                status = parse_repetitions(r, atom);
            if (status)
                return status;
        }
        if (again)
            pattern_alternate(&r->build, first, second);
        if (!take_if(r, '|'))
            return DP_OK;
        second = r->build.pattern->count;
    }
}

enum dp_status regex_parse(struct arena *arena, struct span text, struct pattern **out, struct dp_error *error)
{
    struct regex_parser r = {.text = text_bytes_of(text, false), .error = error};
    if (!pattern_build_init(&r.build, arena))
        return dp_fail_nomem(error, "a pattern");
    r.next = text_next_scalar(&r.text);
    enum dp_status status = parse_alternatives(&r, 0);
    if (status == DP_OK && r.next == ')')
        status = FAIL(&r, "\")\" without \"(\"");
    return status == DP_OK ? pattern_build_end(&r.build, out, error) : status;
}
