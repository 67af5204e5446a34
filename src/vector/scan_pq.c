/* scan_pq.c: codes of a product quantizer: m parts of a vector, each the index of a centroid of its own.
 *
 * A table of the query's part against each centroid of the part makes a score a sum of m look-ups. With codes by
 * residual the query is first taken relative to the list's centroid (L2: a table for each list), or its inner
 * product with the centroid is added (one table for all).
 */
#include "simd/scan.h"
#include "simd/simd.h"
#include "vector/ivf_kinds.h"

static void fill_table(const struct ivf_query *query, const float *vector)
{
    const struct ivf_codec *codec = query->codec;
    size_t entries = (size_t)1 << codec->bits, part = codec->dim / codec->m;
    for (size_t i = 0; i < codec->m; i++)
        distance_rows(codec->metric, vector + i * part, codec->trained + i * entries * part, entries, part,
                      query->table + i * entries);
}

static bool table_by_list(const struct ivf_codec *codec)
{
    return codec->by_residual && codec->metric == VECTOR_L2;
}

static enum dp_status pq_begin(struct ivf_query *query, struct dp_error *error)
{
    const struct ivf_codec *codec = query->codec;
    struct ivf_memory memory = {0};
    ivf_memory_add(&memory, codec->dim, sizeof(float));
    ivf_memory_add(&memory, codec->m << codec->bits, sizeof(float));
    enum dp_status status = ivf_memory_make(&memory, query, error);
    if (status != DP_OK)
        return status;
    query->residual = ivf_memory_take(&memory, codec->dim, sizeof(float));
    query->table = ivf_memory_take(&memory, codec->m << codec->bits, sizeof(float));
    if (!table_by_list(codec))
        fill_table(query, query->vector);
    return DP_OK;
}

static void pq_enter(struct ivf_query *query, const float *centroid)
{
    const struct ivf_codec *codec = query->codec;
    query->bias = 0.0f;
    if (table_by_list(codec)) {
        for (size_t i = 0; i < codec->dim; i++)
            query->residual[i] = query->vector[i] - centroid[i];
        fill_table(query, query->residual);
    } else if (codec->by_residual) {
        query->bias = distance_pair(VECTOR_INNER_PRODUCT, query->vector, centroid, codec->dim);
    }
}

static void pq_score(struct ivf_query *query, const uint8_t *codes, size_t first, size_t n, float *scores)
{
    const struct ivf_codec *codec = query->codec;
    simd_ops()->scan->table_sums(query->table, codes + first * codec->code_size, n, codec->m, codec->bits,
                                 codec->code_size, scores);
    for (size_t i = 0; i < n; i++)
        scores[i] += query->bias;
}

const struct ivf_kind ivf_kind_pq = {.begin = pq_begin, .enter = pq_enter, .score = pq_score};
