/* base/alloc.h: every allocation from the heap goes through here.
 *
 * Tests link tests/support/test_alloc.c in place of alloc.c: it counts live blocks, fails a test that leaks, and can
 * fail the n-th allocation. Freeing NULL is fine. All functions are thread-safe.
 */
#ifndef BASE_ALLOC_H
#define BASE_ALLOC_H

#include <stddef.h>

void *mem_alloc(size_t size);                           /* NULL when out of memory; size 0 gives a unique block */
void *mem_calloc(size_t count, size_t size);            /* zeroed; NULL also when count * size overflows */
void *mem_realloc(void *block, size_t size);            /* like realloc; on failure `block` stays valid */
void *mem_aligned_alloc(size_t alignment, size_t size); /* alignment: a power of two ≥ sizeof(void *) */
void mem_free(void *block);                             /* frees blocks of all the functions above */

/* Multiplies sizes that come from outside: *out = a * b. False: the product overflows. */
static inline int mem_mul_ok(size_t a, size_t b, size_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}

#endif
