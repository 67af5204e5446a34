/* embed/vector_cache.h: keeps vectors in memory by cache key, and lets one request compute a missing vector for
 * all requests that want it at that time.
 *
 * The cache keeps a vector with the facts of its text, and with each printed form after that form's first use. So
 * a cache hit only copies. SIEVE chooses the entry to evict (Zhang, Yang, Yue, Vigfusson, Rashmi: "SIEVE is simpler
 * than LRU", NSDI 2024): entries form one queue in the order of arrival, and a cache hit only sets a mark. A hand
 * walks from old to new, clears marks on its way, and evicts the first entry without a mark. So it soon
 * evicts a vector that only one request wanted, and spares a vector that many requests want.
 *
 * Of the requests that want one missing vector, the first leads: it finds or computes the vector, and lands it.
 * The others wait. A cache that keeps nothing does this too.
 *
 * The cache has shards by cache key. Each shard has a lock. A thread holds it for a look-up and a copy, never for
 * a computation.
 */
#ifndef EMBED_VECTOR_CACHE_H
#define EMBED_VECTOR_CACHE_H

#include "base/metrics.h"
#include "embed/cache/cache_key.h"
#include "os/flight.h"

/* The form in which an answer prints a vector. */
enum vector_form { VECTOR_FLOATS, VECTOR_JSON, VECTOR_BASE64, VECTOR_FORMS };

/* Facts of a text that an answer gives with its vector. */
struct vector_facts {
    uint32_t tokens; /* tokens that the model embedded, special ones included */
    uint32_t total;  /* tokens of the whole text */
    bool truncated;
};

/* A question for one vector, and its answer. */
struct vector_read {
    enum vector_form form;
    uint32_t dim;
    float *vector; /* float[dim]; the cache fills it when it does not fill `text` */
    /* The printed form, in the arena. data NULL: the cache has no such form yet, or no memory for a copy. */
    struct span text;
    struct vector_facts facts;
};

struct vector_cache;
struct vector_entry;

/* Makes a cache that keeps at most `vectors` vectors and `bytes` bytes. The bytes include vectors, printed
 * forms and the entries around them. If `vectors` or `bytes` is 0, the cache keeps nothing. */
enum dp_status vector_cache_new(size_t vectors, uint64_t bytes, struct vector_cache **out, struct dp_error *error);
void vector_cache_free(struct vector_cache *cache); /* no thread may be inside */
/* Registers the metrics dipper_embed_cache_* of this tier. Call it before the first vector_cache_ask or
 * vector_cache_read. */
enum dp_status vector_cache_add_metrics(struct vector_cache *cache, struct metric_registry *registry,
                                        struct dp_error *error);

/* Reads a vector if the cache keeps it; returns whether it does. Never waits. Allocates only from the arena. */
bool vector_cache_read(struct vector_cache *cache, const struct cache_key *key, struct arena *arena,
                       struct vector_read *read);

/* Asks for a vector. The answer says what the caller does next:
 *
 *   FLIGHT_HIT   nothing: *read has the vector
 *   FLIGHT_WAIT  calls vector_cache_wait or vector_cache_leave on *entry
 *   FLIGHT_LEAD  finds the vector, then calls vector_cache_land on *entry, even after a failure */
enum flight_answer vector_cache_ask(struct vector_cache *cache, const struct cache_key *key, struct arena *arena,
                                    struct vector_read *read, struct vector_entry **entry);

/* Lands a flight with its vector, float[dim], or with NULL after a failure. The caller must not use the entry
 * again. */
void vector_cache_land(struct vector_cache *cache, struct vector_entry *entry, const float *vector,
                       const struct vector_facts *facts);

/* Waits until the leader has landed. After FLIGHT_LANDED *read has the vector and its facts, but no `text`. */
enum flight_end vector_cache_wait(struct call *call, struct vector_cache *cache, struct vector_entry *entry,
                                  struct vector_read *read);
/* Leaves a flight without waiting for it. */
void vector_cache_leave(struct vector_cache *cache, struct vector_entry *entry);

/* Adds a printed form to a vector that the cache keeps without this form, if there is room. */
void vector_cache_attach(struct vector_cache *cache, const struct cache_key *key, enum vector_form form,
                         struct span text);

#endif
