/* map.c: open addressing with linear probing over a power-of-two table, at most three quarters full.
 *
 * Each slot keeps the whole hash of its key: probing compares keys only if their hashes agree, and growing never
 * touches a key. The address of a map seeds its hashes, so nobody can choose keys that collide in advance; nothing
 * may depend on the order of slots.
 */
#include "base/map.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/alloc.h"

enum { CAPACITY_FIRST = 16 };

void map_init(struct map *m, size_t max_entries)
{
    *m = (struct map){.max = max_entries, .seed = (uint64_t)(uintptr_t)m};
}

void map_deinit(struct map *m)
{
    mem_free(m->slots);
    *m = (struct map){.max = m->max, .seed = m->seed};
}

static uint64_t hash_of(const struct map *m, struct span key)
{
    uint64_t hash = XXH3_64bits_withSeed(key.len ? key.data : (const uint8_t *)"", key.len, m->seed);
    return hash ? hash : 1;
}

/* The slot of the key, or the empty slot where it belongs. The table has an empty slot. */
static struct map_slot *map_probe(const struct map *m, struct span key, uint64_t hash)
{
    size_t at = hash & (m->capacity - 1);
    for (;;) {
        struct map_slot *slot = &m->slots[at];
        if (slot->hash == 0 || (slot->hash == hash && span_equal(slot->key, key)))
            return slot;
        at = (at + 1) & (m->capacity - 1);
    }
}

uint64_t *map_find(const struct map *m, struct span key)
{
    if (m->count == 0)
        return NULL;
    struct map_slot *slot = map_probe(m, key, hash_of(m, key));
    return slot->hash ? &slot->value : NULL;
}

static bool map_grow(struct map *m)
{
    size_t capacity;
    if (m->capacity == 0)
        capacity = CAPACITY_FIRST;
    else if (!mem_mul_ok(m->capacity, 2, &capacity))
        return false;
    struct map_slot *slots = mem_calloc(capacity, sizeof *slots);
    if (!slots)
        return false;
    for (size_t i = 0; i < m->capacity; i++) {
        if (m->slots[i].hash == 0)
            continue;
        size_t at = m->slots[i].hash & (capacity - 1);
        while (slots[at].hash)
            at = (at + 1) & (capacity - 1);
        slots[at] = m->slots[i];
    }
    mem_free(m->slots);
    m->slots = slots;
    m->capacity = capacity;
    return true;
}

static enum dp_status fail_full_map(const struct map *m, struct dp_error *error)
{
    return dp_fail(error, DP_TOO_LARGE, "more than %zu different keys", m->max);
}

enum dp_status map_reserve(struct map *m, size_t extra, struct dp_error *error)
{
    if (extra > m->max - m->count)
        return fail_full_map(m, error);
    while (m->count + extra > m->capacity / 4 * 3) {
        if (!map_grow(m))
            return dp_fail_nomem(error, "a hash map");
    }
    return DP_OK;
}

enum dp_status map_put(struct map *m, struct span key, uint64_t value, uint64_t **slot, bool *existing,
                       struct dp_error *error)
{
    uint64_t hash = hash_of(m, key);
    struct map_slot *found = m->capacity ? map_probe(m, key, hash) : NULL;
    bool is_there = found && found->hash;
    if (!is_there) {
        if (m->count >= m->max)
            return fail_full_map(m, error);
        if (m->count >= m->capacity / 4 * 3) {
            if (!map_grow(m))
                return dp_fail_nomem(error, "a hash map");
            found = map_probe(m, key, hash);
        }
        *found = (struct map_slot){key, hash, value};
        m->count++;
    }
    if (existing)
        *existing = is_there;
    if (slot)
        *slot = &found->value;
    return DP_OK;
}
