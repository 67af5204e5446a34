/* filter/pattern_build.h: how the parsers of patterns make their programs.
 *
 * A part of a program is an interval of steps. It jumps by distances, so it may be moved and copied. */
#ifndef FILTER_PATTERN_BUILD_H
#define FILTER_PATTERN_BUILD_H

#include "filter/pattern.h"

enum step_kind {
    STEP_SET,   /* takes one character: one of the ranges, or none of them */
    STEP_SPLIT, /* goes on at both distances */
    STEP_JUMP,  /* goes on at the first distance */
    STEP_BEGIN, /* the next steps look at a place, and take no character */
    STEP_END,
    STEP_LINE_BEGIN,
    STEP_LINE_END,
    STEP_WORD,
    STEP_NOT_WORD,
    STEP_MATCH
};

struct pattern_range {
    uint32_t low, high;
};

struct pattern_step {
    enum step_kind kind;
    bool negated, ignore_case;         /* of a set */
    uint32_t first_range, range_count; /* of a set */
    int32_t distance, other;           /* of a split or a jump */
};

struct pattern {
    struct pattern_step *steps;
    size_t count;
    struct pattern_range *ranges;
    bool anchored;             /* a match begins at the beginning of the text */
    struct span literal;       /* bytes that each match has (pattern_literal.h); empty: none are known */
    bool literal_without_case; /* it is of ASCII, and may stand there in another case */
};

/* A pattern that grows. */
struct pattern_build {
    struct arena *arena;
    struct pattern *pattern;
    size_t range_count, range_room;
    bool too_large, out_of_memory;
};

bool pattern_build_init(struct pattern_build *b, struct arena *arena);
/* Appends a step, and returns whether there was room; else it notes why there was none. */
bool pattern_put(struct pattern_build *b, struct pattern_step step);
/* Begins a set; pattern_put_range() adds to it until the next step. */
void pattern_put_set(struct pattern_build *b, bool negated, bool ignore_case);
void pattern_put_range(struct pattern_build *b, uint32_t low, uint32_t high);
void pattern_put_char(struct pattern_build *b, uint32_t scalar, bool ignore_case);
/* The steps from `first` on become optional, repeated any number of times, or one of two alternatives, of which the
 * second begins at `second`. */
void pattern_optional(struct pattern_build *b, size_t first);
void pattern_repeat(struct pattern_build *b, size_t first);
void pattern_alternate(struct pattern_build *b, size_t first, size_t second);
/* The steps from `first` on are repeated `low` to `high` times; `high` < 0: no maximum. */
void pattern_repeat_between(struct pattern_build *b, size_t first, int low, int high);
/* Appends the last step. Fails with DP_INVALID or DP_NOMEM if a step before had no room. */
enum dp_status pattern_build_end(struct pattern_build *b, struct pattern **out, struct dp_error *error);

#endif
