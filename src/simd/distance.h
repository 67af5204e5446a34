/* simd/distance.h: distances of one query to many vectors, by instruction set.
 *
 * Every set gives the same bits as distance_scalar.c: a fused multiply-add adds element i to lane i mod 16, zeros
 * fill a last short block, and a fixed tree joins the 16 lanes. So a score does not depend on the machine or on
 * the number of rows in a call.
 *
 * Rows lie one after another, without padding and without alignment, as in a FAISS file. Nothing here allocates or
 * fails. n and dim may be 0.
 */
#ifndef SIMD_DISTANCE_H
#define SIMD_DISTANCE_H

#include <stddef.h>
#include <stdint.h>

struct distance_kernels {
    /* out[r] = sum over i of query[i] * rows[r][i].   query float[dim]; rows n * dim little-endian floats */
    void (*inner_product)(const float *query, const void *rows, size_t n, size_t dim, float *out);
    /* out[r] = sum over i of (query[i] - rows[r][i])². */
    void (*squared_l2)(const float *query, const void *rows, size_t n, size_t dim, float *out);
    /* out[r] = sum over i of weight[i] * codes[r][i].   weight float[dim]; codes n * dim bytes */
    void (*inner_product_u8)(const float *weight, const uint8_t *codes, size_t n, size_t dim, float *out);
    /* out[r] = sum over i of (offset[i] - step[i] * codes[r][i])². */
    void (*squared_l2_u8)(const float *offset, const float *step, const uint8_t *codes, size_t n, size_t dim,
                          float *out);
};

extern const struct distance_kernels distance_kernels_scalar;

#endif
