/* store/ranges.h: batches of ranges for stores that are far away: fewer and better sized requests.
 *
 * Ranges of one object that lie close together become one request, long ranges become several, and all of them go
 * out in one round. Their bytes arrive in one block that the batch's requests share. What it takes to send a request
 * is the caller's `fetch`; nothing here knows HTTP.
 *
 * A version never mixes with another: the parts of a range that was split must all be of one version, and are
 * fetched again when they are not (a pinned read answers DP_STALE instead). A range of more than RANGES_BLIND_MAX
 * bytes is not believed: the object's size is looked up first, in a round of its own.
 */
#ifndef STORE_RANGES_H
#define STORE_RANGES_H

#include "store/implement.h"

enum {
    RANGES_MERGE_GAP = 64 << 10,
    RANGES_SPLIT_AT = 8 << 20,
    RANGES_BLIND_MAX = 64 << 20,
    RANGES_TO_END_MAX = 1 << 30 /* bytes that a fetch to the object's end may bring */
};

/* One request to the store. */
struct range_fetch {
    /* in */
    struct span key;
    uint64_t offset;
    int64_t len;                        /* ≥ 1; STORE_TO_END; 0: a look, which learns version and size alone */
    const struct store_version *pinned; /* or NULL */
    bool if_changed;                    /* with `pinned`: no bytes when unchanged */
    uint8_t *into;                      /* room for len bytes; NULL for a look and to the end */
    /* out, zeroed before */
    enum dp_status status;
    struct dp_error error;
    uint64_t got;                 /* bytes in `into`: fewer than len only where the object ends */
    struct store_bytes bytes;     /* to the end: what came, for ranges_read to release */
    uint64_t size;                /* of the whole object (but of an unchanged one, if the store does not tell) */
    struct store_version version; /* may be empty when nothing of the object lies in the range */
    bool unchanged;
};

/* Runs all fetches in one round. */
typedef void range_fetch_fn(void *ctx, struct call *call, struct range_fetch *fetches, size_t n);

struct range_limits {
    uint64_t merge_gap; /* bytes between two ranges that are read along; UINT64_MAX: nothing merges */
    uint64_t split_at;  /* UINT64_MAX: nothing splits */
};

/* From merge_gap and split_at of `options`. DP_INVALID for a negative number but STORE_NEVER. */
enum dp_status range_limits_of(const struct store_options *options, struct range_limits *out,
                               struct dp_error *error);

/* A store's `read` (implement.h). Adds to call->cost.rounds those beyond the first; requests and bytes are `fetch`'s
 * to count. */
void ranges_read(struct call *call, const struct range_limits *limits, struct store_read_req *reqs, size_t n,
                 range_fetch_fn *fetch, void *ctx);

#endif
