/* index/load/target.h: the namespace that a load goes into, and what it must be like to take the rows. */
#ifndef INDEX_TARGET_H
#define INDEX_TARGET_H

#include "index/manifest/manifest.h"

struct load_target {
    struct span name;
    struct index_vectors vectors; /* of the rows to load */
    struct ulid incarnation;      /* where objects are written */
    bool joins;                   /* the namespace existed when the load began, and that is its incarnation */
    struct ulid horizon;          /* of the namespace: objects get later ULIDs */
    size_t segments_listed;       /* when the load began */
    size_t segments_max;          /* segments for which its manifest has room beside those */
};

/* Reads the manifest, and refuses early what the commit would refuse. Joins the namespace's attributes to `schema`, so that
 * a row that contradicts them is refused when it comes. `target` has its name and vectors. */
enum dp_status target_look(struct call *call, struct store *store, struct load_target *target,
                           struct schema *schema, struct arena *arena);
/* DP_INVALID unless the rows' vectors are of the namespace's kind. */
enum dp_status target_check_vectors(const struct load_target *target, const struct manifest *m,
                                    struct dp_error *error);
/* DP_TOO_LARGE when the manifest has no room for one segment more than the `written` ones of this load. */
enum dp_status target_check_room(const struct load_target *target, size_t written, struct dp_error *error);
/* DP_UNSUPPORTED when the namespace has a log: rows that are loaded beside it have no place in its order. */
enum dp_status target_check_log(struct call *call, struct store *store, const struct load_target *target,
                                const struct manifest *m);

#endif
