/* os/huge.h: memory for large tables that are read from end to end. */
#ifndef OS_HUGE_H
#define OS_HUGE_H

#include <stddef.h>

/* `size` bytes, aligned to 64 or more, in pages of 2 MB if the system grants them (Linux: transparent huge pages).
 * The processor then waits less for page tables, and its prefetcher does not stop every 4 KB. NULL without memory;
 * mem_free() frees the block. */
void *os_huge_alloc(size_t size);

#endif
