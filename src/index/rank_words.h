/* index/rank_words.h: the score expressions that a text index can answer.
 *
 * They are one BM25, or the sum or the maximum of several. Each BM25, and the whole expression, may be multiplied by a
 * number.
 */
#ifndef INDEX_RANK_WORDS_H
#define INDEX_RANK_WORDS_H

#include "index/rank_node.h"

/* A BM25 of the expression. */
struct rank_group {
    const struct rank_node *node;
    double weight;
};

struct rank_words {
    struct rank_group *groups; /* [count], in the arena of the rank */
    size_t count;
    bool largest;                 /* the largest group counts, not their sum */
    const struct rank_node *node; /* the part of the expression that has the groups */
    double factor;                /* the number by which the score of this part is multiplied; above 0 */
};

/* Sets *fits to whether the expression has this form, and then *out. Fails with DP_NOMEM. */
enum dp_status rank_words_find(const struct rank *rank, struct rank_words *out, bool *fits,
                               struct dp_error *error);

#endif
