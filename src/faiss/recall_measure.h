/* faiss/recall_measure.h: measuring the recall of an index by nprobe. */
#ifndef FAISS_RECALL_MEASURE_H
#define FAISS_RECALL_MEASURE_H

#include "faiss/recall.h"
#include "os/team.h"
#include "vector/vector_source.h"

/* `tell` is called now and then with the part that is done, 0 to 1, on the caller's thread; false cancels. */
struct recall_watch {
    bool (*tell)(void *ctx, double done);
    void *ctx;
};

/* Measures an index against its vectors. Some of them are the queries, and none may find itself (by its id). The
 * truth is exact search through all of `source`, some 2.5e10 products at most, so more vectors mean fewer queries:
 * 400 down to 100. The searches use a rising nprobe until they find no more. table->count is 0 for fewer than two
 * vectors.
 *
 * source  the vectors of the index, in the order of ids: of length 1 for cosine
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
