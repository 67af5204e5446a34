/* wal/codes.c: codes vectors, and bounds distances by their codes.
 *
 * The code of a vector x is a vector x' near it: x' = middle + step (b - 127.5), where b are bytes; or, without the
 * low halves of the bytes, x' = middle + 16 step (h - 7.5). By Cauchy and Schwarz, <q,x> ≤ <q,x'> + |q| |x - x'|. The
 * query q is rounded to r = unit times integers. Then
 *
 *     <q,x'> = middle sum(q) + <r,x' - middle> + <q - r,x' - middle>, where the last term ≤ |q - r| |x' - middle|
 *
 * So only the middle term reads the codes, and it is a sum of integer products.
 *
 * Bounds also allow for the rounding of floats.
 */
#include "index/wal/codes.h"

#include <math.h>

#include "base/alloc.h"
#include "simd/scan.h"
#include "simd/simd.h"
#include "vector/distance.h"

static const float ROUNDING = 1.2e-7F; /* relative error of one addition of floats, rounded up */
/* The squares of gaps of a vector with a smaller square than this may lose all their bits, so its gaps are unknown. */
static const float SQUARE_MIN = 1e-24F;
/* A bound of what rounding floats adds to |q - r|, as a part of |q|. A component of x' is at least step / 2 or 8 step
 * away from `middle`, so the bound covers sums that are almost as large as 7.5 sum(|r|) steps. */
static const float QUERY_ROUNDING = 4e-6F;

enum {
    LANES = 16,        /* sums that run side by side, so that a compiler may use SIMD registers for them */
    ARRAYS = 7,        /* of floats */
    BOUND_BLOCK = 256, /* vectors whose products are in memory at a time */
    CODED_COMPONENTS = 2 * SCAN_HALVES
};

/* Sets *low and *high to the range of the components. */
static void find_range(const float *x, uint32_t dim, float *least, float *most)
{
    float low[LANES], high[LANES];
    for (uint32_t k = 0; k < LANES; k++)
        low[k] = high[k] = x[0];
    for (uint32_t i = 0; i + LANES <= dim; i += LANES) {
        for (uint32_t k = 0; k < LANES; k++) {
            low[k] = x[i + k] < low[k] ? x[i + k] : low[k];
            high[k] = x[i + k] > high[k] ? x[i + k] : high[k];
        }
    }
    for (uint32_t i = dim - dim % LANES; i < dim; i++) {
        low[0] = x[i] < low[0] ? x[i] : low[0];
        high[0] = x[i] > high[0] ? x[i] : high[0];
    }
    for (uint32_t k = 1; k < LANES; k++) {
        low[0] = low[k] < low[0] ? low[k] : low[0];
        high[0] = high[k] > high[0] ? high[k] : high[0];
    }
    *least = low[0];
    *most = high[0];
}

/* Codes `count` components as bytes. */
static void code_components(const float *restrict x, size_t count, float low, float step, uint8_t *restrict bytes)
{
    float scale = step > 0.0F ? 1.0F / step : 0.0F;
    for (size_t i = 0; i < count; i++) {
        float at = (x[i] - low) * scale + 0.5F;
        at = at < 255.0F ? at : 255.0F;
        bytes[i] = (uint8_t)(int32_t)at;
    }
}

/* Returns the squared distance between `count` components and what their codes stand for: zero + step * (byte >>
 * shift). */
static inline float squared_gap(const float *restrict x, const uint8_t *restrict bytes, size_t count, float zero,
                                float step, unsigned shift)
{
    float sums[LANES] = {0};
    size_t whole = count - count % LANES;
    for (size_t i = 0; i < whole; i += LANES) {
        for (size_t k = 0; k < LANES; k++) {
            float off = x[i + k] - (zero + step * (float)(bytes[i + k] >> shift));
            sums[k] += off * off;
        }
    }
    for (size_t i = whole; i < count; i++) {
        float off = x[i] - (zero + step * (float)(bytes[i] >> shift));
        sums[0] += off * off;
    }
    for (size_t k = 1; k < LANES; k++)
        sums[0] += sums[k];
    return sums[0];
}

