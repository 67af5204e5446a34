/* alloc.c: the process's allocator, malloc.
 *
 * This file defines the symbols of alloc.h and no others. So if a test program defines these symbols itself
 * (tests/support/test_alloc.c), the linker never takes this object out of the archive.
 */
#include "base/alloc.h"

#include <stdlib.h>

void *mem_alloc(size_t size)
{
    return malloc(size ? size : 1);
}

void *mem_calloc(size_t count, size_t size)
{
    size_t bytes;
    if (!mem_mul_ok(count, size, &bytes))
        return NULL;
    return calloc(bytes ? bytes : 1, 1);
}

void *mem_realloc(void *block, size_t size)
{
    return realloc(block, size ? size : 1);
}

void *mem_aligned_alloc(size_t alignment, size_t size)
{
    void *block = NULL;
    if (posix_memalign(&block, alignment, size ? size : 1) != 0)
        return NULL;
    return block;
}

void mem_free(void *block)
{
    free(block);
}
