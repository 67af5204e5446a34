/* os/huge.h: memory for large tables that are read from end to end. */
#ifndef OS_HUGE_H
#define OS_HUGE_H

#include <stddef.h>

/* Allocates `size` bytes, aligned to 64 bytes or more, in pages of 2 MB if the system grants them (Linux:
 * transparent huge pages). With large pages the processor waits less for page tables, and its prefetcher does not
 * stop every 4 KB. Returns NULL when out of memory. mem_free() frees the memory. */
void *os_huge_alloc(size_t size);

#endif
