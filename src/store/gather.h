/* store/gather.h: gathers the bytes of an upload into parts, for the stores that send large objects in parts.
 *
 * A full part is sent when more bytes come, so an upload that ends within its first part has sent nothing, and can
 * become an ordinary put. An upload has one owner thread.
 */
#ifndef STORE_GATHER_H
#define STORE_GATHER_H

#include "base/buffer.h"
#include "store/implement.h"

/* A store's upload has it as its first member. */
struct gather {
    struct store_upload base;
    struct buffer bytes; /* of the current part; `send` clears them, or drops those that the store has */
    size_t part_bytes;
    enum dp_status (*send)(struct call *call, struct gather *gather);
    size_t key_len;
    uint8_t key[STORE_KEY_MAX];
};

void gather_init(struct gather *g, struct store *store, struct span key, size_t part_bytes,
                 enum dp_status (*send)(struct call *, struct gather *));
void gather_deinit(struct gather *g);
struct span gather_key(const struct gather *g);
/* Implements a store's upload_write. */
enum dp_status gather_write(struct call *call, struct store_upload *upload, struct span bytes);
/* Puts the gathered bytes as a whole object, for an upload that has sent no part. */
enum dp_status gather_put(struct call *call, struct gather *g, struct store_version *version);

#endif
