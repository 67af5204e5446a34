/* index/wal/codes.h: codes of the vectors of a log entry, which let a search skip most of the vectors.
 *
 * A component x of a vector is about low + step * code, where the code is a byte. The high halves of the bytes lie
 * together, so a search reads them first: an eighth of the vectors' bytes. Then it reads the low halves of the vectors
 * that are left, and then these vectors. A code knows how far the coded vector is from the true one, with and without
 * the low halves, so each step gives a lower bound of the distance, and the search's answer is exact.
 */
#ifndef INDEX_WAL_CODES_H
#define INDEX_WAL_CODES_H

#include "base/error.h"
#include "index/index.h"

/* The codes of some vectors. They do not change. */
struct wal_codes {
    size_t count;
    size_t stride;       /* bytes of one vector in `high` and in `low`; simd/scan.h has their layout (half_dots) */
    uint8_t *high, *low; /* [count][stride] */
    float *middle, *step; /* [count]: code 127.5 stands for `middle` */
    /* [count]: at least the distance between the vector and its code; `coarse`: the code without its low half */
    float *coarse_error, *fine_error;
    float *spread;           /* [count]: at least the distance between the code and a vector of middles */
    float *square, *inverse; /* [count]: the squared length of the vector; 1 / its length */
};

/* A query, prepared for codes. */
struct wal_code_query {
    enum index_metric metric;
    const float *vector; /* float[dim]; for cosine of length 1 */
    uint32_t dim;
    int8_t *rounded; /* [2 * stride]: its components / `unit`, rounded; zeros behind them */
    float unit;
    float rounded_sum;     /* of `rounded` */
    float sum;             /* of its components */
    float length, squares; /* the query's length, and the length's square */
    float error;           /* at least the distance between the query and unit * rounded */
};

/* Makes the codes of vectors float[count][dim]. Fails with DP_NOMEM. */
enum dp_status wal_codes_init(struct wal_codes *c, const float *vectors, size_t count, uint32_t dim,
                              struct dp_error *error);
void wal_codes_deinit(struct wal_codes *c);

/* Fails with DP_NOMEM. Keeps the pointer to the vector. */
enum dp_status wal_code_query_init(struct wal_code_query *query, enum index_metric metric, const float *vector,
                                   uint32_t dim, struct dp_error *error);
void wal_code_query_deinit(struct wal_code_query *query);

/* Sets bounds[i] to a lower bound of the distance (index/query/exact.h) of vector i; -INFINITY: none is known. */
void wal_codes_bound(const struct wal_codes *c, const struct wal_code_query *query, float *bounds);
/* Asks the processor for what wal_codes_refine() reads of vector i. */
void wal_codes_prefetch(const struct wal_codes *c, size_t i);
/* Returns a better bound for vector i, whose bound is `bound`. */
float wal_codes_refine(const struct wal_codes *c, const struct wal_code_query *query, size_t i, float bound);

#endif
