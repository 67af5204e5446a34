/* index/query/exact.h: exact distances, as answers give them: smaller is nearer. */
#ifndef INDEX_EXACT_H
#define INDEX_EXACT_H

#include "index/index.h"

/* Returns the distance between query float[dim] and the nearest of `count` ≥ 1 vectors, which are little-endian
 * floats of any alignment. For cosine the query has length 1, and no vector has length 0. */
float exact_distance(enum index_metric metric, const float *query, const void *vectors, size_t count,
                     uint32_t dim);

#endif
