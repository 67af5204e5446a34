/* index/segment/object_writer.h: writes an object in pieces: by a single put when it is small, by an upload when it
 * grows.
 */
#ifndef INDEX_OBJECT_WRITER_H
#define INDEX_OBJECT_WRITER_H

#include "base/buffer.h"
#include "index/object_name.h"
#include "store/store.h"

struct object_writer {
    struct store *store;
    struct object_key key;
    struct buffer waiting;       /* bytes that the store has not got yet */
    struct store_upload *upload; /* NULL until the first part */
    uint64_t size;               /* bytes written so far */
};

void object_writer_init(struct object_writer *w, struct store *store, const struct object_key *key);
enum dp_status object_write(struct call *call, struct object_writer *w, struct span bytes);
/* Makes the object visible. The caller still calls deinit. */
enum dp_status object_writer_finish(struct call *call, struct object_writer *w);
/* Aborts an upload that is not finished, and frees. */
void object_writer_deinit(struct object_writer *w);

#endif
