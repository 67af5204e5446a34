/* store/implement.h: functions that implementations of the store contract share. Only this room and the stores of
 * the tests include it; users of stores need store.h alone.
 *
 * An implementation's `read` fills the requests whose status is DP_OK on entry and leaves the others alone:
 * store_read has cleared every output and has refused bad keys already. store.c counts the costs that
 * ops->counting leaves to it. So an implementation that wraps an inner store has two choices. Either it calls the
 * inner store's ops and copies its `counting`. Or its `counting` is STORE_COUNTS_ALL; then it reads by
 * store_read_inner, and calls store_count_request for each other operation.
 */
#ifndef STORE_IMPLEMENT_H
#define STORE_IMPLEMENT_H

#include "store/block.h"

/* Fails with DP_INVALID unless `key` is a key (store.h). */
enum dp_status store_key_check(struct span key, struct dp_error *error);
/* Computes the length of the requested range in an object of `size` bytes. Fails with DP_INVALID if the range does
 * not lie inside the object. */
enum dp_status store_range_len(const struct store_read_req *req, uint64_t size, uint64_t *len,
                               struct dp_error *error);
/* Records `version` and `size`. Returns true when they settle the request (unchanged, or DP_STALE), so that it
 * needs no bytes. */
bool store_read_settled(struct store_read_req *req, const struct store_version *version, uint64_t size);

/* Reads and counts the costs like store_read, but checks nothing. For a store that reads from the store below
 * it. */
void store_read_inner(struct call *call, struct store *store, struct store_read_req *reqs, size_t n);
/* Counts one request in call->cost. For a store that passed an operation on to `store`, the one below it. */
void store_count_request(struct call *call, const struct store *store);

/* An upload. Each implementation defines a struct whose first member is this one. */
struct store_upload {
    struct store *store;
};

#endif
