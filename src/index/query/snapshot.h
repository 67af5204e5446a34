/* index/query/snapshot.h: a namespace at one moment: its manifest and the hot parts of its segments, in memory.
 *
 * A snapshot counts its references. Only its field `seen` changes. Queries may use an old snapshot while a
 * newer one opens. Two snapshots share the segments and the deleted rows that are in both.
 */
#ifndef INDEX_SNAPSHOT_H
#define INDEX_SNAPSHOT_H

#include <stdatomic.h>

#include "faiss/ivf.h"
#include "index/query/first_codes.h"
#include "index/query/log_read.h"
#include "index/segment/deleted.h"
#include "index/segment/segment.h"
#include "text/index.h"

/* An open segment. Snapshots share it. */
struct segment {
    _Atomic unsigned references;
    struct segment_hot hot;
    struct faiss_ivf *ivf; /* the parsed head of the .ivf object; NULL: no row of the segment has a vector */
    struct first_codes *first_codes; /* NULL: the segment has none */
    struct text_index *words;        /* in hot.arena; NULL: the segment has no text index */
    struct object_key ivf_key, dpr_key;
    struct store_version dpr_version; /* the version that later reads must still find */
};

/* The deleted rows of a segment. Snapshots share them. */
struct deleted_rows {
    _Atomic unsigned references;
    struct row_set set;
};

/* A segment of a snapshot. */
struct snapshot_segment {
    struct segment *segment;
    struct deleted_rows *deleted; /* NULL: no row is deleted */
};

/* A pending load of a snapshot. */
struct snapshot_load {
    struct ulid load;
    int64_t at_ms;       /* when the manifest got it, by the store's clock */
    size_t first, count; /* its segments are segments[first] to segments[first + count - 1] */
};

/* The times of a read of the manifest. */
struct manifest_read {
    int64_t sent_ns, answered_ns; /* by index_now_ns() */
    int64_t date_ms;              /* the store's clock when it answered; 0: unknown */
};

/* A snapshot. */
struct snapshot {
    _Atomic unsigned references;
    /* Its `segments` are those that the manifest lists, and behind them those of pending loads; `pending` is empty. */
    struct manifest manifest;
    size_t listed_count;         /* number of listed segments */
    struct snapshot_load *loads; /* [load_count], in the manifest's arena */
    size_t load_count;
    struct store_version version; /* version of the manifest */
    struct manifest_read seen;    /* the latest read that found this manifest; guarded by the reader's lock */
    struct object_key manifest_key;
    struct snapshot_segment *segments; /* [manifest.segment_count], in the order of manifest.segments */
};

struct snapshot *snapshot_retain(struct snapshot *s);
void snapshot_release(struct snapshot *s); /* NULL is fine */

/* Log entries to read beside the segments. */
struct snapshot_log {
    uint64_t first;
    size_t count;
    struct log_run run; /* out; after DP_OK the caller releases it */
};

/* Opens the segments that the manifest `m` lists or has pending. `seen`: the read that found `m`. Reads in rounds of
 * at most round_bytes (0: ROUND_BYTES_MAX). The first round also reads the entries of `log` (or NULL). Shares the
 * unchanged segments with `before` (or NULL). Takes over *m, also on failure. Fails with DP_STALE when a listed
 * object is missing: then the manifest may have changed. */
enum dp_status snapshot_open(struct call *call, struct store *store, struct span name, struct manifest *m,
                             const struct store_version *version, struct manifest_read seen,
                             const struct snapshot *before, uint64_t round_bytes, struct snapshot_log *log,
                             struct snapshot **out);

/* Judges a read of a listed object of `size` bytes. Returns DP_STALE only when the object is missing or replaced,
 * DP_CORRUPT when it has another size, else the status of the read. */
enum dp_status snapshot_check_read(const struct store_read_req *req, uint64_t size, struct dp_error *error);

#endif
