/* server/zlib_memory.h: gives zlib the memory of base/alloc.h. */
#ifndef SERVER_ZLIB_MEMORY_H
#define SERVER_ZLIB_MEMORY_H

#include <zlib.h>

#include "base/alloc.h"

enum { ZLIB_GZIP_BITS = MAX_WBITS + 16 }; /* windowBits of a gzip stream with the largest window */

static inline voidpf zlib_memory_alloc(voidpf opaque, uInt items, uInt size)
{
    (void)opaque;
    return mem_calloc(items, size);
}

static inline void zlib_memory_free(voidpf opaque, voidpf block)
{
    (void)opaque;
    mem_free(block);
}

#endif
