/* rabitq.c: computes scores of RaBitQ codes, for both layouts, with FAISS's arithmetic.
 *
 * (Gao, Long: RaBitQ, SIGMOD 2024, https://arxiv.org/abs/2405.12497; for more bits Gao et al., SIGMOD 2025.) A
 * code holds the signs of the residual x - c, and factors that turn an inner product of the query's residual with
 * the signs into the score. A query's residual is rounded to query_bits: between its least and largest value, or
 * symmetrically around 0 (`centered`). A code with more bits also gives a second, better estimate; a scan computes
 * it only when the first estimate, within its error, may beat the worst hit.
 */
#include <math.h>

#include "simd/scan.h"
#include "simd/simd.h"
#include "vector/ivf_kinds.h"

/* Radii of a centered query, in standard deviations, for 1 … 8 bits: FAISS's values, which have the least L2
 * error. */
static const float radii[] = {0.79688f, 1.49375f, 2.05078f, 2.50938f, 2.91250f, 3.26406f, 3.59844f, 3.91016f};

void rabitq_lay_out(struct ivf_query *query)
{
    const struct ivf_codec *codec = query->codec;
    query->residual = workspace_take(&query->memory, codec->dim, sizeof(float));
    query->rounded = workspace_take(&query->memory, codec->dim, 1);
    query->planes = workspace_take(&query->memory, rabitq_sign_bytes(codec->dim), codec->query_bits);
}

/* Rounds the residual; returns the sum of the rounded values.
 *
 * The last bit of a value halfway between two codes decides on its code. FAISS's AVX-512 code fuses multiplication
 * and subtraction for whole blocks of 16 values, and not for the others (its AVX2 code: blocks of 8; its plain
 * code: never). This function follows the AVX-512 code. */
static uint64_t round_residual(struct ivf_query *query, float least, float step)
{
    float most = (float)((1u << query->codec->query_bits) - 1), inverse = 1.0f / step, shift = least * inverse;
    uint64_t sum = 0;
    for (size_t i = 0; i < query->codec->dim; i++) {
        float value = i < query->codec->dim / 16 * 16 ? fmaf(query->residual[i], inverse, -shift)
                                                      : (query->residual[i] - least) * inverse;
        value = value > 0.0f ? value : 0.0f;
        value = value < most ? value : most;
        query->rounded[i] = (uint8_t)(value + 0.5f);
        sum += query->rounded[i];
    }
    return sum;
}

static void round_query(struct ivf_query *query)
{
    const struct ivf_codec *codec = query->codec;
    size_t dim = codec->dim;
    float root = 1.0f / sqrtf((float)dim), most_code = (float)((1u << codec->query_bits) - 1), least, most;
    if (codec->centered) {
        most = radii[codec->query_bits - 1] * sqrtf(query->to_centroid / (float)dim);
        least = -most;
    } else {
        least = most = query->residual[0];
        for (size_t i = 1; i < dim; i++) {
            least = query->residual[i] < least ? query->residual[i] : least;
            most = query->residual[i] > most ? query->residual[i] : most;
        }
    }
    float step = (most - least) / most_code;
    uint64_t sum = 0;
    if (step > 0.0f)
        sum = round_residual(query, least, step);
    else
        memset(query->rounded, 0, dim);
    query->c1 = 2.0f * step * root;
    query->c2 = 2.0f * least * root;
    query->c34 = root * (step * (float)sum + (float)dim * least);
    query->product_scale = 1.0f;
    if (codec->centered) {
        double squares = 0.0; /* exact: integers below 2^53 */
        for (size_t i = 0; i < dim; i++) {
            double odd = 2.0 * query->rounded[i] - most_code;
            squares += odd * odd;
        }
        query->product_scale = sqrtf(query->to_centroid / (float)(squares * (double)dim));
    }
}

void rabitq_enter(struct ivf_query *query, const float *centroid)
{
    const struct ivf_codec *codec = query->codec;
    size_t dim = codec->dim;
    float sum = 0.0f, root = 1.0f / sqrtf((float)dim);
    for (size_t i = 0; i < dim; i++) {
        query->residual[i] = query->vector[i] - centroid[i];
        sum += query->residual[i];
    }
    query->to_centroid = distance_pair(VECTOR_INNER_PRODUCT, query->residual, query->residual, dim);
    if (codec->metric == VECTOR_INNER_PRODUCT) {
        query->norm = distance_pair(VECTOR_INNER_PRODUCT, query->vector, query->vector, dim);
        query->dot = distance_pair(VECTOR_INNER_PRODUCT, query->vector, centroid, dim);
    }
    if (codec->query_bits > 0) {
        round_query(query);
        return;
    }
    query->c1 = 2.0f * root;
    query->c2 = 0.0f;
    query->c34 = sum * root;
}

bool rabitq_may_beat(const struct ivf_query *query, struct rabitq_factors factors, float estimate, float worst)
{
    float margin = factors.error * sqrtf(query->to_centroid);
    if (query->codec->metric == VECTOR_INNER_PRODUCT)
        return estimate + margin > worst;
    float least = estimate - margin;
    return (least > 0.0f ? least : 0.0f) < worst;
}

float rabitq_full_score(const struct ivf_query *query, const uint8_t *signs, const uint8_t *factors)
{
    const struct ivf_codec *codec = query->codec;
    size_t bits = codec->bits - 1;
    const uint8_t *extra = factors + 12;
    float add_and_scale[2];
    memcpy(add_and_scale, extra + rabitq_extra_bytes(codec->dim, codec->bits), sizeof add_and_scale);
    float sum = simd_ops()->scan->signed_sum(query->residual, codec->dim, signs, extra, bits,
                                             -((float)(1u << bits) - 0.5f));
    bool inner = codec->metric == VECTOR_INNER_PRODUCT;
    float score = (inner ? query->dot : query->to_centroid) + add_and_scale[0] + add_and_scale[1] * sum;
    return inner || score > 0.0f ? score : 0.0f;
}
