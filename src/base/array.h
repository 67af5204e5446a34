/* base/array.h: arrays that grow by doubling. The caller keeps the pointer, the count and the capacity. */
#ifndef BASE_ARRAY_H
#define BASE_ARRAY_H

#include "base/alloc.h"
#include "base/arena.h"

/* Makes room for an element at `count`. Returns the array, or a larger one of at least `first` elements to which the
 * elements have moved. `size`: bytes of an element. NULL: out of memory, or the sizes overflow; then the array and
 * *capacity stay as they are.
 *
 *     struct part *parts = array_reserve(u->parts, u->count, &u->capacity, sizeof *parts, 16);
 *     if (!parts)
 *         return call_nomem(call, "an upload");
 *     u->parts = parts; */
void *array_reserve(void *array, size_t count, size_t *capacity, size_t size, size_t first);
/* Like array_reserve, for an array in an arena. The smaller arrays stay in the arena until it is reset. */
void *arena_reserve(struct arena *arena, void *array, size_t count, size_t *capacity, size_t size, size_t first);

#endif
