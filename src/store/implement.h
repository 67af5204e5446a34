/* store/implement.h: what implementations of the store contract share. For this room and for the tests' stores;
 * users of stores need store.h alone.
 *
 * An implementation's `read` fills the requests whose status is DP_OK on entry and leaves the others alone:
 * store_read has cleared every output and has refused bad keys already. store.c counts the costs that
 * ops->counting leaves to it. So an implementation that wraps another one calls that one's ops and copies its
 * `counting`; or, with STORE_COUNTS_ALL, it reads by store_read_inner and calls store_count_request for each other
 * operation.
 */
#ifndef STORE_IMPLEMENT_H
#define STORE_IMPLEMENT_H

#include "store/block.h"

/* Fails with DP_INVALID unless `key` is a key (store.h). */
enum dp_status store_key_check(struct span key, struct dp_error *error);
/* The request's length within an object of `size` bytes. DP_INVALID when the range does not lie inside. */
enum dp_status store_range_len(const struct store_read_req *req, uint64_t size, uint64_t *len,
                               struct dp_error *error);
/* Records `version` and `size`. Returns true when they settle the request (unchanged, or DP_STALE), so that it
 * needs no bytes. */
bool store_read_settled(struct store_read_req *req, const struct store_version *version, uint64_t size);

/* What store_read does but for its checks: reads from a store that lies below another one, and counts that. */
void store_read_inner(struct call *call, struct store *store, struct store_read_req *reqs, size_t n);
/* Counts the request of an operation that a store passed on to `store`, which lies below it. */
void store_count_request(struct call *call, const struct store *store);

/* Uploads embed this first. */
struct store_upload {
    struct store *store;
};

#endif
