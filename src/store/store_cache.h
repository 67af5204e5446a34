/* store/store_cache.h: a cache store: it wraps another store and keeps ranges of its objects in memory. Several
 * cache stores can share one cache, and so one budget. Equal keys in two of these stores are different objects.
 *
 * It keeps only ranges that pinned reads fetched, because the bytes of one version never change, and ranges of
 * immutable objects. Other reads without a pinned version, and reads "if changed", ask the store below each time. The
 * cache keeps each range as a caller asked for it; it does not join or split ranges. Concurrent reads of one missing
 * range fetch it once.
 *
 * A read batch costs at most one round of the store below, because all its missing ranges go out in one read. Then
 * the batch waits for the ranges that other callers already fetch. If such a fetch fails or its caller cancels it,
 * the batch fetches the range again.
 *
 * Costs: a range from the cache, or one that another caller fetched, counts as a cache hit and as no request. A
 * batch of only such ranges counts as no round.
 *
 * A store that can look at a version for little (a local folder) is asked once for each object of a batch. If the
 * version is not current, the requests go to that store. So a file that changed or was cut is DP_STALE, as without
 * the cache.
 *
 * After a put, an upload or a removal through this store, no read gets older ranges of that object from the cache.
 * The cache does not see writes by other processes to a remote store: a read without a pinned version gets the new
 * bytes, because it asks the store below. A read that pins an older version may get the bytes of that version from
 * memory.
 */
#ifndef STORE_STORE_CACHE_H
#define STORE_STORE_CACHE_H

#include "base/metrics.h"
#include "store/store.h"

struct store_cache_options {
    /* Maximum bytes for ranges, names and overhead. The cache keeps no range larger than half of a shard's
     * part. */
    uint64_t bytes;
    unsigned shards; /* a power of two; 0: one shard for each 32 MiB, at most 64 */
};

struct store_cache;

/* Makes a cache for any number of stores. Fails with DP_NOMEM or DP_INVALID. */
enum dp_status store_cache_make(const struct store_cache_options *options, struct store_cache **out,
                                struct dp_error *error);
/* Adds an owner and returns the cache. NULL is fine. */
struct store_cache *store_cache_retain(struct store_cache *cache);
/* Removes an owner; the last one frees the cache. Its maker and each store over it are owners. NULL is fine. */
void store_cache_release(struct store_cache *cache);
/* Makes a store that wraps `inner` and keeps its ranges in `cache`. Takes over `inner`, even if it fails with
 * DP_NOMEM. */
enum dp_status store_cache_over(struct store_cache *cache, struct store *inner, struct store **out,
                                struct dp_error *error);

/* Makes a store that wraps `inner`, with a new cache that no other store shares. Fails with DP_NOMEM or
 * DP_INVALID. */
enum dp_status store_cache_new(struct store *inner, const struct store_cache_options *options, struct store **out,
                               struct dp_error *error);

/* Adds dipper_store_cache_* to a registry that lives longer than the last read. Call it while the program starts,
 * before the first read. Only the first call adds them, also if it comes from store_add_metrics of a store over
 * the cache. */
enum dp_status store_cache_metrics(struct store_cache *cache, struct metric_registry *registry,
                                   struct dp_error *error);

#endif
