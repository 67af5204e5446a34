/* store/cache/shard.h: one part of the memory cache of ranges. Decides which ranges to keep, which to evict, and
 * which caller fetches a missing one.
 *
 * S3-FIFO decides which ranges to evict (Yang, Zhang, Qiu, Yue, Vigfusson: "FIFO queues are all you need for cache
 * eviction", SOSP 2023). A new range enters the small queue, which gets a tenth of the budget. At the end of this
 * queue, the range moves to the main queue if callers have asked for it at least twice more; otherwise the shard
 * frees its bytes and keeps its name in the ghost queue. If a caller asks for a range whose name is in the ghost
 * queue, the range enters the main queue. Each request for a kept range gives it a mark (at most three). At the
 * end of the main queue, a range loses one mark and goes back to the beginning; a range without marks is evicted.
 * So a caller that asks for each range once fills only the small queue. Ranges differ in size, so the queues are
 * measured in bytes. A range larger than the small queue enters only if there is room, or if callers ask for it
 * again.
 *
 * The budget bounds bytes, names and overhead. The bytes lie in store blocks, which count references: if a block
 * is evicted while a caller uses it, it lives until that caller releases it.
 *
 * If several callers ask for one missing range, the first leads: it fetches and lands the range. The others wait
 * (os/flight.h).
 *
 * Every function that reads or changes the queues takes the shard's lock itself and does no I/O under it.
 */
#ifndef STORE_CACHE_SHARD_H
#define STORE_CACHE_SHARD_H

#include <pthread.h>

#include "base/metrics.h"
#include "os/flight.h"
#include "store/implement.h"

enum { CACHE_FREQUENCY_MAX = 3 };

/* One range of one version. */
struct cache_range {
    uint64_t store; /* number of the store that holds the object */
    struct span key;
    const struct store_version *version;
    uint64_t offset;
    int64_t len;                        /* or STORE_TO_END, which differs from every length */
    uint64_t hash;                      /* of the fields above */
    const _Atomic uint32_t *generation; /* incremented when the object may have changed; older ranges are dead */
};

struct cache_entry;

struct cache_queue {
    struct cache_entry *newest, *oldest;
    uint64_t bytes; /* bytes of its ranges; ghost queue: the bytes that its ranges had before eviction */
};

/* The metrics of a cache, shared by its shards. A member that is NULL counts nothing. */
struct cache_metrics {
    struct metric *hits, *waits, *misses, *evictions, *bytes;
};

struct cache_shard {
    /* Set by cache_shard_init. */
    uint64_t budget, small_target;
    const struct cache_metrics *metrics;

    pthread_mutex_t lock; /* guards everything below, and the entries */
    pthread_cond_t landed;
    uint64_t used; /* bytes of the ranges in the queues, with their names and overhead */
    struct cache_queue small, main, ghost;
    uint64_t ghost_overhead;
    struct cache_entry **buckets;
    size_t bucket_count; /* a power of two */
    size_t entry_count;
};

/* Returns false when out of memory. */
bool cache_shard_init(struct cache_shard *s, uint64_t budget, const struct cache_metrics *metrics);
void cache_shard_deinit(struct cache_shard *s); /* no flight may have users */

/* Asks for a range. FLIGHT_HIT: sets *bytes and *size; the caller releases the bytes. FLIGHT_LEAD: the caller
 * fetches the range, then calls cache_shard_land. FLIGHT_WAIT: the caller calls cache_shard_wait. */
enum flight_answer cache_shard_ask(struct cache_shard *s, const struct cache_range *range,
                                   struct cache_entry **entry, struct store_bytes *bytes, uint64_t *size);

/* Returns whether the shard may keep a range of `len` bytes. */
bool cache_shard_takes(const struct cache_shard *s, const struct cache_range *range, uint64_t len);
/* Lands a flight. `bytes` is NULL if the fetch failed; otherwise the shard takes them over. `keep`: the shard may
 * keep the bytes, because nothing else lies in their block. */
void cache_shard_land(struct cache_shard *s, struct cache_entry *entry, const struct store_bytes *bytes,
                      uint64_t size, bool keep);

/* Waits until the flight has landed. FLIGHT_LANDED: sets *bytes and *size; the caller releases the bytes. */
enum flight_end cache_shard_wait(struct call *call, struct cache_shard *s, struct cache_entry *entry,
                                 struct store_bytes *bytes, uint64_t *size);

#endif
