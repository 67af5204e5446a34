/* capi/caller_reader.h: the functions of a caller (dp_index_open_callbacks) as the reader that files are opened over. */
#ifndef CAPI_CALLER_READER_H
#define CAPI_CALLER_READER_H

#include <dipper/dipper.h>

#include "faiss/reader.h"

struct caller_reader {
    uint64_t size; /* of the file */
    dp_read_ranges *read_ranges;
    void *ctx;
    void (*free_ctx)(void *ctx);
    const char *name; /* of the file, for errors: copied; may be NULL */
};

/* Takes the ctx over, also when it fails: with DP_INVALID when there is nothing that reads, DP_NOMEM. The result
 * counts rounds, ranges and bytes in the call, and holds the caller's functions to its deadline. As thread-safe as
 * these are. */
enum dp_status caller_reader_open(struct call *call, const struct caller_reader *own, struct faiss_reader *out);

#endif
