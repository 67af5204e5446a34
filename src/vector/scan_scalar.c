/* scan_scalar.c: scores flat vectors, and scalar codes with 8, 6 or 4 bits or a 16-bit float for each dimension.
 *
 * Kernels decode the codes in registers. With x[i] = base[i] + step[i] * code[i]
 *
 *       step = range / (2^bits - 1),   base = least + step / 2   (+ the list's centroid, for codes by residual)
 *
 * the inner product is  q·base + sum (q step)[i] code[i],  and the distance is  sum ((q - base)[i] - step[i]
 * code[i])². Terms without the code are computed once for a query or a list, so a code costs one conversion and
 * one or two multiply-adds for each dimension.
 *
 * Codes that are the values themselves (IVF_SCALAR_DIRECT, IVF_SCALAR_SIGNED) are meant for whole numbers. Where
 * sixteen divides the dimension, FAISS cuts the query's components to such bytes, modulo 256, before it compares,
 * and so does this file. For other dimensions both leave the query as it is.
 */
#include "simd/distance.h"
#include "simd/scan.h"
#include "simd/simd.h"
#include "vector/ivf_kinds.h"

static enum dp_status flat_begin(struct ivf_query *query, struct dp_error *error)
{
    (void)query;
    (void)error;
    return DP_OK;
}

static bool flat_score(struct ivf_query *query, const uint8_t *codes, size_t first, size_t n, float worst,
                       float *scores)
{
    (void)worst;
    const struct ivf_codec *codec = query->codec;
    distance_rows(codec->metric, query->vector, codes + first * codec->code_size, n, codec->dim, scores);
    return true;
}

static float code_levels(enum ivf_codec_kind kind)
{
    return kind == IVF_SQ4 ? 15.0f : kind == IVF_SQ6 ? 63.0f : 255.0f;
}

static bool is_half(const struct ivf_codec *codec)
{
    return codec->kind == IVF_FP16 || codec->kind == IVF_BF16;
}

/* Returns a component of the query as FAISS compares it with codes of this form. */
static float query_component(const struct ivf_codec *codec, float x)
{
    if (codec->dim % 16 != 0 || (codec->form != IVF_SCALAR_DIRECT && codec->form != IVF_SCALAR_SIGNED))
        return x;
    int32_t whole = x >= -0x1p31f && x < 0x1p31f ? (int32_t)x : 0;
    return codec->form == IVF_SCALAR_DIRECT ? (float)(uint8_t)whole : (float)(int8_t)(uint8_t)whole;
}

static void scalar_lay_out(struct ivf_query *query)
{
    size_t dim = query->codec->dim;
    query->weight = workspace_take(&query->memory, dim, sizeof(float));
    query->base = workspace_take(&query->memory, dim, sizeof(float));
    query->offset = workspace_take(&query->memory, dim, sizeof(float));
}

static enum dp_status scalar_begin(struct ivf_query *query, struct dp_error *error)
{
    const struct ivf_codec *codec = query->codec;
    size_t dim = codec->dim;
    enum dp_status status = ivf_query_allocate(query, scalar_lay_out, error);
    if (status != DP_OK)
        return status;
    if (is_half(codec))
        return DP_OK;
    for (size_t i = 0; i < dim; i++) {
        query->weight[i] = codec->trained[dim + i] / code_levels(codec->kind);
        query->base[i] = codec->trained[i] + 0.5f * query->weight[i];
    }
    if (codec->metric == VECTOR_INNER_PRODUCT) {
        for (size_t i = 0; i < dim; i++)
            query->offset[i] = query_component(codec, query->vector[i]);
        query->query_bias = distance_pair(VECTOR_INNER_PRODUCT, query->offset, query->base, dim);
        for (size_t i = 0; i < dim; i++)
            query->weight[i] *= query->offset[i];
    }
    return DP_OK;
}

static void scalar_enter(struct ivf_query *query, const float *centroid)
{
    const struct ivf_codec *codec = query->codec;
    if (codec->metric == VECTOR_INNER_PRODUCT) {
        query->bias = query->query_bias;
        if (codec->by_residual)
            query->bias += distance_pair(VECTOR_INNER_PRODUCT, query->vector, centroid, codec->dim);
        return;
    }
    query->bias = 0.0f;
    for (size_t i = 0; i < codec->dim; i++) {
        query->offset[i] = codec->by_residual ? query->vector[i] - centroid[i] : query->vector[i];
        if (!is_half(codec))
            query->offset[i] = query_component(codec, query->offset[i]) - query->base[i];
    }
}

static void inner_products(const struct ivf_query *query, const uint8_t *codes, size_t n, float *scores)
{
    const struct ivf_codec *codec = query->codec;
    const struct scan_kernels *scan = simd_ops()->scan;
    if (codec->kind == IVF_FP16)
        scan->inner_product_f16(query->vector, codes, n, codec->dim, scores);
    else if (codec->kind == IVF_BF16)
        scan->inner_product_bf16(query->vector, codes, n, codec->dim, scores);
    else if (codec->kind == IVF_SQ4)
        scan->inner_product_u4(query->weight, codes, n, codec->dim, scores);
    else if (codec->kind == IVF_SQ6)
        scan->inner_product_u6(query->weight, codes, n, codec->dim, scores);
    else
        simd_ops()->distance->inner_product_u8(query->weight, codes, n, codec->dim, scores);
    for (size_t i = 0; i < n; i++)
        scores[i] += query->bias;
}

static void squared_distances(const struct ivf_query *query, const uint8_t *codes, size_t n, float *scores)
{
    const struct ivf_codec *codec = query->codec;
    const struct scan_kernels *scan = simd_ops()->scan;
    if (codec->kind == IVF_FP16)
        scan->squared_l2_f16(query->offset, codes, n, codec->dim, scores);
    else if (codec->kind == IVF_BF16)
        scan->squared_l2_bf16(query->offset, codes, n, codec->dim, scores);
    else if (codec->kind == IVF_SQ4)
        scan->squared_l2_u4(query->offset, query->weight, codes, n, codec->dim, scores);
    else if (codec->kind == IVF_SQ6)
        scan->squared_l2_u6(query->offset, query->weight, codes, n, codec->dim, scores);
    else
        simd_ops()->distance->squared_l2_u8(query->offset, query->weight, codes, n, codec->dim, scores);
}

static bool scalar_score(struct ivf_query *query, const uint8_t *codes, size_t first, size_t n, float worst,
                         float *scores)
{
    (void)worst;
    codes += first * query->codec->code_size;
    if (query->codec->metric == VECTOR_INNER_PRODUCT)
        inner_products(query, codes, n, scores);
    else
        squared_distances(query, codes, n, scores);
    return true;
}

const struct ivf_kind ivf_kind_flat = {.begin = flat_begin, .score = flat_score};
const struct ivf_kind ivf_kind_scalar = {.begin = scalar_begin, .enter = scalar_enter, .score = scalar_score};
