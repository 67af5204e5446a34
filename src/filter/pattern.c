/* filter/pattern.c: builds the programs of patterns, and simulates them over a text. */
#include "base/array.h"
#include "filter/pattern_build.h"
#include "filter/pattern_literal.h"

/* ---- building ------------------------------------------------------------------------------------------ */

bool pattern_build_init(struct pattern_build *b, struct arena *arena)
{
    *b = (struct pattern_build){.arena = arena};
    b->pattern = arena_calloc(arena, 1, sizeof *b->pattern);
    if (b->pattern)
        b->pattern->steps = arena_array(arena, PATTERN_STEPS_MAX, sizeof *b->pattern->steps);
    return b->pattern && b->pattern->steps;
}

/* Moves the steps from `at` on by one, and puts a step there. */
static bool insert_step(struct pattern_build *b, size_t at, struct pattern_step step)
{
    struct pattern *p = b->pattern;
    if (b->too_large || p->count == PATTERN_STEPS_MAX) {
        b->too_large = true;
        return false;
    }
    memmove(p->steps + at + 1, p->steps + at, (p->count - at) * sizeof *p->steps);
    p->steps[at] = step;
    p->count++;
    return true;
}

bool pattern_put(struct pattern_build *b, struct pattern_step step)
{
    return insert_step(b, b->pattern->count, step);
}

void pattern_put_set(struct pattern_build *b, bool negated, bool ignore_case)
{
    pattern_put(b, (struct pattern_step){.kind = STEP_SET,
                                         .negated = negated,
                                         .ignore_case = ignore_case,
                                         .first_range = (uint32_t)b->range_count});
}

void pattern_put_range(struct pattern_build *b, uint32_t low, uint32_t high)
{
    struct pattern *p = b->pattern;
    if (b->too_large || b->out_of_memory)
        return;
    struct pattern_range *ranges =
        arena_reserve(b->arena, p->ranges, b->range_count, &b->range_room, sizeof *ranges, 16);
    if (!ranges) {
        b->out_of_memory = true;
        return;
    }
    p->ranges = ranges;
    ranges[b->range_count++] = (struct pattern_range){low, high};
    p->steps[p->count - 1].range_count++;
}

void pattern_put_char(struct pattern_build *b, uint32_t scalar, bool ignore_case)
{
    pattern_put_set(b, false, ignore_case);
    pattern_put_range(b, scalar, scalar);
}

void pattern_optional(struct pattern_build *b, size_t first)
{
    int32_t length = (int32_t)(b->pattern->count - first);
    insert_step(b, first, (struct pattern_step){.kind = STEP_SPLIT, .distance = 1, .other = length + 1});
}

void pattern_repeat(struct pattern_build *b, size_t first)
{
    int32_t length = (int32_t)(b->pattern->count - first);
    insert_step(b, first, (struct pattern_step){.kind = STEP_SPLIT, .distance = 1, .other = length + 2});
    pattern_put(b, (struct pattern_step){.kind = STEP_JUMP, .distance = -(length + 1)});
}

void pattern_alternate(struct pattern_build *b, size_t first, size_t second)
{
    int32_t length = (int32_t)(second - first), other = (int32_t)(b->pattern->count - second);
    insert_step(b, second, (struct pattern_step){.kind = STEP_JUMP, .distance = other + 1});
    insert_step(b, first, (struct pattern_step){.kind = STEP_SPLIT, .distance = 1, .other = length + 2});
}

/* Appends a copy of `length` steps. */
static void append_copy(struct pattern_build *b, size_t first, size_t length)
{
    for (size_t i = 0; i < length; i++)
        pattern_put(b, b->pattern->steps[first + i]);
}

void pattern_repeat_between(struct pattern_build *b, size_t first, int low, int high)
{
    size_t length = b->pattern->count - first, last = first;
    if (low == 0 && high == 0) {
        b->pattern->count = first;
        return;
    }
    for (int i = 1; i < low && !b->too_large; i++) {
        last = b->pattern->count;
        append_copy(b, first, length);
    }
    if (high < 0) {
        if (low > 0)
            pattern_put(b, (struct pattern_step){.kind = STEP_SPLIT, .distance = -(int32_t)length, .other = 1});
        else
            pattern_repeat(b, last);
        return;
    }
    if (low == 0)
        pattern_optional(b, first);
    for (int i = low > 1 ? low : 1; i < high && !b->too_large; i++) {
        size_t copy = b->pattern->count;
        append_copy(b, low == 0 ? first + 1 : first, length);
        pattern_optional(b, copy);
    }
}

enum dp_status pattern_build_end(struct pattern_build *b, struct pattern **out, struct dp_error *error)
{
    pattern_put(b, (struct pattern_step){.kind = STEP_MATCH});
    *out = b->pattern;
    if (b->out_of_memory)
        return dp_fail_nomem(error, "a pattern");
    if (b->too_large)
        return dp_fail(error, DP_INVALID, "more than %d steps", PATTERN_STEPS_MAX);
    return pattern_literal_find(b->arena, b->pattern, error);
}

enum { BYTES_OF_STEP = 64 }; /* that are searched for the literal in the time of a step, about */

