/* capi/caller_reader.h: makes a FAISS reader of a caller's functions (struct dp_reader). */
#ifndef CAPI_CALLER_READER_H
#define CAPI_CALLER_READER_H

#include <dipper/dipper.h>

#include "faiss/reader.h"

/* Makes a reader over the caller's functions. Takes ownership of the ctx in `own`, also when it fails. The reader
 * counts rounds, ranges and bytes in the call, and fails when the call's deadline has passed. It is as thread-safe
 * as the caller's functions.
 *
 * name  the file's name in error messages; copied; may be NULL
 *
 * Errors: DP_INVALID (read_ranges is NULL), DP_NOMEM. */
enum dp_status caller_reader_open(struct call *call, const struct dp_reader *own, const char *name,
                                  struct faiss_reader *out);

#endif
