/* scan_rabitq.c: scores RaBitQ codes that lie one after another, each with sign bits, factors and other bits
 * (rabitq.c). */
#include "simd/scan.h"
#include "simd/simd.h"
#include "vector/ivf_kinds.h"

static enum dp_status rabitq_rows_begin(struct ivf_query *query, struct dp_error *error)
{
    return ivf_query_allocate(query, rabitq_lay_out, error);
}

/* Cuts the rounded residual into planes: bit j of rounded[i] becomes bit i of plane j. */
static void rabitq_cut_planes(struct ivf_query *query)
{
    const struct ivf_codec *codec = query->codec;
    size_t bytes = rabitq_sign_bytes(codec->dim);
    memset(query->planes, 0, bytes * codec->query_bits);
    for (size_t i = 0; i < codec->dim; i++)
        for (size_t j = 0; j < codec->query_bits; j++)
            query->planes[j * bytes + i / 8] |= (uint8_t)((query->rounded[i] >> j & 1) << (i % 8));
}

static void rabitq_rows_enter(struct ivf_query *query, const float *centroid)
{
    rabitq_enter(query, centroid);
    if (query->codec->query_bits > 0)
        rabitq_cut_planes(query);
}

static bool rabitq_rows_score(struct ivf_query *query, const uint8_t *codes, size_t first, size_t n, float worst,
                              float *scores)
{
    (void)worst;
    const struct ivf_codec *codec = query->codec;
    const struct scan_kernels *scan = simd_ops()->scan;
    size_t bytes = rabitq_sign_bytes(codec->dim);
    uint64_t dots[IVF_SCAN_ROWS], ones[IVF_SCAN_ROWS];
    codes += first * codec->code_size;
    if (codec->query_bits > 0)
        scan->plane_dots(query->planes, codec->query_bits, bytes, codes, codec->code_size, n, dots, ones);
    else
        scan->bit_sums(query->residual, codec->dim, codes, codec->code_size, n, scores);
    for (size_t i = 0; i < n; i++, codes += codec->code_size) {
        float dot = codec->query_bits > 0 ? query->c1 * (float)dots[i] + query->c2 * (float)ones[i]
                                          : query->c1 * scores[i];
        scores[i] = rabitq_score(query, rabitq_factors_at(codec, codes + bytes), dot - query->c34);
    }
    return true;
}

static bool rabitq_rows_refine(struct ivf_query *query, const uint8_t *codes, size_t row, float worst,
                               float *score)
{
    const uint8_t *code = codes + row * query->codec->code_size;
    const uint8_t *factors = code + rabitq_sign_bytes(query->codec->dim);
    if (!rabitq_may_beat(query, rabitq_factors_at(query->codec, factors), *score, worst))
        return false;
    *score = rabitq_full_score(query, code, factors);
    return true;
}

const struct ivf_kind ivf_kind_rabitq = {
    .begin = rabitq_rows_begin, .enter = rabitq_rows_enter, .score = rabitq_rows_score};
const struct ivf_kind ivf_kind_rabitq_bits = {.begin = rabitq_rows_begin,
                                              .enter = rabitq_rows_enter,
                                              .score = rabitq_rows_score,
                                              .refine = rabitq_rows_refine};
