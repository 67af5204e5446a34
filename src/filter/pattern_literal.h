/* filter/pattern_literal.h: the bytes that every match of a pattern has, so that most texts are turned away by a search for
 * bytes.
 *
 * The steps of a program that no jump leads past are part of every match. Where some of them follow each other and each
 * takes a single character, these characters stand side by side in every match.
 */
#ifndef FILTER_PATTERN_LITERAL_H
#define FILTER_PATTERN_LITERAL_H

#include "filter/pattern_build.h"

/* Finds the longest such bytes, in `arena`: pattern->literal. Fails with DP_NOMEM. */
enum dp_status pattern_literal_find(struct arena *arena, struct pattern *pattern, struct dp_error *error);
/* Returns whether a text, which has no escapes, may match: whether it has the literal. */
bool pattern_literal_in(const struct pattern *pattern, struct span text);

#endif
