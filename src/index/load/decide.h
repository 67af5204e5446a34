/* index/load/decide.h: puts the log entry that decides about a pending load: "attach" makes it count from the entry's
 * number on, "void" gives it up. Its first entry counts.
 *
 * The entry is put behind a validated tail without an entry about the load, and only while the manifest that validated
 * this tail has the load pending (rule L7 of docs/internals/wal.md).
 */
#ifndef INDEX_DECIDE_H
#define INDEX_DECIDE_H

#include "index/query/view.h"
#include "index/wal/entry.h"

/* A decision, by one owner thread. */
struct load_decision {
    struct index_reader *reader;
    struct ulid incarnation; /* the life of the namespace in which the load is pending */
    struct ulid load;
    enum wal_kind kind;                      /* WAL_ATTACH or WAL_VOID */
    const struct manifest_segment *segments; /* [segment_count]: those it must have; NULL: any */
    size_t segment_count;

    /* Set by load_decide(). */
    enum load_fate
        fate;        /* what the log says; LOAD_OPEN: the manifest has no such pending load with these segments */
    uint64_t number; /* of the entry that this call has put; 0: none */
    uint64_t rows_before; /* rows of the namespace just before that entry */
    bool ended;           /* with DP_CONFLICT: the namespace's life is over */
    struct view *view;    /* on DP_OK: the view at the end, which the caller releases */
};

/* Puts the entry unless the log has decided. On DP_OK the outcome is in `fate`. Fails as wal_append() does, with
 * DP_CONFLICT also when other writers were first each time. */
enum dp_status load_decide(struct call *call, struct load_decision *decision);

#endif
