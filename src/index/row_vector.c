/* row_vector.c: checks a vector of a row. */
#include "index/row_vector.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>

#include "vector/distance.h"

/* Returns whether no component needs a closer look. It has no branch, so that a compiler may use SIMD registers. */
static bool components_are_good(const float *vector, uint32_t dim, float most)
{
    uint32_t good = 0;
    for (uint32_t d = 0; d < dim; d++)
        good += vector[d] <= most && vector[d] >= -most; /* false for a NaN */
    return good == dim;
}

/* Names the first bad component. */
static enum dp_status check_components(const struct index_vectors *kind, const float *vector,
                                       struct dp_error *error)
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
    return DP_OK;
}

enum dp_status row_vector_check(const struct index_vectors *kind, const float *vector, struct dp_error *error)
{
    const float most = kind->metric == INDEX_COSINE ? FLT_MAX : INDEX_COMPONENT_MAX;
    enum dp_status status =
        components_are_good(vector, kind->dim, most) ? DP_OK : check_components(kind, vector, error);
    if (status)
        return status;
    if (kind->metric == INDEX_COSINE && !vector_has_direction(vector_length(vector, kind->dim)))
        return dp_fail(
            error, DP_INVALID,
            "its vector has length zero (or too large a length), so it has no direction, which cosine distance "
            "needs");
    return DP_OK;
}
