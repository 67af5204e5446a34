/* store/store_cache.h: a store around another one that keeps ranges in memory. Several can share one cache, and so
 * one budget; what is the same key in two of them are two objects.
 *
 * It keeps what reads with a pinned version bring: bytes of one version never change. Reads without one, and those
 * "if changed", ask the store below each time. Ranges are kept as they were asked for; another range of the same
 * bytes is a range of its own. Concurrent reads of one missing range fetch it once.
 *
 * A batch is still at most one round below: what is missing goes out in one read. What other callers are fetching
 * already is waited for after that; when their fetch fails, or was theirs to cancel, the range is fetched again.
 *
 * Costs: a range that was kept, or that another caller fetched, is a cache hit and no request; a batch of such
 * ranges is no round.
 *
 * After a put, an upload or a removal through this store no read answers from what was kept of that object before.
 * Writers elsewhere are noticed by those who ask for the current version; who has pinned an older one may be
 * served from memory, with that version's bytes.
 */
#ifndef STORE_STORE_CACHE_H
#define STORE_STORE_CACHE_H

#include "base/metrics.h"
#include "store/store.h"

struct store_cache_options {
    uint64_t
        /* The budget for bytes, names and overhead. A range of more than half a shard's part is not kept. */
        bytes;
    unsigned shards; /* a power of two; 0: one for each 32 MiB, 64 at most */
};

struct store_cache;

/* Makes a cache for any number of stores. DP_NOMEM, DP_INVALID. */
enum dp_status store_cache_make(const struct store_cache_options *options, struct store_cache **out,
                                struct dp_error *error);
/* Adds an owner. NULL stays NULL. */
struct store_cache *store_cache_retain(struct store_cache *cache);
/* Removes an owner: the maker is one, and each store over the cache is one. NULL is fine. */
void store_cache_release(struct store_cache *cache);
/* Makes a store that keeps the ranges it reads of `inner`, and owns `inner`, even after a failure. DP_NOMEM. */
enum dp_status store_cache_over(struct store_cache *cache, struct store *inner, struct store **out,
                                struct dp_error *error);

/* Makes a store over `inner` with a new cache that no other store shares. DP_NOMEM, DP_INVALID. */
enum dp_status store_cache_new(struct store *inner, const struct store_cache_options *options, struct store **out,
                               struct dp_error *error);

/* Adds dipper_store_cache_* to a registry that lives longer than the last read; only once, whether here or through
 * store_add_metrics of a store over the cache. Call it while the program starts, before the first read. */
enum dp_status store_cache_metrics(struct store_cache *cache, struct metric_registry *registry,
                                   struct dp_error *error);

#endif
