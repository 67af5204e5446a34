/* filter/text_condition.h: what the operators over texts want: Glob, IGlob, Regex, Fuzzy and those over tokens. */
#ifndef FILTER_TEXT_CONDITION_H
#define FILTER_TEXT_CONDITION_H

#include "base/json.h"
#include "filter/watch.h"

enum text_condition_kind {
    TEXT_GLOB,
    TEXT_GLOB_WITHOUT_CASE,
    TEXT_REGEX,
    TEXT_FUZZY,
    TEXT_ALL_TOKENS,
    TEXT_ANY_TOKEN,
    TEXT_TOKEN_SEQUENCE
};

struct text_condition;
struct token_query;

/* Where a condition stands. */
struct text_condition_place {
    struct span attribute;
    struct span full_text_search; /* the option of the attribute, for tokens; empty: as true */
    const char *operator;
    enum text_condition_kind kind;
};

/* Reads the operand, the options behind it, and the end of the array, which `r` has entered. Fails with DP_INVALID,
 * which names attribute and operator, or DP_NOMEM. */
enum dp_status text_condition_read(struct json_reader *r, struct arena *arena,
                                   const struct text_condition_place *place, struct text_condition **out,
                                   struct dp_error *error);
/* Returns whether a value in normal form matches: a JSON string, an array of them of which some element matches, or
 * another value, which does not. The watch may end the match. Thread-safe, if each thread has its own watch. */
bool text_condition_match(const struct text_condition *condition, struct span value, struct filter_watch *watch);
/* Returns what a condition over tokens looks for; NULL: it is another condition. */
const struct token_query *text_condition_tokens(const struct text_condition *condition);
/* Returns whether an array matches if some element does; else all elements together decide. */
bool text_condition_is_of_elements(const struct text_condition *condition);

#endif
