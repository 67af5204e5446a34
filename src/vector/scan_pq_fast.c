/* scan_pq_fast.c: scores interleaved codes of a 4-bit product quantizer, as FAISS's IndexIVFPQFastScan does.
 *
 * One scale rounds the table and the biases of all probed lists, so pq_fast_probe looks at all these lists before
 * the first scan:
 *
 *   not by residual        one table, no biases
 *   inner product          one table; a list's bias is the query's inner product with its centroid
 *   L2 by residual         a table for each list, which pq_fast_enter computes again:
 *     precomputed          |r|² + 2 c·r - 2 q·r, and |q - c|² as the bias
 *     otherwise            |q - c - r|²; FAISS falls back to this when its tables would take too much memory
 *
 * where r is a part of the quantizer and c that part of the centroid.
 *
 * FAISS keeps a vector only when its 16-bit sum is better than the worst sum (65535, or 0 for inner products),
 * even while there is room. So a vector with that sum is never a hit.
 */
#include <math.h>

#include "simd/scan.h"
#include "vector/ivf_kinds.h"
#include "vector/pq.h"

enum { ENTRIES = 16 };

static bool table_by_list(const struct ivf_codec *codec)
{
    return codec->by_residual && codec->metric == VECTOR_L2;
}

static void pq_fast_lay_out(struct ivf_query *query)
{
    const struct ivf_codec *codec = query->codec;
    size_t entries = codec->m * ENTRIES;
    query->residual = workspace_take(&query->memory, codec->dim, sizeof(float));
    query->table = workspace_take(&query->memory, entries, sizeof(float));
    query->norms = workspace_take(&query->memory, entries, sizeof(float));
    query->products = workspace_take(&query->memory, entries, sizeof(float));
    query->lut = workspace_take(&query->memory, codec->pairs * 2 * ENTRIES, 1);
}

static enum dp_status pq_fast_begin(struct ivf_query *query, struct dp_error *error)
{
    const struct ivf_codec *codec = query->codec;
    enum dp_status status = ivf_query_allocate(query, pq_fast_lay_out, error);
    if (status != DP_OK)
        return status;
    memset(query->lut, 0, codec->pairs * 2 * ENTRIES);
    if (!table_by_list(codec)) {
        pq_table(codec, codec->metric, query->vector, query->table);
    } else if (codec->precomputed) {
        pq_table(codec, VECTOR_INNER_PRODUCT, query->vector, query->products);
        memset(query->residual, 0, codec->dim * sizeof *query->residual);
        pq_table(codec, VECTOR_L2, query->residual, query->norms);
    }
    return DP_OK;
}

/* Fills the table of a list, unless one table serves all lists. Returns the list's bias. */
static float pq_fast_list_table(struct ivf_query *query, const float *centroid)
{
    const struct ivf_codec *codec = query->codec;
    if (!codec->by_residual)
        return 0.0f;
    if (codec->metric == VECTOR_INNER_PRODUCT)
        return distance_pair(VECTOR_INNER_PRODUCT, query->vector, centroid, codec->dim);
    if (!codec->precomputed) {
        for (size_t i = 0; i < codec->dim; i++)
            query->residual[i] = query->vector[i] - centroid[i];
        pq_table(codec, VECTOR_L2, query->residual, query->table);
        return 0.0f;
    }
    pq_table(codec, VECTOR_INNER_PRODUCT, centroid, query->table);
    for (size_t i = 0; i < codec->m * ENTRIES; i++) /* doubling is exact, so FAISS's fused steps give equal bits */
        query->table[i] = query->norms[i] + 2.0f * query->table[i] - 2.0f * query->products[i];
    return distance_pair(VECTOR_L2, query->vector, centroid, codec->dim);
}

/* The value in steps, plus a half: without its fraction it is the nearest step. */
static float half_above_step(float value, float least, float scale)
{
    return (float)((double)((value - least) * scale) + 0.5);
}

static void pq_fast_round_table(struct ivf_query *query)
{
    for (size_t i = 0; i < query->codec->m; i++) {
        const float *part = query->table + i * ENTRIES;
        float low = INFINITY;
        for (size_t j = 0; j < ENTRIES; j++)
            low = part[j] < low ? part[j] : low;
        for (size_t j = 0; j < ENTRIES; j++) {
            float entry = half_above_step(part[j], low, query->scale);
            query->lut[i * ENTRIES + j] = entry > 0.0f ? (uint8_t)(entry < 255.0f ? entry : 255.0f) : 0;
        }
    }
}

/* Rounds a bias to 16 bits. A larger bias wraps, as the sums do. */
static uint16_t pq_fast_round_bias(const struct ivf_query *query, float bias)
{
    float value = floorf(half_above_step(bias, query->least_bias, query->scale));
    return value >= 0.0f && value < 2147483648.0f ? (uint16_t)(int32_t)value : 0;
}