/* ---- matching ------------------------------------------------------------------------------------------ */

uint32_t pattern_other_case(uint32_t c)
{
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
        return c ^ 0x20;
    if ((c >= 0xc0 && c <= 0xde && c != 0xd7) || (c >= 0x391 && c <= 0x3a9 && c != 0x3a2) ||
        (c >= 0x410 && c <= 0x42f))
        return c + 0x20;
    if ((c >= 0xe0 && c <= 0xfe && c != 0xf7) || (c >= 0x3b1 && c <= 0x3c9 && c != 0x3c2) ||
        (c >= 0x430 && c <= 0x44f))
        return c - 0x20;
    if (c >= 0x400 && c <= 0x40f)
        return c + 0x50;
    return c >= 0x450 && c <= 0x45f ? c - 0x50 : c;
}

static bool in_ranges(const struct pattern *p, const struct pattern_step *s, uint32_t c)
{
    for (uint32_t i = 0; i < s->range_count; i++) {
        const struct pattern_range *r = &p->ranges[s->first_range + i];
        if (c >= r->low && c <= r->high)
            return true;
    }
    return false;
}

static bool takes(const struct pattern *p, const struct pattern_step *s, uint32_t c)
{
    bool in = in_ranges(p, s, c) || (s->ignore_case && in_ranges(p, s, pattern_other_case(c)));
    return in != s->negated;
}

static bool is_word(int32_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* Returns whether the place between two characters, -1 outside the text, is what the step wants. */
static bool place_fits(enum step_kind kind, int32_t before, int32_t after)
{
    switch (kind) {
    case STEP_BEGIN: return before < 0;
    case STEP_END: return after < 0;
    case STEP_LINE_BEGIN: return before < 0 || before == '\n';
    case STEP_LINE_END: return after < 0 || after == '\n';
    case STEP_WORD: return is_word(before) != is_word(after);
    case STEP_NOT_WORD: return is_word(before) == is_word(after);
    case STEP_SET:
    case STEP_SPLIT:
    case STEP_JUMP:
    case STEP_MATCH:
    default: return false;
    }
}

/* The states of a pattern at one place of the text. */
struct pattern_states {
    uint16_t now[PATTERN_STEPS_MAX], next[PATTERN_STEPS_MAX], waiting[PATTERN_STEPS_MAX];
    size_t now_count, next_count, waiting_count;
    size_t visited; /* at this place */
    uint8_t seen[PATTERN_STEPS_MAX / 8];
};

static void visit(struct pattern_states *s, size_t step)
{
    if (s->seen[step / 8] >> step % 8 & 1)
        return;
    s->seen[step / 8] = (uint8_t)(s->seen[step / 8] | 1 << step % 8);
    s->waiting[s->waiting_count++] = (uint16_t)step;
    s->visited++;
}

/* Follows all steps that wait. Those that take the character `after` go into s->next. Returns whether the pattern
 * has matched. */
static bool follow(const struct pattern *p, struct pattern_states *s, int32_t before, int32_t after)
{
    while (s->waiting_count) {
        size_t at = s->waiting[--s->waiting_count];
        const struct pattern_step *step = &p->steps[at];
        switch (step->kind) {
        case STEP_MATCH: return true;
        case STEP_SET:
            if (after >= 0 && takes(p, step, (uint32_t)after))
                s->next[s->next_count++] = (uint16_t)(at + 1);
            break;
        case STEP_SPLIT:
            visit(s, (size_t)((ptrdiff_t)at + step->other));
            visit(s, (size_t)((ptrdiff_t)at + step->distance));
            break;
        case STEP_JUMP: visit(s, (size_t)((ptrdiff_t)at + step->distance)); break;
        case STEP_BEGIN:
        case STEP_END:
        case STEP_LINE_BEGIN:
        case STEP_LINE_END:
        case STEP_WORD:
        case STEP_NOT_WORD:
        default:
            if (place_fits(step->kind, before, after))
                visit(s, at + 1);
            break;
        }
    }
    return false;
}

bool pattern_match(const struct pattern *p, struct text_bytes text, struct filter_watch *watch)
{
    struct pattern_states s;
    int32_t before = -1, after;
    const struct span bytes = span_of(text.at, (size_t)(text.end - text.at));
    if (!text.escaped && !pattern_literal_in(p, bytes)) {
        filter_watch_steps(watch, 1 + bytes.len / BYTES_OF_STEP);
        return false;
    }
    s.now_count = 0;
    do {
        after = text_next_scalar(&text);
        memset(s.seen, 0, (p->count + 7) / 8);
        s.waiting_count = s.next_count = s.visited = 0;
        for (size_t i = 0; i < s.now_count; i++)
            visit(&s, s.now[i]);
        if (before < 0 || !p->anchored)
            visit(&s, 0);
        if (follow(p, &s, before, after))
            return true;
        memcpy(s.now, s.next, s.next_count * sizeof *s.next);
        s.now_count = s.next_count;
        before = after;
    } while (after >= 0 && (s.now_count || !p->anchored) && filter_watch_steps(watch, 1 + s.visited));
    return false;
}
