/* index/row_vector.h: the vectors of rows, as segments and log entries hold them. */
#ifndef INDEX_ROW_VECTOR_H
#define INDEX_ROW_VECTOR_H

#include "index/index.h"

/* Checks one vector of a row, float[kind->dim], which segments and log entries hold as it is. Fails with DP_INVALID for
 * a component that is not finite, for one beyond INDEX_COMPONENT_MAX (squared distances), and for a vector without a
 * direction (cosine). */
enum dp_status row_vector_check(const struct index_vectors *kind, const float *vector, struct dp_error *error);

#endif
