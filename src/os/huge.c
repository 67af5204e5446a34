/* huge.c: allocates memory and asks the system for large pages, which it may refuse. */
#include "os/huge.h"

#include <stdint.h>
#include <sys/mman.h>

#include "base/alloc.h"

static const size_t HUGE_PAGE = (size_t)2 << 20;

void *os_huge_alloc(size_t size)
{
    if (size < HUGE_PAGE || size > SIZE_MAX - HUGE_PAGE)
        return mem_aligned_alloc(64, size);
    size = (size + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
    void *memory = mem_aligned_alloc(HUGE_PAGE, size);
    if (memory != NULL)
        (void)madvise(memory, size, MADV_HUGEPAGE); /* it may fail: small pages work, too */
    return memory;
}
