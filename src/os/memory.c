/* memory.c: gives memory back to the system, with a function of the GNU C library. */
#include "os/memory.h"

#include <malloc.h>

void os_trim_memory(void)
{
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}
