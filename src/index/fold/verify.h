/* index/fold/verify.h: the state of a verification. */
#ifndef INDEX_FOLD_VERIFY_H
#define INDEX_FOLD_VERIFY_H

#include "index/fold/row_scan.h"
#include "index/manifest/pins.h"
#include "index/verify.h"

/* Log entries that are missing or damaged: numbers first to last. */
struct log_gap {
    uint64_t first, last;
    uint64_t missing; /* how many of them are missing */
    /* Hash of entry `last`, from the entry after it; if there is no such entry, from the end of the damaged
     * entry. */
    uint64_t chain;
};

/* The log, as far as it is verified. */
struct log_check {
    uint64_t number;      /* of the latest entry */
    uint64_t hash;        /* hash of the latest entry, unless this is in a gap */
    struct log_gap *gaps; /* [gap_count], ascending */
    size_t gap_count, gap_room;
};

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
    uint64_t *written; /* [written_count]: hashes of the id keys that the log after wal_floor names */
    size_t written_count, written_room;
    bool *damaged;         /* [manifest.segment_count]: segments with a fault */
    bool *damaged_pending; /* of all pending loads, in their order: segments with a fault */
    struct log_check log;
    bool keys_damaged; /* the object with the keys of writes has a fault */
};

/* Reads the manifest and verifies all. *readable: the manifest can be read. Fails as index_verify() does. The caller
 * has set store, name, fault, context and result, and ends the verification, also after a failure. */
enum dp_status verify_namespace(struct call *call, struct verification *v, bool *readable);
void verify_end(struct verification *v);

/* Reports the call's error as a fault of `object` and clears it. Returns DP_OK; or the status when it says nothing
 * about the object: the call has ended, the store does not answer, or there is no memory. */
enum dp_status verify_fault(struct call *call, struct verification *v, const char *object);

/* Compares two hashes, for qsort and bsearch. */
int verify_compare_hashes(const void *a, const void *b);

#endif
