/* scan_scalar.c: the scan kernels in plain C. They explain the faster ones and are the oracle of their tests. */
#include <math.h>
#include <string.h>

#include "simd/scan.h"

/* Returns the number of `bits` (at most 16) bits that begins at bit `at` of bytes[len]. */
static unsigned bits_at(const uint8_t *bytes, size_t len, size_t at, size_t bits)
{
    uint32_t window = 0;
    for (size_t b = 0; b < 3 && at / 8 + b < len; b++)
        window |= (uint32_t)bytes[at / 8 + b] << (8 * b);
    return window >> (at % 8) & ((1u << bits) - 1);
}

static float half_to_float(uint16_t half)
{
    int exponent = half >> 10 & 31, fraction = half & 1023;
    float size;
    if (exponent == 0)
        size = ldexpf((float)fraction, -24);
    else if (exponent < 31)
        size = ldexpf((float)(fraction + 1024), exponent - 25);
    else
        size = fraction != 0 ? NAN : INFINITY;
    return half >> 15 != 0 ? -size : size;
}

/* ---- scalar codes: decoded into lanes, and added up as in distance_scalar.c ------------------------------- */

enum { LANES = 16 };

/* Decodes components i … i + 15 of a row of `dim`; fills up with zeros. */
typedef void decoder(float to[LANES], const uint8_t *row, size_t i, size_t dim);

/* Two components in a byte, the lower half first:  byte 0: c1 c0 | byte 1: c3 c2 | … */
static void take_u4(float to[LANES], const uint8_t *row, size_t i, size_t dim)
{
    for (size_t l = 0; l < LANES; l++, i++)
        to[l] = i < dim ? (float)(row[i / 2] >> (4 * (i % 2)) & 15) : 0.0f;
}

/* Four components in three bytes, low bits first; the high bit of each byte is at the left:
 *
 *     byte    0         1         2
 *     bits    11000000  22221111  33333322        digit: which component the bit belongs to */
static void take_u6(float to[LANES], const uint8_t *row, size_t i, size_t dim)
{
    for (size_t l = 0; l < LANES; l++, i++)
        to[l] = i < dim ? (float)bits_at(row, (6 * dim + 7) / 8, 6 * i, 6) : 0.0f;
}

/* IEEE halves, little-endian. */
static void take_half(float to[LANES], const uint8_t *row, size_t i, size_t dim)
{
    for (size_t l = 0; l < LANES; l++, i++)
        to[l] = i < dim ? half_to_float((uint16_t)(row[2 * i] | row[2 * i + 1] << 8)) : 0.0f;
}

/* bfloat16, the upper half of a float: the lower half is zero. */
static void take_brain(float to[LANES], const uint8_t *row, size_t i, size_t dim)
{
    for (size_t l = 0; l < LANES; l++, i++) {
        uint32_t bits = i < dim ? (uint32_t)row[2 * i] << 16 | (uint32_t)row[2 * i + 1] << 24 : 0;
        memcpy(&to[l], &bits, sizeof bits);
    }
}

static void take_floats(float to[LANES], const float *from, size_t i, size_t dim)
{
    for (size_t l = 0; l < LANES; l++, i++)
        to[l] = i < dim ? from[i] : 0.0f;
}

static float lanes_sum(float lane[LANES])
{
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int l = 0; l < half; l++)
            lane[l] += lane[l + half];
    return lane[0];
}

static void inner_product(decoder *take, const float *weight, const uint8_t *codes, size_t size, size_t n,
                          size_t dim, float *out)
{
    for (size_t r = 0; r < n; r++, codes += size) {
        float sum[LANES] = {0}, w[LANES], x[LANES];
        for (size_t i = 0; i < dim; i += LANES) {
            take_floats(w, weight, i, dim);
            take(x, codes, i, dim);
            for (int l = 0; l < LANES; l++)
                sum[l] = fmaf(w[l], x[l], sum[l]);
        }
        out[r] = lanes_sum(sum);
    }
}

