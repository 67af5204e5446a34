/* capi/caller_reader.h: the functions of a caller (struct dp_reader) as the reader that FAISS files are opened over. */
#ifndef CAPI_CALLER_READER_H
#define CAPI_CALLER_READER_H

#include <dipper/dipper.h>

#include "faiss/reader.h"

/* Takes the reader's ctx over, also when it fails: with DP_INVALID if there is no read_ranges, or DP_NOMEM. The result
 * counts rounds, ranges and bytes in the call, and holds the caller's functions to its deadline. It is as thread-safe
 * as they are.
 *
 * name  of the file, for errors: copied; may be NULL */
enum dp_status caller_reader_open(struct call *call, const struct dp_reader *own, const char *name,
                                  struct faiss_reader *out);

#endif
