/* index/wal/append.h: puts one entry of a namespace's log, and finds out what became of it.
 *
 * This is the whole protocol of one log number, without the entry's content: docs/internals/wal.md gives the rules
 * and their reasons.
 */
#ifndef INDEX_WAL_APPEND_H
#define INDEX_WAL_APPEND_H

#include "index/clock.h"
#include "index/manifest/manifest.h"

enum {
    APPEND_TRIES = 8,
    APPEND_WAIT_BASE_MS = 50,  /* maximum of the first wait; each try doubles it */
    APPEND_WAIT_CAP_MS = 2000, /* maximum wait between two tries */
    APPEND_SETTLE_MS = 5000    /* time for the last look, which does not count for the caller's deadline */
};

/* An entry to put. The caller has seen entry `number` - 1 under a validated tail, or that number is the manifest's
 * wal_floor. */
struct wal_put {
    struct span name; /* of the namespace */
    const struct ulid *incarnation;
    uint64_t number;
    struct span bytes; /* the encoded entry; its ULID makes it differ from the bytes of every other put */
    /* Version of a manifest that the caller has seen live, with this incarnation and wal_gone < number; the read
     * that acknowledges then asks only whether it changed. NULL: the caller has none. */
    const struct store_version *known;
    const struct index_clock *clock; /* NULL: the system's */
};

/* What became of an entry. */
struct wal_appended {
    bool lost;      /* another writer's entry has the number; ours is not in the log and never will be */
    bool unchanged; /* the manifest that acknowledged still had the version `known` */
    bool ended;     /* DP_CONFLICT: a put was sent, and the read after it found the namespace's life ended */
};

/* Puts an entry if its number is free. On DP_OK the entry is acknowledged: a manifest whose read began after the put
 * returned showed a live namespace of the same incarnation and wal_gone < number. Or it is `lost`: then the caller
 * reads the log anew, evaluates its write over the newer state, and takes the next number.
 *
 *   DP_CONFLICT     the namespace was deleted or made anew; the write is in no life of it that goes on. `ended`: it
 *                   may have been in the life that ended, and readers may have seen it there
 *   DP_UNKNOWN      the entry was sent, and nobody can tell whether it is in the log
 *   DP_NOT_DURABLE  the entry is in the log, but a crash of the host may lose it
 *   any other       the entry is not in the log, and never will be
 *
 * After DP_UNKNOWN the caller never puts another number than this one until it has read the log anew. */
enum dp_status wal_append(struct call *call, struct store *store, const struct wal_put *put,
                          struct wal_appended *out);

#endif
