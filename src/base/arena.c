/* arena.c: a stack of chunks. Each is twice as large as the one before, up to CHUNK_DOUBLING_MAX.
 *
 * Doubling keeps the number of system allocations small. arena_reset() keeps the largest chunk of at most
 * CHUNK_KEPT_MAX bytes, so a loop over similar small requests soon needs one chunk only, and no more allocations.
 */
#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/alloc.h"

struct arena_chunk {
    struct arena_chunk *older;
    size_t size; /* with this header */
};

enum {
    ARENA_ALIGNMENT = 16,
    CHUNK_FIRST = 4096,
    CHUNK_DOUBLING_MAX = 1 << 20, /* maximum of doubling; a larger block gets a chunk of its size */
    CHUNK_KEPT_MAX = 1 << 20      /* arena_reset() gives larger chunks back to the system */
};

_Static_assert(sizeof(struct arena_chunk) % ARENA_ALIGNMENT == 0, "blocks follow the header");

void arena_init(struct arena *a, size_t max_bytes)
{
    *a = (struct arena){.max = max_bytes};
}

void arena_deinit(struct arena *a)
{
    for (struct arena_chunk *chunk = a->chunks, *older; chunk; chunk = older) {
        older = chunk->older;
        mem_free(chunk);
    }
    *a = (struct arena){.max = a->max};
}

/* Makes the arena take its next blocks from `chunk`, beginning after the chunk's header. */
static void open_chunk(struct arena *a, struct arena_chunk *chunk)
{
    a->next = (uint8_t *)chunk + sizeof *chunk;
    a->left = chunk->size - sizeof *chunk;
}

void arena_reset(struct arena *a)
{
    struct arena_chunk *kept = NULL;
    for (struct arena_chunk *chunk = a->chunks, *older; chunk; chunk = older) {
        older = chunk->older;
        if (chunk->size > CHUNK_KEPT_MAX || (kept && kept->size >= chunk->size)) {
            mem_free(chunk);
        } else {
            mem_free(kept);
            kept = chunk;
        }
    }
    *a = (struct arena){.max = a->max};
    if (!kept)
        return;
    kept->older = NULL;
    a->chunks = kept;
    a->used = kept->size;
    open_chunk(a, kept);
}

bool arena_adopt(struct arena *to, struct arena *from)
{
    struct arena_chunk *oldest = from->chunks;
    if (!oldest)
        return true;
    if (to->used > to->max || from->used > to->max - to->used)
        return false;
    while (oldest->older)
        oldest = oldest->older;
    if (to->chunks) { /* `to` goes on with its newest chunk */
        oldest->older = to->chunks->older;
        to->chunks->older = from->chunks;
    } else {
        to->chunks = from->chunks;
        to->next = from->next;
        to->left = from->left;
    }
    to->used += from->used;
    *from = (struct arena){.max = from->max};
    return true;
}

/* Allocates a chunk with room for a block of `size` bytes; false beyond the maximum, or if memory runs out. */
static bool add_chunk(struct arena *a, size_t size)
{
    size_t need = size + sizeof(struct arena_chunk);
    if (need > a->max - a->used)
        return false;
    size_t want = a->chunks ? a->chunks->size * 2 : CHUNK_FIRST;
    if (want > CHUNK_DOUBLING_MAX)
        want = CHUNK_DOUBLING_MAX;
    if (want > a->max - a->used)
        want = a->max - a->used;
    if (want < need)
        want = need;
    struct arena_chunk *chunk = mem_alloc(want);
    if (!chunk)
        return false;
    *chunk = (struct arena_chunk){.older = a->chunks, .size = want};
    a->chunks = chunk;
    a->used += want;
    open_chunk(a, chunk);
    return true;
}

void *arena_alloc(struct arena *a, size_t size)
{
    if (size > a->max)
        return NULL;
    size = size ? (size + ARENA_ALIGNMENT - 1) & ~(size_t)(ARENA_ALIGNMENT - 1) : ARENA_ALIGNMENT;
    if (size == 0 || size > SIZE_MAX - sizeof(struct arena_chunk))
        return NULL; /* the rounded size overflowed */
    if (size > a->left && !add_chunk(a, size))
        return NULL;
    void *block = a->next;
    a->next += size;
    a->left -= size;
    return block;
}

void *arena_array(struct arena *a, size_t count, size_t size)
{
    size_t bytes;
    if (!mem_mul_ok(count, size, &bytes))
        return NULL;
    return arena_alloc(a, bytes);
}

void *arena_calloc(struct arena *a, size_t count, size_t size)
{
    void *block = arena_array(a, count, size);
    if (block)
        memset(block, 0, count * size);
    return block;
}

struct span arena_copy(struct arena *a, struct span s)
{
    uint8_t *copy = s.len < SIZE_MAX ? arena_alloc(a, s.len + 1) : NULL;
    if (!copy)
        return span_of(NULL, 0);
    if (s.len)
        memcpy(copy, s.data, s.len);
    copy[s.len] = '\0';
    return span_of(copy, s.len);
}

char *arena_printf(struct arena *a, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = len < 0 ? NULL : arena_alloc(a, (size_t)len + 1);
    if (!text)
        return NULL;
    va_start(args, format);
    vsnprintf(text, (size_t)len + 1, format, args);
    va_end(args);
    return text;
}
