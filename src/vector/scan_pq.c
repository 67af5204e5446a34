/* scan_pq.c: scores codes of a product quantizer. A code holds, for each of m parts of a vector, the index of one
 * of the part's centroids.
 *
 * A table of the query's parts against the centroids of each part turns a score into a sum of m look-ups. One
 * table serves all lists. For codes by residual, a score also has the inner product of query and list centroid, or
 * their distance and the vector's constant (vector/pq.h).
 */
#include "simd/scan.h"
#include "simd/simd.h"
#include "vector/ivf_kinds.h"
#include "vector/pq.h"

static void pq_lay_out(struct ivf_query *query)
{
    const struct ivf_codec *codec = query->codec;
    query->residual = workspace_take(&query->memory, codec->dim, sizeof(float));
    query->table = workspace_take(&query->memory, codec->m << codec->bits, sizeof(float));
}

static enum dp_status pq_begin(struct ivf_query *query, struct dp_error *error)
{
    const struct ivf_codec *codec = query->codec;
    enum dp_status status = ivf_query_allocate(query, pq_lay_out, error);
    if (status != DP_OK)
        return status;
    if (!pq_has_constants(codec)) {
        pq_table(codec, codec->metric, query->vector, query->table);
        return DP_OK;
    }
    for (size_t i = 0; i < codec->dim; i++)
        query->residual[i] = -2.0f * query->vector[i];
    pq_table(codec, VECTOR_INNER_PRODUCT, query->residual, query->table);
    return DP_OK;
}

static void pq_enter(struct ivf_query *query, const float *centroid)
{
    const struct ivf_codec *codec = query->codec;
    query->bias = codec->by_residual ? distance_pair(codec->metric, query->vector, centroid, codec->dim) : 0.0f;
}

static bool pq_score(struct ivf_query *query, const uint8_t *codes, size_t first, size_t n, float worst,
                     float *scores)
{
    (void)worst;
    const struct ivf_codec *codec = query->codec;
    simd_ops()->scan->table_sums(query->table, codes + first * codec->code_size, n, codec->m, codec->bits,
                                 codec->code_size, scores);
    for (size_t i = 0; query->constants && i < n; i++)
        scores[i] += query->constants[first + i];
    for (size_t i = 0; i < n; i++)
        scores[i] += query->bias;
    return true;
}

const struct ivf_kind ivf_kind_pq = {.begin = pq_begin, .enter = pq_enter, .score = pq_score};
