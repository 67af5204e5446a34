/* ivf_scan.c: scores the vectors of probed inverted lists against a query.
 *
 * Distances follow the index's metric: squared L2 (smaller is better) or inner product (larger is better), as
 * in FAISS. SQ8 codes are never decoded into memory. With x[i] = base[i] + step[i] * code[i]
 *     step = vdiff / 255,   base = vmin + step / 2   (+ the list's centroid, for codes by residual)
 * the inner product is  q·base + sum (q step)[i] code[i],  and the distance  sum ((q - base)[i] - step[i] code[i])²,
 * so that all that depends on the query is computed once for a query or a list, and a code costs one
 * conversion and one or two multiply-adds a dimension.
 */
#include "vector/ivf_scan.h"

#include <string.h>

#include "base/alloc.h"
#include "simd/distance.h"
#include "simd/simd.h"
#include "vector/sq8.h"

enum { BLOCK_ROWS = 64 }; /* scored before the heap is asked */

void ivf_encode(const struct ivf_codec *codec, const float *x, const float *centroid, float *residual,
                uint8_t *code)
{
    if (codec->kind == IVF_FLAT) {
        memcpy(code, x, codec->code_size);
        return;
    }
    if (codec->by_residual) {
        for (size_t i = 0; i < codec->dim; i++)
            residual[i] = x[i] - centroid[i];
        x = residual;
    }
    sq8_encode(codec->trained, codec->dim, x, code);
}

enum dp_status ivf_query_init(struct ivf_query *query, const struct ivf_codec *codec, const float *vector,
                              struct dp_error *error)
{
    *query = (struct ivf_query){.codec = codec, .vector = vector};
    if (codec->kind == IVF_FLAT)
        return DP_OK;
    size_t dim = codec->dim, size;
    if (!mem_mul_ok(dim, 3 * sizeof(float), &size) || (query->weight = mem_aligned_alloc(64, size)) == NULL)
        return dp_fail_nomem(error, "a query's weights");
    query->base = query->weight + dim;
    query->offset = query->base + dim;
    for (size_t i = 0; i < dim; i++) {
        query->weight[i] = codec->trained[dim + i] / 255.0f;
        query->base[i] = codec->trained[i] + 0.5f * query->weight[i];
    }
    if (codec->metric == VECTOR_INNER_PRODUCT) {
        query->bias = distance_pair(VECTOR_INNER_PRODUCT, vector, query->base, dim);
        for (size_t i = 0; i < dim; i++)
            query->weight[i] *= vector[i];
    } else {
        for (size_t i = 0; i < dim; i++)
            query->offset[i] = vector[i] - query->base[i];
    }
    return DP_OK;
}

void ivf_query_deinit(struct ivf_query *query)
{
    mem_free(query->weight);
    *query = (struct ivf_query){0};
}

/* Turns the query to the list with this centroid; answers what is added to each of its scores. */
static float enter_list(struct ivf_query *query, const float *centroid)
{
    const struct ivf_codec *codec = query->codec;
    if (codec->kind == IVF_FLAT)
        return 0.0f;
    if (codec->metric == VECTOR_INNER_PRODUCT)
        return codec->by_residual
                   ? query->bias + distance_pair(VECTOR_INNER_PRODUCT, query->vector, centroid, codec->dim)
                   : query->bias;
    if (codec->by_residual)
        for (size_t i = 0; i < codec->dim; i++)
            query->offset[i] = query->vector[i] - centroid[i] - query->base[i];
    return 0.0f;
}

static void score_codes(const struct ivf_query *query, const uint8_t *codes, size_t n, float bias, float *scores)
{
    const struct ivf_codec *codec = query->codec;
    const struct distance_kernels *kernels = simd_ops()->distance;
    if (codec->kind == IVF_FLAT) {
        distance_rows(codec->metric, query->vector, codes, n, codec->dim, scores);
    } else if (codec->metric == VECTOR_INNER_PRODUCT) {
        kernels->inner_product_u8(query->weight, codes, n, codec->dim, scores);
        for (size_t i = 0; i < n; i++)
            scores[i] += bias;
    } else {
        kernels->squared_l2_u8(query->offset, query->weight, codes, n, codec->dim, scores);
    }
}

static int64_t load_id(const uint8_t *ids, size_t index)
{
    int64_t id;
    memcpy(&id, ids + index * sizeof id, sizeof id);
    return id;
}

static bool block_has_allowed(const struct id_filter *filter, const uint8_t *ids, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (id_filter_allows(filter, load_id(ids, i)))
            return true;
    return false;
}

enum dp_status ivf_scan_list(struct ivf_query *query, const float *centroid, struct span codes, struct span ids,
                             const struct id_filter *filter, struct topk *top, struct dp_error *error)
{
    size_t code_size = query->codec->code_size, n = ids.len / sizeof(int64_t);
    if (codes.len % code_size != 0)
        return dp_fail(error, DP_CORRUPT, "list of %zu bytes is not a whole number of %zu-byte codes", codes.len,
                       code_size);
    if (ids.len % sizeof(int64_t) != 0 || codes.len / code_size != n)
        return dp_fail(error, DP_CORRUPT, "list of %zu codes has %zu bytes of ids, not 8 for each",
                       codes.len / code_size, ids.len);
    float scores[BLOCK_ROWS];
    float bias = n > 0 ? enter_list(query, centroid) : 0.0f;
    for (size_t begin = 0; begin < n; begin += BLOCK_ROWS) {
        size_t rows = n - begin < BLOCK_ROWS ? n - begin : BLOCK_ROWS;
        const uint8_t *block_ids = ids.data + begin * sizeof(int64_t);
        if (filter != NULL && !block_has_allowed(filter, block_ids, rows))
            continue;
        score_codes(query, codes.data + begin * code_size, rows, bias, scores);
        for (size_t i = 0; i < rows; i++) {
            if (!topk_admits(top, scores[i]))
                continue;
            int64_t id = load_id(block_ids, i);
            if (filter == NULL || id_filter_allows(filter, id))
                topk_push(top, scores[i], id);
        }
    }
    return DP_OK;
}
