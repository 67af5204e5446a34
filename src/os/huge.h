/* os/huge.h: memory for large tables that are read from end to end. */
#ifndef OS_HUGE_H
#define OS_HUGE_H

#include <stddef.h>

/* `size` bytes, aligned to 64 at least, in pages of 2 MB where the system grants them (Linux: transparent huge pages):
 * a processor then does not wait for page tables, nor its prefetching stop at every 4 KB. NULL when out of memory;
 * mem_free() frees it. */
void *os_huge_alloc(size_t size);

#endif
