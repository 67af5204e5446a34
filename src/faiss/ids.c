/* ids.c: reads the ids of all vectors of a file, without their codes. */
#include "faiss/ids.h"

#include <inttypes.h>

#include "base/alloc.h"
#include "faiss/ivf_file.h"
#include "faiss/search.h"

enum { ROUND_LISTS_MAX = 1024, ID_BYTES = 8 };

/* Returns the id of a vector, which `number` tells the file. */
static enum dp_status take_id(const struct faiss_ivf *ivf, uint64_t number, int64_t *out, struct dp_error *error)
{
    struct cursor map;
    *out = (int64_t)number;
    if (!ivf->id_map)
        return DP_OK;
    if (number >= ivf->ntotal)
        return dp_fail(error, DP_CORRUPT, "%s: a list has vector %" PRIu64 " of %" PRIu64, ivf->name, number,
                       ivf->ntotal);
    map = cursor_over(span_of(ivf->id_map + number * ID_BYTES, ID_BYTES));
    *out = (int64_t)cursor_u64(&map);
    return DP_OK;
}

/* Returns where the ids of a list lie in the file. */
static struct faiss_range ids_range(const struct faiss_ivf *ivf, uint32_t list)
{
    const struct faiss_list_range range = faiss_ivf_list_range(ivf, list);
    const uint64_t len = range.count * ID_BYTES;
    return (struct faiss_range){.offset = ivf->list_size ? range.offset : range.offset + range.len - len,
                                .len = (size_t)len};
}

/* Asks for the ids of lists[*next] and those behind it, as many as one round may have. Moves *next. */
static size_t plan_round(const struct faiss_ivf *ivf, uint64_t *next, struct faiss_range *ranges)
{
    uint64_t bytes = 0;
    size_t n = 0;
    for (; *next < ivf->nlist && n < ROUND_LISTS_MAX; ++*next) {
        const struct faiss_range range = ids_range(ivf, (uint32_t)*next);
        if (range.len == 0)
            continue;
        bytes += range.len;
        if (n && bytes > SEARCH_ROUND_BYTES_MAX)
            break;
        ranges[n++] = range;
    }
    return n;
}

static enum dp_status flat_ids(struct call *call, const struct faiss_ivf *ivf, int64_t *ids)
{
    enum dp_status status = DP_OK;
    for (uint64_t i = 0; i < ivf->listed && status == DP_OK; i++)
        status = take_id(ivf, i, &ids[i], &call->error);
    return status;
}

enum dp_status faiss_ivf_ids(struct call *call, const struct faiss_ivf *ivf, const struct faiss_reader *reader,
                             int64_t *ids)
{
    if (ivf->flat)
        return flat_ids(call, ivf, ids);
    struct faiss_range *ranges = mem_calloc(ROUND_LISTS_MAX, sizeof *ranges);
    enum dp_status status = ranges ? DP_OK : call_nomem(call, "the ids of a FAISS file");
    size_t n = 0, read = 0;
    for (uint64_t next = 0; status == DP_OK && (n = plan_round(ivf, &next, ranges)) > 0;) {
        status = call_check(call);
        if (status == DP_OK)
            status = reader->read(call, reader->ctx, ranges, n);
        if (status != DP_OK)
            break;
        for (size_t i = 0; i < n; i++) {
            struct cursor c = cursor_over(ranges[i].bytes);
            while (c.offset < ranges[i].len && status == DP_OK)
                status = take_id(ivf, cursor_u64(&c), &ids[read++], &call->error);
        }
        reader->release(reader->ctx, ranges, n);
    }
    mem_free(ranges);
    return status;
}
