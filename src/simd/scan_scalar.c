/* scan_scalar.c: the scan kernels in plain C: their explanation, and the oracle of faster ones. */
#include <math.h>
#include <string.h>

#include "simd/scan.h"

static void unpack_u4(const uint8_t *codes, size_t n, size_t dim, uint8_t *out)
{
    for (size_t r = 0; r < n; r++, codes += (dim + 1) / 2)
        for (size_t i = 0; i < dim; i++)
            *out++ = codes[i / 2] >> (4 * (i % 2)) & 15;
}

/* The number of `bits` (at most 16) bits that begins at bit `at` of bytes[len]. */
static unsigned bits_at(const uint8_t *bytes, size_t len, size_t at, size_t bits)
{
    uint32_t window = 0;
    for (size_t b = 0; b < 3 && at / 8 + b < len; b++)
        window |= (uint32_t)bytes[at / 8 + b] << (8 * b);
    return window >> (at % 8) & ((1u << bits) - 1);
}

static void unpack_u6(const uint8_t *codes, size_t n, size_t dim, uint8_t *out)
{
    size_t size = (6 * dim + 7) / 8;
    for (size_t r = 0; r < n; r++, codes += size)
        for (size_t i = 0; i < dim; i++)
            *out++ = (uint8_t)bits_at(codes, size, 6 * i, 6);
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

static void halves(const void *codes, size_t count, float *out)
{
    const uint8_t *bytes = codes;
    for (size_t i = 0; i < count; i++)
        out[i] = half_to_float((uint16_t)(bytes[2 * i] | bytes[2 * i + 1] << 8));
}

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

static void bit_sums(const float *query, size_t dim, const uint8_t *codes, size_t stride, size_t n, float *out)
{
    for (size_t r = 0; r < n; r++, codes += stride) {
        float sum = 0.0f;
        for (size_t i = 0; i < dim; i++)
            sum += (codes[i / 8] >> (i % 8) & 1) != 0 ? query[i] : 0.0f;
        out[r] = sum;
    }
}

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

const struct scan_kernels scan_kernels_scalar = {
    unpack_u4, unpack_u6, halves, table_sums, group_sums, plane_dots, bit_sums, signed_sum,
};
