/* embed/vector_cache.h: vectors in memory by key, and one computation for all requests that want a vector at a
 * time.
 *
 * A vector is kept with the facts of its text, and with each printed form after its first use, so an answer is a
 * copy. SIEVE chooses what to evict (Zhang, Yang, Yue, Vigfusson, Rashmi: "SIEVE is simpler than LRU", NSDI 2024):
 * one queue in the order of arrival; a hit only sets a mark; a hand walks from old to new, clears marks on its
 * way, and evicts the first entry without one. So a flood of texts that are asked for once passes, and the hot
 * ones stay.
 *
 * Of the requests that want one missing vector, the first leads: it finds or computes the vector and lands. The
 * others wait. A cache without room does this too.
 *
 * The cache is cut into shards by key, each with a lock that is held for a look-up and a copy, never for a
 * computation.
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
    uint32_t tokens; /* embedded tokens, special ones included */
    uint32_t total;  /* tokens of the whole text */
    bool truncated;
};

/* A question for one vector, and its answer. */
struct vector_read {
    enum vector_form form;
    uint32_t dim;
    float *vector;    /* float[dim]; filled where `text` is not */
    struct span text; /* the printed form, in the arena; data NULL: not printed yet, or no memory */
    struct vector_facts facts;
};

struct vector_cache;
struct vector_entry;

/* Keeps at most so many vectors, and bytes of vectors, printed forms and their descriptions. 0 of either: keeps
 * nothing. */
enum dp_status vector_cache_new(size_t vectors, uint64_t bytes, struct vector_cache **out, struct dp_error *error);
void vector_cache_free(struct vector_cache *cache); /* no thread may be inside */
/* Registers dipper_embed_cache_* of this tier. Call it before the first question. */
enum dp_status vector_cache_add_metrics(struct vector_cache *cache, struct metric_registry *registry,
                                        struct dp_error *error);

/* Reads a vector if it is kept. Never waits, and allocates from the arena alone. */
bool vector_cache_read(struct vector_cache *cache, const struct cache_key *key, struct arena *arena,
                       struct vector_read *read);

/* FLIGHT_HIT: *read is filled. FLIGHT_WAIT: wait for *entry, or leave it. FLIGHT_LEAD: find the vector, then land
 * *entry, even after a failure. */
enum flight_answer vector_cache_ask(struct vector_cache *cache, const struct cache_key *key, struct arena *arena,
                                    struct vector_read *read, struct vector_entry **entry);

/* `vector` is float[dim], or NULL after a failure. Gives the entry back to the cache. */
void vector_cache_land(struct vector_cache *cache, struct vector_entry *entry, const float *vector,
                       const struct vector_facts *facts);

/* FLIGHT_LANDED: *read is filled, except `text`. */
enum flight_end vector_cache_wait(struct call *call, struct vector_cache *cache, struct vector_entry *entry,
                                  struct vector_read *read);
/* Gives up waiting. */
void vector_cache_leave(struct vector_cache *cache, struct vector_entry *entry);

/* Keeps the printed form of a kept vector that has none, if there is room. */
void vector_cache_attach(struct vector_cache *cache, const struct cache_key *key, enum vector_form form,
                         struct span text);

#endif
