/* vector/vector_source.h: a source of vectors. Its user reads them block by block, so they need not fit in memory.
 * The owner of the vectors implements it.
 */
#ifndef VECTOR_VECTOR_SOURCE_H
#define VECTOR_VECTOR_SOURCE_H

#include "os/call.h"

struct vector_source {
    uint64_t count;
    size_t dim;
    /* Sets *out to vectors [first, first + n): float[n][dim], either read into `room` or where they already lie.
     * They stay valid until the next read. Only one thread may read at a time. */
    enum dp_status (*read)(struct call *call, void *ctx, uint64_t first, size_t n, float *room, const float **out);
    void *ctx;
    const char *name; /* for errors: "vectors.npy" */
};

#endif
