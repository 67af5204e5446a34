/* array.c: arrays that grow by doubling. */
#include "base/array.h"

#include <string.h>

/* The next capacity, and its bytes; false when they overflow. */
static bool next_capacity(size_t capacity, size_t size, size_t first, size_t *more, size_t *bytes)
{
    *more = first;
    return (capacity == 0 || mem_mul_ok(capacity, 2, more)) && mem_mul_ok(*more, size, bytes);
}

void *array_reserve(void *array, size_t count, size_t *capacity, size_t size, size_t first)
{
    size_t more, bytes;
    if (count < *capacity)
        return array;
    if (!next_capacity(*capacity, size, first, &more, &bytes))
        return NULL;
    void *grown = mem_realloc(array, bytes);
    if (grown)
        *capacity = more;
    return grown;
}

void *arena_reserve(struct arena *arena, void *array, size_t count, size_t *capacity, size_t size, size_t first)
{
    size_t more, bytes;
    if (count < *capacity)
        return array;
    if (!next_capacity(*capacity, size, first, &more, &bytes))
        return NULL;
    void *grown = arena_alloc(arena, bytes);
    if (!grown)
        return NULL;
    if (count > 0)
        memcpy(grown, array, count * size);
    *capacity = more;
    return grown;
}
