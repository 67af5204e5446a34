/* index/query/tail_scan.h: the exact search of a view's tail. */
#ifndef INDEX_TAIL_SCAN_H
#define INDEX_TAIL_SCAN_H

#include "index/wal/tail.h"
#include "os/call.h"
#include "os/team.h"

/* A row of the tail, and its exact distance. */
struct tail_hit {
    const struct wal_record *record;
    float dist;
};

/* What to find. */
struct tail_search {
    enum index_metric metric;
    const float *query; /* float[dim]; for cosine of length 1 */
    uint32_t dim;
    size_t top_k;
    struct team *team; /* helps with a long tail if it is free; NULL: the caller's thread does everything */
};

/* Finds the top_k rows of the tail that are nearest to the query, in any order; ids break ties. Rows without a vector
 * are not found. The caller holds the view's lock. The hits are in the call's arena, their records in the tail's
 * entries. */
enum dp_status tail_scan(struct call *call, const struct tail *tail, const struct tail_search *search,
                         struct tail_hit **hits, size_t *count);
/* Finds the rows that tail_scan() finds, by measuring every row. tail_scan() does so with a short tail. */
enum dp_status tail_scan_plainly(struct call *call, const struct tail *tail, const struct tail_search *search,
                                 struct tail_hit **hits, size_t *count);

#endif