static void squared_l2(decoder *take, const float *offset, const float *step, const uint8_t *codes, size_t size,
                       size_t n, size_t dim, float *out)
{
    for (size_t r = 0; r < n; r++, codes += size) {
        float sum[LANES] = {0}, o[LANES], s[LANES], x[LANES];
        for (size_t i = 0; i < dim; i += LANES) {
            take_floats(o, offset, i, dim);
            take(x, codes, i, dim);
            if (step != NULL)
                take_floats(s, step, i, dim);
            for (int l = 0; l < LANES; l++) {
                float away = step != NULL ? fmaf(-s[l], x[l], o[l]) : o[l] - x[l];
                sum[l] = fmaf(away, away, sum[l]);
            }
        }
        out[r] = lanes_sum(sum);
    }
}

static void inner_product_u4(const float *weight, const uint8_t *codes, size_t n, size_t dim, float *out)
{
    inner_product(take_u4, weight, codes, (dim + 1) / 2, n, dim, out);
}
static void squared_l2_u4(const float *offset, const float *step, const uint8_t *codes, size_t n, size_t dim,
                          float *out)
{
    squared_l2(take_u4, offset, step, codes, (dim + 1) / 2, n, dim, out);
}
static void inner_product_u6(const float *weight, const uint8_t *codes, size_t n, size_t dim, float *out)
{
    inner_product(take_u6, weight, codes, (6 * dim + 7) / 8, n, dim, out);
}
static void squared_l2_u6(const float *offset, const float *step, const uint8_t *codes, size_t n, size_t dim,
                          float *out)
{
    squared_l2(take_u6, offset, step, codes, (6 * dim + 7) / 8, n, dim, out);
}
static void inner_product_f16(const float *weight, const uint8_t *codes, size_t n, size_t dim, float *out)
{
    inner_product(take_half, weight, codes, 2 * dim, n, dim, out);
}
static void squared_l2_f16(const float *offset, const uint8_t *codes, size_t n, size_t dim, float *out)
{
    squared_l2(take_half, offset, NULL, codes, 2 * dim, n, dim, out);
}

static void inner_product_bf16(const float *weight, const uint8_t *codes, size_t n, size_t dim, float *out)
{
    inner_product(take_brain, weight, codes, 2 * dim, n, dim, out);
}
static void squared_l2_bf16(const float *offset, const uint8_t *codes, size_t n, size_t dim, float *out)
{
    squared_l2(take_brain, offset, NULL, codes, 2 * dim, n, dim, out);
}

/* ---- other kernels --------------------------------------------------------------------------------------- */

/* The table is transposed, so that one sweep over it scores all entries:
 *
 *     across:  d=0: entry 0 1 2 … | d=1: entry 0 1 2 … | …        out[j] += vector[d] * across[d][j] */
static void entry_products(const float *vector, const float *across, size_t dims, size_t entries, float *out)
{
    memset(out, 0, entries * sizeof *out);
    for (size_t d = 0; d < dims; d++, across += entries)
        for (size_t j = 0; j < entries; j++)
            out[j] = fmaf(vector[d], across[j], out[j]);
}

static void entry_distances(const float *vector, const float *across, size_t dims, size_t entries, float *out)
{
    memset(out, 0, entries * sizeof *out);
    for (size_t d = 0; d < dims; d++, across += entries)
        for (size_t j = 0; j < entries; j++) {
            float away = vector[d] - across[j];
            out[j] = fmaf(away, away, out[j]);
        }
}

/* Part i of a row selects one of the 2^bits floats of table i. The row's score is the sum of the selected floats.
 * With 8 bits a part is one byte. */
static void table_sums(const float *table, const uint8_t *codes, size_t n, size_t m, size_t bits, size_t code_size,
                       float *out)
{
    for (size_t r = 0; r < n; r++, codes += code_size) {
        const float *row = table;
        float sum = 0.0f;
        for (size_t i = 0; i < m; i++, row += (size_t)1 << bits)
            sum += row[bits == 8 ? codes[i] : bits_at(codes, code_size, i * bits, bits)];
        out[r] = sum;
    }
}

/* The indexes of 32 vectors, two parts (a pair) at a time, as FAISS's fast scan lays them out:
 *
 *     byte of the pair    0       1       2       3     …   15   |  16 … 31
 *     low 4 bits          v 0     v 8     v 1     v 9   …   v 15 |  the odd part,
 *     high 4 bits         v 16    v 24    v 17    v 25  …   v 31 |  in the same order
 *
 * So one 16-byte shuffle looks up sixteen vectors in a table of sixteen bytes. `at` is the position of a vector's
 * byte. */
