/* store/implement.h: what implementations of the store contract share. For this room and for the tests' stores;
 * users of stores need store.h alone.
 *
 * An implementation's `read` fills the requests whose status is DP_OK on entry and leaves the others alone:
 * store_read has cleared every output and has refused bad keys already. store.c counts the costs that ops->counting
 * leaves to it. So an implementation that wraps another one calls that one's ops and copies its `counting`; or, with
 * STORE_COUNTS_ALL, it reads by store_read_inner and calls store_count_request for each other operation.
 */
#ifndef STORE_STORE_IMPL_H
#define STORE_STORE_IMPL_H

#include "store/store.h"

/* ---- blocks: counted bytes (block.c) ---------------------------------------------------------------- */

/* A block of `len` bytes with one reference, its bytes not set; NULL when out of memory. */
struct store_block *store_block_new(size_t len);
/* The block at another length, its first bytes kept; `block` (NULL: a new one) has one reference, and is gone
 * unless the answer is NULL (out of memory). */
struct store_block *store_block_resize(struct store_block *block, size_t len);
uint8_t *store_block_data(struct store_block *block);
size_t store_block_len(const struct store_block *block);
void store_block_release(struct store_block *block); /* NULL is fine */
/* A part of the block as bytes with a reference of their own. The part must lie inside. */
struct store_bytes store_block_bytes(struct store_block *block, uint64_t offset, uint64_t len);

/* Memory of blocks that were released, kept for the next ones: what a large block costs most is the system's clearing
 * of its pages. Any thread may use it. Only blocks of 64 KiB to 4 MiB are kept, 16 MiB in all. */
struct store_block_pool;
struct store_block_pool *store_block_pool_new(void); /* NULL when out of memory */
/* Lets go of it; blocks that are still in use keep it until the last of them is released. NULL is fine. */
void store_block_pool_free(struct store_block_pool *pool);
/* As store_block_new, from the pool. Such a block is never resized. */
struct store_block *store_block_pool_take(struct store_block_pool *pool, size_t len);

/* ---- requests (store.c) ----------------------------------------------------------------------------- */

/* Fails with DP_INVALID unless `key` is a key (store.h). */
enum dp_status store_key_check(struct span key, struct dp_error *error);
/* The request's length within an object of `size` bytes; DP_INVALID when the range does not lie inside. */
enum dp_status store_range_len(const struct store_read_req *req, uint64_t size, uint64_t *len,
                               struct dp_error *error);
/* Answers what the version alone decides: records `version` and `size`; true when the request is settled
 * (unchanged, or DP_STALE) and no bytes are to be delivered. */
bool store_read_settled(struct store_read_req *req, const struct store_version *version, uint64_t size);

/* What store_read does but for its checks: reads from a store that lies below another one, and counts that. */
void store_read_inner(struct call *call, struct store *store, struct store_read_req *reqs, size_t n);
/* Counts the request of an operation that a store passed on to `store`, which lies below it. */
void store_count_request(struct call *call, const struct store *store);

/* Uploads embed this first. */
struct store_upload {
    struct store *store;
};

/* ---- listing (listing.c): builds a store_listing in ascending order ---------------------------------- */

struct store_lister {
    struct call *call;
    struct span prefix, after;
    bool folders;
    size_t max;
    struct store_listing *out;
    size_t capacity;
};

void store_lister_init(struct store_lister *l, struct call *call, struct span prefix, struct span after,
                       bool folders, size_t max, struct store_listing *out);
/* Offers the next key in ascending order; one that does not belong to the listing is passed over, one below a
 * folder becomes the folder's entry (once). *full tells that nothing more is wanted. */
enum dp_status store_lister_add(struct store_lister *l, struct span key, uint64_t size, bool *full);
/* Whether a key that begins with `start` can belong to the listing, and would not only repeat the last entry. */
bool store_lister_wants_below(const struct store_lister *l, struct span start);

/* ---- the implementations ---------------------------------------------------------------------------- */

/* A folder of this host. */
enum dp_status store_local_open(struct call *call, const char *path, bool create, struct store **out);
/* A store of its own in memory: two opens of one mem://name share nothing. */
enum dp_status store_memory_open(struct call *call, struct store **out);
/* A bucket, or what lies below a prefix of its names: `name` is "bucket" or "bucket/prefix". */
enum dp_status store_s3_open(struct call *call, struct span name, const struct store_options *options,
                             struct store **out);

#endif