/* Splits bytes[CODED_COMPONENTS] into halves, as half_dots reads them. */
static void split_bytes(const uint8_t *restrict bytes, uint8_t *restrict high, uint8_t *restrict low)
{
    for (size_t i = 0; i < SCAN_HALVES; i++) {
        uint8_t first = bytes[i], second = bytes[i + SCAN_HALVES];
        high[i] = (uint8_t)(first >> 4 | (second & 0xf0));
        low[i] = (uint8_t)((first & 15) | second << 4);
    }
}

/* Codes vector number i, float[dim]. `bytes` has room for its codes, with zeros behind them. */
static void code_vector(struct wal_codes *c, size_t i, const float *x, uint32_t dim, uint8_t *bytes)
{
    float low, high;
    find_range(x, dim, &low, &high);
    float step = (high - low) / 255.0F, middle = low + 127.5F * step;
    code_components(x, dim, low, step, bytes);
    for (size_t at = 0; at < c->stride; at += SCAN_HALVES)
        split_bytes(bytes + 2 * at, c->high + i * c->stride + at, c->low + i * c->stride + at);
    float square = distance_pair(VECTOR_INNER_PRODUCT, x, x, dim), length = sqrtf(square);
    float rounding =
        ROUNDING * (16.0F * length + 2.0F * sqrtf((float)dim) * (fabsf(middle) + 128.0F * fabsf(step)));
    float coarse = squared_gap(x, bytes, dim, middle - 120.0F * step, 16.0F * step, 4);
    float fine = squared_gap(x, bytes, dim, middle - 127.5F * step, step, 0);
    c->middle[i] = middle;
    c->step[i] = step;
    c->coarse_error[i] = sqrtf(coarse) * 1.001F + rounding;
    c->fine_error[i] = sqrtf(fine) * 1.001F + rounding;
    c->spread[i] =
        sqrtf(squared_gap(x, bytes, dim, middle, 0.0F, 0)) * 1.001F + c->coarse_error[i] + c->fine_error[i];
    if (square < SQUARE_MIN && (low != 0.0F || high != 0.0F))
        c->coarse_error[i] = c->fine_error[i] = c->spread[i] = INFINITY; /* no bound: the vector is measured */
    c->square[i] = square;
    c->inverse[i] = 1.0F / length;
}

enum dp_status wal_codes_init(struct wal_codes *c, const float *vectors, size_t count, uint32_t dim,
                              struct dp_error *error)
{
    size_t stride = ((size_t)dim + CODED_COMPONENTS - 1) / CODED_COMPONENTS * SCAN_HALVES;
    *c = (struct wal_codes){.count = count, .stride = stride};
    float *floats = mem_alloc((count * ARRAYS + 1) * sizeof *floats);
    c->middle = floats; /* owns all arrays of floats */
    c->high = mem_alloc(count * stride + 1);
    c->low = mem_alloc(count * stride + 1);
    uint8_t *bytes = mem_calloc(2 * stride + 1, 1);
    if (!floats || !c->high || !c->low || !bytes) {
        wal_codes_deinit(c);
        mem_free(bytes);
        return dp_fail_nomem(error, "codes of a log entry");
    }
    float **arrays[ARRAYS] = {&c->middle,     &c->step,   &c->coarse_error, &c->spread,
                              &c->fine_error, &c->square, &c->inverse};
    for (size_t k = 0; k < ARRAYS; k++)
        *arrays[k] = floats + k * count;
    for (size_t i = 0; i < count; i++)
        code_vector(c, i, vectors + i * dim, dim, bytes);
    mem_free(bytes);
    return DP_OK;
}

void wal_codes_deinit(struct wal_codes *c)
{
    mem_free(c->middle);
    mem_free(c->high);
    mem_free(c->low);
    *c = (struct wal_codes){0};
}

/* ---- queries ------------------------------------------------------------------------------------------- */

