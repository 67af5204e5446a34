/* embed/redis_cache.h: vectors in Redis, shared by all nodes: the second tier of the embedding cache.
 *
 * Each key has one server, by rendezvous hashing, so adding or losing one of n servers moves 1/n of the keys. A
 * value is the vector's floats, little-endian, and nothing else (docs/internals/embedding-cache.md). Reading waits
 * up to the time-outs; a server that is away is a miss. Writing never waits: it puts a copy into a bounded queue,
 * or drops it, and a thread sends the queue. We check the length of a server's value and that its numbers are
 * finite, and trust the rest.
 */
#ifndef EMBED_REDIS_CACHE_H
#define EMBED_REDIS_CACHE_H

#include "base/metrics.h"
#include "embed/cache/cache_key.h"
#include "embed/cache/redis_url.h"
#include "os/call.h"

struct redis_cache_options {
    struct span urls; /* redis://…, separated by commas */
    uint32_t ttl_s;   /* lifetime of a vector */
    struct redis_timeouts timeouts;
};

struct redis_cache;

/* Starts the writing thread. Connects at the first use. Registers dipper_embed_cache_l2_*. */
enum dp_status redis_cache_new(const struct redis_cache_options *options, struct metric_registry *registry,
                               struct redis_cache **out, struct dp_error *error);
/* Sends the queue for at most a second, then ends. */
void redis_cache_free(struct redis_cache *cache);

/* One vector to look up. */
struct redis_read {
    const struct cache_key *key;
    float *vector; /* float[dim]; filled if found */
    bool found;
};

/* Looks up `count` vectors, with one MGET per server. After a failure they count as not found. Adds to
 * call->cost.cache_ns. */
void redis_cache_read(struct call *call, struct redis_cache *cache, struct redis_read *reads, size_t count,
                      uint32_t dim);
/* Queues the vector for writing. Any thread; never waits. */
void redis_cache_write(struct redis_cache *cache, const struct cache_key *key, const float *vector, uint32_t dim);

/* Whether a value is a vector of `dim` numbers. */
bool redis_cache_value_is_vector(struct span value, uint32_t dim);

#endif
