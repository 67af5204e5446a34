/* wal/codes.c: codes vectors, and bounds distances by their codes.
 *
 * With x' the coded vector of x, <q,x> ≤ <q,x'> + |q| |x - x'| (Cauchy and Schwarz). The sums are of floats, so each
 * bound also allows for their rounding.
 */
#include "index/wal/codes.h"

#include <math.h>

#include "base/alloc.h"
#include "simd/distance.h"
#include "simd/simd.h"
#include "vector/distance.h"

static const float ROUNDING = 1.2e-7F; /* relative error of one addition of floats, rounded up */

enum { LANES = 16 }; /* sums that run side by side, so that a compiler may use SIMD registers for them */

/* Sets code->low and code->step to the range of the components. */
static void find_range(const float *x, uint32_t dim, struct wal_code *code)
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
    code->low = low[0];
    code->step = (high[0] - low[0]) / 255.0F;
}

static void code_components(const float *restrict x, uint32_t dim, const struct wal_code *code,
                            uint8_t *restrict bytes)
{
    float low = code->low, scale = code->step > 0.0F ? 1.0F / code->step : 0.0F;
    for (uint32_t i = 0; i < dim; i++) {
        float at = (x[i] - low) * scale + 0.5F;
        at = at < 255.0F ? at : 255.0F;
        bytes[i] = (uint8_t)(int32_t)at;
    }
}

/* Returns the squared distance between a vector and its code. */
static float coding_error(const float *restrict x, uint32_t dim, const struct wal_code *code,
                          const uint8_t *restrict bytes)
{
    float sums[LANES] = {0}, low = code->low, step = code->step;
    uint32_t whole = dim - dim % LANES;
    for (uint32_t i = 0; i < whole; i += LANES) {
        for (uint32_t k = 0; k < LANES; k++) {
            float off = x[i + k] - (low + step * (float)bytes[i + k]);
            sums[k] += off * off;
        }
    }
    for (uint32_t i = whole; i < dim; i++) {
        float off = x[i] - (low + step * (float)bytes[i]);
        sums[0] += off * off;
    }
    for (uint32_t k = 1; k < LANES; k++)
        sums[0] += sums[k];
    return sums[0];
}

/* Codes one vector float[dim]. */
static struct wal_code code_vector(const float *x, uint32_t dim, uint8_t *bytes)
{
    struct wal_code code;
    find_range(x, dim, &code);
    code_components(x, dim, &code, bytes);
    code.square = distance_pair(VECTOR_INNER_PRODUCT, x, x, dim);
    code.error = sqrtf(coding_error(x, dim, &code, bytes)) * 1.01F + ROUNDING * 16.0F * sqrtf(code.square);
    return code;
}

enum dp_status wal_codes_init(struct wal_codes *c, const float *vectors, size_t count, uint32_t dim,
                              struct dp_error *error)
{
    *c = (struct wal_codes){.count = count};
    c->codes = mem_calloc(count + 1, sizeof *c->codes);
    c->bytes = mem_calloc(count + 1, (size_t)dim + 1);
    if (!c->codes || !c->bytes) {
        wal_codes_deinit(c);
        return dp_fail_nomem(error, "codes of a log entry");
    }
    for (size_t i = 0; i < count; i++)
        c->codes[i] = code_vector(vectors + i * dim, dim, c->bytes + i * dim);
    return DP_OK;
}

void wal_codes_deinit(struct wal_codes *c)
{
    mem_free(c->codes);
    mem_free(c->bytes);
    *c = (struct wal_codes){0};
}

struct wal_code_query wal_code_query_of(enum index_metric metric, const float *vector, uint32_t dim)
{
    struct wal_code_query query = {.metric = metric, .vector = vector, .dim = dim};
    for (uint32_t i = 0; i < dim; i++)
        query.sum += vector[i];
    query.length = sqrtf(distance_pair(VECTOR_INNER_PRODUCT, vector, vector, dim));
    return query;
}

void wal_codes_bound(const struct wal_codes *c, const struct wal_code_query *query, float *bounds)
{
    float dim = (float)query->dim, rounding = ROUNDING * (16.0F + dim / 16.0F) * query->length * sqrtf(dim);
    simd_ops()->distance->inner_product_u8(query->vector, c->bytes, c->count, query->dim, bounds);
    for (size_t i = 0; i < c->count; i++) {
        const struct wal_code *code = &c->codes[i];
        float range = 255.0F * code->step + fabsf(code->low);
        float most =
            code->low * query->sum + code->step * bounds[i] + query->length * code->error + rounding * range;
        float squares = query->length * query->length + code->square;
        if (query->metric == INDEX_COSINE)
            bounds[i] = 1.0F - most / sqrtf(code->square) - 1e-5F;
        else
            bounds[i] = squares - 2.0F * most - 1e-5F * squares;
    }
}
