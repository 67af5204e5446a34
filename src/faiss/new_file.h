/* faiss/new_file.h: writes a file at a path or in a store. The file appears whole or not at all. */
#ifndef FAISS_NEW_FILE_H
#define FAISS_NEW_FILE_H

#include "os/file.h"
#include "store/store.h"

struct new_file {
    struct os_new_file *local;   /* for a path: a temporary file beside it; else NULL */
    struct store *store;         /* for any other URL; else NULL */
    struct store_upload *upload; /* an upload to `store` */
};

/* Begins the file at `url`: a path, file:///path, or an object of a store that can be written. options: may be
 * NULL. The caller must call new_file_abort, even after a failure. */
enum dp_status new_file_begin(struct call *call, struct span url, const struct store_options *options,
                              struct new_file *out);
/* Writes the next bytes. Fits as the write function of a struct faiss_sink; ctx is the struct new_file. */
enum dp_status new_file_write(struct call *call, void *ctx, struct span bytes);
/* Makes the file appear, in place of an earlier one. The caller must call new_file_abort afterwards. */
enum dp_status new_file_finish(struct call *call, struct new_file *file);
/* Removes the bytes that new_file_write has written, unless the file has appeared. Frees everything. */
void new_file_abort(struct new_file *file);

/* Writes a whole file with these bytes. */
enum dp_status new_file_put(struct call *call, struct span url, const struct store_options *options,
                            struct span bytes);

#endif
