/* faiss/memory_file.h: bytes in memory as a faiss_reader. Reads copy nothing and count as no cost. */
#ifndef FAISS_MEMORY_FILE_H
#define FAISS_MEMORY_FILE_H

#include "faiss/reader.h"

/* Makes a thread-safe reader of a file's bytes, which must not change during its life. name: of the file, for
 * errors; copied; may be NULL. DP_NOMEM. */
enum dp_status faiss_memory_reader(struct call *call, struct span bytes, const char *name,
                                   struct faiss_reader *out);

#endif
