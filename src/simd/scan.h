/* simd/scan.h: kernels that scan the codes of inverted lists, beside distance.h, by instruction set.
 *
 * Codes lie one after another, without alignment, as in a FAISS file; the kernels decode them in registers.
 * Kernels neither allocate nor fail; n and dim may be 0. Every instruction set computes the same bits as
 * scan_scalar.c: integer results are exact, scores of scalar codes add up as distance.h says, and other sums of
 * floats run in rising order.
 */
#ifndef SIMD_SCAN_H
#define SIMD_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* SCAN_GROUP vectors form a group, whose four-bit codes lie interleaved. One call of `reaching` takes at most
 * SCAN_SCORES_MAX scores. Each SCAN_HALVES bytes of a row for `half_dots` hold twice as many components. */
enum { SCAN_GROUP = 32, SCAN_SCORES_MAX = 64, SCAN_HALVES = 32 };

/* The scan kernels of one instruction set. */
struct scan_kernels {
    /* Scores of rows of 4 bits a component (ceil(dim / 2) bytes, low half first), of 6 bits (ceil(6 dim / 8)
     * bytes, low bits first), of IEEE halves, and of bfloat16, the upper halves of floats:
     * inner: out[r] = sum over i of weight[i] * c[r][i]
     * l2:    out[r] = sum over i of (offset[i] - step[i] * c[r][i])²; of f16 and bf16 (offset[i] - c[r][i])² */
    void (*inner_product_u4)(const float *weight, const uint8_t *codes, size_t n, size_t dim, float *out);
    void (*squared_l2_u4)(const float *offset, const float *step, const uint8_t *codes, size_t n, size_t dim,
                          float *out);
    void (*inner_product_u6)(const float *weight, const uint8_t *codes, size_t n, size_t dim, float *out);
    void (*squared_l2_u6)(const float *offset, const float *step, const uint8_t *codes, size_t n, size_t dim,
                          float *out);
    void (*inner_product_f16)(const float *weight, const uint8_t *codes, size_t n, size_t dim, float *out);
    void (*squared_l2_f16)(const float *offset, const uint8_t *codes, size_t n, size_t dim, float *out);
    void (*inner_product_bf16)(const float *weight, const uint8_t *codes, size_t n, size_t dim, float *out);
    void (*squared_l2_bf16)(const float *offset, const uint8_t *codes, size_t n, size_t dim, float *out);
    /* Scores of a vector against the entries of a transposed table, fused and in rising order: out[j] = sum over d
     * of vector[d] * across[d][j], and of (vector[d] - across[d][j])². vector float[dims]; across
     * float[dims][entries] */
    void (*entry_products)(const float *vector, const float *across, size_t dims, size_t entries, float *out);
    void (*entry_distances)(const float *vector, const float *across, size_t dims, size_t entries, float *out);
    /* out[r] = sum over m of table[m][index m of row r]. Indexes have `bits` (1 … 16) bits, packed low bits first.
     * table float[m][1 << bits]; rows of code_size ≥ ceil(m bits / 8) bytes */
    void (*table_sums)(const float *table, const uint8_t *codes, size_t n, size_t m, size_t bits, size_t code_size,
                       float *out);
    /* out[v] = sum over p of table[2 p][even index] + table[2 p + 1][odd index], modulo 2^16, for SCAN_GROUP
     * vectors. The indexes of pair p are the 32 bytes at codes + p * stride: the first 16 hold the even one.
     * Byte 2 v holds vector v (low half) and v + 16 (high half), byte 2 v + 1 vectors v + 8 and v + 24. table
     * uint8_t[2 pairs][16] */
    void (*group_sums)(const uint8_t *table, const uint8_t *codes, size_t stride, size_t pairs,
                       uint16_t out[SCAN_GROUP]);
    /* dots[r] = sum over j of 2^j popcount(planes[j] & row r); ones[r] = popcount(row r). planes
     * uint8_t[count][bytes]; rows begin `stride` bytes apart */
    void (*plane_dots)(const uint8_t *planes, size_t count, size_t bytes, const uint8_t *codes, size_t stride,
                       size_t n, uint64_t *dots, uint64_t *ones);
    /* out[r] = sum of query[i] over the set bits i of row r.   query float[dim]; rows begin `stride` bytes
     * apart */
    void (*bit_sums)(const float *query, size_t dim, const uint8_t *codes, size_t stride, size_t n, float *out);
    /* sum over i of query[i] * (sign_i 2^bits + extra_i + bias).   signs ceil(dim / 8) bytes; extra: numbers of
     * `bits` (1 … 8) bits, packed low bits first */
    float (*signed_sum)(const float *query, size_t dim, const uint8_t *signs, const uint8_t *extra, size_t bits,
                        float bias);
    /* dots[r] = sum over i of query[i] * c[r][i], of components of 4 bits. SCAN_HALVES bytes of a row hold 2 *
     * SCAN_HALVES components: their low halves the first of them, their high halves the others. query int8_t[2 *
     * bytes], none -128; rows of `bytes` ≤ 2^17 bytes, a multiple of SCAN_HALVES */
    void (*half_dots)(const int8_t *query, const uint8_t *codes, size_t bytes, size_t n, int32_t *dots);
    /* Sets bit i of the result if scores[i] ≥ worst (`larger`) or scores[i] ≤ worst (not `larger`). A NaN sets no
     * bit. n ≤ SCAN_SCORES_MAX */
    uint64_t (*reaching)(const float *scores, size_t n, float worst, bool larger);
};

extern const struct scan_kernels scan_kernels_scalar;

#endif
