/* vector/id_filter.h: sets of the ids that a search may or may not answer. A scan asks a filter about every
 * vector.
 *
 * Ids that lie close together form a bitmap, others a hash table. So memory depends on the number of ids, not on
 * their values: at most 32 bytes for each id, or 8 KiB for a small bitmap. A set never changes after its init, so
 * any number of threads may ask it.
 */
#ifndef VECTOR_ID_FILTER_H
#define VECTOR_ID_FILTER_H

#include "base/error.h"
#include "base/span.h"
#include "base/splitmix.h"

/* A set of ids. All zeros: the empty set. */
struct id_set {
    struct span bits; /* id first + i is in the set when bit i % 8 of byte i / 8 is set */
    int64_t first;    /* the id of bit 0 */
    int64_t *slots; /* int64[mask + 1]: a hash table with linear probing, 0: empty. NULL: the set is the bitmap */
    size_t mask;    /* a power of two less 1 */
    bool has_zero;  /* whether id 0 is in the set; slots cannot hold it */
    void *memory;   /* memory that the set owns */
};

/* Makes a set of the ids[count], which may repeat and have any order; copies them. DP_NOMEM. */
enum dp_status id_set_init(struct id_set *set, const int64_t *ids, size_t count, struct dp_error *error);
void id_set_deinit(struct id_set *set);

/* Returns the set of the ids that a bitmap marks: bit i stands for id i. The caller keeps the bits. */
static inline struct id_set id_set_of_bits(struct span bits)
{
    return (struct id_set){.bits = bits};
}

/* Returns the slot at which the search for an id begins. It adds the table's address first, so that nobody outside
 * can choose ids that collide. */
static inline size_t id_set_slot(const struct id_set *set, int64_t id)
{
    return (size_t)splitmix64_mix((uint64_t)id + (uint64_t)(uintptr_t)set->slots) & set->mask;
}

static inline bool id_set_has(const struct id_set *set, int64_t id)
{
    if (!set->slots) {
        uint64_t at = (uint64_t)id - (uint64_t)set->first;
        return at / 8 < set->bits.len && (set->bits.data[at / 8] >> (at % 8) & 1) != 0;
    }
    if (id == 0)
        return set->has_zero;
    size_t at = id_set_slot(set, id);
    while (set->slots[at] != 0 && set->slots[at] != id)
        at = (at + 1) & set->mask;
    return set->slots[at] == id;
}

/* The ids that pass. */
struct id_filter {
    bool keeps; /* whether only ids of `keep` pass */
    struct id_set keep;
    struct id_set skip; /* ids that never pass */
};

/* Makes a filter that lets the ids of keep[keep_count] pass (keep NULL: all ids), except those of
 * skip[skip_count]. After a failure (DP_NOMEM) the filter owns nothing. */
enum dp_status id_filter_init(struct id_filter *filter, const int64_t *keep, size_t keep_count,
                              const int64_t *skip, size_t skip_count, struct dp_error *error);
void id_filter_deinit(struct id_filter *filter);

static inline bool id_filter_allows(const struct id_filter *filter, int64_t id)
{
    return (!filter->keeps || id_set_has(&filter->keep, id)) && !id_set_has(&filter->skip, id);
}

#endif
