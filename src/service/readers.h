/* service/readers.h: the open namespaces of a service, in a table of slots (service/slots.h). */
#ifndef SERVICE_READERS_H
#define SERVICE_READERS_H

#include "index/index.h"
#include "os/gate.h"
#include "service/slots.h"

struct reader_slot {
    struct slot slot; /* its key is the name */
    struct index_reader *reader;
    _Atomic int64_t fresh_ns; /* os_now_ns() when a call last asked the store for the newest state */
    _Atomic int64_t alive_ns; /* os_now_ns() before the store last showed that the namespace is there */
    char name[INDEX_NAME_MAX];
};

struct readers {
    struct slots slots;
    int64_t trust_ns; /* how long a write believes `alive_ns` of a slot; not changed after readers_init */
};

/* If the store has not shown for this long that a namespace exists, a write asks first: another server may have
 * deleted it. */
#define READERS_TRUST_NS (INT64_C(60) * 1000 * 1000 * 1000)

enum dp_status readers_init(struct readers *r, size_t max, struct dp_error *error);
void readers_deinit(struct readers *r); /* no slot may be borrowed */

/* Borrows the slot of a namespace for this use. Opens the namespace if no slot has it. DP_INVALID: a
 * bad name; DP_DENIED: the call's gate refuses it; DP_NOT_FOUND; or as index_open. */
enum dp_status readers_borrow(struct call *call, struct readers *r, struct store *store, enum gate_use use,
                              struct span name, struct reader_slot **out);
/* Removes the slot of this name from the table: the namespace is gone. */
void readers_forget(struct readers *r, struct span name);
/* Borrows the slot of a namespace if one has it, else returns NULL. Does not count as a use of the slot. */
struct reader_slot *readers_borrow_open(struct readers *r, struct span name);
/* Copies the names of the open namespaces to names[max] (in the arena), and returns how many; fewer when out of
 * memory. */
size_t readers_names(struct readers *r, struct arena *arena, struct span *names, size_t max);
/* Gives a slot back. `forget`: the namespace is gone or its cached state is wrong, so the next call opens it
 * anew. */
void readers_give_back(struct readers *r, struct reader_slot *slot, bool forget);

#endif
