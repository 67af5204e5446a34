/* base/map.h: a hash map from byte strings to 64-bit values (open addressing, linear probing, XXH3).
 *
 * Keys are not copied: they must live as long as the map. A map has a maximum number of entries. Not
 * thread-safe; many readers may share a map that nobody writes.
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
/* Where the key's value lies, or NULL when it is not there. */
uint64_t *map_find(const struct map *m, struct span key);
/* Adds the key with `value` unless it is there. *existing (may be NULL) tells which; *slot points at the
 * value either way, until the next put. DP_NOMEM, DP_TOO_LARGE. */
enum dp_status map_put(struct map *m, struct span key, uint64_t value, uint64_t **slot, bool *existing,
                       struct dp_error *error);

#endif
