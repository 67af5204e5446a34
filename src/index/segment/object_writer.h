/* index/segment/object_writer.h: one object written in pieces: a single put when it is small, an upload when it grows. */
#ifndef INDEX_OBJECT_WRITER_H
#define INDEX_OBJECT_WRITER_H

#include "base/buffer.h"
#include "index/object_name.h"
#include "store/store.h"

struct object_writer {
    struct store *store;
    struct object_key key;
    struct buffer waiting;       /* bytes not yet given to the store */
    struct store_upload *upload; /* NULL until the first part */
    uint64_t size;               /* bytes written so far */
};

void object_writer_init(struct object_writer *w, struct store *store, const struct object_key *key);
enum dp_status object_write(struct call *call, struct object_writer *w, struct span bytes);
/* The object appears. deinit is still the caller's. */
enum dp_status object_writer_finish(struct call *call, struct object_writer *w);
/* Gives up what is not finished. */
void object_writer_deinit(struct object_writer *w);

#endif
