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

/* Verifies
 *   - the manifest;
 *   - each listed object: its size, every checksum, and that ids, rows, vectors, lists and deleted rows agree;
 *   - that the pins can be read, and that the owners of a branch's objects keep them;
 *   - that no two live rows have one id;
 *   - the log from wal_floor on: its numbers, hashes and chain.
 * Reads in rounds of bounded size. Calls `fault` for each fault, and goes on after it where it can. Fails only when it
 * cannot verify: DP_NOT_FOUND, a store that does not answer, or no memory. */
enum dp_status index_verify(struct call *call, struct store *store, struct span name, index_fault_fn *fault,
                            void *context, struct index_verify_result *result);

/* ---- repairing -------------------------------------------------------------------------------------- */

/* What a repair removes, and what it keeps. */
struct index_repair_result {
    struct index_verify_result found; /* by the verification before */
    uint64_t segments;                /* damaged listed segments, which the repair replaces */
    uint64_t pending;                 /* damaged segments of pending loads, which the repair replaces */
    uint64_t kept;                    /* rows of them that it keeps */
    uint64_t lost, unnamed;           /* lost rows, and lost rows whose ids are lost, too */
    uint64_t back;    /* maximum number of deleted rows that come back: the list of deleted rows is lost */
    uint64_t entries; /* log entries that are lost, with all that they wrote */
    bool done;        /* the namespace has been changed */
};

struct index_repair_options {
    index_fault_fn *fault;                                  /* receives the faults, as from index_verify() */
    void (*lost)(void *context, const struct index_id *id); /* receives the ids of lost rows */
    /* Asked once, before the first change; false: nothing is changed. */
    bool (*agree)(void *context, const struct index_repair_result *plan);
    void *context;
    struct team *team; /* clusters the vectors; or NULL */
};

/* Verifies the namespace, and makes it readable again without what is damaged: builds each damaged segment anew from
 * the rows that can be read, and folds the log without its damaged entries. Before that it puts a copy of the
 * manifest beside it. It cannot repair a damaged manifest, or other namespaces' pins: a later index_verify() reports
 * these faults. Servers may go on meanwhile. Fails as index_verify() does. DP_CONFLICT: others changed the namespace
 * meanwhile: repair again. */
enum dp_status index_repair(struct call *call, struct store *store, struct span name,
                            const struct index_repair_options *options, struct index_repair_result *result);

#endif
