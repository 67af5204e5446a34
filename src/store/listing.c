/* listing.c: makes a listing from keys in ascending order, by prefix, after, folders and max.
 *
 * Entries and their keys live in the call's arena. The array of entries doubles when it grows, so its old copies
 * in the arena take at most as much space as the new one.
 */
#include "store/listing.h"

#include "base/array.h"

void store_lister_init(struct store_lister *l, struct call *call, struct span prefix, struct span after,
                       bool folders, size_t max, struct store_listing *out)
{
    *out = (struct store_listing){0};
    *l = (struct store_lister){
        .call = call, .prefix = prefix, .after = after, .folders = folders, .max = max, .out = out};
}

static enum dp_status lister_append(struct store_lister *l, struct span key, uint64_t size, bool is_prefix)
{
    struct store_listing *out = l->out;
    struct store_entry *entries =
        arena_reserve(l->call->arena, out->entries, out->count, &l->capacity, sizeof *entries, 16);
    struct span kept = arena_copy(l->call->arena, key);
    if (!entries || !kept.data)
        return call_nomem(l->call, "a listing");
    out->entries = entries;
    out->entries[out->count++] = (struct store_entry){.key = kept, .size = size, .is_prefix = is_prefix};
    return DP_OK;
}

enum dp_status store_lister_add(struct store_lister *l, struct span key, uint64_t size, bool *full)
{
    *full = false;
    if (!span_starts_with(key, l->prefix))
        return DP_OK;
    bool is_prefix = false;
    if (l->folders) {
        const uint8_t *below = key.data + l->prefix.len;
        const uint8_t *slash = key.len > l->prefix.len ? memchr(below, '/', key.len - l->prefix.len) : NULL;
        if (slash) {
            is_prefix = true;
            size = 0;
            key.len = (size_t)(slash - key.data) + 1;
        }
    }
    if (l->after.len && span_compare(key, l->after) <= 0)
        return DP_OK;
    size_t count = l->out->count;
    if (is_prefix && count && span_equal(l->out->entries[count - 1].key, key))
        return DP_OK;
    if (count == l->max) {
        l->out->truncated = *full = true;
        return DP_OK;
    }
    return lister_append(l, key, size, is_prefix);
}

bool store_lister_wants_below(const struct store_lister *l, struct span start)
{
    if (!span_starts_with(start, l->prefix) && !span_starts_with(l->prefix, start))
        return false;
    if (l->after.len && span_compare(start, l->after) < 0 && !span_starts_with(l->after, start))
        return false;
    size_t count = l->out->count;
    return !(count && l->out->entries[count - 1].is_prefix &&
             span_starts_with(start, l->out->entries[count - 1].key));
}
