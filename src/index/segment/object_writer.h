/* index/segment/object_writer.h: writes an object in pieces. It sends a small object with one put, and a larger
 * one with an upload.
 */
#ifndef INDEX_OBJECT_WRITER_H
#define INDEX_OBJECT_WRITER_H

#include "base/buffer.h"
#include "index/object_name.h"
#include "store/store.h"

/* An object that is not visible yet. It has one owner thread. */
struct object_writer {
    struct store *store;
    struct object_key key;
    struct buffer waiting;       /* bytes that the writer has not sent yet */
    struct store_upload *upload; /* NULL until the first part */
    uint64_t size;               /* bytes of all object_write() so far */
};

void object_writer_init(struct object_writer *w, struct store *store, const struct object_key *key);
/* Appends bytes to the object. */
enum dp_status object_write(struct call *call, struct object_writer *w, struct span bytes);
/* Sends the last bytes and makes the object visible. The caller still calls object_writer_deinit(). */
enum dp_status object_writer_finish(struct call *call, struct object_writer *w);
/* Aborts an upload that is not finished, and frees the memory. */
void object_writer_deinit(struct object_writer *w);

#endif
