/* index/query/fetch.h: reads vectors and documents of segment rows, in rounds. */
#ifndef INDEX_FETCH_H
#define INDEX_FETCH_H

#include "index/query/snapshot.h"
#include "index/round.h"

/* Asks the round for `count` vectors of a segment from number `first` on. Returns the handle. */
size_t fetch_ask_vectors(struct round *round, const struct segment *segment, uint64_t first, uint64_t count);
/* Asks the round for a run of documents. Returns the handle. */
size_t fetch_ask_run(struct round *round, const struct segment *segment, const struct document_run *run);
/* Judges the answer of either. Fails with DP_STALE when the object is gone. */
enum dp_status fetch_check(struct round *round, const struct segment *segment, size_t handle);

/* Returns the floats of vector number i of those that were read, float[dim] without alignment. */
static inline struct span fetch_floats(const struct segment *segment, struct span vectors, uint64_t i)
{
    return span_of(vectors.data + i * segment_vector_len(segment->hot.dim), (size_t)segment->hot.dim * 4);
}
/* Verifies the checksums of `count` vectors from number `first` on. Fails with DP_CORRUPT. */
enum dp_status fetch_verify_vectors(struct call *call, const struct segment *segment, struct span vectors,
                                    uint64_t first, uint64_t count);

#endif
