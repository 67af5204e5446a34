/* index/query/id_search.h: finds the rows of segments that have given ids.
 *
 * It asks the filter of each segment first, if the segment was opened with it, then reads the id blocks that may hold
 * one of the ids: those of all segments in one round, or in several if they are more than round_bytes or more than
 * 1024 blocks.
 */
#ifndef INDEX_ID_SEARCH_H
#define INDEX_ID_SEARCH_H

#include "index/round.h"
#include "index/segment/segment.h"

/* A segment to search. */
struct searched_segment {
    const struct object_key *key;        /* name of its .dpr object */
    const struct store_version *version; /* version that the object must still have; NULL: any */
    const struct segment_hot *hot;
};

/* Tells that row `row` of segments[segment] has the id key keys[key]. */
typedef enum dp_status id_found_fn(void *context, size_t segment, size_t key, uint32_t row);

/* Calls `found` for each row of the segments whose id key is among keys[key_count], which must be sorted. Reads in
 * rounds of at most round_bytes (0: ROUND_BYTES_MAX). Fails with DP_STALE if an object is missing or is another one
 * now. Fails with DP_CORRUPT if an object is damaged; the message names it. Also fails as the store or `found` does.
 */
enum dp_status id_search(struct call *call, struct store *store, uint64_t round_bytes,
                         const struct searched_segment *segments, size_t segment_count, const struct span *keys,
                         size_t key_count, id_found_fn *found, void *context);

/* The same in two steps, for a search whose reads belong to a round of the caller. */
struct id_searching;
/* Asks the round for the id blocks. Sets *out to NULL if there is nothing to read. Also if the blocks do not fit: then
 * sets *full, and the round is as before. */
enum dp_status id_search_ask(struct call *call, struct round *round, const struct searched_segment *segments,
                             size_t segment_count, const struct span *keys, size_t key_count, id_found_fn *found,
                             void *context, struct id_searching **out, bool *full);
/* Searches the blocks that the round has read. */
enum dp_status id_search_take(struct id_searching *search);
void id_search_free(struct id_searching *search); /* NULL is fine */

#endif
