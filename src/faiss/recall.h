/* faiss/recall.h: the measured recall of a file by nprobe: a table that tells how many lists a search must probe
 * to reach a recall.
 *
 * The table is a side object, FILE.recall.json, so that the file itself remains a plain FAISS file:
 *
 *   {"format":"dipper-recall","version":1,"file_bytes":3154059,"fingerprint":"0123456789abcdef",
 *    "k":10,"queries":400,"points":[{"nprobe":1,"recall":0.412},{"nprobe":2,"recall":0.603},…]}
 *
 * file_bytes and fingerprint (faiss_index_fingerprint) tie the table to its file; recall_load refuses the table of
 * another file. recall is the part of the true k nearest vectors that a search found, averaged over all queries.
 * nprobe rises from point to point.
 */
#ifndef FAISS_RECALL_H
#define FAISS_RECALL_H

#include "base/buffer.h"
#include "faiss/faiss_index.h"

enum {
    RECALL_K = 10,
    RECALL_POINTS_MAX = 128,
    RECALL_BYTES_MAX = 64 << 10 /* maximum bytes of a side object */
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

/* Parses a table. DP_CORRUPT says why; DP_UNSUPPORTED for another format version. */
enum dp_status recall_parse(struct span json, struct recall_table *out, struct dp_error *error);
/* Appends the table as JSON. The caller checks the buffer's status. */
void recall_write(const struct recall_table *table, struct buffer *out);

/* ---- use of a table ------------------------------------------------------------------------------------ */

/* Makes the URL of the table of the file at `url`, in the call's arena. DP_INVALID for an http(s) URL with a
 * query, such as a presigned one, which gives access to one object only. */
enum dp_status recall_url(struct call *call, struct span url, struct span *out);

/* Returns whether the index is flat. Then every search has a recall of 1 and needs no table. */
static inline bool recall_is_whole(const struct faiss_index *index)
{
    return faiss_index_info(index).flat;
}

/* Reads the table at `url`, in one round, and checks that it belongs to this index. DP_NOT_FOUND says how to make
 * one; DP_STALE: the table belongs to another file; the status of recall_parse or the store. */
enum dp_status recall_load(struct call *call, struct span url, const struct store_options *store,
                           const struct faiss_index *index, struct recall_table *out);

/* Finds the smallest nprobe that reached `wanted` (0 to 1). If none did, DP_INVALID names the best recall of the
 * table. */
enum dp_status recall_nprobe(const struct recall_table *table, double wanted, size_t *nprobe,
                             struct dp_error *error);

#endif
