/* ivf_search.c: an inverted file over a reader of ranges: opening in two rounds, searching in one. */
#include <string.h>

#include "base/alloc.h"
#include "faiss/ivf_parse.h"

enum { FIRST_READ_BYTES = 128 * 1024, MOST_ROUNDS = 8 };

/* Reads the file's bytes [have, want) behind the `have` that are in *prefix. */
static enum dp_status extend_prefix(struct call *call, const struct faiss_reader *reader, uint8_t **prefix,
                                    size_t have, size_t want)
{
    struct faiss_range range = {.offset = have, .len = want - have};
    uint8_t *longer = mem_realloc(*prefix, want);
    if (longer == NULL)
        return call_nomem(call, "the head of a FAISS file");
    *prefix = longer;
    enum dp_status status = reader->read(call, reader->ctx, &range, 1);
    if (status != DP_OK)
        return status;
    if (range.bytes.len == range.len)
        memcpy(longer + have, range.bytes.data, range.len);
    else
        status = call_fail(call, DP_IO, "FAISS file: the reader answered %zu bytes for %zu at offset %zu",
                           range.bytes.len, range.len, have);
    reader->release(reader->ctx, &range, 1);
    return status;
}

enum dp_status faiss_ivf_open(struct call *call, const struct faiss_reader *reader, size_t guess,
                              struct faiss_ivf **out)
{
    uint8_t *prefix = NULL;
    size_t have = 0;
    uint64_t need = guess > 0 ? guess : FIRST_READ_BYTES;
    enum dp_status status = DP_OK;
    *out = NULL;
    if (reader->size == 0)
        return call_fail(call, DP_CORRUPT, "FAISS file: it is empty");
    for (int round = 0; status == DP_OK && *out == NULL; round++) {
        size_t want = (size_t)(need < reader->size ? need : reader->size);
        status = call_check(call);
        if (status == DP_OK && (want <= have || round == MOST_ROUNDS))
            status = call_fail(call, DP_CORRUPT, "FAISS file: its head does not end within %zu bytes", have);
        if (status == DP_OK)
            status = extend_prefix(call, reader, &prefix, have, want);
        have = want;
        if (status == DP_OK)
            status = faiss_ivf_parse(span_of(prefix, have), reader->size, out, &need, &call->error);
    }
    mem_free(prefix);
    return status;
}

/* Reads the lists that are not empty in one round and scans them. lists: in order of nearness. */
static enum dp_status scan_lists(struct call *call, const struct faiss_ivf *ivf, const struct faiss_reader *reader,
                                 struct ivf_query *query, const uint32_t *lists, size_t count,
                                 struct faiss_range *ranges, const struct id_filter *filter, struct topk *top)
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

enum dp_status faiss_ivf_search(struct call *call, const struct faiss_ivf *ivf, const struct faiss_reader *reader,
                                const float *query, size_t nprobe, const struct id_filter *filter,
                                struct topk *top)
{
    size_t most = nprobe < ivf->nlist ? nprobe : (size_t)ivf->nlist, count;
    struct ivf_query ready = {0};
    uint32_t *lists = mem_calloc(most, sizeof *lists);
    struct faiss_range *ranges = mem_calloc(most, sizeof *ranges);
    enum dp_status status;
    if (lists == NULL || ranges == NULL) {
        status = call_nomem(call, "the lists of a search");
        goto out;
    }
    status = ivf_query_init(&ready, &ivf->codec, query, &call->error);
    if (status == DP_OK)
        status = faiss_ivf_probe(ivf, query, most, lists, &count, &call->error);
    if (status == DP_OK)
        status = scan_lists(call, ivf, reader, &ready, lists, count, ranges, filter, top);
out:
    ivf_query_deinit(&ready);
    mem_free(ranges);
    mem_free(lists);
    return status;
}
