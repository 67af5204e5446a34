/* store/cache/shard.h: one part of the RAM cache of ranges: what is kept, what goes, and who fetches.
 *
 * What goes is decided by S3-FIFO (Yang, Zhang, Qiu, Yue, Vigfusson: "FIFO queues are all you need for cache eviction",
 * SOSP 2023). A new range enters the small queue, a tenth of the budget. At its end it moves on to the main queue if it
 * was asked for more than once meanwhile; otherwise its bytes go and its name stays in the ghost queue. A range that
 * is asked for while its name is there enters the main queue. In the main queue, each pass costs a range one of its (at
 * most three) marks, and it goes when it has none. So a scan, which asks for each range once, passes through the small queue
 * alone. Sizes differ here, so the queues are measured in bytes; and a range larger than the small queue enters only
 * where there is room, or when it is asked for again.
 *
 * The budget bounds what the shard holds: bytes, names and what describes them. Bytes are counted blocks: what is evicted while
 * somebody reads it lives on as that reader's, as if it had come from the store.
 *
 * Of those who ask for one missing range at a time, the first leads: it fetches and lands. The others wait.
 *
 * Every function takes the shard's lock by itself; nothing but memory is touched under it.
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
    uint64_t store; /* the number of the store that it is in */
    struct span key;
    const struct store_version *version;
    uint64_t offset;
    int64_t len;                        /* or STORE_TO_END: a name of its own */
    uint64_t hash;                      /* of all the above */
    const _Atomic uint32_t *generation; /* moves on when the object may have changed: what is older is dead */
};

struct cache_entry;

struct cache_queue {
    struct cache_entry *newest, *oldest;
    uint64_t bytes; /* of the ranges in it, in the ghost queue: of those that were evicted */
};

/* Shared by all shards; NULL where nobody counts. */
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
void cache_shard_deinit(struct cache_shard *s); /* no flight may be under way */

/* FLIGHT_HIT: *bytes and *size are set, and the caller releases the bytes. */
enum flight_answer cache_shard_ask(struct cache_shard *s, const struct cache_range *range,
                                   struct cache_entry **entry, struct store_bytes *bytes, uint64_t *size);

/* Whether a range of so many bytes can be kept at all. */
bool cache_shard_takes(const struct cache_shard *s, const struct cache_range *range, uint64_t len);
/* Ends a flight. `bytes` (now the shard's) is NULL when it failed; `keep`: they lie in a block of their own. */
void cache_shard_land(struct cache_shard *s, struct cache_entry *entry, const struct store_bytes *bytes,
                      uint64_t size, bool keep);

/* FLIGHT_LANDED: *bytes and *size are set, and the caller releases the bytes. */
enum flight_end cache_shard_wait(struct call *call, struct cache_shard *s, struct cache_entry *entry,
                                 struct store_bytes *bytes, uint64_t *size);

#endif
