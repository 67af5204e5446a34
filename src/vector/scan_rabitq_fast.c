/* scan_rabitq_fast.c: scores RaBitQ codes with interleaved sign bits, as FAISS's IndexIVFRaBitQFastScan does.
 *
 * The signs of four dimensions form a 4-bit index into a table of the sums that these signs select from the
 * rounded residual. A block holds pairs * block_rows bytes of indexes, then each vector's factors (and other
 * bits). One scale rounds the tables of all probed lists (fast_scan.c).
 */
#include <math.h>

#include "simd/scan.h"
#include "vector/ivf_kinds.h"

enum { ENTRIES = 16 };

static void rabitq_fast_lay_out(struct ivf_query *query)
{
    const struct ivf_codec *codec = query->codec;
    size_t entries = codec->pairs * 2 * ENTRIES;
    rabitq_lay_out(query);
    query->table = workspace_take(&query->memory, entries, sizeof(float));
    query->lut = workspace_take(&query->memory, entries, 1);
    query->signs = workspace_take(&query->memory, codec->pairs, 1);
}

static enum dp_status rabitq_fast_begin(struct ivf_query *query, struct dp_error *error)
{
    enum dp_status status = ivf_query_allocate(query, rabitq_fast_lay_out, error);
    if (status == DP_OK)
        memset(query->lut, 0, query->codec->pairs * 2 * ENTRIES);
    return status;
}

/* Fills the table of a list: table[m][code] = least + the values of those dimensions 4 m … 4 m + 3 whose bits are
 * set in `code`. */
static void rabitq_fast_list_table(struct ivf_query *query, const float *centroid)
{
    const struct ivf_codec *codec = query->codec;
    float most = (float)((1u << codec->query_bits) - 1);
    rabitq_enter(query, centroid);
    for (size_t m = 0; m < (codec->dim + 3) / 4; m++) {
        float value[4] = {0}, least = 0.0f, *entry = query->table + m * ENTRIES;
        for (size_t i = 0; i < 4 && 4 * m + i < codec->dim; i++) {
            float rounded = (float)query->rounded[4 * m + i];
            value[i] = codec->centered ? most - 2.0f * rounded : query->c1 * rounded + query->c2;
            least += codec->centered ? rounded : 0.0f;
        }
        for (unsigned code = 0; code < ENTRIES; code++) {
            entry[code] = least;
            for (unsigned i = 0; i < 4; i++)
                if ((code >> i & 1) != 0)
                    entry[code] += value[i];
        }
    }
}

static void rabitq_fast_probe(struct ivf_query *query, const float *centroids, const uint32_t *lists, size_t count)
{
    const struct ivf_codec *codec = query->codec;
    struct fast_span span = {-INFINITY, -INFINITY};
    query->least = INFINITY;
    for (size_t i = 0; i < count; i++) {
        float spans = 0.0f;
        rabitq_fast_list_table(query, centroids + lists[i] * codec->dim);
        float least = fast_table_least(query->table, (codec->dim + 3) / 4, 0.0f, &spans, &span.widest);
        span.longest = spans > span.longest ? spans : span.longest;
        query->least = least < query->least ? least : query->least;
    }
    query->scale = fast_scale(span);
}

static void rabitq_fast_enter(struct ivf_query *query, const float *centroid)
{
    size_t parts = (query->codec->dim + 3) / 4;
    float spans = 0.0f, widest = 0.0f;
    rabitq_fast_list_table(query, centroid);
    float least = fast_table_least(query->table, parts, 0.0f, &spans, &widest);
    for (size_t m = 0; m < parts; m++) {
        const float *entry = query->table + m * ENTRIES;
        float low = entry[0];
        for (size_t j = 1; j < ENTRIES; j++)
            low = entry[j] < low ? entry[j] : low;
        for (size_t j = 0; j < ENTRIES; j++) {
            float value = fmaf(entry[j], query->scale, -(low * query->scale)) + 0.5f;
            query->lut[m * ENTRIES + j] = value > 0.0f ? (uint8_t)(value < 255.0f ? value : 255.0f) : 0;
        }
    }
    float bias = query->scale * (least - query->least) + 0.5f;
    query->lut_bias = bias > 0.0f && bias < 65536.0f ? (uint16_t)bias : 0;
}

static const uint8_t *rabitq_fast_factors(const struct ivf_codec *codec, const uint8_t *codes, size_t row)
{
    return codes + row / codec->block_rows * codec->block_bytes + codec->pairs * codec->block_rows +
           row % codec->block_rows * rabitq_factor_bytes(codec->dim, codec->bits);
}

static bool rabitq_fast_score(struct ivf_query *query, const uint8_t *codes, size_t first, size_t n, float worst,
                              float *scores)
{
    (void)worst;
    const struct ivf_codec *codec = query->codec;
    uint16_t sums[IVF_SCAN_ROWS];
    float whole = (float)((1u << codec->query_bits) - 1) * (float)codec->dim;
    float least = query->least, step = fast_step(query);
    fast_sums(query, codes, first, n, sums);
    for (size_t i = 0; i < n; i++) {
        float value = least + (float)sums[i] * step;
        float dot = codec->centered ? (whole - 2.0f * truncf(value)) * query->product_scale : value - query->c34;
        scores[i] =
            rabitq_score(query, rabitq_factors_at(codec, rabitq_fast_factors(codec, codes, first + i)), dot);
    }
    return true;
}

/* Gathers the sign bits of one vector from its block: four of each index. */
static void rabitq_fast_signs(struct ivf_query *query, const uint8_t *codes, size_t row)
{
    const struct ivf_codec *codec = query->codec;
    size_t in_block = row % codec->block_rows, v = in_block % SCAN_GROUP;
    const uint8_t *from = codes + row / codec->block_rows * codec->block_bytes +
                          in_block / SCAN_GROUP * SCAN_GROUP + v % 8 * 2 + v / 8 % 2;
    unsigned shift = v < 16 ? 0 : 4;
    for (size_t p = 0; p < codec->pairs; p++, from += codec->block_rows)
        query->signs[p] = (uint8_t)((from[0] >> shift & 15) | (from[16] >> shift & 15) << 4);
}

static bool rabitq_fast_refine(struct ivf_query *query, const uint8_t *codes, size_t row, float worst,
                               float *score)
{
    const uint8_t *factors = rabitq_fast_factors(query->codec, codes, row);
    if (!rabitq_may_beat(query, rabitq_factors_at(query->codec, factors), *score, worst))
        return false;
    rabitq_fast_signs(query, codes, row);
    *score = rabitq_full_score(query, query->signs, factors);
    return true;
}

const struct ivf_kind ivf_kind_rabitq_fast = {.begin = rabitq_fast_begin,
                                              .probe = rabitq_fast_probe,
                                              .enter = rabitq_fast_enter,
                                              .score = rabitq_fast_score};
const struct ivf_kind ivf_kind_rabitq_fast_bits = {.begin = rabitq_fast_begin,
                                                   .probe = rabitq_fast_probe,
                                                   .enter = rabitq_fast_enter,
                                                   .score = rabitq_fast_score,
                                                   .refine = rabitq_fast_refine};
