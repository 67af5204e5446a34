/* index/fold/row_scan.h: reads all rows of some segments that a manifest lists, in rounds of bounded size.
 *
 * A scan opens the segments (hot parts and .del objects), then gives their rows segment by segment in row order.
 * A round holds at most SCAN_ROUND_BYTES of vectors and documents, so small segments share a round and a large one
 * takes many. One owner thread.
 */
#ifndef INDEX_ROW_SCAN_H
#define INDEX_ROW_SCAN_H

#include "index/load/supersede.h"
#include "index/round.h"

#define SCAN_ROUND_BYTES ((uint64_t)64 << 20)

/* A segment of a scan. */
struct scanned_segment {
    struct manifest_segment listed;
    struct object_key dpr_key, del_key;
    struct segment_hot hot;
    struct row_set deleted; /* rows that its .del object lists */
    bool deleted_unknown;   /* of a damaged segment: the .del object cannot be read */
};

/* One row. The bytes are valid during the call of row_scan_fn. */
struct scanned_row {
    size_t segment; /* position in row_scan.segments */
    uint32_t row;
    bool deleted;
    struct span key, document;
    const float *vectors; /* float[windows][dim], as stored */
    uint32_t windows;
};

typedef enum dp_status row_scan_fn(struct call *call, void *context, const struct scanned_row *row);
/* Receives rows [row, row + count) of a segment that cannot be read. */
typedef enum dp_status row_scan_lost_fn(struct call *call, void *context, uint32_t row, uint32_t count);

struct row_scan {
    struct store *store;
    struct span name;
    struct ulid incarnation;
    uint32_t dim;
    uint64_t round_bytes; /* 0: SCAN_ROUND_BYTES */
    /* For a scan of one damaged segment: receives the rows that cannot be read, with the context of row_scan_run().
     * NULL: the scan fails at the first such row. */
    row_scan_lost_fn *lost;
    struct scanned_segment *segments;
    size_t count;
    struct arena scratch; /* the documents of one run */
    float *vectors;       /* the vectors of one row */
    size_t vectors_room;  /* floats */
};

/* Opens the `count` segments `listed` of a manifest. Fails with DP_STALE when an object is missing: then the manifest
 * is old. The caller deinits the scan, also after a failure. */
enum dp_status row_scan_open(struct call *call, struct store *store, struct span name, const struct manifest *m,
                             const struct manifest_segment *listed, size_t count, struct row_scan *out);
/* Opens one segment that may be damaged. Fails with DP_CORRUPT or DP_STALE when its hot part cannot be read: then
 * no row can be read. */
enum dp_status row_scan_open_damaged(struct call *call, struct store *store, struct span name,
                                     const struct manifest *m, const struct manifest_segment *listed,
                                     row_scan_lost_fn *lost, struct row_scan *out);
void row_scan_deinit(struct row_scan *scan);
/* Calls fn for each row, also for deleted ones, until it fails. Verifies the checksum of every byte that it reads.
 * Fails with DP_STALE when an object is missing. */
enum dp_status row_scan_run(struct call *call, struct row_scan *scan, row_scan_fn *fn, void *context);

/* Returns whether a status says that an object is missing, damaged or of another kind than this build reads. */
bool row_scan_is_damage(enum dp_status status);

#endif
