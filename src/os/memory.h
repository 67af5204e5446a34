/* os/memory.h: how the heap keeps free memory. */
#ifndef OS_MEMORY_H
#define OS_MEMORY_H

/* Gives free memory of the heap back to the system. The allocator keeps it otherwise, in an arena for each thread. Takes
 * some milliseconds, so call it only after something large was freed for good. */
void os_trim_memory(void);
/* Lets the threads share this many arenas of the heap. Each arena keeps free memory of its own, and by default there are
 * eight for each processor. Call it before the program starts threads. */
void os_limit_arenas(unsigned count);

#endif
