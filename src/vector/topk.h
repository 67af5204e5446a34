/* vector/topk.h: keeps the k best of a stream of (score, id).
 *
 * A binary heap has its worst hit at the root, so that a score that is not good enough costs one comparison. Of
 * equal scores the one with the smaller id is better, so the result depends only on the pushed hits, not on their
 * order. The heap never takes NaN. One owner thread.
 */
#ifndef VECTOR_TOPK_H
#define VECTOR_TOPK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* A hit of a search. */
struct topk_hit {
    int64_t id;
    float score;
};

/* A heap of at most k hits. */
struct topk {
    struct topk_hit *hits; /* [k], of which `count` are in use: a heap; after topk_sort, best first */
    size_t k, count;
    bool larger_is_better;
    bool sorted;
};

/* Makes room for k hits; with k 0 the heap takes none. DP_NOMEM. */
enum dp_status topk_init(struct topk *top, size_t k, bool larger_is_better, struct dp_error *error);
void topk_deinit(struct topk *top);
/* Removes all hits. */
void topk_clear(struct topk *top);

/* Returns whether `a` comes before `b`. */
static inline bool topk_before(const struct topk *top, struct topk_hit a, struct topk_hit b)
{
    if (a.score != b.score)
        return top->larger_is_better ? a.score > b.score : a.score < b.score;
    return a.id < b.id;
}

/* Returns whether a hit with this score is good enough (its id may still lose a tie); false for NaN. */
static inline bool topk_admits(const struct topk *top, float score)
{
    if (top->count < top->k)
        return score == score;
    if (top->k == 0)
        return false;
    float worst = top->hits[0].score;
    return top->larger_is_better ? score >= worst : score <= worst;
}

/* Returns the worst score of a full heap. While the heap has room: `any`, negated if larger is better. */
static inline float topk_worst(const struct topk *top, float any)
{
    if (top->count == top->k && top->k > 0)
        return top->hits[0].score;
    return top->larger_is_better ? -any : any;
}

/* Offers a hit. After topk_sort, topk_clear must come first. */
void topk_push(struct topk *top, float score, int64_t id);

/* Sorts the hits, best first. */
void topk_sort(struct topk *top);

#endif
