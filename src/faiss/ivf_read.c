/* ivf_read.c: an open inverted file: which lists a query probes, where they lie, and scanning them. */
#include "faiss/ivf_read.h"

#include "base/alloc.h"
#include "faiss/ivf_parse.h"

enum { BLOCK_CENTROIDS = 64 };

enum dp_status faiss_ivf_parse_head(struct span head, uint64_t file_size, struct faiss_ivf **out,
                                    struct dp_error *error)
{
    uint64_t need;
    enum dp_status status = faiss_ivf_parse(head, file_size, out, &need, error);
    if (status == DP_OK && *out == NULL)
        return dp_fail(error, DP_CORRUPT, "FAISS file: its head of %zu bytes is cut short", head.len);
    return status;
}

void faiss_ivf_free(struct faiss_ivf *ivf)
{
    if (ivf == NULL)
        return;
    mem_free(ivf->centroids);
    mem_free(ivf->trained);
    mem_free(ivf->list_offset);
    mem_free(ivf);
}

struct faiss_ivf_info faiss_ivf_info(const struct faiss_ivf *ivf)
{
    struct faiss_ivf_info info = {.codec = &ivf->codec,
                                  .ntotal = ivf->ntotal,
                                  .nlist = ivf->nlist,
                                  .nprobe = ivf->nprobe,
                                  .head_bytes = ivf->head_bytes,
                                  .file_bytes = ivf->file_bytes};
    for (size_t i = 0; i < sizeof info.fourcc; i++)
        info.fourcc[i] = ivf->fourcc[i];
    return info;
}

const float *faiss_ivf_centroids(const struct faiss_ivf *ivf)
{
    return ivf->centroids;
}

enum dp_status faiss_ivf_probe(const struct faiss_ivf *ivf, const float *query, size_t nprobe, uint32_t *lists,
                               size_t *count, struct dp_error *error)
{
    struct topk nearest;
    float scores[BLOCK_CENTROIDS];
    size_t dim = ivf->codec.dim, nlist = (size_t)ivf->nlist;
    *count = 0;
    enum dp_status status = topk_init(&nearest, nprobe < nlist ? nprobe : nlist,
                                      vector_larger_is_better(ivf->quantizer_metric), error);
    if (status != DP_OK)
        return status;
    for (size_t begin = 0; begin < nlist; begin += BLOCK_CENTROIDS) {
        size_t rows = nlist - begin < BLOCK_CENTROIDS ? nlist - begin : BLOCK_CENTROIDS;
        distance_rows(ivf->quantizer_metric, query, ivf->centroids + begin * dim, rows, dim, scores);
        for (size_t i = 0; i < rows; i++)
            topk_push(&nearest, scores[i], (int64_t)(begin + i));
    }
    topk_sort(&nearest);
    for (size_t i = 0; i < nearest.count; i++)
        lists[i] = (uint32_t)nearest.hits[i].id;
    *count = nearest.count;
    topk_deinit(&nearest);
    return DP_OK;
}

struct faiss_list_range faiss_ivf_list_range(const struct faiss_ivf *ivf, uint32_t list)
{
    uint64_t offset = ivf->list_offset[list], len = ivf->list_offset[list + 1] - offset;
    return (struct faiss_list_range){offset, len, len / (ivf->codec.code_size + 8)};
}

enum dp_status faiss_ivf_scan(const struct faiss_ivf *ivf, struct ivf_query *query, uint32_t list,
                              struct span bytes, const struct id_filter *filter, struct topk *top,
                              struct dp_error *error)
{
    struct faiss_list_range range = faiss_ivf_list_range(ivf, list);
    if (bytes.len != range.len)
        return dp_fail(error, DP_CORRUPT, "FAISS file: %zu bytes were read of list %u, which has %zu", bytes.len,
                       list, (size_t)range.len);
    size_t codes = (size_t)range.count * ivf->codec.code_size;
    return ivf_scan_list(query, ivf->centroids + (size_t)list * ivf->codec.dim, span_of(bytes.data, codes),
                         span_of(bytes.data + codes, bytes.len - codes), filter, top, error);
}
