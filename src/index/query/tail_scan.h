/* index/query/tail_scan.h: the exact search of a view's tail. */
#ifndef INDEX_TAIL_SCAN_H
#define INDEX_TAIL_SCAN_H

#include "index/wal/tail.h"
#include "os/call.h"

/* A row of the tail, and its exact distance. */
struct tail_hit {
    const struct wal_record *record;
    float dist;
};

/* Finds the top_k rows of the tail that are nearest to the query, in any order; ids break ties. Rows without a vector
 * are not found. The caller holds the view's lock. The hits are in the call's arena, their records in the tail's
 * entries. */
enum dp_status tail_scan(struct call *call, const struct tail *tail, enum index_metric metric, const float *query,
                         uint32_t dim, size_t top_k, struct tail_hit **hits, size_t *count);

/* Finds the same by measuring every row: what tail_scan() does with a short tail. */
enum dp_status tail_scan_plainly(struct call *call, const struct tail *tail, enum index_metric metric,
                                 const float *query, uint32_t dim, size_t top_k, struct tail_hit **hits,
                                 size_t *count);

#endif
