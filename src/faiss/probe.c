/* probe.c: chooses the lists for a query, and scans them. */
#include "faiss/probe.h"

#include <inttypes.h>
#include <math.h>

#include "base/alloc.h"
#include "faiss/ivf_file.h"
#include "simd/scan.h"
#include "simd/simd.h"
#include "vector/pq.h"

enum { BLOCK_CENTROIDS = SCAN_SCORES_MAX };

/* Returns the floats of two vectors of the largest dimension: the transforms write into each in turn. */
size_t faiss_ivf_transform_room(const struct faiss_ivf *ivf)
{
    size_t widest = 0;
    for (size_t i = 0; i < ivf->transform_count; i++)
        widest = ivf->transforms[i].dim_out > widest ? ivf->transforms[i].dim_out : widest;
    return 2 * widest;
}

const float *faiss_ivf_transform(const struct faiss_ivf *ivf, const float *query, float *room)
{
    return faiss_ivf_transform_first(ivf, query, ivf->transform_count, room);
}

const float *faiss_ivf_transform_first(const struct faiss_ivf *ivf, const float *query, size_t count, float *room)
{
    float *halves[2] = {room, room + faiss_ivf_transform_room(ivf) / 2};
    for (size_t i = 0; i < count; i++) {
        vector_transform_apply(&ivf->transforms[i], query, halves[i % 2]);
        query = halves[i % 2];
    }
    return query;
}

size_t faiss_ivf_scanned(const struct faiss_ivf *ivf, size_t nprobe)
{
    return !ivf->flat && nprobe < ivf->nlist ? nprobe : (size_t)ivf->nlist;
}

enum dp_status faiss_ivf_probe(const struct faiss_ivf *ivf, const float *query, size_t nprobe, uint32_t *lists,
                               size_t *count, struct dp_error *error)
{
    struct topk nearest;
    float scores[BLOCK_CENTROIDS];
    size_t dim = ivf->codec.dim, nlist = (size_t)ivf->nlist;
    *count = 0;
    for (; ivf->flat && *count < nprobe && *count < nlist; ++*count)
        lists[*count] = (uint32_t)*count;
    if (ivf->flat)
        return DP_OK;
    enum dp_status status = topk_init(&nearest, nprobe < nlist ? nprobe : nlist,
                                      vector_larger_is_better(ivf->quantizer_metric), error);
    if (status != DP_OK)
        return status;
    for (size_t begin = 0; begin < nlist; begin += BLOCK_CENTROIDS) {
        size_t rows = nlist - begin < BLOCK_CENTROIDS ? nlist - begin : BLOCK_CENTROIDS;
        distance_rows(ivf->quantizer_metric, query, ivf->centroids + begin * dim, rows, dim, scores);
        float worst = topk_worst(&nearest, INFINITY);
        uint64_t left = simd_ops()->scan->reaching(scores, rows, worst, nearest.larger_is_better);
        for (; left != 0; left &= left - 1) {
            size_t i = (size_t)__builtin_ctzll(left);
            if (topk_admits(&nearest, scores[i]))
                topk_push(&nearest, scores[i], (int64_t)(begin + i));
        }
    }
    topk_sort(&nearest);
    for (size_t i = 0; i < nearest.count; i++)
        lists[i] = (uint32_t)nearest.hits[i].id;
    *count = nearest.count;
    topk_deinit(&nearest);
    return DP_OK;
}

enum dp_status faiss_ivf_query(const struct faiss_ivf *ivf, const float *query, const uint32_t *lists,
                               size_t count, struct ivf_query *out, struct dp_error *error)
{
    enum dp_status status = ivf_query_init(out, &ivf->codec, query, error);
    if (status != DP_OK)
        return status;
    ivf_query_probe(out, ivf->centroids, lists, count);
    if (ivf->id_map)
        out->map = (struct id_map){ivf->id_map, ivf->ntotal, ivf->refine.present};
    return DP_OK;
}

/* Sets *out to the constants of a list of n vectors; NULL if the codec has none. The list's first scan makes
 * them. */
static enum dp_status list_constants(const struct faiss_ivf *ivf, uint32_t list, struct span codes, size_t n,
                                     const float **out, struct dp_error *error)
{
    *out = ivf->constants ? atomic_load_explicit(&ivf->constants[list], memory_order_acquire) : NULL;
    if (!ivf->constants || *out)
        return DP_OK;
    float *made = mem_calloc(n, sizeof *made), *others = NULL;
    if (!made)
        return dp_fail_nomem(error, "a list's constants");
    enum dp_status status =
        pq_constants(&ivf->codec, ivf->centroids + (size_t)list * ivf->codec.dim, codes.data, n, made, error);
    *out = made;
    if (status == DP_OK && atomic_compare_exchange_strong_explicit(&ivf->constants[list], &others, made,
                                                                   memory_order_acq_rel, memory_order_acquire))
        return DP_OK;
    mem_free(made);
    *out = others;
    return status;
}

enum dp_status faiss_ivf_scan(const struct faiss_ivf *ivf, struct ivf_query *query, uint32_t list,
                              struct span bytes, const struct id_filter *filter, struct topk *top,
                              struct dp_error *error)
{
    struct faiss_list_range range = faiss_ivf_list_range(ivf, list);
    size_t ids_len = ivf->flat ? 0 : (size_t)range.count * 8, codes_len = (size_t)range.len - ids_len;
    if (bytes.len != range.len)
        return dp_fail(error, DP_CORRUPT, "%s: list %" PRIu32 " has %" PRIu64 " bytes, but %zu were read",
                       ivf->name, list, range.len, bytes.len);
    if (range.count == 0)
        return DP_OK;
    struct span codes = span_of(bytes.data, codes_len), ids = span_of(bytes.data + codes_len, ids_len);
    if (ivf->list_size) {
        struct cursor c = cursor_over(span_of(bytes.data + ids_len, FAISS_LENGTH_BYTES));
        uint64_t length = cursor_u64(&c);
        codes_len -= FAISS_LENGTH_BYTES;
        ids = span_of(bytes.data, ids_len);
        codes = span_of(bytes.data + ids_len + FAISS_LENGTH_BYTES, codes_len);
        if (length != codes_len)
            return dp_fail(error, DP_CORRUPT,
                           "%s: list %" PRIu32 " of %" PRIu64 " vectors has %" PRIu64 " bytes of codes, not %zu",
                           ivf->name, list, range.count, length, codes_len);
    }
    if (ivf->flat) {
        enum dp_status scanned = ivf_scan_rows(query, bytes, list * ivf->piece_rows, filter, top, error);
        if (scanned != DP_OK)
            dp_error_prefix(error, "%s", ivf->name);
        return scanned;
    }
    const float *constants;
    enum dp_status status = list_constants(ivf, list, codes, (size_t)range.count, &constants, error);
    if (status == DP_OK)
        status = ivf_scan_list(query, ivf->centroids + (size_t)list * ivf->codec.dim, constants, codes, ids,
                               filter, top, error);
    if (status != DP_OK)
        dp_error_prefix(error, "%s: list %" PRIu32, ivf->name, list);
    return status;
}
