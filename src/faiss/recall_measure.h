/* faiss/recall_measure.h: measures the recall of an index by nprobe. */
#ifndef FAISS_RECALL_MEASURE_H
#define FAISS_RECALL_MEASURE_H

#include "faiss/recall.h"
#include "os/team.h"
#include "vector/vector_source.h"

/* A measurement calls `tell` now and then, on the caller's thread, with the part that is done, 0 to 1. False
 * cancels the measurement. */
struct recall_watch {
    bool (*tell)(void *ctx, double done);
    void *ctx;
};

/* Measures an index against its vectors. Some of the vectors are the queries. A hit with the query's own id does
 * not count. The truth comes from an exact search through all of `source`. This search should need at most 2.5e10
 * products, so more vectors mean fewer queries: from 400 down to 100. The measured searches use a rising nprobe
 * until they find nearly all neighbours, or hardly more than before. For fewer than two vectors table->count is 0.
 *
 * source  the vectors of the index, in the order of `ids`; for cosine, scaled to length 1
 * ids     int64_t[source->count]; NULL: 0, 1, …
 * watch   may be NULL */
enum dp_status recall_measure(struct call *call, struct team *team, const struct vector_source *source,
                              const int64_t *ids, const struct faiss_index *index, uint64_t seed,
                              const struct recall_watch *watch, struct recall_table *table);

/* Measures an index with queries that are not among its vectors. The truth is the index's own search of all its
 * lists.
 *
 * queries  float[count][the index's dim], 1 ≤ count */
enum dp_status recall_calibrate(struct call *call, const struct faiss_index *index, const float *queries,
                                size_t count, const struct recall_watch *watch, struct recall_table *table);

#endif
