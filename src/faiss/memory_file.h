/* faiss/memory_file.h: makes a faiss_reader of bytes in memory. Its reads copy nothing and add no cost. */
#ifndef FAISS_MEMORY_FILE_H
#define FAISS_MEMORY_FILE_H

#include "faiss/reader.h"

/* Makes a thread-safe reader of a file's bytes. The bytes must stay unchanged until the reader is freed. name: the
 * file's name for errors, which the reader copies; may be NULL. DP_NOMEM. */
enum dp_status faiss_memory_reader(struct call *call, struct span bytes, const char *name,
                                   struct faiss_reader *out);

#endif
