/* faiss/new_file.h: a file that is being written, at a path or in a store: whole or not at all. */
#ifndef FAISS_NEW_FILE_H
#define FAISS_NEW_FILE_H

#include "os/file.h"
#include "store/store.h"

struct new_file {
    struct os_new_file *local; /* at a path: beside it, until it takes its name */
    struct store *store;       /* elsewhere: an upload */
    struct store_upload *upload;
};

/* Begins the file that `url` names: a path, file:///path, or an object of a store that can be written. options: may
 * be NULL. After a failure new_file_abort is still due. */
enum dp_status new_file_begin(struct call *call, struct span url, const struct store_options *options,
                              struct new_file *out);
/* A faiss_sink's: ctx is the struct new_file. */
enum dp_status new_file_write(struct call *call, void *ctx, struct span bytes);
/* The file appears, in place of one that was there. new_file_abort is still due. */
enum dp_status new_file_finish(struct call *call, struct new_file *file);
void new_file_abort(struct new_file *file);

/* The same for a small file at once. */
enum dp_status new_file_put(struct call *call, struct span url, const struct store_options *options,
                            struct span bytes);

#endif
