/* refine.c: re-ranks candidates with the vectors of a flat part (",RFlat"). It applies the transforms around the
 * flat part to the query, reads the candidates' vectors by their numbers, and scores them against the query.
 */
#include "faiss/refine.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "faiss/ivf_file.h"
#include "faiss/search.h"

static int by_vector_number(const void *a, const void *b)
{
    const struct topk_hit *left = a, *right = b;
    return left->id < right->id ? -1 : left->id > right->id;
}

/* Scores n candidates against the query into `top`; ranges[i] holds the vector of hits[i]. */
static void score_candidates(const struct faiss_ivf *ivf, const float *query, const struct topk_hit *hits,
                             const struct faiss_range *ranges, size_t n, struct topk *top)
{
    for (size_t i = 0; i < n; i++) {
        float true_score;
        int64_t id = hits[i].id;
        distance_rows(ivf->codec.metric, query, ranges[i].bytes.data, 1, ivf->refine.dim, &true_score);
        if (ivf->id_map)
            memcpy(&id, ivf->id_map + (size_t)id * sizeof id, sizeof id);
        topk_push(top, true_score, id);
    }
}

/* Reads and scores the candidates, round by round. The caller has sorted them by vector number, so that stores can
 * merge reads. */
static enum dp_status score_in_rounds(struct call *call, const struct faiss_ivf *ivf,
                                      const struct faiss_reader *reader, const float *query,
                                      struct topk *candidates, struct faiss_range *ranges, struct topk *top)
{
    const uint64_t row = 4 * (uint64_t)ivf->refine.dim;
    size_t most = row < SEARCH_ROUND_BYTES_MAX ? (size_t)(SEARCH_ROUND_BYTES_MAX / row) : 1;
    enum dp_status status = DP_OK;
    for (size_t begin = 0; status == DP_OK && begin < candidates->count; begin += most) {
        size_t n = candidates->count - begin < most ? candidates->count - begin : most;
        const struct topk_hit *hits = candidates->hits + begin;
        for (size_t i = 0; i < n; i++)
            ranges[i] = (struct faiss_range){.offset = ivf->refine.offset + (uint64_t)hits[i].id * row,
                                             .len = (size_t)row};
        status = call_check(call);
        if (status == DP_OK)
            status = reader->read(call, reader->ctx, ranges, n);
        if (status != DP_OK)
            break;
        score_candidates(ivf, query, hits, ranges, n, top);
        reader->release(reader->ctx, ranges, n);
    }
    return status;
}

enum dp_status faiss_ivf_refine(struct call *call, const struct faiss_ivf *ivf, const struct faiss_reader *reader,
                                const float *query, struct topk *candidates, struct topk *top)
{
    enum dp_status status = DP_OK;
    for (size_t i = 0; i < candidates->count; i++)
        if (candidates->hits[i].id < 0 || (uint64_t)candidates->hits[i].id >= ivf->ntotal)
            return call_fail(call, DP_CORRUPT,
                             "%s: a list names vector %" PRId64 ", but the flat part has %" PRIu64 " vectors",
                             ivf->name, candidates->hits[i].id, ivf->ntotal);
    if (candidates->count == 0)
        return DP_OK;
    struct faiss_range *ranges = mem_calloc(candidates->count, sizeof *ranges);
    float *room = mem_calloc(faiss_ivf_transform_room(ivf), sizeof *room);
    if (!ranges || !room)
        status = call_nomem(call, "the candidates of a search");
    qsort(candidates->hits, candidates->count, sizeof *candidates->hits, by_vector_number);
    candidates->sorted = true; /* qsort() broke the order of the heap */
    if (status == DP_OK)
        query = faiss_ivf_transform_first(ivf, query, ivf->refine.transforms, room);
    if (status == DP_OK)
        status = score_in_rounds(call, ivf, reader, query, candidates, ranges, top);
    mem_free(room);
    mem_free(ranges);
    return status;
}
