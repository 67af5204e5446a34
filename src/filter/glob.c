/* filter/glob.c: parses globs as Rust's globset does. */
#include "filter/pattern_build.h"

struct glob_parser {
    struct pattern_build build;
    struct text_bytes text;
    int32_t next, taken; /* the next character, and the latest one; -1: none */
    bool ignore_case;
    struct dp_error *error;
};

/* The tokens of a glob, or of one alternative, that were read so far. */
struct glob_part {
    size_t tokens, last; /* the last token's first step */
    int32_t previous;    /* the character before the present one, or -1 */
    bool only_prefix;
};

static enum dp_status parse_part(struct glob_parser *g, int depth);

static int32_t take(struct glob_parser *g)
{
    int32_t c = g->next;
    g->taken = c;
    if (c >= 0)
        g->next = text_next_scalar(&g->text);
    return c;
}

static void begin_token(struct glob_parser *g, struct glob_part *part)
{
    part->last = g->build.pattern->count;
    part->tokens++;
}

static void put_any(struct glob_parser *g)
{
    size_t first = g->build.pattern->count;
    pattern_put_set(&g->build, true, false);
    pattern_repeat(&g->build, first);
}

/* Appends steps for nothing or any text that ends with "/". */
static void put_folders(struct glob_parser *g)
{
    size_t first = g->build.pattern->count;
    put_any(g);
    pattern_put_char(&g->build, '/', false);
    pattern_optional(&g->build, first);
}

/* Reads what follows a star. */
static void parse_star(struct glob_parser *g, struct glob_part *part, int depth)
{
    bool whole_part = false;
    if (g->next == '*') {
        take(g);
        bool ends = g->next < 0 || (depth > 0 && (g->next == ',' || g->next == '}'));
        if (part->tokens == 0) {
            whole_part = g->next < 0 || g->next == '/';
            if (whole_part) {
                begin_token(g, part);
                part->only_prefix = true;
                put_folders(g);
                take(g);
                return;
            }
        } else if (part->previous == '/' && (ends || g->next == '/')) {
            bool after_prefix = part->only_prefix && part->tokens == 1;
            if (after_prefix) { /* the folders before stand for these too */
                if (!ends)
                    take(g);
                return;
            }
            g->build.pattern->count = part->last;
            pattern_put_char(&g->build, '/', false);
            if (ends) {
                put_any(g);
            } else {
                put_folders(g);
                take(g);
            }
            return;
        }
    }
    begin_token(g, part);
    put_any(g);
}

/* Reads a class behind its "[". */
static enum dp_status parse_class(struct glob_parser *g)
{
    bool negated = g->next == '!' || g->next == '^';
    if (negated)
        take(g);
    pattern_put_set(&g->build, negated, g->ignore_case);
    for (bool first = true; first || g->next != ']'; first = false) {
        int32_t low = take(g), high = low;
        if (low < 0)
            return dp_fail(g->error, DP_INVALID, "a class without \"]\"");
        if (g->next == '-') {
            take(g);
            if (g->next == ']') {
                pattern_put_range(&g->build, '-', '-');
            } else {
                high = take(g);
                if (high < 0)
                    return dp_fail(g->error, DP_INVALID, "a class without \"]\"");
            }
        }
        if (high < low)
            return dp_fail(g->error, DP_INVALID, "a range of characters that ends before it begins");
        pattern_put_range(&g->build, (uint32_t)low, (uint32_t)high);
    }
    take(g);
    return DP_OK;
}

/* Reads alternatives behind their "{". Empty ones do not count, as in globset. */
static enum dp_status parse_alternatives(struct glob_parser *g, int depth)
{
    size_t first = g->build.pattern->count;
    bool any = false;
    if (depth == PATTERN_DEPTH_MAX)
        return dp_fail(g->error, DP_INVALID, "more than %d groups within each other", PATTERN_DEPTH_MAX);
    for (;;) {
        size_t second = g->build.pattern->count;
        enum dp_status status = parse_part(g, depth + 1);
        if (status)
            return status;
        if (any && g->build.pattern->count > second)
            pattern_alternate(&g->build, first, second);
        any |= g->build.pattern->count > second;
        int32_t mark = take(g);
        if (mark < 0)
            return dp_fail(g->error, DP_INVALID, "\"{\" without \"}\"");
        if (mark == '}')
            return DP_OK;
    }
}

/* Reads one token that begins with `c`. */
static enum dp_status parse_token(struct glob_parser *g, struct glob_part *part, int32_t c, int depth)
{
    if (c == '*') {
        parse_star(g, part, depth);
        return DP_OK;
    }
    begin_token(g, part);
    if (c == '[')
        return parse_class(g);
    if (c == '{')
        return parse_alternatives(g, depth);
    if (c == '}')
        return dp_fail(g->error, DP_INVALID, "\"}\" without \"{\"");
    if (c == '?') {
        pattern_put_set(&g->build, true, false);
        return DP_OK;
    }
    if (c == '\\') {
        c = take(g);
        if (c < 0)
            return dp_fail(g->error, DP_INVALID, "\"\\\" at its end");
    }
    pattern_put_char(&g->build, (uint32_t)c, g->ignore_case);
    return DP_OK;
}

/* Reads a glob, or an alternative up to the "," or "}" behind it. */
static enum dp_status parse_part(struct glob_parser *g, int depth)
{
    struct glob_part part = {.previous = -1};
    size_t first = g->build.pattern->count;
    while (g->next >= 0 && !(depth > 0 && (g->next == ',' || g->next == '}'))) {
        part.previous = g->taken;
        enum dp_status status = parse_token(g, &part, take(g), depth);
        if (status)
            return status;
    }
    if (depth == 0 && part.tokens == 1 && part.only_prefix) { /* "**" alone matches every text */
        g->build.pattern->count = first;
        put_any(g);
    }
    return DP_OK;
}

enum dp_status glob_parse(struct arena *arena, struct span text, bool ignore_case, struct pattern **out,
                          struct dp_error *error)
{
    struct glob_parser g = {
        .text = text_bytes_of(text, false), .taken = -1, .ignore_case = ignore_case, .error = error};
    if (!pattern_build_init(&g.build, arena))
        return dp_fail_nomem(error, "a pattern");
    g.build.pattern->anchored = true;
    g.next = text_next_scalar(&g.text);
    enum dp_status status = parse_part(&g, 0);
    if (status)
        return status;
    pattern_put(&g.build, (struct pattern_step){.kind = STEP_END});
    return pattern_build_end(&g.build, out, error);
}
