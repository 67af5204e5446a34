/* faiss/reader.h: how this room reads a file: many ranges at once. The owner of the bytes implements it. */
#ifndef FAISS_READER_H
#define FAISS_READER_H

#include "base/span.h"
#include "os/call.h"

struct faiss_range {
    uint64_t offset;
    size_t len;
    struct span bytes; /* out: len bytes */
    void *owner;       /* for the reader alone */
};

/* Reads ranges of one file. Threads may share it if its functions allow that. */
struct faiss_reader {
    uint64_t size; /* of the file */
    /* Reads all ranges in one round. On success their bytes stay valid until `release`. */
    enum dp_status (*read)(struct call *call, void *ctx, struct faiss_range *ranges, size_t n);
    /* Gives back the bytes of ranges. */
    void (*release)(void *ctx, struct faiss_range *ranges, size_t n);
    /* Frees ctx after the last read; NULL: there is nothing to free. Called by an owner of the reader
     * (faiss_index.h). */
    void (*free)(void *ctx);
    void *ctx;
    const char *name; /* of the file, for errors; NULL: "FAISS file" */
    bool in_memory;   /* reads are free, so searches go through the lists together */
};

#endif
