/* test_alloc.c: defines every symbol of base/alloc.h, so that the linker takes this object and leaves alloc.o in
 * its archive. Counts are atomics: rooms under test allocate from many threads. */
#include "test_alloc.h"

#include <malloc.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "test_support.h"

static _Atomic size_t live, made, bytes, peak;
static _Atomic size_t countdown; /* allocations until the failing one; 0: not armed */
static _Atomic bool fired;

void test_alloc_fail_at(size_t n)
{
    atomic_store(&fired, false);
    atomic_store(&countdown, n);
}

size_t test_alloc_next(size_t n)
{
    return n + 1 + (test_emulated() ? n / 8 : 0);
}

bool test_alloc_fired(void)
{
    return atomic_load(&fired);
}

size_t test_alloc_live(void)
{
    return atomic_load(&live);
}

size_t test_alloc_count(void)
{
    return atomic_load(&made);
}

size_t test_alloc_bytes(void)
{
    return atomic_load(&bytes);
}

size_t test_alloc_peak(void)
{
    return atomic_load(&peak);
}

void test_alloc_mark(void)
{
    atomic_store(&peak, atomic_load(&bytes));
}

/* Returns whether this allocation must fail. */
static bool fails_now(void)
{
    atomic_fetch_add(&made, 1);
    size_t left = atomic_load(&countdown);
    do {
        if (left == 0)
            return false;
    } while (!atomic_compare_exchange_weak(&countdown, &left, left - 1));
    if (left > 1)
        return false;
    atomic_store(&fired, true);
    return true;
}

static void grow(size_t by)
{
    size_t now = atomic_fetch_add(&bytes, by) + by, most = atomic_load(&peak);
    while (now > most && !atomic_compare_exchange_weak(&peak, &most, now)) {}
}

/* Counts a block from the system's allocator. */
static void *counted(void *block)
{
    if (block) {
        atomic_fetch_add(&live, 1);
        grow(malloc_usable_size(block));
    }
    return block;
}

void *mem_alloc(size_t size)
{
    return fails_now() ? NULL : counted(malloc(size ? size : 1));
}

void *mem_calloc(size_t count, size_t size)
{
    size_t wanted;
    if (fails_now() || !mem_mul_ok(count, size, &wanted))
        return NULL;
    return counted(calloc(wanted ? wanted : 1, 1));
}

void *mem_realloc(void *block, size_t size)
{
    if (fails_now())
        return NULL;
    size_t before = block ? malloc_usable_size(block) : 0;
    void *moved = realloc(block, size ? size : 1);
    if (!block)
        return counted(moved);
    if (moved) {
        atomic_fetch_sub(&bytes, before);
        grow(malloc_usable_size(moved));
    }
    return moved;
}

void *mem_aligned_alloc(size_t alignment, size_t size)
{
    void *block = NULL;
    if (fails_now() || posix_memalign(&block, alignment, size ? size : 1) != 0)
        return NULL;
    return counted(block);
}

void mem_free(void *block)
{
    if (block) {
        atomic_fetch_sub(&live, 1);
        atomic_fetch_sub(&bytes, malloc_usable_size(block));
    }
    free(block);
}
