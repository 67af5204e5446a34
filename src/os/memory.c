/* memory.c: settings of the heap of the GNU C library. */
#include "os/memory.h"

#include <malloc.h>

void os_trim_memory(void)
{
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}

void os_limit_arenas(unsigned count)
{
#ifdef __GLIBC__
    mallopt(M_ARENA_MAX, (int)count);
#else
    (void)count;
#endif
}
