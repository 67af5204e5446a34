/* service/readers.h: the open namespaces of a service, a bounded cache.
 *
 * A call borrows a slot and gives it back. When the cache is full, the least recently used slot that nobody has
 * borrowed makes room. When all are borrowed, the new one is closed as soon as it is given back. The lock is never held
 * while a namespace is opened or closed.
 */
#ifndef SERVICE_READERS_H
#define SERVICE_READERS_H

#include <pthread.h>

#include "index/index.h"

struct reader_slot {
    struct index_reader *reader;
    _Atomic int64_t fresh_ns; /* os_now_ns() when the store was last asked for its newest state */
    size_t name_len;
    char name[INDEX_NAME_MAX];
    struct {
        unsigned borrowed;
        uint64_t used; /* the cache's clock at the last borrowing */
        bool listed;   /* false: closed when given back */
    } locked;          /* by the cache's lock */
};

struct readers {
    size_t max; /* not changed after readers_init */
    struct {
        pthread_mutex_t lock;
        struct reader_slot **slots; /* [max] */
        size_t count;
        uint64_t clock;
    } locked;
};

enum dp_status readers_init(struct readers *r, size_t max, struct dp_error *error);
void readers_deinit(struct readers *r); /* no slot may be borrowed */

/* DP_INVALID: a bad name; DP_DENIED: the call's gate refuses it; DP_NOT_FOUND; or as index_open. */
enum dp_status readers_borrow(struct call *call, struct readers *r, struct store *store, struct span name,
                              struct reader_slot **out);
/* `forget`: the namespace is gone or its cached state is wrong, so the next call opens it anew. */
void readers_give_back(struct readers *r, struct reader_slot *slot, bool forget);

#endif