static void group_sums(const uint8_t *table, const uint8_t *codes, size_t stride, size_t pairs,
                       uint16_t out[SCAN_GROUP])
{
    memset(out, 0, SCAN_GROUP * sizeof *out);
    for (size_t p = 0; p < pairs; p++, table += 32, codes += stride)
        for (size_t v = 0; v < SCAN_GROUP; v++) {
            size_t at = v % 8 * 2 + v / 8 % 2;
            unsigned shift = v < 16 ? 0 : 4;
            out[v] =
                (uint16_t)(out[v] + table[codes[at] >> shift & 15] + table[16 + (codes[at + 16] >> shift & 15)]);
        }
}

/* The planes hold the query's integers of at most 8 bits: bit i of plane j is bit j of integer i. ANDs and
 * popcounts then give the product with a row of single bits:
 *
 *     integers 5 1 3      plane 0: 1 1 1    row: 1 0 1    popcount(plane 0 & row) = 2
 *                         plane 1: 0 0 1                  popcount(plane 1 & row) = 1
 *                         plane 2: 1 0 0                  popcount(plane 2 & row) = 1
 *     2 + 2*1 + 4*1 = 8 = 5 + 3 */
static void plane_dots(const uint8_t *planes, size_t count, size_t bytes, const uint8_t *codes, size_t stride,
                       size_t n, uint64_t *dots, uint64_t *ones)
{
    for (size_t r = 0; r < n; r++, codes += stride) {
        dots[r] = ones[r] = 0;
        for (size_t b = 0; b < bytes; b++) {
            ones[r] += (uint64_t)__builtin_popcount(codes[b]);
            for (size_t j = 0; j < count; j++)
                dots[r] += (uint64_t)__builtin_popcount(planes[j * bytes + b] & codes[b]) << j;
        }
    }
}

/* Adds the query's components where the row has a 1. */
static void bit_sums(const float *query, size_t dim, const uint8_t *codes, size_t stride, size_t n, float *out)
{
    for (size_t r = 0; r < n; r++, codes += stride) {
        float sum = 0.0f;
        for (size_t i = 0; i < dim; i++)
            sum += (codes[i / 8] >> (i % 8) & 1) != 0 ? query[i] : 0.0f;
        out[r] = sum;
    }
}

/* A component's code is its sign bit, then `bits` more below it; `bias` moves the middle of the codes to 0. */
static float signed_sum(const float *query, size_t dim, const uint8_t *signs, const uint8_t *extra, size_t bits,
                        float bias)
{
    size_t size = (dim * bits + 7) / 8;
    float sum = 0.0f;
    for (size_t i = 0; i < dim; i++) {
        unsigned sign = signs[i / 8] >> (i % 8) & 1;
        sum += query[i] * ((float)((sign << bits) + bits_at(extra, size, i * bits, bits)) + bias);
    }
    return sum;
}

static void half_dots(const int8_t *query, const uint8_t *codes, size_t bytes, size_t n, int32_t *dots)
{
    for (size_t r = 0; r < n; r++, codes += bytes) {
        dots[r] = 0;
        for (size_t b = 0; b < bytes; b++) {
            const int8_t *q = query + b / SCAN_HALVES * (2 * SCAN_HALVES) + b % SCAN_HALVES;
            dots[r] += q[0] * (codes[b] & 15) + q[SCAN_HALVES] * (codes[b] >> 4);
        }
    }
}

static uint64_t scores_reaching(const float *scores, size_t n, float worst, bool larger)
{
    uint64_t reached = 0;
    for (size_t i = 0; i < n; i++)
        if (larger ? scores[i] >= worst : scores[i] <= worst)
            reached |= (uint64_t)1 << i;
    return reached;
}

const struct scan_kernels scan_kernels_scalar = {
    inner_product_u4,   squared_l2_u4,   inner_product_u6, squared_l2_u6,   inner_product_f16, squared_l2_f16,
    inner_product_bf16, squared_l2_bf16, entry_products,   entry_distances, table_sums,        group_sums,
    plane_dots,         bit_sums,        signed_sum,       half_dots,       scores_reaching,
};
