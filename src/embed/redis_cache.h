/* embed/redis_cache.h: vectors in Redis, shared by all nodes: the second tier of the embedding cache.
 *
 * Each key has one server, by rendezvous hashing, so that adding or losing one of n moves a part of 1/n. A value is the
 * vector's floats, little-endian, and nothing else; docs/internals/embedding-cache.md. Reading waits for as long as the
 * time-outs allow, and a server that is away is a miss; writing never waits: a thread of its own sends what a bounded queue
 * holds, and what does not fit is dropped. What comes from a server is trusted no further than its length and that
 * its numbers are finite.
 */
#ifndef EMBED_REDIS_CACHE_H
#define EMBED_REDIS_CACHE_H

#include "base/metrics.h"
#include "embed/cache/cache_key.h"
#include "embed/cache/redis_url.h"
#include "os/call.h"

struct redis_cache_options {
    struct span urls; /* redis://…, several with commas between */
    uint32_t ttl_s;   /* of a vector */
    struct redis_timeouts timeouts;
};

struct redis_cache;

/* Starts the writing thread; connects when first needed. Registers dipper_embed_cache_l2_*. */
enum dp_status redis_cache_new(const struct redis_cache_options *options, struct metric_registry *registry,
                               struct redis_cache **out, struct dp_error *error);
/* Sends what waits, for at most a second, and ends. */
void redis_cache_free(struct redis_cache *cache);

/* One vector that is wanted. */
struct redis_read {
    const struct cache_key *key;
    float *vector; /* float[dim], filled when found */
    bool found;
};

/* Looks `count` vectors up, one MGET a server. Whatever fails is not found. Adds to call->cost.cache_ns. */
void redis_cache_read(struct call *call, struct redis_cache *cache, struct redis_read *reads, size_t count,
                      uint32_t dim);
/* Has the vector written soon. Any thread; never waits. */
void redis_cache_write(struct redis_cache *cache, const struct cache_key *key, const float *vector, uint32_t dim);

/* Whether a value is a vector of `dim` numbers. */
bool redis_cache_value_is_vector(struct span value, uint32_t dim);

#endif
