/* pattern_literal.c: finds the literal of a pattern, and searches texts for it. */
#include "filter/pattern_literal.h"

#include "base/utf8.h"

enum {
    CHARACTER_BYTES = 4,
    REPLACEMENT = 0xfffd /* also stands for bytes that are no UTF-8, so a search for its bytes would miss some */
};

/* Returns the only character that a step takes, or -1. With ignore_case, it must be of ASCII: then bytes compare. */
static int64_t only_character(const struct pattern *p, const struct pattern_step *s)
{
    if (s->kind != STEP_SET || s->negated || s->range_count != 1)
        return -1;
    const struct pattern_range *range = &p->ranges[s->first_range];
    const bool encoded = range->low <= 0x10ffff && !(range->low >= 0xd800 && range->low < 0xe000);
    if (range->low != range->high || range->low == REPLACEMENT || !encoded ||
        (s->ignore_case && range->low >= 0x80))
        return -1;
    return range->low;
}

/* Sets skipped[i] for each step that a jump leads past. */
static void find_skipped(const struct pattern *p, bool skipped[PATTERN_STEPS_MAX])
{
    memset(skipped, 0, PATTERN_STEPS_MAX * sizeof *skipped);
    for (size_t i = 0; i < p->count; i++) {
        const struct pattern_step *s = &p->steps[i];
        if (s->kind != STEP_SPLIT && s->kind != STEP_JUMP)
            continue;
        const int32_t far = s->kind == STEP_SPLIT && s->other > s->distance ? s->other : s->distance;
        for (int32_t to = 1; to < far; to++)
            skipped[i + (size_t)to] = true;
    }
}

enum dp_status pattern_literal_find(struct arena *arena, struct pattern *p, struct dp_error *error)
{
    bool skipped[PATTERN_STEPS_MAX];
    size_t best = 0, best_len = 0, len = 0;
    find_skipped(p, skipped);
    for (size_t i = 0; i < p->count; i++) {
        const bool goes_on = len && p->steps[i].ignore_case == p->steps[i - 1].ignore_case;
        const bool takes = !skipped[i] && only_character(p, &p->steps[i]) >= 0;
        len = !takes ? 0 : goes_on ? len + 1 : 1;
        if (len > best_len) {
            best_len = len;
            best = i + 1 - len;
        }
    }
    if (best_len == 0)
        return DP_OK;
    uint8_t *bytes = arena_alloc(arena, best_len * CHARACTER_BYTES);
    if (!bytes)
        return dp_fail_nomem(error, "a pattern");
    p->literal = span_of(bytes, 0);
    for (size_t i = best; i < best + best_len; i++)
        p->literal.len += utf8_encode((uint32_t)only_character(p, &p->steps[i]), bytes + p->literal.len);
    p->literal_without_case = p->steps[best].ignore_case;
    return DP_OK;
}

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? c | 0x20 : c;
}

/* Searches for text of ASCII, whatever its case. */
static bool has_without_case(struct span text, struct span literal)
{
    const uint8_t first = lower(literal.data[0]);
    for (size_t i = 0; i + literal.len <= text.len; i++) {
        size_t n = lower(text.data[i]) == first;
        while (n && n < literal.len && lower(text.data[i + n]) == lower(literal.data[n]))
            n++;
        if (n == literal.len)
            return true;
    }
    return false;
}

bool pattern_literal_in(const struct pattern *p, struct span text)
{
    if (p->literal.len == 0)
        return true;
    if (p->literal.len > text.len)
        return false;
    return p->literal_without_case ? has_without_case(text, p->literal)
                                   : memmem(text.data, text.len, p->literal.data, p->literal.len) != NULL;
}
