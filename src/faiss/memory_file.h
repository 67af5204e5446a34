/* faiss/memory_file.h: bytes in memory as a faiss_reader: nothing is copied, nothing is counted. */
#ifndef FAISS_MEMORY_FILE_H
#define FAISS_MEMORY_FILE_H

#include "faiss/reader.h"

/* Makes a reader of a file's bytes, which must stay as they are while it lives. name: of the file, for errors: copied;
 * may be NULL. A reader is thread-safe. DP_NOMEM. */
enum dp_status faiss_memory_reader(struct call *call, struct span bytes, const char *name,
                                   struct faiss_reader *out);

#endif
