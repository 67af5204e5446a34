/* embed/vector_cache.h: vectors in memory by their key, and one computation for all who want the same at a time.
 *
 * A vector lies with the facts of its text, and with its printed forms once it has been asked for in them, so that
 * an answer is a copy. What goes when there is no more room is decided by SIEVE (Zhang, Yang, Yue, Vigfusson, Rashmi:
 * "SIEVE is simpler than LRU", NSDI 2024): one queue in the order of arrival; a hit only sets a mark, and a hand that
 * walks from old to new takes the first without one, clearing marks on its way. So a flood of texts that are
 * asked for once passes, and the hot ones stay.
 *
 * Of those who ask for one missing vector at a time the first leads: it finds or computes it and lands. The others
 * wait. This holds with no room at all, too.
 *
 * The cache is cut into shards by key, each with a lock that is held for a look-up and a copy, never for a computation.
 */
#ifndef EMBED_VECTOR_CACHE_H
#define EMBED_VECTOR_CACHE_H

#include "base/metrics.h"
#include "embed/cache/cache_key.h"
#include "os/flight.h"

/* How an answer prints a vector. */
enum vector_form { VECTOR_FLOATS, VECTOR_JSON, VECTOR_BASE64, VECTOR_FORMS };

/* What an answer tells of a text beside its vector. */
struct vector_facts {
    uint32_t tokens; /* that were embedded, special ones included */
    uint32_t total;  /* of the whole text */
    bool truncated;
};

/* One vector, as somebody wants it. */
struct vector_read {
    enum vector_form form;
    uint32_t dim;
    float *vector;    /* float[dim]; filled where `text` is not */
    struct span text; /* the printed form, in the arena; data NULL: there is none yet, or no memory */
    struct vector_facts facts;
};

struct vector_cache;
struct vector_entry;

/* At most so many vectors, and bytes of vectors, printed forms and what describes them; no vectors or no bytes:
 * nothing is kept. */
enum dp_status vector_cache_new(size_t vectors, uint64_t bytes, struct vector_cache **out, struct dp_error *error);
void vector_cache_free(struct vector_cache *cache); /* nobody may be inside */
/* Registers dipper_embed_cache_* of this tier; before the first question. */
enum dp_status vector_cache_add_metrics(struct vector_cache *cache, struct metric_registry *registry,
                                        struct dp_error *error);

/* Reads a vector if it is here. Never waits, and allocates nothing but in the arena. */
bool vector_cache_read(struct vector_cache *cache, const struct cache_key *key, struct arena *arena,
                       struct vector_read *read);

/* FLIGHT_HIT: *read is filled. FLIGHT_WAIT: wait for *entry, or leave it. FLIGHT_LEAD: find the vector, then land *entry
 * whatever happens. */
enum flight_answer vector_cache_ask(struct vector_cache *cache, const struct cache_key *key, struct arena *arena,
                                    struct vector_read *read, struct vector_entry **entry);

/* float[dim] as it was asked for, or NULL: it could not be had. The entry is the cache's afterwards. */
void vector_cache_land(struct vector_cache *cache, struct vector_entry *entry, const float *vector,
                       const struct vector_facts *facts);

/* FLIGHT_LANDED: *read is filled, but for `text`. */
enum flight_end vector_cache_wait(struct call *call, struct vector_cache *cache, struct vector_entry *entry,
                                  struct vector_read *read);
/* Instead of waiting. */
void vector_cache_leave(struct vector_cache *cache, struct vector_entry *entry);

/* Keeps the printed form of a vector that is here, if there is room and it has none. */
void vector_cache_attach(struct vector_cache *cache, const struct cache_key *key, enum vector_form form,
                         struct span text);

#endif
