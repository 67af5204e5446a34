/* faiss/recall.h: how many lists a search must probe for a wanted recall, as it was measured when the file was built.
 *
 * The table is a side object, FILE.recall.json, so that the file itself stays FAISS's own:
 *
 *   {"format":"dipper-recall","version":1,"file_bytes":3154059,"fingerprint":"0123456789abcdef","k":10,"queries":400,
 *    "points":[{"nprobe":1,"recall":0.412},{"nprobe":2,"recall":0.603},…]}
 *
 * file_bytes and fingerprint (of centroids, list sizes and codec) tie it to its file; a table of another is refused.
 * recall: the part of the true k nearest that was found, on average. nprobe rises from point to point.
 */
#ifndef FAISS_RECALL_H
#define FAISS_RECALL_H

#include "base/buffer.h"
#include "faiss/faiss_index.h"

enum {
    RECALL_K = 10,
    RECALL_POINTS_MAX = 128,
    RECALL_BYTES_MAX = 64 << 10 /* of a side object */
};

struct recall_point {
    uint64_t nprobe;
    double recall; /* 0 to 1 */
};

struct recall_table {
    uint64_t file_bytes, fingerprint;
    uint64_t k, queries;
    size_t count;
    struct recall_point points[RECALL_POINTS_MAX];
};

/* ---- the bytes ----------------------------------------------------------------------------------------- */

/* DP_CORRUPT, naming what is wrong; DP_UNSUPPORTED for another version. */
enum dp_status recall_parse(struct span json, struct recall_table *out, struct dp_error *error);
/* Appends the table; check the buffer. */
void recall_write(const struct recall_table *table, struct buffer *out);

/* ---- using it ------------------------------------------------------------------------------------------ */

/* Where the table of the file at `url` lies: beside it, in the call's arena. DP_INVALID for an http(s) URL with a
 * query, such as a presigned one: what it gives access to is one object. */
enum dp_status recall_url(struct call *call, struct span url, struct span *out);

/* Whether every search finds all that there is to find, so that no table is needed: a flat index has no lists. */
static inline bool recall_is_whole(const struct faiss_index *index)
{
    return faiss_index_info(index).flat;
}

/* Reads the table at `url` and checks that it is this index's. One more read. DP_NOT_FOUND, with how to make one;
 * DP_STALE for another file's; as recall_parse; what the store answers. */
enum dp_status recall_load(struct call *call, struct span url, const struct store_options *store,
                           const struct faiss_index *index, struct recall_table *out);

/* The smallest nprobe that reached `wanted` (0 to 1). DP_INVALID when none did, saying what the best is. */
enum dp_status recall_nprobe(const struct recall_table *table, double wanted, size_t *nprobe,
                             struct dp_error *error);

#endif
