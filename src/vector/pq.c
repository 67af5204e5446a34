/* pq.c: computes the tables of product quantizers and the constants of vectors. */
#include "vector/pq.h"

#include <string.h>

#include "base/alloc.h"
#include "simd/scan.h"
#include "simd/simd.h"

enum dp_status pq_turn(float *centroids, size_t m, size_t entries, size_t part, struct dp_error *error)
{
    size_t size = entries * part * sizeof *centroids; /* no overflow: one part is no larger than all centroids */
    float *old = mem_alloc(size);
    if (!old)
        return dp_fail_nomem(error, "a product quantizer");
    for (; m > 0; m--, centroids += entries * part) {
        memcpy(old, centroids, size);
        for (size_t d = 0; d < part; d++)
            for (size_t j = 0; j < entries; j++)
                centroids[d * entries + j] = old[j * part + d];
    }
    mem_free(old);
    return DP_OK;
}

void pq_table(const struct ivf_codec *codec, enum vector_metric metric, const float *vector, float *table)
{
    const struct scan_kernels *scan = simd_ops()->scan;
    const float *part = codec->trained;
    size_t entries = (size_t)1 << codec->bits, dims = codec->dim / codec->m;
    for (size_t i = 0; i < codec->m; i++, table += entries, part += dims * entries, vector += dims)
        if (metric == VECTOR_INNER_PRODUCT)
            scan->entry_products(vector, part, dims, entries, table);
        else
            scan->entry_distances(vector, part, dims, entries, table);
}

bool pq_has_constants(const struct ivf_codec *codec)
{
    return codec->kind == IVF_PQ && codec->by_residual && codec->metric == VECTOR_L2;
}

/* Sets table float[m][1 << bits] to |r|² + 2 c·r. twice float[dim] and norms float[m][1 << bits] are scratch. */
static void constant_table(const struct ivf_codec *codec, const float *centroid, float *twice, float *norms,
                           float *table)
{
    memset(twice, 0, codec->dim * sizeof *twice);
    pq_table(codec, VECTOR_L2, twice, norms);
    for (size_t i = 0; i < codec->dim; i++)
        twice[i] = 2.0f * centroid[i];
    pq_table(codec, VECTOR_INNER_PRODUCT, twice, table);
    for (size_t i = 0; i < codec->m << codec->bits; i++)
        table[i] += norms[i];
}

enum dp_status pq_constants(const struct ivf_codec *codec, const float *centroid, const uint8_t *codes, size_t n,
                            float *out, struct dp_error *error)
{
    size_t entries = codec->m << codec->bits; /* no overflow: at most the number of floats of the quantizer */
    float *twice = mem_calloc(codec->dim, sizeof *twice), *norms = mem_calloc(entries, sizeof *norms);
    float *table = mem_calloc(entries, sizeof *table);
    enum dp_status status = DP_OK;
    if (!twice || !norms || !table)
        status = dp_fail_nomem(error, "a list's constants");
    if (status == DP_OK) {
        constant_table(codec, centroid, twice, norms, table);
        simd_ops()->scan->table_sums(table, codes, n, codec->m, codec->bits, codec->code_size, out);
    }
    mem_free(table);
    mem_free(norms);
    mem_free(twice);
    return status;
}
