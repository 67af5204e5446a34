/* fetch.c: ranges of vectors and documents, and their checks. */
#include "index/query/fetch.h"

#include <inttypes.h>

static size_t ask_dpr(struct round *round, const struct segment *segment, uint64_t offset, uint64_t len)
{
    const struct store_read_req req = {.key = object_key_span(&segment->dpr_key),
                                       .offset = offset,
                                       .len = (int64_t)len,
                                       .pinned = &segment->dpr_version};
    return round_ask(round, &req);
}

size_t fetch_ask_vectors(struct round *round, const struct segment *segment, uint64_t first, uint64_t count)
{
    uint64_t len = segment_vector_len(segment->hot.dim);
    return ask_dpr(round, segment, segment->hot.vectors_offset + first * len, count * len);
}

size_t fetch_ask_run(struct round *round, const struct segment *segment, const struct document_run *run)
{
    return ask_dpr(round, segment, run->offset, run->len);
}

enum dp_status fetch_check(struct round *round, const struct segment *segment, size_t handle)
{
    return snapshot_check_read(round_answer(round, handle), segment->hot.size, &round->call->error);
}

enum dp_status fetch_verify_vectors(struct call *call, const struct segment *segment, struct span vectors,
                                    uint64_t first, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        struct span floats = fetch_floats(segment, vectors, i);
        struct cursor sum = cursor_over(span_of(floats.data + floats.len, FORMAT_CHECKSUM_LEN));
        if (cursor_u64(&sum) != segment_vector_checksum(floats, first + i))
            return call_fail(call, DP_CORRUPT, "%s: the checksum of vector %" PRIu64 " does not fit",
                             segment->dpr_key.text, first + i);
    }
    return DP_OK;
}
