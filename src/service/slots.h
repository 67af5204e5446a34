/* service/slots.h: a bounded table of things that stay open between calls: namespaces, FAISS files.
 *
 * A call borrows a slot and gives it back. A full table closes the least recently used slot that nobody has
 * borrowed. When calls have borrowed all slots, the table does not keep the new one, and closes it as soon as the call
 * gives it back. No thread holds the lock while it opens or closes a thing.
 */
#ifndef SERVICE_SLOTS_H
#define SERVICE_SLOTS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/span.h"

/* The table's part of an open thing, which embeds it as its first field. */
struct slot {
    struct span key; /* its bytes belong to the thing */
    struct {
        unsigned borrowed;
        uint64_t used; /* the table's clock when a call last borrowed it */
        bool listed;   /* the table keeps it; false: closed when given back */
        bool ready;    /* others may borrow it; false: it only reserves its key */
    } locked;          /* by the table's lock */
};

/* Closes a thing and frees it. */
typedef void slot_close_fn(struct slot *slot);

struct slots {
    /* not changed after slots_init */
    size_t max;
    slot_close_fn *close;
    struct {
        pthread_mutex_t lock;
        struct slot **list; /* [max] */
        size_t count;
        uint64_t clock;
    } locked;
};

/* Fails with DP_NOMEM. The caller deinits the table, also after a failure. */
enum dp_status slots_init(struct slots *t, size_t max, slot_close_fn *close, struct dp_error *error);
/* Closes all slots. No slot may be borrowed. */
void slots_deinit(struct slots *t);

/* Borrows the slot with this key. Returns NULL if there is none that is ready. `counts`: the call uses the thing, so that
 * it stays open longer. */
struct slot *slots_borrow(struct slots *t, struct span key, bool counts);
/* Adds a new slot, and borrows it for the caller. If the table has the key already, closes the new slot and borrows the
 * one in the table. Returns the slot that the caller has now. */
struct slot *slots_add(struct slots *t, struct slot *slot);
/* Adds a new slot that reserves its key until slots_ready(), and borrows it for the caller. A full table closes no other
 * slot for it. Fails with DP_EXISTS if the table has the key, or DP_FULL; then the slot is still the caller's. */
enum dp_status slots_reserve(struct slots *t, struct slot *slot);
/* The thing is open now. */
void slots_ready(struct slots *t, struct slot *slot);
/* Gives a slot back. `forget`: removes it from the table, so that the next call opens the thing anew. */
void slots_give_back(struct slots *t, struct slot *slot, bool forget);

/* Calls fn for each slot that is ready, with the lock held, until fn returns false. */
void slots_for_each(struct slots *t, bool (*fn)(void *context, const struct slot *slot), void *context);

#endif
