/* base/map.h: a hash map from byte strings to 64-bit values (open addressing, linear probing, XXH3).
 *
 * The map does not copy keys: they must live as long as the map. A map has a maximum number of entries. Not
 * thread-safe, but several threads may read a map while none changes it.
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
    uint64_t seed; /* seed of the hashes of the keys */
};

void map_init(struct map *m, size_t max_entries);
void map_deinit(struct map *m);
/* Returns a pointer to the key's value, or NULL if the map does not have the key. */
uint64_t *map_find(const struct map *m, struct span key);
/* Makes room, so that the next `extra` puts cannot fail. Fails with DP_NOMEM or DP_TOO_LARGE. */
enum dp_status map_reserve(struct map *m, size_t extra, struct dp_error *error);
/* Adds the key with `value` unless the map has the key. *existing (may be NULL) says whether the map had the key.
 * *slot points at the value of the key until the next put. Fails with DP_NOMEM, or with DP_TOO_LARGE when the map
 * is full. */
enum dp_status map_put(struct map *m, struct span key, uint64_t value, uint64_t **slot, bool *existing,
                       struct dp_error *error);

#endif
