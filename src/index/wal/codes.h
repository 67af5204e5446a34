/* index/wal/codes.h: one-byte codes of the vectors of a log entry, which let a search skip most of the vectors.
 *
 * A component x of a vector is about low + step * code. The code knows how far the coded vector is from the true one,
 * so a scan of codes, a quarter of the bytes, gives a lower bound of each distance. A search measures only vectors
 * whose bound is good enough, and its answer is exact.
 */
#ifndef INDEX_WAL_CODES_H
#define INDEX_WAL_CODES_H

#include "base/error.h"
#include "index/index.h"

/* How the bytes of one vector are meant. */
struct wal_code {
    float low, step;
    float error;  /* at least the distance between the vector and its code */
    float square; /* squared length of the vector */
};

/* The codes of some vectors. They do not change. */
struct wal_codes {
    size_t count;
    struct wal_code *codes; /* [count] */
    uint8_t *bytes;         /* [count][dim] */
};

/* A query, prepared for codes. */
struct wal_code_query {
    enum index_metric metric;
    const float *vector; /* float[dim]; for cosine of length 1 */
    uint32_t dim;
    float sum, length; /* of its components; of the vector */
};

/* Makes the codes of vectors float[count][dim]. Fails with DP_NOMEM. */
enum dp_status wal_codes_init(struct wal_codes *c, const float *vectors, size_t count, uint32_t dim,
                              struct dp_error *error);
void wal_codes_deinit(struct wal_codes *c);

struct wal_code_query wal_code_query_of(enum index_metric metric, const float *vector, uint32_t dim);
/* bounds[i]: a number that is not larger than the distance (index/query/exact.h) of vector i; NaN is possible, too. */
void wal_codes_bound(const struct wal_codes *c, const struct wal_code_query *query, float *bounds);

#endif
