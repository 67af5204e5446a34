/* vector/vector_source.h: vectors that are read block by block, so that they need not fit in memory. Whoever has
 * vectors implements it.
 */
#ifndef VECTOR_VECTOR_SOURCE_H
#define VECTOR_VECTOR_SOURCE_H

#include "os/call.h"

struct vector_source {
    uint64_t count;
    size_t dim;
    /* Gives vectors [first, first + n) in *out: in `room`, float[n][dim], or where they lie already. They stay valid
     * until the next read. One thread at a time. */
    enum dp_status (*read)(struct call *call, void *ctx, uint64_t first, size_t n, float *room, const float **out);
    void *ctx;
    const char *name; /* for errors: "vectors.npy" */
};

#endif