/* Rounds the query, and sets what depends on that. */
static void round_query(struct wal_code_query *query)
{
    float most = 0.0F;
    for (uint32_t i = 0; i < query->dim; i++)
        most = fabsf(query->vector[i]) > most ? fabsf(query->vector[i]) : most;
    query->unit = most / 127.0F;
    float scale = query->unit > 1e-30F ? 1.0F / query->unit : 0.0F;
    double squares = 0.0, off = 0.0, sum = 0.0;
    int64_t rounded_sum = 0;
    for (uint32_t i = 0; i < query->dim; i++) {
        float x = query->vector[i], rounded = nearbyintf(x * scale);
        rounded = rounded > 127.0F ? 127.0F : rounded < -127.0F ? -127.0F : rounded;
        query->rounded[i] = (int8_t)rounded;
        double gap = (double)x - (double)query->unit * (double)rounded;
        rounded_sum += query->rounded[i];
        sum += (double)x;
        squares += (double)x * (double)x;
        off += gap * gap;
    }
    query->sum = (float)sum;
    query->squares = (float)squares;
    query->length = (float)sqrt(squares) * (1.0F + ROUNDING);
    query->rounded_sum = (float)rounded_sum;
    query->error = (float)sqrt(off) * (1.0F + 2.0F * ROUNDING) + QUERY_ROUNDING * query->length;
}

enum dp_status wal_code_query_init(struct wal_code_query *query, enum index_metric metric, const float *vector,
                                   uint32_t dim, struct dp_error *error)
{
    size_t padded = ((size_t)dim + CODED_COMPONENTS - 1) / CODED_COMPONENTS * CODED_COMPONENTS;
    *query = (struct wal_code_query){.metric = metric, .vector = vector, .dim = dim};
    query->rounded = mem_calloc(padded + 1, 1);
    if (!query->rounded)
        return dp_fail_nomem(error, "a search of the log");
    round_query(query);
    return DP_OK;
}

void wal_code_query_deinit(struct wal_code_query *query)
{
    mem_free(query->rounded);
    query->rounded = NULL;
}

/* Bounds the inner products of vectors [from, from + n) from above, by products of the rounded query and the codes. */
static void bound_products(const struct wal_codes *c, const struct wal_code_query *query, size_t from, size_t n,
                           const int32_t *dots, float *restrict most)
{
    const float *middle = c->middle + from, *step = c->step + from, *coarse = c->coarse_error + from,
                *spread = c->spread + from;
    float unit = 16.0F * query->unit, zero = 7.5F * query->rounded_sum, sum = query->sum,
          rounding = fabsf(query->sum) * 8.0F * ROUNDING;
    for (size_t i = 0; i < n; i++)
        most[i] = middle[i] * sum + fabsf(middle[i]) * rounding + step[i] * unit * ((float)dots[i] - zero) +
                  query->error * spread[i] + query->length * coarse[i];
}

/* Returns -INFINITY for NaN. Products of huge numbers overflow, and then there is no bound. */
static inline float no_nan(float bound)
{
    return bound > -INFINITY ? bound : -INFINITY;
}

void wal_codes_bound(const struct wal_codes *c, const struct wal_code_query *query, float *bounds)
{
    int32_t dots[BOUND_BLOCK];
    for (size_t from = 0; from < c->count; from += BOUND_BLOCK) {
        size_t n = c->count - from < BOUND_BLOCK ? c->count - from : BOUND_BLOCK;
        float *out = bounds + from;
        simd_ops()->scan->half_dots(query->rounded, c->high + from * c->stride, c->stride, n, dots);
        bound_products(c, query, from, n, dots, out);
        if (query->metric == INDEX_COSINE) {
            for (size_t i = 0; i < n; i++)
                out[i] = no_nan(1.0F - out[i] * c->inverse[from + i] - 1e-5F);
        } else {
            for (size_t i = 0; i < n; i++) {
                float squares = query->squares + c->square[from + i];
                out[i] = no_nan(squares - 2.0F * out[i] - 1e-5F * squares);
            }
        }
    }
}

void wal_codes_prefetch(const struct wal_codes *c, size_t i)
{
    for (size_t at = 0; at < c->stride; at += 64)
        __builtin_prefetch(c->low + i * c->stride + at);
}

float wal_codes_refine(const struct wal_codes *c, const struct wal_code_query *query, size_t i, float bound)
{
    int32_t dot;
    simd_ops()->scan->half_dots(query->rounded, c->low + i * c->stride, c->stride, 1, &dot);
    float gain = query->length * (c->coarse_error[i] - c->fine_error[i]) -
                 c->step[i] * query->unit * ((float)dot - 7.5F * query->rounded_sum);
    float better = query->metric == INDEX_COSINE ? bound + gain * c->inverse[i] : bound + 2.0F * gain;
    return better > bound ? better : bound; /* `better` may be NaN */
}
