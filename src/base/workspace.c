/* workspace.c: sums up the parts of a workspace in a first walk, then hands them out in a second one. */
#include "base/workspace.h"

#include <assert.h>

#include "base/alloc.h"

void *workspace_take(struct workspace *w, size_t count, size_t size)
{
    size_t bytes;
    bool fits = mem_mul_ok(count, size, &bytes) && !__builtin_add_overflow(bytes, WORKSPACE_ALIGNMENT - 1, &bytes);
    bytes = bytes / WORKSPACE_ALIGNMENT * WORKSPACE_ALIGNMENT;
    if (!w->memory) {
        if (!fits || __builtin_add_overflow(w->size, bytes, &w->size))
            w->size = SIZE_MAX;
        return NULL;
    }
    assert(fits && bytes <= w->size - w->next); /* the second walk takes what the first counted */
    void *part = w->memory + w->next;
    w->next += bytes;
    return part;
}

bool workspace_allocate(struct workspace *w)
{
    if (w->size == SIZE_MAX)
        return false;
    w->memory = mem_aligned_alloc(WORKSPACE_ALIGNMENT, w->size);
    return w->memory;
}

void workspace_deinit(struct workspace *w)
{
    mem_free(w->memory);
    *w = (struct workspace){0};
}
