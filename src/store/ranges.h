/* store/ranges.h: turns a batch of ranges of a remote store into fewer and better sized requests.
 *
 * Ranges of one object that lie close together become one request, long ranges become several, and all requests go
 * out in one round. Their bytes arrive in one block that the batch's requests share. The caller's `fetch` sends
 * the requests, so this code does not know HTTP.
 *
 * Ranges with `sparse` set (struct store_read_req) are many and small. Two of them merge only over a gap of at most
 * RANGES_SPARSE_GAP bytes; with merge_gap, most bytes read would be gaps.
 *
 * Versions never mix: the parts of a split range must all have one version, and are fetched again otherwise (a
 * pinned read returns DP_STALE instead). Before it reads a range of more than RANGES_BLIND_MAX bytes, ranges_read
 * looks up the object's size in a separate round, so that a damaged length does not make it allocate that much
 * memory.
 */
#ifndef STORE_RANGES_H
#define STORE_RANGES_H

#include "store/implement.h"

enum {
    RANGES_MERGE_GAP = 64 << 10,
    RANGES_SPLIT_AT = 8 << 20,
    RANGES_SPARSE_GAP = 8 << 10,
    RANGES_BLIND_MAX = 64 << 20,
    RANGES_TO_END_MAX = 1 << 30 /* maximum bytes of a fetch to the object's end */
};

/* One request to the store. */
struct range_fetch {
    /* in */
    struct span key;
    uint64_t offset;
    int64_t len;                        /* ≥ 1, or STORE_TO_END; 0: a look, which reads only version and size */
    const struct store_version *pinned; /* or NULL */
    bool if_changed;                    /* with `pinned`: fetch no bytes if the version is still this one */
    uint8_t *into;                      /* room for len bytes; NULL for a look and for STORE_TO_END */
    /* out; the caller zeroes it */
    enum dp_status status;
    struct dp_error error;
    uint64_t got;             /* bytes in `into`: fewer than len only where the object ends */
    struct store_bytes bytes; /* for STORE_TO_END: the bytes; ranges_read releases them */
    /* of the whole object; 0 if it is unchanged and the store does not report the size */
    uint64_t size;
    struct store_version version; /* may be empty if no byte of the object lies in the range */
    bool unchanged;
    bool maybe_missing; /* as in struct store_read_req */
    int64_t date_ms;    /* the store's clock when it answered (store.h); 0: unknown */
};

/* Runs all fetches in one round. */
typedef void range_fetch_fn(void *ctx, struct call *call, struct range_fetch *fetches, size_t n);

struct range_limits {
    uint64_t merge_gap; /* maximum bytes between two merged ranges; UINT64_MAX: nothing merges */
    uint64_t split_at;  /* maximum bytes of a request; UINT64_MAX: nothing splits */
};

/* Reads merge_gap and split_at of `options`. Fails with DP_INVALID for a negative number other than
 * STORE_NEVER. */
enum dp_status range_limits_of(const struct store_options *options, struct range_limits *out,
                               struct dp_error *error);

/* Implements a store's `read` (implement.h). Adds the rounds after the first to call->cost; `fetch` adds requests
 * and bytes. */
void ranges_read(struct call *call, const struct range_limits *limits, struct store_read_req *reqs, size_t n,
                 range_fetch_fn *fetch, void *ctx);

#endif
