/* base/arena.h: memory that is freed all at once, at the end of a request.
 *
 * Blocks are 16-byte aligned and not zeroed. An arena has a maximum in bytes; beyond it, or if the system has no
 * memory, arena_alloc returns NULL and the caller fails with DP_NOMEM. One owner thread.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>

#include "base/span.h"

struct arena_chunk;

struct arena {
    struct arena_chunk *chunks; /* newest first */
    uint8_t *next;              /* free bytes of the newest chunk */
    size_t left;
    size_t used; /* bytes taken from the system */
    size_t max;
};

void arena_init(struct arena *a, size_t max_bytes);
void arena_deinit(struct arena *a);
/* Forgets all blocks and frees all memory but the largest chunk (up to 1 MiB), so that a loop over similar requests
 * stops allocating. */
void arena_reset(struct arena *a);
/* Moves the blocks of `from` to `to` and empties `from`. Returns false, and does nothing, if `to` would have more
 * than its maximum. */
bool arena_adopt(struct arena *to, struct arena *from);

void *arena_alloc(struct arena *a, size_t size);
void *arena_calloc(struct arena *a, size_t count, size_t size); /* zeroed; NULL when count * size overflows */
void *arena_array(struct arena *a, size_t count, size_t size);  /* not zeroed; NULL when count * size overflows */
/* A copy of `s` with a NUL behind it; .data is NULL when out of memory. */
struct span arena_copy(struct arena *a, struct span s);
char *arena_printf(struct arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
