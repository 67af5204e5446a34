/* index/query/token_sets.h: which rows have the tokens that a filter asks for, from the text indexes of segments. */
#ifndef INDEX_TOKEN_SETS_H
#define INDEX_TOKEN_SETS_H

#include "filter/column_match.h"
#include "index/query/live.h"

/* The sets of one segment. */
struct token_sets {
    const struct column_set *list; /* [count] */
    size_t count;
};

/* Makes the sets of the segments i with wanted[i], out[segments of the base], in `arena`: one for each comparison of
 * the filter over tokens whose attribute the segment's index covers by its present settings. A sequence gets the rows
 * that have all of its tokens. Reads in rounds: in one, unless the index has more bytes of these tokens than a round
 * may read. Leaves out sets that would cost much memory, and prefixes that would cost many bytes. Fails with DP_STALE
 * when an object is gone, with DP_CORRUPT, or with DP_NOMEM. */
enum dp_status token_sets_make(struct call *call, const struct live_rows *live, const struct filter *filter,
                               const bool *wanted, struct arena *arena, struct token_sets *out);

#endif
