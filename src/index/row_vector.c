/* row_vector.c: checks a vector of a row. */
#include "index/row_vector.h"

#include <inttypes.h>
#include <math.h>

#include "vector/distance.h"

enum dp_status row_vector_check(const struct index_vectors *kind, const float *vector, struct dp_error *error)
{
    for (uint32_t d = 0; d < kind->dim; d++) {
        if (!isfinite(vector[d]))
            return dp_fail(error, DP_INVALID, "its vector has a component (number %" PRIu32 ") that is not finite",
                           d);
        if (kind->metric != INDEX_COSINE && fabsf(vector[d]) > INDEX_COMPONENT_MAX)
            return dp_fail(error, DP_INVALID,
                           "its vector has a component (number %" PRIu32
                           ") of more than %g: squared distances would not fit a float",
                           d, (double)INDEX_COMPONENT_MAX);
    }
    if (kind->metric == INDEX_COSINE && !vector_has_direction(vector_length(vector, kind->dim)))
        return dp_fail(
            error, DP_INVALID,
            "its vector has length zero (or too large a length), so it has no direction, which cosine distance "
            "needs");
    return DP_OK;
}
