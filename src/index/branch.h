/* index/branch.h: makes a namespace out of another one, without copying its rows. */
#ifndef INDEX_BRANCH_H
#define INDEX_BRANCH_H

#include "index/clock.h"
#include "index/index.h"

struct index_branch_options {
    struct team *team; /* clusters the vectors of a fold; or NULL */
    const struct index_clock *clock;
};

struct index_branch_result {
    uint64_t rows, segments; /* of the branch */
};

/* Makes the namespace `name` as a branch of `source`, in the same store: it has all rows that were acknowledged
 * before the call began, and is independent from then on. It lists the source's segments, which the source keeps for
 * it. Folds the source's log first, so the time depends on the log, not on the rows. `options` may be NULL.
 *
 *   DP_NOT_FOUND    there is no source
 *   DP_EXISTS       there is a namespace `name`
 *   DP_CONFLICT     the source was deleted meanwhile, or others were first each time; try again
 *   DP_TOO_LARGE    the source, or a namespace that owns segments of it, has MANIFEST_PINS_MAX branches
 *   DP_UNKNOWN      the last step was sent, and nobody can tell whether the branch is or will be there
 *
 * After a failure the source may keep some objects for a day. */
enum dp_status index_branch(struct call *call, struct store *store, struct span source, struct span name,
                            const struct index_branch_options *options, struct index_branch_result *result);

#endif
