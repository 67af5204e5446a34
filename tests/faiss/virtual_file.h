/* virtual_file.h: files too large for a test's memory: the head exists, and reading makes the lists. */
#ifndef VIRTUAL_FILE_H
#define VIRTUAL_FILE_H

#include <stdlib.h>
#include <string.h>

#include "faiss/reader.h"

/* Makes len bytes of the file from `offset` on. */
typedef void virtual_fill_fn(const void *ctx, uint64_t offset, uint8_t *to, size_t len);

/* Its blocks come from malloc, so that they do not count as memory of the code under test. */
struct virtual_file {
    virtual_fill_fn *fill;
    const void *ctx;
    size_t rounds, ranges, unreleased, frees, longest;
    uint64_t read;
};

static inline enum dp_status virtual_read(struct call *call, void *ctx, struct faiss_range *ranges, size_t n)
{
    struct virtual_file *file = ctx;
    file->rounds++;
    for (size_t i = 0; i < n; i++) {
        uint8_t *bytes = malloc(ranges[i].len + 1);
        if (bytes == NULL)
            abort();
        file->fill(file->ctx, ranges[i].offset, bytes, ranges[i].len);
        ranges[i].bytes = span_of(bytes, ranges[i].len);
        file->ranges++;
        file->unreleased++;
        file->read += ranges[i].len;
        file->longest = ranges[i].len > file->longest ? ranges[i].len : file->longest;
    }
    call->cost.rounds++;
    call->cost.requests += n;
    return DP_OK;
}

static inline void virtual_release(void *ctx, struct faiss_range *ranges, size_t n)
{
    struct virtual_file *file = ctx;
    for (size_t i = 0; i < n; i++)
        free((void *)ranges[i].bytes.data);
    file->unreleased -= n;
}

static inline void virtual_free(void *ctx)
{
    struct virtual_file *file = ctx;
    file->frees++;
}

static inline struct faiss_reader virtual_reader(struct virtual_file *file, uint64_t size)
{
    return (struct faiss_reader){.size = size,
                                 .read = virtual_read,
                                 .release = virtual_release,
                                 .free = virtual_free,
                                 .ctx = file,
                                 .name = "virtual.ivf"};
}

/* Copies the part of `piece` that lies in [offset, offset + len) of the file into `to`. begin: the offset of the
 * piece in the file. */
static inline void virtual_put(struct span piece, uint64_t begin, uint64_t offset, uint8_t *to, size_t len)
{
    uint64_t from = begin > offset ? begin : offset;
    uint64_t end = begin + piece.len < offset + len ? begin + piece.len : offset + len;
    if (from < end)
        memcpy(to + (from - offset), piece.data + (from - begin), (size_t)(end - from));
}

#endif
