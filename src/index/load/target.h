/* index/load/target.h: the namespace that a load goes into, and the checks that it can take the rows. */
#ifndef INDEX_TARGET_H
#define INDEX_TARGET_H

#include "index/manifest/manifest.h"

struct load_target {
    struct span name;
    struct index_vectors vectors; /* of the rows to load */
    struct ulid incarnation;      /* the load writes its objects into this incarnation */
    bool joins;                   /* whether `incarnation` is that of a live namespace */
    int64_t store_ms, at_ns;      /* the store's clock when the load began (0: unknown); index_now_ns() then */
    struct ulid horizon;          /* the name's horizon; the load's objects get later ULIDs */
    size_t segments_listed;       /* number of segments that the manifest listed when the load began */
    size_t segments_max;          /* number of further segments for which the manifest has room */
};

/* Reads the manifest, and fails at once if the commit would fail. Joins the namespace's attributes to `schema`, so
 * that the load can refuse a row that contradicts them as soon as it comes. The caller has set target's name and
 * vectors. */
enum dp_status target_look(struct call *call, struct store *store, const struct index_clock *clock,
                           struct load_target *target, struct schema *schema, struct arena *arena);
/* Returns what the store's clock shows now, in Unix milliseconds, or 0 if that is unknown. */
int64_t target_store_ms(const struct load_target *target, const struct index_clock *clock);
/* Checks that the rows' vectors are of the namespace's kind, or that it has none yet; DP_INVALID if not. */
enum dp_status target_check_vectors(const struct load_target *target, const struct manifest *m,
                                    struct dp_error *error);
/* Checks that the manifest has room for the `written` segments of this load and one more; DP_TOO_LARGE if not. */
enum dp_status target_check_room(const struct load_target *target, size_t written, struct dp_error *error);
/* Checks that the namespace takes loads. DP_DENIED: it is read-only. DP_UNSUPPORTED: it has a log of which its manifest
 * does not tell. */
enum dp_status target_check_writable(struct call *call, struct store *store, const struct load_target *target,
                                     const struct manifest *m);

#endif
