/* group.c: a map from the bytes of groups to numbers. */
#include "index/query/group.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "index/query/live.h"

#define GROUP_BYTES_MAX ((size_t)256 << 20)

void group_numbers_init(struct group_numbers *g)
{
    map_init(&g->numbers, LIVE_ROWS_MAX + 1);
    arena_init(&g->bytes, GROUP_BYTES_MAX);
}

void group_numbers_deinit(struct group_numbers *g)
{
    map_deinit(&g->numbers);
    arena_deinit(&g->bytes);
}

enum dp_status group_number(struct group_numbers *g, struct span bytes, uint32_t *out, struct dp_error *error)
{
    const uint64_t *known = map_find(&g->numbers, bytes);
    if (known) {
        *out = (uint32_t)*known;
        return DP_OK;
    }
    struct span copy = arena_copy(&g->bytes, bytes);
    if (!copy.data)
        return dp_fail_nomem(error, "groups of rows");
    *out = (uint32_t)g->numbers.count;
    return map_put(&g->numbers, copy, *out, NULL, NULL, error);
}

static int compare_near(const void *a, const void *b)
{
    const struct near_row *left = a, *right = b;
    if (left->dist != right->dist)
        return left->dist < right->dist ? -1 : 1;
    if (!left->record != !right->record)
        return left->record ? 1 : -1;
    return left->record ? span_compare(left->record->key, right->record->key)
                        : fetch_compare_places(&left->place, &right->place);
}

bool group_trim(const struct group_numbers *g, uint32_t limit, size_t want, struct nearest *rows)
{
    uint32_t *taken = mem_calloc(g->numbers.count + 1, sizeof *taken);
    size_t kept = 0;
    if (!taken)
        return false;
    if (rows->count)
        qsort(rows->rows, rows->count, sizeof *rows->rows, compare_near);
    for (size_t i = 0; i < rows->count && kept < want; i++) {
        if (taken[rows->rows[i].group]++ < limit)
            rows->rows[kept++] = rows->rows[i];
    }
    rows->count = kept;
    mem_free(taken);
    return true;
}