static void pq_fast_probe(struct ivf_query *query, const float *centroids, const uint32_t *lists, size_t count)
{
    const struct ivf_codec *codec = query->codec;
    struct fast_span span = {-INFINITY, -INFINITY};
    float least_bias = INFINITY, most_bias = -INFINITY;
    bool by_list = table_by_list(codec);
    for (size_t i = 0; i < count; i++) {
        const float *centroid = centroids + lists[i] * codec->dim;
        float bias = !by_list             ? pq_fast_list_table(query, centroid)
                     : codec->precomputed ? distance_pair(VECTOR_L2, query->vector, centroid, codec->dim)
                                          : 0.0f;
        least_bias = bias < least_bias ? bias : least_bias;
        most_bias = bias > most_bias ? bias : most_bias;
    }
    if (count == 0)
        least_bias = most_bias = 0.0f;
    if (by_list) {
        query->least = INFINITY;
        for (size_t i = 0; i < count; i++) {
            float bias = pq_fast_list_table(query, centroids + lists[i] * codec->dim), spans = bias - least_bias;
            float least = fast_table_least(query->table, codec->m, bias, &spans, &span.widest);
            span.longest = spans > span.longest ? spans : span.longest;
            query->least = least < query->least ? least : query->least;
        }
        query->least_bias = query->least;
    } else {
        span.longest = most_bias - least_bias;
        query->least = fast_table_least(query->table, codec->m, 0.0f, &span.longest, &span.widest) + least_bias;
        query->least_bias = least_bias;
    }
    query->scale = fast_scale(span);
    query->edge_of = NAN;
    if (!by_list)
        pq_fast_round_table(query);
}

static void pq_fast_enter(struct ivf_query *query, const float *centroid)
{
    float bias = pq_fast_list_table(query, centroid), spans = 0.0f, widest = 0.0f;
    if (table_by_list(query->codec)) {
        pq_fast_round_table(query);
        bias = fast_table_least(query->table, query->codec->m, bias, &spans, &widest);
    }
    query->lut_bias = query->codec->by_residual ? pq_fast_round_bias(query, bias) : 0;
}

/* Returns the score that a sum stands for. It rises with the sum. */
static float pq_fast_sum_score(const struct ivf_query *query, unsigned sum)
{
    return query->least + (float)sum * fast_step(query);
}

/* Returns the sum at the edge of those that reach `worst`: for distances all sums up to it do, and none may (-1);
 * for inner products all sums from it on do, and none may (65536). */
static int32_t pq_fast_edge(const struct ivf_query *query, float worst)
{
    bool larger = query->codec->metric != VECTOR_L2;
    int32_t low = 0, high = UINT16_MAX + 1; /* the first sum whose score is ≥ worst (larger) or > worst */
    while (low < high) {
        int32_t middle = (low + high) / 2;
        float score = pq_fast_sum_score(query, (unsigned)middle);
        if (larger ? score >= worst : score > worst)
            high = middle;
        else
            low = middle + 1;
    }
    return larger ? low : low - 1;
}

/* Returns whether a sum reaches the present worst score. A heap's worst score changes seldom, so its edge is
 * computed once. */
static bool pq_fast_reaches(struct ivf_query *query, const uint16_t *sums, size_t n, float worst)
{
    if (isinf(worst) || !isfinite(query->least) || !isfinite(fast_step(query)))
        return true;
    if (query->edge_of != worst) {
        query->edge = pq_fast_edge(query, worst);
        query->edge_of = worst;
    }
    uint16_t least = UINT16_MAX, most = 0;
    for (size_t i = 0; i < n; i++)
        least = sums[i] < least ? sums[i] : least;
    for (size_t i = 0; i < n; i++)
        most = sums[i] > most ? sums[i] : most;
    return query->codec->metric == VECTOR_L2 ? least <= query->edge : most >= query->edge;
}

static bool pq_fast_score(struct ivf_query *query, const uint8_t *codes, size_t first, size_t n, float worst,
                          float *scores)
{
    uint16_t sums[IVF_SCAN_ROWS], never = query->codec->metric == VECTOR_L2 ? UINT16_MAX : 0;
    fast_sums(query, codes, first, n, sums);
    if (!pq_fast_reaches(query, sums, n, worst))
        return false;
    float least = query->least, step = fast_step(query);
    for (size_t i = 0; i < n; i++)
        scores[i] = least + (float)sums[i] * step;
    for (size_t i = 0; i < n; i++)
        scores[i] = sums[i] == never ? NAN : scores[i];
    return true;
}

const struct ivf_kind ivf_kind_pq_fast = {
    .begin = pq_fast_begin, .probe = pq_fast_probe, .enter = pq_fast_enter, .score = pq_fast_score};
