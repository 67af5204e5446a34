/* faiss/reader.h: the interface through which src/faiss/ reads a file, many ranges at once. The owner of the bytes
 * implements it. */
#ifndef FAISS_READER_H
#define FAISS_READER_H

#include "base/span.h"
#include "os/call.h"

/* A range of a file, and its bytes once they are read. */
struct faiss_range {
    uint64_t offset;
    size_t len;
    struct span bytes; /* out: len bytes */
    void *owner;       /* private to the reader */
};

/* Reads ranges of one file. Several threads may use it at once if its functions are thread-safe. */
struct faiss_reader {
    uint64_t size; /* bytes of the file */
    /* Reads all ranges in one round. After a success their bytes stay valid until `release`. */
    enum dp_status (*read)(struct call *call, void *ctx, struct faiss_range *ranges, size_t n);
    /* Gives back the bytes of ranges. */
    void (*release)(void *ctx, struct faiss_range *ranges, size_t n);
    /* Frees ctx. The reader's owner (faiss_index.h) calls it after the last read. NULL: there is nothing to
     * free. */
    void (*free)(void *ctx);
    void *ctx;
    const char *name; /* the file's name, for errors; NULL: "FAISS file" */
    struct span
        version;    /* the version of the file, as its owner tells it; empty: it tells none. Valid until `free` */
    bool in_memory; /* reads cost nothing, so the search scans list by list for several queries together */
};

#endif
