/* faiss/new_file.h: writing a file at a path or in a store, whole or not at all. */
#ifndef FAISS_NEW_FILE_H
#define FAISS_NEW_FILE_H

#include "os/file.h"
#include "store/store.h"

struct new_file {
    struct os_new_file *local; /* a path: a temporary file beside it */
    struct store *store;       /* any other URL: an upload */
    struct store_upload *upload;
};

/* Begins the file at `url`: a path, file:///path, or an object of a store that can be written. options: may be
 * NULL. The caller must call new_file_abort, also after a failure. */
enum dp_status new_file_begin(struct call *call, struct span url, const struct store_options *options,
                              struct new_file *out);
/* Writes the next bytes. The write function of a struct faiss_sink: ctx is the struct new_file. */
enum dp_status new_file_write(struct call *call, void *ctx, struct span bytes);
/* Makes the file appear, in place of an earlier one. The caller must still call new_file_abort. */
enum dp_status new_file_finish(struct call *call, struct new_file *file);
/* Removes what was written, unless the file has appeared, and frees everything. */
void new_file_abort(struct new_file *file);

/* Writes a small file at once. */
enum dp_status new_file_put(struct call *call, struct span url, const struct store_options *options,
                            struct span bytes);

#endif
