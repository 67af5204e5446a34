/* id_filter.c: makes sets of ids. A set is a bitmap if that is small or takes no more memory than a table. */
#include "vector/id_filter.h"

#include "base/alloc.h"

enum {
    TABLE_BITS_PER_ID = 128, /* bits per id of a half-full table */
    SMALL_BITMAP_BITS = 1 << 16
};

/* Makes a bitmap. `bits` is the greatest id minus the least. */
static enum dp_status make_bitmap(struct id_set *set, const int64_t *ids, size_t count, uint64_t bits,
                                  struct dp_error *error)
{
    size_t bytes = (size_t)(bits / 8 + 1);
    uint8_t *map = mem_calloc(bytes, 1);
    if (!map)
        return dp_fail_nomem(error, "a set of ids");
    for (size_t i = 0; i < count; i++) {
        uint64_t at = (uint64_t)ids[i] - (uint64_t)set->first;
        map[at / 8] |= (uint8_t)(1u << at % 8);
    }
    set->memory = map;
    set->bits = span_of(map, bytes);
    return DP_OK;
}

static enum dp_status make_table(struct id_set *set, const int64_t *ids, size_t count, struct dp_error *error)
{
    size_t capacity = 1;
    while (capacity < count || capacity - count < count)
        if (!mem_mul_ok(capacity, 2, &capacity))
            return dp_fail_nomem(error, "a set of ids");
    set->slots = mem_calloc(capacity, sizeof *set->slots);
    if (!set->slots)
        return dp_fail_nomem(error, "a set of ids");
    set->memory = set->slots;
    set->mask = capacity - 1;
    for (size_t i = 0; i < count; i++) {
        size_t at = id_set_slot(set, ids[i]);
        while (set->slots[at] != 0 && set->slots[at] != ids[i])
            at = (at + 1) & set->mask;
        set->slots[at] = ids[i];
        set->has_zero = set->has_zero || ids[i] == 0;
    }
    return DP_OK;
}

enum dp_status id_set_init(struct id_set *set, const int64_t *ids, size_t count, struct dp_error *error)
{
    *set = (struct id_set){0};
    if (count == 0)
        return DP_OK;
    int64_t least = ids[0], greatest = ids[0];
    for (size_t i = 1; i < count; i++) {
        least = ids[i] < least ? ids[i] : least;
        greatest = ids[i] > greatest ? ids[i] : greatest;
    }
    /* One less than the number of bits, because 2^64 does not fit the type. */
    uint64_t width = (uint64_t)greatest - (uint64_t)least;
    set->first = least;
    if (width < SMALL_BITMAP_BITS || width / TABLE_BITS_PER_ID < count)
        return make_bitmap(set, ids, count, width, error);
    return make_table(set, ids, count, error);
}

void id_set_deinit(struct id_set *set)
{
    mem_free(set->memory);
    *set = (struct id_set){0};
}

enum dp_status id_filter_init(struct id_filter *filter, const int64_t *keep, size_t keep_count,
                              const int64_t *skip, size_t skip_count, struct dp_error *error)
{
    *filter = (struct id_filter){.keeps = keep != NULL};
    enum dp_status status = id_set_init(&filter->keep, keep, keep ? keep_count : 0, error);
    if (status == DP_OK)
        status = id_set_init(&filter->skip, skip, skip_count, error);
    if (status != DP_OK)
        id_filter_deinit(filter);
    return status;
}

void id_filter_deinit(struct id_filter *filter)
{
    id_set_deinit(&filter->keep);
    id_set_deinit(&filter->skip);
    *filter = (struct id_filter){0};
}
