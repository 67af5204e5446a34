/* service/fuse.h: makes one ranking of several, by reciprocal rank fusion or by a convex combination of scores.
 *
 * A row scores Σ weight / (rank_constant + rank) over the lanes that have it, where the first row of a lane has rank
 * 1. A lane with scores gives weight · score in place of that. The largest sum comes first; id keys order rows of
 * equal sums.
 */
#ifndef SERVICE_FUSE_H
#define SERVICE_FUSE_H

#include "index/index.h"

enum { FUSE_LANES_MAX = 16, FUSE_RANK_CONSTANT = 60 };

/* The answer to one query: its rows, best first. */
struct fuse_lane {
    const struct index_hit *hits;
    size_t count;
    double weight;        /* more than 0 */
    const double *scores; /* [count]; NULL: the ranks count */
};

struct fused_hit {
    struct index_hit hit; /* as the first lane with this row has it, but with the score as its distance */
    size_t lane;          /* number of that lane */
    double score;
};

/* Fuses `count` lanes and gives the first `limit` rows, in the call's arena. Lanes have different ids each. Fails with
 * DP_NOMEM. */
enum dp_status fuse_lanes(struct call *call, const struct fuse_lane *lanes, size_t count, double rank_constant,
                          size_t limit, struct fused_hit **out, size_t *out_count);

#endif
