/* filter/pattern.h: globs and regular expressions over texts.
 *
 * A pattern is a small program. A match follows all its states at once, and never goes back in the text. So its time
 * grows at most with the length of the text times the steps of the pattern, and it needs no memory.
 *
 *   glob   Rust's globset: ? one character, * any characters ("/" too), [a-z] [!a-z] classes, {a,b} alternatives,
 *          \ takes the next character as it is. "**" + "/" at the beginning, "/" + "**" at the end and "/" + "**"
 *          + "/" between stand for whole parts of a path. A glob matches the whole text.
 *   regex  Rust's regex, found anywhere in the text: | ( ) (?: ) (?<name> ) [ ] . ^ $ * + ? {n} {n,} {n,m}, also
 *          lazy; \d \w \s \b and their negations, all of ASCII; \A \z \n \t \r \f \v \a \xHH \x{H} \uHHHH \u{H};
 *          [[:alpha:]] and the like; the flags (?i) (?s) (?m). No look-around, no back-references, no \p.
 *
 * A match first searches the text for bytes that every match must have (pattern_literal.h).
 *
 * Without case, the letters of ASCII, Latin-1, Greek and Cyrillic equal their counterparts.
 */
#ifndef FILTER_PATTERN_H
#define FILTER_PATTERN_H

#include "base/arena.h"
#include "base/error.h"
#include "filter/document.h"
#include "filter/watch.h"

enum {
    PATTERN_STEPS_MAX = 1024, /* about one step for each character; x{3} counts three times */
    PATTERN_DEPTH_MAX = 64    /* groups within groups */
};

struct pattern;

/* Both parse into `arena`. They fail with DP_INVALID (the message says what is wrong with the pattern) or DP_NOMEM. */
enum dp_status glob_parse(struct arena *arena, struct span text, bool ignore_case, struct pattern **out,
                          struct dp_error *error);
enum dp_status regex_parse(struct arena *arena, struct span text, struct pattern **out, struct dp_error *error);
/* Returns whether the pattern matches. Counts the steps of the match in `watch`, which may end the match. Thread-safe,
 * if each thread has its own watch. */
bool pattern_match(const struct pattern *pattern, struct text_bytes text, struct filter_watch *watch);
/* Returns the same letter in the other case, or the character itself. */
uint32_t pattern_other_case(uint32_t c);

#endif
