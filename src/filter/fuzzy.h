/* filter/fuzzy.h: texts that contain a text with a few typing errors. */
#ifndef FILTER_FUZZY_H
#define FILTER_FUZZY_H

#include "base/json.h"
#include "filter/document.h"
#include "filter/watch.h"

enum { FUZZY_CHARS_MAX = 1024, FUZZY_DISTANCE_MAX = 2 };

struct fuzzy;

/* Reads the options {"max_edit_distance": [{"min_query_chars": n, "distance": d}, …], "case_sensitive": true}, which
 * stand behind `text`. The distance is that of the largest min_query_chars which `text` has; a shorter text matches
 * nothing. Fails with DP_INVALID (the message says what is wrong) or DP_NOMEM. */
enum dp_status fuzzy_parse(struct arena *arena, struct span text, struct json_reader *options, struct fuzzy **out,
                           struct dp_error *error);
/* Returns whether some part of the text becomes the parsed one by at most `distance` insertions, deletions and
 * replacements of characters. The watch may end the match. Thread-safe, if each thread has its own watch. */
bool fuzzy_match(const struct fuzzy *fuzzy, struct text_bytes text, struct filter_watch *watch);

#endif
