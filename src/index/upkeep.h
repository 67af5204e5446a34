/* index/upkeep.h: work on a namespace that no client waits for: merging small segments.
 *
 * Each function looks at the manifest, does what is due, and changes the manifest by one swap. Any process may call it
 * at any time; when another one was first, it gives up its own result. Queries, loads and writes go on meanwhile.
 */
#ifndef INDEX_UPKEEP_H
#define INDEX_UPKEEP_H

#include "index/clock.h"
#include "index/index.h"

struct index_merge_options {
    struct team *team; /* clusters the vectors; or NULL */
    const struct index_clock *clock;
    /* Makes as few segments as possible. False: merges only what the tiers ask for (index/fold/choose.h). */
    bool everything;
};

struct index_merge_result {
    uint64_t inputs, outputs; /* segments that the merge replaced, and that replaced them; 0: nothing was due */
    uint64_t rows;            /* rows of the outputs */
    uint64_t bytes;           /* bytes that the merge wrote */
};

/* Merges segments once: the rows of some listed segments go into new ones, without the deleted rows and with new lists.
 * Call it again until result->inputs is 0. `options` may be NULL. DP_NOT_FOUND: there is no namespace; DP_CONFLICT:
 * other merges were first each time. */
enum dp_status index_merge(struct call *call, struct store *store, struct span name,
                           const struct index_merge_options *options, struct index_merge_result *result);

#endif
