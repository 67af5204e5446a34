/* index/query/snapshot.h: a namespace at one moment: its manifest and the hot parts of its segments, in memory.
 *
 * Snapshots are immutable and counted: queries share one while a newer one is opened beside it. Two snapshots share
 * the segments and deleted rows that have not changed.
 */
#ifndef INDEX_SNAPSHOT_H
#define INDEX_SNAPSHOT_H

#include <stdatomic.h>

#include "faiss/ivf.h"
#include "index/segment/deleted.h"
#include "index/segment/segment.h"

/* An open segment. */
struct segment {
    _Atomic unsigned references;
    struct segment_hot hot;
    struct faiss_ivf *ivf;
    struct object_key ivf_key, dpr_key;
    struct store_version ivf_version, dpr_version; /* versions that later reads must still find */
};

struct deleted_rows {
    _Atomic unsigned references;
    struct row_set set;
};

struct snapshot_segment {
    struct segment *segment;
    struct deleted_rows *deleted; /* NULL: none */
};

/* When a read of the manifest was sent and when it was answered, by os_now_ns(). */
struct manifest_read {
    int64_t sent_ns, answered_ns;
};

struct snapshot {
    _Atomic unsigned references;
    struct manifest manifest;
    struct store_version version; /* of the manifest */
    struct manifest_read seen;    /* the latest read that found this manifest; guarded by the reader's lock */
    struct object_key manifest_key, wal_key; /* wal_key: the first log entry that is not folded */
    struct snapshot_segment *segments;       /* [manifest.segment_count], in the manifest's order */
};

struct snapshot *snapshot_retain(struct snapshot *s);
void snapshot_release(struct snapshot *s); /* NULL is fine */

/* Opens the segments that `m`, found by the read `seen`, lists: in one round, or in more where these would have more
 * than round_bytes (0: ROUND_BYTES_MAX). Shares what is unchanged with `before` (or NULL). Takes over *m, also on
 * failure. DP_STALE when a listed object is missing: the manifest may have changed since. */
enum dp_status snapshot_open(struct call *call, struct store *store, struct span name, struct manifest *m,
                             const struct store_version *version, struct manifest_read seen,
                             const struct snapshot *before, uint64_t round_bytes, struct snapshot **out);

/* Judges a probe for the log entry after wal_floor: DP_OK when there is none. */
enum dp_status snapshot_check_wal(const struct store_read_req *probe, struct dp_error *error);

/* Judges the answer to a request for a listed object of `size` bytes. DP_STALE when the object is missing or replaced, and
 * only then; DP_CORRUPT when it has another size. */
enum dp_status snapshot_check_read(const struct store_read_req *req, uint64_t size, struct dp_error *error);

#endif
