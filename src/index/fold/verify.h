/* index/fold/verify.h: the state of a verification. */
#ifndef INDEX_FOLD_VERIFY_H
#define INDEX_FOLD_VERIFY_H

#include "index/fold/row_scan.h"
#include "index/manifest/pins.h"
#include "index/verify.h"

/* The state of one index_verify(). */
struct verification {
    struct store *store;
    struct span name;
    struct manifest manifest;
    struct pin_set pins; /* the objects of its pins */
    index_fault_fn *fault;
    void *context;
    struct index_verify_result *result;
    uint64_t *live; /* [live_count]: hashes of the id keys of all live rows */
    size_t live_count, live_room;
};

/* Reports the call's error as a fault of `object` and clears it. Returns DP_OK; or the status when it says nothing about the
 * object: the call has ended, the store does not answer, or there is no memory. */
enum dp_status verify_fault(struct call *call, struct verification *v, const char *object);

#endif
