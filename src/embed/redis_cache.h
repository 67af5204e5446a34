/* embed/redis_cache.h: keeps vectors in Redis, where all nodes share them: the second tier of the embedding cache.
 *
 * Rendezvous hashing gives each cache key one server, so adding or losing one of n servers moves 1/n of the keys.
 * A value is the vector's floats, little-endian, and nothing else (docs/internals/embedding-cache.md). A read
 * waits at most for the time-outs; if a server is away, its vectors are not found. A write never waits: it puts a
 * copy into a bounded queue, or drops it when the queue is full, and a thread sends the queue. The reader checks
 * that a value has the right length and only finite numbers, and trusts the rest.
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

/* Starts the thread that writes, and registers the metrics dipper_embed_cache_l2_*. The first read or write
 * connects. */
enum dp_status redis_cache_new(const struct redis_cache_options *options, struct metric_registry *registry,
                               struct redis_cache **out, struct dp_error *error);
/* Asks each server whether it is there, and waits for the answers. DP_INVALID: malformed URLs; DP_UNAVAILABLE: the
 * first server that did not answer, and why. */
enum dp_status redis_cache_check(const struct redis_cache_options *options, struct dp_error *error);
/* Sends the queue for at most one second, then frees the cache. */
void redis_cache_free(struct redis_cache *cache);

/* One vector to look up. */
struct redis_read {
    const struct cache_key *key;
    float *vector; /* float[dim]; filled if found */
    bool found;
};

/* Looks up `count` vectors, with one MGET per server. A server's failure leaves its vectors not found. Adds to
 * call->cost.cache_ns. */
void redis_cache_read(struct call *call, struct redis_cache *cache, struct redis_read *reads, size_t count,
                      uint32_t dim);
/* Queues the vector for writing. Never waits. Any thread may call it. */
void redis_cache_write(struct redis_cache *cache, const struct cache_key *key, const float *vector, uint32_t dim);

/* Returns whether a value from Redis is a vector of `dim` finite floats. */
bool redis_cache_value_is_vector(struct span value, uint32_t dim);

#endif
