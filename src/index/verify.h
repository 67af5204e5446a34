/* index/verify.h: reads every object of a namespace, and says what is wrong with it. */
#ifndef INDEX_VERIFY_H
#define INDEX_VERIFY_H

#include "index/index.h"

/* Receives one fault: the object's name, and a sentence. Valid during the call. */
typedef void index_fault_fn(void *context, const char *object, const char *fault);

struct index_verify_result {
    uint64_t faults;
    uint64_t segments, objects; /* segments and objects that the manifest lists */
    uint64_t rows;              /* rows in segments that are not deleted */
    uint64_t entries;           /* log entries after wal_floor */
    uint64_t unlisted; /* objects below the namespace that the manifest does not list; the collector's work */
};

/* Verifies the manifest, each listed object (its size, every checksum, and that ids, rows, vectors, lists and deleted
 * rows agree), that its pins can be read and the owners of a branch's objects keep them, that no two live rows have one id, and the log from wal_floor on (its numbers, hashes and chain). Reads
 * in rounds of bounded size. Calls `fault` for each fault, and goes on behind it where it can. Fails only when it
 * cannot verify: DP_NOT_FOUND, a store that does not answer, or no memory. */
enum dp_status index_verify(struct call *call, struct store *store, struct span name, index_fault_fn *fault,
                            void *context, struct index_verify_result *result);

#endif
