/* distance_scalar.c: the distance kernels in plain C: their explanation, and the oracle of their tests.
 *
 * Every other instruction set must reproduce these bits, so the order of the sum is part of the definition. A
 * kernel reads a row in blocks of 16 elements. Zeros fill the last block. Element i goes into lane i mod 16:
 *
 *     element   0  1  2 … 15 | 16 17 18 … 31 | 32 33  0 …  0
 *     lane      0  1  2 … 15 |  0  1  2 … 15 |  0  1  2 … 15     lane = fma(query, element, lane)
 *
 * Then lanes_sum() folds the upper half of the lanes onto the lower one, four times: 16 → 8 → 4 → 2 → 1.
 */
#include <math.h>
#include <string.h>

#include "simd/distance.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "rows are little-endian floats");

enum { LANES = 16 };

static float lanes_sum(float lane[LANES])
{
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int l = 0; l < half; l++)
            lane[l] += lane[l + half];
    return lane[0];
}

/* Loads at most 16 floats from any address, and sets the remaining ones to zero. */
static void take_floats(float to[LANES], const void *from, size_t left)
{
    size_t n = left < LANES ? left : LANES;
    memset(to, 0, LANES * sizeof *to);
    memcpy(to, from, n * sizeof *to);
}

/* Loads at most 16 bytes as floats, and sets the remaining ones to zero. */
static void take_bytes(float to[LANES], const uint8_t *from, size_t left)
{
    for (size_t l = 0; l < LANES; l++)
        to[l] = l < left ? (float)from[l] : 0.0f;
}

static void inner_product(const float *query, const void *rows, size_t n, size_t dim, float *out)
{
    const char *row = rows;
    for (size_t r = 0; r < n; r++, row += dim * sizeof(float)) {
        float sum[LANES] = {0}, q[LANES], x[LANES];
        for (size_t i = 0; i < dim; i += LANES) {
            take_floats(q, query + i, dim - i);
            take_floats(x, row + i * sizeof(float), dim - i);
            for (int l = 0; l < LANES; l++)
                sum[l] = fmaf(q[l], x[l], sum[l]);
        }
        out[r] = lanes_sum(sum);
    }
}

static void squared_l2(const float *query, const void *rows, size_t n, size_t dim, float *out)
{
    const char *row = rows;
    for (size_t r = 0; r < n; r++, row += dim * sizeof(float)) {
        float sum[LANES] = {0}, q[LANES], x[LANES];
        for (size_t i = 0; i < dim; i += LANES) {
            take_floats(q, query + i, dim - i);
            take_floats(x, row + i * sizeof(float), dim - i);
            for (int l = 0; l < LANES; l++) {
                float away = q[l] - x[l];
                sum[l] = fmaf(away, away, sum[l]);
            }
        }
        out[r] = lanes_sum(sum);
    }
}

static void inner_product_u8(const float *weight, const uint8_t *codes, size_t n, size_t dim, float *out)
{
    for (size_t r = 0; r < n; r++, codes += dim) {
        float sum[LANES] = {0}, w[LANES], c[LANES];
        for (size_t i = 0; i < dim; i += LANES) {
            take_floats(w, weight + i, dim - i);
            take_bytes(c, codes + i, dim - i);
            for (int l = 0; l < LANES; l++)
                sum[l] = fmaf(w[l], c[l], sum[l]);
        }
        out[r] = lanes_sum(sum);
    }
}

static void squared_l2_u8(const float *offset, const float *step, const uint8_t *codes, size_t n, size_t dim,
                          float *out)
{
    for (size_t r = 0; r < n; r++, codes += dim) {
        float sum[LANES] = {0}, o[LANES], s[LANES], c[LANES];
        for (size_t i = 0; i < dim; i += LANES) {
            take_floats(o, offset + i, dim - i);
            take_floats(s, step + i, dim - i);
            take_bytes(c, codes + i, dim - i);
            for (int l = 0; l < LANES; l++) {
                float away = fmaf(-s[l], c[l], o[l]);
                sum[l] = fmaf(away, away, sum[l]);
            }
        }
        out[r] = lanes_sum(sum);
    }
}

const struct distance_kernels distance_kernels_scalar = {inner_product, squared_l2, inner_product_u8,
                                                         squared_l2_u8};
