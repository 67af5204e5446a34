/* faiss/store_file.h: an object of a store as a faiss_reader: one version of it, pinned by the first read. */
#ifndef FAISS_STORE_FILE_H
#define FAISS_STORE_FILE_H

#include "faiss/reader.h"
#include "store/store.h"

/* Makes a reader of the object at `key`. Its size and version come with its first `first_bytes`, which are read
 * here and kept, so that the file's opening, which asks for them again, goes on from there.
 *
 * store  the caller's, or the reader's own when `owned`: freed with it, also when this fails
 * name   of the object, for errors: copied
 *
 * A reader is thread-safe. DP_STALE once the object has changed. */
enum dp_status faiss_store_reader(struct call *call, struct store *store, bool owned, struct span key,
                                  struct span name, size_t first_bytes, struct faiss_reader *out);
/* Forgets the first bytes. To be called once when the file is open, before anyone searches it. */
void faiss_store_reader_opened(struct faiss_reader *reader);

#endif
