/* faiss/reader.h: how this room reads a file: ranges of it, many at once. Whoever has the bytes implements it. */
#ifndef FAISS_READER_H
#define FAISS_READER_H

#include "base/span.h"
#include "os/call.h"

struct faiss_range {
    uint64_t offset;
    size_t len;
    struct span bytes; /* out: len bytes */
    void *owner;       /* the reader's own */
};

/* Reads ranges of one file. Any number of threads may use it at once when its functions allow that. */
struct faiss_reader {
    uint64_t size; /* of the file */
    /* Reads all ranges at once: one round. On success all bytes are there until `release`. */
    enum dp_status (*read)(struct call *call, void *ctx, struct faiss_range *ranges, size_t n);
    /* Gives back the bytes of ranges that were read. */
    void (*release)(void *ctx, struct faiss_range *ranges, size_t n);
    /* Frees ctx once nothing will be read any more; NULL: there is nothing to free. For those that take a reader
     * over (faiss_index.h). */
    void (*free)(void *ctx);
    void *ctx;
    const char *name; /* of the file, for errors; NULL: "FAISS file" */
    bool in_memory;   /* reading costs nothing, so that many searches may share what each asks for */
};

#endif
