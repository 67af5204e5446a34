/* faiss/store_file.h: makes a faiss_reader of a store's object. The first read pins the object's version. */
#ifndef FAISS_STORE_FILE_H
#define FAISS_STORE_FILE_H

#include "faiss/reader.h"
#include "store/store.h"

/* Makes a thread-safe reader of the object at `key`. Reads the object's first `first_bytes` at once, to learn its
 * size and version. The reader keeps these bytes, because opening the file reads them again.
 *
 * owned  the reader frees the store, and this function does when it fails
 * name   the object's name for errors; the reader copies it
 *
 * Reads fail with DP_STALE after the object has changed. */
enum dp_status faiss_store_reader(struct call *call, struct store *store, bool owned, struct span key,
                                  struct span name, size_t first_bytes, struct faiss_reader *out);
/* Forgets the first bytes. Call it once, between opening the file and the first search. */
void faiss_store_reader_opened(struct faiss_reader *reader);

#endif
