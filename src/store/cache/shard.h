/* store/cache/shard.h: one part of the memory cache of ranges: what to keep, what to evict, and who fetches.
 *
 * S3-FIFO decides what to evict (Yang, Zhang, Qiu, Yue, Vigfusson: "FIFO queues are all you need for cache
 * eviction", SOSP 2023). A new range enters the small queue, a tenth of the budget. At its end, the range moves to
 * the main queue if it was asked for more than once; otherwise its bytes are freed and its name stays in the ghost
 * queue. A range that is asked for while its name is there enters the main queue. In the main queue, each pass takes
 * one of the range's marks (at most three), and a range without marks is evicted. So a scan, which asks for each
 * range once, passes only through the small queue. Sizes differ here, so the queues are measured in bytes; and a
 * range larger than the small queue enters only if there is room, or when it is asked for again.
 *
 * The budget bounds bytes, names and overhead. Bytes are counted blocks: a block that is evicted while a reader uses
 * it lives until that reader releases it, as if it had come from the store.
 *
 * If several callers ask for one missing range, the first leads: it fetches and lands the range. The others wait
 * (os/flight.h).
 *
 * Every function takes the shard's lock itself; under the lock it touches only memory.
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
    uint64_t store; /* the number of its store */
    struct span key;
    const struct store_version *version;
    uint64_t offset;
    int64_t len;   /* or STORE_TO_END, which names another range than the same bytes by length */
    uint64_t hash; /* of the fields before it */
    const _Atomic uint32_t *generation; /* incremented when the object may have changed; an older range is dead */
};

struct cache_entry;

struct cache_queue {
    struct cache_entry *newest, *oldest;
    uint64_t bytes; /* bytes of its ranges; in the ghost queue, of those that were evicted */
};

/* Shared by all shards; NULL members count nothing. */
struct cache_metrics {
    struct metric *hits, *waits, *misses, *evictions, *bytes;
};

struct cache_shard {
    /* Set by cache_shard_init. */
    uint64_t budget, small_target;
    const struct cache_metrics *metrics;

    pthread_mutex_t lock; /* guards everything below, and the entries */
    pthread_cond_t landed;
    uint64_t used; /* bytes of the entries in the queues, with what describes them */
    struct cache_queue small, main, ghost;
    uint64_t ghost_overhead;
    struct cache_entry **buckets;
    size_t bucket_count; /* a power of two */
    size_t entry_count;
};

/* False when out of memory. */
bool cache_shard_init(struct cache_shard *s, uint64_t budget, const struct cache_metrics *metrics);
void cache_shard_deinit(struct cache_shard *s); /* no fetch may be under way */

/* FLIGHT_HIT: *bytes and *size are set, and the caller releases the bytes. */
enum flight_answer cache_shard_ask(struct cache_shard *s, const struct cache_range *range,
                                   struct cache_entry **entry, struct store_bytes *bytes, uint64_t *size);

/* Whether a range of `len` bytes fits into the shard. */
bool cache_shard_takes(const struct cache_shard *s, const struct cache_range *range, uint64_t len);
/* Ends a flight. `bytes` (now the shard's) is NULL when it failed; `keep`: they lie in a block of their own. */
void cache_shard_land(struct cache_shard *s, struct cache_entry *entry, const struct store_bytes *bytes,
                      uint64_t size, bool keep);

/* FLIGHT_LANDED: *bytes and *size are set, and the caller releases the bytes. */
enum flight_end cache_shard_wait(struct call *call, struct cache_shard *s, struct cache_entry *entry,
                                 struct store_bytes *bytes, uint64_t *size);

#endif
