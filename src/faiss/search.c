/* search.c: reads the lists that a query probes, all in one round when they fit, and scans them. */
#include "faiss/search.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "faiss/ivf_file.h"

size_t faiss_ivf_round(const struct faiss_ivf *ivf, const uint32_t *lists, size_t begin, size_t count)
{
    uint64_t bytes = 0;
    size_t end = begin;
    for (; end < count; end++) {
        bytes += faiss_ivf_list_range(ivf, lists[end]).len;
        if (bytes > SEARCH_ROUND_BYTES_MAX)
            break;
    }
    return end > begin ? end : begin + 1;
}

/* Reads `count` lists in one round and scans them; skips empty lists. */
static enum dp_status scan_one_round(struct call *call, const struct faiss_ivf *ivf,
                                     const struct faiss_reader *reader, struct ivf_query *query,
                                     const uint32_t *lists, size_t count, struct faiss_range *ranges,
                                     const struct id_filter *filter, struct topk *top)
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        struct faiss_list_range range = faiss_ivf_list_range(ivf, lists[i]);
        if (range.len > 0)
            ranges[n++] = (struct faiss_range){.offset = range.offset, .len = (size_t)range.len};
    }
    if (n == 0)
        return DP_OK;
    enum dp_status status = reader->read(call, reader->ctx, ranges, n);
    if (status != DP_OK)
        return status;
    size_t next = 0;
    for (size_t i = 0; status == DP_OK && i < count; i++)
        if (faiss_ivf_list_range(ivf, lists[i]).len > 0) {
            status = call_check(call);
            if (status == DP_OK)
                status = faiss_ivf_scan(ivf, query, lists[i], ranges[next++].bytes, filter, top, &call->error);
        }
    reader->release(reader->ctx, ranges, n);
    return status;
}

static enum dp_status scan_in_rounds(struct call *call, const struct faiss_ivf *ivf,
                                     const struct faiss_reader *reader, struct ivf_query *query,
                                     const uint32_t *lists, size_t count, struct faiss_range *ranges,
                                     const struct id_filter *filter, struct topk *top)
{
    enum dp_status status = DP_OK;
    for (size_t begin = 0, end; status == DP_OK && begin < count; begin = end) {
        end = faiss_ivf_round(ivf, lists, begin, count);
        status = scan_one_round(call, ivf, reader, query, lists + begin, end - begin, ranges, filter, top);
    }
    return status;
}

static int by_list_number(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    return left < right ? -1 : left > right;
}

enum dp_status faiss_ivf_search(struct call *call, const struct faiss_ivf *ivf, const struct faiss_reader *reader,
                                const float *query, size_t nprobe, const struct id_filter *filter,
                                struct topk *top)
{
    size_t most = faiss_ivf_scanned(ivf, nprobe), count = 0;
    struct ivf_query ready = {0};
    uint32_t *lists = mem_calloc(most, sizeof *lists);
    struct faiss_range *ranges = mem_calloc(most, sizeof *ranges);
    float *room = mem_calloc(faiss_ivf_transform_room(ivf), sizeof *room);
    enum dp_status status = lists && ranges && room ? DP_OK : call_nomem(call, "the lists of a search");
    if (status == DP_OK) {
        query = faiss_ivf_transform(ivf, query, room);
        status = faiss_ivf_probe(ivf, query, most, lists, &count, &call->error);
    }
    /* FAISS scans lists of 32-vector blocks in the order of the list numbers. The order can change the answer: a scan
     * computes the better distance of a code only if the code's estimate may beat the best so far. */
    if (status == DP_OK && ivf->codec.block_rows == 32)
        qsort(lists, count, sizeof *lists, by_list_number);
    if (status == DP_OK)
        status = faiss_ivf_query(ivf, query, lists, count, &ready, &call->error);
    if (status == DP_OK)
        status = scan_in_rounds(call, ivf, reader, &ready, lists, count, ranges, filter, top);
    ivf_query_deinit(&ready);
    mem_free(room);
    mem_free(ranges);
    mem_free(lists);
    return status;
}
