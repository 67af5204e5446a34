/* os/memory.h: gives memory back to the system. */
#ifndef OS_MEMORY_H
#define OS_MEMORY_H

/* Gives free memory of the heap back to the system. The allocator keeps it otherwise, in an arena for each thread. Takes
 * some milliseconds, so call it only after something large was freed for good. */
void os_trim_memory(void);

#endif
