/* faiss/store_file.h: an object of a store as a faiss_reader. The first read pins the object's version. */
#ifndef FAISS_STORE_FILE_H
#define FAISS_STORE_FILE_H

#include "faiss/reader.h"
#include "store/store.h"

/* Makes a thread-safe reader of the object at `key`. It reads the object's first `first_bytes` here, which tell
 * its size and version, and keeps them for the file's opening, which reads them again.
 *
 * owned  the reader frees the store, also when this fails
 * name   of the object, for errors; copied
 *
 * Reads fail with DP_STALE after the object has changed. */
enum dp_status faiss_store_reader(struct call *call, struct store *store, bool owned, struct span key,
                                  struct span name, size_t first_bytes, struct faiss_reader *out);
/* Forgets the first bytes. Call it once, between opening the file and the first search. */
void faiss_store_reader_opened(struct faiss_reader *reader);

#endif
