/* service/readers.h: the open namespaces of a service, a bounded cache.
 *
 * A call borrows a slot and gives it back. When the cache is full, it closes the least recently used slot that
 * nobody has borrowed. When calls have borrowed all slots, the cache does not keep the new one, and closes it
 * as soon as the call gives it back. No thread holds the lock while it opens or closes a namespace.
 */
#ifndef SERVICE_READERS_H
#define SERVICE_READERS_H

#include <pthread.h>

#include "index/index.h"
#include "os/gate.h"

struct reader_slot {
    struct index_reader *reader;
    _Atomic int64_t fresh_ns; /* os_now_ns() when a call last asked the store for the newest state */
    _Atomic int64_t alive_ns; /* os_now_ns() before the store last showed that the namespace is there */
    size_t name_len;
    char name[INDEX_NAME_MAX];
    struct {
        unsigned borrowed;
        uint64_t used; /* the cache's clock when a call last borrowed it */
        bool listed;   /* the cache keeps it; false: closed when given back */
    } locked;          /* by the cache's lock */
};

struct readers {
    /* not changed after readers_init */
    size_t max;
    int64_t trust_ns; /* how long a write believes `alive_ns` of a slot */
    struct {
        pthread_mutex_t lock;
        struct reader_slot **slots; /* [max] */
        size_t count;
        uint64_t clock;
    } locked;
};

/* If the store has not shown for this long that a namespace exists, a write asks first: another server may have
 * deleted it. */
#define READERS_TRUST_NS (INT64_C(60) * 1000 * 1000 * 1000)

enum dp_status readers_init(struct readers *r, size_t max, struct dp_error *error);
void readers_deinit(struct readers *r); /* no slot may be borrowed */

/* Borrows the slot of a namespace for this use. Opens the namespace if the cache has no slot for it. DP_INVALID: a
 * bad name; DP_DENIED: the call's gate refuses it; DP_NOT_FOUND; or as index_open. */
enum dp_status readers_borrow(struct call *call, struct readers *r, struct store *store, enum gate_use use,
                              struct span name, struct reader_slot **out);
/* Removes the slot of this name from the cache: the namespace is gone. */
void readers_forget(struct readers *r, struct span name);
/* Borrows the slot of a namespace if the cache has one, else returns NULL. Does not count as a use of the slot. */
struct reader_slot *readers_borrow_open(struct readers *r, struct span name);
/* Copies the names of the open namespaces to names[max] (in the arena), and returns how many; fewer when out of
 * memory. */
size_t readers_names(struct readers *r, struct arena *arena, struct span *names, size_t max);
/* Gives a slot back. `forget`: the namespace is gone or its cached state is wrong, so the next call opens it
 * anew. */
void readers_give_back(struct readers *r, struct reader_slot *slot, bool forget);

#endif
