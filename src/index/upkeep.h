/* index/upkeep.h: work on a namespace that no client waits for: folding its log into segments, merging small
 * segments, and deleting what no manifest lists.
 *
 * Each function looks at the manifest, does what is due, and changes the manifest by one swap. Any process may call it
 * at any time; when another one was first, it gives up its own result. Queries, loads and writes go on meanwhile.
 */
#ifndef INDEX_UPKEEP_H
#define INDEX_UPKEEP_H

#include "index/clock.h"
#include "index/index.h"
#include "index/object_name.h"

enum {
    /* How long a fold or merge claims further work of its kind for its node, so that two nodes seldom do the same
     * work. */
    INDEX_CLAIM_MS = 60 * 1000
};

/* What waits to be done in an open namespace. */
struct index_backlog {
    uint64_t entries, rows,
        bytes;         /* log entries that no segment holds yet, their rows and deletions, their bytes */
    uint64_t sequence; /* of the manifest */
    uint64_t segments;
    uint64_t abandoned;               /* pending loads that index_fold() would give up */
    bool merge_due, idle_due;         /* index_merge() would merge without `idle`; with `idle` */
    bool fold_claimed, merge_claimed; /* another node has claimed the fold, or the merge */
};

/* Tells what waits, as far as the reader knows. ask_store: brings the reader up to the newest state first. `node` (or
 * NULL) is the caller, whose own claims do not count. */
enum dp_status index_backlog(struct call *call, struct index_reader *reader, const struct ulid *node,
                             bool ask_store, struct index_backlog *out);

struct index_merge_options {
    struct team *team; /* clusters the vectors; or NULL */
    const struct index_clock *clock;
    const struct ulid *node; /* claims further merges for this node; NULL: no claim */
    /* Makes as few segments as possible, and writes segments anew whose text index is not of the present schema or
     * that have no columns. False: merges only what the tiers ask for (index/fold/choose.h). */
    bool everything;
    bool idle; /* the namespace rests: merges small segments, too, so that three are left */
};

struct index_merge_result {
    uint64_t inputs, outputs; /* segments that the merge replaced, and that replaced them; 0: nothing was due */
    uint64_t rows;            /* rows of the outputs */
    uint64_t bytes;           /* bytes that the merge wrote */
};

/* Merges segments once: the rows of some listed segments go into new ones, without the deleted rows and with new lists.
 * Call it again until `inputs` is 0: each merge leaves fewer segments that can take part in another one, because all
 * outputs but the last are full. `options` may be NULL. DP_NOT_FOUND: there is no namespace; DP_CONFLICT:
 * other merges were first each time. */
enum dp_status index_merge(struct call *call, struct store *store, struct span name,
                           const struct index_merge_options *options, struct index_merge_result *result);

/* ---- folding ---------------------------------------------------------------------------------------- */

struct index_fold_options {
    int64_t
        load_ms; /* how long a load may be pending without an entry about it, before it is given up; 0: INDEX_LAG_MS */
    struct team *team;       /* clusters the vectors; or NULL */
    const struct ulid *node; /* claims further folds for this node; NULL: no claim */
    uint64_t part_rows;      /* rows of a part, about, if a long log is folded in parts; 0: as memory allows */
};

struct index_fold_result {
    uint64_t entries; /* log entries that this fold moved into segments; 0: none, or another fold was first */
    uint64_t rows;    /* rows of the new segments */
    uint64_t bytes;   /* bytes that the fold wrote */
};

/* Moves the log of an open namespace, up to its newest validated entry, into segments, and lists the loads that it
 * attaches. A long log moves in parts, each by one swap, so that memory does not grow with it. Gives up loads that have
 * been pending for INDEX_LAG_MS without an entry about them: their loader has ended. `options` may be NULL. */
enum dp_status index_fold(struct call *call, struct index_reader *reader, const struct index_fold_options *options,
                          struct index_fold_result *result);

/* ---- collecting ------------------------------------------------------------------------------------- */

/* The memory of one process about a namespace between two collections: the objects that a manifest has let go, and
 * when. One owner thread. The memory ends with the process, and the next process waits anew. */
struct index_collector;

enum dp_status index_collector_new(struct store *store, struct span name, struct index_collector **out,
                                   struct dp_error *error);
void index_collector_free(struct index_collector *collector); /* NULL is fine */

struct index_collect_options {
    const struct index_clock *clock;
    int64_t grace_ms; /* time between the manifest that lets an object go and its removal; 0: INDEX_GRACE_MS */
    /* Minimum age of an unlisted object before it is let go: a load may still list a younger one. It is longer
     * than any load takes. 0: INDEX_LAG_MS. */
    int64_t lag_ms;
    /* Lets go all folded log entries now. False: only those that were folded at the previous collection of this
     * process, so that a writer whose entry was folded at once still gets its acknowledgement. */
    bool at_once;
};

enum { INDEX_GRACE_MS = 15 * 60 * 1000, INDEX_LAG_MS = 24 * 60 * 60 * 1000 };

struct index_collect_result {
    uint64_t entries, objects; /* log entries and other objects that this collection removed */
    uint64_t waiting;          /* objects that a manifest has let go and that wait for the end of the grace */
    uint64_t young;            /* unlisted objects that are too young to be let go */
    uint64_t sequence;         /* of the manifest that it read; 0: there was none */
    int64_t due_ms;            /* time from now until the next step is possible; -1: nothing is left to do */
};

/* Does the next step of removing garbage: lets go what no manifest lists, by at most one swap; or removes what was
 * let go a grace before. Reads the manifest, and lists the namespace's objects. Writes nothing when there is
 * nothing to do. The name may be that of a deleted namespace, or of a folder that never had a manifest. Such a
 * folder gets a tombstone first, so that no load can appear there with objects that are being removed. */
enum dp_status index_collect(struct call *call, struct index_collector *collector,
                             const struct index_collect_options *options, struct index_collect_result *result);

#endif
