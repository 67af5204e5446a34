/* base/map.h: a hash map from byte strings to 64-bit values (open addressing, linear probing, XXH3).
 *
 * The map does not copy keys: they must live as long as the map. A map has a maximum number of entries. Not
 * thread-safe, but many readers may share a map while nobody writes it.
 */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "base/error.h"
#include "base/span.h"

struct map_slot {
    struct span key;
    uint64_t hash; /* 0: empty */
    uint64_t value;
};

struct map {
    struct map_slot *slots;
    size_t capacity; /* a power of two, or 0 */
    size_t count, max;
    uint64_t seed; /* of the keys' hashes */
};

void map_init(struct map *m, size_t max_entries);
void map_deinit(struct map *m);
/* The key's value, or NULL if the key is missing. */
uint64_t *map_find(const struct map *m, struct span key);
/* Adds the key with `value` unless the map has it. *existing (may be NULL) says which; *slot points at the value
 * until the next put. DP_NOMEM, DP_TOO_LARGE. */
enum dp_status map_put(struct map *m, struct span key, uint64_t value, uint64_t **slot, bool *existing,
                       struct dp_error *error);

#endif
